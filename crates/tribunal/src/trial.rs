//! Trials in tests: explore, and fail with a case that is small, saved and replayable.

use explorer::{Budget, Exhibit, Progress, Replayed, Report, Scenario, Status, Verdict, repro};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A campaign that is over, and its first failure, made small.
pub struct Trial {
    /// What it came to.
    pub report: Report,
    /// Its first failure.
    pub exhibit: Option<Exhibit>,
    saved: Option<PathBuf>,
}

/// Puts a scenario on trial, after its saved repros.
pub fn explore<S: Scenario>(scenario: &S, budget: Budget) -> Trial {
    explore_with(scenario, budget, &root())
}

/// As [`explore`], with repros in another folder than `tests/repros`.
pub fn explore_with<S: Scenario>(scenario: &S, budget: Budget, repros: &Path) -> Trial {
    let report = explorer::explore(scenario, &budget, &Progress::default());
    let finding = report.findings.first();
    let exhibit = finding.and_then(|finding| {
        explorer::AnyScenario::exhibit(scenario, finding.seed, &budget.narrow, true)
    });
    let saved = exhibit.as_ref().and_then(|exhibit| {
        let folder = repro::folder(repros, &exhibit.scenario, exhibit.mutant.as_deref());
        repro::save(&folder, &exhibit.repro).ok()
    });
    Trial { report, exhibit, saved }
}

/// Where a test's repros stand: in the source tree of the package under test; under CI, which
/// writes nothing there, in `target`.
#[expect(clippy::disallowed_methods, reason = "a test entry point may read the environment")]
fn root() -> PathBuf {
    let package = std::env::var("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let in_ci = std::env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false");
    package.join(if in_ci { "target/tribunal/repros" } else { "tests/repros" })
}

impl Trial {
    /// The verdict on the scenario.
    pub fn verdict(&self) -> Verdict {
        self.report.verdict()
    }

    /// Passes over a scenario that holds.
    ///
    /// # Panics
    /// If it does not: with the story of the smallest case, the file it is saved in, and its text
    /// where it could not be saved.
    #[track_caller]
    pub fn assert_holds(&self) {
        if let Some(broken) = &self.report.broken {
            panic!("{}: {broken:?}", self.report.scenario);
        }
        match (self.verdict(), &self.exhibit) {
            (Verdict::Holds, _) => {}
            (_, Some(exhibit)) => panic!("{}", self.tell(exhibit)),
            (verdict, None) => panic!("{}: {verdict}", self.report.scenario),
        }
    }

    /// Passes over a scenario that is found broken: an exhibit, or one with a planted bug.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn assert_violated(&self) -> &Exhibit {
        match &self.exhibit {
            Some(exhibit) => exhibit,
            None => panic!(
                "{}: {} in {} cases, expected a violation",
                self.report.scenario,
                self.verdict(),
                self.report.cases
            ),
        }
    }

    fn tell(&self, exhibit: &Exhibit) -> String {
        let mut text = String::new();
        let Exhibit { scenario, anomaly, seed, digest, after, story, .. } = exhibit;
        let _infallible = writeln!(text, "{scenario}   VIOLATED   {anomaly}");
        let _infallible = writeln!(
            text,
            "  seed {seed} · digest {} · {} ops, {} faults",
            repro::hex(*digest),
            after.0,
            after.1
        );
        for line in story {
            let _infallible = writeln!(text, "{line}");
        }
        match &self.saved {
            Some(path) => {
                let _infallible = writeln!(text, "  saved    {}", path.display());
                let path = path.display();
                let _infallible = write!(text, "  replay   tribunal::replay(&scenario, {path:?})");
            }
            None => text.push_str(&exhibit.repro),
        }
        text
    }
}

/// Runs a saved case again and holds it to its status.
///
/// # Panics
/// If the file cannot be read; if an open one no longer fails with its signature; if a fixed one
/// fails, or has drifted: a placed fault finds no event, and it would be green for nothing.
#[track_caller]
pub fn replay<S: Scenario>(scenario: &S, path: impl AsRef<Path>) {
    let path = path.as_ref();
    let replay = repro::read(path)
        .and_then(|text| explorer::AnyScenario::replay(scenario, path, &text))
        .unwrap_or_else(|error| panic!("{error}"));
    let story = || replay.story.join("\n");
    let shown = path.display();
    match (replay.status, &replay.replayed) {
        (Status::Open, Replayed::Reproduces) | (Status::Fixed, Replayed::Passes) => {}
        (Status::Open, Replayed::Passes) => {
            panic!("{shown}: open, but it passes: set its status to \"fixed\"\n{}", story())
        }
        (Status::Fixed, Replayed::Reproduces) => {
            panic!("{shown}: fixed, but it fails: {}\n{}", replay.outcome.verdict, story())
        }
        (_, Replayed::Drifted(why)) => panic!(
            "{shown}: drifted: {why}; `tribunal shrink --refit {shown}` places its faults again\n{}",
            story()
        ),
    }
}

/// Runs every saved case of a scenario in the package's `tests/repros`, and says how many.
///
/// # Panics
/// As [`replay`].
#[track_caller]
pub fn replay_all<S: Scenario>(scenario: &S) -> usize {
    let folder = repro::folder(&root(), &scenario.name(), None);
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    paths.sort();
    for path in &paths {
        replay(scenario, path);
    }
    paths.len()
}
