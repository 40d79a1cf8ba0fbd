//! The participant: rules 1.5–1.10, 1.12, and its side of the execution round.

mod presumed_commit;
mod wound_wait;

use super::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use wound_wait::Queue;

/// One that votes.
pub struct Participant {
    me: NodeId,
    work_timeout: Duration,
    inquiry_interval: Duration,
    presume: Presume,
    ask_peers: bool,
    compact_after: u32,
    locking: Locking,
    /// Work that waits for locks, where the policy is to wait.
    queue: Queue,
    balances: BTreeMap<Key, i64>,
    locks: BTreeMap<Key, TxId>,
    /// Operations that are in the balances (1.20).
    applied: BTreeSet<RequestId>,
    txs: BTreeMap<TxId, State>,
    /// For each coordinator, the transaction below which all is over.
    low_water: BTreeMap<NodeId, TxId>,
    /// Outcomes that the log still has and nobody can ask for.
    spent: u32,
}

enum State {
    /// Done and locked, all volatile.
    Working {
        request: RequestId,
        writes: BTreeMap<Key, i64>,
        veto: bool,
    },
    /// Voted Yes: in doubt.
    Prepared {
        redo: Redo,
        asked: u32,
    },
    /// Voted ReadOnly: a crash makes it forget even that.
    ReadOnly,
    Committed,
    Aborted(Logged),
}

/// What the log says of an abort.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Logged {
    Nothing,
    Lazily,
    Durably,
}

impl Participant {
    pub(super) fn new(me: NodeId, config: &Config, balances: &[(Key, i64)]) -> Self {
        Self {
            me,
            work_timeout: config.work_timeout,
            inquiry_interval: config.inquiry_interval,
            presume: config.presume,
            ask_peers: config.ask_peers,
            compact_after: config.compact_after,
            locking: config.locking,
            queue: Queue::default(),
            balances: balances.iter().copied().collect(),
            locks: BTreeMap::new(),
            applied: BTreeSet::new(),
            txs: BTreeMap::new(),
            low_water: BTreeMap::new(),
            spent: 0,
        }
    }

    /// 1.12 Locks first, then inquire.
    pub(super) fn on_start(&mut self, log: &[Record], cx: &mut Cx<TwoPhaseCommit>) {
        if log.is_empty() {
            return cx.snapshot(self.checkpoint());
        }
        log.iter().for_each(|record| self.replay(record));
        let in_doubt = self.in_doubt();
        for tx in &in_doubt {
            if let Some(State::Prepared { redo, .. }) = self.txs.get(tx) {
                self.locks.extend(redo.locks.iter().map(|key| (*key, *tx)));
            }
        }
        for tx in in_doubt {
            cx.mark("in-doubt participant restarted");
            self.inquire(tx, cx);
        }
    }

    fn replay(&mut self, record: &Record) {
        match record {
            Record::Checkpoint(checkpoint) => {
                self.balances = checkpoint.balances.iter().copied().collect();
                self.applied = checkpoint.applied.iter().copied().collect();
                self.low_water = checkpoint.low_water.iter().map(|&t| (t.coordinator, t)).collect();
                for tx in &checkpoint.committed {
                    self.txs.insert(*tx, State::Committed);
                }
                for tx in &checkpoint.aborted {
                    self.txs.insert(*tx, State::Aborted(Logged::Durably));
                }
            }
            Record::Prepared(redo) => {
                self.txs.insert(redo.tx, State::Prepared { redo: redo.clone(), asked: 0 });
            }
            Record::Committed { tx, .. } => self.apply(*tx),
            Record::Aborted { tx } => {
                self.txs.insert(*tx, State::Aborted(Logged::Durably));
            }
            Record::Collecting { .. }
            | Record::Commit { .. }
            | Record::Abort { .. }
            | Record::End { .. } => {}
        }
    }

