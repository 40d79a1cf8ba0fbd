//! Idempotency keys: a payment is made once, however often and wherever it is asked for.
//!
//! Stripe's way, and the IETF's draft-ietf-httpapi-idempotency-key-header. Clients ask *workers*,
//! which know nothing durable; the *store* holds the accounts, and beside them a row for each key;
//! the *provider* charges cards and is somebody else's system.
//!
//! # Store
//!
//! - **8.1** A row is named by (tenant, key), and holds the request's fingerprint, its state, and
//!   its reply once there is one.
//! - **8.2** Upon `Begin`: insert the row or read it, in one step.
//! - **8.3** Another fingerprint is answered `Mismatch`; a row that runs, `InProgress`; one that is
//!   done, with the stored reply, whatever that was.
//! - **8.4** A local effect goes into the record that says `Done`, with the reply: all three or
//!   none.
//! - **8.5** An effect elsewhere goes through recovery points: `Started` is forced before a worker
//!   may act, `Done` after. A row that runs longer than its lease is taken over by another worker
//!   under a greater *fence*, with twice the time; `Finish` with an older fence changes nothing.
//! - **8.7** A row that is done is thrown away after its TTL, and with it those of its tenant that
//!   are done and have smaller numbers. What is left is a mark: keys up to that number are answered
//!   `Expired`, and nothing is begun for them; what still runs comes to its end.
//!
//! # Worker
//!
//! - Upon a request: `Begin` it at the store, and pass on what that answers.
//! - Upon `Started`: charge the card under a key derived from the intent alone, so that the
//!   provider makes copies of it, also another worker's, one (8.5); then `Finish` at the store.
//! - **8.6** Only an outcome that is final is told to the store. A provider that is out of order is
//!   asked again.
//!
//! Each message to store or provider is sent again until it is answered. **8.8** is the client's:
//! one key for one intent.
//!
//! # Provider
//!
//! Upon `Charge` with a key that it has charged: the same answer again. Else it charges, forces
//! that, and answers; or it declines, which it does for amounts over its limit and no others.
//!
//! # Costs
//!
//! A local payment: 1 force, 2 messages between worker and store. By card: 3 forces (`Started`,
//! `Charged`, `Done`), 6 messages.
//!
//! # Deviations
//!
//! - The fingerprint is the request itself.
//! - Key numbers go up for each tenant. That is what lets a mark stand for all keys thrown away
//!   (8.7); with random keys, a retry after the TTL is paid twice, and nobody can help it.
//! - Leases of rows begin anew when the store restarts.
//!
//! # Promises
//!
//! Under any loss, duplication, reordering, pause, crash and power loss: at most one credit and at
//! most one charge for an intent, of the amount that was asked first; who is told `Paid` is told so
//! after both are durable, with the same receipt every time; what has been started is ended.
//!
//! **Cannot**: protect an effect in a system that takes no key; tell a client whose key has expired
//! what became of it; serve while the store is down.

mod provider;
mod store;
#[cfg(test)]
mod tests;
mod worker;

use super::payment::{Config, Durable, Key, Op, Ret, Role, View};
use node::{Cx, Node, NodeId, Observe, RequestId};
use provider::Provider;
use serde::{Deserialize, Serialize};
use store::Store;
use worker::Worker;

/// What became of a charge, for good.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// The card is charged.
    Charged,
    /// It is not, and never will be.
    Declined,
}

/// What nodes say to each other. `fence` counts the workers that a row has had.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    /// Worker to store: a client asks.
    Begin { request: RequestId, op: Op },
    /// Store to worker: what to tell the client.
    Answer { request: RequestId, ret: Ret },
    /// Store to worker: see to it; to the worker that began, or to another one.
    Started { op: Op, fence: u32 },
    /// Worker to store: this became of it.
    Finish { key: Key, fence: u32, outcome: Outcome },
    /// Store to worker: it is done, and this is the stored reply.
    Finished { op: Op, ret: Ret },
    /// Store to worker: somebody else sees to it.
    Superseded { key: Key, fence: u32 },
    /// Worker to provider: charge, under a key derived from the intent.
    Charge { derived: Key, amount: u32 },
    /// Provider to worker.
    Settled { derived: Key, outcome: Outcome },
    /// Provider to worker: out of order; nobody knows whether it would be charged.
    Unavailable,
}

