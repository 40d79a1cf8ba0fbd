//! A durable queue: what is accepted is done once, and in order for each account.
//!
//! Clients ask *fronts*. A front publishes each job to the *broker*, whose log holds the queues;
//! *workers* take jobs from there and do them in one transaction at the *store*; its replies go
//! back through a queue of each front's own. Nobody else remembers anything over a crash. The rules
//! are those of AMQP 0-9-1 (confirms, acknowledgements), of Kafka's idempotent producer (KIP-98)
//! and of the transactional outbox.
//!
//! # Producer: a front, and the store's relay
//!
//! - **7.1** What is published bears a *stamp*: who, in which life (the epoch), and its number
//!   there, without a gap. Upon `Publish` the broker forces the message with its stamp, then says
//!   `Published`. A stamp that it has is answered again and changes nothing; one after a gap is not
//!   taken, because what is missing comes again first; an older life is not heard any more.
//! - Each is sent again until it is answered.
//!
//! # Broker
//!
//! - **7.2** Upon `Take`: lease the oldest message that may go, with a *receipt*. A message may go
//!   when nobody has a lease on it and no older one of its account is in the queue. When the lease
//!   is over, the message may go again; each try has twice the time of the one before. `Ack` drops
//!   the message, but only with the receipt of its present lease: an older one changes nothing.
//! - **7.3** `Nack` ends the lease at once. The receipt says which try it is for.
//!
//! # Worker
//!
//! - Upon a job: do it, and `Commit` at the store; upon `Committed`: `Ack` (7.2). What it cannot do
//!   it gives back with `Nack`.
//! - **7.3** A job that has been tried often enough is not tried again: it becomes a dead letter by
//!   the same transaction, so that it is either done or dead, whatever is still on its way.
//!
//! # Store
//!
//! - **7.2** Upon `Commit`: the effect, the *inbox* row that is named by the client's request, and
//!   the *outbox* row with the reply are one record. If the inbox has a row, nothing is done; but
//!   a job that was published again is replied to again, for it may be a new life of the front
//!   that asks.
//! - **7.5** The relay publishes what is in the outbox, **then** marks it.
//! - **7.6** It goes by the order of commits and not by any number that was given before: a reply
//!   is in the outbox when its transaction is durable, and until it is marked.
//! - Inbox rows are thrown away after the retention time.
//!
//! # Front
//!
//! - Upon a request: publish the job; its name is the client's request (the correlation id). Who
//!   does not wait is told `Accepted` upon `Published`.
//! - **7.4** A reply is given to the client whose request it names, and to no other; if that is not
//!   known here any more, to nobody. It is acknowledged in either case.
//!
//! # Costs
//!
//! Publishing: 2 messages, 1 force. Consuming: 3 messages (`Take`, `Deliver`, `Ack`) and no force
//! at the broker; for a job beside that the transaction: 1 force, and 2 messages, since the store
//! is a node of its own. So a job costs 7 messages and 2 forces, and one whose client waits 5
//! messages and 1 force more for its reply.
//!
//! # Deviations
//!
//! - Leases and the count of tries are volatile: a restarted broker delivers what it has from the
//!   first try on. A receipt names the broker's life, so that one from before fits nothing.
//! - `Acked` and `Marked` are not forced. What is lost of them comes again, and is known.
//! - Since gaps are not taken, the last number of each producer is all that must be remembered of
//!   its stamps.
//! - The retention time begins anew when the store restarts.
//!
//! # Promises
//!
//! Under any loss, duplication, reordering, pause, crash and power loss: what a client is told to
//! be accepted is done once, or lies among the dead letters and is never done; jobs of one account
//! are done in the order in which the broker has them; a reply is that to the client's own request;
//! when faults have ended, the queues are drained.
//!
//! **Cannot**: deliver exactly once (the effect happens once, the delivery does not); protect an
//! effect outside the store; know a copy that comes after the retention time; serve while the
//! broker or the store is down.

mod broker;
mod front;
mod producer;
mod store;
#[cfg(test)]
mod tests;
mod worker;

