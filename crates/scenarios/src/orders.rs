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

use checkers::conservation::{Ledger, Reservations};
use checkers::idempotency::{Answer, Idempotency};
use checkers::{Anomaly, Judged, Verdict};
use explorer::{Expected, Planted, Run, Scenario, Shape};
use history::{Event, What};
use node::{Node, NodeId, Observe};
use proptest::prelude::*;
use protocols::Saga;
use protocols::naive::SagaUndoInMemory;
use protocols::order::{Config, Durable, End, Move, Op, Order, Ret, Role, Step, View};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;
use world::{FaultKind, Faults, Scene};

/// How many customers there are, and at most how many items.
const ACCOUNTS: u16 = 3;
const ROLES: [Role; 4] = [Role::Orchestrator, Role::Stock, Role::Payment, Role::Shipping];

/// Orders through one orchestrator, over three services.
pub struct Orders<N> {
    name: &'static str,
    about: &'static str,
    expected: Expected,
    marks: &'static [&'static str],
    /// Planted bugs of the protocol.
    pub mutants: Vec<Planted<Op, Config>>,
    node: PhantomData<fn() -> N>,
}

/// A saga (protocols.md P11).
pub fn saga() -> Orders<Saga> {
    let about = "orders by saga: paid, sold and shipped, or compensated as if they had never been";
    Orders {
        expected: Expected::Holds,
        marks: &[
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
        ],
        ..Orders::exhibit("orders_saga", about)
    }
}

impl<N> Orders<N> {
    /// A protocol that is here to be found broken.
    pub fn exhibit(name: &'static str, about: &'static str) -> Self {
        let (expected, marks, mutants) = (Expected::Violated, [].as_slice(), Vec::new());
        Self { name, about, expected, marks, mutants, node: PhantomData }
    }
}

/// The exhibit that keeps in memory what it would have to undo.
pub fn undo_in_memory() -> Orders<SagaUndoInMemory> {
    let about = "undo without a log: a crash forgets what is to be undone, a lost answer too";
    Orders::exhibit("naive::saga_undo_in_memory", about)
}

impl<N> Scenario for Orders<N>
where
    N: Node<Config = Config, Op = Op, Ret = Ret> + Observe<Durable = Durable, View = View>,
{
    type Node = N;

    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn about(&self) -> String {
        self.about.to_owned()
    }

    fn shape(&self) -> Shape {
        // Nobody reads a wall clock here, and each node has what no other one has.
        let without = Faults::of(&[
            FaultKind::WallOffset,
            FaultKind::WallDrift,
            FaultKind::WallJump,
            FaultKind::Retire,
        ]);
        Shape {
            nodes: ROLES.len() as u16,
            faults: Faults::ALL.without(without),
            marks: self.marks,
            expected: self.expected,
            ..Shape::default()
        }
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
        (2..=20u32, 2..=20u32, 10..=100u64, 20..=400u64).prop_map(
            |(stock, coins, resend, patience)| {
                let config = |role| Config {
                    role,
                    stock: NodeId(1),
                    payment: NodeId(2),
                    shipping: NodeId(3),
                    opening: match role {
                        Role::Stock => stock,
                        Role::Payment => coins,
                        Role::Orchestrator | Role::Shipping => 0,
                    },
                    resend: Duration::from_millis(resend),
                    patience: Duration::from_millis(patience),
                };
                ROLES.map(config).to_vec()
            },
        )
    }

    fn entries(&self, _: &[Config], _: u16) -> Vec<NodeId> {
        vec![NodeId(0)]
    }

    fn role(&self, nodes: &[Config], node: NodeId) -> String {
        match nodes.get(node.index()) {
            Some(config) => format!("{:?}", config.role).to_lowercase(),
            None => node.to_string(),
        }
    }

    fn mutants(&self) -> &[Planted<Op, Config>] {
        &self.mutants
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
        for node in run.ids() {
            let open = run.state(node).map(|state| state.view().open).unwrap_or_default();
            if let Some(number) = open.first() {
                let message = format!("order {number} has begun, and not ended");
                return Verdict::violated("progress", "order never ends", message);
            }
        }
        Verdict::Holds
    }

    fn check(&self, run: &Run<N>) -> Verdict {
        let mut seen = Seen::default();
        let judged = seen.hear(&run.history().events).and_then(|()| {
            run.ids().try_for_each(|node| seen.look_at(run.scene, node))?;
            if self.progress(run).holds() {
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
