//! What people and machines read: the table, a failure's page, JSON lines.

use crate::repros;
use explorer::{Broken, Exhibit, Finding, Report, Unit, repro};
use serde_json::{Value, json};
use std::path::Path;

/// The version of the JSON lines.
pub(crate) const JSON_VERSION: u32 = 1;

/// The head of the table.
pub(crate) fn table_head() -> String {
    format!(
        "{:<40} {:>9}  {:<14}  {:<30} {:>9}",
        "scenario", "cases", "faults", "verdict", "cases/s"
    )
}

/// A scenario's line of the table.
pub(crate) fn table_row(report: &Report) -> String {
    let drawn = report.faults.len();
    let effective = report.faults.values().filter(|tally| tally.effective > 0).count();
    let verdict = match report.verdict() {
        explorer::Verdict::Holds => "holds".to_owned(),
        explorer::Verdict::Unknown(_) => "UNKNOWN".to_owned(),
        explorer::Verdict::Violated(anomaly) => format!("violated: {}", anomaly.class),
    };
    let verdict = if report.is_expected() { verdict } else { format!("{verdict} (!)") };
    format!(
        "{:<40} {:>9}  {:<14}  {:<30} {:>9}",
        title(&report.scenario, report.mutant.as_deref()),
        report.cases,
        format!("{effective} of {drawn} kinds"),
        verdict,
        report.cases_per_second(),
    )
}

/// `scenario`, or `scenario + mutant`.
pub(crate) fn title(scenario: &str, mutant: Option<&str>) -> String {
    match mutant {
        None => scenario.to_owned(),
        Some(mutant) => format!("{scenario} + {mutant}"),
    }
}

/// What a campaign saw, beyond its line: kinds and marks.
pub(crate) fn details(report: &Report) -> String {
    let mut text = String::new();
    let faults: Vec<String> = report
        .faults
        .iter()
        .map(|(kind, tally)| format!("{kind} {}/{}", tally.effective, tally.drawn))
        .collect();
    text.push_str(&wrapped("faults with effect / drawn (cases)", &faults));
    let marks: Vec<String> =
        report.marks.iter().map(|(mark, count)| format!("{mark} {count}")).collect();
    text.push_str(&wrapped("marks (cases)", &marks));
    for (metric, of) in &report.metrics {
        text.push_str(&format!("  {metric}: {of}\n"));
    }
    let (begun, ok) = report.operations;
    text.push_str(&format!(
        "  {begun} operations, {ok} of them ok; {} messages delivered in {} steps\n",
        report.deliveries, report.steps
    ));
    let cases = if report.cases == 1 { "" } else { " of all cases" };
    text.push_str(&format!("  digest {}{cases}\n", repro::hex(report.digest)));
    if report.interrupted {
        text.push_str(&format!("  interrupted after {} cases\n", report.cases));
    }
    for reason in &report.vacuous {
        text.push_str(&format!("  {reason}\n"));
    }
    if let Some(reason) = &report.reason {
        text.push_str(&format!("  {} cases undecided: {reason}\n", report.unknown));
    }
    text
}

