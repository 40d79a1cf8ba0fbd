//! What reads of lists say: the longest read of a list is the order of its versions.

use super::Phenomenon;
use super::facts::{Facts, Group, Kind, Writer};
use super::table::{Fate, NONE, Table, Write};
use super::txn::Access;
use std::fmt::Debug;
use std::hash::Hash;

/// The versions of one list, as its longest read has them.
struct Versions<'h, V> {
    longest: &'h [V],
    /// The transaction that read it.
    reader: u32,
    /// The writes whose transactions took effect, in order.
    chain: Vec<u32>,
    /// For each length of a prefix, how many of the chain stand in it; empty if all do.
    visible: Vec<u32>,
    /// The first element whose transaction aborted, and how many elements come before it.
    aborted: Option<(u32, usize)>,
    /// Who read all of the chain.
    tail: Vec<u32>,
}

impl<V> Default for Versions<'_, V> {
    fn default() -> Self {
        Self {
            longest: &[],
            reader: NONE,
            chain: Vec::new(),
            visible: Vec::new(),
            aborted: None,
            tail: Vec::new(),
        }
    }
}

impl<V> Versions<'_, V> {
    fn visible(&self, len: usize) -> usize {
        self.visible.get(len).map_or(len, |visible| *visible as usize)
    }
}

/// What a transaction has done to a key so far; stale if of an earlier transaction.
#[derive(Clone, Copy)]
struct Own {
    txn: u32,
    /// Its latest append, or [`NONE`].
    append: u32,
    /// Its last read before it appended, by its length.
    read: Option<u32>,
}

pub(super) fn facts<K: Eq + Hash + Debug, V: Eq + Hash + Debug>(table: &Table<'_, K, V>) -> Facts {
    let mut facts = Facts::new(table);
    let mut versions = longest(table);
    let mut placed = vec![false; table.writes.len()];
    for (key, versions) in versions.iter_mut().enumerate() {
        arrange(table, key as u32, versions, &mut placed, &mut facts);
    }
    facts.edges.reserve(table.mops.len() * 2);
    read(table, &mut versions, &mut facts);
    for versions in &versions {
        for pair in versions.chain.windows(2) {
            let [a, b] = [pair[0], pair[1]].map(|write| table.writes[write as usize].txn);
            facts.edge(Kind::Ww, a, b, pair[0], pair[1]);
        }
    }
    unobserved(table, &versions, &placed, &mut facts);
    facts.order(table);
    facts
}

fn longest<'h, K: Eq + Hash, V: Eq + Hash>(table: &Table<'h, K, V>) -> Vec<Versions<'h, V>> {
    let mut versions: Vec<Versions<'h, V>> = Vec::new();
    versions.resize_with(table.keys.len(), Versions::default);
    for (txn, _) in table.txns.iter().enumerate().filter(|(_, t)| t.fate == Fate::Committed) {
        for mop in table.mops_of(txn as u32) {
            let Access::ReadList(list) = mop.access else { continue };
            let versions = &mut versions[mop.key as usize];
            if list.len() > versions.longest.len() {
                versions.longest = list;
                versions.reader = txn as u32;
            }
        }
    }
    versions
}

/// Finds the write of each element of the longest read.
fn arrange<'h, K: Eq + Hash + Debug, V: Eq + Hash + Debug>(
    table: &Table<'h, K, V>,
    key: u32,
    versions: &mut Versions<'h, V>,
    placed: &mut [bool],
    facts: &mut Facts,
) {
    let name = &table.keys[key as usize];
    let (reader, longest) = (versions.reader, versions.longest);
    versions.chain.reserve(versions.longest.len());
    for (index, value) in longest.iter().enumerate() {
        let usable = match table.writer(key, value) {
            None => {
                facts.flaw(Phenomenon::Phantom, || {
                    (vec![reader], format!("T1 read {value:?} in {name:?}, and nobody appends it"))
                });
                None
            }
            Some(write) if table.writes[write as usize].ambiguous => {
                placed[write as usize] = true;
                facts.ambiguous += 1;
                None
            }
            Some(write) if placed[write as usize] => {
                facts.flaw(Phenomenon::Duplicate, || {
                    let writer = table.writes[write as usize].txn;
                    let message = format!(
                        "T1 read {value:?} more than once in {name:?}, and T2 appends it only once"
                    );
                    (vec![reader, writer], message)
                });
                None
            }
            Some(write) => {
                placed[write as usize] = true;
                out_of_order(table, reader, write, placed, facts);
                let txn = table.writes[write as usize].txn;
                facts.seen(table, txn);
                if facts.took_effect[txn as usize] {
                    Some(write)
                } else {
                    versions.aborted.get_or_insert((write, index));
                    None
                }
            }
        };
        if usable.is_none() && versions.visible.is_empty() {
            versions.visible.extend(0..=index as u32);
        }
        versions.chain.extend(usable);
        if !versions.visible.is_empty() {
            versions.visible.push(versions.chain.len() as u32);
        }
    }
    let Some((aborted, at)) = versions.aborted else { return };
    if let Some(&above) = versions.chain.get(versions.visible(at)) {
        facts.flaw(Phenomenon::DirtyUpdate, || {
            let [a, b] = [aborted, above].map(|write| table.writes[write as usize].txn);
            let [x, y] = [aborted, above].map(|write| table.value(write));
            let message = format!(
                "T1 aborted, yet its append of {x:?} to {name:?} is below T2's committed one of \
                 {y:?}"
            );
            (vec![a, b], message)
        });
    }
}

