//! Trials in tests: explore, and fail with a case that is small, saved and replayable.

use explorer::any::On;
use explorer::{
    AnyScenario, Budget, Exhibit, Progress, Report, ReproError, Scenario, Verdict, repro,
};
use std::path::{Path, PathBuf};

/// A campaign that is over, and its first failure, made small.
pub struct Explored {
    /// What it came to.
    pub report: Report,
    /// Its first failure.
    pub exhibit: Option<Exhibit>,
    /// Saved cases that are not as their status says, each with its story.
    pub contradicted: Vec<String>,
    repros: PathBuf,
    /// How its failure is seen again.
    again: Again,
}

/// How a failure is shown.
pub(crate) struct Show {
    /// It is made small.
    pub(crate) shrinking: bool,
    pub(crate) again: Again,
}

impl Default for Show {
    fn default() -> Self {
        Self { shrinking: true, again: Again::Call }
    }
}

/// How a failure is seen again.
pub(crate) enum Again {
    /// By a call, in a test of one's own.
    Call,
    /// By the test that found it, under that name.
    #[cfg_attr(not(madsim), expect(dead_code, reason = "only a service's trial says so"))]
    Test(String),
}

/// Puts a scenario on trial, after the cases that are saved of it in the package's `tests/repros`.
pub fn explore<S: Scenario>(scenario: &S, budget: Budget) -> Explored {
    trial(scenario, &budget, &kept(), root(), Show::default())
}

/// As [`explore`], with repros in another folder than `tests/repros`.
pub fn explore_with<S: Scenario>(scenario: &S, budget: Budget, repros: &Path) -> Explored {
    trial(scenario, &budget, repros, repros.to_owned(), Show::default())
}

pub(crate) fn trial<S: Scenario>(
    scenario: &S,
    budget: &Budget,
    kept: &Path,
    repros: PathBuf,
    show: Show,
) -> Explored {
    let engine = budget.narrow.engine.as_ref();
    // A planted bug changes what saved cases come to.
    let contradicted = match budget.narrow.mutant {
        None => {
            let paths = saved(scenario, kept);
            paths.iter().filter_map(|path| hold(scenario, engine, path).err()).collect()
        }
        Some(_) => Vec::new(),
    };
    let report = explorer::explore(scenario, budget, &Progress::default());
    let exhibit = report.findings.first().and_then(|finding| {
        // On another engine a run without an end costs its deadline, and shrinking runs many.
        let ends = engine.is_none() || finding.anomaly.class != "livelock";
        let shrinking = show.shrinking && ends;
        AnyScenario::exhibit(scenario, finding.seed, &budget.narrow, shrinking)
    });
    Explored { report, exhibit, contradicted, repros, again: show.again }
}

