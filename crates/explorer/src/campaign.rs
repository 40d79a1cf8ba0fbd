//! A campaign: many seeds, all cores, one report that does not depend on how many there were.

use crate::engine::Runner;
use crate::generate::{Narrow, case_of_seed};
use crate::judge::{Outcome, Record};
use crate::measure::Metric;
use crate::planted;
use crate::repro;
use crate::scenario::{CaseFor, Expected, Scenario, Shape};
use checkers::{Anomaly, Verdict};
use node::mix;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use world::{Faults, Seed, TraceEvent, Uses};

/// How much to try, and of what.
#[derive(Clone, Debug)]
pub struct Budget {
    /// At most so many cases.
    pub seeds: u64,
    /// At most so long.
    pub time: Option<Duration>,
    /// Exactly this case and no other.
    pub only: Option<Seed>,
    /// Names the stream of seeds; a hash of the scenario's name if absent.
    pub campaign: Option<u64>,
    /// Which cases.
    pub narrow: Narrow,
    /// Worker threads; if absent as many as the engine likes, one per core on the heap engine. The
    /// report does not depend on it.
    pub jobs: Option<NonZero<usize>>,
    /// End at the first violation.
    pub first: bool,
}

impl Budget {
    /// So many seeds of the scenario's own stream, on every core.
    pub fn seeds(seeds: u64) -> Self {
        Self {
            seeds,
            time: None,
            only: None,
            campaign: None,
            narrow: Narrow::default(),
            jobs: None,
            first: false,
        }
    }
}

/// What others may watch while a campaign runs, and how they end it early.
#[derive(Debug, Default)]
pub struct Progress {
    /// Cases done.
    pub cases: AtomicU64,
    /// Engine steps done.
    pub steps: AtomicU64,
    /// Violations seen, the same one over again included.
    pub violations: AtomicU64,
    /// Set it, and the campaign ends with what it has.
    pub stop: AtomicBool,
}

/// How often a kind of fault was drawn, and how often it changed anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Cases that had it.
    pub drawn: u64,
    /// Cases in which it had an effect.
    pub effective: u64,
}

/// The first case that showed an anomaly, and how many more did.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Its index in the campaign.
    pub index: u64,
    /// Its seed.
    pub seed: Seed,
    /// The digest of its run.
    pub digest: u64,
    /// What is wrong.
    pub anomaly: Anomaly,
    /// Cases with this signature.
    pub count: u64,
}

/// A case that ran differently when it ran again, or an operation that its file changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Broken {
    /// Two runs of one case differ.
    Nondeterminism {
        /// The case.
        seed: Seed,
        /// The first event that differs.
        event: String,
    },
    /// A case does not survive its own file.
    File {
        /// The case.
        seed: Seed,
        /// What is lost.
        reason: String,
    },
}

/// What a campaign came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// The scenario.
    pub scenario: String,
    /// The planted bug, if one was.
    pub mutant: Option<String>,
    /// The stream of seeds.
    pub campaign: u64,
    /// Cases judged.
    pub cases: u64,
    /// Of all cases' digests, in the order of the seeds; of one case, its own.
    pub digest: u64,
    /// Engine steps.
    pub steps: u64,
    /// Messages that arrived.
    pub deliveries: u64,
    /// Operations begun, and those that took effect.
    pub operations: (u64, u64),
    /// Fault kinds, in the order of tables.
    pub faults: BTreeMap<&'static str, Tally>,
    /// Marks, with the cases that reached them. The scenario's own are there even if never reached.
    pub marks: BTreeMap<String, u64>,
    /// What runs were measured by.
    pub metrics: BTreeMap<Cow<'static, str>, Metric>,
    /// Cases whose verdict is unknown.
    pub unknown: u64,
    /// A reason of one of them.
    pub reason: Option<String>,
    /// One of each signature, in the order of their first cases.
    pub findings: Vec<Finding>,
    /// Why the campaign proves nothing, where that is so.
    pub vacuous: Vec<String>,
    /// The campaign could not go on.
    pub broken: Option<Broken>,
    /// It was ended early.
    pub interrupted: bool,
    /// Real time. Nothing else in here depends on it.
    pub elapsed: Duration,
    /// What it must show: a planted bug is to be found, unless it is a control.
    pub expected: Expected,
}

