//! Convergence: replicas that exchange what they know end up with the same, and with everything
//! that was acknowledged.
//!
//! Every write of a key makes a version, and versions are ordered: a counter with a writer's
//! number, a hybrid logical clock. The rule is that of anti-entropy with the greatest version
//! winning (Demers and others: *Epidemic Algorithms for Replicated Database Maintenance*, 1987).
//!
//! - **phantom version**: a replica stores what nobody wrote.
//! - **version went back**: a replica replaces a version by a smaller one.
//! - **diverged**: after heal, and once nothing goes on any more, two replicas differ.
//! - **acknowledged write lost**: they agree on less than the greatest version acknowledged.
//!
//! [`Siblings`] is for versions that only know what they replace.

mod siblings;
#[cfg(test)]
mod tests;

pub use siblings::Siblings;

use crate::{Anomaly, Judged, Verdict};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// Replicas `N` of keys `K` with versions `V`.
///
/// ```
/// use checkers::convergence::Convergence;
///
/// let mut sync = Convergence::new(["n1", "n2"]);
/// sync.written("k", 1);
/// sync.stored("n1", "k", 1).unwrap();
/// sync.acknowledged("k", 1);
/// assert_eq!(sync.end().unwrap_err().message, "\"n1\" has 1 for \"k\", and \"n2\" nothing");
/// ```
#[derive(Clone, Debug)]
pub struct Convergence<N, K, V> {
    replicas: Vec<N>,
    written: BTreeSet<(K, V)>,
    /// The greatest version of each key.
    acknowledged: BTreeMap<K, V>,
    /// What each replica has now, in their order.
    stored: BTreeMap<K, Vec<Option<V>>>,
}

impl<N: PartialEq + Debug, K: Ord + Clone + Debug, V: Ord + Clone + Debug> Convergence<N, K, V> {
    /// These must agree in the end; a replica that is lost for good is not among them. They have
    /// nothing yet.
    pub fn new(replicas: impl IntoIterator<Item = N>) -> Self {
        Self {
            replicas: replicas.into_iter().collect(),
            written: BTreeSet::new(),
            acknowledged: BTreeMap::new(),
            stored: BTreeMap::new(),
        }
    }

    /// A write begins.
    pub fn written(&mut self, key: K, version: V) {
        self.written.insert((key, version));
    }

    /// A write's client is told that it took effect.
    pub fn acknowledged(&mut self, key: K, version: V) {
        let greatest = self.acknowledged.entry(key).or_insert_with(|| version.clone());
        if version > *greatest {
            *greatest = version;
        }
    }

    /// A replica has come to store this version. Those of other nodes than the constructor named
    /// are passed over.
    ///
    /// # Errors
    ///
    /// `phantom version` or `version went back`.
    pub fn stored(&mut self, replica: N, key: K, version: V) -> Judged {
        let Some(place) = self.replicas.iter().position(|other| *other == replica) else {
            return Ok(());
        };
        let named = (key, version);
        if !self.written.contains(&named) {
            let (key, version) = named;
            let message = format!("{replica:?} stores {version:?} for {key:?}, which nobody wrote");
            return Err(anomaly("phantom version", message));
        }
        let (key, version) = named;
        let replicas = self.replicas.len();
        let stored = self.stored.entry(key.clone()).or_insert_with(|| vec![None; replicas]);
        if let Some(before) = stored[place].as_ref().filter(|before| version < **before) {
            let message = format!("{replica:?} replaces {before:?} for {key:?} by {version:?}");
            return Err(anomaly("version went back", message));
        }
        stored[place] = Some(version);
        Ok(())
    }

    /// The network has healed, and nothing goes on any more.
    ///
    /// # Errors
    ///
    /// `diverged` or `acknowledged write lost`.
    pub fn end(&self) -> Judged {
        for (key, stored) in &self.stored {
            let has = |version: &Option<V>| match version {
                Some(version) => format!("{version:?}"),
                None => "nothing".to_owned(),
            };
            let Some(first) = stored.first() else { continue };
            if let Some(place) = stored.iter().position(|version| version != first) {
                let (one, other) = (&self.replicas[0], &self.replicas[place]);
                let (here, there) = (has(first), has(&stored[place]));
                let message = format!("{one:?} has {here} for {key:?}, and {other:?} {there}");
                return Err(anomaly("diverged", message));
            }
        }
        for (key, version) in &self.acknowledged {
            let agreed = self.stored.get(key).and_then(|stored| stored.first()?.as_ref());
            if agreed.is_none_or(|agreed| agreed < version) {
                let agreed = agreed.map_or("nothing".to_owned(), |agreed| format!("{agreed:?}"));
                let message = format!(
                    "{version:?} of {key:?} was acknowledged, and the replicas agree on {agreed}"
                );
                return Err(anomaly("acknowledged write lost", message));
            }
        }
        Ok(())
    }

    /// [`end`](Self::end), and `Unknown` unless there are two replicas and something was
    /// acknowledged.
    pub fn verdict(&self) -> Verdict {
        Verdict::from(self.end()).and_then(|| proves(self.replicas.len(), self.acknowledged.len()))
    }
}

/// Whether so many replicas and acknowledged writes prove anything.
fn proves(replicas: usize, acknowledged: usize) -> Verdict {
    let why = match (replicas, acknowledged) {
        (0 | 1, _) => "fewer than two replicas",
        (_, 0) => "no write was acknowledged",
        _ => return Verdict::Holds,
    };
    Verdict::Unknown(format!("convergence: {why}"))
}

fn anomaly(class: &'static str, message: String) -> Box<Anomaly> {
    Box::new(Anomaly::new("convergence", class, message))
}
