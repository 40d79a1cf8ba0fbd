//! What judges may look at.

use super::*;

impl<M: Machine> Observe for Raft<M> {
    type Durable = Durable<M::Command>;
    type View = View;

    fn durable(log: &[Record<M>]) -> Durable<M::Command> {
        let fact = |record: &Record<M>| match record {
            Record::Term { term, voted_for } => Fact::Term { term: *term, voted_for: *voted_for },
            Record::Entry(Entry { term, payload }) => {
                Fact::Entry { term: *term, payload: payload.clone() }
            }
            Record::Truncate { from } => Fact::Truncated { from: *from },
            Record::Snapshot(Snapshot { last, members, .. }) => {
                Fact::Snapshot { last: *last, members: *members }
            }
        };
        log.iter().map(fact).collect()
    }

    fn view(&self) -> View {
        let open = match &self.role {
            Role::Leader(leader) => leader.waiting.len() + leader.reads.len(),
            Role::Follower { .. } | Role::Candidate { .. } => 0,
        };
        let term = self.log.term_at(self.commit).unwrap_or_default();
        View {
            term: self.term,
            leads: matches!(self.role, Role::Leader(_)),
            commit: Position { index: self.commit, term },
            last: self.log.last().index,
            members: self.members,
            open,
        }
    }
}
