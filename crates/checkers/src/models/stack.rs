//! A stack: last in, first out.

use super::chain::Chain;
use crate::polynomial::items::Move;
use crate::polynomial::{Span, Values, answer, stack};
use crate::{Decision, Model};
use history::Operation;
use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;

/// A stack, empty at first: what leaves is what came last. [`Keyed`](crate::Keyed) makes many of
/// it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stack<V = u64>(PhantomData<V>);

/// What is asked of a stack.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum StackOp<V = u64> {
    /// Put this on top.
    Push(V),
    /// Take what is on top.
    Pop,
}

/// What a stack answers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum StackRet<V = u64> {
    /// To a push: done.
    Done,
    /// To a pop: what was taken.
    Value(V),
    /// To a pop: there was nothing.
    Empty,
}

/// What lies on a stack.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct StackState<V>(Chain<V>);

impl<V> Stack<V> {
    /// An empty stack.
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<V: Clone + Eq + Hash + Debug + 'static> Model for Stack<V> {
    type Op = StackOp<V>;
    type Ret = StackRet<V>;
    type State = StackState<V>;
    type Key = ();

    fn key(&self, _: &StackOp<V>) {}

    fn initial(&self, (): &()) -> StackState<V> {
        StackState(Chain::new())
    }

    fn step(
        &self,
        StackState(stack): &StackState<V>,
        op: &StackOp<V>,
        ret: Option<&StackRet<V>>,
    ) -> Option<StackState<V>> {
        use {StackOp::*, StackRet::*};
        let after = match (op, ret) {
            (Push(value), None | Some(Done)) => stack.push(value.clone()),
            (Pop, None) => stack.rest(),
            (Pop, Some(Value(taken))) => (stack.newest()? == taken).then(|| stack.rest())?,
            (Pop, Some(Empty)) => stack.newest().is_none().then(|| stack.clone())?,
            (Push(_), Some(Value(_) | Empty)) | (Pop, Some(Done)) => return None,
        };
        Some(StackState(after))
    }

    fn observes(&self, _: &StackOp<V>, ret: Option<&StackRet<V>>) -> bool {
        matches!(ret, Some(StackRet::Empty))
    }

    fn show(&self, StackState(stack): &StackState<V>) -> String {
        format!("{stack:?}, the last on top")
    }

    /// Judges histories in which no value is pushed twice.
    fn decide<'a>(
        &self,
        (): &(),
        operations: impl ExactSizeIterator<Item = Operation<'a, Self::Op, Self::Ret>> + Clone,
    ) -> Option<Decision> {
        use {StackOp::*, StackRet::*};
        let mut values = Values::with_capacity(operations.len() / 2);
        let mut moves = Vec::with_capacity(operations.len());
        for (place, operation) in operations.enumerate() {
            let what = match (operation.op, answer(&operation)) {
                (Push(value), None | Some(Done)) => Move::In(values.number(value)),
                (Pop, Some(Value(value))) => Move::Out(values.number(value)),
                (Pop, Some(Empty)) => Move::Empty,
                (Pop, None) => Move::Lost,
                // An answer to another question: the search says so.
                _ => return None,
            };
            moves.push((Span::of(place, &operation)?, what));
        }
        stack::decide(&moves, values.len(), |value| format!("{:?}", values.get(value)))
    }
}
