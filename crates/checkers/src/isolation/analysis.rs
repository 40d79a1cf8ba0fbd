//! A history held against isolation levels.

use super::cycle::{kinds, shortest};
use super::facts::{Edge, Facts};
use super::graph::{Graph, Shape};
use super::solve::{STEPS, Solution, Solver};
use super::table::{Fate, NONE, Table};
use super::txn::{ListHistory, RwHistory};
use super::witness::{Witness, of_cycle, of_flaw};
use super::{Isolation, Level, Order, Phenomenon, list, register};
use crate::{Anomaly, Verdict};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::hash::Hash;

/// A history whose dependencies are known, ready to be held against any [`Level`].
pub struct Analysis<'h, K, V> {
    table: Table<'h, K, V>,
    facts: Facts,
    /// For each group of writes whose order is open, the order that was recorded.
    recorded: Vec<Vec<usize>>,
    steps: u64,
}

/// What a history is to a level.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Judgement {
    /// It is of that level, and this proves it.
    Holds(Certificate),
    /// What was recorded does not decide it, and why.
    Unknown(String),
    /// It is not, and this proves it: at least one witness, the worst phenomenon first.
    Violated(Vec<Witness>),
}

/// Proof that a level holds, which can be replayed. Transactions are named by the number of their
/// operation; those of unknown outcome that are not named never took effect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Certificate {
    /// The transactions one after the other.
    Serial(Vec<u32>),
    /// Every transaction's start, where it reads, and commit, where it writes.
    Snapshots(Vec<(u32, Moment)>),
    /// For levels that demand no more than that certain cycles and reads are absent.
    Absence,
}

/// A moment of a transaction under snapshot isolation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// It takes its snapshot.
    Start,
    /// Its writes become visible.
    Commit,
}

/// How a history stands to all levels.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Standing {
    /// The strongest levels that hold; all that they imply hold too.
    pub holds: Vec<Level>,
    /// The weakest levels that are violated; all that imply them are too.
    pub violated: Vec<Level>,
    /// Levels of which it is not known.
    pub unknown: Vec<Level>,
}

/// How much a history's reads say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Coverage {
    /// Transactions that took effect.
    pub transactions: u32,
    /// Reads of committed transactions.
    pub reads: u32,
    /// Those among them that could have shown another transaction's write.
    pub constraining: u32,
    /// Reads of a value that was written more than once, so that nobody can say whose it was.
    pub ambiguous: u32,
}

/// Analyses transactions on lists, the values of each of which differ.
pub fn list_append<K: Eq + Hash + Debug, V: Eq + Hash + Debug>(
    history: &ListHistory<K, V>,
) -> Analysis<'_, K, V> {
    let table = Table::new(history);
    let facts = list::facts(&table);
    Analysis { table, facts, recorded: Vec::new(), steps: STEPS }
}

/// Analyses transactions on registers, the values written to each of which differ.
pub fn rw_register<K: Eq + Hash + Debug, V: Eq + Hash + Debug>(
    history: &RwHistory<K, V>,
) -> Analysis<'_, K, V> {
    let table = Table::new(history);
    let facts = register::facts(&table);
    Analysis { table, facts, recorded: Vec::new(), steps: STEPS }
}

