//! Who caused a message, and how many this cause has sent on that link: the message's address.

use crate::fault::Origin;
use node::NodeId;

/// An origin by its number in this run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OriginId(pub(crate) u32);

/// Every origin of a run, with one counter for each of its links. The counters of one origin lie
/// side by side, for one origin's messages come in bursts.
pub(crate) struct Origins {
    origins: Vec<Origin>,
    blocks: Vec<u32>,
    counters: Vec<u32>,
    machines: usize,
}

const NO_BLOCK: u32 = u32::MAX;

impl Origins {
    pub(crate) fn new(machines: usize, expected: usize) -> Self {
        Self {
            origins: Vec::with_capacity(expected),
            blocks: Vec::with_capacity(expected),
            counters: Vec::new(),
            machines,
        }
    }

    pub(crate) fn add(&mut self, origin: Origin) -> OriginId {
        self.origins.push(origin);
        self.blocks.push(NO_BLOCK);
        OriginId(self.origins.len() as u32 - 1)
    }

    pub(crate) fn get(&self, id: OriginId) -> Origin {
        self.origins[id.0 as usize]
    }

    /// The number of the next message that this origin sends on this link, from 1.
    #[inline]
    pub(crate) fn next(&mut self, id: OriginId, from: NodeId, to: NodeId) -> u32 {
        let mut block = self.blocks[id.0 as usize];
        if block == NO_BLOCK {
            block = self.counters.len() as u32;
            self.blocks[id.0 as usize] = block;
            self.counters.resize(self.counters.len() + self.machines * self.machines, 0);
        }
        let link = from.index() * self.machines + to.index();
        let counter = &mut self.counters[block as usize + link];
        *counter += 1;
        *counter
    }
}
