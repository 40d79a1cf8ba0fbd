//! The clock condition: what causes something has the smaller stamp (Lamport: *Time, clocks, and
//! the ordering of events in a distributed system*, 1978).
//!
//! - **stamp went back**: of two events of one node, in one life or in two, the later one has no
//!   greater stamp.
//! - **effect before its cause**: a message was received at no greater a stamp than it was sent.
//! - **stamp twice**: two nodes gave one stamp, so that the order is not total.

#[cfg(test)]
mod tests;

use crate::{Anomaly, Judged, Verdict};
use std::collections::BTreeMap;
use std::fmt::Debug;

/// Nodes `N` that give stamps `S`.
///
/// ```
/// use checkers::clock::Clock;
///
/// let mut clock = Clock::new();
/// clock.happened("ann", (5, "ann")).unwrap();
/// let early = clock.received("bob", (5, "ann"), (3, "bob")).unwrap_err();
/// assert_eq!(early.class, "effect before its cause");
/// ```
#[derive(Clone, Debug)]
pub struct Clock<N, S> {
    last: BTreeMap<N, S>,
    given: BTreeMap<S, N>,
    received: u64,
}

impl<N: Ord + Clone + Debug, S: Ord + Clone + Debug> Default for Clock<N, S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<N: Ord + Clone + Debug, S: Ord + Clone + Debug> Clock<N, S> {
    /// Nothing has happened.
    pub fn new() -> Self {
        Self { last: BTreeMap::new(), given: BTreeMap::new(), received: 0 }
    }

    /// Something happens at a node, or a message leaves it. Events of a node come in their order.
    ///
    /// # Errors
    ///
    /// `stamp went back` or `stamp twice`.
    pub fn happened(&mut self, node: N, stamp: S) -> Judged {
        if let Some(before) = self.last.get(&node).filter(|before| **before >= stamp) {
            let message = format!("{node:?} stamps {before:?}, and after it {stamp:?}");
            return Err(anomaly("stamp went back", message));
        }
        if let Some(other) = self.given.insert(stamp.clone(), node.clone()) {
            let message = format!("{other:?} and {node:?} both stamp {stamp:?}");
            return Err(anomaly("stamp twice", message));
        }
        self.last.insert(node, stamp);
        Ok(())
    }

    /// A message that bears a stamp comes in at a node, which stamps that.
    ///
    /// # Errors
    ///
    /// `effect before its cause`, and those of [`happened`](Self::happened).
    pub fn received(&mut self, node: N, sent: S, stamp: S) -> Judged {
        if sent >= stamp {
            let message = format!("{node:?} receives what was sent at {sent:?} at {stamp:?}");
            return Err(anomaly("effect before its cause", message));
        }
        self.received += 1;
        self.happened(node, stamp)
    }

    /// Whether the facts prove anything: `Unknown` if no message has been received.
    pub fn verdict(&self) -> Verdict {
        match self.received {
            0 => Verdict::Unknown("clock: no message has been received".into()),
            _ => Verdict::Holds,
        }
    }
}

fn anomaly(class: &'static str, message: String) -> Box<Anomaly> {
    Box::new(Anomaly::new("clock", class, message))
}
