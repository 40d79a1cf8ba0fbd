//! Effects happen one by one after their handler; what stands behind a slow sync or a pause waits;
//! timers are values; a start sees what was synced.

mod common;

use common::*;
use node::EffectKind::{Force, Persist, Reply, Send, Snapshot};
use node::MutationKind;
use world::{Edge, Happening, Kind, Mutant, Origin, Scene, World};

fn down() -> Kind {
    Kind::Crash { node: n(0), down: ms(5000) }
}

/// Five effects, of which a test can see how many happened.
fn batch() -> Vec<Do> {
    let tell = |note| Do::Send(1, vec![Do::Note(note)]);
    vec![Do::Persist(1), tell(1), Do::Force(2), tell(2), Do::Ok(7)]
}

/// What is left after a crash: the log, what node 1 heard, whether the client was answered.
fn left(world: &World<Puppet>) -> (Vec<u32>, Vec<u64>, bool) {
    let log = world.state(n(0)).map(|puppet| puppet.log.clone()).unwrap_or_default();
    (log, notes(world, 1), history(world).last().is_some_and(|line| line == "0 ok 7"))
}

#[test]
fn a_crash_falls_between_any_two_effects() {
    let case = still(2, vec![(10, 0, batch())]);
    for (edge, kind, nth, log, heard, answered) in [
        (Edge::Before, Persist, 1, vec![], vec![], false),
        (Edge::After, Persist, 1, vec![1], vec![], false),
        (Edge::Before, Send, 1, vec![1], vec![], false),
        (Edge::After, Send, 1, vec![1], vec![1], false),
        (Edge::Before, Force, 1, vec![1], vec![1], false),
        (Edge::During, Force, 1, vec![1, 2], vec![1], false),
        (Edge::After, Force, 1, vec![1, 2], vec![1], false),
        (Edge::Before, Send, 2, vec![1, 2], vec![1], false),
        (Edge::During, Send, 2, vec![1, 2], vec![1, 2], false),
        (Edge::Before, Reply, 1, vec![1, 2], vec![1, 2], false),
        (Edge::After, Reply, 1, vec![1, 2], vec![1, 2], true),
    ] {
        let world = acts(&case.clone().with(effect(edge, 0, kind, nth), down()), CRASH);
        assert_eq!(left(&world), (log, heard, answered), "{edge:?} {kind:?} {nth}");
        assert!(world.missed().is_empty());
    }
    let third = case.with(effect(Edge::Before, 0, Force, 2), down());
    assert_eq!(idles(&third, CRASH).missed().len(), 1, "there is one force only");
}

const CRASH: world::FaultKind = world::FaultKind::Crash;

#[test]
fn a_crash_in_the_middle_of_a_broadcast() {
    let script = (1..5).map(|to| Do::Send(to, vec![Do::Note(1)])).collect();
    let case = still(5, vec![(10, 0, script)]).with(effect(Edge::After, 0, Send, 2), down());
    let world = acts(&case, CRASH);
    let heard: Vec<usize> = (1..5).map(|node| notes(&world, node).len()).collect();
    assert_eq!(heard, [1, 1, 0, 0]);
}

#[test]
fn before_during_and_after_a_slow_force() {
    let mut case = still(2, vec![(10, 0, batch())]);
    case.sync = ms(20);
    let power = Kind::PowerLoss { nodes: vec![n(0)], down: ms(5000) };
    for (edge, at_ms) in [(Edge::Before, 11), (Edge::During, 11), (Edge::After, 31)] {
        let case = case.clone().with(effect(edge, 0, Force, 1), power.clone());
        let mut lost = false;
        for seed in 0..20 {
            let mut case = case.clone();
            case.seed.0 = seed;
            let world = acts(&case, world::FaultKind::PowerLoss);
            assert_eq!(times(&world, 0, Happening::Fault), [at_ms]);
            let (log, heard, answered) = left(&world);
            assert_eq!((heard, answered), (vec![1], false));
            match edge {
                Edge::Before => assert!(log.is_empty() || log == [1]),
                Edge::During => assert!([1, 2].starts_with(&log)),
                Edge::After => assert_eq!(log, [1, 2]),
            }
            lost |= log.len() < 2;
        }
        assert_eq!(lost, edge != Edge::After);
    }
    // A crash of the process at any moment of the sync leaves what was written.
    for moment in [12, 30] {
        let world = acts(&case.clone().with(at(moment), down()), CRASH);
        assert_eq!(left(&world), (vec![1, 2], vec![1], false));
    }
}

