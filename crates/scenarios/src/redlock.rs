//! Redlock on trial, in the profile in which it holds and outside of it: a verdict on it means
//! nothing without what is said of clocks, memories and effects.
//!
//! **The restricted profile**: wall clocks stand anywhere and run fast or slow, but do not jump;
//! all rates are within what holders are told; a server that starts again is silent for a TTL.
//! There, by the holders' own steps, holds of one object form the history of a mutex, and with time
//! enough in a key to work nothing is left undone after heal. Of effects only that is asked which
//! the store owes without any lock: each request is applied once, and what a client was told is
//! there. Updates may be lost.
//!
//! **Outside** the same node is an exhibit three times: with wall clocks that jump, with a restart
//! that is not delayed, and with an eye on what is written.

use crate::trial::Trial;
use checkers::models::{Mutex, MutexOp, MutexRet};
use checkers::{Keyed, Verdict, linearizable};
use explorer::{CaseFor, Planted, Run, Sample, Scenario, Shape};
use history::{Actor, Event, History, Outcome, What};
use node::{Node, NodeId, Observe, RequestId};
use proptest::prelude::*;
use protocols::Redlock;
use protocols::key::{Applied, Config, Durable, Key, Object, Op, Ret, Role, Token, View};
use std::collections::BTreeMap;
use std::time::Duration;
use world::{FaultKind, Faults, Kind, Scene};

/// ρ: what a monotonic clock may be off, in parts per million.
const RATE_PPM: u32 = 50_000;

/// δ: what a wall clock may be off, in parts per million.
const WALL_PPM: u64 = 100_000;

/// What holders leave to both: at least 1 − (1 − ρ)/(1 + δ), which is 136,364.
const DRIFT_PPM: u32 = 140_000;

/// What is promised, or which part of it is tried where it is not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Profile {
    /// All of it.
    Restricted,
    /// Wall clocks jump.
    Jumps,
    /// A restarted server answers at once.
    Amnesia,
    /// No update may be lost.
    Effects,
}

impl Profile {
    fn faults(self) -> Faults {
        let all = Faults::ALL.without(Faults::of(&[FaultKind::WallJump]));
        let messages = [FaultKind::Loss, FaultKind::Delay, FaultKind::Reorder];
        match self {
            Self::Restricted | Self::Amnesia => all,
            // Nobody crashes or stops: the clocks do it alone.
            Self::Jumps => Faults::of(&messages).and(Faults::of(&[FaultKind::WallJump])),
            // Nobody crashes, and no wall clock is wrong.
            Self::Effects => {
                Faults::of(&messages).and(Faults::of(&[FaultKind::Pause, FaultKind::SlowLink]))
            }
        }
    }
}

/// Increments through holders that have a key on a majority of servers.
pub struct Redlocks<N: Node> {
    /// What it is called, its shape, and its planted bugs.
    pub trial: Trial<N>,
    profile: Profile,
}

impl<N: Node> Redlocks<N> {
    /// Another node in the restricted profile, to be found broken.
    pub fn exhibit(name: &'static str, about: &'static str) -> Self {
        Self::outside(name, about, Profile::Restricted)
    }

    fn outside(name: &'static str, about: &'static str, profile: Profile) -> Self {
        Self { trial: Trial::exhibit(name, about, shape(profile)), profile }
    }
}

/// Redlock where it holds (protocols.md P5).
pub fn redlock() -> Redlocks<Redlock> {
    let about = "Redlock where no clock jumps and nothing is forgotten: one holder at a time";
    let marks = &[
        "a key had run out",
        "a Release met another's key",
        "a restarted lock server stayed silent",
        "no majority",
        "a majority came too late",
        "an extension moved the bound",
        "an extension failed",
        "a holder stopped at its bound",
    ];
    let profile = Profile::Restricted;
    Redlocks { trial: Trial::new("redlock", about, Shape { marks, ..shape(profile) }), profile }
}

/// The same where wall clocks jump.
pub fn clock_jump() -> Redlocks<Redlock> {
    let about = "Redlock where a wall clock jumps: keys run out early, two holders";
    Redlocks::outside("naive::redlock_clock_jump", about, Profile::Jumps)
}

