//! A worker: it takes requests, and sees each through on connections of its own.

use super::{Answer, Attempt, Conn, Context, Msg, Statement, Timer};
use super::{Config, Op, Ret, Row, View};
use node::RequestId;
use std::collections::BTreeMap;
use std::time::Duration;

/// How often a time is doubled, at most.
const MAX_DOUBLINGS: u32 = 10;

/// What an operation waits for.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// For a connection.
    Connecting,
    /// For the row, which it only looks at.
    Reading,
    /// For the row's lock.
    Locking,
    /// For its result.
    Computing { row: Row },
    /// For the store's word on its UPDATE, which answers this.
    Updating { ret: Ret },
    /// For the store's word on its COMMIT.
    Committing { ret: Ret },
}

/// An operation that it sees to.
#[derive(Clone, Copy, Debug)]
struct Task {
    op: Op,
    attempt: Attempt,
    phase: Phase,
    /// How many attempts have ended without an answer.
    unanswered: u32,
    /// The attempt's connection, and how many statements have gone over it.
    conn: Option<(Conn, u32)>,
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
    pub(super) fn new(config: &Config) -> Self {
        Self { config: config.clone(), tasks: BTreeMap::new(), attempts: 0 }
    }

    pub(super) fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Context) {
        if self.tasks.contains_key(&request) {
            return; // a copy: one reply answers both
        }
        let attempt = Attempt { operation: request, life: cx.incarnation(), nth: 0 };
        let task = Task { op, attempt, phase: Phase::Connecting, unanswered: 0, conn: None };
        self.tasks.insert(request, task);
        self.connect(request, cx);
    }

    /// The next attempt, on a connection of its own.
    fn connect(&mut self, request: RequestId, cx: &mut Context) {
        self.close(request, cx);
        let Some(task) = self.tasks.get_mut(&request) else { return };
        self.attempts += 1;
        task.attempt.nth = self.attempts;
        task.phase = Phase::Connecting;
        let attempt = task.attempt;
        let patience = self.patience(request);
        cx.send(self.config.store, Msg::Open { attempt, idle: self.config.think + patience });
        cx.set_timer(patience, Timer::Next(request));
    }

    /// BEGIN, and SELECT … FOR UPDATE; a look takes no lock.
    pub(super) fn on_opened(&mut self, attempt: Attempt, conn: Conn, cx: &mut Context) {
        let store = self.config.store;
        match self.current(attempt) {
            Some(task) if matches!(task.phase, Phase::Connecting) => {
                task.conn = Some((conn, 0));
                let item = task.op.item();
                let (phase, statement) = match task.op.only_reads() {
                    true => (Phase::Reading, Statement::Select { item }),
                    false => (Phase::Locking, Statement::SelectForUpdate { item }),
                };
                self.run(attempt, phase, statement, cx);
            }
            Some(task) if task.conn.is_some_and(|(own, _)| own == conn) => {} // told twice
            _ => cx.send(store, Msg::Close { conn }),                         // nobody needs it
        }
    }

    pub(super) fn on_ran(&mut self, attempt: Attempt, answer: Answer, cx: &mut Context) {
        let request = attempt.operation;
        let Some(task) = self.current(attempt) else { return };
        match (task.phase, answer) {
            (Phase::Reading, Answer::Row(row)) => self.reply(request, Ret::Row(row), cx),
            (Phase::Locking, Answer::Locked { done: Some(ret), .. }) => {
                cx.mark("a transaction found its operation done");
                self.reply(request, ret, cx); // 6.3
            }
            (Phase::Locking, Answer::Locked { row, done: None }) => {
                task.phase = Phase::Computing { row };
                cx.set_timer(self.config.think, Timer::Next(request));
            }
            (Phase::Updating { ret }, Answer::Updated) => {
                self.run(attempt, Phase::Committing { ret }, Statement::Commit, cx);
            }
            (Phase::Committing { ret }, Answer::Committed) => self.reply(request, ret, cx),
            _ => {} // told twice
        }
    }

    fn update(&mut self, request: RequestId, row: Row, cx: &mut Context) {
        let Some(task) = self.tasks.get(&request) else { return };
        let Some((row, ret)) = row.after(task.op) else {
            cx.mark("sold out");
            self.end(request, cx);
            return cx.fail(request, "sold out");
        };
        self.run(task.attempt, Phase::Updating { ret }, Statement::Update { row, ret }, cx);
    }

    pub(super) fn on_closed(&mut self, attempt: Attempt, cx: &mut Context) {
        if let Some(task) = self.current(attempt) {
            task.unanswered += 1;
            self.connect(attempt.operation, cx);
        }
    }

    pub(super) fn on_next(&mut self, request: RequestId, cx: &mut Context) {
        let Some(task) = self.tasks.get_mut(&request) else { return };
        match task.phase {
            Phase::Computing { row } => return self.update(request, row, cx),
            Phase::Locking => cx.mark("a lock was not granted in time"),
            Phase::Committing { .. } => cx.mark("a COMMIT was not answered"),
            Phase::Connecting | Phase::Reading | Phase::Updating { .. } => {}
        }
        task.unanswered += 1;
        self.connect(request, cx); // 6.3
    }

    /// A statement over the attempt's connection.
    fn run(&mut self, attempt: Attempt, phase: Phase, statement: Statement, cx: &mut Context) {
        let request = attempt.operation;
        let Some(task) = self.tasks.get_mut(&request) else { return };
        let Some((conn, sent)) = &mut task.conn else { return };
        let (conn, nth) = (*conn, *sent);
        *sent += 1;
        task.phase = phase;
        cx.send(self.config.store, Msg::Run { conn, nth, attempt, statement });
        cx.set_timer(self.patience(request), Timer::Next(request));
    }

    /// Twice as long after each answer that has not come, or a slow network ends every attempt.
    fn patience(&self, request: RequestId) -> Duration {
        let unanswered = self.tasks.get(&request).map_or(0, |task| task.unanswered);
        self.config.patience * (1 << unanswered.min(MAX_DOUBLINGS))
    }

    fn close(&mut self, request: RequestId, cx: &mut Context) {
        let conn = self.tasks.get_mut(&request).and_then(|task| task.conn.take());
        if let Some((conn, _)) = conn {
            cx.send(self.config.store, Msg::Close { conn });
        }
    }

    /// The task, if this is what it now tries.
    fn current(&mut self, attempt: Attempt) -> Option<&mut Task> {
        self.tasks.get_mut(&attempt.operation).filter(|task| task.attempt == attempt)
    }

    fn reply(&mut self, request: RequestId, ret: Ret, cx: &mut Context) {
        self.end(request, cx);
        cx.reply(request, ret);
    }

    fn end(&mut self, request: RequestId, cx: &mut Context) {
        self.close(request, cx);
        self.tasks.remove(&request);
        cx.cancel_timer(Timer::Next(request));
    }

    pub(super) fn view(&self) -> View {
        View { running: self.tasks.keys().copied().collect() }
    }
}
