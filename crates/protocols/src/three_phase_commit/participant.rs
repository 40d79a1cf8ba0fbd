//! The participant: rules 2.2, 2.4 and 2.5.

use super::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// New balances, and what was read.
type Executed = (Vec<(Key, i64)>, Vec<i64>);

/// One that votes.
pub struct Participant {
    me: NodeId,
    /// Δ
    bound: Duration,
    balances: BTreeMap<Key, i64>,
    locks: BTreeMap<Key, TxId>,
    txs: BTreeMap<TxId, Transaction>,
}

enum Transaction {
    Open(Open),
    Committed,
    Aborted,
}

/// Voted Yes, and not told how it ended.
struct Open {
    redo: Redo,
    /// `pc`, and no longer `w`.
    pre_committed: bool,
    /// Its own questions so far.
    round: u32,
    part: Part,
}

/// What it does about an open transaction.
enum Part {
    /// Somebody leads.
    Follows,
    /// It has asked the others, and these are their states.
    Asks(BTreeSet<State>),
    /// It has sent PreCommit to the others, and will commit.
    Commits,
    /// It was down in between.
    Recovers,
}

impl Participant {
    pub(super) fn new(me: NodeId, config: &Config, balances: &[(Key, i64)]) -> Self {
        Self {
            me,
            bound: config.vote_timeout / 2,
            balances: balances.iter().copied().collect(),
            locks: BTreeMap::new(),
            txs: BTreeMap::new(),
        }
    }

    /// 2.5 Locks first; then it asks, and does not decide.
    pub(super) fn on_start(&mut self, log: &[Record], cx: &mut Cx<ThreePhaseCommit>) {
        if log.is_empty() {
            let balances = self.balances.iter().map(|(key, balance)| (*key, *balance)).collect();
            return cx.snapshot(vec![Record::Opened { balances }]);
        }
        log.iter().for_each(|record| self.replay(record));
        let open = self.open();
        for tx in &open {
            if let Some(Transaction::Open(open)) = self.txs.get(tx) {
                self.locks.extend(open.redo.locks.iter().map(|key| (*key, *tx)));
            }
        }
        open.into_iter().for_each(|tx| self.inquire(tx, cx));
    }

    fn replay(&mut self, record: &Record) {
        match record {
            Record::Opened { balances } => self.balances = balances.iter().copied().collect(),
            Record::Voted(redo) => {
                let part = Part::Recovers;
                let open = Open { redo: redo.clone(), pre_committed: false, round: 0, part };
                self.txs.insert(redo.tx, Transaction::Open(open));
            }
            Record::PreCommitted { tx } => {
                if let Some(Transaction::Open(open)) = self.txs.get_mut(tx) {
                    open.pre_committed = true;
                }
            }
            Record::Committed { tx, .. } => self.apply(*tx),
            Record::Aborted { tx } => {
                self.txs.insert(*tx, Transaction::Aborted);
            }
            Record::PreCommit { .. } | Record::Commit { .. } => {}
        }
    }

