//! Calls and returns of threads, as LiMo has them:
//!
//! ```text
//! # @object atomic-queue
//! [1] call enq(4)
//! [2] call deq
//! [1] return
//! [2] return empty
//! ```

use crate::edn;
use crate::recorded::{Kind, Misread, Problem, Process, Recorded, start_of};
use crate::value::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A thread's number and what it does.
fn split(line: &str) -> Option<(i64, &str)> {
    let (thread, rest) = line.trim().strip_prefix('[')?.split_once(']')?;
    Some((thread.trim().parse().ok()?, rest.trim()))
}

/// Whether a line is a call or a return.
pub(crate) fn is_call(line: &str) -> bool {
    split(line).is_some_and(|(_, rest)| rest.starts_with("call ") || rest.starts_with("return"))
}

/// The operations of a text.
pub(crate) fn recorded(text: &str) -> impl Iterator<Item = Result<Recorded<'_>, Misread>> {
    let mut called: BTreeMap<i64, &str> = BTreeMap::new();
    let lines = text.lines().zip(1..).map(|(text, line)| (text.trim(), line));
    let lines = lines.filter(|(text, _)| !text.is_empty() && !text.starts_with('#'));
    lines.map(move |(text, line)| {
        let wrong = || Misread {
            line,
            problem: Problem::Text {
                found: start_of(text),
                expected: "a line such as \"[1] call enq(4)\" or \"[1] return\"",
            },
        };
        let (thread, rest) = split(text).ok_or_else(wrong)?;
        let (what, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let process = Process::Number(thread);
        let (kind, f, value) = match what {
            "call" => {
                let rest = rest.trim();
                let end = rest.find(['(', ' ']).unwrap_or(rest.len());
                let (f, argument) = rest.split_at(end);
                let argument = argument.trim();
                let argument = match argument.strip_prefix('(') {
                    Some(inside) => inside.strip_suffix(')').ok_or_else(wrong)?,
                    None => argument,
                };
                if f.is_empty() {
                    return Err(wrong());
                }
                called.insert(thread, f);
                (Kind::Invoke, f, argument)
            }
            // A return does not say of what, and without a call nobody knows.
            "return" => (Kind::Ok, called.remove(&thread).unwrap_or("return"), rest),
            _ => return Err(wrong()),
        };
        let value = match value.trim() {
            "" => Value::Nil,
            value => edn::value(value, line)?,
        };
        let f = Cow::Borrowed(f);
        Ok(Recorded { line, kind, process, f, key: None, value, time: None })
    })
}
