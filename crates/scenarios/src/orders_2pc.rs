//! Orders over two-phase commit: an order is one transaction over stock, payment and orders.
//!
//! The transactions, their execution round and most of the judges are the bank's. An order that is
//! placed moves items from free to sold, coins from the customer to the till, and itself from open
//! to shipped; one that is called off moves itself alone. What an order is kept as can fall to zero
//! and no further, so it ends in one way, whoever asks how often.
//!
//! The exhibits of two-phase commit are broken over orders as they are over free votes; one of them
//! is here too, because the article means it for orders ([`forgetful`]).
//!
//! What is judged besides the rules of atomic commitment: in every report, and in the books at the
//! end, nothing is made or lost; what is sold, paid and shipped is the same; and each order is
//! open, shipped or called off, and not two of these.

use crate::commit::{self, Cast, Commit, Judge};
use crate::trial::Trial;
use checkers::{Anomaly, Judged, Verdict};
use explorer::{CaseFor, Planted, Run, Scenario, Shape};
use history::Outcome;
use node::{Dice, Node, NodeId};
use proptest::prelude::*;
use protocols::commit::{Action, Config, Item, Key, Op, Ret, Role};
use protocols::naive::two_phase_commit_d::TwoPhaseCommitD;
use protocols::two_phase_commit::TwoPhaseCommit;
use std::collections::BTreeMap;
use world::Scene;

/// How many orders, items and customers there are.
const ORDERS: u16 = 8;
const ITEMS: u16 = 2;
const CUSTOMERS: u16 = 3;

/// How many there are of each item, and how many coins each customer has.
const OPENING: i64 = 6;

/// The participants, by their numbers in operations.
const STOCK: u16 = 0;
const PAYMENT: u16 = 1;
const BOOK: u16 = 2;
const PARTICIPANTS: u16 = 3;

/// What follows the accounts that are drawn from: sold of each item, paid by each customer, shipped
/// of each order.
const KEPT: u16 = 100;
/// Orders that are called off.
const CANCELLED: u16 = 200;

/// Balances by participant and key.
type Books = BTreeMap<(u16, Key), i64>;

/// Orders, each as one transaction, through one coordinator or two.
pub struct Orders<N: Node> {
    /// What it is called, its shape, and its planted bugs.
    pub trial: Trial<N>,
}

/// Two-phase commit (protocols.md P1; systems.md S31).
pub fn orders_2pc() -> Orders<TwoPhaseCommit> {
    Orders::default()
}

/// The exhibit that forgets whom it has prepared (systems.md S04).
pub fn forgetful() -> Orders<TwoPhaseCommitD> {
    let about = "an order is refused, and nobody tells who has set its items aside";
    Orders { trial: Trial::exhibit("naive::orders_2pc", about, shape()) }
}

impl<N: Node> Default for Orders<N> {
    /// Orders over any commit protocol.
    fn default() -> Self {
        let about = "orders by two-phase commit: sold, paid and shipped at once, or not at all";
        Self { trial: Trial::new("orders_2pc", about, shape()) }
    }
}

/// Where no node may be lost.
fn shape() -> Shape {
    Shape { faults: commit::FAULTS, marks: commit::MARKS, ..Shape::default() }
}

fn moved((at, from, to): (u16, u16, u16), (taken, given): (i64, i64)) -> [Item; 2] {
    let add = |key, amount| Item { at, key: Key(key), action: Action::Add(amount) };
    [add(from, -taken), add(to, given)]
}

/// The order of that number: most are for the same item, and no two customers are as greedy.
pub fn place(number: u16) -> Op {
    let (item, customer) = (number % 4 / 3, number % CUSTOMERS);
    let quantity = i64::from(1 + number % 4);
    let both = (quantity, quantity);
    let items = [
        moved((STOCK, item, KEPT + item), both),
        moved((PAYMENT, customer, KEPT + customer), both),
        moved((BOOK, number, KEPT + number), (1, quantity)),
    ];
    Op { items: items.concat() }
}

/// Lets the order of that number never be shipped.
pub fn cancel(number: u16) -> Op {
    Op { items: moved((BOOK, number, CANCELLED + number), (1, 1)).to_vec() }
}

/// Everything that is kept, at one moment.
pub fn report() -> Op {
    Op::read_all(opening().into_keys())
}

