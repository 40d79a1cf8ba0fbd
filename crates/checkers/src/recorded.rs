//! Recorded histories judged: the names of models and checkers, and how each reads its operations
//! out of untyped lines.
//!
//! ```
//! use checkers::recorded::{Dialect, model};
//! use history::recorded::{Format, read};
//!
//! let text = "\
//!     {:process 0, :type :invoke, :f :write, :value 4}
//!     {:process 0, :type :ok, :f :write, :value 4}
//!     {:process 1, :type :invoke, :f :read, :value nil}
//!     {:process 1, :type :ok, :f :read, :value 3}";
//! let model = model("cas-register").unwrap();
//! let report = model.judge(&Dialect::of(Format::Edn), read(Format::Edn, text)).unwrap();
//! assert!(report.verdict.is_violated());
//! ```
//!
//! A model joins with two things: [`Recording`] for its operations, and a line in [`MODELS`].

mod counters;
mod locks;
mod queues;
mod registers;
mod sets;

use crate::conservation::{Bank, counter};
use crate::models::{Counter, FencedMutex, FetchAndAdd, KeyValue, Log, Mutex};
use crate::models::{Queue, Register, Stack};
use crate::{Keyed, Model, Verdict, delivery, linearizable};
use history::recorded::{Format, Misread, Problem, Recorded};
use history::value::{Scalar, Value};
use history::{Answer, Event, History, Outcome, Told, What};

/// What a recording system means by what its lines do not say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dialect {
    /// What a register holds before anybody writes.
    pub initial: Scalar,
    /// Whether a read of nil saw that there is no value; otherwise what it saw is not known.
    pub nil_is_absent: bool,
    /// Whether a compare-and-set that failed has found another value; otherwise nothing is known
    /// but that it had no effect.
    pub refusal_observes: bool,
}

impl Dialect {
    /// As the systems that write this format mean it: etcd's logs of Jepsen say `nil` for a key
    /// that is absent, as it is at first, and fail a compare-and-set that found another value.
    /// Elsewhere, as in Knossos' files, a register begins with 0.
    pub fn of(format: Format) -> Self {
        let etcd = format == Format::JepsenLog;
        Self {
            initial: if etcd { Scalar::Nil } else { Scalar::Int(0) },
            nil_is_absent: etcd,
            refusal_observes: etcd,
        }
    }
}

/// An operation that recorded lines tell of.
pub trait Recording: Sized {
    /// What is answered to it.
    type Ret;

    /// Whether the value of this line is a pair of a key and the value proper, as Jepsen's
    /// independent tests have it; `false` where there is one object, or a pair would be ambiguous.
    fn is_keyed(_recorded: &Recorded<'_>) -> bool {
        false
    }

    /// What an invocation asks. Its value stands beside it, freed from the key.
    ///
    /// # Errors
    ///
    /// A function that nobody knows here, or a value that this function cannot have.
    fn asked(recorded: &Recorded<'_>, value: &Value<'_>) -> Result<Self, Problem>;

    /// What its `:ok` or `:fail` tells.
    ///
    /// # Errors
    ///
    /// A value that the answer cannot have.
    fn answer(
        &self,
        dialect: &Dialect,
        recorded: &Recorded<'_>,
        value: &Value<'_>,
    ) -> Result<Answer<Self::Ret>, Problem>;

    /// Whether such an answer is impossible in some state. A history without one of these proves
    /// nothing by being explained.
    fn constrained_by(&self, _ret: &Self::Ret) -> bool {
        true
    }
}

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The verdict. A history that constrains nothing is [`Verdict::Unknown`].
    pub verdict: Verdict,
    /// How it was found.
    pub method: String,
    /// How many operations there are.
    pub operations: usize,
    /// How many of them have an unknown outcome.
    pub unknown: usize,
    /// How many of them have an answer that could have been wrong.
    pub constrained: usize,
}

/// The lines of a history.
pub type Records<'a> = Box<dyn Iterator<Item = Result<Recorded<'a>, Misread>> + 'a>;

