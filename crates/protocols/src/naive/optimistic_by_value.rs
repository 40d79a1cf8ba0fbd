//! An optimistic lock that compares the value, not a version.
//!
//! # What the article says
//!
//! 003 §4.3: who writes looks whether "the value has not changed" since it was read; if it has not,
//! nobody was there.
//!
//! # What is wrong
//!
//! A value that is the same *again* looks like one that is the same *still* (ABA). A worker reads a
//! stock of 3; another sells one, a third puts one back; the stock is 3, the write goes through,
//! and the sale in between is wiped out of the books: two sales have one number. No fault is
//! needed, but two operations between a read and its write. And a copy of a write that was done
//! goes through again as soon as the value is back.
//!
//! # The rules
//!
//! - Upon a request: `Get` the row.
//! - Upon its value: compute; `CompareAndSet` **if the stock is what it was**.
//! - Upon `Ok`: reply. Upon `Changed`: `Get` it again.

use super::stock::{Config, Durable, Item, Op, Ret, Role, Row, View, Written};
use node::{Cx, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    Get { request: RequestId, op: Op },
    Value { request: RequestId, op: Op, row: Row },
    CompareAndSet { request: RequestId, op: Op, stock: i64, row: Row, ret: Ret },
    Ok { request: RequestId, ret: Ret },
    Changed { request: RequestId, op: Op },
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
pub struct OptimisticByValue {
    config: Config,
    rows: BTreeMap<Item, Row>,
}

impl OptimisticByValue {
    fn row(&self, item: Item) -> Row {
        self.rows.get(&item).copied().unwrap_or(Row::OPENING)
    }
}

impl Node for OptimisticByValue {
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
                let row = self.row(op.item());
                cx.send(from, Msg::Value { request, op, row });
            }
            Msg::Value { request, op, row } if op.only_reads() => cx.reply(request, Ret::Row(row)),
            Msg::Value { request, op, row } => {
                cx.set_timer(self.config.think, Timer::Computed { request, op, row });
            }
            Msg::CompareAndSet { request, op, stock, row, ret } => {
                let item = op.item();
                // The same still, or the same again?
                if self.row(item).stock == stock {
                    self.rows.insert(item, row);
                    cx.force(Record::Set { request, item, row });
                    cx.send(from, Msg::Ok { request, ret });
                } else {
                    cx.send(from, Msg::Changed { request, op });
                }
            }
            Msg::Ok { request, ret } => cx.reply(request, ret),
            Msg::Changed { request, op } => cx.send(from, Msg::Get { request, op }),
        }
    }

    fn on_timer(&mut self, Timer::Computed { request, op, row: was }: Timer, cx: &mut Cx<Self>) {
        match was.after(op) {
            Some((row, ret)) => {
                let stock = was.stock;
                let set = Msg::CompareAndSet { request, op, stock, row, ret };
                cx.send(self.config.store, set);
            }
            None => cx.fail(request, "sold out"),
        }
    }
}

impl Observe for OptimisticByValue {
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
