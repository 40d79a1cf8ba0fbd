//! Histories that each model accepts, and others that it refuses, drawn as they happened.
//!
//! A row is a client, a bar one call: `|--w1--|` ended, `|--w1--?` has an unknown outcome,
//! `|--w1--x` failed. Bars of which one ends in the column where the other begins overlap.

mod common;

use checkers::models::{
    Counter, CounterOp, CounterRet, FencedMutex, FencedOp, FencedRet, Mutex, MutexOp, MutexRet,
    Register, RegisterOp, RegisterRet,
};
use checkers::{Keyed, Model, Verdict, linearizable, linearizable_within};
use common::{Call, history};
use history::{History, What};

type Parse<M> = fn(&str) -> (<M as Model>::Op, <M as Model>::Ret);

fn calls<M: Model>(drawing: &str, parse: Parse<M>) -> Vec<Call<M::Op, M::Ret>> {
    let mut calls = Vec::new();
    for (client, row) in drawing.lines().filter(|row| !row.trim().is_empty()).enumerate() {
        let (mut at, mut call) = (0, 0);
        while let Some(begin) = row[at..].find("|-") {
            let from = at + begin;
            let to = from + 2 + row[from + 2..].find(['|', '?', 'x']).expect("a bar that ends");
            let (op, ret) = parse(row[from + 1..to].trim_matches('-'));
            let end = match &row[to..=to] {
                "|" => What::Ok(ret),
                "?" => What::Info,
                _ => What::Fail("".into()),
            };
            let client = client as u16;
            calls.push(Call { client, call, from: from as u64, to: to as u64, op, end });
            (at, call) = (to + 1, call + 1);
        }
    }
    calls
}

/// `refused` is what the message says of the operation, and of the states that it found; nothing
/// if the history must be accepted.
fn check<M: Model>(model: &M, parse: Parse<M>, drawing: &str, refused: Option<(&str, &str)>)
where
    M::Op: Clone,
    M::Ret: Clone,
{
    let verdict = linearizable(model, &history(&calls::<M>(drawing, parse)));
    let Some((claim, states)) = refused else {
        assert_eq!(verdict, Verdict::Holds, "{drawing}");
        return;
    };
    let anomaly = verdict.anomaly().unwrap_or_else(|| panic!("{verdict}\n{drawing}"));
    let expected = format!("{claim}, but while it ran the state could only be {states}");
    assert_eq!(anomaly.message, expected, "{drawing}");
    assert_eq!(anomaly.signature(), "linearizable / not linearizable");
}

fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error:?}"))
}

/// `w1` wrote, `r1` read, `c0>1` set 1 because it found 0, `c0!1` did not.
fn register(text: &str) -> (RegisterOp, RegisterRet) {
    let set = |(old, new)| RegisterOp::CompareAndSet(number(old), number(new));
    match text.split_at(1) {
        ("w", value) => (RegisterOp::Write(number(value)), RegisterRet::Done),
        ("r", value) => (RegisterOp::Read, RegisterRet::Value(number(value))),
        ("c", pair) => match pair.split_once('>') {
            Some(pair) => (set(pair), RegisterRet::Done),
            None => (set(pair.split_once('!').expect("a pair")), RegisterRet::Refused),
        },
        _ => panic!("{text}"),
    }
}

#[test]
fn register_accepts() {
    for drawing in [
        "",
        "|-r0-| |-w1-| |-r1-|",
        // A read beside a write may see either.
        "
        |----w1----|
          |-r0-|
          |-r1-|
        ",
        // The order of two writes is what the reads say.
        "
        |-----w1-----|  |-r1-|
        |-----w2-----|
        ",
        "
        |-----w1-----|
        |-----w2-----|  |-r1-|
             |-r2-|
        ",
        // One of unknown outcome took effect late, or never, and one that failed did not.
        "
        |-w1-?
               |-r0-| |-w2-| |-r1-|
        ",
        "
        |-w1-?
               |-r0-|
        ",
        "
        |-w1-x
               |-r0-|
        ",
        "
        |-w1-?
           |-w2-|  |-r2-| |-r1-| |-w3-| |-r3-|
        ",
        // A read without an answer tells nothing.
        "|-r7-?",
        "|-c0>1-| |-r1-| |-c0!2-| |-r1-|",
        "
        |-c0>1-|  |-r2-|
        |-c1>2-|
        |-c0!3-|
        ",
        "
        |-c1>2-?
                 |-w1-| |-r2-|
        ",
    ] {
        check(&Register::default(), register, drawing, None);
    }
}