/// The same where a server forgets its keys and answers at once.
pub fn amnesiac() -> Redlocks<Redlock> {
    let about = "Redlock whose servers keep keys in memory and start again at once: two holders";
    Redlocks::outside("naive::redlock_amnesiac", about, Profile::Amnesia)
}

/// The same, by what is written: there is no fence.
pub fn unfenced() -> Redlocks<Redlock> {
    let about = "Redlock before a store: it has no fence, and a late write loses an update";
    Redlocks::outside("naive::redlock_unfenced", about, Profile::Effects)
}

/// Where faults are those of a profile, and one node may be lost.
fn shape(profile: Profile) -> Shape {
    Shape {
        faults: profile.faults(),
        may_lose: 1,
        rate_ppm: RATE_PPM,
        give_up: Duration::from_secs(2),
        ..Shape::default()
    }
}

impl<N> Scenario for Redlocks<N>
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
        let servers = prop_oneof![3 => Just(3u16), 1 => Just(5)];
        let work = prop_oneof![2 => 1..=20u64, 1 => 20..=400u64];
        let amnesia = self.profile == Profile::Amnesia;
        // What is late is to be later than the key's end.
        let longest = if self.profile == Profile::Effects { 150 } else { 500u64 };
        (servers, 2..=4u16, 50..=longest, 5..=150u64, 20..=400u64, work).prop_map(
            move |(servers, holders, ttl, patience, back_off, work)| {
                let ttl = Duration::from_millis(ttl);
                let config = Config {
                    role: Role::Holder,
                    servers,
                    ttl,
                    drift_ppm: DRIFT_PPM,
                    silence: if amnesia { Duration::ZERO } else { ttl },
                    patience: Duration::from_millis(patience),
                    back_off: Duration::from_millis(back_off),
                    work: Duration::from_millis(work),
                };
                (0..=servers + holders).map(|node| role_of(NodeId(node), &config)).collect()
            },
        )
    }

    fn fit(&self, op: &mut Op, _: &[Config]) {
        if let Op::Acquire(object) | Op::Extend { object, .. } | Op::Release { object, .. } = op {
            *op = Op::Increment(*object);
        }
    }

    fn entries(&self, nodes: &[Config], _: u16) -> Vec<NodeId> {
        holders(nodes).collect()
    }

    /// One lock server of three or five, or a holder. Without the store nothing goes on.
    fn losable(&self, nodes: &[Config]) -> Vec<NodeId> {
        let all = (0..nodes.len() as u16).map(NodeId);
        all.filter(|node| Some(*node) != store(nodes)).collect()
    }

    fn without_node(&self, nodes: &[Config], node: NodeId) -> Option<Vec<Config>> {
        let mut rest = nodes.to_vec();
        (Some(node) > store(nodes) && holders(nodes).count() > 1).then(|| {
            rest.remove(node.index());
            rest
        })
    }

    fn role(&self, nodes: &[Config], node: NodeId) -> String {
        let NodeId(servers) = store(nodes).unwrap_or(NodeId(0));
        match node.0 {
            number if number < servers => format!("lock {}", number + 1),
            number if number == servers => "store".to_owned(),
            number => format!("holder {}", number - servers),
        }
    }

    fn valid(&self, case: &CaseFor<Self>) -> bool {
        let Some(first) = case.nodes.first() else { return false };
        let nodes = (0..case.nodes.len() as u16).map(NodeId);
        let store = NodeId(first.servers);
        let silence = if self.profile == Profile::Amnesia { Duration::ZERO } else { first.ttl };
        matches!(first.servers, 3 | 5)
            && case.nodes.len() > store.index() + 1
            && nodes.zip(&case.nodes).all(|(node, config)| *config == role_of(node, first))
            && first.drift_ppm == DRIFT_PPM
            && first.silence == silence
            && first.ttl < Duration::from_secs(1_000)
            && first.back_off < Duration::from_secs(1_000)
            && first.patience > Duration::ZERO
            && case.calls.iter().all(|c| c.to > store && matches!(c.op, Op::Increment(_)))
            && case.faults.iter().all(|fault| match fault.kind {
                Kind::Rate { ppm, .. } => ppm.unsigned_abs() <= u64::from(RATE_PPM),
                Kind::WallDrift { ppm, .. } => ppm.unsigned_abs() <= WALL_PPM,
                Kind::WallJump { .. } => self.profile == Profile::Jumps,
                Kind::Retire { node } | Kind::BitRot { node, permanent: true } => node != store,
                _ => true,
            })
    }

    fn mutants(&self) -> &[Planted<Op, Config>] {
        &self.trial.mutants
    }

    fn invariant(&self) -> impl FnMut(&dyn Scene<N>) -> Verdict {
        let mut audit = Audit { effects: self.profile == Profile::Effects, ..Audit::default() };
        move |scene: &dyn Scene<N>| {
            let store = scene.config(NodeId(0)).map(|config| NodeId(config.servers));
            let verdict = match scene.changed() {
                Some(node) if Some(node) == store => audit.store(&N::durable(scene.durable(node))),
                _ => Verdict::Holds,
            };
            verdict.and_then(|| audit.clients(scene.history(), scene.nodes()))
        }
    }

    fn progress(&self, run: &Run<N>) -> Verdict {
        if self.profile != Profile::Restricted || !has_time(run.case) {
            return Verdict::Holds;
        }
        for node in run.ids().filter(|node| !run.is_retired(*node)) {
            let verdict = match run.state(node).map(Observe::view) {
                Some(View::Holder(pending)) if pending > 0 => {
                    let message = format!("{pending} requests are left undone at {node}");
                    Verdict::violated("progress", "request never ends", message)
                }
                Some(View::LockServer(keys)) => {
                    let end = u64::try_from(run.case.end_at.as_nanos()).unwrap_or(u64::MAX);
                    let wall = run.clock(node).map_or(0, |clock| clock.wall(end));
                    let lives = |key: &&Key| key.expires > Duration::from_nanos(wall);
                    match keys.iter().find(lives) {
                        None => Verdict::Holds,
                        Some(key) => {
                            let message = format!("at the end {node} has {key:?}");
                            Verdict::violated("progress", "lock never free", message)
                        }
                    }
                }
                None => Verdict::violated("progress", "node down", format!("{node} is down")),
                _ => Verdict::Holds,
            };
            if verdict.is_violated() {
                return verdict;
            }
        }
        Verdict::Holds
    }

    fn check(&self, run: &Run<N>) -> Verdict {
        linearizable(&Keyed::new(Mutex), &history_of(&holds(run)))
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
    let role = match node.0 {
        number if number < config.servers => Role::LockServer,
        number if number == config.servers => Role::Store,
        _ => Role::Holder,
    };
    Config { role, ..config.clone() }
}

