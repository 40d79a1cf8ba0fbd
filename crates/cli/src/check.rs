//! `tribunal check`: judges a history that was recorded, by us or by others.

use crate::exit::{self, Failure};
use crate::output::JSON_VERSION;
use crate::results::say;
use checkers::recorded::{self, CHECKERS, Dialect, Judging, MODELS, Report};
use checkers::{Anomaly, Verdict};
use clap::{ArgGroup, Args};
use history::recorded::{Format, read};
use history::value::Scalar;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Read as _};

/// The longest history that is read, in bytes: all of it stands in memory while it is read.
const MOST_BYTES: u64 = 2 << 30;

/// Judge a recorded history
#[derive(Args)]
#[command(group = ArgGroup::new("against").required(true).args(["model", "checker"]))]
#[command(after_help = "Examples:\n  \
    tribunal check history.edn --model cas-register\n  \
    tribunal check - --format jepsen-log --model cas-register < jepsen.log")]
pub(crate) struct Arguments {
    /// A file, or - for standard input
    file: String,
    /// How the file tells its history [default: found by its first operation]
    #[arg(long, value_parser = format)]
    format: Option<Format>,
    /// The sequential object that it must look like: linearizability
    #[arg(long, value_parser = model)]
    model: Option<&'static Judging>,
    /// A rule of its own that it must keep
    #[arg(long, value_name = "NAME", value_parser = checker)]
    checker: Option<&'static Judging>,
    /// What a register holds at first [default: 0, and nil in a jepsen-log]
    #[arg(long, value_name = "VALUE", value_parser = initial)]
    initial: Option<Scalar>,
    /// Print the verdict as a line of JSON
    #[arg(long)]
    json: bool,
}

/// What was judged, for what is printed.
struct Checked<'a> {
    file: &'a str,
    format: Format,
    /// Whether the format was found by looking.
    sniffed: bool,
    /// `--model` and its name.
    against: [&'a str; 2],
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let text = text(&arguments.file)?;
    let name = if arguments.file == "-" { "standard input" } else { &arguments.file };
    let found = || {
        let formats =
            Format::ALL.map(|format| format!("\n  {:<13}{}", format.name(), format.example()));
        Format::sniff(&text).ok_or_else(|| match text.trim() {
            "" => Failure::bad_input(format!(
                "{name}: line 1: an empty file: expected a history, or --format for one without \
                 operations"
            )),
            _ => Failure::bad_input(format!(
                "{name}: line 1: expected the first operation of a history:{}",
                formats.concat()
            )),
        })
    };
    let format = arguments.format.map_or_else(found, Ok)?;
    let mut dialect = Dialect::of(format);
    if let Some(initial) = &arguments.initial {
        dialect.initial = initial.clone();
    }
    let (flag, judging) = match (arguments.model, arguments.checker) {
        (Some(model), _) => ("--model", model),
        (None, Some(checker)) => ("--checker", checker),
        (None, None) => return Err(Failure::usage("expected --model or --checker")),
    };
    let report = judging
        .judge(&dialect, read(format, &text))
        .map_err(|misread| Failure::bad_input(format!("{name}: {misread}")))?;
    let checked = Checked {
        file: name,
        format,
        sniffed: arguments.format.is_none(),
        against: [flag, judging.name],
    };
    if arguments.json {
        say(as_json(&checked, &report).to_string())?;
    } else {
        say(page(&checked, &report))?;
    }
    Ok(match &report.verdict {
        Verdict::Holds => exit::HOLDS,
        Verdict::Unknown(_) => exit::UNKNOWN,
        Verdict::Violated(_) => exit::VIOLATED,
    })
}

/// All of a file, or of standard input.
fn text(file: &str) -> Result<String, Failure> {
    let failed = |error: &io::Error| Failure::file(format!("{file}: {error}"));
    let mut bytes = Vec::new();
    let read = if file == "-" {
        io::stdin().lock().take(MOST_BYTES + 1).read_to_end(&mut bytes)
    } else {
        let open = File::open(file).map_err(|error| failed(&error))?;
        open.take(MOST_BYTES + 1).read_to_end(&mut bytes)
    };
    read.map_err(|error| failed(&error))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Failure::bad_input(format!(
            "{file}: expected a history of at most {MOST_BYTES} bytes"
        )));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..valid].iter().filter(|byte| **byte == b'\n').count();
        Failure::bad_input(format!("{file}: line {line}: expected text in UTF-8"))
    })
}

fn format(name: &str) -> Result<Format, String> {
    let found = Format::ALL.into_iter().find(|format| format.name() == name);
    found.ok_or_else(|| nearest("format", name, Format::ALL.map(Format::name)))
}

fn model(name: &str) -> Result<&'static Judging, String> {
    recorded::model(name)
        .ok_or_else(|| nearest("model", name, MODELS.iter().map(|model| model.name)))
}

fn checker(name: &str) -> Result<&'static Judging, String> {
    recorded::checker(name)
        .ok_or_else(|| nearest("checker", name, CHECKERS.iter().map(|checker| checker.name)))
}

/// A value as EDN has it, as far as registers hold it.
fn initial(text: &str) -> Result<Scalar, String> {
    history::edn::scalar(text)
        .ok_or_else(|| "expected one value, such as 0, nil or \"a\"".to_owned())
}

/// What to say when there is nothing of this name.
fn nearest(what: &str, name: &str, all: impl IntoIterator<Item = &'static str>) -> String {
    let all: Vec<&str> = all.into_iter().collect();
    let nearest = all
        .iter()
        .max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)));
    format!(
        "no {what} of that name: the nearest is {:?}; there are {}",
        nearest.copied().unwrap_or_default(),
        all.join(", ")
    )
}

/// A judged history: its verdict, why, and how it was found.
fn page(checked: &Checked<'_>, report: &Report) -> String {
    let Checked { file, format, sniffed, against: [flag, name] } = checked;
    let Report { verdict, method, operations, unknown, constrained } = report;
    let found = if *sniffed { " (found by its content)" } else { "" };
    format!(
        "{file}   {verdict}\n  \
         read     {operations} operations, {unknown} of unknown outcome, {constrained} with an \
         answer that could have been wrong\n  \
         as       --format {}{found} {flag} {name}\n  \
         method   {method}\n",
        format.name(),
    )
}

/// A judged history as a JSON line.
fn as_json(checked: &Checked<'_>, report: &Report) -> Value {
    let (verdict, reason, anomaly) = match &report.verdict {
        Verdict::Holds => ("holds", None, None),
        Verdict::Unknown(reason) => ("unknown", Some(reason), None),
        Verdict::Violated(anomaly) => ("violated", None, Some(anomaly)),
    };
    json!({
        "version": JSON_VERSION,
        "kind": "check",
        "file": checked.file,
        "format": checked.format.name(),
        "against": checked.against[1],
        "verdict": verdict,
        "reason": reason,
        "signature": anomaly.map(Anomaly::signature),
        "message": anomaly.map(|anomaly| &anomaly.message),
        "method": report.method,
        "operations": report.operations,
        "unknown_outcomes": report.unknown,
        "constrained": report.constrained,
    })
}
