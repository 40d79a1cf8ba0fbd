//! The properties that the paper proves (its figure 3), over all servers and at every step.
//!
//! What is looked at is what is new: facts that a log has gained, and beliefs that have changed. A
//! belief about what is committed is judged once the believer's own disk reaches as far, and an
//! only member's, that it leads, once its disk has the term: until then nobody can have been told.

use checkers::Verdict;
use node::{Node, NodeId, Observe};
use protocols::replicated::{Config, Durable, Fact, Index, Members, Payload, Position, Term, View};
use std::collections::BTreeMap;
use world::Scene;

/// What has been seen so far.
pub struct Audit<C> {
    servers: Vec<Server>,
    /// Every entry that was ever on a disk, by index: its term, the term of the entry before it,
    /// and what it holds.
    entries: Vec<Vec<(Term, Term, Payload<C>)>>,
    /// What has been committed, by index: the entry's term, and the term in which it was.
    committed: Vec<(Term, Term)>,
    /// The last configuration that has been.
    members: Members,
    leaders: BTreeMap<Term, NodeId>,
}

/// What one server's disk says, and what the server believes.
#[derive(Clone, Default)]
struct Server {
    /// How many of its records have been looked at, and how often the log had been replaced then.
    seen: usize,
    rewrites: u32,
    term: Term,
    voted_for: Option<NodeId>,
    base: Position,
    /// The configuration as of the base.
    members: Members,
    /// The terms of the entries behind the base.
    terms: Vec<Term>,
    /// How many committed entries it holds.
    held: Index,
    view: View,
}

impl Server {
    fn last(&self) -> Index {
        self.base.index + self.terms.len() as Index
    }

    fn term_at(&self, index: Index) -> Option<Term> {
        match index.checked_sub(self.base.index)? {
            0 => Some(self.base.term),
            behind => self.terms.get(behind as usize - 1).copied(),
        }
    }

    fn holds(&self, at: Position) -> bool {
        at.index <= self.base.index || self.term_at(at.index) == Some(at.term)
    }
}

impl<C> Default for Audit<C> {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            entries: Vec::new(),
            committed: Vec::new(),
            members: Members::default(),
            leaders: BTreeMap::new(),
        }
    }
}

fn broken(class: &'static str, message: String) -> Verdict {
    Verdict::violated("raft", class, message)
}

impl<C: Clone + Eq> Audit<C> {
    /// Looks at what the last step has changed.
    pub fn step<N>(&mut self, scene: &dyn Scene<N>) -> Verdict
    where
        N: Node<Config = Config> + Observe<Durable = Durable<C>, View = View>,
    {
        if self.servers.is_empty() {
            self.servers.resize(scene.nodes(), Server::default());
            let first = scene.config(NodeId(0)).into_iter().flat_map(|config| &config.members);
            self.members = first.copied().collect();
        }
        let changed = scene.changed();
        if let Some(id) = changed {
            let server = &mut self.servers[id.index()];
            if server.rewrites != scene.rewrites(id) {
                let Server { term, voted_for, held, view, .. } = *server;
                let rewrites = scene.rewrites(id);
                *server = Server { rewrites, term, voted_for, held, view, ..Server::default() };
            }
            let log = scene.durable(id);
            let new = N::durable(log.get(server.seen..).unwrap_or_default());
            server.seen = log.len();
            let verdict = self.read(id, new);
            if verdict.is_violated() {
                return verdict;
            }
        }
        for id in scene.ids() {
            let Some(view) = scene.state(id).map(Observe::view) else { continue };
            if self.servers[id.index()].view != view {
                let verdict = self.hear(id, view);
                if verdict.is_violated() {
                    return verdict;
                }
            }
        }
        changed.map_or(Verdict::Holds, |id| self.keeps(id))
    }

