//! What every atomic commitment owes: the judge that its scenarios share.
//!
//! While a run goes on, [`Judge`] looks at what becomes durable, at what nodes believe where that
//! decides something, and at what clients are told. AC1 agreement, AC2 validity, AC3 stability;
//! each operation applied at most once at each participant; no balance below 0; nothing applied of
//! an operation whose client was told that it never is. Each is judged at the step that breaks it,
//! because a later repair can make the end states agree.
//!
//! At the end, [`settled`] is AC5 and [`verdicts`] compares what clients were told with what is
//! durable, and every balance with the operations that are in it; AC4 is asked of calm cases.

use checkers::Verdict;
use explorer::Run;
use history::{Actor, Outcome as Told, What};
use node::{Dice, Node, NodeId, Observe, RequestId};
use protocols::commit::{Action, Config, Durable, Key, Op, Outcome, Ret, Role, TxId, View};
use std::collections::BTreeMap;
use std::time::Duration;
use world::{Case, FaultKind, Faults, World};

/// A commit protocol, right or not.
pub trait Commit:
    Node<Op = Op, Ret = Ret, Config = Config> + Observe<Durable = Durable, View = View>
{
}

impl<N> Commit for N where
    N: Node<Op = Op, Ret = Ret, Config = Config> + Observe<Durable = Durable, View = View>
{
}

/// Faults that a commit protocol survives: nobody reads a wall clock, and no node may be lost.
pub const FAULTS: Faults = Faults::ALL.without(Faults::of(&[
    FaultKind::WallOffset,
    FaultKind::WallDrift,
    FaultKind::WallJump,
    FaultKind::Retire,
]));

/// What a campaign with a right protocol must have reached.
pub const MARKS: &[&str] = &[
    "coordinator restarted with a commit to finish",
    "in-doubt participant inquired",
    "in-doubt participant restarted",
    "participant compacted its log",
    "peer ended a doubt",
    "retry found its operation applied",
];

/// Timers that stand in no fixed ratio to each other: bugs hide behind ratios.
pub fn timing(dice: &mut Dice) -> Config {
    let mut time = || Duration::from_millis(20 + dice.below(381));
    Config {
        vote_timeout: time(),
        work_timeout: time(),
        inquiry_interval: time(),
        resend_interval: time(),
        ask_peers: dice.below(4) != 0,
        compact_after: [1, 2, 5, 1000][dice.below(4) as usize],
        ..Config::default()
    }
}

/// Coordinators first, then participants with these accounts each.
pub fn cluster(
    coordinators: u16,
    participants: u16,
    balances: &[(Key, i64)],
    timing: &Config,
) -> Vec<Config> {
    let nodes = (coordinators..coordinators + participants).map(NodeId).collect();
    let coordinator = Role::Coordinator { participants: nodes };
    let participant = Role::Participant { balances: balances.to_vec() };
    let roles = std::iter::repeat_n(coordinator, coordinators.into())
        .chain(std::iter::repeat_n(participant, participants.into()));
    roles.map(|role| Config { role, ..timing.clone() }).collect()
}

/// Who plays which part.
#[derive(Clone, Debug, Default)]
pub struct Cast {
    /// Those that take requests.
    pub coordinators: Vec<NodeId>,
    /// Those that vote, in the order in which operations number them.
    pub participants: Vec<NodeId>,
}

impl Cast {
    /// Reads it from the nodes' configurations.
    pub fn of<'a>(nodes: impl IntoIterator<Item = &'a Config>) -> Self {
        let mut cast = Self::default();
        for (id, config) in (0..).map(NodeId).zip(nodes) {
            if let Role::Coordinator { participants } = &config.role {
                cast.coordinators.push(id);
                cast.participants.clone_from(participants);
            }
        }
        cast
    }

    /// The name in stories.
    pub fn role(&self, node: NodeId) -> String {
        let place = |list: &[NodeId]| list.iter().position(|other| *other == node);
        match (place(&self.coordinators), place(&self.participants)) {
            (Some(_), _) if self.coordinators.len() == 1 => "coordinator".to_owned(),
            (Some(place), _) => format!("c{}", place + 1),
            (_, Some(place)) => format!("p{}", place + 1),
            _ => node.to_string(),
        }
    }

    /// The participant's number in operations.
    fn number(&self, node: NodeId) -> Option<u16> {
        self.participants.iter().position(|other| *other == node).map(|place| place as u16)
    }
}

