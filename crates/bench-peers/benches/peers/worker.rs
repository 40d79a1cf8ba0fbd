//! Other people's simulators: each in a program of its own, built as its users would build it.
//!
//! madsim needs a cfg for the whole program and replaces libc's clocks, and this workspace's
//! release profile keeps overflow checks and debug assertions, which is our choice and not the
//! peers'. So every worker is built with its own flags and with cargo's usual release profile,
//! into target/madsim and target/turmoil. The flags go through `CARGO_ENCODED_RUSTFLAGS`, the one
//! way that no other setting overrides; the path comes from cargo's messages and is never guessed.

use anyhow::{Context, bail, ensure};
use bench_peers::{Sample, Size};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A built worker.
pub struct Worker(PathBuf);

impl Worker {
    /// Builds the worker of a peer, which is a feature of this package.
    pub fn build(peer: &str, rustflags: &[&str]) -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
        eprintln!("building the worker of {peer} in target/{peer} …");
        let built = Command::new(env!("CARGO"))
            .current_dir(&root)
            .args(["build", "--release", "--locked", "--package", "bench-peers", "--quiet"])
            .args(["--features", peer, "--bin", &format!("{peer}_worker")])
            // Its own target: build scripts and macros are then built without the flags.
            .args(["--target", &host()?, "--message-format=json-render-diagnostics"])
            .arg("--target-dir")
            .arg(root.join("target").join(peer))
            .env("CARGO_ENCODED_RUSTFLAGS", rustflags.join("\u{1f}"))
            .env("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "false")
            .env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "false")
            .env_remove("RUSTC_WORKSPACE_WRAPPER")
            .env_remove("CARGO_BUILD_TARGET")
            .env_remove("CARGO_BUILD_BUILD_DIR")
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start cargo")?;
        ensure!(built.status.success(), "the worker of {peer} does not build");
        String::from_utf8(built.stdout)?
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .find_map(|message| message["executable"].as_str().map(|path| Self(path.into())))
            .with_context(|| format!("cargo names no program for the worker of {peer}"))
    }

    /// Measures once.
    pub fn measure(&self, contestant: &str, size: Size, least: Duration) -> anyhow::Result<Sample> {
        let output = Command::new(&self.0)
            .args([contestant, size.name(), &least.as_millis().to_string()])
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot start {}", self.0.display()))?;
        if !output.status.success() {
            bail!("{} {contestant} ended with {}", self.0.display(), output.status);
        }
        let line = String::from_utf8(output.stdout)?;
        serde_json::from_str(line.trim()).with_context(|| format!("not a measurement: {line:?}"))
    }
}

/// Runs the shell's own bench, which prints its figures.
pub fn loopback() -> anyhow::Result<()> {
    println!();
    let ran = Command::new(env!("CARGO"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .args(["bench", "--locked", "--quiet", "--package", "shell", "--bench", "loopback"])
        .status()
        .context("cannot start cargo")?;
    ensure!(ran.success(), "the shell's bench ended with {ran}");
    Ok(())
}

/// The triple of this machine.
fn host() -> anyhow::Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("cannot start rustc")?;
    let text = String::from_utf8(output.stdout)?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc names no host")?.to_owned())
}
