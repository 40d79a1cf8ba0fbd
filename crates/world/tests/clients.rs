//! Clients and roles: what the history may say of an operation.

mod common;

use common::*;
use history::{Actor, What};
use node::EffectKind;
use world::{
    Address, Direction, Edge, End, FaultKind, Happening, Kind, Origin, Place, Scene, World,
};

fn on_call(call: u32) -> Place {
    Place::Call(call)
}

/// The `nth` message of call 0 from `from` to `to`.
fn message(from: u16, to: u16, nth: u32) -> Place {
    Place::Message(Address { from: n(from), to: n(to), origin: Origin::Call(0), nth })
}

#[test]
fn a_call_completes_once_whatever_is_answered() {
    for script in [
        vec![Do::Ok(1), Do::Ok(2), Do::Fail],
        vec![Do::Fail, Do::Ok(1), Do::Retry(None)],
        vec![Do::Ok(1), Do::Timer(500, 1, vec![Do::Ok(2)])],
        vec![Do::Timer(500, 1, vec![Do::Ok(2)])],
    ] {
        let mut case = still(2, vec![(10, 0, script.clone()), (20, 0, script)]);
        (case.network.duplicate, case.network.slowest) = (500, ms(30));
        case.calls[1].client = 0;
        for seed in 0..30 {
            case.seed.0 = seed;
            let world = run(&case.clone().with(on_call(0), Kind::Retry { after: ms(7) }));
            let mut open = None;
            for event in &world.history().events {
                match event.what {
                    What::Invoke(_) => assert_eq!(open.replace(event.op), None, "one at a time"),
                    _ => assert_eq!(open.take(), Some(event.op), "one completion a call"),
                }
            }
            assert_eq!(world.history().events.len(), 4);
        }
    }
}

#[test]
fn after_info_the_process_changes_and_the_client_does_not() {
    let mut case = still(
        1,
        vec![(10, 0, vec![Do::Ok(1)]), (20, 0, vec![]), (30, 0, vec![Do::Fail]), (40, 0, vec![])],
    );
    case.calls.iter_mut().for_each(|call| call.client = 0);
    let world = run(&case);
    assert_eq!(
        history(&world),
        ["0 invoke", "0 ok 1", "1 invoke", "1 info", "2 invoke", "2 fail", "3 invoke", "3 info"]
    );
    let events = &world.history().events;
    assert!(events.iter().all(|event| event.actor == Actor::Client(0)));
    let processes: Vec<u32> = events.iter().map(|event| event.process).collect();
    let (first, second) = (processes[0], processes[4]);
    assert_eq!(processes, [first, first, first, first, second, second, second, second]);
    assert_ne!(first, second);
    // The second call gave up at 420 ms, and only then the third began.
    assert_eq!(events[3].at, 420_000_000);
    assert_eq!(events[4].at, 420_000_000);
}

#[test]
fn a_call_without_an_answer_is_given_up() {
    let world = run(&still(1, vec![(10, 0, vec![Do::Timer(500, 1, vec![Do::Ok(1)])])]));
    assert_eq!(history(&world), ["0 invoke", "0 info"]);
    assert_eq!(world.history().events[1].at, 410_000_000);
}

#[test]
fn one_copy_that_fails_is_failed() {
    assert_eq!(history(&run(&still(1, vec![(10, 0, vec![Do::Fail])]))), ["0 invoke", "0 fail"]);
}

/// Fails at once where it is asked first, which is node 0 or node 1.
fn fails() -> PuppetCase {
    still(2, vec![(10, 0, vec![Do::Timer(20, 1, vec![Do::Fail])])])
}

/// R7: a retry is under way when the answer to the first attempt arrives.
#[test]
fn r7_a_fail_is_info_while_a_retry_is_open() {
    let retried = fails()
        .with(on_call(0), Kind::Retry { after: ms(15) })
        .with(message(2, 0, 2), Kind::Delay { by: ms(50) });
    assert_eq!(history(&acts(&retried, FaultKind::Retry)), ["0 invoke", "0 info"]);
    // The second attempt was lost: the client cannot know.
    let lost =
        fails().with(on_call(0), Kind::Retry { after: ms(15) }).with(message(2, 0, 2), Kind::Loss);
    assert_eq!(history(&run(&lost)), ["0 invoke", "0 info"]);
    // Both were answered before the client is told for the last time.
    let both = still(1, vec![(10, 0, vec![Do::Fail])]).with(message(1, 0, 1), DUPLICATE);
    assert_eq!(history(&run(&both)), ["0 invoke", "0 info"]);
}

