//! A worker: it takes jobs and sees them through. It remembers nothing over a crash.

use super::{Config, Context, Job, Letter, Msg, Queue, Receipt, Stamp, Timer, View};
use node::RequestId;
use std::collections::BTreeMap;

/// A job that it sees to.
#[derive(Clone, Copy, Debug)]
struct Task {
    id: RequestId,
    job: Job,
    reply_to: Option<Stamp>,
    /// It is given up (7.3).
    dead: bool,
}

/// Between the queues and the accounts.
#[derive(Debug)]
pub struct Worker {
    config: Config,
    tasks: BTreeMap<Receipt, Task>,
}

impl Worker {
    pub(super) fn new(config: &Config) -> Self {
        Self { config: config.clone(), tasks: BTreeMap::new() }
    }

    /// Asks for the next job, if it has none, and again if nothing comes.
    pub(super) fn take(&mut self, cx: &mut Context) {
        if self.tasks.is_empty() {
            cx.send(self.config.broker, Msg::Take { queue: Queue::Jobs });
        }
        cx.set_background_timer(self.config.poll, Timer::Poll);
    }

    /// Does it and commits, gives it back, or gives it up.
    pub(super) fn on_deliver(
        &mut self,
        receipt: Receipt,
        stamp: Stamp,
        letter: Letter,
        cx: &mut Context,
    ) {
        let Letter::Job { id, job, wait } = letter else { return };
        let dead = receipt.nth > self.config.tries;
        if dead {
            cx.mark("a job was given up");
        } else if job.poison || cx.dice().below(100) < self.config.trouble.into() {
            cx.mark("a job was given back");
            cx.send(self.config.broker, Msg::Nack { receipt });
            return self.take(cx);
        }
        let reply_to = wait.then_some(stamp);
        self.tasks.insert(receipt, Task { id, job, reply_to, dead });
        self.commit(receipt, cx);
    }

    /// At first, and again until it is answered.
    pub(super) fn commit(&mut self, receipt: Receipt, cx: &mut Context) {
        let Some(&Task { id, job, reply_to, dead }) = self.tasks.get(&receipt) else { return };
        cx.send(self.config.store, Msg::Commit { receipt, id, job, reply_to, dead });
        cx.set_timer(self.config.resend, Timer::Commit(receipt));
    }

    /// The effect is durable, and only now may the message go (7.2).
    pub(super) fn on_committed(&mut self, receipt: Receipt, cx: &mut Context) {
        if self.tasks.remove(&receipt).is_some() {
            cx.cancel_timer(Timer::Commit(receipt));
            cx.send(self.config.broker, Msg::Ack { receipt });
            self.take(cx);
        }
    }

    pub(super) fn view(&self) -> View {
        View { open: self.tasks.values().map(|task| task.id).collect() }
    }
}