/// What stands in the logs of store and provider.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    /// Store: the row is there, and runs; or has another worker.
    Started { op: Op, fence: u32 },
    /// Store: the effect, the key and the reply, in one record (8.4).
    Done { op: Op, ret: Ret },
    /// Store: keys of a tenant up to this one are thrown away (8.7).
    Expired { through: Key },
    /// Store, in a snapshot: a line of an account's statement.
    Credited { key: Key, amount: u32 },
    /// Provider: a card was charged.
    Charged { derived: Key, amount: u32 },
}

/// What nodes wait for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    /// Store: the row's worker has had its time.
    Lease(Key),
    /// Store: look for rows whose TTL is over.
    Sweep,
    /// Worker: no answer to `Begin` yet.
    Begin(RequestId),
    /// Worker: no answer to `Charge` or `Finish` yet.
    Task(Key),
}

/// One node of a payment service.
#[derive(Debug)]
pub enum IdempotencyKey {
    /// Accounts and keys.
    Store(Store),
    /// Cards.
    Provider(Provider),
    /// Between clients and these two.
    Worker(Worker),
}

type Context = Cx<IdempotencyKey>;

impl Node for IdempotencyKey {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = Timer;

    fn new(_: NodeId, config: &Config) -> Self {
        match config.role {
            Role::Store => Self::Store(Store::new(config)),
            Role::Provider => Self::Provider(Provider::new(config)),
            Role::Worker => Self::Worker(Worker::new(config)),
        }
    }

    fn on_start(&mut self, log: &[Record], cx: &mut Context) {
        match self {
            Self::Store(store) => store.on_start(log, cx),
            Self::Provider(provider) => provider.on_start(log),
            Self::Worker(_) => {} // all it knows is volatile
        }
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Context) {
        match self {
            Self::Worker(worker) => worker.on_request(request, op, cx),
            Self::Store(_) | Self::Provider(_) => cx.retry(request, None),
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Context) {
        match (self, msg) {
            (Self::Store(store), Msg::Begin { request, op }) => {
                store.on_begin(from, request, op, cx);
            }
            (Self::Store(store), Msg::Finish { key, fence, outcome }) => {
                store.on_finish(from, key, fence, outcome, cx);
            }
            (Self::Provider(provider), Msg::Charge { derived, amount }) => {
                provider.on_charge(from, derived, amount, cx);
            }
            (Self::Worker(worker), Msg::Answer { request, ret }) => {
                worker.on_answer(request, ret, cx);
            }
            (Self::Worker(worker), Msg::Started { op, fence }) => worker.on_started(op, fence, cx),
            (Self::Worker(worker), Msg::Settled { derived, outcome }) => {
                worker.on_settled(derived, outcome, cx);
            }
            (Self::Worker(worker), Msg::Finished { op, ret }) => worker.on_finished(op, ret, cx),
            (Self::Worker(worker), Msg::Superseded { key, fence }) => {
                worker.on_superseded(key, fence, cx);
            }
            (Self::Worker(_), Msg::Unavailable) => {} // it will be asked again (8.6)
            (_, _) => {} // for another role: the cluster is set up wrong
        }
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Context) {
        match (self, timer) {
            (Self::Store(store), Timer::Lease(key)) => store.on_lease(key, cx),
            (Self::Store(store), Timer::Sweep) => store.on_sweep(cx),
            (Self::Worker(worker), Timer::Begin(request)) => worker.begin(request, cx),
            (Self::Worker(worker), Timer::Task(key)) => worker.work(key, cx),
            (_, _) => {} // no other role sets it
        }
    }
}

impl Observe for IdempotencyKey {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        let mut durable = Durable::default();
        for record in log {
            match record {
                Record::Done { op, ret: Ret::Paid { .. } } => {
                    durable.credits.entry(op.key).or_default().push(op.body.amount);
                }
                Record::Credited { key, amount } => {
                    durable.credits.entry(*key).or_default().push(*amount);
                }
                Record::Charged { derived, amount } => {
                    durable.charges.entry(*derived).or_default().push(*amount);
                }
                Record::Started { .. } | Record::Done { .. } | Record::Expired { .. } => {}
            }
        }
        durable
    }

    fn view(&self) -> View {
        match self {
            Self::Store(store) => store.view(),
            Self::Provider(_) => View::default(),
            Self::Worker(worker) => worker.view(),
        }
    }
}
