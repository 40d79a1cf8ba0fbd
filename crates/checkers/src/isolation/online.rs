//! Strict serializability while a run goes on.

use super::Level;
use super::analysis::{Analysis, list_append, rw_register};
use super::txn::{ListOp, RwOp};
use crate::{Anomaly, Verdict};
use history::{Event, History, What};
use std::fmt::Debug;
use std::hash::Hash;

/// A micro-operation of either kind.
pub trait Transactional: Sized {
    /// The key of an object.
    type Key: Eq + Hash + Debug;
    /// A value of an object.
    type Value: Eq + Hash + Debug;

    /// [`list_append`] or [`rw_register`].
    fn analyse(history: &History<Vec<Self>, Vec<Self>>) -> Analysis<'_, Self::Key, Self::Value>;
}

impl<K: Eq + Hash + Debug, V: Eq + Hash + Debug> Transactional for ListOp<K, V> {
    type Key = K;
    type Value = V;
    fn analyse(history: &History<Vec<Self>, Vec<Self>>) -> Analysis<'_, K, V> {
        list_append(history)
    }
}

impl<K: Eq + Hash + Debug, V: Eq + Hash + Debug> Transactional for RwOp<K, V> {
    type Key = K;
    type Value = V;
    fn analyse(history: &History<Vec<Self>, Vec<Self>>) -> Analysis<'_, K, V> {
        rw_register(history)
    }
}

/// Judges strict serializability event by event, and says at which event it was lost.
///
/// What has been violated stays violated, for nothing that happens later comes before it; so the
/// history so far is judged anew after a completion, and after a violation the first event that
/// shows one is found by halving. Every completion is judged up to [`EVERY`] of them, then each
/// time that the history has grown by a part in [`EVERY`]: in all that costs about [`EVERY`] times
/// what one judgement at the end does.
#[derive(Debug)]
pub struct Online<M> {
    history: History<Vec<M>, Vec<M>>,
    /// Completions so far, and at the last judgement.
    completed: usize,
    judged: usize,
    /// How many events were not yet violated.
    good: usize,
    stop: Option<Stop>,
}

/// A run may stop: what comes later cannot repair it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stop {
    /// The first event, by its place among those that were fed, with which the history was not
    /// strict-serializable.
    pub event: usize,
    /// Why.
    pub anomaly: Anomaly,
}

/// How often [`Online`] judges: see there.
pub const EVERY: usize = 16;

impl<M> Default for Online<M> {
    fn default() -> Self {
        Self { history: History::new(), completed: 0, judged: 0, good: 0, stop: None }
    }
}

impl<M: Transactional> Online<M> {
    /// Takes the next event, and answers with the violation once one is known.
    pub fn feed(&mut self, event: Event<Vec<M>, Vec<M>>) -> Option<&Stop> {
        let completes = matches!(event.what, What::Ok(_) | What::Fail(_));
        self.history.events.push(event);
        self.completed += usize::from(completes);
        if self.stop.is_none() && completes && self.completed > self.judged + self.judged / EVERY {
            self.judge();
        }
        self.stop.as_ref()
    }

    /// The verdict on all that was fed: that of one judgement of the whole.
    pub fn finish(mut self) -> (Verdict, Option<Stop>) {
        let verdict = M::analyse(&self.history).check(Level::STRICT_SERIALIZABLE);
        if self.stop.is_none() && verdict.is_violated() {
            self.judge();
        }
        (verdict, self.stop)
    }

    fn judge(&mut self) {
        self.judged = self.completed;
        if self.violation().is_none() {
            self.good = self.history.events.len();
            return;
        }
        // The first `good` events are right, and the first `bad` are not.
        let mut bad = self.history.events.len();
        while self.good + 1 < bad {
            let middle = self.good.midpoint(bad);
            let rest = self.history.events.split_off(middle);
            if self.violation().is_some() {
                bad = middle;
            } else {
                self.good = middle;
            }
            self.history.events.extend(rest);
        }
        let rest = self.history.events.split_off(bad);
        let anomaly = self.violation();
        self.history.events.extend(rest);
        self.stop = anomaly.map(|anomaly| Stop { event: bad - 1, anomaly });
    }

    fn violation(&self) -> Option<Anomaly> {
        match M::analyse(&self.history).check(Level::STRICT_SERIALIZABLE) {
            Verdict::Violated(anomaly) => Some(anomaly),
            Verdict::Holds | Verdict::Unknown(_) => None,
        }
    }
}
