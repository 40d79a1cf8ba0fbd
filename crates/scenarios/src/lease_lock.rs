//! The lease lock on trial: one holder at a time, growing fences, and no update lost.
//!
//! Four judges, each with its own evidence:
//!
//! - **The durable logs, at every step** ([`Audit`]): every write of the store adds one to what it
//!   found (no lost update), every request is applied at most once, and what a client was told is
//!   there, with the value it was told. As an answered increment is durable before its client asks
//!   again, this is linearizability of a counter. A fence is granted once, and neither fences nor
//!   registered tokens ever go back.
//! - **The holders' steps, after the run** ([`holds`]): holds of one object form the history of a
//!   fenced mutex. A hold is what its holder believes by its own clock (rule 5.7), mapped to global
//!   time; what a paused holder does after its bound is the fence's business, not the lock's.
//! - **The line at the lock server, at every step** ([`Line`]): while one waits, nobody else is
//!   granted the same lock twice.
//! - **Progress**: with time enough in a lease to work, nothing is left undone at the end, no lock
//!   is held or waited for, and who asks well after heal is served in time.

mod holds;
mod line;

use self::holds::{Hold, history_of, holds};
use self::line::Line;
use crate::trial::{NO_WALL_CLOCKS, Trial};
use checkers::models::FencedMutex;
use checkers::{Keyed, Verdict, linearizable};
use explorer::{CaseFor, Planted, Run, Sample, Scenario, Shape};
use history::{Actor, History, Outcome, What};
use node::{Node, NodeId, Observe, RequestId};
use proptest::prelude::*;
use protocols::LeaseLock;
use protocols::lease::{Config, Durable, Lease, Object, Op, Ret, Role, Stored, View};
use protocols::naive::{FirstFreeNode, Lock, Redis, SmallestId, Unfenced};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use world::{Kind, Scene};

const SERVER: NodeId = NodeId(0);
const STORE: NodeId = NodeId(1);

/// ρ: what every monotonic clock may be off, in parts per million. Holders and the adversary go by
/// the same number: with clocks worse than what holders are told, a lease lock promises nothing.
const DRIFT_PPM: u32 = 50_000;

/// Increments through holders that lock, read, work, write and release.
pub struct LeaseLocks<N: Node> {
    /// What it is called, its shape, and its planted bugs.
    pub trial: Trial<N>,
}

/// The lease lock with fencing (protocols.md P5).
pub fn lease_lock() -> LeaseLocks<LeaseLock> {
    let about = "lease lock with fencing: one holder at a time, no update lost";
    let marks = &[
        "a lease ran out at the lock server",
        "a retried Acquire got the same grant",
        "restarted lock server extended a lease",
        "a grant came too late to be used",
        "a holder stopped at its bound",
        "a smaller token was refused",
        "a retried request had been applied",
    ];
    LeaseLocks { trial: Trial::new("lease_lock", about, Shape { marks, ..shape() }) }
}

impl<N: Node> LeaseLocks<N> {
    /// A protocol that is here to be found broken.
    pub fn exhibit(name: &'static str, about: &'static str) -> Self {
        Self { trial: Trial::exhibit(name, about, shape()) }
    }
}

/// The exhibit whose store looks at no fence.
pub fn unfenced() -> LeaseLocks<Lock<Unfenced>> {
    let about = "whoever has the lock writes, and nobody checks a fence: updates are lost";
    LeaseLocks::exhibit("naive::lease_lock_unfenced", about)
}

/// The exhibit whose lock is a key of Redis that anybody may delete.
pub fn redis() -> LeaseLocks<Lock<Redis>> {
    let about = "a key set if it is not there, and deleted by whoever once had it: two holders";
    LeaseLocks::exhibit("naive::lock_redis", about)
}

/// The exhibit whose lock server grants to the smallest of random ids.
pub fn smallest_id() -> LeaseLocks<Lock<SmallestId>> {
    let about = "the smallest of random ids is the holder, also while another one holds";
    LeaseLocks::exhibit("naive::lock_smallest_id", about)
}

