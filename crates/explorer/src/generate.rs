//! Cases out of choices. A seed's choices come from a random stream, a fuzzer's from its bytes: the
//! decoder is the same, and every outcome of every choice is a valid case.

use crate::engine::Engine;
use crate::scenario::{CaseFor, ConfigOf, OpOf, Scenario, Shape};
use node::{NodeId, mix};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::sync::Arc;
use std::time::Duration;
use world::case::{CASE_VERSION, Clients, Profile};
use world::fault::{Direction, EffectPattern};
use world::{
    Address, Call, Case, Edge, Fault, FaultKind, Faults, Kind, Mutant, Network, Origin, Place,
    Seed, SyncFailure,
};

/// How a campaign narrows its cases down.
#[derive(Clone, Debug, Default)]
pub struct Narrow {
    /// Only these kinds.
    pub faults: Option<Faults>,
    /// At most so many faults, all of them placed: no random fates.
    pub max_faults: Option<u16>,
    /// At most so many calls.
    pub max_calls: Option<u16>,
    /// The planted bug.
    pub mutant: Option<Mutant>,
    /// What this checker finds is overlooked, to learn what the others see; on the heap engine.
    pub deaf_to: Option<String>,
    /// Where they run, if not on the heap engine: they have only the faults that it has.
    pub engine: Option<Arc<dyn Engine>>,
}

/// Where choices come from.
trait Choices {
    /// A number below `bound`, which is at least 1.
    fn below(&mut self, bound: u64) -> u64;

    /// The runner that generates the next operation or configuration.
    fn runner(&mut self) -> &mut TestRunner;

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }

    /// Rarely true, and never where a fuzzer's bytes have ended.
    fn per_mille(&mut self, chance: u64) -> bool {
        self.below(1000) >= 1000 - chance
    }

    /// A span of time up to `most`, short ones as likely as long ones.
    fn span(&mut self, most: Duration) -> Duration {
        let shift = self.below(10) as u32;
        Duration::from_micros(1 + self.below((most.as_micros() as u64 >> shift).max(1)))
    }

    /// A span of time up to `most`, and seldom too short for a few messages to meet it.
    fn while_(&mut self, most: Duration) -> Duration {
        let shift = self.below(4) as u32;
        Duration::from_micros(1 + self.below((most.as_micros() as u64 >> shift).max(1)))
    }

    fn moment(&mut self, before: Duration) -> Duration {
        Duration::from_micros(self.below((before.as_micros() as u64).max(1)))
    }

    fn node(&mut self, nodes: usize) -> NodeId {
        NodeId(self.below(nodes as u64) as u16)
    }

    /// Sender and receiver, one of them a node: clients do not talk to each other. The first of all
    /// machines are the nodes.
    fn link(&mut self, nodes: usize, machines: usize) -> (NodeId, NodeId) {
        let node = self.node(nodes);
        let among = self.of(&[nodes, machines]);
        let other = match self.node(among) {
            same if same == node => NodeId((same.0 + 1) % machines as u16),
            other => other,
        };
        if self.below(2) == 0 { (node, other) } else { (other, node) }
    }
}

fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    for (i, chunk) in bytes.chunks_exact_mut(8).enumerate() {
        chunk.copy_from_slice(&mix(seed, i as u64).to_le_bytes());
    }
    // Every field that the environment could set is set here.
    let config = Config { failure_persistence: None, cases: 1, ..Config::with_cases(1) };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

struct Stream {
    key: u64,
    drawn: u64,
    runner: TestRunner,
}

impl Choices for Stream {
    fn below(&mut self, bound: u64) -> u64 {
        self.drawn += 1;
        ((u128::from(mix(self.key, self.drawn)) * u128::from(bound)) >> 64) as u64
    }

    fn runner(&mut self) -> &mut TestRunner {
        &mut self.runner
    }
}

