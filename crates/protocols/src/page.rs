//! What clients and judges share with every cache of product pages: operations, results,
//! configuration, and what an invariant may look at.

use node::{NodeId, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Counts a page's writes; 0 is the page that was there at the start.
pub type Version = u64;

/// A product's page.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Page(pub u8);

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "page {}", self.0)
    }
}

/// What stands on a page, and as which version of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Content {
    /// Which.
    pub version: Version,
    /// What.
    pub price: u32,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (version {})", self.price, self.version)
    }
}

/// What clients ask.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Op {
    /// What stands on this page?
    Read {
        /// Which.
        page: Page,
    },
    /// Let this stand there.
    Write {
        /// Where.
        page: Page,
        /// What.
        price: u32,
    },
}

impl Op {
    /// The page that it is about.
    pub fn page(self) -> Page {
        match self {
            Self::Read { page } | Self::Write { page, .. } => page,
        }
    }
}

/// What clients are told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Ret {
    /// This stands there, or has stood there a short time ago.
    Page(Content),
    /// It has become this version.
    Written {
        /// Which.
        version: Version,
    },
}

/// What an operator writes down.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Config {
    /// What this node is.
    pub role: Role,
    /// The node with the database.
    pub database: NodeId,
    /// How many caches there are: the nodes after the database.
    pub caches: u16,
    /// How many pages a cache remembers something of.
    pub capacity: u16,
    /// How long a cache waits for the one whom it has told to fill a page.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// How long after a commit its invalidation is sent: the log is read a little later.
    #[serde(with = "humantime_serde")]
    pub lag: Duration,
    /// How long a node waits for an answer.
    #[serde(with = "humantime_serde")]
    pub patience: Duration,
    /// How long a front waits for another one that fills a page.
    #[serde(with = "humantime_serde")]
    pub pause: Duration,
}

impl Config {
    /// The cache of a page.
    pub fn cache_of(&self, page: Page) -> NodeId {
        NodeId(self.database.0 + 1 + u16::from(page.0) % self.caches.max(1))
    }
}

/// What a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Role {
    /// Keeps the pages.
    Database,
    /// Remembers some of them for a while.
    Cache,
    /// Serves clients.
    Front,
}

/// A write, as the database has committed it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Commit {
    /// Whose.
    pub operation: RequestId,
    /// Where.
    pub page: Page,
    /// What stands there by it.
    pub content: Content,
}

/// What a node's log promises.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Durable {
    /// At the database: what was committed, in order.
    pub commits: Vec<Commit>,
}

/// What a running node believes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct View {
    /// At a cache: what it has.
    pub cached: BTreeMap<Page, Content>,
    /// At a front: what it has begun and not ended.
    pub running: Vec<RequestId>,
    /// At the database: the versions of which the page's cache has said that there is nothing older
    /// there, and never will be.
    pub heard: BTreeMap<Page, Version>,
    /// At the database: pages of which the cache has not said that yet for the newest version.
    pub unheard: Vec<Page>,
}