/// The cluster without one node, as long as this many coordinators and participants are left.
pub fn without_node(nodes: &[Config], node: NodeId, least: (usize, usize)) -> Option<Vec<Config>> {
    let cast = Cast::of(nodes);
    let coordinator = cast.coordinators.contains(&node);
    let (coordinators, participants) = (cast.coordinators.len(), cast.participants.len());
    let enough = match coordinator {
        true => coordinators > least.0,
        false => participants > least.1 && cast.participants.contains(&node),
    };
    if !enough {
        return None;
    }
    let moved = |other: NodeId| if other > node { NodeId(other.0 - 1) } else { other };
    let rest = cast.participants.iter().filter(|other| **other != node);
    let rest: Vec<NodeId> = rest.map(|other| moved(*other)).collect();
    let mut nodes = nodes.to_vec();
    nodes.remove(node.index());
    for config in &mut nodes {
        if let Role::Coordinator { participants } = &mut config.role {
            participants.clone_from(&rest);
        }
    }
    Some(nodes)
}

/// Whether every call goes to a coordinator and names participants that exist.
pub fn is_addressed(case: &Case<Op, Config>) -> bool {
    let cast = Cast::of(&case.nodes);
    case.calls.iter().all(|call| {
        let exists = |at| usize::from(at) < cast.participants.len();
        cast.coordinators.contains(&call.to) && call.op.items.iter().all(|item| exists(item.at))
    })
}

/// Nodes as bits.
type Set = u64;

fn bit(node: NodeId) -> Set {
    1 << node.0
}

fn first(set: Set) -> NodeId {
    NodeId(set.trailing_zeros() as u16)
}

/// What was ever seen of a transaction. Nodes may forget; this does not.
#[derive(Clone, Copy, Default)]
struct Tx {
    request: Option<RequestId>,
    /// COMMIT is on its coordinator's record.
    decided: bool,
    prepared: Set,
    committed: Set,
    aborted: Set,
}

/// What was ever seen of an operation.
struct Asked {
    request: RequestId,
    op: Op,
    /// Where it is applied.
    applied: Set,
    /// Its client was told that it never takes effect.
    failed: bool,
}

/// Judges one run, step by step.
#[derive(Default)]
pub struct Judge {
    cast: Cast,
    /// For each node, the rewrites and records of its log that have been looked at.
    seen: Vec<(u32, usize)>,
    /// Events of the history that have been looked at.
    told: usize,
    asked: Vec<Asked>,
    txs: BTreeMap<TxId, Tx>,
    balances: BTreeMap<(NodeId, Key), i64>,
}

impl Judge {
    /// To be asked after every step.
    pub fn step<N: Commit>(&mut self, world: &World<N>) -> Verdict {
        if self.seen.is_empty() {
            self.begin(world);
        }
        let mut verdict = Verdict::Holds;
        if world.history().events.len() > self.told {
            verdict = self.listen(world);
        }
        match world.changed() {
            Some(node) => verdict.and_then(|| self.look(world, node)),
            None => verdict,
        }
    }

    fn begin<N: Commit>(&mut self, world: &World<N>) {
        self.cast = Cast::of(world.ids().filter_map(|id| world.config(id)));
        self.seen = vec![(0, 0); world.nodes()];
        for node in world.ids() {
            if let Some(Role::Participant { balances }) = world.config(node).map(|c| &c.role) {
                self.balances.extend(balances.iter().map(|(key, sum)| ((node, *key), *sum)));
            }
        }
    }

