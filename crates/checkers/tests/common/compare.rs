//! Holds the checker's judgements against brute force and against one another, and replays its
//! proofs.
#![allow(dead_code)]

use crate::replay::{brute_force, serial, snapshots};
use crate::txn::{Mop, Txn, lists, registers};
use checkers::isolation::{
    Analysis, Certificate, Isolation, Judgement, Level, list_append, rw_register,
};
use std::collections::BTreeMap;
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
        let mut truths: Vec<(Level, bool)> = Vec::new();
        let mut levels: Vec<Level> = Level::all().collect();
        levels.sort_by_key(|level| (level.order, level.isolation));
        for level in levels.into_iter().rev() {
            let truth = truth(txns, level, of_lists, &mut truths);
            let judgement = analysis.judge(level);
            let fail = |what: &str| {
                Err(format!("lists {of_lists}, {level}: {what}: {judgement:?}, truth {truth:?}"))
            };
            match &judgement {
                Judgement::Holds(certificate) => {
                    self.holds += 1;
                    if !replays(txns, certificate, level, of_lists) {
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
                    if truth == Some(true) {
                        return fail("violated");
                    }
                }
            }
        }
        Ok(())
    }
}

/// By brute force, unless it follows from a stronger level that holds: a serial order is one of
/// snapshots too, and one that respects time needs no other. `None` if it cannot be told, as of
/// read uncommitted, of which only this much is known.
fn truth(
    txns: &[Txn],
    level: Level,
    of_lists: bool,
    truths: &mut Vec<(Level, bool)>,
) -> Option<bool> {
    if truths.iter().any(|(other, holds)| *holds && other.implies(level)) {
        return Some(true);
    }
    let serial = Level { isolation: Isolation::Serializable, ..level };
    let known = truths.iter().find(|(other, _)| *other == serial);
    let truth = match (level.isolation, known) {
        // Without predicates the two are one.
        (Isolation::RepeatableRead, Some((_, holds))) => Some(*holds),
        _ => brute_force(txns, level, of_lists),
    };
    truths.extend(truth.map(|holds| (level, holds)));
    truth
}

/// Whether a certificate explains the history.
fn replays(txns: &[Txn], certificate: &Certificate, level: Level, of_lists: bool) -> bool {
    match certificate {
        Certificate::Serial(order) => serial(txns, order, level.order, of_lists),
        Certificate::Snapshots(moments) => snapshots(txns, moments, level.order, of_lists),
        Certificate::Absence => true,
    }
}

/// A register shows the last element of a list: what holds for lists holds for registers, a
/// recorded order changes no verdict, every certificate replays, and none of so small a history is
/// left open for want of time.
pub fn registers_like_lists(txns: &[Txn]) -> Result<(), String> {
    let (lists, registers) = (lists(txns), registers(txns));
    let (of_lists, of_registers) = (list_append(&lists), rw_register(&registers));
    let orders = orders(txns);
    let recorded = orders.iter().map(|(key, values)| (key, values.as_slice()));
    let with_orders = rw_register(&registers).with_recorded_orders(recorded);
    for level in Level::all() {
        let [list, register, hinted] =
            [of_lists.judge(level), of_registers.judge(level), with_orders.judge(level)];
        let violated = |judgement: &Judgement| matches!(judgement, Judgement::Violated(_));
        let fits = |judgement: &Judgement, of_lists: bool| match judgement {
            Judgement::Holds(certificate) => replays(txns, certificate, level, of_lists),
            Judgement::Unknown(reason) => !reason.contains("bound"),
            Judgement::Violated(_) => true,
        };
        if matches!(list, Judgement::Holds(_)) && violated(&register)
            || violated(&register) != violated(&hinted)
            || !fits(&list, true)
            || !fits(&register, false)
            || !fits(&hinted, false)
        {
            return Err(format!(
                "{level}: lists {list:?}, registers {register:?}, with a recorded order {hinted:?}"
            ));
        }
    }
    Ok(())
}

/// The longest read of each key: the order in which a right run would have left it.
fn orders(txns: &[Txn]) -> BTreeMap<char, Vec<u32>> {
    let mut orders: BTreeMap<char, Vec<u32>> = BTreeMap::new();
    for mop in txns.iter().flat_map(|txn| &txn.mops) {
        if let Mop::Read(key, values) = mop {
            let order = orders.entry(*key).or_default();
            if values.len() > order.len() {
                order.clone_from(values);
            }
        }
    }
    orders
}
