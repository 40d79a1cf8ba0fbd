//! A fuzzer's bytes as cases: every input is a valid case, equal inputs are equal cases, and the
//! decoder reaches the faults that matter.

use explorer::{AnyScenario, Narrow, Replayed};
use node::mix;
use proptest::prelude::*;
use std::path::Path;
use world::{FaultKind, Faults};

/// As fuzzers' inputs go: of any length, and without meaning.
fn corpus(inputs: u64) -> impl Iterator<Item = Vec<u8>> {
    (0..inputs).map(|input| {
        let length = 1 << (4 + input % 8);
        (0..length).map(|at| mix(input, at) as u8).collect()
    })
}

fn scenario(name: &str) -> Box<dyn AnyScenario> {
    let mut all = scenarios::registry().into_iter();
    all.find(|scenario| scenario.name() == name).expect("a scenario of that name")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_input_is_a_valid_case_and_always_the_same(
        bytes in prop::collection::vec(any::<u8>(), 0..=4096)
    ) {
        for scenario in scenarios::registry() {
            let text = scenario.bytes_text(&bytes, &Narrow::default());
            prop_assert!(text.is_ok(), "{}: {:?}", scenario.name(), text);
            prop_assert_eq!(text, scenario.bytes_text(&bytes, &Narrow::default()));
        }
    }

    /// What fuzzers are fond of: one byte over and over, and an early end.
    #[test]
    fn so_is_every_dull_input(byte in any::<u8>(), length in 0..=4096usize) {
        for scenario in scenarios::registry() {
            let text = scenario.bytes_text(&vec![byte; length], &Narrow::default());
            prop_assert!(text.is_ok(), "{}: {:?}", scenario.name(), text);
        }
    }
}

#[test]
fn no_bytes_are_the_simplest_case() {
    for scenario in scenarios::registry() {
        let text = scenario.bytes_text(&[], &Narrow::default()).expect("a valid case");
        assert_eq!(text.matches("[[calls]]").count(), 1, "{text}");
        assert_eq!(text.matches("[[faults]]").count(), 0, "{text}");
    }
}

#[test]
fn crash_partition_and_duplicate_request_are_reached_with_effect() {
    let wanted = Faults::of(&[FaultKind::Crash, FaultKind::Cut, FaultKind::DuplicateRequest]);
    for scenario in scenarios::registry() {
        let wanted = wanted.only(scenario.shape().faults);
        let reached = corpus(400).fold(Faults::NONE, |reached, bytes| {
            reached.and(scenario.fuzz(&bytes, &Narrow::default()).effective)
        });
        assert_eq!(reached.only(wanted), wanted, "{}", scenario.name());
    }
}

#[test]
fn a_find_becomes_a_repro_that_replays() {
    let exhibit = scenario("naive::register_without_write_back");
    let find = corpus(5_000)
        .find(|bytes| exhibit.fuzz(bytes, &Narrow::default()).verdict.is_violated())
        .expect("bytes that show the exhibit's bug");
    let saved = exhibit.exhibit_bytes(&find, &Narrow::default()).expect("the same bug again");
    let replay = exhibit.replay(Path::new("find.toml"), &saved.repro).expect("its own text");
    assert_eq!(replay.replayed, Replayed::Reproduces);
}

#[test]
fn a_replay_ends_where_it_is_told_to() {
    let register = scenario("register");
    let case = register.bytes_text(&corpus(8).last().expect("one"), &Narrow::default());
    let case = case.expect("a valid case").parse::<toml::Table>().expect("TOML");
    let mut repro = toml::toml! {
        version = 1
        status = "open"
        signature = "progress / livelock"
        message = ""
        digest = ""
        tribunal = ""
    };
    repro.insert("case".into(), case.into());
    let text = repro.to_string();
    let replay = register.replay_within(Path::new("long.toml"), &text, 10).expect("a repro");
    assert_eq!(replay.outcome.steps, 10);
    assert_eq!(replay.replayed, Replayed::Reproduces);
}
