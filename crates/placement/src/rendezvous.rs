//! Rendezvous hashing, or highest random weight.
//!
//! Source: D. G. Thaler, C. V. Ravishankar: Using name-based mappings to increase hit rates,
//! IEEE/ACM Transactions on Networking 6(1), 1998.
//!
//! # The rules
//!
//! - Every node has a score for every key, a hash of both. The highest score has the key; equal
//!   scores are ordered by the nodes' names.
//! - The next scores are its replicas.
//!
//! A node that goes takes only its own scores along, so only its keys move, and evenly. Finding an
//! owner costs a hash for each node.
//!
//! # Deviations
//!
//! A node of weight w has w scores and its best counts, which makes its share w/W exactly. The
//! usual formula, −w / ln(score), needs a logarithm, and that differs between machines.

use crate::{Claims, Hash, Name, Placement, point, xxh3};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The highest score wins.
#[derive(Clone, Debug)]
pub struct Rendezvous {
    /// Hashes nodes, and keys with that hash as seed.
    pub hash: Hash,
    /// The seeds of each node's scores.
    seeds: BTreeMap<Name, Vec<u64>>,
}

impl Default for Rendezvous {
    fn default() -> Self {
        Self::new(xxh3)
    }
}

impl Rendezvous {
    /// No nodes.
    pub fn new(hash: Hash) -> Self {
        Self { hash, seeds: BTreeMap::new() }
    }

    /// Every node with weight, and its score for this key.
    fn scores(&self, key: &[u8]) -> impl Iterator<Item = (u64, Reverse<&Name>)> {
        self.seeds.iter().filter_map(move |(node, seeds)| {
            let best = seeds.iter().map(|seed| (self.hash)(key, *seed)).max();
            best.map(|score| (score, Reverse(node)))
        })
    }
}

impl Placement for Rendezvous {
    fn join(&mut self, node: &str, weight: u32) {
        let seeds = (0..weight).map(|number| point(self.hash, node, number));
        self.seeds.insert(node.into(), seeds.collect());
    }

    fn leave(&mut self, node: &str) {
        self.seeds.remove(node);
    }

    fn owner(&self, key: &[u8]) -> Option<Name> {
        self.scores(key).max().map(|(_, Reverse(node))| node.clone())
    }

    fn replicas(&self, key: &[u8], count: usize) -> Vec<Name> {
        let mut scores: Vec<_> = self.scores(key).collect();
        scores.sort_unstable_by(|a, b| b.cmp(a));
        scores.into_iter().take(count).map(|(_, Reverse(node))| node.clone()).collect()
    }

    fn claims(&self) -> Claims {
        Claims::default()
    }
}