/// The exhibit whose table of locks has a line for each node, and none for a key.
pub fn first_free_node() -> LeaseLocks<Lock<FirstFreeNode>> {
    let about = "whoever finds a free node has the lock, whichever key it is for";
    LeaseLocks::exhibit("naive::lock_first_free_node", about)
}

/// A holder may be lost, and no clock is worse than holders are told.
fn shape() -> Shape {
    Shape {
        faults: NO_WALL_CLOCKS,
        may_lose: 1,
        rate_ppm: DRIFT_PPM,
        give_up: Duration::from_secs(2),
        ..Shape::default()
    }
}

impl<N> Scenario for LeaseLocks<N>
where
    N: Node<Config = Config, Op = Op, Ret = Ret> + Observe<Durable = Durable, View = View>,
{
    type Node = N;

    fn name(&self) -> String {
        self.trial.name.to_owned()
    }

    fn about(&self) -> String {
        self.trial.about.to_owned()
    }

    fn shape(&self) -> Shape {
        self.trial.shape.clone()
    }

    fn op(&self) -> impl Strategy<Value = Op> {
        prop_oneof![9 => Just(Object(0)), 1 => Just(Object(1))].prop_map(Op::Increment)
    }

    fn cluster(&self, _: &Shape) -> impl Strategy<Value = Vec<Config>> {
        let holders = prop_oneof![2 => Just(2u16), 2 => Just(3), 1 => Just(4)];
        let compact = prop_oneof![3..=20u32, Just(64)];
        (holders, 50..=500u64, 5..=100u64, 1..=20u64, 1..=3u32, compact).prop_map(
            |(holders, ttl, resend, work, batch, compact)| {
                let config = Config {
                    role: Role::Holder,
                    server: SERVER,
                    store: STORE,
                    ttl: Duration::from_millis(ttl),
                    drift_ppm: DRIFT_PPM,
                    resend: Duration::from_millis(resend),
                    work: Duration::from_millis(work),
                    batch,
                    compact,
                };
                (0..2 + holders).map(|node| role_of(NodeId(node), &config)).collect()
            },
        )
    }

    fn fit(&self, op: &mut Op, _: &[Config]) {
        if let Op::Acquire(object)
        | Op::Read { object, .. }
        | Op::Write { object, .. }
        | Op::Release { object, .. } = op
        {
            *op = Op::Increment(*object);
        }
    }

    fn entries(&self, nodes: &[Config], _: u16) -> Vec<NodeId> {
        holders(nodes).collect()
    }

    /// Without the lock server or the store nothing goes on.
    fn losable(&self, nodes: &[Config]) -> Vec<NodeId> {
        holders(nodes).collect()
    }

    fn without_node(&self, nodes: &[Config], node: NodeId) -> Option<Vec<Config>> {
        let mut rest = nodes.to_vec();
        (node > STORE && nodes.len() > 3).then(|| {
            rest.remove(node.index());
            rest
        })
    }

    fn role(&self, _: &[Config], node: NodeId) -> String {
        match node {
            SERVER => "lock".to_owned(),
            STORE => "store".to_owned(),
            NodeId(number) => format!("holder {}", number - STORE.0),
        }
    }

    fn valid(&self, case: &CaseFor<Self>) -> bool {
        let Some(first) = case.nodes.first() else { return false };
        let nodes = (0..case.nodes.len() as u16).map(NodeId);
        let asks_holder = |to: NodeId| to > STORE;
        case.nodes.len() > 2
            && nodes.zip(&case.nodes).all(|(node, config)| *config == role_of(node, first))
            && (first.server, first.store) == (SERVER, STORE)
            && first.resend > Duration::ZERO
            && first.drift_ppm < 1_000_000
            && first.ttl < Duration::from_secs(1_000_000)
            && case.calls.iter().all(|c| asks_holder(c.to) && matches!(c.op, Op::Increment(_)))
            && case.faults.iter().all(|fault| match fault.kind {
                Kind::Rate { ppm, .. } => ppm.unsigned_abs() <= u64::from(first.drift_ppm),
                Kind::Retire { node } | Kind::BitRot { node, permanent: true } => node > STORE,
                _ => true,
            })
    }

    fn mutants(&self) -> &[Planted<Op, Config>] {
        &self.trial.mutants
    }

    fn invariant(&self) -> impl FnMut(&dyn Scene<N>) -> Verdict {
        let mut audit = Audit::default();
        let mut line = Line::default();
        move |scene: &dyn Scene<N>| {
            let verdict = match scene.changed() {
                Some(SERVER) => {
                    let view = scene.state(SERVER).map(Observe::view);
                    let verdict = audit.server(&N::durable(scene.durable(SERVER)));
                    verdict.and_then(|| line.server(view))
                }
                Some(STORE) => audit.store(&N::durable(scene.durable(STORE))),
                _ => Verdict::Holds,
            };
            verdict.and_then(|| audit.clients(scene.history(), scene.nodes()))
        }
    }

    fn progress(&self, run: &Run<N>) -> Verdict {
        // A wait in line uses up the lease that it is for (5.7). Holders that get theirs in turn,
        // each with too little left of it, could waste every one of them for ever; but not where
        // all of them together find room in one lease.
        let in_line = holders(&run.case.nodes).count() as u32;
        if need(run.case) * in_line > validity(run.case) {
            return Verdict::Holds;
        }
        for node in run.ids().filter(|node| !run.is_retired(*node)) {
            let verdict = match run.state(node).map(Observe::view) {
                Some(View::Holder { pending, .. }) if pending > 0 => {
                    let message = format!("{pending} requests are left undone at {node}");
                    Verdict::violated("progress", "request never ends", message)
                }
                Some(View::LockServer { leases, line }) if leases.len() + line.len() > 0 => {
                    let message = format!("at the end {line:?} wait, and {leases:?} are held");
                    Verdict::violated("progress", "lock never free", message)
                }
                None => Verdict::violated("progress", "node down", format!("{node} is down")),
                _ => Verdict::Holds,
            };
            if verdict.is_violated() {
                return verdict;
            }
        }
        in_time(run)
    }

    fn check(&self, run: &Run<N>) -> Verdict {
        linearizable(&Keyed::new(FencedMutex), &history_of(&holds(run)))
    }

    fn measure(&self, run: &Run<N>) -> Vec<Sample> {
        let sample = |metric, from, to| Sample::time(metric, Duration::from_nanos(to - from));
        let of = |hold: &Hold| {
            [
                sample("lock_acquire", hold.asked, hold.begin),
                sample("lock_hold", hold.begin, hold.end),
            ]
        };
        holds(run).iter().flat_map(of).collect()
    }
}

