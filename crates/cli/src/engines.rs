//! Where cases run: the engines that `--engine` and repros name.

use crate::exit::Failure;
use explorer::Engine;
use std::sync::Arc;

/// The engine of that name; the heap engine, which needs no starting, is none and has none.
pub(crate) fn named(name: Option<&str>) -> Result<Option<Arc<dyn Engine>>, Failure> {
    match name {
        None | Some("heap") => Ok(None),
        Some(name) => Err(Failure::usage(format!("no engine {name:?}: there is \"heap\""))),
    }
}
