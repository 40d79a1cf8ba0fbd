//! The judge of a run that is over.

use super::{Account, Call, Cast, Commit, Rules};
use checkers::commit::{Outcome as Stands, Told};
use checkers::conservation::Ledger;
use checkers::{Judged, Verdict};
use explorer::Run;
use history::{Actor, Operation, Outcome as Answer};
use node::{NodeId, RequestId};
use protocols::commit::{
    Action, Config, Durable, Item, Op, Outcome, Presume, Ret, Role, TxId, View,
};
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

/// AC1 at the end, over what nodes believe. To be asked first: who has split cannot settle.
pub fn agreed<N: Commit>(run: &Run<N>) -> Verdict {
    let mut rules = Rules::new(Cast::of(&run.case.nodes).parts(run.case.nodes.len()));
    let believed = run.ids().filter_map(|node| Some((node, run.state(node)?.view().decisions)));
    let mut believed = believed.flat_map(|(node, all)| all.into_iter().map(move |one| (node, one)));
    Verdict::from(believed.try_for_each(|(node, (tx, outcome))| {
        let outcome = match outcome {
            Outcome::Commit => Stands::Commit,
            Outcome::Abort => Stands::Abort,
        };
        rules.stands_for(tx, node.index(), outcome)
    }))
}

/// Whether clients were told the truth, and every balance is what
/// the operations in it make of the opening one.
pub fn verdicts<N: Commit>(run: &Run<N>) -> Verdict {
    let cast = Cast::of(&run.case.nodes);
    let end = End {
        rules: Rules::new(cast.parts(run.case.nodes.len())),
        operations: run.history().operations(),
        durable: cast.participants.iter().map(|node| N::durable(run.durable(*node))).collect(),
        views: cast.participants.iter().map(|node| Some(run.state(*node)?.view())).collect(),
        case: run.case,
        cast,
    };
    Verdict::from(end.judge(run))
}

/// What is left of a run.
struct End<'a> {
    case: &'a Case<Op, Config>,
    cast: Cast,
    rules: Rules,
    operations: Vec<Operation<'a, Op, Ret>>,
    /// Of each participant.
    durable: Vec<Durable>,
    /// The same: what it believes, unless it is down for good.
    views: Vec<Option<View>>,
}

impl End<'_> {
    fn judge<N: Commit>(&self, run: &Run<N>) -> Judged {
        self.told_the_truth()?;
        self.balanced()?;
        self.no_trivial_abort(run)
    }

    fn call(&self, operation: &Operation<Op, Ret>) -> Option<Call> {
        let Actor::Client(client) = operation.actor else { return None };
        Some(Call(RequestId { client: self.case.client_node(client), call: operation.call }))
    }

    fn is_applied(&self, at: u16, call: Call) -> bool {
        let applied = &self.durable[usize::from(at)].applied;
        applied.binary_search_by_key(&call.0, |(id, _)| *id).is_ok()
    }

    /// Whether it is applied, or will be whatever happens. Where commit is presumed, COMMIT is lazy
    /// and ABORT is not: what is prepared on record, and no longer in doubt, has committed.
    fn is_certain(&self, at: u16, call: Call) -> bool {
        let node = self.cast.participants[usize::from(at)];
        let presumed = self.case.nodes[node.index()].presume == Presume::Commit;
        let view = self.views[usize::from(at)].as_ref().filter(|_| presumed);
        let ended = |tx| {
            view.is_some_and(|view| {
                !view.in_doubt.contains(&tx) && !view.decisions.contains(&(tx, Outcome::Abort))
            })
        };
        let mut promised = self.durable[usize::from(at)].prepared.iter();
        self.is_applied(at, call)
            || promised.any(|prepared| prepared.request == call.0 && ended(prepared.tx))
    }

    /// An ok is durable at every writer, a fail at none, and anything else at all of them or none.
    /// One that is lost for good counts where it has committed: it never will any more.
    fn told_the_truth(&self) -> Judged {
        for operation in &self.operations {
            let Some(call) = self.call(operation) else { continue };
            let writes = |item: &&Item| matches!(item.action, Action::Add(_));
            let effects = operation.op.items.iter().filter(writes);
            let effects = effects.map(|item| (item.at, self.is_certain(item.at, call)));
            let lives = |at: u16| self.views[usize::from(at)].is_some();
            let effects = effects.filter(|(at, applied)| *applied || lives(*at));
            let effects = effects.map(|(at, applied)| (self.cast.party(at), applied));
            self.rules.ended(call, told(operation), effects)?;
        }
        Ok(())
    }

    /// Every balance is the opening one and the changes of the operations that are in it.
    fn balanced(&self) -> Judged {
        let mut ledger = Ledger::new(self.cast.accounts(&self.case.nodes));
        // In which order they were applied does not show here.
        ledger.floor = None;
        for operation in &self.operations {
            let Some(call) = self.call(operation) else { continue };
            for item in &operation.op.items {
                if let Action::Add(amount) = item.action
                    && self.is_applied(item.at, call)
                {
                    ledger.change(Account(item.at, item.key), amount)?;
                }
            }
        }
        for (at, durable) in (0..).zip(&self.durable) {
            for (key, balance) in &durable.balances {
                ledger.ends(&Account(at, *key), *balance)?;
            }
        }
        Ok(())
    }

    /// AC4, of operations of a calm case that meet no other one and whose timers leave them time.
    fn no_trivial_abort<N: Commit>(&self, run: &Run<N>) -> Judged {
        let case = self.case;
        if !case.faults.is_empty() || !case.network.fates().is_empty() {
            return Ok(());
        }
        let needed = case.network.slowest * 5 + case.sync * 10;
        let hasty = |config: &Config| config.vote_timeout.min(config.work_timeout) < needed;
        if case.nodes.iter().any(hasty) || case.clients.give_up < needed {
            return Ok(());
        }
        let at = |operation: &Operation<Op, Ret>| run.history().events[operation.invoked].at;
        for operation in &self.operations {
            let begin = at(operation);
            let before = begin.saturating_sub(QUIET.as_nanos() as u64);
            let end = begin + needed.as_nanos() as u64;
            let met = |other: &Operation<Op, Ret>| (before..end).contains(&at(other));
            let alone = self.operations.iter().filter(|other| met(other)).count() == 1;
            let Some(call) = self.call(operation).filter(|_| alone) else { continue };
            if self.is_wanted(operation.op) {
                self.rules.unhindered(call, told(operation))?;
            }
        }
        Ok(())
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
                Role::Coordinator { .. } | Role::Acceptor => 0,
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

fn told(operation: &Operation<Op, Ret>) -> Told {
    match operation.outcome {
        Answer::Ok(_) => Told::Ok,
        Answer::Fail => Told::Failed,
        Answer::Info => Told::Unknown,
    }
}