#[test]
fn register_refuses() {
    for (drawing, claim, states) in [
        ("|-r1-|", "Read by client 0 (call 0) returned Value(1)", "0"),
        // Stale.
        (
            "
            |-w1-|
                   |-r0-|
            ",
            "Read by client 1 (call 0) returned Value(0)",
            "1",
        ),
        // New, then old again.
        (
            "
            |--------w1--------|
              |-r1-| |-r0-|
            ",
            "Read by client 1 (call 1) returned Value(0)",
            "1",
        ),
        // Two readers that disagree.
        (
            "
            |---w1---|
            |---w2---|
                       |-r1-|
                              |-r2-|
            ",
            "Read by client 3 (call 0) returned Value(2)",
            "1",
        ),
        (
            "
            |-w1-?
            |-w2-?
                   |--w3--|
                     |-----r4-----|
            ",
            "Read by client 3 (call 0) returned Value(4)",
            "0, 3, 1 or 2",
        ),
        // It failed, so it must not be seen; and one of unknown outcome takes effect once.
        (
            "
            |-w1-x
                   |-r1-|
            ",
            "Read by client 1 (call 0) returned Value(1)",
            "0",
        ),
        (
            "
            |-w1-?
                   |-r1-| |-w2-| |-r2-| |-r1-|
            ",
            "Read by client 1 (call 3) returned Value(1)",
            "2",
        ),
        (
            "
            |-c0>1-|
            |-c0>2-|
            ",
            "CompareAndSet(0, 2) by client 1 (call 0) returned Done",
            "1",
        ),
        ("|-c0!1-|", "CompareAndSet(0, 1) by client 0 (call 0) returned Refused", "0"),
    ] {
        check(&Register::default(), register, drawing, Some((claim, states)));
    }
}

/// `k:` and what [`register`] reads.
fn keyed(text: &str) -> ((char, RegisterOp), RegisterRet) {
    let (op, ret) = register(&text[2..]);
    ((number(&text[..1]), op), ret)
}

#[test]
fn keys_are_judged_apart() {
    let model = Keyed::new(Register::default());
    check(&model, keyed, "|-a:w1-| |-b:r0-| |-a:r1-| |-b:w2-| |-a:r1-|", None);
    check(
        &model,
        keyed,
        "|-a:w1-| |-b:r0-| |-b:w2-| |-a:r2-|",
        Some(("('a', Read) by client 0 (call 3) returned Value(2)", "1")),
    );
}

/// `a1` acquired by 1, `a1!` refused; `r1` and `r1!` so for a release.
fn mutex(text: &str) -> (MutexOp, MutexRet) {
    let refused = text.ends_with('!');
    let owner = number(text[1..].trim_end_matches('!'));
    let op = if text.starts_with('a') { MutexOp::Acquire(owner) } else { MutexOp::Release(owner) };
    (op, if refused { MutexRet::Refused } else { MutexRet::Done })
}

#[test]
fn mutex_accepts() {
    for drawing in [
        "|-a1-| |-r1-| |-a2-| |-a1!-| |-r1!-|",
        "
        |-a1-| |---r1---|
                |--a2--| |-r2-|
        ",
        "
        |-a1-|
           |---a2---|
                  |-r1-|
        ",
        // Its holder crashed: the hold may have ended.
        "
        |-a1-| |-r1-?
                      |-a2-|
        ",
        // Granted to a client that never learnt it.
        "
        |-a1-?
               |-a2!-|
        ",
    ] {
        check(&Mutex, mutex, drawing, None);
    }
}

#[test]
fn mutex_refuses() {
    for (drawing, claim, states) in [
        ("|-a1-| |-a2-|", "Acquire(2) by client 0 (call 1) returned Done", "held by 1"),
        (
            "
            |-a1-|
               |--a2--|
                       |-r1-|
            ",
            "Acquire(2) by client 1 (call 0) returned Done",
            "held by 1",
        ),
        ("|-a1-| |-r2-|", "Release(2) by client 0 (call 1) returned Done", "held by 1"),
        ("|-a1!-|", "Acquire(1) by client 0 (call 0) returned Refused", "free"),
    ] {
        check(&Mutex, mutex, drawing, Some((claim, states)));
    }
}

/// `a1=7` acquired by 1 under fence 7, `r1=7` released, each with `!` refused.
fn fenced(text: &str) -> (FencedOp, FencedRet) {
    let (owner, fence) = text[1..].trim_end_matches('!').split_once('=').expect("owner = fence");
    let (owner, fence) = (number(owner), number(fence));
    let (op, ret) = match &text[..1] {
        "a" => (FencedOp::Acquire { owner }, FencedRet::Granted(fence)),
        _ => (FencedOp::Release { owner, fence }, FencedRet::Released),
    };
    (op, if text.ends_with('!') { FencedRet::Refused } else { ret })
}

