//! A fuzzer's bytes as cases: the first byte picks a scenario that is expected to hold, the rest
//! spells a case through the same decoder of choices that seeds go through. Every input is a valid
//! case, and one that violates its scenario is a find.
//!
//! ```console
//! $ cargo +nightly fuzz run case -- -max_total_time=60
//! ```
//!
//! # From a find to a repro
//!
//! The bytes that libFuzzer leaves below `fuzz/artifacts/case` mean something else with every
//! change of a scenario or of the generator. So a find is made small at once, and the text of its
//! repro goes to standard error, from `# A case that Tribunal saved` to `# The end of the repro`.
//! Save it and go on without the fuzzer:
//!
//! ```console
//! $ cargo +nightly fuzz run case fuzz/artifacts/case/crash-… 2>&1 |
//!     sed -n '/^# A case that Tribunal saved/,/^# The end of the repro/p' > find.toml
//! $ cargo run --release -- replay find.toml
//! ```
//!
//! `ci/nightly.sh` does so for each of its finds. Once understood, the file belongs below
//! `tests/repros`.
//!
//! With the feature `broken` every protocol runs with a planted bug: `ci/fuzz-canary.sh` shows that
//! it is found within a minute.

#![no_main]

use explorer::{AnyScenario, Expected, Narrow};
use libfuzzer_sys::fuzz_target;
use node::MutationKind;
use std::sync::LazyLock;

static SCENARIOS: LazyLock<Vec<Box<dyn AnyScenario>>> = LazyLock::new(|| {
    let mut scenarios = scenarios::registry();
    scenarios.retain(|scenario| scenario.shape().expected == Expected::Holds);
    scenarios
});

static NARROW: LazyLock<Narrow> = LazyLock::new(|| Narrow {
    mutant: cfg!(feature = "broken").then(|| MutationKind::PersistInsteadOfForce.into()),
    ..Narrow::default()
});

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let scenario = &SCENARIOS[usize::from(*first) % SCENARIOS.len()];
    if let Some(anomaly) = scenario.fuzz(rest, &NARROW).verdict.anomaly() {
        let name = scenario.name();
        match scenario.exhibit_bytes(rest, &NARROW) {
            Some(exhibit) => eprintln!("{}# The end of the repro", exhibit.repro),
            None => eprintln!("the same bytes hold when they run again: nondeterminism"),
        }
        panic!(
            "{name}: {anomaly}\n\
             save the repro above as find.toml; then: cargo run --release -- replay find.toml"
        );
    }
});
