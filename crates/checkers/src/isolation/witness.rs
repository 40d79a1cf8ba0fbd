//! What a person reads of a violation: the transactions, and why each comes before the next.

use super::Phenomenon;
use super::facts::{Edge, Flaw, Kind};
use super::table::{Fate, NONE, Table};
use super::txn::Access;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Debug, Write as _};
use std::hash::Hash;

/// Evidence of a phenomenon.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Witness {
    /// What it shows.
    pub phenomenon: Phenomenon,
    /// The transactions that it speaks of, as `T1`, `T2` and so on.
    pub transactions: Vec<Named>,
    /// For a cycle: why each transaction comes before the next, and the last before the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// For anything else: what is wrong.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// A transaction of a witness.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Named {
    /// What the witness calls it: `T1`.
    pub name: String,
    /// The number of its operation in the history.
    pub op: u32,
    /// Who ran it: `client 3 (call 12)`.
    pub by: String,
    /// What it did: `append 8 to 255, read 3 = [1, 2]`.
    pub did: String,
}

/// Why one transaction comes before another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// The earlier one, by name.
    pub before: String,
    /// The later one, by name.
    pub after: String,
    /// The kind of dependency.
    pub dependency: Dependency,
    /// Why, in words: `T1 did not observe T2's append of 8 to 255`.
    pub because: String,
}

/// The kinds of dependency: Adya's, and the two orders that strong levels add.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dependency {
    /// A write overwrote a write.
    Ww,
    /// A read saw a write.
    Wr,
    /// A write overwrote what was read.
    Rw,
    /// The order of one process.
    Process,
    /// The order of time.
    Realtime,
}

impl From<Kind> for Dependency {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Ww => Self::Ww,
            Kind::Wr => Self::Wr,
            Kind::Rw => Self::Rw,
            Kind::Session => Self::Process,
            Kind::RealTime => Self::Realtime,
        }
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Let:")?;
        for Named { name, op, by, did } in &self.transactions {
            writeln!(f, "  {name} = {did}; operation {op} by {by}")?;
        }
        write!(f, "Then:")?;
        let last = self.steps.len().saturating_sub(1);
        for (number, Step { before, after, because, .. }) in self.steps.iter().enumerate() {
            let (however, end) = if number == last && last > 0 {
                ("However, ", ": a contradiction!")
            } else {
                ("", ".")
            };
            write!(f, "\n  - {however}{before} < {after}, because {because}{end}")?;
        }
        if !self.message.is_empty() {
            write!(f, "\n  - {}", self.message)?;
        }
        Ok(())
    }
}

/// How many characters of a transaction are shown.
const SHOWN: usize = 400;

pub(super) fn name<K: Debug, V: Debug>(table: &Table<'_, K, V>, txn: u32, at: usize) -> Named {
    let mut did = String::new();
    let first = table.txns[txn as usize].mops.start;
    for number in table.txns[txn as usize].mops.clone() {
        let mop = &table.mops[number as usize];
        let key = &table.keys[mop.key as usize];
        if number > first {
            did.push_str(", ");
        }
        if did.len() > SHOWN {
            did.push('…');
            break;
        }
        let known = table.txns[txn as usize].fate == Fate::Committed;
        let written = match mop.access {
            Access::Write(value) => write!(did, "{} {value:?} to {key:?}", table.verb),
            Access::ReadList(_) | Access::ReadValue(_) if !known => {
                write!(did, "read {key:?} = ?")
            }
            Access::ReadList(list) => write!(did, "read {key:?} = {list:?}"),
            Access::ReadValue(Some(value)) => write!(did, "read {key:?} = {value:?}"),
            Access::ReadValue(None) => write!(did, "read {key:?} = nothing"),
        };
        written.unwrap_or(());
    }
    let record = &table.txns[txn as usize];
    let by = format!("{} (call {})", record.actor, record.call);
    Named { name: format!("T{}", at + 1), op: txn, by, did }
}

pub(super) fn of_flaw<K: Debug, V: Debug>(table: &Table<'_, K, V>, flaw: &Flaw) -> Witness {
    let names = flaw.txns.iter().enumerate();
    Witness {
        phenomenon: flaw.phenomenon,
        transactions: names.map(|(at, txn)| name(table, *txn, at)).collect(),
        steps: Vec::new(),
        message: flaw.message.clone(),
    }
}

pub(super) fn of_cycle<K: Eq + Hash + Debug, V: Eq + Hash + Debug>(
    table: &Table<'_, K, V>,
    phenomenon: Phenomenon,
    edges: &[Edge],
    derived: impl Fn(&Edge) -> Option<String>,
) -> Witness {
    let mut txns: Vec<u32> = Vec::new();
    for edge in edges {
        if !txns.contains(&edge.from) {
            txns.push(edge.from);
        }
    }
    let label = |txn: u32| {
        let at = txns.iter().position(|other| *other == txn).unwrap_or(0);
        format!("T{}", at + 1)
    };
    let steps = edges.iter().map(|edge| {
        let (before, after) = (label(edge.from), label(edge.to));
        let mut because = because(table, edge, &before, &after);
        if let Some(why) = derived(edge) {
            because = format!("{because} ({why})");
        }
        Step { before, after, dependency: edge.kind.into(), because }
    });
    let steps = steps.collect();
    let transactions = txns.iter().enumerate().map(|(at, txn)| name(table, *txn, at)).collect();
    Witness { phenomenon, transactions, steps, message: String::new() }
}

fn because<K: Eq + Hash + Debug, V: Eq + Hash + Debug>(
    table: &Table<'_, K, V>,
    edge: &Edge,
    before: &str,
    after: &str,
) -> String {
    let noun = table.verb;
    let key = |write: u32| &table.keys[table.writes[write as usize].key as usize];
    match edge.kind {
        Kind::Session => format!("{before} completed before {after} began, in the same process"),
        Kind::RealTime => {
            let (done, begun) =
                (table.txns[edge.from as usize].completed, table.txns[edge.to as usize].invoked);
            format!("{before} completed (event {done}) before {after} was invoked (event {begun})")
        }
        Kind::Wr => {
            let (value, key) = (table.value(edge.before), key(edge.before));
            format!("{after} observed {before}'s {noun} of {value:?} to {key:?}")
        }
        Kind::Ww => {
            let (a, b, key) = (table.value(edge.before), table.value(edge.after), key(edge.after));
            format!("{after}'s {noun} of {b:?} to {key:?} came after {before}'s of {a:?}")
        }
        Kind::Rw => {
            let (value, key) = (table.value(edge.after), key(edge.after));
            if edge.before == NONE {
                format!("{before} did not observe {after}'s {noun} of {value:?} to {key:?}")
            } else {
                let older = table.value(edge.before);
                format!(
                    "{before} read {older:?} in {key:?} and did not observe {after}'s {noun} of \
                     {value:?}"
                )
            }
        }
    }
}
