//! A register whose written values all differ, in O(n log n).
//!
//! What was read says which write it came from. So the write of a value and the reads of it are a
//! *cluster*, which stands together in every order, and a compare-and-set that found what it
//! expected glues its cluster behind that of the value it replaced: chains of clusters are
//! [blocks](super::blocks). Inside a chain the order is given, and one pass over it checks it.
//!
//! A write of unknown outcome took effect if its value was read, or replaced by one that was; else
//! it is left out, which never hurts anybody.
//!
//! A compare-and-set that was refused says what the register did *not* hold. No polynomial
//! procedure is known for these; they are fitted into the order that the others have. Where one
//! does not fit, it becomes a reader of some other value that can have been there while it ran,
//! and everything is arranged again. If that does not succeed soon, a search has to judge.

use super::blocks::{self, Block};
use super::{NONE, OPEN, Span, conflict, observers};
use crate::Decision;

/// What an operation does to the register, with numbers for values. The initial value is
/// [`INITIAL`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// Sees this. (Also a compare-and-set that replaced this by itself.)
    Read(u32),
    /// Leaves this.
    Write(u32),
    /// Sees the first, leaves the second, another value.
    Swap(u32, u32),
    /// Sees another value than this.
    Refused(u32),
}

/// The number of the value in which the register begins.
pub(crate) const INITIAL: u32 = 0;

/// How often the order is made anew for the sake of refused ones.
const ROUNDS: usize = 16;

/// How far in the order a value is looked for that a refused one can have seen.
const NEAR: usize = 48;

/// Judges operations in the order of invocation; reads and refusals are completed ones. `values`
/// is how many values there are, `name` how a person knows them. `None` if a value is written
/// twice, or if refused ones cannot be fitted in.
pub(crate) fn decide(
    operations: &[(Span, Access)],
    values: usize,
    name: impl Fn(u32) -> String,
) -> Option<Decision> {
    let mut register = Register::new(operations, values, &name)?;
    let refused: Vec<u32> = (0..)
        .zip(operations)
        .filter(|(_, (_, access))| matches!(access, Access::Refused(_)))
        .map(|(nth, _)| nth)
        .collect();
    for round in 0..ROUNDS {
        let order = match register.arrange() {
            Ok(order) => order,
            Err(conflict) => return (round == 0).then_some(conflict),
        };
        if refused.is_empty() {
            let places = order.iter().map(|&nth| operations[nth as usize].0.place).collect();
            return Some(Decision::Order(places));
        }
        match register.fit(&order, &refused, round == 0) {
            Fit::Order(order) => return Some(Decision::Order(order)),
            Fit::Conflict(conflict) => return Some(conflict),
            Fit::Again => {}
            Fit::Nowhere => return None,
        }
    }
    None
}

/// How refused ones fitted in.
enum Fit {
    Order(Vec<u32>),
    Conflict(Decision),
    /// Some are readers now: arrange everything again.
    Again,
    Nowhere,
}

/// The write of a value, and the reads of it.
#[derive(Clone, Copy)]
struct Cluster {
    /// When it must have begun and ended.
    block: Block,
    writer: u32,
    /// The value that the writer replaced, if it is a swap.
    from: u32,
    /// The value that a swap put in the place of this one.
    next: u32,
    /// Its last reader; each reader points to the one before.
    reader: u32,
    /// Whether it must have been there.
    needed: bool,
    /// Which value shows that it was, if none of its own operations completed: one that a swap
    /// put in its place.
    shown_by: u32,
}

struct Register<'a, N> {
    operations: &'a [(Span, Access)],
    name: &'a N,
    clusters: Vec<Cluster>,
    /// For each reader the one before it of the same value.
    readers: Vec<u32>,
    /// The value that a refused one is taken to have seen, once one had to be decided.
    seen: Vec<u32>,
    /// The values of the clusters in their order.
    sequence: Vec<u32>,
    /// The chains, and for each value the number of its chain.
    blocks: Vec<Block>,
    chain_of: Vec<u32>,
}

