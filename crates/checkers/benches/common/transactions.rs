//! Transactions on lists and registers, as a run of many clients records them.

use super::Numbers;
use checkers::isolation::{ListHistory, ListOp, RwHistory, RwOp};
use history::{Actor, Event, History, What};
use std::collections::BTreeMap;

const CLIENTS: u64 = 20;
const KEYS: u64 = 10;
const WRITES_A_KEY: u64 = 32;
const LENGTH: u64 = 4;

/// A step of a transaction: a write of a value, or a read of all that were written.
#[derive(Clone)]
pub enum Mop {
    Write(u64, u64),
    Read(u64, Vec<u64>),
}

enum Phase {
    Idle,
    Invoked(u32, Vec<Mop>),
    Done(u32, Vec<Mop>),
}

/// A line as it is recorded: an invocation, or a completion.
pub struct Line {
    op: u32,
    client: u64,
    pub completed: bool,
    pub mops: Vec<Mop>,
}

/// As [`run_with`], with the keys of the table in `docs/checkers.md`.
pub fn run(transactions: u32) -> (Vec<Line>, BTreeMap<u64, Vec<u64>>) {
    run_with(transactions, KEYS, WRITES_A_KEY)
}

/// Strict-serializable by construction: clients take turns at random to invoke, to take effect at
/// once, and to complete. A key is left alone after it was written so many times. With the lines
/// come the versions of every key.
pub fn run_with(
    transactions: u32,
    in_use: u64,
    writes_a_key: u64,
) -> (Vec<Line>, BTreeMap<u64, Vec<u64>>) {
    let mut numbers = Numbers(7932);
    let mut keys: Vec<u64> = (0..in_use).collect();
    let mut next_key = in_use;
    let mut written: BTreeMap<u64, u64> = BTreeMap::new();
    let mut store: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let mut clients: Vec<Phase> = (0..CLIENTS).map(|_| Phase::Idle).collect();
    let (mut begun, mut done, mut lines) = (0, 0, Vec::new());
    while done < transactions {
        let client = numbers.below(CLIENTS);
        let slot = &mut clients[client as usize];
        *slot = match std::mem::replace(slot, Phase::Idle) {
            Phase::Idle if begun == transactions => Phase::Idle,
            Phase::Idle => {
                let mops = (0..=numbers.below(LENGTH)).map(|_| {
                    let at = numbers.below(in_use) as usize;
                    let key = keys[at];
                    if numbers.below(2) == 0 {
                        return Mop::Read(key, Vec::new());
                    }
                    let count = written.entry(key).or_default();
                    *count += 1;
                    if *count == writes_a_key {
                        keys[at] = next_key;
                        next_key += 1;
                    }
                    Mop::Write(key, *count)
                });
                let mops: Vec<Mop> = mops.collect();
                lines.push(Line { op: begun, client, completed: false, mops: mops.clone() });
                begun += 1;
                Phase::Invoked(begun - 1, mops)
            }
            Phase::Invoked(op, mut mops) => {
                for mop in &mut mops {
                    match mop {
                        Mop::Write(key, value) => store.entry(*key).or_default().push(*value),
                        Mop::Read(key, values) => {
                            *values = store.get(key).cloned().unwrap_or_default();
                        }
                    }
                }
                Phase::Done(op, mops)
            }
            Phase::Done(op, mops) => {
                lines.push(Line { op, client, completed: true, mops });
                done += 1;
                Phase::Idle
            }
        };
    }
    (lines, store)
}

fn history<M>(lines: &[Line], mop: impl Fn(&Mop) -> M) -> History<Vec<M>, Vec<M>> {
    let events = lines.iter().enumerate().map(|(at, line)| {
        let mops = line.mops.iter().map(&mop).collect();
        let what = if line.completed { What::Ok(mops) } else { What::Invoke(mops) };
        let (actor, process) = (Actor::Client(line.client as u16), line.client as u32);
        Event { at: at as u64, op: line.op, actor, process, call: line.op, what }
    });
    History { events: events.collect() }
}

pub fn lists(lines: &[Line]) -> ListHistory<u64, u64> {
    history(lines, |mop| match mop {
        Mop::Write(key, value) => ListOp::Append(*key, *value),
        Mop::Read(key, values) => ListOp::Read(*key, Some(values.clone())),
    })
}

pub fn registers(lines: &[Line]) -> RwHistory<u64, u64> {
    history(lines, |mop| match mop {
        Mop::Write(key, value) => RwOp::Write(*key, *value),
        Mop::Read(key, values) => RwOp::Read(*key, values.last().copied()),
    })
}
