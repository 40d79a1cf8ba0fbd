//! Orders on trial: stock, payment and shipping end alike, whatever becomes of the order.
//!
//! Clients place orders, some of them twice, and call some off. What is judged:
//!
//! - **at every step**: no account is overdrawn; nothing is set aside, paid, sold, shipped or given
//!   back twice; nothing is paid that is not set aside; no order ends in two ways, and everybody is
//!   told the same;
//! - **at the end**: what was paid is shipped or refunded, what was set aside is sold or released;
//!   an order that is completed is paid, sold and shipped, and of one that is not nothing is left;
//!   services count what their logs say; every order has ended.

use crate::is_drawn;
use crate::trial::{NO_WALL_CLOCKS, Trial};
use checkers::conservation::{Ledger, Reservations};
use checkers::idempotency::{Answer, Idempotency};
use checkers::{Anomaly, Judged, Verdict};
use explorer::{CaseFor, Planted, Run, Scenario, Shape};
use history::{Event, What};
use node::{Node, NodeId, Observe};
use proptest::prelude::*;
use protocols::naive::{OrderLockOnly, SagaUndoInMemory};
use protocols::order::{Config, Durable, End, Locks, Move, Op, Order, Ret, Role, Step, View};
use protocols::{OrdersLock, Saga};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;
use world::{Case, FaultKind, Faults, Kind, Scene};

/// How many customers there are, and at most how many items.
const ACCOUNTS: u16 = 3;
const ROLES: [Role; 4] = [Role::Orchestrator, Role::Stock, Role::Payment, Role::Shipping];

/// The roles where workers share the orders; behind them come the workers.
const SHARED: [Role; 4] = [Role::LockServer, Role::Stock, Role::Payment, Role::Shipping];

/// ρ: what every monotonic clock may be off where there are leases, in parts per million.
const DRIFT_PPM: u32 = 50_000;

/// Who takes orders.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// One orchestrator.
    Orchestrator,
    /// Several workers, which lock each order.
    Workers,
}

/// Orders over three services.
pub struct Orders<N: Node> {
    /// What it is called, its shape, and its planted bugs.
    pub trial: Trial<N>,
    entry: Entry,
}

/// A saga (protocols.md P11).
pub fn saga() -> Orders<Saga> {
    let about = "orders by saga: paid, sold and shipped, or compensated as if they had never been";
    let marks = &[
        "a compensation came again",
        "a compensation came before its step",
        "a compensation found its step refused",
        "a late step found its compensation",
        "a restarted orchestrator found an order to unwind",
        "a restarted orchestrator found an order under way",
        "a step was called again",
        "an order was called off",
        "an order was given up for lack of answers",
        "an order was sold out",
        "it was too late to give an order up",
        "the pivot was refused",
    ];
    let trial = Trial::new("orders_saga", about, Shape { marks, ..shape(Entry::Orchestrator) });
    Orders { trial, entry: Entry::Orchestrator }
}

/// Leases, fences, and a row for each step (protocols.md P5; systems.md S31, S37).
pub fn locked() -> Orders<OrdersLock> {
    let about = "orders by lock, fence and dedupe: each is processed once, whatever leases run out";
    let marks = &[
        "a grant came too late to be used",
        "a lease ran out at the lock server",
        "a smaller fence was refused",
        "a step was called again",
        "a worker stopped at its bound",
        "an order that was left alone was handed on",
        "an order under way was taken over",
        "an order was called off",
        "an order was sold out",
        "an undo found nothing to undo",
        "restarted lock server extended a lease",
        "the pivot was refused",
    ];
    let trial = Trial::new("orders_lock", about, Shape { marks, ..shape(Entry::Workers) });
    Orders { trial, entry: Entry::Workers }
}

impl<N: Node> Orders<N> {
    /// A protocol that is here to be found broken.
    pub fn exhibit(name: &'static str, entry: Entry, about: &'static str) -> Self {
        Self { trial: Trial::exhibit(name, about, shape(entry)), entry }
    }
}

/// The exhibit that keeps in memory what it would have to undo.
pub fn undo_in_memory() -> Orders<SagaUndoInMemory> {
    let about = "undo without a log: a crash forgets what is to be undone, a lost answer too";
    Orders::exhibit("naive::saga_undo_in_memory", Entry::Orchestrator, about)
}

/// The exhibit that takes a lock for all the protection that an order needs.
pub fn lock_only() -> Orders<OrderLockOnly> {
    let about = "a lock alone: its lease runs out in the middle of an order, which is done twice";
    // What is done twice is to be the lease's doing, and not the network's.
    let spared = Faults::of(&[FaultKind::Duplicate]);
    let mut orders = Orders::exhibit("naive::order_lock_only", Entry::Workers, about);
    orders.trial.shape.faults = orders.trial.shape.faults.without(spared);
    orders
}

