//! How long transactions take to judge: lists and registers of many clients, as a run records them.
//!
//! `reference` is a fixed loop of hashing: times divided by its are comparable between machines.

#[path = "common/numbers.rs"]
mod numbers;
#[path = "common/transactions.rs"]
mod transactions;

use checkers::isolation::{Analysis, Level, Online, list_append, rw_register};
use divan::Bencher;
use numbers::Numbers;
use rustc_hash::FxHashMap;
use std::hash::{BuildHasher, Hash};
use transactions::{Mop, lists, registers, run, run_with};

fn main() {
    divan::main();
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
