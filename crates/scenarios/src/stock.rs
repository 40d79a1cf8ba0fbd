//! Stock keepers on trial: several workers read a row, compute, and write it back, and the books
//! are as if each had been alone.
//!
//! What is judged:
//!
//! - **at every step**: no operation takes effect twice, none that failed takes effect, and no more
//!   is sold than there is;
//! - **at the end**: each item's history is linearizable, with what the store is left with as the
//!   last one to look; what was done is there; nothing that was begun is left undone.

use crate::is_drawn;
use crate::trial::{NO_WALL_CLOCKS, Trial};
use checkers::conservation::Ledger;
use checkers::idempotency::{Answer, Idempotency};
use checkers::{Judged, Model, Verdict, linearizable};
use explorer::{CaseFor, Planted, Run, Scenario, Shape};
use history::{Actor, Event, History, What};
use node::{Node, NodeId, Observe};
use proptest::prelude::*;
use protocols::naive::{OptimisticByValue, OptimisticGetSet, RowLockPooled, WatchWithoutExec};
use protocols::stock::{Config, Durable, Item, Op, Ret, Role, Row, View};
use protocols::{Optimistic, RowLock, Watch};
use std::collections::BTreeMap;
use std::time::Duration;
use world::Scene;

const STORE: NodeId = NodeId(0);

/// Sales and restockings through workers, over one store.
pub struct Stock<N: Node> {
    /// What it is called, its shape, and its planted bugs.
    pub trial: Trial<N>,
}

/// Versions (protocols.md P6, 6.1 to 6.3 and 6.5).
pub fn optimistic() -> Stock<Optimistic> {
    let about = "compare-and-set on a row's version, bounded retry, operation ids: linearizable";
    let marks = &[
        "a read found its operation done",
        "a write found its operation done",
        "a write met another version",
        "a write was not answered",
        "given up after conflicts",
        "sold out",
    ];
    Stock { trial: Trial::new("optimistic", about, Shape { marks, ..shape() }) }
}

/// WATCH, MULTI, EXEC (protocols.md 6.2 to 6.5).
pub fn watch() -> Stock<Watch> {
    let about =
        "WATCH, read, MULTI, EXEC on a connection of one's own, operation ids: linearizable";
    let marks = &[
        "a closed connection was used",
        "a read found its operation done",
        "an EXEC found its watch spoiled",
        "an EXEC was not answered",
        "given up after conflicts",
        "sold out",
    ];
    Stock { trial: Trial::new("watch", about, Shape { marks, ..shape() }) }
}

/// SELECT … FOR UPDATE (protocols.md P5, and 6.3).
pub fn row_lock() -> Stock<RowLock> {
    let about = "SELECT FOR UPDATE, UPDATE, COMMIT on a connection of one's own: linearizable";
    let marks = &[
        "a COMMIT was not answered",
        "a closed connection was used",
        "a lock was not granted in time",
        "a transaction found its operation done",
        "a transaction waited in line",
        "an update was rolled back",
        "sold out",
    ];
    Stock { trial: Trial::new("row_lock", about, Shape { marks, ..shape() }) }
}

impl<N: Node> Stock<N> {
    /// A protocol that is here to be found broken.
    pub fn exhibit(name: &'static str, about: &'static str) -> Self {
        Self { trial: Trial::exhibit(name, about, shape()) }
    }
}

/// The exhibit that sets what it has computed from what it got.
pub fn get_set() -> Stock<OptimisticGetSet> {
    let about = "GET, then SET, without a version: the second of two writers wipes out the first";
    Stock::exhibit("naive::optimistic_get_set", about)
}

/// The exhibit that compares values.
pub fn by_value() -> Stock<OptimisticByValue> {
    let about = "compares the value and not a version: what is the same again passes for unchanged";
    Stock::exhibit("naive::optimistic_by_value", about)
}

/// The exhibit that never says EXEC.
pub fn without_exec() -> Stock<WatchWithoutExec> {
    let about = "WATCH, MULTI, SET and no EXEC: what is told to be done is queued, and never done";
    Stock::exhibit("naive::watch_without_exec", about)
}

