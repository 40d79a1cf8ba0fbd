//! Version orders that the reads leave open: an order of the writes is looked for that makes no
//! cycle.
//!
//! For two writes of one key, either comes first; then everybody who read the first comes before
//! the second. This is the polygraph of Papadimitriou (1979) and Cobra (OSDI 2020). What is forced,
//! since the opposite would close a cycle, is found in rounds over the transitive closure; then the
//! rest is guessed after the order of time, and only where the guess makes a cycle does a bounded
//! search branch.

use super::facts::{Edge, Group, Kind};
use super::graph::{Graph, Shape};
use super::table::NONE;
use rustc_hash::FxHashMap;

/// How many words of closures a search puts together, a pair of writes counting as
/// [`PAIR`] of them: a few seconds.
pub(super) const STEPS: u64 = 2_000_000_000;

const PAIR: usize = 4;

/// How many writes in a row that are in order already end the look-out for others.
const FAR: usize = 64;

/// How many bytes the closure may have.
const BYTES: usize = 256 << 20;

/// What the search came to.
pub(super) enum Solution {
    /// All nodes in an order that fits, and the edges between writes that were chosen for it.
    Order(Vec<u32>),
    /// There is a cycle among what is known and these edges, which follow from it.
    Cycle(Vec<Edge>),
    /// Whichever order is chosen for the writes, a cycle follows; one that does, and how many
    /// choices were tried.
    Exhausted(Vec<Edge>, u32),
    /// The search ended at a bound, and how much was in order by then.
    Bound(String),
}

pub(super) struct Solver<'a> {
    pub(super) shape: Shape,
    pub(super) kinds: u8,
    pub(super) known: &'a [Edge],
    pub(super) groups: &'a [Group],
    /// For each group, its writers in an order to try first; may be empty.
    pub(super) recorded: &'a [Vec<usize>],
    /// When each transaction ran: what runs earlier is placed earlier where nothing decides.
    pub(super) ranks: &'a [u32],
    pub(super) steps: u64,
    /// The group of each write whose order is open, and its place there.
    pub(super) places: FxHashMap<u32, (usize, usize)>,
}

/// A group, and two of its writers in some order.
type Pair = (usize, usize, usize);

/// A choice of the search, and everything that it takes to go back before it.
struct Choice {
    derived: usize,
    /// Where one pair was chosen, the order that is still to be tried.
    other: Option<Pair>,
    /// Many pairs were chosen at once, in parts of the graph that had nothing to do with each
    /// other: if that fails, they are chosen one by one.
    many: bool,
}

/// For every node, which of the nodes that matter come after it.
struct Closure {
    words: usize,
    bits: Vec<u64>,
    /// The column of a transaction's start; [`NONE`] if it does not matter.
    columns: Vec<u32>,
    /// How many columns further that of its commit is.
    commit: u32,
}

impl Closure {
    fn starts(&self, node: u32, txn: u32) -> bool {
        self.get(node, self.columns[txn as usize])
    }

    fn commits(&self, node: u32, txn: u32) -> bool {
        self.get(node, self.columns[txn as usize] + self.commit)
    }

    fn get(&self, node: u32, column: u32) -> bool {
        let word = self.bits[node as usize * self.words + column as usize / 64];
        word >> (column % 64) & 1 != 0
    }
}

enum Saturated {
    Done(Closure),
    Cycle,
    Bound(&'static str),
}

impl Solver<'_> {
    pub(super) fn run(mut self) -> Solution {
        let mut derived: Vec<Edge> = Vec::new();
        if let Some(order) = self.guess(&mut derived, true) {
            return Solution::Order(order);
        }
        let mut choices: Vec<Choice> = Vec::new();
        let (mut tried, mut one_by_one) = (0, false);
        loop {
            let closure = match self.saturate(&mut derived) {
                Saturated::Done(closure) => closure,
                Saturated::Bound(reason) => return self.bound(reason, None),
                Saturated::Cycle => {
                    let last = derived.clone();
                    match self.back(&mut choices, &mut derived) {
                        Some(many) => {
                            one_by_one = many;
                            continue;
                        }
                        None if tried == 0 => return Solution::Cycle(last),
                        None => return Solution::Exhausted(last, tried),
                    }
                }
            };
            if let Some(order) = self.guess(&mut derived, false) {
                return Solution::Order(order);
            }
            let mut open = self.open_pairs(&mut derived, &closure);
            if open.is_empty() {
                return self.bound("no pair of writes was left to order", Some(&closure));
            }
            if self.steps == 0 {
                return self.bound(
                    "the search for an order of the rest ended at its bound",
                    Some(&closure),
                );
            }
            if one_by_one {
                open.truncate(1);
            }
            one_by_one = false;
            tried += open.len() as u32;
            let many = open.len() > 1;
            let other = (!many).then_some(open[0]);
            choices.push(Choice { derived: derived.len(), other, many });
            for (group, a, b) in open {
                self.put(group, b, a, &mut derived);
            }
        }
    }

