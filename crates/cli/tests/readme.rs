//! The README's first failure is what its command prints where the README stands: where repros are
//! saved already, of other engines too.

use std::fs;
use std::path::Path;
use std::process::Command;

const README: &str = include_str!("../../../README.md");

#[test]
fn the_first_failure_is_what_is_printed() {
    let folder = std::env::temp_dir().join(format!("tribunal-readme-{}", std::process::id()));
    let saved = "tests/repros/mutants/two_phase_commit/send_before_force";
    fs::create_dir_all(folder.join(saved)).expect("a folder for repros");
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(saved);
    for repro in fs::read_dir(here).expect("saved repros") {
        let repro = repro.expect("a saved repro");
        fs::copy(repro.path(), folder.join(saved).join(repro.file_name())).expect("a copy");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_tribunal"))
        .args(["explore", "two_phase_commit", "--mutant", "send_before_force"])
        .current_dir(&folder)
        .env_remove("CI")
        .output()
        .expect("the binary runs");
    let _gone = fs::remove_dir_all(&folder);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8_lossy(&output.stdout);
    // Above the failure stands the campaign's table, which tells how fast this machine is.
    let at = printed.find("two_phase_commit + send_before_force   VIOLATED").expect("a failure");
    let page = &printed[at..];
    assert!(page.lines().count() <= 40, "{page}");
    let shown = README.split_once("```text\n").and_then(|(_, rest)| rest.split_once("```"));
    let (shown, _) = shown.expect("a text block");
    assert!(shown == page, "the README shows\n{shown}\nand the command prints\n{page}");
}
