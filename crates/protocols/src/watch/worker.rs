//! A worker: it takes requests, and sees each through on connections of its own.

use super::{Attempt, Command, Conn, Context, Key, Msg, Reply, Timer, Value};
use super::{Config, Op, Ret, Row, View};
use node::RequestId;
use std::collections::BTreeMap;
use std::time::Duration;

/// How often a time is doubled, at most.
const MAX_DOUBLINGS: u32 = 10;

fn doubled(time: Duration, times: u32) -> Duration {
    time * (1 << times.min(MAX_DOUBLINGS))
}

/// What an operation waits for.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// For a connection.
    Connecting,
    /// For what it watches.
    Reading,
    /// For its result.
    Computing { row: Row },
    /// For the store's word on its EXEC, which answers this.
    Executing { ret: Ret },
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
    /// The attempt's connection, and how many pipelines have gone over it.
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
        let phase = Phase::Connecting;
        let task = Task { op, attempt, phase, conflicts: 0, unanswered: 0, conn: None };
        self.tasks.insert(request, task);
        self.connect(request, cx);
    }

    /// The next attempt, on a connection of its own (6.4).
    fn connect(&mut self, request: RequestId, cx: &mut Context) {
        self.close(request, cx);
        let Some(task) = self.tasks.get_mut(&request) else { return };
        self.attempts += 1;
        task.attempt.nth = self.attempts;
        task.phase = Phase::Connecting;
        cx.send(self.config.store, Msg::Open { attempt: task.attempt });
        self.wait(request, cx);
    }

    /// WATCH, and read what is watched.
    pub(super) fn on_opened(&mut self, attempt: Attempt, conn: Conn, cx: &mut Context) {
        let store = self.config.store;
        match self.current(attempt) {
            Some(task) if matches!(task.phase, Phase::Connecting) => {
                task.phase = Phase::Reading;
                task.conn = Some((conn, 0));
                let row = Key::Row(task.op.item());
                let answer = Key::Answer(attempt.operation);
                let watch = Command::Watch(vec![row, answer]);
                self.send(attempt, vec![watch, Command::Get(answer), Command::Get(row)], cx);
            }
            Some(task) if task.conn.is_some_and(|(own, _)| own == conn) => {} // told twice
            _ => cx.send(store, Msg::Close { conn }),                         // nobody needs it
        }
    }

    pub(super) fn on_replies(&mut self, attempt: Attempt, replies: &[Reply], cx: &mut Context) {
        let request = attempt.operation;
        let most = self.config.attempts;
        let Some(task) = self.current(attempt) else { return };
        match (task.phase, replies) {
            (Phase::Reading, [Reply::Ok, Reply::Value(Some(Value::Answer(ret))), _]) => {
                cx.mark("a read found its operation done");
                self.reply(request, *ret, cx); // 6.3
            }
            (Phase::Reading, [Reply::Ok, Reply::Value(None), Reply::Value(row)]) => {
                let row = match row {
                    Some(Value::Row(row)) => *row,
                    _ => Row::OPENING,
                };
                if task.op.only_reads() {
                    return self.reply(request, Ret::Row(row), cx);
                }
                // The last conflict was not with an EXEC of its own that was not answered, and so
                // it has spoiled those.
                if task.conflicts >= most {
                    cx.mark("given up after conflicts");
                    return self.fail(request, "too many conflicts", cx);
                }
                task.phase = Phase::Computing { row };
                cx.set_timer(self.config.think, Timer::Next(request));
            }
            (Phase::Executing { ret }, [.., Reply::Executed]) => self.reply(request, ret, cx),
            (Phase::Executing { .. }, [.., Reply::Nil]) => self.on_conflict(request, cx),
            _ => {} // told twice
        }
    }

    /// MULTI, both writes, EXEC.
    fn execute(&mut self, request: RequestId, row: Row, cx: &mut Context) {
        let Some(task) = self.tasks.get_mut(&request) else { return };
        let Some((row, ret)) = row.after(task.op) else {
            cx.mark("sold out");
            return self.fail(request, "sold out", cx);
        };
        task.phase = Phase::Executing { ret };
        let attempt = task.attempt;
        let write = Command::Set(Key::Row(task.op.item()), Value::Row(row));
        let answer = Command::Set(Key::Answer(request), Value::Answer(ret));
        self.send(attempt, vec![Command::Multi, write, answer, Command::Exec], cx);
    }

    /// 6.2: the whole again, though not for ever.
    fn on_conflict(&mut self, request: RequestId, cx: &mut Context) {
        let Some(task) = self.tasks.get_mut(&request) else { return };
        task.conflicts += 1;
        task.phase = Phase::Pausing;
        let longest = doubled(self.config.backoff, task.conflicts - 1);
        let pause = Duration::from_nanos(cx.dice().below(longest.as_nanos() as u64 + 1));
        cx.set_timer(pause, Timer::Next(request));
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
            Phase::Computing { row } => self.execute(request, row, cx),
            Phase::Pausing => self.connect(request, cx),
            Phase::Connecting | Phase::Reading => {
                task.unanswered += 1;
                self.connect(request, cx);
            }
            Phase::Executing { .. } => {
                cx.mark("an EXEC was not answered");
                task.unanswered += 1;
                self.connect(request, cx); // 6.3
            }
        }
    }

    /// A pipeline over the attempt's connection.
    fn send(&mut self, attempt: Attempt, commands: Vec<Command>, cx: &mut Context) {
        let Some(task) = self.tasks.get_mut(&attempt.operation) else { return };
        let Some((conn, sent)) = &mut task.conn else { return };
        let (conn, nth) = (*conn, *sent);
        *sent += 1;
        cx.send(self.config.store, Msg::Pipeline { conn, nth, attempt, commands });
        self.wait(attempt.operation, cx);
    }

    /// Twice as long after each answer that has not come, or a slow network ends every attempt.
    fn wait(&self, request: RequestId, cx: &mut Context) {
        let Some(task) = self.tasks.get(&request) else { return };
        let patience = doubled(self.config.patience, task.unanswered);
        cx.set_timer(patience, Timer::Next(request));
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

    fn fail(&mut self, request: RequestId, reason: &'static str, cx: &mut Context) {
        self.end(request, cx);
        cx.fail(request, reason);
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
