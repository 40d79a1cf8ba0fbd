//! Recorded lines put together: a [`History`] of a model's operations, and the lines they came
//! from. What could not have happened is refused.

use crate::recorded::{Kind, Misread, Problem, Process, Recorded};
use crate::{Actor, Event, History, What};
use std::collections::BTreeMap;

/// What a completion tells of its operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer<Ret> {
    /// It took effect, and this was answered.
    Ok(Ret),
    /// It never takes effect.
    Fail,
    /// Nothing: its outcome is as good as unknown.
    Nothing,
}

/// A history for a model, and where it came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told<Op, Ret> {
    /// The history. An event's `process` tells recorded processes apart; its actor is the client
    /// of the process's number where that fits, its call the line of the operation's invocation.
    pub history: History<Op, Ret>,
    /// The line of each event.
    pub lines: Vec<u32>,
}

/// An operation that has begun.
struct Open {
    op: u32,
    process: u32,
    /// Its invocation among the events.
    event: usize,
    f: String,
}

/// Processes and what they are doing.
#[derive(Default)]
struct Pairing {
    open: BTreeMap<i64, Open>,
    /// Where the outcome of a process became unknown.
    crashed: BTreeMap<i64, usize>,
    /// Operations that no process was named for, the first one first.
    unnamed: std::collections::VecDeque<Open>,
    /// How recorded processes are numbered here.
    processes: BTreeMap<i64, u32>,
    /// How many numbers have been given.
    numbers: u32,
}

impl Pairing {
    /// The number of a process: its own where it fits.
    fn number(&mut self, process: Option<i64>) -> u32 {
        let numbers = &mut self.numbers;
        let mut next = || {
            *numbers += 1;
            *numbers - 1
        };
        match process {
            None => next(),
            Some(process) => *self.processes.entry(process).or_insert_with(next),
        }
    }

    /// Whether this process may begin something.
    fn may_begin(&self, recorded: &Recorded<'_>, lines: &[u32]) -> Result<(), Problem> {
        let Process::Number(process) = recorded.process else { return Ok(()) };
        if let Some(&line) = self.crashed.get(&process) {
            return Err(Problem::Crashed { process: recorded.process.to_string(), line });
        }
        match self.open.get(&process) {
            None => Ok(()),
            Some(open) => Err(Problem::Busy {
                process: recorded.process.to_string(),
                line: lines[open.event] as usize,
            }),
        }
    }

    /// The operation that this completion ends.
    fn end(&mut self, recorded: &Recorded<'_>, lines: &[u32]) -> Result<Open, Problem> {
        let process = || recorded.process.to_string();
        let open = match recorded.process {
            Process::Number(number) => self.open.remove(&number),
            _ => self.unnamed.pop_front(),
        };
        let Some(open) = open else {
            return Err(Problem::NotInvoked { process: process() });
        };
        if *open.f != *recorded.f {
            return Err(Problem::Other {
                process: process(),
                found: recorded.f.to_string(),
                line: lines[open.event] as usize,
                f: open.f,
            });
        }
        if let (Kind::Info, Process::Number(number)) = (recorded.kind, &recorded.process) {
            self.crashed.insert(*number, recorded.line);
        }
        Ok(open)
    }
}

impl<Op, Ret> History<Op, Ret> {
    /// The history that recorded lines tell. `op` says what an invocation asks, `answer` what a
    /// completion, [`Kind::Ok`] or [`Kind::Fail`], tells of it. Lines of no client are passed over.
    ///
    /// # Errors
    ///
    /// The first line that is wrong: as its reader, `op` or `answer` say, or because no process
    /// can have done so.
    pub fn told<'a>(
        records: impl Iterator<Item = Result<Recorded<'a>, Misread>>,
        mut op: impl FnMut(&Recorded<'a>) -> Result<Op, Problem>,
        mut answer: impl FnMut(&Op, &Recorded<'a>) -> Result<Answer<Ret>, Problem>,
    ) -> Result<Told<Op, Ret>, Misread> {
        let mut pairing = Pairing::default();
        let mut events: Vec<Event<Op, Ret>> = Vec::new();
        let (mut lines, mut operations) = (Vec::new(), 0);
        for recorded in records {
            let recorded = recorded?;
            let at = |problem| Misread { line: recorded.line, problem };
            let process = match recorded.process {
                Process::Other(_) => continue,
                Process::Unnamed => None,
                Process::Number(number) => Some(number),
            };
            let line = u32::try_from(recorded.line).map_err(|_| at(Problem::Many))?;
            let client = |number: u32| {
                let own = process.and_then(|process| u16::try_from(process).ok());
                Actor::Client(own.unwrap_or((number & u32::from(u16::MAX)) as u16))
            };
            let time = recorded.time.unwrap_or_default();
            if recorded.kind == Kind::Invoke {
                pairing.may_begin(&recorded, &lines).map_err(at)?;
                let what = What::Invoke(op(&recorded).map_err(at)?);
                let number = pairing.number(process);
                let f = recorded.f.to_string();
                let open = Open { op: operations, process: number, event: events.len(), f };
                match process {
                    Some(process) => drop(pairing.open.insert(process, open)),
                    None => pairing.unnamed.push_back(open),
                }
                let (op, actor) = (operations, client(number));
                events.push(Event { at: time, op, actor, process: number, call: line, what });
                lines.push(line);
                operations += 1;
                continue;
            }
            let open = pairing.end(&recorded, &lines).map_err(at)?;
            let What::Invoke(asked) = &events[open.event].what else { continue };
            let answer = match recorded.kind {
                Kind::Info => Answer::Nothing,
                _ => answer(asked, &recorded).map_err(at)?,
            };
            let what = match answer {
                Answer::Ok(ret) => What::Ok(ret),
                Answer::Fail => What::Fail("fail".into()),
                Answer::Nothing => What::Info,
            };
            let Open { op, process: number, event, .. } = open;
            let (actor, call) = (client(number), lines[event]);
            events.push(Event { at: time, op, actor, process: number, call, what });
            lines.push(line);
        }
        Ok(Told { history: Self { events }, lines })
    }
}
