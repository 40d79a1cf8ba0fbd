//! The judge of a run that is over.

use super::{Cast, Commit, anomaly, split};
use checkers::Verdict;
use explorer::Run;
use history::{Actor, Operation, Outcome as Told};
use node::{NodeId, RequestId};
use protocols::commit::{Action, Config, Durable, Item, Key, Op, Outcome, Ret, Role, TxId, View};
use std::collections::BTreeMap;
use std::time::Duration;
use world::Case;

/// AC5: after heal everything is decided, nobody is in doubt, no lock is left.
pub fn settled<N: Commit>(run: &Run<N>) -> Verdict {
    let views: Vec<(NodeId, View)> =
        run.ids().filter_map(|node| Some((node, run.state(node)?.view()))).collect();
    if views.iter().all(|(_, view)| view.is_idle()) {
        return Verdict::Holds;
    }
    type First = fn(&View) -> Option<&TxId>;
    let waiting: [(_, First); 5] = [
        ("in doubt", |view| view.in_doubt.first()),
        ("orphan lock", |view| view.locks.first().map(|(_, tx)| tx)),
        ("work without a vote", |view| view.working.first()),
        ("commit without an end", |view| view.unacked.first()),
        ("undecided", |view| view.undecided.first()),
    ];
    let found = waiting.into_iter().find_map(|(class, first)| {
        views.iter().find_map(|(node, view)| Some((class, *node, *first(view)?)))
    });
    let Some((class, node, tx)) = found else { return Verdict::Holds };
    let who = Cast::of(&run.case.nodes).role(node);
    Verdict::violated("progress", class, format!("{tx:?} is left at {who} after heal"))
}

/// Whether clients were told the truth, and every balance is what
/// the operations in it make of the opening one.
pub fn verdicts<N: Commit>(run: &Run<N>) -> Verdict {
    let cast = Cast::of(&run.case.nodes);
    let end = End {
        operations: run.history().operations(),
        durable: cast.participants.iter().map(|node| N::durable(run.durable(*node))).collect(),
        case: run.case,
        cast,
    };
    end.told_the_truth().and_then(|| end.balanced()).and_then(|| end.no_trivial_abort(run))
}

/// AC1 at the end, over what nodes believe. To be asked first: who has split cannot settle.
pub fn agreed<N: Commit>(run: &Run<N>) -> Verdict {
    let cast = Cast::of(&run.case.nodes);
    let mut outcomes: BTreeMap<TxId, (NodeId, Outcome)> = BTreeMap::new();
    for node in run.ids() {
        let Some(state) = run.state(node) else { continue };
        for (tx, outcome) in state.view().decisions {
            let (other, known) = *outcomes.entry(tx).or_insert((node, outcome));
            if known != outcome {
                let commit = known == Outcome::Commit;
                let (yes, no) = if commit { (other, node) } else { (node, other) };
                return Verdict::Violated(split(&cast, tx, yes, no));
            }
        }
    }
    Verdict::Holds
}

/// What is left of a run.
struct End<'a> {
    case: &'a Case<Op, Config>,
    cast: Cast,
    operations: Vec<Operation<'a, Op, Ret>>,
    /// Of each participant.
    durable: Vec<Durable>,
}

