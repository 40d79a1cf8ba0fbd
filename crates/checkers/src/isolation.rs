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
