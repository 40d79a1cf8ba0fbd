//! The Redis lock of seed 003 §4.1: `SET key value NX PX ttl`, and `DEL key`.
//!
//! # What the article claims
//!
//! `SET … NX` succeeds for one, the expiry frees the lock of a crashed holder, `release()` deletes
//! the key: "the lock guarantees that only one client works on the resource".
//!
//! # What is wrong
//!
//! `release()` deletes the key whoever owns it. A holds the lock and takes longer than the TTL; B
//! gets it; A finishes and deletes *B's* key; C gets the lock while B works: two holders at once,
//! both within their time, and an update is lost. The value that `SET` stores is there to be
//! compared before the key is deleted, in one script (and then still lacks a fence at the
//! resource, as [`Unfenced`](super::Unfenced) shows).

use super::{Attempt, Held, Rules};
use crate::lease::Object;
use node::NodeId;

/// One key for each lock, deleted by whoever says so.
#[derive(Debug)]
pub struct Redis;

impl Rules for Redis {
    fn grants(held: &[Held], object: Object, _: Attempt) -> bool {
        held.iter().all(|held| held.lease.object != object)
    }

    fn releases(held: &Held, object: Object, _: NodeId, _: u64) -> bool {
        held.lease.object == object
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::Lease;

    #[test]
    fn a_late_release_deletes_the_next_holders_key() {
        let (object, b) = (Object(0), NodeId(3));
        let held = Held { lease: Lease { object, owner: b, fence: 2 }, attempt: 7 };
        assert!(!Redis::grants(&[held], object, 8), "NX: the key is there");
        assert!(Redis::releases(&held, object, NodeId(2), 1), "A's release ends B's hold");
        assert!(!Redis::releases(&held, Object(1), NodeId(2), 1));
    }
}