/// Each node has what no other one has, but for workers: one of them may be lost.
fn shape(entry: Entry) -> Shape {
    let shape = Shape { nodes: ROLES.len() as u16, faults: NO_WALL_CLOCKS, ..Shape::default() };
    match entry {
        Entry::Orchestrator => {
            let retire = Faults::of(&[FaultKind::Retire]);
            Shape { faults: shape.faults.without(retire), ..shape }
        }
        Entry::Workers => Shape { may_lose: 1, rate_ppm: DRIFT_PPM, ..shape },
    }
}

impl<N> Scenario for Orders<N>
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

    /// The number says what the order is, so that a number stands for one order only.
    fn op(&self) -> impl Strategy<Value = Op> {
        (0..12u32, 0..4u32).prop_map(|(number, kind)| match kind {
            0 => Op::Cancel { number },
            _ => Op::Place { order: order(number) },
        })
    }

    fn cluster(&self, shape: &Shape) -> impl Strategy<Value = Vec<Config>> {
        assert_eq!(usize::from(shape.nodes), ROLES.len());
        let services = (2..=20u32, 2..=20u32, 10..=100u64, 20..=400u64);
        let services = services.prop_map(|(stock, coins, resend, patience)| {
            let config = |role| Config {
                role,
                stock: NodeId(1),
                payment: NodeId(2),
                shipping: NodeId(3),
                opening: match role {
                    Role::Stock => stock,
                    Role::Payment => coins,
                    _ => 0,
                },
                resend: Duration::from_millis(resend),
                patience: Duration::from_millis(patience),
                locks: None,
            };
            ROLES.map(config).to_vec()
        });
        match self.entry {
            Entry::Orchestrator => services.boxed(),
            Entry::Workers => (services, 2..=3u16, 50..=600u64)
                .prop_map(|(nodes, workers, ttl)| shared(&nodes, workers, ttl))
                .boxed(),
        }
    }

    fn entries(&self, nodes: &[Config], _: u16) -> Vec<NodeId> {
        match self.entry {
            Entry::Orchestrator => vec![NodeId(0)],
            Entry::Workers => workers(nodes),
        }
    }

    /// A worker knows nothing that is not elsewhere.
    fn losable(&self, nodes: &[Config]) -> Vec<NodeId> {
        workers(nodes)
    }

    fn without_node(&self, nodes: &[Config], node: NodeId) -> Option<Vec<Config>> {
        let left = workers(nodes).len().checked_sub(1).filter(|left| *left > 0)?;
        let ttl = nodes.first()?.locks.as_ref()?.ttl.as_millis() as u64;
        let is_worker = node.index() >= SHARED.len();
        is_worker.then(|| shared(nodes, left as u16, ttl))
    }

    /// One of several workers may be lost.
    fn valid(&self, case: &CaseFor<Self>) -> bool {
        let nodes = &case.nodes;
        let Some(first) = nodes.first() else { return false };
        let Some(locks) = &first.locks else {
            return self.entry == Entry::Orchestrator
                && nodes.len() == ROLES.len()
                && is_drawn(case, &[NodeId(0)], |node, first| Config {
                    role: ROLES[node.index()],
                    stock: NodeId(1),
                    payment: NodeId(2),
                    shipping: NodeId(3),
                    opening: nodes[node.index()].opening,
                    ..first
                });
        };
        let (ttl, workers) = (locks.ttl.as_millis() as u64, workers(nodes));
        self.entry == Entry::Workers
            && nodes.len() > SHARED.len()
            && *nodes == shared(nodes, workers.len() as u16, ttl)
            && first.resend > Duration::ZERO
            && case.calls.iter().all(|call| workers.contains(&call.to))
            && (workers.len() > 1 || case.lost().next().is_none())
            && case.faults.iter().all(|fault| match fault.kind {
                Kind::Rate { ppm, .. } => ppm.unsigned_abs() <= u64::from(DRIFT_PPM),
                Kind::Retire { node } | Kind::BitRot { node, permanent: true } => {
                    workers.contains(&node)
                }
                _ => true,
            })
    }

    fn role(&self, nodes: &[Config], node: NodeId) -> String {
        match nodes.get(node.index()) {
            Some(Config { role: Role::LockServer, .. }) => "lock".to_owned(),
            Some(Config { role: Role::Worker, .. }) => {
                format!("worker {}", node.index() - SHARED.len() + 1)
            }
            Some(config) => format!("{:?}", config.role).to_lowercase(),
            None => node.to_string(),
        }
    }

    fn mutants(&self) -> &[Planted<Op, Config>] {
        &self.trial.mutants
    }

    fn invariant(&self) -> impl FnMut(&dyn Scene<N>) -> Verdict {
        let mut seen = Seen::default();
        move |scene: &dyn Scene<N>| {
            let judged = seen.hear(&scene.history().events).and_then(|()| match scene.changed() {
                Some(node) => seen.look_at(scene, node).and_then(|()| seen.paid_is_reserved()),
                None => Ok(()),
            });
            Verdict::from(judged)
        }
    }

    fn progress(&self, run: &Run<N>) -> Verdict {
        match open(run) {
            Some(number) if leases_suffice(run.case) => {
                let message = format!("order {number} has begun, and not ended");
                Verdict::violated("progress", "order never ends", message)
            }
            _ => Verdict::Holds,
        }
    }

    fn check(&self, run: &Run<N>) -> Verdict {
        let mut seen = Seen::default();
        let judged = seen.hear(&run.history().events).and_then(|()| {
            run.ids().try_for_each(|node| seen.look_at(run.scene, node))?;
            if open(run).is_none() {
                seen.end()?; // what is set aside for an order under way is no leak
            }
            run.ids().try_for_each(|node| match (run.config(node), run.state(node)) {
                (Some(config), Some(state)) => seen.counted(config.role, &state.view()),
                _ => Ok(()),
            })
        });
        Verdict::from(judged)
    }
}