/// A fuzzer's bytes. Where they end, every choice is the first one.
struct Bytes<'a> {
    rest: &'a [u8],
    picked: u64,
    runner: TestRunner,
}

impl Bytes<'_> {
    fn take(&mut self) -> u64 {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        u64::from(*first)
    }
}

impl Choices for Bytes<'_> {
    fn below(&mut self, bound: u64) -> u64 {
        let mut value = 0;
        let mut reach = 1u64;
        while reach < bound {
            value = value << 8 | self.take();
            reach = reach.saturating_mul(256);
        }
        value % bound
    }

    /// Two bytes choose; equal ones choose differently each time, or values that must be unique
    /// would not be.
    fn runner(&mut self) -> &mut TestRunner {
        let small = self.take() << 8 | self.take();
        self.picked += 1;
        self.runner = runner(self.picked << 16 | small);
        &mut self.runner
    }
}

/// The case of a seed.
pub fn case_of_seed<S: Scenario>(scenario: &S, seed: Seed, narrow: &Narrow) -> CaseFor<S> {
    let mut stream = Stream { key: seed.0, drawn: 0, runner: runner(seed.0) };
    generate(scenario, seed, narrow, &mut stream)
}

/// The case that bytes spell. Every input is a valid case.
pub fn case_of_bytes<S: Scenario>(scenario: &S, bytes: &[u8], narrow: &Narrow) -> CaseFor<S> {
    let mut choices = Bytes { rest: bytes, picked: 0, runner: runner(0) };
    let seed = Seed(choices.below(1 << 16));
    generate(scenario, seed, narrow, &mut choices)
}

fn pick<T: std::fmt::Debug>(strategy: &impl Strategy<Value = T>, c: &mut impl Choices) -> T {
    // A strategy that rejects everything is a bug of the scenario's author.
    match strategy.new_tree(c.runner()) {
        Ok(tree) => tree.current(),
        Err(reason) => panic!("a strategy of the scenario generates nothing: {reason}"),
    }
}

fn generate<S: Scenario>(
    scenario: &S,
    seed: Seed,
    narrow: &Narrow,
    c: &mut impl Choices,
) -> CaseFor<S> {
    let shape = scenario.shape();
    let mut shape = match &narrow.engine {
        Some(engine) => engine.shape(shape),
        None => shape,
    };
    let timed = narrow.engine.as_ref().is_some_and(|engine| !engine.sees_effects());
    shape.calls = shape.calls.min(narrow.max_calls.unwrap_or(u16::MAX));
    let nodes = pick(&scenario.cluster(&shape), c);
    let engine = narrow.engine.as_ref().map_or(Faults::ALL, |engine| engine.kinds());
    let kinds = narrow.faults.unwrap_or(Faults::ALL).only(engine);
    let kinds = swarm(shape.faults.only(kinds), c);
    let heal_at = shape.trouble / 4 + c.moment(shape.trouble * 3 / 4);
    // Calls come in bursts or far apart, and faults where calls are; where faults strike at times,
    // in which a process may have to start, bursts are longer.
    let busy = heal_at / c.of(if timed { &[1, 1, 2, 4] } else { &[1, 1, 10, 100] });
    let calls = calls(scenario, &shape, &nodes, (busy, heal_at), c);
    let mut case = Case {
        version: CASE_VERSION,
        scenario: scenario.name(),
        mutant: narrow.mutant.clone(),
        seed,
        heal_at,
        end_at: heal_at + shape.deadline,
        sync: Duration::from_micros(c.of(&[0, 0, 200, 1000, 5000])),
        clients: Clients {
            count: shape.clients,
            give_up: shape.give_up,
            deduplicated: shape.deduplicated,
        },
        network: network(&shape, kinds, narrow.max_faults.is_some(), c),
        nodes,
        calls,
        faults: Vec::new(),
    };
    let losable = scenario.losable(&case.nodes);
    let plan = Vec::new();
    let mut faults = Drafted { shape: &shape, kinds, busy, timed, losable, lost: 0, plan };
    match narrow.max_faults {
        None => faults.plan_for(&case, c),
        Some(most) => faults.few_for(&case, most, c),
    }
    case.faults = faults.plan;
    leave_out_what_is_too_much(scenario, &mut case);
    case
}

