//! A producer: it numbers what it publishes, and sends it until the broker has it (7.1).

use super::{Config, Context, Letter, Msg, Stamp, Timer};
use node::NodeId;
use std::collections::BTreeMap;
use std::time::Duration;

/// What fronts and the store's relay publish with. A new life begins a new epoch.
#[derive(Debug)]
pub struct Producer {
    broker: NodeId,
    resend: Duration,
    published: u32,
    unanswered: BTreeMap<Stamp, Letter>,
}

impl Producer {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            broker: config.broker,
            resend: config.resend,
            published: 0,
            unanswered: BTreeMap::new(),
        }
    }

    pub(super) fn publish(&mut self, letter: Letter, cx: &mut Context) {
        self.published += 1;
        let stamp = Stamp { producer: cx.me(), epoch: cx.incarnation(), seq: self.published };
        self.unanswered.insert(stamp, letter);
        self.send(stamp, cx);
    }

    /// At first, and again until it is answered.
    pub(super) fn send(&mut self, stamp: Stamp, cx: &mut Context) {
        let Some(&letter) = self.unanswered.get(&stamp) else { return };
        cx.send(self.broker, Msg::Publish { stamp, letter });
        cx.set_timer(self.resend, Timer::Publish(stamp));
    }

    /// What the broker has now, unless that was known.
    pub(super) fn on_published(&mut self, stamp: Stamp, cx: &mut Context) -> Option<Letter> {
        let letter = self.unanswered.remove(&stamp)?;
        cx.cancel_timer(Timer::Publish(stamp));
        Some(letter)
    }

    pub(super) fn unanswered(&self) -> impl Iterator<Item = &Letter> {
        self.unanswered.values()
    }
}
