//! Recorded histories judged: the names of models and checkers, and how each reads its operations
//! out of untyped lines.
//!
//! ```
//! use checkers::recorded::{Terms, model};
//! use history::recorded::{Format, read};
//!
//! let text = "\
//!     {:process 0, :type :invoke, :f :write, :value 4}
//!     {:process 0, :type :ok, :f :write, :value 4}
//!     {:process 1, :type :invoke, :f :read, :value nil}
//!     {:process 1, :type :ok, :f :read, :value 3}";
//! let model = model("cas-register").unwrap();
//! let opinion = model.judge(&Terms::of(Format::Edn), read(Format::Edn, text)).unwrap();
//! assert!(opinion.verdict.is_violated());
//! ```
//!
//! A model joins with two things: [`Recording`] for its operations, and a line in [`MODELS`].

mod counters;
mod locks;
mod queues;
mod registers;
mod sets;
mod transactions;

use crate::conservation::{Bank, counter};
use crate::isolation::{Level, Standing, Witness, long_fork};
use crate::models::{Counter, FencedMutex, FetchAndAdd, KeyValue, Log, Mutex};
use crate::models::{Queue, Register, Stack};
use crate::{Explanation, Keyed, Method, Model, Options, PartReport, Verdict, check, delivery};
use history::recorded::{Format, Misread, Problem, Recorded};
use history::value::{Scalar, Value};
use history::{Answer, Event, History, Outcome, Told, What};
use std::collections::BTreeMap;

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

/// What a judge says of a history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opinion {
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
    /// What shows the violation, where there is more to say than the verdict's message does.
    pub evidence: Option<Evidence>,
}

/// What shows a violation, and where it stands in the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evidence {
    /// What it is.
    pub shown: Shown,
    /// The line of each event of the history.
    pub lines: Vec<u32>,
    /// For each operation its events: the invocation, and what ended it.
    pub events: Vec<(u32, Option<u32>)>,
}

/// What shows a violation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Shown {
    /// Operations without an order.
    NoOrder(Box<Explanation>),
    /// Transactions that depend on each other, and how the history stands to all levels.
    Phenomena(Vec<Witness>, Standing),
}

impl Evidence {
    fn new<Op, Ret>(shown: Shown, history: &History<Op, Ret>, lines: Vec<u32>) -> Self {
        let mut events: Vec<(u32, Option<u32>)> = Vec::new();
        for (index, event) in (0..).zip(&history.events) {
            match event.what {
                What::Invoke(_) => events.push((index, None)),
                _ => events[event.op as usize].1 = Some(index),
            }
        }
        Self { shown, lines, events }
    }

    /// The line of an event; 0 for none.
    pub fn line(&self, event: u32) -> u32 {
        self.lines.get(event as usize).copied().unwrap_or_default()
    }

    /// The lines on which an operation begins and ends.
    pub fn lines_of(&self, operation: u32) -> (u32, Option<u32>) {
        match self.events.get(operation as usize) {
            Some((begin, end)) => (self.line(*begin), end.map(|end| self.line(end))),
            None => (0, None),
        }
    }
}

/// The lines of a history.
pub type Records<'a> = Box<dyn Iterator<Item = Result<Recorded<'a>, Misread>> + 'a>;

/// Something with a name that judges recorded histories.
#[derive(Clone, Copy, Debug)]
pub struct Judge {
    /// Its name on a command line.
    pub name: &'static str,
    /// The functions that it reads, and what it is.
    pub about: &'static str,
    judge: fn(&Terms, Records<'_>) -> Result<Opinion, Misread>,
}

/// On what terms a history is judged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    /// What its lines mean.
    pub dialect: Dialect,
    /// How linearizability is judged.
    pub options: Options,
    /// The level that transactions are held against.
    pub level: Level,
}

impl Terms {
    /// As this format means it; with explanations, and strict serializability.
    pub fn of(format: Format) -> Self {
        Self {
            dialect: Dialect::of(format),
            options: Options { explain: true, ..Options::default() },
            level: Level::STRICT_SERIALIZABLE,
        }
    }
}

impl Judge {
    /// Judges the lines of a history.
    ///
    /// # Errors
    ///
    /// The first line that is wrong.
    pub fn judge(&self, terms: &Terms, records: Records<'_>) -> Result<Opinion, Misread> {
        (self.judge)(terms, records)
    }
}

