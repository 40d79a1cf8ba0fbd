//! Every kind of fault does what its line says, counts when it changed something, and does not
//! count when it could not matter.

mod common;

use common::*;
use node::EffectKind;
use world::{
    Address, Direction, Edge, FaultKind, Happening, Kind, Origin, Place, Profile, Scene,
    SyncFailure,
};

/// The first message of call 0 from `from` to `to`.
fn message(from: u16, to: u16) -> Place {
    Place::Message(Address { from: n(from), to: n(to), origin: Origin::Call(0), nth: 1 })
}

/// Node 0 is asked at 10 ms and tells node 1, which notes 7.
fn told() -> PuppetCase {
    still(2, vec![(10, 0, vec![Do::Send(1, vec![Do::Note(7)])])])
}

/// Two messages from node 0 to node 1, 2 ms apart, of two calls.
fn told_twice() -> PuppetCase {
    still(
        2,
        vec![
            (10, 0, vec![Do::Send(1, vec![Do::Note(1)])]),
            (12, 0, vec![Do::Send(1, vec![Do::Note(2)])]),
        ],
    )
}

fn on_a_stream(mut case: PuppetCase) -> PuppetCase {
    case.network.profile = Profile::Stream;
    case
}

#[test]
fn delay() {
    let late = told().with(message(0, 1), Kind::Delay { by: ms(100) });
    assert_eq!(timed_notes(&acts(&late, FaultKind::Delay), 1), [(112, 7)]);
    let lost_too = late.with(message(0, 1), Kind::Loss);
    idles(&lost_too, FaultKind::Delay);
    idles(&told().with(message(0, 1), Kind::Delay { by: ms(0) }), FaultKind::Delay);
    let to_nobody = told().with(message(1, 0), Kind::Delay { by: ms(100) });
    assert_eq!(idles(&to_nobody, FaultKind::Delay).missed().len(), 1);
}

#[test]
fn loss() {
    let lost = told().with(message(0, 1), Kind::Loss);
    assert!(notes(&acts(&lost, FaultKind::Loss), 1).is_empty());
    let down = lost.with(at(5), Kind::Crash { node: n(1), down: ms(500) });
    idles(&down, FaultKind::Loss);
    // It would arrive after the end of all faults.
    let mut late = told().with(message(0, 1), Kind::Loss);
    late = late.with(message(0, 1), Kind::Delay { by: ms(1500) });
    assert_eq!(notes(&idles(&late, FaultKind::Loss), 1), [7]);
}

#[test]
fn duplicate() {
    let twice = told().with(message(0, 1), Kind::Duplicate { takes: ms(50) });
    assert_eq!(timed_notes(&acts(&twice, FaultKind::Duplicate), 1), [(12, 7), (61, 7)]);
    // A copy may overtake its original.
    let early = told()
        .with(message(0, 1), Kind::Delay { by: ms(99) })
        .with(message(0, 1), Kind::Duplicate { takes: ms(50) });
    assert_eq!(timed_notes(&acts(&early, FaultKind::Duplicate), 1), [(61, 7), (111, 7)]);
    let nobody = twice.clone().with(at(20), Kind::Crash { node: n(1), down: ms(500) });
    idles(&nobody, FaultKind::Duplicate);
    assert_eq!(notes(&idles(&on_a_stream(twice), FaultKind::Duplicate), 1), [7]);
}

#[test]
fn a_second_answer_that_no_client_waits_for_is_no_duplicate() {
    let asked = still(1, vec![(10, 0, vec![Do::Ok(7)])]);
    let twice = asked.with(message(0, 1), Kind::Duplicate { takes: ms(50) });
    assert_eq!(history(&idles(&twice, FaultKind::Duplicate)), ["0 invoke", "0 ok 7"]);
}