/// Something with a name that judges recorded histories.
#[derive(Clone, Copy, Debug)]
pub struct Judging {
    /// Its name on a command line.
    pub name: &'static str,
    /// The functions that it reads, and what it is.
    pub about: &'static str,
    judge: fn(&Dialect, Records<'_>) -> Result<Report, Misread>,
}

impl Judging {
    /// Judges the lines of a history.
    ///
    /// # Errors
    ///
    /// The first line that is wrong.
    pub fn judge(&self, dialect: &Dialect, records: Records<'_>) -> Result<Report, Misread> {
        (self.judge)(dialect, records)
    }
}

/// The models that a history can be held against, by name.
pub const MODELS: &[Judging] = &[
    Judging {
        name: "cas-register",
        about: "read, write, cas: a register with compare-and-set",
        judge: |dialect, lines| object(dialect, lines, |_| Register(dialect.initial.clone())),
    },
    Judging {
        name: "multi-register",
        about: "txn of [:read k v] and [:write k v]: registers that are used together",
        judge: |dialect, lines| {
            object(dialect, lines, |history| registers::all(history, &dialect.initial))
        },
    },
    Judging {
        name: "kv",
        about: "get, put, append: strings under keys",
        judge: |dialect, lines| object(dialect, lines, |_| KeyValue),
    },
    Judging {
        name: "counter",
        about: "add, read: a total",
        judge: |dialect, lines| object(dialect, lines, |_| Counter(0)),
    },
    Judging {
        name: "fetch-and-add",
        about: "fetch-and-add, read: a total that an addition answers with",
        judge: |dialect, lines| object(dialect, lines, |_| FetchAndAdd(0)),
    },
    Judging {
        name: "mutex",
        about: "acquire, release: a lock that its holder gives back",
        judge: |dialect, lines| object(dialect, lines, |_| Mutex),
    },
    Judging {
        name: "fenced-mutex",
        about: "acquire, release, of a fence: a lock whose grants have growing numbers",
        judge: |dialect, lines| object(dialect, lines, |_| FencedMutex),
    },
    Judging { name: "set", about: "add, remove, contains, read: a set", judge: sets::judge_lines },
    Judging {
        name: "queue",
        about: "enqueue, dequeue (enq, deq; add, remove): first in, first out",
        judge: |dialect, lines| object(dialect, lines, |_| Queue::<Scalar>::new()),
    },
    Judging {
        name: "stack",
        about: "push, pop: last in, first out",
        judge: |dialect, lines| object(dialect, lines, |_| Stack::<Scalar>::new()),
    },
    Judging {
        name: "log",
        about: "append, read of an offset: values in the order of their offsets",
        judge: |dialect, lines| object(dialect, lines, |_| Log::<Scalar>::new()),
    },
];

/// The checkers that promise nothing of real time beyond their own rule, by name.
pub const CHECKERS: &[Judging] = &[
    Judging {
        name: "bank",
        about: "transfer, read: every read of all accounts sees the same sum, none below 0",
        judge: |dialect, lines| {
            rule(dialect, lines, "conservation", |bank| Bank::default().check(bank))
        },
    },
    Judging {
        name: "counter",
        about: "add, read: a read lies between what must have been added and what may",
        judge: |dialect, lines| rule(dialect, lines, "conservation", |history| counter(0, history)),
    },
    Judging {
        name: "set",
        about: "add, read: what was added is in the last read, and nothing else",
        judge: |dialect, lines| {
            rule(dialect, lines, "delivery", |set| delivery::Set::default().check::<Scalar>(set))
        },
    },
];

/// The model of this name.
pub fn model(name: &str) -> Option<&'static Judging> {
    MODELS.iter().find(|model| model.name == name)
}

/// The checker of this name.
pub fn checker(name: &str) -> Option<&'static Judging> {
    CHECKERS.iter().find(|checker| checker.name == name)
}

/// What is asked of one object or another.
type Asked<Op> = (Scalar, Op);

/// Judges lines against a model, which may depend on what is asked of it.
fn object<M>(
    dialect: &Dialect,
    records: Records<'_>,
    begin: impl FnOnce(&History<Asked<M::Op>, M::Ret>) -> M,
) -> Result<Report, Misread>
where
    M: Model,
    M::Op: Recording<Ret = M::Ret>,
{
    let Told { history, .. } = told::<M::Op>(dialect, records)?;
    let model = begin(&history);
    Ok(if asked(&history).any(|(key, _)| *key != Scalar::Nil) {
        judge(&Keyed::new(model), &history, |(_, op), ret| op.constrained_by(ret))
    } else {
        judge(&model, &unkeyed(history), M::Op::constrained_by)
    })
}

/// Judges lines by a checker that counts for itself what it could judge.
fn rule<Op: Recording>(
    dialect: &Dialect,
    records: Records<'_>,
    method: &str,
    check: impl FnOnce(&History<Op, Op::Ret>) -> Verdict,
) -> Result<Report, Misread> {
    let Told { history, .. } = told::<Op>(dialect, records)?;
    let history = unkeyed(history);
    let report = report(&history, Op::constrained_by);
    Ok(Report {
        verdict: if report.operations == 0 { report.verdict } else { check(&history) },
        method: method.to_owned(),
        ..report
    })
}

