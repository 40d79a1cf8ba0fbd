//! How long transactions take to judge: lists and registers of many clients, as a run records them.
//!
//! `reference` is a fixed loop of hashing: times divided by its are comparable between machines.

use checkers::isolation::{
    Analysis, Level, ListHistory, ListOp, Online, RwHistory, RwOp, list_append, rw_register,
};
use divan::Bencher;
use history::{Actor, Event, History, What};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hash};

fn main() {
    divan::main();
}

/// SplitMix64.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((u128::from(z ^ (z >> 31)) * u128::from(bound)) >> 64) as u64
    }
}

const CLIENTS: u64 = 20;
const KEYS: u64 = 10;
const WRITES_A_KEY: u64 = 32;
const LENGTH: u64 = 4;

#[derive(Clone)]
enum Mop {
    Write(u64, u64),
    Read(u64, Vec<u64>),
}

enum Phase {
    Idle,
    Invoked(u32, Vec<Mop>),
    Done(u32, Vec<Mop>),
}

/// A line as it is recorded: an invocation, or a completion.
struct Line {
    op: u32,
    client: u64,
    completed: bool,
    mops: Vec<Mop>,
}

/// As [`run_with`], with the keys of the table in `docs/checkers.md`.
fn run(transactions: u32) -> (Vec<Line>, BTreeMap<u64, Vec<u64>>) {
    run_with(transactions, KEYS, WRITES_A_KEY)
}

/// Strict-serializable by construction: clients take turns at random to invoke, to take effect at
/// once, and to complete. A key is left alone after it was written so many times. With the lines
/// come the versions of every key.
fn run_with(
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

fn lists(lines: &[Line]) -> ListHistory<u64, u64> {
    history(lines, |mop| match mop {
        Mop::Write(key, value) => ListOp::Append(*key, *value),
        Mop::Read(key, values) => ListOp::Read(*key, Some(values.clone())),
    })
}

fn registers(lines: &[Line]) -> RwHistory<u64, u64> {
    history(lines, |mop| match mop {
        Mop::Write(key, value) => RwOp::Write(*key, *value),
        Mop::Read(key, values) => RwOp::Read(*key, values.last().copied()),
    })
}

fn holds<K: Eq + Hash + std::fmt::Debug, V: Eq + Hash + std::fmt::Debug>(
    analysis: &Analysis<'_, K, V>,
) {
    let verdict = analysis.check(Level::STRICT_SERIALIZABLE);
    assert!(verdict.holds(), "{verdict}");
}

/// A million hashes and look-ups.
#[divan::bench(sample_count = 10)]
fn reference() -> u64 {
    let mut counts: FxHashMap<u64, u64> = FxHashMap::default();
    let hasher = rustc_hash::FxBuildHasher;
    for number in 0..1_000_000_u64 {
        *counts.entry(hasher.hash_one(number) % 65_536).or_default() += number;
    }
    counts.values().fold(0, |sum, count| sum ^ count)
}

#[divan::bench(args = [1_000, 10_000, 100_000], sample_count = 10)]
fn list_append_strict(bencher: Bencher<'_, '_>, transactions: u32) {
    let history = lists(&run(transactions).0);
    bencher.bench_local(|| holds(&list_append(divan::black_box(&history))));
}

#[divan::bench(args = [1_000, 10_000, 100_000], sample_count = 5)]
fn rw_register_recorded_order(bencher: Bencher<'_, '_>, transactions: u32) {
    let (lines, store) = run(transactions);
    let history = registers(&lines);
    bencher.bench_local(|| {
        let orders = store.iter().map(|(key, values)| (key, values.as_slice()));
        holds(&rw_register(divan::black_box(&history)).with_recorded_orders(orders));
    });
}

/// The same, judged again and again while it is fed.
#[divan::bench(args = [1_000, 10_000], sample_count = 3)]
fn list_append_online(bencher: Bencher<'_, '_>, transactions: u32) {
    let lines = run(transactions).0;
    bencher.with_inputs(|| lists(&lines)).bench_local_values(|history| {
        let mut online = Online::default();
        for event in history.events {
            assert!(online.feed(event).is_none());
        }
        assert!(online.finish().0.holds());
    });
}

/// A read in the middle that misses the newest element.
#[divan::bench(args = [1_000, 10_000, 100_000], sample_count = 5)]
fn list_append_stale_read(bencher: Bencher<'_, '_>, transactions: u32) {
    let (mut lines, _) = run(transactions);
    let late = lines.len() / 2;
    let reads = lines[late..].iter_mut().filter(|line| line.completed);
    let mut stale = reads.flat_map(|line| &mut line.mops).filter_map(|mop| match mop {
        Mop::Read(_, values) if values.len() > 20 => Some(values),
        _ => None,
    });
    stale.next().expect("a long list").truncate(5);
    let history = lists(&lines);
    bencher.bench_local(|| {
        let verdict = list_append(divan::black_box(&history)).check(Level::STRICT_SERIALIZABLE);
        assert!(verdict.is_violated());
    });
}

/// Two registers that everybody writes: every pair of writes must be looked at.
#[divan::bench(args = [1_000, 5_000], sample_count = 3)]
fn rw_register_black_box_hot(bencher: Bencher<'_, '_>, transactions: u32) {
    let history = registers(&run_with(transactions, 2, u64::MAX).0);
    bencher.bench_local(|| {
        let analysis = rw_register(divan::black_box(&history));
        assert!(!analysis.check(Level::STRICT_SERIALIZABLE).is_violated());
    });
}

#[divan::bench(args = [1_000, 10_000], sample_count = 5)]
fn rw_register_black_box(bencher: Bencher<'_, '_>, transactions: u32) {
    let history = registers(&run(transactions).0);
    bencher.bench_local(|| holds(&rw_register(divan::black_box(&history))));
}
