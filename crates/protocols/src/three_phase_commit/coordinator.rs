//! The coordinator: rules 2.2, 2.5 and 2.6.

use super::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The one that leads as long as it lives.
pub struct Coordinator {
    participants: Vec<NodeId>,
    /// 2Δ
    round_trip: Duration,
    next: u32,
    txs: BTreeMap<TxId, Transaction>,
}

struct Transaction {
    request: RequestId,
    parts: Vec<NodeId>,
    phase: Phase,
}

enum Phase {
    /// CanCommit is out; what those saw who have voted Yes.
    Voting {
        op: Op,
        votes: BTreeMap<NodeId, Vec<i64>>,
    },
    /// PreCommit is out.
    PreCommitted {
        values: Vec<Reading>,
        acks: BTreeSet<NodeId>,
    },
    /// PreCommitted before a crash: the others may have decided since.
    Recovering,
    Committed,
    Aborted,
}

impl Coordinator {
    pub(super) fn new(config: &Config, participants: &[NodeId]) -> Self {
        Self {
            participants: participants.to_vec(),
            round_trip: config.vote_timeout,
            next: 0,
            txs: BTreeMap::new(),
        }
    }

    /// 2.5 It may not decide alone what it has only pre-committed.
    pub(super) fn on_start(&mut self, log: &[Record], cx: &mut Cx<ThreePhaseCommit>) {
        for record in log {
            let (tx, request, parts, phase) = match record {
                Record::PreCommit { tx, request, parts } => (tx, request, parts, Phase::Recovering),
                Record::Commit { tx, request, parts } => (tx, request, parts, Phase::Committed),
                _ => continue,
            };
            self.txs.insert(*tx, Transaction { request: *request, parts: parts.clone(), phase });
        }
        let all: Vec<TxId> = self.txs.keys().copied().collect();
        all.into_iter().for_each(|tx| self.inquire(tx, cx));
    }

    pub(super) fn on_request(
        &mut self,
        request: RequestId,
        op: &Op,
        cx: &mut Cx<ThreePhaseCommit>,
    ) {
        // A copy of a request joins the transaction that runs for it; after an abort it may run.
        for running in self.txs.values().filter(|tx| tx.request == request) {
            match running.phase {
                Phase::Voting { .. } | Phase::PreCommitted { .. } | Phase::Recovering => return,
                Phase::Committed => return cx.reply(request, Ret::Already),
                Phase::Aborted => {}
            }
        }
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
        for (&at, &to) in numbers.iter().zip(&parts) {
            let (work, parts) = (op.work_at(at), parts.clone());
            cx.send(to, Msg::CanCommit { tx, request, work, parts });
        }
        cx.set_timer(self.round_trip, tx);
        let phase = Phase::Voting { op: op.clone(), votes: BTreeMap::new() };
        self.txs.insert(tx, Transaction { request, parts, phase });
    }

