//! Stock and payment: accounts, a row for each step, and the fence of each order, in one log.

use super::{Config, Context, Msg, Order, Record, Step, View};
use node::NodeId;
use std::collections::BTreeMap;

/// What became of a step, for good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Row {
    Done,
    Refused,
    Undone,
}

/// The highest fence of each order.
#[derive(Default, Debug)]
pub struct Tokens(BTreeMap<u32, u64>);

impl Tokens {
    pub(super) fn note(&mut self, number: u32, fence: u64) {
        let token = self.0.entry(number).or_default();
        *token = fence.max(*token);
    }

    /// 5.8: refuses a smaller fence.
    pub(super) fn admit(&self, from: NodeId, number: u32, fence: u64, cx: &mut Context) -> bool {
        let admitted = self.0.get(&number).is_none_or(|token| fence >= *token);
        if !admitted {
            cx.mark("a smaller fence was refused");
            cx.send(from, Msg::Stale { number, fence });
        }
        admitted
    }

    /// 5.9: what changes nothing registers its fence too.
    pub(super) fn register(&mut self, number: u32, fence: u64, cx: &mut Context) {
        if self.0.get(&number).is_none_or(|token| fence > *token) {
            self.note(number, fence);
            cx.force(Record::Token { number, fence });
        }
    }
}

/// Stock or payment.
#[derive(Debug)]
pub struct Service {
    config: Config,
    rows: BTreeMap<(u32, Step), Row>,
    /// From each account.
    taken: BTreeMap<u16, i64>,
    tokens: Tokens,
}

impl Service {
    pub(super) fn new(config: &Config) -> Self {
        let (rows, taken, tokens) = (BTreeMap::new(), BTreeMap::new(), Tokens::default());
        Self { config: config.clone(), rows, taken, tokens }
    }

    pub(super) fn on_start(&mut self, log: &[Record]) {
        log.iter().for_each(|record| self.apply(record));
    }

    /// What a record says, now or in the log: fence, row and effect.
    fn apply(&mut self, record: &Record) {
        let (step, order, fence, row, taken) = match *record {
            Record::Did { step, order, fence, done: true } => (step, order, fence, Row::Done, 1),
            Record::Did { step, order, fence, .. } => (step, order, fence, Row::Refused, 0),
            Record::Undid { step, order, fence } => (step, order, fence, Row::Undone, -1),
            Record::Token { number, fence } => return self.tokens.note(number, fence),
            Record::Lock(_) | Record::Wrote { .. } => return, // another role's
        };
        self.tokens.note(order.number, fence);
        self.rows.insert((order.number, step), row);
        if let Some((account, amount)) = step.takes(&order) {
            *self.taken.entry(account).or_default() += taken * amount;
        }
    }

    fn force(&mut self, record: Record, cx: &mut Context) {
        self.apply(&record);
        cx.force(record);
    }

    pub(super) fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Context) {
        match msg {
            Msg::Do { step, order, fence } if self.tokens.admit(from, order.number, fence, cx) => {
                self.on_do(from, step, order, fence, cx);
            }
            Msg::Undo { step, order, fence }
                if self.tokens.admit(from, order.number, fence, cx) =>
            {
                self.on_undo(from, step, order, fence, cx);
            }
            _ => {} // refused, or for another role
        }
    }

    /// Done once, or not at all, for good.
    fn on_do(&mut self, from: NodeId, step: Step, order: Order, fence: u64, cx: &mut Context) {
        let number = order.number;
        let done = match self.rows.get(&(number, step)).copied() {
            Some(row) => {
                cx.mark("a step was called again");
                self.tokens.register(number, fence, cx);
                row == Row::Done
            }
            None => {
                let done = self.can(step, &order);
                self.force(Record::Did { step, order, fence, done }, cx);
                done
            }
        };
        cx.send(from, Msg::Did { step, number, fence, done });
    }

    /// Whether the account has enough.
    fn can(&self, step: Step, order: &Order) -> bool {
        step.takes(order).is_none_or(|(account, amount)| {
            let taken = self.taken.get(&account).copied().unwrap_or_default();
            taken + amount <= i64::from(self.config.opening)
        })
    }

    /// Undone once; and what comes late under a smaller fence is not done after it.
    fn on_undo(&mut self, from: NodeId, step: Step, order: Order, fence: u64, cx: &mut Context) {
        let number = order.number;
        match self.rows.get(&(number, step)) {
            Some(Row::Done) => self.force(Record::Undid { step, order, fence }, cx),
            Some(Row::Refused | Row::Undone) => self.tokens.register(number, fence, cx),
            None => {
                cx.mark("an undo found nothing to undo");
                self.tokens.register(number, fence, cx);
            }
        }
        cx.send(from, Msg::Undone { step, number, fence });
    }

    pub(super) fn view(&self) -> View {
        View { taken: self.taken.clone(), ..View::default() }
    }
}
