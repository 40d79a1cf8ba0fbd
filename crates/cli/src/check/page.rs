//! What is said of a judged history: a page for people, a line of JSON for machines. Operations are
//! named by the lines of the file on which they stand.

use super::Checked;
use crate::output::JSON_VERSION;
use checkers::isolation::{Level, Standing, Witness};
use checkers::recorded::{Evidence, Opinion, Shown};
use checkers::{Anomaly, Explanation, Told, Verdict};
use serde_json::{Value, json};

/// How many operations are listed; machines get all of them.
const OPERATIONS: usize = 16;

/// How many witnesses are told.
const WITNESSES: usize = 3;

/// A judged history: its verdict, why, and how it was found.
pub(super) fn page(checked: &Checked<'_>, opinion: &Opinion) -> String {
    let Checked { file, format, sniffed, against } = checked;
    let Opinion { verdict, method, operations, unknown, constrained, evidence } = opinion;
    let mut text = match (verdict, evidence) {
        (Verdict::Violated(anomaly), Some(evidence)) => {
            let why = match &evidence.shown {
                Shown::NoOrder(explanation) => no_order(explanation, evidence),
                Shown::Phenomena(witnesses, standing) => phenomena(witnesses, standing, evidence),
            };
            let what = if let Shown::NoOrder(_) = evidence.shown {
                &anomaly.class
            } else {
                anomaly.message.as_str()
            };
            format!("{file}   VIOLATED   {what}\n{why}")
        }
        _ => format!("{file}   {verdict}\n"),
    };
    let found = if *sniffed { " (found by its content)" } else { "" };
    let plural = if *operations == 1 { "" } else { "s" };
    text.push_str(&format!(
        "  read     {operations} operation{plural}, {unknown} of unknown outcome, {constrained} \
         answers that could have been wrong\n"
    ));
    text.push_str(&format!("  as       --format {}{found} {against}\n", format.name()));
    text.push_str(&format!("  method   {method}\n"));
    text
}

/// An operation and its lines.
fn told(told: &Told, evidence: &Evidence) -> String {
    let Told { op, ret, actor, invoked, completed, .. } = told;
    let answer = match (ret, completed) {
        (Some(ret), Some(_)) => format!("-> {ret}"),
        _ => "-> unknown".to_owned(),
    };
    let lines = lines(evidence.line(*invoked), completed.map(|event| evidence.line(event)));
    format!("{lines:<16} {actor:<10}  {op} {answer}")
}

fn lines(begin: u32, end: Option<u32>) -> String {
    match end {
        Some(end) => format!("lines {begin}..{end}"),
        None => format!("line {begin}.."),
    }
}

fn or(states: &[String]) -> String {
    match states {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [all @ .., last] => format!("{} or {last}", all.join(", ")),
    }
}

/// Why operations have no order.
fn no_order(explanation: &Explanation, evidence: &Evidence) -> String {
    let Explanation { culprit, prefix, states, ended_by, core, core_from, states_before, .. } =
        explanation;
    let mut text = format!("  This has no place:\n    {}\n", told(culprit, evidence));
    if let Some(reason) = &explanation.reason {
        text.push_str(&format!("  {reason}.\n"));
    }
    if !states.is_empty() {
        text.push_str(&format!("  While it ran the state could only be {}.\n", or(states)));
    }
    if let Some(end) = ended_by {
        let end = told(end, evidence);
        text.push_str(&format!("  It was possible until this had completed:\n    {end}\n"));
    } else if !states.is_empty() {
        text.push_str("  There never was a state in which it is possible.\n");
    }
    // The prefix counts events: the next one is the culprit's completion.
    let end = evidence.line(*prefix as u32);
    text.push_str(&format!("  Before line {end} the history is right.\n"));
    if *core_from > 0 {
        let line = evidence.line(*core_from as u32);
        let states = or(states_before);
        text.push_str(&format!("  At line {line} the state could only be {states}. Then:\n"));
    }
    // The culprit alone says no more than that it has no place.
    if let [_, _, ..] = core.as_slice() {
        let left_out = core.len().saturating_sub(OPERATIONS);
        text.push_str(&match (explanation.minimal, left_out) {
            (true, 0) => {
                "  Each of these is needed to see it, and no other operation:\n".to_owned()
            }
            (true, n) => format!("  Each of these is needed to see it, and {n} before them:\n"),
            (false, 0) => "  These operations are enough to see it:\n".to_owned(),
            (false, n) => format!("  These are enough to see it, with {n} before them:\n"),
        });
        for operation in &core[left_out..] {
            text.push_str(&format!("    {}\n", told(operation, evidence)));
        }
    }
    text
}

