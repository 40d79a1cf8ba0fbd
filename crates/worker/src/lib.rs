//! Programs that simulate, in processes of their own.
//!
//! madsim needs `--cfg madsim` for a whole program, so what simulates is never the program that
//! asks for it. Here stands what every such pair has in common:
//!
//! - [`flag`]: builds a program under the flag, whatever the environment says
//! - [`protocol`]: what the two say to each other; first of all, that one of them simulates
//! - `process`: a worker as its host sees it

pub mod flag;
mod process;
pub mod protocol;

pub use flag::BuildError;
pub use process::{Silence, Worker};
pub use protocol::{Answer, Hello};
