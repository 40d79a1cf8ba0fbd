//! Each test quotes the rule that it is about.

use super::*;
use node::{Answer, Context as Here, Effect};
use std::time::Duration;

type Effects = Vec<Effect<Watch>>;

const STORE: NodeId = NodeId(0);
const WORKER: NodeId = NodeId(1);
const ITEM: Item = Item(0);
const SELL: Op = Op::Sell { item: ITEM };
const SOLD: Ret = Ret::Sold { number: 1 };
const PATIENCE: Duration = Duration::from_millis(50);

fn request(call: u32) -> RequestId {
    RequestId { client: NodeId(9), call }
}

fn attempt(call: u32, nth: u32) -> Attempt {
    Attempt { operation: request(call), life: 1, nth }
}

fn conn(number: u32) -> Conn {
    Conn { life: 1, number }
}

fn read(call: u32) -> Vec<Command> {
    let (row, answer) = (Key::Row(ITEM), Key::Answer(request(call)));
    vec![Command::Watch(vec![row, answer]), Command::Get(answer), Command::Get(row)]
}

fn sets(call: u32) -> Vec<(Key, Value)> {
    let (row, _) = Row::OPENING.after(SELL).expect("there are some");
    vec![(Key::Row(ITEM), Value::Row(row)), (Key::Answer(request(call)), Value::Answer(SOLD))]
}

fn write(call: u32) -> Vec<Command> {
    let sets = sets(call).into_iter().map(|(key, value)| Command::Set(key, value));
    let mut commands = vec![Command::Multi];
    commands.extend(sets);
    commands.push(Command::Exec);
    commands
}

/// A node and the log that it writes.
struct Machine {
    node: Watch,
    log: Vec<Record>,
}

impl Machine {
    fn new(role: Role) -> Self {
        let config = Config {
            role,
            store: STORE,
            think: Duration::from_millis(2),
            patience: PATIENCE,
            backoff: Duration::from_millis(5),
            attempts: 2,
        };
        Self { node: Watch::new(WORKER, &config), log: Vec::new() }
    }

    /// A store with so many connections open.
    fn store(connections: u32) -> Self {
        let mut store = Self::new(Role::Store);
        for number in 1..=connections {
            let attempt = attempt(number, 1);
            let effects = store.hear(Msg::Open { attempt });
            assert_eq!(effects, [told(Msg::Opened { attempt, conn: conn(number) })]);
        }
        store
    }

    fn run(&mut self, f: impl FnOnce(&mut Watch, &mut Context)) -> Effects {
        let mut cx = Cx::new(Here::default());
        f(&mut self.node, &mut cx);
        let effects = cx.take();
        for effect in &effects {
            if let Effect::Force(record) = effect {
                self.log.push(record.clone());
            }
        }
        effects.into_iter().filter(|effect| !matches!(effect, Effect::Mark(_))).collect()
    }

    fn hear(&mut self, msg: Msg) -> Effects {
        self.run(|node, cx| node.on_message(NodeId(5), msg, cx))
    }

    /// Pipeline `nth` of connection and operation `number`.
    fn pipe(&mut self, number: u32, nth: u32, commands: Vec<Command>) -> Effects {
        let attempt = attempt(number, 1);
        self.hear(Msg::Pipeline { conn: conn(number), nth, attempt, commands })
    }

    fn ring(&mut self, call: u32) -> Effects {
        self.run(|node, cx| node.on_timer(Timer::Next(request(call)), cx))
    }
}

fn told(msg: Msg) -> Effect<Watch> {
    Effect::Send(NodeId(5), msg)
}

fn replies(number: u32, replies: impl Into<Vec<Reply>>) -> Effect<Watch> {
    told(Msg::Replies { attempt: attempt(number, 1), replies: replies.into() })
}

const NOTHING: [Reply; 3] = [Reply::Ok, Reply::Value(None), Reply::Value(None)];

/// 6.4: WATCH → read → MULTI → EXEC; nil means conflict.
#[test]
fn an_exec_whose_watch_is_spoiled_does_nothing() {
    let mut store = Machine::store(2);
    assert_eq!(store.pipe(1, 0, read(1)), [replies(1, NOTHING)]);
    assert_eq!(store.pipe(2, 0, read(2)), [replies(2, NOTHING)]);
    let done = [Reply::Ok, Reply::Queued, Reply::Queued, Reply::Executed];
    let record = Record::Executed { sets: sets(1) };
    assert_eq!(store.pipe(1, 1, write(1)), [Effect::Force(record), replies(1, done)]);
    let nil = [Reply::Ok, Reply::Queued, Reply::Queued, Reply::Nil];
    assert_eq!(store.pipe(2, 1, write(2)), [replies(2, nil)]);
}

