//! Shipping: how far each order is, and the fence of each, in one log.

use super::service::Tokens;
use super::{Config, Context, Locks, Msg, Order, Record, Stage, Timer, View};
use node::NodeId;
use std::collections::BTreeMap;
use std::time::Duration;

/// Keeps the state of orders. To complete one is to ship it.
#[derive(Debug)]
pub struct Book {
    patience: Duration,
    workers: Vec<NodeId>,
    orders: BTreeMap<u32, (Order, Stage)>,
    tokens: Tokens,
    /// How many orders it has handed on in this life.
    handed: usize,
}

impl Stage {
    fn is_open(self) -> bool {
        matches!(self, Self::Started | Self::Paid)
    }

    /// Whether an order may go from there to here.
    fn follows(self, before: Option<Self>) -> bool {
        match self {
            Self::Started => before.is_none(),
            Self::Paid | Self::Compensated { .. } => before == Some(Self::Started),
            Self::Completed => before == Some(Self::Paid),
        }
    }
}

impl Book {
    pub(super) fn new(config: &Config, locks: &Locks) -> Self {
        let (orders, tokens) = (BTreeMap::new(), Tokens::default());
        let (patience, workers) = (config.patience, locks.workers.clone());
        Self { patience, workers, orders, tokens, handed: 0 }
    }

    pub(super) fn on_start(&mut self, log: &[Record], cx: &mut Context) {
        log.iter().for_each(|record| self.apply(record));
        for number in self.open().collect::<Vec<_>>() {
            cx.set_timer(self.patience, Timer::Left(number));
        }
    }

    fn apply(&mut self, record: &Record) {
        match *record {
            Record::Wrote { order, stage, fence } => {
                self.tokens.note(order.number, fence);
                self.orders.insert(order.number, (order, stage));
            }
            Record::Token { number, fence } => self.tokens.note(number, fence),
            _ => {} // another role's
        }
    }

    pub(super) fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Context) {
        match msg {
            Msg::Read { number, fence } if self.tokens.admit(from, number, fence, cx) => {
                self.tokens.register(number, fence, cx);
                self.tell(from, number, fence, cx);
            }
            Msg::Write { order, stage, fence }
                if self.tokens.admit(from, order.number, fence, cx) =>
            {
                self.on_write(order, stage, fence, cx);
                self.tell(from, order.number, fence, cx);
            }
            _ => {} // refused, or for another role
        }
    }

    /// An order only goes on; the rest are copies.
    fn on_write(&mut self, order: Order, stage: Stage, fence: u64, cx: &mut Context) {
        let before = self.orders.get(&order.number).map(|(_, stage)| *stage);
        if !stage.follows(before) {
            return self.tokens.register(order.number, fence, cx);
        }
        let record = Record::Wrote { order, stage, fence };
        self.apply(&record);
        cx.force(record);
        match stage.is_open() {
            true => cx.set_timer(self.patience, Timer::Left(order.number)),
            false => cx.cancel_timer(Timer::Left(order.number)),
        }
    }

    fn tell(&self, to: NodeId, number: u32, fence: u64, cx: &mut Context) {
        let state = self.orders.get(&number).copied();
        cx.send(to, Msg::State { number, fence, state });
    }

    /// To one worker after the other, until the order has ended.
    pub(super) fn on_left(&mut self, number: u32, cx: &mut Context) {
        if self.workers.is_empty() || !self.open().any(|open| open == number) {
            return;
        }
        let worker = self.workers[self.handed % self.workers.len()];
        self.handed += 1;
        cx.send(worker, Msg::Left { number });
        cx.set_timer(self.patience, Timer::Left(number));
    }

    fn open(&self) -> impl Iterator<Item = u32> {
        self.orders.iter().filter(|(_, (_, stage))| stage.is_open()).map(|(number, _)| *number)
    }

    pub(super) fn view(&self) -> View {
        View { open: self.open().collect(), ..View::default() }
    }
}
