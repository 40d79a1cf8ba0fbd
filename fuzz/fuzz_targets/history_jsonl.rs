//! A fuzzer's bytes as a history in JSON lines. None may make the reader panic; what it takes is
//! written and read again, and is the same.
//!
//! ```console
//! $ cargo +nightly fuzz run history_jsonl -- -max_total_time=60
//! ```

#![no_main]

use history::{History, jsonl};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let Ok(history) = jsonl::read::<Value, Value>(bytes) else { return };
    let mut text = Vec::new();
    jsonl::write(&history, &mut text).expect("what was read has lines that can be written");
    let again: History<Value, Value> = jsonl::read(text.as_slice()).expect("what was written");
    assert_eq!(again, history);
});