/// An order that has begun and not ended.
fn open<N>(run: &Run<N>) -> Option<u32>
where
    N: Node<Config = Config, Op = Op, Ret = Ret> + Observe<View = View>,
{
    let mut states = run.ids().filter_map(|node| run.state(node));
    states.find_map(|state| state.view().open.first().copied())
}

/// Whether workers that get a lease in turn, each after having waited for it (5.7), have the time
/// for all calls of an order: eight round trips and as many syncs, on any clock within the bound.
fn leases_suffice(case: &Case<Op, Config>) -> bool {
    let Some(locks) = case.nodes.first().and_then(|config| config.locks.as_ref()) else {
        return true; // there are none
    };
    let calm = (case.network.slowest + case.sync * 2) * 18 * locks.workers.len() as u32;
    let (slow, fast) = (1_000_000 - DRIFT_PPM, 1_000_000 + DRIFT_PPM);
    calm * fast / slow < locks.ttl * slow / fast
}

/// A cluster with so many workers, and for the rest like these nodes.
fn shared(nodes: &[Config], workers: u16, ttl: u64) -> Vec<Config> {
    let services = SHARED.len() as u16;
    let locks = Locks {
        server: NodeId(0),
        workers: (services..services + workers).map(NodeId).collect(),
        ttl: Duration::from_millis(ttl),
        drift_ppm: DRIFT_PPM,
    };
    let roles = SHARED.into_iter().chain((0..workers).map(|_| Role::Worker));
    let opening = |role| nodes.iter().find(|config| config.role == role).map(|one| one.opening);
    let config = |role| Config {
        role,
        opening: opening(role).unwrap_or_default(),
        locks: Some(locks.clone()),
        ..nodes[0].clone()
    };
    roles.map(config).collect()
}

fn workers(nodes: &[Config]) -> Vec<NodeId> {
    let ids = (0u16..).map(NodeId).zip(nodes);
    ids.filter(|(_, config)| config.role == Role::Worker).map(|(id, _)| id).collect()
}

/// The order of that number: most are for the same item, and no two customers are as greedy.
fn order(number: u32) -> Order {
    let (customer, item) = (number as u16 % ACCOUNTS, number as u16 % 4 / 3);
    Order { number, customer, item, quantity: 1 + number % 5 }
}

/// Stock of an item, or a customer's coins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Account(Role, u16);

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Role::Stock => write!(f, "i{}", self.1),
            _ => write!(f, "c{}", self.1),
        }
    }
}

/// What one order has taken at one service.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Claim(Step, u32);

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of order {}", self.0, self.1)
    }
}

/// One service's accounts, as its log says.
struct Book {
    opening: i64,
    left: Ledger<Account>,
    /// How many of its moves have been looked at.
    moves: usize,
}

impl Book {
    fn new(config: &Config) -> Self {
        let opening = config.opening.into();
        let accounts = (0..ACCOUNTS).map(|account| (Account(config.role, account), opening));
        Self { opening, left: Ledger::new(accounts), moves: 0 }
    }
}

