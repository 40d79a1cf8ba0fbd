//! A worker: it takes requests, and sees payments through. It remembers nothing over a crash.

use super::{Context, Msg, Outcome, Timer};
use crate::payment::{Config, Key, Op, Ret, View};
use node::RequestId;
use std::collections::BTreeMap;

/// A payment that it sees to.
#[derive(Clone, Copy, Debug)]
struct Task {
    op: Op,
    fence: u32,
    /// What the provider said, once it has.
    outcome: Option<Outcome>,
}

/// Between clients, store and provider.
#[derive(Debug)]
pub struct Worker {
    config: Config,
    /// What clients have asked here, not answered yet.
    asked: BTreeMap<RequestId, Op>,
    tasks: BTreeMap<Key, Task>,
}

impl Worker {
    pub(super) fn new(config: &Config) -> Self {
        Self { config: config.clone(), asked: BTreeMap::new(), tasks: BTreeMap::new() }
    }

    pub(super) fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Context) {
        if self.asked.insert(request, op).is_none() {
            self.begin(request, cx);
        }
    }

    /// Asks the store, and again until it answers: at once, or when the payment is done.
    pub(super) fn begin(&mut self, request: RequestId, cx: &mut Context) {
        let Some(&op) = self.asked.get(&request) else { return };
        cx.send(self.config.store, Msg::Begin { request, op });
        cx.set_timer(self.config.resend, Timer::Begin(request));
    }

    pub(super) fn on_answer(&mut self, request: RequestId, ret: Ret, cx: &mut Context) {
        if self.asked.remove(&request).is_some() {
            cx.cancel_timer(Timer::Begin(request));
            cx.reply(request, ret);
        }
    }

    pub(super) fn on_started(&mut self, op: Op, fence: u32, cx: &mut Context) {
        if self.tasks.get(&op.key).is_none_or(|task| task.fence < fence) {
            self.tasks.insert(op.key, Task { op, fence, outcome: None });
            self.work(op.key, cx);
        }
    }

    /// The next step of a payment, and again until it is answered.
    pub(super) fn work(&mut self, key: Key, cx: &mut Context) {
        let Some(&Task { op, fence, outcome }) = self.tasks.get(&key) else { return };
        match outcome {
            None => {
                let charge = Msg::Charge { derived: key, amount: op.body.amount };
                cx.send(self.config.provider, charge);
            }
            Some(outcome) => {
                cx.send(self.config.store, Msg::Finish { key, fence, outcome });
            }
        }
        cx.set_timer(self.config.resend, Timer::Task(key));
    }

    pub(super) fn on_settled(&mut self, derived: Key, outcome: Outcome, cx: &mut Context) {
        let Some(task) = self.tasks.get_mut(&derived) else { return };
        if task.outcome.is_none() {
            task.outcome = Some(outcome);
            self.work(derived, cx);
        }
    }

    /// Everybody who asked for just this is answered.
    pub(super) fn on_finished(&mut self, op: Op, ret: Ret, cx: &mut Context) {
        self.drop_task(op.key, cx);
        let same = self.asked.iter().filter(|(_, asked)| **asked == op).map(|(id, _)| *id);
        for request in same.collect::<Vec<_>>() {
            self.on_answer(request, ret, cx);
        }
    }

    pub(super) fn on_superseded(&mut self, key: Key, fence: u32, cx: &mut Context) {
        if self.tasks.get(&key).is_some_and(|task| task.fence == fence) {
            self.drop_task(key, cx);
        }
    }

    fn drop_task(&mut self, key: Key, cx: &mut Context) {
        if self.tasks.remove(&key).is_some() {
            cx.cancel_timer(Timer::Task(key));
        }
    }

    pub(super) fn view(&self) -> View {
        View { running: self.tasks.keys().copied().collect() }
    }
}
