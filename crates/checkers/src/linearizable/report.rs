//! What a check may take, and what it tells.

use super::judge::{Judged, Outcome};
use super::part::{OPEN, Part};
use crate::linearizable::explain::Explanation;
use crate::{Model, Verdict};
use serde::{Deserialize, Serialize};

/// What a check may take before it gives up and says `Unknown`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// Steps of the model, counted as for [`STEPS`](crate::STEPS); without a number as many as
    /// [`linearizable`](crate::linearizable) takes.
    pub steps: Option<u64>,
    /// Bytes beyond the history itself, for each thread: what a method remembers of an object,
    /// where a state counts as `size_of` says. A method that would need more is not taken, or
    /// ends.
    pub memory: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { steps: None, memory: 256 << 20 }
    }
}

/// What is asked of an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// It keeps real time: what completed before another began is before it.
    #[default]
    Linearizable,
    /// It keeps the order of each process alone. Objects are not judged apart, for a history may
    /// be sequentially consistent on every object and not as a whole. There are no
    /// [`orders`](Report::orders) and no [`explanation`](Report::explanation).
    Sequential,
}

/// How [`check`](crate::check) goes about it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// What it may take.
    pub budget: Budget,
    /// What is asked of an order.
    pub consistency: Consistency,
    /// How many threads judge objects, each one after the other; 0 is as good as 1. The report
    /// does not depend on it.
    pub threads: usize,
    /// Whether a history that holds comes with its [`orders`](Report::orders).
    pub orders: bool,
    /// Whether one that does not comes with an [`explanation`](Report::explanation).
    pub explain: bool,
    /// The one method to use, for comparisons; without it the cheapest that can judge.
    pub method: Option<Method>,
}

/// How an object's operations were judged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The model's own procedure, [`Model::decide`].
    Decision,
    /// Just-in-time linearization: all that the object can have come to, kept while its history
    /// goes by.
    JustInTime,
    /// Depth-first search for an order.
    DepthFirst,
}

/// How one object was judged.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PartReport {
    /// The number in the history of the first operation on it.
    pub first: u32,
    /// How many operations it has that did not fail.
    pub operations: usize,
    /// Of how many of them the outcome is unknown.
    pub unknown: usize,
    /// What was tried, in this order; the last one gave the verdict.
    pub methods: Vec<Method>,
    /// How many steps of the model that took.
    pub steps: u64,
    /// How many configurations or dead ends were remembered at most.
    pub peak: usize,
}

/// What a check tells.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Whether there is an order.
    pub verdict: Verdict,
    /// How each object was judged, up to the first that is violated, in the order of their keys.
    pub parts: Vec<PartReport>,
    /// For each object that holds, if wanted, an order that proves it: numbers of operations in
    /// the history. [`validate`](crate::validate) replays them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orders: Vec<Vec<u32>>,
    /// Why there is none, if wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
}

impl Default for Report {
    fn default() -> Self {
        let (parts, orders) = (Vec::new(), Vec::new());
        Self { verdict: Verdict::Holds, parts, orders, explanation: None }
    }
}

impl Report {
    pub(super) fn add<M: Model>(&mut self, part: &Part<'_, M>, judged: &Judged) {
        self.parts.push(PartReport {
            first: part.id(0),
            operations: part.len(),
            unknown: part.spans.iter().filter(|(_, span)| span.completed == OPEN).count(),
            methods: judged.methods.to_vec(),
            steps: judged.steps,
            peak: judged.peak,
        });
        if let Some(order) = &judged.order {
            self.orders.push(order.clone());
        }
        if let Outcome::Violated(_, Some(explanation)) = &judged.outcome {
            self.explanation = Some((**explanation).clone());
        }
    }
}
