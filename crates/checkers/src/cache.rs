//! A cache beside a store: what is read may be old, but never wrong, never going back, and not for
//! ever.
//!
//! Every key has versions, counted upwards from 1 by the store; 0 is what was there at the start.
//! The promises are those of leases (Nishtala and others: *Scaling Memcache at Facebook*, 2013)
//! and of clients that carry the highest version they have seen.
//!
//! - **newer than the store**: a version was read that nothing had committed yet;
//!   **phantom version**: one that never is, as the store has gone past it.
//! - **version went back**: a client read less than it had read or written before.
//! - **too stale**: a version was read longer after its successor's commit than is allowed, where a
//!   bound is promised.
//! - **stale at rest**: when nothing goes on any more, the cache differs from the store.

#[cfg(test)]
mod tests;

use crate::{Anomaly, Judged, Verdict};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

/// Keys `K` read by clients `C`.
///
/// ```
/// use checkers::cache::Cache;
/// use std::time::Duration;
///
/// let mut cache = Cache::new();
/// cache.committed("price", 1, Duration::from_secs(1));
/// cache.read("ann", "price", 1, Duration::from_secs(2)).unwrap();
/// assert_eq!(
///     cache.read("ann", "price", 0, Duration::from_secs(3)).unwrap_err().message,
///     "\"ann\" read version 0 of \"price\" after version 1",
/// );
/// ```
#[derive(Clone, Debug)]
pub struct Cache<C, K> {
    /// How long after the commit of its successor a version may still be read, if that is promised.
    pub staleness: Option<Duration>,
    /// The versions of each key with the time of their commit, ascending.
    committed: BTreeMap<K, Vec<(u64, Duration)>>,
    seen: BTreeMap<(C, K), u64>,
    /// Reads of anything but what was there at the start.
    reads: u64,
}

impl<C: Ord + Clone + Debug, K: Ord + Clone + Debug> Default for Cache<C, K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Ord + Clone + Debug, K: Ord + Clone + Debug> Cache<C, K> {
    /// Every key is at version 0. No bound on staleness is promised.
    pub fn new() -> Self {
        Self { staleness: None, committed: BTreeMap::new(), seen: BTreeMap::new(), reads: 0 }
    }

    /// The store has committed a version, at this time. Versions of one key come ascending.
    pub fn committed(&mut self, key: K, version: u64, at: Duration) {
        let versions = self.committed.entry(key).or_default();
        let place = versions.partition_point(|(other, _)| *other < version);
        if versions.get(place).is_none_or(|(other, _)| *other != version) {
            versions.insert(place, (version, at));
        }
    }

    /// A client was told that it wrote this version: it reads nothing older from then on.
    pub fn wrote(&mut self, client: C, key: K, version: u64) {
        let seen = self.seen.entry((client, key)).or_insert(0);
        *seen = version.max(*seen);
    }

    /// A client has read this version; its read began at `began`.
    ///
    /// # Errors
    ///
    /// `newer than the store`, `phantom version`, `version went back` or `too stale`.
    pub fn read(&mut self, client: C, key: K, version: u64, began: Duration) -> Judged {
        let versions = self.committed.get(&key).map_or(&[][..], Vec::as_slice);
        let place = versions.partition_point(|(other, _)| *other < version);
        let here = versions.get(place);
        let successor = match here {
            Some((other, _)) if *other == version => versions.get(place + 1),
            Some(_) if version == 0 => here,
            Some((next, _)) => {
                let message = format!(
                    "{client:?} read version {version} of {key:?}, and the store went on to {next} \
                     without it"
                );
                return Err(anomaly("phantom version", message));
            }
            None if version == 0 => None,
            None => {
                let newest = versions.last().map_or(0, |(version, _)| *version);
                let message = format!(
                    "{client:?} read version {version} of {key:?}, and the store was at {newest}"
                );
                return Err(anomaly("newer than the store", message));
            }
        };
        if let (Some((next, at)), Some(bound)) = (successor, self.staleness)
            && began > *at + bound
        {
            let message = format!(
                "{client:?} read version {version} of {key:?} {:?} after version {next}, at most \
                 {bound:?} were allowed",
                began - *at
            );
            return Err(anomaly("too stale", message));
        }
        self.reads += u64::from(version > 0);
        let name = (client, key);
        let before = self.seen.get(&name).copied().unwrap_or(0);
        if version < before {
            let (client, key) = name;
            let message =
                format!("{client:?} read version {version} of {key:?} after version {before}");
            return Err(anomaly("version went back", message));
        }
        self.seen.insert(name, version);
        Ok(())
    }

    /// Nothing goes on any more, and the cache has this version of a key; none if it has no entry,
    /// for then the next read goes to the store.
    ///
    /// # Errors
    ///
    /// `stale at rest` if the store has another one.
    pub fn at_rest(&self, key: &K, cached: Option<u64>) -> Judged {
        let versions = self.committed.get(key);
        let newest = versions.and_then(|versions| versions.last()).map_or(0, |(newest, _)| *newest);
        match cached.filter(|cached| *cached != newest) {
            None => Ok(()),
            Some(cached) => {
                let message = format!(
                    "at rest the cache has version {cached} of {key:?}, and the store {newest}"
                );
                Err(anomaly("stale at rest", message))
            }
        }
    }

    /// Whether the facts prove anything: `Unknown` if nothing but the initial version was read.
    pub fn verdict(&self) -> Verdict {
        match self.reads {
            0 => Verdict::Unknown("cache: no version that was written has been read".into()),
            _ => Verdict::Holds,
        }
    }
}

fn anomaly(class: &'static str, message: String) -> Box<Anomaly> {
    Box::new(Anomaly::new("cache", class, message))
}
