//! The registry of scenarios, each with the planted bugs of its protocol.
//!
//! A bug is a copy of a protocol with one rule broken (crate `mutants`); here each copy comes under
//! the scenario of the right protocol. It is a crate of its own, so that who works on a scenario
//! does not wait for the copies.

use explorer::scenario::{ConfigOf, OpOf};
use explorer::{AnyScenario, Expected, Planted, Scenario};
use mutants::{
    Bug, Class, anti_entropy, conditional_requests, idempotency_key, lease_lock, optimistic,
    orders_lock, paxos_commit, queue, quorum_register, raft, redlock, row_lock, saga, session,
    three_phase_commit, two_phase_commit, versioned_cache, watch,
};
use protocols::replicated::Registers;
use scenarios::Bugs;
use scenarios::bank::Bank;
use scenarios::data_sync::DataSync;
use scenarios::idempotency::Payments;
use scenarios::lease_lock::LeaseLocks;
use scenarios::login::Logins;
use scenarios::orders::{Entry, Orders};
use scenarios::orders_2pc;
use scenarios::product_page::ProductPages;
use scenarios::queue::Jobs;
use scenarios::quorum_register::QuorumRegisters;
use scenarios::raft::Rafts;
use scenarios::records::Records;
use scenarios::redlock::Redlocks;
use scenarios::stock::Stock;
use scenarios::two_phase_commit::FreeVotes;
use world::Make;

/// Every scenario that commands can name, with its own mutants.
pub fn registry() -> Vec<Box<dyn AnyScenario>> {
    scenarios::registry_with(Bugs {
        two_phase_commit: planted(&two_phase_commit::COPIES, |bug| {
            FreeVotes::<two_phase_commit::Node>::exhibit("two_phase_commit", bug.what)
        }),
        three_phase_commit: planted(&three_phase_commit::COPIES, |bug| {
            FreeVotes::<three_phase_commit::Node>::exhibit("three_phase_commit", bug.what)
        }),
        bank: planted(&two_phase_commit::COPIES, |_| Bank::<two_phase_commit::Node>::default()),
        lease_lock: planted(&lease_lock::COPIES, |bug| {
            LeaseLocks::<lease_lock::Node>::exhibit("lease_lock", bug.what)
        }),
        register: planted(&quorum_register::COPIES, |bug| {
            QuorumRegisters::<quorum_register::Node>::exhibit("register", bug.what)
        }),
        raft_register: planted(&raft::COPIES, |bug| {
            Rafts::<raft::Node, Registers>::exhibit("raft_register", bug.what)
        }),
        idempotency: planted(&idempotency_key::COPIES, |bug| {
            Payments::<idempotency_key::Node>::exhibit("idempotency", bug.what)
        }),
        queue: planted(&queue::COPIES, |bug| Jobs::<queue::Node>::exhibit("queue", bug.what)),
        optimistic: planted(&optimistic::COPIES, |bug| {
            Stock::<optimistic::Node>::exhibit("optimistic", bug.what)
        }),
        watch: planted(&watch::COPIES, |bug| Stock::<watch::Node>::exhibit("watch", bug.what)),
        orders_saga: planted(&saga::COPIES, |bug| {
            Orders::<saga::Node>::exhibit("orders_saga", Entry::Orchestrator, bug.what)
        }),
        presumed_commit: planted(&two_phase_commit::COPIES, |bug| {
            FreeVotes::<two_phase_commit::Node>::exhibit("presumed_commit", bug.what)
        }),
        paxos_commit: planted(&paxos_commit::COPIES, |bug| {
            FreeVotes::<paxos_commit::Node>::exhibit("paxos_commit", bug.what)
        }),
        product_page: planted(&versioned_cache::COPIES, |bug| {
            ProductPages::<versioned_cache::Node>::exhibit("product_page", bug.what)
        }),
        conditional_requests: planted(&conditional_requests::COPIES, |bug| {
            Records::<conditional_requests::Node>::exhibit("conditional_requests", bug.what)
        }),
        orders_2pc: planted(&two_phase_commit::COPIES, |_| {
            orders_2pc::Orders::<two_phase_commit::Node>::default()
        }),
        orders_lock: planted(&orders_lock::COPIES, |bug| {
            Orders::<orders_lock::Node>::exhibit("orders_lock", Entry::Workers, bug.what)
        }),
        row_lock: planted(&row_lock::COPIES, |bug| {
            Stock::<row_lock::Node>::exhibit("row_lock", bug.what)
        }),
        redlock: planted(&redlock::COPIES, |bug| {
            Redlocks::<redlock::Node>::exhibit("redlock", bug.what)
        }),
        data_sync: planted(&anti_entropy::COPIES, |bug| {
            DataSync::<anti_entropy::Node>::exhibit("data_sync", bug.what)
        }),
        login: planted(&session::COPIES, |bug| Logins::<session::Node>::exhibit("login", bug.what)),
    })
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