/// The generator knows the shape; a scenario may ask for more than a shape can say. Whatever makes
/// a case one that the scenario does not speak of is left out: the last calls, then single faults.
fn leave_out_what_is_too_much<S: Scenario>(scenario: &S, case: &mut CaseFor<S>) {
    if scenario.valid(case) {
        return;
    }
    let faults = std::mem::take(&mut case.faults);
    while !scenario.valid(case) && case.calls.pop().is_some() {}
    for fault in faults {
        case.faults.push(fault);
        if !scenario.valid(case) {
            case.faults.pop();
        }
    }
}

/// Each seed switches whole kinds off, and now and then all of them.
fn swarm(allowed: Faults, c: &mut impl Choices) -> Faults {
    if c.below(32) == 0 {
        return Faults::NONE;
    }
    let bits = c.below(1 << FaultKind::ALL.len());
    let mut kinds = Faults::NONE;
    for (i, kind) in FaultKind::ALL.iter().enumerate() {
        if allowed.has(*kind) && bits >> i & 1 == 1 {
            kinds.add(*kind);
        }
    }
    kinds
}

fn network(shape: &Shape, kinds: Faults, calm: bool, c: &mut impl Choices) -> Network {
    let profile =
        if shape.streams && c.below(4) == 0 { Profile::Stream } else { Profile::Datagram };
    let fastest = Duration::from_micros(c.of(&[100, 1000, 1000, 5000]));
    let slowest = fastest + Duration::from_micros(c.of(&[0, 1000, 4000, 20_000]));
    let tail = Duration::from_millis(c.of(&[50, 200, 1000]));
    let mut chance = |kind, rates: &[u16]| {
        let rate = c.of(rates);
        if kinds.has(kind) && !calm { rate } else { 0 }
    };
    Network {
        profile,
        fastest,
        slowest,
        tail,
        loss: chance(FaultKind::Loss, &[10, 50, 200]),
        duplicate: chance(FaultKind::Duplicate, &[10, 50, 200]),
        delay: chance(FaultKind::Delay, &[10, 50, 200]),
        reorder: chance(FaultKind::Reorder, &[10, 100, 300]),
        corrupt: chance(FaultKind::Corrupt, &[5, 20, 100]),
    }
}

fn calls<S: Scenario>(
    scenario: &S,
    shape: &Shape,
    nodes: &[ConfigOf<S>],
    (busy, heal_at): (Duration, Duration),
    c: &mut impl Choices,
) -> Vec<Call<OpOf<S>>> {
    let strategy = scenario.op();
    let most = u64::from(shape.calls.max(1));
    let count = if c.below(4) == 0 { 1 + c.below(most) } else { most };
    let entries: Vec<Vec<NodeId>> =
        (0..shape.clients).map(|client| scenario.entries(nodes, client)).collect();
    // Most calls meet the faults; some find out whether the cluster still works afterwards.
    let mut times: Vec<Duration> = (0..count)
        .map(|_| {
            let late = c.per_mille(125);
            let at = c.moment(if late { shape.deadline / 4 } else { busy });
            if late { heal_at + at } else { at }
        })
        .collect();
    times.sort_unstable();
    let mut calls = Vec::with_capacity(times.len());
    for (id, at) in times.into_iter().enumerate() {
        let client = c.below(u64::from(shape.clients.max(1))) as u16;
        let mut op = pick(&strategy, c);
        scenario.fit(&mut op, nodes);
        let to = c.of(&entries[usize::from(client)]);
        calls.push(Call { id: id as u32, at, client, to, op });
    }
    calls
}