#[test]
fn a_snapshot_is_there_wholly_or_not_at_all() {
    let script = vec![Do::Force(1), Do::Persist(2), Do::Snapshot(vec![8, 9]), Do::Ok(7)];
    let mut case = still(1, vec![(10, 0, script)]);
    assert_eq!(log(&run(&case), 0), [8, 9]);
    case.sync = ms(20);
    let mut seen = [false; 2];
    for seed in 0..20 {
        let mut case = case.clone().with(effect(Edge::During, 0, Snapshot, 1), down());
        case.seed.0 = seed;
        let log = run(&case).state(n(0)).expect("up again").log.clone();
        assert!(log == [1, 2] || log == [8, 9], "{log:?}");
        seen[usize::from(log == [8, 9])] = true;
    }
    assert_eq!(seen, [true; 2]);
}

#[test]
fn behind_a_slow_sync_all_waits_in_order() {
    let mut case = still(
        2,
        vec![
            (10, 0, vec![Do::Force(1), Do::Send(1, vec![Do::Note(1)]), Do::Note(0)]),
            (15, 0, vec![Do::Note(2), Do::Send(1, vec![Do::Note(2)]), Do::Force(2)]),
            (16, 0, vec![Do::Note(3), Do::Send(1, vec![Do::Note(3)])]),
        ],
    );
    case.sync = ms(20);
    let world = run(&case);
    assert_eq!(timed_notes(&world, 0), [(11, 0), (31, 2), (51, 3)]);
    assert_eq!(timed_notes(&world, 1), [(32, 1), (32, 2), (52, 3)]);
    assert_eq!(times(&world, 0, Happening::Synced), [31, 51]);
    assert_eq!(times(&world, 0, Happening::Request), [11, 16, 17], "they arrive and wait");
}

#[test]
fn behind_a_pause_all_waits_in_order() {
    let tell = |note| Do::Send(1, vec![Do::Note(note)]);
    let case = still(2, vec![(10, 0, vec![tell(1), tell(2)]), (20, 0, vec![tell(3)])]);
    let pause = Kind::Pause { node: n(0), lasts: ms(50) };
    for (place, heard) in [
        (effect(Edge::Before, 0, Send, 1), [(62, 1), (62, 2), (62, 3)]),
        (effect(Edge::After, 0, Send, 1), [(12, 1), (62, 2), (62, 3)]),
        (effect(Edge::Before, 0, Send, 2), [(12, 1), (62, 2), (62, 3)]),
    ] {
        let world = acts(&case.clone().with(place, pause.clone()), world::FaultKind::Pause);
        assert_eq!(timed_notes(&world, 1), heard);
    }
}

#[test]
fn an_effect_that_waited_is_counted_once() {
    let tell = |note| Do::Send(1, vec![Do::Note(note)]);
    let case = still(2, vec![(10, 0, vec![tell(1), tell(2), tell(3)])])
        .with(effect(Edge::Before, 0, Send, 1), Kind::Pause { node: n(0), lasts: ms(50) });
    let after = case.clone().with(effect(Edge::After, 0, Send, 1), down());
    assert_eq!(timed_notes(&acts(&after, CRASH), 1), [(62, 1)]);
    let second = case.with(effect(Edge::Before, 0, Send, 2), down());
    assert_eq!(timed_notes(&acts(&second, CRASH), 1), [(62, 1)]);
}

