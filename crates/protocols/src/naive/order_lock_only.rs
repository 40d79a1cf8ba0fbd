//! An order under a lock, and nothing else: the lock is taken for the protection.
//!
//! # What the article says
//!
//! 003 §2 and §4.1: an order is processed by one service at a time, because that one has the lock;
//! a lock is a key of Redis that runs out by itself, so that no dead holder keeps it. What is given
//! back here is at least one's own.
//!
//! # What is wrong
//!
//! A lease runs out in the middle of an order. The next worker finds it begun and not ended, and as
//! no store keeps what has been done for it, does all of it again: items are set aside twice, and
//! the customer pays twice. The first one is still at work, and no store can tell its calls from
//! the second's. A lease that is short enough needs no fault.
//!
//! # The rules
//!
//! - Upon an order: `Set` the key, if it is not there; it goes after its time. Else ask later.
//! - With the lock: if the order has not ended, do its steps one after the other; undo what is done
//!   if one is refused; write down how it has ended; `Delete` the key, if it is still one's own.
//! - A service does what it is told.
//!
//! The article knows no way to call an order off: who asks for that waits for its end.

use super::order::{Cause, Config, Durable, End, Move, Op, Order, Ret, Role, Step, View};
use node::{Cx, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    Set { number: u32 },
    Locked { number: u32 },
    Taken { number: u32 },
    Delete { number: u32 },
    Read { number: u32 },
    State { number: u32, ended: Option<Ret> },
    Do { step: Step, order: Order },
    Did { step: Step, order: Order, done: bool },
    Undo { order: Order },
    Undone { order: Order },
    End { order: Order, ret: Ret },
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    Did { step: Step, order: Order },
    Undid { order: Order },
    Ended { number: u32, ret: Ret },
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    Expired { number: u32, holder: NodeId },
    Again { number: u32 },
}

/// An order that a worker has been asked for.
#[derive(Debug, Default)]
struct Progress {
    asked: Vec<RequestId>,
    order: Option<Order>,
}

/// One node of an order service.
#[derive(Debug)]
pub struct OrderLockOnly {
    config: Config,
    /// At the lock server.
    held: BTreeMap<u32, NodeId>,
    /// At a worker.
    orders: BTreeMap<u32, Progress>,
    /// At shipping.
    ended: BTreeMap<u32, Ret>,
    /// At a service, from each account.
    taken: BTreeMap<u16, i64>,
}

impl OrderLockOnly {
    fn apply(&mut self, record: &Record) {
        let (step, order, sign) = match record {
            Record::Did { step, order } => (*step, order, 1),
            Record::Undid { order } => (Step::Reserve, order, -1),
            Record::Ended { number, ret } => {
                self.ended.insert(*number, *ret);
                return;
            }
        };
        if let Some((account, amount)) = step.takes(order) {
            *self.taken.entry(account).or_default() += sign * amount;
        }
    }

    fn force(&mut self, record: Record, cx: &mut Cx<Self>) {
        self.apply(&record);
        cx.force(record);
    }

    fn lock(&self, number: u32, cx: &mut Cx<Self>) {
        if let Some(locks) = &self.config.locks {
            cx.send(locks.server, Msg::Set { number });
        }
    }

    /// It has ended: everybody is told, and the lock is given back.
    fn finish(&mut self, number: u32, ret: Ret, cx: &mut Cx<Self>) {
        if let Some(progress) = self.orders.remove(&number) {
            progress.asked.into_iter().for_each(|request| cx.reply(request, ret));
        }
        if let Some(locks) = &self.config.locks {
            cx.send(locks.server, Msg::Delete { number });
        }
    }

    fn end(&mut self, order: Order, ret: Ret, cx: &mut Cx<Self>) {
        cx.send(self.config.shipping, Msg::End { order, ret });
    }

    fn on_did(&mut self, step: Step, order: Order, done: bool, cx: &mut Cx<Self>) {
        match (step.next(), step) {
            (Some(step), _) if done => cx.send(step.at(&self.config), Msg::Do { step, order }),
            (None, _) => self.end(order, Ret::Completed, cx),
            (_, Step::Reserve) => self.end(order, Ret::Compensated { cause: Cause::SoldOut }, cx),
            (_, _) => cx.send(self.config.stock, Msg::Undo { order }),
        }
    }
}

