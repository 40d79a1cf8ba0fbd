//! Scenarios with their types erased: what the command line, the registry and the fuzzer see.

use crate::campaign::{self, Budget, Progress, Report};
use crate::engine::{Engine, Runner};
use crate::generate::{Narrow, case_of_bytes, case_of_seed};
use crate::judge::{Outcome, Record, judge, judge_within};
use crate::repro::{self, Repro, ReproError, Status};
use crate::scenario::{CaseFor, Scenario, Shape};
use crate::shrink::{MOST_STEPS, Shrunk, shrink_on};
use crate::story;
use checkers::Anomaly;
use checkers::Verdict;
use std::path::Path;
use std::sync::Arc;
use world::{Edge, Fault, Place, Seed, TraceEvent};

/// A failing case, made small, in the form in which it is shown and saved.
#[derive(Clone, Debug)]
pub struct Exhibit {
    /// The scenario.
    pub scenario: String,
    /// The planted bug, if one is.
    pub mutant: Option<String>,
    /// The seed of the case as it was found.
    pub seed: Seed,
    /// The digest of that case's run.
    pub digest: u64,
    /// What is wrong.
    pub anomaly: Anomaly,
    /// Nodes of the small case.
    pub nodes: usize,
    /// Calls and faults before shrinking, random fates counted as faults if it was shrunk.
    pub before: (usize, usize),
    /// Calls and faults after.
    pub after: (usize, usize),
    /// Runs that shrinking took.
    pub runs: u64,
    /// What happened, in columns.
    pub story: Vec<String>,
    /// The text of the repro file.
    pub repro: String,
}

/// How a replay compares with its file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Replayed {
    /// It fails, with the file's signature.
    Reproduces,
    /// It holds, and every placed fault found its event.
    Passes,
    /// It says something else, and why.
    Drifted(String),
}

/// A repro, run again.
#[derive(Clone, Debug)]
pub struct Replay {
    /// What its file says of it.
    pub status: Status,
    /// How it compares.
    pub replayed: Replayed,
    /// What it came to.
    pub outcome: Outcome,
    /// The digest that the file names.
    pub expected_digest: String,
    /// What happened, in columns.
    pub story: Vec<String>,
    /// Every event.
    pub events: Vec<TraceEvent>,
    /// The machines' names, for `events`.
    pub names: Vec<String>,
}

impl Replay {
    /// Whether it is as its status says: an open one fails with its signature, a fixed one holds
    /// and every placed fault finds its event, or it would be green for nothing.
    ///
    /// # Errors
    /// Says what is otherwise, and what to do about it.
    pub fn stands(&self, path: &Path) -> Result<(), String> {
        let shown = path.display();
        match (self.status, &self.replayed) {
            (Status::Open, Replayed::Reproduces) | (Status::Fixed, Replayed::Passes) => Ok(()),
            (Status::Open, Replayed::Passes) => {
                Err(format!("{shown}: open, but it passes: set its status to \"fixed\""))
            }
            (Status::Fixed, Replayed::Reproduces) => {
                Err(format!("{shown}: fixed, but it fails: {}", self.outcome.verdict))
            }
            (_, Replayed::Drifted(why)) => Err(format!(
                "{shown}: drifted: {why}; `tribunal shrink --refit {shown}` places its faults again"
            )),
        }
    }

    /// What to note where the run is not the one that was saved, event for event: the code has
    /// changed since. The verdict decides, and this does not.
    pub fn note(&self) -> Option<String> {
        let digest = repro::hex(self.outcome.digest);
        (digest != self.expected_digest).then(|| {
            format!("digest {digest}, saved as {}: the code has changed", self.expected_digest)
        })
    }
}

/// The engine to run on, if it is not the heap engine.
pub type On<'a> = Option<&'a Arc<dyn Engine>>;

