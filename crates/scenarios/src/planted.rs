//! Planted bugs under the scenario of the right protocol.

use explorer::scenario::{ConfigOf, OpOf};
use explorer::{Expected, Planted, Scenario};
use mutants::{Bug, Class};

/// A bug, and the scenario over the node that has it.
pub(crate) fn planted<S: Scenario>(bug: &Bug, scenario: S) -> Planted<OpOf<S>, ConfigOf<S>> {
    let expected = match bug.class {
        Class::Control => Expected::Holds,
        Class::E | Class::M | Class::H | Class::V => Expected::Violated,
    };
    Planted::new(bug.id, bug.about(), expected, scenario)
}
