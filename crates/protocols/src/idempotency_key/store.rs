//! The store: accounts, and a row for each key, in one log.

use super::{Context, Msg, Outcome, Record, Timer};
use crate::payment::{Config, Key, Op, Ret, View};
use node::{NodeId, RequestId};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often a row's lease is doubled, at most.
const MAX_DOUBLINGS: u32 = 10;

/// What is known of a key (8.1).
#[derive(Clone, Copy, Debug)]
enum State {
    /// Its worker, so far as this life knows: the request that began it.
    Running { fence: u32, by: Option<RequestId> },
    /// The reply, and since when.
    Done { ret: Ret, since: Duration },
}

#[derive(Clone, Copy, Debug)]
struct Row {
    op: Op,
    state: State,
}

/// Accounts and keys.
#[derive(Debug)]
pub struct Store {
    config: Config,
    rows: BTreeMap<Key, Row>,
    /// Each account's statement, in the order of its lines; a receipt is a line's number.
    statements: BTreeMap<u16, Vec<(Key, u32)>>,
    /// For each tenant, the keys up to this number are thrown away.
    expired: BTreeMap<u16, u32>,
}

impl Store {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            config: config.clone(),
            rows: BTreeMap::new(),
            statements: BTreeMap::new(),
            expired: BTreeMap::new(),
        }
    }

    pub(super) fn on_start(&mut self, log: &[Record], cx: &mut Context) {
        let since = cx.now();
        for record in log {
            match *record {
                Record::Started { op, fence } => {
                    let state = State::Running { fence, by: None };
                    self.rows.insert(op.key, Row { op, state });
                }
                Record::Done { op, ret } => self.done(op, ret, since),
                Record::Credited { key, amount } => self.credit(key, amount),
                Record::Expired { through } => {
                    self.expired.insert(through.tenant, through.number);
                    self.throw_away();
                }
                Record::Charged { .. } => {} // a provider's
            }
        }
        for (key, row) in &self.rows {
            if let State::Running { fence, .. } = row.state {
                cx.mark("a restarted store found a payment begun");
                cx.set_background_timer(self.lease(fence), Timer::Lease(*key));
            }
        }
        cx.set_background_timer(self.config.ttl, Timer::Sweep);
    }

    /// Insert or read, in one step (8.2, 8.3).
    pub(super) fn on_begin(&mut self, from: NodeId, request: RequestId, op: Op, cx: &mut Context) {
        let answer = |ret| Msg::Answer { request, ret };
        if self.is_expired(op.key) {
            cx.mark("a retry came after its key had expired");
            return cx.send(from, answer(Ret::Expired));
        }
        match self.rows.get(&op.key) {
            None if op.body.by_card => {
                cx.force(Record::Started { op, fence: 1 });
                let state = State::Running { fence: 1, by: Some(request) };
                self.rows.insert(op.key, Row { op, state });
                cx.set_timer(self.lease(1), Timer::Lease(op.key));
                cx.send(from, Msg::Started { op, fence: 1 });
            }
            None => {
                let ret = self.finish(op, Outcome::Charged, cx);
                cx.send(from, answer(ret));
            }
            Some(row) if row.op.body != op.body => {
                cx.mark("a key came with another request");
                cx.send(from, answer(Ret::Mismatch));
            }
            Some(Row { state: State::Done { ret, .. }, .. }) => {
                cx.mark("a stored reply was given again");
                cx.send(from, answer(*ret));
            }
            Some(Row { state: State::Running { fence, by }, .. }) if *by == Some(request) => {
                cx.send(from, Msg::Started { op, fence: *fence });
            }
            Some(Row { state: State::Running { .. }, .. }) => {
                cx.mark("a copy met a payment under way");
                cx.send(from, answer(Ret::InProgress));
            }
        }
    }

    /// The last recovery point (8.5).
    pub(super) fn on_finish(
        &mut self,
        from: NodeId,
        key: Key,
        fence: u32,
        outcome: Outcome,
        cx: &mut Context,
    ) {
        let Some(Row { op, state }) = self.rows.get(&key).copied() else {
            return cx.send(from, Msg::Superseded { key, fence }); // done, and thrown away
        };
        match state {
            State::Done { ret, .. } => cx.send(from, Msg::Finished { op, ret }),
            State::Running { fence: current, .. } if current == fence => {
                let ret = self.finish(op, outcome, cx);
                cx.cancel_timer(Timer::Lease(key));
                cx.send(from, Msg::Finished { op, ret });
            }
            State::Running { .. } => {
                cx.mark("an overtaken worker was refused");
                cx.send(from, Msg::Superseded { key, fence });
            }
        }
    }

    /// The effect, the key and the reply, all or none (8.4).
    fn finish(&mut self, op: Op, outcome: Outcome, cx: &mut Context) -> Ret {
        let lines = self.statements.get(&op.key.tenant).map_or(0, Vec::len);
        let ret = match outcome {
            Outcome::Charged => Ret::Paid { receipt: lines as u32 + 1 },
            Outcome::Declined => Ret::Declined,
        };
        cx.force(Record::Done { op, ret });
        self.done(op, ret, cx.now());
        ret
    }

    fn done(&mut self, op: Op, ret: Ret, since: Duration) {
        if let Ret::Paid { .. } = ret {
            self.credit(op.key, op.body.amount);
        }
        self.rows.insert(op.key, Row { op, state: State::Done { ret, since } });
    }

    fn credit(&mut self, key: Key, amount: u32) {
        self.statements.entry(key.tenant).or_default().push((key, amount));
    }

    /// Each worker of a row has twice the time of the one before, or workers with too little of it
    /// could overtake each other for ever.
    fn lease(&self, fence: u32) -> Duration {
        self.config.lease * (1 << (fence - 1).min(MAX_DOUBLINGS))
    }

    /// The row's worker has had its time: another one takes it over, under a greater fence (8.5).
    pub(super) fn on_lease(&mut self, key: Key, cx: &mut Context) {
        let Some(Row { op, state: State::Running { fence, .. } }) = self.rows.get(&key).copied()
        else {
            return;
        };
        let fence = fence + 1;
        cx.mark("a payment was taken over");
        cx.force(Record::Started { op, fence });
        self.rows.insert(key, Row { op, state: State::Running { fence, by: None } });
        cx.set_background_timer(self.lease(fence), Timer::Lease(key));
        let worker = self.config.workers[fence as usize % self.config.workers.len()];
        cx.send(worker, Msg::Started { op, fence });
    }

    /// Throws away what has been done for longer than its TTL, and compacts the log (8.7).
    pub(super) fn on_sweep(&mut self, cx: &mut Context) {
        let now = cx.now();
        for (key, row) in &self.rows {
            if let State::Done { since, .. } = row.state
                && since + self.config.ttl <= now
            {
                let through = self.expired.entry(key.tenant).or_default();
                *through = (*through).max(key.number);
            }
        }
        if self.throw_away() {
            cx.snapshot(self.records());
        }
        cx.set_background_timer(self.config.ttl, Timer::Sweep);
    }

    fn is_expired(&self, key: Key) -> bool {
        self.expired.get(&key.tenant).is_some_and(|through| key.number <= *through)
    }

    /// Drops the rows that are done and under the mark; one that runs is ended first.
    fn throw_away(&mut self) -> bool {
        let before = self.rows.len();
        let expired = &self.expired;
        self.rows.retain(|key, row| {
            matches!(row.state, State::Running { .. })
                || expired.get(&key.tenant).is_none_or(|through| key.number > *through)
        });
        self.rows.len() < before
    }

    /// All there is, as a log. Statements come whole before the rows, whose own lines they hold: a
    /// row that is done is in it twice, once as a line and once as a reply.
    fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        for (tenant, number) in &self.expired {
            let through = Key { tenant: *tenant, number: *number };
            records.push(Record::Expired { through });
        }
        for (key, amount) in self.statements.values().flatten() {
            match self.rows.get(key) {
                Some(Row { op, state: State::Done { ret, .. } }) => {
                    records.push(Record::Done { op: *op, ret: *ret });
                }
                _ => records.push(Record::Credited { key: *key, amount: *amount }),
            }
        }
        for row in self.rows.values() {
            match row.state {
                State::Running { fence, .. } => {
                    records.push(Record::Started { op: row.op, fence });
                }
                State::Done { ret: Ret::Declined, .. } => {
                    records.push(Record::Done { op: row.op, ret: Ret::Declined });
                }
                State::Done { .. } => {} // its line says it
            }
        }
        records
    }

    pub(super) fn view(&self) -> View {
        let runs = |row: &Row| matches!(row.state, State::Running { .. });
        let running = self.rows.iter().filter(|(_, row)| runs(row)).map(|(key, _)| *key);
        View { running: running.collect() }
    }
}