/// Operations, each with the object that it belongs to: nil where there is one.
fn told<Op: Recording>(
    dialect: &Dialect,
    records: Records<'_>,
) -> Result<Told<Asked<Op>, Op::Ret>, Misread> {
    History::told(
        records,
        |recorded| {
            let (key, value) = split::<Op>(recorded)?;
            Ok((key, Op::asked(recorded, value)?))
        },
        |(asked, op): &Asked<Op>, recorded| {
            let (key, value) = split::<Op>(recorded)?;
            // A completion of no value has no key in it either.
            if key != *asked && recorded.value != Value::Nil {
                return Err(Problem::shape(recorded, "the key of its invocation"));
            }
            op.answer(dialect, recorded, value)
        },
    )
}

/// The key and the value proper.
fn split<'r, 'a, Op: Recording>(
    recorded: &'r Recorded<'a>,
) -> Result<(Scalar, &'r Value<'a>), Problem> {
    let (key, value) = match (&recorded.key, recorded.value.pair()) {
        (Some(key), _) => (key, &recorded.value),
        (None, Some((key, value))) if Op::is_keyed(recorded) => (key, value),
        _ => return Ok((Scalar::Nil, &recorded.value)),
    };
    match key.scalar() {
        Some(key) => Ok((key, value)),
        None => Err(Problem::shape(recorded, "a key that is no collection")),
    }
}

fn asked<Op, Ret>(history: &History<Op, Ret>) -> impl Iterator<Item = &Op> {
    history.events.iter().filter_map(|event| match &event.what {
        What::Invoke(op) => Some(op),
        What::Ok(_) | What::Fail(_) | What::Info => None,
    })
}

/// The same history, of the one object there is.
fn unkeyed<Op, Ret>(history: History<Asked<Op>, Ret>) -> History<Op, Ret> {
    converted(history, |(_, op)| op, |ret| ret)
}

/// The same history in other words.
fn converted<Op, Ret, Op2, Ret2>(
    history: History<Op, Ret>,
    mut asked: impl FnMut(Op) -> Op2,
    mut answer: impl FnMut(Ret) -> Ret2,
) -> History<Op2, Ret2> {
    let events = history.events.into_iter().map(|event| {
        let Event { at, op, actor, process, call, what } = event;
        let what = match what {
            What::Invoke(op) => What::Invoke(asked(op)),
            What::Ok(ret) => What::Ok(answer(ret)),
            What::Fail(why) => What::Fail(why),
            What::Info => What::Info,
        };
        Event { at, op, actor, process, call, what }
    });
    History { events: events.collect() }
}

/// Judges a history against a model.
fn judge<M: Model>(
    model: &M,
    history: &History<M::Op, M::Ret>,
    constrained: impl Fn(&M::Op, &M::Ret) -> bool,
) -> Report {
    let report = report(history, constrained);
    if report.constrained == 0 {
        return report;
    }
    Report { verdict: linearizable(model, history), ..report }
}

/// What a history says of itself, and the verdict if nothing in it can be wrong.
fn report<Op, Ret>(
    history: &History<Op, Ret>,
    constrained_by: impl Fn(&Op, &Ret) -> bool,
) -> Report {
    let (mut operations, mut unknown, mut constrained) = (0, 0, 0);
    for operation in history.operations() {
        operations += 1;
        match operation.outcome {
            Outcome::Info => unknown += 1,
            Outcome::Ok(ret) if constrained_by(operation.op, ret) => constrained += 1,
            Outcome::Ok(_) | Outcome::Fail => {}
        }
    }
    let verdict = Verdict::Unknown(match operations {
        0 => "the history is empty: it has no operation".to_owned(),
        _ => format!(
            "nothing in this history can be wrong: of its {operations} operations none completed \
             with an answer that depends on another"
        ),
    });
    let method = "linearizable: search of Wing and Gong, with Lowe's memory".to_owned();
    Report { verdict, method, operations, unknown, constrained }
}

/// A value that is no collection.
fn scalar(recorded: &Recorded<'_>, value: &Value<'_>) -> Result<Scalar, Problem> {
    let expected = "one value that is no collection";
    value.scalar().ok_or_else(|| Problem::shape(recorded, expected))
}

/// An integer.
fn int(recorded: &Recorded<'_>, value: &Value<'_>) -> Result<i64, Problem> {
    value.int().ok_or_else(|| Problem::shape(recorded, "an integer"))
}
