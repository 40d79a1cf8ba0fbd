//! An idempotency key that is looked up, and remembered afterwards: check, then act.
//!
//! # What the article says
//!
//! 004 §2.2 defines idempotency, f(f(x)) = f(x), and leaves the doing to its readers. What they do
//! first is this: "if the key is known, return what was returned; else do it, and remember the
//! key". Libraries ship it (axum-idempotent says so in its documentation).
//!
//! # What is wrong
//!
//! Between the look and the remembering, a copy of the request looks too: neither finds the key,
//! both pay. No fault is needed, only a client that asks again because the first answer is slow.
//! And a worker that crashes after the effect has remembered nothing, so that the retry pays again.
//!
//! # The rules
//!
//! - Upon a request: ask the store for the key.
//! - Upon a known key: **reply what is remembered**.
//! - Upon an unknown one: charge the card if the request says so, credit the account, reply, and
//!   **remember the key**.

use super::payment::{Body, Config, Durable, Key, Op, Ret, Role, View};
use node::{Cx, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    LookUp { request: RequestId, op: Op },
    Known { request: RequestId, ret: Ret },
    Unknown { request: RequestId, op: Op },
    Charge { request: RequestId, op: Op },
    Charged { request: RequestId, op: Op },
    Credit { request: RequestId, op: Op },
    Credited { request: RequestId, op: Op, receipt: u32 },
    Remember { op: Op, ret: Ret },
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    Charged { key: Key, amount: u32 },
    Credited { key: Key, amount: u32 },
    Remembered { op: Op, ret: Ret },
}

/// One node of a payment service.
#[derive(Debug)]
pub struct IdempotencyCheckThenAct {
    config: Config,
    remembered: BTreeMap<Key, (Body, Ret)>,
    lines: u32,
}

impl Node for IdempotencyCheckThenAct {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = ();

    fn new(_: NodeId, config: &Config) -> Self {
        Self { config: config.clone(), remembered: BTreeMap::new(), lines: 0 }
    }

    fn on_start(&mut self, log: &[Record], _: &mut Cx<Self>) {
        for record in log {
            match record {
                Record::Credited { .. } => self.lines += 1,
                Record::Remembered { op, ret } => {
                    self.remembered.insert(op.key, (op.body, *ret));
                }
                Record::Charged { .. } => {}
            }
        }
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Cx<Self>) {
        match self.config.role {
            Role::Worker => cx.send(self.config.store, Msg::LookUp { request, op }),
            Role::Store | Role::Provider => cx.retry(request, None),
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<Self>) {
        let Config { store, provider, .. } = self.config;
        match msg {
            Msg::LookUp { request, op } => match self.remembered.get(&op.key) {
                Some((body, _)) if *body != op.body => {
                    cx.send(from, Msg::Known { request, ret: Ret::Mismatch });
                }
                Some((_, ret)) => cx.send(from, Msg::Known { request, ret: *ret }),
                None => cx.send(from, Msg::Unknown { request, op }), // and so it may be told twice
            },
            Msg::Known { request, ret } => cx.reply(request, ret),
            Msg::Unknown { request, op } if op.body.by_card => {
                cx.send(provider, Msg::Charge { request, op });
            }
            Msg::Unknown { request, op } | Msg::Charged { request, op } => {
                cx.send(store, Msg::Credit { request, op });
            }
            Msg::Charge { request, op } => {
                cx.force(Record::Charged { key: op.key, amount: op.body.amount });
                cx.send(from, Msg::Charged { request, op });
            }
            Msg::Credit { request, op } => {
                self.lines += 1;
                cx.force(Record::Credited { key: op.key, amount: op.body.amount });
                cx.send(from, Msg::Credited { request, op, receipt: self.lines });
            }
            Msg::Credited { request, op, receipt } => {
                let ret = Ret::Paid { receipt };
                cx.reply(request, ret);
                cx.send(store, Msg::Remember { op, ret });
            }
            Msg::Remember { op, ret } => {
                self.remembered.insert(op.key, (op.body, ret));
                cx.force(Record::Remembered { op, ret });
            }
        }
    }

    fn on_timer(&mut self, (): (), _: &mut Cx<Self>) {}
}

impl Observe for IdempotencyCheckThenAct {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        let mut durable = Durable::default();
        for record in log {
            match record {
                Record::Charged { key, amount } => {
                    durable.charges.entry(*key).or_default().push(*amount);
                }
                Record::Credited { key, amount } => {
                    durable.credits.entry(*key).or_default().push(*amount);
                }
                Record::Remembered { .. } => {}
            }
        }
        durable
    }

    fn view(&self) -> View {
        View::default()
    }
}