/// The package under test.
#[expect(clippy::disallowed_methods, reason = "a test entry point may read the environment")]
fn package() -> PathBuf {
    std::env::var("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default()
}

/// Where its repros are kept.
fn kept() -> PathBuf {
    package().join("tests/repros")
}

/// Where new ones go. A CI machine never writes to the source tree: what a failure of it says
/// stands below the folder that cargo builds in.
pub(crate) fn root() -> PathBuf {
    if !cli::in_ci() {
        return kept();
    }
    let test = std::env::current_exe().unwrap_or_default();
    let target = test.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    target.map_or_else(|| package().join("target"), Path::to_owned).join("tribunal/repros")
}

/// The saved cases of a scenario, without those of bugs planted in it.
fn saved<S: Scenario>(scenario: &S, root: &Path) -> Vec<PathBuf> {
    let folder = repro::folder(root, &Scenario::name(scenario), None);
    let mut paths = repro::below(&folder);
    paths.retain(|path| path.parent() == Some(&folder));
    paths
}

/// A path as people read and paste it: tests run in the folder of their package.
fn shown(path: &Path) -> String {
    path.strip_prefix(package()).unwrap_or(path).display().to_string()
}

impl Explored {
    /// The verdict on the scenario.
    pub fn verdict(&self) -> Verdict {
        self.report.verdict()
    }

    /// Passes over a scenario that holds, and whose saved cases are as their status says.
    ///
    /// # Panics
    /// If it does not: with the story of the smallest case and the file that it is saved in.
    #[track_caller]
    pub fn assert_holds(&self) {
        if let Some(broken) = &self.report.broken {
            panic!("{}: {broken:?}", self.report.scenario);
        }
        match (self.verdict(), &self.exhibit) {
            (_, Some(exhibit)) => panic!("{}", self.tell(exhibit)),
            (Verdict::Holds, None) => {}
            (verdict, None) => panic!("{}: {verdict}", self.report.scenario),
        }
        if let Some(first) = self.contradicted.first() {
            panic!("{first}");
        }
    }

    /// Passes over a scenario that is found broken: an exhibit, or one with a planted bug. Nothing
    /// is saved, for nothing is wrong.
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

    /// Saves the first failure, unless an open case with its signature and engine is saved
    /// already; says where it stands.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self) -> Option<Result<PathBuf, ReproError>> {
        let exhibit = self.exhibit.as_ref()?;
        let folder = repro::folder(&self.repros, &exhibit.scenario, exhibit.mutant.as_deref());
        Some(repro::keep(&folder, &exhibit.repro))
    }

    /// The verdict on the smallest case, and what happened in it.
    pub(crate) fn show(exhibit: &Exhibit) -> Vec<String> {
        let Exhibit { scenario, anomaly, seed, digest, nodes, after, story, .. } = exhibit;
        let digest = repro::hex(*digest);
        let mut lines = vec![
            format!("{scenario}   VIOLATED   {anomaly}"),
            format!(
                "  seed {seed} · digest {digest} · shrunk to {nodes} nodes, {} ops, {} faults",
                after.0, after.1
            ),
        ];
        lines.extend(story.iter().cloned());
        lines
    }

    pub(crate) fn tell(&self, exhibit: &Exhibit) -> String {
        let mut lines = Self::show(exhibit);
        match self.save() {
            Some(Ok(path)) => {
                let path = shown(&path);
                lines.push(format!("  saved    {path}"));
                lines.push(match &self.again {
                    Again::Call => format!("  replay   tribunal::replay(&scenario, {path:?})"),
                    Again::Test(name) => format!("  replay   cargo test {name}"),
                });
            }
            Some(Err(error)) => {
                lines.extend([format!("  unsaved  {error}"), exhibit.repro.clone()])
            }
            None => {}
        }
        // What a CI machine saves goes away with it.
        if cli::in_ci() {
            lines.push(exhibit.repro.clone());
        }
        lines.join("\n")
    }
}

/// Runs a saved case again and holds it to its status.
///
/// # Panics
/// If the file cannot be read; if an open one no longer fails with its signature; if a fixed one
/// fails, or has drifted: a placed fault finds no event, and it would be green for nothing.
#[track_caller]
pub fn replay<S: Scenario>(scenario: &S, path: impl AsRef<Path>) {
    if let Err(why) = hold(scenario, None, path.as_ref()) {
        panic!("{why}");
    }
}

fn hold<S: Scenario>(scenario: &S, engine: On<'_>, path: &Path) -> Result<(), String> {
    let replay = repro::read(path)
        .and_then(|text| AnyScenario::replay_on(scenario, engine, path, &text))
        .map_err(|error| error.to_string())?;
    let path = shown(path);
    replay.stands(path.as_ref()).map_err(|why| format!("{why}\n{}", replay.story.join("\n")))
}

/// Runs every saved case of a scenario in the package's `tests/repros`, and says how many.
///
/// # Panics
/// As [`replay`].
#[track_caller]
pub fn replay_all<S: Scenario>(scenario: &S) -> usize {
    let paths = saved(scenario, &kept());
    for path in &paths {
        replay(scenario, path);
    }
    paths.len()
}
