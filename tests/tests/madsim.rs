//! The madsim engine: every scenario runs on it, and it is what it says.
//!
//! `madsim::NAME` puts a scenario on trial there. The worker is built by the first test that needs
//! it, whatever flags and folders the environment names.

use engine_madsim::{Madsim, Profile, StartError};
use explorer::{
    AnyScenario, Budget, Engine, Expected, Narrow, Progress, Replayed, Report, Verdict, repro,
    seed_of,
};
use libtest_mimic::{Arguments, Failed, Trial};
use node::{Mutation, MutationKind};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

/// Cases of a scenario that must hold.
const CASES: u64 = 100;

/// Cases in which a planted bug or an exhibit must be found.
const SEARCH: u64 = 2_000;

fn main() -> ExitCode {
    let mut trials = Vec::new();
    for scenario in anywhere() {
        if scenario.shape().expected == Expected::Holds {
            let name = format!("madsim-tcp::{}", scenario.name());
            let same = scenario.name();
            trials.push(Trial::test(name, move || stands(&*named(&same)?, Profile::Tcp)));
        }
        let name = format!("madsim::{}", scenario.name());
        trials.push(Trial::test(name, move || stands(&*scenario, Profile::Network)));
    }
    // What is handled twice does no harm here, see `scenarios/tests/controls.rs`.
    for kind in MutationKind::ALL.into_iter().filter(|kind| *kind != MutationKind::HandleTwice) {
        let name = format!("madsim::mutants::{}", kind.name());
        trials.push(Trial::test(name, move || is_found(&kind.into())));
    }
    trials.push(Trial::test("repros_travel", repros_travel));
    trials.push(Trial::test("the_worker_passes_its_own_tests", || passes("test", &["--lib"])));
    trials.push(Trial::test("the_worker_is_linted", || {
        passes("clippy", &["--lib", "--bins", "--tests", "--", "--deny", "warnings"])
    }));
    trials.push(Trial::test("trials_of_services_are_linted", || {
        let both = ["--package", "service", "--package", "tribunal"];
        passes("clippy", &[&both[..], &["--lib", "--tests", "--", "--deny", "warnings"]].concat())
    }));
    for profile in Profile::ALL {
        let name = format!("a_case_has_one_digest_on_{}", profile.name());
        trials.push(Trial::test(name, move || a_case_has_one_digest(profile)));
    }
    trials.push(Trial::test("a_worker_without_the_flag", a_worker_without_the_flag));
    trials.push(Trial::test("strangers_are_refused", strangers_are_refused));
    trials.push(Trial::test("a_program_without_its_sources", a_program_without_its_sources));
    trials.push(Trial::test("a_worker_that_dies", a_worker_that_dies));
    trials.push(Trial::test("a_case_without_an_end", a_case_without_an_end));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Scenarios that ask for no bound on the time that messages take.
fn anywhere() -> impl Iterator<Item = Box<dyn AnyScenario>> {
    scenarios::registry().into_iter().filter(|scenario| !scenario.shape().synchronous)
}

fn named(name: &str) -> Result<Box<dyn AnyScenario>, Failed> {
    let found = scenarios::registry().into_iter().find(|scenario| scenario.name() == name);
    found.ok_or_else(|| format!("no scenario {name}").into())
}

fn explore(
    scenario: &dyn AnyScenario,
    profile: Option<Profile>,
    seeds: u64,
    mutant: Option<Mutation>,
) -> Result<Report, Failed> {
    let engine = profile.map(tests::madsim).transpose()?;
    let narrow = Narrow { mutant: mutant.map(Into::into), engine, ..Narrow::default() };
    let budget = Budget { narrow, first: true, ..Budget::seeds(seeds) };
    let report = scenario.explore(&budget, &Progress::default());
    match &report.broken {
        None => Ok(report),
        Some(broken) => Err(format!("{}: {broken:?}", report.scenario).into()),
    }
}

/// A scenario that must hold does so, and an exhibit is found broken.
fn stands(scenario: &dyn AnyScenario, profile: Profile) -> Result<(), Failed> {
    if scenario.shape().expected == Expected::Violated {
        let report = explore(scenario, Some(profile), SEARCH, None)?;
        return match report.verdict().is_violated() {
            true => Ok(()),
            false => Err(format!("it was not found broken in {} cases", report.cases).into()),
        };
    }
    let report = explore(scenario, Some(profile), CASES, None)?;
    match report.findings.first() {
        Some(found) => Err(format!("seed {}: {}", found.seed, found.anomaly).into()),
        None if report.operations.1 == 0 => Err("no operation took effect".into()),
        None => Ok(()),
    }
}

/// A generic planted bug is found in every protocol, on the heap and here.
fn is_found(mutant: &Mutation) -> Result<(), Failed> {
    let holding = anywhere();
    for scenario in holding.filter(|scenario| scenario.shape().expected == Expected::Holds) {
        for profile in [None, Some(Profile::Network)] {
            let report = explore(&*scenario, profile, SEARCH, Some(mutant.clone()))?;
            if !report.verdict().is_violated() {
                let (name, on) = (scenario.name(), profile.map_or("heap", Profile::name));
                let (verdict, cases) = (report.verdict(), report.cases);
                return Err(format!("{name} on {on}: {verdict} in {cases} cases").into());
            }
        }
    }
    Ok(())
}

/// What is placed at an effect, on a message or on a call means the same on both engines: a planted
/// bug's repro of the one fails on the other, with its signature.
fn repros_travel() -> Result<(), Failed> {
    let madsim = tests::madsim(Profile::Network)?;
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("repros");
    let planted = ["mutants", "naive"].map(|folder| repro::below(&root.join(folder)));
    let (mut to_madsim, mut to_heap) = (0, 0);
    for path in planted.iter().flatten() {
        let text = repro::read(path)?;
        let header = repro::header(path, &text)?;
        let other = match header.engine.as_deref() {
            None => Some(&madsim),
            Some("madsim") => None,
            Some(_) => continue,
        };
        // A scenario's own bugs are on the heap alone.
        let case = &text.parse::<toml::Table>()?["case"];
        let mutant = case.get("mutant").and_then(toml::Value::as_str);
        if mutant.is_some_and(|id| id.parse::<Mutation>().is_err()) {
            continue;
        }
        let replay = named(&header.case.scenario)?.replay_on(other, path, &text)?;
        if replay.replayed != Replayed::Reproduces {
            return Err(format!("{}: {:?}", path.display(), replay.replayed).into());
        }
        *if other.is_some() { &mut to_madsim } else { &mut to_heap } += 1;
    }
    match (to_madsim, to_heap) {
        (0, _) | (_, 0) => Err(format!("{to_madsim} to madsim, {to_heap} to the heap").into()),
        _ => Ok(()),
    }
}

/// The worker's side is compiled by nothing but its own build.
fn passes(verb: &str, arguments: &[&str]) -> Result<(), Failed> {
    let output = engine_madsim::cargo(verb)?.args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    let [out, err] = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said));
    Err(format!("cargo {verb}: {}\n{out}{err}", output.status).into())
}

