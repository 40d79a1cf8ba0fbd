//! The madsim engine: the tokio shell on trial.
//!
//! Each node of a case runs as it is deployed, by [`shell::Server`] with its frames, its codec and
//! its write-ahead log, and each client by [`shell::Client`]. Under them stand madsim's executor
//! and node lifecycle, and our own network, disk and clocks, because madsim's are not honest: its
//! datagrams are never doubled or kept for a later life, its cuts lose nothing that is under way,
//! and its files survive every power loss.
//!
//! madsim needs `--cfg madsim` for a whole program. So this crate is two things: the program
//! `engine-madsim`, a [worker](protocol) that is compiled with the flag, and a library without it
//! that builds the worker, hands it cases and judges its silence: [`Madsim`].
//!
//! # What is the same as on the heap engine, and what is not
//!
//! Cases, faults, addresses, histories, judges and repros are the same, and so are the fates of
//! messages: they come from the same dice by the same addresses. Schedules are not: a start reads
//! and forces its log, a record is bytes, a request waits in an inbox. The node's own dice differ
//! too. So a failing case of one engine need not fail on the other, unless its faults stand at
//! effects, on messages or on calls.
//!
//! # Faults
//!
//! Every kind of [`world::FaultKind`] works, see [`KINDS`]. Three differ in what they touch:
//!
//! - `power_loss` and `torn_write` take bytes, not records: whatever part of the unsynced bytes, and
//!   of the names that were not synced.
//! - `failed_sync`, also of the sync at a start. What vanishes with the next power loss does so
//!   here, unless the shell writes it anew.
//! - `bit_rot` strikes bytes of which the log can prove that they had been synced. It promises no
//!   more: see [`shell::log`].
//!
//! `corrupt` flips a bit of a frame, and the codec of the shell must refuse it.
//!
//! # What the engine asks of the shell
//!
//! A start must find every record that was durable, or the whole snapshot that was about to take
//! its place, and it may only be refused where a fault has damaged the log: anything else is a
//! finding of the checker `log`.

pub mod protocol;

#[cfg(not(madsim))]
mod build;
#[cfg(not(madsim))]
mod host;
#[cfg(not(madsim))]
mod process;
#[cfg(madsim)]
pub mod worker;

#[cfg(not(madsim))]
pub use build::{build, cargo, is_built};
#[cfg(not(madsim))]
pub use host::{Madsim, StartError};

use world::Faults;

/// The engine's name in commands and repros.
pub const NAME: &str = "madsim";

/// The kinds of faults that it has.
pub const KINDS: Faults = Faults::ALL;
