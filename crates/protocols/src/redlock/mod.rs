//! Redlock: a lock that is a key on a majority of independent servers, each of which lets it run
//! out by its wall clock (S. Sanfilippo, "Distributed locks with Redis"), and what becomes of it
//! when clocks, memories and processes do as they like (M. Kleppmann, "How to do distributed
//! locking").
//!
//! # Lock server, one of N
//!
//! - **R1** Upon receiving `Set{name, token}` (`SET name token NX PX ttl`): if the key is there and
//!   has not run out, refuse; else set it, to run out one TTL later **on the wall clock**.
//! - **R2** Upon receiving `Release{name, token}`: compare, then delete.
//! - **R3** Upon receiving `Extend{name, token}`: compare, then let it last a TTL from now; one
//!   that has run out is refused.
//! - **R4** Keys are in memory alone. After a restart a server is silent for a TTL, on its
//!   monotonic clock: what it has forgotten has run out by then ("delayed restart").
//!
//! # Holder
//!
//! Upon receiving `Increment(object)` from a client: acquire, read, work, write, release, reply.
//!
//! - **R5** Acquire: a token of its own, `Set` to all servers at once. A majority of N that says
//!   yes is a hold until `ttl − drift` after the first `Set` was sent, on the holder's monotonic
//!   clock; a majority that comes after this bound is none. Servers are counted, not answers, and
//!   only those to this token.
//! - **R6** Without a majority after `patience`, or when so many refuse that there will be none:
//!   `Release` to **all** servers, those that said nothing too, and a new attempt after a random
//!   time, up to twice as long after each that came to nothing, though not above four patiences.
//! - **R7** Extend, when half of what is left has passed: a majority that says yes **before the old
//!   bound** moves the bound to `ttl − drift` after this round began. Without one all stays as it
//!   is: the old bound still holds, and the keys are needed until then.
//! - **R8** At the bound a holder stops working: it releases and starts over.
//! - **R9** Release: to all servers, once, and not acknowledged, for a key runs out. With it
//!   extending ends.
//!
//! # Store
//!
//! Applies each request once, durably, and looks at no token: Redlock has none that grows. It is
//! there to show what becomes of effects.
//!
//! # Costs
//!
//! Acquire and extend: 2N messages, no force. Release: N messages. A read is 2 messages, a write 2
//! and a force at the store.
//!
//! # Why delayed restart, and not a force before every grant
//!
//! Both make a crash harmless. Delayed restart costs nothing while nothing happens, needs no disk,
//! and also serves a server that comes back without its disk; what it takes is that a cluster whose
//! majority starts at once grants nothing for a TTL.
//!
//! # Deviations
//!
//! - The paper asks one server after the other, with a short time-out each; here all are asked at
//!   once, as it recommends.
//! - A token is not random but `(holder, incarnation, seq)`.
//! - `drift` is a share of the TTL that is told to holders, and not 1 % + 2 ms. It must be at least
//!   `1 − (1 − ρ)/(1 + δ)` with monotonic clocks within 1 ± ρ and wall clocks within 1 ± δ, and ρ
//!   at most δ.
//! - The store's log is never compacted.
//!
//! # Promises
//!
//! **In a restricted profile**: no wall clock jumps, and no clock's rate is further off than
//! `drift` allows for. There the holds of one object are disjoint, under any loss, duplication,
//! reordering, delay, pause, crash and power loss, wherever wall clocks stand; and with a majority
//! of servers somebody gets a free lock.
//!
//! **Cannot**: survive a wall clock that jumps (`naive::redlock_clock_jump`), or a restart that is
//! not delayed (`naive::redlock_amnesiac`); keep a paused holder, or a late message, from writing
//! after its hold has ended, for there is no fence that a store could compare: updates are lost
//! (`naive::redlock_unfenced`). It is a lock for efficiency, not for correctness.

mod holder;
mod server;
mod store;
#[cfg(test)]
mod tests;

use super::key::{Applied, Config, Durable, Key, Object, Op, Ret, Role, Token, View};
use holder::Holder;
use node::{Cx, Node, NodeId, Observe, RequestId, Step, StepId};
use serde::{Deserialize, Serialize};
use server::LockServer;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use store::Store;