/// A scenario as the registry knows it.
pub trait AnyScenario: Send + Sync {
    /// Its name.
    fn name(&self) -> String;
    /// One line about it.
    fn about(&self) -> String;
    /// Its shape.
    fn shape(&self) -> Shape;
    /// The ids of its own planted bugs, with one line about each.
    fn mutants(&self) -> Vec<(&'static str, &str)>;
    /// Puts it on trial.
    fn explore(&self, budget: &Budget, progress: &Progress) -> Report;
    /// Runs one seed, makes its failure small and tells it; `None` if it does not fail.
    fn exhibit(&self, seed: Seed, narrow: &Narrow, shrinking: bool) -> Option<Exhibit>;
    /// Runs a saved case again, on the heap engine.
    ///
    /// # Errors
    /// If its text is not a repro of this scenario.
    fn replay(&self, path: &Path, text: &str) -> Result<Replay, ReproError> {
        self.replay_on(None, path, text)
    }
    /// As [`AnyScenario::replay`], on another engine.
    ///
    /// # Errors
    /// If its text is not a repro of this scenario.
    fn replay_on(&self, engine: On<'_>, path: &Path, text: &str) -> Result<Replay, ReproError>;
    /// As [`AnyScenario::replay`]; a run that takes more steps than that is given up as a livelock.
    ///
    /// # Errors
    /// If its text is not a repro of this scenario.
    fn replay_within(&self, path: &Path, text: &str, steps: u64) -> Result<Replay, ReproError>;
    /// Makes a saved case smaller. `None` if it does not fail.
    ///
    /// # Errors
    /// If its text is not a repro of this scenario.
    fn shrink(
        &self,
        engine: On<'_>,
        path: &Path,
        text: &str,
    ) -> Result<Option<Exhibit>, ReproError>;
    /// The text of a repro whose faults that find no event are placed again, near where they were.
    ///
    /// # Errors
    /// If its text is not a repro of this scenario.
    fn refit(&self, engine: On<'_>, path: &Path, text: &str) -> Result<String, ReproError>;
    /// Runs the case that bytes spell.
    fn fuzz(&self, bytes: &[u8], narrow: &Narrow) -> Outcome;
    /// Runs the case that bytes spell, makes its failure small and tells it; `None` if it does not
    /// fail. Bytes mean something else with every change of the generator; the repro stays.
    fn exhibit_bytes(&self, bytes: &[u8], narrow: &Narrow) -> Option<Exhibit>;
    /// The text of the case that bytes spell.
    ///
    /// # Errors
    /// If the engine or the scenario does not accept the case: a bug of the generator, or of a
    /// scenario whose cluster its own `valid` refuses.
    fn bytes_text(&self, bytes: &[u8], narrow: &Narrow) -> Result<String, String>;
    /// The text of a seed's case.
    fn case_text(&self, seed: Seed, narrow: &Narrow) -> String;
}

impl<S: Scenario> AnyScenario for S {
    fn name(&self) -> String {
        Scenario::name(self)
    }

    fn about(&self) -> String {
        Scenario::about(self)
    }

    fn shape(&self) -> Shape {
        Scenario::shape(self)
    }

    fn mutants(&self) -> Vec<(&'static str, &str)> {
        Scenario::mutants(self).iter().map(|planted| (planted.id, &*planted.about)).collect()
    }

    fn explore(&self, budget: &Budget, progress: &Progress) -> Report {
        campaign::explore(self, budget, progress)
    }

    fn exhibit(&self, seed: Seed, narrow: &Narrow, shrinking: bool) -> Option<Exhibit> {
        let runner = Runner::new(self, narrow.engine.as_ref());
        exhibit_on(runner, case_of_seed(self, seed, narrow), shrinking)
    }

    fn replay_on(&self, engine: On<'_>, path: &Path, text: &str) -> Result<Replay, ReproError> {
        let repro = repro::parse(self, path, text)?;
        let ran = Runner::new(self, engine).record(&repro.case);
        Ok(replayed(self, repro, ran))
    }

    fn replay_within(&self, path: &Path, text: &str, steps: u64) -> Result<Replay, ReproError> {
        let repro = repro::parse(self, path, text)?;
        let ran = judge_within(self, &repro.case, Some(steps));
        Ok(replayed(self, repro, ran))
    }

    fn shrink(
        &self,
        engine: On<'_>,
        path: &Path,
        text: &str,
    ) -> Result<Option<Exhibit>, ReproError> {
        let case = repro::parse(self, path, text)?.case;
        Ok(exhibit_on(Runner::new(self, engine), case, true))
    }

    fn refit(&self, engine: On<'_>, path: &Path, text: &str) -> Result<String, ReproError> {
        let mut repro = repro::parse(self, path, text)?;
        let runner = Runner::new(self, engine);
        place_again(&runner, &mut repro);
        repro.digest = repro::hex(runner.judge(&repro.case).digest);
        repro.to_text().map_err(|reason| ReproError::Text { path: path.to_owned(), reason })
    }

    fn fuzz(&self, bytes: &[u8], narrow: &Narrow) -> Outcome {
        judge(self, &case_of_bytes(self, bytes, narrow))
    }

    fn exhibit_bytes(&self, bytes: &[u8], narrow: &Narrow) -> Option<Exhibit> {
        exhibit_on(Runner::new(self, None), case_of_bytes(self, bytes, narrow), true)
    }

    fn bytes_text(&self, bytes: &[u8], narrow: &Narrow) -> Result<String, String> {
        let case = case_of_bytes(self, bytes, narrow);
        case.check()?;
        if !self.valid(&case) {
            return Err("the scenario does not speak of this case".into());
        }
        toml::to_string(&case).map_err(|error| format!("cannot be written: {error}"))
    }

    fn case_text(&self, seed: Seed, narrow: &Narrow) -> String {
        let case = case_of_seed(self, seed, narrow);
        toml::to_string(&case).unwrap_or_else(|error| format!("# cannot be written: {error}"))
    }
}

/// How often a case is run where runs differ, until it fails.
const TRIES: u32 = 10;

/// Makes a failing case small and tells it; `None` if it does not fail.
pub fn exhibit<S: Scenario>(scenario: &S, case: CaseFor<S>, shrinking: bool) -> Option<Exhibit> {
    exhibit_on(Runner::new(scenario, None), case, shrinking)
}

fn exhibit_on<S: Scenario>(
    runner: Runner<'_, S>,
    case: CaseFor<S>,
    shrinking: bool,
) -> Option<Exhibit> {
    let scenario = runner.scenario();
    // Where no run is like another, a failure is waited for, and kept as it comes: what shrinking
    // would leave out might only have failed to fail.
    let certain = runner.is_deterministic();
    let tries = if certain { 1 } else { TRIES };
    let found = (0..tries).map(|_| runner.judge(&case)).find(|run| run.verdict.is_violated())?;
    let (seed, signature) = (case.seed, found.verdict.anomaly()?.signature());
    let size = (case.calls.len(), case.faults.len());
    let shrunk = if shrinking && certain {
        smallest(runner, case, &signature)
    } else {
        Shrunk { case, runs: 0, steps: 0, before: size, after: size }
    };
    let Shrunk { case, runs, before, after, .. } = shrunk;
    let recorded = (0..tries).map(|_| runner.record(&case));
    let (outcome, record) = recorded.into_iter().find(|(run, _)| run.verdict.is_violated())?;
    let anomaly = outcome.verdict.anomaly()?.clone();
    let story = story::tell(&record, &case.faults, &names(scenario, &case));
    Some(Exhibit {
        scenario: Scenario::name(scenario),
        mutant: case.mutant.as_ref().map(ToString::to_string),
        seed,
        digest: found.digest,
        nodes: case.nodes.len(),
        before,
        after,
        runs,
        story,
        repro: Repro::open(&anomaly, outcome.digest, case)
            .on(runner.engine_name())
            .to_text()
            .unwrap_or_default(),
        anomaly,
    })
}

/// Shrinks a case, and others with the same signature, most of them small from the start: a large
/// case shrinks to a near minimum, and not always to the smallest one.
fn smallest<S: Scenario>(
    runner: Runner<'_, S>,
    case: CaseFor<S>,
    signature: &str,
) -> Shrunk<CaseFor<S>> {
    let (seed, mutant) = (case.seed, case.mutant.clone());
    let mut best = shrink_on(runner, case, signature);
    let size = |shrunk: &Shrunk<CaseFor<S>>| shrunk.after.0 + 2 * shrunk.after.1;
    let faults = Some(runner.kinds());
    let mut narrow = Narrow { mutant, faults, ..Narrow::default() };
    let mut hits = 0;
    for index in 0..OTHER_SEEDS {
        // A few placed faults find what needs one at the right moment, random fates the rest; what
        // is too rare for small cases is sought in large ones.
        narrow.max_faults = index.is_multiple_of(2).then_some(2);
        narrow.max_calls = (index % 4 != 3).then_some(4);
        let case = case_of_seed(runner.scenario(), campaign::seed_of(seed.0, index), &narrow);
        best.runs += 1;
        let outcome = runner.judge(&case);
        best.steps += outcome.steps;
        if outcome.verdict.anomaly().is_some_and(|anomaly| anomaly.signature() == signature) {
            let other = shrink_on(runner, case, signature);
            best.runs += other.runs;
            best.steps += other.steps;
            if size(&other) < size(&best) {
                (best.case, best.after) = (other.case, other.after);
            }
            hits += 1;
        }
        if hits == OTHER_HITS || best.steps >= MOST_STEPS {
            break;
        }
    }
    best
}

/// Cases that are tried beside the one that was found, and how many that fail alike are enough.
const OTHER_SEEDS: u64 = 10_000;
const OTHER_HITS: u32 = 10;

fn names<S: Scenario>(scenario: &S, case: &CaseFor<S>) -> Vec<String> {
    let servers = (0..case.nodes.len() as u16).map(node::NodeId);
    let servers = servers.map(|node| scenario.role(&case.nodes, node));
    servers.chain((0..case.clients.count).map(|client| format!("client {client}"))).collect()
}

/// Compares a run with the repro that it is of.
fn replayed<S: Scenario>(
    scenario: &S,
    repro: Repro<CaseFor<S>>,
    (outcome, record): (Outcome, Record),
) -> Replay {
    let replayed = compare(&repro, &outcome, &record);
    let names = names(scenario, &repro.case);
    Replay {
        status: repro.status,
        replayed,
        outcome,
        expected_digest: repro.digest,
        story: story::tell(&record, &repro.case.faults, &names),
        events: record.events,
        names,
    }
}

fn compare<C>(repro: &Repro<C>, outcome: &Outcome, record: &Record) -> Replayed {
    let expected = &repro.signature;
    match &outcome.verdict {
        Verdict::Violated(anomaly) if anomaly.signature() == *expected => Replayed::Reproduces,
        Verdict::Violated(anomaly) => Replayed::Drifted(format!(
            "another signature: {}, expected {expected}",
            anomaly.signature()
        )),
        Verdict::Unknown(why) => Replayed::Drifted(format!("undecided: {why}")),
        Verdict::Holds => match record.missed.first() {
            None => Replayed::Passes,
            Some(fault) => Replayed::Drifted(format!(
                "fault {} ({}) finds no event at {}",
                fault.id,
                fault.kind.kind(),
                place(fault)
            )),
        },
    }
}

/// A place in words.
fn place(fault: &Fault) -> String {
    match &fault.place {
        Place::At(at) => format!("{at:?}"),
        Place::Effect { edge, node, effect, nth, .. } => {
            let edge = match edge {
                Edge::Before => "before",
                Edge::During => "during",
                Edge::After => "after",
            };
            format!("{edge} {effect} number {nth} of {node}")
        }
        Place::Message(address) => format!(
            "message {} of {} from {} to {}",
            address.nth, address.origin, address.from, address.to
        ),
        Place::Call(call) => format!("call {call}"),
    }
}

/// Searches near the place of each fault that finds no event, and puts it where the file's verdict
/// comes back; or, if none brings it back, where it strikes at all.
fn place_again<S: Scenario>(runner: &Runner<'_, S>, repro: &mut Repro<CaseFor<S>>) {
    let missed = runner.record(&repro.case).1.missed;
    for fault in missed {
        let Some(index) = repro.case.faults.iter().position(|f| f.id == fault.id) else { continue };
        let mut striking = None;
        for place in near(&fault.place) {
            let mut case = repro.case.clone();
            case.faults[index].place = place;
            let (outcome, record) = runner.record(&case);
            let same = outcome.verdict.anomaly().is_some_and(|a| a.signature() == repro.signature);
            if same {
                striking = Some(case);
                break;
            }
            if striking.is_none() && record.missed.iter().all(|f| f.id != fault.id) {
                striking = Some(case);
            }
        }
        if let Some(case) = striking {
            repro.case = case;
        }
    }
}

fn near(place: &Place) -> Vec<Place> {
    let mut places = Vec::new();
    match place {
        Place::Effect { node, effect, .. } => {
            // The same effect elsewhere, then its kind, then whatever the node does.
            let kind = world::EffectPattern { kind: effect.kind, variant: None };
            let any = world::EffectPattern { kind: None, variant: None };
            let mut patterns = vec![effect.clone(), kind, any];
            patterns.dedup();
            for effect in patterns {
                for nth in 1..=16 {
                    for edge in [Edge::After, Edge::Before, Edge::During] {
                        let (node, effect) = (*node, effect.clone());
                        places.push(Place::Effect { edge, node, effect, origin: None, nth });
                    }
                }
            }
        }
        Place::Message(address) => {
            for nth in 1..=8 {
                places.push(Place::Message(world::Address { nth, ..*address }));
            }
        }
        Place::At(_) | Place::Call(_) => {}
    }
    places
}
