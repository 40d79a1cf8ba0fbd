//! The log on a disk that does its worst: every flip, every prefix, every torn tail, and long
//! lives of random trouble.

#[path = "common/memory.rs"]
mod memory;

use memory::{Failure, Memory, now};
use node::{Dice, NodeId};
use proptest::prelude::*;
use shell::Identity;
use shell::log::format::{self, Damage};
use shell::log::{BESIDE, Boot, Error, LOG, Log};

fn identity() -> Identity {
    Identity { scenario: "bank".to_owned(), cluster: 3, node: NodeId(1) }
}

fn open(disk: &Memory) -> Result<(Log<Memory>, Boot<String>), Error> {
    now(Log::open(disk.clone(), &identity()))
}

/// Records that differ, also in length.
fn record(n: u64) -> String {
    format!("record {n}{}", "·".repeat(n as usize % 3))
}

/// A log of two lives. The first wrote two records; the second found them, wrote two and synced,
/// wrote two and synced, and wrote three that it did not sync. Each record with its offset.
struct Sample {
    bytes: Vec<u8>,
    offsets: Vec<usize>,
}

/// Records that the second life found.
const BASE: usize = 2;
/// Records that some later record proves to have been synced.
const PROVED: usize = 6;
/// Records in all.
const ALL: usize = 9;

fn sample() -> Sample {
    let disk = Memory::new();
    let (mut log, boot) = open(&disk).expect("a new log");
    assert_eq!(boot, Boot { incarnation: 1, records: vec![], cut: 0 });
    for n in 0..BASE as u64 {
        now(log.append(&record(n))).expect("room");
    }
    let (mut log, boot) = open(&disk).expect("nothing is wrong");
    assert_eq!((boot.incarnation, boot.records.len()), (2, BASE));
    for n in BASE as u64..ALL as u64 {
        now(log.append(&record(n))).expect("room");
        if n == 3 || n == 5 {
            now(log.sync()).expect("no failure");
        }
    }
    let bytes = disk.bytes(LOG).expect("a log");
    let found = format::recover(&bytes).expect("undamaged");
    let offsets = found.records.iter().map(|(offset, _)| *offset).collect();
    Sample { bytes, offsets }
}

fn reopen(bytes: &[u8]) -> Result<Vec<String>, Error> {
    let disk = Memory::new();
    disk.put(LOG, bytes);
    open(&disk).map(|(_, boot)| boot.records)
}

/// What must come of a log in which the first damage is in record `k`, and records from
/// `survivor` on are whole.
fn judge(what: &str, k: usize, survivor: bool, result: Result<Vec<String>, Error>) {
    let proved = k < BASE || (survivor && k < PROVED);
    match result {
        Ok(records) => {
            assert!(!proved, "{what}: record {k} was synced, and its loss was not noticed");
            let expected: Vec<String> = (0..k as u64).map(record).collect();
            assert_eq!(records, expected, "{what}");
        }
        Err(Error::Corrupt { .. }) => assert!(proved, "{what}: a torn tail counts as corrupt"),
        Err(other) => panic!("{what}: {other}"),
    }
}

impl Sample {
    /// The record that a byte belongs to; none for the file's head.
    fn owner(&self, byte: usize) -> Option<usize> {
        self.offsets.iter().rposition(|offset| *offset <= byte)
    }
}

#[test]
fn every_flip_of_every_bit_is_noticed() {
    let sample = sample();
    for byte in 0..sample.bytes.len() {
        for bit in 0..8 {
            let mut bytes = sample.bytes.clone();
            bytes[byte] ^= 1 << bit;
            let what = format!("bit {bit} of byte {byte}");
            match (sample.owner(byte), reopen(&bytes)) {
                (Some(k), result) => judge(&what, k, k + 1 < ALL, result),
                (None, Err(Error::Corrupt { offset, .. })) => assert!(offset <= byte, "{what}"),
                (None, Err(Error::Format { .. })) => assert!(byte < 10, "{what}: the magic"),
                (None, other) => panic!("{what}: {other:?}"),
            }
        }
    }
}

#[test]
fn every_prefix_gives_the_records_in_it_or_is_refused() {
    let sample = sample();
    for len in 0..sample.bytes.len() {
        let result = reopen(&sample.bytes[..len]);
        let ends = sample.offsets.iter().skip(1).copied().chain([sample.bytes.len()]);
        let whole = ends.filter(|end| *end <= len).count();
        if len < sample.offsets[0] {
            assert!(matches!(result, Err(Error::Corrupt { .. })), "{len}: {result:?}");
        } else {
            judge(&format!("the first {len} bytes"), whole, false, result);
        }
    }
}