    fn spend(&mut self, steps: usize) {
        self.steps = self.steps.saturating_sub(steps as u64);
    }

    /// Goes back to the last choice of which the other side is open and takes that, or to before
    /// the last choice of many, and says which of the two; `None` if no choice is left.
    fn back(&self, choices: &mut Vec<Choice>, derived: &mut Vec<Edge>) -> Option<bool> {
        while let Some(choice) = choices.last_mut() {
            derived.truncate(choice.derived);
            if let Some((group, a, b)) = choice.other.take() {
                self.put(group, a, b, derived);
                return Some(false);
            }
            let many = choice.many;
            choices.pop();
            if many {
                return Some(true);
            }
        }
        None
    }

    /// Puts one writer of a group before another.
    fn put(&self, group: usize, a: usize, b: usize, derived: &mut Vec<Edge>) {
        let writers = &self.groups[group].writers;
        let (before, after) = (&writers[a], &writers[b]);
        let mut add = |kind, from| {
            let (before, after) = (before.write, after.write);
            derived.push(Edge { from, to: writers[b].txn, before, after, kind });
        };
        add(Kind::Ww, before.txn);
        for &reader in before.readers.iter().filter(|reader| **reader != after.txn) {
            add(Kind::Rw, reader);
        }
    }

    /// Where each node stands in an order of what is known and derived; what ran earlier stands
    /// earlier.
    fn positions(&self, derived: &[Edge]) -> Option<Vec<u32>> {
        let graph = Graph::new(self.shape, self.kinds, self.known, derived);
        let rank = |node| self.shape.txn(node).map_or(0, |txn| u64::from(self.ranks[txn as usize]));
        let order = graph.order_by(rank)?;
        let mut positions = vec![0; order.len()];
        for (position, node) in order.into_iter().enumerate() {
            positions[node as usize] = position as u32;
        }
        Some(positions)
    }

    /// Adds the edges of a whole order of the writes: the recorded one, or that of the positions.
    fn add_guess(&self, derived: &mut Vec<Edge>, recorded: bool) -> Option<()> {
        let positions = self.positions(derived)?;
        for (number, group) in self.groups.iter().enumerate() {
            let mut order: Vec<usize> = (0..group.writers.len()).collect();
            let by_position =
                |writer: &usize| positions[self.shape.commit(group.writers[*writer].txn) as usize];
            match self.recorded.get(number).filter(|_| recorded) {
                Some(known) => order.sort_by_key(|writer| (known[*writer], by_position(writer))),
                None => order.sort_by_key(by_position),
            }
            for pair in order.windows(2) {
                self.put(number, pair[0], pair[1], derived);
            }
        }
        Some(())
    }

    fn guess(&self, derived: &mut Vec<Edge>, recorded: bool) -> Option<Vec<u32>> {
        let certain = derived.len();
        let order = self
            .add_guess(derived, recorded)
            .and_then(|()| Graph::new(self.shape, self.kinds, self.known, derived).order());
        derived.truncate(certain);
        order
    }

    /// Pairs of writers that a wrong guess put in an order: one for each part of the graph in which
    /// that makes a cycle.
    fn open_pairs(&self, derived: &mut Vec<Edge>, closure: &Closure) -> Vec<Pair> {
        let certain = derived.len();
        if self.add_guess(derived, false).is_none() {
            return Vec::new();
        }
        let graph = Graph::new(self.shape, self.kinds, self.known, derived);
        let guesses = derived.split_off(certain);
        let mut inside = vec![NONE; graph.nodes() as usize];
        let components = graph.components();
        for (number, component) in (0..).zip(&components) {
            for &node in component {
                inside[node as usize] = number;
            }
        }
        let place = |write: u32| self.places.get(&write).copied();
        let mut open = vec![None; components.len()];
        for edge in &guesses {
            let (from, to) = self.shape.ends(edge);
            let component = inside[from as usize];
            if component == NONE || component != inside[to as usize] {
                continue;
            }
            let open = &mut open[component as usize];
            let (Some((group, a)), Some((_, b))) = (place(edge.before), place(edge.after)) else {
                continue;
            };
            if open.is_none() && !self.decided(group, a, b, closure) {
                *open = Some((group, a, b));
            }
        }
        open.into_iter().flatten().collect()
    }

    /// Whether one writer of a group is known to come before another, with all that follows.
    fn decided(&self, group: usize, a: usize, b: usize, closure: &Closure) -> bool {
        let (x, y) = (&self.groups[group].writers[a], self.groups[group].writers[b].txn);
        let reader = |r: &u32| *r == y || closure.commits(self.shape.start(*r), y);
        closure.starts(self.shape.commit(x.txn), y) && x.readers.iter().all(reader)
    }

