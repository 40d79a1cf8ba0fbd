//! Redlock's costs, its trial in small, and the three ways in which it breaks.

use crate::{breaks, costs, holds, ms, paid};
use explorer::{Outcome, Record, Scenario, judge_recorded};
use node::{EffectKind, NodeId};
use protocols::Redlock;
use protocols::key::{Config, Object, Op, Role};
use scenarios::redlock::{Redlocks, amnesiac, clock_jump, redlock, unfenced};
use std::time::Duration;
use world::case::CASE_VERSION;
use world::{
    Address, Call, Case, Clients, Edge, EffectPattern, Fault, FaultKind, Kind, Network, Origin,
    Place, Seed,
};

/// So many lock servers, a store and two holders; a key lasts 200 ms, work takes 50 ms, every
/// message takes 1 ms, and client i asks holder i at the given time.
fn case(servers: u16, at: &[Duration]) -> Case<Op, Config> {
    let calls = (0..).zip(at).map(|(client, at)| Call {
        id: client.into(),
        at: *at,
        client,
        to: NodeId(servers + 1 + client),
        op: Op::Increment(Object(0)),
    });
    let config = Config {
        servers,
        ttl: ms(200),
        silence: ms(200),
        drift_ppm: 140_000,
        work: ms(50),
        patience: ms(20),
        back_off: ms(20),
        ..Config::default()
    };
    let role = |node| match node {
        node if node < servers => Role::LockServer,
        node if node == servers => Role::Store,
        _ => Role::Holder,
    };
    Case {
        version: CASE_VERSION,
        scenario: "redlock".into(),
        mutant: None,
        seed: Seed(1),
        heal_at: ms(1_000),
        end_at: ms(9_000),
        sync: Duration::ZERO,
        clients: Clients { count: 2, give_up: ms(2_000), deduplicated: false },
        network: Network { fastest: ms(1), slowest: ms(1), ..Network::default() },
        nodes: (0..servers + 3).map(|node| Config { role: role(node), ..config.clone() }).collect(),
        calls: calls.collect(),
        faults: Vec::new(),
    }
}

fn run(scenario: &Redlocks<Redlock>, case: &Case<Op, Config>) -> (Outcome, Record) {
    assert!(scenario.valid(case), "the scenario does not speak of this case");
    let (outcome, record) = judge_recorded(scenario, case);
    assert!(record.missed.is_empty(), "{:?}", record.missed);
    (outcome, record)
}

fn signature(outcome: &Outcome) -> Option<String> {
    outcome.verdict.anomaly().map(|anomaly| anomaly.signature())
}

/// protocols.md P14: acquire is 2N messages, and no lock server writes anything.
#[test]
fn what_a_calm_increment_costs() {
    for servers in [3u16, 5] {
        let (outcome, record) = run(&redlock(), &case(servers, &[ms(0)]));
        assert!(outcome.verdict.holds(), "{}", outcome.verdict);
        let n = usize::from(servers);
        let of = |from: u16, to: u16| {
            paid(record.events.iter().filter(|e| (from..to).contains(&e.node.0)))
        };
        assert_eq!(of(0, servers), costs(&[("send Answer", n)]), "no force at any of them");
        let store = [("send Value", 1), ("force Write", 1), ("send Done", 1)];
        assert_eq!(of(servers, servers + 1), costs(&store));
        let holder = [("send Set", n), ("send Read", 1), ("send Write", 1), ("send Release", n)];
        assert_eq!(of(servers + 1, servers + 3), costs(&holder));
    }
}

/// An extension is 2N messages more; half of what is left of 172 ms passes twice in 150 ms of work.
#[test]
fn what_an_extension_costs() {
    let mut case = case(3, &[ms(0)]);
    case.nodes.iter_mut().for_each(|config| config.work = ms(150));
    let (outcome, record) = run(&redlock(), &case);
    assert!(outcome.verdict.holds(), "{}", outcome.verdict);
    let paid = paid(record.events.iter());
    assert_eq!((paid["send Extend"], paid["send Answer"]), (3, 6));
    assert!(outcome.marks.iter().any(|(mark, _)| *mark == "an extension moved the bound"));
}

/// Stops holder 1 for longer than a TTL, when it is about to send its write.
fn paused() -> Case<Op, Config> {
    let mut case = case(3, &[ms(0), ms(60)]);
    let effect = EffectPattern { kind: Some(EffectKind::Send), variant: Some("Write".into()) };
    let node = NodeId(4);
    let place = Place::Effect { edge: Edge::Before, node, effect, origin: None, nth: 1 };
    case.faults = vec![Fault { id: 0, place, kind: Kind::Pause { node, lasts: ms(900) } }];
    case
}

