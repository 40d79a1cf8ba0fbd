//! What clients and judges share with every stock keeper: operations, results, configuration, and
//! what an invariant may look at.

use node::{NodeId, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// How many of each item there are at first.
pub const OPENING: i64 = 3;

/// What is sold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Item(pub u8);

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "item {}", self.0)
    }
}

/// What is kept of an item.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Row {
    /// How many there are.
    pub stock: i64,
    /// How many have been sold.
    pub sold: i64,
}

impl Row {
    /// Before anybody came.
    pub const OPENING: Self = Self { stock: OPENING, sold: 0 };

    /// What an operation makes of it, and answers. A sale takes one, and is numbered; there is none
    /// where nothing is left.
    pub fn after(self, op: Op) -> Option<(Self, Ret)> {
        match op {
            Op::Look { .. } => Some((self, Ret::Row(self))),
            Op::Sell { .. } if self.stock <= 0 => None,
            Op::Sell { .. } => {
                let row = Self { stock: self.stock - 1, sold: self.sold + 1 };
                Some((row, Ret::Sold { number: row.sold }))
            }
            Op::Restock { amount, .. } => {
                let row = Self { stock: self.stock + i64::from(amount), ..self };
                Some((row, Ret::Stocked))
            }
        }
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in stock, {} sold", self.stock, self.sold)
    }
}

/// What clients ask.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Op {
    /// How many are there, and how many were sold?
    Look {
        /// Of which.
        item: Item,
    },
    /// Sell me one.
    Sell {
        /// Of which.
        item: Item,
    },
    /// Here are some more.
    Restock {
        /// Of which.
        item: Item,
        /// How many.
        amount: u8,
    },
}

impl Op {
    /// Which item it is about.
    pub fn item(self) -> Item {
        let (Self::Look { item } | Self::Sell { item } | Self::Restock { item, .. }) = self;
        item
    }

    /// Whether it changes nothing.
    pub fn only_reads(self) -> bool {
        matches!(self, Self::Look { .. })
    }
}

/// What clients are told. A sale where nothing is left fails.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Ret {
    /// To a look.
    Row(Row),
    /// To a sale.
    Sold {
        /// It is the item's so many-th.
        number: i64,
    },
    /// To a restocking.
    Stocked,
}

/// What an operator writes down.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Config {
    /// What this node is.
    pub role: Role,
    /// The node with the rows.
    pub store: NodeId,
    /// How long a worker computes between its read and its write.
    #[serde(with = "humantime_serde")]
    pub think: Duration,
    /// How long a worker waits for an answer, and twice as long after each that has not come.
    #[serde(with = "humantime_serde")]
    pub patience: Duration,
    /// After a conflict it waits at most so long, and twice as long after each further one.
    #[serde(with = "humantime_serde")]
    pub backoff: Duration,
    /// After so many conflicts it gives an operation up.
    pub attempts: u32,
}

/// What a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Role {
    /// Keeps the rows.
    Store,
    /// Reads, computes and writes, for clients.
    Worker,
}

/// A row as it was written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Written {
    /// Whose operation wrote it.
    pub operation: RequestId,
    /// Of which item.
    pub item: Item,
    /// What it was then.
    pub row: Row,
}

/// What a node's log promises.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Durable {
    /// At the store: everything that was written, in order.
    pub written: Vec<Written>,
}

/// What a running node believes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct View {
    /// Operations that it has begun and not ended.
    pub running: BTreeSet<RequestId>,
}
