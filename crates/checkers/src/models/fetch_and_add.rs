//! Fetch-and-add: every addition says what the total was before it.

use crate::polynomial::fetch_and_add::{self, Addition};
use crate::polynomial::{Span, answer};
use crate::{Decision, Model};
use history::Operation;

/// A total that begins with this; [`Keyed`](crate::Keyed) makes many of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FetchAndAdd(pub i64);

/// What is asked of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FetchAndAddOp {
    /// What is the total?
    Read,
    /// What is the total? And add this to it.
    FetchAndAdd(i64),
}

/// What it answers: the total, before the addition if there is one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Fetched(pub i64);

impl FetchAndAddOp {
    fn amount(self) -> i64 {
        match self {
            Self::Read => 0,
            Self::FetchAndAdd(amount) => amount,
        }
    }
}

impl Model for FetchAndAdd {
    type Op = FetchAndAddOp;
    type Ret = Fetched;
    type State = i64;
    type Key = ();

    fn key(&self, _: &FetchAndAddOp) {}

    fn initial(&self, (): &()) -> i64 {
        self.0
    }

    fn step(&self, total: &i64, op: &FetchAndAddOp, ret: Option<&Fetched>) -> Option<i64> {
        let fits = ret.is_none_or(|Fetched(seen)| seen == total);
        fits.then(|| total.checked_add(op.amount())).flatten()
    }

    fn observes(&self, op: &FetchAndAddOp, _: Option<&Fetched>) -> bool {
        op.amount() == 0
    }

    /// Judges histories in which no amount is negative.
    fn decide<'a>(
        &self,
        (): &(),
        operations: impl ExactSizeIterator<Item = Operation<'a, Self::Op, Self::Ret>> + Clone,
    ) -> Option<Decision> {
        let mut additions = Vec::with_capacity(operations.len());
        for (place, operation) in operations.enumerate() {
            let seen = answer(&operation).map_or(0, |Fetched(seen)| *seen);
            let span = Span::of(place, &operation)?;
            additions.push(Addition { span, seen, amount: operation.op.amount() });
        }
        fetch_and_add::decide(&additions, self.0)
    }
}