/// The exhibit whose lock is one connection's and whose effects are another's.
pub fn pooled() -> Stock<RowLockPooled> {
    let about = "a session's lock through a pool of connections: whoever shares the session has it";
    Stock::exhibit("naive::row_lock_pooled", about)
}

/// A worker may be lost.
fn shape() -> Shape {
    Shape { faults: NO_WALL_CLOCKS, may_lose: 1, ..Shape::default() }
}

impl<N> Scenario for Stock<N>
where
    N: Node<Config = Config, Op = Op, Ret = Ret> + Observe<Durable = Durable, View = View>,
{
    type Node = N;

    fn name(&self) -> String {
        self.trial.name.to_owned()
    }

    fn about(&self) -> String {
        self.trial.about.to_owned()
    }

    fn shape(&self) -> Shape {
        self.trial.shape.clone()
    }

    /// Most are about one item, and what is put back is as often as not what was sold.
    fn op(&self) -> impl Strategy<Value = Op> {
        let item = prop_oneof![5 => Just(Item(0)), 1 => Just(Item(1))];
        let look = item.clone().prop_map(|item| Op::Look { item });
        let sell = item.clone().prop_map(|item| Op::Sell { item });
        let restock = (item, 1..=2u8).prop_map(|(item, amount)| Op::Restock { item, amount });
        prop_oneof![1 => look, 4 => sell, 2 => restock]
    }

    fn cluster(&self, _: &Shape) -> impl Strategy<Value = Vec<Config>> {
        let workers = prop_oneof![1 => Just(2usize), 1 => Just(3)];
        let think = prop_oneof![1 => Just(0u64), 2 => 1..=50u64];
        (workers, think, 20..=200u64, 1..=20u64, 2..=8u32).prop_map(
            |(workers, think, patience, backoff, attempts)| {
                let config = Config {
                    role: Role::Store,
                    store: STORE,
                    think: Duration::from_millis(think),
                    patience: Duration::from_millis(patience),
                    backoff: Duration::from_millis(backoff),
                    attempts,
                };
                let mut nodes = vec![Config { role: Role::Worker, ..config.clone() }; workers + 1];
                nodes[STORE.index()] = config;
                nodes
            },
        )
    }

    fn entries(&self, nodes: &[Config], _: u16) -> Vec<NodeId> {
        (1..nodes.len() as u16).map(NodeId).collect()
    }

    /// A worker knows nothing that is not elsewhere.
    fn losable(&self, nodes: &[Config]) -> Vec<NodeId> {
        self.entries(nodes, 0)
    }

    fn without_node(&self, nodes: &[Config], node: NodeId) -> Option<Vec<Config>> {
        let fewer = nodes.len().checked_sub(1).filter(|fewer| *fewer >= 2 && node > STORE)?;
        Some(nodes[..fewer].to_vec())
    }

    fn role(&self, nodes: &[Config], node: NodeId) -> String {
        match nodes.get(node.index()).map(|config| config.role) {
            Some(Role::Store) => "store".to_owned(),
            Some(Role::Worker) => format!("worker {}", node.0),
            None => node.to_string(),
        }
    }

    /// One of several workers may be lost.
    fn valid(&self, case: &CaseFor<Self>) -> bool {
        is_drawn(case, &self.entries(&case.nodes, 0), |node, first| {
            let role = if node == STORE { Role::Store } else { Role::Worker };
            Config { role, store: STORE, ..first }
        }) && (case.nodes.len() > 2 || case.lost().next().is_none())
    }

    fn mutants(&self) -> &[Planted<Op, Config>] {
        &self.trial.mutants
    }

    fn invariant(&self) -> impl FnMut(&dyn Scene<N>) -> Verdict {
        let mut seen = Seen::default();
        move |scene: &dyn Scene<N>| {
            let judged = seen.hear(&scene.history().events).and_then(|()| match scene.changed() {
                Some(STORE) => seen.look(&N::durable(scene.durable(STORE))),
                _ => Ok(()),
            });
            Verdict::from(judged)
        }
    }

    fn progress(&self, run: &Run<N>) -> Verdict {
        for node in run.ids() {
            let running = run.state(node).map(|state| state.view().running).unwrap_or_default();
            if let Some(request) = running.first() {
                let message = format!("{node} still runs {request:?} at the end");
                return Verdict::violated("progress", "operation never ends", message);
            }
        }
        Verdict::Holds
    }

    fn check(&self, run: &Run<N>) -> Verdict {
        let durable = N::durable(run.durable(STORE));
        linearizable(&Books, &with_last_look(run.history(), &durable, run.now())).and_then(|| {
            let mut seen = Seen::default();
            let judged = seen.hear(&run.history().events);
            Verdict::from(
                judged.and_then(|()| seen.look(&durable)).and_then(|()| seen.operations.end()),
            )
        })
    }
}