impl Node for OrderLockOnly {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = Timer;

    fn new(_: NodeId, config: &Config) -> Self {
        let (held, orders) = (BTreeMap::new(), BTreeMap::new());
        let (ended, taken) = (BTreeMap::new(), BTreeMap::new());
        Self { config: config.clone(), held, orders, ended, taken }
    }

    fn on_start(&mut self, log: &[Record], _: &mut Cx<Self>) {
        log.iter().for_each(|record| self.apply(record));
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Cx<Self>) {
        if self.config.role != Role::Worker {
            return cx.retry(request, None);
        }
        let progress = self.orders.entry(op.number()).or_default();
        progress.asked.push(request);
        if let Op::Place { order } = op {
            progress.order = Some(order);
        }
        if progress.asked.len() == 1 {
            self.lock(op.number(), cx);
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
            Msg::Set { number } => match (self.held.get(&number), &self.config.locks) {
                (None, Some(locks)) => {
                    let ttl = locks.ttl;
                    self.held.insert(number, from);
                    cx.set_timer(ttl, Timer::Expired { number, holder: from });
                    cx.send(from, Msg::Locked { number });
                }
                _ => cx.send(from, Msg::Taken { number }),
            },
            Msg::Taken { number } => cx.set_timer(self.config.resend, Timer::Again { number }),
            Msg::Delete { number } if self.held.get(&number) == Some(&from) => {
                self.held.remove(&number);
                cx.cancel_timer(Timer::Expired { number, holder: from });
            }
            Msg::Delete { .. } => {} // another one's by now
            Msg::Locked { number } => cx.send(self.config.shipping, Msg::Read { number }),
            Msg::Read { number } => {
                let ended = self.ended.get(&number).copied();
                cx.send(from, Msg::State { number, ended });
            }
            Msg::State { number, ended } => {
                let placed = self.orders.get(&number).and_then(|progress| progress.order);
                match (ended, placed) {
                    (Some(ret), _) => self.finish(number, ret, cx),
                    (None, None) => self.finish(number, Ret::Unknown, cx),
                    (None, Some(order)) => {
                        cx.send(self.config.stock, Msg::Do { step: Step::Reserve, order });
                    }
                }
            }
            Msg::Do { step, order } => {
                let enough = |(account, amount): (u16, i64)| {
                    let taken = self.taken.get(&account).copied().unwrap_or_default();
                    taken + amount <= i64::from(self.config.opening)
                };
                let done = step.takes(&order).is_none_or(enough);
                if done {
                    self.force(Record::Did { step, order }, cx);
                }
                cx.send(from, Msg::Did { step, order, done });
            }
            Msg::Did { step, order, done } => self.on_did(step, order, done, cx),
            Msg::Undo { order } => {
                self.force(Record::Undid { order }, cx);
                cx.send(from, Msg::Undone { order });
            }
            Msg::Undone { order } => {
                self.end(order, Ret::Compensated { cause: Cause::Declined }, cx);
            }
            Msg::End { order, ret } => {
                let number = order.number;
                self.force(Record::Ended { number, ret }, cx);
                cx.send(from, Msg::State { number, ended: Some(ret) });
            }
        }
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Cx<Self>) {
        match timer {
            Timer::Expired { number, .. } => {
                self.held.remove(&number);
            }
            Timer::Again { number } => self.lock(number, cx),
        }
    }
}

impl Observe for OrderLockOnly {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        let mut durable = Durable::default();
        for record in log {
            match *record {
                Record::Did { step, order } => {
                    durable.moves.push(Move { step, back: false, order });
                }
                Record::Undid { order } => {
                    durable.moves.push(Move { step: Step::Reserve, back: true, order });
                }
                Record::Ended { number, ret: Ret::Completed } => {
                    durable.ends.push((number, End::Completed));
                }
                Record::Ended { number, .. } => durable.ends.push((number, End::Compensated)),
            }
        }
        durable
    }

    fn view(&self) -> View {
        View { open: self.orders.keys().copied().collect(), taken: self.taken.clone() }
    }
}
