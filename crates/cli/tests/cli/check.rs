//! `tribunal check`: recorded histories of every format, their verdicts, and what it complains of.

use crate::common::{Ran, folder, run};
use crate::{json, ran, shown, tribunal};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Histories of our own, and beside each what is said of it.
const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/histories");

/// Histories that other projects recorded, with verdicts that are not ours. They are no part of
/// this project: a test that wants them is skipped where they are not.
fn shared() -> Option<PathBuf> {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let found = above.map(|folder| folder.join("shared/histories")).find(|folder| folder.is_dir());
    if found.is_none() {
        eprintln!("skipped: there is no shared/histories above this checkout");
    }
    found
}

/// A file with this content.
fn file(name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = folder(&format!("check_{name}")).join(name);
    fs::write(&path, text).expect("a file");
    path
}

/// `check`, in this folder, with these arguments between spaces.
fn check(folder: &Path, arguments: &str) -> Ran {
    let mut command = tribunal(&["check"]);
    run(command.args(arguments.split(' ')).current_dir(folder))
}

#[test]
fn every_shared_history_gets_its_verdict() {
    let Some(shared) = shared() else { return };
    let expected = fs::read_to_string(shared.join("EXPECTED.tsv")).expect("the verdicts");
    let (mut judged, mut skipped, mut wrong) = (0, 0, Vec::new());
    for line in expected.lines().filter(|line| !line.starts_with('#')) {
        let [file, flags, verdict] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("not three columns: {line}");
        };
        if flags.contains("--format sessions") || flags.contains("--format plume") {
            skipped += 1;
            continue;
        }
        let code = ["holds", "violated", "unknown"].iter().position(|word| *word == verdict);
        let (format, against) = flags.split_once(" --").expect("a format, and more");
        // With its format, and found by its content.
        for flags in [flags.to_owned(), format!("--{against}")] {
            let ran = check(&shared, &format!("{file} {flags}"));
            if Some(ran.code) != code.map(|code| code as i32) {
                wrong.push(format!("{file} {flags}: not {verdict}:\n{}{}", ran.out, ran.err));
            }
        }
        assert!(format.starts_with("--format "), "{line}");
        judged += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.concat());
    assert!(judged > 200, "only {judged} histories");
    eprintln!("{judged} histories; skipped {skipped} of the formats sessions and plume");
}

/// Holds what is said of a history to the file beside it, but for how it was found: there may be
/// faster ways one day.
#[track_caller]
fn golden(folder: &Path, arguments: &str, file: &str) {
    let said = check(folder, arguments).ends(1).out;
    let (said, method) = said.split_once("  method   ").expect("a method");
    assert_eq!(method.lines().count(), 1);
    let path = Path::new(OWN).join(file);
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert!(said == golden, "{} says\n{golden}\nand not\n{said}", path.display());
}

#[test]
fn a_violation_is_told_by_the_lines_of_its_file() {
    let own = Path::new(OWN);
    golden(own, "overwritten.edn --model cas-register", "overwritten.txt");
    golden(own, "write-skew.json --txn list-append --isolation serializable", "write-skew.txt");
}

#[test]
fn the_violations_of_knossos_and_elle_cli_are_told() {
    let Some(shared) = shared() else { return };
    golden(
        &shared,
        "knossos/cas-register/bad/rethink-fail-minimal.edn --model cas-register",
        "knossos-rethink-fail-minimal.txt",
    );
    golden(
        &shared,
        "elle-cli/elle/list-append-gh-30.edn --txn list-append --isolation serializable",
        "elle-cli-list-append-gh-30.txt",
    );
}

#[test]
fn machines_get_a_line_of_json() {
    let own = Path::new(OWN);
    let lines = json(&check(own, "overwritten.edn --model cas-register --json").ends(1));
    let [line] = &lines[..] else { panic!("not one line") };
    for (key, value) in [
        ("kind", "check"),
        ("verdict", "violated"),
        ("format", "edn"),
        ("against", "--model cas-register"),
    ] {
        assert_eq!(line[key], value, "{line}");
    }
    assert_eq!(line["version"], 1);
    assert_eq!(line["operations"], 5, "{line}");
    assert_eq!(line["unknown_outcomes"], 1, "{line}");
    let culprit = &line["evidence"]["no_order"]["culprit"];
    assert_eq!(culprit["lines"], serde_json::json!([11, 12]), "{line}");

    let flags = "write-skew.json --txn list-append --isolation serializable --json";
    let line = &json(&check(own, flags).ends(1))[0];
    let steps = &line["evidence"]["phenomena"][0]["steps"];
    assert!(steps.as_array().is_some_and(|steps| steps.len() >= 2), "{line}");
    let lower = "write-skew.json --txn list-append --isolation snapshot-isolation --json";
    let line = &json(&check(own, lower).ends(0))[0];
    assert_eq!((&line["verdict"], &line["evidence"]), (&"holds".into(), &().into()));
}