#[test]
fn a_pause_that_ends_amid_a_sync_does_not_end_the_sync() {
    let mut case = still(1, vec![(10, 0, vec![Do::Force(1), Do::Ok(1)])]);
    case.sync = ms(20);
    let pause =
        |from, lasts| case.clone().with(at(from), Kind::Pause { node: n(0), lasts: ms(lasts) });
    let world = idles(&pause(15, 5), world::FaultKind::Pause);
    assert_eq!(world.history().events[1].at, 32_000_000);
    let world = acts(&pause(15, 100), world::FaultKind::Pause);
    assert_eq!(world.history().events[1].at, 116_000_000);
}

#[test]
fn timers_are_values() {
    let note = |n| vec![Do::Note(n)];
    // Set again: only the later one runs out. Another value: both do.
    let again =
        vec![Do::Timer(10, 1, note(1)), Do::Timer(20, 1, note(1)), Do::Timer(5, 1, note(2))];
    let world = run(&case(vec![again], vec![]));
    assert_eq!(timed_notes(&world, 0), [(5, 2), (20, 1)]);
    let cancelled =
        vec![Do::Timer(10, 1, note(1)), Do::Timer(10, 2, note(2)), Do::Cancel(1, note(1))];
    assert_eq!(timed_notes(&run(&case(vec![cancelled], vec![])), 0), [(10, 2)]);
    // One that ran out in a pause is cancelled by what waited before it.
    let start = vec![Do::Timer(30, 1, note(1))];
    let cancel = vec![Do::Send(0, vec![Do::Cancel(1, note(1))])];
    let paused = case(vec![start, vec![Do::Timer(10, 1, cancel)]], vec![]);
    let paused = paused.with(at(5), Kind::Pause { node: n(0), lasts: ms(50) });
    assert_eq!(timed_notes(&run(&paused), 0), []);
}

#[test]
fn a_crash_cancels_timers_and_forgets_what_waits() {
    let script = vec![Do::Timer(100, 1, vec![Do::Persist(9)])];
    let crash = still(1, vec![(10, 0, script)]).with(at(50), Kind::Restart { node: n(0) });
    let world = run(&crash);
    assert!(times(&world, 0, Happening::Timer).is_empty() && log(&world, 0).is_empty());
    let waits = still(1, vec![(10, 0, vec![Do::Persist(9)])])
        .with(at(5), Kind::Pause { node: n(0), lasts: ms(100) })
        .with(at(50), Kind::Restart { node: n(0) });
    assert!(log(&run(&waits), 0).is_empty());
}

#[test]
fn the_origin_of_a_timer_is_its_cause_and_of_a_background_timer_its_boot() {
    let tell = || vec![Do::Send(1, vec![])];
    let script = vec![Do::Timer(10, 1, tell()), Do::Background(20, 2, tell())];
    let case = still(2, vec![(10, 0, script.clone()), (200, 0, script)])
        .with(at(100), Kind::Restart { node: n(0) });
    let world = run(&case);
    let received = world.events().iter().filter(|e| e.what == Happening::Receive);
    let origins: Vec<_> = received.filter_map(|event| event.origin).collect();
    let (first, second) = (Origin::Call(0), Origin::Call(1));
    assert_eq!(origins, [first, Origin::Boot(0), second, Origin::Fault(10)]);
}

#[test]
fn a_start_after_heal_goes_back_to_heal() {
    let start = vec![Do::Send(1, vec![])];
    let world = run(&case(vec![start, vec![]], vec![]).with(at(100), down()));
    let boots = world.events().iter().filter(|e| e.what == Happening::Receive);
    let origins: Vec<_> = boots.filter_map(|event| event.origin).collect();
    assert_eq!(origins, [Origin::Boot(0), Origin::Heal]);
}

