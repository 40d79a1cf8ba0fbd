//! How each model reads its operations out of recorded lines.

use super::{Dialect, Recording};
use crate::models::{
    Counter, CounterOp, CounterRet, Mutex, MutexOp, MutexRet, Register, RegisterOp, RegisterRet,
};
use history::Answer;
use history::recorded::{Kind, Problem, Process, Recorded};
use history::value::{Scalar, Value};

const ONE_VALUE: &str = "one value that is no collection";

fn scalar(recorded: &Recorded<'_>, value: &Value<'_>) -> Result<Scalar, Problem> {
    value.scalar().ok_or_else(|| Problem::shape(recorded, ONE_VALUE))
}

impl Recording for Register<Scalar> {
    fn begin<'a>(dialect: &Dialect, _: impl Iterator<Item = &'a Self::Op>) -> Self {
        Self(dialect.initial.clone())
    }

    fn is_keyed(recorded: &Recorded<'_>) -> bool {
        let Some((_, value)) = recorded.value.pair() else { return false };
        // Two values of a compare-and-set look like a key and a value.
        recorded.f != "cas" || value.pair().is_some()
    }

    fn asked(recorded: &Recorded<'_>, value: &Value<'_>) -> Result<RegisterOp<Scalar>, Problem> {
        match &*recorded.f {
            "read" => Ok(RegisterOp::Read),
            "write" => Ok(RegisterOp::Write(scalar(recorded, value)?)),
            "cas" => {
                let expected = "the expected value and the new one, [4 2]";
                let (old, new) = value.pair().ok_or_else(|| Problem::shape(recorded, expected))?;
                Ok(RegisterOp::CompareAndSet(scalar(recorded, old)?, scalar(recorded, new)?))
            }
            _ => Err(Problem::function(recorded, "read, write or cas")),
        }
    }

    fn answer(
        dialect: &Dialect,
        op: &RegisterOp<Scalar>,
        recorded: &Recorded<'_>,
        value: &Value<'_>,
    ) -> Result<Answer<RegisterRet<Scalar>>, Problem> {
        let ok = recorded.kind == Kind::Ok;
        Ok(match op {
            RegisterOp::CompareAndSet(..) if !ok && dialect.refusal_observes => {
                Answer::Ok(RegisterRet::Refused)
            }
            RegisterOp::CompareAndSet(..) if ok && *value == Value::Bool(false) => {
                Answer::Ok(RegisterRet::Refused)
            }
            _ if !ok => Answer::Fail,
            RegisterOp::Read if *value == Value::Nil && !dialect.nil_is_absent => Answer::Nothing,
            RegisterOp::Read => Answer::Ok(RegisterRet::Value(scalar(recorded, value)?)),
            RegisterOp::Write(_) | RegisterOp::CompareAndSet(..) => Answer::Ok(RegisterRet::Done),
        })
    }

    fn constrains(op: &RegisterOp<Scalar>, _: &RegisterRet<Scalar>) -> bool {
        !matches!(op, RegisterOp::Write(_))
    }
}

impl Recording for Mutex {
    fn begin<'a>(_: &Dialect, _: impl Iterator<Item = &'a Self::Op>) -> Self {
        Self
    }

    fn is_keyed(_: &Recorded<'_>) -> bool {
        true
    }

    fn asked(recorded: &Recorded<'_>, _: &Value<'_>) -> Result<MutexOp, Problem> {
        let owner = match recorded.process {
            Process::Number(number) => u64::try_from(number).ok(),
            Process::Unnamed | Process::Other(_) => None,
        };
        let expected = "a :process from 0 on, for it is the owner";
        let owner = owner.ok_or_else(|| Problem::shape(recorded, expected))?;
        match &*recorded.f {
            "acquire" => Ok(MutexOp::Acquire(owner)),
            "release" => Ok(MutexOp::Release(owner)),
            _ => Err(Problem::function(recorded, "acquire or release")),
        }
    }

    fn answer(
        _: &Dialect,
        _: &MutexOp,
        recorded: &Recorded<'_>,
        _: &Value<'_>,
    ) -> Result<Answer<MutexRet>, Problem> {
        let ok = recorded.kind == Kind::Ok;
        Ok(if ok { Answer::Ok(MutexRet::Done) } else { Answer::Fail })
    }
}

impl Recording for Counter {
    fn begin<'a>(_: &Dialect, _: impl Iterator<Item = &'a Self::Op>) -> Self {
        Self(0)
    }

    fn is_keyed(_: &Recorded<'_>) -> bool {
        true
    }

    fn asked(recorded: &Recorded<'_>, value: &Value<'_>) -> Result<CounterOp, Problem> {
        match (&*recorded.f, value.int()) {
            ("read", _) => Ok(CounterOp::Read),
            ("add", Some(amount)) => Ok(CounterOp::Add(amount)),
            ("add", None) => Err(Problem::shape(recorded, "an integer")),
            _ => Err(Problem::function(recorded, "add or read")),
        }
    }

    fn answer(
        _: &Dialect,
        op: &CounterOp,
        recorded: &Recorded<'_>,
        value: &Value<'_>,
    ) -> Result<Answer<CounterRet>, Problem> {
        Ok(match (op, recorded.kind, value) {
            (_, Kind::Fail, _) => Answer::Fail,
            (CounterOp::Add(_), ..) => Answer::Ok(CounterRet::Done),
            (CounterOp::Read, _, Value::Int(total)) => Answer::Ok(CounterRet::Total(*total)),
            (CounterOp::Read, _, Value::Nil) => Answer::Nothing,
            (CounterOp::Read, ..) => return Err(Problem::shape(recorded, "an integer or nil")),
        })
    }

    fn constrains(op: &CounterOp, _: &CounterRet) -> bool {
        matches!(op, CounterOp::Read)
    }
}
