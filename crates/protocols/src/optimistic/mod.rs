//! Optimistic locking: nobody waits; who has read an old version writes nothing, and reads again.
//!
//! One *store* keeps the rows. Clients ask *workers*, which read a row, compute, and write it back;
//! they know nothing durable.
//!
//! # Worker
//!
//! - Upon a request: `Read` the row, and with it whether this operation is done already.
//! - Upon the `Row`: compute what it becomes and what is answered; then
//! - **6.1** `Update … WHERE item = ? AND version = ?`, and require that one row was changed.
//! - Upon `Conflict` (none was): **6.2** repeat the *whole* read, compute and write, with a fresh
//!   read, after a random pause that doubles; after so many conflicts, fail.
//! - No answer: nobody knows whether the write was done. **6.3** Read again, by operation id,
//!   before anything is written; and wait twice as long, or a slow network ends every attempt.
//! - Upon `Done`: reply what it says.
//!
//! # Store
//!
//! - Upon `Read`: the row with its version, or `Done` if the operation is.
//! - Upon `Update`: if the version is the row's (**6.5**: the version, not the value), force the
//!   row, the next version, the operation's id and its answer in one record, and say `Done`. If the
//!   operation is done already, `Done` with the same answer. Else `Conflict`.
//!
//! # Costs
//!
//! Without conflict: 4 messages, 1 force. A look: 2 messages.
//!
//! # Deviations
//!
//! - Attempts are numbered over the worker's life, and an answer to another one does not count: a
//!   late `Conflict` would end an attempt whose write is still on its way.
//! - The store keeps every operation's id for ever. `idempotency_key` shows how they are thrown
//!   away.
//!
//! # Promises
//!
//! Under any loss, duplication, reordering, pause, crash and power loss: each row is linearizable,
//! every operation takes effect at most once, and a failed one never does: its writes carry
//! versions that are gone.
//!
//! **Cannot**: end in a given time where many write one row, for each conflict makes another one
//! try again; keep a rule that spans two rows, for each has a version of its own; serve while the
//! store is down.

#[cfg(test)]
mod tests;

use super::stock::{Config, Durable, Item, Op, Ret, Role, Row, View, Written};
use node::{Cx, Incarnation, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often a time is doubled, at most.
const MAX_DOUBLINGS: u32 = 10;

/// Counts a row's writes.
pub type Version = u64;

/// One run through read, compute and write.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// Whose.
    pub operation: RequestId,
    /// The worker's life, and which of this life's.
    pub life: Incarnation,
    /// The number.
    pub nth: u32,
}

/// A row as it is to be written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Update {
    /// Which.
    pub item: Item,
    /// The version that it was computed from.
    pub expected: Version,
    /// What it becomes.
    pub row: Row,
    /// What the operation is answered.
    pub ret: Ret,
}

/// What nodes say to each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    /// Worker to store: what is the row, and is the operation done?
    Read { attempt: Attempt, item: Item },
    /// Store to worker: it is not done, and this is the row.
    Row { attempt: Attempt, row: Row, version: Version },
    /// Worker to store: write this, if the row has the version that it expects.
    Update { attempt: Attempt, update: Update },
    /// Store to worker: the operation is done, now or before, and this is its answer.
    Done { attempt: Attempt, ret: Ret },
    /// Store to worker: the row has another version. Nothing was written.
    Conflict { attempt: Attempt },
}

/// What stands in the store's log.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    /// A row was written by this operation, and took the next version.
    Updated { operation: RequestId, update: Update },
}

/// What workers wait for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    /// An operation's next step.
    Next(RequestId),
}

/// One node of a stock keeper.
#[derive(Debug)]
pub enum Optimistic {
    /// Keeps the rows.
    Store(Store),
    /// Reads, computes and writes.
    Worker(Worker),
}

type Context = Cx<Optimistic>;

/// Rows with their versions, and what is done.
#[derive(Debug, Default)]
pub struct Store {
    rows: BTreeMap<Item, (Row, Version)>,
    done: BTreeMap<RequestId, Ret>,
}

