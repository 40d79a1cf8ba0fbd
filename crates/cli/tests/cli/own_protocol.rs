//! What `tribunal init` writes builds and passes, and is the example that the repository shows.

use crate::common::{command, folder, run};
use std::fs;
use std::path::Path;

#[test]
fn what_init_writes_is_the_example_and_its_tests_pass() {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the root");
    let example = root.join("examples/own-protocol");
    let made = folder("own").join("own-protocol");
    let init = ["init", made.to_str().expect("a path in UTF-8")];
    run(&mut command(env!("CARGO_BIN_EXE_tribunal"), &init)).ends(0);
    let read = |path: &Path| fs::read_to_string(path).expect("a text");
    for name in ["README.md", "src/lib.rs", "src/main.rs", "tests/trial.rs"] {
        assert_eq!(read(&made.join(name)), read(&example.join(name)), "{name}");
    }
    let tribunal = format!("{}/crates/tribunal", root.display());
    let manifest = read(&example.join("Cargo.toml")).replace("../../crates/tribunal", &tribunal);
    assert_eq!(read(&made.join("Cargo.toml")), manifest, "but for the place of Tribunal");
    assert!(example.join("../../crates/tribunal/Cargo.toml").is_file());

    // The versions that were built here already, so that it needs no network.
    fs::copy(root.join("Cargo.lock"), made.join("Cargo.lock")).expect("the lock file");
    // Where this test was built, so that what both use is not built again.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    let mut test = command(env!("CARGO"), &["test", "--offline"]);
    test.current_dir(&made).env("CARGO_TARGET_DIR", target);
    // What cargo told this test of its own package is nothing to another one.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            test.env_remove(&*name);
        }
    }
    let ran = run(&mut test).ends(0);
    assert!(ran.out.contains("3 passed"), "{}", ran.out);
    assert!(!made.join("tests/repros").exists(), "trials that pass write nothing");
}