fn role_of(node: NodeId, config: &Config) -> Config {
    let role = match node {
        SERVER => Role::LockServer,
        STORE => Role::Store,
        _ => Role::Holder,
    };
    Config { role, ..config.clone() }
}

fn holders(nodes: &[Config]) -> impl Iterator<Item = NodeId> {
    (0..nodes.len() as u16).map(NodeId).filter(|node| *node > STORE)
}

/// How long a holder may use a lease that is granted at once (5.7).
fn validity<Op>(case: &world::Case<Op, Config>) -> Duration {
    let Some(Config { ttl, drift_ppm, .. }) = case.nodes.first() else { return Duration::ZERO };
    *ttl * (1_000_000 - drift_ppm) / (1_000_000 + drift_ppm)
}

/// How long a holder needs from its Acquire to its Release on calm links, on any clock within the
/// bound: three round trips, six syncs (its own three, and as many that it may have to wait for),
/// and the work.
fn need<Op>(case: &world::Case<Op, Config>) -> Duration {
    let Some(Config { work, drift_ppm, .. }) = case.nodes.first() else { return Duration::ZERO };
    let calm = case.network.slowest * 6 + case.sync * 6 + *work;
    calm * (1_000_000 + drift_ppm) / (1_000_000 - drift_ppm)
}

