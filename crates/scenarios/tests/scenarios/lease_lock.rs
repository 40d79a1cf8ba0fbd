//! The lease lock's costs, its trial in small, and what its judges must and must not say.

use crate::ms;
use explorer::{
    AnyScenario, Budget, Narrow, Outcome, Progress, Record, Scenario, explore, judge_recorded,
};
use node::{EffectKind, Node, NodeId};
use protocols::lease::{Config, Object, Op, Ret, Role};
use scenarios::lease_lock::{LeaseLocks, lease_lock, unfenced};
use std::time::Duration;
use world::case::CASE_VERSION;
use world::{
    Call, Case, Clients, Edge, EffectPattern, Fault, Happening, Kind, Network, Place, Seed,
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
    explore(&lease_lock(), &Budget::seeds(2_000), &Progress::default()).assert_holds();
}

#[test]
fn the_exhibit_is_found_and_made_small() {
    let budget = Budget { first: true, ..Budget::seeds(100) };
    let report = explore(&unfenced(), &budget, &Progress::default());
    let finding = report.findings.first().expect("an update is lost within a hundred cases");
    let exhibit = unfenced().exhibit(finding.seed, &Narrow::default(), true).expect("it fails");
    assert_eq!(exhibit.anomaly.signature(), "lock / lost update");
    assert!(exhibit.after.0 <= 3 && exhibit.after.1 <= 2, "{:?}", exhibit.after);
}
