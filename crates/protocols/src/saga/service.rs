//! A service: accounts, and a row for each call, in one log.

use super::{Config, Context, Msg, Order, Record, Step, View};
use node::NodeId;
use std::collections::BTreeMap;

/// What became of a step (11.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Row {
    Done,
    /// For good.
    Refused,
    /// Whether it was done or never seen: it will not be done (11.10).
    Compensated,
}

/// Stock, payment or shipping.
#[derive(Debug)]
pub struct Service {
    config: Config,
    rows: BTreeMap<(u32, Step), Row>,
    /// From each account.
    taken: BTreeMap<u16, i64>,
}

impl Service {
    pub(super) fn new(config: &Config) -> Self {
        Self { config: config.clone(), rows: BTreeMap::new(), taken: BTreeMap::new() }
    }

    pub(super) fn on_start(&mut self, log: &[Record]) {
        log.iter().for_each(|record| self.apply(record));
    }

    /// What a record says, now or in the log: its row and its effect.
    fn apply(&mut self, record: &Record) {
        let (step, order, row, taken) = match *record {
            Record::Did { step, order, done: true } => (step, order, Row::Done, 1),
            Record::Did { step, order, done: false } => (step, order, Row::Refused, 0),
            Record::Undid { step, order, undone: true } => (step, order, Row::Compensated, -1),
            Record::Undid { step, order, undone: false } => (step, order, Row::Compensated, 0),
            _ => return, // an orchestrator's
        };
        self.rows.insert((order.number, step), row);
        if let Some((account, amount)) = step.takes(&order) {
            *self.taken.entry(account).or_default() += taken * amount;
        }
    }

    fn force(&mut self, record: Record, cx: &mut Context) {
        self.apply(&record);
        cx.force(record);
    }

    /// Done once, or refused for good.
    pub(super) fn on_do(&mut self, from: NodeId, step: Step, order: Order, cx: &mut Context) {
        let number = order.number;
        let done = match self.rows.get(&(number, step)) {
            Some(row) => {
                cx.mark(match row {
                    Row::Compensated => "a late step found its compensation",
                    Row::Done | Row::Refused => "a step was called again",
                });
                *row == Row::Done
            }
            None => {
                let done = self.can(step, &order);
                self.force(Record::Did { step, order, done }, cx);
                done
            }
        };
        cx.send(from, Msg::Did { step, number, done });
    }

    /// Whether the account has enough.
    fn can(&self, step: Step, order: &Order) -> bool {
        step.takes(order).is_none_or(|(account, amount)| {
            let taken = self.taken.get(&account).copied().unwrap_or_default();
            taken + amount <= i64::from(self.config.opening)
        })
    }

    /// Undone once, and never done after it.
    pub(super) fn on_compensate(
        &mut self,
        from: NodeId,
        step: Step,
        order: Order,
        cx: &mut Context,
    ) {
        let number = order.number;
        match self.rows.get(&(number, step)) {
            Some(Row::Done) => self.force(Record::Undid { step, order, undone: true }, cx),
            Some(Row::Refused) => cx.mark("a compensation found its step refused"),
            Some(Row::Compensated) => cx.mark("a compensation came again"),
            None => {
                cx.mark("a compensation came before its step");
                self.force(Record::Undid { step, order, undone: false }, cx);
            }
        }
        cx.send(from, Msg::Compensated { step, number });
    }

    pub(super) fn view(&self) -> View {
        View { taken: self.taken.clone(), ..View::default() }
    }
}
