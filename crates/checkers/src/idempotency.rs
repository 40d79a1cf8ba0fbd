//! Idempotency keys: however often a request is sent, it takes effect once and has one answer.
//!
//! The rules are those of the IETF draft *The Idempotency-Key HTTP Header Field* and of Stripe's
//! API. A key stands for an intent: who makes a new key for every attempt has the intent's effects
//! counted all the same, if the caller feeds intents.
//!
//! - **double effect**: two effects under one key; **phantom effect**, **phantom reply**: one that
//!   nobody asked for.
//! - **effect lost**: a request was answered with its result, and has no effect in the end.
//! - **failed and applied**: it was answered with a final failure, and has an effect.
//! - **unequal replies**: two attempts of one key were answered with different results.
//! - **mismatch accepted**: a key came with another fingerprint (method, path, body) than the one
//!   that it is bound to, and was answered with a result; **mismatch without cause**: a request
//!   was refused as one, though its key never came with anything else.
//!
//! "In progress" answers decide nothing; that they end is for the progress checker.

#[cfg(test)]
mod tests;

use crate::{Anomaly, Judged, Verdict};
use std::collections::BTreeMap;
use std::fmt::Debug;

/// What an attempt was answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer<R> {
    /// It took effect, now or at an earlier attempt; this is the result.
    Done(R),
    /// It never takes effect.
    Failed,
    /// The key belongs to a request with another fingerprint (422).
    Mismatch,
    /// Another attempt is at work (409), or nobody knows.
    Undecided,
}

/// Keys `K` of requests with fingerprints `F` and results `R`.
///
/// ```
/// use checkers::idempotency::{Answer, Idempotency};
///
/// let mut keys = Idempotency::new();
/// keys.asked("k1", "pay 5");
/// keys.asked("k1", "pay 5");
/// keys.effect("k1").unwrap();
/// keys.answered("k1", "pay 5", Answer::Done("receipt 1")).unwrap();
/// assert_eq!(
///     keys.answered("k1", "pay 5", Answer::Done("receipt 2")).unwrap_err().message,
///     "\"k1\" was answered \"receipt 1\", and then \"receipt 2\"",
/// );
/// ```
#[derive(Clone, Debug)]
pub struct Idempotency<K, F, R> {
    keys: BTreeMap<K, Key<F, R>>,
}

#[derive(Clone, Debug)]
struct Key<F, R> {
    /// What it came with, each once.
    fingerprints: Vec<F>,
    attempts: u32,
    effects: u32,
    /// The first result, and the fingerprint that got it.
    result: Option<(F, R)>,
    failed: bool,
}

impl<K, F, R> Default for Idempotency<K, F, R> {
    fn default() -> Self {
        Self { keys: BTreeMap::new() }
    }
}

impl<K: Ord + Debug, F: PartialEq + Debug, R: PartialEq + Debug> Idempotency<K, F, R> {
    /// No key was used yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// An attempt: the first, or a retry.
    pub fn asked(&mut self, key: K, fingerprint: F) {
        let known = self.keys.entry(key).or_insert_with(|| Key {
            fingerprints: Vec::new(),
            attempts: 0,
            effects: 0,
            result: None,
            failed: false,
        });
        known.attempts += 1;
        if !known.fingerprints.contains(&fingerprint) {
            known.fingerprints.push(fingerprint);
        }
    }

    /// An effect under this key has become durable.
    ///
    /// # Errors
    ///
    /// `double effect`, `phantom effect` or `failed and applied`.
    pub fn effect(&mut self, key: K) -> Judged {
        let Some(known) = self.keys.get_mut(&key) else {
            let message = format!("{key:?} has an effect, and no request");
            return Err(anomaly("phantom effect", message));
        };
        known.effects += 1;
        if known.effects > 1 {
            let message = format!("{key:?} has taken effect {} times", known.effects);
            return Err(anomaly("double effect", message));
        }
        if known.failed { failed_and_applied(&key) } else { Ok(()) }
    }

    /// An attempt with this fingerprint was answered.
    ///
    /// # Errors
    ///
    /// `unequal replies`, `mismatch accepted`, `mismatch without cause`, `failed and applied`, or
    /// `phantom reply` if nobody has asked.
    pub fn answered(&mut self, key: K, fingerprint: F, answer: Answer<R>) -> Judged {
        let Some(known) = self.keys.get_mut(&key) else {
            return Err(anomaly("phantom reply", format!("{key:?} was answered, and never asked")));
        };
        match (answer, &known.result) {
            (Answer::Undecided, _) => Ok(()),
            (Answer::Mismatch, _) if known.fingerprints.len() > 1 => Ok(()),
            (Answer::Mismatch, _) => {
                let message = format!("{key:?} was refused, and only ever came as {fingerprint:?}");
                Err(anomaly("mismatch without cause", message))
            }
            (Answer::Failed, Some((_, result))) => {
                let message = format!("{key:?} was answered {result:?}, and then that it failed");
                Err(anomaly("unequal replies", message))
            }
            (Answer::Failed, None) => {
                known.failed = true;
                if known.effects > 0 { failed_and_applied(&key) } else { Ok(()) }
            }
            (Answer::Done(result), Some((bound, _))) if *bound != fingerprint => {
                let message = format!(
                    "{key:?} belongs to {bound:?}, and {fingerprint:?} was answered {result:?}"
                );
                Err(anomaly("mismatch accepted", message))
            }
            (Answer::Done(result), Some((_, first))) if *first != result => {
                let message = format!("{key:?} was answered {first:?}, and then {result:?}");
                Err(anomaly("unequal replies", message))
            }
            (Answer::Done(result), None) if known.failed => {
                let message = format!("{key:?} was answered that it failed, and then {result:?}");
                Err(anomaly("unequal replies", message))
            }
            (Answer::Done(_), Some(_)) => Ok(()),
            (Answer::Done(result), None) => {
                known.result = Some((fingerprint, result));
                Ok(())
            }
        }
    }

    /// Everything is over.
    ///
    /// # Errors
    ///
    /// `effect lost` if a request was answered with its result, and has no effect.
    pub fn end(&self) -> Judged {
        for (key, known) in &self.keys {
            if let (Some((_, result)), 0) = (&known.result, known.effects) {
                let message = format!("{key:?} was answered {result:?}, and has no effect");
                return Err(anomaly("effect lost", message));
            }
        }
        Ok(())
    }

    /// [`end`](Self::end), and `Unknown` if no key was ever used twice.
    pub fn verdict(&self) -> Verdict {
        Verdict::from(self.end()).and_then(|| {
            if self.keys.values().any(|key| key.attempts > 1) {
                Verdict::Holds
            } else {
                Verdict::Unknown("idempotency: no key was used twice".into())
            }
        })
    }
}

fn failed_and_applied(key: &impl Debug) -> Judged {
    let message = format!("{key:?} was answered that it failed, and has an effect");
    Err(anomaly("failed and applied", message))
}

fn anomaly(class: &'static str, message: String) -> Box<Anomaly> {
    Box::new(Anomaly::new("idempotency", class, message))
}
