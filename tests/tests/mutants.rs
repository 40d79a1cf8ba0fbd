//! Planted bugs are found by those who must find them, and controls by nobody. What every campaign
//! of every class comes to stands in `docs/mutants.md`.

use explorer::{AnyScenario, Budget, Progress};
use mutants::{ALL, Bug, Class};
use std::path::Path;
use tests::power::{alone, home, measure, narrow};

/// Of the bugs that need more than a few cases, some of each protocol.
const SAMPLE: [&str; 8] = ["A5", "A8", "A10", "R5", "R9", "D8", "N6", "N8"];

fn is_found(registry: &[Box<dyn AnyScenario>], bug: &Bug) {
    let power = measure(home(registry, bug), bug, 1);
    let by: Vec<&String> = power.by.keys().collect();
    assert_eq!(power.found + power.also, 1, "{}: {by:?} in {} cases", bug.id, power.cases);
}

#[test]
fn every_easy_bug_is_found_within_100_cases() {
    let registry = planted::registry();
    ALL.iter().filter(|bug| bug.class == Class::E).for_each(|bug| is_found(&registry, bug));
}

#[test]
fn some_rarer_ones_are_found_within_2000() {
    let registry = planted::registry();
    for id in SAMPLE {
        let bug = ALL.iter().find(|bug| bug.id == id).expect("it is planted");
        assert_eq!(bug.class, Class::M, "{id}");
        is_found(&registry, bug);
    }
}

/// For every checker a bug that no other one finds. `docs/mutants.md` names more of them.
#[test]
fn every_checker_is_needed() {
    let registry = planted::registry();
    for (checker, id) in [
        ("cache", "no_minimum"),
        ("clock", "L5_tie"),
        ("commit", "A3"),
        ("conservation", "R4"),
        ("convergence", "siblings_dropped"),
        ("delivery", "any_order"),
        ("idempotency", "I7"),
        ("linearizable", "E2"),
        ("lock", "last_in_line"),
        ("progress", "F6"),
    ] {
        let bug = ALL.iter().find(|bug| bug.id == id).expect("it is planted");
        let scenario = home(&registry, bug);
        let power = measure(scenario, bug, 1);
        assert_eq!(alone(scenario, bug, &power).as_deref(), Some(checker), "{id}");
    }
}

#[test]
fn controls_stay_green() {
    let registry = planted::registry();
    for bug in ALL.iter().filter(|bug| bug.class == Class::Control) {
        let budget = Budget { narrow: narrow(bug), ..Budget::seeds(300) };
        let report = home(&registry, bug).explore(&budget, &Progress::default());
        assert!(report.findings.is_empty(), "{}: {}", bug.id, report.verdict());
    }
}

#[test]
fn every_bug_can_be_named_under_its_scenario() {
    let registry = planted::registry();
    for bug in &ALL {
        let mutants = home(&registry, bug).mutants();
        assert!(mutants.iter().any(|(id, _)| *id == bug.id), "{}", bug.id);
        assert_eq!(bug.expected.is_empty(), bug.class == Class::Control, "{}", bug.id);
    }
}

/// What no campaign can be asked to find is shown by a saved case, which `repros.rs` runs.
#[test]
fn the_rarest_bugs_have_a_saved_case() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("repros/mutants");
    for bug in ALL.iter().filter(|bug| bug.class == Class::V) {
        let folder = root.join(bug.scenario).join(bug.id);
        assert!(!explorer::repro::below(&folder).is_empty(), "{}: no saved case", bug.id);
    }
}