fn case(index: u64) -> String {
    let scenario = scenarios::two_phase_commit::two_phase_commit();
    AnyScenario::case_text(&scenario, seed_of(7, index), &Narrow::default())
}

/// The same in another process, after other runs, and when recorded.
fn a_case_has_one_digest(profile: Profile) -> Result<(), Failed> {
    let engine = tests::madsim(profile)?;
    let digest = |engine: &dyn Engine, index, recording| {
        engine.judge("two_phase_commit", &case(index), recording).0.digest
    };
    let first: Vec<u64> = (0..20).map(|index| digest(&*engine, index, false)).collect();
    let fresh = Madsim::start(profile)?;
    for index in (0..20).rev() {
        let again = digest(&*fresh, index, true);
        let first = first[index as usize];
        if again != first {
            return Err(format!("case {index}: {again:x} in a fresh process, {first:x}").into());
        }
    }
    if first.windows(2).all(|pair| pair[0] == pair[1]) {
        return Err("every case has the same digest".into());
    }
    Ok(())
}

/// A program that says these lines when a worker would say who it is, and then runs this.
fn impostor(name: &str, says: &str, then: &str) -> Result<PathBuf, Failed> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(format!("impostor-{name}.sh"));
    fs::write(&path, format!("#!/bin/sh\necho '{says}'\n{then}\n"))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