/// Who asks a live holder well after heal is served before it gives up, where the time that every
/// request of the case takes together is less than its patience: whatever was left behind, a lock
/// is free one TTL later.
fn in_time<N: Node<Config = Config, Op = Op, Ret = Ret>>(run: &Run<N>) -> Verdict {
    let case = run.case;
    let Some(config) = case.nodes.first() else { return Verdict::Holds };
    let requests = case.calls.len() as u32;
    let at_most = config.ttl * 2 + (need(case) + config.resend) * 2 * requests;
    if at_most > case.clients.give_up {
        return Verdict::Holds;
    }
    let calm_from = case.heal_at + case.network.tail + config.ttl * 2;
    let history = run.history();
    for operation in history.operations() {
        let Actor::Client(client) = operation.actor else { continue };
        let begun = Duration::from_nanos(history.events[operation.invoked].at);
        let call = case.calls.iter().find(|call| call.id == operation.call);
        let alive = call.is_some_and(|call| !run.is_retired(call.to));
        let is_ok = matches!(operation.outcome, Outcome::Ok(_));
        if begun > calm_from && begun + at_most < case.end_at && alive && !is_ok {
            let message = format!(
                "call {} of client {client} began {:?} after heal and was not served in {:?}",
                operation.call,
                begun - case.heal_at,
                case.clients.give_up
            );
            return Verdict::violated("progress", "free lock not granted", message);
        }
    }
    Verdict::Holds
}

/// What the durable logs and the clients have shown so far.
#[derive(Default)]
struct Audit {
    fence: u64,
    leases: Vec<Lease>,
    cells: BTreeMap<Object, Cell>,
    /// What each request wrote.
    applied: BTreeMap<(RequestId, Object), u64>,
    asked: BTreeMap<RequestId, Object>,
    failed: BTreeSet<RequestId>,
    /// Lines of the history that have been read.
    read: usize,
}

#[derive(Clone, Copy, Default)]
struct Cell {
    value: u64,
    count: u64,
    maxtoken: u64,
}

impl Audit {
    /// A fence belongs to one grant, and to none before a smaller one.
    fn server(&mut self, durable: &Durable) -> Verdict {
        if durable.fence < self.fence {
            let message = format!("the last fence was {} and is {}", self.fence, durable.fence);
            return Verdict::violated("lock", "fence goes back", message);
        }
        for lease in durable.leases.iter().filter(|lease| !self.leases.contains(lease)) {
            if lease.fence <= self.fence {
                let message = format!("{lease:?} is granted when {} had been", self.fence);
                return Verdict::violated("lock", "fence granted again", message);
            }
        }
        self.fence = durable.fence;
        self.leases.clone_from(&durable.leases);
        Verdict::Holds
    }

    fn store(&mut self, durable: &Durable) -> Verdict {
        for (object, stored) in &durable.objects {
            let verdict = self.object(*object, stored);
            if verdict.is_violated() {
                return verdict;
            }
        }
        Verdict::Holds
    }