/// What an engine's faults have come to, in every campaign so far.
pub(crate) fn totals(totals: &[(&'static str, u64)]) -> String {
    let totals: Vec<String> = totals.iter().map(|(what, n)| format!("{n} {what}")).collect();
    format!("  with effect, in all so far: {}\n", totals.join(", "))
}

fn wrapped(head: &str, items: &[String]) -> String {
    if items.is_empty() {
        return String::new();
    }
    let mut text = format!("  {head}:");
    let mut width = usize::MAX;
    for item in items {
        if width.saturating_add(item.len()) > 100 {
            text.push_str("\n   ");
            width = 3;
        }
        text.push_str(&format!(" {item} ·"));
        width += item.len() + 3;
    }
    text.truncate(text.len() - " ·".len());
    text.push('\n');
    text
}

/// A failure: what it is, its story, and always the same last lines.
pub(crate) fn failure(exhibit: &Exhibit, saved: Option<&Path>) -> String {
    let Exhibit {
        scenario, mutant, anomaly, seed, digest, nodes, before, after, runs, story, ..
    } = exhibit;
    let mut text = format!(
        "{}   VIOLATED   {anomaly}\n  seed {seed} · digest {} · shrunk to {nodes} nodes, {}\n",
        title(scenario, mutant.as_deref()),
        repro::hex(*digest),
        size(*after),
    );
    for line in story {
        text.push_str(line);
        text.push('\n');
    }
    text.push_str(&format!("  shrunk   {} → {} ({runs} runs)\n", size(*before), size(*after)));
    if let Some(saved) = saved {
        text.push_str(&format!("  saved    {}\n", saved.display()));
        text.push_str(&format!("  replay   {}\n", replay_line(saved)));
    }
    text
}

/// The line to paste: with the id, where `replay` finds it by that.
pub(crate) fn replay_line(saved: &Path) -> String {
    let id = saved.file_stem().unwrap_or_default().to_string_lossy();
    let name = if repros::is_found(saved) { id } else { saved.to_string_lossy() };
    format!("cargo run --release -- replay {name}")
}

/// The line that places a drifted case's faults again.
pub(crate) fn refit_line(saved: &Path) -> String {
    replay_line(saved).replace("-- replay ", "-- shrink --refit ")
}

/// What ended a campaign that could not go on.
pub(crate) fn broken(broken: &Broken) -> String {
    match broken {
        Broken::Nondeterminism { seed, event } => {
            format!("seed {seed} runs differently when run again: {event}")
        }
        Broken::File { seed, reason } => {
            format!("seed {seed}: a case does not survive its file: {reason}")
        }
    }
}

fn size((calls, faults): (usize, usize)) -> String {
    let plural = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    format!("{}, {}", plural(calls, "op"), plural(faults, "fault"))
}

/// A report as a JSON line.
pub(crate) fn report_json(report: &Report) -> Value {
    let verdict = match report.verdict() {
        explorer::Verdict::Holds => "holds",
        explorer::Verdict::Unknown(_) => "unknown",
        explorer::Verdict::Violated(_) => "violated",
    };
    let faults: serde_json::Map<String, Value> = report
        .faults
        .iter()
        .map(|(kind, tally)| {
            let tally = json!({ "drawn": tally.drawn, "effective": tally.effective });
            ((*kind).to_owned(), tally)
        })
        .collect();
    json!({
        "version": JSON_VERSION,
        "kind": "report",
        "scenario": report.scenario,
        "mutant": report.mutant,
        "campaign": format!("{:#x}", report.campaign),
        "verdict": verdict,
        "expected": report.is_expected(),
        "cases": report.cases,
        "digest": repro::hex(report.digest),
        "steps": report.steps,
        "deliveries": report.deliveries,
        "operations": report.operations.0,
        "ok": report.operations.1,
        "faults": faults,
        "marks": report.marks,
        "metrics": metrics_json(report),
        "undecided": report.unknown,
        "vacuous": report.vacuous,
        "broken": report.broken.as_ref().map(broken),
        "interrupted": report.interrupted,
        "cases_per_second": report.cases_per_second(),
        "findings": report.findings.iter().map(finding_json).collect::<Vec<_>>(),
    })
}

fn metrics_json(report: &Report) -> Value {
    let metrics = report.metrics.iter().map(|(metric, of)| {
        let unit = match of.unit {
            Unit::Nanoseconds => "ns",
            Unit::PerSecond => "per second",
        };
        let of = json!({
            "unit": unit,
            "samples": of.count(),
            "p50": of.percentile(50),
            "p90": of.percentile(90),
            "p99": of.percentile(99),
            "max": of.max(),
        });
        (metric.to_string(), of)
    });
    metrics.collect::<serde_json::Map<String, Value>>().into()
}

fn finding_json(finding: &Finding) -> Value {
    json!({
        "seed": finding.seed.to_string(),
        "digest": repro::hex(finding.digest),
        "signature": finding.anomaly.signature(),
        "message": finding.anomaly.message,
        "cases": finding.count,
    })
}

/// A saved failure as a JSON line.
pub(crate) fn failure_json(exhibit: &Exhibit, saved: Option<&Path>) -> Value {
    json!({
        "version": JSON_VERSION,
        "kind": "repro",
        "scenario": exhibit.scenario,
        "mutant": exhibit.mutant,
        "seed": exhibit.seed.to_string(),
        "digest": repro::hex(exhibit.digest),
        "signature": exhibit.anomaly.signature(),
        "message": exhibit.anomaly.message,
        "operations": exhibit.after.0,
        "faults": exhibit.after.1,
        "saved": saved.map(|saved| saved.display().to_string()),
        "replay": saved.map(replay_line),
    })
}
