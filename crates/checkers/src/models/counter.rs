//! A counter: every addition counts once.

use crate::Model;

/// A counter that begins with this total; [`Keyed`](crate::Keyed) makes many of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counter(pub i64);

/// What is asked of a counter.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CounterOp {
    /// What is the total?
    Read,
    /// Add this.
    Add(i64),
}

/// What a counter answers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CounterRet {
    /// The total; to an addition, with what it added.
    Total(i64),
    /// To an addition: done.
    Done,
}

impl Model for Counter {
    type Op = CounterOp;
    type Ret = CounterRet;
    type State = i64;
    type Key = ();

    fn key(&self, _: &CounterOp) {}

    fn initial(&self, (): &()) -> i64 {
        self.0
    }

    fn step(&self, total: &i64, op: &CounterOp, ret: Option<&CounterRet>) -> Option<i64> {
        let after = match op {
            CounterOp::Read => *total,
            CounterOp::Add(amount) => total.checked_add(*amount)?,
        };
        let fits = match (op, ret) {
            (_, Some(CounterRet::Total(seen))) => *seen == after,
            (CounterOp::Read, Some(CounterRet::Done)) => false,
            (_, None) | (CounterOp::Add(_), Some(CounterRet::Done)) => true,
        };
        fits.then_some(after)
    }

    fn observes(&self, op: &CounterOp, _: Option<&CounterRet>) -> bool {
        matches!(op, CounterOp::Read)
    }

    fn alike(&self, a: &CounterOp, b: &CounterOp) -> bool {
        a == b
    }
}
