//! A register: what is read is what was written last. With compare-and-set.

use crate::polynomial::register::{self, Access};
use crate::polynomial::{Span, Values, answer};
use crate::{Decision, Model};
use history::Operation;
use std::fmt::Debug;
use std::hash::Hash;

/// A register that begins with this value; [`Keyed`](crate::Keyed) makes many of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Register<V = u64>(pub V);

/// What is asked of a register.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum RegisterOp<V = u64> {
    /// What is its value?
    Read,
    /// Take this value.
    Write(V),
    /// Take the second value if yours is the first.
    CompareAndSet(V, V),
}

/// What a register answers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum RegisterRet<V = u64> {
    /// To a read: the value.
    Value(V),
    /// To a write, or to a compare-and-set that found what it expected.
    Done,
    /// To a compare-and-set that found another value.
    Refused,
}

impl<V: Clone + Eq + Hash + Debug + 'static> Model for Register<V> {
    type Op = RegisterOp<V>;
    type Ret = RegisterRet<V>;
    type State = V;
    type Key = ();

    fn key(&self, _: &RegisterOp<V>) {}

    fn initial(&self, (): &()) -> V {
        self.0.clone()
    }

    fn step(&self, value: &V, op: &RegisterOp<V>, ret: Option<&RegisterRet<V>>) -> Option<V> {
        use {RegisterOp::*, RegisterRet::*};
        match (op, ret) {
            (Read, None) => Some(value.clone()),
            (Read, Some(Value(read))) => (read == value).then(|| value.clone()),
            (Write(new), None | Some(Done)) => Some(new.clone()),
            (CompareAndSet(old, new), None | Some(Done)) => (old == value).then(|| new.clone()),
            (CompareAndSet(old, _), Some(Refused)) => (old != value).then(|| value.clone()),
            (Read, Some(Done | Refused)) => None,
            (Write(_), Some(Value(_) | Refused)) => None,
            (CompareAndSet(..), Some(Value(_))) => None,
        }
    }

    fn observes(&self, op: &RegisterOp<V>, ret: Option<&RegisterRet<V>>) -> bool {
        matches!(op, RegisterOp::Read) || matches!(ret, Some(RegisterRet::Refused))
    }

    fn alike(&self, a: &RegisterOp<V>, b: &RegisterOp<V>) -> bool {
        a == b
    }

    fn overwrites(&self, op: &RegisterOp<V>, ret: Option<&RegisterRet<V>>) -> bool {
        matches!(op, RegisterOp::Write(_)) && matches!(ret, None | Some(RegisterRet::Done))
    }

    /// Judges histories in which every value is written once and is not the initial one. Refused
    /// compare-and-sets are fitted in where that is easy.
    fn decide<'a>(
        &self,
        (): &(),
        operations: impl ExactSizeIterator<Item = Operation<'a, Self::Op, Self::Ret>> + Clone,
    ) -> Option<Decision> {
        use {RegisterOp::*, RegisterRet::*};
        let mut values = Values::with_capacity(operations.len() / 2);
        values.number(&self.0);
        let mut accesses = Vec::with_capacity(operations.len());
        for (place, operation) in operations.enumerate() {
            let access = match (operation.op, answer(&operation)) {
                (Read, None) => continue,
                (Read, Some(Value(value))) => Access::Read(values.number(value)),
                (Write(new), None | Some(Done)) => Access::Write(values.number(new)),
                (CompareAndSet(old, new), None) if old == new => continue,
                (CompareAndSet(old, new), Some(Done)) if old == new => {
                    Access::Read(values.number(old))
                }
                (CompareAndSet(old, new), None | Some(Done)) => {
                    Access::Swap(values.number(old), values.number(new))
                }
                (CompareAndSet(old, _), Some(Refused)) => Access::Refused(values.number(old)),
                // An answer to another question: the search says so.
                _ => return None,
            };
            accesses.push((Span::of(place, &operation)?, access));
        }
        register::decide(&accesses, values.len(), |value| format!("{:?}", values.get(value)))
    }
}