#[test]
fn reorder() {
    let overtaken = told_twice().with(message(0, 1), Kind::Reorder { by: ms(5) });
    assert_eq!(timed_notes(&acts(&overtaken, FaultKind::Reorder), 1), [(14, 2), (17, 1)]);
    let too_little = told_twice().with(message(0, 1), Kind::Reorder { by: ms(1) });
    assert_eq!(notes(&idles(&too_little, FaultKind::Reorder), 1), [1, 2]);
    let alone = told().with(message(0, 1), Kind::Reorder { by: ms(5) });
    idles(&alone, FaultKind::Reorder);
    let lost = overtaken.clone().with(message(0, 1), Kind::Loss);
    idles(&lost, FaultKind::Reorder);
    let stream = on_a_stream(overtaken);
    assert_eq!(timed_notes(&idles(&stream, FaultKind::Reorder), 1), [(17, 1), (17, 2)]);
}

#[test]
fn corrupt() {
    let refused = told().with(message(0, 1), Kind::Corrupt);
    let world = acts(&refused, FaultKind::Corrupt);
    assert!(notes(&world, 1).is_empty());
    assert!(texts(&world, 1, Happening::Drop)[0].starts_with("corrupt: "));
    idles(&refused.with(message(0, 1), Kind::Loss), FaultKind::Corrupt);
}

#[test]
fn cut() {
    let cut = |direction, from, lasts| {
        let kind = Kind::Cut { nodes: vec![n(1)], direction, lasts: ms(lasts) };
        told().with(at(from), kind)
    };
    for direction in [Direction::Both, Direction::Into] {
        assert!(notes(&acts(&cut(direction, 5, 50), FaultKind::Cut), 1).is_empty());
    }
    assert_eq!(notes(&idles(&cut(Direction::OutOf, 5, 50), FaultKind::Cut), 1), [7]);
    // Decided at the arrival: what leaves before the end of a cut arrives if it ends in time.
    assert_eq!(notes(&idles(&cut(Direction::Both, 11, 0), FaultKind::Cut), 1), [7]);
    assert!(notes(&acts(&cut(Direction::Both, 12, 1), FaultKind::Cut), 1).is_empty());
    idles(&cut(Direction::Both, 100, 50), FaultKind::Cut);
    // Nobody is there to hear.
    let down = cut(Direction::Both, 5, 50).with(at(5), Kind::Crash { node: n(1), down: ms(50) });
    idles(&down, FaultKind::Cut);
    // Both ends on one side.
    let kind = Kind::Cut { nodes: vec![n(0), n(1)], direction: Direction::Both, lasts: ms(50) };
    let case = told().with(at(12), kind);
    assert_eq!(notes(&idles(&case, FaultKind::Cut), 1), [7]);
}

#[test]
fn slow_link() {
    let slow = |from, to, lasts| {
        let kind = Kind::SlowLink { from: n(from), to: n(to), by: ms(30), lasts: ms(lasts) };
        told_twice().with(at(5), kind)
    };
    let world = acts(&slow(0, 1, 7), FaultKind::SlowLink);
    assert_eq!(timed_notes(&world, 1), [(14, 2), (42, 1)], "the second leaves when it is over");
    idles(&slow(1, 0, 100), FaultKind::SlowLink);
    idles(&slow(0, 1, 2), FaultKind::SlowLink);
    let lost = slow(0, 1, 7).with(message(0, 1), Kind::Loss);
    idles(&lost, FaultKind::SlowLink);
}

/// Asked at 10 ms, node 0 writes without a sync, forces, and notes something.
fn writes() -> PuppetCase {
    still(1, vec![(10, 0, vec![Do::Force(1), Do::Persist(2), Do::Note(3)])])
}

#[test]
fn crash() {
    let crash = |when| writes().with(at(when), Kind::Crash { node: n(0), down: ms(100) });
    let world = acts(&crash(50), FaultKind::Crash);
    let puppet = world.state(n(0)).expect("up again");
    assert_eq!((puppet.incarnation, puppet.log.as_slice()), (2, [1, 2].as_slice()));
    assert!(puppet.notes.is_empty());
    assert_eq!(times(&world, 0, Happening::Boot), [0, 150]);
    // Idle at 5 ms, and up again before anybody asks.
    let idle = writes().with(at(5), Kind::Crash { node: n(0), down: ms(1) });
    assert_eq!(times(&idles(&idle, FaultKind::Crash), 0, Happening::Boot), [0, 6]);
    // Idle, but still down when it is asked.
    acts(&crash(5), FaultKind::Crash);
    // It does not run: nothing to end, and its start is not put forward.
    let down = crash(50).with(at(60), Kind::Restart { node: n(0) });
    let world = idles(&down, FaultKind::Restart);
    assert_eq!(times(&world, 0, Happening::Boot), [0, 150]);
    idles(&writes().with(at(0), Kind::Crash { node: n(0), down: ms(5) }), FaultKind::Crash);
}

