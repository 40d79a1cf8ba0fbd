//! Jepsen's counter: a read lies between what must have been added and what may have been.

use super::anomaly;
use crate::Verdict;
use crate::models::{CounterOp, CounterRet};
use history::{History, What};
use rustc_hash::{FxHashMap, FxHashSet};

/// The parts of a total.
#[derive(Clone, Copy, Default)]
struct Sums {
    up: i128,
    down: i128,
}

impl Sums {
    fn add(&mut self, amount: i64) {
        let side = if amount < 0 { &mut self.down } else { &mut self.up };
        *side += i128::from(amount);
    }
}

/// Judges a counter that begins at `initial`, in one pass, and in memory for what is open.
///
/// A read is at least what additions had completed before it began, with every subtraction that
/// began before it ended; and at most the other way round. The answer of an addition that names a
/// total is a read that has seen that addition. These bounds are necessary and not sufficient: two
/// reads can each lie within theirs and contradict each other, which
/// [`linearizable`](crate::linearizable()) finds with the counter's model. `Unknown` if no total
/// was read.
pub fn counter(initial: i64, history: &History<CounterOp, CounterRet>) -> Verdict {
    let failed = history.events.iter().filter(|event| matches!(event.what, What::Fail(_)));
    let failed: FxHashSet<u32> = failed.map(|event| event.op).collect();
    let (mut begun, mut done) = (Sums::default(), Sums::default());
    // Of each open operation what it adds, and what was done when it began.
    let mut open: FxHashMap<u32, (i64, Sums)> = FxHashMap::default();
    let mut totals = 0;
    for event in &history.events {
        match &event.what {
            What::Invoke(_) if failed.contains(&event.op) => {}
            What::Invoke(op) => {
                let amount = if let CounterOp::Add(amount) = op { *amount } else { 0 };
                begun.add(amount);
                open.insert(event.op, (amount, done));
            }
            What::Ok(ret) => {
                let Some((amount, mut before)) = open.remove(&event.op) else { continue };
                done.add(amount);
                let CounterRet::Total(total) = ret else { continue };
                totals += 1;
                before.add(amount);
                let initial = i128::from(initial);
                let (low, high) =
                    (initial + before.up + begun.down, initial + begun.up + before.down);
                if !(low..=high).contains(&i128::from(*total)) {
                    let (actor, call) = (event.actor, event.call);
                    let message = format!(
                        "{actor} (call {call}) read {total}, possible were {low} to {high}"
                    );
                    return Verdict::Violated(*anomaly("out of bounds", message));
                }
            }
            What::Fail(_) | What::Info => {}
        }
    }
    match totals {
        0 => Verdict::Unknown("conservation: no read of the counter completed".into()),
        _ => Verdict::Holds,
    }
}
