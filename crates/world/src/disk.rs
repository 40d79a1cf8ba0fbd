//! A node's log on a disk that can lose what was not synced, tear a write, fail a sync or be full.

use crate::fault::SyncFailure;
use node::Dice;
use std::time::Duration;

/// The log as the disk has it: a synced prefix, and a suffix that a power loss may take.
pub(crate) struct Disk<R> {
    log: Vec<R>,
    synced: usize,
    /// A snapshot that is written beside the log and not yet in its place.
    beside: Option<Vec<R>>,
    /// How many snapshots have taken the log's place.
    pub(crate) rewrites: u32,
    /// The fault that filled it.
    pub(crate) full: Option<usize>,
    /// What becomes of the next sync.
    pub(crate) failing: Option<Failing>,
    /// What the next start meets: permanent or not, and the fault.
    pub(crate) rot: Option<(bool, usize)>,
    /// So much longer syncs take.
    pub(crate) slow: u64,
}

/// A sync that is going to fail.
#[derive(Clone, Copy)]
pub(crate) struct Failing {
    pub(crate) leaves: SyncFailure,
    pub(crate) fault: usize,
    /// How long the node is down then.
    pub(crate) down: Duration,
}

impl<R> Disk<R> {
    pub(crate) fn new() -> Self {
        Self {
            log: Vec::new(),
            synced: 0,
            beside: None,
            rewrites: 0,
            full: None,
            failing: None,
            rot: None,
            slow: 0,
        }
    }

    /// What no power loss can take.
    pub(crate) fn durable(&self) -> &[R] {
        &self.log[..self.synced]
    }

    pub(crate) fn written(&self) -> &[R] {
        &self.log
    }

    pub(crate) fn write(&mut self, record: R) {
        self.log.push(record);
    }

    pub(crate) fn replace(&mut self, records: Vec<R>) {
        self.beside = Some(records);
    }

    pub(crate) fn sync(&mut self) {
        if let Some(records) = self.beside.take() {
            self.log = records;
            self.rewrites += 1;
        }
        self.synced = self.log.len();
    }

    /// The process ends: what was written stays. A snapshot under way has taken its place or not.
    pub(crate) fn crash(&mut self, dice: &mut Dice) {
        if let Some(records) = self.beside.take()
            && dice.below(2) == 0
        {
            self.log = records;
            self.rewrites += 1;
            self.synced = self.log.len();
        }
    }

    /// Power is gone: a suffix of what was not synced is gone with it. Says how many records.
    pub(crate) fn lose_power(&mut self, dice: &mut Dice) -> usize {
        self.crash(dice);
        let unsynced = self.log.len() - self.synced;
        let lost = dice.below(unsynced as u64 + 1) as usize;
        // Losing everything is the likeliest and the most telling outcome.
        let lost = if dice.below(2) == 0 { unsynced } else { lost };
        self.log.truncate(self.log.len() - lost);
        lost
    }

    /// Power is gone in the middle of a write: one unsynced record is torn, its checksum tells at
    /// the next start, and nothing behind it is read. Says whether there was one.
    pub(crate) fn tear(&mut self, dice: &mut Dice) -> bool {
        self.crash(dice);
        let unsynced = (self.log.len() - self.synced) as u64;
        let kept = self.synced + dice.below(unsynced) as usize;
        self.log.truncate(kept);
        unsynced > 0
    }

    /// A sync fails.
    pub(crate) fn fail(&mut self, leaves: SyncFailure) {
        match leaves {
            SyncFailure::Lost => {
                self.beside = None;
                self.log.truncate(self.synced);
            }
            // The boot that follows writes what it reads again, so what would vanish stays.
            SyncFailure::Kept | SyncFailure::Vanishing => self.sync(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(synced: &[u8], unsynced: &[u8]) -> Disk<u8> {
        let mut disk = Disk::new();
        synced.iter().for_each(|r| disk.write(*r));
        disk.sync();
        unsynced.iter().for_each(|r| disk.write(*r));
        disk
    }

    #[test]
    fn a_crash_keeps_what_was_written_and_a_power_loss_only_a_prefix_beyond_the_sync() {
        let mut lost = [false; 3];
        for key in 0..100 {
            let mut disk = log(&[1, 2], &[3, 4]);
            disk.crash(&mut Dice::new(key));
            assert_eq!(disk.written(), [1, 2, 3, 4]);
            disk.lose_power(&mut Dice::new(key));
            assert!([1, 2, 3, 4].starts_with(disk.written()));
            assert!(disk.written().len() >= 2);
            lost[4 - disk.written().len()] = true;
        }
        assert_eq!(lost, [true; 3]);
    }

    #[test]
    fn a_torn_write_never_leaves_the_whole_suffix() {
        for key in 0..50 {
            let mut disk = log(&[1], &[2, 3]);
            assert!(disk.tear(&mut Dice::new(key)));
            assert!(disk.written().len() < 3);
            let mut disk = log(&[1], &[]);
            assert!(!disk.tear(&mut Dice::new(key)));
            assert_eq!(disk.written(), [1]);
        }
    }

    #[test]
    fn a_snapshot_is_wholly_there_or_not_at_all() {
        let mut seen = [false; 2];
        for key in 0..50 {
            let mut disk = log(&[1, 2], &[3]);
            disk.replace(vec![9]);
            assert_eq!(disk.durable(), [1, 2]);
            disk.lose_power(&mut Dice::new(key));
            let new = disk.written() == [9];
            assert!(new || [1, 2, 3].starts_with(disk.written()));
            seen[usize::from(new)] = true;
        }
        assert_eq!(seen, [true; 2]);
    }

    #[test]
    fn a_failed_sync_leaves_what_its_kind_says() {
        let mut disk = log(&[1], &[2]);
        disk.fail(SyncFailure::Lost);
        assert_eq!(disk.written(), [1]);
        let mut disk = log(&[1], &[2]);
        disk.fail(SyncFailure::Kept);
        assert_eq!(disk.durable(), [1, 2]);
    }
}