fn store(nodes: &[Config]) -> Option<NodeId> {
    nodes.first().map(|config| NodeId(config.servers))
}

fn holders(nodes: &[Config]) -> impl Iterator<Item = NodeId> {
    let after = store(nodes).map_or(u16::MAX, |store| store.0.saturating_add(1));
    (after..nodes.len() as u16).map(NodeId)
}

/// Whether calm links and disks leave holders the time to come to an end, on any clock within the
/// bound: a round within their patience; three round trips, the syncs and the work within a key's
/// validity; and room enough in a back-off for one of them to be alone.
fn has_time<Op>(case: &world::Case<Op, Config>) -> bool {
    let Some(config) = case.nodes.first() else { return false };
    let on_any_clock = |calm: Duration| calm * (1_000_000 + RATE_PPM) / (1_000_000 - RATE_PPM);
    let slowest = case.network.slowest;
    let validity = config.ttl * (1_000_000 - DRIFT_PPM) / 1_000_000;
    config.patience > on_any_clock(slowest * 2)
        && validity > on_any_clock(slowest * 6 + case.sync * 4 + config.work)
        && config.back_off > on_any_clock(slowest * 8)
}

/// A hold in global time: `[begin, end)`.
struct Hold {
    object: Object,
    token: Token,
    /// When it was asked for.
    asked: u64,
    begin: u64,
    end: u64,
}

