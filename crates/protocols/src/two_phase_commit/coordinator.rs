//! The coordinator: rules 1.1–1.4, 1.11, and its side of the execution round.

mod presumed_commit;

use super::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The one that decides.
pub struct Coordinator {
    participants: Vec<NodeId>,
    vote_timeout: Duration,
    resend_interval: Duration,
    presume: Presume,
    compact_after: u32,
    next: u32,
    txs: BTreeMap<TxId, Transaction>,
    /// Ended transactions that are still in the log.
    spent: u32,
}

struct Transaction {
    request: RequestId,
    phase: Phase,
}

enum Phase {
    /// The execution round (1.18).
    Working { op: Op, parts: Vec<NodeId>, done: BTreeMap<NodeId, (Incarnation, Vec<i64>)> },
    /// Prepare is out. Votes are a set keyed by participant, never a count (G1).
    Voting { parts: Vec<NodeId>, values: Vec<Reading>, votes: BTreeMap<NodeId, Vote> },
    /// On record; some writers have not acked.
    Committed { writers: Vec<NodeId>, unacked: BTreeSet<NodeId> },
    /// Latched, and not on record: after a restart, or once forgotten, it is presumed.
    Aborted,
    /// Where commit is presumed: on record; some have not acked (1.16).
    Aborting { parts: Vec<NodeId>, unacked: BTreeSet<NodeId> },
}

impl Coordinator {
    pub(super) fn new(config: &Config, participants: &[NodeId]) -> Self {
        Self {
            participants: participants.to_vec(),
            vote_timeout: config.vote_timeout,
            resend_interval: config.resend_interval,
            presume: config.presume,
            compact_after: config.compact_after,
            next: 0,
            txs: BTreeMap::new(),
            spent: 0,
        }
    }

    /// 1.11 Every COMMIT without END: send Decision(C) again. Nothing else.
    pub(super) fn on_start(&mut self, log: &[Record], cx: &mut Cx<TwoPhaseCommit>) {
        if self.presume == Presume::Commit {
            return self.recover(log, cx);
        }
        for record in log {
            match record {
                Record::Commit { tx, request, writers } => {
                    let (writers, unacked) = (writers.clone(), writers.iter().copied().collect());
                    let phase = Phase::Committed { writers, unacked };
                    self.txs.insert(*tx, Transaction { request: *request, phase });
                }
                Record::End { tx } => {
                    self.txs.remove(tx);
                    self.spent += 1;
                }
                _ => {}
            }
        }
        let unfinished: Vec<TxId> = self.txs.keys().copied().collect();
        for tx in unfinished {
            cx.mark("coordinator restarted with a commit to finish");
            self.tell(tx, cx);
        }
    }

