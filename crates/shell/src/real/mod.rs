//! What only a real machine has: files, its clocks, and signals.

mod clock;
mod files;
mod signal;

pub use clock::SystemClock;
pub use files::{Files, OpenError};
pub use signal::terminated;
