//! The write-ahead log: a node's records, in one file.
//!
//! # What is written
//!
//! A log lives in the file `log`. It is never repaired in place: every start, and every snapshot,
//! writes all that is to be kept into a new file beside it, syncs that, renames it to `log` and
//! syncs the names. So a start forces the node's next incarnation number, cuts what was torn, and
//! puts what a failed sync has left in doubt into storage of its own, all by one way of writing.
//! [`mod@format`] says what the bytes mean. A start reads the whole file into memory; what keeps it
//! small is the protocol's snapshots.
//!
//! # What a start finds
//!
//! Records are read up to the first that is damaged. Each carries how many records before it had
//! been synced when it was written, and the file how many it held when it got its name. So:
//!
//! - Damage to a record that the file held from the beginning, or that a later record says had
//!   been synced, is *corruption*: the disk has lost what it promised, and nobody but a person can
//!   say what that means. The start is refused, with file and offset.
//! - Any other damage is a *torn tail*: what a power loss leaves of writes that were not synced.
//!   It is cut, with whatever has survived behind it, which may be out of order.
//!
//! What this cannot tell apart: damage to the last records that were synced, with nothing written
//! after them, looks like a torn tail, and is cut. To prove those records one would have to write
//! (and sync) once more for every sync.

pub mod format;

use crate::disk::Disk;
use crate::identity::Identity;
use format::{Damage, Head};
use node::Incarnation;
use serde::{Serialize, de::DeserializeOwned};
use std::io;

/// The log's file.
pub const LOG: &str = "log";

/// The file that is to take its place.
pub const BESIDE: &str = "log.new";

/// Why a log cannot be used. Each ends the node's life.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk is full.
    #[error("cannot {doing} {place}: the disk is full ({source})")]
    Full {
        /// What was tried.
        doing: &'static str,
        /// The file.
        place: String,
        /// What the disk says.
        source: io::Error,
    },
    /// The disk has failed.
    #[error("cannot {doing} {place}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file.
        place: String,
        /// What the disk says.
        source: io::Error,
    },
    /// Synced bytes have changed.
    #[error(
        "{place} is corrupt at offset {offset}: {why}. It had been synced: restore the file, or \
             let the node join anew without it"
    )]
    Corrupt {
        /// The file.
        place: String,
        /// Where the damage begins, in bytes.
        offset: usize,
        /// What is wrong, and how it is known that it had been right.
        why: String,
    },
    /// Not a log, or one of another format.
    #[error("{place}: {why}")]
    Format {
        /// The file.
        place: String,
        /// What was found, and what was expected.
        why: String,
    },
    /// The log of another node.
    #[error("{place} is the log of {theirs}, expected that of {ours}")]
    Foreign {
        /// The file.
        place: String,
        /// Whose it is.
        theirs: Identity,
        /// Who has opened it.
        ours: Identity,
    },
    /// An undamaged record that is none of this protocol's.
    #[error("{place}: the record at offset {offset} is undamaged and means nothing here: {source}")]
    Record {
        /// The file.
        place: String,
        /// Where it begins, in bytes.
        offset: usize,
        /// What the codec says.
        source: codec::Error,
    },
    /// The incarnation number has no successor.
    #[error(
        "{place}: the node has started {} times and cannot be told from its first lives any \
             more",
        Incarnation::MAX
    )]
    Worn {
        /// The file.
        place: String,
    },
}

/// What a start found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Boot<R> {
    /// The number of the life that begins; it has been forced.
    pub incarnation: Incarnation,
    /// The records, synced.
    pub records: Vec<R>,
    /// Bytes of a torn tail that were cut.
    pub cut: usize,
}

/// An open log.
pub struct Log<D> {
    disk: D,
    head: Head,
    /// The sequence number of the next record of this file.
    next: u64,
    /// Records of this file that have been synced.
    synced: u64,
    /// What [`write_beside`](Self::write_beside) has written, until it takes the log's place.
    beside: Option<Head>,
    buffer: Vec<u8>,
}

