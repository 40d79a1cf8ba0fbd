//! Elections: rules 4.1 and 4.3.

use super::*;

impl<M: Machine> Raft<M> {
    /// Waits for a leader or for votes, not equally long everywhere, so that seldom two servers
    /// stand at a time.
    pub(super) fn await_election(&mut self, cx: &mut Cx<Self>) {
        let shortest = self.config.election;
        let more = u64::try_from(shortest.as_nanos()).unwrap_or(u64::MAX);
        let more = Duration::from_nanos(cx.dice().below(more));
        cx.set_background_timer(shortest.saturating_add(more), Timer::Election);
    }

    /// Nobody leads: stands for election, unless it has been removed or was never added.
    pub(super) fn on_election_timeout(&mut self, cx: &mut Cx<Self>) {
        if let Role::Leader(_) = self.role {
            return;
        }
        self.await_election(cx);
        let removed = !self.members.contains(self.me) && self.members_at <= self.commit;
        if removed {
            return self.follow(None, cx);
        }
        // 4.1 Its vote for itself is on disk before anyone hears of the term.
        self.enter(self.term + 1, Some(self.me), cx);
        self.role = Role::Candidate { votes: Members::default().with(self.me) };
        for server in self.others().iter() {
            cx.send(server, Msg::RequestVote { term: self.term, last: self.log.last() });
        }
        self.count_votes(cx);
    }

    /// Upon a candidate's request.
    pub(super) fn on_request_vote(
        &mut self,
        candidate: NodeId,
        term: Term,
        last: Position,
        cx: &mut Cx<Self>,
    ) {
        if self.hears_a_leader(cx) {
            return;
        }
        let newer = term > self.term;
        // 4.1 One vote in a term; a vote for the same candidate may be told again.
        let free = newer || self.voted_for.is_none_or(|voted| voted == candidate);
        // 4.3 A log that lacks a committed entry is older than those of a majority.
        let own = self.log.last();
        let up_to_date = (last.term, last.index) >= (own.term, own.index);
        let granted = term >= self.term && free && up_to_date;
        if newer {
            self.follow(None, cx);
        }
        // 4.1 Forced before the answer leaves.
        if granted && (newer || self.voted_for.is_none()) {
            self.enter(term, Some(candidate), cx);
        } else if newer {
            self.enter(term, None, cx);
        }
        if granted {
            self.await_election(cx);
        } else if free && !up_to_date {
            cx.mark("vote refused to an older log");
        }
        cx.send(candidate, Msg::Vote { term: self.term, granted });
    }

    /// Upon a vote.
    pub(super) fn on_vote(&mut self, from: NodeId, term: Term, granted: bool, cx: &mut Cx<Self>) {
        if term > self.term {
            self.follow(None, cx);
            self.enter(term, None, cx);
        } else if let Role::Candidate { votes } = &mut self.role
            && term == self.term
            && granted
        {
            *votes = votes.with(from);
            self.count_votes(cx);
        }
    }

    fn count_votes(&mut self, cx: &mut Cx<Self>) {
        if let Role::Candidate { votes } = self.role
            && self.members.majority(votes)
        {
            self.lead(cx);
        }
    }

    /// Leads its term, and begins it with a no-op (4.6).
    fn lead(&mut self, cx: &mut Cx<Self>) {
        if self.log.last().term > 0 {
            cx.mark("leader changed");
        }
        cx.cancel_timer(Timer::Election);
        self.role = Role::Leader(Leader {
            no_op: self.log.last().index + 1,
            peers: BTreeMap::new(),
            waiting: BTreeMap::new(),
            round: 0,
            reads: Vec::new(),
        });
        self.append(Payload::NoOp, cx);
        cx.set_background_timer(self.config.heartbeat, Timer::Heartbeat);
    }

    /// 4.1 The term and the vote in it are on disk before anything else leaves the server.
    pub(super) fn enter(&mut self, term: Term, voted_for: Option<NodeId>, cx: &mut Cx<Self>) {
        (self.term, self.voted_for) = (term, voted_for);
        cx.force(Record::Term { term, voted_for });
    }

    /// Thesis 4.2.3: a leader, or who heard from one within the shortest election timeout.
    fn hears_a_leader(&self, cx: &mut Cx<Self>) -> bool {
        let now = cx.now();
        let recently = |heard: Duration| now < heard.saturating_add(self.config.election);
        matches!(self.role, Role::Leader(_)) || self.heard.is_some_and(recently)
    }
}
