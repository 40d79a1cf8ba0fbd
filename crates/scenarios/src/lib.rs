//! What is tried with each protocol and what must hold: one file for each file of `protocols`.

pub mod bank;
mod commit;
pub mod idempotency;
pub mod lease_lock;
pub mod product_page;
pub mod queue;
pub mod quorum_register;
pub mod raft;
pub mod records;
pub mod stock;
pub mod three_phase_commit;
pub mod two_phase_commit;

use explorer::{AnyScenario, Scenario};

/// Does something with every scenario as the type that it is.
pub trait Visitor {
    /// With this one.
    fn visit<S: Scenario>(&mut self, scenario: S);
}

/// Visits every scenario that commands can name, those that must hold before the exhibits.
pub fn each(visitor: &mut impl Visitor) {
    visitor.visit(two_phase_commit::two_phase_commit());
    visitor.visit(three_phase_commit::three_phase_commit());
    visitor.visit(bank::bank());
    visitor.visit(bank::wound_wait());
    visitor.visit(lease_lock::lease_lock());
    visitor.visit(quorum_register::register());
    visitor.visit(raft::raft_register());
    visitor.visit(raft::raft_lock());
    visitor.visit(raft::raft_decisions());
    visitor.visit(idempotency::idempotency());
    visitor.visit(queue::queue());
    visitor.visit(product_page::product_page());
    visitor.visit(records::conditional_requests());
    visitor.visit(stock::optimistic());
    visitor.visit(stock::watch());
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
    visitor.visit(idempotency::check_then_act());
    visitor.visit(idempotency::key_first());
    visitor.visit(queue::pop_then_process());
    visitor.visit(queue::acknowledge_first());
    visitor.visit(product_page::delete_then_write());
    visitor.visit(product_page::double_delete());
    visitor.visit(records::on_reads());
    visitor.visit(records::retried());
    visitor.visit(stock::get_set());
    visitor.visit(stock::by_value());
    visitor.visit(stock::without_exec());
    visitor.visit(quorum_register::without_write_back());
    visitor.visit(raft::single_server());
}

/// The same, with their types erased.
pub fn registry() -> Vec<Box<dyn AnyScenario>> {
    #[derive(Default)]
    struct Erase(Vec<Box<dyn AnyScenario>>);
    impl Visitor for Erase {
        fn visit<S: Scenario>(&mut self, scenario: S) {
            self.0.push(Box::new(scenario));
        }
    }
    let mut erased = Erase::default();
    each(&mut erased);
    erased.0
}