    fn object(&mut self, object: Object, stored: &Stored) -> Verdict {
        let mut cell = self.cells.get(&object).copied().unwrap_or_default();
        if stored.maxtoken < cell.maxtoken || stored.count < cell.count {
            let (token, count) = (cell.maxtoken, cell.count);
            let message = format!("{object:?}: token {token}, {count} writes; now {stored:?}");
            return Verdict::violated("lock", "store goes back", message);
        }
        let before = stored.count.saturating_sub(stored.writes.len() as u64);
        let seen = cell.count.saturating_sub(before);
        for write in stored.writes.iter().skip(usize::try_from(seen).unwrap_or(usize::MAX)) {
            let told =
                || format!("{object:?} under token {}: {:?} wrote ", write.token, write.request);
            if write.to != write.from + 1 {
                let message = format!("{}{} over {}", told(), write.to, write.from);
                return Verdict::violated("lock", "lost update", message);
            }
            if self.asked.get(&write.request) != Some(&object) {
                return Verdict::violated("lock", "nobody asked", told() + "unasked");
            }
            if self.failed.contains(&write.request) {
                return Verdict::violated("lock", "failed request applied", told() + "and failed");
            }
            if self.applied.insert((write.request, object), write.to).is_some() {
                return Verdict::violated("lock", "applied twice", told() + "again");
            }
            cell.count += 1;
            cell.value = write.to;
        }
        if (cell.count, cell.value) != (stored.count, stored.value) || cell.count != cell.value {
            let message = format!("{object:?}: {} writes make {}", stored.count, stored.value);
            return Verdict::violated("lock", "value is not the number of writes", message);
        }
        cell.maxtoken = stored.maxtoken;
        self.cells.insert(object, cell);
        Verdict::Holds
    }

