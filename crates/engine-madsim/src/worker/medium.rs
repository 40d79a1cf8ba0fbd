//! A machine's disk: files as bytes, and what a power loss or a failing disk does to them.

use super::port::sleep_until;
use super::stage::{Shared, Stage};
use node::{Dice, Node, NodeId};
use shell::Disk;
use shell::log::LOG;
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;
use world::{FaultKind, SyncFailure};

/// What a torn write damages as one, in bytes.
const SECTOR: usize = 16;

/// How long a node is down whose disk is full, if there is room again then.
const DOWN_WHEN_FULL: Duration = Duration::from_millis(50);

/// Until a start that met bad data reads it again.
const READ_AGAIN: Duration = Duration::from_millis(10);

#[derive(Clone, Default)]
struct Inode {
    bytes: Vec<u8>,
    /// So many bytes are safe.
    synced: usize,
    /// So many bytes can be proven to have been synced by what was written later.
    proven: usize,
    /// Nothing from here on will be safe, whatever later syncs say.
    vanishing: Option<usize>,
}

impl Inode {
    fn safe(&self) -> usize {
        self.vanishing.map_or(self.synced, |from| from.min(self.synced))
    }
}

type Names = BTreeMap<String, u32>;

/// The files of a machine. They outlive every process.
#[derive(Default)]
pub(super) struct Files {
    inodes: BTreeMap<u32, Inode>,
    names: Names,
    /// How the names were, oldest first, since they were last synced.
    older: Vec<Names>,
    created: u32,
}

/// What is going to go wrong with a disk, and what has.
#[derive(Default)]
pub(super) struct Trouble {
    /// The fault that filled it.
    pub(super) full: Option<usize>,
    /// What becomes of the next sync, and how long the node is down then.
    pub(super) failing: Option<(SyncFailure, usize, Duration)>,
    /// What the next start meets: permanent or not, and the fault.
    pub(super) rot: Option<(bool, usize)>,
    /// So much longer syncs take.
    pub(super) slow: u64,
    /// The fault that this life has met, and how long the node is down then: for good if none.
    pub(super) met: Option<(usize, Option<Duration>)>,
}

impl Files {
    fn inode(&mut self, name: &str) -> io::Result<&mut Inode> {
        let inode = self.names.get(name).and_then(|inode| self.inodes.get_mut(inode));
        inode.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn change_names(&mut self, change: impl FnOnce(&mut Names)) {
        self.older.push(self.names.clone());
        change(&mut self.names);
    }

    fn create(&mut self, name: &str) {
        self.created += 1;
        let inode = self.created;
        self.inodes.insert(inode, Inode::default());
        self.change_names(|names| {
            names.insert(name.to_owned(), inode);
        });
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let inode = self.inode(name)?;
        inode.proven = inode.synced;
        inode.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let inode = self.inode(name)?;
        inode.synced = inode.bytes.len();
        Ok(())
    }

    /// A sync fails, and leaves this behind.
    fn fail_sync(&mut self, name: &str, leaves: SyncFailure) -> io::Result<()> {
        let inode = self.inode(name)?;
        match leaves {
            SyncFailure::Lost => inode.bytes.truncate(inode.synced),
            SyncFailure::Kept => inode.synced = inode.bytes.len(),
            SyncFailure::Vanishing => {
                inode.vanishing.get_or_insert(inode.synced);
                inode.synced = inode.bytes.len();
            }
        }
        Err(io::Error::other("the sync failed"))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        // A file that takes a log's place counts its records, so all of it is proven.
        let inode = self.inode(from)?;
        inode.proven = inode.synced;
        let number = self.names[from];
        self.change_names(|names| {
            names.remove(from);
            names.insert(to.to_owned(), number);
        });
        Ok(())
    }

    fn sync_names(&mut self) {
        self.older.clear();
        let names = &self.names;
        self.inodes.retain(|inode, _| names.values().any(|named| named == inode));
    }

    /// Power is gone: what was not synced is there, in part, or not at all; torn, what is there may
    /// be garbage. Says whether anything is gone or damaged.
    pub(super) fn lose_power(&mut self, torn: bool, dice: &mut Dice) -> bool {
        let mut harmed = false;
        let kept = dice.below(self.older.len() as u64 + 1) as usize;
        if kept < self.older.len() {
            self.names = self.older.swap_remove(kept);
            harmed = true;
        }
        self.sync_names();
        for inode in self.inodes.values_mut() {
            let safe = inode.safe();
            let unsynced = (inode.bytes.len() - safe) as u64;
            // Losing everything is the likeliest and the most telling outcome.
            let lost = dice.below(unsynced + 1);
            let lost = if !torn && dice.below(2) == 0 { unsynced } else { lost };
            harmed |= lost > 0;
            inode.bytes.truncate(inode.bytes.len() - lost as usize);
            if torn {
                for sector in inode.bytes[safe..].chunks_mut(SECTOR) {
                    match dice.below(3) {
                        0 => continue,
                        1 => sector.fill(0),
                        _ => sector.iter_mut().for_each(|byte| *byte = dice.bits() as u8),
                    }
                    harmed = true;
                }
            }
            (inode.synced, inode.vanishing) = (inode.bytes.len(), None);
        }
        harmed
    }

    /// Flips a bit of what the log can prove to have been synced; false if there is nothing.
    fn rot(&mut self, name: &str, dice: &mut Dice) -> Option<usize> {
        let inode = self.inode(name).ok()?;
        let bit = dice.below(inode.proven as u64 * 8) as usize;
        let byte = inode.bytes.get_mut(bit / 8)?;
        *byte ^= 1 << (bit % 8);
        Some(bit)
    }
}

/// A machine's disk, as its process uses it.
pub(super) struct Medium<N: Node> {
    pub(super) stage: Shared<N>,
    pub(super) me: NodeId,
}

impl<N: Node> Medium<N> {
    fn with<T>(&self, work: impl FnOnce(&mut Stage<N>) -> T) -> T {
        work(&mut self.stage.borrow_mut())
    }
}

impl<N: Node> Disk for Medium<N> {
    fn place(&self, name: &str) -> String {
        format!("{}/{name}", self.me)
    }

