//! The coordinator: it takes requests, asks for votes, and is the first to lead.

use super::leader::Decided;
use super::*;
use std::collections::BTreeMap;
use std::time::Duration;

/// The one that clients ask.
pub struct Coordinator {
    participants: Vec<NodeId>,
    acceptors: Vec<NodeId>,
    vote_timeout: Duration,
    next: u32,
    requests: BTreeMap<TxId, (RequestId, Op)>,
    leader: Leader,
}

impl Coordinator {
    pub(super) fn new(config: &Config, participants: &[NodeId], acceptors: &[NodeId]) -> Self {
        Self {
            participants: participants.to_vec(),
            acceptors: acceptors.to_vec(),
            vote_timeout: config.vote_timeout,
            next: 0,
            requests: BTreeMap::new(),
            leader: Leader::new(config),
        }
    }

    pub(super) fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Cx<PaxosCommit>) {
        // A copy of a request joins the transaction that runs for it; after an abort it may run.
        for (tx, _) in self.requests.iter().filter(|(_, (running, _))| *running == request) {
            match self.leader.outcome(*tx) {
                None => return,
                Some(Outcome::Commit) => return cx.reply(request, Ret::Already),
                Some(Outcome::Abort) => {}
            }
        }
        let numbers = op.participants();
        let participants: Vec<NodeId> = numbers
            .iter()
            .filter_map(|&at| self.participants.get(usize::from(at)).copied())
            .collect();
        if participants.is_empty() || participants.len() < numbers.len() {
            return cx.fail(request, "names no participant, or an unknown one");
        }

        let tx = TxId { coordinator: cx.me(), incarnation: cx.incarnation(), seq: self.next };
        self.next += 1;
        let group = Group { participants, acceptors: self.acceptors.clone() };
        for (&at, &to) in numbers.iter().zip(&group.participants) {
            cx.send(to, Msg::Prepare { tx, request, work: op.work_at(at), group: group.clone() });
        }
        self.requests.insert(tx, (request, op));
        self.leader.begin(tx, group, self.vote_timeout, cx);
    }

    pub(super) fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<PaxosCommit>) {
        if let Some((tx, decided)) = self.leader.on_message(from, msg, cx) {
            self.answer(tx, &decided, cx);
            decided.tell(tx, cx);
        }
    }

    /// 3.6 No decision in time: some votes are missing, or somebody else leads.
    pub(super) fn on_timer(&mut self, tx: TxId, cx: &mut Cx<PaxosCommit>) {
        self.leader.lead(tx, cx);
    }

    /// What the client is told, unless its request came in an earlier life.
    fn answer(&self, tx: TxId, decided: &Decided, cx: &mut Cx<PaxosCommit>) {
        let Some((request, op)) = self.requests.get(&tx) else { return };
        if decided.votes.values().any(|vote| *vote == Vote::Already) {
            cx.mark("retry found its operation applied");
            return cx.reply(*request, Ret::Already);
        }
        if decided.outcome == Outcome::Abort {
            return cx.fail(*request, "somebody has voted to abort, or not in time");
        }
        let mut seen: BTreeMap<NodeId, _> = BTreeMap::new();
        for (participant, vote) in &decided.votes {
            if let Vote::Prepared { values } = vote {
                seen.insert(*participant, values.iter());
            }
        }
        let reads = op.items.iter().filter(|item| item.action == Action::Read);
        let values = reads.filter_map(|item| {
            let balance = *seen.get_mut(&self.participants[usize::from(item.at)])?.next()?;
            Some(Reading { at: item.at, key: item.key, balance })
        });
        cx.reply(*request, Ret::Committed { values: values.collect() });
    }

    pub(super) fn view(&self) -> View {
        self.leader.view()
    }
}
