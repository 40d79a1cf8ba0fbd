//! Two-phase commit and the bank: what calm runs cost, small campaigns, and what must be found.

use crate::{breaks, campaign, copies_do_no_harm, holds, holds_with_few, planted, signatures};
use explorer::{AnyScenario, Budget, Narrow, Progress, explore, judge, judge_recorded};
use node::{Cx, Node, NodeId, Observe, RequestId};
use protocols::commit::{Action, Config, Durable, Item, Key, Op, Presume, Ret, Role, View};
use scenarios::bank::{bank, in_any_order, wound_wait};
use scenarios::two_phase_commit::{
    FreeVotes, presumed_commit, two_phase_commit, version_a, version_b, version_c, version_d,
    version_e,
};
use std::time::Duration;
use world::TraceEvent;
use world::case::{CASE_VERSION, Case, Clients};
use world::{Address, Call, Edge, Fault, Faults, Happening, Kind, Network, Origin, Place, Seed};

const COORDINATOR: NodeId = NodeId(0);

/// One client, one call after another, and no trouble at all.
fn calm(participants: u16, ops: Vec<Op>) -> Case<Op, Config> {
    let ids = (1..=participants).map(NodeId).collect();
    let config = |role| Config {
        vote_timeout: Duration::from_millis(400),
        work_timeout: Duration::from_millis(400),
        compact_after: 1000,
        role,
        ..Config::default()
    };
    let mut nodes = vec![config(Role::Coordinator { participants: ids, acceptors: Vec::new() })];
    let balances = vec![(Key(0), 10), (Key(1), 10)];
    nodes.resize(usize::from(participants) + 1, config(Role::Participant { balances }));
    let calls = (0..).zip(ops).map(|(id, op)| Call {
        id,
        at: Duration::from_secs(3 * u64::from(id)),
        client: 0,
        to: COORDINATOR,
        op,
    });
    Case {
        version: CASE_VERSION,
        scenario: "two_phase_commit".into(),
        mutant: None,
        seed: Seed(1),
        heal_at: Duration::from_secs(1),
        end_at: Duration::from_secs(60),
        sync: Duration::from_micros(200),
        clients: Clients { count: 1, give_up: Duration::from_secs(1), deduplicated: false },
        network: Network { slowest: Duration::from_millis(1), ..Network::default() },
        nodes,
        calls: calls.collect(),
        faults: Vec::new(),
    }
}

/// An action of every participant, on a key that no other one of them uses.
fn votes(actions: &[Action]) -> Op {
    let items = (0..).zip(actions).map(|(at, action)| Item { at, key: Key(0), action: *action });
    Op { items: items.collect() }
}

/// Messages from Prepare on, forces of the coordinator, and forces of each participant.
#[derive(PartialEq, Eq, Debug)]
struct Cost {
    messages: usize,
    coordinator: usize,
    participants: Vec<usize>,
}

fn cost(op: Op) -> Cost {
    cost_presuming(Presume::Abort, op)
}

fn cost_presuming(presume: Presume, op: Op) -> Cost {
    let participants = op.participants().len();
    let mut case = calm(participants as u16, vec![op]);
    case.nodes.iter_mut().for_each(|node| node.presume = presume);
    let (outcome, record) = judge_recorded(&two_phase_commit(), &case);
    assert!(outcome.verdict.holds(), "{}", outcome.verdict);
    let (_, ok) = outcome.operations;
    assert_eq!(ok, u32::from(!case.calls[0].op.items.iter().any(|i| i.action == Action::Veto)));
    let counted = ["Prepare", "Vote", "Decision", "Ack", "Inquiry", "PeerAsk", "PeerTell"];
    let sent = |event: &&TraceEvent| {
        event.what == Happening::Send && counted.iter().any(|name| event.text.starts_with(name))
    };
    let forces = |node: usize| {
        let forced =
            |event: &&TraceEvent| event.what == Happening::Force && event.node.index() == node;
        record.events.iter().filter(forced).count()
    };
    Cost {
        messages: record.events.iter().filter(sent).count(),
        coordinator: forces(0),
        participants: (1..=participants).map(forces).collect(),
    }
}

#[test]
fn p14_a_commit_costs_4n_messages_and_1_plus_2n_forces() {
    for n in 1..=4 {
        let expected = Cost { messages: 4 * n, coordinator: 1, participants: vec![2; n] };
        assert_eq!(cost(votes(&vec![Action::Add(1); n])), expected);
    }
}

#[test]
fn p14_a_read_only_participant_costs_2_messages_and_no_force() {
    let op = votes(&[Action::Add(1), Action::Read, Action::Add(-1)]);
    let expected = Cost { messages: 4 * 2 + 2, coordinator: 1, participants: vec![2, 0, 2] };
    assert_eq!(cost(op), expected);
}

