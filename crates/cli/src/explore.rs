//! `tribunal explore`: searches for the seed that breaks a scenario.

use crate::exit::{self, Failure};
use crate::results::{Results, say};
use crate::{Registry, engines, find, nearest, output, repros};
use clap::Args;
use explorer::any::On;
use explorer::{
    AnyScenario, Broken, Budget, Engine, Expected, Narrow, Progress, Report, Verdict, repro,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use node::MutationKind;
use std::io::IsTerminal as _;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use world::{Faults, Mutant, Seed};

/// Cases of a scenario when nothing is said.
const DEFAULT_SEEDS: u64 = 20_000;

/// Put scenarios on trial; no name: every one in turn, in one table
#[derive(Args, Default)]
#[command(after_help = "Examples:\n  tribunal explore bank --seeds 100000\n  \
    tribunal explore two_phase_commit --mutant send_before_force")]
pub(crate) struct Arguments {
    /// Scenarios by name; `tribunal list` shows them
    scenarios: Vec<String>,
    /// How many cases of each
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// How long for each, such as 30s or 5m
    #[arg(long, value_name = "TIME", conflicts_with = "seeds", value_parser = duration)]
    budget: Option<Duration>,
    /// Run exactly this one case, such as 0x29
    #[arg(long, value_name = "S", conflicts_with_all = ["seeds", "budget"])]
    seed: Option<Seed>,
    /// At most so many faults a case, all of them placed; no random fates
    #[arg(long, value_name = "N")]
    max_faults: Option<u16>,
    /// Only these kinds of faults, separated by commas; `none` for calm runs
    #[arg(long, value_name = "KINDS", value_parser = faults)]
    faults: Option<Faults>,
    /// Where cases run [default: heap]
    #[arg(long, value_name = "ENGINE")]
    engine: Option<String>,
    /// Plant a bug; `tribunal list` shows them
    #[arg(long, value_name = "ID")]
    mutant: Option<Mutant>,
    /// Name another stream of seeds: a number, 0x… or decimal
    #[arg(long, value_name = "C")]
    campaign: Option<Seed>,
    /// Worker threads; the result does not depend on it
    #[arg(long, value_name = "J")]
    jobs: Option<NonZero<usize>>,
    /// End each scenario at its first violation
    #[arg(long)]
    first: bool,
    /// Leave failing cases as large as they are
    #[arg(long)]
    no_shrink: bool,
    /// Print JSON lines instead of tables and stories
    #[arg(long)]
    json: bool,
    /// Write the JSON lines to a file too
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Where repros are saved [default: tests/repros, in CI target/tribunal/repros]
    #[arg(long, value_name = "DIR")]
    repros: Option<PathBuf>,
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: Option<u64> = digits.parse().ok();
    let unit = match &text[digits.len()..] {
        "ms" => Some(1),
        "s" | "" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let millis = number.zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
    millis.map(Duration::from_millis).ok_or_else(|| "expected a time such as 30s, 5m or 1h".into())
}

fn faults(text: &str) -> Result<Faults, String> {
    let mut kinds = Faults::NONE;
    if text != "none" {
        for name in text.split(',') {
            kinds.add(name.trim().parse()?);
        }
    }
    Ok(kinds)
}

pub(crate) fn run(registry: &Registry, arguments: &Arguments) -> Result<u8, Failure> {
    let mut chosen: Vec<&dyn AnyScenario> = if arguments.scenarios.is_empty() {
        registry.iter().map(|scenario| &**scenario).collect()
    } else {
        arguments.scenarios.iter().map(|name| find(registry, name)).collect::<Result<_, _>>()?
    };
    let engine = arguments.engine.as_deref();
    if let Some(other) = engine.filter(|engine| engines::is_another(engine)) {
        leave_out_bounded(&mut chosen, other, !arguments.scenarios.is_empty())?;
    }
    let engine = engines::named(engine)?;
    for scenario in &chosen {
        planted(*scenario, arguments.mutant.as_ref(), engine.as_deref())?;
    }
    // What cannot be written at the end should be known at the start.
    repros::writable(&repros::root(arguments.repros.as_deref()))?;
    let mut results = Results::open(arguments.json, arguments.out.as_deref())?;
    let stop = stop_on_interrupt()?;
    let code = campaigns(&chosen, arguments, engine.as_ref(), &stop, &mut results);
    let closed = results.close();
    let code = code?;
    closed.map(|()| code)
}

/// A promise that rests on a bound for messages is put to the heap engine, which keeps one.
fn leave_out_bounded(
    chosen: &mut Vec<&dyn AnyScenario>,
    engine: &str,
    named: bool,
) -> Result<(), Failure> {
    for scenario in chosen.extract_if(.., |scenario| scenario.shape().synchronous) {
        let name = scenario.name();
        let why = format!("{name} rests on a bound for every message, and {engine} keeps none");
        if named {
            return Err(Failure::usage(format!("{why}: the heap engine does")));
        }
        eprintln!("{why}: left out");
    }
    Ok(())
}

/// Whether the bug is a generic one, or the scenario's own, which only the heap engine has.
fn planted(
    scenario: &dyn AnyScenario,
    mutant: Option<&Mutant>,
    engine: Option<&dyn Engine>,
) -> Result<(), Failure> {
    let Some(Mutant::Own(asked)) = mutant else { return Ok(()) };
    if let Some(engine) = engine {
        let name = engine.name();
        return Err(Failure::usage(format!("{name} has no mutant {asked:?}: the heap engine has")));
    }
    let own = scenario.mutants().into_iter().map(|(id, _)| id);
    if own.clone().any(|id| id == asked) {
        return Ok(());
    }
    let all = own.chain(MutationKind::ALL.map(MutationKind::name));
    Err(Failure::usage(format!(
        "{} has no mutant {asked:?}: the nearest is {:?}; `tribunal list` shows all",
        scenario.name(),
        nearest(all, asked)
    )))
}

fn campaigns(
    chosen: &[&dyn AnyScenario],
    arguments: &Arguments,
    engine: On<'_>,
    stop: &AtomicBool,
    results: &mut Results,
) -> Result<u8, Failure> {
    let mut code = exit::HOLDS;
    let named = !arguments.scenarios.is_empty();
    if !arguments.json {
        say(output::table_head())?;
    }
    for scenario in chosen {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let report = campaign(*scenario, arguments, engine, stop);
        results.line(&output::report_json(&report))?;
        if !arguments.json {
            say(output::table_row(&report))?;
            if named || !report.is_expected() {
                say(output::details(&report))?;
            }
        }
        let totals = engine.as_ref().map(|engine| engine.totals()).unwrap_or_default();
        if !arguments.json && !totals.is_empty() {
            say(output::totals(&totals))?;
        }
        if let Some(broken) = &report.broken {
            return Err(unfit(&report, broken));
        }
        show_failures(*scenario, &report, arguments, engine, results)?;
        code = worse(code, judge(&report, named));
    }
    Ok(code)
}

/// Of two verdicts' codes the worse: a violation wins over not knowing.
fn worse(one: u8, other: u8) -> u8 {
    if one == exit::VIOLATED || other == exit::HOLDS { one } else { other }
}

/// With names, the verdicts themselves; without, whether each is the expected one.
fn judge(report: &Report, named: bool) -> u8 {
    match report.verdict() {
        _ if !named && report.is_expected() => exit::HOLDS,
        Verdict::Violated(_) => exit::VIOLATED,
        Verdict::Unknown(_) => exit::UNKNOWN,
        Verdict::Holds if named => exit::HOLDS,
        // An exhibit that was not found broken: the search has lost its sight.
        Verdict::Holds => exit::UNKNOWN,
    }
}

fn unfit(report: &Report, broken: &Broken) -> Failure {
    let code = match broken {
        Broken::Nondeterminism { .. } => exit::NONDETERMINISM,
        Broken::File { .. } => exit::USAGE,
    };
    Failure { code, message: format!("{}: {}", report.scenario, output::broken(broken)) }
}

fn narrow(arguments: &Arguments, engine: On<'_>) -> Narrow {
    Narrow {
        faults: arguments.faults,
        max_faults: arguments.max_faults,
        mutant: arguments.mutant.clone(),
        engine: engine.cloned(),
        ..Narrow::default()
    }
}

fn campaign(
    scenario: &dyn AnyScenario,
    arguments: &Arguments,
    engine: On<'_>,
    stop: &AtomicBool,
) -> Report {
    let seeds = match arguments.budget {
        Some(_) => u64::MAX / 64,
        None => arguments.seeds.unwrap_or(DEFAULT_SEEDS),
    };
    let found_at_once =
        arguments.mutant.is_some() || scenario.shape().expected == Expected::Violated;
    let budget = Budget {
        seeds,
        time: arguments.budget,
        only: arguments.seed,
        campaign: arguments.campaign.map(|campaign| campaign.0),
        narrow: narrow(arguments, engine),
        jobs: arguments.jobs,
        first: arguments.first || found_at_once,
    };
    let progress = Progress::default();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| watch(&scenario.name(), &budget, &progress, stop, &done));
        let _done = Done(&done);
        scenario.explore(&budget, &progress)
    })
}

