//! What clients and judges share with every order service: operations, results, configuration, and
//! what an invariant may look at.

use node::NodeId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// So many of an item, for a customer who pays a coin for each. Its number names it everywhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Order {
    /// Chosen by its client, for this order and no other.
    pub number: u32,
    /// Who pays.
    pub customer: u16,
    /// What is sold.
    pub item: u16,
    /// How many.
    pub quantity: u32,
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, customer, item, quantity } = self;
        write!(f, "{quantity} of i{item} for c{customer} as o{number}")
    }
}

/// What clients ask.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Op {
    /// Let me have this.
    Place {
        /// What.
        order: Order,
    },
    /// I do not want it any more, if it is not too late.
    Cancel {
        /// Which.
        number: u32,
    },
}

impl Op {
    /// The order that it is about.
    pub fn number(self) -> u32 {
        let (Self::Place { order: Order { number, .. } } | Self::Cancel { number }) = self;
        number
    }
}

/// What clients are told, whether they have placed the order or called it off: how it ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Ret {
    /// It is paid and shipped.
    Completed,
    /// It is as if it had never been.
    Compensated {
        /// Why.
        cause: Cause,
    },
    /// Nobody has placed such an order yet. It says nothing of what will be.
    Unknown,
}

/// Why an order was given up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Cause {
    /// There was not enough of the item.
    SoldOut,
    /// The customer had not enough to pay it.
    Declined,
    /// A client called it off.
    Cancelled,
    /// A service did not answer in time.
    Late,
}

/// What is done for an order, in this order, each by a service of its own log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Step {
    /// The items are set aside; or there are too few.
    Reserve,
    /// The customer pays; or cannot.
    Charge,
    /// What was set aside is sold.
    Sell,
    /// It is on its way, and nobody gets it back.
    Ship,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Self; 4] = [Self::Reserve, Self::Charge, Self::Sell, Self::Ship];

    /// What comes after it.
    pub fn next(self) -> Option<Self> {
        Self::ALL.get(self as usize + 1).copied()
    }

    /// What comes before it.
    pub fn before(self) -> Option<Self> {
        (self as usize).checked_sub(1).map(|before| Self::ALL[before])
    }

    /// The node that does it.
    pub fn at(self, config: &Config) -> NodeId {
        match self {
            Self::Reserve | Self::Sell => config.stock,
            Self::Charge => config.payment,
            Self::Ship => config.shipping,
        }
    }

    /// From which of its service's accounts it takes how much: an item's stock, a customer's coins.
    pub fn takes(self, order: &Order) -> Option<(u16, i64)> {
        let quantity = order.quantity.into();
        match self {
            Self::Reserve => Some((order.item, quantity)),
            Self::Charge => Some((order.customer, quantity)),
            Self::Sell | Self::Ship => None,
        }
    }
}

/// What an operator writes down.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Config {
    /// What this node is.
    pub role: Role,
    /// The node with the items.
    pub stock: NodeId,
    /// The node with the customers' coins.
    pub payment: NodeId,
    /// The node with the lorries.
    pub shipping: NodeId,
    /// How many there are of each item at first, or how many coins each customer has: by role.
    pub opening: u32,
    /// How long the orchestrator waits for an answer before it asks again.
    #[serde(with = "humantime_serde")]
    pub resend: Duration,
    /// How long an order may go without being paid, before it is given up; under a lock, how long
    /// it may be left alone, before somebody is told to see to it.
    #[serde(with = "humantime_serde")]
    pub patience: Duration,
    /// Where workers share the orders, and lock each that they work on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locks: Option<Locks>,
}

/// Who may work on orders, and how they keep out of each other's way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Locks {
    /// The node that grants leases.
    pub server: NodeId,
    /// The nodes that clients ask.
    pub workers: Vec<NodeId>,
    /// How long a lease lasts, on the lock server's monotonic clock.
    #[serde(with = "humantime_serde")]
    pub ttl: Duration,
    /// Every monotonic clock runs at a rate within 1 ± this, in parts per million.
    pub drift_ppm: u32,
}

/// What a node is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Role {
    /// Takes orders, and sees each to its end.
    Orchestrator,
    /// Keeps the items.
    Stock,
    /// Keeps customers' coins.
    Payment,
    /// Ships; under a lock it keeps the state of orders too.
    Shipping,
    /// Grants leases on orders.
    LockServer,
    /// Takes orders, locks each, and sees it to its end.
    Worker,
}

/// A step that has taken effect, or been undone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Move {
    /// Which.
    pub step: Step,
    /// It was undone.
    pub back: bool,
    /// For which order.
    pub order: Order,
}

/// How an order ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum End {
    /// Every step is done.
    Completed,
    /// It is given up.
    Compensated,
}

/// What a node's log promises, in the order in which it came true.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Durable {
    /// At a service: what has been done and undone.
    pub moves: Vec<Move>,
    /// At the orchestrator, or where the state of orders is kept: what was decided.
    pub ends: Vec<(u32, End)>,
}

/// What a running node believes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct View {
    /// At the orchestrator, at workers, and where the state of orders is kept: orders that have
    /// begun and not ended.
    pub open: Vec<u32>,
    /// At stock and payment: what has been taken from each account.
    pub taken: BTreeMap<u16, i64>,
}