#[test]
fn p14_one_no_voter_costs_3n_minus_1_messages_and_a_force_for_each_yes() {
    for n in 1..=4 {
        let mut actions = vec![Action::Add(1); n];
        actions[n - 1] = Action::Veto;
        let mut participants = vec![1; n];
        participants[n - 1] = 0;
        let expected = Cost { messages: 3 * n - 1, coordinator: 0, participants };
        assert_eq!(cost(votes(&actions)), expected);
    }
}

#[test]
fn p14_where_it_is_presumed_a_commit_costs_3n_messages_and_2_plus_n_forces() {
    for n in 1..=4 {
        let expected = Cost { messages: 3 * n, coordinator: 2, participants: vec![1; n] };
        assert_eq!(cost_presuming(Presume::Commit, votes(&vec![Action::Add(1); n])), expected);
    }
}

#[test]
fn p14_where_commit_is_presumed_one_no_voter_costs_4n_minus_2_messages_and_two_forces_for_each_yes()
{
    for n in 1..=4 {
        let mut actions = vec![Action::Add(1); n];
        actions[n - 1] = Action::Veto;
        let mut participants = vec![2; n];
        participants[n - 1] = 0;
        let expected = Cost { messages: 4 * n - 2, coordinator: 2, participants };
        assert_eq!(cost_presuming(Presume::Commit, votes(&actions)), expected);
    }
}

#[test]
fn two_phase_commit_holds() {
    holds(&two_phase_commit());
}

#[test]
fn presumed_commit_holds() {
    holds(&presumed_commit());
}

#[test]
fn the_bank_holds() {
    holds(&bank());
}

#[test]
fn the_bank_holds_where_locks_are_waited_for() {
    holds(&wound_wait());
}

/// No fault is needed: each waits for what another one holds.
#[test]
fn locks_in_any_order_end_in_deadlock() {
    let calm = Narrow { faults: Some(Faults::NONE), ..Narrow::default() };
    let report = campaign(&in_any_order(), 100, calm.clone());
    assert_eq!(signatures(&report), ["progress / in doubt"]);
    let small = in_any_order().exhibit(report.findings[0].seed, &calm, true).expect("it fails");
    assert!(small.after.0 <= 3 && small.after.1 == 0, "{:?}", small.after);
}

#[test]
fn a_few_faults_break_neither() {
    holds_with_few(&two_phase_commit());
    holds_with_few(&bank());
    holds_with_few(&wound_wait());
}

#[test]
fn every_exhibit_shows_its_errors_within_100_seeds() {
    breaks(&version_a(), 100, &["commit / AC1 agreement", "commit / AC2 validity"], (3, 2));
    breaks(&version_b(), 100, &["commit / AC2 validity", "commit / applied twice"], (3, 2));
    breaks(&version_c(), 100, &["commit / AC1 agreement", "commit / AC2 validity"], (3, 2));
    breaks(&version_d(), 100, &["progress / in doubt", "commit / applied twice"], (3, 2));
    breaks(&version_e(), 100, &["commit / AC1 agreement", "commit / AC2 validity"], (3, 2));
    breaks(&version_e(), 100, &["progress / in doubt"], (3, 2));
}

#[test]
fn every_generic_mutant_is_found_but_the_one_that_does_no_harm() {
    for mutant in [
        "drop_force",
        "persist_instead_of_force",
        "send_before_force",
        "forget_timer",
        "lose_on_restart",
    ] {
        let budget = Budget {
            campaign: Some(1),
            narrow: planted(mutant),
            first: true,
            ..Budget::seeds(2_000)
        };
        let report = explore(&two_phase_commit(), &budget, &Progress::default());
        assert!(report.verdict().is_violated(), "{mutant}");
    }
    copies_do_no_harm(&two_phase_commit());
}

#[test]
fn the_bank_shows_money_made_and_lost() {
    let found = signatures(&campaign(&bank(), 1_000, planted("lose_on_restart")));
    for error in ["conservation / read_all", "conservation / negative balance"] {
        assert!(found.iter().any(|signature| signature == error), "{error}: {found:?}");
    }
}

/// A transfer between two participants under a mutant and these faults.
fn transfer(mutant: &str, faults: Vec<Kind>, places: Vec<Place>) -> Case<Op, Config> {
    let mut case = calm(2, vec![votes(&[Action::Add(-1), Action::Add(1)])]);
    case.mutant = mutant.parse().ok();
    for node in &mut case.nodes {
        node.inquiry_interval = Duration::from_millis(20);
    }
    let faults = (0..).zip(faults.into_iter().zip(places));
    case.faults = faults.map(|(id, (kind, place))| Fault { id, place, kind }).collect();
    case
}

