//! The leader: rules 3.5 to 3.7. It is a part of the coordinator and of every acceptor.

use super::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// One that brings transactions to their end. All of it is volatile.
pub struct Leader {
    pause: Duration,
    attempts: BTreeMap<TxId, Attempt>,
    outcomes: BTreeMap<TxId, Outcome>,
}

struct Attempt {
    group: Group,
    ballot: Ballot,
    /// The highest round that it has heard of.
    highest: u32,
    phase: Phase,
}

enum Phase {
    /// 1a is out; what those have accepted who have promised.
    Promises(BTreeMap<NodeId, Vec<Accepted>>),
    /// 2a is out: of each instance the vote, and who has accepted it.
    Votes(BTreeMap<NodeId, (Vote, BTreeSet<NodeId>)>),
}

/// 3.5 All that is needed is chosen.
pub(super) struct Decided {
    pub(super) outcome: Outcome,
    pub(super) group: Group,
    pub(super) ballot: Ballot,
    /// Of each instance that has chosen, its vote.
    pub(super) votes: BTreeMap<NodeId, Vote>,
}

impl Leader {
    pub(super) fn new(config: &Config) -> Self {
        Self { pause: config.resend_interval, attempts: BTreeMap::new(), outcomes: BTreeMap::new() }
    }

    /// 3.2 The coordinator leads ballot 0, in which participants propose.
    pub(super) fn begin(
        &mut self,
        tx: TxId,
        group: Group,
        patience: Duration,
        cx: &mut Cx<PaxosCommit>,
    ) {
        let phase = Phase::Votes(BTreeMap::new());
        self.attempts.insert(tx, Attempt { group, ballot: Ballot::ZERO, highest: 0, phase });
        cx.set_timer(patience, Timer::Lead(tx));
    }

    pub(super) fn on_message(
        &mut self,
        from: NodeId,
        msg: Msg,
        cx: &mut Cx<PaxosCommit>,
    ) -> Option<(TxId, Decided)> {
        match msg {
            Msg::Phase1b { tx, ballot, accepted } => {
                self.on_promise(from, tx, ballot, accepted, cx);
            }
            Msg::Phase2b { tx, ballot, votes } => {
                return Some((tx, self.on_votes(from, tx, ballot, votes, cx)?));
            }
            Msg::Outbid { tx, promised } => {
                cx.mark("a leader was outbid");
                self.hear_of(tx, promised);
            }
            Msg::Inquiry { tx, group } => self.on_inquiry(from, tx, group, cx),
            _ => {}
        }
        None
    }

    /// 3.6 Somebody else leads, or has led: its own next ballot must be above that.
    pub(super) fn hear_of(&mut self, tx: TxId, ballot: Ballot) {
        if let Some(attempt) = self.attempts.get_mut(&tx) {
            attempt.highest = attempt.highest.max(ballot.round);
        }
    }

    /// 3.7 What it knows; pending, if it leads; or else it takes over.
    fn on_inquiry(&mut self, from: NodeId, tx: TxId, group: Group, cx: &mut Cx<PaxosCommit>) {
        if let Some(&outcome) = self.outcomes.get(&tx) {
            return cx.send(from, Msg::Decision { tx, outcome });
        }
        if self.attempts.contains_key(&tx) {
            return;
        }
        cx.mark("a new leader took over");
        let phase = Phase::Promises(BTreeMap::new());
        self.attempts.insert(tx, Attempt { group, ballot: Ballot::ZERO, highest: 0, phase });
        self.lead(tx, cx);
    }

    /// 3.6 A ballot above all that it has seen. The pauses grow, each by chance, so that of two
    /// leaders one gets its turn.
    pub(super) fn lead(&mut self, tx: TxId, cx: &mut Cx<PaxosCommit>) {
        let Some(attempt) = self.attempts.get_mut(&tx) else { return };
        let round = attempt.highest.max(attempt.ballot.round) + 1;
        attempt.ballot = Ballot { round, incarnation: cx.incarnation(), leader: cx.me() };
        attempt.phase = Phase::Promises(BTreeMap::new());
        for &to in &attempt.group.acceptors {
            cx.send(to, Msg::Phase1a { tx, ballot: attempt.ballot });
        }
        let pause = self.pause * (1 << round.min(2));
        let part = cx.dice().below(1000) as u32;
        cx.set_timer(pause + pause / 1000 * part, Timer::Lead(tx));
    }

