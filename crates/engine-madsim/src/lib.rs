//! The madsim engine: the tokio shell on trial.
//!
//! Each node of a case runs as it is deployed, by `shell::Server` with its frames, its codec and
//! its write-ahead log, and each client by `shell::Client`. Under them stand madsim's executor
//! and node lifecycle, and our own network, disk and clocks, because madsim's are not honest: its
//! datagrams are never doubled or kept for a later life, its cuts lose nothing that is under way,
//! and its files survive every power loss.
//!
//! madsim needs `--cfg madsim` for a whole program. So this crate is two things: the program
//! `engine-madsim`, a worker that is compiled with the flag, and a library without it that builds
//! the worker, hands it cases ([`Request`]) and judges its silence.
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
//! Every kind of [`FaultKind`] works over our network. Three differ in what they touch:
//!
//! - `power_loss` and `torn_write` take bytes and not records: any of those that were not synced,
//!   and of the names that were not synced.
//! - `failed_sync`, also of the sync at a start. What vanishes with the next power loss does so
//!   here, unless the shell writes it anew.
//! - `bit_rot` strikes bytes of which the log can prove that they had been synced. It promises no
//!   more: see `shell::log`.
//!
//! `corrupt` flips a bit of a frame, and the codec of the shell must refuse it.
//!
//! # A second profile: madsim's TCP
//!
//! Below the frames stands `shell::tcp`, which our network leaves out. [`Profile::Tcp`] puts it on
//! trial over madsim's streams: framing, reconnects, keep-alives, outboxes. Time is madsim's there.
//! What strikes single frames is missing (`delay`, `loss`, `duplicate`, `reorder`,
//! `corrupt`), and so is `slow_link`, for all links are alike. A `cut` keeps segments from leaving
//! and not from arriving. Who caused a message is not known, so faults at effects with an origin
//! may find none. And a killed process is seen by its peers at once, which no real network does.
//!
//! # What the engine asks of the shell
//!
//! A start must find every record that was durable, or the whole snapshot that was about to take
//! its place, and it may only be refused where a fault has damaged the log: anything else is a
//! finding of the checker `log`.

#[cfg(not(madsim))]
mod build;
#[cfg(not(madsim))]
mod host;
mod request;
#[cfg(madsim)]
pub mod worker;

#[cfg(not(madsim))]
pub use build::{build, cargo, is_unbuilt};
#[cfg(not(madsim))]
pub use host::{Madsim, StartError};
pub use request::Request;

use world::{FaultKind, Faults};

/// What carries the frames.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Profile {
    /// Our network: every kind of fault.
    Network,
    /// madsim's TCP under the shell's connections.
    Tcp,
}

impl Profile {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Network, Self::Tcp];

    /// The engine's name in commands and repros.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Network => "madsim",
            Self::Tcp => "madsim-tcp",
        }
    }

    /// What it runs, in one line.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Network => "the tokio shell around it, simulated",
            Self::Tcp => "the shell with its connections, over madsim's TCP",
        }
    }

    /// The kinds of faults that it has.
    pub const fn kinds(self) -> Faults {
        match self {
            Self::Network => Faults::ALL,
            Self::Tcp => Faults::ALL.without(OF_MESSAGES),
        }
    }
}

/// What madsim's TCP cannot do to a frame: it knows segments and no frames, loses and doubles
/// nothing, and all its links are alike.
const OF_MESSAGES: Faults = Faults::of(&[
    FaultKind::Delay,
    FaultKind::Loss,
    FaultKind::Duplicate,
    FaultKind::Reorder,
    FaultKind::Corrupt,
    FaultKind::SlowLink,
]);
