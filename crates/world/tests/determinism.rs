//! The same case gives the same run: always, everywhere, and as far as possible after a change.

mod common;

use common::*;
use node::{Dice, EffectKind};
use world::{
    Address, Direction, Edge, Fault, Happening, Kind, Network, Origin, Place, Profile, Scene, World,
};

/// A case with something of everything: calls that write, force, forward and answer, on five
/// nodes, with random fates.
fn lively(seed: u64) -> PuppetCase {
    let mut dice = Dice::new(seed);
    let calls = (0..20)
        .map(|call| {
            let (first, second) = (dice.below(5) as u16, dice.below(5) as u16);
            let answer = match dice.below(4) {
                0 => Do::Fail,
                1 => Do::Retry(Some(second)),
                _ => Do::Ok(call),
            };
            let heard = vec![Do::Roll, Do::Persist(call), Do::Send(first, vec![answer])];
            let far = vec![Do::Now, Do::Force(call), Do::Send(second, heard)];
            let script = vec![
                Do::Persist(call),
                Do::Send(second, far.clone()),
                Do::Timer(5 + dice.below(20), 1, vec![Do::Roll, Do::Send(first, vec![Do::Wall])]),
                Do::Background(30, 2, vec![Do::Send(second, vec![])]),
            ];
            (u64::from(call) * 10, first, script)
        })
        .collect();
    let start = vec![Do::Invoke, Do::Timer(7, 3, vec![Do::Complete(Ending::Ok)])];
    let mut case = case(vec![start; 5], calls);
    case.seed.0 = seed;
    case.sync = ms(seed % 3);
    case.network = Network {
        slowest: ms(9),
        loss: 50,
        duplicate: 100,
        delay: 30,
        reorder: 50,
        corrupt: 20,
        ..Network::default()
    };
    if seed.is_multiple_of(4) {
        case.network.profile = Profile::Stream;
    }
    case.clients.count = 5;
    case.calls.iter_mut().for_each(|call| call.client %= 5);
    case
}

#[test]
fn a_run_is_the_same_twice_and_whether_it_is_recorded_or_not() {
    for seed in 0..100 {
        let case = lively(seed);
        // `run` compares a recorded run with one that is not.
        let (first, second) = (run(&case), run(&case));
        assert_eq!(first.digest(), second.digest());
        assert_eq!(first.events(), second.events());
        assert_eq!(first.history(), second.history());
    }
}

#[test]
fn another_seed_is_another_run() {
    let digest = |seed| {
        let mut case = lively(1);
        case.seed.0 = seed;
        run(&case).digest()
    };
    assert_ne!(digest(1), digest(2));
}

/// A hand-written case whose digest is written down here: run in debug and in release, the test
/// shows that both agree. Whatever changes the engine's behaviour changes this number, and is
/// free to; the number of events and the history say whether that was meant.
#[test]
fn a_golden_digest() {
    let ask = |to: u16, note| {
        let answer = vec![Do::Roll, Do::Force(note), Do::Send(0, vec![Do::Ok(note)])];
        vec![Do::Persist(note), Do::Send(to, answer), Do::Timer(30, 1, vec![Do::Now, Do::Wall])]
    };
    let mut case = case(
        vec![vec![Do::Background(100, 9, vec![Do::Send(1, vec![])])], vec![], vec![]],
        vec![(10, 0, ask(1, 1)), (20, 0, ask(2, 2)), (30, 0, vec![Do::Fail]), (40, 0, ask(1, 4))],
    );
    case.sync = ms(2);
    case.network.slowest = ms(7);
    (case.network.loss, case.network.duplicate) = (50, 200);
    let case = case
        .with(at(0), Kind::Rate { node: n(0), ppm: 1234 })
        .with(at(25), Kind::Pause { node: n(2), lasts: ms(40) })
        .with(
            effect(Edge::During, 1, EffectKind::Force, 2),
            Kind::PowerLoss { nodes: vec![n(0), n(1)], down: ms(50) },
        )
        .with(at(300), Kind::Cut { nodes: vec![n(0)], direction: Direction::Both, lasts: ms(9) })
        .with(Place::Call(1), Kind::Retry { after: ms(60) });
    let world = run(&case);
    let digest = format!("{:016x}", world.digest());
    assert_eq!((world.steps(), world.deliveries(), digest.as_str()), GOLDEN);
}

const GOLDEN: (u64, u64, &str) = (44, 14, "79e089b8f0991ce7");

