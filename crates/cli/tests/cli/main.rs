//! The command line held to its word: exit codes, complaints, what it prints and what it writes.

mod check;
#[path = "../common/mod.rs"]
mod common;
mod own_protocol;
mod real;
mod service;

use common::{Ran, command, folder, run};
use explorer::repro;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

const EXHIBIT: &str = "naive::register_without_write_back";
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden.toml");
const VERBS: [&str; 8] =
    ["explore", "replay", "shrink", "check", "list", "init", "doctor", "serve"];

fn tribunal(arguments: &[&str]) -> Command {
    command(env!("CARGO_BIN_EXE_tribunal"), arguments)
}

fn ran(arguments: &[&str]) -> Ran {
    run(&mut tribunal(arguments))
}

fn json(ran: &Ran) -> Vec<Value> {
    let lines = ran.out.lines().map(|line| serde_json::from_str(line).expect("a line of JSON"));
    lines.collect()
}

/// A failure of the exhibit, found, made small and saved once for all tests.
struct Found {
    told: String,
    report: Value,
    failure: Value,
    folder: PathBuf,
    saved: PathBuf,
}

fn found() -> &'static Found {
    static FOUND: OnceLock<Found> = OnceLock::new();
    FOUND.get_or_init(|| {
        let folder = folder("found");
        let arguments = ["explore", EXHIBIT, "--seeds", "20000", "--out", "r.jsonl"];
        let ran = run(tribunal(&arguments).current_dir(&folder)).ends(1);
        let text = fs::read_to_string(folder.join("r.jsonl")).expect("the results");
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
        let [report, failure] = lines.as_slice() else { panic!("not two lines:\n{text}") };
        let saved = folder.join(failure["saved"].as_str().expect("a path"));
        Found { told: ran.out, report: report.clone(), failure: failure.clone(), folder, saved }
    })
}

/// The saved failure, changed, in a file of its own.
fn changed(name: &str, change: impl FnOnce(&mut toml::Table)) -> PathBuf {
    let text = fs::read_to_string(&found().saved).expect("the saved case");
    let mut table: toml::Table = text.parse().expect("TOML");
    change(&mut table);
    let path = folder(name).join("case.toml");
    fs::write(&path, table.to_string()).expect("a file");
    path
}