/// What was asked and told, and what has been done and undone.
struct Seen {
    orders: Idempotency<u32, (), Ret>,
    asked: BTreeMap<u32, u32>,
    heard: usize,
    books: BTreeMap<Role, Book>,
    claims: Reservations<Claim>,
    /// Of each order, the steps that are done and not undone.
    done: BTreeMap<u32, BTreeSet<Step>>,
    ends: BTreeMap<u32, End>,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            orders: Idempotency::new(),
            asked: BTreeMap::new(),
            heard: 0,
            books: BTreeMap::new(),
            claims: Reservations::new(),
            done: BTreeMap::new(),
            ends: BTreeMap::new(),
        }
    }
}

impl Seen {
    fn hear(&mut self, events: &[Event<Op, Ret>]) -> Judged {
        for event in &events[self.heard..] {
            match event.what {
                What::Invoke(op) => {
                    self.asked.insert(event.op, op.number());
                    if let Op::Place { order } = op {
                        self.orders.asked(order.number, ());
                    }
                }
                What::Ok(ret) => {
                    let Some(number) = self.asked.get(&event.op) else { continue };
                    match ret {
                        Ret::Completed => self.orders.answered(*number, (), Answer::Done(ret))?,
                        Ret::Compensated { .. } => {
                            self.orders.answered(*number, (), Answer::Failed)?;
                        }
                        Ret::Unknown => {}
                    }
                }
                What::Fail(_) | What::Info => {}
            }
        }
        self.heard = events.len();
        Ok(())
    }

    fn look_at<N>(&mut self, scene: &dyn Scene<N>, node: NodeId) -> Judged
    where
        N: Node<Config = Config> + Observe<Durable = Durable>,
    {
        match scene.config(node) {
            Some(config) => self.look(config, &N::durable(scene.durable(node))),
            None => Ok(()),
        }
    }

    /// What is new in a node's log.
    fn look(&mut self, config: &Config, durable: &Durable) -> Judged {
        let book = self.books.entry(config.role).or_insert_with(|| Book::new(config));
        let moves = durable.moves.get(book.moves..).unwrap_or_default();
        book.moves = durable.moves.len();
        for change in moves {
            self.moved(config.role, *change)?;
        }
        for (number, end) in &durable.ends {
            if *self.ends.entry(*number).or_insert(*end) != *end {
                let message = format!("order {number} is completed, and is compensated");
                return Err(Box::new(Anomaly::new("saga", "two ends", message)));
            }
        }
        Ok(())
    }

    fn moved(&mut self, role: Role, Move { step, back, order }: Move) -> Judged {
        let (number, claim) = (order.number, Claim(step, order.number));
        if let (Some((account, amount)), Some(book)) =
            (step.takes(&order), self.books.get_mut(&role))
        {
            book.left.change(Account(role, account), if back { amount } else { -amount })?;
            match back {
                true => self.claims.given_back(claim, amount)?,
                false => self.claims.reserved(claim, amount)?,
            }
        }
        let amount = order.quantity.into();
        match step {
            Step::Sell if !back => self.claims.kept(Claim(Step::Reserve, number), amount)?,
            Step::Ship if !back => {
                self.orders.effect(number)?;
                self.claims.kept(Claim(Step::Charge, number), amount)?;
            }
            _ => {}
        }
        let done = self.done.entry(number).or_default();
        match back {
            true => done.remove(&step),
            false => done.insert(step),
        };
        Ok(())
    }

    /// At this moment; who looks at one log after the other cannot ask it.
    fn paid_is_reserved(&self) -> Judged {
        let paid = |done: &BTreeSet<Step>| done.contains(&Step::Charge);
        let mut unreserved = self.done.iter().filter(|(_, done)| !done.contains(&Step::Reserve));
        match unreserved.find(|(_, done)| paid(done)) {
            Some((number, _)) => {
                let message = format!("order {number} is paid, and nothing is set aside for it");
                Err(conservation("paid without reservation", message))
            }
            None => Ok(()),
        }
    }

    /// Everything is over.
    fn end(&self) -> Judged {
        self.claims.end()?;
        self.orders.end()?;
        for (number, done) in &self.done {
            let (all, none) = (done.len() == Step::ALL.len(), done.is_empty());
            let whole = match self.ends.get(number) {
                Some(End::Completed) => all,
                Some(End::Compensated) => none,
                None => all || none,
            };
            if !whole {
                let message = format!("of order {number} {done:?} are done, and no more");
                return Err(conservation("partial effect", message));
            }
        }
        Ok(())
    }

    /// What a service counts is what its log says.
    fn counted(&self, role: Role, view: &View) -> Judged {
        let Some(Book { opening, left, .. }) = self.books.get(&role) else { return Ok(()) };
        let mut taken = view.taken.iter();
        taken.try_for_each(|(account, taken)| left.ends(&Account(role, *account), opening - taken))
    }
}

fn conservation(class: &'static str, message: String) -> Box<Anomaly> {
    Box::new(Anomaly::new("conservation", class, message))
}
