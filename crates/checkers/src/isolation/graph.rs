//! A directed graph in compressed rows: topological order and strongly connected components, both
//! without recursion.

use super::facts::{Edge, Kind};
use super::table::NONE;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Which nodes a graph of transactions has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) txns: u32,
    pub(super) helpers: u32,
    /// Whether a transaction has a node for its start and one for its commit. Then a cycle is one
    /// of snapshot isolation's: a read takes place at the start and a write at the commit, so two
    /// adjacent anti-dependencies do not follow on one another.
    pub(super) split: bool,
}

impl Shape {
    pub(super) fn nodes(self) -> u32 {
        self.txns + self.helpers + if self.split { self.txns } else { 0 }
    }

    /// The node of a transaction's start.
    pub(super) fn start(self, txn: u32) -> u32 {
        txn
    }

    /// The node of a transaction's commit.
    pub(super) fn commit(self, txn: u32) -> u32 {
        if self.split { self.txns + self.helpers + txn } else { txn }
    }

    /// The transaction whose start or commit this is.
    pub(super) fn txn(self, node: u32) -> Option<u32> {
        let behind = self.txns + self.helpers;
        (node < self.txns).then_some(node).or_else(|| node.checked_sub(behind))
    }

    /// Between which nodes an edge runs. An anti-dependency leaves the start and reaches the
    /// commit, everything else leaves the commit and reaches the start.
    pub(super) fn ends(self, edge: &Edge) -> (u32, u32) {
        let (out, into) = (edge.from, edge.to);
        if !self.split {
            return (out, into);
        }
        let anti = edge.kind == Kind::Rw;
        let out = if out < self.txns && !anti { self.commit(out) } else { out };
        let into = if into < self.txns && anti { self.commit(into) } else { into };
        (out, into)
    }
}

/// Rows of successors, and the edge that leads to each.
pub(super) struct Graph {
    rows: Vec<u32>,
    targets: Vec<u32>,
    edges: Vec<u32>,
}

impl Graph {
    /// The graph of the edges whose kind is in `kinds`; those of `more` are numbered on.
    pub(super) fn new(shape: Shape, kinds: u8, known: &[Edge], more: &[Edge]) -> Self {
        let all = || known.iter().chain(more).filter(|edge| edge.kind.bit() & kinds != 0);
        let mut rows = vec![0; shape.nodes() as usize + 1];
        for edge in all() {
            rows[shape.ends(edge).0 as usize] += 1;
        }
        if shape.split {
            for txn in 0..shape.txns {
                rows[shape.start(txn) as usize] += 1;
            }
        }
        let mut total = 0;
        for row in &mut rows {
            total += *row;
            *row = total;
        }
        let mut targets = vec![0; total as usize];
        let mut edges = vec![NONE; total as usize];
        let mut put = |from: u32, to: u32, edge: u32| {
            let row = &mut rows[from as usize];
            *row -= 1;
            targets[*row as usize] = to;
            edges[*row as usize] = edge;
        };
        for (number, edge) in known.iter().chain(more).enumerate() {
            if edge.kind.bit() & kinds != 0 {
                let (from, to) = shape.ends(edge);
                put(from, to, number as u32);
            }
        }
        if shape.split {
            for txn in 0..shape.txns {
                put(shape.start(txn), shape.commit(txn), NONE);
            }
        }
        Self { rows, targets, edges }
    }

    pub(super) fn nodes(&self) -> u32 {
        self.rows.len() as u32 - 1
    }

    pub(super) fn edges(&self) -> usize {
        self.targets.len()
    }

    fn row(&self, node: u32) -> std::ops::Range<usize> {
        self.rows[node as usize] as usize..self.rows[node as usize + 1] as usize
    }

    /// The nodes that `node` comes directly before.
    pub(super) fn next(&self, node: u32) -> &[u32] {
        &self.targets[self.row(node)]
    }

    /// The same, each with the number of its edge; [`NONE`] from a start to its commit.
    pub(super) fn out(&self, node: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.row(node).map(|at| (self.targets[at], self.edges[at]))
    }

    fn indegrees(&self) -> Vec<u32> {
        let mut degrees = vec![0; self.nodes() as usize];
        for &target in &self.targets {
            degrees[target as usize] += 1;
        }
        degrees
    }

    /// All nodes, each after those that come before it; `None` if there is a cycle.
    pub(super) fn order(&self) -> Option<Vec<u32>> {
        let mut degrees = self.indegrees();
        let mut order: Vec<u32> =
            (0..self.nodes()).filter(|node| degrees[*node as usize] == 0).collect();
        let mut done = 0;
        while let Some(&node) = order.get(done) {
            done += 1;
            for &next in self.next(node) {
                let degree = &mut degrees[next as usize];
                *degree -= 1;
                if *degree == 0 {
                    order.push(next);
                }
            }
        }
        (done as u32 == self.nodes()).then_some(order)
    }

    /// The same, and of the nodes that could come next always the one with the smallest rank.
    pub(super) fn order_by(&self, rank: impl Fn(u32) -> u64) -> Option<Vec<u32>> {
        let mut degrees = self.indegrees();
        let ready = (0..self.nodes()).filter(|node| degrees[*node as usize] == 0);
        let mut ready: BinaryHeap<Reverse<(u64, u32)>> =
            ready.map(|node| Reverse((rank(node), node))).collect();
        let mut order = Vec::with_capacity(self.nodes() as usize);
        while let Some(Reverse((_, node))) = ready.pop() {
            order.push(node);
            for &next in self.next(node) {
                let degree = &mut degrees[next as usize];
                *degree -= 1;
                if *degree == 0 {
                    ready.push(Reverse((rank(next), next)));
                }
            }
        }
        (order.len() as u32 == self.nodes()).then_some(order)
    }

    /// The strongly connected components of more than one node, smallest first (Tarjan 1972).
    pub(super) fn components(&self) -> Vec<Vec<u32>> {
        let nodes = self.nodes() as usize;
        let (mut index, mut low) = (vec![0_u32; nodes], vec![0_u32; nodes]);
        let mut on_stack = vec![false; nodes];
        let (mut stack, mut path): (Vec<u32>, Vec<(u32, usize)>) = (Vec::new(), Vec::new());
        let (mut count, mut found) = (0, Vec::new());
        for root in 0..nodes as u32 {
            if index[root as usize] != 0 {
                continue;
            }
            path.push((root, self.row(root).start));
            while let Some(&mut (node, ref mut at)) = path.last_mut() {
                let here = node as usize;
                if index[here] == 0 {
                    count += 1;
                    index[here] = count;
                    low[here] = count;
                    on_stack[here] = true;
                    stack.push(node);
                }
                if *at < self.row(node).end {
                    let next = self.targets[*at];
                    *at += 1;
                    if index[next as usize] == 0 {
                        path.push((next, self.row(next).start));
                    } else if on_stack[next as usize] {
                        low[here] = low[here].min(index[next as usize]);
                    }
                    continue;
                }
                path.pop();
                if let Some(&(parent, _)) = path.last() {
                    low[parent as usize] = low[parent as usize].min(low[here]);
                }
                if low[here] == index[here] {
                    let first = stack.iter().rposition(|other| *other == node).unwrap_or(0);
                    let component = stack.split_off(first);
                    for member in &component {
                        on_stack[*member as usize] = false;
                    }
                    if component.len() > 1 {
                        found.push(component);
                    }
                }
            }
        }
        found.sort_by_key(Vec::len);
        found
    }
}
