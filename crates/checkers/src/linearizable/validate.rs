//! Orders, replayed: a judge of the judges, which shares nothing with them.

use crate::Model;
use history::{History, Outcome};

/// Whether orders of operations, one for each object, prove that a history is linearizable: each
/// names every completed operation on its object once, none that failed, keeps real time, and
/// gives the answers that were seen.
///
/// # Errors
///
/// What is wrong with them.
pub fn validate<M: Model>(
    model: &M,
    history: &History<M::Op, M::Ret>,
    orders: &[Vec<u32>],
) -> Result<(), String> {
    let operations = history.operations();
    let mut placed = vec![false; operations.len()];
    let mut keys = Vec::new();
    for order in orders {
        let at = |id: u32| operations.get(id as usize).ok_or(format!("there is no operation {id}"));
        let Some(first) = order.first() else { continue };
        let key = model.key(at(*first)?.op);
        let mut state = model.initial(&key);
        let mut latest = 0;
        for &id in order {
            let operation = at(id)?;
            if std::mem::replace(&mut placed[id as usize], true) {
                return Err(format!("operation {id} is placed twice"));
            }
            if model.key(operation.op) != key {
                return Err(format!("operation {id} belongs to another object"));
            }
            if operation.completed < latest {
                return Err(format!("operation {id} completed before one that precedes it began"));
            }
            latest = latest.max(operation.invoked);
            let ret = match operation.outcome {
                Outcome::Ok(ret) => Some(ret),
                Outcome::Info => None,
                Outcome::Fail => return Err(format!("operation {id} failed")),
            };
            let next = model.step(&state, operation.op, ret);
            state = next.ok_or_else(|| format!("operation {id} is not possible in {state:?}"))?;
        }
        keys.push(key);
    }
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err("an object has two orders".to_owned());
    }
    let mut completed = operations.iter().zip(placed);
    let left = completed
        .find(|(operation, placed)| matches!(operation.outcome, Outcome::Ok(_)) && !placed);
    left.map_or(Ok(()), |(operation, _)| Err(format!("operation {} has no place", operation.id)))
}
