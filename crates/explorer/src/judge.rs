//! One run of one case, from the first event to the verdict.

use crate::measure::Sample;
use crate::planted;
use crate::scenario::{CaseFor, Run, Scenario};
use checkers::{Anomaly, Verdict};
use node::NodeId;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use world::{Drawn, End, Fault, Faults, Scene, TraceEvent, Uses, World};

/// What a run came to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// What the scenario says of it.
    pub verdict: Verdict,
    /// The digest of its trace.
    pub digest: u64,
    /// Virtual nanoseconds at its end.
    pub ended_at: u64,
    /// Steps of the engine.
    pub steps: u64,
    /// Messages that arrived.
    pub deliveries: u64,
    /// Operations begun, and those that took effect.
    pub operations: (u32, u32),
    /// Fault kinds that changed what happened.
    pub effective: Faults,
    /// What was worth counting.
    pub marks: Vec<(Cow<'static, str>, u32)>,
    /// What nodes made use of.
    pub uses: Uses,
    /// What was measured, if it holds.
    pub samples: Vec<Sample>,
}

impl Outcome {
    /// Of a case that was not run.
    pub(crate) fn unknown(reason: String) -> Self {
        Self::of(Verdict::Unknown(reason))
    }

    /// That of a run of which nothing is known but that it is a finding.
    pub fn violated(
        checker: &'static str,
        class: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self::of(Verdict::violated(checker, class, message))
    }

    /// A verdict, and nothing else.
    fn of(verdict: Verdict) -> Self {
        Self {
            verdict,
            digest: 0,
            ended_at: 0,
            steps: 0,
            deliveries: 0,
            operations: (0, 0),
            effective: Faults::NONE,
            marks: Vec::new(),
            uses: Uses::default(),
            samples: Vec::new(),
        }
    }
}

/// What a run left for a person to look at.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Record {
    /// Every event.
    pub events: Vec<TraceEvent>,
    /// The random fates, as placed faults.
    pub drawn: Vec<Drawn>,
    /// Placed faults that found nothing to strike.
    pub missed: Vec<Fault>,
}

/// Runs a case and judges it. A panic in a node or in the scenario is a finding.
pub fn judge<S: Scenario>(scenario: &S, case: &CaseFor<S>) -> Outcome {
    watched(scenario, case, Watch::default()).0
}

/// As [`judge`], and keeps every event. The outcome is the same.
pub fn judge_recorded<S: Scenario>(scenario: &S, case: &CaseFor<S>) -> (Outcome, Record) {
    watched(scenario, case, Watch { record: true, ..Watch::default() })
}

/// As [`judge_recorded`], with another bound on the engine's steps.
pub(crate) fn judge_within<S: Scenario>(
    scenario: &S,
    case: &CaseFor<S>,
    steps: Option<u64>,
) -> (Outcome, Record) {
    watched(scenario, case, Watch { record: true, steps, ..Watch::default() })
}

/// What is wanted of a run beside its outcome.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Watch<'a> {
    /// Every event.
    pub(crate) record: bool,
    /// Another bound on the engine's steps.
    pub(crate) steps: Option<u64>,
    /// A checker whose findings do not count.
    pub(crate) deaf_to: Option<&'a str>,
}

impl Watch<'_> {
    /// What is left of a verdict.
    fn hear(&self, verdict: Verdict) -> Verdict {
        let unheard = verdict.anomaly().is_some_and(|a| self.deaf_to == Some(&*a.checker));
        if unheard { Verdict::Holds } else { verdict }
    }
}

/// Runs a case on the right node, or on the broken one that it names.
pub(crate) fn watched<S: Scenario>(
    scenario: &S,
    case: &CaseFor<S>,
    watch: Watch<'_>,
) -> (Outcome, Record) {
    match planted::own(scenario, case.mutant.as_ref()) {
        Ok(None) => run(scenario, World::new(case), case, watch),
        Ok(Some(planted)) => planted.run(case, watch),
        // Whoever reads a case refuses it before this.
        Err(reason) => (Outcome::unknown(reason), Record::default()),
    }
}