    /// Derives until nothing more follows.
    fn saturate(&mut self, derived: &mut Vec<Edge>) -> Saturated {
        loop {
            let graph = Graph::new(self.shape, self.kinds, self.known, derived);
            let Some(order) = graph.order() else { return Saturated::Cycle };
            let Some(closure) = self.closure(&graph, &order) else {
                return Saturated::Bound("the search would need too much memory");
            };
            let before = derived.len();
            let mut positions = vec![0; order.len()];
            for (position, node) in (0_u32..).zip(order) {
                positions[node as usize] = position;
            }
            for number in 0..self.groups.len() {
                self.derive(number, &closure, &positions, derived);
            }
            if derived.len() == before {
                return Saturated::Done(closure);
            }
            if self.steps == 0 {
                return Saturated::Bound("the search for an order of the rest ended at its bound");
            }
        }
    }

    fn closure(&mut self, graph: &Graph, order: &[u32]) -> Option<Closure> {
        let mut columns = vec![NONE; self.shape.txns as usize];
        let mut count = 0;
        let writers = || self.groups.iter().flat_map(|group| &group.writers);
        for txn in writers().flat_map(|writer| writer.readers.iter().chain([&writer.txn])) {
            let column = &mut columns[*txn as usize];
            if *column == NONE {
                *column = count;
                count += 1;
            }
        }
        let commit = if self.shape.split { count } else { 0 };
        let words = (count + commit).div_ceil(64) as usize;
        let size = words * graph.nodes() as usize;
        if size > BYTES / 8 {
            return None;
        }
        let mut bits = vec![0_u64; size];
        for &node in order.iter().rev() {
            let here = node as usize * words;
            for &next in graph.next(node) {
                let there = next as usize * words;
                // A node is of higher or lower number than the next: either way two rows.
                let (low, high) = bits.split_at_mut(here.max(there));
                let (row, other) = if here < there {
                    (&mut low[here..here + words], &high[..words])
                } else {
                    (&mut high[..words], &low[there..there + words])
                };
                for (word, other) in row.iter_mut().zip(other) {
                    *word |= other;
                }
                if let Some(txn) = self.shape.txn(next) {
                    let mut column = columns[txn as usize];
                    if column != NONE {
                        if next != self.shape.start(txn) {
                            column += commit;
                        }
                        bits[here + column as usize / 64] |= 1 << (column % 64);
                    }
                }
            }
        }
        self.spend(words * graph.edges());
        Some(Closure { words, bits, columns, commit })
    }

    /// Puts the writers of a group in order, where the opposite order would close a cycle. Of those
    /// that are far from one another nearly all are in order already, so it looks no further than
    /// [`FAR`] of these: what is not derived here is found by the guess or by the search.
    fn derive(
        &mut self,
        number: usize,
        closure: &Closure,
        positions: &[u32],
        derived: &mut Vec<Edge>,
    ) {
        let shape = self.shape;
        let writers = &self.groups[number].writers;
        let before = |a: u32, b: u32| closure.starts(shape.commit(a), b);
        let forced = |a: usize, b: usize| {
            let (x, y) = (&writers[a], &writers[b]);
            closure.commits(shape.start(x.txn), y.txn)
                || y.readers.iter().any(|r| *r != x.txn && before(x.txn, *r))
        };
        let mut sorted: Vec<usize> = (0..writers.len()).collect();
        sorted.sort_by_key(|writer| positions[shape.commit(writers[*writer].txn) as usize]);
        let (mut nearest, mut pairs): (Vec<u32>, usize) = (Vec::new(), 0);
        for (at, &a) in sorted.iter().enumerate() {
            nearest.clear();
            let mut far = 0;
            for &b in &sorted[at + 1..] {
                pairs += 1;
                let txn = writers[b].txn;
                if nearest.iter().any(|near| before(*near, txn)) {
                    far += 1;
                    if far == FAR {
                        break;
                    }
                } else if forced(a, b) {
                    far = 0;
                    nearest.push(txn);
                    if !self.decided(number, a, b, closure) {
                        self.put(number, a, b, derived);
                    }
                }
            }
            far = 0;
            for &b in sorted[..at].iter().rev() {
                pairs += 1;
                if before(writers[b].txn, writers[a].txn) {
                    // It cannot come after, unless there is a cycle to be found the other way.
                    far += 1;
                    if far == FAR {
                        break;
                    }
                } else if forced(a, b) && !self.decided(number, a, b, closure) {
                    self.put(number, a, b, derived);
                }
            }
        }
        self.spend(PAIR * pairs);
    }

    fn bound(&self, reason: &str, closure: Option<&Closure>) -> Solution {
        let groups = self.groups.iter().map(|group| &group.writers);
        let pairs: usize = groups.clone().map(|all| all.len() * (all.len() - 1) / 2).sum();
        let Some(closure) = closure else {
            return Solution::Bound(format!("{pairs} pairs of writes are to be ordered; {reason}"));
        };
        let mut ordered = 0;
        for writers in groups {
            for x in writers {
                let commit = self.shape.commit(x.txn);
                ordered += writers.iter().filter(|y| closure.starts(commit, y.txn)).count();
            }
        }
        let what = format!("the reads order {ordered} of {pairs} pairs of writes; {reason}");
        Solution::Bound(what)
    }
}