    pub(super) fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Cx<TwoPhaseCommit>) {
        // A copy of a request joins the transaction that runs for it; after an abort it may run.
        for running in self.txs.values().filter(|tx| tx.request == request) {
            match running.phase {
                Phase::Working { .. } | Phase::Voting { .. } => return,
                Phase::Committed { .. } => return cx.reply(request, Ret::Already),
                Phase::Aborted | Phase::Aborting { .. } => {}
            }
        }
        self.begin(request, op, cx);
    }

    /// The execution round of a new transaction (1.18).
    fn begin(&mut self, request: RequestId, op: Op, cx: &mut Cx<TwoPhaseCommit>) {
        let numbers = op.participants();
        let parts: Vec<NodeId> = numbers
            .iter()
            .filter_map(|&at| self.participants.get(usize::from(at)).copied())
            .collect();
        if parts.is_empty() || parts.len() < numbers.len() {
            return cx.fail(request, "names no participant, or an unknown one");
        }

        let tx = TxId { coordinator: cx.me(), incarnation: cx.incarnation(), seq: self.next };
        self.next += 1;
        let low_water = self.low_water(tx);
        self.txs.retain(|id, old| *id >= low_water || !matches!(old.phase, Phase::Aborted));
        for (&at, &to) in numbers.iter().zip(&parts) {
            cx.send(to, Msg::Work { tx, request, work: op.work_at(at), low_water });
        }
        cx.set_timer(self.vote_timeout, Timer::Vote(tx));
        let phase = Phase::Working { op, parts, done: BTreeMap::new() };
        self.txs.insert(tx, Transaction { request, phase });
    }

    pub(super) fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<TwoPhaseCommit>) {
        let tx = msg.tx();
        let (request, phase) = match self.txs.get_mut(&tx) {
            Some(transaction) => (Some(transaction.request), Some(&mut transaction.phase)),
            None => (None, None),
        };
        match (msg, phase) {
            // 1.18 The first Done of each participant counts, values and incarnation together.
            (Msg::Done { incarnation, values, .. }, Some(Phase::Working { parts, done, .. }))
                if parts.contains(&from) =>
            {
                done.entry(from).or_insert((incarnation, values));
                if done.len() == parts.len() {
                    self.prepare(tx, cx);
                }
            }
            // 1.18 Refused is handled like a No.
            (Msg::Refused { .. }, Some(Phase::Working { .. })) => {
                self.abort(tx, Some(from), "refused", cx);
            }
            // 1.20 One Already is enough: this transaction aborts, the operation has its effect.
            (Msg::Already { .. }, Some(Phase::Working { .. })) => {
                cx.mark("retry found its operation applied");
                self.latch_abort(tx, Some(from), cx);
                request.into_iter().for_each(|request| cx.reply(request, Ret::Already));
            }
            // 5.21 A wound, before anything is decided: abort, and begin again at the same age.
            (Msg::Wound { .. }, Some(Phase::Working { op, .. })) => {
                cx.mark("a wounded transaction began again");
                let op = op.clone();
                self.latch_abort(tx, None, cx);
                request.into_iter().for_each(|request| self.begin(request, op.clone(), cx));
            }
            // 1.17 No record: it has committed. Where nobody was asked to prepare, nobody asks.
            (Msg::Inquiry { .. }, None) if self.presume == Presume::Commit => {
                cx.mark("commit was presumed");
                cx.send(from, Msg::Decision { tx, outcome: Outcome::Commit });
            }
            (Msg::Inquiry { .. }, Some(Phase::Aborting { .. })) => {
                cx.send(from, Msg::Decision { tx, outcome: Outcome::Abort });
            }
            // 1.16 END after all acks, as in 1.2.
            (Msg::Ack { .. }, Some(Phase::Aborting { unacked, .. })) => {
                unacked.remove(&from);
                if unacked.is_empty() {
                    self.end(tx, cx);
                }
            }
            (Msg::Wound { .. }, Some(Phase::Aborted)) => {
                cx.send(from, Msg::Decision { tx, outcome: Outcome::Abort });
            }
            // 1.3 Any No.
            (Msg::Vote { vote: Vote::No, .. }, Some(Phase::Voting { .. })) => {
                self.abort(tx, Some(from), "voted No", cx);
            }
            // 1.2 All votes Yes or ReadOnly.
            (Msg::Vote { vote, .. }, Some(Phase::Voting { parts, votes, .. }))
                if parts.contains(&from) =>
            {
                votes.insert(from, vote);
                if votes.len() == parts.len() {
                    self.commit(tx, cx);
                }
            }
            // 1.2, G4 END only after all acks.
            (Msg::Ack { .. }, Some(Phase::Committed { unacked, .. })) => {
                unacked.remove(&from);
                if unacked.is_empty() {
                    self.end(tx, cx);
                }
            }
            // 1.4 An Inquiry: on record, pending (G3), or presumed.
            (Msg::Inquiry { .. }, Some(Phase::Committed { .. })) => {
                cx.send(from, Msg::Decision { tx, outcome: Outcome::Commit });
            }
            (Msg::Inquiry { .. }, Some(Phase::Working { .. } | Phase::Voting { .. })) => {}
            (Msg::Inquiry { .. }, Some(Phase::Aborted) | None) => {
                cx.send(from, Msg::Decision { tx, outcome: Outcome::Abort });
            }
            // G2 The decision is a latch: what comes late changes nothing.
            _ => {}
        }
    }

    pub(super) fn on_timer(&mut self, timer: Timer, cx: &mut Cx<TwoPhaseCommit>) {
        match timer {
            // 1.3 T_vote, which covers the execution round.
            Timer::Vote(tx) => {
                let phase = self.txs.get(&tx).map(|transaction| &transaction.phase);
                if let Some(Phase::Working { .. } | Phase::Voting { .. }) = phase {
                    self.abort(tx, None, "not all have voted in time", cx);
                }
            }
            // 1.2 Again and again until each one has acked.
            Timer::Resend(tx) => self.tell(tx, cx),
            Timer::Work(_) | Timer::Inquire(_) => {}
        }
    }

    /// 1.1 Every participant has done its work and holds its locks: ask for the votes.
    fn prepare(&mut self, tx: TxId, cx: &mut Cx<TwoPhaseCommit>) {
        self.collect(tx, cx);
        let Some(transaction) = self.txs.get_mut(&tx) else { return };
        let Phase::Working { op, parts, done } = &transaction.phase else { return };
        let at = |number: u16| self.participants[usize::from(number)];
        let writers: Vec<NodeId> = op.writers().into_iter().map(at).collect();
        for (&to, (incarnation, _)) in done {
            cx.send(to, Msg::Prepare { tx, writers: writers.clone(), incarnation: *incarnation });
        }

        let mut seen: BTreeMap<NodeId, _> =
            done.iter().map(|(from, (_, values))| (*from, values.iter())).collect();
        let reads = op.items.iter().filter(|item| item.action == Action::Read);
        let values = reads.filter_map(|item| {
            let balance = *seen.get_mut(&at(item.at))?.next()?;
            Some(Reading { at: item.at, key: item.key, balance })
        });
        let values = values.collect();
        let parts = parts.clone();
        transaction.phase = Phase::Voting { parts, values, votes: BTreeMap::new() };
    }

    /// 1.2 The decision point.
    fn commit(&mut self, tx: TxId, cx: &mut Cx<TwoPhaseCommit>) {
        let Some(transaction) = self.txs.get_mut(&tx) else { return };
        let Phase::Voting { parts, values, votes } = &transaction.phase else { return };
        let writers = not_read_only(parts, votes);
        let (request, values) = (transaction.request, values.clone());
        cx.cancel_timer(Timer::Vote(tx));
        if writers.is_empty() {
            cx.reply(request, Ret::Committed { values });
            return self.end_unchanged(tx, cx);
        }
        cx.force(Record::Commit { tx, request, writers: writers.clone() });
        cx.reply(request, Ret::Committed { values });
        let unacked = writers.iter().copied().collect();
        transaction.phase = Phase::Committed { writers, unacked };
        self.tell(tx, cx);
        // 1.15 No acks: what has no record has committed.
        if self.presume == Presume::Commit {
            self.forget(tx, cx);
        }
    }

    /// 1.2, 1.16 The outcome on record to everybody who has not acked it, and again later.
    fn tell(&self, tx: TxId, cx: &mut Cx<TwoPhaseCommit>) {
        let (outcome, unacked) = match self.txs.get(&tx).map(|transaction| &transaction.phase) {
            Some(Phase::Committed { unacked, .. }) => (Outcome::Commit, unacked),
            Some(Phase::Aborting { unacked, .. }) => (Outcome::Abort, unacked),
            _ => return,
        };
        for &to in unacked {
            cx.send(to, Msg::Decision { tx, outcome });
        }
        cx.set_timer(self.resend_interval, Timer::Resend(tx));
    }

    /// 1.2 Lazy END.
    fn end(&mut self, tx: TxId, cx: &mut Cx<TwoPhaseCommit>) {
        if !self.forget(tx, cx) {
            cx.persist(Record::End { tx });
        }
    }

    /// It is over. With enough of those, a log of the open ones alone: whether that was written.
    fn forget(&mut self, tx: TxId, cx: &mut Cx<TwoPhaseCommit>) -> bool {
        self.txs.remove(&tx);
        cx.cancel_timer(Timer::Resend(tx));
        self.spent += 1;
        if self.spent < self.compact_after {
            return false;
        }
        self.spent = 0;
        cx.snapshot(self.txs.iter().flat_map(|(tx, open)| self.records(*tx, open)).collect());
        true
    }

    /// What the log must say of an open transaction.
    fn records(&self, tx: TxId, transaction: &Transaction) -> Vec<Record> {
        let request = transaction.request;
        match &transaction.phase {
            Phase::Committed { writers, .. } => {
                vec![Record::Commit { tx, request, writers: writers.clone() }]
            }
            Phase::Voting { parts, .. } if self.presume == Presume::Commit => {
                vec![Record::Collecting { tx, request, parts: parts.clone() }]
            }
            Phase::Aborting { parts, .. } => {
                let parts = parts.clone();
                vec![Record::Collecting { tx, request, parts }, Record::Abort { tx }]
            }
            Phase::Working { .. } | Phase::Voting { .. } | Phase::Aborted => Vec::new(),
        }
    }

    /// 1.3 Abort, and reply fail.
    fn abort(
        &mut self,
        tx: TxId,
        knows: Option<NodeId>,
        reason: &'static str,
        cx: &mut Cx<TwoPhaseCommit>,
    ) {
        self.latch_abort(tx, knows, cx);
        if let Some(transaction) = self.txs.get(&tx) {
            cx.fail(transaction.request, reason);
        }
    }

    /// 1.3 Latch Aborted; Decision(A) to whoever has neither refused nor voted No or ReadOnly.
    fn latch_abort(&mut self, tx: TxId, knows: Option<NodeId>, cx: &mut Cx<TwoPhaseCommit>) {
        let Some(transaction) = self.txs.get_mut(&tx) else { return };
        let told: Vec<NodeId> = match &transaction.phase {
            Phase::Working { parts, .. } => parts.clone(),
            Phase::Voting { parts, votes, .. } => not_read_only(parts, votes),
            Phase::Committed { .. } | Phase::Aborted | Phase::Aborting { .. } => return,
        };
        let told = told.into_iter().filter(|to| Some(*to) != knows);
        cx.cancel_timer(Timer::Vote(tx));
        if self.presume == Presume::Commit
            && let Phase::Voting { parts, .. } = &transaction.phase
        {
            let parts = parts.clone();
            return self.abort_on_record(tx, parts, told.collect(), cx);
        }
        transaction.phase = Phase::Aborted;
        for to in told {
            cx.send(to, Msg::Decision { tx, outcome: Outcome::Abort });
        }
    }

    /// The oldest transaction that is not over; all below it are aborted, or at their END.
    fn low_water(&self, next: TxId) -> TxId {
        let open = self.txs.iter().find(|(_, old)| !matches!(old.phase, Phase::Aborted));
        open.map_or(next, |(tx, _)| *tx)
    }

    pub(super) fn view(&self) -> View {
        let mut view = View::default();
        for (&tx, transaction) in &self.txs {
            match transaction.phase {
                Phase::Working { .. } | Phase::Voting { .. } => view.undecided.push(tx),
                Phase::Committed { .. } => {
                    view.decisions.push((tx, Outcome::Commit));
                    view.unacked.push(tx);
                }
                Phase::Aborted => view.decisions.push((tx, Outcome::Abort)),
                Phase::Aborting { .. } => {
                    view.decisions.push((tx, Outcome::Abort));
                    view.unacked.push(tx);
                }
            }
        }
        view
    }
}

/// Those to whom the outcome matters.
fn not_read_only(parts: &[NodeId], votes: &BTreeMap<NodeId, Vote>) -> Vec<NodeId> {
    let waits = |part: &&NodeId| votes.get(*part) != Some(&Vote::ReadOnly);
    parts.iter().filter(waits).copied().collect()
}
