//! From what a just-in-time search saw take effect to an order of everything.

use super::lineage::Taken;
use super::part::{Part, Span};
use crate::Model;

/// An order of every completed operation of a part, as numbers in it, around those that were
/// `taken` in this order. The others counted as done without a change: each goes where the state
/// satisfies it and stays as it is, or right before a write that overwrites it.
pub(super) fn complete<M: Model>(part: &Part<'_, M>, taken: &[Taken]) -> Vec<usize> {
    let model = part.model;
    let mut seen = vec![false; part.len()];
    taken.iter().for_each(|taken| seen[taken.number as usize] = true);
    let mut order = Vec::with_capacity(part.len());
    let mut state = part.initial();
    let mut waiting: Vec<usize> = Vec::new();
    let mut next = 0;
    for nth in 0..=taken.len() {
        // The state lasts until this event, and `write` follows.
        let (until, follows) = match taken.get(nth) {
            Some(taken) => (taken.at, Some(taken.number as usize)),
            None => (u32::MAX, None),
        };
        while next < part.len() && part.spans[next].1.invoked < until {
            if !seen[next] && part.call(next).ret.is_some() {
                waiting.push(next);
            }
            next += 1;
        }
        waiting.retain(|&other| {
            let call = part.call(other);
            let stays = model.step(&state, call.op, call.ret).is_some_and(|after| after == state);
            if stays {
                order.push(other);
            }
            !stays
        });
        let Some(follows) = follows else { break };
        let write = part.call(follows);
        if model.overwrites(write.op, write.ret) {
            waiting.retain(|&other| {
                let call = part.call(other);
                let Span { completed, .. } = call.span;
                let hidden = until <= completed && model.overwrites(call.op, call.ret);
                if hidden {
                    order.push(other);
                }
                !hidden
            });
        }
        order.push(follows);
        if let Some(after) = model.step(&state, write.op, write.ret) {
            state = after;
        }
    }
    order
}
