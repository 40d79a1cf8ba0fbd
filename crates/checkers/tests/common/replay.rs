//! Independent truth about small histories of transactions: definitions that run, and no graph.
#![allow(dead_code)]

use crate::txn::{Fate, Mop, Txn};
use checkers::isolation::{Isolation, Level, Moment, Order};
use std::collections::BTreeMap;

/// The versions of every key, oldest first.
type Store = BTreeMap<char, Vec<u32>>;

/// Whether a read that returned `values` may have met `state`: in a list all versions are seen, in
/// a register the newest.
fn meets(values: &[u32], state: &[u32], lists: bool) -> bool {
    if lists { values == state } else { values.last() == state.last() }
}

fn get<'a>(store: &'a Store, key: &char) -> &'a [u32] {
    store.get(key).map_or(&[], Vec::as_slice)
}

/// Runs a transaction on a state, and says whether its reads fit; those of an unknown one do.
fn run(txn: &Txn, state: &mut Store, lists: bool) -> bool {
    txn.mops.iter().all(|mop| match mop {
        Mop::Write(key, value) => {
            state.entry(*key).or_default().push(*value);
            true
        }
        Mop::Read(key, values) => txn.fate != Fate::Ok || meets(values, get(state, key), lists),
    })
}

/// Whether `a` must come before `b`.
fn ordered(a: &Txn, b: &Txn, order: Order) -> bool {
    let before = a.fate == Fate::Ok && a.end < b.begin;
    match order {
        Order::Any => false,
        Order::Session => before && a.process == b.process,
        Order::RealTime => before,
    }
}

/// Replays a serial order that is claimed to explain a history.
pub fn serial(txns: &[Txn], claimed: &[u32], order: Order, lists: bool) -> bool {
    let named = |number: usize| claimed.iter().filter(|n| **n == number as u32).count();
    let complete = txns.iter().enumerate().all(|(number, txn)| match txn.fate {
        Fate::Ok => named(number) == 1,
        Fate::Fail => named(number) == 0,
        Fate::Info => named(number) <= 1,
    });
    let claimed: Vec<&Txn> = claimed.iter().map(|number| &txns[*number as usize]).collect();
    let in_order = claimed
        .iter()
        .enumerate()
        .all(|(at, b)| claimed[at + 1..].iter().all(|a| !ordered(a, b, order)));
    let mut state = Store::new();
    complete && in_order && claimed.iter().all(|txn| run(txn, &mut state, lists))
}

/// Replays starts and commits that are claimed to explain a history.
pub fn snapshots(txns: &[Txn], claimed: &[(u32, Moment)], order: Order, lists: bool) -> bool {
    let mut search = Snapshots::new(txns, order, lists);
    let fits = claimed.iter().all(|(number, moment)| match moment {
        Moment::Start => search.start(*number as usize),
        Moment::Commit => search.commit(*number as usize),
    });
    fits && search.complete()
}

/// Whether the history is of that level, by trying everything; `None` for read uncommitted, which
/// has no definition by states.
pub fn brute_force(txns: &[Txn], level: Level, lists: bool) -> Option<bool> {
    match level.isolation {
        Isolation::ReadUncommitted => None,
        Isolation::SnapshotIsolation => Some(Snapshots::new(txns, level.order, lists).search()),
        Isolation::ReadCommitted => {
            Some(Serial { txns, order: level.order, lists, any_state: true }.search())
        }
        Isolation::RepeatableRead | Isolation::Serializable => {
            Some(Serial { txns, order: level.order, lists, any_state: false }.search())
        }
    }
}

struct Serial<'a> {
    txns: &'a [Txn],
    order: Order,
    lists: bool,
    /// Whether each read may meet any earlier state between transactions, as under read committed.
    any_state: bool,
}

