//! Where configurations came from: which operations took effect, in which order and by when.

use super::configs::Config;

/// That an operation took effect, as the last of those in a configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Taken {
    /// Its number.
    pub number: u32,
    /// The event before which it took effect at the latest.
    pub at: u32,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    parent: u32,
    taken: Taken,
}

/// A tree of what took effect, whose leaves are configurations. What all of them share is cut off
/// and settled, so that the tree stays as small as they are few.
#[derive(Clone, Debug)]
pub(super) struct Lineage {
    settled: Vec<Taken>,
    /// The first stands for all that is settled.
    nodes: Vec<Node>,
    /// How large the tree may become before it is tidied.
    most: usize,
}

const ROOT: Node = Node { parent: 0, taken: Taken { number: u32::MAX, at: 0 } };

impl Lineage {
    pub fn new() -> Self {
        Self { settled: Vec::new(), nodes: vec![ROOT], most: 1024 }
    }

    /// After `past`, another operation took effect.
    pub fn descend(&mut self, past: u32, number: u32, at: u32) -> u32 {
        self.nodes.push(Node { parent: past, taken: Taken { number, at } });
        (self.nodes.len() - 1) as u32
    }

    /// Settles what all configurations share and forgets what none of them came from, if that is
    /// due.
    pub fn tidy<S>(&mut self, configs: &mut [Config<S>]) {
        if self.nodes.len() < self.most {
            return;
        }
        // Parents come before their children.
        let mut children = vec![0_u32; self.nodes.len()];
        let mut leaf = vec![false; self.nodes.len()];
        configs.iter().for_each(|config| leaf[config.past as usize] = true);
        for nth in (1..self.nodes.len()).rev() {
            if leaf[nth] || children[nth] > 0 {
                children[self.nodes[nth].parent as usize] += 1;
            }
        }
        let mut places = vec![0_u32; self.nodes.len()];
        let mut kept = vec![ROOT];
        let mut shared = !leaf[0] && children[0] == 1;
        for nth in 1..self.nodes.len() {
            if !leaf[nth] && children[nth] == 0 {
                continue;
            }
            let Node { parent, taken } = self.nodes[nth];
            if shared {
                // The only way on from the root.
                self.settled.push(taken);
                shared = !leaf[nth] && children[nth] == 1;
                continue;
            }
            places[nth] = kept.len() as u32;
            kept.push(Node { parent: places[parent as usize], taken });
        }
        configs.iter_mut().for_each(|config| config.past = places[config.past as usize]);
        self.most = (2 * kept.len()).max(1024);
        self.nodes = kept;
    }

    /// All that took effect up to a node.
    pub fn order(mut self, mut past: u32) -> Vec<Taken> {
        let settled = self.settled.len();
        while past != 0 {
            let Node { parent, taken } = self.nodes[past as usize];
            self.settled.push(taken);
            past = parent;
        }
        self.settled[settled..].reverse();
        self.settled
    }
}