#[test]
fn fenced_mutex_accepts() {
    for drawing in [
        "|-a1=1-| |-r1=1-| |-a2=5-| |-r2=4!-| |-r2=5-|",
        // A grant that nobody learnt of took a fence, and its owner finds out which.
        "
        |-a1=0-?
                 |-a2=0!-| |-r1=3-| |-a2=4-|
        ",
        // It may have come to nothing.
        "
        |-a1=0-?
                 |-a2=1-|
        ",
        // Its holder crashed, and the hold ran out at some time.
        "
        |-a1=1-| |-r1=1-?
                          |-a2=0!-| |-a2=2-|
        ",
    ] {
        check(&FencedMutex, fenced, drawing, None);
    }
}

#[test]
fn fenced_mutex_refuses() {
    for (drawing, claim, states) in [
        (
            "|-a1=1-| |-a2=2-|",
            "Acquire { owner: 2 } by client 0 (call 1) returned Granted(2)",
            "held by 1 under fence 1",
        ),
        // The counter was forgotten in a restart.
        (
            "|-a1=1-| |-r1=1-| |-a2=1-|",
            "Acquire { owner: 2 } by client 0 (call 2) returned Granted(1)",
            "free after fence 1",
        ),
        // Released by the fence of an earlier hold.
        (
            "|-a1=1-| |-r1=1-| |-a1=2-| |-r1=1-|",
            "Release { owner: 1, fence: 1 } by client 0 (call 3) returned Released",
            "held by 1 under fence 2",
        ),
        // Released by another owner.
        (
            "|-a1=1-| |-r2=1-|",
            "Release { owner: 2, fence: 1 } by client 0 (call 1) returned Released",
            "held by 1 under fence 1",
        ),
        // Between these two the unknown one had a fence, or did not come to pass.
        (
            "
                      |-a3=0-?
            |-a1=1-| |-r1=1-| |-r3=1-|
            ",
            "Release { owner: 3, fence: 1 } by client 1 (call 2) returned Released",
            "free after fence 1 or held by 3 under a fence of at least 2",
        ),
    ] {
        check(&FencedMutex, fenced, drawing, Some((claim, states)));
    }
}

/// `r1` read 1, `a2` added 2, `a2=3` added 2 and was told 3.
fn counter(text: &str) -> (CounterOp, CounterRet) {
    let total = |total| CounterRet::Total(number(total));
    match text.split_at(1) {
        ("r", seen) => (CounterOp::Read, total(seen)),
        (_, add) => match add.split_once('=') {
            Some((add, seen)) => (CounterOp::Add(number(add)), total(seen)),
            None => (CounterOp::Add(number(add)), CounterRet::Done),
        },
    }
}

#[test]
fn counter_accepts() {
    for drawing in [
        "|-a1-| |-a2=3-| |-r3-| |-a-4=-1-|",
        "
        |---a1---|
        |---a2---|
         |-r0-|
         |-r1-|
        ",
        "
        |-a1-?
               |-r0-| |-r1-|
        ",
    ] {
        check(&Counter::default(), counter, drawing, None);
    }
}

#[test]
fn counter_refuses() {
    for (drawing, claim, states) in [
        // Lost.
        (
            "
            |-a1=1-|
            |-a1=1-|
            ",
            "Add(1) by client 1 (call 0) returned Total(1)",
            "1",
        ),
        // Counted twice.
        (
            "
            |-a1-?
                   |-r2-|
            ",
            "Read by client 1 (call 0) returned Total(2)",
            "0 or 1",
        ),
        (
            "
            |---a1---|
            |---a2---|
             |-r1-|
             |-r2-|
            ",
            "Read by client 3 (call 0) returned Total(2)",
            "0, 1 or 3",
        ),
    ] {
        check(&Counter::default(), counter, drawing, Some((claim, states)));
    }
}

/// So many additions at once, and a total that no order of them gives.
fn additions(clients: u16) -> History<CounterOp, CounterRet> {
    let calls: Vec<_> = (0..clients)
        .map(|client| {
            let ret = if client == 0 { CounterRet::Total(0) } else { CounterRet::Done };
            let op = CounterOp::Add(1 << client);
            Call { client, call: 0, from: 0, to: 9, op, end: What::Ok(ret) }
        })
        .collect();
    history(&calls)
}

#[test]
fn dead_ends_are_remembered() {
    // 2^10 sets of additions, where there are 10! orders.
    let verdict = linearizable_within(40_000, &Counter::default(), &additions(10));
    assert!(verdict.is_violated(), "{verdict}");
}

#[test]
fn a_search_without_end_is_unknown() {
    let verdict = linearizable_within(10_000, &Counter::default(), &additions(40));
    let reason = "linearizable: 40 operations on one object, and the search ended at its bound of \
                  10000 steps";
    assert_eq!(verdict, Verdict::Unknown(reason.to_owned()));
}
