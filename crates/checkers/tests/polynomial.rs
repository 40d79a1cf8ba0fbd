//! The procedures that models have of their own, against every permutation.

mod common;
#[path = "common/objects.rs"]
mod objects;
#[path = "common/truth.rs"]
mod truth;

use checkers::models::{Mutex, MutexOp, MutexRet, Register, RegisterOp, RegisterRet};
use checkers::{Conflict, Decision, Model};
use common::{Call, history};
use history::What;
use truth::{Object, Tally, differ};

const HISTORIES: u64 = 20_000;

/// Of a hundred histories at least so many must get an order, and so many a conflict; at most so
/// many may get neither.
fn check<M>(object: &Object<M>, [orders, conflicts, neither]: [u64; 3])
where
    M: Model<Op: Clone, Ret: Clone>,
{
    let tally = differ(object, 1, HISTORIES);
    let all = tally.orders + tally.conflicts + tally.neither;
    let Tally { orders: o, conflicts: c, neither: n } = tally;
    let fits = o * 100 >= orders * all && c * 100 >= conflicts * all && n * 100 <= neither * all;
    assert!(fits, "{tally:?}");
}

#[test]
fn registers() {
    check(&objects::plain_register(), [40, 10, 0]);
    check(&objects::register(), [40, 10, 2]);
}

#[test]
fn queues() {
    check(&objects::queue(), [40, 10, 5]);
}

#[test]
fn stacks() {
    check(&objects::stack(), [40, 10, 5]);
}

#[test]
fn locks() {
    check(&objects::mutex(), [40, 5, 30]);
    check(&objects::fenced_mutex(), [40, 5, 30]);
}

#[test]
fn sets() {
    check(&objects::set(), [40, 5, 0]);
}

#[test]
fn additions() {
    check(&objects::fetch_and_add(), [40, 5, 10]);
    check(&objects::counter(), [40, 5, 0]);
    check(&objects::told_counter(), [40, 5, 10]);
    check(&objects::bounded_counter(), [0, 5, 100]);
}

/// What the procedure says of register operations, each from one time to another.
fn decide(calls: &[(u64, u64, RegisterOp, Option<RegisterRet>)]) -> Option<Decision> {
    let calls: Vec<Call<RegisterOp, RegisterRet>> = (0..)
        .zip(calls)
        .map(|(call, (from, to, op, ret))| {
            let end = ret.clone().map_or(What::Info, What::Ok);
            Call { client: call as u16, call, from: *from, to: *to, op: op.clone(), end }
        })
        .collect();
    Register(0).decide(&(), history(&calls).operations().into_iter())
}

/// That a refused one is taken to have seen a value is a guess, and no reason to refuse a history.
#[test]
fn a_guess_proves_nothing() {
    use {RegisterOp::*, RegisterRet::*};
    let decision = decide(&[
        (0, 99, Write(1), None),
        (2, 5, CompareAndSet(1, 3), Some(Refused)),
        (3, 8, Write(4), Some(Done)),
        (4, 6, CompareAndSet(0, 5), Some(Refused)),
        (7, 9, CompareAndSet(4, 6), Some(Refused)),
    ]);
    assert!(!matches!(decision, Some(Decision::Conflict(_))), "{decision:?}");
}

#[test]
fn conflicts_say_what_is_wrong() {
    use {RegisterOp::*, RegisterRet::*};
    let write = |from, to, value| (from, to, Write(value), Some(Done));
    let read = |from, to, value| (from, to, Read, Some(Value(value)));
    let swap = |from, to, old, new| (from, to, CompareAndSet(old, new), Some(Done));
    for (calls, operations, reason) in [
        (
            vec![write(0, 1, 1), write(2, 3, 2), read(4, 5, 2), read(6, 7, 1)],
            vec![0, 1, 3],
            "1 was read after 2 had overwritten it",
        ),
        (vec![read(0, 1, 7)], vec![0], "7 was read, and no write of it took effect"),
        (vec![read(0, 1, 7), write(2, 3, 7)], vec![0, 1], "7 was read before its write began"),
        (
            vec![swap(0, 1, 0, 1), swap(2, 3, 0, 2)],
            vec![0, 1],
            "0 was replaced by 1 and by 2, and written only once",
        ),
        (
            vec![write(0, 1, 1), (2, 3, CompareAndSet(1, 2), Some(Refused)), read(4, 5, 1)],
            vec![0, 1, 2],
            "a compare-and-set was refused that expected 1, which was there all the time",
        ),
    ] {
        let conflict = Conflict { operations, reason: reason.to_owned() };
        assert_eq!(decide(&calls), Some(Decision::Conflict(conflict)));
    }
}

/// A release of unknown outcome that the last hold could take may have parted an earlier one in
/// two, together with an acquisition of unknown outcome.
#[test]
fn an_owner_may_have_let_another_in_between() {
    use MutexOp::{Acquire, Release};
    let done = |from, to, op| (from, to, op, What::Ok(MutexRet::Done));
    let calls = [
        (0, 99, Acquire(0), What::Info),
        done(2, 3, Acquire(0)),
        (4, 99, Release(0), What::Info),
        done(5, 6, Acquire(1)),
        done(7, 8, Release(1)),
        done(9, 10, Release(0)),
        done(11, 12, Acquire(0)),
    ];
    let calls: Vec<Call<MutexOp, MutexRet>> = (0..)
        .zip(calls)
        .map(|(call, (from, to, op, end))| Call { client: call as u16, call, from, to, op, end })
        .collect();
    let decision = Mutex.decide(&(), history(&calls).operations().into_iter());
    assert!(!matches!(decision, Some(Decision::Conflict(_))), "{decision:?}");
}