    /// What a client was told is true, and no power loss can take it back.
    fn clients(&mut self, history: &History<Op, Ret>, nodes: usize) -> Verdict {
        for event in &history.events[self.read..] {
            let Actor::Client(client) = event.actor else { continue };
            let request = RequestId { client: NodeId(nodes as u16 + client), call: event.call };
            match &event.what {
                What::Invoke(Op::Increment(object)) => {
                    self.asked.insert(request, *object);
                }
                What::Ok(ret) => {
                    let object = self.asked.get(&request).copied().unwrap_or(Object(0));
                    let wrote = self.applied.get(&(request, object));
                    if wrote.map(|value| Ret::Incremented(*value)).as_ref() != Some(ret) {
                        let message = format!("{request:?} was told {ret:?}; durable: {wrote:?}");
                        return Verdict::violated("lock", "answer without a write", message);
                    }
                }
                What::Fail(_) if self.applied.keys().any(|(applied, _)| *applied == request) => {
                    let message = format!("{request:?} was told Fail and is applied");
                    return Verdict::violated("lock", "failed request applied", message);
                }
                What::Fail(_) => {
                    self.failed.insert(request);
                }
                What::Info | What::Invoke(_) => {}
            }
        }
        self.read = history.events.len();
        Verdict::Holds
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use history::Event;
    use protocols::lease::Applied;

    const X: Object = Object(0);

    /// Holds of one object: owner, fence, begin, end.
    fn judged(holds: &[(u16, u64, u64, u64)]) -> Verdict {
        let hold = |&(owner, fence, begin, end): &(u16, u64, u64, u64)| Hold {
            object: X,
            owner: NodeId(owner),
            fence,
            asked: begin,
            begin,
            end,
        };
        let holds: Vec<Hold> = holds.iter().map(hold).collect();
        linearizable(&Keyed::new(FencedMutex), &history_of(&holds))
    }

    #[test]
    fn holds_that_follow_each_other_are_a_mutex() {
        assert!(judged(&[]).holds());
        assert!(judged(&[(2, 1, 0, 9), (3, 2, 12, 20), (2, 5, 30, 31)]).holds());
        assert!(judged(&[(3, 2, 9, 20), (2, 1, 0, 9)]).holds(), "one ends as the next begins");
        assert!(judged(&[(2, 1, 4, 4), (3, 2, 9, 20)]).holds(), "a lease that had run out");
        assert!(judged(&[(2, 1, 4, 4), (3, 2, 4, 20)]).holds(), "and the next begins right then");
    }

    #[test]
    fn two_holds_at_once_or_a_fence_that_goes_back_are_not() {
        assert!(judged(&[(2, 1, 0, 10), (3, 2, 9, 20)]).is_violated());
        assert!(judged(&[(2, 1, 0, 10), (2, 2, 9, 20)]).is_violated(), "its own, twice");
        assert!(judged(&[(2, 2, 0, 9), (3, 1, 12, 20)]).is_violated());
        assert!(judged(&[(2, 1, 0, 9), (3, 1, 12, 20)]).is_violated(), "one fence, two grants");
        assert!(judged(&[(2, 1, 0, 10), (3, 2, 4, 4)]).is_violated(), "a moment is a hold");
    }

    fn request(call: u32) -> RequestId {
        RequestId { client: NodeId(9), call }
    }

    /// A store with these writes: token, call, from, to.
    fn stored(writes: &[(u64, u32, u64, u64)]) -> Durable {
        let applied = |&(token, call, from, to): &(u64, u32, u64, u64)| Applied {
            token,
            nth: 1,
            request: request(call),
            from,
            to,
        };
        let writes: Vec<Applied> = writes.iter().map(applied).collect();
        let stored = Stored {
            value: writes.last().map_or(0, |write| write.to),
            maxtoken: writes.iter().map(|write| write.token).max().unwrap_or(0),
            count: writes.len() as u64,
            writes,
        };
        Durable { objects: BTreeMap::from([(X, stored)]), ..Durable::default() }
    }

    /// What the audit says of the last of these logs, and the requests 1 to 3 have been asked.
    fn audited(logs: &[Durable]) -> Option<String> {
        let mut audit = Audit::default();
        audit.asked.extend((1..=3).map(|call| (request(call), X)));
        let (last, before) = logs.split_last().expect("a log");
        for log in before {
            assert!(audit.store(log).holds());
        }
        audit.store(last).anomaly().map(|anomaly| anomaly.class.to_string())
    }

    #[test]
    fn the_audit_follows_the_store() {
        let one = stored(&[(1, 1, 0, 1)]);
        let two = stored(&[(1, 1, 0, 1), (2, 2, 1, 2)]);
        assert_eq!(audited(&[one.clone(), two.clone(), two.clone()]), None);
        for (class, log) in [
            ("lost update", stored(&[(1, 1, 0, 1), (2, 2, 1, 2), (1, 3, 2, 2)])),
            ("applied twice", stored(&[(1, 1, 0, 1), (2, 2, 1, 2), (2, 1, 2, 3)])),
            ("nobody asked", stored(&[(1, 1, 0, 1), (2, 2, 1, 2), (2, 4, 2, 3)])),
            ("store goes back", one),
        ] {
            assert_eq!(audited(&[two.clone(), log]).as_deref(), Some(class));
        }
    }

    #[test]
    fn a_fence_is_granted_once() {
        let lease = |owner, fence| Lease { object: X, owner: NodeId(owner), fence };
        let server = |fence, leases: &[Lease]| Durable {
            fence,
            leases: leases.to_vec(),
            ..Durable::default()
        };
        let mut audit = Audit::default();
        assert!(audit.server(&server(1, &[lease(2, 1)])).holds());
        assert!(audit.server(&server(1, &[])).holds());
        assert!(audit.server(&server(2, &[lease(3, 2)])).holds());
        assert!(audit.server(&server(2, &[lease(2, 2)])).is_violated());
        assert!(audit.server(&server(1, &[])).is_violated());
    }

    #[test]
    fn an_answer_is_what_was_written_or_a_violation() {
        let line =
            |what| Event { at: 0, op: 0, actor: Actor::Client(5), process: 0, call: 1, what };
        let asked = line(What::Invoke(Op::Increment(X)));
        for (ret, holds) in [(1, true), (2, false)] {
            let answer = line(What::Ok(Ret::Incremented(ret)));
            let mut history = History { events: vec![asked.clone()] };
            let mut audit = Audit::default();
            assert!(audit.clients(&history, 4).holds());
            assert!(audit.store(&stored(&[(1, 1, 0, 1)])).holds());
            history.events.push(answer);
            assert_eq!(audit.clients(&history, 4).holds(), holds);
        }
        let history = History { events: vec![asked, line(What::Ok(Ret::Incremented(1)))] };
        assert!(Audit::default().clients(&history, 4).is_violated(), "nothing is durable");
    }
}
