//! Who caused a message, and how many this cause has sent on that link: the message's address.

use crate::fault::Origin;
use node::NodeId;

/// An origin by its number in this run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OriginId(pub u32);

/// Every origin of a run, with one counter for each of its links. The counters of one origin lie
/// side by side, for one origin's messages come in bursts. All clients share a column: only a call
/// reaches a client, and a call has one.
pub struct Origins {
    origins: Vec<Slot>,
    counters: Vec<u32>,
    servers: usize,
}

struct Slot {
    origin: Origin,
    code: u64,
    /// Where its counters begin, or `NO_BLOCK` before its first message.
    block: u32,
}

const NO_BLOCK: u32 = u32::MAX;

impl Origins {
    /// No origin yet, of a cluster with so many servers; about so many are expected.
    pub fn new(servers: usize, expected: usize) -> Self {
        Self { origins: Vec::with_capacity(expected), counters: Vec::new(), servers }
    }

    /// One more.
    pub fn add(&mut self, origin: Origin) -> OriginId {
        self.origins.push(Slot { origin, code: origin.code(), block: NO_BLOCK });
        OriginId(self.origins.len() as u32 - 1)
    }

    /// The origin of that number.
    pub fn get(&self, id: OriginId) -> Origin {
        self.origins[id.0 as usize].origin
    }

    /// The origin as the dice know it.
    #[inline]
    pub fn code(&self, id: OriginId) -> u64 {
        self.origins[id.0 as usize].code
    }

    /// The number of the next message that this origin sends on this link, from 1.
    #[inline]
    pub fn next(&mut self, id: OriginId, from: NodeId, to: NodeId) -> u32 {
        let columns = self.servers + 1;
        let slot = &mut self.origins[id.0 as usize];
        if slot.block == NO_BLOCK {
            slot.block = self.counters.len() as u32;
            self.counters.resize(self.counters.len() + columns * columns, 0);
        }
        let link = from.index().min(self.servers) * columns + to.index().min(self.servers);
        let counter = &mut self.counters[slot.block as usize + link];
        *counter += 1;
        *counter
    }
}
