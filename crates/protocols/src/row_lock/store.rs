//! The store: rows, connections, and who waits for which row.

use super::{Answer, Attempt, Conn, Context, Item, Msg, Record, Ret, Row, Statement, Timer};
use node::{NodeId, RequestId};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// What the store knows of a connection.
#[derive(Clone, Copy, Debug)]
struct Connection {
    worker: NodeId,
    attempt: Attempt,
    /// It is ended after so much silence.
    idle: Duration,
    /// The statement that it runs next.
    next: u32,
    /// The row that it has locked, or waits for.
    item: Option<Item>,
    /// What its transaction has done.
    update: Option<(Row, Ret)>,
}

/// Rows, and what is done.
#[derive(Debug, Default)]
pub struct Store {
    rows: BTreeMap<Item, Row>,
    done: BTreeMap<RequestId, Ret>,
    connections: BTreeMap<Conn, Connection>,
    /// For each row: who has locked it, and behind it who waits.
    lines: BTreeMap<Item, VecDeque<Conn>>,
    /// Connections of this life.
    opened: u32,
}

impl Store {
    pub(super) fn apply(&mut self, record: &Record) {
        let Record::Committed { operation, item, row, ret } = *record;
        self.rows.insert(item, row);
        self.done.insert(operation, ret);
    }

    fn row(&self, item: Item) -> Row {
        self.rows.get(&item).copied().unwrap_or(Row::OPENING)
    }

    pub(super) fn on_open(
        &mut self,
        worker: NodeId,
        attempt: Attempt,
        idle: Duration,
        cx: &mut Context,
    ) {
        self.opened += 1;
        let conn = Conn { life: cx.incarnation(), number: self.opened };
        let connection = Connection { worker, attempt, idle, next: 0, item: None, update: None };
        self.connections.insert(conn, connection);
        cx.send(worker, Msg::Opened { attempt, conn });
        cx.set_timer(idle, Timer::Idle(conn));
    }

    pub(super) fn on_run(
        &mut self,
        from: NodeId,
        (conn, nth): (Conn, u32),
        attempt: Attempt,
        statement: Statement,
        cx: &mut Context,
    ) {
        let connection = match self.connections.get_mut(&conn) {
            Some(connection) if nth < connection.next => return, // a copy
            Some(connection) if nth == connection.next => connection,
            _ => {
                cx.mark("a closed connection was used");
                self.end(conn, cx);
                return cx.send(from, Msg::Closed { attempt });
            }
        };
        connection.next += 1;
        match (statement, connection.item) {
            (Statement::Select { item }, _) => {
                let row = self.row(item);
                self.answer(conn, Answer::Row(row), cx);
            }
            (Statement::SelectForUpdate { item }, _) => {
                connection.item = Some(item);
                self.wait_in_line(conn, item, cx);
            }
            (Statement::Update { row, ret }, _) => {
                connection.update = Some((row, ret));
                self.answer(conn, Answer::Updated, cx);
            }
            (Statement::Commit, Some(item)) => {
                if let Some((row, ret)) = connection.update.take() {
                    let operation = connection.attempt.operation;
                    let record = Record::Committed { operation, item, row, ret };
                    self.apply(&record);
                    cx.force(record);
                }
                self.answer(conn, Answer::Committed, cx);
                self.leave(conn, item, cx);
            }
            (Statement::Commit, None) => self.answer(conn, Answer::Committed, cx),
        }
    }

    /// While it waits it is the store that is silent.
    fn wait_in_line(&mut self, conn: Conn, item: Item, cx: &mut Context) {
        let line = self.lines.entry(item).or_default();
        line.push_back(conn);
        if line.front() == Some(&conn) {
            return self.lock(conn, item, cx);
        }
        cx.mark("a transaction waited in line");
        cx.cancel_timer(Timer::Idle(conn));
    }

    /// The row is this transaction's, and is read only now.
    fn lock(&mut self, conn: Conn, item: Item, cx: &mut Context) {
        let Some(connection) = self.connections.get(&conn) else { return };
        let done = self.done.get(&connection.attempt.operation).copied();
        let row = self.row(item);
        self.answer(conn, Answer::Locked { row, done }, cx);
    }

    fn answer(&self, conn: Conn, answer: Answer, cx: &mut Context) {
        let Some(connection) = self.connections.get(&conn) else { return };
        let Connection { worker, attempt, idle, .. } = *connection;
        cx.send(worker, Msg::Ran { attempt, answer });
        cx.set_timer(idle, Timer::Idle(conn));
    }

    /// Lock and effects end together.
    pub(super) fn end(&mut self, conn: Conn, cx: &mut Context) {
        let Some(connection) = self.connections.remove(&conn) else { return };
        cx.cancel_timer(Timer::Idle(conn));
        if connection.update.is_some() {
            cx.mark("an update was rolled back");
        }
        if let Some(item) = connection.item {
            self.leave(conn, item, cx);
        }
    }

    /// The next one has the lock.
    fn leave(&mut self, conn: Conn, item: Item, cx: &mut Context) {
        let line = self.lines.entry(item).or_default();
        let first = line.front() == Some(&conn);
        line.retain(|waiting| *waiting != conn);
        if let Some(&next) = line.front()
            && first
        {
            self.lock(next, item, cx);
        }
    }
}