/// The models that a history can be held against, by name.
pub const MODELS: &[Judge] = &[
    Judge {
        name: "cas-register",
        about: "read, write, cas: a register with compare-and-set",
        judge: |terms, lines| object(terms, lines, |_| Register(terms.dialect.initial.clone())),
    },
    Judge {
        name: "multi-register",
        about: "txn of [:read k v] and [:write k v]: registers that are used together",
        judge: |terms, lines| {
            object(terms, lines, |history| registers::all(history, &terms.dialect.initial))
        },
    },
    Judge {
        name: "kv",
        about: "get, put, append: strings under keys",
        judge: |terms, lines| object(terms, lines, |_| KeyValue),
    },
    Judge {
        name: "counter",
        about: "add, read: a total",
        judge: |terms, lines| object(terms, lines, |_| Counter(0)),
    },
    Judge {
        name: "fetch-and-add",
        about: "fetch-and-add, read: a total that an addition answers with",
        judge: |terms, lines| object(terms, lines, |_| FetchAndAdd(0)),
    },
    Judge {
        name: "mutex",
        about: "acquire, release: a lock that its holder gives back",
        judge: |terms, lines| object(terms, lines, |_| Mutex),
    },
    Judge {
        name: "fenced-mutex",
        about: "acquire, release, of a fence: a lock whose grants have growing numbers",
        judge: |terms, lines| object(terms, lines, |_| FencedMutex),
    },
    Judge { name: "set", about: "add, remove, contains, read: a set", judge: sets::judge_lines },
    Judge {
        name: "queue",
        about: "enqueue, dequeue (enq, deq; add, remove): first in, first out",
        judge: |terms, lines| object(terms, lines, |_| Queue::<Scalar>::new()),
    },
    Judge {
        name: "stack",
        about: "push, pop: last in, first out",
        judge: |terms, lines| object(terms, lines, |_| Stack::<Scalar>::new()),
    },
    Judge {
        name: "log",
        about: "append, read of an offset: values in the order of their offsets",
        judge: |terms, lines| object(terms, lines, |_| Log::<Scalar>::new()),
    },
];

/// The checkers that promise nothing of real time beyond their own rule, by name.
pub const CHECKERS: &[Judge] = &[
    Judge {
        name: "bank",
        about: "transfer, read: every read of all accounts sees the same sum, none below 0",
        judge: |terms, lines| {
            rule(terms, lines, "conservation", |bank| Bank::default().check(bank))
        },
    },
    Judge {
        name: "counter",
        about: "add, read: a read lies between what must have been added and what may",
        judge: |terms, lines| rule(terms, lines, "conservation", |history| counter(0, history)),
    },
    Judge {
        name: "set",
        about: "add, read: what was added is in the last read, and nothing else",
        judge: |terms, lines| {
            rule(terms, lines, "delivery", |set| delivery::Set::default().check::<Scalar>(set))
        },
    },
    Judge {
        name: "long-fork",
        about: "txn, read of [:r k v]: no two readers see two writes in different orders",
        judge: |terms, lines| rule(terms, lines, "long fork", long_fork),
    },
];

/// What transactions are made of, by name. They are held against [`Terms::level`].
pub const TXNS: &[Judge] = &[
    Judge {
        name: "list-append",
        about: "[:append k v], [:r k vs]: lists, each of whose values is appended once",
        judge: |terms, lines| transactions::lists(terms, lines),
    },
    Judge {
        name: "rw-register",
        about: "[:w k v], [:r k v]: registers, each of whose values is written once",
        judge: |terms, lines| transactions::registers(terms, lines),
    },
];

/// The transactions of this name.
pub fn txn(name: &str) -> Option<&'static Judge> {
    TXNS.iter().find(|txn| txn.name == name)
}

/// The model of this name.
pub fn model(name: &str) -> Option<&'static Judge> {
    MODELS.iter().find(|model| model.name == name)
}

/// The checker of this name.
pub fn checker(name: &str) -> Option<&'static Judge> {
    CHECKERS.iter().find(|checker| checker.name == name)
}

/// What is asked of one object or another.
type Asked<Op> = (Scalar, Op);

