//! Isolation: whether transactions kept apart as their level promises.
//!
//! A history of transactions on lists ([`list_append`]) or registers ([`rw_register`]) becomes a
//! graph of dependencies: who overwrote whom (ww), who read from whom (wr), who missed whose write
//! (rw), the order of processes and that of time. A cycle is a [`Phenomenon`], and every [`Level`]
//! forbids some of them. This is the method of Adya's thesis as Elle has it (Kingsbury and Alvaro,
//! VLDB 2020).
//!
//! A level *holds* if there is an order of the versions with which nothing forbidden is seen, and
//! then a [`Certificate`] says which; it is *violated* if there is none; and *unknown* if the
//! reads put nothing to the test, or the search for an order ended at its bound.
//!
//! A transaction of unknown outcome took effect if somebody saw what it wrote. If nobody did, it
//! makes no difference.
//!
//! ```
//! use checkers::isolation::{Level, ListHistory, ListOp, list_append};
//! # use history::{Actor, Event, History, What};
//! # let actor = Actor::Client(0);
//! # let line = |op, what| Event { at: 0, op, actor, process: op, call: op, what };
//! // Both read that nobody is on call, and both go on.
//! let alice = vec![ListOp::Read("bob", Some(vec![])), ListOp::Append("alice", 1)];
//! let bob = vec![ListOp::Read("alice", Some(vec![])), ListOp::Append("bob", 2)];
//! let history: ListHistory<&str, u32> = History { events: vec![
//!     line(0, What::Invoke(alice.clone())),
//!     line(1, What::Invoke(bob.clone())),
//!     line(0, What::Ok(alice)),
//!     line(1, What::Ok(bob)),
//! ] };
//! let analysis = list_append(&history);
//! assert!(analysis.check(Level::SNAPSHOT_ISOLATION).holds());
//! let verdict = analysis.check(Level::SERIALIZABLE);
//! assert_eq!(verdict.anomaly().unwrap().class, "G2-item");
//! assert_eq!(analysis.standing().holds[0].to_string(), "strong-snapshot-isolation");
//! ```

mod analysis;
mod cycle;
mod facts;
mod graph;
mod level;
mod list;
mod long_fork;
mod online;
mod phenomenon;
mod register;
mod solve;
mod table;
mod txn;
mod witness;

pub use analysis::{
    Analysis, Certificate, Coverage, Judgement, Moment, Standing, list_append, rw_register,
};
pub use level::{Isolation, Level, Order, UnknownLevel};
pub use long_fork::long_fork;
pub use online::{EVERY, Online, Stop, Transactional};
pub use phenomenon::Phenomenon;
pub use txn::{ListHistory, ListOp, RwHistory, RwOp};
pub use witness::{Dependency, Named, Step, Witness};