fn after(node: u16, effect: &str) -> Place {
    let effect = effect.to_owned().try_into().expect("an effect");
    Place::Effect { edge: Edge::After, node: NodeId(node), effect, origin: None, nth: 1 }
}

fn verdict(case: &Case<Op, Config>) -> String {
    judge(&two_phase_commit(), case).verdict.to_string()
}

/// The oracle's A1 has one fault: the coordinator's crash, or an inquiry before the force.
#[test]
fn a1_commit_sent_before_it_is_forced_needs_one_fault() {
    let crash = Kind::Restart { node: COORDINATOR };
    let place = after(0, "Send(Decision)");
    let case = transfer("send_before_force(Commit)", vec![crash.clone()], vec![place.clone()]);
    assert_eq!(verdict(&case), "VIOLATED   AC1 agreement: t0.1.0 committed at p1, aborted at p2");
    assert_eq!(verdict(&transfer("", vec![crash], vec![place])), "HOLDS");
    let calm = Narrow { faults: Some(Faults::NONE), ..planted("send_before_force(Commit)") };
    let found = signatures(&campaign(&two_phase_commit(), 1_000, calm));
    assert!(!found.contains(&"commit / AC1 agreement".to_owned()), "{found:?}");
}

/// The oracle's A2 has two faults: the participant's crash and a timeout. (A delay counts as none.)
#[test]
fn a2_yes_sent_before_it_is_forced_needs_a_crash_and_a_timeout() {
    let mutant = "send_before_force(Prepared)";
    let crash = (Kind::Restart { node: NodeId(1) }, after(1, "Send(Vote)"));
    // The second message of p2 to its coordinator is its vote: p2 asks p1 before it arrives.
    let (from, to) = (NodeId(2), COORDINATOR);
    let address = Address { from, to, origin: Origin::Call(0), nth: 2 };
    let delay = (Kind::Delay { by: Duration::from_millis(100) }, Place::Message(address));
    let case = |mutant, faults: &[&(Kind, Place)]| {
        let (kinds, places) = faults.iter().map(|fault| (*fault).clone()).unzip();
        transfer(mutant, kinds, places)
    };
    assert_eq!(
        verdict(&case(mutant, &[&crash, &delay])),
        "VIOLATED   AC1 agreement: t0.1.0 committed at coordinator, aborted at p1"
    );
    assert_eq!(verdict(&case("", &[&crash, &delay])), "HOLDS");
    assert_eq!(verdict(&case(mutant, &[&delay])), "HOLDS");
    // Without the timeout the promise is gone as well, but nobody has aborted.
    assert_eq!(
        verdict(&case(mutant, &[&crash])),
        "VIOLATED   AC2 validity: t0.1.0 committed at coordinator, not prepared at p1"
    );
}

/// A protocol that keeps every promise but one: it never commits anything.
struct Timid;

impl Node for Timid {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = u8;
    type Record = u8;
    type Timer = u8;

    fn new(_: NodeId, _: &Config) -> Self {
        Self
    }

    fn on_start(&mut self, _: &[u8], _: &mut Cx<Self>) {}

    fn on_request(&mut self, request: RequestId, _: Op, cx: &mut Cx<Self>) {
        cx.fail(request, "better safe than sorry");
    }

    fn on_message(&mut self, _: NodeId, _: u8, _: &mut Cx<Self>) {}

    fn on_timer(&mut self, _: u8, _: &mut Cx<Self>) {}
}

impl Observe for Timid {
    type Durable = Durable;
    type View = View;

    fn durable(_: &[u8]) -> Durable {
        Durable { balances: vec![(Key(0), 10), (Key(1), 10)], ..Durable::default() }
    }

    fn view(&self) -> View {
        View::default()
    }
}

#[test]
fn ac4_what_nobody_stands_against_must_commit() {
    let timid: FreeVotes<Timid> = FreeVotes::exhibit("timid", "");
    let wanted = calm(2, vec![votes(&[Action::Add(1), Action::Add(1)])]);
    assert_eq!(
        judge(&timid, &wanted).verdict.to_string(),
        "VIOLATED   AC4 trivial abort: call 0 meets no obstacle, and is not committed"
    );
    for obstacle in [Action::Veto, Action::Add(-11)] {
        let unwanted = calm(2, vec![votes(&[Action::Add(1), obstacle])]);
        assert!(judge(&timid, &unwanted).verdict.holds());
    }
    let mut troubled = wanted;
    let kind = Kind::Restart { node: NodeId(1) };
    troubled.faults = vec![Fault { id: 0, place: Place::At(Duration::ZERO), kind }];
    assert!(judge(&timid, &troubled).verdict.holds());
}
