//! `tribunal check`: recorded histories of every format, their verdicts, and what it complains of.

use crate::common::{Ran, folder, run};
use crate::{json, ran, shown, tribunal};
use std::fs;
use std::path::{Path, PathBuf};

/// Histories that other projects recorded, with their verdicts. They are no part of this one.
const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/histories");

/// A file with this content.
fn file(name: &str, text: &str) -> PathBuf {
    let path = folder(&format!("check_{name}")).join(name);
    fs::write(&path, text).expect("a file");
    path
}

const STALE: &str = "\
; A write is overwritten, and then read.
[{:process 0, :type :invoke, :f :write, :value 4}
 {:process 0, :type :ok,     :f :write, :value 4}
 {:process 0, :type :invoke, :f :write, :value 7}
 {:process 0, :type :ok,     :f :write, :value 7}
 {:process 1, :type :invoke, :f :read,  :value nil}
 {:process 1, :type :ok,     :f :read,  :value 4}]
";

#[test]
fn a_stale_read_is_a_violation() {
    let path = file("stale.edn", STALE);
    let told = ran(&["check", shown(&path), "--model", "cas-register"]).ends(1).out;
    assert!(told.contains("VIOLATED") && told.contains("found by its content"), "{told}");
    let line = ran(&["check", shown(&path), "--model", "cas-register", "--json"]).ends(1);
    let [line] = &json(&line)[..] else { panic!("not one line") };
    assert_eq!((&line["verdict"], &line["format"]), (&"violated".into(), &"edn".into()));
}