#[test]
fn a_history_comes_from_standard_input_too() {
    let text = fs::read(Path::new(OWN).join("overwritten.edn")).expect("a history");
    let mut command = tribunal(&["check", "-", "--model", "cas-register"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    child.stdin.take().expect("a pipe").write_all(&text).expect("it reads");
    let ran = Ran::from(child.wait_with_output().expect("it ends")).ends(1);
    assert!(ran.out.starts_with("standard input   VIOLATED"), "{}", ran.out);
}

/// 2: nothing was proved.
#[test]
fn what_constrains_nothing_is_unknown() {
    let write = "{:process 0, :type :invoke, :f :write, :value 1}\n\
                 {:process 0, :type :ok, :f :write, :value 1}\n";
    for (name, text, why) in [
        ("empty.edn", "[]", "the history is empty"),
        ("none.edn", "", "the history is empty"),
        ("writes.edn", write, "nothing in this history can be wrong: of its 1 operations"),
    ] {
        let path = file(name, text);
        let arguments = ["check", shown(&path), "--format", "edn", "--model", "cas-register"];
        let said = ran(&arguments).ends(2).out;
        assert!(said.contains("UNKNOWN") && said.contains(why), "{said}");
    }
}

/// 64: the command line.
#[test]
fn usage_of_check() {
    let own = Path::new(OWN);
    for (arguments, words) in [
        ("overwritten.edn", &["--model", "--txn", "--checker"][..]),
        ("overwritten.edn --model cas-regster", &["\"cas-register\"", "multi-register"]),
        ("overwritten.edn --checker bnk", &["\"bank\"", "long-fork"]),
        ("overwritten.edn --txn list-apend", &["\"list-append\"", "rw-register"]),
        ("overwritten.edn --txn list-append --isolation serialisable", &["\"serializable\""]),
        ("overwritten.edn --model mutex --isolation serializable", &["--txn"]),
        ("overwritten.edn --model mutex --checker bank", &["cannot be used with"]),
        ("overwritten.edn --model mutex --format ednn", &["\"edn\"", "porcupine-kv"]),
        ("overwritten.edn --model cas-register --initial [1]", &["one value, such as 0"]),
        ("--model mutex", &["FILE", "Usage"]),
    ] {
        check(own, arguments).ends(64).mentions(words);
    }
}

/// 65: what is in the file. The complaint is one line that names it, its line, and what was
/// expected.
#[test]
fn bad_histories() {
    const WRITE: &str = "{:process 0, :type :invoke, :f :write, :value 4}\n";
    const OK: &str = "{:process 0, :type :ok, :f :write, :value 4}\n";
    let rows: &[(&str, String, &str)] = &[
        ("truncated", WRITE.to_owned() + "{:process 0, :ty", "line 2: cut short: expected a whole"),
        (
            "invocation",
            OK.to_owned(),
            "line 1: process 0 ends an operation, expected its invocation",
        ),
        (
            "two_open",
            WRITE.repeat(2),
            "line 2: process 0 begins an operation, but the one of line 1",
        ),
        (
            "unknown_f",
            WRITE.replace("write", "wrote"),
            "line 1: :f \"wrote\": expected read, write or",
        ),
        ("shape", WRITE.replace('4', "[[1] 2]"), "line 1: write of [[1] 2]: expected a key"),
        ("mixed", WRITE.to_owned() + "{\"type\":\"ok\"}", "line 2: \"type\""),
        (
            "crashed",
            [WRITE, &OK.replace("ok", "info"), WRITE].concat(),
            "line 3: process 0 goes on",
        ),
        ("another", WRITE.to_owned() + &OK.replace("write", "read"), "line 2: process 0 ends read"),
    ];
    for (name, text, complaint) in rows {
        let path = file(name, text);
        let words = format!("{}: {complaint}", shown(&path));
        // Mixed formats are of the first one's making: the second is no EDN, or says nothing there.
        let words = if *name == "mixed" { shown(&path).to_owned() + ": line 2: " } else { words };
        ran(&["check", shown(&path), "--model", "cas-register"]).ends(65).complains(&[&words]);
    }
    let path = file("bytes", b"{:process 0,\n\xff}");
    ran(&["check", shown(&path), "--model", "mutex"]).ends(65).complains(&["line 2", "UTF-8"]);
    for (name, text) in [("nothing", ""), ("prose", "It was a dark and stormy night.")] {
        let path = file(name, text);
        let refused = ran(&["check", shown(&path), "--model", "mutex"]).ends(65);
        refused.mentions(&[shown(&path), "line 1", "expected"]);
    }
    let other = ["--format", "jepsen-log", "--model", "cas-register"];
    let path = file("other_format", WRITE);
    let arguments = [&["check", shown(&path)], &other[..]].concat();
    ran(&arguments).ends(65).complains(&["line 1", "expected a line such as", "jepsen.util"]);
}

/// 74: no such file, or none that can be read.
#[test]
fn histories_that_cannot_be_read() {
    ran(&["check", "no/such.edn", "--model", "mutex"]).ends(74).complains(&["no/such.edn"]);
    ran(&["check", OWN, "--model", "mutex"]).ends(74).complains(&[OWN]);
}
