//! The lease lock's costs, its trial in small, and what its judges must and must not say.

use crate::{breaks, holds, ms};
use explorer::{Outcome, Record, Scenario, judge_recorded};
use node::{EffectKind, Node, NodeId};
use protocols::lease::{Config, Object, Op, Ret, Role};
use scenarios::lease_lock::{
    LeaseLocks, first_free_node, lease_lock, redis, smallest_id, unfenced,
};
use std::time::Duration;
use world::case::CASE_VERSION;
use world::{
    Address, Call, Case, Clients, Edge, EffectPattern, Fault, Happening, Kind, Network, Origin,
    Place, Seed,
};

const LOCK: NodeId = NodeId(0);
const STORE: NodeId = NodeId(1);
const HOLDERS: [NodeId; 2] = [NodeId(2), NodeId(3)];

/// A lock server, a store and two holders; a lease lasts 100 ms, every message takes 1 ms, and
/// client i asks holder i at the given time.
fn case(at: &[Duration], faults: Vec<Fault>) -> Case<Op, Config> {
    let calls = (0..).zip(at).map(|(client, at)| Call {
        id: client.into(),
        at: *at,
        client,
        to: HOLDERS[usize::from(client)],
        op: Op::Increment(Object(0)),
    });
    let roles = [Role::LockServer, Role::Store, Role::Holder, Role::Holder];
    let config = Config { ttl: ms(100), drift_ppm: 50_000, ..Config::default() };
    Case {
        version: CASE_VERSION,
        scenario: "lease_lock".into(),
        mutant: None,
        seed: Seed(1),
        heal_at: ms(1_000),
        end_at: ms(5_000),
        sync: Duration::ZERO,
        clients: Clients { count: 2, give_up: ms(2_000), deduplicated: false },
        network: Network { fastest: ms(1), slowest: ms(1), ..Network::default() },
        nodes: roles.map(|role| Config { role, ..config.clone() }).to_vec(),
        calls: calls.collect(),
        faults,
    }
}

/// Stops holder 1 for so long, when it is about to send its write.
fn pause_before_the_write(lasts: Duration) -> Fault {
    let effect = EffectPattern { kind: Some(EffectKind::Send), variant: Some("Write".into()) };
    let [node, _] = HOLDERS;
    let place = Place::Effect { edge: Edge::Before, node, effect, origin: None, nth: 1 };
    Fault { id: 0, place, kind: Kind::Pause { node, lasts } }
}

fn run<N>(scenario: &LeaseLocks<N>, case: &Case<Op, Config>) -> (Outcome, Record)
where
    N: Node<Config = Config, Op = Op, Ret = Ret>,
    LeaseLocks<N>: Scenario<Node = N>,
{
    assert!(scenario.valid(case), "the scenario does not speak of this case");
    judge_recorded(scenario, case)
}

fn signature(outcome: &Outcome) -> Option<String> {
    outcome.verdict.anomaly().map(|anomaly| anomaly.signature())
}

fn marked(outcome: &Outcome, mark: &str) -> bool {
    outcome.marks.iter().any(|(known, _)| *known == mark)
}

/// protocols.md P14: acquire is 2 messages and 1 force; release is 1 message, and lazy.
#[test]
fn what_a_calm_increment_costs() {
    let (outcome, record) = run(&lease_lock(), &case(&[ms(0)], Vec::new()));
    assert!(outcome.verdict.holds(), "{}", outcome.verdict);
    let name = |text: &str| text.split(|c: char| !c.is_alphanumeric()).next().map(str::to_owned);
    let costs = [Happening::Send, Happening::Force, Happening::Persist, Happening::Snapshot];
    let paid: Vec<(NodeId, Happening, String)> = record
        .events
        .iter()
        .filter(|event| costs.contains(&event.what))
        .map(|event| (event.node, event.what, name(&event.text).unwrap_or_default()))
        .collect();
    let [holder, _] = HOLDERS;
    let expected = [
        (holder, Happening::Send, "Acquire"),
        (LOCK, Happening::Force, "Grant"),
        (LOCK, Happening::Send, "Granted"),
        (holder, Happening::Send, "Read"),
        (STORE, Happening::Force, "Token"),
        (STORE, Happening::Send, "Value"),
        (holder, Happening::Send, "Write"),
        (STORE, Happening::Force, "Write"),
        (STORE, Happening::Send, "Done"),
        (holder, Happening::Send, "Release"),
        (LOCK, Happening::Persist, "Ended"),
    ];
    assert_eq!(paid, expected.map(|(node, what, name)| (node, what, name.to_owned())));
}

