//! A case survives its own file, and one that makes no sense is refused by name.

mod common;

use common::*;
use node::{Dice, EffectKind, Mutation, MutationKind, NodeId};
use std::time::Duration;
use world::{
    Address, Case, Direction, Edge, EffectPattern, Fault, FaultKind, Kind, Mutant, Network, Origin,
    Place, Profile, Seed, SyncFailure,
};

/// Any number of 64 bits or fewer: small ones, large ones and the ends of ranges.
fn number(dice: &mut Dice) -> u64 {
    let bits = dice.below(65) as u32;
    dice.bits().checked_shr(64 - bits).unwrap_or(0)
}

fn id(dice: &mut Dice) -> u32 {
    number(dice) as u32
}

fn node(dice: &mut Dice) -> NodeId {
    NodeId(number(dice) as u16)
}

fn nodes(dice: &mut Dice) -> Vec<NodeId> {
    (0..dice.below(4)).map(|_| node(dice)).collect()
}

fn time(dice: &mut Dice) -> Duration {
    Duration::from_nanos(number(dice))
}

/// TOML's integers have a sign.
fn signed(dice: &mut Dice) -> i64 {
    number(dice) as i64
}

fn origin(dice: &mut Dice) -> Origin {
    match dice.below(4) {
        0 => Origin::Call(id(dice)),
        1 => Origin::Boot(node(dice).0),
        2 => Origin::Fault(id(dice)),
        _ => Origin::Heal,
    }
}

fn one<T: Clone>(dice: &mut Dice, of: &[T]) -> T {
    of[dice.below(of.len() as u64) as usize].clone()
}

fn pattern(dice: &mut Dice) -> EffectPattern {
    use EffectKind::*;
    let kinds =
        [Persist, Force, Snapshot, Send, SetTimer, CancelTimer, Reply, Invoke, Complete, Mark];
    let names = [None, Some("Prepare"), Some("A_1"), Some("Ünicode")];
    match dice.below(5) {
        0 => EffectPattern::default(),
        _ => EffectPattern {
            kind: Some(one(dice, &kinds)),
            variant: one(dice, &names).map(str::to_owned),
        },
    }
}

fn place(dice: &mut Dice) -> Place {
    match dice.below(4) {
        0 => Place::At(time(dice)),
        1 => Place::Effect {
            edge: one(dice, &[Edge::Before, Edge::During, Edge::After]),
            node: node(dice),
            effect: pattern(dice),
            origin: (dice.below(2) == 0).then(|| origin(dice)),
            nth: id(dice),
        },
        2 => Place::Message(Address {
            from: node(dice),
            to: node(dice),
            origin: origin(dice),
            nth: id(dice),
        }),
        _ => Place::Call(id(dice)),
    }
}

fn kind(dice: &mut Dice) -> Kind {
    let node = node(dice);
    match one(dice, FaultKind::ALL) {
        FaultKind::Delay => Kind::Delay { by: time(dice) },
        FaultKind::Loss => Kind::Loss,
        FaultKind::Duplicate => Kind::Duplicate { takes: time(dice) },
        FaultKind::Reorder => Kind::Reorder { by: time(dice) },
        FaultKind::Corrupt => Kind::Corrupt,
        FaultKind::Cut => Kind::Cut {
            nodes: nodes(dice),
            direction: one(dice, &[Direction::Both, Direction::Into, Direction::OutOf]),
            lasts: time(dice),
        },
        FaultKind::SlowLink => {
            Kind::SlowLink { from: node, to: node, by: time(dice), lasts: time(dice) }
        }
        FaultKind::Crash => Kind::Crash { node, down: time(dice) },
        FaultKind::Restart => Kind::Restart { node },
        FaultKind::CrashLoop => Kind::CrashLoop { node, times: id(dice), every: time(dice) },
        FaultKind::Pause => Kind::Pause { node, lasts: time(dice) },
        FaultKind::Retire => Kind::Retire { node },
        FaultKind::PowerLoss => Kind::PowerLoss { nodes: nodes(dice), down: time(dice) },
        FaultKind::TornWrite => Kind::TornWrite { node, down: time(dice) },
        FaultKind::BitRot => Kind::BitRot { node, permanent: dice.below(2) == 0 },
        FaultKind::FailedSync => Kind::FailedSync {
            node,
            leaves: one(dice, &[SyncFailure::Lost, SyncFailure::Kept, SyncFailure::Vanishing]),
            down: time(dice),
        },
        FaultKind::FullDisk => Kind::FullDisk { node },
        FaultKind::SlowSync => Kind::SlowSync { node, by: time(dice), lasts: time(dice) },
        FaultKind::WallOffset => Kind::WallOffset { node, millis: signed(dice) },
        FaultKind::WallDrift => Kind::WallDrift { node, ppm: signed(dice) },
        FaultKind::WallJump => Kind::WallJump { node, millis: signed(dice) },
        FaultKind::Rate => Kind::Rate { node, ppm: signed(dice) },
        FaultKind::Retry => Kind::Retry { after: time(dice) },
        FaultKind::DuplicateRequest => Kind::DuplicateRequest { after: time(dice) },
        FaultKind::ClientCrash => Kind::ClientCrash { after: time(dice) },
    }
}

