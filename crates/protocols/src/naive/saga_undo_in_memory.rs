//! Undo without a log: what is to be undone stands in the coordinator's memory.
//!
//! # What the articles say
//!
//! 002 FAQ 3 and 004 §2.3: where a step fails, the system rolls back: what has been done is undone,
//! and so a failure has no impact. Neither says where it stands what has been done, nor does any of
//! their listings write a log.
//!
//! # What is wrong
//!
//! A coordinator that crashes takes along what it would have to undo, and a step whose answer never
//! comes stands in no list. An order that is placed again is done again, because nobody knows the
//! step any more; and so is an undo whose message comes twice.
//!
//! # The rules
//!
//! - Upon an order: do its steps one after the other; **note in memory** what is done.
//! - Upon a step that is refused: undo what is noted, the last one first.
//! - A service does what it is told, and undoes what it is told.
//!
//! The articles know no way to call an order off: who asks for that waits for its end.

use super::order::{Cause, Config, Durable, Move, Op, Order, Ret, Role, Step, View};
use node::{Cx, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    Do { step: Step, order: Order },
    Did { step: Step, order: Order, done: bool },
    Undo { step: Step, order: Order },
    Undone { order: Order },
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    Did { step: Step, order: Order },
    Undid { step: Step, order: Order },
}

/// An order under way, or how it ended.
#[derive(Debug, Default)]
struct Progress {
    asked: Vec<RequestId>,
    /// What is done, the last one last.
    undo: Vec<Step>,
    cause: Option<Cause>,
    ended: Option<Ret>,
}

/// One node of an order service.
#[derive(Debug)]
pub struct SagaUndoInMemory {
    config: Config,
    orders: BTreeMap<u32, Progress>,
    /// At a service, from each account.
    taken: BTreeMap<u16, i64>,
}

impl SagaUndoInMemory {
    /// Does the next step, or undoes the last one.
    fn go_on(&mut self, order: Order, cx: &mut Cx<Self>) {
        let Some(progress) = self.orders.get_mut(&order.number) else { return };
        let last = progress.undo.last().copied();
        let next = last.map_or(Some(Step::Reserve), Step::next);
        let ret = match (progress.cause, last, next) {
            (Some(_), Some(step), _) => {
                return cx.send(step.at(&self.config), Msg::Undo { step, order });
            }
            (None, _, Some(step)) => {
                return cx.send(step.at(&self.config), Msg::Do { step, order });
            }
            (Some(cause), None, _) => Ret::Compensated { cause },
            (None, _, None) => Ret::Completed,
        };
        progress.ended = Some(ret);
        progress.asked.drain(..).for_each(|request| cx.reply(request, ret));
    }

    fn apply(&mut self, record: &Record) {
        let (Record::Did { step, order } | Record::Undid { step, order }) = record;
        if let Some((account, amount)) = step.takes(order) {
            let undone = matches!(record, Record::Undid { .. });
            *self.taken.entry(account).or_default() += if undone { -amount } else { amount };
        }
    }

    fn force(&mut self, record: Record, cx: &mut Cx<Self>) {
        self.apply(&record);
        cx.force(record);
    }
}

impl Node for SagaUndoInMemory {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = ();

    fn new(_: NodeId, config: &Config) -> Self {
        Self { config: config.clone(), orders: BTreeMap::new(), taken: BTreeMap::new() }
    }

    fn on_start(&mut self, log: &[Record], _: &mut Cx<Self>) {
        log.iter().for_each(|record| self.apply(record));
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Cx<Self>) {
        if self.config.role != Role::Orchestrator {
            return cx.retry(request, None);
        }
        match (op, self.orders.get_mut(&op.number())) {
            (_, Some(Progress { ended: Some(ret), .. })) => cx.reply(request, *ret),
            (_, Some(progress)) => progress.asked.push(request),
            (Op::Place { order }, None) => {
                let progress = Progress { asked: vec![request], ..Progress::default() };
                self.orders.insert(order.number, progress);
                self.go_on(order, cx);
            }
            (Op::Cancel { .. }, None) => cx.reply(request, Ret::Unknown),
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
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
            Msg::Undo { step, order } => {
                self.force(Record::Undid { step, order }, cx);
                cx.send(from, Msg::Undone { order });
            }
            Msg::Did { step, order, done } => {
                let Some(progress) = self.orders.get_mut(&order.number) else { return };
                match step {
                    _ if done => progress.undo.push(step),
                    Step::Reserve => progress.cause = Some(Cause::SoldOut),
                    _ => progress.cause = Some(Cause::Declined),
                }
                self.go_on(order, cx);
            }
            Msg::Undone { order } => {
                let Some(progress) = self.orders.get_mut(&order.number) else { return };
                progress.undo.pop();
                self.go_on(order, cx);
            }
        }
    }

    fn on_timer(&mut self, (): (), _: &mut Cx<Self>) {}
}

impl Observe for SagaUndoInMemory {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        let moved = |record: &Record| match *record {
            Record::Did { step, order } => Move { step, back: false, order },
            Record::Undid { step, order } => Move { step, back: true, order },
        };
        Durable { moves: log.iter().map(moved).collect(), ..Durable::default() }
    }

    fn view(&self) -> View {
        let open = self.orders.iter().filter(|(_, progress)| progress.ended.is_none());
        View { open: open.map(|(number, _)| *number).collect(), taken: self.taken.clone() }
    }
}
