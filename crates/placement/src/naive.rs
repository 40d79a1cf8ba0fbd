//! Exhibits: the article's ring, and the placement that consistent hashing was made to replace.

use crate::{Claims, Hash, Name, Placement, xxh3};
use std::collections::BTreeMap;

/// The listing of seed 000, section 4.3.
///
/// # What the article claims
///
/// "Consistent hashing" that keeps data consistent, and restores consistency by re-distribution.
///
/// # What is wrong
///
/// It is a table of the nodes' hashes, searched for one that *equals* the key's. There is no order,
/// no next point and so no ring: a key has an owner only if it is a node's name. Nodes given to the
/// constructor never get into the table; the article's program stops at them with a KeyError, here
/// they are passed over.
#[derive(Clone, Debug, Default)]
pub struct ArticleRing {
    nodes: Vec<Name>,
    hash_table: BTreeMap<Name, u64>,
}

impl ArticleRing {
    /// With nodes from the start.
    pub fn new(nodes: impl IntoIterator<Item = Name>) -> Self {
        Self { nodes: nodes.into_iter().collect(), hash_table: BTreeMap::new() }
    }
}

impl Placement for ArticleRing {
    fn join(&mut self, node: &str, _: u32) {
        if !self.hash_table.contains_key(node) {
            self.nodes.push(node.into());
            self.hash_table.insert(node.into(), xxh3(node.as_bytes(), 0));
        }
    }

    fn leave(&mut self, node: &str) {
        self.nodes.retain(|other| **other != *node);
        self.hash_table.remove(node);
    }

    fn owner(&self, key: &[u8]) -> Option<Name> {
        let key = xxh3(key, 0);
        self.nodes.iter().find(|node| self.hash_table.get(*node) == Some(&key)).cloned()
    }

    fn claims(&self) -> Claims {
        Claims { replicas: false, weights: false, ..Claims::default() }
    }
}

/// The key's hash modulo the number of nodes.
///
/// # What is wrong
///
/// Nothing, while nobody comes or goes. From 10 nodes to 11 it moves ten keys of eleven, and a
/// cluster of caches is empty at once.
#[derive(Clone, Debug)]
pub struct Modulo {
    /// Hashes keys.
    pub hash: Hash,
    nodes: Vec<Name>,
}

impl Default for Modulo {
    fn default() -> Self {
        Self { hash: xxh3, nodes: Vec::new() }
    }
}

impl Placement for Modulo {
    fn join(&mut self, node: &str, _: u32) {
        if let Err(at) = self.nodes.binary_search_by(|other| (**other).cmp(node)) {
            self.nodes.insert(at, node.into());
        }
    }

    fn leave(&mut self, node: &str) {
        self.nodes.retain(|other| **other != *node);
    }

    fn owner(&self, key: &[u8]) -> Option<Name> {
        self.replicas(key, 1).pop()
    }

    fn replicas(&self, key: &[u8], count: usize) -> Vec<Name> {
        let start = (self.hash)(key, 0).checked_rem(self.nodes.len() as u64).unwrap_or(0);
        let nodes = self.nodes.iter().cycle().skip(start as usize);
        nodes.take(count.min(self.nodes.len())).cloned().collect()
    }

    fn claims(&self) -> Claims {
        Claims { weights: false, ..Claims::default() }
    }
}
