//! Jump consistent hash.
//!
//! Source: J. Lamping, E. Veach: A fast, minimal memory, consistent hash algorithm,
//! arXiv:1406.2294, 2014, figure 1.
//!
//! # The rules
//!
//! - When a bucket n is added to n others, each key jumps to it with probability 1/(n+1), and no
//!   key jumps elsewhere.
//! - The key is the seed of a generator that draws, from the bucket of the last jump, where the
//!   next one goes. The last jump below the number of buckets is the answer.
//!
//! Buckets are numbers: only the last one can come and go. It is made for shards, which do not die
//! one by one. Replicas and weights are not of the paper, and not claimed.
//!
//! # Deviations
//!
//! None in [`jump`]. [`Jump`] numbers nodes in the order of their names.

use crate::{Claims, Hash, Name, Placement, xxh3};

/// The bucket of a key among so many, from 0 on; 0 if there is none.
///
/// It divides and multiplies doubles, as the paper does: both are exact to the bit by IEEE 754, and
/// integers would round some keys into other buckets than everybody else's.
pub fn jump(mut key: u64, buckets: u32) -> u32 {
    let (mut bucket, mut next) = (0, 0);
    while next < i64::from(buckets) {
        bucket = next;
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        let draw = (1u64 << 31) as f64 / ((key >> 33) + 1) as f64;
        next = ((bucket + 1) as f64 * draw) as i64;
    }
    bucket as u32 // below `buckets`
}

/// Nodes as buckets, in the order of their names.
#[derive(Clone, Debug)]
pub struct Jump {
    /// Hashes keys.
    pub hash: Hash,
    nodes: Vec<Name>,
}

impl Default for Jump {
    fn default() -> Self {
        Self::new(xxh3)
    }
}

impl Jump {
    /// No nodes.
    pub fn new(hash: Hash) -> Self {
        Self { hash, nodes: Vec::new() }
    }
}

impl Placement for Jump {
    fn join(&mut self, node: &str, _: u32) {
        if let Err(at) = self.nodes.binary_search_by(|other| (**other).cmp(node)) {
            self.nodes.insert(at, node.into());
        }
    }

    fn leave(&mut self, node: &str) {
        self.nodes.retain(|other| **other != *node);
    }

    fn owner(&self, key: &[u8]) -> Option<Name> {
        let buckets = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        self.nodes.get(jump((self.hash)(key, 0), buckets) as usize).cloned()
    }

    fn claims(&self) -> Claims {
        Claims { any_leaves: false, replicas: false, weights: false, ..Claims::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::jump;

    /// Figure 1's program, over keys and numbers of buckets that others publish.
    #[test]
    fn vectors() {
        let vectors = [(1, 1), (42, 57), (0xdead_10cc, 1), (0xdead_10cc, 666), (256, 1024)];
        assert_eq!(vectors.map(|(key, buckets)| jump(key, buckets)), [0, 43, 0, 361, 520]);
        assert_eq!(jump(7, 0), 0);
    }

    /// "Each key jumps to the new bucket, or stays."
    #[test]
    fn keys_stay_or_go_to_the_new_bucket() {
        for key in 0..500u64 {
            let key = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            for buckets in 1..100 {
                let (before, after) = (jump(key, buckets), jump(key, buckets + 1));
                assert!(after == before || after == buckets, "{key}: {before} to {after}");
            }
        }
    }
}
