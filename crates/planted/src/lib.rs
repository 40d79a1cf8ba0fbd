//! The registry of scenarios, each with the planted bugs of its protocol.
//!
//! A bug is a copy of a protocol with one rule broken (crate `mutants`); here each copy comes under
//! the scenario of the right protocol. It is a crate of its own, so that who works on a scenario
//! does not wait for the copies.

use explorer::scenario::{ConfigOf, OpOf};
use explorer::{AnyScenario, Expected, Planted, Scenario};
use mutants::{
    Bug, Class, conditional_requests, idempotency_key, lease_lock, optimistic, queue,
    quorum_register, raft, three_phase_commit, two_phase_commit, versioned_cache, watch,
};
use protocols::replicated::Registers;
use scenarios::bank::Bank;
use scenarios::idempotency::Payments;
use scenarios::lease_lock::LeaseLocks;
use scenarios::product_page::ProductPages;
use scenarios::queue::Jobs;
use scenarios::quorum_register::QuorumRegisters;
use scenarios::raft::Rafts;
use scenarios::records::Records;
use scenarios::stock::Stock;
use scenarios::two_phase_commit::FreeVotes;
use world::Make;

/// Every scenario that commands can name, with its own mutants.
pub fn registry() -> Vec<Box<dyn AnyScenario>> {
    let mut free_votes = scenarios::two_phase_commit::two_phase_commit();
    free_votes.mutants = planted(&two_phase_commit::COPIES, |bug| {
        FreeVotes::<two_phase_commit::Node>::exhibit("two_phase_commit", bug.what)
    });
    let mut in_synchrony = scenarios::three_phase_commit::three_phase_commit();
    in_synchrony.mutants = planted(&three_phase_commit::COPIES, |bug| {
        FreeVotes::<three_phase_commit::Node>::exhibit("three_phase_commit", bug.what)
    });
    let mut bank = scenarios::bank::bank();
    bank.mutants =
        planted(&two_phase_commit::COPIES, |_| Bank::<two_phase_commit::Node>::default());
    let mut lease_lock = scenarios::lease_lock::lease_lock();
    lease_lock.mutants = planted(&lease_lock::COPIES, |bug| {
        LeaseLocks::<lease_lock::Node>::exhibit("lease_lock", bug.what)
    });
    let mut register = scenarios::quorum_register::register();
    register.mutants = planted(&quorum_register::COPIES, |bug| {
        QuorumRegisters::<quorum_register::Node>::exhibit("register", bug.what)
    });
    let mut raft_register = scenarios::raft::raft_register();
    raft_register.mutants = planted(&raft::COPIES, |bug| {
        Rafts::<raft::Node, Registers>::exhibit("raft_register", bug.what)
    });
    let mut idempotency = scenarios::idempotency::idempotency();
    idempotency.mutants = planted(&idempotency_key::COPIES, |bug| {
        Payments::<idempotency_key::Node>::exhibit("idempotency", bug.what)
    });
    let mut jobs = scenarios::queue::queue();
    jobs.mutants = planted(&queue::COPIES, |bug| Jobs::<queue::Node>::exhibit("queue", bug.what));
    let mut versions = scenarios::stock::optimistic();
    versions.mutants = planted(&optimistic::COPIES, |bug| {
        Stock::<optimistic::Node>::exhibit("optimistic", bug.what)
    });
    let mut watched = scenarios::stock::watch();
    watched.mutants =
        planted(&watch::COPIES, |bug| Stock::<watch::Node>::exhibit("watch", bug.what));
    let mut pages = scenarios::product_page::product_page();
    pages.mutants = planted(&versioned_cache::COPIES, |bug| {
        ProductPages::<versioned_cache::Node>::exhibit("product_page", bug.what)
    });
    let mut records = scenarios::records::conditional_requests();
    records.mutants = planted(&conditional_requests::COPIES, |bug| {
        Records::<conditional_requests::Node>::exhibit("conditional_requests", bug.what)
    });

    let planted: [Box<dyn AnyScenario>; 12] = [
        Box::new(free_votes),
        Box::new(in_synchrony),
        Box::new(bank),
        Box::new(lease_lock),
        Box::new(register),
        Box::new(raft_register),
        Box::new(idempotency),
        Box::new(jobs),
        Box::new(versions),
        Box::new(watched),
        Box::new(pages),
        Box::new(records),
    ];
    let mut registry = scenarios::registry();
    for scenario in planted {
        if let Some(bare) = registry.iter_mut().find(|bare| bare.name() == scenario.name()) {
            *bare = scenario;
        }
    }
    registry
}

/// The copies that come under a scenario: the one that `over` makes of the node that has the bug.
fn planted<S: Scenario>(
    copies: &[(Bug, Make<S::Node>)],
    over: impl Fn(&Bug) -> S,
) -> Vec<Planted<OpOf<S>, ConfigOf<S>>> {
    let plant = |(bug, make): &(Bug, Make<S::Node>)| {
        let scenario = over(bug);
        let expected = match bug.class {
            Class::Control => Expected::Holds,
            Class::E | Class::M | Class::H | Class::V => Expected::Violated,
        };
        (scenario.name() == bug.scenario)
            .then(|| Planted::new(bug.id, bug.about(), expected, scenario, *make))
    };
    copies.iter().filter_map(plant).collect()
}
