//! Histories as Jepsen stores them: operation maps in EDN, one after the other or in one vector or
//! list.
//!
//! ```text
//! {:process 0, :type :invoke, :f :write, :value 4, :time 1200}
//! {:process 0, :type :ok,     :f :write, :value 4, :time 31000}
//! ```
//!
//! Comments are passed over and tagged literals, `#jepsen.history.Op{…}`, are read as what is
//! behind the tag. A map may lack `:process`, then the first open operation ends, and `:f`, which
//! then is `:txn`.

use crate::forms::{Form, Forms};
use crate::recorded::{Misread, Problem, Recorded, operation, start_of};
use crate::value::{Scalar, Value};
use crate::{Actor, Event, History, What};
use clojure_reader::edn::{self, Edn};
use std::io::{self, Write};

/// The operations of a text.
pub(crate) fn recorded(text: &str) -> impl Iterator<Item = Result<Recorded<'_>, Misread>> {
    let forms = Forms::new(text, true);
    let kept = forms.filter(|form| !matches!(form, Ok(form) if form.text.starts_with("#_")));
    kept.map(|form| {
        let form = form?;
        operation(parse(form)?, form)
    })
}

/// The one value of a text, such as a line of a log ends with; `line` is that of the error.
///
/// # Errors
///
/// No value, more than one, or no EDN.
pub fn value(text: &str, line: usize) -> Result<Value<'_>, Misread> {
    let wrong = |found: String| Misread {
        line,
        problem: Problem::Text { found, expected: "one value in EDN" },
    };
    let mut forms = Forms::new(text, true);
    forms.whole();
    let form = match forms.next() {
        Some(form) => form.map_err(|error| Misread { line, ..error })?,
        None => return Err(wrong("nothing".to_owned())),
    };
    if let Some(more) = forms.next() {
        let more = more.map_err(|error| Misread { line, ..error })?;
        return Err(wrong(start_of(more.text)));
    }
    parse(Form { line, ..form })
}

/// One value that is no collection; `None` for any other text.
pub fn scalar(text: &str) -> Option<Scalar> {
    value(text, 1).ok()?.scalar()
}

fn parse(form: Form<'_>) -> Result<Value<'_>, Misread> {
    let wrong = |line: usize, found: String| Misread {
        line,
        problem: Problem::Text { found, expected: "EDN" },
    };
    match edn::read(form.text) {
        Ok((edn, rest)) if rest.trim().is_empty() => Ok(convert(&edn)),
        Ok((_, rest)) => Err(wrong(form.line, start_of(rest.trim()))),
        Err(error) => {
            // The reader takes a carriage return for a line of its own.
            let before = error.ptr.and_then(|end| form.text.get(..end)).unwrap_or_default();
            let line = form.line + before.matches('\n').count();
            let column = 1 + before.rsplit('\n').next().unwrap_or_default().chars().count();
            Err(wrong(line, format!("{:?} at column {column}", error.code)))
        }
    }
}

fn convert<'a>(edn: &Edn<'a>) -> Value<'a> {
    match edn {
        Edn::Nil => Value::Nil,
        Edn::Bool(bool) => Value::Bool(*bool),
        Edn::Int(int) => Value::Int(*int),
        Edn::Key(word) | Edn::Symbol(word) => Value::Word(word.clone()),
        Edn::Str(text) => Value::Text(text.clone()),
        Edn::Char(c) => Value::Text(c.to_string().into()),
        Edn::Vector(all) | Edn::List(all) => Value::List(all.iter().map(convert).collect()),
        Edn::Set(all) => Value::Set(all.iter().map(convert).collect()),
        Edn::Map(all) => Value::Map(all.iter().map(|(k, v)| (convert(k), convert(v))).collect()),
        Edn::Tagged(_, value) => convert(value),
        number => Value::Word(number.to_string().into()),
    }
}

/// Writes a history as Jepsen's operation maps, one a line. `op` says a function and what is asked
/// of it, `ret` what an answer tells; a process is one client of one of its lives.
///
/// # Errors
///
/// Those of `out`.
pub fn write<Op, Ret>(
    history: &History<Op, Ret>,
    mut out: impl Write,
    op: impl Fn(&Op) -> (String, Value<'static>),
    ret: impl Fn(&Op, &Ret) -> Value<'static>,
) -> io::Result<()> {
    let mut asked: Vec<&Op> = Vec::new();
    let mut processes = std::collections::BTreeMap::new();
    for (index, event) in history.events.iter().enumerate() {
        let Event { at, op: number, actor, process, what, .. } = event;
        let next = processes.len();
        let process = *processes.entry((*actor, *process)).or_insert(next);
        if let What::Invoke(op) = what {
            asked.push(op);
        }
        let Some(&asked) = asked.get(*number as usize) else { continue };
        let (f, value) = op(asked);
        let (kind, value, error) = match what {
            What::Invoke(_) => ("invoke", value, None),
            What::Ok(answer) => ("ok", ret(asked, answer), None),
            What::Fail(why) => ("fail", value, Some(Value::Text(why.clone()))),
            What::Info => ("info", value, None),
        };
        let f = Value::Word(f.into());
        write!(out, "{{:index {index}, :type :{kind}, :process {process}, :f {f}, ")?;
        write!(out, ":value {value}, :time {at}")?;
        if let Some(error) = error {
            write!(out, ", :error {error}")?;
        }
        if let Actor::Role(node) = actor {
            write!(out, ", :node \"n{node}\"")?;
        }
        writeln!(out, "}}")?;
    }
    out.flush()
}
