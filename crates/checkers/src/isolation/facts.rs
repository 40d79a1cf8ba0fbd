//! What a history says of the order of its transactions: dependencies that are certain, version
//! orders that are not, and flaws that need no order to be seen.

use super::Phenomenon;
use super::table::{Fate, NONE, Table};
use rustc_hash::{FxHashMap, FxHashSet};
use std::hash::Hash;

/// Why one transaction comes before another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// It wrote an earlier version.
    Ww = 1,
    /// It wrote the version that the other read.
    Wr = 2,
    /// It read a version before the one that the other wrote: an anti-dependency.
    Rw = 4,
    /// It is earlier in the same process.
    Session = 8,
    /// It had completed when the other was invoked.
    RealTime = 16,
}

impl Kind {
    pub(super) fn bit(self) -> u8 {
        self as u8
    }
}

/// A dependency between nodes. The first nodes are the transactions; those behind them are helpers
/// that many transactions share, so that a hundred that come before a hundred others need two
/// hundred edges. An edge out of a helper is the second half of one into it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) from: u32,
    pub(super) to: u32,
    /// The version that comes before, as the number of its write; [`NONE`] for the initial one.
    pub(super) before: u32,
    /// The version that comes after; [`NONE`] where there is none.
    pub(super) after: u32,
    pub(super) kind: Kind,
}

/// Writers of one key of whose versions the order is not known.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) writers: Vec<Writer>,
}

/// The final write of a transaction to a key, and who read it.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    pub(super) txn: u32,
    pub(super) write: u32,
    pub(super) readers: Vec<u32>,
}

/// Something wrong that is no cycle. In its message `T1` is the first of its transactions.
#[derive(Clone, Debug)]
pub(super) struct Flaw {
    pub(super) phenomenon: Phenomenon,
    pub(super) txns: Vec<u32>,
    pub(super) message: String,
}

/// How many flaws of one kind are kept.
const EXAMPLES: usize = 8;

#[derive(Default)]
pub(super) struct Facts {
    /// Which transactions took effect.
    pub(super) took_effect: Vec<bool>,
    pub(super) edges: Vec<Edge>,
    pub(super) helpers: u32,
    pub(super) groups: Vec<Group>,
    pub(super) flaws: Vec<Flaw>,
    /// Reads of committed transactions.
    pub(super) reads: u32,
    /// Those among them that could have shown another transaction's write.
    pub(super) constraining: u32,
    /// Reads of a value that several transactions wrote.
    pub(super) ambiguous: u32,
    /// Reads of lists that fit no order with the longest one.
    pub(super) misfits: u32,
}

impl Facts {
    /// Those of committed transactions alone; of unknown ones it is not yet known.
    pub(super) fn new<K, V>(table: &Table<'_, K, V>) -> Self {
        let took_effect = table.txns.iter().map(|txn| txn.fate == Fate::Committed).collect();
        Self { took_effect, ..Self::default() }
    }

    pub(super) fn txns(&self) -> u32 {
        self.took_effect.len() as u32
    }

    /// Somebody saw what `txn` wrote: if its outcome is unknown, it did take effect.
    pub(super) fn seen<K, V>(&mut self, table: &Table<'_, K, V>, txn: u32) {
        if table.txns[txn as usize].fate == Fate::Unknown {
            self.took_effect[txn as usize] = true;
        }
    }

    pub(super) fn flaw(
        &mut self,
        phenomenon: Phenomenon,
        flaw: impl FnOnce() -> (Vec<u32>, String),
    ) {
        let known = self.flaws.iter().filter(|flaw| flaw.phenomenon == phenomenon);
        if known.count() < EXAMPLES {
            let (txns, message) = flaw();
            self.flaws.push(Flaw { phenomenon, txns, message });
        }
    }

    /// An edge between two transactions, unless they are the same.
    pub(super) fn edge(&mut self, kind: Kind, from: u32, to: u32, before: u32, after: u32) {
        if from != to {
            self.edges.push(Edge { from, to, before, after, kind });
        }
    }

    fn helper(&mut self) -> u32 {
        self.helpers += 1;
        self.txns() + self.helpers - 1
    }

    /// Every one of `readers` read the version `before`, which comes before all of `writers`. Pairs
    /// are a transaction and its write. No reader is its own successor: one that writes too comes
    /// before all others, and if there are two of them, before one another.
    pub(super) fn before_all(&mut self, readers: &[u32], before: u32, writers: &[(u32, u32)]) {
        if let [(txn, write)] = *writers {
            for &reader in readers {
                self.edge(Kind::Rw, reader, txn, before, write);
            }
            return;
        }
        let write_of = |reader: u32| writers.iter().find(|(txn, _)| *txn == reader);
        let writing: FxHashSet<u32> = writers.iter().map(|(txn, _)| *txn).collect();
        let mut both: Vec<u32> = Vec::new();
        let mut helper = None;
        for &reader in readers {
            if writing.contains(&reader) {
                both.push(reader);
                continue;
            }
            let helper = *helper.get_or_insert_with(|| self.helper());
            self.edge(Kind::Rw, reader, helper, before, NONE);
        }
        if let Some(helper) = helper {
            for &(txn, write) in writers {
                self.edge(Kind::Rw, helper, txn, before, write);
            }
        }
        both.dedup();
        if let [reader] = both[..] {
            for &(txn, write) in writers {
                self.edge(Kind::Rw, reader, txn, before, write);
            }
        }
        // Each of them rules the other out, so the first two say it all.
        if let [a, b, ..] = both[..] {
            for (a, b) in [(a, b), (b, a)] {
                if let Some(&(txn, write)) = write_of(b) {
                    self.edge(Kind::Rw, a, txn, before, write);
                }
            }
        }
    }

    /// The order of each process and that of time, the latter through one helper for every moment
    /// at which something had completed since the last invocation.
    pub(super) fn order<K: Eq + Hash, V: Eq + Hash>(&mut self, table: &Table<'_, K, V>) {
        let mut at = vec![NONE; table.events];
        for (number, txn) in table.txns.iter().enumerate() {
            if self.took_effect[number] {
                at[txn.invoked as usize] = number as u32;
                if txn.fate == Fate::Committed {
                    at[txn.completed as usize] = number as u32;
                }
            }
        }
        self.edges.reserve(table.events * 2);
        let mut previous: FxHashMap<(history::Actor, u32), u32> = FxHashMap::default();
        let mut completed: Vec<u32> = Vec::new();
        let mut barrier = None;
        for (event, &number) in at.iter().enumerate() {
            if number == NONE {
                continue;
            }
            let txn = &table.txns[number as usize];
            if txn.completed as usize == event {
                completed.push(number);
                previous.insert((txn.actor, txn.process), number);
                continue;
            }
            if let Some(&before) = previous.get(&(txn.actor, txn.process)) {
                self.edge(Kind::Session, before, number, NONE, NONE);
            }
            if !completed.is_empty() {
                let next = self.helper();
                for before in barrier.into_iter().chain(completed.drain(..)) {
                    self.edge(Kind::RealTime, before, next, NONE, NONE);
                }
                barrier = Some(next);
            }
            if let Some(barrier) = barrier {
                self.edge(Kind::RealTime, barrier, number, NONE, NONE);
            }
        }
    }
}