use super::job::{Config, Durable, Job, Op, Ret, Role, View};
use broker::Broker;
use front::Front;
use node::{Cx, Incarnation, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};
use store::Store;
use worker::Worker;

/// What is in a queue. `id` names the job everywhere, over all copies: it is the inbox's key and
/// the correlation id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Letter {
    /// To any worker; a client may wait for the reply.
    Job { id: RequestId, job: Job, wait: bool },
    /// To the front that published the job under that stamp.
    Reply { id: RequestId, reply_to: Stamp, ret: Ret },
}

/// Which of the broker's queues.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Queue {
    /// What workers take.
    Jobs,
    /// What this front takes.
    Replies(NodeId),
}

impl Letter {
    fn id(&self) -> RequestId {
        match self {
            Self::Job { id, .. } | Self::Reply { id, .. } => *id,
        }
    }

    fn queue(&self) -> Queue {
        match self {
            Self::Job { .. } => Queue::Jobs,
            Self::Reply { reply_to, .. } => Queue::Replies(reply_to.producer),
        }
    }

    /// What it must be in order with.
    fn account(&self) -> Option<u16> {
        match self {
            Self::Job { job, .. } => Some(job.account),
            Self::Reply { .. } => None,
        }
    }
}

/// What a producer gives to what it publishes (7.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Stamp {
    /// Who.
    pub producer: NodeId,
    /// In which life.
    pub epoch: Incarnation,
    /// Counted from 1 in this life.
    pub seq: u32,
}

/// A lease (7.2): the place of a message in the queue as one life of the broker counts, and which
/// try it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Receipt {
    /// The broker's life.
    pub life: Incarnation,
    /// The message's place.
    pub at: u32,
    /// Counted from 1 in this life.
    pub nth: u32,
}

/// What nodes say to each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    /// Producer to broker.
    Publish { stamp: Stamp, letter: Letter },
    /// Broker to producer: it is durable.
    Published { stamp: Stamp },
    /// Consumer to broker: one, when there is one.
    Take { queue: Queue },
    /// Broker to consumer; with the stamp under which it was published.
    Deliver { receipt: Receipt, stamp: Stamp, letter: Letter },
    /// Consumer to broker: it is seen to.
    Ack { receipt: Receipt },
    /// Consumer to broker: try again.
    Nack { receipt: Receipt },
    /// Worker to store: this is done; or given up, if it is dead. The reply, if one is wanted, is
    /// to what was published under that stamp.
    Commit { receipt: Receipt, id: RequestId, job: Job, reply_to: Option<Stamp>, dead: bool },
    /// Store to worker: it is durable, now or since before.
    Committed { receipt: Receipt },
}

/// What stands in the logs of broker and store.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    /// Broker: a message, and whose it is.
    Published { stamp: Stamp, letter: Letter },
    /// Broker: it is seen to.
    Acked { stamp: Stamp },
    /// Broker, in a snapshot: the last of a producer.
    Last { stamp: Stamp },
    /// Store: the effect, the inbox row and the outbox row, in one record (7.2).
    Committed { id: RequestId, job: Job, reply_to: Option<Stamp>, ret: Ret },
    /// Store: an outbox row of its own, with a reply that was given before.
    Again { id: RequestId, reply_to: Stamp, ret: Ret },
    /// Store: the relay has published this row of the outbox (7.5).
    Marked { reply_to: Stamp },
    /// Store, in a snapshot: a line of an account's statement, or a dead letter, whose inbox row
    /// has been thrown away.
    Kept { id: RequestId, job: Job, ret: Ret },
}

/// What nodes wait for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    /// Producer: no answer to `Publish` yet.
    Publish(Stamp),
    /// Broker: a consumer has had its time.
    Lease(Receipt),
    /// Consumer: nothing was delivered.
    Poll,
    /// Worker: no answer to `Commit` yet.
    Commit(Receipt),
    /// Store: look for rows whose retention time is over.
    Sweep,
}

