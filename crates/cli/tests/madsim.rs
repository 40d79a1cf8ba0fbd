//! `--engine madsim` works in whatever environment it is called.

use std::path::Path;
use std::process::Command;

/// Flags, folders and targets that somebody has set for other builds do not reach the worker's, and
/// after the first build nothing is fetched.
#[test]
fn the_worker_simulates_under_foreign_flags_and_folders() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let explore = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tribunal"));
        command.current_dir(folder);
        command.args(["explore", "two_phase_commit", "--engine", "madsim", "--seeds", "10"]);
        command
    };
    let first = explore().output().expect("the command line starts");
    assert_eq!(first.status.code(), Some(0), "{}", String::from_utf8_lossy(&first.stderr));
    for (name, value) in [
        ("RUSTFLAGS", "-D warnings"),
        ("RUSTFLAGS", ""),
        ("CARGO_ENCODED_RUSTFLAGS", ""),
        ("CARGO_TARGET_DIR", "elsewhere"),
        ("CARGO_BUILD_TARGET", "no-such-target"),
    ] {
        let mut again = explore();
        again.env(name, value).env("CARGO_NET_OFFLINE", "true");
        let output = again.output().expect("the command line starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{name}={value}: {said}");
    }
    assert!(!folder.join("elsewhere").exists(), "the worker was built in a folder of its own");
}