    /// What clients ask and are told.
    fn listen<N: Commit>(&mut self, world: &World<N>) -> Verdict {
        for event in &world.history().events[self.told..] {
            let Actor::Client(client) = event.actor else { continue };
            let client = NodeId(world.nodes() as u16 + client);
            let request = RequestId { client, call: event.call };
            match &event.what {
                What::Invoke(op) => {
                    let op = op.clone();
                    self.asked.push(Asked { request, op, applied: 0, failed: false });
                }
                What::Fail(_) => {
                    let Some(asked) = self.asked.iter_mut().find(|a| a.request == request) else {
                        continue;
                    };
                    asked.failed = true;
                    let applied = asked.applied;
                    if applied != 0 {
                        return self.failed_and_applied(request, first(applied));
                    }
                }
                What::Ok(_) | What::Info => {}
            }
        }
        self.told = world.history().events.len();
        Verdict::Holds
    }

    /// A node's durable log has changed: it has grown, or a snapshot has replaced it.
    fn look<N: Commit>(&mut self, world: &World<N>, node: NodeId) -> Verdict {
        let log = world.durable(node);
        let (rewrites, records) = self.seen[node.index()];
        let whole = rewrites != world.rewrites(node);
        let from = if whole { 0 } else { records };
        if from == log.len() && !whole {
            return Verdict::Holds;
        }
        self.seen[node.index()] = (world.rewrites(node), log.len());
        // Of a part of the log, `durable` tells what that part says; balances need all of it.
        let durable = N::durable(&log[from..]);
        for prepared in &durable.prepared {
            let tx = self.txs.entry(prepared.tx).or_default();
            tx.prepared |= bit(node);
            tx.request = Some(prepared.request);
        }
        let mut verdict = Verdict::Holds;
        for tx in &durable.aborted {
            verdict = verdict.and_then(|| self.abort(*tx, node));
        }
        for decided in &durable.decided {
            verdict = verdict.and_then(|| self.decide(world, decided.tx, decided.request, node));
        }
        // Where one operation commits alone, it is this transaction's.
        let alone = match (&durable.committed[..], &durable.applied[..]) {
            ([_], [(request, _)]) => Some(*request),
            _ => None,
        };
        for tx in &durable.committed {
            verdict = verdict.and_then(|| self.commit(world, *tx, alone, node));
        }
        for (request, times) in &durable.applied {
            verdict = verdict.and_then(|| self.apply(*request, *times, whole, node));
        }
        if whole {
            verdict = verdict.and_then(|| self.balances_of(node, &durable));
        }
        verdict
    }

    fn abort(&mut self, id: TxId, node: NodeId) -> Verdict {
        let tx = self.txs.entry(id).or_default();
        tx.aborted |= bit(node);
        let tx = *tx;
        if tx.committed & bit(node) != 0 {
            self.unstable(id, "committed and then aborted", node)
        } else if tx.committed != 0 {
            self.split(id, first(tx.committed), node)
        } else if tx.decided {
            self.split(id, id.coordinator, node)
        } else {
            Verdict::Holds
        }
    }

    /// COMMIT is on the coordinator's record: the decision point.
    fn decide<N: Commit>(
        &mut self,
        world: &World<N>,
        id: TxId,
        request: RequestId,
        node: NodeId,
    ) -> Verdict {
        let tx = self.txs.entry(id).or_default();
        if tx.decided {
            return Verdict::Holds;
        }
        tx.decided = true;
        tx.request = Some(request);
        let tx = *tx;
        if tx.aborted != 0 {
            return self.split(id, node, first(tx.aborted));
        }
        // An abort need not be on record to count: its participant has released the locks.
        if let Some(asked) = self.asked.iter().find(|asked| asked.request == request) {
            for at in asked.op.writers() {
                let participant = self.cast.participants[usize::from(at)];
                if tx.committed & bit(participant) == 0 && believes_abort(world, participant, id) {
                    return self.split(id, node, participant);
                }
            }
        }
        self.valid(id, node)
    }