/// A transaction's appends to one list stand in it in the order in which they were made.
fn out_of_order<K: Debug + Eq + Hash, V: Debug + Eq + Hash>(
    table: &Table<'_, K, V>,
    reader: u32,
    write: u32,
    placed: &[bool],
    facts: &mut Facts,
) {
    let Write { txn, key, mop, .. } = table.writes[write as usize];
    let mops = &table.mops[table.txns[txn as usize].mops.start as usize..mop as usize];
    let earlier = mops.iter().rev().find(|mop| mop.key == key && mop.write != NONE);
    let Some(earlier) = earlier.map(|mop| mop.write) else { return };
    if !placed[table.named(earlier)] {
        facts.flaw(Phenomenon::IncompatibleOrder, || {
            let [a, b] = [earlier, write].map(|write| table.value(write));
            let name = &table.keys[key as usize];
            let message = format!(
                "T1 read {b:?} in {name:?} and not {a:?} before it, and T2 appended {a:?} first"
            );
            (vec![reader, txn], message)
        });
    }
}

/// Goes through the reads of committed transactions in order.
fn read<K: Eq + Hash + Debug, V: Eq + Hash + Debug>(
    table: &Table<'_, K, V>,
    versions: &mut [Versions<'_, V>],
    facts: &mut Facts,
) {
    let tried = table.writers_tried();
    let mut own = vec![Own { txn: NONE, append: NONE, read: None }; table.keys.len()];
    let mut updates: Vec<(u32, u32, u32)> = Vec::new();
    for txn in 0..facts.txns() {
        if table.txns[txn as usize].fate != Fate::Committed {
            continue;
        }
        for mop in table.mops_of(txn) {
            let own = &mut own[mop.key as usize];
            if own.txn != txn {
                *own = Own { txn, append: NONE, read: None };
            }
            let list = match mop.access {
                Access::ReadList(list) => list,
                Access::Write(_) | Access::ReadValue(_) => {
                    if let Some(read) = own.read.take() {
                        updates.push((mop.key, read, txn));
                    }
                    own.append = mop.write;
                    continue;
                }
            };
            facts.reads += 1;
            let versions = &mut versions[mop.key as usize];
            let fits = versions.longest.starts_with(list);
            if !fits {
                misfit(table, mop.key, txn, list, versions, facts);
            }
            if own.append != NONE {
                own_appends(table, mop.key, txn, own.append, list, facts);
            } else if fits {
                own.read = Some(list.len() as u32);
                facts.constraining += u32::from(tried[mop.key as usize].by_another(txn));
                external(table, mop.key, txn, list, versions, facts);
            }
        }
    }
    lost_updates(table, updates, facts);
}

/// Edges and flaws of a read before the transaction's own appends.
fn external<K: Eq + Hash + Debug, V: Eq + Hash + Debug>(
    table: &Table<'_, K, V>,
    key: u32,
    txn: u32,
    list: &[V],
    versions: &mut Versions<'_, V>,
    facts: &mut Facts,
) {
    let name = &table.keys[key as usize];
    if let Some((write, _)) = versions.aborted.filter(|(_, at)| *at < list.len()) {
        facts.flaw(Phenomenon::G1a, || {
            let value = table.value(write);
            let message =
                format!("T1 read {value:?} in {name:?}, which T2 appended and then aborted");
            (vec![txn, table.writes[write as usize].txn], message)
        });
    }
    let visible = versions.visible(list.len());
    let last = if visible == 0 { NONE } else { versions.chain[visible - 1] };
    if last != NONE {
        let write = &table.writes[last as usize];
        facts.edge(Kind::Wr, write.txn, txn, last, last);
        let value = table.value(last);
        if write.txn == txn {
            facts.flaw(Phenomenon::Internal, || {
                let message = format!("T1 read {value:?} in {name:?} before it appended it");
                (vec![txn], message)
            });
        } else if !write.last && list.last() == Some(value) {
            facts.flaw(Phenomenon::G1b, || {
                let message = format!(
                    "T1 read {name:?} as it was after T2's append of {value:?}, and T2 appended \
                     more to it"
                );
                (vec![txn, write.txn], message)
            });
        }
    }
    match versions.chain.get(visible) {
        Some(&next) => {
            facts.edge(Kind::Rw, txn, table.writes[next as usize].txn, last, next);
        }
        None => versions.tail.push(txn),
    }
}

/// A read after own appends ends with the latest of them, and has the others in order.
fn own_appends<K: Eq + Hash + Debug, V: Eq + Hash + Debug>(
    table: &Table<'_, K, V>,
    key: u32,
    txn: u32,
    latest: u32,
    list: &[V],
    facts: &mut Facts,
) {
    let mut rest = list.iter().rev();
    let mut complete = list.last() == Some(table.value(latest));
    for mop in table.mops_of(txn).iter().rev() {
        if mop.key != key || mop.write == NONE || mop.write > latest {
            continue;
        }
        let value = table.value(mop.write);
        complete = complete && rest.any(|read| read == value);
    }
    if !complete {
        facts.flaw(Phenomenon::Internal, || {
            let (value, name) = (table.value(latest), &table.keys[key as usize]);
            let message = format!("T1 appended {value:?} to {name:?} and then read {list:?}");
            (vec![txn], message)
        });
    }
}

/// A read that is no prefix of the longest one.
fn misfit<'h, K: Eq + Hash + Debug, V: Eq + Hash + Debug>(
    table: &Table<'h, K, V>,
    key: u32,
    txn: u32,
    list: &'h [V],
    versions: &Versions<'_, V>,
    facts: &mut Facts,
) {
    let name = &table.keys[key as usize];
    facts.misfits += 1;
    facts.flaw(Phenomenon::IncompatibleOrder, || {
        let longest = versions.longest;
        let message = format!(
            "T1 read {list:?} in {name:?} and T2 read {longest:?}: neither comes before the other"
        );
        (vec![txn, versions.reader], message)
    });
    for value in list {
        if table.writer(key, value).is_none() {
            facts.flaw(Phenomenon::Phantom, || {
                (vec![txn], format!("T1 read {value:?} in {name:?}, and nobody appends it"))
            });
        }
    }
}

