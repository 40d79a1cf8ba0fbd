//! What a fact costs each protocol checker, and an operation those that read whole histories:
//! 100,000 of each, and a fixed loop to compare machines by.

use checkers::cache::Cache;
use checkers::commit::Commit;
use checkers::conservation::{Bank, BankOp, BankRet, Ledger, counter};
use checkers::convergence::Convergence;
use checkers::delivery::{Delivery, Set, SetOp, SetRet};
use checkers::idempotency::{Answer, Idempotency};
use checkers::models::{CounterOp, CounterRet};
use checkers::progress::Progress;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use history::{Actor, Event, History, What};
use std::time::Duration;

fn main() {
    divan::main();
}

/// Facts, or operations.
const MANY: u32 = 100_000;

fn measure(bencher: Bencher<'_, '_>, run: impl FnMut()) {
    bencher.counter(ItemsCount::new(MANY)).bench_local(run);
}

/// The reference: a multiplication and an addition for each.
#[divan::bench]
fn reference(bencher: Bencher<'_, '_>) {
    measure(bencher, || {
        let mut number = black_box(1u64);
        for _ in 0..MANY {
            number = black_box(number.wrapping_mul(6364136223846793005).wrapping_add(1));
        }
    });
}

/// Ten facts for each transaction over two parties.
#[divan::bench]
fn commit(bencher: Bencher<'_, '_>) {
    measure(bencher, || {
        let mut commit = Commit::new(["c", "p1", "p2"].map(str::to_owned).to_vec());
        let writers = [1, 2].into_iter().collect();
        for tx in 0..MANY / 10 {
            commit.asked(tx, writers, checkers::commit::Parties::NONE);
            commit.prepared(tx, tx, 1);
            commit.prepared(tx, tx, 2);
            commit.decided(tx, tx, 0).expect("right");
            for party in [1, 2] {
                commit.committed(tx, None, party).expect("right");
                commit.applied(tx, party, 1).expect("right");
                commit.contains(tx, party, 1).expect("right");
            }
        }
        assert!(commit.verdict().holds());
    });
}

#[divan::bench]
fn delivery(bencher: Bencher<'_, '_>) {
    measure(bencher, || {
        let mut queue = Delivery::exactly_once();
        for message in 0..MANY / 4 {
            queue.sent(message, Some(message % 64));
            queue.acknowledged(message);
            queue.delivered(message).expect("right");
            queue.replied(message, message).expect("right");
        }
        assert!(queue.verdict().holds());
    });
}

#[divan::bench]
fn idempotency(bencher: Bencher<'_, '_>) {
    measure(bencher, || {
        let mut keys = Idempotency::new();
        for key in 0..MANY / 5 {
            keys.asked(key, 1);
            keys.asked(key, 1);
            keys.effect(key).expect("right");
            keys.answered(key, 1, Answer::Done(key)).expect("right");
            keys.answered(key, 1, Answer::Done(key)).expect("right");
        }
        assert!(keys.verdict().holds());
    });
}

#[divan::bench]
fn ledger(bencher: Bencher<'_, '_>) {
    measure(bencher, || {
        let mut ledger = Ledger::new((0..64u32).map(|account| (account, 100)));
        for number in 0..MANY / 2 {
            ledger.change(number % 64, -1).expect("right");
            ledger.change(number % 64, 1).expect("right");
        }
    });
}

#[divan::bench]
fn cache(bencher: Bencher<'_, '_>) {
    measure(bencher, || {
        let mut cache = Cache::new();
        for number in 0..MANY / 2 {
            let (key, version) = (number % 64, u64::from(number / 64) + 1);
            let at = Duration::from_nanos(number.into());
            cache.committed(key, version, at);
            cache.read(number % 7, key, version, at).expect("right");
        }
        assert!(cache.verdict().holds());
    });
}

#[divan::bench]
fn convergence(bencher: Bencher<'_, '_>) {
    measure(bencher, || {
        let mut sync = Convergence::new(0..3u32);
        for number in 0..MANY / 5 {
            let (key, version) = (number % 64, number);
            sync.written(key, version);
            for replica in 0..3 {
                sync.stored(replica, key, version).expect("right");
            }
            sync.acknowledged(key, version);
        }
        assert!(sync.verdict().holds());
    });
}

#[divan::bench]
fn progress(bencher: Bencher<'_, '_>) {
    measure(bencher, || {
        let (mut waits, second) = (Progress::new(), Duration::from_secs(1));
        for what in 0..MANY / 2 {
            waits.due("in doubt", what, second);
            waits.done("in doubt", what, second).expect("right");
        }
        assert!(waits.verdict(second).holds());
    });
}

/// Operations one after the other.
fn history<Op, Ret>(operation: impl Fn(u32) -> (Op, Ret)) -> History<Op, Ret> {
    let mut history = History::new();
    for op in 0..MANY {
        let (asked, answer) = operation(op);
        let line = |what| Event { at: 0, op, actor: Actor::Client(0), process: 0, call: op, what };
        history.events.push(line(What::Invoke(asked)));
        history.events.push(line(What::Ok(answer)));
    }
    history
}

/// Reads of eight accounts.
#[divan::bench]
fn bank_history(bencher: Bencher<'_, '_>) {
    let balances: Vec<_> = (0..8u32).map(|account| (account, Some(10))).collect();
    let history = history(|_| (BankOp::Read, BankRet::Balances(balances.clone())));
    measure(bencher, || assert!(Bank::default().check(&history).holds()));
}

#[divan::bench]
fn counter_history(bencher: Bencher<'_, '_>) {
    let history = history(|op| match op % 2 {
        0 => (CounterOp::Add(1), CounterRet::Done),
        _ => (CounterOp::Read, CounterRet::Total(i64::from(op / 2) + 1)),
    });
    measure(bencher, || assert!(counter(0, &history).holds()));
}

/// Additions, and one read of them all.
#[divan::bench]
fn set_history(bencher: Bencher<'_, '_>) {
    let history = history(|op| match op {
        op if op + 1 < MANY => (SetOp::Add(op), SetRet::Done),
        _ => (SetOp::Read, SetRet::Elements((0..MANY - 1).collect())),
    });
    measure(bencher, || assert!(Set::default().check(&history).holds()));
}
