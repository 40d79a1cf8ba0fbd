//! A first-in first-out queue.

use super::chain::Line;
use crate::polynomial::items::Move;
use crate::polynomial::{Span, Values, answer, queue};
use crate::{Decision, Model};
use history::Operation;
use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;

/// A queue, empty at first: what leaves is what has been in it for longest.
/// [`Keyed`](crate::Keyed) makes many of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Queue<V = u64>(PhantomData<V>);

/// What is asked of a queue.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum QueueOp<V = u64> {
    /// Put this at the end.
    Enqueue(V),
    /// Take what is at the front.
    Dequeue,
}

/// What a queue answers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum QueueRet<V = u64> {
    /// To an enqueue: done.
    Done,
    /// To a dequeue: what was taken.
    Value(V),
    /// To a dequeue: there was nothing.
    Empty,
}

/// What stands in a queue.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct QueueState<V>(Line<V>);

impl<V> Queue<V> {
    /// An empty queue.
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<V: Clone + Eq + Hash + Debug + 'static> Model for Queue<V> {
    type Op = QueueOp<V>;
    type Ret = QueueRet<V>;
    type State = QueueState<V>;
    type Key = ();

    fn key(&self, _: &QueueOp<V>) {}

    fn initial(&self, (): &()) -> QueueState<V> {
        QueueState(Line::new())
    }

    fn step(
        &self,
        QueueState(queue): &QueueState<V>,
        op: &QueueOp<V>,
        ret: Option<&QueueRet<V>>,
    ) -> Option<QueueState<V>> {
        use {QueueOp::*, QueueRet::*};
        let after = match (op, ret) {
            (Enqueue(value), None | Some(Done)) => queue.enter(value.clone()),
            (Dequeue, None) => queue.leave().map_or_else(|| queue.clone(), |(_, rest)| rest),
            (Dequeue, Some(Value(taken))) => {
                let (value, rest) = queue.leave()?;
                (value == *taken).then_some(rest)?
            }
            (Dequeue, Some(Empty)) => queue.is_empty().then(|| queue.clone())?,
            (Enqueue(_), Some(Value(_) | Empty)) | (Dequeue, Some(Done)) => return None,
        };
        Some(QueueState(after))
    }

    fn observes(&self, _: &QueueOp<V>, ret: Option<&QueueRet<V>>) -> bool {
        matches!(ret, Some(QueueRet::Empty))
    }

    fn show(&self, QueueState(queue): &QueueState<V>) -> String {
        format!("{queue:?}")
    }

    /// Judges histories in which no value is enqueued twice.
    fn decide<'a>(
        &self,
        (): &(),
        operations: impl ExactSizeIterator<Item = Operation<'a, Self::Op, Self::Ret>> + Clone,
    ) -> Option<Decision> {
        use {QueueOp::*, QueueRet::*};
        let mut values = Values::with_capacity(operations.len() / 2);
        let mut moves = Vec::with_capacity(operations.len());
        for (place, operation) in operations.enumerate() {
            let what = match (operation.op, answer(&operation)) {
                (Enqueue(value), None | Some(Done)) => Move::In(values.number(value)),
                (Dequeue, Some(Value(value))) => Move::Out(values.number(value)),
                (Dequeue, Some(Empty)) => Move::Empty,
                (Dequeue, None) => Move::Lost,
                // An answer to another question: the search says so.
                _ => return None,
            };
            moves.push((Span::of(place, &operation)?, what));
        }
        queue::decide(&moves, values.len(), |value| format!("{:?}", values.get(value)))
    }
}