    fn commit<N: Commit>(
        &mut self,
        world: &World<N>,
        id: TxId,
        request: Option<RequestId>,
        node: NodeId,
    ) -> Verdict {
        let tx = self.txs.entry(id).or_default();
        if tx.committed & bit(node) != 0 {
            return Verdict::Holds;
        }
        tx.request = tx.request.or(request);
        tx.committed |= bit(node);
        let tx = *tx;
        if tx.aborted & bit(node) != 0 {
            return self.unstable(id, "aborted and then committed", node);
        }
        if tx.aborted != 0 {
            return self.split(id, node, first(tx.aborted));
        }
        if tx.decided {
            return Verdict::Holds;
        }
        if believes_abort(world, id.coordinator, id) {
            return self.split(id, node, id.coordinator);
        }
        self.vetoed(id, node)
    }

    /// AC2: commit only if nobody has voted No; and, where there is a decision on record, only if
    /// every writer has voted Yes, which PREPARE on its own record proves.
    fn valid(&self, id: TxId, node: NodeId) -> Verdict {
        let Some((tx, op)) = self.transaction(id) else { return Verdict::Holds };
        for at in op.writers() {
            let participant = self.cast.participants[usize::from(at)];
            if (tx.prepared | tx.committed) & bit(participant) == 0 {
                let (by, who) = (self.cast.role(node), self.cast.role(participant));
                let message = format!("{id:?} committed at {by}, not prepared at {who}");
                return violated("AC2 validity", message);
            }
        }
        self.vetoed(id, node)
    }

    fn vetoed(&self, id: TxId, node: NodeId) -> Verdict {
        let Some((_, op)) = self.transaction(id) else { return Verdict::Holds };
        let veto = op.items.iter().find(|item| item.action == Action::Veto);
        let Some(veto) = veto else { return Verdict::Holds };
        let who = self.cast.role(self.cast.participants[usize::from(veto.at)]);
        let by = self.cast.role(node);
        violated("AC2 validity", format!("{id:?} committed at {by}, vetoed at {who}"))
    }

    fn transaction(&self, id: TxId) -> Option<(&Tx, &Op)> {
        let tx = self.txs.get(&id)?;
        let asked = self.asked.iter().find(|asked| Some(asked.request) == tx.request)?;
        Some((tx, &asked.op))
    }

    /// A participant's data contains an operation.
    fn apply(&mut self, request: RequestId, times: u32, whole: bool, node: NodeId) -> Verdict {
        let Some(asked) = self.asked.iter_mut().find(|asked| asked.request == request) else {
            return Verdict::Holds;
        };
        let before = asked.applied & bit(node) != 0;
        asked.applied |= bit(node);
        if times > 1 || before && !whole {
            let who = self.cast.role(node);
            return violated(
                "applied twice",
                format!("call {} is applied twice at {who}", request.call),
            );
        }
        if asked.failed {
            return self.failed_and_applied(request, node);
        }
        if before {
            return Verdict::Holds;
        }
        let Some(number) = self.cast.number(node) else { return Verdict::Holds };
        for item in asked.op.items.iter().filter(|item| item.at == number) {
            let Action::Add(amount) = item.action else { continue };
            let balance = self.balances.entry((node, item.key)).or_default();
            *balance += amount;
            if *balance < 0 {
                return below_zero(&self.cast, node, item.key, *balance);
            }
        }
        Verdict::Holds
    }

    fn balances_of(&self, node: NodeId, durable: &Durable) -> Verdict {
        match durable.balances.iter().find(|(_, balance)| *balance < 0) {
            Some((key, balance)) => below_zero(&self.cast, node, *key, *balance),
            None => Verdict::Holds,
        }
    }

    fn split(&self, id: TxId, committed: NodeId, aborted: NodeId) -> Verdict {
        split(&self.cast, id, committed, aborted)
    }

    fn unstable(&self, id: TxId, how: &str, node: NodeId) -> Verdict {
        violated("AC3 stability", format!("{id:?} {how} at {}", self.cast.role(node)))
    }

