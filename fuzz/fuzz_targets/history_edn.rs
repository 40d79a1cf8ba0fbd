//! A fuzzer's bytes as a recorded history, in each of the formats that others write: EDN first of
//! all, for it has the most to it. A file comes from anywhere, so none may make a reader panic or
//! run out of stack; it is refused with its line, or read. What was read is put together for a
//! model too, and must stand on lines of the file.
//!
//! ```console
//! $ cargo +nightly fuzz run history_edn -- -max_total_time=60
//! ```

#![no_main]

use history::recorded::{Format, Kind, read};
use history::{Answer, History};
use libfuzzer_sys::{Corpus, fuzz_target};

/// Longer texts say nothing that shorter ones do not.
const MOST_BYTES: usize = 16 << 10;

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(bytes) else { return Corpus::Reject };
    if text.len() > MOST_BYTES {
        return Corpus::Reject;
    }
    let _sniffed = Format::sniff(text);
    let last = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
    for format in Format::ALL {
        let told = History::told(
            read(format, text),
            |recorded| Ok(recorded.value.to_string()),
            |_, recorded| {
                let value = recorded.value.to_string();
                Ok(if recorded.kind == Kind::Fail { Answer::Fail } else { Answer::Ok(value) })
            },
        );
        match told {
            Ok(told) => {
                assert_eq!(told.lines.len(), told.history.events.len());
                assert!(told.lines.iter().all(|line| (1..=last).contains(&(*line as usize))));
                assert!(told.history.operations().len() <= told.lines.len());
            }
            Err(misread) => assert!((1..=last + 1).contains(&misread.line), "{misread}"),
        }
    }
    Corpus::Keep
});