    /// What a log has gained.
    fn read(&mut self, id: NodeId, facts: Durable<C>) -> Verdict {
        for fact in facts {
            let server = &mut self.servers[id.index()];
            let verdict = match fact {
                Fact::Term { term, voted_for } => Self::vote(id, server, term, voted_for),
                Fact::Entry { term, payload } => {
                    let before = server.terms.last().copied().unwrap_or(server.base.term);
                    server.terms.push(term);
                    let at = Position { index: server.last(), term };
                    self.matches(id, at, before, payload)
                }
                Fact::Truncated { from } => {
                    let kept = from.saturating_sub(server.base.index).saturating_sub(1);
                    server.terms.truncate(kept as usize);
                    Verdict::Holds
                }
                Fact::Snapshot { last, members } => {
                    (server.base, server.members, server.terms) = (last, members, Vec::new());
                    Verdict::Holds
                }
            };
            if verdict.is_violated() {
                return verdict;
            }
        }
        Verdict::Holds
    }

    /// A server's term never goes back, and it votes once in a term.
    fn vote(id: NodeId, server: &mut Server, term: Term, vote: Option<NodeId>) -> Verdict {
        let before = (server.term, server.voted_for);
        (server.term, server.voted_for) = (term, vote);
        if before.0 > term {
            return broken(
                "term goes back",
                format!("{id} was in term {} and now in {term}", before.0),
            );
        }
        match before.1 {
            Some(other) if before.0 == term && vote != Some(other) => broken(
                "election safety",
                format!("{id} had voted for {other} in term {term}, and now for {vote:?}"),
            ),
            _ => Verdict::Holds,
        }
    }

    /// Log matching: an entry of one position is the same everywhere, and so is the one before it.
    fn matches(&mut self, id: NodeId, at: Position, before: Term, payload: Payload<C>) -> Verdict {
        let place = at.index as usize - 1;
        if self.entries.len() <= place {
            self.entries.resize_with(place + 1, Vec::new);
        }
        let known = &mut self.entries[place];
        match known.iter().find(|(term, ..)| *term == at.term) {
            None => {
                known.push((at.term, before, payload));
                Verdict::Holds
            }
            Some((_, known, same)) if (*known, same) == (before, &payload) => Verdict::Holds,
            Some(_) => {
                broken("log matching", format!("{id} has another entry {at:?} than somebody else"))
            }
        }
    }

    /// A server believes something else than before.
    fn hear(&mut self, id: NodeId, view: View) -> Verdict {
        // The only member votes and leads within one step.
        let alone = view.members == Members::default().with(id);
        if alone && view.leads && view.term > self.servers[id.index()].term {
            return Verdict::Holds;
        }
        if view.leads {
            let verdict = self.leads(id, view.term);
            if verdict.is_violated() {
                return verdict;
            }
        }
        if view.commit.index > self.servers[id.index()].last() {
            return Verdict::Holds;
        }
        let verdict = self.commits(id, view);
        self.servers[id.index()].view = view;
        verdict
    }

    /// Election safety and leader completeness.
    fn leads(&mut self, id: NodeId, term: Term) -> Verdict {
        let known = *self.leaders.entry(term).or_insert(id);
        if known != id {
            return broken("election safety", format!("{known} and {id} both lead term {term}"));
        }
        let earlier = self.committed.iter().take_while(|(_, when)| *when < term).count();
        match earlier.checked_sub(1).map(|place| self.committed[place].0) {
            Some(of)
                if !self.servers[id.index()]
                    .holds(Position { index: earlier as Index, term: of }) =>
            {
                let message =
                    format!("{id} leads term {term} without the committed entry {earlier}@{of}");
                broken("leader completeness", message)
            }
            _ => Verdict::Holds,
        }
    }

