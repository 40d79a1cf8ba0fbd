//! Reads by ReadIndex: rules 4.6 and 4.7.

use super::*;

/// A query that waits to be served.
pub(super) struct Read<C> {
    pub(super) request: RequestId,
    query: C,
    /// Served once all up to here is applied …
    index: Index,
    /// … and a majority has answered this round or a later one.
    round: u64,
}

impl<M: Machine> Raft<M> {
    /// Upon a query at the leader.
    pub(super) fn on_query(&mut self, request: RequestId, query: M::Command, cx: &mut Cx<Self>) {
        let Role::Leader(leader) = &mut self.role else { return };
        // 4.7 The round begins after the index was taken.
        leader.round += 1;
        let round = leader.round;
        // 4.6 What was committed before this term is known only once its no-op is committed.
        let index = self.commit.max(leader.no_op);
        leader.reads.push(Read { request, query, index, round });
        self.send_to_all(cx);
        self.serve_reads(cx);
    }

    /// 4.7 Serves the queries whose round has been answered.
    pub(super) fn serve_reads(&mut self, cx: &mut Cx<Self>) {
        let Role::Leader(leader) = &mut self.role else { return };
        if leader.reads.is_empty() {
            return;
        }
        let answered = |round: u64| {
            let answerers = leader.peers.iter().filter(|(_, peer)| peer.round >= round);
            self.members.majority(answerers.map(|(server, _)| *server).chain([self.me]).collect())
        };
        let ready = |read: &Read<_>| self.commit >= read.index && answered(read.round);
        let reads = std::mem::take(&mut leader.reads).into_iter();
        let (ready, wait): (Vec<_>, Vec<_>) = reads.partition(ready);
        leader.reads = wait;
        let after_another = leader.no_op > 1;
        for Read { request, query, .. } in ready {
            if after_another {
                cx.mark("read served after a leader change");
            }
            cx.reply(request, Ret::Answer(self.state.machine.apply(&query)));
        }
    }
}