impl<'a, N: Fn(u32) -> String> Register<'a, N> {
    /// `None` if a value is written twice.
    fn new(operations: &'a [(Span, Access)], values: usize, name: &'a N) -> Option<Self> {
        let none = Cluster {
            block: Block::EMPTY,
            writer: NONE,
            from: NONE,
            next: NONE,
            reader: NONE,
            needed: false,
            shown_by: NONE,
        };
        let mut clusters = vec![none; values];
        clusters[INITIAL as usize].block.end = (0, NONE);
        for (nth, (span, access)) in (0..).zip(operations) {
            let (value, from) = match *access {
                Access::Write(new) => (new, NONE),
                Access::Swap(old, new) => (new, old),
                Access::Read(value) => {
                    clusters[value as usize].block.add(span.invoked, span.completed, nth);
                    continue;
                }
                Access::Refused(_) => continue,
            };
            let cluster = &mut clusters[value as usize];
            if value == INITIAL || cluster.writer != NONE {
                return None;
            }
            (cluster.writer, cluster.from) = (nth, from);
            cluster.block.add(span.invoked, span.completed, nth);
        }
        let readers = vec![NONE; operations.len()];
        let seen = Vec::new();
        let (sequence, blocks, chain_of) = (Vec::new(), Vec::new(), vec![NONE; values]);
        Some(Self { operations, name, clusters, readers, seen, sequence, blocks, chain_of })
    }

    fn cluster(&self, value: u32) -> &Cluster {
        &self.clusters[value as usize]
    }

    fn place(&self, operation: u32) -> u32 {
        self.operations.get(operation as usize).map_or(NONE, |(span, _)| span.place)
    }

    /// A conflict between operations and, where one's outcome is unknown, what shows that it took
    /// effect.
    fn conflict(&self, operations: &[u32], reason: String) -> Decision {
        let mut all = operations.to_vec();
        for &operation in operations.iter().filter(|&&operation| operation != NONE) {
            let open = self.operations[operation as usize].0.completed == OPEN;
            let mut value = if open { self.value_of(operation) } else { NONE };
            while value != NONE {
                let Cluster { block, writer, shown_by, .. } = *self.cluster(value);
                all.extend([writer, block.end.1]);
                value = if block.end.1 == NONE { shown_by } else { NONE };
            }
        }
        conflict(all.into_iter().map(|operation| self.place(operation)), reason)
    }

    /// The order of all but the refused ones.
    fn arrange(&mut self) -> Result<Vec<u32>, Decision> {
        if self.sequence.is_empty() {
            self.link()?;
        }
        let (chains, blocks) = self.chains()?;
        let arranged = match blocks::arrange(&blocks) {
            Ok(arranged) => arranged,
            Err((a, b)) => return Err(self.apart(&blocks[a as usize], &blocks[b as usize])),
        };
        self.sequence.clear();
        for nth in arranged {
            let mut value = chains[nth as usize];
            while value != NONE {
                self.sequence.push(value);
                self.chain_of[value as usize] = nth;
                value = self.cluster(value).next;
            }
        }
        self.blocks = blocks;
        Ok(self.order())
    }