fn any_case(dice: &mut Dice) -> PuppetCase {
    let mut case = still(1, vec![(dice.below(100), 0, vec![Do::Force(1), Do::Ok(2)])]);
    case.seed = Seed(number(dice));
    case.mutant = match dice.below(4) {
        0 => None,
        1 => Some(one(dice, &MutationKind::ALL).into()),
        2 => Some(Mutant::Own("A1".to_owned())),
        _ => {
            let (kind, only) = (one(dice, &MutationKind::ALL), Some("Commit".to_owned()));
            Some(Mutation { kind, only }.into())
        }
    };
    (case.heal_at, case.end_at, case.sync) = (time(dice), time(dice), time(dice));
    case.clients.give_up = time(dice);
    case.clients.deduplicated = dice.below(2) == 0;
    case.network = Network {
        profile: one(dice, &[Profile::Datagram, Profile::Stream]),
        fastest: time(dice),
        slowest: time(dice),
        tail: time(dice),
        loss: dice.below(3) as u16,
        duplicate: number(dice) as u16,
        delay: dice.below(3) as u16,
        reorder: dice.below(3) as u16,
        corrupt: number(dice) as u16,
    };
    case.faults = (0..dice.below(4))
        .map(|_| Fault { id: id(dice), place: place(dice), kind: kind(dice) })
        .collect();
    case
}

#[test]
fn a_case_survives_its_own_file() {
    let mut kinds = world::Faults::NONE;
    for seed in 0..100_000 {
        let case = any_case(&mut Dice::new(seed));
        let text = toml::to_string(&case).unwrap_or_else(|why| panic!("{seed}: {why}\n{case:?}"));
        let read = toml::from_str::<PuppetCase>(&text);
        let read = read.unwrap_or_else(|why| panic!("{seed}: {why}\n{text}"));
        assert_eq!(read, case, "{seed}:\n{text}");
        case.faults.iter().for_each(|fault| kinds.add(fault.kind.kind()));
    }
    assert_eq!(kinds, world::Faults::ALL);
}

#[test]
fn a_case_reads_like_a_story() {
    let case = still(2, vec![(10, 1, vec![Do::Ok(1)])])
        .with(effect(Edge::During, 1, EffectKind::Force, 2), Kind::Restart { node: n(1) });
    let text = toml::to_string(&case).expect("TOML");
    for line in ["seed = \"0x29\"", "heal_at = \"1s\"", "effect = \"Force\"", "edge = \"during\""] {
        assert!(text.contains(line), "no {line} in\n{text}");
    }
}

/// Engines are handed cases of strangers.
#[test]
fn no_case_that_passes_its_check_makes_the_engine_panic() {
    let (mut ran, mut refused) = (0, 0);
    for seed in 0..30_000 {
        let mut dice = Dice::new(seed);
        let mut case = any_case(&mut dice);
        let calls = lively_calls(&mut dice);
        let rest = still(3, calls);
        (case.nodes, case.calls, case.clients.count) = (rest.nodes, rest.calls, 4);
        case.end_at = case.end_at.min(Duration::from_secs(1_000_000));
        case.heal_at = case.heal_at.min(case.end_at);
        case.network.fastest = case.network.fastest.min(case.network.slowest);
        for fault in &mut case.faults {
            fault.kind.nodes_mut().into_iter().for_each(|node| node.0 %= 3);
            fit(fault, &mut dice);
        }
        if case.check().is_err() {
            refused += 1;
            continue;
        }
        ran += 1;
        let mut world: world::World<Puppet> = world::World::new(&case);
        world.limit_steps(20_000);
        world.run();
    }
    assert!(ran > 20_000, "{ran} ran, {refused} were refused");
}

