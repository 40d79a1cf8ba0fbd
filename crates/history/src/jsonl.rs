//! Histories as JSON lines: a header that names the format and its version, then one event a line.
//!
//! ```text
//! {"format":"tribunal-history","version":1}
//! {"at":0,"op":0,"actor":{"client":0},"process":0,"call":0,"what":{"invoke":{"write":4}}}
//! {"at":31000,"op":0,"actor":{"client":0},"process":0,"call":0,"what":{"ok":null}}
//! ```
//!
//! What [`read`] returns is well-formed: every completion has its invocation, and no process does
//! two things at once. The order of the lines is the order of the run; `at` is for people.

use crate::recorded::{self, Kind, Misread, Process, Recorded};
use crate::value::Value;
use crate::{Actor, Event, History, What};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::io::{self, BufRead, Read, Write};

/// The version that is written, and the only one that is read.
pub const VERSION: u32 = 1;

/// The longest line, in bytes and without its end.
pub const MAX_LINE: usize = 1 << 20;

const FORMAT: &str = "tribunal-history";

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
}

/// Why a history could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The writer refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// An operation or a result that JSON cannot hold, such as a map whose keys are no strings.
    #[error("event {event}: no JSON for it: {source}")]
    Json {
        /// The event's index.
        event: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// [`read`] would refuse the line.
    #[error("event {event}: {len} bytes in one line, expected at most {MAX_LINE}")]
    TooLong {
        /// The event's index.
        event: usize,
        /// The length of its line.
        len: usize,
    },
}

/// Why a history could not be read. Lines are counted from 1, the header among them.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ReadError {
    /// Where it stands.
    pub line: usize,
    /// What is wrong there, and what was expected.
    pub problem: Problem,
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The reader failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// No header of a history.
    #[error("expected the header {{\"format\":\"{FORMAT}\",\"version\":{VERSION}}}")]
    NoHeader,
    /// A history of another version.
    #[error("version {found}, expected {VERSION}")]
    Version {
        /// The version it has.
        found: u32,
    },
    /// More than [`MAX_LINE`] bytes.
    #[error("more than {MAX_LINE} bytes in one line")]
    TooLong,
    /// The text ends in the middle of an event.
    #[error("cut short: expected a whole event")]
    Truncated,
    /// Not an event.
    #[error("expected an event: {0}")]
    NotAnEvent(serde_json::Error),
    /// Operations are numbered by their invocations.
    #[error("operation {found} invoked, expected operation {expected}")]
    Number {
        /// The number it has.
        found: u32,
        /// The number of invocations before it.
        expected: u32,
    },
    /// A process runs one operation at a time; one of unknown outcome may still be running.
    #[error(
        "operation {op} invoked by process {process} of {actor}, which is busy with operation \
         {busy}: expected its completion first, or another process"
    )]
    Busy {
        /// The invoked operation.
        op: u32,
        /// Whose process it is.
        actor: Actor,
        /// The process.
        process: u32,
        /// What it has not completed.
        busy: u32,
    },
    /// A completion without an invocation.
    #[error("operation {op} completed, expected its invocation first")]
    NotInvoked {
        /// The completed operation.
        op: u32,
    },
    /// A second completion.
    #[error("operation {op} completed twice, expected one completion")]
    Again {
        /// The completed operation.
        op: u32,
    },
    /// A completion by somebody else.
    #[error(
        "operation {op} completed as call {call} of process {process} of {actor}, expected the \
         actor, process and call that invoked it"
    )]
    Stranger {
        /// The completed operation.
        op: u32,
        /// Who completed it.
        actor: Actor,
        /// In which process.
        process: u32,
        /// As which call.
        call: u32,
    },
}

/// Writes the header and every event.
///
/// # Errors
///
/// Those of `out`, and events that JSON cannot hold in a line of [`MAX_LINE`] bytes.
pub fn write<Op: Serialize, Ret: Serialize>(
    history: &History<Op, Ret>,
    mut out: impl Write,
) -> Result<(), WriteError> {
    writeln!(out, "{{\"format\":\"{FORMAT}\",\"version\":{VERSION}}}")?;
    let mut line = Vec::new();
    for (event, content) in history.events.iter().enumerate() {
        line.clear();
        serde_json::to_writer(&mut line, content)
            .map_err(|source| WriteError::Json { event, source })?;
        if line.len() > MAX_LINE {
            return Err(WriteError::TooLong { event, len: line.len() });
        }
        line.push(b'\n');
        out.write_all(&line)?;
    }
    Ok(out.flush()?)
}

/// Reads what [`write()`] wrote, and refuses what could not have happened.
///
/// # Errors
///
/// The first [`Problem`], with its line.
pub fn read<Op: DeserializeOwned, Ret: DeserializeOwned>(
    mut input: impl BufRead,
) -> Result<History<Op, Ret>, ReadError> {
    let mut history = History::new();
    let mut order = Order::default();
    let mut text = Vec::new();
    for line in 1.. {
        match next(&mut input, &mut text, line, &mut order) {
            Ok(Next::Header) => {}
            Ok(Next::Event(event)) => history.events.push(event),
            Ok(Next::End) => break,
            Err(problem) => return Err(ReadError { line, problem }),
        }
    }
    Ok(history)
}