const DUPLICATE: Kind = Kind::Duplicate { takes: std::time::Duration::from_millis(100) };

/// R7n: the network's own copy of the request may still take effect.
#[test]
fn r7n_a_fail_is_info_while_the_networks_copy_is_open() {
    let case = fails().with(message(2, 0, 1), DUPLICATE);
    let world = acts(&case, FaultKind::Duplicate);
    assert_eq!(history(&world), ["0 invoke", "0 info"]);
    assert_eq!(times(&world, 0, Happening::Request), [11, 110]);
}

/// R7a: the first attempt took effect and its answer was lost; the retry fails.
#[test]
fn r7a_a_fail_is_info_when_an_answer_never_arrived() {
    let case = still(1, vec![(10, 0, vec![Do::Fail])])
        .with(message(0, 1, 1), Kind::Loss)
        .with(on_call(0), Kind::Retry { after: ms(50) });
    let world = acts(&case, FaultKind::Retry);
    assert_eq!(history(&world), ["0 invoke", "0 info"]);
    assert_eq!(world.history().events[1].at, 62_000_000, "at the answer, not at the give up");
}

#[test]
fn a_fail_stays_a_fail_where_requests_are_deduplicated() {
    let mut case = fails().with(message(2, 0, 1), DUPLICATE);
    case.clients.deduplicated = true;
    assert_eq!(history(&run(&case)), ["0 invoke", "0 fail"]);
}

#[test]
fn a_duplicate_of_the_answer_is_no_second_answer() {
    let case = fails()
        .with(on_call(0), Kind::Retry { after: ms(15) })
        .with(message(2, 0, 2), Kind::Loss)
        .with(message(0, 2, 1), Kind::Duplicate { takes: ms(1) });
    assert_eq!(history(&run(&case)), ["0 invoke", "0 info"]);
}

#[test]
fn retry_answers_record_nothing_and_go_where_the_hint_says() {
    for (hint, next) in [(Some(2), 2), (None, 1), (Some(60_000), 0)] {
        let case = still(3, vec![(10, 0, vec![Do::Retry(hint)])]);
        let case = case.with(
            at(14),
            Kind::Cut {
                nodes: (0..3).filter(|node| *node != next).map(n).collect(),
                direction: Direction::Into,
                lasts: ms(1000),
            },
        );
        let world = run(&case);
        assert_eq!(
            times(&world, next, Happening::Request).first(),
            Some(&if next == 0 { 11 } else { 15 })
        );
        assert_eq!(history(&world), ["0 invoke", "0 info"]);
    }
    // Each time it waits a little longer, and a Fail after it is final.
    let case = still(2, vec![(10, 0, vec![Do::Retry(Some(1))]), (30, 1, vec![Do::Fail])]);
    let asked = times(&run(&case), 1, Happening::Request);
    assert_eq!(asked[..5], [15, 21, 31, 31, 49]);
}

#[test]
fn a_fail_after_a_retry_answer_is_final() {
    let script = vec![Do::Only(0, vec![Do::Retry(None)]), Do::Only(1, vec![Do::Fail])];
    let case = still(2, vec![(10, 0, script)]);
    assert_eq!(history(&run(&case)), ["0 invoke", "0 fail"]);
    // Unless a third copy is under way.
    let case = case.with(on_call(0), Kind::Retry { after: ms(6) });
    assert_eq!(history(&run(&case)), ["0 invoke", "0 info"]);
}

#[test]
fn a_crashed_client_comes_back_as_a_new_process() {
    let mut case = still(1, vec![(10, 0, vec![]), (20, 0, vec![Do::Ok(1)])]);
    case.calls[1].client = 0;
    let world = run(&case.with(on_call(0), Kind::ClientCrash { after: ms(5) }));
    assert_eq!(history(&world), ["0 invoke", "0 info", "1 invoke", "1 ok 1"]);
    let events = &world.history().events;
    assert_eq!(events[1].at, 15_000_000);
    assert_ne!(events[1].process, events[2].process);
    assert_eq!(events[1].actor, events[2].actor);
}

