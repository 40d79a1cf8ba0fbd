//! What clients and judges share with every payment service: operations, results, configuration,
//! and what an invariant may look at.

use node::NodeId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// Names an intent: the same over all attempts, and over calls that mean the same payment. A tenant
/// numbers its intents upwards.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// Whose intent; tenants choose their numbers independently.
    pub tenant: u16,
    /// Which of them.
    pub number: u32,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}/{}", self.tenant, self.number)
    }
}

/// What is asked under a key. It is its own fingerprint.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Body {
    /// How much is credited to the tenant's account.
    pub amount: u32,
    /// The amount is charged to a card first, at a provider that is no part of the store.
    pub by_card: bool,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.amount, if self.by_card { " by card" } else { "" })
    }
}

/// A request: let this be paid, once, however often it is asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Op {
    /// The intent.
    pub key: Key,
    /// What it is.
    pub body: Body,
}

/// What a client is told, with HTTP's names for it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Ret {
    /// 200: it is paid, and this is its number among the account's payments.
    Paid {
        /// The same in every answer to this key.
        receipt: u32,
    },
    /// 402: the provider declines, for good.
    Declined,
    /// 422: the key is another request's. Nothing has been done.
    Mismatch,
    /// 409: the intent is being worked on; ask again. It says nothing of this or another attempt.
    InProgress,
    /// 410: what was known of the key, or of a later one, has been thrown away. Nothing is begun.
    Expired,
}

/// What an operator writes down.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Config {
    /// What this node is.
    pub role: Role,
    /// The node with the accounts and the keys.
    pub store: NodeId,
    /// The node that charges cards.
    pub provider: NodeId,
    /// The nodes that clients ask.
    pub workers: Vec<NodeId>,
    /// How long a payment's first worker has before another one takes it over; each has twice the
    /// time of the one before.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// How long a finished key is remembered.
    #[serde(with = "humantime_serde")]
    pub ttl: Duration,
    /// How long a worker waits for an answer before it asks again.
    #[serde(with = "humantime_serde")]
    pub resend: Duration,
    /// The provider declines greater amounts.
    pub limit: u32,
    /// How often the provider is out of order, in so many of a hundred charges.
    pub trouble: u8,
}

/// What a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Role {
    /// Accounts and keys.
    Store,
    /// Cards.
    Provider,
    /// Between clients and these two.
    Worker,
}

/// What a node's log promises. Amounts are kept one by one, so that a second effect of one intent
/// can be seen.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Durable {
    /// At the store: what was credited for each key.
    pub credits: BTreeMap<Key, Vec<u32>>,
    /// At the provider: what was charged for each key.
    pub charges: BTreeMap<Key, Vec<u32>>,
}

/// What a running node believes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct View {
    /// Intents that it has begun and not ended.
    pub running: BTreeSet<Key>,
}
