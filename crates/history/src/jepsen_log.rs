//! The lines that Jepsen logs for every operation, among others of a log:
//!
//! ```text
//! INFO  jepsen.util - 3 :invoke :cas [4 2]
//! 2026-01-31 12:00:00,545{GMT} INFO [jepsen worker 3] jepsen.util: 3 :info :cas :timed-out
//! ```

use crate::edn;
use crate::recorded::{Kind, Misread, Problem, Process, Recorded, start_of};
use crate::value::Value;
use std::borrow::Cow;

const LOGGER: &str = "jepsen.util";

/// What an operation's line says after the logger's name.
pub(crate) fn payload(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(LOGGER)?;
    rest.strip_prefix(" - ").or_else(|| rest.strip_prefix(": "))
}

/// Whether another logger speaks: a level, and a logger's name before ` - ` or `: `.
fn is_other(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let level = |word: &str| matches!(word, "TRACE" | "DEBUG" | "INFO" | "WARN" | "ERROR");
    let ends = line.contains(" - ") || line.contains(": ");
    words.any(level) && ends && !line.contains(LOGGER)
}

/// The operations of a text.
pub(crate) fn recorded(text: &str) -> impl Iterator<Item = Result<Recorded<'_>, Misread>> {
    let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
    lines.filter(|(line, _)| !is_other(line)).map(|(text, line)| {
        let wrong = |found: &str| Misread {
            line,
            problem: Problem::Text {
                found: start_of(found),
                expected: "a line such as \"INFO  jepsen.util - 0 :invoke :read nil\"",
            },
        };
        let payload = payload(text).ok_or_else(|| wrong(text))?;
        let (process, rest) = word(payload).ok_or_else(|| wrong(text))?;
        let (kind, rest) = word(rest).ok_or_else(|| wrong(text))?;
        let (f, rest) = word(rest).ok_or_else(|| wrong(text))?;
        let process = match process.strip_prefix(':') {
            Some(name) => Process::Other(Cow::Borrowed(name)),
            None => Process::Number(process.parse().map_err(|_| wrong(text))?),
        };
        let kind = kind.strip_prefix(':').and_then(Kind::of).ok_or_else(|| wrong(text))?;
        let f = Cow::Borrowed(f.strip_prefix(':').ok_or_else(|| wrong(text))?);
        // What a nemesis says of itself is prose.
        let value = match process {
            Process::Other(_) => Value::Nil,
            _ => edn::value(rest, line)?,
        };
        Ok(Recorded { line, kind, process, f, key: None, value, time: None })
    })
}

/// The first word and what is behind it.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}