impl Store {
    fn row(&self, item: Item) -> (Row, Version) {
        self.rows.get(&item).copied().unwrap_or((Row::OPENING, 0))
    }

    fn apply(&mut self, record: &Record) {
        let Record::Updated { operation, update } = *record;
        self.rows.insert(update.item, (update.row, update.expected + 1));
        self.done.insert(operation, update.ret);
    }

    fn on_read(&self, from: NodeId, attempt: Attempt, item: Item, cx: &mut Context) {
        if let Some(&ret) = self.done.get(&attempt.operation) {
            cx.mark("a read found its operation done");
            return cx.send(from, Msg::Done { attempt, ret }); // 6.3
        }
        let (row, version) = self.row(item);
        cx.send(from, Msg::Row { attempt, row, version });
    }

    fn on_update(&mut self, from: NodeId, attempt: Attempt, update: Update, cx: &mut Context) {
        let operation = attempt.operation;
        if let Some(&ret) = self.done.get(&operation) {
            cx.mark("a write found its operation done");
            return cx.send(from, Msg::Done { attempt, ret });
        }
        // 6.1, 6.5
        let (_, version) = self.row(update.item);
        if version != update.expected {
            cx.mark("a write met another version");
            return cx.send(from, Msg::Conflict { attempt });
        }
        let record = Record::Updated { operation, update };
        self.apply(&record);
        cx.force(record);
        cx.send(from, Msg::Done { attempt, ret: update.ret });
    }
}

/// What an operation waits for.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// For the row.
    Reading,
    /// For its result.
    Computing { row: Row, version: Version },
    /// For the store's word on its write.
    Writing,
    /// For others to be done.
    Pausing,
}

/// An operation that it sees to.
#[derive(Clone, Copy, Debug)]
struct Task {
    op: Op,
    attempt: Attempt,
    phase: Phase,
    /// How many attempts have ended with a conflict, and how many without an answer.
    conflicts: u32,
    unanswered: u32,
}

fn doubled(time: Duration, times: u32) -> Duration {
    time * (1 << times.min(MAX_DOUBLINGS))
}

/// Between clients and the store.
#[derive(Debug)]
pub struct Worker {
    config: Config,
    tasks: BTreeMap<RequestId, Task>,
    /// Attempts of this life.
    attempts: u32,
}

