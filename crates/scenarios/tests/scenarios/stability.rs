//! Leaving one operation out leaves the others as they were: what addressed randomness is for.

use explorer::{CaseFor, Narrow, Scenario, case_of_seed, seed_of};
use history::Outcome;
use protocols::QuorumRegister;
use scenarios::quorum_register::QuorumRegisters;
use std::collections::BTreeMap;
use std::time::Duration;
use world::{Address, Origin, Place, Scene, World};

type Register = QuorumRegisters<QuorumRegister>;

/// How every call ended, by its id. What it read may well depend on what was left out.
fn outcomes<S: Scenario>(case: &CaseFor<S>) -> BTreeMap<u32, &'static str> {
    let mut world = World::<S::Node>::new(case);
    world.run();
    let operations = world.history().operations().into_iter();
    let clients = operations.filter(|o| matches!(o.actor, history::Actor::Client(_)));
    clients
        .map(|operation| {
            let outcome = match operation.outcome {
                Outcome::Ok(_) => "ok",
                Outcome::Fail => "fail",
                Outcome::Info => "info",
            };
            (operation.call, outcome)
        })
        .collect()
}

/// The case without one call, and without what struck it.
fn without<S: Scenario>(case: &CaseFor<S>, index: usize) -> CaseFor<S> {
    let mut case = case.clone();
    let gone = case.calls.remove(index).id;
    case.faults.retain(|fault| match fault.place {
        Place::Call(call)
        | Place::Message(Address { origin: Origin::Call(call), .. })
        | Place::Effect { origin: Some(Origin::Call(call)), .. } => call != gone,
        _ => true,
    });
    case
}

/// Per mille of the other operations that end as before when one is left out, over many cases.
fn unchanged<S: Scenario>(scenario: &S, cases: u64, prepare: impl Fn(&mut CaseFor<S>)) -> u64 {
    let (mut same, mut all) = (0, 0);
    for index in 0..cases {
        let mut case = case_of_seed(scenario, seed_of(7, index), &Narrow::default());
        prepare(&mut case);
        let before = outcomes::<S>(&case);
        for call in [0, case.calls.len() / 2] {
            let gone = case.calls[call].id;
            let after = outcomes::<S>(&without::<S>(&case, call));
            for (id, outcome) in before.iter().filter(|(id, _)| **id != gone) {
                all += 1;
                same += u64::from(after.get(id) == Some(outcome));
            }
        }
    }
    println!("{}: {same} of {all} outcomes unchanged", scenario.name());
    same * 1000 / all
}

#[test]
fn two_phase_commit_keeps_other_outcomes() {
    assert!(unchanged(&scenarios::two_phase_commit::two_phase_commit(), 300, |_| {}) >= 950);
}

#[test]
fn the_register_with_a_heartbeat_keeps_other_outcomes() {
    let register = scenarios::quorum_register::register();
    let heartbeat = |case: &mut CaseFor<Register>| {
        for node in &mut case.nodes {
            node.heartbeat = Duration::from_millis(40);
        }
    };
    assert!(unchanged(&register, 300, heartbeat) >= 950);
}