/// What nodes say to each other. The `token` of an answer is that of the question. Round 0 is the
/// `Set`, those after it are the extensions.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    /// Holder to lock server: the key, if it is not there.
    Set { object: Object, token: Token },
    /// Holder to lock server: let the key last, if it is this one.
    Extend { object: Object, token: Token, round: u32 },
    /// Lock server to holder: whether it did so.
    Answer { token: Token, round: u32, done: bool },
    /// Holder to lock server: delete the key, if it is this one.
    Release { object: Object, token: Token },
    /// Holder to store.
    Read { object: Object, token: Token, request: RequestId },
    /// Store to holder: the object's value; the request has not been applied.
    Value { token: Token, value: u64 },
    /// Holder to store.
    Write { object: Object, token: Token, request: RequestId, value: u64 },
    /// Store to holder: the request has been applied, and wrote this.
    Done { token: Token, value: u64 },
}

/// What stands in the store's log.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    /// A request has been applied.
    Write { object: Object, token: Token, request: RequestId, value: u64 },
}

/// What holders wait for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    /// No majority in this round yet.
    Round(Token, u32),
    /// No answer of the store yet.
    Resend(Token),
    /// Half of what was left of the hold has passed.
    Extend(Token),
    /// The hold's own bound.
    Bound(Token),
    /// What is done between read and write is done.
    Work(Token),
    /// Another attempt.
    Again,
}

/// One node of Redlock's cluster.
#[derive(Debug)]
pub enum Redlock {
    /// Has keys.
    LockServer(LockServer),
    /// Keeps the objects.
    Store(Store),
    /// Runs the clients' workflow.
    Holder(Holder),
}

type Context = Cx<Redlock>;

impl Node for Redlock {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = Timer;

    fn new(_: NodeId, config: &Config) -> Self {
        match config.role {
            Role::LockServer => Self::LockServer(LockServer::new(config)),
            Role::Store => Self::Store(Store::default()),
            Role::Holder => Self::Holder(Holder::new(config)),
        }
    }

    fn on_start(&mut self, log: &[Record], cx: &mut Context) {
        match self {
            Self::LockServer(server) => server.on_start(cx),
            Self::Store(store) => store.on_start(log),
            Self::Holder(_) => {} // all it knows is volatile
        }
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Context) {
        match (self, op) {
            (Self::Holder(holder), Op::Increment(object)) => {
                holder.on_increment(request, object, cx);
            }
            (Self::Holder(_), _) => cx.fail(request, "a step of the workflow, not a request"),
            (_, _) => cx.retry(request, None),
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Context) {
        match (self, msg) {
            (Self::LockServer(server), Msg::Set { object, token }) => {
                server.on_set(from, object, token, cx);
            }
            (Self::LockServer(server), Msg::Extend { object, token, round }) => {
                server.on_extend(from, object, token, round, cx);
            }
            (Self::LockServer(server), Msg::Release { object, token }) => {
                server.on_release(object, token, cx);
            }
            (Self::Store(store), Msg::Read { object, token, request }) => {
                store.on_read(from, object, token, request, cx);
            }
            (Self::Store(store), Msg::Write { object, token, request, value }) => {
                store.on_write(from, Record::Write { object, token, request, value }, cx);
            }
            (Self::Holder(holder), Msg::Answer { token, round, done }) => {
                holder.on_answer(from, token, round, done, cx);
            }
            (Self::Holder(holder), Msg::Value { token, value }) => {
                holder.on_value(token, value, cx);
            }
            (Self::Holder(holder), Msg::Done { token, value }) => holder.on_done(token, value, cx),
            (_, _) => {} // for another role: the cluster is set up wrong
        }
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Context) {
        let Self::Holder(holder) = self else { return }; // no other role sets one
        match timer {
            Timer::Round(token, round) => holder.on_silence(token, round, cx),
            Timer::Resend(token) => holder.on_resend(token, cx),
            Timer::Extend(token) => holder.on_extend(token, cx),
            Timer::Bound(token) => holder.on_bound(token, cx),
            Timer::Work(token) => holder.on_work(token, cx),
            Timer::Again => holder.acquire(cx),
        }
    }
}

impl Observe for Redlock {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        Store::durable(log)
    }

    fn view(&self) -> View {
        match self {
            Self::LockServer(server) => server.view(),
            Self::Store(_) => View::Store,
            Self::Holder(holder) => holder.view(),
        }
    }
}