impl Report {
    /// The verdict on the scenario.
    pub fn verdict(&self) -> Verdict {
        if let Some(finding) = self.findings.first() {
            return Verdict::Violated(finding.anomaly.clone());
        }
        if let Some(why) = self.vacuous.first() {
            return Verdict::Unknown(why.clone());
        }
        match &self.reason {
            Some(reason) => Verdict::Unknown(reason.clone()),
            None if self.cases == 0 => Verdict::Unknown("no case was tried".into()),
            None => Verdict::Holds,
        }
    }

    /// Whether the verdict is the expected one.
    pub fn is_expected(&self) -> bool {
        match self.expected {
            Expected::Holds => self.verdict().holds(),
            Expected::Violated => self.verdict().is_violated(),
        }
    }

    /// Cases per second of real time.
    pub fn cases_per_second(&self) -> u64 {
        (u128::from(self.cases) * 1_000_000 / self.elapsed.as_micros().max(1)) as u64
    }

    /// Passes over a report whose scenario holds.
    ///
    /// # Panics
    /// With the findings, if the verdict is anything else: the way for a test to fail.
    pub fn assert_holds(&self) {
        let verdict = self.verdict();
        assert!(verdict.holds() && self.broken.is_none(), "{}: {verdict}", self.scenario);
    }
}

/// The stream of seeds that a name stands for.
pub fn campaign_of(name: &str) -> u64 {
    name.bytes().fold(0x7472_6962_756e_616c, |hash, byte| mix(hash, byte.into()))
}

/// The seed of a campaign's case.
pub fn seed_of(campaign: u64, index: u64) -> Seed {
    Seed(mix(campaign, index))
}

/// Puts a scenario on trial.
#[expect(clippy::disallowed_methods, reason = "a budget of real time, and how long it took")]
pub fn explore<S: Scenario>(scenario: &S, budget: &Budget, progress: &Progress) -> Report {
    let started = Instant::now();
    let campaign = budget.campaign.unwrap_or_else(|| campaign_of(&scenario.name()));
    let seeds = if budget.only.is_some() { 1 } else { budget.seeds };
    let engine = budget.narrow.engine.as_ref();
    let shared = Shared {
        block: if engine.is_some() { 1 } else { BLOCK },
        runner: Runner::narrowed(scenario, &budget.narrow),
        budget,
        progress,
        campaign,
        seeds,
        next: AtomicU64::new(0),
        last: AtomicU64::new(u64::MAX),
        deadline: budget.time.map(|time| started + time),
        merged: Mutex::new(Merged::default()),
    };
    let jobs = budget.jobs.or_else(|| engine?.jobs());
    let jobs = jobs.or_else(|| std::thread::available_parallelism().ok());
    let jobs = jobs.map_or(1, NonZero::get).min(seeds.div_ceil(shared.block).max(1) as usize);
    if jobs == 1 {
        shared.work();
    } else {
        std::thread::scope(|scope| {
            for _ in 0..jobs {
                scope.spawn(|| shared.work());
            }
        });
    }
    let merged = shared.merged.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let stats = merged.total;
    let interrupted = stats.cases < seeds && progress.stop.load(Ordering::Relaxed);
    stats.report(scenario, budget, campaign, started.elapsed(), interrupted)
}

/// Seeds are handed out in blocks: few enough to share evenly, enough to meet rarely. Cases on
/// another engine take so long that each is a block.
const BLOCK: u64 = 32;

/// Every so many cases, one is run twice.
const TWICE: u64 = 20;

/// So many cases of a campaign are written and read back.
const READ_BACK: u64 = 100;

