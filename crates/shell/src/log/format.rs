//! What the bytes of a log mean. Integers are little-endian.
//!
//! ```text
//! file    "TRIBLOG\0"  8 bytes
//!         format       2   of this page: 1
//!         length       4   of the head
//!         head             codec: identity, incarnation, file number, records it began with
//!         record*
//! record  length       4   of the content
//!         sequence     8   counted from 0 in each file
//!         synced       8   so many records had been synced when this one was written
//!         checksum     4   the content's last four bytes, which are the codec's checksum
//!         checksum     4   crc32c of the file's salt and the 24 bytes before
//!         content          codec: the protocol's record
//! ```
//!
//! The salt is made of the head, and every file has another number. So bytes of an older file, or
//! of a record that holds a copy of a log, are never taken for records of this one.

use crate::identity::Identity;
use node::{Incarnation, mix};
use serde::{Deserialize, Serialize};

/// The format's version.
pub const FORMAT: u16 = 1;

/// What a file begins with.
pub const MAGIC: &[u8; 8] = b"TRIBLOG\0";

/// How many bytes are gathered before they are written, at the least.
pub(crate) const CHUNK: usize = 1 << 20;

/// Where a head's length stands.
const LENGTH: usize = 8 + 2;

/// The bytes before a head.
const PREFIX: usize = LENGTH + 4;

/// The bytes of a record before its content.
pub const RECORD_HEAD: usize = 4 + 8 + 8 + 4 + 4;

/// The head of a log file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Head {
    /// Whose log it is.
    pub identity: Identity,
    /// The life that has written it.
    pub incarnation: Incarnation,
    /// The number of the file among all that this log ever was.
    pub file: u64,
    /// How many records were in it, and synced, when it got its name.
    pub base: u64,
}

impl Head {
    fn salt(&self) -> u32 {
        let owner = mix(self.identity.cluster, u64::from(self.identity.node.0));
        crc32c::crc32c(&mix(owner, self.file).to_le_bytes())
    }
}

/// Why bytes are refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Damage {
    /// Bytes that had been synced have changed.
    Corrupt {
        /// Where the damage begins.
        offset: usize,
        /// What is wrong, and how it is known that it had been right.
        why: String,
    },
    /// Not a log, or of another format: what was found, and what was expected.
    Format(String),
}

/// What is left of a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found<'a> {
    /// The file's head.
    pub head: Head,
    /// Where each record begins, and its content.
    pub records: Vec<(usize, &'a [u8])>,
    /// Bytes of a torn tail behind them.
    pub cut: usize,
}

/// Appends a file's head.
pub fn write_head(head: &Head, out: &mut Vec<u8>) {
    let content = codec::encode(head);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&FORMAT.to_le_bytes());
    out.extend_from_slice(&(content.len() as u32).to_le_bytes());
    out.extend_from_slice(&content);
}

/// Appends a record.
///
/// # Panics
///
/// As [`codec::encode`]: if the record is larger than any may be.
pub fn write_record<R: Serialize>(
    head: &Head,
    seq: u64,
    synced: u64,
    record: &R,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    out.extend_from_slice(&[0; RECORD_HEAD]);
    codec::encode_into(record, out);
    let (fixed, content) = out[start..].split_at_mut(RECORD_HEAD);
    fixed[..4].copy_from_slice(&(content.len() as u32).to_le_bytes());
    fixed[4..12].copy_from_slice(&seq.to_le_bytes());
    fixed[12..20].copy_from_slice(&synced.to_le_bytes());
    fixed[20..24].copy_from_slice(&content[content.len() - 4..]);
    let checksum = crc32c::crc32c_append(head.salt(), &fixed[..24]);
    fixed[24..].copy_from_slice(&checksum.to_le_bytes());
}

/// The undamaged head of a record.
struct RecordHead {
    len: usize,
    seq: u64,
    synced: u64,
    checksum: [u8; 4],
}

