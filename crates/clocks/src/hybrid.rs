//! The hybrid logical clock.
//!
//! Source: S. Kulkarni, M. Demirbas, D. Madappa, B. Avva, M. Leone: Logical physical clocks and
//! consistent snapshots in globally distributed databases, OPODIS 2014, figure 5.
//!
//! # The rules
//!
//! - A stamp is (l, c): l is the highest wall time that its node has read or heard of, c counts
//!   events with the same l.
//! - Upon an event here or a send: l becomes the higher of l and the wall clock; c counts up if l
//!   has stayed, else it is 0.
//! - Upon a receive: l becomes the highest of l, the message's and the wall clock; c counts up from
//!   that of whoever's l it is, from the higher one if both have it, else it is 0.
//!
//! # Deviations
//!
//! - Equal stamps are ordered by the nodes' ids.
//! - A message whose l is more than ε ahead of the wall clock here is refused (section 5 of the
//!   paper says that an implementation may ignore such): one wrong clock would drag all along.
//! - A node reserves time before it stamps with it, and its next life starts there, also if the
//!   wall clock has meanwhile gone back.

use crate::{Clock, Close};

/// Time that never goes back, and a counter.
#[derive(Clone, Debug)]
pub struct Hybrid {
    node: u8,
    l: u64,
    c: u32,
    reserved: u64,
}

impl Hybrid {
    /// ε: what messages may be ahead of the wall clock here.
    pub const EPSILON: u64 = 500;
    /// How much time is reserved at once.
    pub const BLOCK: u64 = 100;

    fn stamp(&mut self, l: u64, c: u32) -> (u64, u32, u8) {
        (self.l, self.c) = (l, c);
        if l >= self.reserved {
            self.reserved = l + Self::BLOCK;
        }
        (l, c, self.node)
    }
}

impl Clock for Hybrid {
    type Stamp = (u64, u32, u8);

    fn start(node: u8, reserved: u64) -> Self {
        Self { node, l: reserved, c: 0, reserved }
    }

    fn tick(&mut self, wall: u64) -> Self::Stamp {
        let l = self.l.max(wall);
        let c = if l == self.l { self.c + 1 } else { 0 };
        self.stamp(l, c)
    }

    fn receive(&mut self, wall: u64, (l_m, c_m, _): Self::Stamp) -> Option<Self::Stamp> {
        if l_m > wall.saturating_add(Self::EPSILON) {
            return None;
        }
        let l = self.l.max(l_m).max(wall);
        let c = match (l == self.l, l == l_m) {
            (true, true) => self.c.max(c_m) + 1,
            (true, false) => self.c + 1,
            (false, true) => c_m + 1,
            (false, false) => 0,
        };
        Some(self.stamp(l, c))
    }

    fn reserved(&self) -> u64 {
        self.reserved
    }

    fn close() -> Option<Close> {
        Some(Close { epsilon: Self::EPSILON, block: Self::BLOCK })
    }

    fn wall(stamp: &Self::Stamp) -> u64 {
        stamp.0
    }
}
