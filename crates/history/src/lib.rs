//! What clients saw: operations invoked and completed, in the order of the run.
//!
//! The words are Jepsen's: an operation is *invoked*, and completes *ok* (it took effect), *fail*
//! (it never does) or *info* (nobody knows: it may take effect at any later time, or never).

mod calls;
pub mod edn;
mod forms;
mod jepsen_log;
mod json;
pub mod jsonl;
pub mod recorded;
mod told;
pub mod value;

pub use told::{Answer, Told};

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// Who runs operations, one at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// A client, by its number.
    Client(u16),
    /// A role of a node that records its own steps, by the node's number.
    Role(u16),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(number) => write!(f, "client {number}"),
            Self::Role(node) => write!(f, "the role of n{node}"),
        }
    }
}

/// What happened to an operation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What<Op, Ret> {
    /// It began.
    Invoke(Op),
    /// It took effect, with this result.
    Ok(Ret),
    /// It never takes effect.
    Fail(Cow<'static, str>),
    /// Its outcome is unknown.
    Info,
}

/// One line of a history.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Event<Op, Ret> {
    /// Virtual time in nanoseconds since the start of the run.
    pub at: u64,
    /// The operation's number in this history, counted by invocations from 0.
    pub op: u32,
    /// Who runs it.
    pub actor: Actor,
    /// The actor's logical process: a new one after every unknown outcome, for the old one is
    /// still busy.
    pub process: u32,
    /// The number of the call in the case, or of the role's step.
    pub call: u32,
    /// What happened.
    pub what: What<Op, Ret>,
}

/// What clients saw, in the order of the run.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct History<Op, Ret> {
    /// The lines.
    pub events: Vec<Event<Op, Ret>>,
}

/// How an operation ended, as far as its history tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome<'a, Ret> {
    /// It took effect, with this result.
    Ok(&'a Ret),
    /// It never takes effect.
    Fail,
    /// Unknown: recorded as such, or still open at the end.
    Info,
}

/// An operation, its two lines put together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Operation<'a, Op, Ret> {
    /// Its number in the history.
    pub id: u32,
    /// Who ran it.
    pub actor: Actor,
    /// The number of the call in the case, or of the role's step.
    pub call: u32,
    /// What was asked.
    pub op: &'a Op,
    /// How it ended.
    pub outcome: Outcome<'a, Ret>,
    /// Index of its invocation among the events.
    pub invoked: usize,
    /// Index of its completion among the events; `usize::MAX` while its outcome is unknown, for
    /// then it may take effect at any later time.
    pub completed: usize,
}

impl<Op, Ret> History<Op, Ret> {
    /// An empty history.
    pub fn new() -> Self {
        Self { events: Vec::new() }
    }

    /// Every operation in order of invocation. Completions without an invocation are passed over:
    /// the recorder makes none, and a parser refuses them.
    pub fn operations(&self) -> Vec<Operation<'_, Op, Ret>> {
        let mut operations: Vec<Operation<'_, Op, Ret>> = Vec::with_capacity(self.events.len() / 2);
        for (index, event) in self.events.iter().enumerate() {
            let outcome = match &event.what {
                What::Invoke(op) => {
                    operations.push(Operation {
                        id: event.op,
                        actor: event.actor,
                        call: event.call,
                        op,
                        outcome: Outcome::Info,
                        invoked: index,
                        completed: usize::MAX,
                    });
                    continue;
                }
                What::Ok(ret) => Outcome::Ok(ret),
                What::Fail(_) => Outcome::Fail,
                What::Info => continue,
            };
            if let Some(operation) = operations.get_mut(event.op as usize) {
                operation.outcome = outcome;
                operation.completed = index;
            }
        }
        operations
    }

    /// The history of one object, for a model of it: `op` picks the operations that concern it and
    /// says what they ask of it, `ret` says what an answer to such an operation tells of it.
    /// Operations for which either is `None` are left out, and so are failed ones. Those that stay
    /// are numbered afresh and keep their actor, process, call and time.
    pub fn project<Op2, Ret2>(
        &self,
        mut op: impl FnMut(&Op) -> Option<Op2>,
        mut ret: impl FnMut(&Op, &Ret) -> Option<Ret2>,
    ) -> History<Op2, Ret2> {
        let mut events = Vec::with_capacity(self.events.len());
        let mut number = 0;
        for operation in self.operations() {
            let answer = match operation.outcome {
                Outcome::Fail => continue,
                Outcome::Info => None,
                Outcome::Ok(answer) => match ret(operation.op, answer) {
                    None => continue,
                    answer => answer,
                },
            };
            let Some(asked) = op(operation.op) else { continue };
            let mut copy = |index: usize, what| {
                let Event { at, actor, process, call, .. } = self.events[index];
                events.push((index, Event { at, op: number, actor, process, call, what }));
            };
            copy(operation.invoked, What::Invoke(asked));
            if let Some(answer) = answer {
                copy(operation.completed, What::Ok(answer));
            }
            number += 1;
        }
        events.sort_unstable_by_key(|(index, _)| *index);
        History { events: events.into_iter().map(|(_, event)| event).collect() }
    }
}
