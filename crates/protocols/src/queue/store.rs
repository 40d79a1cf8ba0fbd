//! The store: accounts, inbox and outbox, in one log.

use super::{Context, Letter, Msg, Record, Stamp, Timer, producer::Producer};
use crate::job::{Config, Job, Ret, View};
use node::{NodeId, RequestId};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// What is known of a job that has been done, or is dead.
#[derive(Clone, Copy, Debug)]
struct Row {
    ret: Ret,
    since: Duration,
}

/// A line of a statement, or a dead letter.
type Kept = (RequestId, Job, Ret);

/// Accounts, inbox and outbox.
#[derive(Debug)]
pub struct Store {
    config: Config,
    inbox: BTreeMap<RequestId, Row>,
    /// What is to be published, in the order of commits (7.6).
    outbox: VecDeque<(RequestId, NodeId, Ret)>,
    pub(super) relay: Producer,
    /// Every statement and the dead letters, in the order of commits.
    kept: Vec<Kept>,
    /// How many lines each account has.
    lines: BTreeMap<u16, u32>,
}

impl Store {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            config: config.clone(),
            inbox: BTreeMap::new(),
            outbox: VecDeque::new(),
            relay: Producer::new(config),
            kept: Vec::new(),
            lines: BTreeMap::new(),
        }
    }

    pub(super) fn on_start(&mut self, log: &[Record], cx: &mut Context) {
        let since = cx.now();
        for record in log {
            match *record {
                Record::Committed { id, job, reply_to, ret } => {
                    self.keep((id, job, ret));
                    self.inbox.insert(id, Row { ret, since });
                    self.outbox.extend(reply_to.map(|to| (id, to, ret)));
                }
                Record::Kept { id, job, ret } => self.keep((id, job, ret)),
                Record::Again { id, to, ret } => self.outbox.push_back((id, to, ret)),
                Record::Marked { id, to } => self.mark(id, to),
                _ => {} // a broker's
            }
        }
        if !self.outbox.is_empty() {
            cx.mark("a restarted store found replies to publish");
        }
        for (id, to, ret) in &self.outbox {
            self.relay.publish(Letter::Reply { id: *id, to: *to, ret: *ret }, cx);
        }
        cx.set_background_timer(self.config.retention / 4, Timer::Sweep);
    }

    fn keep(&mut self, (id, job, ret): Kept) {
        self.kept.push((id, job, ret));
        if ret != Ret::Dead {
            *self.lines.entry(job.account).or_default() += 1;
        }
    }

    /// The effect, the inbox row and the outbox row, all or none (7.2).
    pub(super) fn on_commit(
        &mut self,
        from: NodeId,
        id: RequestId,
        job: Job,
        reply_to: Option<NodeId>,
        dead: bool,
        cx: &mut Context,
    ) {
        if let Some(Row { ret, .. }) = self.inbox.get(&id).copied() {
            cx.mark("the inbox knew a job");
            if dead != (ret == Ret::Dead) {
                cx.mark("a job was done and given up, and the first one stands");
            }
            if let Some(to) = reply_to {
                cx.force(Record::Again { id, to, ret });
                self.publish(id, to, ret, cx);
            }
        } else {
            let line = self.lines.get(&job.account).map_or(1, |lines| lines + 1);
            let ret = if dead { Ret::Dead } else { Ret::Done { account: job.account, line } };
            cx.force(Record::Committed { id, job, reply_to, ret });
            self.inbox.insert(id, Row { ret, since: cx.now() });
            self.keep((id, job, ret));
            if let Some(to) = reply_to {
                self.publish(id, to, ret, cx);
            }
        }
        cx.send(from, Msg::Committed { id });
    }

    fn publish(&mut self, id: RequestId, to: NodeId, ret: Ret, cx: &mut Context) {
        self.outbox.push_back((id, to, ret));
        self.relay.publish(Letter::Reply { id, to, ret }, cx);
    }

    /// The broker has it: only now is it marked (7.5).
    pub(super) fn on_published(&mut self, stamp: Stamp, cx: &mut Context) {
        if let Some(Letter::Reply { id, to, .. }) = self.relay.on_published(stamp, cx) {
            cx.persist(Record::Marked { id, to });
            self.mark(id, to);
        }
    }

    fn mark(&mut self, id: RequestId, to: NodeId) {
        let row = self.outbox.iter().position(|row| (row.0, row.1) == (id, to));
        row.map(|at| self.outbox.remove(at));
    }

    /// Throws away inbox rows whose retention time is over, and compacts the log.
    pub(super) fn on_sweep(&mut self, cx: &mut Context) {
        let (now, before) = (cx.now(), self.inbox.len());
        self.inbox.retain(|_, row| row.since + self.config.retention > now);
        if self.inbox.len() < before {
            cx.mark("the inbox forgot a job");
            cx.snapshot(self.records());
        }
        cx.set_background_timer(self.config.retention / 4, Timer::Sweep);
    }

    /// All there is, as a log.
    fn records(&self) -> Vec<Record> {
        let kept = self.kept.iter().map(|&(id, job, ret)| match self.inbox.contains_key(&id) {
            true => Record::Committed { id, job, reply_to: None, ret },
            false => Record::Kept { id, job, ret },
        });
        let outbox = self.outbox.iter().map(|&(id, to, ret)| Record::Again { id, to, ret });
        kept.chain(outbox).collect()
    }

    pub(super) fn view(&self) -> View {
        View { open: self.outbox.iter().map(|(id, ..)| *id).collect() }
    }
}
