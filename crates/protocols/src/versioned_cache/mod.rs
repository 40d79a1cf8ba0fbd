//! A cache beside a database: what it has may be old, but is never wrong, and not old for ever.
//!
//! One *database* keeps the pages and counts the versions of each. *Caches* remember what was read;
//! each page has one of them. *Fronts* serve clients: each client has one, which knows what it has
//! shown to it. The rules are those of leases (Nishtala and others, *Scaling Memcache at Facebook*,
//! 2013) and of session guarantees (Terry and others, 1994).
//!
//! # Front
//!
//! - Upon a read: `Get` the page from its cache. Upon `Hit`: reply. Upon `Miss`, which bears a
//!   lease: `Read` it from the database, reply, and `Fill` the cache with it, under that lease.
//!   Upon `Wait` (another one fills it): ask again after a pause.
//! - No answer from the cache: read from the database, and leave the cache alone.
//! - Upon a write: `Write` it to the database, and say so when it is done. The cache is none of the
//!   writer's business (10.4).
//! - **10.5** Every `Get` bears the highest version that its client has read or written here: an
//!   entry below it is a miss. A front that has lost this in a crash asks the database instead,
//!   once for each client and page.
//!
//! # Cache
//!
//! Of each page it remembers an *entry*, or a *tombstone*: the version below which nothing is put
//! in its place, and who holds the lease.
//!
//! - **10.1** Upon `Get` without an entry: a tombstone and a lease. **10.2** One at a time: while a
//!   lease lasts, others wait.
//! - **10.3** Upon `Invalidate` with a version: an older entry becomes a tombstone of that version,
//!   and an older tombstone gets it. Say `Heard`.
//! - Upon `Fill`: only under the lease that the tombstone names, and with nothing older than it.
//!   Who is refused has been to the database before the write that made the tombstone.
//! - What has not been used for longest is forgotten when there are too many pages; with a
//!   tombstone its lease is gone too. That is why a version alone does not do, and a lease is asked
//!   for: it says that the tombstone has been here ever since.
//!
//! # Database
//!
//! - Upon `Write`: force the page with its next version and the request's id, and say `Written`. A
//!   request that is done already is answered again.
//! - **10.4** What is to be invalidated is what the log says: the newest version of a page, of
//!   which its cache has not said that it has `Heard`. After a short time `Invalidate` is sent to
//!   it, again until it has heard, and after every start. So it is lost with no writer, nor with
//!   the database's own memory.
//!
//! # Costs
//!
//! A hit: 2 messages. A miss: 5 messages. A write: 4 messages and 1 force. A reader in a front's
//! later life: 2 messages, once. The article's version asks the database for the page's version
//! at every read, which is what a cache is there to spare.
//!
//! # Deviations
//!
//! - 10.1 has an invalidation take the lease away. Here the tombstone's version does that to those
//!   who come with something older; who has read the new version may fill the cache with it.
//! - A lease that has run out is good until another one is given.
//! - `Heard` is not forced: what is lost of it is sent again.
//! - The database keeps every request's id for ever. `idempotency_key` shows how they are thrown
//!   away.
//!
//! # Promises
//!
//! Under any loss, duplication, reordering, pause, crash and power loss, with any cache or front
//! lost for good: a client reads nothing that was not committed, and nothing older than it has read
//! or written; every write takes effect at most once; when nothing goes on any more, no cache has
//! anything but the newest version; after heal every operation ends.
//!
//! **Cannot**: give linearizable reads, for a client reads old versions until the invalidation has
//! come; say how long that takes, for the way to the cache may be cut; give anything to a client
//! that goes from one front to another; serve what is not in a cache while the database is down.

mod cache;
mod database;
mod front;
#[cfg(test)]
mod tests;

use super::page::{Commit, Config, Content, Durable, Op, Page, Ret, Role, Version, View};
use cache::Cache;
use database::Database;
use front::Front;
use node::{Cx, Incarnation, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};

/// A client's request as one life of its front sees to it: what comes for an earlier life may be
/// older than what its client has seen since.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Task {
    /// Whose.
    pub request: RequestId,
    /// The front's life.
    pub life: Incarnation,
}

/// The right to fill a page, as a cache gives it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Lease {
    /// The cache's life: a later one remembers no tombstone of this one.
    pub life: Incarnation,
    /// Which of this life's.
    pub nth: u32,
}

