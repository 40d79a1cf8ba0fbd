//! What runs the saved cases is held to its word itself: each way in which a case can stand or
//! fall, once.

use explorer::{AnyScenario, Budget, Narrow, Progress};
use std::fs;
use std::path::{Path, PathBuf};

/// A case that holds, with a fault placed at an effect.
const HOLDS: &str = include_str!("../../crates/cli/tests/golden.toml");

/// An open case of an exhibit.
fn open() -> String {
    let registry = scenarios::registry();
    let exhibit = registry.iter().find(|s| s.name().starts_with("naive::register"));
    let exhibit = exhibit.expect("it is in the registry");
    let budget = Budget { first: true, ..Budget::seeds(20_000) };
    let report = exhibit.explore(&budget, &Progress::default());
    let seed = report.findings.first().expect("a violation").seed;
    exhibit.exhibit(seed, &Narrow::default(), false).expect("it fails again").repro
}

/// The file with this text, for one test.
fn file(name: &str, text: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runner");
    fs::create_dir_all(&folder).expect("a folder of ours");
    let path = folder.join(format!("{name}.toml"));
    fs::write(&path, text).expect("a file of ours");
    path
}

/// A text with one of its lines changed.
#[track_caller]
fn with(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "no {from:?} in:\n{text}");
    text.replacen(from, to, 1)
}

fn stands(name: &str, text: &str) -> Result<Option<String>, String> {
    tests::stands(&scenarios::registry(), &file(name, text))
}

#[track_caller]
fn falls(name: &str, text: &str, words: &[&str]) {
    let why = stands(name, text).expect_err("it falls");
    for word in words {
        assert!(why.contains(word), "no {word:?} in:\n{why}");
    }
}

#[test]
fn an_open_case_must_fail() {
    let open = open();
    assert_eq!(stands("open", &open), Ok(None));
    falls(
        "open_passes",
        &with(HOLDS, "\"fixed\"", "\"open\""),
        &["open, but it passes", "\"fixed\""],
    );
    let line = open.lines().find(|line| line.starts_with("signature = ")).expect("a signature");
    let other = with(&open, line, "signature = \"another / thing\"");
    falls("open_other", &other, &["drifted: another signature", "another / thing"]);
}

#[test]
fn a_fixed_case_must_hold() {
    assert_eq!(stands("fixed", HOLDS), Ok(None));
    let back = with(&open(), "status = \"open\"", "status = \"fixed\"");
    falls("fixed_fails", &back, &["fixed, but it fails: VIOLATED", "invoke"]);
}

#[test]
fn a_fixed_case_whose_fault_finds_no_event_has_drifted() {
    let effect = HOLDS.split("[case.faults.place.effect]").nth(1).expect("a fault at an effect");
    let nth = effect.lines().find(|line| line.starts_with("nth = ")).expect("a count");
    let (name, drifted) = ("drifted", HOLDS.replace(effect, &with(effect, nth, "nth = 9999")));
    let command = format!("`tribunal shrink --refit {}`", file(name, &drifted).display());
    falls(name, &drifted, &["drifted: fault ", "finds no event at ", "number 9999 of n", &command]);
}

#[test]
fn another_digest_is_a_note() {
    let line = HOLDS.lines().find(|line| line.starts_with("digest = ")).expect("a digest");
    let changed = with(HOLDS, line, "digest = \"0000000000000000\"");
    let note = stands("digest", &changed).expect("it holds").expect("a note");
    assert!(note.contains("saved as 0000000000000000: the code has changed"), "{note}");
}

#[test]
fn what_is_no_case_of_ours_falls() {
    let gone = with(HOLDS, "scenario = \"register\"", "scenario = \"gone\"");
    falls("gone", &gone, &["gone.toml", "there is no scenario \"gone\""]);
    falls("half", &HOLDS[..HOLDS.len() / 2], &["half.toml"]);
    falls("version", &with(HOLDS, "version = 1", "version = 2"), &["version 2: expected 1"]);
}
