//! Queues, stacks and logs.

use super::{Dialect, Recording, int, scalar};
use crate::models::{LogOp, LogRet, QueueOp, QueueRet, StackOp, StackRet};
use history::Answer;
use history::recorded::{Kind, Problem, Recorded};
use history::value::{Scalar, Value};

/// What was taken; `None` if there was nothing.
fn taken(recorded: &Recorded<'_>, value: &Value<'_>) -> Result<Option<Scalar>, Problem> {
    match value {
        Value::Word(word) if word == "empty" => Ok(None),
        Value::Nil => Err(Problem::shape(recorded, "what was taken, or empty")),
        value => scalar(recorded, value).map(Some),
    }
}

impl Recording for QueueOp<Scalar> {
    type Ret = QueueRet<Scalar>;

    fn is_keyed(_: &Recorded<'_>) -> bool {
        true
    }

    fn asked(recorded: &Recorded<'_>, value: &Value<'_>) -> Result<Self, Problem> {
        match &*recorded.f {
            "enqueue" | "enq" | "add" => Ok(Self::Enqueue(scalar(recorded, value)?)),
            "dequeue" | "deq" | "remove" => Ok(Self::Dequeue),
            _ => Err(Problem::function(recorded, "enqueue or dequeue (enq, deq; add, remove)")),
        }
    }

    fn answer(
        &self,
        _: &Dialect,
        recorded: &Recorded<'_>,
        value: &Value<'_>,
    ) -> Result<Answer<QueueRet<Scalar>>, Problem> {
        Ok(match (self, recorded.kind) {
            (_, Kind::Fail) => Answer::Fail,
            (Self::Enqueue(_), _) => Answer::Ok(QueueRet::Done),
            (Self::Dequeue, _) => {
                let taken = taken(recorded, value)?;
                Answer::Ok(taken.map_or(QueueRet::Empty, QueueRet::Value))
            }
        })
    }

    fn constrained_by(&self, _: &QueueRet<Scalar>) -> bool {
        matches!(self, Self::Dequeue)
    }
}

impl Recording for StackOp<Scalar> {
    type Ret = StackRet<Scalar>;

    fn is_keyed(_: &Recorded<'_>) -> bool {
        true
    }

    fn asked(recorded: &Recorded<'_>, value: &Value<'_>) -> Result<Self, Problem> {
        match &*recorded.f {
            "push" | "add" => Ok(Self::Push(scalar(recorded, value)?)),
            "pop" | "remove" => Ok(Self::Pop),
            _ => Err(Problem::function(recorded, "push or pop (add, remove)")),
        }
    }

    fn answer(
        &self,
        _: &Dialect,
        recorded: &Recorded<'_>,
        value: &Value<'_>,
    ) -> Result<Answer<StackRet<Scalar>>, Problem> {
        Ok(match (self, recorded.kind) {
            (_, Kind::Fail) => Answer::Fail,
            (Self::Push(_), _) => Answer::Ok(StackRet::Done),
            (Self::Pop, _) => {
                let taken = taken(recorded, value)?;
                Answer::Ok(taken.map_or(StackRet::Empty, StackRet::Value))
            }
        })
    }

    fn constrained_by(&self, _: &StackRet<Scalar>) -> bool {
        matches!(self, Self::Pop)
    }
}

/// An offset.
fn offset(recorded: &Recorded<'_>, value: &Value<'_>) -> Result<u64, Problem> {
    let offset = int(recorded, value)?;
    u64::try_from(offset).map_err(|_| Problem::shape(recorded, "an offset from 0 on"))
}

impl Recording for LogOp<Scalar> {
    type Ret = LogRet<Scalar>;

    fn is_keyed(_: &Recorded<'_>) -> bool {
        true
    }

    fn asked(recorded: &Recorded<'_>, value: &Value<'_>) -> Result<Self, Problem> {
        match &*recorded.f {
            "append" => Ok(Self::Append(scalar(recorded, value)?)),
            "read" => Ok(Self::Read(offset(recorded, value)?)),
            _ => Err(Problem::function(recorded, "append or read")),
        }
    }

    fn answer(
        &self,
        _: &Dialect,
        recorded: &Recorded<'_>,
        value: &Value<'_>,
    ) -> Result<Answer<LogRet<Scalar>>, Problem> {
        Ok(match (self, recorded.kind, value) {
            (_, Kind::Fail, _) => Answer::Fail,
            (Self::Append(_), _, Value::Nil) => Answer::Nothing,
            (Self::Append(_), ..) => Answer::Ok(LogRet::Offset(offset(recorded, value)?)),
            (Self::Read(_), _, Value::Word(word)) if word == "end" => Answer::Ok(LogRet::End),
            (Self::Read(_), ..) => Answer::Ok(LogRet::Value(scalar(recorded, value)?)),
        })
    }
}
