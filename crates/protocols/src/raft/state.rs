//! The replicated state, its sessions and snapshots: rules 4.9 and 4.10.

use super::*;

/// What all servers have alike after the same entries.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct State<M: Machine> {
    /// The machine.
    pub machine: M,
    /// The last request of each client, and its answer.
    pub sessions: BTreeMap<NodeId, Session<M::Answer>>,
}

/// What a client was told last.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Session<A> {
    /// Its request.
    pub call: u32,
    /// The answer.
    pub ret: Ret<A>,
}

/// The state up to an entry, in the place of the entries.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Snapshot<M: Machine> {
    /// The last of them.
    pub last: Position,
    /// The configuration as of that entry.
    pub members: Members,
    /// What they led to.
    pub state: State<M>,
}

impl<M: Machine> Default for State<M> {
    fn default() -> Self {
        Self { machine: M::default(), sessions: BTreeMap::new() }
    }
}

impl<M: Machine> State<M> {
    /// 4.9 Executes a command, unless it was before. Nothing is answered to a request that is
    /// older than the client's last.
    fn execute(
        &mut self,
        request: RequestId,
        command: &M::Command,
        cx: &mut Cx<Raft<M>>,
    ) -> Option<Ret<M::Answer>> {
        if let Some(session) = self.sessions.get(&request.client)
            && session.call >= request.call
        {
            let same = session.call == request.call;
            cx.mark(if same { "retry met its session" } else { "older request met a session" });
            return same.then(|| session.ret.clone());
        }
        let ret = Ret::Answer(self.machine.apply(command));
        let session = Session { call: request.call, ret: ret.clone() };
        self.sessions.insert(request.client, session);
        Some(ret)
    }
}

impl<M: Machine> Raft<M> {
    /// Applies the entries up to an index, and answers those who wait for them.
    pub(super) fn commit_up_to(&mut self, index: Index, cx: &mut Cx<Self>) {
        if index <= self.commit {
            return;
        }
        while self.commit < index {
            let Some(entry) = self.log.get(self.commit + 1) else { break };
            self.commit += 1;
            let ret = match &entry.payload {
                Payload::NoOp => None,
                Payload::Command { request, command } => self.state.execute(*request, command, cx),
                Payload::Configuration { .. } => {
                    cx.mark("membership changed");
                    Some(Ret::Changed)
                }
            };
            if let Role::Leader(leader) = &mut self.role
                && let Some(request) = leader.waiting.remove(&self.commit)
                && let Some(ret) = ret
            {
                cx.reply(request, ret);
            }
        }
        self.serve_reads(cx);
        self.leave_if_removed(cx);
    }

    /// Replaces the applied part of a log that has grown long by the state: when a leader sends
    /// its heartbeat, and when a follower hears one.
    pub(super) fn compact(&mut self, cx: &mut Cx<Self>) {
        let applied = self.commit - self.log.base().index;
        if self.config.compact_after == 0 || applied < self.config.compact_after.into() {
            return;
        }
        let Some(term) = self.log.term_at(self.commit) else { return };
        let snapshot = Snapshot {
            last: Position { index: self.commit, term },
            members: self.members_as_of(self.commit).0,
            state: self.state.clone(),
        };
        let rest = self.log.behind_index(self.commit).to_vec();
        self.replace_log(snapshot, rest, cx);
    }

    /// 4.10 Upon a leader's snapshot.
    pub(super) fn on_install(&mut self, snapshot: Snapshot<M>, cx: &mut Cx<Self>) -> Outcome {
        let last = snapshot.last;
        if last.index > self.commit {
            cx.mark("snapshot installed");
            let agrees = self.log.term_at(last.index) == Some(last.term);
            let rest = if agrees { self.log.behind_index(last.index).to_vec() } else { Vec::new() };
            self.commit = last.index;
            self.state = snapshot.state.clone();
            self.replace_log(snapshot, rest, cx);
        }
        Outcome::Matches(last.index)
    }

    /// Puts a snapshot and the entries behind it in the log's place, on disk and in memory.
    fn replace_log(
        &mut self,
        snapshot: Snapshot<M>,
        rest: Vec<Entry<M::Command>>,
        cx: &mut Cx<Self>,
    ) {
        let term = Record::Term { term: self.term, voted_for: self.voted_for };
        let entries = rest.iter().cloned().map(Record::Entry);
        let records = [Record::Snapshot(snapshot.clone()), term].into_iter().chain(entries);
        cx.snapshot(records.collect());
        self.snapshot = snapshot;
        self.log = Log::behind(self.snapshot.last, rest);
        self.find_members();
    }

    /// Begins with a snapshot, at a restart.
    pub(super) fn restore(&mut self, snapshot: Snapshot<M>) {
        self.commit = snapshot.last.index;
        self.state = snapshot.state.clone();
        self.log = Log::behind(snapshot.last, Vec::new());
        self.snapshot = snapshot;
    }
}