impl Worker {
    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Context) {
        if self.tasks.contains_key(&request) {
            return; // a copy: one reply answers both
        }
        let attempt = Attempt { operation: request, life: cx.incarnation(), nth: 0 };
        let task = Task { op, attempt, phase: Phase::Reading, conflicts: 0, unanswered: 0 };
        self.tasks.insert(request, task);
        self.read(request, cx);
    }

    /// The next attempt, from the beginning.
    fn read(&mut self, request: RequestId, cx: &mut Context) {
        let Some(task) = self.tasks.get_mut(&request) else { return };
        self.attempts += 1;
        task.attempt.nth = self.attempts;
        task.phase = Phase::Reading;
        let attempt = task.attempt;
        cx.send(self.config.store, Msg::Read { attempt, item: task.op.item() });
        let patience = doubled(self.config.patience, task.unanswered);
        cx.set_timer(patience, Timer::Next(request));
    }

    fn on_row(&mut self, attempt: Attempt, row: Row, version: Version, cx: &mut Context) {
        let Some(task) = self.current(attempt) else { return };
        if task.op.only_reads() {
            return self.reply(attempt.operation, Ret::Row(row), cx);
        }
        if matches!(task.phase, Phase::Reading) {
            task.phase = Phase::Computing { row, version };
            cx.set_timer(self.config.think, Timer::Next(attempt.operation));
        }
    }

    /// Writes what the operation makes of the row, if nobody has written it since (6.1).
    fn write(&mut self, request: RequestId, row: Row, expected: Version, cx: &mut Context) {
        let Some(task) = self.tasks.get_mut(&request) else { return };
        let item = task.op.item();
        let Some((row, ret)) = row.after(task.op) else {
            cx.mark("sold out");
            return self.fail(request, "sold out", cx);
        };
        task.phase = Phase::Writing;
        let update = Update { item, expected, row, ret };
        cx.send(self.config.store, Msg::Update { attempt: task.attempt, update });
        let patience = doubled(self.config.patience, task.unanswered);
        cx.set_timer(patience, Timer::Next(request));
    }

    /// 6.2: the whole again, though not for ever.
    fn on_conflict(&mut self, attempt: Attempt, cx: &mut Context) {
        let (attempts, backoff) = (self.config.attempts, self.config.backoff);
        let Some(task) = self.current(attempt) else { return };
        if !matches!(task.phase, Phase::Writing) {
            return; // told twice
        }
        task.conflicts += 1;
        if task.conflicts >= attempts {
            cx.mark("given up after conflicts");
            return self.fail(attempt.operation, "too many conflicts", cx);
        }
        task.phase = Phase::Pausing;
        let longest = doubled(backoff, task.conflicts - 1);
        let pause = Duration::from_nanos(cx.dice().below(longest.as_nanos() as u64 + 1));
        cx.set_timer(pause, Timer::Next(attempt.operation));
    }

    fn on_next(&mut self, request: RequestId, cx: &mut Context) {
        let Some(task) = self.tasks.get_mut(&request) else { return };
        match task.phase {
            Phase::Computing { row, version } => self.write(request, row, version, cx),
            Phase::Pausing => self.read(request, cx),
            Phase::Reading => {
                task.unanswered += 1;
                self.read(request, cx);
            }
            Phase::Writing => {
                cx.mark("a write was not answered");
                task.unanswered += 1;
                self.read(request, cx); // 6.3
            }
        }
    }

    /// The task, if this is what it now tries.
    fn current(&mut self, attempt: Attempt) -> Option<&mut Task> {
        self.tasks.get_mut(&attempt.operation).filter(|task| task.attempt == attempt)
    }

    fn reply(&mut self, request: RequestId, ret: Ret, cx: &mut Context) {
        if self.tasks.remove(&request).is_some() {
            cx.cancel_timer(Timer::Next(request));
            cx.reply(request, ret);
        }
    }

    fn fail(&mut self, request: RequestId, reason: &'static str, cx: &mut Context) {
        self.tasks.remove(&request);
        cx.cancel_timer(Timer::Next(request));
        cx.fail(request, reason);
    }
}

impl Node for Optimistic {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = Timer;

    fn new(_: NodeId, config: &Config) -> Self {
        match config.role {
            Role::Store => Self::Store(Store::default()),
            Role::Worker => {
                Self::Worker(Worker { config: config.clone(), tasks: BTreeMap::new(), attempts: 0 })
            }
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
            (Self::Store(store), Msg::Read { attempt, item }) => {
                store.on_read(from, attempt, item, cx);
            }
            (Self::Store(store), Msg::Update { attempt, update }) => {
                store.on_update(from, attempt, update, cx);
            }
            (Self::Worker(worker), Msg::Row { attempt, row, version }) => {
                worker.on_row(attempt, row, version, cx);
            }
            (Self::Worker(worker), Msg::Done { attempt, ret }) => {
                worker.reply(attempt.operation, ret, cx); // whichever attempt it was
            }
            (Self::Worker(worker), Msg::Conflict { attempt }) => worker.on_conflict(attempt, cx),
            (_, _) => {} // for another role: the cluster is set up wrong
        }
    }

    fn on_timer(&mut self, Timer::Next(request): Timer, cx: &mut Context) {
        if let Self::Worker(worker) = self {
            worker.on_next(request, cx);
        }
    }
}

impl Observe for Optimistic {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        let written = log.iter().map(|record| {
            let Record::Updated { operation, update: Update { item, row, .. } } = *record;
            Written { operation, item, row }
        });
        Durable { written: written.collect() }
    }

    fn view(&self) -> View {
        match self {
            Self::Store(_) => View::default(),
            Self::Worker(worker) => View { running: worker.tasks.keys().copied().collect() },
        }
    }
}
