//! Every permutation: the checker that nobody doubts, for up to seven operations.

use checkers::Model;
use history::{History, Operation, Outcome};

/// Whether some order of all that completed before event `end`, and of any that may have taken
/// effect by then, fits the model. Objects are not judged apart here: a search that does must
/// agree.
pub fn brute_force<M: Model>(model: &M, history: &History<M::Op, M::Ret>, end: usize) -> bool {
    let mut keys: Vec<M::Key> = Vec::new();
    let mut rest = Vec::new();
    for operation in history.operations() {
        if matches!(operation.outcome, Outcome::Fail) || operation.invoked >= end {
            continue;
        }
        let key = model.key(operation.op);
        let object = keys.iter().position(|other| *other == key).unwrap_or_else(|| {
            keys.push(key);
            keys.len() - 1
        });
        rest.push((object, operation));
    }
    let mut states: Vec<M::State> = keys.iter().map(|key| model.initial(key)).collect();
    permute(model, &mut states, &mut rest, end)
}

/// Operations, each with the number of its object.
type Rest<'a, M> = Vec<(usize, Operation<'a, <M as Model>::Op, <M as Model>::Ret>)>;

fn permute<M: Model>(
    model: &M,
    states: &mut [M::State],
    rest: &mut Rest<'_, M>,
    end: usize,
) -> bool {
    if rest.iter().all(|(_, operation)| operation.completed >= end) {
        return true;
    }
    for i in 0..rest.len() {
        let invoked = rest[i].1.invoked;
        if rest.iter().any(|(_, other)| other.completed < invoked) {
            continue;
        }
        let (object, next) = rest.remove(i);
        let ret = match next.outcome {
            Outcome::Ok(ret) => Some(ret),
            Outcome::Fail | Outcome::Info => None,
        };
        let fits = model.step(&states[object], next.op, ret).is_some_and(|after| {
            let before = std::mem::replace(&mut states[object], after);
            let fits = permute(model, states, rest, end);
            states[object] = before;
            fits
        });
        rest.insert(i, (object, next));
        if fits {
            return true;
        }
    }
    false
}
