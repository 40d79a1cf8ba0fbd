//! The registry of scenarios, each with the planted bugs of its protocol.
//!
//! A bug is a copy of a protocol with one rule broken (crate `mutants`); here each copy comes under
//! the scenario of the right protocol. That makes an engine for each of them, which takes a while
//! to build; so it is a crate of its own, and who works on a scenario does not wait for it.

use explorer::scenario::{ConfigOf, OpOf};
use explorer::{AnyScenario, Expected, Planted, Scenario};
use mutants::{Bug, Class};
use node::{Node, Observe};
use protocols::{commit, lease, register};
use scenarios::bank::Bank;
use scenarios::lease_lock::LeaseLocks;
use scenarios::quorum_register::QuorumRegisters;
use scenarios::two_phase_commit::FreeVotes;

/// Every scenario that commands can name, with its own mutants.
pub fn registry() -> Vec<Box<dyn AnyScenario>> {
    let mut free_votes = scenarios::two_phase_commit::two_phase_commit();
    free_votes.mutants = mutants::two_phase_commit!(under_free_votes);
    let mut bank = scenarios::bank::bank();
    bank.mutants = mutants::bank!(under_bank);
    let mut lease_lock = scenarios::lease_lock::lease_lock();
    lease_lock.mutants = mutants::lease_lock!(under_lease_lock);
    let mut register = scenarios::quorum_register::register();
    register.mutants = mutants::register!(under_register);

    let planted: [Box<dyn AnyScenario>; 4] =
        [Box::new(free_votes), Box::new(bank), Box::new(lease_lock), Box::new(register)];
    let mut registry = scenarios::registry();
    for scenario in planted {
        if let Some(bare) = registry.iter_mut().find(|bare| bare.name() == scenario.name()) {
            *bare = scenario;
        }
    }
    registry
}

/// A bug, and the scenario over the node that has it.
fn planted<S: Scenario>(bug: &Bug, scenario: S) -> Planted<OpOf<S>, ConfigOf<S>> {
    let expected = match bug.class {
        Class::Control => Expected::Holds,
        Class::E | Class::M | Class::H | Class::V => Expected::Violated,
    };
    Planted::new(bug.id, bug.about(), expected, scenario)
}

fn under_free_votes<N>(bug: &Bug) -> Planted<commit::Op, commit::Config>
where
    N: Node<Op = commit::Op, Ret = commit::Ret, Config = commit::Config>
        + Observe<Durable = commit::Durable, View = commit::View>,
{
    planted(bug, FreeVotes::<N>::exhibit("two_phase_commit", bug.what))
}

fn under_bank<N>(bug: &Bug) -> Planted<commit::Op, commit::Config>
where
    N: Node<Op = commit::Op, Ret = commit::Ret, Config = commit::Config>
        + Observe<Durable = commit::Durable, View = commit::View>,
{
    planted(bug, Bank::<N>::default())
}

fn under_lease_lock<N>(bug: &Bug) -> Planted<lease::Op, lease::Config>
where
    N: Node<Op = lease::Op, Ret = lease::Ret, Config = lease::Config>
        + Observe<Durable = lease::Durable, View = lease::View>,
{
    planted(bug, LeaseLocks::<N>::exhibit("lease_lock", bug.what))
}

fn under_register<N>(bug: &Bug) -> Planted<register::Op, register::Config>
where
    N: Node<Op = register::Op, Ret = register::Ret, Config = register::Config>
        + Observe<Durable = register::Durable, View = register::View>,
{
    planted(bug, QuorumRegisters::<N>::exhibit("register", bug.what))
}