#[test]
fn a_crash_in_the_middle_of_a_start_counts() {
    let start = vec![Do::Send(1, vec![Do::Note(1)]), Do::Send(1, vec![Do::Note(2)])];
    let down = Kind::Crash { node: n(0), down: ms(5000) };
    let between = case(vec![start, Vec::new()], Vec::new());
    let between = between.with(effect(Edge::After, 0, EffectKind::Send, 1), down);
    let world = acts(&between, FaultKind::Crash);
    assert_eq!(timed_notes(&world, 1), [(1, 1), (1001, 1), (1001, 2)], "up again at heal");
}

#[test]
fn restart() {
    let case = writes().with(at(50), Kind::Restart { node: n(0) });
    let world = acts(&case, FaultKind::Restart);
    assert_eq!(times(&world, 0, Happening::Boot), [0, 51]);
    assert_eq!(world.state(n(0)).expect("up").log, [1, 2]);
    idles(&writes().with(at(5), Kind::Restart { node: n(0) }), FaultKind::Restart);
}

#[test]
fn crash_loop() {
    let kind = Kind::CrashLoop { node: n(0), times: 3, every: ms(10) };
    let world = acts(&writes().with(at(50), kind.clone()), FaultKind::CrashLoop);
    assert_eq!(times(&world, 0, Happening::Boot), [0, 60, 80, 100]);
    let early = still(1, Vec::new()).with(at(5), kind);
    assert_eq!(times(&idles(&early, FaultKind::CrashLoop), 0, Happening::Boot), [0, 15, 35, 55]);
    let never = Kind::CrashLoop { node: n(0), times: 0, every: ms(10) };
    idles(&writes().with(at(50), never), FaultKind::CrashLoop);
}

#[test]
fn pause() {
    let pause = |from, lasts| told().with(at(from), Kind::Pause { node: n(1), lasts: ms(lasts) });
    assert_eq!(timed_notes(&acts(&pause(5, 50), FaultKind::Pause), 1), [(55, 7)]);
    idles(&pause(20, 50), FaultKind::Pause);
    // The longer of two pauses counts.
    let two = pause(5, 50).with(at(10), Kind::Pause { node: n(1), lasts: ms(3) });
    assert_eq!(timed_notes(&acts(&two, FaultKind::Pause), 1), [(55, 7)]);
    // A process that does not run cannot pause.
    let down = pause(5, 50).with(at(4), Kind::Crash { node: n(1), down: ms(3) });
    assert_eq!(timed_notes(&idles(&down, FaultKind::Pause), 1), [(12, 7)]);
    // A timer that was cancelled is nothing that waits.
    let script = vec![Do::Timer(30, 1, vec![]), Do::Cancel(1, vec![])];
    let cancelled = still(1, vec![(10, 0, script)]);
    let cancelled = cancelled.with(at(20), Kind::Pause { node: n(0), lasts: ms(100) });
    idles(&cancelled, FaultKind::Pause);
    // Its clocks go on, and its timers wait for it.
    let timer = still(1, vec![(10, 0, vec![Do::Timer(30, 1, vec![Do::Now])])]);
    let timer = timer.with(at(20), Kind::Pause { node: n(0), lasts: ms(100) });
    assert_eq!(timed_notes(&acts(&timer, FaultKind::Pause), 0), [(120, 120)]);
}