/// The holds that the holders' steps tell of.
fn holds<N>(run: &Run<N>) -> Vec<Hold>
where
    N: Node<Config = Config, Op = Op, Ret = Ret>,
{
    let mut holds: Vec<Hold> = Vec::new();
    let history = run.history();
    for operation in history.operations() {
        let Actor::Role(owner) = operation.actor else { continue };
        let global = |local: &Duration| {
            let local = u64::try_from(local.as_nanos()).unwrap_or(u64::MAX);
            run.clock(NodeId(owner)).map_or(local, |clock| clock.global(local))
        };
        match (operation.op, operation.outcome) {
            (
                Op::Acquire(object) | Op::Extend { object, .. },
                Outcome::Ok(Ret::Held { token, from, until }),
            ) => {
                let (from, until) = (global(from), global(until));
                let last = holds.iter_mut().rev().find(|hold| hold.token == *token);
                match last {
                    // An extension in time.
                    Some(hold) if from < hold.end => hold.end = hold.end.max(until),
                    _ => {
                        let asked = history.events[operation.invoked].at;
                        let begin = from.max(asked);
                        let end = until.max(begin);
                        holds.push(Hold { object: *object, token: *token, asked, begin, end });
                    }
                }
            }
            (Op::Release { token, .. }, _) => {
                let sent = history.events[operation.invoked].at;
                let theirs = |hold: &&mut Hold| hold.token == *token && hold.begin <= sent;
                if let Some(hold) = holds.iter_mut().rev().find(theirs) {
                    hold.end = hold.end.min(sent);
                }
            }
            _ => {}
        }
    }
    holds
}

/// The history of a mutex: each hold as an `Acquire` and a `Release` that take no time, by an
/// owner of its own.
fn history_of(holds: &[Hold]) -> History<(Object, MutexOp), MutexRet> {
    let mut points = Vec::with_capacity(2 * holds.len());
    for (owner, hold) in (0u64..).zip(holds) {
        // At one moment, a hold that ends is over before the next one begins, and one that ends as
        // it begins is over too.
        let empty = hold.begin == hold.end;
        let (begins, ends) = if empty { (1u8, 1) } else { (2, 0) };
        points.push((hold.begin, begins, owner, hold, MutexOp::Acquire(owner)));
        points.push((hold.end, ends, owner, hold, MutexOp::Release(owner)));
    }
    // Stable: of one hold it is the acquire that comes first.
    points.sort_by_key(|(at, rank, owner, ..)| (*at, *rank, *owner));
    let mut events = Vec::with_capacity(2 * points.len());
    for (op, (at, _, _, hold, asked)) in (0u32..).zip(points) {
        let actor = Actor::Role(hold.token.holder.0);
        let line = |what| Event { at, op, actor, process: op, call: op, what };
        events.push(line(What::Invoke((hold.object, asked))));
        events.push(line(What::Ok(MutexRet::Done)));
    }
    History { events }
}

/// What the store's log and the clients have shown so far.
#[derive(Default)]
struct Audit {
    /// A lost update is a violation too.
    effects: bool,
    /// How many writes of each object have been looked at.
    seen: BTreeMap<Object, usize>,
    /// What each request wrote.
    applied: BTreeMap<(RequestId, Object), u64>,
    asked: BTreeMap<RequestId, Object>,
    /// Lines of the history that have been read.
    read: usize,
}

impl Audit {
    fn store(&mut self, durable: &Durable) -> Verdict {
        for (object, writes) in &durable.objects {
            let seen = self.seen.insert(*object, writes.len()).unwrap_or(0);
            for write in writes.iter().skip(seen) {
                let verdict = self.write(*object, write);
                if verdict.is_violated() {
                    return verdict;
                }
            }
        }
        Verdict::Holds
    }

