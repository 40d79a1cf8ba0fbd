//! Numbers that are added to: counters, and the accounts of a bank.

use super::{Dialect, Recording, int};
use crate::conservation::{BankOp, BankRet};
use crate::models::{CounterOp, CounterRet, FetchAndAddOp, Fetched};
use history::Answer;
use history::recorded::{Kind, Problem, Recorded};
use history::value::{Scalar, Value};

impl Recording for CounterOp {
    type Ret = CounterRet;

    fn is_keyed(_: &Recorded<'_>) -> bool {
        true
    }

    fn asked(recorded: &Recorded<'_>, value: &Value<'_>) -> Result<Self, Problem> {
        match &*recorded.f {
            "read" => Ok(Self::Read),
            "add" => Ok(Self::Add(int(recorded, value)?)),
            _ => Err(Problem::function(recorded, "add or read")),
        }
    }

    fn answer(
        &self,
        _: &Dialect,
        recorded: &Recorded<'_>,
        value: &Value<'_>,
    ) -> Result<Answer<CounterRet>, Problem> {
        Ok(match (self, recorded.kind, value) {
            (_, Kind::Fail, _) => Answer::Fail,
            (Self::Add(_), ..) => Answer::Ok(CounterRet::Done),
            (Self::Read, _, Value::Nil) => Answer::Nothing,
            (Self::Read, ..) => Answer::Ok(CounterRet::Total(int(recorded, value)?)),
        })
    }

    fn constrained_by(&self, _: &CounterRet) -> bool {
        matches!(self, Self::Read)
    }
}

impl Recording for FetchAndAddOp {
    type Ret = Fetched;

    fn is_keyed(_: &Recorded<'_>) -> bool {
        true
    }

    fn asked(recorded: &Recorded<'_>, value: &Value<'_>) -> Result<Self, Problem> {
        match &*recorded.f {
            "read" => Ok(Self::Read),
            "fetch-and-add" | "add" => Ok(Self::FetchAndAdd(int(recorded, value)?)),
            _ => Err(Problem::function(recorded, "fetch-and-add or read")),
        }
    }

    fn answer(
        &self,
        _: &Dialect,
        recorded: &Recorded<'_>,
        value: &Value<'_>,
    ) -> Result<Answer<Fetched>, Problem> {
        Ok(match (recorded.kind, value) {
            (Kind::Fail, _) => Answer::Fail,
            (_, Value::Nil) => Answer::Nothing,
            _ => Answer::Ok(Fetched(int(recorded, value)?)),
        })
    }
}

const TRANSFER: &str = "{:from a, :to b, :amount n}";
const BALANCES: &str = "every account with its balance, {0 100, 1 20}";

impl Recording for BankOp<Scalar> {
    type Ret = BankRet<Scalar>;

    fn asked(recorded: &Recorded<'_>, value: &Value<'_>) -> Result<Self, Problem> {
        let wrong = || Problem::shape(recorded, TRANSFER);
        match &*recorded.f {
            "read" => Ok(Self::Read),
            "transfer" => {
                let of = |name| value.get(name).ok_or_else(wrong);
                let account = |name| of(name)?.scalar().ok_or_else(wrong);
                let amount = of("amount")?.int().ok_or_else(wrong)?;
                Ok(Self::Transfer { from: account("from")?, to: account("to")?, amount })
            }
            _ => Err(Problem::function(recorded, "transfer or read")),
        }
    }

    fn answer(
        &self,
        _: &Dialect,
        recorded: &Recorded<'_>,
        value: &Value<'_>,
    ) -> Result<Answer<BankRet<Scalar>>, Problem> {
        let wrong = || Problem::shape(recorded, BALANCES);
        let balance = |(account, balance): &(Value<'_>, Value<'_>)| -> Result<_, Problem> {
            let account = account.scalar().ok_or_else(wrong)?;
            match balance {
                Value::Nil => Ok((account, None)),
                balance => Ok((account, Some(balance.int().ok_or_else(wrong)?))),
            }
        };
        Ok(match (self, recorded.kind, value) {
            (_, Kind::Fail, _) => Answer::Fail,
            (Self::Transfer { .. }, ..) => Answer::Ok(BankRet::Done),
            (Self::Read, _, Value::Nil) => Answer::Nothing,
            (Self::Read, _, Value::Map(all)) => {
                Answer::Ok(BankRet::Balances(all.iter().map(balance).collect::<Result<_, _>>()?))
            }
            (Self::Read, ..) => return Err(wrong()),
        })
    }

    fn constrained_by(&self, _: &BankRet<Scalar>) -> bool {
        matches!(self, Self::Read)
    }
}