impl<'h, K: Eq + Hash + Debug, V: Eq + Hash + Debug> Analysis<'h, K, V> {
    /// Tries this order of each key's values first, where the reads leave the order open.
    ///
    /// It is a hint, and not believed: a level holds only if a certificate for it is found, and is
    /// violated only if no order at all makes it hold. Values that nobody wrote are passed over.
    #[must_use]
    pub fn with_recorded_orders<'a>(
        mut self,
        orders: impl IntoIterator<Item = (&'a K, &'a [V])>,
    ) -> Self
    where
        K: 'a,
        V: 'a,
        'h: 'a,
    {
        let keys: FxHashMap<&K, u32> = self.table.keys.iter().copied().zip(0..).collect();
        let mut position: Vec<usize> = vec![usize::MAX; self.table.writes.len()];
        for (key, values) in orders {
            let Some(&key) = keys.get(key) else { continue };
            for (at, value) in values.iter().enumerate() {
                if let Some(write) = self.table.by_value.get(&(key, value)) {
                    position[*write as usize] = at;
                }
            }
        }
        let groups = self.facts.groups.iter();
        let order = |group: &super::facts::Group| {
            group.writers.iter().map(|writer| position[writer.write as usize]).collect()
        };
        self.recorded = groups.map(order).collect();
        self
    }

    /// Bounds the search for an order of the writes; the default is a second or two.
    #[must_use]
    pub fn within(mut self, steps: u64) -> Self {
        self.steps = steps;
        self
    }

    /// How much the reads say.
    pub fn coverage(&self) -> Coverage {
        Coverage {
            transactions: self.facts.took_effect.iter().filter(|took| **took).count() as u32,
            reads: self.facts.reads,
            constraining: self.facts.constraining,
            ambiguous: self.facts.ambiguous,
        }
    }

    /// The verdict on one level; its message explains the worst witness.
    pub fn check(&self, level: Level) -> Verdict {
        match self.judge(level) {
            Judgement::Holds(_) => Verdict::Holds,
            Judgement::Unknown(reason) => Verdict::Unknown(format!("{level}: {reason}")),
            Judgement::Violated(witnesses) => {
                let worst = &witnesses[0];
                let message = format!("not {level}.\n{worst}");
                let class = worst.phenomenon.to_string();
                Verdict::Violated(Anomaly::new("isolation", class, message))
            }
        }
    }

    /// Holds the history against one level.
    pub fn judge(&self, level: Level) -> Judgement {
        let shape = self.shape(level);
        let kinds = kinds(level);
        let graph = Graph::new(shape, kinds, &self.facts.edges, &[]);
        let order = graph.order();
        drop(graph);
        let mut witnesses = self.flaws(level);
        if order.is_none() {
            witnesses.extend(self.cycles(level, &[]));
        }
        if !witnesses.is_empty() {
            witnesses.sort_by_key(|witness| witness.phenomenon);
            return Judgement::Violated(witnesses);
        }
        let judgement = match order {
            Some(order) if !self.needs_search(level) => {
                Judgement::Holds(self.certificate(level, &order))
            }
            _ => self.solve(level),
        };
        match (judgement, self.doubt(level)) {
            (Judgement::Holds(_), Some(doubt)) => Judgement::Unknown(doubt),
            (judgement, _) => judgement,
        }
    }

    /// Holds the history against all levels.
    pub fn standing(&self) -> Standing {
        let mut judged: Vec<(Level, Option<bool>)> = Vec::new();
        let mut levels: Vec<Level> = Level::all().collect();
        levels.sort_by_key(|level| std::cmp::Reverse((level.order, level.isolation)));
        for level in levels {
            let known = judged.iter().find_map(|(other, holds)| match holds {
                Some(true) if other.implies(level) => Some(true),
                Some(false) if level.implies(*other) => Some(false),
                _ => None,
            });
            let holds = known.or_else(|| match self.judge(level) {
                Judgement::Holds(_) => Some(true),
                Judgement::Unknown(_) => None,
                Judgement::Violated(_) => Some(false),
            });
            judged.push((level, holds));
        }
        let those = |wanted: Option<bool>| {
            let mut levels: Vec<Level> = judged
                .iter()
                .filter(|(_, holds)| *holds == wanted)
                .map(|(level, _)| *level)
                .collect();
            levels.sort();
            levels
        };
        let (mut holds, mut violated) = (those(Some(true)), those(Some(false)));
        let all = holds.clone();
        holds.retain(|level| !all.iter().any(|other| other != level && other.implies(*level)));
        let all = violated.clone();
        violated.retain(|level| !all.iter().any(|other| other != level && level.implies(*other)));
        Standing { holds, violated, unknown: those(None) }
    }

    fn shape(&self, level: Level) -> Shape {
        Shape {
            txns: self.facts.txns(),
            helpers: self.facts.helpers,
            split: level.isolation == Isolation::SnapshotIsolation,
        }
    }

    fn flaws(&self, level: Level) -> Vec<Witness> {
        let flaws = self.facts.flaws.iter();
        let flaws = flaws.filter(|flaw| flaw.phenomenon.rules_out(level));
        flaws.map(|flaw| of_flaw(&self.table, flaw)).collect()
    }

    fn cycles(&self, level: Level, derived: &[Edge]) -> Vec<Witness> {
        let cycles = shortest(self.shape(level), level, &self.facts.edges, derived);
        let witness = |cycle: super::cycle::Cycle| {
            let follows = |edge: &Edge| {
                let same = |other: &Edge| {
                    (other.from, other.to, other.before, other.after, other.kind)
                        == (edge.from, edge.to, edge.before, edge.after, edge.kind)
                };
                derived.iter().any(same).then(|| {
                    "the other order of the two writes would contradict what else was read"
                        .to_owned()
                })
            };
            of_cycle(&self.table, cycle.phenomenon, &cycle.edges, follows)
        };
        cycles.into_iter().map(witness).collect()
    }

    /// Whether the level can fail for the order of the writes alone. Under read committed, writes
    /// and the reads of them can always be put in one order if they make no cycle without it; and
    /// where one transaction runs after the other, writes that nobody read stand in any order.
    fn needs_search(&self, level: Level) -> bool {
        let groups = &self.facts.groups;
        match level.isolation {
            Isolation::ReadUncommitted | Isolation::ReadCommitted => false,
            Isolation::SnapshotIsolation => !groups.is_empty(),
            Isolation::RepeatableRead | Isolation::Serializable => {
                groups.iter().flat_map(|group| &group.writers).any(|w| !w.readers.is_empty())
            }
        }
    }

    fn solve(&self, level: Level) -> Judgement {
        match self.search(level, self.steps) {
            Solution::Order(order) => Judgement::Holds(self.certificate(level, &order)),
            Solution::Cycle(derived) => Judgement::Violated(vec![self.derived(level, derived)]),
            Solution::Exhausted(derived, tried) => {
                let mut witness = self.witness(level, &derived);
                witness.phenomenon = Phenomenon::NoVersionOrder(level.order);
                witness.message = format!(
                    "This is the last of the orders of the writes that were tried; after {tried} \
                     choices, a cycle follows with each of them"
                );
                Judgement::Violated(vec![witness])
            }
            Solution::Bound(reason) => {
                Judgement::Unknown(format!("{reason}; a recorded version order would help"))
            }
        }
    }

    fn search(&self, level: Level, steps: u64) -> Solution {
        let rank = |txn: &super::table::Txn| {
            if txn.completed == NONE { txn.invoked } else { txn.completed }
        };
        let ranks: Vec<u32> = self.table.txns.iter().map(rank).collect();
        let solver = Solver {
            shape: self.shape(level),
            kinds: kinds(level),
            known: &self.facts.edges,
            groups: &self.facts.groups,
            recorded: &self.recorded,
            ranks: &ranks,
            steps,
            places: self.places(),
        };
        solver.run()
    }

    /// The witness of a cycle with edges that follow from `level`: named after the weakest level
    /// from which a cycle follows, as far as that is found in a fraction of the time.
    fn derived(&self, level: Level, derived: Vec<Edge>) -> Witness {
        let isolations = [Isolation::SnapshotIsolation, level.isolation];
        let weaker = isolations
            .into_iter()
            .flat_map(|isolation| Order::ALL.map(|order| Level { isolation, order }))
            .filter(|other| *other != level && level.implies(*other));
        let found =
            weaker.into_iter().find_map(|other| match self.search(other, self.steps / 16) {
                Solution::Cycle(derived) => Some((other, derived)),
                _ => None,
            });
        let (level, derived) = found.unwrap_or((level, derived));
        let mut witness = self.witness(level, &derived);
        let order = level.order;
        witness.phenomenon = match (level.isolation, witness.phenomenon) {
            (Isolation::SnapshotIsolation, Phenomenon::LongFork(_)) => Phenomenon::LongFork(order),
            (Isolation::SnapshotIsolation, Phenomenon::GNonadjacent(_)) => {
                Phenomenon::GNonadjacent(order)
            }
            (Isolation::SnapshotIsolation, Phenomenon::GSingle(_)) => Phenomenon::GSingle(order),
            (Isolation::SnapshotIsolation, _) => Phenomenon::NoVersionOrder(order),
            _ => Phenomenon::G2Item(order),
        };
        witness
    }

    /// Of the cycles with derived edges, one with few anti-dependencies.
    fn witness(&self, level: Level, derived: &[Edge]) -> Witness {
        let mut cycles = self.cycles(level, derived);
        let flows = |witness: &Witness| {
            matches!(witness.phenomenon, Phenomenon::G0(_) | Phenomenon::G1c(_))
        };
        let at = cycles.iter().position(|witness| !flows(witness)).unwrap_or(0);
        cycles.swap_remove(at)
    }

    fn places(&self) -> FxHashMap<u32, (usize, usize)> {
        let groups = self.facts.groups.iter().enumerate();
        let places = groups.flat_map(|(number, group)| {
            let writers = group.writers.iter().enumerate();
            writers.map(move |(at, writer)| (writer.write, (number, at)))
        });
        places.collect()
    }

    fn certificate(&self, level: Level, order: &[u32]) -> Certificate {
        let shape = self.shape(level);
        let moments = order.iter().filter_map(|node| Some((shape.txn(*node)?, *node)));
        let moments = moments.filter(|(txn, _)| self.facts.took_effect[*txn as usize]);
        match level.isolation {
            Isolation::ReadUncommitted | Isolation::ReadCommitted => Certificate::Absence,
            Isolation::RepeatableRead | Isolation::Serializable => {
                Certificate::Serial(moments.map(|(txn, _)| txn).collect())
            }
            Isolation::SnapshotIsolation => {
                let moment = |(txn, node)| {
                    let start = node == shape.start(txn);
                    (txn, if start { Moment::Start } else { Moment::Commit })
                };
                Certificate::Snapshots(moments.map(moment).collect())
            }
        }
    }

    /// Why a level that seems to hold may yet not.
    fn doubt(&self, level: Level) -> Option<String> {
        let Facts { reads, constraining, ambiguous, misfits, .. } = self.facts;
        if !self.table.txns.iter().any(|txn| txn.fate == Fate::Committed) {
            return Some("no transaction is known to have committed".to_owned());
        }
        if constraining == 0 {
            return Some(format!(
                "none of {reads} reads could have shown another transaction's write, so nothing \
                 was put to the test"
            ));
        }
        if ambiguous > 0 {
            return Some(format!(
                "{ambiguous} reads returned a value that was written more than once to the same \
                 key, so that nobody can say whose it was"
            ));
        }
        if misfits > 0 && level.isolation == Isolation::ReadUncommitted {
            return Some(format!(
                "{misfits} reads of lists fit no order of versions, so that of the writes is not \
                 known"
            ));
        }
        None
    }
}