/// What nodes say to each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    /// Front to cache: the page, in this version or a newer one.
    Get { task: Task, page: Page, minimum: Version },
    /// Cache to front: here it is.
    Hit { task: Task, content: Content },
    /// Cache to front: it is not here. You fill it.
    Miss { task: Task, lease: Lease },
    /// Cache to front: it is not here, and another one fills it.
    Wait { task: Task },
    /// Front to cache: this is what the database has, under that lease.
    Fill { page: Page, lease: Lease, content: Content },
    /// Front to database: the page. The lease is given back with it.
    Read { task: Task, page: Page, lease: Option<Lease> },
    /// Database to front: here it is.
    Row { task: Task, content: Content, lease: Option<Lease> },
    /// Front to database: let this stand on the page.
    Write { request: RequestId, page: Page, price: u32 },
    /// Database to front: it does, now or before, as this version.
    Written { request: RequestId, version: Version },
    /// Database to cache: nothing older than this version is any good.
    Invalidate { page: Page, version: Version },
    /// Cache to database: there is nothing older here, and never will be.
    Heard { page: Page, version: Version },
}

/// What stands in the database's log.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    /// This request's write.
    Committed { operation: RequestId, page: Page, content: Content },
    /// The page's cache has heard of this version.
    Heard { page: Page, version: Version },
}

/// What nodes wait for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    /// A front: a request's next step.
    Next(RequestId),
    /// The database: the cache has not said that it has heard of a write to this page.
    Invalidate(Page),
}

/// One node of a cached shop.
#[derive(Debug)]
pub enum VersionedCache {
    /// Keeps the pages.
    Database(Database),
    /// Remembers some.
    Cache(Cache),
    /// Serves clients.
    Front(Front),
}

type Context = Cx<VersionedCache>;

impl Node for VersionedCache {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = Timer;

    fn new(_: NodeId, config: &Config) -> Self {
        match config.role {
            Role::Database => Self::Database(Database::new(config)),
            Role::Cache => Self::Cache(Cache::new(config)),
            Role::Front => Self::Front(Front::new(config)),
        }
    }

    fn on_start(&mut self, log: &[Record], cx: &mut Context) {
        if let Self::Database(database) = self {
            database.on_start(log, cx);
        }
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Context) {
        match self {
            Self::Front(front) => front.on_request(request, op, cx),
            Self::Database(_) | Self::Cache(_) => cx.retry(request, None),
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Context) {
        match (self, msg) {
            (Self::Cache(cache), Msg::Get { task, page, minimum }) => {
                cache.on_get(from, task, page, minimum, cx);
            }
            (Self::Cache(cache), Msg::Fill { page, lease, content }) => {
                cache.on_fill(page, lease, content, cx);
            }
            (Self::Cache(cache), Msg::Invalidate { page, version }) => {
                cache.on_invalidate(page, version, cx);
                cx.send(from, Msg::Heard { page, version });
            }
            (Self::Database(database), Msg::Read { task, page, lease }) => {
                let content = database.content(page);
                cx.send(from, Msg::Row { task, content, lease });
            }
            (Self::Database(database), Msg::Write { request, page, price }) => {
                database.on_write(from, request, page, price, cx);
            }
            (Self::Database(database), Msg::Heard { page, version }) => {
                database.on_heard(page, version, cx);
            }
            (Self::Front(front), Msg::Hit { task, content }) => front.on_hit(task, content, cx),
            (Self::Front(front), Msg::Miss { task, lease }) => front.on_miss(task, lease, cx),
            (Self::Front(front), Msg::Wait { task }) => front.on_wait(task, cx),
            (Self::Front(front), Msg::Row { task, content, lease }) => {
                front.on_row(task, content, lease, cx);
            }
            (Self::Front(front), Msg::Written { request, version }) => {
                front.on_written(request, version, cx);
            }
            (_, _) => {} // for another role: the cluster is set up wrong
        }
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Context) {
        match (self, timer) {
            (Self::Front(front), Timer::Next(request)) => front.on_next(request, cx),
            (Self::Database(database), Timer::Invalidate(page)) => database.invalidate(page, cx),
            (_, _) => {} // as above
        }
    }
}

impl Observe for VersionedCache {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        let commits = log.iter().filter_map(|record| match *record {
            Record::Committed { operation, page, content } => {
                Some(Commit { operation, page, content })
            }
            Record::Heard { .. } => None,
        });
        Durable { commits: commits.collect() }
    }

    fn view(&self) -> View {
        match self {
            Self::Database(database) => database.view(),
            Self::Cache(cache) => cache.view(),
            Self::Front(front) => front.view(),
        }
    }
}
