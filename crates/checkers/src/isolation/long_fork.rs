//! Long fork among recorded reads alone: two readers that saw two writes in different orders.

use super::txn::{RwHistory, RwOp};
use crate::Verdict;
use history::Outcome;
use std::collections::BTreeMap;
use std::fmt::Debug;

/// What one transaction read: each key, and whether it had been written.
type Reading<'h, K> = BTreeMap<&'h K, bool>;

/// Judges transactions on registers each of which is written at most once, by their reads alone: of
/// two transactions that read the same keys, one must have seen all that the other saw. The writes
/// may be absent from the history, as in Jepsen's long-fork test.
///
/// `Unknown` if no two transactions read the same two keys, or a key had two values.
pub fn long_fork<K: Ord + Debug, V: Ord + Debug>(history: &RwHistory<K, V>) -> Verdict {
    let mut values: BTreeMap<&K, &V> = BTreeMap::new();
    let mut groups: BTreeMap<Vec<&K>, Vec<(u32, Reading<'_, K>)>> = BTreeMap::new();
    for operation in history.operations() {
        let Outcome::Ok(ret) = operation.outcome else { continue };
        let mut reading = Reading::new();
        for mop in ret {
            let (key, value) = match mop {
                RwOp::Read(key, value) => (key, value.as_ref()),
                RwOp::Write(key, value) => (key, Some(value)),
            };
            let known = value.map(|value| (value, *values.entry(key).or_insert(value)));
            if known.is_some_and(|(value, known)| value != known) {
                return Verdict::Unknown(format!(
                    "long fork: {key:?} had more than one value, expected one write a key"
                ));
            }
            if matches!(mop, RwOp::Read(..)) {
                reading.insert(key, value.is_some());
            }
        }
        if reading.len() > 1 {
            groups
                .entry(reading.keys().copied().collect())
                .or_default()
                .push((operation.id, reading));
        }
    }
    let mut compared = false;
    for readings in groups.values_mut() {
        // Of those in one line each sees at least what the one before it does.
        readings.sort_by_key(|(id, reading)| (reading.values().filter(|seen| **seen).count(), *id));
        for pair in readings.windows(2) {
            compared = true;
            let [(a, first), (b, second)] = pair else { continue };
            let missing = |x: &Reading<'_, K>, y: &Reading<'_, K>| {
                x.iter().find(|(key, seen)| **seen && !y[*key]).map(|(key, _)| format!("{key:?}"))
            };
            if let (Some(x), Some(y)) = (missing(first, second), missing(second, first)) {
                return Verdict::violated(
                    "isolation",
                    "long fork",
                    format!(
                        "operation {a} saw the write of {x} and not that of {y}, operation {b} \
                         saw that of {y} and not that of {x}: each has one write first that the \
                         other has second"
                    ),
                );
            }
        }
    }
    if compared {
        return Verdict::Holds;
    }
    Verdict::Unknown("long fork: no two transactions read the same two keys".to_owned())
}
