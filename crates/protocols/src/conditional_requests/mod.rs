//! Conditional requests: who writes says what it has seen, and writes nothing if that has changed.
//!
//! One *origin* server has the records. *Agents* read, think and write for their clients; they know
//! nothing durable. The rules are those of RFC 9110 (sections 8.8.3 and 13) and of RFC 6585 (428).
//! Conditions and tags travel as the text of their headers.
//!
//! # Origin
//!
//! - **9.7** Each version of a record has an entity tag of its own, which no other one ever has.
//! - **9.1** Upon `GET` with `If-None-Match`: 304 and no body if the tag is that of what is there,
//!   by weak comparison; else 200, the record and its tag; 404 if there is none.
//! - **9.2** Upon `PUT` with `If-Match`: only if the tag is that of what is there, by strong
//!   comparison, or `*` and something is there. With `If-None-Match: *`: only if nothing is there.
//!   Else 412, and nothing is done. **9.3** Check and write are one step: force the record with its
//!   next tag, then answer.
//! - **9.4** Upon `PUT` without a condition: 428, and nothing is done.
//! - **9.5** If-Match goes before If-None-Match.
//! - **9.6** A write that is refused with 412, although what it asks for is there, is answered as
//!   if it had been done now: it is a copy of one that was.
//!
//! # Agent
//!
//! - Upon a request: `GET` the record, with the tag of its own copy, if it has one. 304: take the
//!   copy of that tag.
//! - To add an entry: if the record has one of this request, it is done. Else `PUT` the record with
//!   the entry at its end, `If-Match` the tag that was read, or `If-None-Match: *` if nothing was.
//! - Upon 412: read again, after a random pause that doubles. **That a write was refused does not
//!   say that it was not done**: its first copy may have been, and have changed the tag. What is in
//!   the record says it.
//! - No answer: the same.
//! - After so many conflicts, and a read without the entry, fail: the tags that its writes asked
//!   for are gone for good.
//!
//! # Costs
//!
//! A look: 2 messages. An entry without conflict: 4 messages, 1 force.
//!
//! # Deviations
//!
//! - No dates: `If-Modified-Since` and `If-Unmodified-Since` count whole seconds, in which a record
//!   may change twice. An unconditional PUT is never done, not even where nothing is there.
//! - An entry bears the id of its request; that is what makes adding it idempotent, and not the
//!   tag.
//! - Exchanges are numbered over the agent's life, as connections would tell them apart.
//!
//! # Promises
//!
//! Under any loss, duplication, reordering, pause, crash and power loss: each record is
//! linearizable, entries are added at its end and never lost, each at most once, and a failed one
//! never.
//!
//! **Cannot**: make a request idempotent whose effect bears no name of its own (that is
//! `idempotency_key`); protect a record from who sends no condition, other than by 428; keep a rule
//! that spans two records; end in a given time where many write one record; serve while the origin
//! is down.

mod agent;
mod conditions;
mod origin;
#[cfg(test)]
mod tests;

use super::record::{Config, Durable, Entry, Op, Patient, Ret, Role, View, Written};
use agent::Agent;
use node::{Cx, Incarnation, Node, NodeId, Observe, RequestId};
use origin::Origin;
use serde::{Deserialize, Serialize};

/// One HTTP request and its response.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Exchange {
    /// For whom.
    pub request: RequestId,
    /// The agent's life, and which of this life's.
    pub life: Incarnation,
    /// The number.
    pub nth: u32,
}

/// What an HTTP request wants.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Method {
    /// The record.
    Get,
    /// This record in its place.
    Put,
}

/// An HTTP request.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Which.
    pub exchange: Exchange,
    /// What it wants.
    pub method: Method,
    /// Of whose record: the target.
    pub patient: Patient,
    /// The header of that name.
    pub if_match: Option<String>,
    /// The header of that name.
    pub if_none_match: Option<String>,
    /// The content, of a PUT.
    pub entries: Option<Vec<Entry>>,
}

/// An HTTP response.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Response {
    /// To which.
    pub exchange: Exchange,
    /// What came of it.
    pub status: u16,
    /// The ETag header: of what is there now.
    pub tag: Option<String>,
    /// The content.
    pub entries: Option<Vec<Entry>>,
}

/// What nodes say to each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    /// Agent to origin.
    Request(Request),
    /// Origin to agent.
    Response(Response),
}

/// What stands in the origin's log.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    /// The record was put in this version.
    Put { patient: Patient, entries: Vec<Entry>, version: u32 },
}

/// What agents wait for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    /// A request's next step.
    Next(RequestId),
}

/// One node of a store of records behind HTTP.
#[derive(Debug)]
pub enum ConditionalRequests {
    /// Has the records.
    Origin(Origin),
    /// Works with them.
    Agent(Agent),
}

type Context = Cx<ConditionalRequests>;

impl Node for ConditionalRequests {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = Timer;

    fn new(_: NodeId, config: &Config) -> Self {
        match config.role {
            Role::Origin => Self::Origin(Origin::default()),
            Role::Agent => Self::Agent(Agent::new(config)),
        }
    }

    fn on_start(&mut self, log: &[Record], _: &mut Context) {
        if let Self::Origin(origin) = self {
            log.iter().for_each(|record| origin.apply(record));
        }
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Context) {
        match self {
            Self::Agent(agent) => agent.on_request(request, op, cx),
            Self::Origin(_) => cx.retry(request, None),
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Context) {
        match (self, msg) {
            (Self::Origin(origin), Msg::Request(request)) => origin.on_request(from, request, cx),
            (Self::Agent(agent), Msg::Response(response)) => agent.on_response(response, cx),
            (_, _) => {} // for another role: the cluster is set up wrong
        }
    }

    fn on_timer(&mut self, Timer::Next(request): Timer, cx: &mut Context) {
        if let Self::Agent(agent) = self {
            agent.on_next(request, cx);
        }
    }
}

impl Observe for ConditionalRequests {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        let written = log.iter().map(|Record::Put { patient, entries, .. }| Written {
            patient: *patient,
            entries: entries.clone(),
        });
        Durable { written: written.collect() }
    }

    fn view(&self) -> View {
        match self {
            Self::Origin(_) => View::default(),
            Self::Agent(agent) => agent.view(),
        }
    }
}
