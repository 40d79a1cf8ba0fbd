//! Isolation against brute force, lists against registers, and online against offline, on
//! generated histories good and bad. `--example isolation_differential` runs a million of them.

#[path = "common/compare.rs"]
mod compare;
#[path = "common/replay.rs"]
mod replay;
#[path = "common/txn.rs"]
mod txn;

use checkers::isolation::{Level, Online, Transactional};
use compare::{Tally, registers_like_lists};
use history::History;
use proptest::prelude::*;
use txn::{Dice, lists, medium, registers, show, small};

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

    #[test]
    fn registers_hold_where_lists_do(seed in any::<u64>()) {
        let txns = medium(&mut Dice(seed));
        let compared = registers_like_lists(&txns);
        prop_assert!(compared.is_ok(), "{compared:?}\n{}", show(&txns));
    }

    #[test]
    fn online_agrees_with_offline_for_longer(seed in any::<u64>()) {
        online(&lists(&medium(&mut Dice(seed))))?;
    }
}