    /// Finds out which clusters must have been there, and which replaced which.
    fn link(&mut self) -> Result<(), Decision> {
        self.clusters[INITIAL as usize].needed = true;
        for value in 0..self.clusters.len() as u32 {
            if self.cluster(value).block.end.1 == NONE {
                continue;
            }
            let (mut value, mut shown_by) = (value, NONE);
            while value != NONE && !self.cluster(value).needed {
                let cluster = &mut self.clusters[value as usize];
                (cluster.needed, cluster.shown_by) = (true, shown_by);
                (shown_by, value) = (value, cluster.from);
            }
        }
        for value in 1..self.clusters.len() as u32 {
            let Cluster { writer, from, block, needed, .. } = *self.cluster(value);
            if !needed {
                continue;
            }
            if writer == NONE {
                // It was read, or else a swap that is looked at in its turn expected it.
                if block.end.1 != NONE {
                    let value = (self.name)(value);
                    let reason = format!("{value} was read, and no write of it took effect");
                    return Err(self.conflict(&[block.end.1], reason));
                }
                continue;
            }
            if from == NONE {
                continue;
            }
            let Cluster { next, writer: origin, .. } = *self.cluster(from);
            if from != INITIAL && origin == NONE {
                let (old, new) = ((self.name)(from), (self.name)(value));
                let reason = format!("{old} was replaced by {new}, and nobody wrote {old}");
                return Err(self.conflict(&[writer], reason));
            }
            if next != NONE {
                let (old, new, other) = ((self.name)(from), (self.name)(value), (self.name)(next));
                let reason =
                    format!("{old} was replaced by {other} and by {new}, and written only once");
                let other = self.cluster(next).writer;
                return Err(self.conflict(&[writer, other, origin], reason));
            }
            self.clusters[from as usize].next = value;
        }
        Ok(())
    }

    /// The first value of each chain, and the chains as blocks.
    fn chains(&self) -> Result<(Vec<u32>, Vec<Block>), Decision> {
        let (mut chains, mut blocks) = (Vec::new(), Vec::new());
        let (mut met, mut needed) = (0, 0);
        for head in 0..self.clusters.len() as u32 {
            let Cluster { needed: is_needed, from, .. } = *self.cluster(head);
            needed += usize::from(is_needed);
            if !is_needed || from != NONE {
                continue;
            }
            let mut block = Block::EMPTY;
            let mut value = head;
            while value != NONE {
                let cluster = self.cluster(value);
                if cluster.block.precedes(&block) {
                    return Err(self.turned(value, block.begin.1));
                }
                if cluster.writer != NONE {
                    let (begun, _) = self.operations[cluster.writer as usize];
                    if cluster.block.end.0 < begun.invoked {
                        let name = (self.name)(value);
                        let reason = format!("{name} was read before its write began");
                        let reader = cluster.block.end.1;
                        return Err(self.conflict(&[reader, cluster.writer], reason));
                    }
                }
                block.join(&cluster.block);
                met += 1;
                value = cluster.next;
            }
            chains.push(head);
            blocks.push(block);
        }
        if met < needed { Err(self.circle()) } else { Ok((chains, blocks)) }
    }

    /// The value that an operation sees or leaves.
    fn value_of(&self, operation: u32) -> u32 {
        match self.operations.get(operation as usize).map(|(_, access)| *access) {
            None => INITIAL,
            Some(Access::Read(value) | Access::Write(value) | Access::Swap(_, value)) => value,
            Some(Access::Refused(_)) => self.seen_by(operation as usize),
        }
    }

    /// The value that a refused one is taken to have seen, or none.
    fn seen_by(&self, operation: usize) -> u32 {
        self.seen.get(operation).copied().unwrap_or(NONE)
    }

    /// The writers of a value and of all up to a later one in its chain.
    fn writers(&self, from: u32, to: u32) -> Vec<u32> {
        let follow = |value: &u32| Some(self.cluster(*value).next).filter(|&next| next != NONE);
        let values = std::iter::successors(Some(from), follow);
        let mut writers = Vec::new();
        for value in values {
            writers.push(self.cluster(value).writer);
            if value == to {
                return writers;
            }
        }
        Vec::new()
    }

    /// One of a value's operations ended before one on a value before it in the chain began.
    fn turned(&self, value: u32, earlier: u32) -> Decision {
        let before = self.value_of(earlier);
        let (old, new) = ((self.name)(before), (self.name)(value));
        let reason = format!(
            "{new} took the place of {old} by compare-and-set, but was there before {old} was"
        );
        let mut operations = self.writers(before, value);
        operations.extend([earlier, self.cluster(value).block.end.1]);
        self.conflict(&operations, reason)
    }

