//! What is counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// What has happened to a machine's connections.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Stats {
    /// Connections that came about, made by either side.
    pub connections: u64,
    /// Connections that did not: refused by either side, or not answered.
    pub refused: u64,
    /// Connections whose place another one from the same machine has taken.
    pub replaced: u64,
    /// Connections that ended in the middle of a frame.
    pub half: u64,
    /// Connections that ended at a frame that was too long.
    pub oversized: u64,
    /// Frames whose content meant nothing; their connections ended.
    pub garbage: u64,
    /// Connections that ended because the peer said, or took, nothing.
    pub silent: u64,
    /// Frames that were lost here: no connection, a full outbox, or too long.
    pub lost: u64,
}

#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        if n > 0 {
            self.0.fetch_add(n, Ordering::Relaxed);
        }
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) connections: Counter,
    pub(crate) refused: Counter,
    pub(crate) replaced: Counter,
    pub(crate) half: Counter,
    pub(crate) oversized: Counter,
    pub(crate) garbage: Counter,
    pub(crate) silent: Counter,
    pub(crate) lost: Counter,
}

impl Counters {
    pub(crate) fn read(&self) -> Stats {
        Stats {
            connections: self.connections.get(),
            refused: self.refused.get(),
            replaced: self.replaced.get(),
            half: self.half.get(),
            oversized: self.oversized.get(),
            garbage: self.garbage.get(),
            silent: self.silent.get(),
            lost: self.lost.get(),
        }
    }
}