/// Runs a world of this case to its end.
pub(crate) fn run<S: Scenario>(
    scenario: &S,
    mut world: World<S::Node>,
    case: &CaseFor<S>,
    watch: Watch<'_>,
) -> (Outcome, Record) {
    if watch.record {
        world.record();
    }
    if let Some(steps) = watch.steps {
        world.limit_steps(steps);
    }
    let judged = catch(|| {
        let mut invariant = scenario.invariant();
        while world.step() {
            let verdict = watch.hear(invariant(&world));
            if verdict.is_violated() {
                return (verdict, Vec::new());
            }
        }
        let run = Run { case, scene: &world };
        conclude(scenario, &run, ended(world.end()), |verdict| watch.hear(verdict))
    });
    let (verdict, samples) =
        judged.unwrap_or_else(|panic| (panic.verdict(world.running()), Vec::new()));
    let run = Run { case, scene: &world };
    let outcome = Outcome {
        verdict,
        digest: world.digest(),
        ended_at: world.now(),
        steps: world.steps(),
        deliveries: world.deliveries(),
        operations: run.counts(),
        effective: world.effective(),
        marks: world.marks().iter().map(|(mark, times)| (Cow::Borrowed(*mark), *times)).collect(),
        uses: world.uses(),
        samples,
    };
    let record = match watch.record {
        false => Record::default(),
        true => Record {
            events: world.events().to_vec(),
            drawn: world.drawn().to_vec(),
            missed: world.missed(),
        },
    };
    (outcome, record)
}

/// What a scenario says of a run in which nothing was wrong so far, and what it measured. `hear` is
/// what is left of each verdict.
pub fn conclude<S: Scenario>(
    scenario: &S,
    run: &Run<S::Node>,
    so_far: Verdict,
    hear: impl Fn(Verdict) -> Verdict,
) -> (Verdict, Vec<Sample>) {
    let checked = hear(so_far).and_then(|| hear(scenario.check(run)));
    let verdict = checked.and_then(|| hear(scenario.progress(run)));
    let samples = if verdict.holds() { scenario.measure(run) } else { Vec::new() };
    (verdict, samples)
}

/// What the end of a run says by itself.
pub fn ended(end: End) -> Verdict {
    match end {
        End::Running | End::Quiet | End::Time => Verdict::Holds,
        End::Steps => Verdict::violated(
            "progress",
            "livelock",
            "the run takes more steps than any honest run does and makes no end",
        ),
        End::Misuse(node) => Verdict::violated(
            "engine",
            "no such way",
            format!("{node} answers a request that it was never asked, or sends to a client"),
        ),
    }
}

/// A panic that was caught.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Panic {
    /// What it said.
    pub message: String,
    /// File and line.
    pub place: String,
}

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    static CAUGHT: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// Runs `f` and catches a panic in it, in silence: it will be told as a finding.
///
/// # Errors
/// The panic.
pub fn catch<T>(f: impl FnOnce() -> T) -> Result<T, Panic> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !CATCHING.get() {
                return before(info);
            }
            let place = info.location().map_or(String::new(), |at| {
                let file = at.file().rsplit('/').next().unwrap_or_default();
                format!("{file}:{}", at.line())
            });
            CAUGHT.set(Some(Panic { message: message(info.payload()), place }));
        }));
    });
    let before = CATCHING.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    CATCHING.set(before);
    result.map_err(|payload| {
        CAUGHT.take().unwrap_or_else(|| Panic { message: message(&*payload), place: String::new() })
    })
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".into())
}

impl Panic {
    /// As a finding: in a node, or in the scenario.
    pub fn verdict(self, running: Option<NodeId>) -> Verdict {
        let who = running.map_or("the scenario".to_owned(), |node| node.to_string());
        Verdict::Violated(Anomaly {
            checker: "panic".into(),
            class: "panic".into(),
            place: self.place.clone().into(),
            message: format!("{who} panics at {}: {}", self.place, self.message),
        })
    }
}
