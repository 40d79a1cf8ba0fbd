//! The first frame of each side of a connection.
//!
//! ```text
//! "TRIB"  4 bytes
//! version 2, little-endian: of everything that follows, frames included
//! content codec: a Hello from who has called, an answer from who was called
//! ```
//!
//! The first six bytes mean the same in every version, so that two sides of different ones can
//! tell each other so.

use crate::identity::Identity;
use node::NodeId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The version of the conversation.
pub const VERSION: u16 = 1;

const MAGIC: &[u8; 4] = b"TRIB";

/// The bytes of a first frame, at most.
pub(crate) const MOST: usize = 1024;

/// Who calls, and whom it means to reach.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) from: Identity,
    pub(crate) to: NodeId,
}

/// Why a connection does not come about.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
pub enum Refusal {
    /// The other side's version.
    #[error("it speaks version {0} of the conversation, expected {VERSION}")]
    Version(u16),
    /// The first frame means nothing.
    #[error("its first frame means nothing: {0}")]
    Malformed(String),
    /// Two clusters, or two scenarios.
    #[error("it belongs to cluster {cluster:#x} of {scenario}")]
    Foreign {
        /// The scenario of the side that refuses.
        scenario: String,
        /// Its cluster.
        cluster: u64,
    },
    /// The one who was called is another node.
    #[error("it is {0}")]
    Misdirected(NodeId),
    /// The one who calls says it is a node that it cannot be.
    #[error("{0} does not call here")]
    Impostor(NodeId),
    /// No more connections are taken.
    #[error("it has {0} connections, and takes no more")]
    Busy(usize),
}

pub(crate) fn encode<T: Serialize>(content: &T) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    codec::encode_into(content, &mut bytes);
    bytes
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    let Some((magic, rest)) = bytes.split_first_chunk::<4>() else {
        return Err(Refusal::Malformed(format!("{} bytes are too few", bytes.len())));
    };
    let Some((version, content)) = rest.split_first_chunk::<2>() else {
        return Err(Refusal::Malformed(format!("{} bytes are too few", bytes.len())));
    };
    if magic != MAGIC {
        return Err(Refusal::Malformed(format!("it begins with {magic:02x?}")));
    }
    match u16::from_le_bytes(*version) {
        VERSION => codec::decode(content).map_err(|error| Refusal::Malformed(error.to_string())),
        version => Err(Refusal::Version(version)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_can_be_told_from_ours() {
        let mut bytes = encode(&7u32);
        assert_eq!(decode::<u32>(&bytes), Ok(7));
        bytes[4] = 9;
        let refusal = decode::<u32>(&bytes).expect_err("another version");
        assert_eq!(refusal.to_string(), "it speaks version 9 of the conversation, expected 1");
        assert_eq!(decode::<u32>(&bytes[..6]), Err(Refusal::Version(9)), "whatever follows");
    }

    #[test]
    fn what_is_no_first_frame_is_refused() {
        for bytes in
            [&b""[..], b"TRI", b"TRIB\x01", b"GET / HTTP/1.1", b"TRIB\x01\x00", b"TRIB\x01\x00x"]
        {
            assert!(matches!(decode::<u32>(bytes), Err(Refusal::Malformed(_))), "{bytes:?}");
        }
    }

    #[test]
    fn the_longest_refusal_fits_a_first_frame() {
        let scenario = "s".repeat(500);
        let refused: Result<(), Refusal> = Err(Refusal::Foreign { scenario, cluster: u64::MAX });
        assert!(encode(&refused).len() <= MOST);
    }
}
