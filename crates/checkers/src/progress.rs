//! Progress: what must come true does so by a deadline that has a name.
//!
//! A safety rule is broken at a step, a progress rule only at the end of a wait; so each wait says
//! until when it may last. After heal (links work, nodes run) that is a bound of the protocol's own
//! timers: in doubt for so long, a queue drained by then, a free lock granted within its lease.
//! This is AC5 of atomic commitment, and the liveness half of everybody else.

#[cfg(test)]
mod tests;

use crate::{Anomaly, Judged, Verdict};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

/// What is waited for: things `W`, whose `Debug` is their name, under a class such as `in doubt`,
/// `queue not drained`, `lock never free`.
///
/// ```
/// use checkers::progress::Progress;
/// use std::time::Duration;
///
/// let second = Duration::from_secs;
/// let mut waits = Progress::new();
/// waits.due("in doubt", "t1 at p2", second(5));
/// waits.due("lock never free", "k7", second(9));
/// waits.done("lock never free", "k7", second(8)).unwrap();
/// assert_eq!(
///     waits.end(second(20)).unwrap_err().message,
///     "\"t1 at p2\" had to be over by 5s, and is not at 20s",
/// );
/// ```
#[derive(Clone, Debug)]
pub struct Progress<W> {
    open: BTreeMap<(&'static str, W), Duration>,
    done: u64,
}

impl<W> Default for Progress<W> {
    fn default() -> Self {
        Self { open: BTreeMap::new(), done: 0 }
    }
}

impl<W: Ord + Clone + Debug> Progress<W> {
    /// Nothing is waited for.
    pub fn new() -> Self {
        Self::default()
    }

    /// A wait begins, and must be over by then (time of the run). If it goes on already, its first
    /// deadline stands.
    pub fn due(&mut self, class: &'static str, what: W, by: Duration) {
        self.open.entry((class, what)).or_insert(by);
    }

    /// A wait is over. One that nobody has named may be over at any time.
    ///
    /// # Errors
    ///
    /// The class of the wait, if its deadline has passed.
    pub fn done(&mut self, class: &'static str, what: W, at: Duration) -> Judged {
        let name = (class, what);
        let Some(by) = self.open.remove(&name) else { return Ok(()) };
        self.done += 1;
        if at > by {
            let message = format!("{:?} had to be over by {by:?}, and was at {at:?}", name.1);
            return Err(anomaly(class, message));
        }
        Ok(())
    }

    /// The run ends now.
    ///
    /// # Errors
    ///
    /// The class of the wait whose deadline passed first, if any goes on past its own.
    pub fn end(&self, now: Duration) -> Judged {
        let overdue = self.open.iter().filter(|(_, by)| **by < now);
        match overdue.min_by_key(|(_, by)| **by) {
            Some(((class, what), by)) => {
                let message = format!("{what:?} had to be over by {by:?}, and is not at {now:?}");
                Err(anomaly(class, message))
            }
            None => Ok(()),
        }
    }

    /// [`end`](Self::end), and `Unknown` if the run ended before a deadline of what still waits, or
    /// nothing was ever waited for.
    pub fn verdict(&self, now: Duration) -> Verdict {
        Verdict::from(self.end(now)).and_then(|| match self.open.iter().next() {
            Some(((_, what), by)) => Verdict::Unknown(format!(
                "progress: the run ended at {now:?}, and {what:?} has until {by:?}"
            )),
            None if self.done == 0 => {
                Verdict::Unknown("progress: nothing was waited for".to_owned())
            }
            None => Verdict::Holds,
        })
    }
}

fn anomaly(class: &'static str, message: String) -> Box<Anomaly> {
    Box::new(Anomaly::new("progress", class, message))
}
