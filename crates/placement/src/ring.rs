//! The ring with virtual nodes.
//!
//! Source: D. Karger, E. Lehman, T. Leighton, R. Panigrahy, M. Levine, D. Lewin: Consistent hashing
//! and random trees, STOC 1997, section 4.
//!
//! # The rules
//!
//! - Nodes and keys are hashed onto one circle. Each node has κ points on it, its virtual nodes; a
//!   node of weight w has w·κ.
//! - A key belongs to the first point at or after its own; after the last point comes the first.
//! - Its replicas are the first distinct *nodes* from there on: the next points may be the same
//!   node's.
//!
//! # Deviations
//!
//! Points that fall together stand in the order of their nodes' names, so that the ring depends on
//! the set of nodes and not on who came first; none of them is lost, so that one that goes uncovers
//! the other.

use crate::{Claims, Hash, Name, Placement, point, xxh3};
use std::collections::BTreeSet;

/// A ring of points. A node's share is within 1/√points of the average, two times in three.
#[derive(Clone, Debug)]
pub struct Ring {
    /// Points for each unit of weight. Set it before the first node joins.
    pub points: u32,
    /// Hashes nodes and keys.
    pub hash: Hash,
    circle: BTreeSet<(u64, Name)>,
    nodes: BTreeSet<Name>,
}

impl Default for Ring {
    fn default() -> Self {
        Self::new(100, xxh3)
    }
}

impl Ring {
    /// An empty ring.
    pub fn new(points: u32, hash: Hash) -> Self {
        Self { points, hash, circle: BTreeSet::new(), nodes: BTreeSet::new() }
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Every point once, from the key's on: the names of their nodes.
    pub fn walk(&self, key: &[u8]) -> impl Iterator<Item = &Name> {
        let start = ((self.hash)(key, 0), Name::default());
        let wrapped = self.circle.range(..start.clone());
        self.circle.range(start..).chain(wrapped).map(|(_, node)| node)
    }
}

impl Placement for Ring {
    fn join(&mut self, node: &str, weight: u32) {
        self.leave(node);
        let node = Name::from(node);
        let points = 0..self.points * weight;
        let points = points.map(|number| (point(self.hash, &node, number), node.clone()));
        self.circle.extend(points);
        self.nodes.insert(node);
    }

    fn leave(&mut self, node: &str) {
        if self.nodes.remove(node) {
            self.circle.retain(|(_, other)| **other != *node);
        }
    }

    fn owner(&self, key: &[u8]) -> Option<Name> {
        self.walk(key).next().cloned()
    }

    fn replicas(&self, key: &[u8], count: usize) -> Vec<Name> {
        let mut replicas: Vec<Name> = Vec::new();
        for node in self.walk(key) {
            if replicas.len() == count.min(self.nodes.len()) {
                break;
            }
            if !replicas.contains(node) {
                replicas.push(node.clone());
            }
        }
        replicas
    }

    fn claims(&self) -> Claims {
        Claims { points: Some(self.points), ..Claims::default() }
    }
}