impl Serial<'_> {
    fn search(&self) -> bool {
        self.extend(0, &mut vec![Store::new()])
    }

    fn extend(&self, done: u32, states: &mut Vec<Store>) -> bool {
        let left = |number: &usize| done >> number & 1 == 0;
        let numbers = || (0..self.txns.len()).filter(left);
        if numbers().all(|number| self.txns[number].fate != Fate::Ok) {
            return true;
        }
        for number in numbers() {
            let txn = &self.txns[number];
            let early = numbers().any(|n| ordered(&self.txns[n], txn, self.order));
            if txn.fate == Fate::Fail || early {
                continue;
            }
            let Some(next) = self.after(txn, states) else { continue };
            states.push(next);
            if self.extend(done | 1 << number, states) {
                return true;
            }
            states.pop();
        }
        false
    }

    fn after(&self, txn: &Txn, states: &[Store]) -> Option<Store> {
        let mut state = states.last()?.clone();
        if !self.any_state {
            return run(txn, &mut state, self.lists).then_some(state);
        }
        let mut own: Vec<char> = Vec::new();
        for mop in &txn.mops {
            let fits = match mop {
                Mop::Write(key, value) => {
                    own.push(*key);
                    state.entry(*key).or_default().push(*value);
                    true
                }
                Mop::Read(..) if txn.fate != Fate::Ok => true,
                Mop::Read(key, values) if own.contains(key) => {
                    meets(values, get(&state, key), self.lists)
                }
                Mop::Read(key, values) => {
                    states.iter().any(|state| meets(values, get(state, key), self.lists))
                }
            };
            if !fits {
                return None;
            }
        }
        Some(state)
    }
}

/// A store under snapshot isolation: a transaction reads what was committed when it started, and
/// commits if nobody has written in the meantime what it writes.
#[derive(Clone)]
struct Snapshots<'a> {
    txns: &'a [Txn],
    order: Order,
    lists: bool,
    committed: Store,
    /// For each running one, what it sees and how many versions each key had when it started.
    running: Vec<Option<(Store, Store)>>,
    done: Vec<bool>,
}

impl<'a> Snapshots<'a> {
    fn new(txns: &'a [Txn], order: Order, lists: bool) -> Self {
        let (running, done) = (vec![None; txns.len()], vec![false; txns.len()]);
        Self { txns, order, lists, committed: Store::new(), running, done }
    }

    fn start(&mut self, number: usize) -> bool {
        let txn = &self.txns[number];
        let early = |n: usize| !self.done[n] && ordered(&self.txns[n], txn, self.order);
        if self.running[number].is_some()
            || self.done[number]
            || txn.fate == Fate::Fail
            || (0..self.txns.len()).any(early)
        {
            return false;
        }
        let mut sees = self.committed.clone();
        let fits = run(txn, &mut sees, self.lists);
        self.running[number] = Some((sees, self.committed.clone()));
        fits
    }

    fn commit(&mut self, number: usize) -> bool {
        let Some((sees, snapshot)) = self.running[number].take() else { return false };
        self.done[number] = true;
        for mop in &self.txns[number].mops {
            let changed = |key| get(&snapshot, key) != get(&self.committed, key);
            if matches!(mop, Mop::Write(key, _) if changed(key)) {
                return false;
            }
        }
        for mop in &self.txns[number].mops {
            if let Mop::Write(key, _) = mop {
                self.committed.insert(*key, get(&sees, key).to_vec());
            }
        }
        true
    }

    fn complete(&self) -> bool {
        let ok = |number: usize| self.txns[number].fate != Fate::Ok || self.done[number];
        (0..self.txns.len()).all(ok) && self.running.iter().all(Option::is_none)
    }

    fn search(&self) -> bool {
        let ok = |number: usize| self.txns[number].fate != Fate::Ok || self.done[number];
        if (0..self.txns.len()).all(ok) {
            return true;
        }
        (0..self.txns.len()).filter(|number| !self.done[*number]).any(|number| {
            let mut next = self.clone();
            let fits = match self.running[number] {
                Some(_) => next.commit(number),
                None => next.start(number),
            };
            fits && next.search()
        })
    }
}