    pub(super) fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<ThreePhaseCommit>) {
        match msg {
            Msg::Vote { tx, vote } => self.on_vote(tx, from, vote, cx),
            // 2.2 All acks.
            Msg::PreAck { tx } => {
                let Some(transaction) = self.txs.get_mut(&tx) else { return };
                let Phase::PreCommitted { acks, .. } = &mut transaction.phase else { return };
                acks.insert(from);
                if acks.len() == transaction.parts.len() {
                    self.commit(tx, cx);
                }
            }
            // 2.5 What the others have decided.
            Msg::DoCommit { tx } => {
                let Some(transaction) = self.txs.get_mut(&tx) else { return };
                if let Phase::Recovering = transaction.phase {
                    let (request, parts) = (transaction.request, transaction.parts.clone());
                    cx.force(Record::Commit { tx, request, parts });
                    transaction.phase = Phase::Committed;
                    cx.cancel_timer(tx);
                }
            }
            Msg::Abort { tx } => {
                let Some(transaction) = self.txs.get_mut(&tx) else { return };
                if let Phase::Recovering = transaction.phase {
                    transaction.phase = Phase::Aborted;
                    cx.cancel_timer(tx);
                }
            }
            Msg::Inquire { tx } => match self.txs.get(&tx).map(|transaction| &transaction.phase) {
                Some(Phase::Committed) => cx.send(from, Msg::DoCommit { tx }),
                Some(Phase::Aborted) | None => cx.send(from, Msg::Abort { tx }),
                Some(Phase::Voting { .. } | Phase::PreCommitted { .. } | Phase::Recovering) => {}
            },
            Msg::CanCommit { .. }
            | Msg::PreCommit { .. }
            | Msg::AskState { .. }
            | Msg::TellState { .. } => {}
        }
    }

    pub(super) fn on_timer(&mut self, tx: TxId, cx: &mut Cx<ThreePhaseCommit>) {
        match self.txs.get(&tx).map(|transaction| &transaction.phase) {
            Some(Phase::Voting { .. }) => self.abort(tx, "not all have voted in time", cx),
            // 2.6 What is missing has crashed.
            Some(Phase::PreCommitted { .. }) => {
                cx.mark("coordinator committed without every ack");
                self.commit(tx, cx);
            }
            Some(Phase::Recovering) => self.inquire(tx, cx),
            Some(Phase::Committed | Phase::Aborted) | None => {}
        }
    }

    /// 2.2 Any No, or all Yes.
    fn on_vote(&mut self, tx: TxId, from: NodeId, vote: Vote, cx: &mut Cx<ThreePhaseCommit>) {
        let Some(transaction) = self.txs.get_mut(&tx) else { return };
        let Phase::Voting { op, votes } = &mut transaction.phase else { return };
        let values = match vote {
            Vote::Yes { values } => values,
            Vote::No => return self.abort(tx, "voted No", cx),
        };
        votes.insert(from, values);
        if votes.len() < transaction.parts.len() {
            return;
        }
        let mut seen: BTreeMap<NodeId, _> =
            votes.iter().map(|(from, values)| (*from, values.iter())).collect();
        let reads = op.items.iter().filter(|item| item.action == Action::Read);
        let values = reads.filter_map(|item| {
            let balance = *seen.get_mut(&self.participants[usize::from(item.at)])?.next()?;
            Some(Reading { at: item.at, key: item.key, balance })
        });
        let (values, acks) = (values.collect(), BTreeSet::new());
        let (request, parts) = (transaction.request, transaction.parts.clone());
        cx.force(Record::PreCommit { tx, request, parts });
        transaction.parts.iter().for_each(|to| cx.send(*to, Msg::PreCommit { tx }));
        transaction.phase = Phase::PreCommitted { values, acks };
        cx.set_timer(self.round_trip, tx);
    }

    /// 2.2 The decision point.
    fn commit(&mut self, tx: TxId, cx: &mut Cx<ThreePhaseCommit>) {
        let Some(transaction) = self.txs.get_mut(&tx) else { return };
        let Phase::PreCommitted { values, .. } = &mut transaction.phase else { return };
        let (request, values) = (transaction.request, std::mem::take(values));
        cx.force(Record::Commit { tx, request, parts: transaction.parts.clone() });
        cx.reply(request, Ret::Committed { values });
        transaction.parts.iter().for_each(|to| cx.send(*to, Msg::DoCommit { tx }));
        transaction.phase = Phase::Committed;
        cx.cancel_timer(tx);
    }

    /// 2.2 Abort, which nobody can have committed.
    fn abort(&mut self, tx: TxId, reason: &'static str, cx: &mut Cx<ThreePhaseCommit>) {
        let Some(transaction) = self.txs.get_mut(&tx) else { return };
        transaction.phase = Phase::Aborted;
        transaction.parts.iter().for_each(|to| cx.send(*to, Msg::Abort { tx }));
        cx.cancel_timer(tx);
        cx.fail(transaction.request, reason);
    }

    /// 2.5 Ask everybody how it ended, again and again.
    fn inquire(&self, tx: TxId, cx: &mut Cx<ThreePhaseCommit>) {
        let Some(transaction) = self.txs.get(&tx) else { return };
        if let Phase::Recovering = transaction.phase {
            transaction.parts.iter().for_each(|to| cx.send(*to, Msg::Inquire { tx }));
            cx.set_timer(self.round_trip, tx);
        }
    }

    pub(super) fn view(&self) -> View {
        let mut view = View::default();
        for (&tx, transaction) in &self.txs {
            match transaction.phase {
                Phase::Voting { .. } | Phase::PreCommitted { .. } | Phase::Recovering => {
                    view.undecided.push(tx);
                }
                Phase::Committed => view.decisions.push((tx, Outcome::Commit)),
                Phase::Aborted => view.decisions.push((tx, Outcome::Abort)),
            }
        }
        view
    }
}
