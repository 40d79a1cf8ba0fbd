//! What reads of registers say: whose version was read, and nothing of the order of the others.

use super::Phenomenon;
use super::facts::{Facts, Group, Kind, Writer};
use super::list::lost_updates;
use super::table::{Fate, NONE, Table};
use super::txn::Access;
use rustc_hash::FxHashMap;
use std::fmt::Debug;
use std::hash::Hash;

/// What a transaction has done to a key so far; stale if of an earlier transaction.
#[derive(Clone, Copy)]
struct Own {
    txn: u32,
    /// Its latest write, or [`NONE`].
    write: u32,
    /// The version that it read last before it wrote: a write, or [`NONE`] for the initial one.
    read: Option<u32>,
}

/// Who read what, of the reads that name a version.
#[derive(Default)]
struct Reads {
    /// By key: those who read the initial version.
    initial: Vec<Vec<u32>>,
    /// By transaction: pairs of the writing and the reading one, for each key.
    of: FxHashMap<(u32, u32), Vec<u32>>,
    /// Key, version and transaction of each that read before it wrote.
    updates: Vec<(u32, u32, u32)>,
}

pub(super) fn facts<K: Eq + Hash + Debug, V: Eq + Hash + Debug>(table: &Table<'_, K, V>) -> Facts {
    let mut facts = Facts::new(table);
    let mut reads = Reads { initial: vec![Vec::new(); table.keys.len()], ..Reads::default() };
    let tried = table.writers_tried();
    let mut own = vec![Own { txn: NONE, write: NONE, read: None }; table.keys.len()];
    for txn in 0..facts.txns() {
        if table.txns[txn as usize].fate != Fate::Committed {
            continue;
        }
        for mop in table.mops_of(txn) {
            let own = &mut own[mop.key as usize];
            if own.txn != txn {
                *own = Own { txn, write: NONE, read: None };
            }
            let value = match mop.access {
                Access::ReadValue(value) => value,
                Access::Write(_) | Access::ReadList(_) => {
                    if let Some(read) = own.read.take() {
                        reads.updates.push((mop.key, read, txn));
                    }
                    own.write = mop.write;
                    continue;
                }
            };
            facts.reads += 1;
            if own.write != NONE {
                own_write(table, mop.key, txn, own.write, value, &mut facts);
                continue;
            }
            facts.constraining += u32::from(tried[mop.key as usize].by_another(txn));
            own.read = external(table, mop.key, txn, value, &mut reads, &mut facts);
        }
    }
    lost_updates(table, std::mem::take(&mut reads.updates), &mut facts);
    groups(table, reads, &mut facts);
    facts.order(table);
    facts
}

fn own_write<K: Debug + Eq + Hash, V: Debug + Eq + Hash>(
    table: &Table<'_, K, V>,
    key: u32,
    txn: u32,
    latest: u32,
    read: Option<&V>,
    facts: &mut Facts,
) {
    let value = table.value(latest);
    if read != Some(value) {
        facts.flaw(Phenomenon::Internal, || {
            let name = &table.keys[key as usize];
            (vec![txn], format!("T1 wrote {value:?} to {name:?} and then read {}", shown(read)))
        });
    }
}

fn shown<V: Debug>(read: Option<&V>) -> String {
    read.map_or_else(|| "the initial value".to_owned(), |value| format!("{value:?}"))
}

/// The version that a read before the transaction's own writes returned, if that can be told.
fn external<'h, K: Debug + Eq + Hash, V: Debug + Eq + Hash>(
    table: &Table<'h, K, V>,
    key: u32,
    txn: u32,
    read: Option<&'h V>,
    reads: &mut Reads,
    facts: &mut Facts,
) -> Option<u32> {
    let name = &table.keys[key as usize];
    let Some(value) = read else {
        reads.initial[key as usize].push(txn);
        return Some(NONE);
    };
    let Some(number) = table.writer(key, value) else {
        facts.flaw(Phenomenon::Phantom, || {
            (vec![txn], format!("T1 read {value:?} in {name:?}, and nobody writes it"))
        });
        return None;
    };
    let write = &table.writes[number as usize];
    if write.ambiguous {
        facts.ambiguous += 1;
        return None;
    }
    facts.seen(table, write.txn);
    if !facts.took_effect[write.txn as usize] {
        facts.flaw(Phenomenon::G1a, || {
            let message = format!("T1 read {value:?} in {name:?}, which T2 wrote and then aborted");
            (vec![txn, write.txn], message)
        });
        return None;
    }
    if write.txn == txn {
        facts.flaw(Phenomenon::Internal, || {
            (vec![txn], format!("T1 read {value:?} in {name:?} before it wrote it"))
        });
        return None;
    }
    if !write.last {
        facts.flaw(Phenomenon::G1b, || {
            let message = format!("T1 read {value:?} in {name:?}, which T2 then overwrote itself");
            (vec![txn, write.txn], message)
        });
    }
    facts.edge(Kind::Wr, write.txn, txn, number, number);
    reads.of.entry((key, write.txn)).or_default().push(txn);
    Some(number)
}

fn groups<K: Eq + Hash, V: Eq + Hash>(
    table: &Table<'_, K, V>,
    mut reads: Reads,
    facts: &mut Facts,
) {
    let mut writers: Vec<Vec<(u32, u32)>> = vec![Vec::new(); table.keys.len()];
    for (number, write) in table.writes.iter().enumerate() {
        if write.last && facts.took_effect[write.txn as usize] {
            writers[write.key as usize].push((write.txn, number as u32));
        }
    }
    for (key, writers) in writers.iter().enumerate() {
        if writers.is_empty() {
            continue;
        }
        facts.before_all(&reads.initial[key], NONE, writers);
        let writers = writers.iter().map(|&(txn, write)| {
            let mut readers = reads.of.remove(&(key as u32, txn)).unwrap_or_default();
            readers.dedup();
            Writer { txn, write, readers }
        });
        let writers: Vec<Writer> = writers.collect();
        if writers.len() > 1 {
            facts.groups.push(Group { writers });
        }
    }
}