    pub(super) fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<ThreePhaseCommit>) {
        match msg {
            Msg::CanCommit { tx, request, work, parts } => {
                self.on_can_commit(tx, request, &work, parts, cx);
            }
            Msg::PreCommit { tx } => self.on_pre_commit(tx, from, cx),
            Msg::DoCommit { tx } => self.commit(tx, cx),
            Msg::Abort { tx } => self.abort(tx, cx),
            Msg::AskState { tx, round } => self.on_ask_state(tx, from, round, cx),
            Msg::TellState { tx, round, state } => {
                if let Some(Transaction::Open(open)) = self.txs.get_mut(&tx)
                    && let Part::Asks(seen) = &mut open.part
                    && open.round == round
                {
                    seen.insert(state);
                }
            }
            Msg::Inquire { tx } => match self.state(tx, cx) {
                State::Committed => cx.send(from, Msg::DoCommit { tx }),
                State::Aborted => cx.send(from, Msg::Abort { tx }),
                State::Waiting | State::PreCommitted => {}
            },
            Msg::Vote { .. } | Msg::PreAck { .. } => {}
        }
    }

    pub(super) fn on_timer(&mut self, tx: TxId, cx: &mut Cx<ThreePhaseCommit>) {
        let Some(Transaction::Open(open)) = self.txs.get(&tx) else { return };
        match &open.part {
            Part::Follows => self.ask(tx, cx),
            Part::Asks(_) => self.terminate(tx, cx),
            Part::Commits => self.end(tx, Outcome::Commit, cx),
            Part::Recovers => self.inquire(tx, cx),
        }
    }

    /// 2.2 The vote. A copy has been answered; one that comes after the outcome is not wanted.
    fn on_can_commit(
        &mut self,
        tx: TxId,
        request: RequestId,
        work: &[(Key, Action)],
        parts: Vec<NodeId>,
        cx: &mut Cx<ThreePhaseCommit>,
    ) {
        if self.txs.contains_key(&tx) {
            return;
        }
        let Some((writes, values)) = self.execute(work) else {
            self.abort(tx, cx);
            return cx.send(tx.coordinator, Msg::Vote { tx, vote: Vote::No });
        };
        let locks: Vec<Key> = work.iter().map(|(key, _)| *key).collect();
        self.locks.extend(locks.iter().map(|key| (*key, tx)));
        let redo = Redo { tx, request, parts, locks, writes };
        cx.force(Record::Voted(redo.clone()));
        let open = Open { redo, pre_committed: false, round: 0, part: Part::Follows };
        self.txs.insert(tx, Transaction::Open(open));
        cx.send(tx.coordinator, Msg::Vote { tx, vote: Vote::Yes { values } });
        cx.set_timer(self.bound * 5, tx);
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

    /// 2.2 All have voted Yes, says whoever leads.
    fn on_pre_commit(&mut self, tx: TxId, from: NodeId, cx: &mut Cx<ThreePhaseCommit>) {
        let Some(Transaction::Open(open)) = self.txs.get_mut(&tx) else { return };
        // 2.5
        if let Part::Recovers = open.part {
            return;
        }
        open.part = Part::Follows;
        open.pre_commit(cx);
        cx.send(from, Msg::PreAck { tx });
        cx.set_timer(self.bound * 5, tx);
    }

    /// 2.4 The question of one that wants to decide for all.
    fn on_ask_state(&mut self, tx: TxId, from: NodeId, round: u32, cx: &mut Cx<ThreePhaseCommit>) {
        if let Some(Transaction::Open(open)) = self.txs.get_mut(&tx) {
            match open.part {
                // 2.5 For the others it is still down.
                Part::Recovers => return,
                // The first in the list is elected: its question is on its way to `from`.
                Part::Asks(_) | Part::Commits if self.me < from => return,
                Part::Asks(_) => cx.mark("survivor gave way to one before it"),
                Part::Follows | Part::Commits => {}
            }
            open.part = Part::Follows;
            cx.set_timer(self.bound * 5, tx);
        }
        let state = self.state(tx, cx);
        cx.send(from, Msg::TellState { tx, round, state });
    }

    /// How far it is. Who has not voted aborts before it says so.
    fn state(&mut self, tx: TxId, cx: &mut Cx<ThreePhaseCommit>) -> State {
        match self.txs.get(&tx) {
            Some(Transaction::Open(open)) if open.pre_committed => State::PreCommitted,
            Some(Transaction::Open(_)) => State::Waiting,
            Some(Transaction::Committed) => State::Committed,
            Some(Transaction::Aborted) => State::Aborted,
            None => {
                self.abort(tx, cx);
                State::Aborted
            }
        }
    }

    /// 2.4 Nobody leads: ask the others how far they are.
    fn ask(&mut self, tx: TxId, cx: &mut Cx<ThreePhaseCommit>) {
        let Some(Transaction::Open(open)) = self.txs.get_mut(&tx) else { return };
        open.round += 1;
        open.part = Part::Asks(BTreeSet::new());
        let round = open.round;
        self.tell(tx, &Msg::AskState { tx, round }, cx);
        cx.set_timer(self.bound * 3, tx);
    }

    /// 2.4 Who has not answered is down; decide for the rest.
    fn terminate(&mut self, tx: TxId, cx: &mut Cx<ThreePhaseCommit>) {
        let Some(Transaction::Open(open)) = self.txs.get_mut(&tx) else { return };
        let Part::Asks(seen) = &open.part else { return };
        if seen.contains(&State::Committed) {
            cx.mark("survivor learned of a commit");
            self.end(tx, Outcome::Commit, cx);
        } else if seen.contains(&State::Aborted) {
            cx.mark("survivor learned of an abort");
            self.end(tx, Outcome::Abort, cx);
        } else if open.pre_committed || seen.contains(&State::PreCommitted) {
            cx.mark("survivors committed, for one had pre-committed");
            if !open.pre_committed || seen.contains(&State::Waiting) {
                cx.mark("survivor brought others to pre-commit");
            }
            open.part = Part::Commits;
            open.pre_commit(cx);
            self.tell(tx, &Msg::PreCommit { tx }, cx);
            cx.set_timer(self.bound * 2, tx);
        } else {
            cx.mark("survivors aborted, for none had pre-committed");
            self.end(tx, Outcome::Abort, cx);
        }
    }

    /// 2.4 What this survivor has decided, for all.
    fn end(&mut self, tx: TxId, outcome: Outcome, cx: &mut Cx<ThreePhaseCommit>) {
        let Some(Transaction::Open(open)) = self.txs.get(&tx) else { return };
        let parts = open.redo.parts.clone();
        let msg = match outcome {
            Outcome::Commit => {
                self.commit(tx, cx);
                Msg::DoCommit { tx }
            }
            Outcome::Abort => {
                self.abort(tx, cx);
                Msg::Abort { tx }
            }
        };
        for to in parts.into_iter().filter(|part| *part != self.me) {
            cx.send(to, msg.clone());
        }
    }

    /// To all other participants of an open transaction.
    fn tell(&self, tx: TxId, msg: &Msg, cx: &mut Cx<ThreePhaseCommit>) {
        let Some(Transaction::Open(open)) = self.txs.get(&tx) else { return };
        for &to in open.redo.parts.iter().filter(|part| **part != self.me) {
            cx.send(to, msg.clone());
        }
    }

    /// 2.5 Ask everybody how it ended, again and again.
    fn inquire(&self, tx: TxId, cx: &mut Cx<ThreePhaseCommit>) {
        cx.send(tx.coordinator, Msg::Inquire { tx });
        self.tell(tx, &Msg::Inquire { tx }, cx);
        cx.set_timer(self.bound * 2, tx);
    }

    /// 2.2 The outcome, which changes nothing where it is known.
    fn commit(&mut self, tx: TxId, cx: &mut Cx<ThreePhaseCommit>) {
        let Some(Transaction::Open(open)) = self.txs.get(&tx) else { return };
        let request = open.redo.request;
        cx.force(Record::Committed { tx, request });
        self.apply(tx);
        self.release(tx, cx);
    }

    /// The same. Who has not voted yet will not.
    fn abort(&mut self, tx: TxId, cx: &mut Cx<ThreePhaseCommit>) {
        if let Some(Transaction::Committed | Transaction::Aborted) = self.txs.get(&tx) {
            return;
        }
        cx.force(Record::Aborted { tx });
        self.txs.insert(tx, Transaction::Aborted);
        self.release(tx, cx);
    }

    fn apply(&mut self, tx: TxId) {
        if let Some(Transaction::Open(open)) = self.txs.insert(tx, Transaction::Committed) {
            self.balances.extend(open.redo.writes);
        }
    }

    fn release(&mut self, tx: TxId, cx: &mut Cx<ThreePhaseCommit>) {
        self.locks.retain(|_, holder| *holder != tx);
        cx.cancel_timer(tx);
    }

    fn open(&self) -> Vec<TxId> {
        let open = |state: &Transaction| matches!(state, Transaction::Open(_));
        self.txs.iter().filter(|(_, state)| open(state)).map(|(tx, _)| *tx).collect()
    }

    pub(super) fn view(&self) -> View {
        let mut view = View { in_doubt: self.open(), ..View::default() };
        for (&tx, state) in &self.txs {
            match state {
                Transaction::Open(_) => {}
                Transaction::Committed => view.decisions.push((tx, Outcome::Commit)),
                Transaction::Aborted => view.decisions.push((tx, Outcome::Abort)),
            }
        }
        view.locks = self.locks.iter().map(|(key, holder)| (*key, *holder)).collect();
        view
    }
}

impl Open {
    /// From `w` to `pc`.
    fn pre_commit(&mut self, cx: &mut Cx<ThreePhaseCommit>) {
        if !self.pre_committed {
            cx.force(Record::PreCommitted { tx: self.redo.tx });
            self.pre_committed = true;
        }
    }
}