impl<D: Disk> Log<D> {
    /// Opens the log of a node, or begins one, for its next life.
    ///
    /// # Errors
    ///
    /// Every [`Error`]. None has touched the file `log`.
    pub async fn open<R>(mut disk: D, identity: &Identity) -> Result<(Self, Boot<R>), Error>
    where
        R: Serialize + DeserializeOwned,
    {
        let place = disk.place(LOG);
        let bytes = disk.read(LOG).await.map_err(|e| failed("read", &place, e))?;
        let mut head = Head { identity: identity.clone(), incarnation: 0, file: 0, base: 0 };
        let (mut records, mut cut) = (Vec::new(), 0);
        if let Some(bytes) = &bytes {
            let found = format::recover(bytes).map_err(|damage| refused(&place, damage))?;
            if found.head.identity != *identity {
                let (theirs, ours) = (found.head.identity, identity.clone());
                return Err(Error::Foreign { place, theirs, ours });
            }
            for (offset, content) in &found.records {
                let record = codec::decode(content).map_err(|source| {
                    let (place, offset) = (place.clone(), *offset);
                    Error::Record { place, offset, source }
                })?;
                records.push(record);
            }
            (head, cut) = (found.head, found.cut);
        }
        let Some(incarnation) = head.incarnation.checked_add(1) else {
            return Err(Error::Worn { place });
        };
        if cut > 0 {
            tracing::warn!(file = place, bytes = cut, "cut a torn tail");
        }
        head.incarnation = incarnation;
        let mut log = Self { disk, head, next: 0, synced: 0, beside: None, buffer: Vec::new() };
        log.write_beside(&records).await?;
        log.take_place().await?;
        Ok((log, Boot { incarnation, records, cut }))
    }

    /// Appends a record. It survives a crash of the process, and a power loss after the next
    /// [`sync`](Self::sync).
    ///
    /// # Errors
    ///
    /// When the disk fails or is full; the log must not be used any more.
    pub async fn append<R: Serialize>(&mut self, record: &R) -> Result<(), Error> {
        self.buffer.clear();
        format::write_record(&self.head, self.next, self.synced, record, &mut self.buffer);
        self.next += 1;
        let result = self.disk.append(LOG, &self.buffer).await;
        result.map_err(|error| failed("write", &self.disk.place(LOG), error))
    }

    /// Returns when every record is safe from a power loss.
    ///
    /// # Errors
    ///
    /// When the disk fails; the log must not be used any more: what has been kept is found out by
    /// the next start, which writes it anew into another file.
    pub async fn sync(&mut self) -> Result<(), Error> {
        let result = self.disk.sync(LOG).await;
        result.map_err(|error| failed("sync", &self.disk.place(LOG), error))?;
        self.synced = self.next;
        Ok(())
    }

    /// Writes these records beside the log. Nothing has changed until they
    /// [`take_place`](Self::take_place).
    ///
    /// # Errors
    ///
    /// When the disk fails or is full; the log must not be used any more.
    pub async fn write_beside<R: Serialize>(&mut self, records: &[R]) -> Result<(), Error> {
        let head = Head {
            file: self.head.file.wrapping_add(1),
            base: records.len() as u64,
            ..self.head.clone()
        };
        self.buffer.clear();
        format::write_head(&head, &mut self.buffer);
        let disk = &mut self.disk;
        disk.create(BESIDE).await.map_err(|e| failed("create", &disk.place(BESIDE), e))?;
        for (seq, record) in (0..).zip(records) {
            format::write_record(&head, seq, 0, record, &mut self.buffer);
            if self.buffer.len() >= format::CHUNK {
                append_beside(disk, &self.buffer).await?;
                self.buffer.clear();
            }
        }
        append_beside(disk, &self.buffer).await?;
        self.buffer.clear();
        self.buffer.shrink_to(format::CHUNK);
        self.beside = Some(head);
        Ok(())
    }

    /// The records that were written beside the log take its place, atomically, and are synced.
    /// Does nothing when there are none.
    ///
    /// # Errors
    ///
    /// When the disk fails or is full; the log must not be used any more. It is wholly old or
    /// wholly new.
    pub async fn take_place(&mut self) -> Result<(), Error> {
        let Some(head) = self.beside.take() else { return Ok(()) };
        let disk = &mut self.disk;
        disk.sync(BESIDE).await.map_err(|e| failed("sync", &disk.place(BESIDE), e))?;
        disk.rename(BESIDE, LOG).await.map_err(|e| failed("rename", &disk.place(BESIDE), e))?;
        disk.sync_names().await.map_err(|e| failed("sync the name of", &disk.place(LOG), e))?;
        (self.next, self.synced) = (head.base, head.base);
        self.head = head;
        Ok(())
    }
}

async fn append_beside(disk: &mut impl Disk, bytes: &[u8]) -> Result<(), Error> {
    disk.append(BESIDE, bytes).await.map_err(|error| failed("write", &disk.place(BESIDE), error))
}

fn failed(doing: &'static str, place: &str, source: io::Error) -> Error {
    let place = place.to_owned();
    if source.kind() == io::ErrorKind::StorageFull {
        Error::Full { doing, place, source }
    } else {
        Error::Io { doing, place, source }
    }
}

fn refused(place: &str, damage: Damage) -> Error {
    let place = place.to_owned();
    match damage {
        Damage::Corrupt { offset, why } => Error::Corrupt { place, offset, why },
        Damage::Format(why) => Error::Format { place, why },
    }
}
