//! Golden ledgers, reservations, banks and counters, accepted and rejected, and random ones.

use super::{Bank, BankOp, BankRet, Ledger, Reservations, counter};
use crate::models::{Counter, CounterOp, CounterRet};
use crate::{Anomaly, Verdict, linearizable};
use history::{Actor, Event, History, What};
use proptest::prelude::*;
use proptest::sample::Index;

fn said<T: std::fmt::Debug>(judged: Result<T, Box<Anomaly>>) -> String {
    judged.expect_err("a violation").to_string()
}

/// A history of what happens to numbered operations; each has a client of its own.
fn history<Op, Ret>(lines: impl IntoIterator<Item = (u32, What<Op, Ret>)>) -> History<Op, Ret> {
    let event = |(op, what)| {
        let actor = Actor::Client(op as u16);
        Event { at: 0, op, actor, process: op, call: op, what }
    };
    History { events: lines.into_iter().map(event).collect() }
}

#[test]
fn a_ledger_accepts_transfers_and_whole_reads() {
    let mut ledger = Ledger::new([("ann", 10), ("bob", 0)]);
    assert!(matches!(ledger.verdict(), Verdict::Unknown(_)));
    for amount in [7, 3, -10] {
        ledger.change("ann", -amount).expect("enough is there");
        ledger.change("bob", amount).expect("enough is there");
        let read = [("ann", 10 - amount), ("bob", amount)];
        ledger.snapshot("call 1", read).expect("the sum is 10");
    }
    ledger.ends(&"ann", 10).expect("as its changes make it");
    ledger.ends(&"zoe", 0).expect("an account that nobody touched");
    assert_eq!(ledger.verdict(), Verdict::Holds);
}