    /// Values of which each was put in the place of another one among them.
    fn circle(&self) -> Decision {
        let mut value = INITIAL;
        let mut left = vec![true; self.clusters.len()];
        for head in 0..self.clusters.len() as u32 {
            if self.cluster(head).needed && self.cluster(head).from == NONE {
                let mut value = head;
                while value != NONE {
                    left[value as usize] = false;
                    value = self.cluster(value).next;
                }
            } else if !self.cluster(head).needed {
                left[head as usize] = false;
            }
        }
        if let Some(first) = left.iter().position(|&left| left) {
            value = first as u32;
        }
        let mut operations = Vec::new();
        let mut next = value;
        loop {
            operations.push(self.cluster(next).writer);
            next = self.cluster(next).from;
            if next == value || next == NONE {
                break;
            }
        }
        let name = (self.name)(value);
        let reason = format!("{name} would have had to be there before it was written");
        self.conflict(&operations, reason)
    }

    /// Two chains of which each must come before the other.
    fn apart(&self, a: &Block, b: &Block) -> Decision {
        let mut operations = Vec::new();
        for block in [a, b] {
            let (end, begin) = (block.end.1, block.begin.1);
            let (from, to) = (self.value_of(end), self.value_of(begin));
            let mut writers = self.writers(from, to);
            writers.extend(self.writers(to, from));
            operations.extend(writers);
            operations.extend([end, begin]);
        }
        let span = |operation: u32| self.operations[operation as usize].0;
        let value = |operation| (self.name)(self.value_of(operation));
        for (one, other) in [(a, b), (b, a)] {
            let (seen, over) = (one.begin.1, self.value_of(other.end.1));
            let writer = self.cluster(over).writer;
            let is_read = matches!(self.operations[seen as usize].1, Access::Read(_));
            if is_read
                && self.value_of(one.end.1) == self.value_of(seen)
                && writer != NONE
                && span(writer).completed < span(seen).invoked
                && one.end.0 < span(writer).invoked
            {
                let reason = format!(
                    "{} was read after {} had overwritten it",
                    value(seen),
                    (self.name)(over)
                );
                let origin = self.cluster(self.value_of(seen)).writer;
                return self.conflict(&[origin, one.end.1, writer, seen], reason);
            }
        }
        let reason = format!(
            "what saw or wrote {} and what saw or wrote {} come before each other by turns, and \
             each was written only once",
            value(a.begin.1),
            value(b.begin.1)
        );
        self.conflict(&operations, reason)
    }

    /// The operations of the clusters in their sequence.
    fn order(&mut self) -> Vec<u32> {
        for cluster in &mut self.clusters {
            cluster.reader = NONE;
        }
        for (nth, (_, access)) in self.operations.iter().enumerate().rev() {
            let value = match *access {
                Access::Read(value) => value,
                Access::Refused(_) if self.seen_by(nth) != NONE => self.seen_by(nth),
                _ => continue,
            };
            let reader = &mut self.clusters[value as usize].reader;
            self.readers[nth] = std::mem::replace(reader, nth as u32);
        }
        let mut order = Vec::with_capacity(self.operations.len());
        for &value in &self.sequence {
            let Cluster { writer, mut reader, .. } = *self.cluster(value);
            order.extend((writer != NONE).then_some(writer));
            while reader != NONE {
                order.push(reader);
                reader = self.readers[reader as usize];
            }
        }
        order
    }

