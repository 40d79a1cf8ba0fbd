//! The acceptor: rules 3.3 and 3.4.

use super::*;
use std::collections::BTreeMap;

/// One of those that agree on votes.
pub struct Acceptor {
    txs: BTreeMap<TxId, Instances>,
    leader: Leader,
}

/// All instances of one transaction.
#[derive(Default)]
struct Instances {
    promised: Ballot,
    accepted: BTreeMap<NodeId, (Ballot, Vote)>,
}

impl Acceptor {
    pub(super) fn new(config: &Config) -> Self {
        Self { txs: BTreeMap::new(), leader: Leader::new(config) }
    }

    pub(super) fn on_start(&mut self, log: &[Record]) {
        for record in log {
            match record {
                Record::Promised { tx, ballot } => {
                    self.txs.entry(*tx).or_default().promised = *ballot;
                }
                Record::Accepted { tx, ballot, votes } => {
                    self.txs.entry(*tx).or_default().accept(*ballot, votes);
                }
                _ => {}
            }
        }
    }

    pub(super) fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<PaxosCommit>) {
        match msg {
            Msg::Phase1a { tx, ballot } => self.on_phase_1a(from, tx, ballot, cx),
            Msg::Phase2a { tx, ballot, votes, participants } => {
                self.on_phase_2a(from, tx, ballot, votes, &participants, cx);
            }
            msg => {
                if let Some((tx, decided)) = self.leader.on_message(from, msg, cx) {
                    decided.tell(tx, cx);
                }
            }
        }
    }

    /// 3.6 It leads, and there is no decision yet.
    pub(super) fn on_timer(&mut self, tx: TxId, cx: &mut Cx<PaxosCommit>) {
        self.leader.lead(tx, cx);
    }

    /// 3.4 Force the promise, then 1b.
    fn on_phase_1a(&mut self, from: NodeId, tx: TxId, ballot: Ballot, cx: &mut Cx<PaxosCommit>) {
        let instances = self.txs.entry(tx).or_default();
        if ballot < instances.promised {
            return cx.send(from, Msg::Outbid { tx, promised: instances.promised });
        }
        if ballot > instances.promised {
            instances.promised = ballot;
            cx.force(Record::Promised { tx, ballot });
            self.leader.hear_of(tx, ballot);
        }
        let accepted = instances.accepted.iter().map(|(participant, (ballot, vote))| Accepted {
            participant: *participant,
            ballot: *ballot,
            vote: vote.clone(),
        });
        cx.send(from, Msg::Phase1b { tx, ballot, accepted: accepted.collect() });
    }

    /// 3.3 Force the votes, then 2b.
    fn on_phase_2a(
        &mut self,
        from: NodeId,
        tx: TxId,
        ballot: Ballot,
        mut votes: Vec<(NodeId, Vote)>,
        participants: &[NodeId],
        cx: &mut Cx<PaxosCommit>,
    ) {
        let instances = self.txs.entry(tx).or_default();
        if ballot < instances.promised {
            if ballot != Ballot::ZERO {
                cx.send(from, Msg::Outbid { tx, promised: instances.promised });
            }
            return;
        }
        // One vote of a participant per ballot. A copy has been answered, or waits for the others.
        votes.retain(|(participant, _)| {
            instances.accepted.get(participant).is_none_or(|(before, _)| *before != ballot)
        });
        if votes.is_empty() {
            return;
        }
        let abort = votes.iter().any(|(_, vote)| vote.aborts());
        instances.accept(ballot, &votes);
        let all = instances.votes(ballot);
        let complete = all.len() == participants.len();
        if abort || complete && !all.iter().any(|(_, vote)| vote.aborts()) {
            cx.force(Record::Accepted { tx, ballot, votes });
            let leader = if ballot == Ballot::ZERO { tx.coordinator } else { ballot.leader };
            cx.send(leader, Msg::Phase2b { tx, ballot, votes: all });
        } else {
            cx.persist(Record::Accepted { tx, ballot, votes });
        }
    }

    pub(super) fn view(&self) -> View {
        self.leader.view()
    }
}

impl Instances {
    fn accept(&mut self, ballot: Ballot, votes: &[(NodeId, Vote)]) {
        self.promised = ballot;
        let votes = votes.iter().map(|(participant, vote)| (*participant, (ballot, vote.clone())));
        self.accepted.extend(votes);
    }

    /// All that it has accepted in a ballot.
    fn votes(&self, ballot: Ballot) -> Vec<(NodeId, Vote)> {
        let of_it = self.accepted.iter().filter(|(_, (accepted, _))| *accepted == ballot);
        of_it.map(|(participant, (_, vote))| (*participant, vote.clone())).collect()
    }
}

impl Default for Ballot {
    fn default() -> Self {
        Self::ZERO
    }
}
