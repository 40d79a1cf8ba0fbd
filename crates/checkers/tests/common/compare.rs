//! Holds the checker's judgements of a small history against brute force, and replays its proofs.

use crate::replay::{brute_force, serial, snapshots};
use crate::txn::{Txn, lists, registers};
use checkers::isolation::{
    Analysis, Certificate, Isolation, Judgement, Level, list_append, rw_register,
};
use std::fmt::Debug;
use std::hash::Hash;

/// How often each judgement was given.
#[derive(Default, Debug)]
pub struct Tally {
    pub holds: u64,
    pub violated: u64,
    pub unknown: u64,
}

impl Tally {
    /// Judges the history at every level, as one of lists and as one of registers.
    pub fn compare(&mut self, txns: &[Txn]) -> Result<(), String> {
        self.compare_one(txns, &list_append(&lists(txns)), true)?;
        self.compare_one(txns, &rw_register(&registers(txns)), false)
    }

    fn compare_one<K: Eq + Hash + Debug, V: Eq + Hash + Debug>(
        &mut self,
        txns: &[Txn],
        analysis: &Analysis<'_, K, V>,
        of_lists: bool,
    ) -> Result<(), String> {
        for level in Level::all() {
            let truth = brute_force(txns, level, of_lists);
            let judgement = analysis.judge(level);
            let fail = |what: &str| {
                Err(format!("lists {of_lists}, {level}: {what}: {judgement:?}, truth {truth:?}"))
            };
            match &judgement {
                Judgement::Holds(certificate) => {
                    self.holds += 1;
                    let valid = match certificate {
                        Certificate::Serial(order) => serial(txns, order, level.order, of_lists),
                        Certificate::Snapshots(moments) => {
                            snapshots(txns, moments, level.order, of_lists)
                        }
                        Certificate::Absence => true,
                    };
                    if !valid {
                        return fail("the certificate does not replay");
                    }
                    if truth == Some(false) {
                        return fail("holds");
                    }
                }
                Judgement::Unknown(_) => {
                    self.unknown += 1;
                    // Nothing was put to the test, so nothing can be wrong.
                    if truth == Some(false) {
                        return fail("unknown");
                    }
                }
                Judgement::Violated(_) => {
                    self.violated += 1;
                    if truth.unwrap_or_else(|| committed(txns, level, of_lists)) {
                        return fail("violated");
                    }
                }
            }
        }
        Ok(())
    }
}

/// Read uncommitted holds wherever read committed does.
fn committed(txns: &[Txn], level: Level, of_lists: bool) -> bool {
    let isolation = Isolation::ReadCommitted;
    brute_force(txns, Level { isolation, ..level }, of_lists) == Some(true)
}
