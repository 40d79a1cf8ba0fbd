//! The start of a service's trial, and what keeps one from working.

use crate::common::{Ran, command, folder, run};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the root")
}

/// The doctor, with the versions that were built here already, so that it needs no network.
fn doctor(package: &Path) -> Ran {
    let lock = package.join("Cargo.lock");
    fs::copy(root().join("Cargo.lock"), lock).expect("the lock file");
    let arguments = ["doctor", package.to_str().expect("a path in UTF-8")];
    let mut doctor = command(env!("CARGO_BIN_EXE_tribunal"), &arguments);
    run(doctor.env("CARGO_NET_OFFLINE", "true"))
}

fn init(package: &Path) -> Ran {
    let init = ["init", "--service", package.to_str().expect("a path in UTF-8")];
    run(&mut command(env!("CARGO_BIN_EXE_tribunal"), &init))
}

/// The workspace's own tests put that example on trial; the doctor finds nothing in it.
#[test]
fn what_init_writes_is_the_example_and_healthy() {
    let example = root().join("examples/own-service");
    let made = folder("service").join("own-service");
    let next = init(&made).ends(0);
    assert!(next.out.contains("own-service && cargo test"), "{}", next.out);
    let read = |path: &Path| fs::read_to_string(path).expect("a text");
    for name in ["README.md", "src/lib.rs", "tests/trial.rs"] {
        assert_eq!(read(&made.join(name)), read(&example.join(name)), "{name}");
    }
    let tribunal = format!("{}/crates/tribunal", root().display());
    let manifest = read(&example.join("Cargo.toml")).replace("../../crates/tribunal", &tribunal);
    assert_eq!(read(&made.join("Cargo.toml")), manifest, "but for the place of Tribunal");
    let healthy = doctor(&made).ends(0);
    assert!(healthy.out.contains("nothing that breaks a trial"), "{}", healthy.out);
}

/// Real tokio under the flag, what is not simulated, and what is not there: each is named, with
/// what to do.
#[test]
fn the_doctor_names_what_breaks_a_trial() {
    let made = folder("ill").join("own-service");
    init(&made).ends(0);
    let manifest = fs::read_to_string(made.join("Cargo.toml")).expect("a manifest");
    let real = manifest
        .replace("\npackage = \"madsim-tokio\"", "")
        .replace("version = \"0.2.30\"", "version = \"1\"")
        .replace("check-cfg = [\"cfg(madsim)\"]", "check-cfg = []");
    fs::write(made.join("Cargo.toml"), real).expect("a manifest");
    let source =
        "//! Ill.\nuse tokio::fs;\n// thread::sleep is only named\npub type T = JoinSet<()>;\n";
    fs::write(made.join("src/ill.rs"), source).expect("a source");
    let ill = doctor(&made).ends(1);
    for what in [
        "the real tokio under --cfg madsim",
        "ill.rs:2: tokio::fs",
        "take std::fs",
        "ill.rs:4: JoinSet",
        "does not know `cfg(madsim)`",
        "3 that break a trial",
    ] {
        assert!(ill.out.contains(what), "expected {what:?} in {}", ill.out);
    }
    assert!(!ill.out.contains("thread::sleep"), "{}", ill.out);
}

#[test]
fn the_doctor_wants_a_package() {
    let empty = folder("nobody");
    let arguments = ["doctor", empty.to_str().expect("a path in UTF-8")];
    let none = run(&mut command(env!("CARGO_BIN_EXE_tribunal"), &arguments));
    none.ends(64).complains(&["no Cargo.toml"]);
    fs::write(empty.join("Cargo.toml"), "[package\n").expect("a file");
    run(&mut command(env!("CARGO_BIN_EXE_tribunal"), &arguments))
        .ends(65)
        .complains(&["Cargo.toml"]);
}