#[test]
fn an_answer_from_a_node_that_was_never_asked_ends_the_run() {
    for (script, liar) in [
        (vec![Do::Send(1, vec![Do::Ok(1)])], 1),
        (vec![Do::Lie(2, 77)], 0),
        (vec![Do::Lie(0, 0)], 0),
        (vec![Do::Send(2, vec![])], 0),
    ] {
        let world = run(&still(2, vec![(10, 0, script)]));
        assert_eq!(world.end(), End::Misuse(n(liar)));
    }
    // An answer after all to a call that is over is honest.
    let late = still(1, vec![(10, 0, vec![Do::Timer(600, 1, vec![Do::Ok(1)])])]);
    assert_eq!(run(&late).end(), End::Quiet);
}

#[test]
fn calls_are_found_by_their_ids() {
    let mut case = still(
        2,
        vec![(10, 0, vec![Do::Ok(1)]), (20, 1, vec![Do::Ok(2)]), (30, 0, vec![Do::Ok(3)])],
    );
    case.calls[0].id = 900;
    case.calls[1].id = 7;
    case.calls[2].id = 1;
    let world = run(&case);
    let calls: Vec<u32> = world.history().events.iter().map(|event| event.call).collect();
    assert_eq!(calls, [900, 900, 7, 7, 1, 1]);
    let expected = ["0 invoke", "0 ok 1", "1 invoke", "1 ok 2", "2 invoke", "2 ok 3"];
    assert_eq!(history(&world), expected);
}

#[test]
fn steps_of_a_role_are_operations_of_their_own() {
    let ends = |ending| vec![Do::Invoke, Do::Timer(5, 1, vec![Do::Complete(ending)])];
    let script = [ends(Ending::Ok), vec![Do::Timer(20, 2, ends(Ending::Fail))]].concat();
    let world = run(&case(vec![script], vec![]));
    assert_eq!(history(&world), ["0 invoke", "0 ok 0", "1 invoke", "1 fail"]);
    let events = &world.history().events;
    assert!(events.iter().all(|event| event.actor == Actor::Role(0)));
    assert_eq!(events[0].process, events[2].process);
    assert_eq!((events[0].call, events[2].call), (0, 1));
    let script = [ends(Ending::Info), vec![Do::Timer(20, 2, ends(Ending::Ok))]].concat();
    let world = run(&case(vec![script], vec![]));
    assert_eq!(history(&world), ["0 invoke", "0 info", "1 invoke", "1 ok 0"]);
    assert_ne!(world.history().events[0].process, world.history().events[2].process);
}

#[test]
fn open_steps_of_a_role_are_info_when_it_crashes() {
    let start = vec![Do::Invoke, Do::Invoke, Do::Timer(80, 1, vec![Do::Complete(Ending::Ok)])];
    let case = case(vec![start], vec![]).with(at(50), Kind::Restart { node: n(0) });
    let world = run(&case);
    assert_eq!(
        history(&world),
        ["0 invoke", "1 invoke", "0 info", "1 info", "2 invoke", "3 invoke", "2 ok 0", "3 ok 0"]
    );
    let processes: Vec<u32> = world.history().events.iter().map(|event| event.process).collect();
    assert!(processes[..2].iter().all(|process| !processes[4..].contains(process)));
    // Between the step and the message that it makes.
    let start = vec![Do::Invoke, Do::Send(0, vec![]), Do::Complete(Ending::Ok)];
    let crash = Kind::Crash { node: n(0), down: ms(5000) };
    let case = common::case(vec![start], vec![]);
    let case = case.with(effect(Edge::After, 0, EffectKind::Invoke, 1), crash);
    let expected = ["0 invoke", "0 info", "1 invoke", "1 ok 0"];
    assert_eq!(history(&acts(&case, FaultKind::Crash)), expected);
}

#[test]
fn a_livelock_ends_by_the_limit_of_steps() {
    fn nest(depth: u32) -> Vec<Do> {
        if depth == 0 { vec![] } else { vec![Do::Send(0, nest(depth - 1))] }
    }
    let case = case(vec![nest(200)], vec![]);
    let mut world: World<Puppet> = World::new(&case);
    world.limit_steps(100);
    assert_eq!(world.run(), End::Steps);
    assert_eq!(world.steps(), 100);
    assert_eq!(run(&case).end(), End::Quiet);
    assert_eq!(run_to(&case, 0).end(), End::Time);
}

#[test]
fn a_storm_ends_too() {
    let storm = vec![Do::Send(1, vec![]); 1 << 20];
    let mut world: World<Puppet> = World::new(&case(vec![storm, vec![]], vec![]));
    assert_eq!(world.run(), End::Steps);
    assert_eq!(world.deliveries(), 0);
}