/// Judges lines against a model, which may depend on what is asked of it.
fn object<M>(
    terms: &Terms,
    records: Records<'_>,
    begin: impl FnOnce(&History<Asked<M::Op>, M::Ret>) -> M,
) -> Result<Opinion, Misread>
where
    M: Model<Op: Recording<Ret = M::Ret> + Sync, Ret: Sync, Key: Sync> + Sync,
{
    let Told { history, lines } = told::<M::Op>(&terms.dialect, records)?;
    let model = begin(&history);
    Ok(if asked(&history).any(|(key, _)| *key != Scalar::Nil) {
        judge(&Keyed::new(model), terms, &history, lines, |(_, op), ret| op.constrained_by(ret))
    } else {
        judge(&model, terms, &unkeyed(history), lines, M::Op::constrained_by)
    })
}

/// Judges lines by a checker that counts for itself what it could judge.
fn rule<Op: Recording>(
    terms: &Terms,
    records: Records<'_>,
    method: &str,
    check: impl FnOnce(&History<Op, Op::Ret>) -> Verdict,
) -> Result<Opinion, Misread> {
    let Told { history, .. } = told::<Op>(&terms.dialect, records)?;
    let history = unkeyed(history);
    let opinion = tally(&history, Op::constrained_by);
    Ok(Opinion {
        verdict: if opinion.operations == 0 { opinion.verdict } else { check(&history) },
        method: method.to_owned(),
        ..opinion
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
    converted(history, |(_, op)| Some(op), Some)
}

/// The same history in other words; events for which there are none are left out.
fn converted<Op, Ret, Op2, Ret2>(
    history: History<Op, Ret>,
    mut asked: impl FnMut(Op) -> Option<Op2>,
    mut answer: impl FnMut(Ret) -> Option<Ret2>,
) -> History<Op2, Ret2> {
    let events = history.events.into_iter().filter_map(|event| {
        let Event { at, op, actor, process, call, what } = event;
        let what = match what {
            What::Invoke(op) => What::Invoke(asked(op)?),
            What::Ok(ret) => What::Ok(answer(ret)?),
            What::Fail(why) => What::Fail(why),
            What::Info => What::Info,
        };
        Some(Event { at, op, actor, process, call, what })
    });
    History { events: events.collect() }
}

/// Judges a history against a model.
fn judge<M>(
    model: &M,
    terms: &Terms,
    history: &History<M::Op, M::Ret>,
    lines: Vec<u32>,
    constrained_by: impl Fn(&M::Op, &M::Ret) -> bool,
) -> Opinion
where
    M: Model<Op: Sync, Ret: Sync, Key: Sync> + Sync,
{
    let opinion = tally(history, constrained_by);
    if opinion.constrained == 0 {
        return opinion;
    }
    let report = check(model, history, &terms.options);
    let evidence = report
        .explanation
        .map(|explanation| Evidence::new(Shown::NoOrder(Box::new(explanation)), history, lines));
    let method = methods(&report.parts);
    Opinion { verdict: report.verdict, method, evidence, ..opinion }
}

/// How the objects of a history were judged, in words.
fn methods(parts: &[PartReport]) -> String {
    let mut count: BTreeMap<Method, usize> = BTreeMap::new();
    for method in parts.iter().filter_map(|part| part.methods.last()) {
        *count.entry(*method).or_default() += 1;
    }
    let told = count.into_iter().map(|(method, objects)| {
        let method = match method {
            Method::Decision => "the model's own procedure",
            Method::JustInTime => "just-in-time linearization",
            Method::DepthFirst => "depth-first search",
        };
        match (parts.len(), objects) {
            (1, _) => method.to_owned(),
            (_, 1) => format!("{method} (1 object)"),
            _ => format!("{method} ({objects} objects)"),
        }
    });
    format!("linearizable: {}", told.collect::<Vec<_>>().join(", "))
}

/// What a history says of itself, and the verdict if nothing in it can be wrong.
fn tally<Op, Ret>(
    history: &History<Op, Ret>,
    constrained_by: impl Fn(&Op, &Ret) -> bool,
) -> Opinion {
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
    let method = "counting what could be wrong".to_owned();
    Opinion { verdict, method, operations, unknown, constrained, evidence: None }
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
