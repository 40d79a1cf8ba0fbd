//! Links, streams, and the end of all faults.

mod common;

use common::*;
use world::{Address, Direction, FaultKind, Happening, Kind, Origin, Place, Profile, Scene, World};

#[test]
fn an_old_message_reaches_a_restarted_node() {
    let late = Place::Message(Address { from: n(0), to: n(1), origin: Origin::Call(0), nth: 1 });
    let case = still(2, vec![(10, 0, vec![Do::Send(1, vec![Do::Note(7)])])])
        .with(late, Kind::Delay { by: ms(100) })
        .with(at(50), Kind::Restart { node: n(1) });
    let world = run(&case);
    let puppet = world.state(n(1)).expect("up");
    assert_eq!((puppet.incarnation, puppet.noted()), (2, vec![7]));
}

/// Node 0 sends ten numbered messages, one every 2 ms from 2 ms on; each takes 1 to 10 ms.
fn numbers(profile: Profile) -> PuppetCase {
    let start = (1..=10)
        .map(|i| Do::Timer(2 * i, i as u8, vec![Do::Send(1, vec![Do::Persist(i as u32)])]))
        .collect();
    let mut case = case(vec![start, Vec::new()], vec![]);
    case.network.profile = profile;
    case.network.slowest = ms(10);
    case
}

/// What node 1 heard, also in earlier lives.
fn heard(world: &World<Puppet>) -> Vec<u32> {
    let texts = texts(world, 1, Happening::Persist);
    texts
        .iter()
        .filter_map(|text| text.strip_prefix("Rec(")?.strip_suffix(')')?.parse().ok())
        .collect()
}

#[test]
fn datagrams_overtake_each_other_and_streams_do_not() {
    let mut overtaken = 0;
    for seed in 0..20 {
        let mut case = numbers(Profile::Datagram);
        case.seed.0 = seed;
        let datagrams = heard(&run(&case));
        overtaken += usize::from(!datagrams.is_sorted());
        assert_eq!(datagrams.len(), 10);
        case.network.profile = Profile::Stream;
        (case.network.duplicate, case.network.reorder, case.network.delay) = (500, 500, 300);
        assert_eq!(heard(&run(&case)), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    }
    assert!(overtaken > 10);
}

/// Gaps in what was heard: each is a run of messages that a break took.
fn gaps(heard: &[u32]) -> usize {
    let ends = [0].iter().chain(heard).zip(heard.iter().chain(&[11]));
    ends.filter(|(before, after)| **after != **before + 1).count()
}

#[test]
fn a_break_of_a_stream_takes_a_suffix() {
    for seed in 0..200 {
        let mut calm = numbers(Profile::Stream);
        calm.seed.0 = seed;
        let whole = heard(&run(&calm));
        assert_eq!(whole.len(), 10);
        let cut =
            |lasts| Kind::Cut { nodes: vec![n(1)], direction: Direction::Both, lasts: ms(lasts) };
        let lost =
            Place::Message(Address { from: n(0), to: n(1), origin: Origin::Boot(0), nth: 5 });
        let cases = [
            (FaultKind::Loss, calm.clone().with(lost.clone(), Kind::Loss)),
            (FaultKind::Corrupt, calm.clone().with(lost, Kind::Corrupt)),
            (FaultKind::Cut, calm.clone().with(at(12), cut(0))),
            (FaultKind::Cut, calm.clone().with(at(12), cut(3))),
            (FaultKind::Crash, calm.clone().with(at(12), Kind::Crash { node: n(1), down: ms(3) })),
        ];
        for (kind, case) in cases {
            let world = run(&case);
            let some = heard(&world);
            assert!(some.is_sorted_by(|a, b| a < b), "{kind} {seed}: {some:?} not in order");
            assert!(gaps(&some) <= 1, "{kind} {seed}: {some:?} lacks more than one run");
            assert_eq!(world.effective().has(kind), some.len() < 10 || kind == FaultKind::Crash);
            if kind == FaultKind::Loss || kind == FaultKind::Corrupt {
                assert!(!some.contains(&5) && some.starts_with(&[1, 2, 3, 4]));
            }
        }
    }
}

#[test]
fn nothing_of_an_old_connection_arrives_after_a_reconnect() {
    let mut broken = 0;
    for seed in 0..100 {
        let mut case = numbers(Profile::Stream);
        case.network.slowest = ms(40);
        case.seed.0 = seed;
        let case = case.with(at(11), Kind::Restart { node: n(0) });
        let world = run(&case);
        // The second life sends them all again, each after the last of the first life's.
        let heard = heard(&world);
        let second = heard.iter().skip(1).zip(&heard).position(|(b, a)| b <= a).map(|i| i + 1);
        let second = second.unwrap_or(0);
        assert_eq!(heard[second..], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], "{heard:?}");
        let drops = texts(&world, 1, Happening::Drop);
        broken += drops.iter().filter(|text| text.starts_with("connection broken")).count();
    }
    assert!(broken > 0);
}

