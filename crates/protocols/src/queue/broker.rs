//! The broker: the queues, in one log.

use super::{Config, Context, Letter, Msg, Queue, Receipt, Record, Stamp, Timer, View};
use node::{Incarnation, NodeId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// How often a lease is doubled, at most.
const MAX_DOUBLINGS: u32 = 5;

/// A message in a queue.
#[derive(Clone, Copy, Debug)]
struct Entry {
    stamp: Stamp,
    letter: Letter,
    /// How often it has been delivered in this life.
    tries: u32,
    /// Who has it.
    lease: Option<Receipt>,
}

/// The queues.
#[derive(Debug)]
pub struct Broker {
    config: Config,
    /// By their places, in the order in which they were published.
    entries: BTreeMap<u32, Entry>,
    next: u32,
    /// The last life and number of each producer (7.1).
    producers: BTreeMap<NodeId, (Incarnation, u32)>,
    /// Consumers without a message, in the order in which they asked.
    waiting: BTreeMap<Queue, VecDeque<NodeId>>,
    /// Acknowledged since the log was compacted.
    acked: u32,
}

impl Broker {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            config: config.clone(),
            entries: BTreeMap::new(),
            next: 0,
            producers: BTreeMap::new(),
            waiting: BTreeMap::new(),
            acked: 0,
        }
    }

    pub(super) fn on_start(&mut self, log: &[Record], cx: &mut Context) {
        for record in log {
            match *record {
                Record::Published { stamp, letter } => self.put(stamp, letter),
                Record::Last { stamp } => self.last(stamp),
                Record::Acked { stamp } => self.entries.retain(|_, entry| entry.stamp != stamp),
                _ => {} // a store's
            }
        }
        if !self.entries.is_empty() {
            cx.mark("a restarted broker found messages");
        }
    }

    fn put(&mut self, stamp: Stamp, letter: Letter) {
        self.last(stamp);
        self.entries.insert(self.next, Entry { stamp, letter, tries: 0, lease: None });
        self.next += 1;
    }

    fn last(&mut self, Stamp { producer, epoch, seq }: Stamp) {
        let last = self.producers.entry(producer).or_default();
        *last = (*last).max((epoch, seq));
    }

    /// It is forced before it is acknowledged, and before anybody gets it (7.1).
    pub(super) fn on_publish(
        &mut self,
        from: NodeId,
        stamp: Stamp,
        letter: Letter,
        cx: &mut Context,
    ) {
        let (epoch, seq) = self.producers.get(&stamp.producer).copied().unwrap_or_default();
        let last = if epoch == stamp.epoch { seq } else { 0 };
        if stamp.epoch < epoch {
            return cx.mark("an older life of a producer was not heard");
        }
        if stamp.seq > last + 1 {
            return cx.mark("a message after a gap was not taken");
        }
        if stamp.seq <= last {
            cx.mark("a message was published again");
        } else {
            cx.force(Record::Published { stamp, letter });
            self.put(stamp, letter);
        }
        cx.send(from, Msg::Published { stamp });
        self.deliver(cx);
    }

    pub(super) fn on_take(&mut self, from: NodeId, queue: Queue, cx: &mut Context) {
        let waiting = self.waiting.entry(queue).or_default();
        if !waiting.contains(&from) {
            waiting.push_back(from);
        }
        self.deliver(cx);
    }

    /// Leases what may go to those who wait (7.2).
    fn deliver(&mut self, cx: &mut Context) {
        let mut older = BTreeSet::new();
        for (at, entry) in &mut self.entries {
            let in_order = entry.letter.account().is_none_or(|account| older.insert(account));
            if entry.lease.is_some() {
                continue;
            }
            let waiting = self.waiting.entry(entry.letter.queue()).or_default();
            if !in_order {
                if !waiting.is_empty() {
                    cx.mark("a job waited for an older one of its account");
                }
                continue;
            }
            let Some(consumer) = waiting.pop_front() else { continue };
            entry.tries += 1;
            let receipt = Receipt { life: cx.incarnation(), at: *at, nth: entry.tries };
            entry.lease = Some(receipt);
            cx.set_timer(lease(self.config.lease, entry.tries), Timer::Lease(receipt));
            let Entry { stamp, letter, .. } = *entry;
            cx.send(consumer, Msg::Deliver { receipt, stamp, letter });
        }
    }

    /// It is seen to, says who has it now (7.2).
    pub(super) fn on_ack(&mut self, receipt: Receipt, cx: &mut Context) {
        let Some(entry) = self.leased(receipt) else {
            if self.entries.contains_key(&receipt.at) {
                cx.mark("an old receipt was refused");
            }
            return;
        };
        cx.persist(Record::Acked { stamp: entry.stamp });
        self.entries.remove(&receipt.at);
        cx.cancel_timer(Timer::Lease(receipt));
        self.acked += 1;
        if self.acked >= self.config.compact_after {
            self.acked = 0;
            cx.snapshot(self.records());
        }
        self.deliver(cx);
    }

    /// It may go again at once (7.3).
    pub(super) fn on_nack(&mut self, receipt: Receipt, cx: &mut Context) {
        if let Some(entry) = self.leased(receipt) {
            entry.lease = None;
            cx.cancel_timer(Timer::Lease(receipt));
            self.deliver(cx);
        }
    }

    /// Whoever had it has had its time (7.2).
    pub(super) fn on_lease(&mut self, receipt: Receipt, cx: &mut Context) {
        if let Some(entry) = self.leased(receipt) {
            cx.mark("a lease ran out");
            entry.lease = None;
            self.deliver(cx);
        }
    }

    /// The message that is leased with this receipt, and with no later one.
    fn leased(&mut self, receipt: Receipt) -> Option<&mut Entry> {
        self.entries.get_mut(&receipt.at).filter(|entry| entry.lease == Some(receipt))
    }

    /// All there is, as a log.
    fn records(&self) -> Vec<Record> {
        let last = |(&producer, &(epoch, seq)): (&NodeId, &(Incarnation, u32))| Record::Last {
            stamp: Stamp { producer, epoch, seq },
        };
        let message =
            |entry: &Entry| Record::Published { stamp: entry.stamp, letter: entry.letter };
        let producers = self.producers.iter().map(last);
        producers.chain(self.entries.values().map(message)).collect()
    }

    pub(super) fn view(&self) -> View {
        View { open: self.entries.values().map(|entry| entry.letter.id()).collect() }
    }
}

/// Each try has twice the time of the one before, or a message whose consumers have too little of
/// it would never be acknowledged in time.
fn lease(first: Duration, nth: u32) -> Duration {
    first * (1 << (nth - 1).min(MAX_DOUBLINGS))
}
