//! The store: keys, values, and connections with what they watch.

use super::{Attempt, Command, Conn, Context, Key, Msg, Record, Reply, Value};
use node::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// What the store knows of a connection.
#[derive(Debug, Default)]
struct Connection {
    /// The pipeline that it runs next.
    next: u32,
    watched: BTreeSet<Key>,
    /// Something watched has been written.
    spoiled: bool,
    /// What EXEC is to do.
    queue: Vec<(Key, Value)>,
}

/// Keys and values.
#[derive(Debug, Default)]
pub struct Store {
    values: BTreeMap<Key, Value>,
    connections: BTreeMap<Conn, Connection>,
    /// Connections of this life.
    opened: u32,
}

impl Store {
    pub(super) fn apply(&mut self, Record::Executed { sets }: &Record) {
        self.values.extend(sets.iter().copied());
    }

    pub(super) fn on_open(&mut self, from: NodeId, attempt: Attempt, cx: &mut Context) {
        self.opened += 1;
        let conn = Conn { life: cx.incarnation(), number: self.opened };
        self.connections.insert(conn, Connection::default());
        cx.send(from, Msg::Opened { attempt, conn });
    }

    pub(super) fn on_close(&mut self, conn: Conn) {
        self.connections.remove(&conn);
    }

    pub(super) fn on_pipeline(
        &mut self,
        from: NodeId,
        (conn, nth): (Conn, u32),
        attempt: Attempt,
        commands: Vec<Command>,
        cx: &mut Context,
    ) {
        match self.connections.get_mut(&conn) {
            Some(connection) if nth < connection.next => return, // a copy
            Some(connection) if nth == connection.next => connection.next += 1,
            _ => {
                cx.mark("a closed connection was used");
                self.on_close(conn);
                return cx.send(from, Msg::Closed { attempt });
            }
        }
        let run = |command| self.run(conn, command, cx);
        let replies = commands.into_iter().map(run).collect();
        cx.send(from, Msg::Replies { attempt, replies });
    }

    fn run(&mut self, conn: Conn, command: Command, cx: &mut Context) -> Reply {
        let connection = self.connections.entry(conn).or_default();
        match command {
            Command::Watch(keys) => {
                connection.watched.extend(keys);
                Reply::Ok
            }
            Command::Get(key) => Reply::Value(self.values.get(&key).copied()),
            Command::Multi => {
                connection.queue.clear();
                Reply::Ok
            }
            Command::Set(key, value) => {
                connection.queue.push((key, value));
                Reply::Queued
            }
            Command::Exec => {
                let sets = std::mem::take(&mut connection.queue);
                connection.watched.clear();
                if std::mem::take(&mut connection.spoiled) {
                    cx.mark("an EXEC found its watch spoiled");
                    return Reply::Nil;
                }
                self.execute(sets, cx);
                Reply::Executed
            }
        }
    }

    /// All or nothing; and whoever watches what is written is spoiled, whatever the value (6.5).
    fn execute(&mut self, sets: Vec<(Key, Value)>, cx: &mut Context) {
        for connection in self.connections.values_mut() {
            connection.spoiled |= sets.iter().any(|(key, _)| connection.watched.contains(key));
        }
        let record = Record::Executed { sets };
        self.apply(&record);
        cx.force(record);
    }
}
