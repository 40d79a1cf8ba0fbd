//! What is tried with each protocol and what must hold: one file for each file of `protocols`.

pub mod bank;
mod commit;
pub mod data_sync;
pub mod idempotency;
pub mod lease_lock;
pub mod login;
pub mod orders;
pub mod orders_2pc;
pub mod paxos_commit;
pub mod product_page;
pub mod queue;
pub mod quorum_register;
pub mod raft;
pub mod records;
pub mod redlock;
pub mod stock;
pub mod three_phase_commit;
pub mod trial;
pub mod two_phase_commit;

use explorer::{AnyScenario, Planted, Scenario};
use node::NodeId;

/// Planted bugs of the scenarios that have any, to be registered with them.
#[derive(Default)]
pub struct Bugs {
    /// Of `two_phase_commit`.
    pub two_phase_commit: Vec<Commit>,
    /// Of `three_phase_commit`.
    pub three_phase_commit: Vec<Commit>,
    /// Of `bank`.
    pub bank: Vec<Commit>,
    /// Of `lease_lock`.
    pub lease_lock: Vec<Planted<protocols::lease::Op, protocols::lease::Config>>,
    /// Of `register`.
    pub register: Vec<Planted<protocols::register::Op, protocols::register::Config>>,
    /// Of `raft_register`.
    pub raft_register: Vec<Planted<Registers, protocols::replicated::Config>>,
    /// Of `idempotency`.
    pub idempotency: Vec<Planted<protocols::payment::Op, protocols::payment::Config>>,
    /// Of `queue`.
    pub queue: Vec<Planted<protocols::job::Op, protocols::job::Config>>,
    /// Of `optimistic`.
    pub optimistic: Vec<Stock>,
    /// Of `watch`.
    pub watch: Vec<Stock>,
    /// Of `orders_saga`.
    pub orders_saga: Vec<Planted<protocols::order::Op, protocols::order::Config>>,
    /// Of `presumed_commit`.
    pub presumed_commit: Vec<Commit>,
    /// Of `paxos_commit`.
    pub paxos_commit: Vec<Commit>,
    /// Of `product_page`.
    pub product_page: Vec<Planted<protocols::page::Op, protocols::page::Config>>,
    /// Of `conditional_requests`.
    pub conditional_requests: Vec<Planted<protocols::record::Op, protocols::record::Config>>,
    /// Of `row_lock`.
    pub row_lock: Vec<Stock>,
    /// Of `orders_lock`.
    pub orders_lock: Vec<Planted<protocols::order::Op, protocols::order::Config>>,
    /// Of `redlock`.
    pub redlock: Vec<Planted<protocols::key::Op, protocols::key::Config>>,
    /// Of `data_sync`.
    pub data_sync: Vec<Planted<protocols::sync::Op, protocols::sync::Config>>,
    /// Of `orders_2pc`.
    pub orders_2pc: Vec<Commit>,
    /// Of `login`.
    pub login: Vec<Planted<protocols::login::Op, protocols::login::Config>>,
}

type Commit = Planted<protocols::commit::Op, protocols::commit::Config>;
type Registers = protocols::replicated::Op<protocols::replicated::RegisterCommand>;
type Stock = Planted<protocols::stock::Op, protocols::stock::Config>;

/// Does something with every scenario as the type that it is.
pub trait Visitor {
    /// With this one.
    fn visit<S: Scenario>(&mut self, scenario: S);
}

/// Visits every scenario that commands can name, those that must hold before the exhibits.
pub fn each(visitor: &mut impl Visitor) {
    each_with(Bugs::default(), visitor);
}

