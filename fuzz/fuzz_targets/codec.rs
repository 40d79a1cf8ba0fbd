//! A fuzzer's bytes as what the shell reads from strangers: frames of a connection, and the bytes
//! of a log.
//!
//! ```console
//! $ cargo +nightly fuzz run codec -- -max_total_time=60
//! ```
//!
//! The first byte chooses. Nobody finds a checksum by chance, so half of the time it is put under
//! the bytes, which then reach what is behind it. Nothing may panic, and a log that was damaged is
//! read up to the damage or refused: a record that is proved to have been synced is never lost in
//! silence, and nothing comes out that was not written.

#![no_main]

use libfuzzer_sys::fuzz_target;
use node::NodeId;
use protocols::two_phase_commit::TwoPhaseCommit;
use shell::log::format::{self, Damage, Head};
use shell::{Identity, WireOf};

type Frame = WireOf<TwoPhaseCommit>;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    match first % 5 {
        0 => frame(rest),
        1 => frame(&sealed(rest)),
        2 => drop(format::recover(rest)),
        3 => headed(rest),
        _ => damaged(rest),
    }
});

/// With the codec's version and checksum around them.
fn sealed(content: &[u8]) -> Vec<u8> {
    let mut bytes = [&[codec::VERSION], content].concat();
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

/// What can be read can be written, and reads the same again.
fn frame(bytes: &[u8]) {
    if let Ok(frame) = Frame::decode(bytes) {
        assert_eq!(Frame::decode(&frame.encode()).as_ref(), Ok(&frame));
    }
}

fn head(base: u64) -> Head {
    let identity = Identity { scenario: "fuzz".to_owned(), cluster: 1, node: NodeId(2) };
    Head { identity, incarnation: 3, file: 4, base }
}

/// Any bytes behind a right head.
fn headed(bytes: &[u8]) {
    let mut log = Vec::new();
    format::write_head(&head(0), &mut log);
    let begin = log.len();
    log.extend_from_slice(bytes);
    if let Ok(found) = format::recover(&log) {
        let records = found.records.iter().map(|(_, r)| format::RECORD_HEAD + r.len());
        assert_eq!(begin + records.sum::<usize>() + found.cut, log.len());
    }
}

/// A log as the bytes say (how many records a file began with, which lengths, when it was synced),
/// then damaged as they say.
fn damaged(bytes: &[u8]) {
    let mut bytes = bytes.iter().copied();
    let (Some(base), Some(count)) = (bytes.next(), bytes.next()) else { return };
    let (base, count) = (u64::from(base % 4), u64::from(count % 16));
    let mut log = Vec::new();
    format::write_head(&head(base), &mut log);
    let (mut offsets, mut synced, mut written) = (vec![], vec![], vec![]);
    let mut safe = 0;
    for seq in 0..base + count {
        let Some(byte) = bytes.next() else { break };
        let record = vec![byte; usize::from(byte % 32)];
        let safe_now = if seq < base { 0 } else { safe.max(base) };
        offsets.push(log.len());
        synced.push(safe_now);
        format::write_record(&head(base), seq, safe_now, &record, &mut log);
        written.push(codec::encode(&record));
        if byte >= 128 && seq >= base {
            safe = seq + 1;
        }
    }
    if (written.len() as u64) < base {
        return;
    }
    let right = log.clone();
    while let (Some(high), Some(low), Some(xor)) = (bytes.next(), bytes.next(), bytes.next()) {
        let at = usize::from(u16::from_be_bytes([high, low])) % log.len();
        if xor == 0 { log.truncate(at.max(1)) } else { log[at] ^= xor }
    }
    let first = (0..right.len()).find(|at| log.get(*at) != right.get(*at));
    let Some(first) = first else {
        let found = format::recover(&log).expect("undamaged");
        return assert_eq!((found.records.len(), found.cut), (written.len(), 0));
    };
    let Some(k) = offsets.iter().rposition(|offset| *offset <= first) else { return };
    let ends = offsets.iter().skip(1).copied().chain([right.len()]);
    let whole = |n: usize, end: usize| {
        log.get(offsets[n]..end).is_some_and(|left| left == &right[offsets[n]..end])
    };
    let proof = |(n, end): (usize, usize)| n > k && synced[n] > k as u64 && whole(n, end);
    let proved = (k as u64) < base || ends.enumerate().any(proof);
    match format::recover(&log) {
        Ok(found) => {
            assert!(!proved, "record {k} was synced and is lost in silence");
            let read: Vec<&[u8]> = found.records.iter().map(|(_, record)| *record).collect();
            assert_eq!(read, written[..k]);
        }
        Err(Damage::Corrupt { offset, .. }) => assert_eq!(offset, offsets[k]),
        Err(Damage::Format(why)) => panic!("the head is undamaged: {why}"),
    }
}
