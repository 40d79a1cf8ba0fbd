//! Membership changes by one server: rule 4.8.

use super::*;

impl<M: Machine> Raft<M> {
    /// Upon a change of membership at the leader.
    pub(super) fn on_change(&mut self, request: RequestId, members: Members, cx: &mut Cx<Self>) {
        let Role::Leader(leader) = &self.role else { return };
        if members.is_empty() {
            return cx.fail(request, "the last server cannot be removed");
        }
        // 4.8 Two majorities that differ by one server have one in common, those that differ by
        // two need not; and the last change of an earlier leader may be unknown to a majority as
        // long as nothing of this term is committed.
        let changing = self.members_at > self.commit;
        let term_begun = self.commit >= leader.no_op;
        if changing || !term_begun {
            cx.mark("membership change put off");
            return cx.retry(request, Some(self.me));
        }
        self.propose(request, Payload::Configuration { request, members }, cx);
    }

    /// A server goes by the latest configuration in its log, committed or not.
    pub(super) fn find_members(&mut self) {
        (self.members, self.members_at) = self.members_as_of(self.log.last().index);
    }

    /// The configuration as of an entry, and the entry that brought it.
    pub(super) fn members_as_of(&self, index: Index) -> (Members, Index) {
        let base = self.log.base().index;
        let behind = (base + 1..=index).rev().find_map(|at| match self.log.get(at)?.payload {
            Payload::Configuration { members, .. } => Some((members, at)),
            Payload::NoOp | Payload::Command { .. } => None,
        });
        behind.unwrap_or((self.snapshot.members, base))
    }

    /// Thesis 4.2.2: a leader that has committed its own removal steps down.
    pub(super) fn leave_if_removed(&mut self, cx: &mut Cx<Self>) {
        let removed = !self.members.contains(self.me) && self.members_at <= self.commit;
        if removed && matches!(self.role, Role::Leader(_)) {
            cx.mark("removed leader stepped down");
            self.follow(None, cx);
        }
    }
}