fn op(dice: &mut Dice) -> Op {
    let number = dice.below(ORDERS.into()) as u16;
    match dice.below(100) {
        0..20 => report(),
        20..35 => cancel(number),
        _ => place(number),
    }
}

/// The operation that this one was before it was made smaller.
fn whole(op: &Op) -> Op {
    let book = op.items.iter().find(|item| item.at == BOOK && item.action != Action::Read);
    match book.map(|item| item.key.0 % KEPT % ORDERS) {
        None => report(),
        Some(number) if op.items.iter().any(|item| item.at == STOCK) => place(number),
        Some(number) => cancel(number),
    }
}

fn opening() -> Books {
    let accounts = |at, keys: u16, sum| {
        (0..keys)
            .flat_map(move |key| [((at, Key(key)), sum), ((at, Key(KEPT + key)), 0)].into_iter())
    };
    let cancelled = (0..ORDERS).map(|order| ((BOOK, Key(CANCELLED + order)), 0));
    accounts(STOCK, ITEMS, OPENING)
        .chain(accounts(PAYMENT, CUSTOMERS, OPENING))
        .chain(accounts(BOOK, ORDERS, 1))
        .chain(cancelled)
        .collect()
}

/// So many coordinators, then stock, payment and orders.
pub fn cluster(coordinators: u16, timing: &Config) -> Vec<Config> {
    let mut nodes = commit::cluster(coordinators, PARTICIPANTS, &[], timing);
    for ((at, key), sum) in opening() {
        let node = nodes.get_mut(usize::from(coordinators + at));
        if let Some(Config { role: Role::Participant { balances }, .. }) = node {
            balances.push((key, sum));
        }
    }
    nodes
}

impl<N: Commit> Scenario for Orders<N> {
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

    fn op(&self) -> impl Strategy<Value = Op> {
        any::<u64>().prop_map(|key| op(&mut Dice::new(key)))
    }

    fn cluster(&self, _: &Shape) -> impl Strategy<Value = Vec<Config>> {
        any::<u64>().prop_map(|key| {
            let dice = &mut Dice::new(key);
            let coordinators = 1 + u16::from(dice.below(3) == 0);
            cluster(coordinators, &commit::timing(dice))
        })
    }

    /// An order is whole, and a report leaves nothing out.
    fn fit(&self, op: &mut Op, _: &[Config]) {
        *op = whole(op);
    }

    fn entries(&self, nodes: &[Config], _: u16) -> Vec<NodeId> {
        Cast::of(nodes).coordinators
    }

    /// Each participant has what no other one has.
    fn without_node(&self, nodes: &[Config], node: NodeId) -> Option<Vec<Config>> {
        commit::without_node(nodes, node, (1, PARTICIPANTS.into()))
    }

    fn role(&self, nodes: &[Config], node: NodeId) -> String {
        let cast = Cast::of(nodes);
        let place = cast.participants.iter().position(|other| *other == node);
        match place.and_then(|place| ["stock", "payment", "orders"].get(place)) {
            Some(name) => (*name).to_owned(),
            None => cast.role(node),
        }
    }

    fn valid(&self, case: &CaseFor<Self>) -> bool {
        let coordinators = Cast::of(&case.nodes).coordinators.len() as u16;
        let Some(timing) = case.nodes.first() else { return false };
        coordinators > 0
            && case.nodes == cluster(coordinators, timing)
            && commit::is_addressed(case)
            && case.calls.iter().all(|call| call.op == whole(&call.op))
    }

    fn mutants(&self) -> &[Planted<Op, Config>] {
        &self.trial.mutants
    }

    fn invariant(&self) -> impl FnMut(&dyn Scene<N>) -> Verdict {
        let mut judge = Judge::default();
        move |scene: &dyn Scene<N>| judge.step(scene)
    }

    fn check(&self, run: &Run<N>) -> Verdict {
        reports(run)
            .and_then(|| commit::agreed(run))
            .and_then(|| commit::settled(run))
            .and_then(|| commit::verdicts(run))
            .and_then(|| Verdict::from(balanced("the end", &left(run))))
    }
}

/// What every committed report saw.
fn reports<N: Commit>(run: &Run<N>) -> Verdict {
    let operations = run.history().operations();
    let mut seen = operations.iter().filter_map(|operation| match operation.outcome {
        Outcome::Ok(Ret::Committed { values }) if *operation.op == report() => {
            let books = values.iter().map(|reading| ((reading.at, reading.key), reading.balance));
            Some((operation.call, books.collect::<Books>()))
        }
        _ => None,
    });
    Verdict::from(seen.try_for_each(|(call, books)| balanced(&format!("call {call}"), &books)))
}

