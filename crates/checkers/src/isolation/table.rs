//! The transactions of a history, their keys numbered and their writes found by value.

use super::txn::{Access, MicroOp};
use history::{Actor, History, What};
use rustc_hash::FxHashMap;
use std::hash::Hash;
use std::ops::Range;

/// No transaction, write or event.
pub(super) const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    Committed,
    Aborted,
    Unknown,
}

#[derive(Clone, Debug)]
pub(super) struct Txn {
    pub(super) actor: Actor,
    pub(super) process: u32,
    pub(super) call: u32,
    /// The event that invoked it.
    pub(super) invoked: u32,
    /// The event that completed it, or [`NONE`].
    pub(super) completed: u32,
    pub(super) fate: Fate,
    /// Its micro-operations.
    pub(super) mops: Range<u32>,
}

#[derive(Debug)]
pub(super) struct Mop<'h, V> {
    pub(super) key: u32,
    pub(super) access: Access<'h, V>,
    /// The number of the write, or [`NONE`] for a read.
    pub(super) write: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) txn: u32,
    pub(super) key: u32,
    pub(super) mop: u32,
    /// Whether its transaction writes nothing more to this key.
    pub(super) last: bool,
    /// Whether this value is written to this key again, so that a read of it names no write.
    pub(super) ambiguous: bool,
}

pub(super) struct Table<'h, K, V> {
    pub(super) keys: Vec<&'h K>,
    /// In order of invocation, as the history numbers them.
    pub(super) txns: Vec<Txn>,
    pub(super) mops: Vec<Mop<'h, V>>,
    pub(super) writes: Vec<Write>,
    pub(super) by_value: FxHashMap<(u32, &'h V), u32>,
    /// What a write is called: `append`.
    pub(super) verb: &'static str,
    /// How many events the history has.
    pub(super) events: usize,
}

impl<'h, K: Eq + Hash, V: Eq + Hash> Table<'h, K, V> {
    pub(super) fn new<M>(history: &'h History<Vec<M>, Vec<M>>) -> Self
    where
        M: MicroOp<Key = K, Value = V>,
    {
        let (txns, sources) = pair(history);
        let mut table = Self {
            keys: Vec::new(),
            txns,
            mops: Vec::new(),
            writes: Vec::new(),
            by_value: FxHashMap::default(),
            verb: M::WRITE,
            events: history.events.len(),
        };
        let mut keys: FxHashMap<&K, u32> = FxHashMap::default();
        table.mops.reserve(sources.iter().map(|source| source.len()).sum());
        let mops = || sources.iter().copied().flatten();
        let writes = mops().filter(|mop| matches!(mop.parts().1, Access::Write(_))).count();
        table.writes.reserve(writes);
        table.by_value.reserve(writes);
        for (txn, source) in sources.into_iter().enumerate() {
            let first = table.mops.len() as u32;
            for mop in source {
                let (name, access) = mop.parts();
                let key = *keys.entry(name).or_insert_with(|| {
                    table.keys.push(name);
                    table.keys.len() as u32 - 1
                });
                let write = table.write(txn as u32, key, access);
                table.mops.push(Mop { key, access, write });
            }
            table.txns[txn].mops = first..table.mops.len() as u32;
        }
        table.find_last();
        table
    }

    fn write(&mut self, txn: u32, key: u32, access: Access<'h, V>) -> u32 {
        let Access::Write(value) = access else { return NONE };
        let number = self.writes.len() as u32;
        let mop = self.mops.len() as u32;
        self.writes.push(Write { txn, key, mop, last: false, ambiguous: false });
        let first = self.by_value.entry((key, value)).or_insert(number);
        if *first != number {
            let repeated = *first;
            let aborted = |write: u32| {
                let txn = self.writes[write as usize].txn;
                self.txns[txn as usize].fate == Fate::Aborted
            };
            // What may have taken effect goes before what did not.
            match (aborted(repeated), aborted(number)) {
                (_, true) => {}
                (true, false) => *first = number,
                (false, false) => {
                    for write in [repeated, number] {
                        self.writes[write as usize].ambiguous = true;
                    }
                }
            }
        }
        number
    }

    fn find_last(&mut self) {
        let mut seen = vec![NONE; self.keys.len()];
        for write in self.writes.iter_mut().rev() {
            let seen = &mut seen[write.key as usize];
            write.last = *seen != write.txn;
            *seen = write.txn;
        }
    }

    pub(super) fn mops_of(&self, txn: u32) -> &[Mop<'h, V>] {
        let Range { start, end } = self.txns[txn as usize].mops;
        &self.mops[start as usize..end as usize]
    }

    /// The write of this value to this key.
    pub(super) fn writer(&self, key: u32, value: &'h V) -> Option<u32> {
        self.by_value.get(&(key, value)).copied()
    }

    /// Of several writes of one value, the one that [`Table::writer`] names.
    pub(super) fn named(&self, write: u32) -> usize {
        let key = self.writes[write as usize].key;
        self.by_value.get(&(key, self.value(write))).map_or(write, |named| *named) as usize
    }

    pub(super) fn value(&self, write: u32) -> &'h V {
        match self.mops[self.writes[write as usize].mop as usize].access {
            Access::Write(value) => value,
            Access::ReadList(_) | Access::ReadValue(_) => unreachable!("a write's number"),
        }
    }

    /// For each key, whether more than one transaction tries to write it, and the one that does.
    pub(super) fn writers_tried(&self) -> Vec<Tried> {
        let mut tried = vec![Tried::Nobody; self.keys.len()];
        for write in &self.writes {
            let tried = &mut tried[write.key as usize];
            *tried = match *tried {
                Tried::Nobody => Tried::One(write.txn),
                Tried::One(txn) if txn == write.txn => Tried::One(txn),
                Tried::One(_) | Tried::Many => Tried::Many,
            };
        }
        tried
    }
}

/// Who tries to write a key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tried {
    Nobody,
    One(u32),
    Many,
}

impl Tried {
    /// Whether anybody but `txn` does.
    pub(super) fn by_another(self, txn: u32) -> bool {
        match self {
            Self::Nobody => false,
            Self::One(writer) => writer != txn,
            Self::Many => true,
        }
    }
}

/// Puts the lines of each transaction together. What it did stands in its `Ok`, and in its
/// invocation if it has none.
fn pair<M>(history: &History<Vec<M>, Vec<M>>) -> (Vec<Txn>, Vec<&[M]>) {
    let mut txns: Vec<Txn> = Vec::with_capacity(history.events.len() / 2);
    let mut sources: Vec<&[M]> = Vec::with_capacity(history.events.len() / 2);
    for (index, event) in history.events.iter().enumerate() {
        let fate = match &event.what {
            What::Invoke(mops) => {
                txns.push(Txn {
                    actor: event.actor,
                    process: event.process,
                    call: event.call,
                    invoked: index as u32,
                    completed: NONE,
                    fate: Fate::Unknown,
                    mops: 0..0,
                });
                sources.push(mops);
                continue;
            }
            What::Ok(mops) => {
                if let Some(source) = sources.get_mut(event.op as usize) {
                    *source = mops;
                }
                Fate::Committed
            }
            What::Fail(_) => Fate::Aborted,
            What::Info => continue,
        };
        if let Some(txn) = txns.get_mut(event.op as usize) {
            txn.fate = fate;
            txn.completed = index as u32;
        }
    }
    (txns, sources)
}