/// The operations of a text, untyped: an operation is `"read"`, or with its value `{"write":4}`.
/// Every answer is the value of its completion.
pub(crate) fn recorded(text: &str) -> impl Iterator<Item = Result<Recorded<'_>, Misread>> {
    let mut order = Order::default();
    let mut asked: Vec<String> = Vec::new();
    let mut processes: BTreeMap<(Actor, u32), i64> = BTreeMap::new();
    let mut bytes = text.as_bytes();
    let mut bytes_of = Vec::new();
    let mut line = 0;
    let mut failed = false;
    std::iter::from_fn(move || {
        loop {
            if failed {
                return None;
            }
            line += 1;
            let next = next(&mut bytes, &mut bytes_of, line, &mut order);
            let event: Event<Value<'_>, Value<'_>> = match next {
                Ok(Next::Header) => continue,
                Ok(Next::End) => return None,
                Ok(Next::Event(event)) => event,
                Err(problem) => {
                    failed = true;
                    return Some(Err(Misread { line, problem: problem.into() }));
                }
            };
            let count = processes.len() as i64;
            let process = *processes.entry((event.actor, event.process)).or_insert(count);
            let op = event.op as usize;
            let (kind, value) = match event.what {
                What::Invoke(content) => {
                    let Some((f, value)) = function(content) else {
                        failed = true;
                        let found = "this invocation".to_owned();
                        let expected = "\"f\" or {\"f\":value}";
                        let problem = recorded::Problem::Text { found, expected };
                        return Some(Err(Misread { line, problem }));
                    };
                    asked.push(f);
                    (Kind::Invoke, value)
                }
                What::Ok(value) => (Kind::Ok, value),
                What::Fail(_) => (Kind::Fail, Value::Nil),
                What::Info => (Kind::Info, Value::Nil),
            };
            let f = asked.get(op).cloned().unwrap_or_default().into();
            let (process, time) = (Process::Number(process), Some(event.at));
            return Some(Ok(Recorded { line, kind, process, f, key: None, value, time }));
        }
    })
}

/// An operation's function and its value: serde's way of telling an enum.
fn function(content: Value<'_>) -> Option<(String, Value<'_>)> {
    match content {
        Value::Text(f) => Some((f.into_owned(), Value::Nil)),
        Value::Map(mut entries) if entries.len() == 1 => {
            let (f, value) = entries.pop()?;
            Some((f.word()?.to_owned(), value))
        }
        _ => None,
    }
}

/// What a line is.
enum Next<Op, Ret> {
    Header,
    Event(Event<Op, Ret>),
    End,
}

fn next<Op: DeserializeOwned, Ret: DeserializeOwned>(
    input: &mut impl BufRead,
    text: &mut Vec<u8>,
    line: usize,
    order: &mut Order,
) -> Result<Next<Op, Ret>, Problem> {
    if !read_line(input, text)? {
        return if line == 1 { Err(Problem::NoHeader) } else { Ok(Next::End) };
    }
    if line == 1 {
        return header(text).map(|()| Next::Header);
    }
    let event = serde_json::from_slice(text).map_err(|error| {
        if error.is_eof() { Problem::Truncated } else { Problem::NotAnEvent(error) }
    })?;
    order.follow(&event)?;
    Ok(Next::Event(event))
}

/// The next line, without its end; false after the last one.
fn read_line(input: &mut impl BufRead, text: &mut Vec<u8>) -> Result<bool, Problem> {
    text.clear();
    input.take(MAX_LINE as u64 + 1).read_until(b'\n', text)?;
    let ended = text.last() == Some(&b'\n');
    if ended {
        text.pop();
    } else if text.len() > MAX_LINE {
        return Err(Problem::TooLong);
    }
    Ok(ended || !text.is_empty())
}

fn header(text: &[u8]) -> Result<(), Problem> {
    let header: Header = serde_json::from_slice(text).map_err(|_| Problem::NoHeader)?;
    if header.format != FORMAT {
        return Err(Problem::NoHeader);
    }
    if header.version != VERSION {
        return Err(Problem::Version { found: header.version });
    }
    Ok(())
}

/// Who invoked what, as far as the lines have been read.
#[derive(Default)]
struct Order {
    /// Each operation's invoker, and whether it has completed.
    invoked: Vec<(Actor, u32, u32, bool)>,
    /// The operation that a process has not seen the end of.
    busy: BTreeMap<(Actor, u32), u32>,
}

impl Order {
    fn follow<Op, Ret>(&mut self, event: &Event<Op, Ret>) -> Result<(), Problem> {
        let Event { op, actor, process, call, .. } = *event;
        if matches!(event.what, What::Invoke(_)) {
            let expected = self.invoked.len() as u32;
            if op != expected {
                return Err(Problem::Number { found: op, expected });
            }
            if let Some(&busy) = self.busy.get(&(actor, process)) {
                return Err(Problem::Busy { op, actor, process, busy });
            }
            self.busy.insert((actor, process), op);
            self.invoked.push((actor, process, call, false));
            return Ok(());
        }
        let Some((a, p, c, completed)) = self.invoked.get_mut(op as usize) else {
            return Err(Problem::NotInvoked { op });
        };
        if *completed {
            return Err(Problem::Again { op });
        }
        if (*a, *p, *c) != (actor, process, call) {
            return Err(Problem::Stranger { op, actor, process, call });
        }
        *completed = true;
        if !matches!(event.what, What::Info) {
            self.busy.remove(&(actor, process));
        }
        Ok(())
    }
}
