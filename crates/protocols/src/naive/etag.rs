//! Entity tags taken for idempotency: on reads alone, or with a refused write made again.
//!
//! # What the article says
//!
//! 004 §3.2.2 and code 4.2: ETag and If-None-Match give "idempotency": a repeated request is
//! answered 304, or 200 if there is a new version. So requests can be repeated.
//!
//! # What is wrong
//!
//! GET is idempotent without any tag; what hurts when it comes twice is the write. In the article's
//! version writes have no condition: the second of two agents that have read the same record wipes
//! out what the first one has written, without any fault. And a write whose answer was lost, made
//! again while another one has written in between, wipes that out too.
//!
//! With `If-Match` that is refused. But a tag says what is there, not who has put it: the copy of a
//! write that *was* done is refused as well, for it has changed the tag itself. Who takes 412 for
//! "not done", reads and writes again, has done it twice.
//!
//! # The rules
//!
//! - Upon a request: `Get` the record, add the entry, `Put` it: in the first version without a
//!   condition, in the second with **`If-Match`** the tag that was read.
//! - No answer to a `Put`: the same `Put` again, for it is idempotent.
//! - Upon 412: **somebody else was faster**; from the beginning.

use super::record::{Config, Durable, Entry, Op, Patient, Ret, Role, View, Written};
use node::{Cx, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Conditions on reads alone.
pub type EtagOnReads = Etag<false>;
/// Conditions on writes, and a refused write is made again.
pub type EtagRetried = Etag<true>;

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    Get { request: RequestId, op: Op },
    Content { request: RequestId, op: Op, entries: Vec<Entry>, tag: u32 },
    Put { request: RequestId, op: Op, entries: Vec<Entry>, if_match: Option<u32> },
    Done { request: RequestId, nth: u32 },
    PreconditionFailed { request: RequestId, op: Op },
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    Put { patient: Patient, entries: Vec<Entry> },
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    /// Nobody has answered.
    Again(RequestId),
}

/// One node of a store of records; `IF_MATCH` is whether writes have a condition.
#[derive(Debug)]
pub struct Etag<const IF_MATCH: bool> {
    config: Config,
    records: BTreeMap<Patient, (Vec<Entry>, u32)>,
    /// What an agent has put and not been answered.
    put: BTreeMap<RequestId, Msg>,
}

impl<const IF_MATCH: bool> Etag<IF_MATCH> {
    fn put(&mut self, request: RequestId, cx: &mut Cx<Self>) {
        if let Some(put) = self.put.get(&request) {
            cx.send(self.config.origin, put.clone());
            cx.set_timer(self.config.patience, Timer::Again(request));
        }
    }
}

impl<const IF_MATCH: bool> Node for Etag<IF_MATCH> {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = Timer;

    fn new(_: NodeId, config: &Config) -> Self {
        Self { config: config.clone(), records: BTreeMap::new(), put: BTreeMap::new() }
    }

    fn on_start(&mut self, log: &[Record], _: &mut Cx<Self>) {
        for Record::Put { patient, entries } in log {
            let (there, tag) = self.records.entry(*patient).or_default();
            (*there, *tag) = (entries.clone(), *tag + 1);
        }
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Cx<Self>) {
        match self.config.role {
            Role::Agent if matches!(op, Op::Overwrite { .. }) => cx.fail(request, "not offered"),
            Role::Agent => cx.send(self.config.origin, Msg::Get { request, op }),
            Role::Origin => cx.retry(request, None),
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
            Msg::Get { request, op } => {
                let (entries, tag) = self.records.get(&op.patient()).cloned().unwrap_or_default();
                cx.send(from, Msg::Content { request, op, entries, tag });
            }
            Msg::Content { request, op, mut entries, tag } => {
                let Op::Add { dose, .. } = op else {
                    let doses = entries.iter().map(|entry| entry.dose).collect();
                    return cx.reply(request, Ret::Entries(doses));
                };
                entries.push(Entry { by: request, dose });
                let put = Msg::Put { request, op, entries, if_match: IF_MATCH.then_some(tag) };
                self.put.insert(request, put);
                self.put(request, cx);
            }
            Msg::Put { request, op, entries, if_match } => {
                let (there, tag) = self.records.entry(op.patient()).or_default();
                if if_match.is_some_and(|expected| expected != *tag) {
                    return cx.send(from, Msg::PreconditionFailed { request, op });
                }
                (*there, *tag) = (entries.clone(), *tag + 1);
                let nth = entries.len() as u32;
                cx.force(Record::Put { patient: op.patient(), entries });
                cx.send(from, Msg::Done { request, nth });
            }
            Msg::Done { request, nth } => {
                if self.put.remove(&request).is_some() {
                    cx.cancel_timer(Timer::Again(request));
                    cx.reply(request, Ret::Added { nth });
                }
            }
            Msg::PreconditionFailed { request, op } => {
                if self.put.remove(&request).is_some() {
                    cx.cancel_timer(Timer::Again(request));
                    cx.send(self.config.origin, Msg::Get { request, op });
                }
            }
        }
    }

    fn on_timer(&mut self, Timer::Again(request): Timer, cx: &mut Cx<Self>) {
        self.put(request, cx);
    }
}

impl<const IF_MATCH: bool> Observe for Etag<IF_MATCH> {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        let written = log.iter().map(|Record::Put { patient, entries }| Written {
            patient: *patient,
            entries: entries.clone(),
        });
        Durable { written: written.collect() }
    }

    fn view(&self) -> View {
        View::default()
    }
}
