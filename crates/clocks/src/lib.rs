//! Logical clocks: stamps that order events as causes order them.
//!
//! - [`Lamport`]: a counter (Lamport 1978).
//! - [`Hybrid`]: a counter that stays close to wall clocks (Kulkarni and others 2014).
//! - [`naive::Wall`]: the wall clock as a stamp, which is what systems are built with.
//! - [`Trial`]: the clock condition and what else is promised, for these and for a [`Clock`] of
//!   your own, over traces with messages late, lost and repeated, wall clocks that jump, restarts.
//!
//! # What a stamp is not
//!
//! An earlier stamp does not mean an earlier cause: of two events without a way from one to the
//! other either may have the smaller stamp. Order by stamps is *an* order that fits all causes.
//!
//! ```
//! use clocks::{Clock, Hybrid};
//!
//! let (mut ann, mut bob) = (Hybrid::start(0, 0), Hybrid::start(1, 0));
//! let sent = ann.tick(500);
//! let received = bob.receive(300, sent).expect("200 ahead is not too far");
//! assert!(sent < received); // though bob's wall clock says that it was before
//! ```

mod hybrid;
mod lamport;
pub mod naive;
mod trial;

pub use hybrid::Hybrid;
pub use lamport::Lamport;
pub use trial::{Property, Trial, Violation};

use std::fmt::Debug;

/// Stamps a node's events. Walls are wall clocks, in any unit, and may say anything.
///
/// A restart loses all but one number: before a stamp leaves its node, [`Clock::reserved`] must be
/// forced to disk where it has changed, and the next life starts from there. It changes seldom.
pub trait Clock {
    /// What an event is stamped with.
    type Stamp: Ord + Clone + Debug;

    /// The clock of this node, whose earlier lives reserved so much; 0 in the first.
    fn start(node: u8, reserved: u64) -> Self;

    /// Something happens here, or a message leaves: its stamp.
    fn tick(&mut self, wall: u64) -> Self::Stamp;

    /// A message with this stamp comes in. The stamp of that event, or none if the message's is too
    /// far ahead to be right: then nothing has happened.
    fn receive(&mut self, wall: u64, stamp: Self::Stamp) -> Option<Self::Stamp>;

    /// What no stamp of this life has reached yet.
    fn reserved(&self) -> u64;

    /// How close its stamps stay to wall clocks, if it claims that.
    fn close() -> Option<Close> {
        None
    }

    /// What of a stamp is wall time; 0 where none is.
    fn wall(_: &Self::Stamp) -> u64 {
        0
    }
}

/// What a clock that is close to wall clocks is held to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Close {
    /// A message's stamp may be so far ahead of the wall clock here; further, it is refused.
    pub epsilon: u64,
    /// A restart may set the clock so far ahead.
    pub block: u64,
}
