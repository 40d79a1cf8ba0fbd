//! Replication: rules 4.2, 4.4 and 4.5.

use super::*;

impl<M: Machine> Raft<M> {
    /// The leader appends an entry that a client waits for.
    pub(super) fn propose(
        &mut self,
        request: RequestId,
        payload: Payload<M::Command>,
        cx: &mut Cx<Self>,
    ) {
        if let Role::Leader(leader) = &mut self.role {
            leader.waiting.insert(self.log.last().index + 1, request);
            self.append(payload, cx);
        }
    }

    /// The leader appends an entry, and sends it to all.
    pub(super) fn append(&mut self, payload: Payload<M::Command>, cx: &mut Cx<Self>) {
        let entry = Entry { term: self.term, payload };
        self.log.push(entry.clone());
        self.find_members();
        // 4.2 It counts itself from now on.
        cx.force(Record::Entry(entry));
        self.send_to_all(cx);
        self.advance_commit(cx);
    }

    pub(super) fn on_heartbeat(&mut self, cx: &mut Cx<Self>) {
        if let Role::Leader(_) = self.role {
            self.compact(cx);
            self.send_to_all(cx);
            cx.set_background_timer(self.config.heartbeat, Timer::Heartbeat);
        }
    }

    pub(super) fn send_to_all(&mut self, cx: &mut Cx<Self>) {
        for server in self.others().iter() {
            self.send_entries(server, cx);
        }
    }

    /// Sends a server the entries that it has not been sent, or the snapshot before them.
    fn send_entries(&mut self, to: NodeId, cx: &mut Cx<Self>) {
        let Role::Leader(leader) = &mut self.role else { return };
        let (term, round, last) = (self.term, leader.round, self.log.last().index);
        // What was appended in this very step is sent at once, in the hope that all before it is
        // there.
        let new = Peer { next: last, matched: 0, round: 0 };
        let peer = leader.peers.entry(to).or_insert(new);
        let before = peer.next.saturating_sub(1);
        match self.log.term_at(before) {
            Some(prev_term) => {
                let entries = self.log.behind_index(before);
                let entries: Vec<_> =
                    entries.iter().take(self.config.batch.max(1) as usize).cloned().collect();
                peer.next += entries.len() as Index;
                let prev = Position { index: before, term: prev_term };
                cx.send(to, Msg::Append { term, round, prev, entries, commit: self.commit });
            }
            None => {
                peer.next = self.log.base().index + 1;
                let snapshot = self.snapshot.clone();
                cx.send(to, Msg::InstallSnapshot { term, round, snapshot });
            }
        }
    }

    /// Whether a message is from the leader of this server's term, which it enters if it is newer.
    /// An earlier leader is told the term, and no round: it may lead this one too.
    pub(super) fn follows(&mut self, from: NodeId, term: Term, cx: &mut Cx<Self>) -> bool {
        if term < self.term {
            let outcome = Outcome::Lacks(self.commit);
            cx.send(from, Msg::Appended { term: self.term, round: 0, outcome });
            return false;
        }
        self.follow(Some(from), cx);
        if term > self.term {
            self.enter(term, None, cx);
        }
        self.heard = Some(cx.now());
        self.await_election(cx);
        true
    }

    /// Upon the leader's entries.
    pub(super) fn on_append(
        &mut self,
        prev: Position,
        entries: Vec<Entry<M::Command>>,
        commit: Index,
        cx: &mut Cx<Self>,
    ) -> Outcome {
        self.compact(cx);
        // Before the beginning of the log all is committed, and so the same as the leader's.
        let in_snapshot = prev.index < self.log.base().index;
        if !in_snapshot && self.log.term_at(prev.index) != Some(prev.term) {
            return Outcome::Lacks(self.commit);
        }
        let matched = prev.index + entries.len() as Index;
        // 4.5 What it has stays, also behind the last of these entries: they may be old.
        let held = |(index, entry): &(Index, &Entry<M::Command>)| {
            *index <= self.log.base().index || self.log.term_at(*index) == Some(entry.term)
        };
        let held = (prev.index + 1..).zip(&entries).take_while(held).count();
        let new = &entries[held..];
        if let Some((last, before)) = new.split_last() {
            self.truncate(prev.index + 1 + held as Index, cx);
            // 4.2 All are on disk before the answer leaves: the force covers those before it.
            before.iter().for_each(|entry| cx.persist(Record::Entry(entry.clone())));
            cx.force(Record::Entry(last.clone()));
            new.iter().for_each(|entry| self.log.push(entry.clone()));
            self.find_members();
        }
        // It is known of no entry behind these that it is the leader's.
        self.commit_up_to(commit.min(matched), cx);
        Outcome::Matches(matched)
    }

    /// Drops entries that no majority can have held.
    fn truncate(&mut self, from: Index, cx: &mut Cx<Self>) {
        if from <= self.log.last().index {
            cx.mark("follower's log truncated");
            self.log.truncate(from);
            cx.persist(Record::Truncate { from });
        }
    }

    /// Upon a follower's answer.
    pub(super) fn on_appended(
        &mut self,
        from: NodeId,
        term: Term,
        round: u64,
        outcome: Outcome,
        cx: &mut Cx<Self>,
    ) {
        if term > self.term {
            self.follow(None, cx);
            return self.enter(term, None, cx);
        }
        let last = self.log.last().index;
        let Role::Leader(leader) = &mut self.role else { return };
        let Some(peer) = leader.peers.get_mut(&from).filter(|_| term == self.term) else { return };
        peer.round = peer.round.max(round);
        let behind = match outcome {
            Outcome::Matches(index) => {
                peer.matched = peer.matched.max(index);
                peer.next = peer.next.max(index + 1);
                peer.next <= last
            }
            Outcome::Lacks(index) => {
                peer.next = (index + 1).clamp(peer.matched + 1, last + 1);
                true
            }
        };
        if behind {
            self.send_entries(from, cx);
        }
        self.advance_commit(cx);
        self.serve_reads(cx);
    }

    /// 4.4 Commits the latest entry of the leader's own term that a majority holds.
    fn advance_commit(&mut self, cx: &mut Cx<Self>) {
        let Role::Leader(leader) = &self.role else { return };
        let held = |index: Index| {
            let holders = leader.peers.iter().filter(|(_, peer)| peer.matched >= index);
            self.members.majority(holders.map(|(server, _)| *server).chain([self.me]).collect())
        };
        let own = |index: &Index| self.log.term_at(*index) == Some(self.term);
        let uncommitted = (self.commit + 1..=self.log.last().index).rev();
        if let Some(index) = uncommitted.take_while(own).find(|index| held(*index)) {
            self.commit_up_to(index, cx);
        }
    }
}