#[test]
fn random_fates_strike_about_as_often_as_asked() {
    let start: Vec<Do> = (0..2000).map(|_| Do::Send(1, vec![])).collect();
    let mut case = case(vec![start, vec![]], vec![]);
    let network = &mut case.network;
    (network.loss, network.duplicate, network.delay) = (100, 50, 20);
    (network.reorder, network.corrupt) = (30, 10);
    let world = run(&case);
    let count = |kind: FaultKind| world.drawn().iter().filter(|d| d.kind.kind() == kind).count();
    for (kind, expected) in [
        (FaultKind::Loss, 200),
        (FaultKind::Duplicate, 90),
        (FaultKind::Delay, 40),
        (FaultKind::Reorder, 59),
        (FaultKind::Corrupt, 20),
    ] {
        let found = count(kind);
        assert!(found.abs_diff(expected) < expected / 2, "{kind}: {found}, about {expected}");
        assert!(world.effective().has(kind), "{kind}");
    }
    case.network = case.network.calm();
    assert!(run(&case).drawn().is_empty());
}

#[test]
fn heal_keeps_what_runs_and_starts_what_is_down() {
    let far = ms(1_000_000);
    let mut case = still(6, (0..6).map(|node| (10, node, vec![Do::Note(7)])).collect::<Vec<_>>());
    case.calls[5].at = ms(20);
    let case = case
        .with(at(0), Kind::Rate { node: n(0), ppm: -100_000 })
        .with(at(50), Kind::Crash { node: n(1), down: far })
        .with(at(50), Kind::Retire { node: n(2) })
        .with(at(50), Kind::Pause { node: n(3), lasts: far })
        .with(at(15), Kind::Cut { nodes: vec![n(5)], direction: Direction::Both, lasts: far });
    let world = run_to(&case, 999);
    let up = |world: &World<Puppet>, node| world.state(n(node)).map(|puppet| puppet.incarnation);
    assert_eq!([up(&world, 0), up(&world, 1), up(&world, 2)], [Some(1), None, None]);
    assert!(!world.is_healed());

    let world = run(&case);
    assert!(world.is_healed());
    assert_eq!([up(&world, 0), up(&world, 1), up(&world, 2)], [Some(1), Some(2), None]);
    assert_eq!(notes(&world, 0), [7], "a running node keeps its state");
    assert!(notes(&world, 1).is_empty());
    assert_eq!(up(&world, 3), Some(1));
    let clock = world.clock(n(0)).expect("there");
    assert_eq!(clock.local(2_000_000_000), 1_800_000_000, "clock rates stay");
    assert!(history(&world).contains(&"5 info".to_owned()));

    let mut later = case;
    later.calls[5].at = ms(1000);
    assert_eq!(notes(&run(&later), 5), [7], "links work again");
}

#[test]
fn what_waited_for_a_paused_node_is_done_at_heal() {
    let case = still(1, vec![(10, 0, vec![Do::Note(7)])])
        .with(at(5), Kind::Pause { node: n(0), lasts: ms(1_000_000) });
    assert_eq!(timed_notes(&acts(&case, FaultKind::Pause), 0), [(1000, 7)]);
}

#[test]
fn a_timer_runs_on_the_nodes_own_clock() {
    for (ppm, fires) in [(0, 100), (-500_000, 200), (250_000, 80), (-900_000, 1000), (900_000, 52)]
    {
        let start = vec![Do::Timer(100, 1, vec![Do::Now])];
        let case = case(vec![start], vec![]).with(at(0), Kind::Rate { node: n(0), ppm });
        let world = run(&case);
        assert_eq!(times(&world, 0, Happening::Timer), [fires]);
        assert_eq!(notes(&world, 0), [100], "never early by its own clock");
        let clock = world.clock(n(0)).expect("there");
        assert!(clock.local(clock.global(100_000_000)) >= 100_000_000);
        assert!(clock.local(clock.global(100_000_000) - 1) < 100_000_000);
    }
    // A clock goes on through crashes.
    let case = still(1, vec![(0, 0, vec![]), (200, 0, vec![Do::Now])])
        .with(at(0), Kind::Rate { node: n(0), ppm: 500_000 })
        .with(at(50), Kind::Crash { node: n(0), down: ms(100) });
    assert_eq!(notes(&run(&case), 0), [301]);
}

#[test]
fn the_way_of_a_node_to_itself_is_no_link() {
    let itself = Kind::SlowLink { from: n(0), to: n(0), by: ms(30), lasts: ms(100) };
    let own = Place::Message(Address { from: n(0), to: n(0), origin: Origin::Call(0), nth: 1 });
    let case = still(1, vec![(10, 0, vec![Do::Send(0, vec![Do::Note(7)])])])
        .with(at(5), itself)
        .with(own, Kind::Loss);
    let world = idles(&case, FaultKind::SlowLink);
    assert_eq!(timed_notes(&world, 0), [(11, 7)]);
    assert_eq!(world.missed().len(), 1);
}
