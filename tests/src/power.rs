//! How well campaigns find the planted bugs.

use explorer::{AnyScenario, Budget, Finding, Narrow, Progress, Verdict, campaign_of};
use mutants::{Bug, Class};
use std::collections::{BTreeMap, BTreeSet};
use world::Mutant;

/// What some campaigns came to against one bug.
#[derive(Clone, Debug, Default)]
pub struct Power {
    /// Campaigns.
    pub campaigns: u32,
    /// Those that found it first by one of those who must.
    pub found: u32,
    /// Those that found it first by another one who is named.
    pub also: u32,
    /// Those that found anything.
    pub hits: u32,
    /// Cases of all of them; each ends at its first violation.
    pub cases: u64,
    /// How often each signature was the first.
    pub by: BTreeMap<String, u32>,
    /// The first finding by one of those who must, or of all.
    pub finding: Option<Finding>,
    /// Why one of them proved nothing.
    pub unknown: Option<String>,
}

impl Power {
    /// One case in so many hits the bug, as far as the campaigns tell.
    pub fn one_in(&self) -> Option<u64> {
        (self.hits > 0).then(|| (self.cases / u64::from(self.hits)).max(1))
    }

    /// Whether that is what the bug's class asks for, by whoever is named: 29 of 30 for an E or
    /// M, one of three for an H. A saved case speaks for a V.
    pub fn suffices(&self, class: Class) -> bool {
        let named = self.found + self.also;
        match class {
            Class::E | Class::M => named * 30 >= self.campaigns * 29,
            Class::H => named * 3 >= self.campaigns,
            Class::V => true,
            Class::Control => self.hits == 0 && self.unknown.is_none(),
        }
    }
}

/// The class of a bug that one case in so many hits.
pub fn class_of(one_in: u64) -> Class {
    match one_in {
        0..=20 => Class::E,
        21..=500 => Class::M,
        501..=20_000 => Class::H,
        _ => Class::V,
    }
}

/// Whether a signature is of one of these.
pub fn is_of(named: &[&str], signature: &str) -> bool {
    named.iter().any(|one| signature.starts_with(one))
}

/// What plants the bug into a campaign's cases.
pub fn narrow(bug: &Bug) -> Narrow {
    Narrow { mutant: Some(Mutant::Own(bug.id.to_owned())), ..Narrow::default() }
}

/// Runs so many campaigns, each with seeds of its own, within the budget of the bug's class.
pub fn measure(scenario: &dyn AnyScenario, bug: &Bug, campaigns: u32) -> Power {
    let mut power = Power { campaigns, ..Power::default() };
    for nth in 0..campaigns {
        let budget = Budget {
            campaign: Some(campaign_of(&format!("{} {nth}", bug.id))),
            narrow: narrow(bug),
            first: true,
            ..Budget::seeds(bug.class.budget())
        };
        let report = scenario.explore(&budget, &Progress::default());
        power.cases += report.cases;
        if let Verdict::Unknown(reason) = report.verdict() {
            power.unknown.get_or_insert(reason);
        }
        let Some(finding) = report.findings.into_iter().next() else { continue };
        let signature = finding.anomaly.signature();
        let first = power.found == 0;
        let expected = is_of(bug.expected, &signature);
        power.hits += 1;
        power.found += u32::from(expected);
        power.also += u32::from(is_of(bug.also, &signature));
        *power.by.entry(signature).or_default() += 1;
        if power.finding.is_none() || first && expected {
            power.finding = Some(finding);
        }
    }
    power
}

/// The checker that nobody else's eyes replace: of those that have found the bug, the one without
/// which a campaign stays green, over as many cases as the bug's class has, and 2,000 at least.
pub fn alone(scenario: &dyn AnyScenario, bug: &Bug, power: &Power) -> Option<String> {
    let checker = |signature: &String| Some(signature.split_once(" / ")?.0.to_owned());
    let checkers: BTreeSet<String> = power.by.keys().filter_map(checker).collect();
    checkers.into_iter().find(|checker| {
        let budget = Budget {
            campaign: Some(campaign_of(&format!("{} without {checker}", bug.id))),
            narrow: Narrow { deaf_to: Some(checker.clone()), ..narrow(bug) },
            first: true,
            ..Budget::seeds(bug.class.budget().max(2_000))
        };
        scenario.explore(&budget, &Progress::default()).findings.is_empty()
    })
}

/// The scenario whose campaigns must find the bug.
///
/// # Panics
/// If the registry has none of that name.
pub fn home<'a>(registry: &'a [Box<dyn AnyScenario>], bug: &Bug) -> &'a dyn AnyScenario {
    let found = registry.iter().find(|scenario| scenario.name() == bug.scenario);
    &**found.unwrap_or_else(|| panic!("{}: no scenario {:?}", bug.id, bug.scenario))
}
