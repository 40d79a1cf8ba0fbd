//! Convergence where versions have no order but that of who has read what: a write takes the place
//! of what its writer has read, and of nothing else; versions that did not know each other stay
//! side by side (DeCandia and others: *Dynamo*, 2007).
//!
//! - **version twice**: two writes have one name.
//! - **phantom version**: a replica stores, or a writer has read, what nobody wrote.
//! - **acknowledged, not written**: a client was told so, and no replica has it on disk.
//! - **version lost**: a replica has had it, and has neither it nor what replaces it.
//! - **replaced version kept**: a replica stores a version beside one that replaces it.
//! - **diverged**: after heal, and once nothing goes on any more, two replicas differ.
//! - **older version wins**: they agree on one that an acknowledged write had replaced.
//! - **acknowledged write lost**: they agree on others that had not read it.

#[cfg(test)]
mod tests;

use super::anomaly;
use crate::{Judged, Verdict};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// Replicas `N` of keys `K` with versions `V`, which are names and are not compared.
///
/// ```
/// use checkers::convergence::Siblings;
///
/// let mut sync = Siblings::new(["n1", "n2"]);
/// sync.written("k", 'a', []).unwrap();
/// sync.stored("n1", "k", ['a']).unwrap();
/// sync.written("k", 'b', []).unwrap();
/// let lost = sync.stored("n1", "k", ['b']).unwrap_err();
/// assert_eq!(lost.message, "\"n1\" had 'a' for \"k\", and has {'b'}, which had not read it");
/// ```
#[derive(Clone, Debug)]
pub struct Siblings<N, K, V> {
    replicas: Vec<N>,
    /// With all that each replaces, and what that had replaced.
    written: BTreeMap<(K, V), BTreeSet<V>>,
    acknowledged: BTreeSet<(K, V)>,
    /// What each replica has now, in their order.
    stored: BTreeMap<K, Vec<BTreeSet<V>>>,
}

impl<N: PartialEq + Debug, K: Ord + Clone + Debug, V: Ord + Clone + Debug> Siblings<N, K, V> {
    /// These must agree in the end; a replica that is lost for good is not among them. They have
    /// nothing yet.
    pub fn new(replicas: impl IntoIterator<Item = N>) -> Self {
        Self {
            replicas: replicas.into_iter().collect(),
            written: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            stored: BTreeMap::new(),
        }
    }

    /// A version is on disk at the replica that took it, and its writer had read these.
    ///
    /// # Errors
    ///
    /// `version twice` or `phantom version`.
    pub fn written(&mut self, key: K, version: V, read: impl IntoIterator<Item = V>) -> Judged {
        let mut replaced = BTreeSet::new();
        for one in read {
            let Some(more) = self.written.get(&(key.clone(), one.clone())) else {
                let message = format!("who wrote {version:?} of {key:?} had read {one:?} there");
                return Err(anomaly("phantom version", message));
            };
            replaced.extend(more.iter().cloned());
            replaced.insert(one);
        }
        let named = (key, version);
        if self.written.contains_key(&named) {
            let message = format!("{:?} of {:?} was written before", named.1, named.0);
            return Err(anomaly("version twice", message));
        }
        self.written.insert(named, replaced);
        Ok(())
    }

    /// A write's client is told that it took effect.
    ///
    /// # Errors
    ///
    /// `acknowledged, not written`.
    pub fn acknowledged(&mut self, key: K, version: V) -> Judged {
        let named = (key, version);
        if !self.written.contains_key(&named) {
            let message = format!("{:?} of {:?} is on no disk", named.1, named.0);
            return Err(anomaly("acknowledged, not written", message));
        }
        self.acknowledged.insert(named);
        Ok(())
    }

    /// A replica stores these versions of a key now. Those of other nodes than the constructor
    /// named are passed over.
    ///
    /// # Errors
    ///
    /// `phantom version`, `version lost` or `replaced version kept`.
    pub fn stored(&mut self, replica: N, key: K, versions: impl IntoIterator<Item = V>) -> Judged {
        let Some(place) = self.replicas.iter().position(|other| *other == replica) else {
            return Ok(());
        };
        let now: BTreeSet<V> = versions.into_iter().collect();
        let mut replaced = BTreeSet::new();
        for version in &now {
            let Some(more) = self.written.get(&(key.clone(), version.clone())) else {
                let message =
                    format!("{replica:?} stores {version:?} for {key:?}, which nobody wrote");
                return Err(anomaly("phantom version", message));
            };
            replaced.extend(more);
        }
        if let Some(old) = now.iter().find(|version| replaced.contains(version)) {
            let message = format!("{replica:?} has {now:?} for {key:?}, where {old:?} is replaced");
            return Err(anomaly("replaced version kept", message));
        }
        let empty = || vec![BTreeSet::new(); self.replicas.len()];
        let stored = self.stored.entry(key.clone()).or_insert_with(empty);
        let mut before = stored[place].iter();
        if let Some(lost) = before.find(|one| !now.contains(*one) && !replaced.contains(one)) {
            let message = format!(
                "{replica:?} had {lost:?} for {key:?}, and has {now:?}, which had not read it"
            );
            return Err(anomaly("version lost", message));
        }
        stored[place] = now;
        Ok(())
    }

    /// The network has healed, and nothing goes on any more.
    ///
    /// # Errors
    ///
    /// `diverged`, `older version wins` or `acknowledged write lost`.
    pub fn end(&self) -> Judged {
        for (key, stored) in &self.stored {
            let Some(first) = stored.first() else { continue };
            if let Some(place) = stored.iter().position(|versions| versions != first) {
                let (one, other) = (&self.replicas[0], &self.replicas[place]);
                let there = &stored[place];
                let message = format!("{one:?} has {first:?} for {key:?}, and {other:?} {there:?}");
                return Err(anomaly("diverged", message));
            }
        }
        for (key, version) in &self.acknowledged {
            let agreed = self.stored.get(key).and_then(|stored| stored.first());
            let agreed = agreed.into_iter().flatten().collect::<BTreeSet<_>>();
            let replaces = |one: &V, other: &V| {
                let replaced = self.written.get(&(key.clone(), one.clone()));
                replaced.is_some_and(|replaced| replaced.contains(other))
            };
            if agreed.iter().any(|one| *one == version || replaces(one, version)) {
                continue;
            }
            let older = agreed.iter().any(|one| replaces(version, one));
            let class = if older { "older version wins" } else { "acknowledged write lost" };
            let message = format!(
                "{version:?} of {key:?} was acknowledged, and the replicas agree on {agreed:?}"
            );
            return Err(anomaly(class, message));
        }
        Ok(())
    }

    /// [`end`](Self::end), and `Unknown` unless there are two replicas and something was
    /// acknowledged.
    pub fn verdict(&self) -> Verdict {
        Verdict::from(self.end())
            .and_then(|| super::proves(self.replicas.len(), self.acknowledged.len()))
    }
}