/// 5.7: the hold of a paused holder ends at its bound, not when it next runs.
#[test]
fn a_pause_longer_than_the_lease_is_no_violation() {
    let case = case(&[ms(0), ms(50)], vec![pause_before_the_write(ms(400))]);
    let (outcome, record) = run(&lease_lock(), &case);
    assert!(record.missed.is_empty(), "{:?}", record.missed);
    assert!(outcome.verdict.holds(), "{}", outcome.verdict);
    assert!(marked(&outcome, "a lease ran out at the lock server"));
    assert!(marked(&outcome, "a smaller token was refused"), "{:?}", outcome.marks);
    let answers = |e: &&world::TraceEvent| e.node > HOLDERS[1] && e.what == Happening::Ok;
    let told: Vec<&str> =
        record.events.iter().filter(answers).map(|event| event.text.as_str()).collect();
    assert_eq!(told, ["Incremented(1)", "Incremented(2)"], "both are served, one after the other");
}

#[test]
fn the_same_pause_costs_an_update_where_nobody_checks_the_fence() {
    let mut case = case(&[ms(0), ms(50)], vec![pause_before_the_write(ms(400))]);
    case.scenario = "naive::lease_lock_unfenced".into();
    let (outcome, _) = run(&unfenced(), &case);
    assert_eq!(signature(&outcome).as_deref(), Some("lock / lost update"));
}

#[test]
fn a_short_pause_harms_nobody() {
    let case = case(&[ms(0), ms(50)], vec![pause_before_the_write(ms(10))]);
    for outcome in [run(&lease_lock(), &case).0, run(&unfenced(), &case).0] {
        assert!(outcome.verdict.holds(), "{}", outcome.verdict);
    }
}

#[test]
fn a_small_campaign_holds() {
    holds(&lease_lock());
}

/// The Redis lock's own bug: the release of one that had finished in time is late, ends the hold of
/// the next one, and lets a third in. The same late release is harmless where owners are compared.
#[test]
fn a_late_release_deletes_the_next_holders_key() {
    let [first, _] = HOLDERS;
    let release = Address { from: first, to: LOCK, origin: Origin::Call(0), nth: 2 };
    let late = Kind::Delay { by: ms(128) };
    let mut case =
        case(&[ms(0), ms(50)], vec![Fault { id: 0, place: Place::Message(release), kind: late }]);
    case.calls.push(Call { id: 2, at: ms(155), ..case.calls[0].clone() });
    case.scenario = "naive::lock_redis".into();
    let (outcome, record) = run(&redis(), &case);
    assert!(record.missed.is_empty(), "{:?}", record.missed);
    assert_eq!(signature(&outcome).as_deref(), Some("lock / lost update"));
    case.scenario = "naive::lease_lock_unfenced".into();
    let (outcome, _) = run(&unfenced(), &case);
    assert!(outcome.verdict.holds(), "{}", outcome.verdict);
}

#[test]
fn the_articles_locks_are_found_and_made_small() {
    let lost = ["lock / lost update"];
    breaks(&unfenced(), 100, &lost, (3, 1));
    breaks(&redis(), 100, &lost, (3, 1));
    breaks(&smallest_id(), 10, &lost, (3, 0));
    breaks(&first_free_node(), 10, &lost, (3, 0));
}