    fn failed_and_applied(&self, request: RequestId, node: NodeId) -> Verdict {
        let who = self.cast.role(node);
        violated("client verdict", format!("call {} failed, and is applied at {who}", request.call))
    }
}

fn violated(class: &'static str, message: String) -> Verdict {
    Verdict::violated("commit", class, message)
}

fn split(cast: &Cast, id: TxId, committed: NodeId, aborted: NodeId) -> Verdict {
    let (yes, no) = (cast.role(committed), cast.role(aborted));
    violated("AC1 agreement", format!("{id:?} committed at {yes}, aborted at {no}"))
}

fn below_zero(cast: &Cast, node: NodeId, key: Key, balance: i64) -> Verdict {
    let message = format!("{key:?} of {} falls to {balance}", cast.role(node));
    Verdict::violated("conservation", "negative balance", message)
}

fn believes_abort<N: Commit>(world: &World<N>, node: NodeId, id: TxId) -> bool {
    let decisions = world.state(node).map(|state| state.view().decisions).unwrap_or_default();
    decisions.iter().any(|decision| *decision == (id, Outcome::Abort))
}

/// AC5: after heal everything is decided, nobody is in doubt, no lock is left.
pub fn settled<N: Commit>(run: &Run<N>) -> Verdict {
    let views: Vec<(NodeId, View)> =
        run.ids().filter_map(|node| Some((node, run.state(node)?.view()))).collect();
    if views.iter().all(|(_, view)| view.is_idle()) {
        return Verdict::Holds;
    }
    let waiting: [(_, fn(&View) -> Option<&TxId>); 5] = [
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

/// Whether clients were told the truth, everybody agrees at the end, and every balance is what
/// the operations in it make of the opening one.
pub fn verdicts<N: Commit>(run: &Run<N>) -> Verdict {
    let cast = Cast::of(&run.case.nodes);
    let durable: Vec<Durable> =
        cast.participants.iter().map(|node| N::durable(run.durable(*node))).collect();
    agreed(run, &cast)
        .and_then(|| told_the_truth(run, &cast, &durable))
        .and_then(|| balanced(run, &cast, &durable))
        .and_then(|| no_trivial_abort(run))
}

/// AC1 at the end, over what nodes believe.
fn agreed<N: Commit>(run: &Run<N>, cast: &Cast) -> Verdict {
    let mut outcomes: BTreeMap<TxId, (NodeId, Outcome)> = BTreeMap::new();
    for node in run.ids() {
        let Some(state) = run.state(node) else { continue };
        for (tx, outcome) in state.view().decisions {
            let (other, known) = *outcomes.entry(tx).or_insert((node, outcome));
            if known != outcome {
                let commit = known == Outcome::Commit;
                let (yes, no) = if commit { (other, node) } else { (node, other) };
                return split(cast, tx, yes, no);
            }
        }
    }
    Verdict::Holds
}

fn request<N: Commit>(run: &Run<N>, actor: Actor, call: u32) -> Option<RequestId> {
    let Actor::Client(client) = actor else { return None };
    Some(RequestId { client: run.case.client_node(client), call })
}

fn times(durable: &Durable, request: RequestId) -> u32 {
    let place = durable.applied.binary_search_by_key(&request, |(id, _)| *id);
    place.map_or(0, |place| durable.applied[place].1)
}

/// An ok is durable at every writer, a fail at none, and anything else at all of them or none.
fn told_the_truth<N: Commit>(run: &Run<N>, cast: &Cast, durable: &[Durable]) -> Verdict {
    for operation in run.history().operations() {
        let Some(request) = request(run, operation.actor, operation.call) else { continue };
        let writers = operation.op.writers();
        let applied = |at: &u16| times(&durable[usize::from(*at)], request) > 0;
        let there = writers.iter().find(|at| applied(at));
        let missing = writers.iter().find(|at| !applied(at));
        let name = |at: &u16| cast.role(cast.participants[usize::from(*at)]);
        let call = request.call;
        let (class, message) = match (operation.outcome, there, missing) {
            (Told::Ok(_), _, Some(at)) => {
                ("client verdict", format!("call {call} is ok, and not applied at {}", name(at)))
            }
            (Told::Fail, Some(at), _) => {
                ("client verdict", format!("call {call} failed, and is applied at {}", name(at)))
            }
            (_, Some(at), Some(other)) => {
                let (at, other) = (name(at), name(other));
                ("atomicity", format!("call {call} is applied at {at}, and not at {other}"))
            }
            _ => continue,
        };
        return violated(class, message);
    }
    Verdict::Holds
}

/// Every balance is the opening one and the changes of the operations that are in it.
fn balanced<N: Commit>(run: &Run<N>, cast: &Cast, durable: &[Durable]) -> Verdict {
    let operations = run.history().operations();
    for (number, (node, durable)) in (0..).zip(cast.participants.iter().zip(durable)) {
        let Role::Participant { balances } = &run.case.nodes[node.index()].role else { continue };
        let mut expected: BTreeMap<Key, i64> = balances.iter().copied().collect();
        for operation in &operations {
            let Some(request) = request(run, operation.actor, operation.call) else { continue };
            if times(durable, request) == 0 {
                continue;
            }
            for item in operation.op.items.iter().filter(|item| item.at == number) {
                if let Action::Add(amount) = item.action {
                    *expected.entry(item.key).or_default() += amount;
                }
            }
        }
        for (key, balance) in &durable.balances {
            let expected = expected.get(key).copied().unwrap_or(0);
            if *balance != expected {
                let who = cast.role(*node);
                let message = format!("{key:?} of {who} is {balance}, expected {expected}");
                return Verdict::violated("conservation", "lost update", message);
            }
        }
    }
    Verdict::Holds
}

/// AC4, of operations of a calm case that meet no other one and whose timers leave them time.
fn no_trivial_abort<N: Commit>(run: &Run<N>) -> Verdict {
    let case = run.case;
    if !case.faults.is_empty() || !case.network.fates().is_empty() {
        return Verdict::Holds;
    }
    let needed = case.network.slowest * 5 + case.sync * 10;
    let hasty = |config: &Config| config.vote_timeout.min(config.work_timeout) < needed;
    if case.nodes.iter().any(hasty) || case.clients.give_up < needed {
        return Verdict::Holds;
    }
    let events = &run.history().events;
    let operations = run.history().operations();
    let quiet = Duration::from_secs(2).as_nanos() as u64;
    for operation in &operations {
        let begin = events[operation.invoked].at;
        let end = begin + needed.as_nanos() as u64;
        let alone = operations.iter().all(|other| {
            let at = events[other.invoked].at;
            other.id == operation.id || at > end || at + quiet < begin
        });
        if alone && is_wanted(case, operation.op) && !matches!(operation.outcome, Told::Ok(_)) {
            let message = format!("call {} meets no obstacle, and did not commit", operation.call);
            return violated("AC4 trivial abort", message);
        }
    }
    Verdict::Holds
}

/// Whether everybody votes Yes, whatever other operations have done before.
fn is_wanted(case: &Case<Op, Config>, op: &Op) -> bool {
    let spent = |item: &protocols::commit::Item| match item.action {
        Action::Add(amount) => amount.min(0),
        Action::Read | Action::Veto => 0,
    };
    let cast = Cast::of(&case.nodes);
    !op.items.is_empty()
        && op.items.iter().all(|item| {
            let node = cast.participants[usize::from(item.at)];
            let opening = match &case.nodes[node.index()].role {
                Role::Participant { balances } => {
                    balances.iter().find(|(key, _)| *key == item.key).map_or(0, |(_, sum)| *sum)
                }
                Role::Coordinator { .. } => 0,
            };
            let all = case.calls.iter().flat_map(|call| &call.op.items);
            let same = all.filter(|other| (other.at, other.key) == (item.at, item.key));
            item.action != Action::Veto && opening + same.map(spent).sum::<i64>() >= 0
        })
}
