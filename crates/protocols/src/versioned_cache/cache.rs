//! A cache: what it remembers it may forget at any time, and in a crash it forgets it all.

use super::{Config, Content, Context, Lease, Msg, Page, Task, Version, View};
use node::NodeId;
use std::collections::BTreeMap;
use std::time::Duration;

/// What is remembered of a page.
#[derive(Clone, Copy, Debug)]
enum Slot {
    /// What stood there.
    Entry(Content),
    /// Nothing older than this version is put here, and that under the lease alone (10.1, 10.3).
    Tombstone { floor: Version, lease: Option<(Lease, Duration)> },
}

/// Some pages, as they are or were.
#[derive(Debug)]
pub struct Cache {
    capacity: usize,
    lease: Duration,
    /// Each with the number of its last use.
    slots: BTreeMap<Page, (Slot, u64)>,
    uses: u64,
    leases: u32,
}

impl Cache {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            capacity: usize::from(config.capacity.max(1)),
            lease: config.lease,
            slots: BTreeMap::new(),
            uses: 0,
            leases: 0,
        }
    }

    pub(super) fn on_get(
        &mut self,
        from: NodeId,
        task: Task,
        page: Page,
        minimum: Version,
        cx: &mut Context,
    ) {
        if self.forget_older(page, minimum) {
            cx.mark("an entry was older than what its reader has seen"); // 10.5
        }
        self.uses += 1;
        let fresh = Slot::Tombstone { floor: minimum, lease: None };
        let (slot, used) = self.slots.entry(page).or_insert((fresh, 0));
        *used = self.uses;
        let now = cx.now();
        match slot {
            Slot::Entry(content) => cx.send(from, Msg::Hit { task, content: *content }),
            // 10.2
            Slot::Tombstone { lease: Some((_, until)), .. } if *until > now => {
                cx.send(from, Msg::Wait { task });
            }
            Slot::Tombstone { lease, .. } => {
                if lease.is_some() {
                    cx.mark("a lease ran out");
                }
                self.leases += 1;
                let new = Lease { life: cx.incarnation(), nth: self.leases };
                *lease = Some((new, now + self.lease));
                cx.send(from, Msg::Miss { task, lease: new });
            }
        }
        self.evict(cx);
    }

    /// Forgets what has not been used for longest, if there is too much.
    fn evict(&mut self, cx: &mut Context) {
        while self.slots.len() > self.capacity {
            let oldest = self.slots.iter().min_by_key(|(_, (_, used))| *used);
            let Some((&page, &(slot, _))) = oldest else { return };
            self.slots.remove(&page);
            cx.mark(match slot {
                Slot::Entry(_) => "a page was forgotten",
                Slot::Tombstone { .. } => "a tombstone was forgotten",
            });
        }
    }

    pub(super) fn on_fill(&mut self, page: Page, lease: Lease, content: Content, cx: &mut Context) {
        let slot = match self.floor(page, lease) {
            None => return cx.mark("who had no lease any more was refused"),
            Some(floor) if content.version < floor => {
                cx.mark("who had been to the database too early was refused");
                Slot::Tombstone { floor, lease: None }
            }
            Some(_) => Slot::Entry(content),
        };
        self.slots.insert(page, (slot, self.uses));
    }

    /// The version below which nothing is put here, for who has the present lease.
    fn floor(&self, page: Page, lease: Lease) -> Option<Version> {
        match self.slots.get(&page)?.0 {
            Slot::Tombstone { floor, lease: Some((held, _)) } if held == lease => Some(floor),
            _ => None,
        }
    }

    pub(super) fn on_invalidate(&mut self, page: Page, version: Version, cx: &mut Context) {
        if self.forget_older(page, version) {
            cx.mark("an entry was invalidated");
        }
    }

    /// Nothing older than this version stays, or is put here (10.3). Where nothing is remembered no
    /// lease is good, so nothing need be kept away. True if an entry has gone.
    fn forget_older(&mut self, page: Page, version: Version) -> bool {
        let Some((slot, _)) = self.slots.get_mut(&page) else { return false };
        match slot {
            Slot::Entry(content) if content.version < version => {
                *slot = Slot::Tombstone { floor: version, lease: None };
                true
            }
            Slot::Entry(_) => false,
            Slot::Tombstone { floor, .. } => {
                *floor = version.max(*floor);
                false
            }
        }
    }

    pub(super) fn view(&self) -> View {
        let entry = |(page, (slot, _)): (&Page, &(Slot, u64))| match slot {
            Slot::Entry(content) => Some((*page, *content)),
            Slot::Tombstone { .. } => None,
        };
        View { cached: self.slots.iter().filter_map(entry).collect(), ..View::default() }
    }
}