fn each_with(bugs: Bugs, visitor: &mut impl Visitor) {
    /// A scenario of whichever type, with its planted bugs.
    macro_rules! visit {
        ($scenario:expr, $bugs:expr) => {{
            let mut scenario = $scenario;
            scenario.trial.mutants = $bugs;
            visitor.visit(scenario);
        }};
    }
    visit!(two_phase_commit::two_phase_commit(), bugs.two_phase_commit);
    visit!(three_phase_commit::three_phase_commit(), bugs.three_phase_commit);
    visit!(bank::bank(), bugs.bank);
    visitor.visit(bank::wound_wait());
    visit!(lease_lock::lease_lock(), bugs.lease_lock);
    visit!(quorum_register::register(), bugs.register);
    visit!(raft::raft_register(), bugs.raft_register);
    visitor.visit(raft::raft_lock());
    visitor.visit(raft::raft_decisions());
    visit!(idempotency::idempotency(), bugs.idempotency);
    visit!(queue::queue(), bugs.queue);
    visit!(stock::optimistic(), bugs.optimistic);
    visit!(stock::watch(), bugs.watch);
    visit!(orders::saga(), bugs.orders_saga);
    visit!(two_phase_commit::presumed_commit(), bugs.presumed_commit);
    visit!(paxos_commit::paxos_commit(), bugs.paxos_commit);
    visitor.visit(bank::agreed());
    visit!(product_page::product_page(), bugs.product_page);
    visit!(records::conditional_requests(), bugs.conditional_requests);
    visit!(stock::row_lock(), bugs.row_lock);
    visit!(orders::locked(), bugs.orders_lock);
    visit!(redlock::redlock(), bugs.redlock);
    visit!(data_sync::data_sync(), bugs.data_sync);
    visit!(orders_2pc::orders_2pc(), bugs.orders_2pc);
    visit!(login::login(), bugs.login);
    visitor.visit(two_phase_commit::version_a());
    visitor.visit(two_phase_commit::version_b());
    visitor.visit(two_phase_commit::version_c());
    visitor.visit(two_phase_commit::version_d());
    visitor.visit(two_phase_commit::version_e());
    visitor.visit(bank::in_any_order());
    visitor.visit(three_phase_commit::asynchronous());
    visitor.visit(three_phase_commit::version_a());
    visitor.visit(three_phase_commit::version_b());
    visitor.visit(three_phase_commit::version_c());
    visitor.visit(lease_lock::unfenced());
    visitor.visit(lease_lock::redis());
    visitor.visit(lease_lock::smallest_id());
    visitor.visit(lease_lock::first_free_node());
    visitor.visit(idempotency::check_then_act());
    visitor.visit(idempotency::key_first());
    visitor.visit(queue::pop_then_process());
    visitor.visit(queue::acknowledge_first());
    visitor.visit(stock::get_set());
    visitor.visit(stock::by_value());
    visitor.visit(stock::without_exec());
    visitor.visit(orders::undo_in_memory());
    visitor.visit(product_page::delete_then_write());
    visitor.visit(product_page::double_delete());
    visitor.visit(records::on_reads());
    visitor.visit(records::retried());
    visitor.visit(data_sync::wall_clock());
    visitor.visit(data_sync::lamport());
    visitor.visit(quorum_register::without_write_back());
    visitor.visit(raft::single_server());
    visitor.visit(stock::pooled());
    visitor.visit(orders::lock_only());
    visitor.visit(redlock::clock_jump());
    visitor.visit(redlock::amnesiac());
    visitor.visit(redlock::unfenced());
    visitor.visit(orders_2pc::forgetful());
    visitor.visit(login::lock());
}

/// The same, with their types erased.
pub fn registry() -> Vec<Box<dyn AnyScenario>> {
    registry_with(Bugs::default())
}

/// The same, with planted bugs: erased here, so that no other crate builds a scenario again.
pub fn registry_with(bugs: Bugs) -> Vec<Box<dyn AnyScenario>> {
    #[derive(Default)]
    struct Erase(Vec<Box<dyn AnyScenario>>);
    impl Visitor for Erase {
        fn visit<S: Scenario>(&mut self, scenario: S) {
            self.0.push(Box::new(scenario));
        }
    }
    let mut erased = Erase::default();
    each_with(bugs, &mut erased);
    erased.0
}

/// Whether a case is of a cluster as generators draw them: every node is told what the first one
/// is, but for what `told` makes of its place, and every call goes to one of the `entries`.
fn is_drawn<Op, C: Clone + PartialEq>(
    case: &world::Case<Op, C>,
    entries: &[NodeId],
    told: impl Fn(NodeId, C) -> C,
) -> bool {
    let Some(first) = case.nodes.first() else { return false };
    let mut nodes = (0..).map(NodeId).zip(&case.nodes);
    nodes.all(|(node, config)| *config == told(node, first.clone()))
        && case.calls.iter().all(|call| entries.contains(&call.to))
}
