//! Locks, owned by processes.

use super::{Dialect, Recording, int};
use crate::models::{FencedOp, FencedRet, MutexOp, MutexRet};
use history::Answer;
use history::recorded::{Kind, Problem, Process, Recorded};
use history::value::Value;

/// Who acquires or releases.
fn owner(recorded: &Recorded<'_>) -> Result<u64, Problem> {
    let owner = match recorded.process {
        Process::Number(number) => u64::try_from(number).ok(),
        Process::Unnamed | Process::Other(_) => None,
    };
    owner.ok_or_else(|| Problem::shape(recorded, "a :process from 0 on, for it is the owner"))
}

impl Recording for MutexOp {
    type Ret = MutexRet;

    fn is_keyed(_: &Recorded<'_>) -> bool {
        true
    }

    fn asked(recorded: &Recorded<'_>, _: &Value<'_>) -> Result<Self, Problem> {
        match &*recorded.f {
            "acquire" => Ok(Self::Acquire(owner(recorded)?)),
            "release" => Ok(Self::Release(owner(recorded)?)),
            _ => Err(Problem::function(recorded, "acquire or release")),
        }
    }

    fn answer(
        &self,
        _: &Dialect,
        recorded: &Recorded<'_>,
        _: &Value<'_>,
    ) -> Result<Answer<MutexRet>, Problem> {
        let ok = recorded.kind == Kind::Ok;
        Ok(if ok { Answer::Ok(MutexRet::Done) } else { Answer::Fail })
    }
}

/// A fence.
fn fence(recorded: &Recorded<'_>, value: &Value<'_>) -> Result<u64, Problem> {
    let fence = int(recorded, value)?;
    u64::try_from(fence).map_err(|_| Problem::shape(recorded, "a fence from 0 on"))
}

impl Recording for FencedOp {
    type Ret = FencedRet;

    fn is_keyed(_: &Recorded<'_>) -> bool {
        true
    }

    fn asked(recorded: &Recorded<'_>, value: &Value<'_>) -> Result<Self, Problem> {
        let owner = owner(recorded)?;
        match &*recorded.f {
            "acquire" => Ok(Self::Acquire { owner }),
            "release" => Ok(Self::Release { owner, fence: fence(recorded, value)? }),
            _ => Err(Problem::function(recorded, "acquire or release")),
        }
    }

    fn answer(
        &self,
        _: &Dialect,
        recorded: &Recorded<'_>,
        value: &Value<'_>,
    ) -> Result<Answer<FencedRet>, Problem> {
        Ok(match (self, recorded.kind) {
            (_, Kind::Fail) => Answer::Fail,
            (Self::Acquire { .. }, _) => Answer::Ok(FencedRet::Granted(fence(recorded, value)?)),
            (Self::Release { .. }, _) => Answer::Ok(FencedRet::Released),
        })
    }
}