#[test]
fn a_start_sees_what_was_synced_and_incarnations_grow() {
    let start = vec![Do::Persist(1)];
    let mut lost = false;
    for seed in 0..10 {
        let mut case = case(vec![start.clone()], vec![(5, 0, vec![]), (50, 0, vec![])]);
        case.seed.0 = seed;
        let case = case
            .with(at(10), Kind::Restart { node: n(0) })
            .with(at(20), Kind::PowerLoss { nodes: vec![n(0)], down: ms(1) })
            .with(at(60), Kind::Restart { node: n(0) });
        let world = run(&case);
        let puppet = world.state(n(0)).expect("up");
        assert_eq!(puppet.incarnation, 4);
        // What the second start read was synced: only what it wrote itself can be gone.
        assert!(puppet.log == [1, 1, 1] || puppet.log == [1, 1]);
        lost |= puppet.log.len() == 2;
        let lives = texts(&world, 0, Happening::Boot);
        let expected: Vec<_> = (1..5).map(|life| format!("incarnation {life}")).collect();
        assert_eq!(lives, expected);
    }
    assert!(lost);
}

#[test]
fn a_node_talks_to_itself_at_once_and_reliably() {
    let mut case = still(1, vec![(10, 0, vec![Do::Send(0, vec![Do::Note(1)]), Do::Note(0)])]);
    (case.network.loss, case.network.delay) = (0, 0);
    let all = (1..20).map(|_| Do::Send(0, vec![Do::Note(1)])).collect();
    let mut lossy = common::case(vec![all], vec![]);
    lossy.network.loss = 1000;
    assert_eq!(timed_notes(&run(&case), 0), [(11, 0), (11, 1)]);
    assert_eq!(notes(&run(&lossy), 0).len(), 19);
}

#[test]
fn handlers_draw_different_numbers() {
    let start = vec![Do::Roll, Do::Roll, Do::Send(0, vec![Do::Roll]), Do::Send(0, vec![Do::Roll])];
    let world = run(&case(vec![start.clone(), start], vec![]));
    let mut draws = [notes(&world, 0), notes(&world, 1)].concat();
    assert_eq!(draws.len(), 8);
    draws.sort_unstable();
    draws.dedup();
    assert_eq!(draws.len(), 8, "at the same moment, for the same cause");
}

#[test]
fn planted_bugs_are_applied() {
    let mut case = still(2, vec![(10, 0, vec![Do::Force(1), Do::Send(1, vec![Do::Note(1)])])]);
    case.mutant = Some(Mutant::from(MutationKind::HandleTwice));
    assert_eq!(notes(&run(&case), 1), [1, 1]);
    case.mutant = Some(Mutant::from(MutationKind::DropForce));
    assert!(log(&run(&case), 0).is_empty());
    case.mutant = Some(Mutant::from(MutationKind::LoseOnRestart));
    let case = case.with(at(50), Kind::Restart { node: n(0) });
    assert!(run(&case).state(n(0)).expect("up").log.is_empty());
}

#[test]
fn marks_are_counted() {
    let world = run(&still(1, vec![(10, 0, vec![Do::Mark, Do::Mark])]));
    assert_eq!(world.marks(), [("reached", 2)]);
}

#[test]
fn what_an_invariant_must_look_at_again() {
    let case = still(2, vec![(10, 0, vec![Do::Persist(1)]), (20, 1, vec![Do::Force(2)])]);
    let mut world: World<Puppet> = World::new(&case);
    let mut changes = Vec::new();
    let mut before = [Vec::new(), Vec::new()];
    while world.step() {
        let now = [log(&world, 0), log(&world, 1)];
        for node in [0, 1] {
            let changed = world.changed() == Some(n(node as u16));
            assert!(changed || now[node] == before[node], "a change that nobody is told of");
            changes.extend(changed.then_some((world.now() / 1_000_000, node)));
        }
        before = now;
    }
    assert_eq!(changes, [(0, 0), (0, 1), (21, 1)]);
}