struct Shared<'a, S: Scenario> {
    block: u64,
    runner: Runner<'a, S>,
    budget: &'a Budget,
    progress: &'a Progress,
    campaign: u64,
    seeds: u64,
    next: AtomicU64,
    /// Nothing behind this index counts.
    last: AtomicU64,
    deadline: Option<Instant>,
    merged: Mutex<Merged>,
}

impl<S: Scenario> Shared<'_, S> {
    fn work(&self) {
        loop {
            let block = self.next.fetch_add(1, Ordering::Relaxed);
            let first = block * self.block;
            if first >= self.seeds || first > self.last.load(Ordering::Relaxed) || self.is_over() {
                return;
            }
            let stats = self.block(first, (first + self.block).min(self.seeds));
            let mut merged = self.merged.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            merged.add(block, stats);
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a budget of real time")]
    fn is_over(&self) -> bool {
        self.progress.stop.load(Ordering::Relaxed)
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn block(&self, first: u64, end: u64) -> Stats {
        let mut stats = Stats { end: first, ..Stats::default() };
        for index in first..end {
            let seed = self.budget.only.unwrap_or_else(|| seed_of(self.campaign, index));
            let case = case_of_seed(self.runner.scenario(), seed, &self.budget.narrow);
            let outcome = self.runner.judge(&case);
            stats.end = index + 1;
            self.progress.cases.fetch_add(1, Ordering::Relaxed);
            self.progress.steps.fetch_add(outcome.steps, Ordering::Relaxed);
            stats.broken = self.doubt(index, seed, &case, &outcome);
            let violated = outcome.verdict.is_violated();
            if violated {
                self.progress.violations.fetch_add(1, Ordering::Relaxed);
            }
            stats.add(index, seed, case.drawn(), outcome);
            if stats.broken.is_some() || violated && self.budget.first {
                self.last.fetch_min(index, Ordering::Relaxed);
                stats.last = true;
                break;
            }
        }
        stats
    }

    /// Whether a case is what it says: it survives its file, and it runs the same again.
    fn doubt(
        &self,
        index: u64,
        seed: Seed,
        case: &CaseFor<S>,
        outcome: &Outcome,
    ) -> Option<Broken> {
        if (index < READ_BACK || outcome.verdict.is_violated())
            && let Err(reason) = repro::survives(case)
        {
            return Some(Broken::File { seed, reason });
        }
        if index.is_multiple_of(TWICE)
            && self.runner.is_deterministic()
            && self.runner.judge(case).digest != outcome.digest
        {
            let event = first_difference(&self.runner, case);
            return Some(Broken::Nondeterminism { seed, event });
        }
        None
    }
}

/// Runs a case again and again until two runs differ, and names the first event that does.
fn first_difference<S: Scenario>(runner: &Runner<'_, S>, case: &CaseFor<S>) -> String {
    let (_, first) = runner.record(case);
    for _ in 0..100 {
        let (_, again) = runner.record(case);
        if let Some(event) = differs(&first, &again) {
            return event;
        }
    }
    "the digests differ, but a hundred recorded runs were alike".into()
}

fn differs(a: &Record, b: &Record) -> Option<String> {
    let pairs = a.events.iter().zip(&b.events).enumerate();
    let tell = |index: usize, event: &TraceEvent| {
        let TraceEvent { at, node, what, text, .. } = event;
        format!("event {index}, {:?} on {node}: {what} {text}", Duration::from_nanos(*at))
    };
    for (index, (x, y)) in pairs {
        if x != y {
            return Some(format!("{} / {}", tell(index, x), tell(index, y)));
        }
    }
    let shorter = a.events.len().min(b.events.len());
    let longer = if a.events.len() > shorter { &a.events } else { &b.events };
    longer.get(shorter).map(|event| format!("{} / the end of the run", tell(shorter, event)))
}

/// What a block of consecutive cases came to.
#[derive(Clone, Debug, Default)]
struct Stats {
    /// The index behind the last case.
    end: u64,
    cases: u64,
    digest: u64,
    steps: u64,
    deliveries: u64,
    operations: (u64, u64),
    faults: Vec<Tally>,
    marks: BTreeMap<Cow<'static, str>, u64>,
    metrics: BTreeMap<Cow<'static, str>, Metric>,
    unknown: u64,
    reason: Option<String>,
    findings: BTreeMap<String, Finding>,
    uses: Uses,
    broken: Option<Broken>,
    /// The campaign ended in this block: what other workers did behind it does not count.
    last: bool,
}

impl Stats {
    fn add(&mut self, index: u64, seed: Seed, drawn: Faults, outcome: Outcome) {
        self.chain(1, outcome.digest);
        self.steps += outcome.steps;
        self.deliveries += outcome.deliveries;
        self.operations.0 += u64::from(outcome.operations.0);
        self.operations.1 += u64::from(outcome.operations.1);
        self.faults.resize(world::FaultKind::ALL.len(), Tally::default());
        for kind in drawn.iter() {
            self.faults[kind as usize].drawn += 1;
            self.faults[kind as usize].effective += u64::from(outcome.effective.has(kind));
        }
        for (mark, _) in outcome.marks {
            *self.marks.entry(mark).or_default() += 1;
        }
        for sample in outcome.samples {
            let metric = self.metrics.entry(sample.metric);
            metric.or_insert_with(|| Metric::new(sample.unit)).record(sample.value);
        }
        self.uses.wall |= outcome.uses.wall;
        self.uses.clock |= outcome.uses.clock;
        self.uses.disk |= outcome.uses.disk;
        match outcome.verdict {
            Verdict::Holds => {}
            Verdict::Unknown(reason) => {
                self.unknown += 1;
                self.reason.get_or_insert(reason);
            }
            Verdict::Violated(anomaly) => {
                let digest = outcome.digest;
                let found = Finding { index, seed, digest, anomaly, count: 0 };
                let entry = self.findings.entry(found.anomaly.signature());
                entry.or_insert(found).count += 1;
            }
        }
    }

    fn chain(&mut self, cases: u64, digest: u64) {
        self.digest = match (self.cases, cases) {
            (_, 0) => self.digest,
            (0, _) => digest,
            _ => mix(self.digest, digest),
        };
        self.cases += cases;
    }

    /// Adds what came behind.
    fn append(&mut self, later: Self) {
        self.end = later.end;
        self.chain(later.cases, later.digest);
        self.steps += later.steps;
        self.deliveries += later.deliveries;
        self.operations.0 += later.operations.0;
        self.operations.1 += later.operations.1;
        self.faults.resize(world::FaultKind::ALL.len(), Tally::default());
        for (mine, theirs) in self.faults.iter_mut().zip(&later.faults) {
            mine.drawn += theirs.drawn;
            mine.effective += theirs.effective;
        }
        for (mark, count) in later.marks {
            *self.marks.entry(mark).or_default() += count;
        }
        for (metric, theirs) in later.metrics {
            match self.metrics.get_mut(&metric) {
                Some(mine) => mine.append(&theirs),
                None => drop(self.metrics.insert(metric, theirs)),
            }
        }
        self.unknown += later.unknown;
        self.reason = self.reason.take().or(later.reason);
        for (signature, finding) in later.findings {
            match self.findings.get_mut(&signature) {
                Some(mine) => mine.count += finding.count,
                None => drop(self.findings.insert(signature, finding)),
            }
        }
        self.uses.wall |= later.uses.wall;
        self.uses.clock |= later.uses.clock;
        self.uses.disk |= later.uses.disk;
        self.broken = self.broken.take().or(later.broken);
        self.last |= later.last;
    }

    fn report<S: Scenario>(
        self,
        scenario: &S,
        budget: &Budget,
        campaign: u64,
        elapsed: Duration,
        interrupted: bool,
    ) -> Report {
        let shape = scenario.shape();
        let vacuous = self.vacuous(&shape, budget);
        let mut findings: Vec<Finding> = self.findings.into_values().collect();
        findings.sort_by_key(|finding| finding.index);
        let mut marks: BTreeMap<String, u64> =
            shape.marks.iter().map(|mark| ((*mark).to_owned(), 0)).collect();
        marks.extend(self.marks.into_iter().map(|(mark, count)| (mark.into_owned(), count)));
        let kinds = world::FaultKind::ALL.iter().zip(self.faults);
        Report {
            scenario: scenario.name(),
            mutant: budget.narrow.mutant.as_ref().map(ToString::to_string),
            campaign,
            cases: self.cases,
            digest: self.digest,
            steps: self.steps,
            deliveries: self.deliveries,
            operations: self.operations,
            faults: kinds
                .filter(|(_, tally)| tally.drawn > 0)
                .map(|(kind, tally)| (kind.name(), tally))
                .collect(),
            marks,
            metrics: self.metrics,
            unknown: self.unknown,
            reason: self.reason,
            findings,
            vacuous,
            broken: self.broken,
            interrupted,
            elapsed,
            expected: planted::expected(scenario, budget.narrow.mutant.as_ref()),
        }
    }

    /// Why these cases prove nothing, where that is so.
    fn vacuous(&self, shape: &Shape, budget: &Budget) -> Vec<String> {
        let mut reasons = Vec::new();
        if budget.only.is_some() {
            return reasons;
        }
        if self.cases > 0 && self.operations.1 == 0 {
            reasons.push(format!("vacuous: no operation succeeded in {} cases", self.cases));
        }
        let unused = self.nothing_to_act_on();
        for (kind, tally) in world::FaultKind::ALL.iter().zip(&self.faults) {
            if tally.drawn >= 100 && tally.effective == 0 && !unused.has(*kind) {
                let drawn = tally.drawn;
                reasons.push(format!("vacuous: {kind} was drawn in {drawn} cases without effect"));
            }
        }
        let engine = budget.narrow.engine.as_ref().map_or(Faults::ALL, |engine| engine.kinds());
        let narrowed = budget.narrow.faults.is_some()
            || budget.narrow.max_faults.is_some()
            || shape.faults.only(engine) != shape.faults;
        if self.cases >= 1000 && !narrowed {
            for mark in shape.marks.iter().filter(|mark| !self.marks.contains_key(**mark)) {
                reasons.push(format!("vacuous: mark {mark:?} was never reached"));
            }
        }
        reasons
    }

    /// Kinds that act on what no node has: a wall clock that nobody reads, a disk that nobody
    /// writes to. They prove nothing, and there is nothing to prove.
    fn nothing_to_act_on(&self) -> Faults {
        use world::FaultKind as K;
        let mut kinds = Faults::NONE;
        if !self.uses.wall {
            kinds = kinds.and(Faults::of(&[K::WallOffset, K::WallDrift, K::WallJump]));
        }
        if !self.uses.clock {
            kinds = kinds.and(Faults::of(&[K::Rate]));
        }
        if !self.uses.disk {
            let disk = [K::TornWrite, K::FailedSync, K::FullDisk, K::SlowSync];
            kinds = kinds.and(Faults::of(&disk));
        }
        kinds
    }
}

/// Blocks in the order of their seeds, whichever worker was first. What is contiguous from the
/// start is merged at once, so memory does not grow with the campaign.
#[derive(Default)]
struct Merged {
    total: Stats,
    blocks: u64,
    waiting: BTreeMap<u64, Stats>,
}

impl Merged {
    fn add(&mut self, block: u64, stats: Stats) {
        self.waiting.insert(block, stats);
        while !self.total.last
            && let Some(stats) = self.waiting.remove(&self.blocks)
        {
            self.total.append(stats);
            self.blocks += 1;
        }
    }
}