fn lively_calls(dice: &mut Dice) -> Vec<(u64, u16, Vec<Do>)> {
    let script = |dice: &mut Dice| {
        vec![
            Do::Persist(1),
            Do::Timer(dice.below(1 << 40), 1, vec![Do::Wall]),
            Do::Force(2),
            Do::Send(1, vec![Do::Snapshot(vec![3]), Do::Send(0, vec![Do::Ok(1)])]),
            Do::Invoke,
        ]
    };
    (0..4).map(|at| (at * 10, dice.below(3) as u16, script(dice))).collect()
}

/// Puts a fault where one of its kind can be.
fn fit(fault: &mut Fault, dice: &mut Dice) {
    let address = Address { from: n(4), to: n(0), origin: Origin::Call(1), nth: 1 };
    fault.place = match fault.kind {
        Kind::Loss | Kind::Corrupt | Kind::Duplicate { .. } | Kind::Delay { .. } => {
            Place::Message(address)
        }
        Kind::Reorder { .. } => Place::Message(address),
        Kind::Retry { .. } | Kind::DuplicateRequest { .. } | Kind::ClientCrash { .. } => {
            Place::Call(dice.below(4) as u32)
        }
        Kind::Rate { .. } | Kind::WallOffset { .. } | Kind::WallDrift { .. } => at(0),
        _ if dice.below(2) == 0 => at(dice.below(100)),
        _ => effect(one(dice, &[Edge::Before, Edge::During, Edge::After]), 0, EffectKind::Send, 1),
    };
}

#[test]
fn a_case_that_makes_no_sense_is_refused_by_name() {
    let good = || still(2, vec![(10, 1, vec![]), (20, 1, vec![])]);
    let refused = |edit: &dyn Fn(&mut PuppetCase), why: &str| {
        let mut case = good();
        edit(&mut case);
        let error = case.check().expect_err(why);
        assert!(error.contains(why), "{error}: expected something about {why}");
    };
    good().check().expect("good");
    refused(&|c| c.version = 2, "version 2");
    refused(&|c| c.nodes.clear(), "nodes: 0");
    refused(&|c| c.nodes = vec![vec![]; 65], "nodes: 65");
    refused(&|c| c.heal_at = ms(3000), "heal_at");
    refused(&|c| c.network.fastest = ms(50), "network.fastest");
    refused(&|c| c.clients.count = 60_000, "clients.count");
    refused(&|c| c.calls[1].id = 0, "there twice");
    refused(&|c| c.calls[1].client = 2, "no such client");
    refused(&|c| c.calls[1].to = n(2), "no node n2");
    refused(
        &|c| {
            c.calls[0].id = 5;
            c.calls[1].client = 0;
        },
        "increasing",
    );
    let fault = |place: Place, kind: Kind| {
        move |c: &mut PuppetCase| *c = c.clone().with(place.clone(), kind.clone())
    };
    refused(&fault(at(5), Kind::Loss), "cannot be placed");
    refused(&fault(at(5), Kind::Rate { node: n(0), ppm: 1 }), "cannot be placed");
    refused(&fault(at(0), Kind::Rate { node: n(0), ppm: i64::MIN }), "900,000 ppm");
    refused(&fault(at(0), Kind::Restart { node: n(2) }), "no node n2");
    let armed = effect(Edge::Before, 70, EffectKind::Send, 1);
    refused(&fault(armed, Kind::Restart { node: n(0) }), "no node n70");
}

#[test]
fn unknown_fields_are_refused() {
    let text = toml::to_string(&still(1, vec![])).expect("TOML");
    let odd = text.replace("[clients]", "[clients]\ncolour = 3");
    assert!(toml::from_str::<Case<Script, Vec<Do>>>(&odd).is_err());
}