/// Ends the watching, also when the campaign panics.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Shows how far a campaign is: one bar, or a plain line every 10 s where nobody watches.
fn watch(name: &str, budget: &Budget, progress: &Progress, stop: &AtomicBool, done: &AtomicBool) {
    let bar = ProgressBar::with_draw_target(Some(budget.seeds), ProgressDrawTarget::stderr());
    let template = "{prefix:<40} {wide_bar} {pos} cases, {per_sec}, {msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_prefix(name.to_owned());
    let plain = !std::io::stderr().is_terminal();
    let tick = Duration::from_millis(50);
    let mut ticks = 0u64;
    while !done.load(Ordering::Relaxed) {
        if stop.load(Ordering::Relaxed) {
            progress.stop.store(true, Ordering::Relaxed);
        }
        std::thread::sleep(tick);
        ticks += 1;
        let cases = progress.cases.load(Ordering::Relaxed);
        let violations = progress.violations.load(Ordering::Relaxed);
        if plain && ticks.is_multiple_of(200) {
            let steps = progress.steps.load(Ordering::Relaxed);
            eprintln!("{name}: {cases} cases, {steps} steps, {violations} violations so far");
        } else if !plain && ticks > 4 {
            bar.set_position(cases);
            bar.set_message(format!("{violations} violations"));
        }
    }
    bar.finish_and_clear();
}