/// What participants have on record, when nothing is in doubt any more.
fn left<N: Commit>(run: &Run<N>) -> Books {
    let participants = Cast::of(&run.case.nodes).participants;
    let balances = |(at, node): (u16, NodeId)| {
        let balances = N::durable(run.durable(node)).balances;
        balances.into_iter().map(move |(key, sum)| ((at, key), sum))
    };
    let mut books = opening();
    books.extend((0u16..).zip(participants).flat_map(balances));
    books
}

/// Nothing is made or lost; as much is sold as is paid and shipped; and each order is one thing.
fn balanced(who: &str, books: &Books) -> Judged {
    let of = |at, key| books.get(&(at, Key(key))).copied().unwrap_or_default();
    let kept = |at, keys: u16| (0..keys).map(|key| of(at, KEPT + key)).sum::<i64>();
    for (at, keys, what) in [(STOCK, ITEMS, "item"), (PAYMENT, CUSTOMERS, "customer")] {
        for key in 0..keys {
            let (has, gave) = (of(at, key), of(at, KEPT + key));
            if has < 0 || has + gave != OPENING {
                let message =
                    format!("{who}: {what} {key} has {has} of {OPENING}, and gave {gave}");
                return Err(broken("made or lost", message));
            }
        }
    }
    let (sold, paid) = (kept(STOCK, ITEMS), kept(PAYMENT, CUSTOMERS));
    let shipped = kept(BOOK, ORDERS);
    if sold != paid || paid != shipped {
        let message = format!("{who}: {sold} are sold, {paid} paid and {shipped} shipped");
        return Err(broken("partial order", message));
    }
    for order in 0..ORDERS {
        let is_shipped = i64::from(of(BOOK, KEPT + order) > 0);
        let (open, cancelled) = (of(BOOK, order), of(BOOK, CANCELLED + order));
        if open < 0 || open + is_shipped + cancelled != 1 {
            let message = format!(
                "{who}: order {order} is {open} times open, {is_shipped} shipped, {cancelled} \
                 called off"
            );
            return Err(broken("two ends", message));
        }
    }
    Ok(())
}

fn broken(class: &'static str, message: String) -> Box<Anomaly> {
    Box::new(Anomaly::new("orders", class, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The opening with these operations in it.
    fn after(ops: &[Op]) -> Books {
        let mut books = opening();
        for item in ops.iter().flat_map(|op| &op.items) {
            if let Action::Add(amount) = item.action {
                *books.entry((item.at, item.key)).or_default() += amount;
            }
        }
        books
    }

    fn judged(ops: &[Op]) -> Option<String> {
        let anomaly = balanced("here", &after(ops)).err();
        anomaly.map(|anomaly| anomaly.class.to_string())
    }

    #[test]
    fn whole_orders_balance() {
        assert_eq!(judged(&[]), None);
        assert_eq!(judged(&[place(0), place(1), cancel(2)]), None);
    }

    #[test]
    fn a_part_of_an_order_does_not() {
        let part = |from, to| Op { items: place(1).items[from..to].to_vec() };
        assert_eq!(judged(&[part(0, 2)]).as_deref(), Some("partial order"));
        assert_eq!(judged(&[part(0, 4)]).as_deref(), Some("partial order"));
        assert_eq!(judged(&[part(1, 6)]).as_deref(), Some("made or lost"));
        assert_eq!(judged(&[place(3), place(3)]).as_deref(), Some("made or lost"), "oversold");
    }

    #[test]
    fn an_order_ends_in_one_way() {
        assert_eq!(judged(&[place(0), cancel(0)]).as_deref(), Some("two ends"));
        assert_eq!(judged(&[cancel(0), cancel(0)]).as_deref(), Some("two ends"));
    }

    #[test]
    fn what_is_left_of_an_operation_says_what_it_was() {
        for number in 0..ORDERS {
            assert_eq!(whole(&place(number)), place(number));
            assert_eq!(whole(&cancel(number)), cancel(number));
        }
        assert_eq!(whole(&report()), report());
        assert_eq!(whole(&Op { items: report().items[..1].to_vec() }), report());
    }
}