/// 6.5: the version counts, not the value: a write of the same value spoils too.
#[test]
fn a_write_of_the_same_value_spoils_a_watch() {
    let mut store = Machine::store(3);
    store.pipe(1, 0, read(1));
    store.pipe(1, 1, write(1));
    store.pipe(2, 0, read(2));
    store.pipe(3, 0, vec![Command::Watch(Vec::new())]);
    let (key, value) = sets(1)[0];
    store.pipe(3, 1, vec![Command::Multi, Command::Set(key, value), Command::Exec]);
    let nil = [Reply::Ok, Reply::Queued, Reply::Queued, Reply::Nil];
    assert_eq!(store.pipe(2, 1, write(2)), [replies(2, nil)]);
}

/// A pipeline that comes twice is not run again, and one that is missing closes the connection.
#[test]
fn a_connection_runs_each_pipeline_once_and_in_order() {
    let mut store = Machine::store(2);
    store.pipe(1, 0, read(1));
    store.pipe(1, 1, write(1));
    assert_eq!(store.pipe(1, 1, write(1)), [], "a copy");
    assert_eq!(store.log.len(), 1);
    let closed = |number| told(Msg::Closed { attempt: attempt(number, 1) });
    assert_eq!(store.pipe(2, 1, write(2)), [closed(2)], "what it read is not watched");
    assert_eq!(store.pipe(2, 0, read(2)), [closed(2)]);
}

/// 6.4: on an exclusive connection: nobody else's, and not one of before.
#[test]
fn a_worker_uses_one_connection_for_one_attempt() {
    let mut worker = Machine::new(Role::Worker);
    worker.run(|node, cx| node.on_request(request(1), SELL, cx));
    let opened = |nth, number| Msg::Opened { attempt: attempt(1, nth), conn: conn(number) };
    let effects = worker.hear(opened(1, 7));
    let pipeline =
        Msg::Pipeline { conn: conn(7), nth: 0, attempt: attempt(1, 1), commands: read(1) };
    assert!(effects.contains(&Effect::Send(STORE, pipeline)), "{effects:?}");
    let close = |number| Effect::Send(STORE, Msg::Close { conn: conn(number) });
    assert_eq!(worker.hear(opened(1, 8)), [close(8)], "a second one is not needed");
    let timer = Timer::Next(request(1));
    let open = Effect::Send(STORE, Msg::Open { attempt: attempt(1, 2) });
    let wait = Effect::SetTimer { after: 2 * PATIENCE, timer, background: false };
    assert_eq!(worker.ring(1), [close(7), open, wait], "no answer: a new one");
    let late = Msg::Replies { attempt: attempt(1, 1), replies: NOTHING.into() };
    assert_eq!(worker.hear(late), [], "what the old one read is not watched by the new one");
}

/// 6.3: an unknown result is looked for before anything is written.
#[test]
fn an_operation_that_is_done_is_answered_from_the_store() {
    let mut worker = Machine::new(Role::Worker);
    worker.run(|node, cx| node.on_request(request(1), SELL, cx));
    worker.hear(Msg::Opened { attempt: attempt(1, 1), conn: conn(1) });
    let known = Reply::Value(Some(Value::Answer(SOLD)));
    let replies = vec![Reply::Ok, known, Reply::Value(None)];
    let effects = worker.hear(Msg::Replies { attempt: attempt(1, 1), replies });
    let close = Effect::Send(STORE, Msg::Close { conn: conn(1) });
    let cancel = Effect::CancelTimer(Timer::Next(request(1)));
    let reply = Effect::Reply(request(1), Answer::Ok(SOLD));
    assert_eq!(effects, [close, cancel, reply]);
}

/// 6.2: capped, and 6.3: the last conflict may have been with an EXEC of its own.
#[test]
fn conflicts_end_an_operation_after_one_more_look() {
    for found in [None, Some(Value::Answer(SOLD))] {
        let mut worker = Machine::new(Role::Worker);
        worker.run(|node, cx| node.on_request(request(1), SELL, cx));
        for nth in 1..=2 {
            worker.hear(Msg::Opened { attempt: attempt(1, nth), conn: conn(nth) });
            let replies = NOTHING.to_vec();
            worker.hear(Msg::Replies { attempt: attempt(1, nth), replies });
            worker.ring(1);
            let replies = vec![Reply::Ok, Reply::Queued, Reply::Queued, Reply::Nil];
            let effects = worker.hear(Msg::Replies { attempt: attempt(1, nth), replies });
            assert!(!effects.iter().any(|effect| matches!(effect, Effect::Reply(..))));
            worker.ring(1);
        }
        worker.hear(Msg::Opened { attempt: attempt(1, 3), conn: conn(3) });
        let replies = vec![Reply::Ok, Reply::Value(found), Reply::Value(None)];
        let effects = worker.hear(Msg::Replies { attempt: attempt(1, 3), replies });
        let answer = match found {
            None => Answer::Fail("too many conflicts".into()),
            Some(_) => Answer::Ok(SOLD),
        };
        assert!(effects.contains(&Effect::Reply(request(1), answer)), "{effects:?}");
    }
}