/// The history, and in the end somebody who looks at what is left of each item.
fn with_last_look(history: &History<Op, Ret>, durable: &Durable, at: u64) -> History<Op, Ret> {
    let mut rows = BTreeMap::new();
    for written in &durable.written {
        rows.insert(written.item, written.row);
    }
    let mut events = history.events.clone();
    let asked = events.iter().filter(|event| matches!(event.what, What::Invoke(_))).count();
    for (op, (item, row)) in (asked as u32..).zip(rows) {
        let look = |what| Event { at, op, actor: Actor::Role(STORE.0), process: 0, call: op, what };
        events.push(look(What::Invoke(Op::Look { item })));
        events.push(look(What::Ok(Ret::Row(row))));
    }
    History { events }
}

/// What was asked and told, and what was written.
struct Seen {
    /// By call, which is unique in a case.
    operations: Idempotency<u32, Op, Ret>,
    stock: Ledger<Item>,
    asked: BTreeMap<u32, (u32, Op)>,
    heard: usize,
    looked: usize,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            operations: Idempotency::new(),
            stock: Ledger::new([]),
            asked: BTreeMap::new(),
            heard: 0,
            looked: 0,
        }
    }
}

impl Seen {
    fn hear(&mut self, events: &[Event<Op, Ret>]) -> Judged {
        for event in &events[self.heard..] {
            match &event.what {
                What::Invoke(op) if !op.only_reads() => {
                    self.asked.insert(event.op, (event.call, *op));
                    self.operations.asked(event.call, *op);
                }
                What::Ok(ret) => self.answered(event.op, Answer::Done(*ret))?,
                What::Fail(_) => self.answered(event.op, Answer::Failed)?,
                What::Invoke(_) | What::Info => {}
            }
        }
        self.heard = events.len();
        Ok(())
    }

    fn answered(&mut self, op: u32, answer: Answer<Ret>) -> Judged {
        match self.asked.get(&op) {
            Some(&(call, op)) => self.operations.answered(call, op, answer),
            None => Ok(()), // to a look
        }
    }

    fn look(&mut self, durable: &Durable) -> Judged {
        for written in &durable.written[self.looked..] {
            self.operations.effect(written.operation.call)?;
            self.stock.balance(&written.item, written.row.stock)?;
        }
        self.looked = durable.written.len();
        Ok(())
    }
}

/// What the books of each item are: every operation finds what the one before has left.
struct Books;

impl Model for Books {
    type Op = Op;
    type Ret = Ret;
    type State = Row;
    type Key = Item;

    fn key(&self, op: &Op) -> Item {
        op.item()
    }

    fn initial(&self, _: &Item) -> Row {
        Row::OPENING
    }

    fn step(&self, row: &Row, op: &Op, ret: Option<&Ret>) -> Option<Row> {
        let (after, answer) = row.after(*op)?;
        ret.is_none_or(|ret| *ret == answer).then_some(after)
    }

    fn observes(&self, op: &Op, _: Option<&Ret>) -> bool {
        op.only_reads()
    }

    fn alike(&self, a: &Op, b: &Op) -> bool {
        a == b
    }
}
