//! The shortest cycle of each phenomenon.

use super::facts::{Edge, Kind};
use super::graph::{Graph, Shape};
use super::table::NONE;
use super::{Isolation, Level, Order, Phenomenon};

/// A cycle of transactions, each of which comes before the next and the last before the first.
#[derive(Clone, Debug)]
pub(super) struct Cycle {
    pub(super) phenomenon: Phenomenon,
    /// Between transactions; what went through helpers is one edge.
    pub(super) edges: Vec<Edge>,
}

/// How many nodes the search for one phenomenon may visit, beside the first that it finds.
const VISITS: usize = 2_000_000;

/// A cycle of dependencies, by its anti-dependencies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shapes {
    Writes,
    Reads,
    Single,
    Nonadjacent,
    Adjacent,
}

const ALL: [Shapes; 5] =
    [Shapes::Writes, Shapes::Reads, Shapes::Single, Shapes::Nonadjacent, Shapes::Adjacent];

const WW: u8 = Kind::Ww as u8;
const WR: u8 = Kind::Wr as u8;
const RW: u8 = Kind::Rw as u8;

/// The kinds of edges of which a level forbids cycles.
pub(super) fn kinds(level: Level) -> u8 {
    let data = match level.isolation {
        Isolation::ReadUncommitted => WW,
        Isolation::ReadCommitted => WW | WR,
        Isolation::RepeatableRead | Isolation::SnapshotIsolation | Isolation::Serializable => {
            WW | WR | RW
        }
    };
    data | order_kinds(level.order)
}

/// The kinds of an order's edges.
fn order_kinds(order: Order) -> u8 {
    match order {
        Order::Any => 0,
        Order::Session => Kind::Session.bit(),
        Order::RealTime => Kind::Session.bit() | Kind::RealTime.bit(),
    }
}

impl Shapes {
    fn kinds(self) -> u8 {
        match self {
            Self::Writes => WW,
            Self::Reads => WW | WR,
            Self::Single | Self::Nonadjacent | Self::Adjacent => WW | WR | RW,
        }
    }

    /// The kind of edge that such a cycle has at least one of.
    fn first(self) -> u8 {
        match self {
            Self::Writes => WW,
            Self::Reads => WR,
            Self::Single | Self::Nonadjacent | Self::Adjacent => RW,
        }
    }

    fn phenomenon(self, order: Order) -> Phenomenon {
        match self {
            Self::Writes => Phenomenon::G0(order),
            Self::Reads => Phenomenon::G1c(order),
            Self::Single => Phenomenon::GSingle(order),
            Self::Nonadjacent => Phenomenon::GNonadjacent(order),
            Self::Adjacent => Phenomenon::G2Item(order),
        }
    }
}

/// What is known of a path that began with the cycle's first edge.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    /// An edge of the order that the cycle is named after.
    order: bool,
    /// A second anti-dependency.
    second: bool,
    /// The last edge was an anti-dependency.
    last: bool,
    /// Two adjacent ones.
    adjacent: bool,
}

impl Seen {
    const STATES: usize = 16;

    fn number(self) -> usize {
        usize::from(self.order)
            | usize::from(self.second) << 1
            | usize::from(self.last) << 2
            | usize::from(self.adjacent) << 3
    }

    fn after(self, kind: Kind, order: Order, shapes: Shapes) -> Option<Self> {
        let mut seen = self;
        let anti = kind == Kind::Rw;
        seen.order |= order == Order::Session && kind == Kind::Session
            || order == Order::RealTime && kind == Kind::RealTime;
        seen.second |= anti;
        seen.adjacent |= anti && self.last;
        seen.last = anti;
        let allowed = match shapes {
            Shapes::Single => !anti,
            Shapes::Nonadjacent => !seen.adjacent,
            Shapes::Writes | Shapes::Reads | Shapes::Adjacent => true,
        };
        allowed.then_some(seen)
    }

    /// Whether a path back to the start makes the cycle. The first edge of cycles with
    /// anti-dependencies is one.
    fn closes(self, order: Order, shapes: Shapes) -> bool {
        let shape = match shapes {
            Shapes::Writes | Shapes::Reads | Shapes::Single => true,
            Shapes::Nonadjacent => self.second && !self.last,
            Shapes::Adjacent => self.second && (self.adjacent || self.last),
        };
        shape && (order == Order::Any || self.order)
    }
}

