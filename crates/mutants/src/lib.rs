//! Planted bugs: copies of the protocols, in each of which a patch breaks one rule.
//!
//! `patches/<protocol>/<id>.patch` is a unified diff below a head that says what it breaks. The
//! build script applies each to the sources of `protocols` and makes a module of the result, so
//! that all of them can be tried without building again; one that no longer applies ends the
//! build. A harness that finds none of them is green for nothing.
//!
//! A copy has the operations, results and configuration of the right protocol, and its own
//! messages, records and timers. All copies of a protocol are one type, `two_phase_commit::Node`,
//! which runs under the protocol's scenarios and is judged by its judges; `COPIES` beside it says
//! what makes each.

#[macro_use]
mod copies;

/// What is known of a planted bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bug {
    /// Its name on command lines, in files and in tables.
    pub id: &'static str,
    /// The protocol that is patched: the file or folder of that name in `protocols`.
    pub protocol: &'static str,
    /// The scenario that it comes under, whose campaigns must find it.
    pub scenario: &'static str,
    /// What it does.
    pub what: &'static str,
    /// A schedule that exposes it.
    pub schedule: &'static str,
    /// Who must find it, any one of these: the `checker / class` of its anomaly. Empty for a
    /// control.
    pub expected: &'static [&'static str],
    /// Who else may be the first to see it, because it looks earlier in the run.
    pub also: &'static [&'static str],
    /// How rare it is.
    pub class: Class,
    /// Where it was seen, or measured.
    pub source: &'static str,
}

/// How often a case with a fresh seed is expected to hit a bug.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// At least 1 in 20.
    E,
    /// At least 1 in 500.
    M,
    /// At least 1 in 20,000.
    H,
    /// Rarer: a saved case shows it.
    V,
    /// Never: it looks like a bug and does no harm.
    Control,
}

impl Class {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::E => "E",
            Self::M => "M",
            Self::H => "H",
            Self::V => "V",
            Self::Control => "control",
        }
    }

    /// In so many cases a campaign must find it, or must not find a control.
    pub fn budget(self) -> u64 {
        match self {
            Self::E => 100,
            Self::M => 2_000,
            Self::H | Self::V => 60_000,
            Self::Control => 20_000,
        }
    }
}

impl Bug {
    /// One line for lists: its class, who must find it, what it does.
    pub fn about(&self) -> String {
        let expected = self.expected.first().copied().unwrap_or("nobody");
        format!("{:<8} {expected:<32} {}", self.class.name(), self.what)
    }
}

include!(concat!(env!("OUT_DIR"), "/mutants.rs"));
