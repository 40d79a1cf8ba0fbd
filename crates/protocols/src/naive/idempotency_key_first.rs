//! An idempotency key that is recorded before the effect: the key first, then act.
//!
//! # What people do
//!
//! Having been bitten by check-then-act, they insert the key at the start, in one step, under a
//! unique index. Two copies of a request cannot both get in, so the effect happens at most once.
//!
//! # What is wrong
//!
//! At most once is not once. A worker that crashes after the key and before the effect leaves a key
//! without a payment, and every retry is told that it is paid.
//!
//! # The rules
//!
//! - Upon a request: **insert the key, with the reply** that it will have.
//! - Upon a key that is there: reply what stands beside it.
//! - Upon one that was not: charge the card if the request says so, credit the account, reply.

use super::payment::{Body, Config, Durable, Key, Op, Ret, Role, View};
use node::{Cx, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    Insert { request: RequestId, op: Op },
    Known { request: RequestId, ret: Ret },
    Inserted { request: RequestId, op: Op, receipt: u32 },
    Charge { request: RequestId, op: Op, receipt: u32 },
    Charged { request: RequestId, op: Op, receipt: u32 },
    Credit { request: RequestId, op: Op, receipt: u32 },
    Credited { request: RequestId, receipt: u32 },
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    Inserted { op: Op, receipt: u32 },
    Charged { key: Key, amount: u32 },
    Credited { key: Key, amount: u32 },
}

/// One node of a payment service.
#[derive(Debug)]
pub struct IdempotencyKeyFirst {
    config: Config,
    keys: BTreeMap<Key, (Body, u32)>,
}

impl Node for IdempotencyKeyFirst {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = ();

    fn new(_: NodeId, config: &Config) -> Self {
        Self { config: config.clone(), keys: BTreeMap::new() }
    }

    fn on_start(&mut self, log: &[Record], _: &mut Cx<Self>) {
        for record in log {
            if let Record::Inserted { op, receipt } = record {
                self.keys.insert(op.key, (op.body, *receipt));
            }
        }
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Cx<Self>) {
        match self.config.role {
            Role::Worker => cx.send(self.config.store, Msg::Insert { request, op }),
            Role::Store | Role::Provider => cx.retry(request, None),
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<Self>) {
        let Config { store, provider, .. } = self.config;
        match msg {
            Msg::Insert { request, op } => match self.keys.get(&op.key) {
                Some((body, _)) if *body != op.body => {
                    cx.send(from, Msg::Known { request, ret: Ret::Mismatch });
                }
                Some((_, receipt)) => {
                    let ret = Ret::Paid { receipt: *receipt }; // so it will be, if all goes well
                    cx.send(from, Msg::Known { request, ret });
                }
                None => {
                    let receipt = self.keys.len() as u32 + 1;
                    self.keys.insert(op.key, (op.body, receipt));
                    cx.force(Record::Inserted { op, receipt });
                    cx.send(from, Msg::Inserted { request, op, receipt });
                }
            },
            Msg::Known { request, ret } => cx.reply(request, ret),
            Msg::Inserted { request, op, receipt } if op.body.by_card => {
                cx.send(provider, Msg::Charge { request, op, receipt });
            }
            Msg::Inserted { request, op, receipt } | Msg::Charged { request, op, receipt } => {
                cx.send(store, Msg::Credit { request, op, receipt });
            }
            Msg::Charge { request, op, receipt } => {
                cx.force(Record::Charged { key: op.key, amount: op.body.amount });
                cx.send(from, Msg::Charged { request, op, receipt });
            }
            Msg::Credit { request, op, receipt } => {
                cx.force(Record::Credited { key: op.key, amount: op.body.amount });
                cx.send(from, Msg::Credited { request, receipt });
            }
            Msg::Credited { request, receipt } => cx.reply(request, Ret::Paid { receipt }),
        }
    }

    fn on_timer(&mut self, (): (), _: &mut Cx<Self>) {}
}

impl Observe for IdempotencyKeyFirst {
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
                Record::Inserted { .. } => {}
            }
        }
        durable
    }

    fn view(&self) -> View {
        View::default()
    }
}
