//! What exclusive logins cost, their trial in small, and the lock that is none.

use crate::{breaks, costs, holds, ms, paid};
use explorer::{Outcome, Record, Scenario, judge_recorded};
use node::{Node, NodeId};
use protocols::login::{Account, Config, Op, Ret, Role};
use scenarios::login::{Logins, lock, login};
use std::time::Duration;
use world::case::CASE_VERSION;
use world::{Address, Call, Case, Clients, Fault, Kind, Network, Origin, Place, Seed};

const DEVICES: [NodeId; 2] = [NodeId(2), NodeId(3)];
const U: Account = Account(0);

/// A session server, a resource and two devices; every message takes 1 ms, and client i asks device
/// i at the given time. A session of the exhibit lasts 100 ms.
fn case(calls: &[(u16, Duration, Op)]) -> Case<Op, Config> {
    let call = |(id, &(client, at, op)): (u32, &(u16, Duration, Op))| Call {
        id,
        at,
        client,
        to: DEVICES[usize::from(client)],
        op,
    };
    let config = Config { ttl: ms(100), resend: ms(500), ..Config::default() };
    let roles = [Role::Server, Role::Resource, Role::Device, Role::Device];
    Case {
        version: CASE_VERSION,
        scenario: "login".into(),
        mutant: None,
        seed: Seed(1),
        heal_at: ms(1_000),
        end_at: ms(5_000),
        sync: Duration::ZERO,
        clients: Clients { count: 2, give_up: ms(2_000), deduplicated: false },
        network: Network { fastest: ms(1), slowest: ms(1), ..Network::default() },
        nodes: roles.map(|role| Config { role, ..config.clone() }).to_vec(),
        calls: (0..).zip(calls).map(call).collect(),
        faults: Vec::new(),
    }
}

fn run<N>(scenario: &Logins<N>, case: &Case<Op, Config>) -> (Outcome, Record)
where
    N: Node<Config = Config, Op = Op, Ret = Ret>,
    Logins<N>: Scenario<Node = N>,
{
    assert!(scenario.valid(case), "the scenario does not speak of this case");
    let (outcome, record) = judge_recorded(scenario, case);
    assert!(record.missed.is_empty(), "{:?}", record.missed);
    (outcome, record)
}

/// What the last call of a calm case costs, nodes together.
#[track_caller]
fn last_costs(ops: &[(u16, Op)], expected: &[(&str, usize)]) {
    let calls: Vec<_> = (0..).zip(ops).map(|(nth, (who, op))| (*who, ms(20) * nth, *op)).collect();
    let (outcome, record) = run(&login(), &case(&calls));
    assert!(outcome.verdict.holds(), "{}", outcome.verdict);
    let last = Some(Origin::Call(ops.len() as u32 - 1));
    let nodes = record.events.iter().filter(|event| event.node <= DEVICES[1]);
    assert_eq!(paid(nodes.filter(|event| event.origin == last)), costs(expected));
}

#[test]
fn a_login_costs_2_messages_and_1_force() {
    let login = [("send Login", 1), ("force Login", 1), ("send Granted", 1)];
    last_costs(&[(0, Op::Login(U))], &login);
    let told = [("send Out", 1), ("send Known", 1), ("persist Told", 1)];
    last_costs(&[(0, Op::Login(U)), (1, Op::Login(U))], &[login, told].concat());
}

#[test]
fn an_act_costs_2_messages_and_1_force() {
    let act = [("send Act", 1), ("force Act", 1), ("send Done", 1)];
    last_costs(&[(0, Op::Login(U)), (0, Op::Act(U))], &act);
    last_costs(&[(0, Op::Act(U))], &[]);
}

#[test]
fn a_logout_costs_2_messages_and_1_force() {
    let logout = [("send Logout", 1), ("force Logout", 1), ("send Ended", 1)];
    last_costs(&[(0, Op::Login(U)), (0, Op::Logout(U))], &logout);
    last_costs(&[(0, Op::Logout(U))], &[]);
}

/// Device 1 acts in its session, and its act takes so long; device 2 logs in and acts meanwhile.
fn late_act(by: Duration) -> Case<Op, Config> {
    let mut case = case(&[
        (0, ms(0), Op::Login(U)),
        (0, ms(20), Op::Act(U)),
        (1, ms(150), Op::Login(U)),
        (1, ms(170), Op::Act(U)),
    ]);
    let act = Address { from: DEVICES[0], to: NodeId(1), origin: Origin::Call(1), nth: 1 };
    case.faults = vec![Fault { id: 0, place: Place::Message(act), kind: Kind::Delay { by } }];
    case
}

fn signature(outcome: &Outcome) -> Option<String> {
    outcome.verdict.anomaly().map(|anomaly| anomaly.signature())
}

#[test]
fn a_late_act_is_refused_by_its_epoch() {
    let (outcome, _) = run(&login(), &late_act(ms(200)));
    assert!(outcome.verdict.holds(), "{}", outcome.verdict);
    let refused = "an act of an earlier session was refused";
    assert!(outcome.marks.iter().any(|(mark, _)| *mark == refused), "{:?}", outcome.marks);
}

#[test]
fn the_same_act_is_done_where_a_login_is_a_lock() {
    let mut case = late_act(ms(200));
    case.scenario = "naive::login_lock".into();
    let late = signature(&run(&lock(), &case).0);
    assert_eq!(late.as_deref(), Some("login / act of an earlier session"));
    let mut case = late_act(ms(100));
    case.scenario = "naive::login_lock".into();
    assert!(run(&lock(), &case).0.verdict.holds(), "before the other one has acted");
}

#[test]
fn a_small_campaign_holds() {
    holds(&login());
}

#[test]
fn the_login_lock_is_found_and_made_small() {
    breaks(&lock(), 1_000, &["login / act of an earlier session"], (4, 3));
}
