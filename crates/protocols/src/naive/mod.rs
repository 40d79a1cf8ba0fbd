//! Exhibits: the articles' own versions, as literal as a system of messages allows, under the same
//! operations and judges as the right ones. Each says what its article claims and what is wrong
//! with it. They are here to be found broken.
//!
//! The articles know no timeouts, no retries and no recovery; neither do the exhibits.

use crate::{commit, job, order, page, payment, record, register, stock, sync};

mod cache_aside;
mod etag;
mod idempotency_check_then_act;
mod idempotency_key_first;
mod ledger;
mod lock;
mod login_lock;
mod optimistic_by_value;
mod optimistic_get_set;
mod order_lock_only;
mod queue_acknowledge_first;
mod queue_pop_then_process;
mod register_without_write_back;
mod row_lock_pooled;
mod saga_undo_in_memory;
mod single_server;
mod sync_last_writer;
pub mod three_phase_commit_a;
pub mod three_phase_commit_b;
pub mod three_phase_commit_c;
pub mod two_phase_commit_a;
pub mod two_phase_commit_b;
pub mod two_phase_commit_c;
pub mod two_phase_commit_d;
pub mod two_phase_commit_e;
mod two_phase_locking;
mod watch_without_exec;

pub use cache_aside::{CacheAside, CacheDeleteThenWrite, CacheDoubleDelete};
pub use etag::{Etag, EtagOnReads, EtagRetried};
pub use idempotency_check_then_act::IdempotencyCheckThenAct;
pub use idempotency_key_first::IdempotencyKeyFirst;
pub use lock::{FirstFreeNode, Lock, Redis, Rules, SmallestId, Unfenced};
pub use login_lock::LoginLock;
pub use optimistic_by_value::OptimisticByValue;
pub use optimistic_get_set::OptimisticGetSet;
pub use order_lock_only::OrderLockOnly;
pub use queue_acknowledge_first::QueueAcknowledgeFirst;
pub use queue_pop_then_process::QueuePopThenProcess;
pub use register_without_write_back::RegisterWithoutWriteBack;
pub use row_lock_pooled::RowLockPooled;
pub use saga_undo_in_memory::SagaUndoInMemory;
pub use single_server::SingleServer;
pub use sync_last_writer::{SyncLamport, SyncLastWriter, SyncWallClock};
pub use two_phase_locking::TwoPhaseLocking;
pub use watch_without_exec::WatchWithoutExec;
