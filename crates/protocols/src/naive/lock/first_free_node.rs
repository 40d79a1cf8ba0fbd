//! The node lock table of seed 000 §3.4.1: whoever finds a free node has the lock.
//!
//! # What the article claims
//!
//! Lock state is kept on several nodes, each with its own table; a client asks for the lock of a
//! key, gets a node that is free, and "the other nodes wait".
//!
//! # What is wrong
//!
//! The listing takes the first free *node* and ignores the key. With three nodes the same key is
//! locked three times, by three holders who all believe that they are alone; a fourth request is
//! refused, though it may be for another key that nobody has. No fault is needed. The right way is
//! one owner for each key: the node that a hash of the key names.

use super::{Attempt, Held, Rules};
use crate::lease::Object;
use node::NodeId;

/// How many nodes the article's table has.
const NODES: usize = 3;

/// As many locks as there are nodes, whichever keys they are for.
#[derive(Debug)]
pub struct FirstFreeNode;

impl Rules for FirstFreeNode {
    fn grants(held: &[Held], _: Object, _: Attempt) -> bool {
        held.len() < NODES
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
    fn one_key_is_locked_three_times_and_another_not_at_all() {
        let hold = |fence| Held {
            lease: Lease { object: Object(0), owner: NodeId(2), fence },
            attempt: fence,
        };
        let held = [hold(1), hold(2), hold(3)];
        assert!(FirstFreeNode::grants(&held[..2], Object(0), 9));
        assert!(!FirstFreeNode::grants(&held, Object(1), 9));
    }
}
