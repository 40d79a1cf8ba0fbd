//! The timers of one life, keyed by value.

use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::hash::Hash;
use std::time::Duration;

/// When each timer rings, and which is next. Timers that ring at one time ring in the order in
/// which they were set.
pub(crate) struct Timers<T> {
    due: BTreeMap<(Duration, u64), T>,
    armed: FxHashMap<T, (Duration, u64)>,
    /// Grows with every timer that is set.
    nth: u64,
}

impl<T: Clone + Eq + Hash> Timers<T> {
    pub(crate) fn new() -> Self {
        Self { due: BTreeMap::new(), armed: FxHashMap::default(), nth: 0 }
    }

    /// Sets a timer; an equal one is void.
    pub(crate) fn set(&mut self, at: Duration, timer: &T) {
        self.cancel(timer);
        self.nth += 1;
        self.armed.insert(timer.clone(), (at, self.nth));
        self.due.insert((at, self.nth), timer.clone());
    }

    pub(crate) fn cancel(&mut self, timer: &T) {
        if let Some(key) = self.armed.remove(timer) {
            self.due.remove(&key);
        }
    }

    /// When the next one rings.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// How many have been set so far: what [`ring`](Self::ring) takes to leave later ones alone.
    pub(crate) fn count(&self) -> u64 {
        self.nth
    }

    /// The next timer that is due and is among the first `count` that were set.
    pub(crate) fn ring(&mut self, now: Duration, count: u64) -> Option<T> {
        let key = self.due.range(..=(now, u64::MAX)).map(|(key, _)| *key);
        let key = key.into_iter().find(|(_, nth)| *nth <= count)?;
        let timer = self.due.remove(&key)?;
        self.armed.remove(&timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn timers_ring_in_order_of_time_and_then_of_setting() {
        let mut timers = Timers::new();
        for (at, timer) in [(3, 'c'), (1, 'a'), (3, 'd'), (1, 'b')] {
            timers.set(MS(at), &timer);
        }
        let count = timers.count();
        let rung: Vec<char> = std::iter::from_fn(|| timers.ring(MS(3), count)).collect();
        assert_eq!(rung, ['a', 'b', 'c', 'd']);
        assert_eq!((timers.next(), timers.armed.len()), (None, 0));
    }

    #[test]
    fn an_equal_timer_is_set_anew_and_a_cancelled_one_is_gone() {
        let mut timers = Timers::new();
        timers.set(MS(1), &'a');
        timers.set(MS(2), &'b');
        timers.set(MS(5), &'a');
        timers.cancel(&'b');
        timers.cancel(&'z');
        assert_eq!(timers.next(), Some(MS(5)));
        assert_eq!(timers.ring(MS(4), u64::MAX), None);
        assert_eq!(timers.ring(MS(5), u64::MAX), Some('a'));
    }

    #[test]
    fn what_is_set_while_timers_ring_waits_for_the_next_round() {
        let mut timers = Timers::new();
        timers.set(MS(1), &'a');
        let count = timers.count();
        assert_eq!(timers.ring(MS(1), count), Some('a'));
        timers.set(MS(1), &'a');
        assert_eq!(timers.ring(MS(1), count), None);
        assert_eq!(timers.ring(MS(1), timers.count()), Some('a'));
    }
}
