//! Consistent hashing with bounded loads.
//!
//! Source: V. Mirrokni, M. Thorup, M. Zadimoghaddam: Consistent hashing with bounded loads,
//! SODA 2018 (arXiv:1608.01350), section 2.
//!
//! # The rules
//!
//! - With m keys and n nodes, a node takes at most ⌈(1+ε)·m/n⌉ keys.
//! - Keys come in an order of their own, here that of their hashes. Each goes to the first node
//!   from its point on that is not full.
//!
//! The order is fixed, so the result depends on the sets of nodes and keys alone. A node that is
//! full hands keys on to the next: a change moves more keys than those of the node that came or
//! went, on average O(1/ε²) of them for each key that must move. So it is not monotone, and does
//! not claim to be.
//!
//! # Deviations
//!
//! Nodes have several points, as on the plain ring. Weights are not of the paper, and not claimed.

use crate::{Claims, Name, Placement, Ring};
use std::collections::BTreeMap;

/// A ring whose nodes can be full.
#[derive(Clone, Debug)]
pub struct Bounded {
    /// Where nodes and keys stand.
    pub ring: Ring,
    /// What a node takes above the average, in thousandths of it.
    pub epsilon: u32,
}

impl Default for Bounded {
    fn default() -> Self {
        Self { ring: Ring::default(), epsilon: 250 }
    }
}

impl Bounded {
    /// ⌈(1+ε)·keys/nodes⌉.
    pub fn capacity(keys: usize, nodes: usize, epsilon: u32) -> usize {
        (keys * (1000 + epsilon as usize)).div_ceil(1000 * nodes.max(1))
    }
}

impl Placement for Bounded {
    fn join(&mut self, node: &str, _: u32) {
        self.ring.join(node, 1);
    }

    fn leave(&mut self, node: &str) {
        self.ring.leave(node);
    }

    /// Where the key goes when there is no other.
    fn owner(&self, key: &[u8]) -> Option<Name> {
        self.ring.owner(key)
    }

    fn place(&self, keys: &[Vec<u8>]) -> Vec<Option<Name>> {
        let capacity = Self::capacity(keys.len(), self.ring.nodes(), self.epsilon);
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by_cached_key(|&at| ((self.ring.hash)(&keys[at], 0), &keys[at]));
        let mut load: BTreeMap<&Name, usize> = BTreeMap::new();
        let mut places = vec![None; keys.len()];
        for at in order {
            let full = |node: &&Name| load.get(node).is_some_and(|load| *load >= capacity);
            if let Some(node) = self.ring.walk(&keys[at]).find(|node| !full(node)) {
                *load.entry(node).or_default() += 1;
                places[at] = Some(node.clone());
            }
        }
        places
    }

    fn claims(&self) -> Claims {
        Claims {
            monotone: false,
            replicas: false,
            weights: false,
            epsilon: Some(self.epsilon),
            ..self.ring.claims()
        }
    }
}
