//! Sequential objects ready to hold a history against.
//!
//! A protocol has operations and answers of its own. Either its scenario implements
//! [`Model`](crate::Model) over them, in about fifteen lines, or it cuts the history of the object
//! out of the run's with [`History::project`](history::History::project) and takes one of these.

mod counter;
mod mutex;
mod register;

pub use counter::{Counter, CounterOp, CounterRet};
pub use mutex::{FencedMutex, FencedOp, FencedRet, FencedState, Mutex, MutexOp, MutexRet};
pub use register::{Register, RegisterOp, RegisterRet};
