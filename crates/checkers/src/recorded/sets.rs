//! Sets: as one object per element where nobody lists them, and Jepsen's set that only grows.

use super::{Dialect, Opinion, Recording, Records, Terms};
use super::{asked, converted, judge, scalar, told, unkeyed};
use crate::delivery;
use crate::models::{ListedSet, ListedSetOp, ListedSetRet, Set, SetOp, SetRet};
use history::recorded::{Kind, Misread, Problem, Recorded};
use history::value::{Scalar, Value};
use history::{Answer, Told};

type Op = ListedSetOp<Scalar>;
type Ret = ListedSetRet<Scalar>;

/// Judges lines against the model of a set, element by element where nobody lists them.
pub(super) fn judge_lines(terms: &Terms, records: Records<'_>) -> Result<Opinion, Misread> {
    let Told { history, lines } = told::<Op>(&terms.dialect, records)?;
    let history = unkeyed(history);
    if asked(&history).any(|op| *op == Op::List) {
        return Ok(judge(&ListedSet::new(), terms, &history, lines, Op::constrained_by));
    }
    let one = |op| if let Op::One(op) = op { Some(op) } else { None };
    let answer = |ret| if let Ret::One(ret) = ret { Some(ret) } else { None };
    let history = converted(history, one, answer);
    Ok(judge(&Set::new(), terms, &history, lines, |_, ret| *ret != SetRet::Done))
}

impl Recording for Op {
    type Ret = Ret;

    fn asked(recorded: &Recorded<'_>, value: &Value<'_>) -> Result<Self, Problem> {
        match &*recorded.f {
            "read" => Ok(Self::List),
            "add" => Ok(Self::One(SetOp::Add(scalar(recorded, value)?))),
            "remove" => Ok(Self::One(SetOp::Remove(scalar(recorded, value)?))),
            "contains" => Ok(Self::One(SetOp::Contains(scalar(recorded, value)?))),
            _ => Err(Problem::function(recorded, "add, remove, contains or read")),
        }
    }

    fn answer(
        &self,
        _: &Dialect,
        recorded: &Recorded<'_>,
        value: &Value<'_>,
    ) -> Result<Answer<Ret>, Problem> {
        let one = |ret| Answer::Ok(Ret::One(ret));
        Ok(match (self, recorded.kind, value) {
            (_, Kind::Fail, _) => Answer::Fail,
            (Self::List, _, Value::Nil) => Answer::Nothing,
            (Self::List, ..) => {
                Answer::Ok(Ret::Members(elements(recorded, value)?.into_iter().collect()))
            }
            (Self::One(_), _, Value::Bool(true)) => one(SetRet::Yes),
            (Self::One(_), _, Value::Bool(false)) => one(SetRet::No),
            (Self::One(SetOp::Contains(_)), _, Value::Nil) => Answer::Nothing,
            (Self::One(SetOp::Contains(_)), ..) => {
                return Err(Problem::shape(recorded, "true or false"));
            }
            (Self::One(_), ..) => one(SetRet::Done),
        })
    }

    fn constrained_by(&self, ret: &Ret) -> bool {
        *ret != Ret::One(SetRet::Done)
    }
}

fn elements(recorded: &Recorded<'_>, value: &Value<'_>) -> Result<Vec<Scalar>, Problem> {
    let all = value.elements().ok_or_else(|| Problem::shape(recorded, "a set or a list"))?;
    all.iter().map(|value| scalar(recorded, value)).collect()
}

impl Recording for delivery::SetOp<Scalar> {
    type Ret = delivery::SetRet<Scalar>;

    fn asked(recorded: &Recorded<'_>, value: &Value<'_>) -> Result<Self, Problem> {
        match &*recorded.f {
            "read" => Ok(Self::Read),
            "add" => Ok(Self::Add(scalar(recorded, value)?)),
            _ => Err(Problem::function(recorded, "add or read")),
        }
    }

    fn answer(
        &self,
        _: &Dialect,
        recorded: &Recorded<'_>,
        value: &Value<'_>,
    ) -> Result<Answer<Self::Ret>, Problem> {
        Ok(match (self, recorded.kind, value) {
            (_, Kind::Fail, _) => Answer::Fail,
            (Self::Add(_), ..) => Answer::Ok(delivery::SetRet::Done),
            (Self::Read, _, Value::Nil) => Answer::Nothing,
            (Self::Read, ..) => Answer::Ok(delivery::SetRet::Elements(elements(recorded, value)?)),
        })
    }

    fn constrained_by(&self, _: &Self::Ret) -> bool {
        matches!(self, Self::Read)
    }
}