/// The shortest cycle of each phenomenon that `level` rules out, as far as they are found in
/// bounded time; at least one if there is any.
pub(super) fn shortest(
    level_shape: Shape,
    level: Level,
    known: &[Edge],
    more: &[Edge],
) -> Vec<Cycle> {
    let shape = Shape { split: false, ..level_shape };
    let mut found: Vec<Cycle> = Vec::new();
    for shapes in ALL {
        for order in Order::ALL {
            if !shapes.phenomenon(order).rules_out(level) {
                continue;
            }
            let kinds = shapes.kinds() | order_kinds(order);
            let graph = Graph::new(shape, kinds, known, more);
            let search = Search { graph: &graph, shape, known, more, shapes, order };
            if let Some(edges) = search.run() {
                found.push(Cycle { phenomenon: named(shapes, order, &edges), edges });
                break;
            }
        }
    }
    if found.is_empty() {
        found.extend(any(level_shape, level, known, more));
    }
    found
}

/// Any cycle that `level` forbids: a walk in a component must come back to where it was.
fn any(shape: Shape, level: Level, known: &[Edge], more: &[Edge]) -> Option<Cycle> {
    let graph = Graph::new(shape, kinds(level), known, more);
    let component = graph.components().into_iter().next()?;
    let mut inside = vec![false; graph.nodes() as usize];
    for &node in &component {
        inside[node as usize] = true;
    }
    let mut node = *component.first()?;
    let mut met = vec![None; graph.nodes() as usize];
    let mut path = Vec::new();
    while met[node as usize].is_none() {
        met[node as usize] = Some(path.len());
        let (next, edge) = graph.out(node).find(|(next, _)| inside[*next as usize])?;
        path.push(edge);
        node = next;
    }
    let edge = |number: &u32| match known.get(*number as usize) {
        Some(edge) => *edge,
        None => more[*number as usize - known.len()],
    };
    // What leads from a start to its commit has no number.
    let path = path[met[node as usize]?..].iter().filter(|number| **number != NONE);
    let mut edges: Vec<Edge> = path.map(edge).collect();
    let first = edges.iter().position(|edge| edge.from < shape.txns)?;
    edges.rotate_left(first);
    let edges = without_helpers(shape, edges.into_iter());
    Some(Cycle { phenomenon: classify(&edges), edges })
}

fn classify(edges: &[Edge]) -> Phenomenon {
    let anti = |edge: &Edge| edge.kind == Kind::Rw;
    let has = |kind| edges.iter().any(|edge| edge.kind == kind);
    let mut pairs = edges.iter().zip(edges.iter().cycle().skip(1));
    let order = if has(Kind::RealTime) {
        Order::RealTime
    } else if has(Kind::Session) {
        Order::Session
    } else {
        Order::Any
    };
    let shapes = match edges.iter().filter(|edge| anti(edge)).count() {
        0 if has(Kind::Wr) => Shapes::Reads,
        0 => Shapes::Writes,
        1 => Shapes::Single,
        _ if pairs.any(|(a, b)| anti(a) && anti(b)) => Shapes::Adjacent,
        _ => Shapes::Nonadjacent,
    };
    shapes.phenomenon(order)
}

/// Two readers that see two writers in different orders have a name of their own.
fn named(shapes: Shapes, order: Order, edges: &[Edge]) -> Phenomenon {
    let kinds: Vec<Kind> = edges.iter().map(|edge| edge.kind).collect();
    if shapes == Shapes::Nonadjacent && kinds[..] == [Kind::Rw, Kind::Wr, Kind::Rw, Kind::Wr] {
        return Phenomenon::LongFork(order);
    }
    shapes.phenomenon(order)
}

struct Search<'a> {
    graph: &'a Graph,
    shape: Shape,
    known: &'a [Edge],
    more: &'a [Edge],
    shapes: Shapes,
    order: Order,
}

/// A visited node: how it was reached, and from which other visit.
struct Visit {
    node: u32,
    seen: Seen,
    parent: u32,
    edge: u32,
    length: u32,
}

