//! Recorded histories judged: the names of models, and how each reads its operations out of
//! untyped lines.
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
//! let judged = model.judge(&Dialect::of(Format::Edn), read(Format::Edn, text)).unwrap();
//! assert!(judged.verdict.is_violated());
//! ```

mod models;

use crate::{Keyed, Model, Verdict, linearizable};
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

/// A model that recorded histories can be held against.
pub trait Recording: Model + Sized {
    /// The object as it begins, for one that these operations are asked of.
    fn begin<'a>(dialect: &Dialect, asked: impl Iterator<Item = &'a Self::Op>) -> Self
    where
        Self::Op: 'a;

    /// Whether the value of this line is a pair of a key and the value proper, as Jepsen's
    /// independent tests have it; `false` where that would be ambiguous.
    fn is_keyed(_recorded: &Recorded<'_>) -> bool {
        false
    }

    /// What an invocation asks. The value may have been freed from its key: it stands beside.
    ///
    /// # Errors
    ///
    /// A function that the model does not have, or a value that this function cannot have.
    fn asked(recorded: &Recorded<'_>, value: &Value<'_>) -> Result<Self::Op, Problem>;

    /// What an `:ok` or `:fail` tells of `op`.
    ///
    /// # Errors
    ///
    /// A value that this answer cannot have.
    fn answer(
        dialect: &Dialect,
        op: &Self::Op,
        recorded: &Recorded<'_>,
        value: &Value<'_>,
    ) -> Result<Answer<Self::Ret>, Problem>;

    /// Whether such an answer is impossible in some state. A history without one of these proves
    /// nothing by being explained.
    fn constrains(_op: &Self::Op, _ret: &Self::Ret) -> bool {
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
    pub constraining: usize,
}

/// The lines of a history.
pub type Records<'a> = Box<dyn Iterator<Item = Result<Recorded<'a>, Misread>> + 'a>;

type Judge = fn(&Dialect, Records<'_>) -> Result<Report, Misread>;

/// Something with a name that judges recorded histories.
#[derive(Clone, Copy, Debug)]
pub struct Judging {
    /// Its name on a command line.
    pub name: &'static str,
    /// The functions that it reads, and what it is.
    pub about: &'static str,
    judge: Judge,
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

/// The models, by name.
pub const MODELS: &[Judging] = &[
    Judging {
        name: "cas-register",
        about: "read, write, cas: a register with compare-and-set",
        judge: against::<crate::models::Register<Scalar>>,
    },
    Judging {
        name: "counter",
        about: "add, read: a total",
        judge: against::<crate::models::Counter>,
    },
    Judging {
        name: "mutex",
        about: "acquire, release: a lock that its holder gives back",
        judge: against::<crate::models::Mutex>,
    },
];

/// The model of this name.
pub fn model(name: &str) -> Option<&'static Judging> {
    MODELS.iter().find(|model| model.name == name)
}

/// Judges lines against a model.
fn against<M: Recording>(dialect: &Dialect, records: Records<'_>) -> Result<Report, Misread> {
    let told = told::<M>(dialect, records)?;
    let asked = told.history.events.iter().filter_map(|event| match &event.what {
        What::Invoke((_, op)) => Some(op),
        What::Ok(_) | What::Fail(_) | What::Info => None,
    });
    let model = M::begin(dialect, asked);
    let keyed = told
        .history
        .events
        .iter()
        .any(|event| matches!(&event.what, What::Invoke((key, _)) if *key != Scalar::Nil));
    if keyed {
        Ok(judged(&Keyed::new(model), &told.history, |(_, op), ret| M::constrains(op, ret)))
    } else {
        Ok(judged(&model, &unkeyed(told.history), M::constrains))
    }
}

/// A model's operations, each with the object that it belongs to: nil where there is one.
fn told<M: Recording>(
    dialect: &Dialect,
    records: Records<'_>,
) -> Result<Told<(Scalar, M::Op), M::Ret>, Misread> {
    History::told(
        records,
        |recorded| {
            let (key, value) = split::<M>(recorded)?;
            Ok((key, M::asked(recorded, value)?))
        },
        |(asked, op), recorded| {
            let (key, value) = split::<M>(recorded)?;
            if key != *asked {
                return Err(Problem::shape(recorded, "the key of its invocation"));
            }
            M::answer(dialect, op, recorded, value)
        },
    )
}

/// The key and the value proper.
fn split<'r, 'a, M: Recording>(
    recorded: &'r Recorded<'a>,
) -> Result<(Scalar, &'r Value<'a>), Problem> {
    let (key, value) = match (&recorded.key, recorded.value.pair()) {
        (Some(key), _) => (key, &recorded.value),
        (None, Some((key, value))) if M::is_keyed(recorded) => (key, value),
        _ => return Ok((Scalar::Nil, &recorded.value)),
    };
    match key.scalar() {
        Some(key) => Ok((key, value)),
        None => Err(Problem::shape(recorded, "a key that is no collection")),
    }
}

/// The same history, of the one object there is.
fn unkeyed<Op, Ret>(history: History<(Scalar, Op), Ret>) -> History<Op, Ret> {
    let events = history.events.into_iter().map(|event| {
        let Event { at, op, actor, process, call, what } = event;
        let what = match what {
            What::Invoke((_, op)) => What::Invoke(op),
            What::Ok(ret) => What::Ok(ret),
            What::Fail(why) => What::Fail(why),
            What::Info => What::Info,
        };
        Event { at, op, actor, process, call, what }
    });
    History { events: events.collect() }
}

fn judged<M: Model>(
    model: &M,
    history: &History<M::Op, M::Ret>,
    constrains: impl Fn(&M::Op, &M::Ret) -> bool,
) -> Report {
    let (mut operations, mut unknown, mut constraining) = (0, 0, 0);
    for operation in history.operations() {
        operations += 1;
        match operation.outcome {
            Outcome::Info => unknown += 1,
            Outcome::Ok(ret) if constrains(operation.op, ret) => constraining += 1,
            Outcome::Ok(_) | Outcome::Fail => {}
        }
    }
    let verdict = match linearizable(model, history) {
        Verdict::Holds if operations == 0 => {
            Verdict::Unknown("the history is empty: it has no operation".to_owned())
        }
        Verdict::Holds if constraining == 0 => Verdict::Unknown(format!(
            "nothing in this history could have been wrong: none of its {operations} operations \
             completed with an answer that depends on others"
        )),
        verdict => verdict,
    };
    let method = "linearizable: search of Wing and Gong, with Lowe's memory".to_owned();
    Report { verdict, method, operations, unknown, constraining }
}