#[test]
fn retire() {
    let retire = |when| told().with(at(when), Kind::Retire { node: n(1) });
    let world = acts(&retire(5), FaultKind::Retire);
    assert!(world.is_retired(n(1)) && world.state(n(1)).is_none(), "also after heal");
    let world = acts(&retire(50), FaultKind::Retire);
    assert_eq!(times(&world, 1, Happening::Boot), [0]);
    // Nobody ever talks to it again.
    idles(&still(1, Vec::new()).with(at(5), Kind::Retire { node: n(0) }), FaultKind::Retire);
    // It is lost before its power goes, or its process ends.
    let again = retire(50)
        .with(at(60), Kind::PowerLoss { nodes: vec![n(1)], down: ms(1) })
        .with(at(60), Kind::Crash { node: n(1), down: ms(1) });
    let world = idles(&again, FaultKind::PowerLoss);
    assert!(!world.effective().has(FaultKind::Crash));
    assert!(world.state(n(1)).is_none());
}

#[test]
fn power_loss() {
    let loss = |when: u64, seed| {
        let mut case = writes();
        case.seed.0 = seed;
        case.with(at(when), Kind::PowerLoss { nodes: vec![n(0)], down: ms(100) })
    };
    let mut kept = [false; 2];
    for seed in 0..20 {
        let world = acts(&loss(50, seed), FaultKind::PowerLoss);
        let log = &world.state(n(0)).expect("up again").log;
        assert!(*log == [1] || *log == [1, 2], "{log:?}: the forced record must stay");
        kept[log.len() - 1] = true;
        assert_eq!(times(&world, 0, Happening::Boot), [0, 150]);
    }
    assert_eq!(kept, [true; 2]);
    let idle = writes().with(at(2), Kind::PowerLoss { nodes: vec![n(0)], down: ms(1) });
    idles(&idle, FaultKind::PowerLoss);
    let nobody = writes().with(at(50), Kind::PowerLoss { nodes: vec![], down: ms(1) });
    idles(&nobody, FaultKind::PowerLoss);
}

#[test]
fn power_loss_of_a_node_that_is_down_takes_what_was_never_synced_and_keeps_it_down() {
    let mut lost = 0;
    for seed in 0..20 {
        let mut case = writes().with(at(50), Kind::Crash { node: n(0), down: ms(20) });
        case.seed.0 = seed;
        case = case.with(at(60), Kind::PowerLoss { nodes: vec![n(0)], down: ms(100) });
        let world = run(&case);
        assert_eq!(times(&world, 0, Happening::Boot), [0, 160]);
        let log = &world.state(n(0)).expect("up again").log;
        assert_eq!(world.effective().has(FaultKind::PowerLoss), *log == [1]);
        lost += usize::from(*log == [1]);
    }
    assert!((1..20).contains(&lost));
}

#[test]
fn power_loss_of_several_nodes_at_once() {
    let script = vec![Do::Persist(1), Do::Send(1, vec![Do::Persist(1)])];
    let case = still(3, vec![(10, 0, script)]);
    let case = case.with(at(50), Kind::PowerLoss { nodes: vec![n(0), n(1)], down: ms(10) });
    let world = acts(&case, FaultKind::PowerLoss);
    for (node, boots) in [(0, vec![0, 60]), (1, vec![0, 60]), (2, vec![0])] {
        assert_eq!(times(&world, node, Happening::Boot), boots);
    }
}

#[test]
fn torn_write() {
    for seed in 0..20 {
        let mut case = still(1, vec![(10, 0, vec![Do::Force(1), Do::Persist(2), Do::Persist(3)])]);
        case.seed.0 = seed;
        let case = case.with(at(50), Kind::TornWrite { node: n(0), down: ms(100) });
        let world = acts(&case, FaultKind::TornWrite);
        let log = &world.state(n(0)).expect("up again").log;
        assert!(*log == [1] || *log == [1, 2], "{log:?}: one of 2 and 3 was torn");
        assert_eq!(times(&world, 0, Happening::Boot), [0, 150]);
    }
    // All is synced: the power is gone all the same, but no write was torn.
    let case = still(1, vec![(10, 0, vec![Do::Force(1)]), (60, 0, vec![])]);
    let case = case.with(at(50), Kind::TornWrite { node: n(0), down: ms(100) });
    let world = idles(&case, FaultKind::TornWrite);
    assert_eq!(times(&world, 0, Happening::Boot), [0, 150]);
    assert_eq!(world.state(n(0)).expect("up again").log, [1]);
}