/// One node of a queue.
#[derive(Debug)]
pub enum DurableQueue {
    /// The queues.
    Broker(Broker),
    /// The accounts.
    Store(Store),
    /// Between clients and the queues.
    Front(Front),
    /// Between the queues and the accounts.
    Worker(Worker),
}

type Context = Cx<DurableQueue>;

impl Node for DurableQueue {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = Timer;

    fn new(_: NodeId, config: &Config) -> Self {
        match config.role {
            Role::Broker => Self::Broker(Broker::new(config)),
            Role::Store => Self::Store(Store::new(config)),
            Role::Front => Self::Front(Front::new(config)),
            Role::Worker => Self::Worker(Worker::new(config)),
        }
    }

    fn on_start(&mut self, log: &[Record], cx: &mut Context) {
        match self {
            Self::Broker(broker) => broker.on_start(log, cx),
            Self::Store(store) => store.on_start(log, cx),
            Self::Front(front) => front.take(cx),
            Self::Worker(worker) => worker.take(cx),
        }
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Context) {
        match self {
            Self::Front(front) => front.on_request(request, op, cx),
            _ => cx.retry(request, None),
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Context) {
        match (self, msg) {
            (Self::Broker(broker), Msg::Publish { stamp, letter }) => {
                broker.on_publish(from, stamp, letter, cx);
            }
            (Self::Broker(broker), Msg::Take { queue }) => broker.on_take(from, queue, cx),
            (Self::Broker(broker), Msg::Ack { receipt }) => broker.on_ack(receipt, cx),
            (Self::Broker(broker), Msg::Nack { receipt }) => broker.on_nack(receipt, cx),
            (Self::Store(store), Msg::Commit { receipt, id, job, reply_to, dead }) => {
                store.on_commit(id, job, reply_to, dead, cx);
                cx.send(from, Msg::Committed { receipt });
            }
            (Self::Store(store), Msg::Published { stamp }) => store.on_published(stamp, cx),
            (Self::Front(front), Msg::Published { stamp }) => front.on_published(stamp, cx),
            (Self::Front(front), Msg::Deliver { receipt, letter, .. }) => {
                front.on_deliver(receipt, letter, cx);
            }
            (Self::Worker(worker), Msg::Deliver { receipt, stamp, letter }) => {
                worker.on_deliver(receipt, stamp, letter, cx);
            }
            (Self::Worker(worker), Msg::Committed { receipt }) => worker.on_committed(receipt, cx),
            (_, _) => {} // for another role: the cluster is set up wrong
        }
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Context) {
        match (self, timer) {
            (Self::Broker(broker), Timer::Lease(receipt)) => broker.on_lease(receipt, cx),
            (Self::Store(store), Timer::Publish(stamp)) => store.relay.send(stamp, cx),
            (Self::Store(store), Timer::Sweep) => store.on_sweep(cx),
            (Self::Front(front), Timer::Publish(stamp)) => front.producer.send(stamp, cx),
            (Self::Front(front), Timer::Poll) => front.take(cx),
            (Self::Worker(worker), Timer::Poll) => worker.take(cx),
            (Self::Worker(worker), Timer::Commit(receipt)) => worker.commit(receipt, cx),
            (_, _) => {} // no other role sets it
        }
    }
}

impl Observe for DurableQueue {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        let mut durable = Durable::default();
        for record in log {
            match record {
                Record::Published { letter: Letter::Job { id, job, .. }, .. } => {
                    durable.queued.push((*id, *job));
                }
                Record::Committed { id, job, ret, .. } | Record::Kept { id, job, ret } => match ret
                {
                    Ret::Dead => durable.dead.push(*id),
                    _ => durable.done.entry(job.account).or_default().push((*id, job.amount)),
                },
                _ => {}
            }
        }
        durable
    }

    fn view(&self) -> View {
        match self {
            Self::Broker(broker) => broker.view(),
            Self::Store(store) => store.view(),
            Self::Front(front) => front.view(),
            Self::Worker(worker) => worker.view(),
        }
    }
}