/// Kinds whose faults strike at a time or at an effect.
const PLACED: Faults = Faults::of(&[
    FaultKind::Cut,
    FaultKind::SlowLink,
    FaultKind::Crash,
    FaultKind::Restart,
    FaultKind::CrashLoop,
    FaultKind::Pause,
    FaultKind::Retire,
    FaultKind::PowerLoss,
    FaultKind::TornWrite,
    FaultKind::BitRot,
    FaultKind::FailedSync,
    FaultKind::FullDisk,
    FaultKind::SlowSync,
    FaultKind::WallJump,
]);
/// Kinds whose faults strike at a write.
const DISKS: Faults = Faults::of(&[
    FaultKind::TornWrite,
    FaultKind::BitRot,
    FaultKind::FailedSync,
    FaultKind::FullDisk,
    FaultKind::SlowSync,
]);
const CLOCKS: Faults = Faults::of(&[FaultKind::Rate, FaultKind::WallOffset, FaultKind::WallDrift]);
const FATES: Faults = Faults::of(&[
    FaultKind::Loss,
    FaultKind::Duplicate,
    FaultKind::Delay,
    FaultKind::Reorder,
    FaultKind::Corrupt,
]);
const CLIENTS: Faults =
    Faults::of(&[FaultKind::Retry, FaultKind::DuplicateRequest, FaultKind::ClientCrash]);

/// A fault plan in the making.
struct Drafted<'a> {
    shape: &'a Shape,
    kinds: Faults,
    busy: Duration,
    /// Faults strike at times alone.
    timed: bool,
    losable: Vec<NodeId>,
    lost: u16,
    plan: Vec<Fault>,
}