#[test]
fn bit_rot() {
    let rot = |permanent| writes().with(at(50), Kind::BitRot { node: n(0), permanent });
    let world = acts(&rot(false), FaultKind::BitRot);
    assert_eq!(times(&world, 0, Happening::Boot), [0, 61], "the second read is good");
    assert_eq!(world.state(n(0)).expect("up again").log, [1, 2]);
    let world = acts(&rot(true), FaultKind::BitRot);
    assert_eq!(times(&world, 0, Happening::Boot), [0]);
    assert!(world.is_retired(n(0)), "also after heal");
    for permanent in [false, true] {
        // Nothing is written: nothing can rot.
        let kind = Kind::BitRot { node: n(0), permanent };
        let world = idles(&still(1, Vec::new()).with(at(5), kind), FaultKind::BitRot);
        assert!(world.state(n(0)).is_some());
    }
    // A node that is down meets it at its start, which does not come sooner.
    let down = writes()
        .with(at(50), Kind::Crash { node: n(0), down: ms(100) })
        .with(at(60), Kind::BitRot { node: n(0), permanent: false });
    let world = acts(&down, FaultKind::BitRot);
    assert_eq!(times(&world, 0, Happening::Boot), [0, 160]);
}

#[test]
fn failed_sync() {
    let fails = |leaves, when| {
        let script = vec![Do::Persist(1), Do::Force(2), Do::Ok(3)];
        let kind = Kind::FailedSync { node: n(0), leaves, down: ms(100) };
        still(1, vec![(10, 0, script)]).with(at(when), kind)
    };
    for (leaves, log) in [
        (SyncFailure::Lost, vec![]),
        (SyncFailure::Kept, vec![1, 2]),
        (SyncFailure::Vanishing, vec![1, 2]),
    ] {
        let world = acts(&fails(leaves, 5), FaultKind::FailedSync);
        assert_eq!(world.state(n(0)).expect("up again").log, log);
        assert_eq!(times(&world, 0, Happening::Boot), [0, 111]);
        assert_eq!(history(&world), ["0 invoke", "0 info"], "nothing behind the force happens");
        let mut boots = world.events().iter().filter(|e| e.what == Happening::Boot);
        assert_eq!(boots.next_back().and_then(|boot| boot.origin), Some(Origin::Fault(10)));
        let world = idles(&fails(leaves, 50), FaultKind::FailedSync);
        assert_eq!(log_of_first_life(&world), [1, 2]);
    }
}

fn log_of_first_life(world: &world::World<Puppet>) -> Vec<u32> {
    assert_eq!(world.state(n(0)).expect("up").incarnation, 1);
    log(world, 0)
}

#[test]
fn what_a_failed_sync_leaves_at_the_next_power_loss_was_written_again_at_boot() {
    let leaves = SyncFailure::Vanishing;
    let case = still(1, vec![(10, 0, vec![Do::Force(2)])])
        .with(at(5), Kind::FailedSync { node: n(0), leaves, down: ms(1) })
        .with(at(50), Kind::PowerLoss { nodes: vec![n(0)], down: ms(1) });
    assert_eq!(run(&case).state(n(0)).expect("up again").log, [2]);
}

#[test]
fn full_disk() {
    let full = |script| still(1, vec![(10, 0, script)]).with(at(5), Kind::FullDisk { node: n(0) });
    for write in [Do::Persist(1), Do::Force(1), Do::Snapshot(vec![1])] {
        let world = acts(&full(vec![Do::Note(1), write, Do::Ok(1)]), FaultKind::FullDisk);
        assert_eq!(times(&world, 0, Happening::Boot), [0, 1000], "up again at heal, not before");
        assert!(log(&world, 0).is_empty());
        assert_eq!(history(&world), ["0 invoke", "0 info"]);
    }
    let world = idles(&full(vec![Do::Ok(1)]), FaultKind::FullDisk);
    assert_eq!(history(&world), ["0 invoke", "0 ok 1"]);
    // A node cannot start on a full disk either.
    let start = full(vec![]).with(at(20), Kind::Restart { node: n(0) });
    assert_eq!(times(&acts(&start, FaultKind::FullDisk), 0, Happening::Boot), [0, 1000]);
}

