//! The store: accounts, inbox and outbox, in one log.

use super::producer::Producer;
use super::{Config, Context, Job, Letter, Record, Ret, Stamp, Timer, View};
use node::RequestId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// What is known of a job that has been done, or is dead.
#[derive(Clone, Debug)]
struct Row {
    ret: Ret,
    since: Duration,
    /// For which of its publications the reply has been put into the outbox.
    replied: BTreeSet<Stamp>,
}

impl Row {
    fn new(ret: Ret, since: Duration) -> Self {
        Self { ret, since, replied: BTreeSet::new() }
    }
}

/// A line of a statement, or a dead letter.
type Kept = (RequestId, Job, Ret);

/// Accounts, inbox and outbox.
#[derive(Debug)]
pub struct Store {
    config: Config,
    inbox: BTreeMap<RequestId, Row>,
    /// What is to be published, in the order of commits (7.6).
    outbox: VecDeque<(RequestId, Stamp, Ret)>,
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
                    self.inbox.insert(id, Row::new(ret, since));
                    reply_to.into_iter().for_each(|reply_to| self.put_out(id, reply_to, ret));
                }
                Record::Kept { id, job, ret } => self.keep((id, job, ret)),
                Record::Again { id, reply_to, ret } => self.put_out(id, reply_to, ret),
                Record::Marked { reply_to } => self.mark(reply_to),
                _ => {} // a broker's
            }
        }
        if !self.outbox.is_empty() {
            cx.mark("a restarted store found replies to publish");
        }
        for &(id, reply_to, ret) in &self.outbox {
            self.relay.publish(Letter::Reply { id, reply_to, ret }, cx);
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
        id: RequestId,
        job: Job,
        reply_to: Option<Stamp>,
        dead: bool,
        cx: &mut Context,
    ) {
        let Some(row) = self.inbox.get(&id) else {
            let line = self.lines.get(&job.account).map_or(1, |lines| lines + 1);
            let ret = if dead { Ret::Dead } else { Ret::Done { account: job.account, line } };
            cx.force(Record::Committed { id, job, reply_to, ret });
            self.inbox.insert(id, Row::new(ret, cx.now()));
            self.keep((id, job, ret));
            return self.reply(id, reply_to, ret, cx);
        };
        let ret = row.ret;
        cx.mark("the inbox knew a job");
        if dead != (ret == Ret::Dead) {
            cx.mark("a job was done and given up, and the first one stands");
        }
        if let Some(reply_to) = reply_to.filter(|stamp| !row.replied.contains(stamp)) {
            cx.force(Record::Again { id, reply_to, ret });
            self.reply(id, Some(reply_to), ret, cx);
        }
    }

    /// What is in the outbox is published.
    fn reply(&mut self, id: RequestId, reply_to: Option<Stamp>, ret: Ret, cx: &mut Context) {
        if let Some(reply_to) = reply_to {
            self.put_out(id, reply_to, ret);
            self.relay.publish(Letter::Reply { id, reply_to, ret }, cx);
        }
    }

    fn put_out(&mut self, id: RequestId, reply_to: Stamp, ret: Ret) {
        self.outbox.push_back((id, reply_to, ret));
        if let Some(row) = self.inbox.get_mut(&id) {
            row.replied.insert(reply_to);
        }
    }

    /// The broker has it: only now is it marked (7.5).
    pub(super) fn on_published(&mut self, stamp: Stamp, cx: &mut Context) {
        if let Some(Letter::Reply { reply_to, .. }) = self.relay.on_published(stamp, cx) {
            cx.persist(Record::Marked { reply_to });
            self.mark(reply_to);
        }
    }

    fn mark(&mut self, reply_to: Stamp) {
        self.outbox.retain(|row| row.1 != reply_to);
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
        let again = |&(id, reply_to, ret)| Record::Again { id, reply_to, ret };
        let outbox = self.outbox.iter().map(again);
        kept.chain(outbox).collect()
    }

    pub(super) fn view(&self) -> View {
        View { open: self.outbox.iter().map(|(id, ..)| *id).collect() }
    }
}