impl Search<'_> {
    fn edge(&self, number: u32) -> &Edge {
        let number = number as usize;
        self.known.get(number).unwrap_or_else(|| &self.more[number - self.known.len()])
    }

    fn run(&self) -> Option<Vec<Edge>> {
        let mut local = vec![NONE; self.graph.nodes() as usize];
        let mut best: Option<Vec<Edge>> = None;
        let mut visits = 0;
        for component in self.graph.components() {
            for (number, &node) in component.iter().enumerate() {
                local[node as usize] = number as u32;
            }
            let mut visited = vec![0_u32; component.len() * Seen::STATES];
            let mut stamp = 0;
            for &node in component.iter().filter(|node| **node < self.shape.txns) {
                for (next, edge) in self.graph.out(node) {
                    let first = self.edge(edge).kind.bit() & self.shapes.first() != 0;
                    if !first || local[next as usize] == NONE {
                        continue;
                    }
                    stamp += 1;
                    let limit = best.as_ref().map_or(u32::MAX, |best| best.len() as u32);
                    let mut visited = |node: u32, seen: Seen| {
                        let at = local[node as usize] as usize * Seen::STATES + seen.number();
                        std::mem::replace(&mut visited[at], stamp) == stamp
                    };
                    let inside = |node: u32| local[node as usize] != NONE;
                    let start = (node, next, edge);
                    if let Some(cycle) = self.back(start, limit, &mut visits, inside, &mut visited)
                    {
                        best = Some(cycle);
                    }
                    let short = best.as_ref().is_some_and(|best| best.len() <= 2);
                    if short || visits > VISITS {
                        return best;
                    }
                }
            }
            for &node in &component {
                local[node as usize] = NONE;
            }
        }
        best
    }

    /// The shortest way back to where the first edge began, if shorter than `limit` in all.
    fn back(
        &self,
        (start, next, edge): (u32, u32, u32),
        limit: u32,
        visits: &mut usize,
        inside: impl Fn(u32) -> bool,
        visited: &mut impl FnMut(u32, Seen) -> bool,
    ) -> Option<Vec<Edge>> {
        let anti = self.edge(edge).kind == Kind::Rw;
        let seen = Seen { order: false, second: false, last: anti, adjacent: false };
        let first = Visit { node: next, seen, parent: NONE, edge, length: 1 };
        let mut arena = vec![first];
        // An edge out of a helper costs nothing, so there are two queues.
        let (mut now, mut later) = (vec![0_u32], Vec::new());
        while !now.is_empty() {
            while let Some(at) = now.pop() {
                let Visit { node, seen, length, .. } = arena[at as usize];
                if node == start {
                    if seen.closes(self.order, self.shapes) {
                        return (length < limit).then(|| self.path(&arena, at));
                    }
                    continue;
                }
                if visited(node, seen) {
                    continue;
                }
                *visits += 1;
                let helper = node >= self.shape.txns;
                if !helper && length + 1 >= limit {
                    continue;
                }
                for (target, edge) in self.graph.out(node).filter(|(target, _)| inside(*target)) {
                    let seen = if helper {
                        Some(seen)
                    } else {
                        seen.after(self.edge(edge).kind, self.order, self.shapes)
                    };
                    let Some(seen) = seen else { continue };
                    let visit = Visit {
                        node: target,
                        seen,
                        parent: at,
                        edge,
                        length: length + u32::from(!helper),
                    };
                    let queue = if helper { &mut now } else { &mut later };
                    queue.push(arena.len() as u32);
                    arena.push(visit);
                }
            }
            std::mem::swap(&mut now, &mut later);
        }
        None
    }

    fn path(&self, arena: &[Visit], end: u32) -> Vec<Edge> {
        let mut numbers = Vec::new();
        let mut at = end;
        while at != NONE {
            numbers.push(arena[at as usize].edge);
            at = arena[at as usize].parent;
        }
        numbers.reverse();
        without_helpers(self.shape, numbers.into_iter().map(|number| *self.edge(number)))
    }
}

/// A path in which the halves of each edge through helpers are put together.
pub(super) fn without_helpers(shape: Shape, path: impl Iterator<Item = Edge>) -> Vec<Edge> {
    let mut edges: Vec<Edge> = Vec::new();
    for edge in path {
        match edges.last_mut() {
            Some(last) if edge.from >= shape.txns => {
                last.to = edge.to;
                last.after = edge.after;
            }
            _ => edges.push(edge),
        }
    }
    edges
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the bounded search finds and what any walk finds are cycles of one level.
    #[test]
    fn a_walk_finds_a_cycle_and_names_it() {
        let edge = |from, to, kind| Edge { from, to, before: NONE, after: NONE, kind };
        let shape = Shape { txns: 3, helpers: 1, split: false };
        // The second edge goes through the helper, which has number 3.
        let edges = [
            edge(0, 1, Kind::Rw),
            edge(1, 3, Kind::RealTime),
            edge(3, 2, Kind::RealTime),
            edge(2, 0, Kind::Rw),
        ];
        for isolation in [Isolation::SnapshotIsolation, Isolation::Serializable] {
            let level = Level { isolation, order: Order::RealTime };
            let split = isolation == Isolation::SnapshotIsolation;
            let shape = Shape { split, ..shape };
            let walked = any(shape, level, &edges, &[]);
            let found = shortest(shape, level, &edges, &[]);
            // Under snapshot isolation the two anti-dependencies, being adjacent, are allowed.
            assert_eq!(walked.is_some(), !split);
            assert_eq!(found.len(), usize::from(!split));
            for cycle in walked.iter().chain(&found) {
                assert_eq!(cycle.phenomenon, Phenomenon::G2Item(Order::RealTime));
                assert_eq!(cycle.edges.len(), 3);
            }
        }
    }
}
