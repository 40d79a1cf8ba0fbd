//! The shell: runs one [`Node`](node::Node) as a real server on tokio, and its clients.
//!
//! [`Server`] tells the node what happens and does what it asks for, one effect after the other,
//! as the simulated engine does. What it stands on are three traits, so that the same shell runs
//! on a real machine and on a simulated one:
//!
//! | trait | on a real machine | |
//! |---|---|---|
//! | [`Transport`] | [`Tcp`](tcp::Tcp) | frames between machines; loss is silence |
//! | [`Disk`] | `Files` | a few files, and what a power loss may do to them |
//! | [`Clock`] | `SystemClock` | a monotonic clock, a wall clock, and waiting |
//!
//! and an [`Observer`], through which an engine sees every effect and can step in. [`Client`] is
//! the other end. Frames and records are [`codec`] encodings; [`log`] says what stands on the
//! disk, [`tcp`] what goes over a connection.
//!
//! The crate compiles twice: for tokio, and under `--cfg madsim` for madsim-tokio in its place.
//! Files, the system's clocks and signals are there for tokio alone.

pub mod client;
pub mod log;
pub mod tcp;

mod backoff;
mod clock;
mod disk;
mod identity;
mod observer;
#[cfg(not(madsim))]
mod real;
mod server;
mod timers;
mod transport;
mod wire;

pub use backoff::Backoff;
pub use client::{Client, Outcome, Policy, Resend};
pub use clock::Clock;
pub use disk::Disk;
pub use identity::Identity;
pub use observer::{Edge, Observer};
#[cfg(not(madsim))]
pub use real::{Files, OpenError, SystemClock, terminated};
pub use server::{End, Error, Event, Refused, Server};
pub use transport::Transport;
pub use wire::{Wire, WireOf, WireRef};