    /// Fits the refused ones into an order. Where one finds no place, decides what it saw. What was
    /// decided so in an earlier round proves nothing, so conflicts are looked for in the first.
    fn fit(&mut self, order: &[u32], refused: &[u32], first: bool) -> Fit {
        let span = |nth: &u32| self.operations[*nth as usize].0;
        let spans: Vec<Span> = order.iter().map(span).collect();
        let free = |nth: &&u32| self.seen_by(**nth as usize) == NONE;
        let watchers: Vec<u32> = refused.iter().filter(free).copied().collect();
        let observers: Vec<Span> = watchers.iter().map(span).collect();
        let mut ranks = vec![0; self.clusters.len()];
        for (rank, &value) in (0..).zip(&self.sequence) {
            ranks[value as usize] = rank;
        }
        let of = |nth: &u32| ranks[self.value_of(*nth) as usize];
        let stretches: Vec<u32> = std::iter::once(0).chain(order.iter().map(of)).collect();
        let expected = |nth: usize| match self.operations[watchers[nth] as usize].1 {
            Access::Refused(value) => value,
            _ => NONE,
        };
        let fits = |nth: usize, rank: u32| self.sequence[rank as usize] != expected(nth);
        let places = observers::places(&spans, &stretches, &observers, fits);
        if let Some(places) = places.iter().copied().collect::<Option<Vec<u32>>>() {
            return Fit::Order(observers::merge(&spans, &observers, &places));
        }
        let failing: Vec<(u32, u32)> = (0..watchers.len())
            .filter(|&nth| places[nth].is_none())
            .map(|nth| (watchers[nth], expected(nth)))
            .collect();
        for &(nth, expected) in failing.iter().filter(|_| first) {
            let Span { invoked, completed, .. } = self.operations[nth as usize].0;
            let Cluster { block: Block { end, begin }, writer, .. } = *self.cluster(expected);
            if end.0 < invoked && completed < begin.0 {
                let reason = format!(
                    "a compare-and-set was refused that expected {}, which was there all the time",
                    (self.name)(expected)
                );
                return Fit::Conflict(self.conflict(&[nth, end.1, begin.1, writer], reason));
            }
        }
        let mut decided = false;
        for (nth, expected) in failing {
            let Span { invoked, completed, .. } = self.operations[nth as usize].0;
            let rank = ranks[expected as usize] as usize;
            if let Some(value) = self.could_have_seen(nth, rank) {
                self.clusters[value as usize].block.add(invoked, completed, nth);
                let chain = self.chain_of[value as usize] as usize;
                self.blocks[chain].add(invoked, completed, nth);
                self.seen.resize(self.operations.len(), NONE);
                self.seen[nth as usize] = value;
                decided = true;
            }
        }
        if decided { Fit::Again } else { Fit::Nowhere }
    }

    /// A value, near this rank in the order but not of it, that an operation can have seen without
    /// a conflict with others that are near.
    fn could_have_seen(&self, operation: u32, rank: usize) -> Option<u32> {
        let Span { invoked, completed, .. } = self.operations[operation as usize].0;
        let (first, last) = (rank.saturating_sub(NEAR), (rank + NEAR).min(self.sequence.len() - 1));
        let distance = |other: &usize| other.abs_diff(rank);
        let mut near: Vec<usize> = (first..=last).filter(|&other| other != rank).collect();
        near.sort_unstable_by_key(distance);
        let chain = |rank: usize| self.chain_of[self.sequence[rank] as usize];
        let value = near.into_iter().find(|&candidate| {
            let mut block = self.blocks[chain(candidate) as usize];
            block.add(invoked, completed, operation);
            (first..=last).filter(|&other| chain(other) != chain(candidate)).all(|other| {
                let other = &self.blocks[chain(other) as usize];
                !(block.precedes(other) && other.precedes(&block))
            }) && self.fits_in_chain(self.sequence[candidate], invoked, completed)
        });
        value.map(|rank| self.sequence[rank])
    }

    /// Whether a span can lie in this value's cluster, as far as its chain is concerned.
    fn fits_in_chain(&self, value: u32, invoked: u32, completed: u32) -> bool {
        let cluster = |value: &u32| self.clusters.get(*value as usize);
        let after =
            std::iter::successors(cluster(&self.cluster(value).next), |later| cluster(&later.next));
        let before = std::iter::successors(cluster(&self.cluster(value).from), |earlier| {
            cluster(&earlier.from)
        });
        let writer = self.operations.get(self.cluster(value).writer as usize);
        writer.is_none_or(|(writer, _)| writer.invoked < completed)
            && after.take(NEAR).all(|later| invoked < later.block.end.0)
            && before.take(NEAR).all(|earlier| earlier.block.begin.0 < completed)
    }
}