/// Any 8 bytes gone, replaced by zeros or by bytes from elsewhere in the log.
#[test]
fn holes_and_misdirected_writes_are_noticed() {
    let sample = sample();
    let begin = sample.offsets[0];
    for at in begin..sample.bytes.len() - 8 {
        for from in [None, Some(begin), Some(sample.offsets[3]), Some(sample.offsets[7])] {
            let mut bytes = sample.bytes.clone();
            let other = from
                .map_or([0; 8], |from| *sample.bytes[from..].first_chunk().expect("eight bytes"));
            bytes[at..at + 8].copy_from_slice(&other);
            let Some(first) = (0..bytes.len()).find(|i| bytes[*i] != sample.bytes[*i]) else {
                continue;
            };
            let k = sample.owner(first).expect("a record");
            let last = sample.owner(at + 7).expect("a record");
            judge(&format!("8 bytes at {at}"), k, last + 1 < ALL, reopen(&bytes));
        }
    }
}

/// What is left of the unsynced tail in any order: a bit for every 16 bytes.
#[test]
fn survivors_of_a_torn_tail_are_cut_with_it() {
    let sample = sample();
    let safe = sample.offsets[PROVED];
    let tail = sample.bytes[safe..].chunks(16).count();
    assert!(tail < 14, "2^{tail} tails");
    for kept in 0..1u32 << tail {
        let mut bytes = sample.bytes.clone();
        let mut first = bytes.len();
        for (n, chunk) in bytes[safe..].chunks_mut(16).enumerate() {
            if kept >> n & 1 == 0 {
                chunk.fill(0);
                first = first.min(safe + n * 16);
            }
        }
        let whole = if first == bytes.len() { ALL } else { sample.owner(first).expect("a record") };
        let records = reopen(&bytes).expect("a torn tail is no corruption");
        // The zeros may fall where zeros stood.
        assert!(records.len() >= whole, "{kept:b}");
        let expected: Vec<String> = (0..records.len() as u64).map(record).collect();
        assert_eq!(records, expected, "{kept:b}");
    }
}

