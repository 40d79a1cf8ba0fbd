//! Protocols as they should be, each beside the seed articles' own version as an exhibit.
//!
//! A protocol file reads like its paper and knows nothing of simulation. What its clients and its
//! judges share with it (operations, results, configuration, what an invariant may look at) stands
//! in a file of its own beside it.

mod anti_entropy;
pub mod commit;
mod conditional_requests;
mod idempotency_key;
pub mod job;
pub mod key;
pub mod lease;
mod lease_lock;
pub mod login;
pub mod naive;
mod optimistic;
pub mod order;
mod orders_lock;
pub mod page;
pub mod paxos_commit;
pub mod payment;
mod queue;
mod quorum_register;
mod raft;
pub mod record;
mod redlock;
pub mod register;
pub mod replicated;
mod row_lock;
mod saga;
mod session;
pub mod stock;
pub mod sync;
pub mod three_phase_commit;
pub mod two_phase_commit;
mod versioned_cache;
mod watch;

pub use anti_entropy::AntiEntropy;
pub use conditional_requests::ConditionalRequests;
pub use idempotency_key::IdempotencyKey;
pub use lease_lock::LeaseLock;
pub use optimistic::Optimistic;
pub use orders_lock::OrdersLock;
pub use queue::DurableQueue;
pub use quorum_register::QuorumRegister;
pub use raft::Raft;
pub use redlock::Redlock;
pub use row_lock::RowLock;
pub use saga::Saga;
pub use session::Sessions;
pub use versioned_cache::VersionedCache;
pub use watch::Watch;