/// What transactions show.
fn phenomena(witnesses: &[Witness], standing: &Standing, evidence: &Evidence) -> String {
    let mut text = String::new();
    for witness in witnesses.iter().take(WITNESSES) {
        text.push_str(&format!("  {}\n", witness.phenomenon));
        for named in &witness.transactions {
            let (begin, end) = evidence.lines_of(named.op);
            let (name, did, lines) = (&named.name, &named.did, lines(begin, end));
            text.push_str(&format!("    {name:<3} {lines:<16} {did}\n"));
        }
        let last = witness.steps.len().saturating_sub(1);
        for (number, step) in witness.steps.iter().enumerate() {
            let (before, after, because) = (&step.before, &step.after, &step.because);
            let (but, end) =
                if number == last && last > 0 { ("But ", ": a contradiction") } else { ("", "") };
            text.push_str(&format!("    {but}{before} < {after}, because {because}{end}.\n"));
        }
        if !witness.message.is_empty() {
            text.push_str(&format!("    {}.\n", witness.message));
        }
    }
    if let Some(more) = witnesses.len().checked_sub(WITNESSES).filter(|more| *more > 0) {
        text.push_str(&format!("  and {more} more, which --json lists\n"));
    }
    text.push_str(&format!("  holds    {}\n", levels(&standing.holds)));
    text.push_str(&format!("  violates {}\n", levels(&standing.violated)));
    if !standing.unknown.is_empty() {
        text.push_str(&format!("  unknown  {}\n", levels(&standing.unknown)));
    }
    text
}

fn levels(levels: &[Level]) -> String {
    if levels.is_empty() {
        return "no level".to_owned();
    }
    levels.iter().map(Level::to_string).collect::<Vec<_>>().join(", ")
}

/// A judged history as a JSON line.
pub(super) fn json(checked: &Checked<'_>, opinion: &Opinion) -> Value {
    let (verdict, reason, anomaly) = match &opinion.verdict {
        Verdict::Holds => ("holds", None, None),
        Verdict::Unknown(reason) => ("unknown", Some(reason), None),
        Verdict::Violated(anomaly) => ("violated", None, Some(anomaly)),
    };
    json!({
        "version": JSON_VERSION,
        "kind": "check",
        "file": checked.file,
        "format": checked.format.name(),
        "against": checked.against,
        "verdict": verdict,
        "reason": reason,
        "signature": anomaly.map(Anomaly::signature),
        "message": anomaly.map(|anomaly| &anomaly.message),
        "method": opinion.method,
        "operations": opinion.operations,
        "unknown_outcomes": opinion.unknown,
        "constrained": opinion.constrained,
        "evidence": opinion.evidence.as_ref().map(evidence_json),
    })
}

fn evidence_json(evidence: &Evidence) -> Value {
    match &evidence.shown {
        Shown::NoOrder(explanation) => {
            let told = |told: &Told| told_json(told, evidence);
            let core: Vec<Value> = explanation.core.iter().map(told).collect();
            json!({
                "no_order": {
                    "culprit": told(&explanation.culprit),
                    "right_before_line": evidence.line(explanation.prefix as u32),
                    "states": explanation.states,
                    "ended_by": explanation.ended_by.as_ref().map(told),
                    "core": core,
                    "core_from_line": evidence.line(explanation.core_from as u32),
                    "states_before": explanation.states_before,
                    "minimal": explanation.minimal,
                    "reason": explanation.reason,
                },
            })
        }
        Shown::Phenomena(witnesses, standing) => {
            let witnesses: Vec<Value> =
                witnesses.iter().map(|witness| witness_json(witness, evidence)).collect();
            json!({ "phenomena": witnesses, "standing": standing })
        }
    }
}

fn told_json(told: &Told, evidence: &Evidence) -> Value {
    json!({
        "by": told.actor.to_string(),
        "op": told.op,
        "ret": told.ret,
        "lines": [evidence.line(told.invoked), told.completed.map(|event| evidence.line(event))],
    })
}

fn witness_json(witness: &Witness, evidence: &Evidence) -> Value {
    let transactions = witness.transactions.iter().map(|named| {
        let (begin, end) = evidence.lines_of(named.op);
        json!({ "name": named.name, "did": named.did, "lines": [begin, end] })
    });
    json!({
        "phenomenon": witness.phenomenon.to_string(),
        "transactions": transactions.collect::<Vec<_>>(),
        "steps": witness.steps,
        "message": witness.message,
    })
}