#[test]
fn corruption_names_file_and_offset_and_changes_nothing() {
    let sample = sample();
    let mut bytes = sample.bytes.clone();
    bytes[sample.offsets[4] + 30] ^= 0x10;
    let disk = Memory::new();
    disk.put(LOG, &bytes);
    let Err(error) = open(&disk) else { panic!("it was synced") };
    let expected = format!(
        "memory/log is corrupt at offset {}: record 4 is damaged, and the record at offset {} was \
         written after it had been synced. It had been synced: restore the file, or let the node \
         join anew without it",
        sample.offsets[4], sample.offsets[6],
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!((disk.bytes(LOG), disk.bytes(BESIDE)), (Some(bytes), None));
}

#[test]
fn a_log_of_anybody_else_is_refused() {
    let sample = sample();
    let open = |identity: &Identity| {
        let disk = Memory::new();
        disk.put(LOG, &sample.bytes);
        match now(Log::open::<String>(disk, identity)) {
            Ok(_) => panic!("not ours"),
            Err(error) => error.to_string(),
        }
    };
    let ours = "n1 of cluster 0x3 of bank";
    for (scenario, cluster, node) in [("lease", 3, 1), ("bank", 4, 1), ("bank", 3, 2)] {
        let other = Identity { scenario: scenario.to_owned(), cluster, node: NodeId(node) };
        let expected = format!(
            "memory/log is the log of {ours}, expected that of n{node} of cluster {cluster:#x} of \
             {scenario}"
        );
        assert_eq!(open(&other), expected);
    }
}

#[test]
fn other_files_and_other_formats_are_refused() {
    let disk = Memory::new();
    let refused = |bytes: &[u8]| {
        disk.put(LOG, bytes);
        open(&disk).err().expect("no log of ours").to_string()
    };
    assert_eq!(
        refused(b"#!/bin/sh and so on"),
        "memory/log: begins with [23, 21, 2f, 62, 69, 6e, 2f, 73]: no log, or a damaged one"
    );
    let mut bytes = sample().bytes;
    bytes[8] = 2;
    assert_eq!(refused(&bytes), "memory/log: a log of format 2, expected 1");
    assert!(refused(b"").starts_with("memory/log is corrupt at offset 0: 0 bytes are too few"));
}

#[test]
fn a_record_of_another_protocol_is_refused() {
    let disk = Memory::new();
    let (mut log, _) = open(&disk).expect("a new log");
    now(log.append(&"a text where a number is expected".to_owned())).expect("room");
    let Err(error) = now(Log::open::<Option<u8>>(disk, &identity())) else {
        panic!("a number out of a text")
    };
    assert!(matches!(error, Error::Record { .. }), "{error}");
}

/// A record that holds a whole log must not be taken for a part of this one.
#[test]
fn a_log_within_a_record_proves_nothing() {
    let inner = sample().bytes;
    let disk = Memory::new();
    let (mut log, _) = now(Log::open::<Vec<u8>>(disk.clone(), &identity())).expect("a new log");
    now(log.append(&vec![1u8])).expect("room");
    now(log.append(&inner)).expect("room");
    let mut bytes = disk.bytes(LOG).expect("a log");
    let first = format::recover(&bytes).expect("undamaged").records[0].0;
    bytes[first] ^= 1;
    let found = format::recover(&bytes).expect("nothing proves that it had been synced");
    assert_eq!(found.records.len(), 0);
}

#[test]
fn a_full_disk_says_so_and_loses_nothing_synced() {
    for room in 0..400 {
        let disk = Memory::new();
        let (mut log, _) = open(&disk).expect("a new log");
        disk.leave_room(Some(room));
        let mut synced = 0;
        let error = loop {
            let step = now(log.append(&record(synced)));
            match step.and_then(|()| now(log.sync())) {
                Ok(()) => synced += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(
            error.to_string(),
            "cannot write memory/log: the disk is full (no storage space)"
        );
        assert!(
            matches!(open(&disk), Err(Error::Full { .. })),
            "the number of the life has no room"
        );
        disk.leave_room(None);
        let records = open(&disk).expect("there is room again").1.records;
        assert_eq!(records, (0..synced).map(record).collect::<Vec<_>>());
    }
}

/// A log with a synced record and one whose sync has failed.
fn in_doubt(failure: Failure) -> (Memory, Log<Memory>) {
    let disk = Memory::new();
    let (mut log, _) = open(&disk).expect("a new log");
    now(log.append(&record(0))).expect("room");
    now(log.sync()).expect("no failure");
    now(log.append(&record(1))).expect("room");
    disk.fail_sync(failure);
    assert!(matches!(now(log.sync()), Err(Error::Io { .. })), "{failure:?}");
    (disk, log)
}

/// What a failed sync has left may read well, count as clean, and go with the power: no later sync
/// of that file saves it, and the next start writes it into another one.
#[test]
fn after_a_failed_sync_the_tail_is_written_anew() {
    for (failure, left) in [(Failure::Lost, 1), (Failure::Kept, 2), (Failure::Vanishing, 2)] {
        for key in 0..20 {
            let (disk, _ended) = in_doubt(failure);
            let found: Vec<String> = (0..left).map(record).collect();
            assert_eq!(open(&disk).expect("it starts").1.records, found, "{failure:?}");
            disk.lose_power(&mut Dice::new(key));
            assert_eq!(open(&disk).expect("it starts").1.records, found, "{failure:?} {key}");
        }
    }
    // A life that went on, and synced the same file again, would be told that all is well.
    let loses = |key: &u64| {
        let (disk, mut log) = in_doubt(Failure::Vanishing);
        now(log.sync()).expect("the disk lies");
        disk.lose_power(&mut Dice::new(*key));
        open(&disk).map_or(true, |(_, boot)| boot.records.len() < 2)
    };
    assert!((0..20).filter(loses).count() > 5, "this disk is too kind to show anything");
}

/// Wherever a snapshot or a start is broken off, the log is wholly old or wholly new.
#[test]
fn a_snapshot_is_all_or_nothing() {
    let old: Vec<String> = (0..3).map(record).collect();
    let new: Vec<String> = (10..15).map(record).collect();
    let (mut seen_old, mut seen_new) = (0, 0);
    for (calls, key) in (0..12).flat_map(|calls| (0..40).map(move |key| (calls, key))) {
        let disk = Memory::new();
        let (mut log, _) = open(&disk).expect("a new log");
        for record in &old {
            now(log.append(record)).expect("room");
        }
        now(log.sync()).expect("no failure");
        disk.die_after(Some(calls));
        let done = now(log.write_beside(&new)).and_then(|()| now(log.take_place()));
        let done = done.and_then(|()| open(&disk).map(drop));
        disk.die_after(None);
        disk.lose_power(&mut Dice::new(key));
        let records = open(&disk).expect("either is whole").1.records;
        if records == old {
            assert!(done.is_err(), "{calls} {key}: it had taken its place");
            seen_old += 1;
        } else {
            assert_eq!(records, new, "{calls} {key}");
            seen_new += 1;
        }
    }
    assert!(seen_old > 100 && seen_new > 100, "{seen_old} old, {seen_new} new");
}

/// What happens to a log in its lives.
#[derive(Clone, Debug)]
enum Step {
    Append,
    Sync,
    Snapshot,
    Crash,
    PowerLoss(u64),
    FailedSync(u8),
    Die(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Append),
        3 => Just(Step::Sync),
        1 => Just(Step::Snapshot),
        1 => Just(Step::Crash),
        2 => any::<u64>().prop_map(Step::PowerLoss),
        1 => any::<u8>().prop_map(Step::FailedSync),
        1 => (0..8u8).prop_map(Step::Die),
    ]
}

/// A log beside what it promises.
struct Life {
    disk: Memory,
    log: Option<Log<Memory>>,
    /// All that the log should hold, and how much of it may not be lost.
    written: Vec<String>,
    synced: usize,
    /// A snapshot whose end is not known.
    other: Option<Vec<String>>,
    lives: u32,
    records: u64,
}

impl Life {
    fn new() -> Self {
        let (disk, other) = (Memory::new(), None);
        let (written, records) = (Vec::new(), 0);
        Self { disk, log: None, written, synced: 0, other, lives: 0, records }
    }

    /// Starts until it succeeds.
    fn boot(&mut self) {
        let mut tries = 0;
        let (log, boot) = loop {
            tries += 1;
            match open(&self.disk) {
                Ok(opened) => break opened,
                Err(Error::Io { .. }) if tries < 3 => self.disk.die_after(None),
                Err(other) => panic!("{other}"),
            }
        };
        assert!(boot.incarnation > self.lives, "a life's number comes twice");
        self.lives = boot.incarnation;
        let held = |written: &[String], synced: usize| {
            written.starts_with(&boot.records) && boot.records.len() >= synced
        };
        let old = held(&self.written, self.synced);
        let new = self.other.take().is_some_and(|new| new == boot.records);
        assert!(
            old || new,
            "{:?} of {:?}, {} of them synced",
            boot.records,
            self.written,
            self.synced
        );
        (self.synced, self.written) = (boot.records.len(), boot.records);
        self.log = Some(log);
    }

    fn take(&mut self, step: &Step) {
        if self.log.is_none() {
            self.boot();
        }
        let Some(log) = &mut self.log else { return };
        let done = match step {
            Step::Append => {
                self.records += 1;
                let record = record(self.records);
                let done = now(log.append(&record));
                self.written.push(record);
                done
            }
            Step::Sync => now(log.sync()).map(|()| self.synced = self.written.len()),
            Step::Snapshot => {
                self.records += 1;
                let new = vec![record(self.records), record(self.records + 1)];
                let done = now(log.write_beside(&new)).and_then(|()| now(log.take_place()));
                match done {
                    Ok(()) => (self.synced, self.written) = (new.len(), new),
                    Err(_) => self.other = Some(new),
                }
                done
            }
            Step::Crash => {
                self.log = None;
                Ok(())
            }
            Step::PowerLoss(key) => {
                self.log = None;
                self.disk.lose_power(&mut Dice::new(*key));
                Ok(())
            }
            Step::FailedSync(kind) => {
                let kinds = [Failure::Lost, Failure::Kept, Failure::Vanishing];
                self.disk.fail_sync(kinds[usize::from(*kind) % 3]);
                Ok(())
            }
            Step::Die(calls) => {
                self.disk.die_after(Some((*calls).into()));
                Ok(())
            }
        };
        if done.is_err() {
            self.log = None;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_was_synced_outlives_any_trouble(steps in prop::collection::vec(step(), 0..60)) {
        let mut life = Life::new();
        steps.iter().for_each(|step| life.take(step));
        life.log = None;
        life.disk.lose_power(&mut Dice::new(1));
        life.boot();
    }

    #[test]
    fn no_bytes_make_a_log_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), whole: bool) {
        let bytes = if whole { [&sample().bytes, &bytes[..]].concat() } else { bytes };
        match format::recover(&bytes) {
            Ok(found) => prop_assert_eq!(found.records.len(), ALL),
            Err(Damage::Corrupt { offset, .. }) => prop_assert!(offset <= bytes.len()),
            Err(Damage::Format(_)) => {}
        }
    }
}