/// The third way: no lock keeps a paused holder from writing late, and no fence stops the write.
#[test]
fn a_pause_is_no_second_hold_and_costs_an_update() {
    let mut case = paused();
    assert!(run(&redlock(), &case).0.verdict.holds());
    case.scenario = "naive::redlock_unfenced".into();
    assert_eq!(signature(&run(&unfenced(), &case).0).as_deref(), Some("lock / lost update"));
}

/// Holder 1 has the key on servers 1 and 2, for its message to server 3 is lost.
fn on_a_bare_majority() -> Case<Op, Config> {
    let mut case = case(3, &[ms(0), ms(20)]);
    let set = Address { from: NodeId(4), to: NodeId(2), origin: Origin::Call(0), nth: 1 };
    case.faults = vec![Fault { id: 0, place: Place::Message(set), kind: Kind::Loss }];
    case
}

/// The first way: the wall clock of one server of the majority jumps past its key's end.
#[test]
fn a_clock_that_jumps_lets_a_second_holder_in() {
    let mut case = on_a_bare_majority();
    assert!(run(&redlock(), &case).0.verdict.holds());
    let jump = |millis| Kind::WallJump { node: NodeId(1), millis };
    case.faults.push(Fault { id: 1, place: Place::At(ms(10)), kind: jump(300) });
    assert!(!redlock().valid(&case), "outside of the restricted profile");
    case.scenario = "naive::redlock_clock_jump".into();
    let (outcome, _) = run(&clock_jump(), &case);
    assert_eq!(signature(&outcome).as_deref(), Some("linearizable / not linearizable"));
    assert!(outcome.effective.has(FaultKind::WallJump));
    case.faults[1].kind = jump(100);
    assert!(run(&clock_jump(), &case).0.verdict.holds(), "the key has not run out");
    case.faults[1].kind = jump(-300);
    assert!(run(&clock_jump(), &case).0.verdict.holds(), "back is harmless");
}

/// Where a wall clock stands is nobody's business, and a rate within the allowance is none either.
#[test]
fn an_offset_and_a_drift_are_harmless() {
    let mut case = on_a_bare_majority();
    let clocks = [
        Kind::WallOffset { node: NodeId(1), millis: 9_000 },
        Kind::WallDrift { node: NodeId(1), ppm: 100_000 },
    ];
    let faults = (1..).zip(clocks).map(|(id, kind)| Fault { id, place: Place::At(ms(0)), kind });
    case.faults.extend(faults);
    let (outcome, _) = run(&redlock(), &case);
    assert!(outcome.verdict.holds(), "{}", outcome.verdict);
    assert!(
        outcome.effective.has(FaultKind::WallOffset) && outcome.effective.has(FaultKind::WallDrift)
    );
    assert!(outcome.uses.wall, "somebody reads a wall clock");
    case.faults.push(Fault {
        id: 9,
        place: Place::At(ms(0)),
        kind: Kind::WallDrift { node: NodeId(0), ppm: 100_001 },
    });
    assert!(!redlock().valid(&case), "more than holders are told");
}

/// The second way: a server of the majority forgets its key, and answers at once.
#[test]
fn a_restart_that_is_not_delayed_lets_a_second_holder_in() {
    let mut case = on_a_bare_majority();
    let kind = Kind::Restart { node: NodeId(1) };
    case.faults.push(Fault { id: 1, place: Place::At(ms(10)), kind });
    let (outcome, _) = run(&redlock(), &case);
    assert!(outcome.verdict.holds(), "{}", outcome.verdict);
    assert!(!amnesiac().valid(&case), "it is silent");
    case.nodes.iter_mut().for_each(|config| config.silence = Duration::ZERO);
    case.scenario = "naive::redlock_amnesiac".into();
    let (outcome, _) = run(&amnesiac(), &case);
    assert_eq!(signature(&outcome).as_deref(), Some("linearizable / not linearizable"));
}

#[test]
fn a_small_campaign_holds() {
    holds(&redlock());
}

#[test]
fn redlock_is_found_broken_outside_its_profile_and_made_small() {
    breaks(&clock_jump(), 1_000, &["linearizable / not linearizable"], (4, 3));
    breaks(&amnesiac(), 1_000, &["linearizable / not linearizable"], (4, 3));
    breaks(&unfenced(), 1_000, &["lock / lost update"], (4, 3));
}
