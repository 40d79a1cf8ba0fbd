//! A front: it publishes what clients ask, and brings them the replies. It remembers nothing over a
//! crash; a client that asks again is published again, and the inbox knows the job.

use super::producer::Producer;
use super::{Config, Context, Letter, Msg, Op, Queue, Receipt, Ret, Stamp, Timer, View};
use node::RequestId;
use std::collections::BTreeMap;

/// Between clients and the queues.
#[derive(Debug)]
pub struct Front {
    config: Config,
    pub(super) producer: Producer,
    /// What clients have asked here, not answered yet.
    asked: BTreeMap<RequestId, Op>,
}

impl Front {
    pub(super) fn new(config: &Config) -> Self {
        let (config, producer) = (config.clone(), Producer::new(config));
        Self { config, producer, asked: BTreeMap::new() }
    }

    pub(super) fn on_request(&mut self, id: RequestId, op: Op, cx: &mut Context) {
        if self.asked.insert(id, op).is_none() {
            self.producer.publish(Letter::Job { id, job: op.job, wait: op.wait }, cx);
        }
    }

    pub(super) fn on_published(&mut self, stamp: Stamp, cx: &mut Context) {
        let Some(letter) = self.producer.on_published(stamp, cx) else { return };
        if self.asked.get(&letter.id()).is_some_and(|op| !op.wait) {
            self.answer(letter.id(), Ret::Accepted, cx);
        }
    }

    /// Asks for the next reply, and again if nothing comes.
    pub(super) fn take(&mut self, cx: &mut Context) {
        cx.send(self.config.broker, Msg::Take { queue: Queue::Replies(cx.me()) });
        cx.set_background_timer(self.config.poll, Timer::Poll);
    }

    /// A reply finds its request by its name (7.4).
    pub(super) fn on_deliver(&mut self, receipt: Receipt, letter: Letter, cx: &mut Context) {
        if let Letter::Reply { id, ret, .. } = letter {
            self.answer(id, ret, cx);
        }
        cx.send(self.config.broker, Msg::Ack { receipt });
        self.take(cx);
    }

    fn answer(&mut self, id: RequestId, ret: Ret, cx: &mut Context) {
        if self.asked.remove(&id).is_some() {
            cx.reply(id, ret);
        } else {
            cx.mark("a reply found nobody");
        }
    }

    pub(super) fn view(&self) -> View {
        let published = self.producer.unanswered().map(Letter::id);
        View { open: self.asked.keys().copied().chain(published).collect() }
    }
}