impl Drafted<'_> {
    fn add(&mut self, place: Place, kind: Kind) {
        self.plan.push(Fault { id: self.plan.len() as u32, place, kind });
    }

    /// A plan beside random fates: placed faults, wrong clocks, and clients' troubles.
    fn plan_for<Op, C>(&mut self, case: &Case<Op, C>, c: &mut impl Choices) {
        // Now and then only a core heals: whoever may be lost is, at the very end of the faults.
        if self.kinds.has(FaultKind::Retire) && c.per_mille(250) {
            while let Some(node) = self.lose(c) {
                self.add(Place::At(case.heal_at), Kind::Retire { node });
            }
        }
        for kind in self.kinds.only(CLOCKS).iter() {
            for node in 0..case.nodes.len() {
                if c.below(2) == 0 {
                    let kind = self.clock(kind, NodeId(node as u16), c);
                    self.add(Place::At(Duration::ZERO), kind);
                }
            }
        }
        let placed: Vec<FaultKind> = self.kinds.only(PLACED).iter().collect();
        if !placed.is_empty() {
            for _ in 0..=c.below(u64::from(self.shape.plan.max(1))) {
                let kind = c.of(&placed);
                self.strike(case, kind, c);
            }
        }
        for call in &case.calls {
            for (kind, chance) in [
                (FaultKind::Retry, 200),
                (FaultKind::DuplicateRequest, 100),
                (FaultKind::ClientCrash, 30),
            ] {
                if self.kinds.has(kind) && c.per_mille(chance) {
                    self.trouble(case, kind, call.id, c);
                }
            }
        }
    }

    /// A few faults of any kind, and nothing else.
    fn few_for<Op, C>(&mut self, case: &Case<Op, C>, most: u16, c: &mut impl Choices) {
        let fates = if self.timed { FATES } else { Faults::NONE };
        let kinds: Vec<FaultKind> = self.kinds.without(fates).iter().collect();
        if kinds.is_empty() || most == 0 {
            return;
        }
        for _ in 0..=c.below(u64::from(most)) {
            let kind = c.of(&kinds);
            let call = c.below(case.calls.len() as u64) as usize;
            if CLOCKS.has(kind) {
                let node = c.node(case.nodes.len());
                let kind = self.clock(kind, node, c);
                self.add(Place::At(Duration::ZERO), kind);
            } else if FATES.has(kind) {
                let machines = case.nodes.len() + usize::from(case.clients.count);
                let (from, to) = c.link(case.nodes.len(), machines);
                let address = Address {
                    from,
                    to,
                    origin: Origin::Call(case.calls[call].id),
                    nth: 1 + c.below(3) as u32,
                };
                let kind = fate(kind, case.network.tail, c);
                self.add(Place::Message(address), kind);
            } else if CLIENTS.has(kind) {
                self.trouble(case, kind, case.calls[call].id, c);
            } else {
                self.strike(case, kind, c);
            }
        }
    }

    fn clock(&self, kind: FaultKind, node: NodeId, c: &mut impl Choices) -> Kind {
        let ppm = |bound: u64, c: &mut dyn FnMut(u64) -> u64| {
            i64::try_from(c(2 * bound + 1)).unwrap_or(0) - bound as i64
        };
        let below = &mut |bound| c.below(bound);
        match kind {
            FaultKind::Rate => Kind::Rate { node, ppm: ppm(self.shape.rate_ppm.into(), below) },
            FaultKind::WallDrift => Kind::WallDrift { node, ppm: ppm(100_000, below) },
            _ => Kind::WallOffset { node, millis: ppm(10_000, below) },
        }
    }

    fn trouble<Op, C>(
        &mut self,
        case: &Case<Op, C>,
        kind: FaultKind,
        call: u32,
        c: &mut impl Choices,
    ) {
        let after = c.span(case.clients.give_up);
        let kind = match kind {
            FaultKind::Retry => Kind::Retry { after },
            FaultKind::DuplicateRequest => {
                Kind::DuplicateRequest { after: c.span(case.network.slowest * 4) }
            }
            _ => Kind::ClientCrash { after },
        };
        self.add(Place::Call(call), kind);
    }

    /// A fault at a time, or at an effect of the node it strikes.
    fn strike<Op, C>(&mut self, case: &Case<Op, C>, kind: FaultKind, c: &mut impl Choices) {
        let nodes = case.nodes.len();
        let node = c.node(nodes);
        let (disk, torn) = (DISKS.has(kind), kind == FaultKind::TornWrite);
        let Some(kind) = self.kind(kind, node, nodes, case, c) else { return };
        let place = if self.timed || c.below(if disk { 4 } else { 2 }) == 0 {
            Place::At(c.moment(self.busy))
        } else {
            let anywhere = ["any", "Send", "Send", "Reply", "Persist", "Force", "Force"];
            let pattern = if disk { "Force" } else { c.of(&anywhere) };
            // Half count what one call causes, whatever others do; half count everything.
            let call = c.below(case.calls.len() as u64) as usize;
            let one = c.below(2) == 0;
            let all = if disk { [2, 4, 16] } else { [4, 16, 64] };
            let reach = c.of(if one { &[1, 2, 4] } else { &all });
            let nth = 1 + c.below(reach) as u32;
            let edges = [Edge::During, Edge::Before, Edge::After];
            Place::Effect {
                edge: c.of(if torn { &edges[..1] } else { &edges }),
                node: kind.clone().nodes_mut().first().map_or(node, |node| **node),
                effect: EffectPattern::try_from(pattern.to_owned()).unwrap_or_default(),
                origin: one.then(|| Origin::Call(case.calls[call].id)),
                nth,
            }
        };
        self.add(place, kind);
    }

    fn kind<Op, C>(
        &mut self,
        kind: FaultKind,
        node: NodeId,
        nodes: usize,
        case: &Case<Op, C>,
        c: &mut impl Choices,
    ) -> Option<Kind> {
        let machines = nodes + usize::from(case.clients.count);
        let slows = matches!(kind, FaultKind::Cut | FaultKind::SlowLink | FaultKind::SlowSync)
            || self.timed && kind == FaultKind::Pause;
        let trouble = self.shape.trouble;
        let lasts = if slows { c.while_(trouble) } else { c.span(trouble) };
        Some(match kind {
            FaultKind::Cut => {
                let side = c.below(1 << nodes.min(16)) | 1 << node.0.min(15);
                // A side without clients is asked by nobody, one with some may serve them stale.
                let (all, some) = (nodes as u16..machines as u16, c.below(2) == 1);
                let clients = all.filter(|_| some && c.below(2) == 1);
                let nodes = (0..nodes as u16).filter(|n| side >> n & 1 == 1);
                Kind::Cut {
                    nodes: nodes.chain(clients).map(NodeId).collect(),
                    direction: c.of(&[
                        Direction::Both,
                        Direction::Both,
                        Direction::Into,
                        Direction::OutOf,
                    ]),
                    lasts,
                }
            }
            FaultKind::SlowLink => {
                let (from, to) = c.link(nodes, machines);
                Kind::SlowLink { from, to, by: c.span(case.network.tail), lasts }
            }
            FaultKind::Crash => Kind::Crash { node, down: lasts },
            FaultKind::Restart => Kind::Restart { node },
            FaultKind::CrashLoop => Kind::CrashLoop {
                node,
                times: 2 + c.below(3) as u32,
                every: c.span(self.shape.trouble / 8),
            },
            FaultKind::Pause => Kind::Pause { node, lasts },
            FaultKind::Retire => self.lose(c).map(|node| Kind::Retire { node })?,
            FaultKind::PowerLoss => {
                let all = (0..nodes as u16).map(NodeId).collect();
                let several = c.below(1 << nodes.min(16));
                let mut some: Vec<NodeId> =
                    (0..nodes as u16).filter(|n| several >> n & 1 == 1).map(NodeId).collect();
                if some.is_empty() {
                    some.push(node);
                }
                let nodes = match c.below(3) {
                    0 => all,
                    1 => some,
                    _ => vec![node],
                };
                Kind::PowerLoss { nodes, down: lasts }
            }
            FaultKind::TornWrite => Kind::TornWrite { node, down: lasts },
            FaultKind::BitRot => match c.below(2) {
                0 => Kind::BitRot { node, permanent: false },
                _ => match self.lose(c) {
                    Some(node) => Kind::BitRot { node, permanent: true },
                    None => Kind::BitRot { node, permanent: false },
                },
            },
            FaultKind::FailedSync => Kind::FailedSync {
                node,
                leaves: c.of(&[SyncFailure::Lost, SyncFailure::Kept, SyncFailure::Vanishing]),
                down: lasts,
            },
            FaultKind::FullDisk => Kind::FullDisk { node },
            FaultKind::SlowSync => Kind::SlowSync { node, by: c.span(case.network.tail), lasts },
            _ => Kind::WallJump { node, millis: c.below(20_001) as i64 - 10_000 },
        })
    }

    /// One more node to lose for good, if the scenario survives that.
    fn lose(&mut self, c: &mut impl Choices) -> Option<NodeId> {
        if self.lost >= self.shape.may_lose || self.losable.is_empty() {
            return None;
        }
        self.lost += 1;
        let at = c.below(self.losable.len() as u64) as usize;
        Some(self.losable.swap_remove(at))
    }
}

fn fate(kind: FaultKind, tail: Duration, c: &mut impl Choices) -> Kind {
    match kind {
        FaultKind::Loss => Kind::Loss,
        FaultKind::Corrupt => Kind::Corrupt,
        FaultKind::Duplicate => Kind::Duplicate { takes: c.span(tail) },
        FaultKind::Delay => Kind::Delay { by: c.span(tail) },
        _ => Kind::Reorder { by: c.span(tail / 10) },
    }
}
