//! What goes in comes out; whatever else comes in is refused.

use codec::{Error, MAX_LEN, VERSION, decode, encode, encode_into};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
enum Message {
    Heartbeat,
    Prepare { transaction: u64, keys: Vec<String> },
    Vote(Option<bool>, Duration),
    Snapshot(BTreeMap<i64, Vec<u8>>),
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        Just(Message::Heartbeat),
        (any::<u64>(), prop::collection::vec(any::<String>(), 0..4))
            .prop_map(|(transaction, keys)| Message::Prepare { transaction, keys }),
        (any::<Option<bool>>(), any::<Duration>()).prop_map(|(yes, at)| Message::Vote(yes, at)),
        prop::collection::btree_map(any::<i64>(), any::<Vec<u8>>(), 0..3)
            .prop_map(Message::Snapshot),
    ]
}

/// Bytes of this version whose checksum is right.
fn sealed(payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(payload);
    let checksum = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

#[test]
fn layout_is_fixed() {
    // Logs and captures outlive a build: this text changes only together with `VERSION`.
    assert_eq!(encode(&(300_u16, true)), [1, 0xac, 0x02, 0x01, 0x1a, 0x44, 0xe0, 0x8c]);
}

#[test]
fn each_kind_of_damage_has_its_error() {
    fn check(bytes: &[u8], expected: &Error) {
        assert_eq!(&decode::<u16>(bytes).unwrap_err(), expected, "{bytes:02x?}");
    }
    check(&[], &Error::Truncated { len: 0 });
    check(&[1, 2, 3, 4], &Error::Truncated { len: 4 });
    check(&[2, 7, 0, 0, 0, 0], &Error::Version(2));
    check(&[1, 7, 0, 0, 0, 0], &Error::Checksum { found: 0, computed: crc32c::crc32c(&[1, 7]) });
    check(&sealed(&[7, 8, 9]), &Error::TrailingBytes { len: 2 });
    check(&sealed(&[]), &Error::Malformed(postcard::Error::DeserializeUnexpectedEnd));
    check(&sealed(&[0xff, 0xff, 0x7f]), &Error::Malformed(postcard::Error::DeserializeBadVarint));
    check(&vec![1; MAX_LEN + 1], &Error::TooLarge { len: MAX_LEN + 1 });
}

#[test]
fn a_length_that_lies_takes_no_memory() {
    // A vector of 2^40 integers, of which none follows.
    let lie = sealed(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x20]);
    let error = decode::<Vec<u64>>(&lie).unwrap_err();
    assert_eq!(error, Error::Malformed(postcard::Error::DeserializeUnexpectedEnd));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn round_trip(message in message()) {
        prop_assert_eq!(decode(&encode(&message)), Ok(message));
    }

    #[test]
    fn appending_leaves_what_was_there(before in any::<Vec<u8>>(), message in message()) {
        let mut bytes = before.clone();
        encode_into(&message, &mut bytes);
        prop_assert_eq!(&bytes[..before.len()], &before);
        prop_assert_eq!(&bytes[before.len()..], encode(&message));
    }

    #[test]
    fn every_flipped_bit_is_refused(message in message()) {
        let mut bytes = encode(&message);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(decode::<Message>(&bytes).is_err(), "bit {}", bit);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn every_prefix_is_refused(message in message()) {
        let bytes = encode(&message);
        for len in 0..bytes.len() {
            prop_assert!(decode::<Message>(&bytes[..len]).is_err(), "{} bytes", len);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>()) {
        let _refused = decode::<Message>(&bytes);
        // The checksum keeps nearly all of them away from postcard: give them the right one too.
        let _perhaps = decode::<Message>(&sealed(&bytes));
    }
}