    /// 3.6 With 1b of a majority, it knows what may have been chosen.
    fn on_promise(
        &mut self,
        from: NodeId,
        tx: TxId,
        ballot: Ballot,
        accepted: Vec<Accepted>,
        cx: &mut Cx<PaxosCommit>,
    ) {
        let Some(attempt) = self.attempts.get_mut(&tx) else { return };
        let Attempt { group, phase: Phase::Promises(promises), .. } = attempt else { return };
        if attempt.ballot != ballot {
            return;
        }
        promises.insert(from, accepted);
        if promises.len() < group.majority() {
            return;
        }
        let propose = |&participant: &NodeId| {
            let accepted = promises.values().flatten();
            let its = accepted.filter(|accepted| accepted.participant == participant);
            let vote = match its.max_by_key(|accepted| accepted.ballot) {
                Some(accepted) => accepted.vote.clone(),
                None => Vote::Aborted,
            };
            (participant, vote)
        };
        let votes: Vec<(NodeId, Vote)> = group.participants.iter().map(propose).collect();
        let all = votes.iter().all(|(_, vote)| !vote.aborts());
        cx.mark(if all { "a new leader commits" } else { "a new leader aborts" });
        for &to in &group.acceptors {
            let (votes, participants) = (votes.clone(), group.participants.clone());
            cx.send(to, Msg::Phase2a { tx, ballot, votes, participants });
        }
        attempt.phase = Phase::Votes(BTreeMap::new());
    }

    /// 3.5 Votes are a set of acceptors for each instance, in one ballot.
    fn on_votes(
        &mut self,
        from: NodeId,
        tx: TxId,
        ballot: Ballot,
        votes: Vec<(NodeId, Vote)>,
        cx: &mut Cx<PaxosCommit>,
    ) -> Option<Decided> {
        let attempt = self.attempts.get_mut(&tx)?;
        let Phase::Votes(seen) = &mut attempt.phase else { return None };
        if attempt.ballot != ballot {
            return None;
        }
        for (participant, vote) in votes {
            seen.entry(participant).or_insert_with(|| (vote, BTreeSet::new())).1.insert(from);
        }
        let majority = attempt.group.majority();
        let chosen = seen.iter().filter(|(_, (_, by))| by.len() >= majority);
        let votes: BTreeMap<NodeId, Vote> =
            chosen.map(|(participant, (vote, _))| (*participant, vote.clone())).collect();
        let outcome = if votes.values().any(Vote::aborts) {
            Outcome::Abort
        } else if votes.len() == attempt.group.participants.len() {
            Outcome::Commit
        } else {
            return None;
        };
        cx.cancel_timer(Timer::Lead(tx));
        self.outcomes.insert(tx, outcome);
        let Attempt { group, ballot, .. } = self.attempts.remove(&tx)?;
        Some(Decided { outcome, group, ballot, votes })
    }

    pub(super) fn outcome(&self, tx: TxId) -> Option<Outcome> {
        self.outcomes.get(&tx).copied()
    }

    pub(super) fn view(&self) -> View {
        View {
            undecided: self.attempts.keys().copied().collect(),
            decisions: self.outcomes.iter().map(|(tx, outcome)| (*tx, *outcome)).collect(),
            ..View::default()
        }
    }
}

impl Decided {
    /// 3.5 Decision to every participant that does not know it from its own vote.
    pub(super) fn tell(&self, tx: TxId, cx: &mut Cx<PaxosCommit>) {
        let own = |participant: &NodeId| {
            self.ballot == Ballot::ZERO && self.votes.get(participant).is_some_and(Vote::aborts)
        };
        for &to in self.group.participants.iter().filter(|participant| !own(participant)) {
            cx.send(to, Msg::Decision { tx, outcome: self.outcome });
        }
    }
}