fn read_record_head(salt: u32, bytes: &[u8]) -> Option<RecordHead> {
    let fixed: &[u8; RECORD_HEAD] = bytes.first_chunk()?;
    let [l0, l1, l2, l3, rest @ ..] = fixed;
    let (seq, rest) = rest.split_first_chunk::<8>()?;
    let (synced, rest) = rest.split_first_chunk::<8>()?;
    let (checksum, own) = rest.split_first_chunk::<4>()?;
    if crc32c::crc32c_append(salt, &fixed[..24]).to_le_bytes() != *own {
        return None;
    }
    let len = u32::from_le_bytes([*l0, *l1, *l2, *l3]) as usize;
    let (seq, synced) = (u64::from_le_bytes(*seq), u64::from_le_bytes(*synced));
    Some(RecordHead { len, seq, synced, checksum: *checksum })
}

/// The content of a record that begins these bytes, if all of it is undamaged.
fn read_record(salt: u32, seq: u64, bytes: &[u8]) -> Option<&[u8]> {
    let head = read_record_head(salt, bytes).filter(|head| head.seq == seq)?;
    let content = bytes[RECORD_HEAD..].get(..head.len)?;
    let (body, checksum) = content.split_last_chunk::<4>()?;
    let right = crc32c::crc32c(body).to_le_bytes() == head.checksum && *checksum == head.checksum;
    right.then_some(content)
}

/// Reads the bytes of a log file: the records up to the first that is damaged.
///
/// # Errors
///
/// [`Damage`], where something that had been synced is damaged, or where this is no log at all.
pub fn recover(bytes: &[u8]) -> Result<Found<'_>, Damage> {
    let (head, begin) = read_head(bytes)?;
    let salt = head.salt();
    let (mut records, mut offset) = (Vec::new(), begin);
    while offset < bytes.len() {
        let seq = records.len() as u64;
        let Some(content) = read_record(salt, seq, &bytes[offset..]) else {
            if seq >= head.base
                && let Some(proof) = proof(salt, seq, &bytes[offset..])
            {
                let why = format!(
                    "record {seq} is damaged, and the record at offset {} was written after it had \
                     been synced",
                    offset + proof
                );
                return Err(Damage::Corrupt { offset, why });
            }
            break;
        };
        records.push((offset, content));
        offset += RECORD_HEAD + content.len();
    }
    let read = records.len() as u64;
    if read < head.base {
        let why =
            format!("record {read} is damaged, and the file began with {} records", head.base);
        return Err(Damage::Corrupt { offset, why });
    }
    Ok(Found { head, records, cut: bytes.len() - offset })
}

/// Where in these bytes, which begin with the damaged record `seq`, a record stands that was
/// written after it had been synced. The length of what is damaged is not known, so every place
/// is looked at.
fn proof(salt: u32, seq: u64, bytes: &[u8]) -> Option<usize> {
    (1..bytes.len())
        .find(|at| read_record_head(salt, &bytes[*at..]).is_some_and(|head| head.synced > seq))
}

fn read_head(bytes: &[u8]) -> Result<(Head, usize), Damage> {
    let corrupt = |offset, why: String| {
        let why = format!("{why}, and a file gets its name when its head has been synced");
        Damage::Corrupt { offset, why }
    };
    let Some(prefix) = bytes.first_chunk::<PREFIX>() else {
        return Err(corrupt(0, format!("{} bytes are too few for a log", bytes.len())));
    };
    let [magic @ .., f0, f1, l0, l1, l2, l3] = prefix;
    if magic != MAGIC {
        return Err(Damage::Format(format!("begins with {magic:02x?}: no log, or a damaged one")));
    }
    let format = u16::from_le_bytes([*f0, *f1]);
    if format != FORMAT {
        return Err(Damage::Format(format!("a log of format {format}, expected {FORMAT}")));
    }
    let len = u32::from_le_bytes([*l0, *l1, *l2, *l3]) as usize;
    let Some(content) = bytes[PREFIX..].get(..len) else {
        return Err(corrupt(LENGTH, format!("a head of {len} bytes is longer than the file")));
    };
    match codec::decode(content) {
        Ok(head) => Ok((head, PREFIX + len)),
        Err(error) => Err(corrupt(LENGTH, format!("its head is damaged ({error})"))),
    }
}
