//! Isolation against brute force, lists against registers, and online against offline, on
//! generated histories good and bad. `--example isolation_differential` runs a million of them.

#[path = "common/compare.rs"]
mod compare;
#[path = "common/replay.rs"]
mod replay;
#[path = "common/txn.rs"]
mod txn;

use checkers::isolation::{
    Certificate, Judgement, Level, Online, Transactional, list_append, rw_register,
};
use compare::Tally;
use history::History;
use proptest::prelude::*;
use std::collections::BTreeMap;
use txn::{Dice, Mop, Txn, lists, medium, registers, show, small};

/// The order in which a serial run would have left each key, from the longest reads.
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

/// Feeds a history event by event, and compares each answer with a judgement of that prefix.
fn online<M: Transactional + Clone>(
    history: &History<Vec<M>, Vec<M>>,
) -> Result<(), TestCaseError> {
    let whole = M::analyse(history).check(Level::STRICT_SERIALIZABLE);
    let violated = |events: usize| {
        let prefix = History { events: history.events[..events].to_vec() };
        M::analyse(&prefix).check(Level::STRICT_SERIALIZABLE).is_violated()
    };
    let first = (1..=history.events.len()).find(|events| violated(*events));
    prop_assert_eq!(first.is_some(), whole.is_violated());
    let mut online = Online::default();
    let mut stopped = None;
    for (number, event) in history.events.iter().enumerate() {
        if online.feed(event.clone()).is_some() && stopped.is_none() {
            stopped = Some(number);
        }
    }
    let (verdict, stop) = online.finish();
    prop_assert_eq!(verdict, whole);
    prop_assert_eq!(stop.map(|stop| stop.event + 1), first);
    // So few completions are each judged at once.
    if history.events.len() <= 2 * checkers::isolation::EVERY {
        prop_assert_eq!(stopped.map(|event| event + 1), first);
    }
    Ok(())
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn brute_force_agrees(seed in any::<u64>()) {
        let txns = small(&mut Dice(seed));
        let compared = Tally::default().compare(&txns);
        prop_assert!(compared.is_ok(), "{compared:?}\n{}", show(&txns));
    }

    #[test]
    fn online_agrees_with_offline(seed in any::<u64>()) {
        let txns = small(&mut Dice(seed));
        online(&lists(&txns))?;
        online(&registers(&txns))?;
    }
}

proptest! {
    #![proptest_config(config(300))]

    /// A register shows the last element of a list: what holds for lists holds for registers, and
    /// a recorded order changes no verdict.
    #[test]
    fn registers_hold_where_lists_do(seed in any::<u64>()) {
        let txns = medium(&mut Dice(seed));
        let (lists, registers) = (lists(&txns), registers(&txns));
        let (of_lists, of_registers) = (list_append(&lists), rw_register(&registers));
        let orders = orders(&txns);
        let recorded = orders.iter().map(|(key, values)| (key, values.as_slice()));
        let with_orders = rw_register(&registers).with_recorded_orders(recorded);
        for level in Level::all() {
            let judgement = of_registers.judge(level);
            let violated = matches!(judgement, Judgement::Violated(_));
            if matches!(of_lists.judge(level), Judgement::Holds(_)) {
                prop_assert!(!violated, "{level}: {judgement:?}\n{}", show(&txns));
            }
            let hinted = matches!(with_orders.judge(level), Judgement::Violated(_));
            prop_assert_eq!(hinted, violated, "{}\n{}", level, show(&txns));
            match judgement {
                Judgement::Holds(Certificate::Serial(order)) => {
                    prop_assert!(replay::serial(&txns, &order, level.order, false));
                }
                Judgement::Holds(Certificate::Snapshots(moments)) => {
                    prop_assert!(replay::snapshots(&txns, &moments, level.order, false));
                }
                Judgement::Unknown(reason) => {
                    prop_assert!(!reason.contains("bound"), "{reason}\n{}", show(&txns));
                }
                Judgement::Holds(Certificate::Absence) | Judgement::Violated(_) => {}
            }
        }
    }

    #[test]
    fn online_agrees_with_offline_for_longer(seed in any::<u64>()) {
        online(&lists(&medium(&mut Dice(seed))))?;
    }
}
