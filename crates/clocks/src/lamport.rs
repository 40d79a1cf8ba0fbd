//! Lamport's clock.
//!
//! Source: L. Lamport: Time, clocks, and the ordering of events in a distributed system,
//! Communications of the ACM 21(7), 1978.
//!
//! # The rules
//!
//! - IR1: a node counts up between any two events.
//! - IR2: a message carries its stamp; who receives it counts on from there, or from its own count
//!   if that is higher.
//! - Equal counts are ordered by the nodes' ids, so that the order is total.
//!
//! # Deviations
//!
//! The paper's processes never stop. Here a node reserves a block of counts before it uses them,
//! and its next life starts behind the block.

use crate::Clock;

/// A counter, and an id.
#[derive(Clone, Debug)]
pub struct Lamport {
    node: u8,
    count: u64,
    reserved: u64,
}

impl Lamport {
    /// The counts in a block.
    pub const BLOCK: u64 = 64;

    fn stamp(&mut self, after: u64) -> (u64, u8) {
        self.count = after + 1;
        if self.count >= self.reserved {
            self.reserved = self.count + Self::BLOCK;
        }
        (self.count, self.node)
    }
}

impl Clock for Lamport {
    type Stamp = (u64, u8);

    fn start(node: u8, reserved: u64) -> Self {
        Self { node, count: reserved, reserved }
    }

    fn tick(&mut self, _: u64) -> (u64, u8) {
        self.stamp(self.count)
    }

    fn receive(&mut self, _: u64, (count, _): (u64, u8)) -> Option<(u64, u8)> {
        Some(self.stamp(self.count.max(count)))
    }

    fn reserved(&self) -> u64 {
        self.reserved
    }
}
