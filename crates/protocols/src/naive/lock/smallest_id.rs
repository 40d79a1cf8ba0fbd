//! The lock server of seed 001 §3.2: of all requests, the one with the smallest id is the holder.
//!
//! # What the article claims
//!
//! Every request gets a unique id (a UUID); the server keeps them in a binary search tree and
//! grants the lock to the smallest: "an orderly grant, first come, first served".
//!
//! # What is wrong
//!
//! A random id says nothing about who came first. While one request holds the lock, another comes
//! whose id happens to be smaller: it is the smallest now, hence the holder, and works on the
//! resource while the first one does. No fault is needed. It would be right with ids from a
//! durable sequence, where whoever comes later has the larger one: that is the right lock server,
//! whose sequence is also the fence.

use super::{Attempt, Held, Rules};
use crate::lease::Object;
use node::NodeId;

/// The smallest id of those known is the holder.
#[derive(Debug)]
pub struct SmallestId;

impl Rules for SmallestId {
    fn grants(held: &[Held], object: Object, attempt: Attempt) -> bool {
        held.iter().all(|held| held.lease.object != object || attempt < held.attempt)
    }

    fn releases(held: &Held, _: Object, owner: NodeId, fence: u64) -> bool {
        (held.lease.owner, held.lease.fence) == (owner, fence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::Lease;

    #[test]
    fn a_smaller_id_that_comes_later_is_a_second_holder() {
        let object = Object(0);
        let held = Held { lease: Lease { object, owner: NodeId(2), fence: 1 }, attempt: 7 };
        assert!(!SmallestId::grants(&[held], object, 8));
        assert!(SmallestId::grants(&[held], object, 6));
        assert!(SmallestId::grants(&[held], Object(1), 8));
    }
}
