//! `tribunal check`: judges a history that was recorded, by us or by others.

mod page;

use crate::exit::{self, Failure};
use crate::results::say;
use checkers::Verdict;
use checkers::isolation::Level;
use checkers::recorded::{self, CHECKERS, Judge, MODELS, TXNS, Terms};
use clap::{ArgGroup, Args};
use history::recorded::{Format, read};
use history::value::Scalar;
use std::fs::File;
use std::io::{self, Read as _};

/// The longest history that is read, in bytes: all of it stands in memory while it is read.
const MOST_BYTES: u64 = 2 << 30;

/// Judge a recorded history
#[derive(Args)]
#[command(group = ArgGroup::new("against").required(true).args(["model", "txn", "checker"]))]
#[command(after_help = "Examples:\n  \
    tribunal check jepsen.log --model cas-register\n  \
    tribunal check history.edn --txn list-append --isolation serializable")]
pub(crate) struct Arguments {
    /// A file, or - for standard input
    file: String,
    /// How the file tells its history [default: found by its first operation]
    #[arg(long, value_parser = format)]
    format: Option<Format>,
    /// The sequential object that it must look like: linearizability
    #[arg(long, value_parser = model)]
    model: Option<&'static Judge>,
    /// What its transactions are made of: isolation
    #[arg(long, value_parser = txn)]
    txn: Option<&'static Judge>,
    /// The level that its transactions must have [default: strict-serializable]
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    isolation: Option<Level>,
    /// A rule of its own that it must keep
    #[arg(long, value_name = "NAME", value_parser = checker)]
    checker: Option<&'static Judge>,
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
    /// The flags that say against what.
    against: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    if arguments.isolation.is_some() && arguments.txn.is_none() {
        return Err(Failure::usage("--isolation is a level of transactions: expected --txn too"));
    }
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
    let mut terms = Terms::of(format);
    if let Some(initial) = &arguments.initial {
        terms.dialect.initial = initial.clone();
    }
    if let Some(level) = arguments.isolation {
        terms.level = level;
    }
    terms.options.threads = std::thread::available_parallelism().map_or(1, usize::from);
    let Arguments { model, txn, checker, .. } = arguments;
    let flags = [("--model", model), ("--txn", txn), ("--checker", checker)];
    let named = flags.into_iter().find_map(|(flag, judge)| Some((flag, (*judge)?)));
    let (flag, judge) =
        named.ok_or_else(|| Failure::usage("expected --model, --txn or --checker"))?;
    let opinion = judge
        .judge(&terms, read(format, &text))
        .map_err(|misread| Failure::bad_input(format!("{name}: {misread}")))?;
    let checked = Checked {
        file: name,
        format,
        sniffed: arguments.format.is_none(),
        against: match flag {
            "--txn" => format!("--txn {} --isolation {}", judge.name, terms.level),
            _ => format!("{flag} {}", judge.name),
        },
    };
    if arguments.json {
        say(page::json(&checked, &opinion).to_string())?;
    } else {
        say(page::page(&checked, &opinion))?;
    }
    Ok(match &opinion.verdict {
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

fn model(name: &str) -> Result<&'static Judge, String> {
    recorded::model(name)
        .ok_or_else(|| nearest("model", name, MODELS.iter().map(|model| model.name)))
}

fn checker(name: &str) -> Result<&'static Judge, String> {
    recorded::checker(name)
        .ok_or_else(|| nearest("checker", name, CHECKERS.iter().map(|checker| checker.name)))
}

fn txn(name: &str) -> Result<&'static Judge, String> {
    recorded::txn(name)
        .ok_or_else(|| nearest("kind of transaction", name, TXNS.iter().map(|txn| txn.name)))
}

fn level(name: &str) -> Result<Level, String> {
    let names: Vec<String> = Level::all().map(|level| level.to_string()).collect();
    name.parse().map_err(|_| nearest("level", name, names.iter().map(String::as_str)))
}

/// A value as EDN has it, as far as registers hold it.
fn initial(text: &str) -> Result<Scalar, String> {
    history::edn::scalar(text)
        .ok_or_else(|| "expected one value, such as 0, nil or \"a\"".to_owned())
}

/// What to say when there is nothing of this name.
fn nearest<'a>(what: &str, name: &str, all: impl IntoIterator<Item = &'a str>) -> String {
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
