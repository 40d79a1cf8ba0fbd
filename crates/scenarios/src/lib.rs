//! What is tried with each protocol and what must hold: one file for each file of `protocols`.

pub mod lease_lock;
mod quorum_register;

use explorer::AnyScenario;

/// Every scenario that commands can name, those that must hold before the exhibits.
pub fn registry() -> Vec<Box<dyn AnyScenario>> {
    vec![
        Box::new(lease_lock::lease_lock()),
        Box::new(quorum_register::register()),
        Box::new(lease_lock::unfenced()),
        Box::new(quorum_register::without_write_back()),
    ]
}
