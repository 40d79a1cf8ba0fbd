//! `tribunal check`: judges a history that was recorded, by us or by others.

use crate::exit::{self, Failure};
use crate::output;
use crate::results::say;
use checkers::recorded::{Dialect, Judging, MODELS};
use clap::Args;
use history::recorded::{Format, read};
use history::value::Scalar;
use std::fs::File;
use std::io::{self, Read as _};

/// The longest history that is read, in bytes: all of it stands in memory while it is read.
const MOST_BYTES: u64 = 2 << 30;

/// Judge a recorded history
#[derive(Args)]
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
    #[arg(long, value_parser = model, required = true)]
    model: Option<&'static Judging>,
    /// What a register holds at first [default: 0, and nil in a jepsen-log]
    #[arg(long, value_name = "VALUE", value_parser = initial)]
    initial: Option<Scalar>,
    /// Print the verdict as a line of JSON
    #[arg(long)]
    json: bool,
}

/// What was judged, for what is printed.
pub(crate) struct Checked<'a> {
    pub(crate) file: &'a str,
    pub(crate) format: Format,
    /// Whether the format was found by looking.
    pub(crate) sniffed: bool,
    /// `--model` and its name.
    pub(crate) against: [&'a str; 2],
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
    let Some(model) = arguments.model else {
        return Err(Failure::usage("expected --model"));
    };
    let judged = model
        .judge(&dialect, read(format, &text))
        .map_err(|misread| Failure::bad_input(format!("{name}: {misread}")))?;
    let checked = Checked {
        file: name,
        format,
        sniffed: arguments.format.is_none(),
        against: ["--model", model.name],
    };
    if arguments.json {
        say(output::judged_json(&checked, &judged).to_string())?;
    } else {
        say(output::judged(&checked, &judged))?;
    }
    Ok(match &judged.verdict {
        checkers::Verdict::Holds => exit::HOLDS,
        checkers::Verdict::Unknown(_) => exit::UNKNOWN,
        checkers::Verdict::Violated(_) => exit::VIOLATED,
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
    checkers::recorded::model(name)
        .ok_or_else(|| nearest("model", name, MODELS.iter().map(|model| model.name)))
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