fn hello() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(r#"{{"worker":"engine-madsim","protocol":1,"tribunal":"{version}","madsim":true}}"#)
}

fn strangers_are_refused() -> Result<(), Failed> {
    let ours = hello();
    for (name, says, why) in [
        ("flag", ours.replace("true", "false"), "without `--cfg madsim`"),
        ("protocol", ours.replace(":1", ":2"), "version 2 of the protocol, expected 1"),
        ("version", ours.replace(env!("CARGO_PKG_VERSION"), "0.0.9"), "of Tribunal 0.0.9"),
        ("name", ours.replace("engine-", "other-"), "\"other-madsim\", expected"),
        ("garbage", "hello".to_owned(), "does not say who it is"),
        ("empty", String::new(), "does not say who it is"),
    ] {
        let program = impostor(name, &says, "cat >/dev/null")?;
        match Madsim::with(program, Duration::from_secs(5)) {
            Err(StartError::Worker { reason, .. }) if reason.contains(why) => {}
            other => return Err(format!("{name}: expected {why:?}, got {other:?}").into()),
        }
    }
    Ok(())
}

/// An installed program says how its worker is installed, and takes the one that is.
fn a_program_without_its_sources() -> Result<(), Failed> {
    let bin = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("installed/bin");
    fs::create_dir_all(&bin)?;
    let worker = bin.join("engine-madsim");
    let _before = fs::remove_file(&worker);
    let start = || Madsim::installed(Profile::Network, &bin.join("tribunal"), "/gone".into());
    let said = start().err().ok_or("there is no worker")?.to_string();
    for expected in ["not at /gone", "cargo install", "--cfg madsim", "installed"] {
        if !said.contains(expected) {
            return Err(format!("{expected:?} is not in: {said}").into());
        }
    }
    let other = hello().replace(env!("CARGO_PKG_VERSION"), "0.0.9");
    fs::rename(impostor("older", &other, "cat >/dev/null")?, &worker)?;
    let said = start().err().ok_or("its worker is of another version")?.to_string();
    if !said.contains("of Tribunal 0.0.9") {
        return Err(said.into());
    }
    fs::copy(engine_madsim::build()?, &worker)?;
    let verdict = start()?.judge("two_phase_commit", &case(1), false).0.verdict;
    if verdict == Verdict::Holds { Ok(()) } else { Err(verdict.to_string().into()) }
}

/// What an engine with such a worker says of a case.
fn verdict_of(program: PathBuf) -> Result<Verdict, Failed> {
    let engine = Madsim::with(program, Duration::from_millis(500))?;
    Ok(engine.judge("two_phase_commit", &case(1), false).0.verdict)
}

fn expect(verdict: &Verdict, signature: &str) -> Result<(), Failed> {
    match verdict.anomaly() {
        Some(anomaly) if anomaly.signature() == signature => Ok(()),
        _ => Err(format!("expected {signature}, got {verdict}").into()),
    }
}

fn a_worker_that_dies() -> Result<(), Failed> {
    expect(&verdict_of(impostor("dies", &hello(), "read line; kill -9 $$")?)?, "worker / died")?;
    let mumbles = impostor("mumbles", &hello(), "read line; echo nonsense; cat >/dev/null")?;
    expect(&verdict_of(mumbles)?, "worker / no answer")
}

/// The worker is killed, and the next one is asked.
fn a_case_without_an_end() -> Result<(), Failed> {
    let hangs = impostor("hangs", &hello(), "read line; exec sleep 60")?;
    let engine: Arc<dyn Engine> = Arc::new(Madsim::with(hangs, Duration::from_millis(300))?);
    for _ in 0..2 {
        let verdict = engine.judge("two_phase_commit", &case(1), false).0.verdict;
        expect(&verdict, "progress / livelock")?;
    }
    Ok(())
}

/// The worker of an ordinary build, such as this one, says what to do and ends.
fn a_worker_without_the_flag() -> Result<(), Failed> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(env!("CARGO"))
        .current_dir(root)
        .args(["run", "--locked", "--quiet", "--package", "engine-madsim", "--target-dir"])
        .arg(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(".."))
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match (output.status.code(), said.contains("--engine madsim")) {
        (Some(70), true) => Ok(()),
        (code, _) => Err(format!("exit {code:?}, and it says: {said}").into()),
    }
}