impl End<'_> {
    fn request(&self, operation: &Operation<Op, Ret>) -> Option<RequestId> {
        let Actor::Client(client) = operation.actor else { return None };
        Some(RequestId { client: self.case.client_node(client), call: operation.call })
    }

    fn is_applied(&self, at: u16, request: RequestId) -> bool {
        let applied = &self.durable[usize::from(at)].applied;
        applied.binary_search_by_key(&request, |(id, _)| *id).is_ok()
    }

    fn name(&self, at: u16) -> String {
        self.cast.role(self.cast.participants[usize::from(at)])
    }

    /// An ok is durable at every writer, a fail at none, and anything else at all of them or none.
    fn told_the_truth(&self) -> Verdict {
        for operation in &self.operations {
            let Some(request) = self.request(operation) else { continue };
            let (mut there, mut missing) = (None, None);
            for item in &operation.op.items {
                if let Action::Add(_) = item.action {
                    let applied = self.is_applied(item.at, request);
                    let seen = if applied { &mut there } else { &mut missing };
                    seen.get_or_insert(item.at);
                }
            }
            let call = request.call;
            let (class, message) = match (&operation.outcome, there, missing) {
                (Told::Ok(_), _, Some(at)) => {
                    let who = self.name(at);
                    ("client verdict", format!("call {call} is ok, and not applied at {who}"))
                }
                (Told::Fail, Some(at), _) => {
                    let who = self.name(at);
                    ("client verdict", format!("call {call} failed, and is applied at {who}"))
                }
                (_, Some(at), Some(other)) => {
                    let (at, other) = (self.name(at), self.name(other));
                    ("atomicity", format!("call {call} is applied at {at}, and not at {other}"))
                }
                _ => continue,
            };
            return Verdict::Violated(anomaly(class, message));
        }
        Verdict::Holds
    }

    /// Every balance is the opening one and the changes of the operations that are in it.
    fn balanced(&self) -> Verdict {
        let mut expected: BTreeMap<(u16, Key), i64> = BTreeMap::new();
        for (at, node) in (0..).zip(&self.cast.participants) {
            if let Role::Participant { balances } = &self.case.nodes[node.index()].role {
                expected.extend(balances.iter().map(|(key, balance)| ((at, *key), *balance)));
            }
        }
        for operation in &self.operations {
            let Some(request) = self.request(operation) else { continue };
            for item in &operation.op.items {
                if let Action::Add(amount) = item.action
                    && self.is_applied(item.at, request)
                {
                    *expected.entry((item.at, item.key)).or_default() += amount;
                }
            }
        }
        for (at, durable) in (0..).zip(&self.durable) {
            for (key, balance) in &durable.balances {
                let expected = expected.get(&(at, *key)).copied().unwrap_or(0);
                if *balance != expected {
                    let who = self.name(at);
                    let message = format!("{key:?} of {who} is {balance}, expected {expected}");
                    return Verdict::violated("conservation", "lost update", message);
                }
            }
        }
        Verdict::Holds
    }

    /// AC4, of operations of a calm case that meet no other one and whose timers leave them time.
    fn no_trivial_abort<N: Commit>(&self, run: &Run<N>) -> Verdict {
        let case = self.case;
        if !case.faults.is_empty() || !case.network.fates().is_empty() {
            return Verdict::Holds;
        }
        let needed = case.network.slowest * 5 + case.sync * 10;
        let hasty = |config: &Config| config.vote_timeout.min(config.work_timeout) < needed;
        if case.nodes.iter().any(hasty) || case.clients.give_up < needed {
            return Verdict::Holds;
        }
        let at = |operation: &Operation<Op, Ret>| run.history().events[operation.invoked].at;
        for operation in &self.operations {
            let begin = at(operation);
            let before = begin.saturating_sub(QUIET.as_nanos() as u64);
            let end = begin + needed.as_nanos() as u64;
            let met = |other: &Operation<Op, Ret>| (before..end).contains(&at(other));
            let alone = self.operations.iter().filter(|other| met(other)).count() == 1;
            let committed = matches!(operation.outcome, Told::Ok(_));
            if alone && !committed && self.is_wanted(operation.op) {
                let call = operation.call;
                let message = format!("call {call} meets no obstacle, and is not committed");
                return Verdict::Violated(anomaly("AC4 trivial abort", message));
            }
        }
        Verdict::Holds
    }

    /// Whether everybody votes Yes, whatever other operations have done before.
    fn is_wanted(&self, op: &Op) -> bool {
        let spent = |item: &Item| match item.action {
            Action::Add(amount) => amount.min(0),
            Action::Read | Action::Veto => 0,
        };
        let opening = |item: &Item| {
            let node = self.cast.participants[usize::from(item.at)];
            match &self.case.nodes[node.index()].role {
                Role::Participant { balances } => {
                    balances.iter().find(|(key, _)| *key == item.key).map_or(0, |(_, sum)| *sum)
                }
                Role::Coordinator { .. } => 0,
            }
        };
        let enough = |item: &Item| {
            let all = self.case.calls.iter().flat_map(|call| &call.op.items);
            let same = all.filter(|other| (other.at, other.key) == (item.at, item.key));
            opening(item) + same.map(spent).sum::<i64>() >= 0
        };
        !op.items.is_empty()
            && op.items.iter().all(|item| item.action != Action::Veto && enough(item))
    }
}

/// After so long no lock of an earlier operation is left: longer than every timer.
const QUIET: Duration = Duration::from_secs(2);
