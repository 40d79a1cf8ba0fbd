//! Linearizability: whether every operation can have taken effect at one moment between its
//! invocation and its completion, so that the answers are those of a sequential [`Model`].
//!
//! The history is cut into one part per object, and each part goes through the search of Wing and
//! Gong as Lowe has it ([`search`]). An operation of unknown outcome may have taken effect at any
//! time after its invocation, or never; one that failed did not.

mod search;
mod taken;

use crate::{Anomaly, Model, Verdict};
use history::{History, Operation, Outcome};
use search::{End, Search};
use taken::{Taken, Words};

/// How many steps of the model [`linearizable`] takes, whatever the history; a dead end that it
/// remembers counts as [`DEAD_END`] of them. That is half a second or so, and tens of megabytes
/// while a state is small.
pub const STEPS: u64 = 10_000_000;

/// How many steps a dead end counts as, for remembering and looking it up.
pub const DEAD_END: u64 = 16;

/// How many steps more for every operation, so that a long and easy history is judged to its end.
const STEPS_PER_OPERATION: u64 = 256;

/// An operation and the object it belongs to.
type Of<'a, M> = (<M as Model>::Key, Operation<'a, <M as Model>::Op, <M as Model>::Ret>);

/// Judges a history against a model.
///
/// `Holds` if an order exists, `Violated` if none does: then the message names the first operation
/// to complete with an answer that no order explains. `Unknown` if neither was found within
/// [`STEPS`]: the search is exponential in how many operations overlap.
pub fn linearizable<M: Model>(model: &M, history: &History<M::Op, M::Ret>) -> Verdict {
    let operations = history.events.len() as u64 / 2;
    linearizable_within(STEPS + STEPS_PER_OPERATION * operations, model, history)
}

/// As [`linearizable`], in at most so many steps, counted as for [`STEPS`].
pub fn linearizable_within<M: Model>(
    steps: u64,
    model: &M,
    history: &History<M::Op, M::Ret>,
) -> Verdict {
    let mut operations: Vec<Of<'_, M>> = history
        .operations()
        .into_iter()
        .filter(|operation| !matches!(operation.outcome, Outcome::Fail))
        .map(|operation| (model.key(operation.op), operation))
        .collect();
    if !operations.is_sorted_by(|(a, _), (b, _)| a <= b) {
        operations.sort_by(|(a, _), (b, _)| a.cmp(b));
    }
    let mut left = steps;
    let mut verdict = Verdict::Holds;
    for part in operations.chunk_by(|(a, _), (b, _)| a == b) {
        let judged = if part.len() <= u128::BITS as usize {
            judge::<M, u128>(model, part, &mut left)
        } else {
            judge::<M, Words>(model, part, &mut left)
        };
        verdict = verdict.and(judged.unwrap_or_else(|| {
            Verdict::Unknown(format!(
                "linearizable: {} operations on one object, and the search ended at its bound of \
                 {steps} steps",
                part.len()
            ))
        }));
        if verdict.is_violated() {
            break;
        }
    }
    verdict
}

/// Judges the part of one object; `None` if no step is left.
fn judge<M: Model, T: Taken>(model: &M, part: &[Of<'_, M>], steps: &mut u64) -> Option<Verdict> {
    let initial = model.initial(&part[0].0);
    let operations = || part.iter().map(|(_, operation)| operation);
    let before = *steps;
    let mut search = Search::<M, T>::new(model, initial.clone(), operations());
    let culprit = match search.run(steps) {
        End::Placed => return Some(Verdict::Holds),
        End::OutOfSteps => return None,
        End::Impossible { culprit } => culprit,
    };
    // The same search again, now that it is known whom to watch.
    let mut again = Search::<M, T>::new(model, initial, operations());
    again.watch(culprit, LISTED + 1);
    again.run(&mut before.clone());
    let culprit = operations().find(|operation| operation.completed == culprit)?;
    Some(Verdict::Violated(anomaly(model, culprit, again.refusals())))
}

/// How many states a message lists.
const LISTED: usize = 4;

fn anomaly<M: Model>(
    model: &M,
    culprit: &Operation<'_, M::Op, M::Ret>,
    states: &[M::State],
) -> Anomaly {
    let Operation { op, actor, call, outcome, .. } = culprit;
    let answer = match outcome {
        Outcome::Ok(ret) => format!("{ret:?}"),
        Outcome::Fail | Outcome::Info => "nothing".to_owned(),
    };
    let mut shown: Vec<String> =
        states.iter().take(LISTED).map(|state| model.show(state)).collect();
    if states.len() > LISTED {
        shown.push("some other".to_owned());
    }
    let last = shown.pop().unwrap_or_default();
    let states = if shown.is_empty() { last } else { format!("{} or {last}", shown.join(", ")) };
    let message = format!(
        "{op:?} by {actor} (call {call}) returned {answer}, but while it ran the state could only \
         be {states}"
    );
    Anomaly::new("linearizable", "not linearizable", message)
}