fn case(table: &mut toml::Table) -> &mut toml::Table {
    table["case"].as_table_mut().expect("a table")
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn shown(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

#[test]
fn every_verb_helps_with_two_examples() {
    for verb in VERBS {
        for arguments in [["help", verb], [verb, "--help"], [verb, "-h"]] {
            let ran = ran(&arguments).ends(0);
            let (_, examples) = ran.out.split_once("Examples:\n").expect("examples");
            assert_eq!(examples.trim_end().lines().count(), 2, "{arguments:?}: {examples}");
        }
    }
}

#[test]
fn help_and_version_are_no_errors() {
    for arguments in [["--help"], ["-h"], ["help"]] {
        let ran = ran(&arguments).ends(0);
        for code in ["0 holds", "1 violated", "2 unknown", "64", "65", "70", "74", "75"] {
            assert!(ran.out.contains(code), "{code} is not in:\n{}", ran.out);
        }
    }
    let version = ran(&["--version"]).ends(0);
    assert_eq!(version.out, concat!("tribunal ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn list_names_what_explore_takes() {
    let names = ran(&["list", "--names"]).ends(0).out;
    assert!(names.lines().any(|name| name == "register"));
    let all = ran(&["list"]).ends(0).out;
    for word in names.lines().chain(["send_before_force", "A13", "power_loss"]) {
        assert!(all.contains(word), "{word} is not listed");
    }
}

/// 64: the command line.
#[test]
fn usage() {
    ran(&["explore", "regster"]).ends(64).complains(&["no scenario \"regster\"", "\"register\""]);
    for (arguments, words) in [
        (
            &["explore", "register", "--seed", "0x1ffffffffffffffff"][..],
            ["0x0", "0xffffffffffffffff"],
        ),
        (&["explore", "register", "--seed", "much"], ["much", "such as 0x29"]),
        (&["explore", "register", "--seeds", "-1"], ["-1", "Usage"]),
        (&["explore", "register", "--seeds", "5", "--budget", "5s"], ["--seeds", "--budget"]),
        (&["explore", "register", "--budget", "5y"], ["5y", "30s"]),
        (&["explore", "register", "--mutant", "drop_it"], ["drop_it", "drop_force"]),
        (&["explore", "two_phase_commit", "--mutant", "A1x"], ["A1x", "nearest is \"A1\""]),
        (
            &["explore", "three_phase_commit", "--engine", "real"],
            ["rests on a bound", "the heap engine"],
        ),
        (&["explore", "register", "--faults", "flood"], ["flood", "power_loss"]),
        (&["explore", "register", "--jobs", "0"], ["--jobs", "0"]),
        (&["explore", "--fast"], ["--fast", "Usage"]),
        (&["exlore"], ["exlore", "explore"]),
        (&["replay"], ["REPRO", "Usage"]),
        (&["shrink"], ["REPRO", "Usage"]),
    ] {
        ran(arguments).ends(64).mentions(&words);
    }
}

/// 65: an input file. The complaint names the file, the place and what was expected.
#[test]
fn bad_input() {
    let text = fs::read_to_string(&found().saved).expect("the saved case");
    let path = folder("bad_input").join("case.toml");
    let refuse = |bytes: &[u8], words: &[&str]| {
        fs::write(&path, bytes).expect("a file");
        for verb in ["replay", "shrink"] {
            ran(&[verb, shown(&path)]).ends(65).complains(&[shown(&path)]).mentions(words);
        }
    };
    refuse(b"", &["version"]);
    refuse(&text.as_bytes()[..text.len() / 2], &[]);
    refuse(b"\xff\xfe\x00", &["expected TOML"]);
    refuse(b"{ \"json\": 1 }", &["line 1"]);
    refuse(text.replacen("version = 1", "version = 2", 1).as_bytes(), &["version 2", "expected 1"]);
    refuse(text.replacen("status = \"open\"", "status = \"odd\"", 1).as_bytes(), &["odd", "open"]);
    refuse(text.replacen("seed = \"0x", "seed = \"0y", 1).as_bytes(), &["0y", "0x29"]);
    refuse(text.replacen("to = ", "too = ", 1).as_bytes(), &["too"]);

    let gone =
        changed("gone", |table| drop(case(table).insert("scenario".into(), "regster".into())));
    ran(&["replay", shown(&gone)]).ends(65).complains(&[
        shown(&gone),
        "\"regster\"",
        "\"register\"",
    ]);
    let later = changed("later", |table| drop(case(table).insert("version".into(), 2.into())));
    ran(&["replay", shown(&later)]).ends(65).complains(&[shown(&later), "case: version 2"]);
    let nobody = changed("nobody", |table| {
        let calls = case(table)["calls"].as_array_mut().expect("calls");
        calls[0]["to"] = 60.into();
    });
    ran(&["replay", shown(&nobody)]).ends(65).complains(&[shown(&nobody), "no node n60"]);
}

/// 74: a file that cannot be read or written.
#[test]
fn file_errors() {
    let folder = folder("file_errors");
    ran(&["replay", "no/such.toml"]).ends(74).complains(&["no/such.toml"]);
    let mut unknown = tribunal(&["replay", "ffffffff"]);
    run(unknown.current_dir(&folder)).ends(74).complains(&["ffffffff", "a path or an id"]);
    fs::write(folder.join("file"), "").expect("a file");
    let file = folder.join("file");
    ran(&["replay", shown(&folder)]).ends(74).complains(&[shown(&folder)]);
    ran(&["init", &format!("{}/below", shown(&file))]).ends(74).complains(&["file/below"]);

    // Before the campaign, which would take days.
    let below = format!("{}/below", shown(&file));
    let explore = ["explore", "register", "--seeds", "1000000000"];
    let with = |more: &[&str]| -> Ran {
        let arguments: Vec<&str> = explore.iter().chain(more).copied().collect();
        run(tribunal(&arguments).current_dir(&folder))
    };
    with(&["--repros", &below]).ends(74).complains(&[&below, "--repros"]);
    with(&["--repros", shown(&file)]).ends(74).complains(&[shown(&file)]);
    with(&["--out", &below]).ends(74).complains(&[&below]);
    with(&["--out", shown(&folder)]).ends(74).complains(&[shown(&folder)]);
    assert_eq!(files(&folder), [file], "nothing is left behind");
}

/// A full disk, for the results and for standard output.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk() {
    let folder = folder("full");
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    let explore = ["explore", "register", "--seeds", "5", "--out", "/dev/full"];
    run(tribunal(&explore).current_dir(&folder)).ends(74).complains(&["/dev/full"]);
    let mut list = tribunal(&["list"]);
    list.stdout(full()).stderr(Stdio::piped());
    Ran::from(list.spawn().and_then(|child| child.wait_with_output()).expect("it runs"))
        .ends(74)
        .complains(&["standard output"]);
    assert!(files(&folder).is_empty());
}

/// 0, 1 and 2: the verdict.
#[test]
fn explore_ends_with_its_verdict() {
    let folder = folder("verdicts");
    let run = |arguments: &[&str]| run(tribunal(arguments).current_dir(&folder));
    let holds = run(&["explore", "register", "--seeds", "60"]).ends(0);
    assert!(holds.out.contains("  digest ") && holds.err.is_empty(), "{}{}", holds.out, holds.err);
    let nothing = run(&["explore", "register", "--seeds", "0"]).ends(2);
    assert!(nothing.out.contains("UNKNOWN"), "{}", nothing.out);
    assert!(files(&folder).is_empty(), "nothing failed, and nothing is written");
    assert_eq!(found().report["verdict"], "violated"); // which ended 1
}

/// 1, 0 and 2: it reproduces, passes, or has drifted.
#[test]
fn replay_has_three_ends() {
    let saved = &found().saved;
    let again = ran(&["replay", shown(saved)]).ends(1);
    assert!(again.out.contains(", as saved\n  replay   reproduces\n"), "{}", again.out);

    // The right protocol under the same calls, with no fault that could miss its event.
    let right = changed("right", |table| {
        case(table).insert("scenario".into(), "register".into());
        case(table).remove("faults");
    });
    assert!(ran(&["replay", shown(&right)]).ends(0).out.contains("  replay   passes\n"));
    assert!(ran(&["shrink", shown(&right)]).ends(0).out.contains("does not fail"));

    let other = changed("other", |table| {
        table.insert("signature".into(), "another / thing".into());
    });
    let drifted = ran(&["replay", shown(&other)]).ends(2);
    assert!(drifted.out.contains("drifted: another signature"), "{}", drifted.out);
    let refit = format!("  refit    cargo run --release -- shrink --refit {}\n", shown(&other));
    assert!(drifted.out.contains(&refit), "{}", drifted.out);

    // No verdict is no pass.
    let undecided = changed("undecided", |table| {
        table.insert("engine".into(), "real".into());
        case(table).insert("scenario".into(), "register".into());
        case(table).insert("mutant".into(), "N1".into());
    });
    let undecided = ran(&["replay", shown(&undecided)]).ends(2);
    let why = "drifted: undecided: real has no mutant \"N1\"";
    assert!(undecided.out.contains(why), "{}", undecided.out);
}

/// A fixed case whose fault no longer finds its event is placed again, stays fixed, and passes.
#[test]
fn refit_places_a_drifted_fault_again() {
    let text = fs::read_to_string(GOLDEN).expect("the golden case");
    let mut table: toml::Table = text.parse().expect("TOML");
    let faults = case(&mut table)["faults"].as_array_mut().expect("faults");
    let places = faults.iter_mut().map(|fault| &mut fault["place"]);
    let effect =
        places.filter_map(|place| place.get_mut("effect")).next().expect("one at an effect");
    effect["nth"] = 9_999.into();
    let path = folder("refit").join("case.toml");
    fs::write(&path, table.to_string()).expect("a file");
    let drifted = ran(&["replay", shown(&path)]).ends(2);
    assert!(drifted.out.contains("finds no event at "), "{}", drifted.out);
    assert!(ran(&["shrink", shown(&path)]).ends(0).out.contains("does not fail"));
    let refit = ran(&["shrink", "--refit", shown(&path)]).ends(0);
    assert!(refit.out.contains("every placed fault finds its event"), "{}", refit.out);
    ran(&["replay", shown(&path)]).ends(0);
    assert_eq!(files(path.parent().expect("a folder")), [path], "in the drifted one's place");
}

#[test]
fn a_repro_is_found_by_the_start_of_its_id() {
    let Found { folder, saved, failure, .. } = found();
    let line = failure["replay"].as_str().expect("a line to paste");
    let id = line.strip_prefix("cargo run --release -- replay ").expect("the id");
    assert!(saved.ends_with(format!("{id}.toml")));
    let mut replay = tribunal(&["replay", &id[..4]]);
    run(replay.current_dir(folder)).ends(1);
    let mut trace = tribunal(&["replay", id, "--trace", "--until", "3"]);
    assert!(run(trace.current_dir(folder)).ends(1).out.contains("\n    3 "));
    let mut diff = tribunal(&["replay", id, "--diff", id]);
    assert!(run(diff.current_dir(folder)).ends(0).out.contains("no event differs"));
}

#[test]
fn a_failure_is_told_in_forty_lines_of_which_the_last_say_what_to_do() {
    let (_, told) = found().told.split_once("\n\n").expect("the table, and the failure");
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines.len() <= 40, "{} lines:\n{told}", lines.len());
    let last: Vec<&str> = lines[lines.len() - 3..].iter().map(|line| &line[..11]).collect();
    assert_eq!(last, ["  shrunk   ", "  saved    ", "  replay   "]);
    assert!(lines[1..].iter().all(|line| line.chars().count() <= 120), "{told}");

    let arguments = ["explore", EXHIBIT, "--seeds", "20000", "--no-shrink"];
    let large = run(tribunal(&arguments).current_dir(folder("unshrunk"))).ends(1).out;
    let (_, told) = large.split_once("\n\n").expect("the table, and the failure");
    assert!(told.lines().count() <= 40, "{told}");
}

#[test]
fn the_printed_seed_leads_to_the_same_failure() {
    let finding = &found().report["findings"][0];
    let seed = finding["seed"].as_str().expect("a seed");
    let digest = finding["digest"].as_str().expect("a digest");
    assert!(found().told.contains(&format!("  seed {seed} · digest {digest} · ")));
    let folder = folder("seed");
    let arguments = ["explore", EXHIBIT, "--seed", seed, "--no-shrink", "--json"];
    let lines = json(&run(tribunal(&arguments).current_dir(folder)).ends(1));
    assert_eq!(lines[0]["cases"], 1);
    assert_eq!(lines[0]["digest"], digest);
    assert_eq!(lines[0]["findings"][0]["digest"], digest);
    assert_eq!(lines[0]["findings"][0]["signature"], finding["signature"]);
}

#[test]
fn saved_whole_and_once_for_each_signature() {
    let Found { folder, saved, .. } = found();
    let text = repro::read(saved).expect("it was saved");
    assert!(text.starts_with("# A case that Tribunal saved: commit it to git."));
    repro::header(saved, &text).expect("whole");
    let is_part = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "part");
    assert!(!files(folder).iter().any(is_part), "half-written files stay behind");

    let root = folder.join("tests/repros");
    let arguments = ["explore", EXHIBIT, "--seeds", "20000", "--campaign", "7", "--no-shrink"];
    let again = run(tribunal(&arguments).args(["--repros", shown(&root)])).ends(1);
    assert!(again.out.contains(shown(saved)), "{}", again.out);
    assert_eq!(repro::below(&root), std::slice::from_ref(saved), "one signature, one file");
}

/// In CI the source tree stays as it is; the case is printed, and put below `target`.
#[test]
fn ci_machines_write_below_target() {
    let folder = folder("ci");
    let arguments =
        ["explore", "register", "--mutant", "lose_on_restart", "--seeds", "20000", "--no-shrink"];
    let ran = run(tribunal(&arguments).current_dir(&folder).env("CI", "true")).ends(1);
    let written = files(&folder);
    assert!(!written.is_empty());
    assert!(written.iter().all(|path| path.starts_with(folder.join("target"))), "{written:?}");
    assert!(
        ran.out.contains("  saved    target/tribunal/repros/mutants/register/lose_on_restart/")
    );
}

#[test]
fn json_lines_carry_their_version_and_do_not_depend_on_jobs() {
    let folder = folder("jobs");
    let lines = |jobs: &str| {
        let arguments = [
            "explore",
            EXHIBIT,
            "register",
            "--seeds",
            "600",
            "--jobs",
            jobs,
            "--json",
            "--no-shrink",
        ];
        let ran = run(tribunal(&arguments).current_dir(&folder));
        assert!(ran.code < 3, "{}", ran.err);
        let mut lines = json(&ran);
        for line in &mut lines {
            assert_eq!(line["version"], 1);
            assert!(["report", "repro"].contains(&line["kind"].as_str().expect("a kind")));
            line.as_object_mut().expect("an object").remove("cases_per_second");
        }
        lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let one = lines("1");
    assert_eq!(one, lines("4"));
    assert!(one.contains("\"kind\":\"report\""));
}

/// Waits for a campaign to be under way, interrupts it as Ctrl-C does, and takes what it leaves.
#[cfg(unix)]
fn interrupted(command: &mut Command) -> Ran {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    std::thread::sleep(Duration::from_secs(3));
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.expect("kill is there").success());
    child.wait_with_output().expect("it ends").into()
}

#[cfg(unix)]
#[test]
fn an_interrupted_campaign_leaves_its_results() {
    let folder = folder("interrupted");
    let arguments = ["explore", "register", "--seeds", "1000000000", "--json", "--out", "r.jsonl"];
    let ran = interrupted(tribunal(&arguments).current_dir(&folder)).ends(0);
    let lines = json(&ran);
    assert_eq!(lines[0]["interrupted"], true);
    assert_eq!(lines[0]["verdict"], "holds");
    assert!(lines[0]["cases"].as_u64().expect("a number") > 0);
    assert_eq!(fs::read_to_string(folder.join("r.jsonl")).expect("the results"), ran.out);
    assert_eq!(files(&folder).len(), 1);
}

/// No verb: every scenario in turn, in one table.
#[cfg(unix)]
#[test]
fn without_arguments_everything_is_explored() {
    let ran = interrupted(tribunal(&[]).current_dir(folder("plain"))).ends(0);
    let mut lines = ran.out.lines();
    assert!(lines.next().is_some_and(|head| head.starts_with("scenario ")), "{}", ran.out);
    let first = ran_list().into_iter().next().expect("a scenario");
    assert!(lines.next().is_some_and(|row| row.starts_with(&first)), "{}", ran.out);
}

fn ran_list() -> Vec<String> {
    ran(&["list", "--names"]).out.lines().map(str::to_owned).collect()
}

#[test]
fn colours_are_for_terminals_and_for_who_asks() {
    let saved = shown(&found().saved);
    let replay = |names: &[&str]| {
        let mut replay = tribunal(&["replay", saved]);
        replay.env("RUST_LOG", "tribunal=info").envs(names.iter().map(|name| (name, "1")));
        run(&mut replay).ends(1)
    };
    let plain = replay(&[]);
    assert!(plain.err.contains("incarnation="), "{}", plain.err);
    assert!(!plain.err.contains('\x1b') && !plain.out.contains('\x1b'));
    assert!(replay(&["CLICOLOR_FORCE"]).err.contains('\x1b'));
    assert!(!replay(&["CLICOLOR_FORCE", "NO_COLOR"]).err.contains('\x1b'));
    assert_eq!(ran(&["replay", saved]).err, "", "silent unless asked");
}

#[test]
fn shrinking_again_saves_beside_and_prints_a_test() {
    let copy = changed("shrink", |_| {});
    let ran = ran(&["shrink", shown(&copy), "--emit-test"]).ends(1);
    let folder = copy.parent().expect("a folder");
    assert_eq!(repro::below(folder).len(), 2, "{}", ran.out);
    assert!(ran.out.contains("#[test]\nfn repro_") && ran.out.contains("tribunal::replay("));
}

/// One case, saved with its digest, in every build: debug and release, here and elsewhere. If the
/// engine, the protocol or what a digest covers has changed on purpose, the file takes the digest
/// that `tribunal replay` shows; if not, a run depends on what it must not depend on.
#[test]
fn a_digest_is_the_same_in_every_build() {
    let ran = ran(&["replay", GOLDEN]).ends(0);
    assert!(ran.out.contains(", as saved\n  replay   passes\n"), "{}", ran.out);
}

#[test]
fn init_writes_only_where_nothing_is() {
    let folder = folder("init");
    let run = |arguments: &[&str]| run(tribunal(arguments).current_dir(&folder));
    let next = run(&["init", "My Protocol"]).ends(0);
    assert!(next.out.contains("  next     cd 'My Protocol' && cargo test"), "{}", next.out);
    let manifest = fs::read_to_string(folder.join("My Protocol/Cargo.toml")).expect("a manifest");
    let manifest: toml::Table = manifest.parse().expect("TOML");
    assert_eq!(manifest["package"]["name"].as_str(), Some("my-protocol"));
    let path = manifest["dependencies"]["tribunal"]["path"].as_str().expect("a path");
    assert!(Path::new(path).join("Cargo.toml").is_file(), "{path}");
    run(&["init", "My Protocol"]).ends(64).complains(&["My Protocol", "expected an empty folder"]);
    fs::write(folder.join("file"), "").expect("a file");
    run(&["init", "file"]).ends(64).complains(&["file"]);
}
