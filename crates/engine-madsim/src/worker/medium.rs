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
    /// So many bytes were there when the file took a log's place: the log counts their records.
    base: usize,
    /// So many bytes had been synced when the last record was written, which says so.
    proven: usize,
    /// Nothing from here on will be safe, whatever later syncs say.
    vanishing: Option<usize>,
}

impl Inode {
    fn safe(&self) -> usize {
        self.vanishing.map_or(self.synced, |from| from.min(self.synced))
    }

    /// The last record may be gone, and what it says with it.
    fn forget_proof(&mut self) {
        self.proven = self.base;
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
    /// A planted bug.
    #[cfg(test)]
    pub(super) lie: Option<Lie>,
}

/// What a disk does behind everybody's back.
#[cfg(test)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lie {
    /// It says that it has synced, and has not.
    Sync,
    /// Other bytes are read than were written.
    Read,
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

    /// Only a part of a record finds room.
    fn append_part(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.append(name, bytes)?;
        self.inode(name)?.forget_proof();
        Err(io::ErrorKind::StorageFull.into())
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        #[cfg(test)]
        if self.lie == Some(Lie::Sync) {
            return Ok(());
        }
        let inode = self.inode(name)?;
        inode.synced = inode.bytes.len();
        Ok(())
    }

    /// A sync fails, and leaves this behind.
    fn fail_sync(&mut self, name: &str, leaves: SyncFailure) -> io::Result<()> {
        let inode = self.inode(name)?;
        match leaves {
            SyncFailure::Lost => {
                inode.bytes.truncate(inode.synced);
                inode.forget_proof();
            }
            SyncFailure::Kept => inode.synced = inode.bytes.len(),
            SyncFailure::Vanishing => {
                inode.vanishing.get_or_insert(inode.synced);
                inode.synced = inode.bytes.len();
            }
        }
        Err(io::Error::other("the sync failed"))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let inode = self.inode(from)?;
        (inode.base, inode.proven) = (inode.synced, inode.synced);
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
            inode.forget_proof();
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
        #[cfg(test)]
        let lie = self.machine(me).files.lie;
        let Ok(inode) = self.machine(me).files.inode(name) else { return Ok(None) };
        let read = inode.bytes.clone();
        #[cfg(test)]
        if lie == Some(Lie::Read) {
            return Ok(Some(read.iter().map(|byte| !byte).collect()));
        }
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
        machine.files.append_part(name, &bytes[..fits])
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of these synced and unsynced bytes, as the shell would have written it.
    fn log(synced: &[u8], unsynced: &[u8]) -> Files {
        let mut files = Files::default();
        files.create("log.new");
        files.append("log.new", synced).expect("a file");
        files.sync("log.new").expect("a sync");
        files.rename("log.new", LOG).expect("a file");
        files.sync_names();
        files.append(LOG, unsynced).expect("a file");
        files
    }

    fn bytes(files: &mut Files) -> Vec<u8> {
        files.inode(LOG).expect("a log").bytes.clone()
    }

    #[test]
    fn a_power_loss_takes_any_of_what_was_not_synced_and_nothing_else() {
        let mut left = [false; 4];
        for key in 0..200 {
            let mut files = log(&[1, 2], &[3, 4, 5]);
            let harmed = files.lose_power(false, &mut Dice::new(key));
            let found = bytes(&mut files);
            assert!(found.len() >= 2 && [1, 2, 3, 4, 5].starts_with(&found), "{found:?}");
            assert_eq!(harmed, found.len() < 5);
            left[found.len() - 2] = true;
        }
        assert_eq!(left, [true; 4]);
    }

    #[test]
    fn a_torn_write_leaves_garbage_and_never_in_what_was_synced() {
        let mut garbled = 0;
        for key in 0..100 {
            let mut files = log(&[7; 40], &[8; 40]);
            files.lose_power(true, &mut Dice::new(key));
            let found = bytes(&mut files);
            assert_eq!(found[..40], [7; 40]);
            garbled += u32::from(found[40..].iter().any(|byte| *byte != 8));
        }
        assert!(garbled > 50, "{garbled}");
        assert!(!log(&[1], &[]).lose_power(true, &mut Dice::new(1)), "nothing to tear");
    }

    #[test]
    fn names_that_were_not_synced_may_be_as_before() {
        let mut old = 0;
        for key in 0..100 {
            let mut files = log(&[1], &[]);
            files.create("log.new");
            files.append("log.new", &[2]).expect("a file");
            files.sync("log.new").expect("a sync");
            files.rename("log.new", LOG).expect("a file");
            files.lose_power(false, &mut Dice::new(key));
            let found = bytes(&mut files);
            assert!(found == [1] || found == [2], "wholly old or wholly new: {found:?}");
            old += u32::from(found == [1]);
        }
        assert!((20..80).contains(&old), "{old}");
    }

    #[test]
    fn what_a_failed_sync_leaves_vanishes_only_where_its_kind_says_so() {
        for (leaves, now, later) in
            [(SyncFailure::Lost, 1, 1), (SyncFailure::Kept, 2, 2), (SyncFailure::Vanishing, 2, 1)]
        {
            let mut files = log(&[1], &[2]);
            files.fail_sync(LOG, leaves).expect_err("it fails");
            assert_eq!(bytes(&mut files).len(), now, "{leaves:?}");
            files.sync(LOG).expect("a second sync says that all is well");
            for key in 0..20 {
                files.lose_power(false, &mut Dice::new(key));
            }
            assert_eq!(bytes(&mut files).len(), later, "{leaves:?}");
        }
    }

    #[test]
    fn only_what_the_log_can_prove_rots() {
        for key in 0..50 {
            let mut files = log(&[0; 8], &[0; 8]);
            files.sync(LOG).expect("a sync");
            files.rot(LOG, &mut Dice::new(key)).expect("the log's first records");
            let found = bytes(&mut files);
            assert!(found[..8].iter().any(|byte| *byte != 0) && found[8..] == [0; 8]);
            // A later record says that these had been synced; without it nothing does.
            let mut files = log(&[0; 8], &[0; 8]);
            files.sync(LOG).expect("a sync");
            files.append(LOG, &[0; 8]).expect("a file");
            assert_eq!(files.inode(LOG).expect("a log").proven, 16);
            files.lose_power(false, &mut Dice::new(key));
            assert_eq!(files.inode(LOG).expect("a log").proven, 8);
        }
    }
}
