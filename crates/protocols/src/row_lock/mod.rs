//! A row lock: it belongs to a transaction, and what is done under it to the same one.
//!
//! A database's way (`SELECT … FOR UPDATE`). One *store* keeps the rows and runs the statements of
//! its *connections*. Clients ask *workers*, which know nothing durable. A lock needs no lease and
//! no fence here: it lies where the data lies, and the two are lost or kept together.
//!
//! # Worker
//!
//! Everything of one attempt goes over one connection, and nothing else does.
//!
//! - Upon a request: open a connection; then `SELECT … FOR UPDATE` the row, and with it this
//!   operation's answer, if it has one.
//! - Upon an answer that is there: reply it (**6.3**).
//! - Else compute what the row becomes and what is answered; then `UPDATE` both, then `COMMIT`.
//! - Upon `Committed`: reply.
//! - No answer, or the connection is closed: nobody knows whether it was committed. The whole again
//!   on a new connection, for it begins with the look at the operation's answer (6.3), under the
//!   lock; and wait twice as long.
//!
//! # Store
//!
//! - Upon `Open`: a connection, under a number that it never gives again.
//! - A connection numbers its statements: one that comes twice is not run again, and one that is
//!   missing closes the connection.
//! - `SELECT … FOR UPDATE`: begin, and wait in line. Who is first has the lock, and is answered
//!   with the row **as it is then**.
//! - `UPDATE`: so far it is only this transaction's.
//! - `COMMIT`: force the row, the operation's id and its answer in one record; **then** leave the
//!   line, and the next one has the lock.
//! - A connection that is closed, or from which nothing comes for as long as it has said when it
//!   was opened, ends: what it has not committed is forgotten, and it leaves the line.
//!
//! # Deadlock
//!
//! A transaction locks one row, so nobody waits in a circle. Who locks several takes them in a
//! fixed order; and no worker waits for ever: its patience is the bound.
//!
//! # Costs
//!
//! 9 messages (open, lock, update and commit with their answers; close), 1 force. A look takes no
//! lock: 5 messages.
//!
//! # Deviations
//!
//! - Attempts are numbered over the worker's life, and an answer to another one does not count.
//! - `BEGIN` goes with the statement that locks.
//! - The store keeps every operation's id for ever. `idempotency_key` shows how they are thrown
//!   away.
//! - A node does not see that a stream has broken or that a machine is gone. What a database learns
//!   from its sockets the store here learns from a gap in the numbers, and from silence.
//!
//! # Promises
//!
//! Under any loss, duplication, reordering, pause, crash and power loss: each row is linearizable,
//! every operation takes effect at most once, and a failed one never does: who has the lock knows
//! that no earlier attempt has it, and without it nothing is committed.
//!
//! **Cannot**: protect what is done on another connection, or in another store
//! (`naive::row_lock_pooled`); let anybody go on while a silent connection
//! has the lock and its time is not over; serve while the store is down.

mod store;
#[cfg(test)]
mod tests;
mod worker;

use super::stock::{Config, Durable, Item, Op, Ret, Role, Row, View, Written};
use node::{Cx, Incarnation, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use store::Store;
use worker::Worker;

/// What a connection can ask for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Statement {
    /// SELECT: the row as it was committed last.
    Select { item: Item },
    /// BEGIN, and SELECT … FOR UPDATE: the row, once it is nobody else's.
    SelectForUpdate { item: Item },
    /// UPDATE: let the locked row be this, and this the operation's answer.
    Update { row: Row, ret: Ret },
    /// COMMIT.
    Commit,
}

/// What a statement is answered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// To a SELECT.
    Row(Row),
    /// To a SELECT … FOR UPDATE: it is locked, and this is what the operation was answered, if it
    /// is done.
    Locked { row: Row, done: Option<Ret> },
    /// To an UPDATE.
    Updated,
    /// To a COMMIT.
    Committed,
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
    /// Worker to store: a connection, please; end it when you have waited so long for me.
    Open { attempt: Attempt, idle: Duration },
    /// Store to worker: here it is.
    Opened { attempt: Attempt, conn: Conn },
    /// Worker to store: run this, after those with smaller numbers.
    Run { conn: Conn, nth: u32, attempt: Attempt, statement: Statement },
    /// Store to worker: its answer.
    Ran { attempt: Attempt, answer: Answer },
    /// Worker to store: that was all.
    Close { conn: Conn },
    /// Store to worker: there is no such connection any more.
    Closed { attempt: Attempt },
}

/// What stands in the store's log.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    /// A transaction: the row and the operation's answer, or neither.
    Committed { operation: RequestId, item: Item, row: Row, ret: Ret },
}

/// What nodes wait for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    /// Worker: an operation's next step.
    Next(RequestId),
    /// Store: nothing has come over this connection.
    Idle(Conn),
}

/// One node of a stock keeper.
#[derive(Debug)]
pub enum RowLock {
    /// Keeps the rows.
    Store(Store),
    /// Locks, reads, computes and writes.
    Worker(Worker),
}

type Context = Cx<RowLock>;

impl Node for RowLock {
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
            (Self::Store(store), Msg::Open { attempt, idle }) => {
                store.on_open(from, attempt, idle, cx);
            }
            (Self::Store(store), Msg::Run { conn, nth, attempt, statement }) => {
                store.on_run(from, (conn, nth), attempt, statement, cx);
            }
            (Self::Store(store), Msg::Close { conn }) => store.end(conn, cx),
            (Self::Worker(worker), Msg::Opened { attempt, conn }) => {
                worker.on_opened(attempt, conn, cx);
            }
            (Self::Worker(worker), Msg::Ran { attempt, answer }) => {
                worker.on_ran(attempt, answer, cx);
            }
            (Self::Worker(worker), Msg::Closed { attempt }) => worker.on_closed(attempt, cx),
            (_, _) => {} // for another role: the cluster is set up wrong
        }
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Context) {
        match (self, timer) {
            (Self::Worker(worker), Timer::Next(request)) => worker.on_next(request, cx),
            (Self::Store(store), Timer::Idle(conn)) => store.end(conn, cx),
            (_, _) => {} // each sets its own
        }
    }
}

impl Observe for RowLock {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        let written = log.iter().map(|record| {
            let Record::Committed { operation, item, row, .. } = *record;
            Written { operation, item, row }
        });
        Durable { written: written.collect() }
    }

    fn view(&self) -> View {
        match self {
            Self::Store(_) => View::default(),
            Self::Worker(worker) => worker.view(),
        }
    }
}
