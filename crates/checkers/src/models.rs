//! Sequential objects ready to hold a history against.
//!
//! A protocol has operations and answers of its own. Either its scenario implements
//! [`Model`](crate::Model) over them, in about fifteen lines, or it cuts the history of the object
//! out of the run's with [`History::project`](history::History::project) and takes one of these.
//!
//! Recorded histories mean different things by the same words. Whoever reads them says it in the
//! history, and the model stays one:
//!
//! | what was recorded | what it is here |
//! |---|---|
//! | a value that may be absent (etcd's `read nil`) | `Register(None)`, of `Option`s |
//! | a read that does not say what it saw (Knossos' `read nil`) | an operation of unknown outcome |
//! | a compare-and-set that failed because it found another value | ok, [`RegisterRet::Refused`] |
//! | a compare-and-set that failed and tells nothing | fail |
//! | a lock that does not know its owners | one owner for all of them |
//! | a pop that found nothing | ok, [`StackRet::Empty`] |

mod chain;
mod counter;
mod fetch_and_add;
mod key_value;
mod log;
mod multi_register;
mod mutex;
mod queue;
mod register;
mod set;
mod stack;

pub use counter::{Counter, CounterOp, CounterRet};
pub use fetch_and_add::{FetchAndAdd, FetchAndAddOp, Fetched};
pub use key_value::{KeyValue, KeyValueOp, KeyValueRet};
pub use log::{Log, LogOp, LogRet, LogState};
pub use multi_register::{Access, Accessed, MultiRegister};
pub use mutex::{FencedMutex, FencedOp, FencedRet, FencedState, Mutex, MutexOp, MutexRet};
pub use queue::{Queue, QueueOp, QueueRet, QueueState};
pub use register::{Register, RegisterOp, RegisterRet};
pub use set::{ListedSet, ListedSetOp, ListedSetRet, Set, SetOp, SetRet};
pub use stack::{Stack, StackOp, StackRet, StackState};