    pub(super) fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<TwoPhaseCommit>) {
        match msg {
            Msg::Work { tx, request, work, low_water } => {
                self.forget_below(low_water, cx);
                match self.locking {
                    Locking::NoWait => self.on_work(tx, request, &work, cx),
                    Locking::WoundWait => self.enqueue(tx, request, work, cx),
                }
            }
            Msg::Prepare { tx, writers, incarnation } => {
                self.on_prepare(tx, writers, incarnation, cx);
            }
            Msg::Decision { tx, outcome } => self.on_decision(tx, outcome, cx),
            Msg::PeerTell { tx, outcome } => {
                if let Some(State::Prepared { .. }) = self.txs.get(&tx) {
                    cx.mark("peer ended a doubt");
                }
                self.on_decision(tx, outcome, cx);
            }
            Msg::PeerAsk { tx } => self.on_peer_ask(from, tx, cx),
            _ => {}
        }
    }

    pub(super) fn on_timer(&mut self, timer: Timer, cx: &mut Cx<TwoPhaseCommit>) {
        match timer {
            // 1.6 Timeout before voting: abort unilaterally.
            Timer::Work(tx) => {
                if let Some(State::Working { writes, .. }) = self.txs.get(&tx) {
                    let writer = !writes.is_empty();
                    self.abort(tx, writer, cx);
                }
            }
            // 1.7 Timeout after Yes.
            Timer::Inquire(tx) => {
                if let Some(State::Prepared { .. }) = self.txs.get(&tx) {
                    cx.mark("in-doubt participant inquired");
                    self.inquire(tx, cx);
                }
            }
            Timer::Vote(_) | Timer::Resend(_) => {}
        }
    }

    /// 1.18 Do the work under locks; without waiting, unless it has waited.
    fn on_work(
        &mut self,
        tx: TxId,
        request: RequestId,
        work: &[(Key, Action)],
        cx: &mut Cx<TwoPhaseCommit>,
    ) {
        match self.txs.get(&tx) {
            // G8
            None if self.forgotten(tx) => return,
            None => {}
            // Refused before, given up or aborted: a late copy must not take the locks again.
            Some(State::Aborted(_)) => return cx.send(tx.coordinator, Msg::Refused { tx }),
            Some(_) => return,
        }
        // 1.20
        if self.applied.contains(&request) {
            return cx.send(tx.coordinator, Msg::Already { tx });
        }
        let Some((writes, values)) = self.execute(work) else {
            self.txs.insert(tx, State::Aborted(Logged::Nothing));
            return cx.send(tx.coordinator, Msg::Refused { tx });
        };
        self.locks.extend(work.iter().map(|(key, _)| (*key, tx)));
        let veto = work.iter().any(|(_, action)| *action == Action::Veto);
        self.txs.insert(tx, State::Working { request, writes, veto });
        cx.set_timer(self.work_timeout, Timer::Work(tx));
        cx.send(tx.coordinator, Msg::Done { tx, incarnation: cx.incarnation(), values });
    }

    /// New balances and what was read; nothing if a key is locked or a balance would be negative.
    fn execute(&self, work: &[(Key, Action)]) -> Option<(BTreeMap<Key, i64>, Vec<i64>)> {
        let (mut writes, mut values) = (BTreeMap::new(), Vec::new());
        for (key, action) in work {
            if self.locks.contains_key(key) {
                return None;
            }
            let balance = writes.get(key).or(self.balances.get(key)).copied().unwrap_or(0);
            match action {
                Action::Add(amount) => {
                    let balance = balance.checked_add(*amount).filter(|balance| *balance >= 0)?;
                    writes.insert(*key, balance);
                }
                Action::Read => values.push(balance),
                Action::Veto => {}
            }
        }
        Some((writes, values))
    }

    /// 1.5 The vote.
    fn on_prepare(
        &mut self,
        tx: TxId,
        writers: Vec<NodeId>,
        incarnation: Incarnation,
        cx: &mut Cx<TwoPhaseCommit>,
    ) {
        let writer = writers.contains(&self.me);
        let vote = match self.txs.get(&tx) {
            // G8
            None if self.forgotten(tx) => return,
            // A copy: it has been answered, and told the outcome or not interested in it.
            Some(State::Committed | State::ReadOnly) => return,
            Some(State::Prepared { .. }) => Vote::Yes,
            // 1.18 The locks have been held ever since Done only if this is the same life.
            Some(State::Working { veto: false, writes, request })
                if incarnation == cx.incarnation() =>
            {
                if writer {
                    let writes = writes.iter().map(|(key, balance)| (*key, *balance)).collect();
                    let locks = self.locked_by(tx);
                    self.promise(Redo { tx, request: *request, writers, locks, writes }, cx);
                    Vote::Yes
                } else {
                    self.release(tx, cx);
                    self.txs.insert(tx, State::ReadOnly);
                    Vote::ReadOnly
                }
            }
            Some(State::Working { .. } | State::Aborted(_)) | None => {
                self.abort(tx, writer, cx);
                Vote::No
            }
        };
        cx.send(tx.coordinator, Msg::Vote { tx, vote });
    }

    /// 1.5 Force PREPARE: from here on it has given up the right to abort.
    fn promise(&mut self, redo: Redo, cx: &mut Cx<TwoPhaseCommit>) {
        let tx = redo.tx;
        cx.force(Record::Prepared(redo.clone()));
        self.txs.insert(tx, State::Prepared { redo, asked: 0 });
        cx.cancel_timer(Timer::Work(tx));
        cx.set_timer(self.inquiry_interval, Timer::Inquire(tx));
    }

    /// The outcome, from the coordinator or from a peer.
    fn on_decision(&mut self, tx: TxId, outcome: Outcome, cx: &mut Cx<TwoPhaseCommit>) {
        if self.presume == Presume::Commit {
            return self.on_recorded_decision(tx, outcome, cx);
        }
        match (outcome, self.txs.get(&tx)) {
            // 1.8
            (Outcome::Commit, Some(State::Prepared { redo, .. })) => {
                let request = redo.request;
                cx.force(Record::Committed { tx, request });
                self.release(tx, cx);
                self.apply(tx);
                cx.send(tx.coordinator, Msg::Ack { tx });
            }
            (Outcome::Commit, Some(State::Committed)) => cx.send(tx.coordinator, Msg::Ack { tx }),
            // G7
            (Outcome::Commit, None) if self.forgotten(tx) => {
                cx.send(tx.coordinator, Msg::Ack { tx });
            }
            // G8
            (Outcome::Abort, None) if self.forgotten(tx) => {}
            // 1.9
            (Outcome::Abort, Some(State::Prepared { .. } | State::Working { .. }) | None) => {
                self.abort(tx, true, cx);
            }
            // G5 It contradicts, or repeats, what has been decided here.
            (Outcome::Commit, Some(State::Aborted(_) | State::Working { .. }) | None)
            | (Outcome::Abort, Some(State::Committed | State::Aborted(_)))
            | (_, Some(State::ReadOnly)) => {}
        }
    }

    /// 1.10 Another writer is in doubt.
    fn on_peer_ask(&mut self, from: NodeId, tx: TxId, cx: &mut Cx<TwoPhaseCommit>) {
        let outcome = match self.txs.get(&tx) {
            // G9
            None if self.forgotten(tx) => return,
            Some(State::Prepared { .. } | State::ReadOnly) => return,
            Some(State::Committed) => Outcome::Commit,
            Some(State::Aborted(Logged::Durably)) => Outcome::Abort,
            // G6
            Some(State::Working { .. } | State::Aborted(_)) | None => {
                self.release(tx, cx);
                cx.force(Record::Aborted { tx });
                self.txs.insert(tx, State::Aborted(Logged::Durably));
                Outcome::Abort
            }
        };
        cx.send(from, Msg::PeerTell { tx, outcome });
    }

    /// 1.7 Ask the coordinator, and the other writers; the pauses double.
    fn inquire(&mut self, tx: TxId, cx: &mut Cx<TwoPhaseCommit>) {
        let Some(State::Prepared { redo, asked }) = self.txs.get_mut(&tx) else { return };
        *asked = (*asked + 1).min(3);
        let pause = self.inquiry_interval.saturating_mul(1 << *asked);
        cx.send(tx.coordinator, Msg::Inquiry { tx });
        if self.ask_peers {
            for &peer in redo.writers.iter().filter(|peer| **peer != self.me) {
                cx.send(peer, Msg::PeerAsk { tx });
            }
        }
        cx.set_timer(pause, Timer::Inquire(tx));
    }

    /// The redo of a prepared transaction, and its operation's id, become part of the data.
    fn apply(&mut self, tx: TxId) {
        if let Some(State::Prepared { redo, .. }) = self.txs.insert(tx, State::Committed) {
            self.balances.extend(redo.writes);
            self.applied.insert(redo.request);
        }
    }

    /// Aborts what is not decided yet; `record` says whether that is worth an ABORT (lazy).
    fn abort(&mut self, tx: TxId, record: bool, cx: &mut Cx<TwoPhaseCommit>) {
        if let Some(State::Aborted(_)) = self.txs.get(&tx) {
            return;
        }
        self.release(tx, cx);
        let logged = if record { Logged::Lazily } else { Logged::Nothing };
        self.txs.insert(tx, State::Aborted(logged));
        if record {
            cx.persist(Record::Aborted { tx });
        }
    }

    fn release(&mut self, tx: TxId, cx: &mut Cx<TwoPhaseCommit>) {
        self.locks.retain(|_, holder| *holder != tx);
        match self.txs.get(&tx) {
            Some(State::Working { .. }) => cx.cancel_timer(Timer::Work(tx)),
            Some(State::Prepared { .. }) => cx.cancel_timer(Timer::Inquire(tx)),
            Some(State::ReadOnly | State::Committed | State::Aborted(_)) | None => {}
        }
    }

    /// Whether the transaction is over, and its outcome gone (G8, G9).
    fn forgotten(&self, tx: TxId) -> bool {
        self.low_water.get(&tx.coordinator).is_some_and(|mark| tx < *mark)
    }

    /// The mark rises. It never removes a PREPARE without outcome (G8).
    fn forget_below(&mut self, mark: TxId, cx: &mut Cx<TwoPhaseCommit>) {
        let known = self.low_water.entry(mark.coordinator).or_insert(mark);
        *known = mark.max(*known);
        let over = |tx: &TxId| tx.coordinator == mark.coordinator;
        let prepared = |state: &State| matches!(state, State::Prepared { .. });
        let older = self.txs.range(..mark);
        let finished = older.filter(|(tx, state)| over(tx) && !prepared(state));
        let finished: Vec<TxId> = finished.map(|(tx, _)| *tx).collect();
        for tx in finished {
            self.release(tx, cx);
            self.txs.remove(&tx);
            self.spent += 1;
        }
        if self.spent >= self.compact_after {
            cx.mark("participant compacted its log");
            cx.snapshot(self.checkpoint());
        }
    }

    /// The log that says all that must be remembered.
    fn checkpoint(&mut self) -> Vec<Record> {
        self.spent = 0;
        let (mut committed, mut aborted, mut prepared) = (Vec::new(), Vec::new(), Vec::new());
        for (tx, state) in &mut self.txs {
            match state {
                State::Committed => committed.push(*tx),
                State::Aborted(Logged::Nothing) | State::Working { .. } | State::ReadOnly => {}
                State::Aborted(logged) => {
                    *logged = Logged::Durably;
                    aborted.push(*tx);
                }
                State::Prepared { redo, .. } => prepared.push(Record::Prepared(redo.clone())),
            }
        }
        let checkpoint = Checkpoint {
            balances: self.balances.iter().map(|(key, balance)| (*key, *balance)).collect(),
            applied: self.applied.iter().copied().collect(),
            committed,
            aborted,
            low_water: self.low_water.values().copied().collect(),
        };
        let mut log = vec![Record::Checkpoint(checkpoint)];
        log.append(&mut prepared);
        log
    }

    fn in_doubt(&self) -> Vec<TxId> {
        let prepared = |state: &State| matches!(state, State::Prepared { .. });
        self.txs.iter().filter(|(_, state)| prepared(state)).map(|(tx, _)| *tx).collect()
    }

    fn locked_by(&self, tx: TxId) -> Vec<Key> {
        self.locks.iter().filter(|(_, holder)| **holder == tx).map(|(key, _)| *key).collect()
    }

    pub(super) fn view(&self) -> View {
        let mut view = View::default();
        for (&tx, state) in &self.txs {
            match state {
                State::Working { .. } => view.working.push(tx),
                State::Prepared { .. } => view.in_doubt.push(tx),
                State::Committed => view.decisions.push((tx, Outcome::Commit)),
                State::Aborted(Logged::Lazily | Logged::Durably) => {
                    view.decisions.push((tx, Outcome::Abort));
                }
                // It may only mean that a crash has made it forget a ReadOnly vote.
                State::Aborted(Logged::Nothing) | State::ReadOnly => {}
            }
        }
        view.working.extend(self.queue.txs());
        view.working.sort_unstable();
        view.locks = self.locks.iter().map(|(key, holder)| (*key, *holder)).collect();
        view
    }
}
