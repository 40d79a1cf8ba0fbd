//! What a replica knows: of every record the versions that no other one replaces, and which writes
//! it has seen.

use super::{Context, Record, Version};
use crate::sync::{Dot, Durable, Key, Seen, Sibling, Written};
use node::{NodeId, RequestId};
use std::collections::BTreeMap;

/// The maximal versions of a set of writes that is closed: with a write it has all that the write
/// has seen.
#[derive(Debug, Default)]
pub(super) struct Store {
    versions: BTreeMap<Key, Vec<Version>>,
    pub(super) seen: Seen,
    /// How many writes this replica has taken itself.
    taken: u64,
    pub(super) done: BTreeMap<RequestId, Dot>,
}

impl Store {
    /// Out of a log.
    pub(super) fn load(&mut self, me: NodeId, log: &[Record]) {
        for record in log {
            match record {
                Record::Reserved(_) => {}
                Record::Written { operation, version, .. } => {
                    self.add(version.clone());
                    self.done.insert(*operation, version.dot);
                }
                Record::Merged { seen, versions, .. } => self.merge(seen, versions),
            }
        }
        self.taken = self.seen.of(me);
    }

    /// The name of the next write here.
    pub(super) fn next(&mut self, me: NodeId) -> Dot {
        self.taken += 1;
        Dot { node: me, nth: self.taken }
    }

    /// What stands in a record: the oldest first.
    pub(super) fn at(&self, key: Key) -> &[Version] {
        self.versions.get(&key).map_or(&[], Vec::as_slice)
    }

    /// A version takes the place of those that its writer has seen, and of no other one.
    pub(super) fn add(&mut self, version: Version) {
        self.seen.add(version.dot);
        let versions = self.versions.entry(version.key).or_default();
        versions.retain(|old| !version.context.has(old.dot));
        versions.push(version);
        versions.sort_by_key(|version| version.stamp);
    }

    /// What another replica has seen, and those of its versions that are not known here.
    pub(super) fn merge(&mut self, seen: &Seen, versions: &[Version]) {
        let new: Vec<_> = versions.iter().filter(|one| !self.seen.has(one.dot)).cloned().collect();
        for version in new {
            self.add(version);
        }
        self.seen.join(seen);
    }

    /// The versions that one who has seen this much has not got.
    pub(super) fn missing(&self, seen: &Seen) -> Vec<Version> {
        let all = self.versions.values().flatten();
        all.filter(|version| !seen.has(version.dot)).cloned().collect()
    }

    /// Says what is about to happen to a record by a write with this context.
    pub(super) fn mark(&self, key: Key, context: &Seen, cx: &mut Context) {
        let replaced = self.at(key).iter().filter(|old| context.has(old.dot)).count();
        if replaced > 1 {
            cx.mark("a write took the place of siblings");
        }
        if replaced < self.at(key).len() {
            cx.mark("a write came beside what its writer had not seen");
        }
    }
}

/// What a log promises, replayed apart from the running store.
pub(super) fn durable(log: &[Record]) -> Durable {
    let mut durable = Durable::default();
    let mut store = Store::default();
    for record in log {
        match record {
            Record::Reserved(_) => {}
            Record::Written { operation, read, version } => {
                store.add(version.clone());
                durable.writes.push(Written {
                    operation: *operation,
                    key: version.key,
                    sibling: version.sibling(),
                    read: read.clone(),
                });
            }
            Record::Merged { at, seen, versions } => {
                store.merge(seen, versions);
                durable.merged.push((*at, seen.clone()));
            }
        }
    }
    let siblings = |versions: Vec<Version>| versions.iter().map(Version::sibling).collect();
    durable.siblings = store.versions.into_iter().map(|(key, all)| (key, siblings(all))).collect();
    durable
}

impl Version {
    pub(super) fn sibling(&self) -> Sibling {
        Sibling { dot: self.dot, value: self.value }
    }
}
