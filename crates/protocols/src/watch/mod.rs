//! WATCH, MULTI, EXEC: what was read is watched, and the write is dropped if anybody touched it.
//!
//! Redis's way. One *store* keeps keys and values, and runs the commands of its *connections*.
//! Clients ask *workers*, which know nothing durable.
//!
//! # Worker
//!
//! Everything of one attempt goes over one connection, and nothing else does (**6.4**): on a shared
//! one, another task's EXEC ends the watch.
//!
//! - Upon a request: open a connection; then `WATCH` the row and this operation's answer, and `GET`
//!   both.
//! - Upon an answer that is there: reply it (**6.3**).
//! - Else compute what the row becomes and what is answered; then `MULTI`, `SET` both, `EXEC`.
//! - Upon `Executed`: reply. Upon `Nil`, the conflict: the *whole* again, on a new connection,
//!   after a random pause that doubles (**6.2**). After so many conflicts, look once more, and fail
//!   if there is no answer: the last one may have been with an EXEC of one's own that came late.
//! - No answer, or the connection is closed: nobody knows whether it was executed. The whole again,
//!   for it begins with the look at the operation's answer (6.3); and wait twice as long.
//!
//! # Store
//!
//! - Upon `Open`: a connection, under a number that it never gives again.
//! - Commands come in pipelines, which a connection numbers: one that comes twice is not run again,
//!   and one that is missing closes it.
//! - `WATCH`: remember the keys. Who writes a watched key spoils the connection, whatever the value
//!   (**6.5**).
//! - `MULTI`, `SET`: queue.
//! - `EXEC`: forget the watch; `Nil` if the connection is spoiled, and the queue is dropped. Else
//!   force all of the queue in one record, and say `Executed`.
//!
//! # Costs
//!
//! Without conflict: 7 messages (open, read and execute with their answers; close), 1 force. A
//! look: 5 messages.
//!
//! # Deviations
//!
//! - Attempts are numbered over the worker's life, and an answer to another one does not count:
//!   what an earlier connection read is not watched by this one.
//! - Redis acknowledges before it syncs unless told otherwise (`appendfsync always`); here it is.
//! - SET is for MULTI alone.
//! - A connection that its worker has forgotten stays until the store's end, as in Redis, whose
//!   `timeout` is 0.
//!
//! # Promises
//!
//! Under any loss, duplication, reordering, pause, crash and power loss: each row is linearizable,
//! every operation takes effect at most once, and a failed one never does: who spoiled its last
//! connection has spoiled all before it.
//!
//! **Cannot**: end in a given time where many write one row; protect a task that shares its
//! connection; serve while the store is down.

mod store;
#[cfg(test)]
mod tests;
mod worker;

use super::stock::{Config, Durable, Item, Op, Ret, Role, Row, View, Written};
use node::{Cx, Incarnation, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};
use store::Store;
use worker::Worker;

/// Names what is kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Key {
    /// The books of an item.
    Row(Item),
    /// What an operation that is done was answered.
    Answer(RequestId),
}

/// What is kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Value {
    /// Under a `Row`.
    Row(Row),
    /// Under an `Answer`.
    Answer(Ret),
}

/// What a connection can ask for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Tell me at EXEC if anybody writes one of these.
    Watch(Vec<Key>),
    /// What is under this key?
    Get(Key),
    /// What follows is to be done at EXEC.
    Multi,
    /// Let this be under that key.
    Set(Key, Value),
    /// Do it all now, or nothing.
    Exec,
}

/// What a command is answered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Reply {
    /// To WATCH and MULTI.
    Ok,
    /// To GET.
    Value(Option<Value>),
    /// To SET.
    Queued,
    /// To EXEC: all is done.
    Executed,
    /// To EXEC: something watched was written, and nothing is done.
    Nil,
}

/// A connection: the store's life, and which of this life's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Conn {
    /// Of the store.
    pub life: Incarnation,
    /// The number.
    pub number: u32,
}

/// One run through all of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// Whose.
    pub operation: RequestId,
    /// The worker's life, and which of this life's.
    pub life: Incarnation,
    /// The number.
    pub nth: u32,
}

/// What nodes say to each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    /// Worker to store: a connection, please.
    Open { attempt: Attempt },
    /// Store to worker: here it is.
    Opened { attempt: Attempt, conn: Conn },
    /// Worker to store: run these, in order.
    Pipeline { conn: Conn, nth: u32, attempt: Attempt, commands: Vec<Command> },
    /// Store to worker: their answers.
    Replies { attempt: Attempt, replies: Vec<Reply> },
    /// Worker to store: that was all.
    Close { conn: Conn },
    /// Store to worker: there is no such connection any more.
    Closed { attempt: Attempt },
}

/// What stands in the store's log.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    /// An EXEC: all or nothing.
    Executed { sets: Vec<(Key, Value)> },
}

/// What workers wait for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    /// An operation's next step.
    Next(RequestId),
}

/// One node of a stock keeper.
#[derive(Debug)]
pub enum Watch {
    /// Keeps keys and values.
    Store(Store),
    /// Reads, computes and writes.
    Worker(Worker),
}

type Context = Cx<Watch>;

impl Node for Watch {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = Timer;

    fn new(_: NodeId, config: &Config) -> Self {
        match config.role {
            Role::Store => Self::Store(Store::default()),
            Role::Worker => Self::Worker(Worker::new(config)),
        }
    }

    fn on_start(&mut self, log: &[Record], _: &mut Context) {
        if let Self::Store(store) = self {
            log.iter().for_each(|record| store.apply(record));
        }
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Context) {
        match self {
            Self::Worker(worker) => worker.on_request(request, op, cx),
            Self::Store(_) => cx.retry(request, None),
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Context) {
        match (self, msg) {
            (Self::Store(store), Msg::Open { attempt }) => store.on_open(from, attempt, cx),
            (Self::Store(store), Msg::Pipeline { conn, nth, attempt, commands }) => {
                store.on_pipeline(from, (conn, nth), attempt, commands, cx);
            }
            (Self::Store(store), Msg::Close { conn }) => store.on_close(conn),
            (Self::Worker(worker), Msg::Opened { attempt, conn }) => {
                worker.on_opened(attempt, conn, cx);
            }
            (Self::Worker(worker), Msg::Replies { attempt, replies }) => {
                worker.on_replies(attempt, &replies, cx);
            }
            (Self::Worker(worker), Msg::Closed { attempt }) => worker.on_closed(attempt, cx),
            (_, _) => {} // for another role: the cluster is set up wrong
        }
    }

    fn on_timer(&mut self, Timer::Next(request): Timer, cx: &mut Context) {
        if let Self::Worker(worker) = self {
            worker.on_next(request, cx);
        }
    }
}

impl Observe for Watch {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        let mut durable = Durable::default();
        for Record::Executed { sets } in log {
            let row = sets.iter().find_map(|set| match *set {
                (Key::Row(item), Value::Row(row)) => Some((item, row)),
                _ => None,
            });
            let operation = sets.iter().find_map(|(key, _)| match *key {
                Key::Answer(operation) => Some(operation),
                Key::Row(_) => None,
            });
            if let (Some((item, row)), Some(operation)) = (row, operation) {
                durable.written.push(Written { operation, item, row });
            }
        }
        durable
    }

    fn view(&self) -> View {
        match self {
            Self::Store(_) => View::default(),
            Self::Worker(worker) => worker.view(),
        }
    }
}
