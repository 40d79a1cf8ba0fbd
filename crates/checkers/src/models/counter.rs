//! A counter: every addition counts once.

use crate::polynomial::count::{self, Step};
use crate::polynomial::fetch_and_add::{self, Addition};
use crate::polynomial::{Span, answer};
use crate::{Decision, Model};
use history::Operation;

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

    /// Judges histories in which no amount is negative, and either all additions say what they
    /// came to, or none does. Of the latter, those with different amounts can only be refused.
    fn decide<'a>(
        &self,
        (): &(),
        operations: impl ExactSizeIterator<Item = Operation<'a, Self::Op, Self::Ret>> + Clone,
    ) -> Option<Decision> {
        use {CounterOp::*, CounterRet::*};
        let told = |operation: &Operation<'_, CounterOp, CounterRet>| {
            matches!((operation.op, answer(operation)), (Add(_), Some(Total(_))))
        };
        if !operations.clone().any(|operation| told(&operation)) {
            let mut steps = Vec::with_capacity(operations.len());
            for (place, operation) in operations.enumerate() {
                let step = match (operation.op, answer(&operation)) {
                    (Read, None) => continue,
                    (Read, Some(Total(seen))) => Step::Read(*seen),
                    (Read, Some(Done)) => return None,
                    (Add(amount), _) => Step::Add(*amount),
                };
                steps.push((Span::of(place, &operation)?, step));
            }
            return count::decide(&steps, self.0);
        }
        let mut additions = Vec::with_capacity(operations.len());
        for (place, operation) in operations.enumerate() {
            let (amount, seen) = match (operation.op, answer(&operation)) {
                (Read, None) => continue,
                (Read, Some(Total(seen))) => (0, *seen),
                (Add(amount), Some(Total(after))) => (*amount, after.checked_sub(*amount)?),
                (Add(amount), None) => (*amount, 0),
                (_, Some(Done)) => return None,
            };
            additions.push(Addition { span: Span::of(place, &operation)?, seen, amount });
        }
        fetch_and_add::decide(&additions, self.0)
    }
}
