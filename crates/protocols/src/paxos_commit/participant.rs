//! The participant: rules 3.2 and 3.7.

use super::*;
use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::time::Duration;

/// New balances, and what was read.
type Executed = (Vec<(Key, i64)>, Vec<i64>);

/// One that votes.
pub struct Participant {
    me: NodeId,
    /// How long after its vote it first inquires.
    patience: Duration,
    inquiry_interval: Duration,
    balances: BTreeMap<Key, i64>,
    locks: BTreeMap<Key, TxId>,
    /// Operations that are in the balances (1.20).
    applied: BTreeSet<RequestId>,
    txs: BTreeMap<TxId, State>,
}

enum State {
    /// Voted Prepared: in doubt.
    Prepared {
        redo: Redo,
        asked: u32,
    },
    Committed,
    Aborted,
}

impl Participant {
    pub(super) fn new(me: NodeId, config: &Config, balances: &[(Key, i64)]) -> Self {
        Self {
            me,
            patience: config.work_timeout,
            inquiry_interval: config.inquiry_interval,
            balances: balances.iter().copied().collect(),
            locks: BTreeMap::new(),
            applied: BTreeSet::new(),
            txs: BTreeMap::new(),
        }
    }

    /// Locks first, then inquire.
    pub(super) fn on_start(&mut self, log: &[Record], cx: &mut Cx<PaxosCommit>) {
        if log.is_empty() {
            let balances = self.balances.iter().map(|(key, balance)| (*key, *balance)).collect();
            return cx.snapshot(vec![Record::Opened { balances }]);
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
            Record::Opened { balances } => self.balances = balances.iter().copied().collect(),
            Record::Prepared(redo) => {
                self.txs.insert(redo.tx, State::Prepared { redo: redo.clone(), asked: 0 });
            }
            Record::Committed { tx, .. } => self.apply(*tx),
            Record::Aborted { tx } => {
                self.txs.insert(*tx, State::Aborted);
            }
            Record::Promised { .. } | Record::Accepted { .. } => {}
        }
    }

    pub(super) fn on_message(&mut self, msg: Msg, cx: &mut Cx<PaxosCommit>) {
        match msg {
            Msg::Prepare { tx, request, work, group } => {
                self.on_prepare(tx, request, &work, group, cx);
            }
            Msg::Decision { tx, outcome } => self.on_decision(tx, outcome, cx),
            _ => {}
        }
    }

    /// 3.7 Still in doubt.
    pub(super) fn on_timer(&mut self, tx: TxId, cx: &mut Cx<PaxosCommit>) {
        cx.mark("in-doubt participant inquired");
        self.inquire(tx, cx);
    }

    /// 3.2 The vote, in ballot 0, which is the participant's own: it never votes twice.
    fn on_prepare(
        &mut self,
        tx: TxId,
        request: RequestId,
        work: &[(Key, Action)],
        group: Group,
        cx: &mut Cx<PaxosCommit>,
    ) {
        if self.txs.contains_key(&tx) {
            return;
        }
        let Group { participants, acceptors } = group.clone();
        let vote = match self.execute(work) {
            // 1.20
            _ if self.applied.contains(&request) => Vote::Already,
            None => Vote::Aborted,
            Some((writes, values)) => {
                let locks: Vec<Key> = work.iter().map(|(key, _)| *key).collect();
                self.locks.extend(locks.iter().map(|key| (*key, tx)));
                let redo = Redo { tx, request, group, locks, writes };
                cx.force(Record::Prepared(redo.clone()));
                self.txs.insert(tx, State::Prepared { redo, asked: 0 });
                cx.set_timer(self.patience, Timer::Inquire(tx));
                Vote::Prepared { values }
            }
        };
        if vote.aborts() {
            cx.force(Record::Aborted { tx });
            self.txs.insert(tx, State::Aborted);
        }
        for to in acceptors {
            let (votes, participants) = (vec![(self.me, vote.clone())], participants.clone());
            cx.send(to, Msg::Phase2a { tx, ballot: Ballot::ZERO, votes, participants });
        }
    }

    /// New balances and what was read; nothing if a key is locked, a balance would be negative, or
    /// somebody vetoes.
    fn execute(&self, work: &[(Key, Action)]) -> Option<Executed> {
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
                Action::Veto => return None,
            }
        }
        Some((writes.into_iter().collect(), values))
    }

    /// 3.7 The outcome, from any leader. Who has not voted yet will not.
    fn on_decision(&mut self, tx: TxId, outcome: Outcome, cx: &mut Cx<PaxosCommit>) {
        match (outcome, self.txs.get(&tx)) {
            (Outcome::Commit, Some(State::Prepared { redo, .. })) => {
                cx.force(Record::Committed { tx, request: redo.request });
                self.apply(tx);
                self.release(tx, cx);
            }
            (Outcome::Abort, Some(State::Prepared { .. }) | None) => {
                cx.persist(Record::Aborted { tx });
                self.txs.insert(tx, State::Aborted);
                self.release(tx, cx);
            }
            (_, Some(State::Committed | State::Aborted)) | (Outcome::Commit, None) => {}
        }
    }

    /// 3.7 Ask one that leads, or will: the coordinator, then the acceptors in turn.
    fn inquire(&mut self, tx: TxId, cx: &mut Cx<PaxosCommit>) {
        let Some(State::Prepared { redo, asked }) = self.txs.get_mut(&tx) else { return };
        let group = redo.group.clone();
        let leaders = iter::once(&tx.coordinator).chain(&group.acceptors);
        let to = leaders.cycle().nth(*asked as usize).copied();
        *asked += 1;
        cx.set_timer(self.inquiry_interval * (1 << (*asked).min(2)), Timer::Inquire(tx));
        to.into_iter().for_each(|to| cx.send(to, Msg::Inquiry { tx, group: group.clone() }));
    }

    fn apply(&mut self, tx: TxId) {
        if let Some(State::Prepared { redo, .. }) = self.txs.insert(tx, State::Committed) {
            self.balances.extend(redo.writes);
            self.applied.insert(redo.request);
        }
    }

    fn release(&mut self, tx: TxId, cx: &mut Cx<PaxosCommit>) {
        self.locks.retain(|_, holder| *holder != tx);
        cx.cancel_timer(Timer::Inquire(tx));
    }

    fn in_doubt(&self) -> Vec<TxId> {
        let prepared = |state: &State| matches!(state, State::Prepared { .. });
        self.txs.iter().filter(|(_, state)| prepared(state)).map(|(tx, _)| *tx).collect()
    }

    pub(super) fn view(&self) -> View {
        let mut view = View { in_doubt: self.in_doubt(), ..View::default() };
        for (&tx, state) in &self.txs {
            match state {
                State::Prepared { .. } => {}
                State::Committed => view.decisions.push((tx, Outcome::Commit)),
                State::Aborted => view.decisions.push((tx, Outcome::Abort)),
            }
        }
        view.locks = self.locks.iter().map(|(key, holder)| (*key, *holder)).collect();
        view
    }
}
