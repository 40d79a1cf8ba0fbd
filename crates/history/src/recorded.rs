//! Histories that others recorded, before anybody knows their model: one [`Recorded`] a line of
//! the file, whatever its format.
//!
//! [`read`] hands them over one by one; [`History::told`](crate::History::told) puts them together
//! for a model, and refuses what could not have happened.

use crate::forms::Form;
use crate::value::Value;
use crate::{calls, edn, jepsen_log, json, jsonl};
use std::borrow::Cow;
use std::fmt;

/// One line of a recorded history: an operation begins or ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recorded<'a> {
    /// The line of the file, from 1.
    pub line: usize,
    /// What happened.
    pub kind: Kind,
    /// Who runs it, one operation at a time.
    pub process: Process<'a>,
    /// The function: `read`, `cas`, `txn`.
    pub f: Cow<'a, str>,
    /// Which of many objects, where the line says so apart from the value.
    pub key: Option<Value<'a>>,
    /// What is asked, or what was answered.
    pub value: Value<'a>,
    /// When, in nanoseconds, where the line says so.
    pub time: Option<u64>,
}

/// What happened to an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// It began.
    Invoke,
    /// It took effect.
    Ok,
    /// It never takes effect; to a compare-and-set of some systems, it found another value.
    Fail,
    /// Nobody knows.
    Info,
}

/// Who runs an operation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Process<'a> {
    /// A client's process.
    Number(i64),
    /// Nobody is named: each end belongs to the first operation that is still open.
    Unnamed,
    /// No client, such as Jepsen's nemesis: what it does is no operation.
    Other(Cow<'a, str>),
}

impl fmt::Display for Process<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "process {number}"),
            Self::Unnamed => f.write_str("an unnamed process"),
            Self::Other(name) => write!(f, "{name}"),
        }
    }
}

impl Kind {
    /// The kind of this name.
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "invoke" => Self::Invoke,
            "ok" => Self::Ok,
            "fail" => Self::Fail,
            "info" => Self::Info,
            _ => return None,
        })
    }
}

/// Why a recorded history could not be read.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct Misread {
    /// Where, from 1.
    pub line: usize,
    /// What is wrong there, and what was expected.
    pub problem: Problem,
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The text ends in the middle of an operation.
    #[error("cut short: expected a whole operation")]
    Truncated,
    /// The list of all operations has no end.
    #[error("cut short: expected the end of the list that begins on line {line}")]
    Unclosed {
        /// Where it begins.
        line: usize,
    },
    /// Something stands behind the list of all operations.
    #[error("expected nothing after the end of the list of operations")]
    AfterTheEnd,
    /// Brackets in brackets, or tags in a row.
    #[error("expected at most {max} brackets inside each other", max = crate::forms::MAX_DEPTH)]
    Deep,
    /// An operation of many bytes.
    #[error("expected at most {max} bytes in one operation", max = crate::forms::MAX_FORM)]
    Long,
    /// No text of this format.
    #[error("{found}: expected {expected}")]
    Text {
        /// What is there, or what its reader says.
        found: String,
        /// What should be.
        expected: &'static str,
    },
    /// A value that the operation cannot have.
    #[error("{f} of {found}: expected {expected}")]
    Shape {
        /// The function.
        f: String,
        /// The value, the start of it.
        found: String,
        /// What should be.
        expected: &'static str,
    },
    /// A function that the model does not have.
    #[error(":f {found:?}: expected {expected}")]
    Function {
        /// The function.
        found: String,
        /// The model's.
        expected: &'static str,
    },
    /// A process runs one operation at a time.
    #[error(
        "{process} begins an operation, but the one of line {line} is still open: expected its end \
         first"
    )]
    Busy {
        /// The process.
        process: String,
        /// Where the open one began.
        line: usize,
    },
    /// A process ends with an unknown outcome.
    #[error(
        "{process} goes on after the unknown outcome of line {line}: expected a new process, for \
         that operation may still be running"
    )]
    Crashed {
        /// The process.
        process: String,
        /// Where its outcome became unknown.
        line: usize,
    },
    /// A completion without an invocation.
    #[error("{process} ends an operation, expected its invocation first")]
    NotInvoked {
        /// The process.
        process: String,
    },
    /// A completion of something else.
    #[error("{process} ends {found}, expected the end of {f}, which it began on line {line}")]
    Other {
        /// The process.
        process: String,
        /// What ends.
        found: String,
        /// What it began.
        f: String,
        /// Where.
        line: usize,
    },
    /// More operations than can be counted.
    #[error("expected at most {max} lines", max = u32::MAX)]
    Many,
    /// Our own format, which has its own complaints.
    #[error(transparent)]
    Jsonl(#[from] jsonl::Problem),
}

impl Problem {
    /// A value of a wrong shape.
    pub fn shape(recorded: &Recorded<'_>, expected: &'static str) -> Self {
        let Recorded { f, value, .. } = recorded;
        Self::Shape { f: f.to_string(), found: start_of(&value.to_string()), expected }
    }

    /// An unknown function.
    pub fn function(recorded: &Recorded<'_>, expected: &'static str) -> Self {
        Self::Function { found: start_of(&recorded.f), expected }
    }
}

