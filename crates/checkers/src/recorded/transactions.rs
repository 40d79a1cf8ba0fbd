//! Transactions of Elle's shape: lists of micro-operations.

use super::{Dialect, Evidence, Opinion, Recording, Records, Shown, Terms};
use super::{scalar, tally, told, unkeyed};
use crate::isolation::{
    Analysis, Judgement, Level, ListOp, RwOp, Witness, list_append, rw_register,
};
use crate::{Anomaly, Verdict};
use history::recorded::{Kind, Misread, Problem, Recorded};
use history::value::{Scalar, Value};
use history::{Answer, History, Told};

type Lists = Vec<ListOp<Scalar, Scalar>>;
type Registers = Vec<RwOp<Scalar, Scalar>>;

/// Judges transactions on lists.
pub(super) fn lists(terms: &Terms, records: Records<'_>) -> Result<Opinion, Misread> {
    let Told { history, lines } = told::<Lists>(&terms.dialect, records)?;
    let history = unkeyed(history);
    Ok(judged(terms.level, &history, lines, list_append(&history)))
}

/// Judges transactions on registers.
pub(super) fn registers(terms: &Terms, records: Records<'_>) -> Result<Opinion, Misread> {
    let Told { history, lines } = told::<Registers>(&terms.dialect, records)?;
    let history = unkeyed(history);
    Ok(judged(terms.level, &history, lines, rw_register(&history)))
}

fn judged<Op>(
    level: Level,
    history: &History<Op, Op>,
    lines: Vec<u32>,
    analysis: Analysis<'_, Scalar, Scalar>,
) -> Opinion {
    let opinion = tally(history, |_, _| false);
    if opinion.operations == 0 {
        return opinion;
    }
    let coverage = analysis.coverage();
    let constrained = coverage.constraining as usize;
    let method = format!(
        "isolation: graph of {} transactions; {} of {} reads could have shown another's write",
        coverage.transactions, coverage.constraining, coverage.reads
    );
    let (verdict, evidence) = match analysis.judge(level) {
        Judgement::Holds(_) => (Verdict::Holds, None),
        Judgement::Unknown(reason) => (Verdict::Unknown(format!("{level}: {reason}")), None),
        Judgement::Violated(witnesses) => {
            let verdict = Verdict::Violated(anomaly(level, &witnesses));
            let shown = Shown::Phenomena(witnesses, analysis.standing());
            (verdict, Some(Evidence::new(shown, history, lines)))
        }
    };
    Opinion { verdict, method, constrained, evidence, ..opinion }
}

fn anomaly(level: Level, witnesses: &[Witness]) -> Anomaly {
    let mut names: Vec<String> =
        witnesses.iter().map(|witness| witness.phenomenon.to_string()).collect();
    names.dedup();
    let class = names.first().cloned().unwrap_or_default();
    Anomaly::new("isolation", class, format!("not {level}: {}", names.join(", ")))
}

/// A micro-operation: what it does, to which key, and its value.
fn parts<'r, 'a>(
    recorded: &Recorded<'_>,
    micro: &'r Value<'a>,
    expected: &'static str,
) -> Result<(&'r str, Scalar, &'r Value<'a>), Problem> {
    let wrong = || Problem::shape(recorded, expected);
    let Some([f, key, value]) = micro.list() else { return Err(wrong()) };
    Ok((f.word().ok_or_else(wrong)?, key.scalar().ok_or_else(wrong)?, value))
}

/// The micro-operations of a transaction. elle-cli's files may say `read` and `write` for `txn`.
fn micros<'r, 'a>(
    recorded: &Recorded<'_>,
    value: &'r Value<'a>,
    expected: &'static str,
) -> Result<&'r [Value<'a>], Problem> {
    if !matches!(&*recorded.f, "txn" | "read" | "write") {
        return Err(Problem::function(recorded, "txn"));
    }
    value.list().ok_or_else(|| Problem::shape(recorded, expected))
}

const ON_LISTS: &str = "a list of [:append k v] and [:r k vs]";

impl Recording for Lists {
    type Ret = Self;

    fn asked(recorded: &Recorded<'_>, value: &Value<'_>) -> Result<Self, Problem> {
        let one = |micro| {
            let (f, key, value) = parts(recorded, micro, ON_LISTS)?;
            match (f, value) {
                ("append", value) => Ok(ListOp::Append(key, scalar(recorded, value)?)),
                ("r", Value::Nil) => Ok(ListOp::Read(key, None)),
                ("r", Value::List(list)) => {
                    let list = list.iter().map(|value| scalar(recorded, value));
                    Ok(ListOp::Read(key, Some(list.collect::<Result<_, _>>()?)))
                }
                _ => Err(Problem::shape(recorded, ON_LISTS)),
            }
        };
        micros(recorded, value, ON_LISTS)?.iter().map(one).collect()
    }

    fn answer(
        &self,
        _: &Dialect,
        recorded: &Recorded<'_>,
        value: &Value<'_>,
    ) -> Result<Answer<Self>, Problem> {
        committed(recorded, value)
    }
}

const ON_REGISTERS: &str = "a list of [:w k v] and [:r k v]";

impl Recording for Registers {
    type Ret = Self;

    fn asked(recorded: &Recorded<'_>, value: &Value<'_>) -> Result<Self, Problem> {
        let one = |micro| {
            let (f, key, value) = parts(recorded, micro, ON_REGISTERS)?;
            match (f, value) {
                ("w", value) => Ok(RwOp::Write(key, scalar(recorded, value)?)),
                ("r", Value::Nil) => Ok(RwOp::Read(key, None)),
                ("r", value) => Ok(RwOp::Read(key, Some(scalar(recorded, value)?))),
                _ => Err(Problem::shape(recorded, ON_REGISTERS)),
            }
        };
        micros(recorded, value, ON_REGISTERS)?.iter().map(one).collect()
    }

    fn answer(
        &self,
        _: &Dialect,
        recorded: &Recorded<'_>,
        value: &Value<'_>,
    ) -> Result<Answer<Self>, Problem> {
        committed(recorded, value)
    }
}

/// The whole transaction again, its reads filled in.
fn committed<Op: Recording>(
    recorded: &Recorded<'_>,
    value: &Value<'_>,
) -> Result<Answer<Op>, Problem> {
    match recorded.kind {
        Kind::Fail => Ok(Answer::Fail),
        _ => Op::asked(recorded, value).map(Answer::Ok),
    }
}
