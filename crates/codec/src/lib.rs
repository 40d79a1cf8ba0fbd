//! Messages and records as bytes that notice when they were damaged.
//!
//! ```text
//! version: 1 byte | the value in postcard | crc32c of all before it: 4 bytes, little-endian
//! ```
//!
//! What the shell writes to a socket or a log goes through here, and so does every message that a
//! case corrupts: bytes in which a bit flipped must be refused, so that damage becomes loss. No
//! bytes make [`decode`] panic; those that decode are those that [`encode`] wrote.
//!
//! ```
//! let bytes = codec::encode(&("vote", 7_u64));
//! assert_eq!(codec::decode(&bytes), Ok(("vote".to_owned(), 7_u64)));
//! assert_eq!(codec::decode::<u64>(&bytes[..3]), Err(codec::Error::Truncated { len: 3 }));
//! ```

use serde::{Serialize, de::DeserializeOwned};

/// The first byte of everything that is encoded.
pub const VERSION: u8 = 1;

/// The longest encoding, in bytes: a length that a stranger sent must not decide how much memory
/// is taken.
pub const MAX_LEN: usize = 16 << 20;

/// The bytes of the checksum at the end.
const TRAILER: usize = 4;

/// Why bytes were refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// Too few bytes for a version and a checksum.
    #[error("{len} bytes, expected at least {}", 1 + TRAILER)]
    Truncated {
        /// How many there are.
        len: usize,
    },
    /// More than [`MAX_LEN`].
    #[error("{len} bytes, expected at most {MAX_LEN}")]
    TooLarge {
        /// How many there are.
        len: usize,
    },
    /// Written by another version, or damaged in the first byte.
    #[error("version {0}, expected {VERSION}")]
    Version(u8),
    /// Damaged.
    #[error("checksum {found:08x}, expected {computed:08x}")]
    Checksum {
        /// What the last four bytes say.
        found: u32,
        /// What the bytes before them give.
        computed: u32,
    },
    /// The value ends before its bytes do.
    #[error("{len} bytes left after the value, expected none")]
    TrailingBytes {
        /// How many are left.
        len: usize,
    },
    /// Undamaged, but no value of this type.
    #[error("not a value of the expected type: {0}")]
    Malformed(postcard::Error),
}

/// The value as bytes.
///
/// # Panics
///
/// If the type's `Serialize` fails (derived ones do not), or if the encoding is longer than
/// [`MAX_LEN`], which no peer would read. Both are bugs of whoever made the value.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_into(value, &mut bytes);
    bytes
}

/// Appends the value as bytes to what `out` holds, which keeps its allocation.
///
/// # Panics
///
/// As [`encode`] does.
pub fn encode_into<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(VERSION);
    match postcard::to_extend(value, std::mem::take(out)) {
        Ok(bytes) => *out = bytes,
        Err(error) => panic!("a value that cannot be encoded: {error}"),
    }
    let checksum = crc32c::crc32c(&out[start..]);
    out.extend_from_slice(&checksum.to_le_bytes());
    let len = out.len() - start;
    assert!(len <= MAX_LEN, "an encoding of {len} bytes, expected at most {MAX_LEN}");
}

/// The value that these bytes, and all of them, stand for.
///
/// # Errors
///
/// Every [`Error`]; the version is looked at before the checksum, for another version may have
/// another one.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let len = bytes.len();
    if len > MAX_LEN {
        return Err(Error::TooLarge { len });
    }
    let Some((body, trailer)) = bytes.split_last_chunk::<TRAILER>() else {
        return Err(Error::Truncated { len });
    };
    let Some((&version, payload)) = body.split_first() else {
        return Err(Error::Truncated { len });
    };
    if version != VERSION {
        return Err(Error::Version(version));
    }
    let (found, computed) = (u32::from_le_bytes(*trailer), crc32c::crc32c(body));
    if found != computed {
        return Err(Error::Checksum { found, computed });
    }
    let (value, rest) = postcard::take_from_bytes(payload).map_err(Error::Malformed)?;
    if !rest.is_empty() {
        return Err(Error::TrailingBytes { len: rest.len() });
    }
    Ok(value)
}