/// What an error shows of a text that may be long.
pub(crate) fn start_of(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// How a file tells a history.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Format {
    /// Ours: JSON lines under a header, see [`jsonl`].
    Jsonl,
    /// Jepsen's operation maps, one after the other or in one vector, see [`edn`].
    Edn,
    /// The same maps in JSON, as elle-cli takes them.
    Json,
    /// The lines that Jepsen logs.
    JepsenLog,
    /// Porcupine's key-value histories: operation maps with a `:key`.
    PorcupineKv,
    /// LiMo's calls and returns: `[1] call enq(4)`, `[1] return`.
    Calls,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Jsonl, Self::Edn, Self::Json, Self::JepsenLog, Self::PorcupineKv, Self::Calls];

    /// Its name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Edn => "edn",
            Self::Json => "json",
            Self::JepsenLog => "jepsen-log",
            Self::PorcupineKv => "porcupine-kv",
            Self::Calls => "calls",
        }
    }

    /// What its operations look like.
    pub fn example(self) -> &'static str {
        match self {
            Self::Jsonl => r#"{"format":"tribunal-history","version":1}"#,
            Self::Edn => "{:type :invoke, :f :read, :value nil, :process 0}",
            Self::Json => r#"{"type":"invoke","f":"read","value":null,"process":0}"#,
            Self::JepsenLog => "INFO  jepsen.util - 0 :invoke :read nil",
            Self::PorcupineKv => r#"{:process 0, :type :invoke, :f :get, :key "1", :value nil}"#,
            Self::Calls => "[1] call enq(4)",
        }
    }

    /// The format of a text, by the first thing in it that is no comment.
    pub fn sniff(text: &str) -> Option<Self> {
        let lines = text.lines().map(str::trim_start);
        let first = lines.clone().find(|line| !line.is_empty() && !line.starts_with(';'))?;
        if first.starts_with("# ") || calls::is_call(first) {
            return Some(Self::Calls);
        }
        if jepsen_log::payload(first).is_some() {
            return Some(Self::JepsenLog);
        }
        let bare = first.trim_start_matches(['[', '(', ' ']);
        // An opening bracket may stand on a line of its own.
        let bare = if bare.is_empty() {
            lines.skip_while(|line| *line != first).nth(1).unwrap_or_default()
        } else {
            bare
        };
        let inside = bare.strip_prefix('{').map(str::trim_start);
        match inside {
            Some(inside) if inside.starts_with("\"format\"") => Some(Self::Jsonl),
            Some(inside) if inside.starts_with('"') => Some(Self::Json),
            Some(_) if bare.contains(":key ") => Some(Self::PorcupineKv),
            Some(_) => Some(Self::Edn),
            None if bare.starts_with('#') => Some(Self::Edn),
            None => None,
        }
    }
}

/// The operations of a text, in its order, each with its line. After an error there are none.
pub fn read(
    format: Format,
    text: &str,
) -> Box<dyn Iterator<Item = Result<Recorded<'_>, Misread>> + '_> {
    match format {
        Format::Jsonl => Box::new(jsonl::recorded(text)),
        Format::Edn | Format::PorcupineKv => Box::new(edn::recorded(text)),
        Format::Json => Box::new(json::recorded(text)),
        Format::JepsenLog => Box::new(jepsen_log::recorded(text)),
        Format::Calls => Box::new(calls::recorded(text)),
    }
}

/// An operation map of Jepsen's, out of EDN or JSON.
pub(crate) fn operation<'a>(map: Value<'a>, form: Form<'a>) -> Result<Recorded<'a>, Misread> {
    let line = form.line;
    let wrong = |found: &dyn fmt::Display, expected| {
        let found = start_of(&found.to_string());
        Misread { line, problem: Problem::Text { found, expected } }
    };
    let Value::Map(entries) = map else {
        return Err(wrong(&form.text, "an operation map"));
    };
    let (mut kind, mut f, mut key) = (None, Cow::Borrowed("txn"), None);
    let (mut process, mut value, mut time) = (Process::Unnamed, Value::Nil, None);
    for (name, entry) in entries {
        match (name.word(), entry) {
            (Some("type"), entry) => {
                kind = entry.word().and_then(Kind::of);
                if kind.is_none() {
                    return Err(wrong(&entry, "a :type of :invoke, :ok, :fail or :info"));
                }
            }
            (Some("process"), Value::Int(number)) => process = Process::Number(number),
            (Some("process"), Value::Word(name) | Value::Text(name)) => {
                process = Process::Other(name);
            }
            (Some("process"), Value::Nil) | (Some("f"), Value::Nil) => {}
            (Some("process"), entry) => return Err(wrong(&entry, "a :process by its number")),
            (Some("f"), Value::Word(name) | Value::Text(name)) => f = name,
            (Some("f"), entry) => return Err(wrong(&entry, "an :f by its name")),
            (Some("value"), entry) => value = entry,
            (Some("key"), entry) => key = Some(entry),
            (Some("time"), Value::Int(at)) => time = u64::try_from(at).ok(),
            _ => {}
        }
    }
    let Some(kind) = kind else {
        return Err(wrong(&"an operation map without :type", ":invoke, :ok, :fail or :info"));
    };
    Ok(Recorded { line, kind, process, f, key, value, time })
}