    async fn read(&mut self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let me = self.me;
        self.with(|stage| stage.read(me, name))
    }

    async fn create(&mut self, name: &str) -> io::Result<()> {
        self.with(|stage| stage.machine(self.me).files.create(name));
        Ok(())
    }

    async fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.with(|stage| stage.write(self.me, name, bytes))
    }

    async fn sync(&mut self, name: &str) -> io::Result<()> {
        let done = self.with(|stage| stage.begin_sync(self.me));
        sleep_until(&self.stage, self.me, done).await;
        self.with(|stage| stage.end_sync(self.me, name))
    }

    async fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.with(|stage| stage.machine(self.me).files.rename(from, to))
    }

    async fn sync_names(&mut self) -> io::Result<()> {
        self.with(|stage| stage.machine(self.me).files.sync_names());
        Ok(())
    }
}

impl<N: Node> Stage<N> {
    fn read(&mut self, me: NodeId, name: &str) -> io::Result<Option<Vec<u8>>> {
        let rot = if name == LOG { self.machine(me).trouble.rot.take() } else { None };
        let flipped = rot.and_then(|(permanent, fault)| {
            let mut dice = self.disk_dice(fault, me);
            let bit = self.machine(me).files.rot(name, &mut dice)?;
            let down = (!permanent).then_some(READ_AGAIN);
            self.machine(me).trouble.met = Some((fault, down));
            Some((permanent, bit))
        });
        let Ok(inode) = self.machine(me).files.inode(name) else { return Ok(None) };
        let read = inode.bytes.clone();
        if let Some((false, bit)) = flipped {
            inode.bytes[bit / 8] ^= 1 << (bit % 8);
        }
        Ok(Some(read))
    }

    /// On a full disk a part of the bytes may still find room.
    fn write(&mut self, me: NodeId, name: &str, bytes: &[u8]) -> io::Result<()> {
        let Some(fault) = self.machine(me).trouble.full else {
            return self.machine(me).files.append(name, bytes);
        };
        let fits = self.disk_dice(fault, me).below(bytes.len() as u64) as usize;
        let machine = self.machine(me);
        machine.trouble.met = Some((fault, Some(DOWN_WHEN_FULL)));
        machine.files.append(name, &bytes[..fits])?;
        Err(io::ErrorKind::StorageFull.into())
    }

    /// Says when a sync that begins now is done.
    fn begin_sync(&mut self, me: NodeId) -> u64 {
        let slow = self.machine(me).trouble.slow;
        if slow > 0 {
            self.count(FaultKind::SlowSync);
        }
        self.now.saturating_add(self.sync).saturating_add(slow)
    }

    fn end_sync(&mut self, me: NodeId, name: &str) -> io::Result<()> {
        let machine = self.machine(me);
        let Some((leaves, fault, down)) = machine.trouble.failing.take() else {
            return machine.files.sync(name);
        };
        machine.trouble.met = Some((fault, Some(down)));
        machine.files.fail_sync(name, leaves)
    }
}