/// Makes the first case of each signature small, saves it and tells it.
fn show_failures(
    scenario: &dyn AnyScenario,
    report: &Report,
    arguments: &Arguments,
    engine: On<'_>,
    results: &mut Results,
) -> Result<(), Failure> {
    let named = !arguments.scenarios.is_empty();
    let root = repros::root(arguments.repros.as_deref());
    for finding in report.findings.iter().take(MOST_FAILURES) {
        let shrinking = !arguments.no_shrink;
        let narrow = narrow(arguments, engine);
        let Some(exhibit) = scenario.exhibit(finding.seed, &narrow, shrinking) else {
            if engine.is_some_and(|engine| !engine.is_deterministic()) {
                let (seed, anomaly) = (finding.seed, &finding.anomaly);
                say(format!(
                    "  seed {seed} failed, and not again when it was run again: {anomaly}"
                ))?;
                continue;
            }
            let event = format!("it failed ({}), and then it did not", finding.anomaly);
            let seed = finding.seed;
            return Err(unfit(report, &Broken::Nondeterminism { seed, event }));
        };
        let folder = repro::folder(&root, &exhibit.scenario, exhibit.mutant.as_deref());
        let saved = repro::keep(&folder, &exhibit.repro);
        results.line(&output::failure_json(&exhibit, saved.as_deref().ok()))?;
        if !arguments.json && (named || !report.is_expected()) {
            say("")?;
            say(output::failure(&exhibit, saved.as_deref().ok()))?;
        }
        // What a CI machine saves goes away with it, and what cannot be saved should not be lost.
        let lost = saved.is_err() || repros::in_ci() && !report.is_expected();
        if !arguments.json && lost {
            say(&exhibit.repro)?;
        }
        saved?;
    }
    Ok(())
}

/// Failures of one scenario that are shown: the rest may be their consequences.
const MOST_FAILURES: usize = 5;

/// Ctrl-C ends the campaign with what it has; a second one ends the process.
fn stop_on_interrupt() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if seen.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })
    .map_err(|error| Failure::ours(format!("cannot wait for Ctrl-C: {error}")))?;
    Ok(stop)
}
