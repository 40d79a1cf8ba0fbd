//! A lease lock with fencing, the resource it guards, and the workflow of those who use it.
//!
//! # Lock server
//!
//! - **5.1** Upon receiving `Acquire{name, req_id, ttl}` from an owner: answer `Granted{fence}`.
//!   The name is the object; the owner is the sender. While the lock is held the request waits in
//!   line.
//! - **5.2** `fence` is a durable counter; the whole grant `{name, owner, req_id, fence, ttl}` is
//!   forced before `Granted` leaves.
//! - **5.3** Upon receiving a copy of an `Acquire`: the same grant while that lasts, else nothing.
//!   Each owner's highest `req_id` is remembered; `(incarnation, seq)` makes it unique and
//!   increasing over the owner's restarts.
//! - **5.4** Upon receiving `Release{owner, fence}`: compare both, then delete, lazily.
//! - **5.5** Leases expire on the server's monotonic clock.
//! - **5.6** After a restart every lease lasts a full TTL more.
//!
//! # Holder
//!
//! Upon receiving `Increment(object)` from a client: acquire, read, work, write, release, reply.
//!
//! - **5.7** A lease is good until `ttl · (1 − ρ)/(1 + ρ)` after the holder first sent this
//!   `req_id`, on its own monotonic clock. A copy of the request does not move the bound, a grant
//!   that arrives after it is not used, and at the bound the holder stops working: it gives the
//!   lock back and starts over with a new `req_id`.
//!
//! # Store (the resource)
//!
//! - **5.8** It keeps `maxtoken` per object, durable in the same record as the data. A smaller
//!   token is refused; writes under one token are numbered, and a copy of an older one is not
//!   applied again.
//! - **5.9** A read for update registers its token too, forced before its answer.
//!
//! Each message to the server or the store is sent again until it is answered, `Release` excepted:
//! that is sent once and not acknowledged, for a lease that nobody gives back runs out.
//!
//! # A client's retries
//!
//! A request is applied at most once, wherever and however often it arrives, also after restarts of
//! holders: the write carries the client's `RequestId`, and the store keeps, in the data's own
//! record, each client's last request for the object and the value that it wrote. Whoever works on
//! a request reads that first, under its fence (5.9): between this read and its write nobody else
//! can write. A retry of an applied request is answered with the value it wrote, unless its client
//! has had a later request applied to the object: then it is dropped without an answer.
//!
//! The reply is sent after the store has acknowledged the write. A holder never answers `Fail`: a
//! request that was refused, or whose lease ran out, is tried again under a new lease until the
//! store says what became of it.
//!
//! # Costs
//!
//! Acquire: 2 messages and 1 force. Read and write: 2 messages and 1 force each. Release: 1 message
//! and a lazy record.
//!
//! # Deviations
//!
//! - No renewals (5.5 allows them): work that takes longer than a lease never ends. And as a wait
//!   in line uses up the lease that it is for (5.7), holders that get theirs in turn, each with too
//!   little left of it, can waste them all for ever: `work` and six message delays, times the
//!   number of holders, must fit into the bound of 5.7.
//! - A holder serves up to `batch` requests for one object under one grant; that is what the
//!   numbers of 5.8 are for.
//! - A holder gives back a grant of its own incarnation that it does not want any more. One of an
//!   earlier incarnation is left to run out, for its hold may not have reached its bound.
//! - A request in line that has not been heard of for its TTL is dropped: its owner is gone.
//!
//! # Promises
//!
//! Holds of one object are disjoint (clock rates within 1 ± ρ), fences increase, no update is lost
//! and none is made twice, under any loss, duplication, reordering, pause, crash and power loss.
//!
//! **Cannot**: keep a paused holder from sending a late write (the store refuses it); serve while
//! the lock server or the store is down.

mod holder;
mod server;
mod store;
#[cfg(test)]
mod tests;

use super::lease::{
    Applied, Config, Durable, Hold, Lease, Object, Op, Ret, Role, Stored, View, Waiter,
};
use holder::Holder;
use node::{Cx, Incarnation, Node, NodeId, Observe, RequestId, Step, StepId};
use serde::{Deserialize, Serialize};
use server::LockServer;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use store::{Cell, Store};

/// Names an owner's attempt to get a lock, over all copies of its `Acquire`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReqId {
    incarnation: Incarnation,
    seq: u32,
}

impl fmt::Debug for ReqId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.incarnation, self.seq)
    }
}

/// A grant, whole (5.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Grant {
    object: Object,
    owner: NodeId,
    req: ReqId,
    fence: u64,
    ttl: Duration,
}

/// What nodes say to each other. `token` is a fence, `nth` the number of a read and its write under
/// that token.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    /// Holder to lock server.
    Acquire { object: Object, req: ReqId, ttl: Duration },
    /// Lock server to holder.
    Granted { object: Object, req: ReqId, fence: u64 },
    /// Holder to lock server.
    Release { object: Object, fence: u64 },
    /// Holder to store: a read for update.
    Read { object: Object, token: u64, nth: u32, request: RequestId },
    /// Store to holder: the object's value; the request has not been applied.
    Value { token: u64, nth: u32, value: u64 },
    /// Holder to store.
    Write { object: Object, token: u64, nth: u32, request: RequestId, value: u64 },
    /// Store to holder: the request has been applied, and wrote this value. To a write: by it.
    Done { token: u64, nth: u32, value: u64 },
    /// Store to holder: a higher token is known; what was asked never takes effect.
    Refused { token: u64, nth: u32 },
    /// Store to holder: the client has had a later request applied.
    Stale { token: u64, nth: u32 },
}

