//! An optimistic lock without a version: GET, then SET.
//!
//! # What the article says
//!
//! 003 §4.2 and §6: an optimistic lock "assumes that nobody else will change the data", and
//! "`incr` and `getset` implement it" in Redis. Its listing reads a counter with GET and writes it
//! with SET.
//!
//! # What is wrong
//!
//! The write does not look whether the row is still what was read. Two workers that read one row
//! both write what they made of it, and the second wipes out the first: a lost update. No fault is
//! needed.
//!
//! # The rules
//!
//! - Upon a request: `Get` the row.
//! - Upon its value: compute, and `Set` **whatever it now is**.
//! - Upon `Ok`: reply.

use super::stock::{Config, Durable, Item, Op, Ret, Role, Row, View, Written};
use node::{Cx, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    Get { request: RequestId, op: Op },
    Value { request: RequestId, op: Op, row: Row },
    Set { request: RequestId, item: Item, row: Row, ret: Ret },
    Ok { request: RequestId, ret: Ret },
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    Set { request: RequestId, item: Item, row: Row },
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    Computed { request: RequestId, op: Op, row: Row },
}

/// One node of a stock keeper.
#[derive(Debug)]
pub struct OptimisticGetSet {
    config: Config,
    rows: BTreeMap<Item, Row>,
}

impl Node for OptimisticGetSet {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = Timer;

    fn new(_: NodeId, config: &Config) -> Self {
        Self { config: config.clone(), rows: BTreeMap::new() }
    }

    fn on_start(&mut self, log: &[Record], _: &mut Cx<Self>) {
        for Record::Set { item, row, .. } in log {
            self.rows.insert(*item, *row);
        }
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Cx<Self>) {
        match self.config.role {
            Role::Worker => cx.send(self.config.store, Msg::Get { request, op }),
            Role::Store => cx.retry(request, None),
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
            Msg::Get { request, op } => {
                let row = self.rows.get(&op.item()).copied().unwrap_or(Row::OPENING);
                cx.send(from, Msg::Value { request, op, row });
            }
            Msg::Value { request, op, row } if op.only_reads() => cx.reply(request, Ret::Row(row)),
            Msg::Value { request, op, row } => {
                cx.set_timer(self.config.think, Timer::Computed { request, op, row });
            }
            Msg::Set { request, item, row, ret } => {
                self.rows.insert(item, row); // over whatever is there
                cx.force(Record::Set { request, item, row });
                cx.send(from, Msg::Ok { request, ret });
            }
            Msg::Ok { request, ret } => cx.reply(request, ret),
        }
    }

    fn on_timer(&mut self, Timer::Computed { request, op, row }: Timer, cx: &mut Cx<Self>) {
        match row.after(op) {
            Some((row, ret)) => {
                let set = Msg::Set { request, item: op.item(), row, ret };
                cx.send(self.config.store, set);
            }
            None => cx.fail(request, "sold out"),
        }
    }
}

impl Observe for OptimisticGetSet {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        let written = log.iter().map(|Record::Set { request, item, row }| Written {
            operation: *request,
            item: *item,
            row: *row,
        });
        Durable { written: written.collect() }
    }

    fn view(&self) -> View {
        View::default()
    }
}