    fn write(&mut self, object: Object, write: &Applied) -> Verdict {
        let told = || {
            format!("{object:?} under {:?}: {:?} wrote {}", write.token, write.request, write.to)
        };
        if self.asked.get(&write.request) != Some(&object) {
            return Verdict::violated("lock", "nobody asked", told() + " unasked");
        }
        if self.applied.insert((write.request, object), write.to).is_some() {
            return Verdict::violated("lock", "applied twice", told() + " again");
        }
        if self.effects && write.to != write.from + 1 {
            let message = format!("{} over {}", told(), write.from);
            return Verdict::violated("lock", "lost update", message);
        }
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
                What::Fail(_) | What::Info | What::Invoke(_) => {}
            }
        }
        self.read = history.events.len();
        Verdict::Holds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: Object = Object(0);

    fn token(holder: u16, seq: u32) -> Token {
        Token { holder: NodeId(holder), incarnation: 1, seq }
    }

    /// Holds of one object: holder, begin, end.
    fn judged(holds: &[(u16, u64, u64)]) -> Verdict {
        let hold = |(seq, &(holder, begin, end)): (u32, &(u16, u64, u64))| Hold {
            object: X,
            token: token(holder, seq),
            asked: begin,
            begin,
            end,
        };
        let holds: Vec<Hold> = (1..).zip(holds).map(hold).collect();
        linearizable(&Keyed::new(Mutex), &history_of(&holds))
    }

    #[test]
    fn holds_that_follow_each_other_are_a_mutex() {
        assert!(judged(&[]).holds());
        assert!(judged(&[(4, 0, 9), (5, 9, 20), (4, 30, 31)]).holds());
        assert!(judged(&[(5, 9, 20), (4, 0, 9)]).holds());
        assert!(judged(&[(4, 4, 4), (5, 4, 20)]).holds(), "one that had ended");
    }

    #[test]
    fn two_holds_at_once_are_not() {
        assert!(judged(&[(4, 0, 10), (5, 9, 20)]).is_violated());
        assert!(judged(&[(4, 0, 10), (4, 9, 20)]).is_violated(), "its own, twice");
        assert!(judged(&[(4, 0, 10), (5, 4, 4)]).is_violated(), "a moment is a hold");
    }

    /// What the audit says of these writes: call, from, to.
    fn audited(effects: bool, writes: &[(u32, u64, u64)]) -> Option<String> {
        let request = |call| RequestId { client: NodeId(9), call };
        let applied = |&(call, from, to): &(u32, u64, u64)| Applied {
            token: token(4, 1),
            request: request(call),
            from,
            to,
        };
        let objects = BTreeMap::from([(X, writes.iter().map(applied).collect())]);
        let mut audit = Audit { effects, ..Audit::default() };
        audit.asked.extend((1..=2).map(|call| (request(call), X)));
        let verdict = audit.store(&Durable { objects });
        verdict.anomaly().map(|anomaly| anomaly.class.to_string())
    }

    #[test]
    fn the_audit_follows_the_store() {
        assert_eq!(audited(true, &[(1, 0, 1), (2, 1, 2)]), None);
        assert_eq!(audited(true, &[(1, 0, 1), (2, 1, 1)]).as_deref(), Some("lost update"));
        assert_eq!(audited(false, &[(1, 0, 1), (2, 1, 1)]), None, "nothing is promised of effects");
        assert_eq!(audited(false, &[(1, 0, 1), (1, 1, 2)]).as_deref(), Some("applied twice"));
        assert_eq!(audited(false, &[(3, 0, 1)]).as_deref(), Some("nobody asked"));
    }

    #[test]
    fn an_answer_is_what_was_written_or_a_violation() {
        let line =
            |what| Event { at: 0, op: 0, actor: Actor::Client(5), process: 0, call: 1, what };
        let asked = line(What::Invoke(Op::Increment(X)));
        let told = |value| line(What::Ok(Ret::Incremented(value)));
        let request = RequestId { client: NodeId(9), call: 1 };
        for (value, holds) in [(1, true), (2, false)] {
            let history = History { events: vec![asked.clone(), told(value)] };
            let applied = BTreeMap::from([((request, X), 1)]);
            let mut audit = Audit { applied, ..Audit::default() };
            assert_eq!(audit.clients(&history, 4).holds(), holds);
            assert!(Audit::default().clients(&history, 4).is_violated(), "nothing is durable");
        }
    }
}