/// What stands in the logs of lock server and store.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    /// Lock server: a lease begins.
    Grant(Grant),
    /// Lock server: it was released, or ran out.
    Ended { object: Object, fence: u64 },
    /// Store: a read registered its token.
    Token { object: Object, token: u64 },
    /// Store: data, token and request, in one record.
    Write { object: Object, token: u64, nth: u32, request: RequestId, value: u64 },
    /// Store, in a snapshot: all there is to know about an object.
    Object(Object, Cell),
}

/// What nodes wait for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    /// Lock server: the lease has run out.
    Expire { object: Object, fence: u64 },
    /// Holder: no answer yet.
    Resend(ReqId),
    /// Holder: its hold's own bound.
    Bound(ReqId),
    /// Holder: what it does between read and write is done.
    Work(ReqId),
}

/// One node of a lease lock's cluster.
#[derive(Debug)]
pub enum LeaseLock {
    /// Grants leases.
    LockServer(LockServer),
    /// Keeps the objects.
    Store(Store),
    /// Runs the clients' workflow.
    Holder(Holder),
}

type Context = Cx<LeaseLock>;

/// For clusters of other protocols that have a lock server among their nodes.
impl LeaseLock {
    /// 5.1: what this owner's attempt of that number sends to the lock server.
    pub fn acquire(object: Object, attempt: (Incarnation, u32), ttl: Duration) -> Msg {
        let (incarnation, seq) = attempt;
        Msg::Acquire { object, req: ReqId { incarnation, seq }, ttl }
    }

    /// 5.1: whose attempt has got which fence, if that is what the lock server says.
    pub fn granted(msg: &Msg) -> Option<(Object, (Incarnation, u32), u64)> {
        match *msg {
            Msg::Granted { object, req, fence } => {
                Some((object, (req.incarnation, req.seq), fence))
            }
            _ => None,
        }
    }

    /// 5.4: the owner gives it back.
    pub fn release(object: Object, fence: u64) -> Msg {
        Msg::Release { object, fence }
    }
}

impl Node for LeaseLock {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = Timer;

    fn new(_: NodeId, config: &Config) -> Self {
        match config.role {
            Role::LockServer => Self::LockServer(LockServer::new(config)),
            Role::Store => Self::Store(Store::new(config)),
            Role::Holder => Self::Holder(Holder::new(config)),
        }
    }

    fn on_start(&mut self, log: &[Record], cx: &mut Context) {
        match self {
            Self::LockServer(server) => server.on_start(log, cx),
            Self::Store(store) => store.on_start(log),
            Self::Holder(_) => {} // all it knows is volatile
        }
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Context) {
        match (self, op) {
            (Self::Holder(holder), Op::Increment(object)) => {
                holder.on_increment(request, object, cx)
            }
            (Self::Holder(_), _) => cx.fail(request, "a step of the workflow, not a request"),
            (_, _) => cx.retry(request, None),
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Context) {
        match (self, msg) {
            (Self::LockServer(server), Msg::Acquire { object, req, ttl }) => {
                server.on_acquire(from, object, req, ttl, cx);
            }
            (Self::LockServer(server), Msg::Release { object, fence }) => {
                server.on_release(from, object, fence, cx);
            }
            (Self::Store(store), Msg::Read { object, token, nth, request }) => {
                store.on_read(from, object, token, nth, request, cx);
            }
            (Self::Store(store), Msg::Write { object, token, nth, request, value }) => {
                store.on_write(from, Record::Write { object, token, nth, request, value }, cx);
            }
            (Self::Holder(holder), Msg::Granted { object, req, fence }) => {
                holder.on_granted(object, req, fence, cx);
            }
            (Self::Holder(holder), Msg::Value { token, nth, value }) => {
                holder.on_value(token, nth, value, cx);
            }
            (Self::Holder(holder), Msg::Done { token, nth, value }) => {
                holder.on_done(token, nth, value, cx);
            }
            (Self::Holder(holder), Msg::Refused { token, nth }) => {
                holder.on_refused(token, nth, cx);
            }
            (Self::Holder(holder), Msg::Stale { token, nth }) => holder.on_stale(token, nth, cx),
            (_, _) => {} // for another role: the cluster is set up wrong
        }
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Context) {
        match (self, timer) {
            (Self::LockServer(server), Timer::Expire { object, fence }) => {
                server.on_expire(object, fence, cx);
            }
            (Self::Holder(holder), Timer::Resend(req)) => holder.on_resend(req, cx),
            (Self::Holder(holder), Timer::Bound(req)) => holder.on_bound(req, cx),
            (Self::Holder(holder), Timer::Work(req)) => holder.on_work(req, cx),
            (_, _) => {} // no other role sets it
        }
    }
}

impl Observe for LeaseLock {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        let (leases, fence) = LockServer::durable(log);
        Durable { leases, fence, objects: Store::durable(log) }
    }

    fn view(&self) -> View {
        match self {
            Self::LockServer(server) => server.view(),
            Self::Store(_) => View::Store,
            Self::Holder(holder) => holder.view(),
        }
    }
}