    /// State machine safety: nobody takes another entry for committed; and what a leader takes for
    /// committed is on a majority's disks.
    fn commits(&mut self, id: NodeId, view: View) -> Verdict {
        let mut at = view.commit;
        let known = self.committed.len() as Index;
        let mut new = Vec::new();
        let mut members = None;
        while at.index > known {
            let entry = self.entries.get(at.index as usize - 1);
            let entry = entry.and_then(|same| same.iter().find(|(term, ..)| *term == at.term));
            let Some((_, before, payload)) = entry else {
                // The only member may force entries of its term and compact them within one step:
                // then its disk has them in a snapshot, and none was ever to be seen there.
                let Server { base, members: as_of_base, .. } = self.servers[id.index()];
                if at.index <= base.index {
                    members = members.or((at == base).then_some(as_of_base));
                    new.push((at.term, view.term));
                    let below = self.committed.last().map_or(0, |(term, _)| *term);
                    let term = if at.index - 1 == known { below } else { at.term };
                    at = Position { index: at.index - 1, term };
                    continue;
                }
                return broken("committed on no disk", format!("{id} takes {at:?} for committed"));
            };
            if let Payload::Configuration { members: these, .. } = payload {
                members = members.or(Some(*these));
            }
            new.push((at.term, view.term));
            at = Position { index: at.index - 1, term: *before };
        }
        if at.index > 0 && self.committed[at.index as usize - 1].0 != at.term {
            let other = self.committed[at.index as usize - 1].0;
            let message = format!("{id} takes {at:?} for committed, where others have {other}");
            return broken("state machine safety", message);
        }
        self.committed.extend(new.into_iter().rev());
        self.members = members.unwrap_or(self.members);
        // Who commits its own removal leads no more.
        let before = self.servers[id.index()].view;
        let led = view.leads || before.leads && before.term == view.term;
        if led && view.commit.index > before.commit.index {
            self.on_majority(id, view)
        } else {
            Verdict::Holds
        }
    }

    /// The leader has counted by the latest configuration in its log, or by the one before if it
    /// has begun a change since.
    fn on_majority(&self, id: NodeId, view: View) -> Verdict {
        let holders = self.holders(view.commit);
        let counted_by = [view.members, self.members];
        if counted_by.iter().any(|members| members.majority(holders)) {
            return Verdict::Holds;
        }
        let (at, members) = (view.commit, view.members);
        let message =
            format!("{id} takes {at:?} for committed, and {holders:?} of {members:?} hold it");
        broken("committed without a majority", message)
    }

    /// Who has an entry on its disk.
    fn holders(&self, at: Position) -> Members {
        let servers = (0..self.servers.len() as u16).map(NodeId);
        servers.filter(|id| self.servers[id.index()].holds(at)).collect()
    }

    /// A server's disk keeps what was committed in its term or an earlier one (in an earlier term
    /// than that it may still follow a leader who has not got it), and its snapshot holds nothing
    /// else.
    fn keeps(&mut self, id: NodeId) -> Verdict {
        let Server { base, members, term: now, .. } = self.servers[id.index()];
        // Who commits and compacts within one step may not live to say so: a sync fails.
        let unsaid = base.index > self.committed.len() as Index;
        let holders = self.holders(base);
        if unsaid && (self.members.majority(holders) || members.majority(holders)) {
            let verdict = self.commits(id, View { commit: base, term: now, ..View::default() });
            if verdict.is_violated() {
                return verdict;
            }
        }
        let committed =
            |index: Index| self.committed.get(index as usize - 1).map(|(term, _)| *term);
        let server = &mut self.servers[id.index()];
        let Position { index, term } = base;
        if index > 0 && committed(index) != Some(term) {
            let message = format!("{id} has a snapshot up to {index}@{term}");
            return broken("snapshot of what is not committed", message);
        }
        let known = self.committed.iter().take_while(|(_, when)| *when <= now).count();
        let reach = server.last().min(known as Index);
        let same = |index: &Index| server.term_at(*index) == committed(*index);
        let held = (index + 1..=reach).rev().find(same).unwrap_or(index);
        if held < server.held {
            let message = format!("{id} had the committed entry {}, and has it no more", held + 1);
            return broken("committed entry lost", message);
        }
        server.held = held;
        Verdict::Holds
    }
}
