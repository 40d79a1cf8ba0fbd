//! What is tried with each protocol and what must hold: one file for each file of `protocols`.

pub mod bank;
mod commit;
pub mod lease_lock;
pub mod quorum_register;
pub mod raft;
pub mod two_phase_commit;

use explorer::AnyScenario;

/// Every scenario that commands can name, those that must hold before the exhibits.
pub fn registry() -> Vec<Box<dyn AnyScenario>> {
    vec![
        Box::new(two_phase_commit::two_phase_commit()),
        Box::new(bank::bank()),
        Box::new(lease_lock::lease_lock()),
        Box::new(quorum_register::register()),
        Box::new(raft::raft_register()),
        Box::new(raft::raft_lock()),
        Box::new(raft::raft_decisions()),
        Box::new(two_phase_commit::version_a()),
        Box::new(two_phase_commit::version_b()),
        Box::new(two_phase_commit::version_c()),
        Box::new(two_phase_commit::version_d()),
        Box::new(two_phase_commit::version_e()),
        Box::new(lease_lock::unfenced()),
        Box::new(quorum_register::without_write_back()),
        Box::new(raft::single_server()),
    ]
}