/// Two transactions that read the same version of a key and then wrote to it; triples are a key,
/// a version and a transaction.
pub(super) fn lost_updates<K: Debug, V>(
    table: &Table<'_, K, V>,
    mut updates: Vec<(u32, u32, u32)>,
    facts: &mut Facts,
) {
    updates.sort_unstable();
    for pair in updates.windows(2) {
        let [(key, version, a), (other_key, other_version, b)] = [pair[0], pair[1]];
        if (key, version) == (other_key, other_version) && a != b {
            facts.flaw(Phenomenon::LostUpdate, || {
                let name = &table.keys[key as usize];
                let message = format!(
                    "T1 and T2 read the same version of {name:?}, and then each wrote to it as if \
                     the other had not"
                );
                (vec![a, b], message)
            });
        }
    }
}

/// Appends that nobody saw come after all that somebody did, in an order that is not known.
fn unobserved<K: Eq + Hash, V: Eq + Hash>(
    table: &Table<'_, K, V>,
    versions: &[Versions<'_, V>],
    placed: &[bool],
    facts: &mut Facts,
) {
    let mut unseen: Vec<Vec<(u32, u32)>> = vec![Vec::new(); versions.len()];
    for (number, write) in table.writes.iter().enumerate() {
        let unseen = &mut unseen[write.key as usize];
        let named = if write.ambiguous { table.named(number as u32) } else { number };
        let open = !placed[named] && facts.took_effect[write.txn as usize];
        if open && unseen.last().is_none_or(|(txn, _)| *txn != write.txn) {
            unseen.push((write.txn, number as u32));
        }
    }
    for (versions, unseen) in versions.iter().zip(&unseen) {
        let last = versions.chain.last().copied().unwrap_or(NONE);
        if last != NONE {
            let txn = table.writes[last as usize].txn;
            for &(next, write) in unseen {
                facts.edge(Kind::Ww, txn, next, last, write);
            }
        }
        if !unseen.is_empty() {
            facts.before_all(&versions.tail, last, unseen);
        }
        if unseen.len() > 1 {
            let writer = |&(txn, write)| Writer { txn, write, readers: Vec::new() };
            facts.groups.push(Group { writers: unseen.iter().map(writer).collect() });
        }
    }
}