#[test]
fn a_ledger_rejects() {
    let ledger = || Ledger::new([("ann", 10), ("bob", 0)]);
    let (ann, bob) = ("ann", "bob");
    let read = |balances: &[(&'static str, i64)]| {
        said(ledger().snapshot("call 4", balances.iter().copied()))
    };
    // Read skew: ann before the transfer of 7, bob after it.
    assert_eq!(read(&[(ann, 10), (bob, 7)]), "read_all: call 4 read a sum of 17, expected 10");
    assert_eq!(read(&[(ann, 10)]), "read_all: call 4 read 1 accounts, expected 2");
    let below = "negative balance: \"bob\" falls to -1";
    assert_eq!(said(ledger().change(bob, -1)), below);
    assert_eq!(said(ledger().balance(&bob, -1)), below);
    assert_eq!(said(ledger().change("zoe", -2)), "negative balance: \"zoe\" falls to -2");
    assert_eq!(said(ledger().ends(&ann, 9)), "lost update: \"ann\" is 9, expected 10");
    let mut overdrawn = Ledger { floor: None, ..ledger() };
    assert!(overdrawn.change(bob, -1).is_ok(), "where no floor was promised");
}

#[test]
fn reservations_are_kept_or_given_back() {
    let mut orders = Reservations::new();
    assert!(matches!(orders.verdict(), Verdict::Unknown(_)));
    orders.reserved(1, 5).expect("new");
    orders.kept(1, 2).expect("2 of 5");
    orders.given_back(1, 3).expect("the rest");
    orders.reserved(2, 1).expect("new");
    let leaked = "leaked reservation: 2 reserved 1, kept 0 and gave back 0: 1 are left";
    assert_eq!(said(orders.end()), leaked, "K3: a step that may have run is not compensated");
    orders.given_back(2, 1).expect("the rest");
    assert_eq!(orders.verdict(), Verdict::Holds);
    let twice = "more than reserved: 2 reserved 1, kept 0 and gave back 2";
    assert_eq!(said(orders.given_back(2, 1)), twice, "K4: a compensation is carried out again");
    let unknown = "more than reserved: 3 settles 1, and nothing was set aside";
    assert_eq!(said(orders.kept(3, 1)), unknown, "E6: sold without being set aside");
    assert_eq!(said(orders.reserved(1, 4)), "reserved twice: 1 reserved 5, and 4 once more");
}

type Balances = Vec<(&'static str, Option<i64>)>;

fn reads(all: &[Balances]) -> History<BankOp<&'static str>, BankRet<&'static str>> {
    let lines = (0..).zip(all).flat_map(|(op, balances)| {
        let answer = What::Ok(BankRet::Balances(balances.clone()));
        [(op, What::Invoke(BankOp::Read)), (op, answer)]
    });
    history(lines)
}

#[test]
fn jepsens_bank() {
    let of = |a, b| vec![("ann", Some(a)), ("bob", Some(b))];
    let (unknown, known) = (Bank::default(), Bank { total: Some(10), ..Bank::default() });
    let debts = Bank { floor: None, ..unknown };
    let cases = [
        (unknown, vec![of(10, 0), of(3, 7)], "HOLDS"),
        (known, vec![of(3, 7)], "HOLDS"),
        (debts, vec![of(10, 0), of(11, -1)], "HOLDS"),
        (unknown, vec![], "UNKNOWN   conservation: no read completed"),
        (
            unknown,
            vec![of(3, 7)],
            "UNKNOWN   conservation: one read, and nobody said what the sum should be",
        ),
        (
            unknown,
            vec![of(10, 0), of(3, 0)],
            "VIOLATED   read_all: client 1 (call 1) read a sum of 3, expected 10",
        ),
        (
            known,
            vec![of(3, 6)],
            "VIOLATED   read_all: client 0 (call 0) read a sum of 9, expected 10",
        ),
        (
            unknown,
            vec![of(11, -1)],
            "VIOLATED   negative balance: client 0 (call 0) read \"bob\" at -1",
        ),
        (
            unknown,
            vec![of(10, 0), vec![("ann", Some(10))]],
            "VIOLATED   accounts: client 1 (call 1) did not find \"bob\"",
        ),
        (
            unknown,
            vec![of(10, 0), vec![("ann", Some(10)), ("bob", None)]],
            "VIOLATED   accounts: client 1 (call 1) read \"bob\" without a balance",
        ),
        (
            unknown,
            vec![vec![("ann", Some(10))], of(10, 0)],
            "VIOLATED   accounts: client 1 (call 1) read \"bob\", which is no account",
        ),
    ];
    for (bank, all, expected) in cases {
        assert_eq!(bank.check(&reads(&all)).to_string(), expected, "{all:?}");
    }
}

type Line = (u32, What<CounterOp, CounterRet>);

fn add(op: u32, amount: i64) -> Line {
    (op, What::Invoke(CounterOp::Add(amount)))
}

fn read(op: u32) -> Line {
    (op, What::Invoke(CounterOp::Read))
}

fn done(op: u32) -> Line {
    (op, What::Ok(CounterRet::Done))
}

fn total(op: u32, total: i64) -> Line {
    (op, What::Ok(CounterRet::Total(total)))
}

#[test]
fn jepsens_counter() {
    let out = |op, seen, low, high| {
        format!(
            "VIOLATED   out of bounds: client {op} (call {op}) read {seen}, possible were {low} \
             to {high}"
        )
    };
    let holds = "HOLDS".to_owned();
    let cases = [
        (vec![add(0, 5), done(0), read(1), total(1, 5)], holds.clone()),
        (vec![add(0, 5), read(1), total(1, 0), done(0)], holds.clone()),
        (vec![read(1), add(0, 5), done(0), total(1, 5)], holds.clone()),
        (vec![add(0, 5), (0, What::Info), read(1), total(1, 5)], holds.clone()),
        (vec![add(0, -5), read(1), total(1, -5)], holds.clone()),
        (vec![add(0, 5), total(0, 5)], holds),
        (vec![add(0, 5), done(0), read(1), total(1, 0)], out(1, 0, 5, 5)),
        (vec![add(0, 5), read(1), total(1, 6)], out(1, 6, 0, 5)),
        (vec![add(0, -5), done(0), read(1), total(1, 0)], out(1, 0, -5, -5)),
        (vec![add(0, 5), total(0, 0)], out(0, 0, 5, 5)),
        (vec![add(0, 5), read(1), total(1, 5), (0, What::Fail("".into()))], out(1, 5, 0, 0)),
        (
            vec![add(0, 5), done(0), read(1)],
            "UNKNOWN   conservation: no read of the counter completed".to_owned(),
        ),
    ];
    for (lines, expected) in cases {
        assert_eq!(counter(0, &history(lines.clone())).to_string(), expected, "{lines:?}");
    }
}

/// Operations take effect at once, at their completion or never; every read sees the true total.
fn counted(steps: &[(i64, u8)]) -> Vec<Line> {
    let (mut lines, mut sum) = (Vec::new(), 0);
    let mut open: Vec<(u32, i64)> = Vec::new();
    for (op, (amount, fate)) in (0..).zip(steps) {
        lines.push(if *amount == 0 { read(op) } else { add(op, *amount) });
        open.push((op, *amount));
        for _ in 0..fate % 3 {
            let Some((op, amount)) = (!open.is_empty()).then(|| open.remove(0)) else { break };
            sum += amount;
            match (amount, fate / 3 % 3) {
                (0, _) | (_, 0) => lines.push(total(op, sum)),
                (_, 1) => lines.push(done(op)),
                _ => lines.push((op, What::Info)),
            }
        }
    }
    lines
}

proptest! {
    #[test]
    fn what_is_linearizable_lies_within_the_bounds(
        steps in prop::collection::vec((-3..4i64, 0..9u8), 1..20),
        at in any::<Index>(),
        off in -3..4i64,
    ) {
        let mut lines = counted(&steps);
        prop_assert!(!counter(0, &history(lines.clone())).is_violated(), "{lines:?}");
        let at = at.index(lines.len());
        if let What::Ok(CounterRet::Total(total)) = &mut lines[at].1 {
            *total += off;
        }
        let spoiled = history(lines.clone());
        if linearizable(&Counter(0), &spoiled).holds() {
            prop_assert!(!counter(0, &spoiled).is_violated(), "{lines:?}");
        }
        if let What::Ok(CounterRet::Total(total)) = &mut lines[at].1 {
            *total += 1000;
            prop_assert!(counter(0, &history(lines.clone())).is_violated(), "{lines:?}");
        }
    }

    #[test]
    fn a_ledger_of_transfers_holds_until_one_half_is_lost(
        transfers in prop::collection::vec((0..4u8, 0..4u8, 1..10i64), 1..30),
        lost in any::<Index>(),
    ) {
        let lost = lost.index(transfers.len());
        let mut ledger = Ledger::new((0..4u8).map(|account| (account, 1000)));
        let (mut right, mut wrong) = ([1000i64; 4], [1000i64; 4]);
        for (number, (from, to, amount)) in transfers.iter().enumerate() {
            let (from, to) = (usize::from(*from), usize::from(*to));
            prop_assert!(ledger.change(from as u8, -amount).is_ok());
            prop_assert!(ledger.change(to as u8, *amount).is_ok());
            for (balances, whole) in [(&mut right, true), (&mut wrong, number != lost)] {
                balances[from] -= amount;
                balances[to] += if whole { *amount } else { 0 };
            }
            prop_assert!(ledger.snapshot("call", (0..).zip(right)).is_ok());
        }
        prop_assert!((0..4u8).zip(right).all(|(account, b)| ledger.ends(&account, b).is_ok()));
        prop_assert!(ledger.snapshot("call", (0..).zip(wrong)).is_err());
        prop_assert!((0..4u8).zip(wrong).any(|(account, b)| ledger.ends(&account, b).is_err()));
    }
}
