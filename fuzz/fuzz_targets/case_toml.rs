//! A fuzzer's bytes as the text of a repro file, on the way that `tribunal replay` takes: header,
//! scenario, case, run. A file comes from anywhere, so none may panic, here or in the engine; it is
//! refused with a reason, or it runs.
//!
//! ```console
//! $ cargo +nightly fuzz run case_toml -- -max_total_time=60
//! ```
//!
//! A find is a repro file already: `tribunal replay fuzz/artifacts/case_toml/crash-…` runs it.
//!
//! What a file asks for is bounded here: [`MOST_BYTES`] of text, [`MOST_STEPS`] of the engine. A
//! verdict, whatever it is, is no find: a file may configure a cluster that keeps no promise, and a
//! node that panics over its configuration is told as a violation. That a judge or the engine
//! panics is a find, although the run catches it.

#![no_main]

use explorer::{AnyScenario, repro};
use libfuzzer_sys::{Corpus, fuzz_target};
use std::path::Path;
use std::sync::LazyLock;

/// Longer texts say nothing that shorter ones do not.
const MOST_BYTES: usize = 16 << 10;

/// An honest run takes hundreds of steps, a large one some ten thousand.
const MOST_STEPS: u64 = 20_000;

static SCENARIOS: LazyLock<Vec<Box<dyn AnyScenario>>> = LazyLock::new(scenarios::registry);

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let path = Path::new("fuzz.toml");
    let Ok(text) = std::str::from_utf8(bytes) else { return Corpus::Reject };
    if text.len() > MOST_BYTES {
        return Corpus::Reject;
    }
    let Ok(header) = repro::header(path, text) else { return Corpus::Keep };
    let named = SCENARIOS.iter().find(|scenario| scenario.name() == header.case.scenario);
    let Some(scenario) = named else { return Corpus::Keep };
    if let Ok(replay) = scenario.replay_within(path, text, MOST_STEPS)
        && let Some(anomaly) = replay.outcome.verdict.anomaly()
    {
        let ours = anomaly.class == "panic" && anomaly.message.starts_with("the scenario");
        assert!(!ours, "{anomaly}");
    }
    Corpus::Keep
});