#[test]
fn slow_sync() {
    let slow = |lasts| {
        let script = vec![Do::Force(1), Do::Ok(1)];
        let kind = Kind::SlowSync { node: n(0), by: ms(30), lasts: ms(lasts) };
        still(1, vec![(10, 0, script)]).with(at(5), kind)
    };
    let world = acts(&slow(10), FaultKind::SlowSync);
    assert_eq!(times(&world, 0, Happening::Synced), [41]);
    let world = idles(&slow(2), FaultKind::SlowSync);
    assert!(times(&world, 0, Happening::Synced).is_empty(), "syncs take no time in this case");
    // Two of them add up, and each ends for itself.
    let more = Kind::SlowSync { node: n(0), by: ms(5), lasts: ms(3) };
    let world = acts(&slow(10).with(at(7), more.clone()), FaultKind::SlowSync);
    assert_eq!(times(&world, 0, Happening::Synced), [41]);
    let world = acts(&slow(10).with(at(10), more), FaultKind::SlowSync);
    assert_eq!(times(&world, 0, Happening::Synced), [46]);
}

/// Node 0 looks at a clock at 1 ms and at 100 ms; node 1 never does.
fn looks(clock: Do) -> PuppetCase {
    still(2, vec![(0, 0, vec![clock.clone()]), (99, 0, vec![clock]), (99, 1, vec![])])
}

fn clock_kinds(case: &PuppetCase) -> (world::World<Puppet>, world::Faults) {
    let world = run(case);
    let kinds = world.clock_effects();
    (world, kinds)
}

const EPOCH: u64 = 1_767_225_600_000;

#[test]
fn wall_offset() {
    let off = |node, clock| looks(clock).with(at(0), Kind::WallOffset { node, millis: -50 });
    let (world, kinds) = clock_kinds(&off(n(0), Do::Wall));
    assert_eq!(notes(&world, 0), [EPOCH + 1 - 50, EPOCH + 100 - 50]);
    assert!(kinds.has(FaultKind::WallOffset));
    assert!(!clock_kinds(&off(n(0), Do::Now)).1.has(FaultKind::WallOffset));
    assert!(!clock_kinds(&off(n(1), Do::Wall)).1.has(FaultKind::WallOffset));
}

#[test]
fn wall_drift() {
    let off = |node, clock| looks(clock).with(at(0), Kind::WallDrift { node, ppm: 100_000 });
    let (world, kinds) = clock_kinds(&off(n(0), Do::Wall));
    assert_eq!(notes(&world, 0), [EPOCH + 1, EPOCH + 110]);
    assert!(kinds.has(FaultKind::WallDrift));
    assert!(!clock_kinds(&off(n(0), Do::Now)).1.has(FaultKind::WallDrift));
    assert!(!clock_kinds(&off(n(1), Do::Wall)).1.has(FaultKind::WallDrift));
}

#[test]
fn wall_jump() {
    let jump =
        |node, when, clock| looks(clock).with(at(when), Kind::WallJump { node, millis: -80 });
    let (world, kinds) = clock_kinds(&jump(n(0), 50, Do::Wall));
    assert_eq!(notes(&world, 0), [EPOCH + 1, EPOCH + 20]);
    assert!(kinds.has(FaultKind::WallJump));
    assert!(!clock_kinds(&jump(n(0), 200, Do::Wall)).1.has(FaultKind::WallJump), "too late");
    assert!(!clock_kinds(&jump(n(0), 50, Do::Now)).1.has(FaultKind::WallJump));
    assert!(!clock_kinds(&jump(n(1), 50, Do::Wall)).1.has(FaultKind::WallJump));
}

