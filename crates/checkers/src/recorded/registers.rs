//! Registers: one, many, and strings under keys.

use super::{Asked, Dialect, Recording, scalar};
use crate::models::{Access, Accessed, KeyValueOp, KeyValueRet, MultiRegister};
use crate::models::{RegisterOp, RegisterRet};
use history::recorded::{Kind, Problem, Recorded};
use history::value::{Scalar, Value};
use history::{Answer, History};

impl Recording for RegisterOp<Scalar> {
    type Ret = RegisterRet<Scalar>;

    fn is_keyed(recorded: &Recorded<'_>) -> bool {
        let Some((_, value)) = recorded.value.pair() else { return false };
        // The two values of a compare-and-set look like a key and a value.
        recorded.f != "cas" || value.pair().is_some()
    }

    fn asked(recorded: &Recorded<'_>, value: &Value<'_>) -> Result<Self, Problem> {
        match &*recorded.f {
            "read" => Ok(Self::Read),
            "write" => Ok(Self::Write(scalar(recorded, value)?)),
            "cas" => {
                let expected = "the value that is expected and the new one, [4 2]";
                let (old, new) = value.pair().ok_or_else(|| Problem::shape(recorded, expected))?;
                Ok(Self::CompareAndSet(scalar(recorded, old)?, scalar(recorded, new)?))
            }
            _ => Err(Problem::function(recorded, "read, write or cas")),
        }
    }

    fn answer(
        &self,
        dialect: &Dialect,
        recorded: &Recorded<'_>,
        value: &Value<'_>,
    ) -> Result<Answer<RegisterRet<Scalar>>, Problem> {
        let ok = recorded.kind == Kind::Ok;
        let refused = if ok { *value == Value::Bool(false) } else { dialect.refusal_observes };
        Ok(match self {
            Self::CompareAndSet(..) if refused => Answer::Ok(RegisterRet::Refused),
            _ if !ok => Answer::Fail,
            Self::Read if *value == Value::Nil && !dialect.nil_is_absent => Answer::Nothing,
            Self::Read => Answer::Ok(RegisterRet::Value(scalar(recorded, value)?)),
            Self::Write(_) | Self::CompareAndSet(..) => Answer::Ok(RegisterRet::Done),
        })
    }

    fn constrained_by(&self, _: &RegisterRet<Scalar>) -> bool {
        !matches!(self, Self::Write(_))
    }
}

type Accesses = Vec<Access<Scalar, Scalar>>;

const ACCESSES: &str = "a list of [:read k v] and [:write k v]";

/// The register of a micro-operation, whether it is written, and the value.
fn access<'r, 'a>(
    recorded: &Recorded<'_>,
    access: &'r Value<'a>,
) -> Result<(Scalar, bool, &'r Value<'a>), Problem> {
    let wrong = || Problem::shape(recorded, ACCESSES);
    let Some([f, key, value]) = access.list() else { return Err(wrong()) };
    let write = match f.word() {
        Some("r" | "read") => false,
        Some("w" | "write") => true,
        _ => return Err(wrong()),
    };
    Ok((key.scalar().ok_or_else(wrong)?, write, value))
}

impl Recording for Accesses {
    type Ret = Accessed<Scalar>;

    fn asked(recorded: &Recorded<'_>, value: &Value<'_>) -> Result<Self, Problem> {
        if recorded.f != "txn" {
            return Err(Problem::function(recorded, "txn"));
        }
        let all = value.list().ok_or_else(|| Problem::shape(recorded, ACCESSES))?;
        let one = |value| {
            let (key, write, value) = access(recorded, value)?;
            Ok(if write { Access::Write(key, scalar(recorded, value)?) } else { Access::Read(key) })
        };
        all.iter().map(one).collect()
    }

    fn answer(
        &self,
        dialect: &Dialect,
        recorded: &Recorded<'_>,
        value: &Value<'_>,
    ) -> Result<Answer<Accessed<Scalar>>, Problem> {
        if recorded.kind == Kind::Fail {
            return Ok(Answer::Fail);
        }
        let expected = "what was asked, with what was read";
        let all = value.list().filter(|all| all.len() == self.len());
        let all = all.ok_or_else(|| Problem::shape(recorded, expected))?;
        let one = |(value, asked): (_, &Access<Scalar, Scalar>)| {
            let (key, write, value) = access(recorded, value)?;
            let same = match asked {
                Access::Read(asked) => !write && *asked == key,
                Access::Write(asked, _) => write && *asked == key,
            };
            if !same {
                return Err(Problem::shape(recorded, expected));
            }
            let tells = !write && (dialect.nil_is_absent || *value != Value::Nil);
            if tells { scalar(recorded, value).map(Some) } else { Ok(None) }
        };
        Ok(Answer::Ok(all.iter().zip(self).map(one).collect::<Result<_, _>>()?))
    }

    fn constrained_by(&self, read: &Accessed<Scalar>) -> bool {
        read.iter().any(Option::is_some)
    }
}

/// Every register that a history uses.
pub(super) fn all<Ret>(
    history: &History<Asked<Accesses>, Ret>,
    initial: &Scalar,
) -> MultiRegister<Scalar, Scalar> {
    let accesses = super::asked(history).flat_map(|(_, accesses)| accesses);
    let key = |access: &Access<Scalar, Scalar>| match access {
        Access::Read(key) | Access::Write(key, _) => key.clone(),
    };
    MultiRegister(accesses.map(|access| (key(access), initial.clone())).collect())
}

/// A string, of which nothing is one too.
fn string(recorded: &Recorded<'_>, value: &Value<'_>) -> Result<String, Problem> {
    match value {
        Value::Text(text) => Ok(text.clone().into_owned()),
        Value::Nil => Ok(String::new()),
        other => other
            .scalar()
            .map(|scalar| scalar.to_string())
            .ok_or_else(|| Problem::shape(recorded, "a string")),
    }
}

impl Recording for KeyValueOp {
    type Ret = KeyValueRet;

    fn asked(recorded: &Recorded<'_>, value: &Value<'_>) -> Result<Self, Problem> {
        let (key, value) = match &recorded.key {
            Some(key) => (key, value),
            None => value.pair().ok_or_else(|| {
                Problem::shape(recorded, "a :key beside the :value, or [key value]")
            })?,
        };
        let key = string(recorded, key)?;
        match &*recorded.f {
            "get" | "read" => Ok(Self::Get(key)),
            "put" | "write" => Ok(Self::Put(key, string(recorded, value)?)),
            "append" => Ok(Self::Append(key, string(recorded, value)?)),
            _ => Err(Problem::function(recorded, "get, put or append")),
        }
    }

    fn answer(
        &self,
        _: &Dialect,
        recorded: &Recorded<'_>,
        value: &Value<'_>,
    ) -> Result<Answer<KeyValueRet>, Problem> {
        let value = match (&recorded.key, value.pair()) {
            (None, Some((_, value))) => value,
            _ => value,
        };
        Ok(match (self, recorded.kind, value) {
            (_, Kind::Fail, _) => Answer::Fail,
            (Self::Get(_), _, Value::Nil) => Answer::Nothing,
            (Self::Get(_), ..) => Answer::Ok(KeyValueRet::Value(string(recorded, value)?)),
            (Self::Put(..) | Self::Append(..), ..) => Answer::Ok(KeyValueRet::Done),
        })
    }

    fn constrained_by(&self, _: &KeyValueRet) -> bool {
        matches!(self, Self::Get(_))
    }
}
