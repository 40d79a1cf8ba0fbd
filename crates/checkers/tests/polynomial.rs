//! The procedures that models have of their own, against every permutation.

#[path = "common/objects.rs"]
mod objects;
#[path = "common/truth.rs"]
mod truth;

use checkers::Model;
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