#[test]
fn rate() {
    let off = |node, clock| looks(clock).with(at(0), Kind::Rate { node, ppm: -100_000 });
    let (world, kinds) = clock_kinds(&off(n(0), Do::Now));
    assert_eq!(notes(&world, 0), [0, 90]);
    assert!(kinds.has(FaultKind::Rate));
    assert!(!clock_kinds(&off(n(0), Do::Wall)).1.has(FaultKind::Rate));
    assert!(!clock_kinds(&off(n(1), Do::Now)).1.has(FaultKind::Rate));
    let timer = off(n(0), Do::Timer(90, 1, vec![Do::Note(5)]));
    let (world, kinds) = clock_kinds(&timer);
    assert_eq!(times(&world, 0, Happening::Timer), [101, 200], "90 ms of its own");
    assert!(kinds.has(FaultKind::Rate));
}

fn on_call(kind: Kind) -> PuppetCase {
    still(1, vec![(10, 0, vec![Do::Timer(20, 1, vec![Do::Note(1), Do::Ok(1)])])])
        .with(Place::Call(0), kind)
}

#[test]
fn retry() {
    let world = acts(&on_call(Kind::Retry { after: ms(5) }), FaultKind::Retry);
    assert_eq!(times(&world, 0, Happening::Request), [11, 16]);
    assert_eq!(history(&world), ["0 invoke", "0 ok 1"]);
    // The answer is there by then.
    let world = idles(&on_call(Kind::Retry { after: ms(50) }), FaultKind::Retry);
    assert_eq!(times(&world, 0, Happening::Request), [11]);
    // Nobody hears the second attempt.
    let deaf = on_call(Kind::Retry { after: ms(5) }).with(at(12), Kind::Retire { node: n(0) });
    idles(&deaf, FaultKind::Retry);
}

#[test]
fn duplicate_request() {
    let twice = on_call(Kind::DuplicateRequest { after: ms(5) });
    let world = acts(&twice, FaultKind::DuplicateRequest);
    assert_eq!(times(&world, 0, Happening::Request), [11, 16]);
    let late = on_call(Kind::DuplicateRequest { after: ms(50) });
    idles(&late, FaultKind::DuplicateRequest);
    let second = Address { from: n(1), to: n(0), origin: Origin::Call(0), nth: 2 };
    let lost = twice.with(Place::Message(second), Kind::Loss);
    idles(&lost, FaultKind::DuplicateRequest);
}

#[test]
fn client_crash() {
    let world = acts(&on_call(Kind::ClientCrash { after: ms(5) }), FaultKind::ClientCrash);
    assert_eq!(history(&world), ["0 invoke", "0 info"]);
    assert_eq!(world.history().events[1].at, 15_000_000);
    assert_eq!(notes(&world, 0), [1], "the node knows nothing of it");
    let late = on_call(Kind::ClientCrash { after: ms(50) });
    assert_eq!(history(&idles(&late, FaultKind::ClientCrash)), ["0 invoke", "0 ok 1"]);
    // After the end of all faults no client crashes.
    let mut healed = on_call(Kind::ClientCrash { after: ms(15) });
    healed.heal_at = ms(20);
    assert_eq!(history(&idles(&healed, FaultKind::ClientCrash)), ["0 invoke", "0 ok 1"]);
}

#[test]
fn nothing_strikes_after_the_end_of_all_faults() {
    for kind in [
        Kind::Crash { node: n(0), down: ms(5) },
        Kind::Retire { node: n(0) },
        Kind::Pause { node: n(0), lasts: ms(5) },
        Kind::FullDisk { node: n(0) },
        Kind::WallJump { node: n(0), millis: 5 },
    ] {
        let world = run(&writes().with(at(1200), kind));
        assert!(world.effective().is_empty() && world.missed().len() == 1);
        assert!(world.state(n(0)).is_some());
    }
}

#[test]
fn every_kind_has_a_test_here() {
    let source = include_str!("faults.rs");
    for kind in FaultKind::ALL {
        assert!(source.contains(&format!("\nfn {kind}() {{")), "no test for {kind}");
        let judged = source.matches(&format!("FaultKind::{kind:?})")).count();
        assert!(judged > 1, "{kind} is not judged both ways");
    }
}
