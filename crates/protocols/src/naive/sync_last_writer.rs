//! Replicas that synchronise by time, the last writer wins: by the time of day, or by a count
//! without a node's number.
//!
//! # What the articles say
//!
//! 003 and 004: data is synchronised between nodes, "the sync strategy coordinates", and timestamps
//! make consistency cheaper. What is built on that is a column with the time of the last change: of
//! two values the later one is kept. Where clocks are not trusted, a count takes the place of time.
//!
//! # What is wrong
//!
//! Which of two writes is later, only one clock could say. A replica whose clock is behind takes a
//! write, says so, and drops it in favour of the one that it was to replace. A count (Lamport's)
//! mends that; but two replicas count alike, and of two writes with the same count each keeps its
//! own, for ever: without a node's number it is no order. And with either, of two writers that did
//! not know each other one was told that its write stands, and it is gone.
//!
//! # The rules
//!
//! - Upon a write: its time is what the wall clock says, or one more than any count so far. Force
//!   it, keep it **if it is later** than what stands there, and say that it is written.
//! - From time to time, to one of the others after another: `Push` everything. Upon `Push`: keep
//!   what is later.

use super::sync::{Config, Dot, Durable, Key, Op, Ret, Sibling, View, Written};
use node::{Cx, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// By the time of day.
pub type SyncWallClock = SyncLastWriter<true>;
/// By a count without a node's number.
pub type SyncLamport = SyncLastWriter<false>;

/// A value, and the time of its write.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Entry {
    time: u64,
    sibling: Sibling,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    Push { entries: Vec<(Key, Entry)> },
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    Written { operation: RequestId, key: Key, entry: Entry },
    Pushed { key: Key, entry: Entry },
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    Round,
}

/// A replica; `WALL` is whether it goes by its wall clock.
#[derive(Debug)]
pub struct SyncLastWriter<const WALL: bool> {
    me: NodeId,
    config: Config,
    table: Table,
    rounds: u16,
}

/// The latest value of each record, and how many were written here.
#[derive(Debug, Default)]
struct Table {
    entries: BTreeMap<Key, Entry>,
    written: u64,
    /// The latest time that it has heard of.
    latest: u64,
    done: BTreeMap<RequestId, Dot>,
}

impl Table {
    /// True if it is later than what stands there.
    fn put(&mut self, key: Key, entry: Entry) -> bool {
        self.latest = entry.time.max(self.latest);
        let later = self.entries.get(&key).is_none_or(|there| entry.time > there.time);
        if later {
            self.entries.insert(key, entry);
        }
        later
    }

    fn apply(&mut self, record: &Record) {
        match *record {
            Record::Written { operation, key, entry } => {
                self.written += 1;
                self.done.insert(operation, entry.sibling.dot);
                self.put(key, entry);
            }
            Record::Pushed { key, entry } => {
                self.put(key, entry);
            }
        }
    }
}

impl<const WALL: bool> Node for SyncLastWriter<WALL> {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = Timer;

    fn new(me: NodeId, config: &Config) -> Self {
        Self { me, config: config.clone(), table: Table::default(), rounds: me.0 }
    }

    fn on_start(&mut self, log: &[Record], cx: &mut Cx<Self>) {
        log.iter().for_each(|record| self.table.apply(record));
        cx.set_background_timer(self.config.interval, Timer::Round);
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Cx<Self>) {
        match op {
            Op::Read { key } => {
                let entry = self.table.entries.get(&key);
                cx.reply(request, Ret::Siblings(entry.map(|e| e.sibling).into_iter().collect()));
            }
            Op::Write { .. } | Op::Edit { .. } if self.table.done.contains_key(&request) => {
                cx.reply(request, Ret::Written(self.table.done[&request]));
            }
            Op::Write { key, value } | Op::Edit { key, value } => {
                let dot = Dot { node: self.me, nth: self.table.written + 1 };
                let time = match WALL {
                    true => cx.wall().as_nanos() as u64,
                    false => self.table.latest + 1,
                };
                let entry = Entry { time, sibling: Sibling { dot, value } };
                let record = Record::Written { operation: request, key, entry };
                self.table.apply(&record);
                cx.force(record);
                cx.reply(request, Ret::Written(dot));
            }
        }
    }

    fn on_message(&mut self, _: NodeId, Msg::Push { entries }: Msg, cx: &mut Cx<Self>) {
        for (key, entry) in entries {
            if self.table.put(key, entry) {
                cx.force(Record::Pushed { key, entry });
            }
        }
    }

    fn on_timer(&mut self, Timer::Round: Timer, cx: &mut Cx<Self>) {
        let others = self.config.replicas.saturating_sub(1).max(1);
        let next = NodeId((self.me.0 + 1 + self.rounds % others) % self.config.replicas);
        self.rounds = (self.rounds + 1) % others;
        let entries = self.table.entries.iter().map(|(key, entry)| (*key, *entry));
        cx.send(next, Msg::Push { entries: entries.collect() });
        cx.set_background_timer(self.config.interval, Timer::Round);
    }
}

impl<const WALL: bool> Observe for SyncLastWriter<WALL> {
    type Durable = Durable;
    type View = View;

    /// As its author sees it, a write has read what stands there.
    fn durable(log: &[Record]) -> Durable {
        let (mut table, mut durable) = (Table::default(), Durable::default());
        for record in log {
            if let Record::Written { operation, key, entry: Entry { sibling, .. } } = *record {
                let there = table.entries.get(&key);
                let read = there.map(|there| there.sibling.dot).into_iter().collect();
                durable.writes.push(Written { operation, key, sibling, read });
            }
            table.apply(record);
        }
        let siblings = |(key, entry): (Key, Entry)| (key, vec![entry.sibling]);
        durable.siblings = table.entries.into_iter().map(siblings).collect();
        durable
    }

    fn view(&self) -> View {
        View::default()
    }
}
