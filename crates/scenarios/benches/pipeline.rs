//! Cases a second of the whole pipeline on one core: a seed becomes a case, the case a run, the run
//! a verdict, with every kind of fault and every check.

use divan::Bencher;
use divan::counter::ItemsCount;
use explorer::{Narrow, Scenario, case_of_seed, judge, seed_of};

fn main() {
    divan::main();
}

const CASES: u64 = 500;

fn trial<S: Scenario>(bencher: Bencher<'_, '_>, scenario: &S) {
    let narrow = Narrow::default();
    bencher.counter(ItemsCount::new(CASES)).bench_local(|| {
        for index in 0..CASES {
            let case = case_of_seed(scenario, seed_of(1, index), &narrow);
            divan::black_box(judge(scenario, &case));
        }
    });
}

#[divan::bench]
fn bank(bencher: Bencher<'_, '_>) {
    trial(bencher, &scenarios::bank::bank());
}

#[divan::bench]
fn two_phase_commit(bencher: Bencher<'_, '_>) {
    trial(bencher, &scenarios::two_phase_commit::two_phase_commit());
}

#[divan::bench]
fn register(bencher: Bencher<'_, '_>) {
    trial(bencher, &scenarios::quorum_register::register());
}

#[divan::bench]
fn raft_register(bencher: Bencher<'_, '_>) {
    trial(bencher, &scenarios::raft::raft_register());
}

/// Making the cases alone.
#[divan::bench]
fn bank_cases_only(bencher: Bencher<'_, '_>) {
    let (scenario, narrow) = (scenarios::bank::bank(), Narrow::default());
    bencher.counter(ItemsCount::new(CASES)).bench_local(|| {
        for index in 0..CASES {
            divan::black_box(case_of_seed(&scenario, seed_of(1, index), &narrow));
        }
    });
}