/// What became of every message: when it arrived, or that it did not.
fn fates(world: &World<Puppet>) -> Vec<(Origin, u16, u16, u32, u64, Happening)> {
    let events = world.events().iter().filter(|event| event.nth > 0);
    let mut fates: Vec<_> = events
        .filter_map(|event| {
            Some((event.origin?, event.peer?.0, event.node.0, event.nth, event.at, event.what))
        })
        .collect();
    fates.sort_unstable();
    fates
}

#[test]
fn removing_a_call_leaves_the_fates_of_what_it_did_not_cause() {
    for seed in 1..100 {
        let mut case = lively(seed);
        // Clients with one call each, and no syncs to wait for: no call waits for another.
        case.network.profile = Profile::Datagram;
        case.sync = ms(0);
        case.clients.count = 20;
        (0..20).for_each(|call| case.calls[call].client = call as u16);
        let whole = fates(&run(&case));
        for removed in [0, 7, 19] {
            let mut less = case.clone();
            let id = less.calls.remove(removed).id;
            let caused = |origin: Origin| matches!(origin, Origin::Call(call) if call == id);
            // Background timers are shared: what they send depends on who sets them last.
            let other = |fate: &&(Origin, u16, u16, u32, u64, Happening)| {
                !caused(fate.0) && !matches!(fate.0, Origin::Boot(_))
            };
            let rest = fates(&run(&less));
            let expected: Vec<_> = whole.iter().filter(other).collect();
            let found: Vec<_> = rest.iter().filter(other).collect();
            assert_eq!(found, expected, "seed {seed}, without call {id}");
        }
    }
}

#[test]
fn removing_a_call_leaves_what_other_handlers_draw() {
    let roll = |i: u64| (10 * i, 0, vec![Do::Roll, Do::Roll]);
    let case = still(1, (1..6).map(roll).collect());
    let whole = notes(&run(&case), 0);
    let mut less = case;
    less.calls.remove(1);
    let rest = notes(&run(&less), 0);
    assert_eq!(rest, [&whole[..2], &whole[4..]].concat());
}

#[test]
fn drawn_fates_placed_as_faults_give_the_same_run() {
    let mut placed = 0;
    for seed in 0..300 {
        let case = lively(seed);
        let drawn = run(&case);
        let mut spelled = case.clone();
        spelled.network = case.network.calm();
        for (fate, id) in drawn.drawn().iter().zip(0..) {
            let (place, kind) = (Place::Message(fate.address), fate.kind.clone());
            spelled.faults.push(Fault { id, place, kind });
        }
        placed += spelled.faults.len();
        let text = toml::to_string(&spelled).expect("a case is TOML");
        let spelled: PuppetCase = toml::from_str(&text).expect("and TOML is a case");
        let again = run(&spelled);
        assert_eq!(again.history(), drawn.history(), "seed {seed}");
        assert_eq!(again.digest(), drawn.digest(), "seed {seed}");
        assert_eq!(again.effective(), drawn.effective(), "seed {seed}");
        assert!(again.drawn().iter().eq(drawn.drawn()), "what is placed is drawn again");
        assert!(again.missed().is_empty());
    }
    assert!(placed > 5_000, "{placed}");
}

#[test]
fn other_dice_from_some_moment_on_are_another_future_of_the_same_past() {
    let case = lively(3);
    let mut runs = [1, 2].map(|seed| {
        let mut world: World<Puppet> = World::new(&case);
        world.record();
        while world.now() < 50_000_000 && world.step() {}
        let past = world.events().len();
        world.reseed(seed);
        world.run();
        (past, world.events().to_vec())
    });
    let past = runs[0].0;
    assert_eq!(past, runs[1].0);
    assert_eq!(runs[0].1[..past], runs[1].1[..past]);
    assert_ne!(runs[0].1.split_off(past), runs[1].1.split_off(past));
}

#[test]
fn an_address_is_a_message() {
    let world = run(&lively(5));
    let mut seen = std::collections::BTreeSet::new();
    for event in world.events().iter().filter(|event| event.what == Happening::Send) {
        assert!(event.origin.is_some());
    }
    for drawn in world.drawn() {
        let Address { from, to, origin, nth } = drawn.address;
        seen.insert((from, to, origin, nth, drawn.kind.kind()));
    }
    assert_eq!(seen.len(), world.drawn().len(), "no two messages share an address");
}
