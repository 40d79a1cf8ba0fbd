//! Histories that show one phenomenon each, and the levels that they are and are not of.

#[path = "common/txn.rs"]
mod txn;

use checkers::isolation::{Analysis, Level, Standing, list_append, rw_register};
use std::fmt::Debug;
use std::hash::Hash;
use txn::{lists, parse, registers};

fn names(levels: &[Level]) -> String {
    levels.iter().map(Level::to_string).collect::<Vec<_>>().join(" ")
}

/// The phenomenon at the strongest level, the strongest levels that hold, and the weakest that do
/// not.
fn stands<K: Eq + Hash + Debug, V: Eq + Hash + Debug>(
    analysis: &Analysis<'_, K, V>,
) -> (String, String, String) {
    let Standing { holds, violated, unknown } = analysis.standing();
    assert_eq!(names(&unknown), "");
    let strict = analysis.check(Level::STRICT_SERIALIZABLE);
    let class = strict.anomaly().map_or("", |anomaly| &anomaly.class).to_owned();
    (class, names(&holds), names(&violated))
}

fn list(text: &str, class: &str, holds: &str, violated: &str) {
    let history = lists(&parse(text));
    let (a, b, c) = stands(&list_append(&history));
    assert_eq!((&*a, &*b, &*c), (class, holds, violated), "{text}");
}

fn register(text: &str, class: &str, holds: &str, violated: &str) {
    let history = registers(&parse(text));
    let (a, b, c) = stands(&rw_register(&history));
    assert_eq!((&*a, &*b, &*c), (class, holds, violated), "{text}");
}

#[test]
fn what_happens_one_after_the_other_is_strict_serializable() {
    let text = "0 0-1: wx1 \n 1 2-3: rx1 wx2 \n 0 4-5: rx1.2";
    list(text, "", "strict-serializable", "");
    register(text, "", "strict-serializable", "");
}

#[test]
fn write_skew_is_allowed_under_snapshot_isolation() {
    let text = "0 0-10: rx ry wx1 \n 1 1-11: rx ry wy2";
    let violated = "repeatable-read";
    list(text, "G2-item", "strong-snapshot-isolation", violated);
    register(text, "G2-item", "strong-snapshot-isolation", violated);
}
