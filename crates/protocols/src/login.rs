//! What clients and judges of exclusive logins share: operations, results, configuration, and what
//! an invariant may look at.
//!
//! A cluster has one session server, one resource, and a few devices. A client asks its device to
//! log in to an account, to act on it, and to log out. A device keeps its sessions in memory, as a
//! browser does.

use node::{NodeId, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// An account, to which one device may be logged in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Account(pub u8);

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "u{}", self.0)
    }
}

/// What clients ask their device.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Op {
    /// A session for this device.
    Login(Account),
    /// Do something, once, in the session that this device has.
    Act(Account),
    /// End it.
    Logout(Account),
}

impl Op {
    /// The account that it is about.
    pub fn account(self) -> Account {
        match self {
            Self::Login(account) | Self::Act(account) | Self::Logout(account) => account,
        }
    }
}

/// What clients are told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Ret {
    /// The session is the account's newest.
    LoggedIn {
        /// Its number.
        epoch: u64,
    },
    /// It was done.
    Acted {
        /// In which session.
        epoch: u64,
    },
    /// This device has no session any more.
    LoggedOut,
}

/// What a node is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Role {
    /// Grants sessions.
    Server,
    /// Does what is asked in them.
    Resource,
    /// Has them.
    Device,
}

/// What a node of the cluster is told at its installation. All but `role` should be the same
/// everywhere.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Config {
    /// What this node is.
    pub role: Role,
    /// The session server.
    pub server: NodeId,
    /// The resource.
    pub resource: NodeId,
    /// How long a session lasts that ends by itself, as those of the exhibit do.
    #[serde(with = "humantime_serde")]
    pub ttl: Duration,
    /// After how long an unanswered message is sent again.
    #[serde(with = "humantime_serde")]
    pub resend: Duration,
    /// After how many records a log is replaced by a snapshot.
    pub compact: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            role: Role::Device,
            server: NodeId(0),
            resource: NodeId(1),
            ttl: Duration::from_secs(1),
            resend: Duration::from_millis(100),
            compact: 64,
        }
    }
}

/// A session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Session {
    /// Its number: higher than that of every earlier session of the account.
    pub epoch: u64,
    /// Whose.
    pub device: NodeId,
}

/// What the resource did.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Acted {
    /// On which account.
    pub account: Account,
    /// In which session.
    pub epoch: u64,
    /// The client's request.
    pub request: RequestId,
}

/// What a log promises. Server and resource fill their own part; a device's log is empty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Durable {
    /// Of the session server: the highest epoch ever granted.
    pub epochs: BTreeMap<Account, u64>,
    /// Of the session server: who is logged in.
    pub live: BTreeMap<Account, Session>,
    /// Of the resource: how much it did.
    pub count: u64,
    /// The last `acts.len()` of it, in order: at least the last 32, so that whoever looks at the
    /// log now and then sees each act.
    pub acts: Vec<Acted>,
}

/// What a running node believes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum View {
    /// The session server or the resource: what they know is in their logs.
    Durable,
    /// A device.
    Device {
        /// Its sessions, by epoch.
        sessions: BTreeMap<Account, u64>,
        /// How many requests it has not answered yet.
        pending: usize,
    },
}
