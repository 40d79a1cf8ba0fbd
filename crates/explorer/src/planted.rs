//! A scenario's own planted bugs: the same cases, run on nodes in each of which one rule is broken.
//!
//! A case names its bug, so campaigns, shrinking and repros know nothing of all this: only the run
//! itself goes another way.

use crate::judge::{Outcome, Record, Watch, run};
use crate::scenario::{Expected, OpOf, Scenario};
use crate::{CaseFor, ConfigOf};
use node::Node;
use world::{Case, Make, Mutant, World};

/// A planted bug, and what runs a case under it.
pub struct Planted<Op, Config> {
    /// Its name on command lines and in files: one plain word.
    pub id: &'static str,
    /// One line for lists.
    pub about: String,
    /// What a campaign must show: a control does no harm, and must stay green.
    pub expected: Expected,
    run: Run<Op, Config>,
}

type Run<Op, Config> = Box<dyn Fn(&Case<Op, Config>, Watch<'_>) -> (Outcome, Record) + Send + Sync>;

impl<Op: 'static, Config: 'static> Planted<Op, Config> {
    /// The bug of the nodes that `make` makes. Of `scenario` only `invariant`, `progress`,
    /// `check` and `measure` are asked: cases are the right one's.
    pub fn new<S, N>(
        id: &'static str,
        about: String,
        expected: Expected,
        scenario: S,
        make: Make<N>,
    ) -> Self
    where
        N: Node<Op = Op, Config = Config>,
        S: Scenario<Node = N>,
    {
        let run = move |case: &_, watch: Watch<'_>| {
            run(&scenario, World::made_by(case, make), case, watch)
        };
        Self { id, about, expected, run: Box::new(run) }
    }

    pub(crate) fn run(&self, case: &Case<Op, Config>, watch: Watch<'_>) -> (Outcome, Record) {
        (self.run)(case, watch)
    }
}

/// A planted bug of a scenario.
type PlantedIn<S> = Planted<OpOf<S>, ConfigOf<S>>;

/// The scenario's own bug that a case names, if it names one.
///
/// # Errors
/// Says that the scenario has no such bug.
pub(crate) fn own<'a, S: Scenario>(
    scenario: &'a S,
    mutant: Option<&Mutant>,
) -> Result<Option<&'a PlantedIn<S>>, String> {
    let Some(Mutant::Own(id)) = mutant else { return Ok(None) };
    let found = scenario.mutants().iter().find(|planted| planted.id == id);
    found.map(Some).ok_or_else(|| format!("{} has no mutant {id:?}", scenario.name()))
}

/// What a campaign over these cases must show.
pub(crate) fn expected<S: Scenario>(scenario: &S, mutant: Option<&Mutant>) -> Expected {
    match (mutant, own(scenario, mutant)) {
        (None, _) => scenario.shape().expected,
        (_, Ok(Some(planted))) => planted.expected,
        _ => Expected::Violated,
    }
}

/// Whether a case names a bug that the scenario has, if any.
///
/// # Errors
/// Says which one it has not.
pub(crate) fn known<S: Scenario>(scenario: &S, case: &CaseFor<S>) -> Result<(), String> {
    own(scenario, case.mutant.as_ref()).map(|_| ())
}
