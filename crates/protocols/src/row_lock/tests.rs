//! Each test quotes the rule that it is about.

use super::*;
use node::{Answer as Told, Context as Here, Effect};

type Effects = Vec<Effect<RowLock>>;

const STORE: NodeId = NodeId(0);
const WORKER: NodeId = NodeId(1);
const ITEM: Item = Item(0);
const SELL: Op = Op::Sell { item: ITEM };
const SOLD: Ret = Ret::Sold { number: 1 };
const THINK: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_millis(50);
const IDLE: Duration = Duration::from_millis(52);
const LOCK: Statement = Statement::SelectForUpdate { item: ITEM };

fn request(call: u32) -> RequestId {
    RequestId { client: NodeId(9), call }
}

fn attempt(call: u32, nth: u32) -> Attempt {
    Attempt { operation: request(call), life: 1, nth }
}

fn conn(number: u32) -> Conn {
    Conn { life: 1, number }
}

fn sold(row: Row) -> (Row, Ret) {
    row.after(SELL).expect("there are some")
}

fn committed(call: u32) -> Record {
    let (row, ret) = sold(Row::OPENING);
    Record::Committed { operation: request(call), item: ITEM, row, ret }
}

/// A node and the log that it writes.
struct Machine {
    node: RowLock,
    log: Vec<Record>,
}

impl Machine {
    fn new(role: Role) -> Self {
        let config = Config {
            role,
            store: STORE,
            think: THINK,
            patience: PATIENCE,
            backoff: Duration::from_millis(5),
            attempts: 2,
        };
        Self { node: RowLock::new(WORKER, &config), log: Vec::new() }
    }

    /// A store with so many connections open, each for an operation of its number.
    fn store(connections: u32) -> Self {
        let mut store = Self::new(Role::Store);
        for number in 1..=connections {
            let attempt = attempt(number, 1);
            let effects = store.hear(Msg::Open { attempt, idle: IDLE });
            assert_eq!(effects, [told(Msg::Opened { attempt, conn: conn(number) })]);
        }
        store
    }

    /// Without marks and timers.
    fn run(&mut self, f: impl FnOnce(&mut RowLock, &mut Context)) -> Effects {
        let mut cx = Cx::new(Here::default());
        f(&mut self.node, &mut cx);
        let mut effects = cx.take();
        for effect in &effects {
            if let Effect::Force(record) = effect {
                self.log.push(record.clone());
            }
        }
        effects.retain(|effect| {
            matches!(effect, Effect::Force(_) | Effect::Send(..) | Effect::Reply(..))
        });
        effects
    }

    fn hear(&mut self, msg: Msg) -> Effects {
        self.run(|node, cx| node.on_message(NodeId(5), msg, cx))
    }

    /// Statement `nth` over the connection of this number.
    fn ask(&mut self, number: u32, nth: u32, statement: Statement) -> Effects {
        let attempt = attempt(number, 1);
        self.hear(Msg::Run { conn: conn(number), nth, attempt, statement })
    }

    fn ring(&mut self, timer: Timer) -> Effects {
        self.run(|node, cx| node.on_timer(timer, cx))
    }
}

fn told(msg: Msg) -> Effect<RowLock> {
    Effect::Send(NodeId(5), msg)
}

fn ran(number: u32, answer: Answer) -> Effect<RowLock> {
    told(Msg::Ran { attempt: attempt(number, 1), answer })
}

fn locked(number: u32, row: Row) -> Effect<RowLock> {
    ran(number, Answer::Locked { row, done: None })
}

fn update(row: Row) -> Statement {
    let (row, ret) = sold(row);
    Statement::Update { row, ret }
}

/// P5: who is first has the lock; the next one has it after COMMIT, and reads the row as it is.
#[test]
fn a_row_is_read_when_it_is_locked() {
    let mut store = Machine::store(2);
    assert_eq!(store.ask(1, 0, LOCK), [locked(1, Row::OPENING)]);
    assert_eq!(store.ask(2, 0, LOCK), [], "it waits in line");
    assert_eq!(store.ask(1, 1, update(Row::OPENING)), [ran(1, Answer::Updated)]);
    let effects = store.ask(1, 2, Statement::Commit);
    let (row, _) = sold(Row::OPENING);
    let force = Effect::Force(committed(1));
    assert_eq!(effects, [force, ran(1, Answer::Committed), locked(2, row)]);
}

/// P5: a lock dies with its connection, and what is done under it too.
#[test]
fn a_connection_that_ends_rolls_back_and_releases() {
    let silence = |store: &mut Machine| store.ring(Timer::Idle(conn(1)));
    let closed = |store: &mut Machine| store.hear(Msg::Close { conn: conn(1) });
    for end in [silence, closed] {
        let mut store = Machine::store(2);
        store.ask(1, 0, LOCK);
        store.ask(1, 1, update(Row::OPENING));
        store.ask(2, 0, LOCK);
        assert_eq!(end(&mut store), [locked(2, Row::OPENING)]);
        let closed = told(Msg::Closed { attempt: attempt(1, 1) });
        assert_eq!(store.ask(1, 2, Statement::Commit), [closed], "it has nothing to commit");
        assert_eq!(store.log, []);
    }
}

/// Who has gone away while it waited is not waited for.
#[test]
fn a_closed_connection_leaves_the_line() {
    let mut store = Machine::store(3);
    for number in 1..=3 {
        store.ask(number, 0, LOCK);
    }
    assert_eq!(store.hear(Msg::Close { conn: conn(2) }), []);
    assert_eq!(store.hear(Msg::Close { conn: conn(1) }), [locked(3, Row::OPENING)]);
}

/// A statement that comes twice is not run again, and one that is missing closes the connection.
#[test]
fn a_connection_runs_each_statement_once_and_in_order() {
    let mut store = Machine::store(2);
    store.ask(1, 0, LOCK);
    assert_eq!(store.ask(1, 0, LOCK), [], "a copy");
    store.ask(2, 0, LOCK);
    let closed = told(Msg::Closed { attempt: attempt(1, 1) });
    assert_eq!(store.ask(1, 2, Statement::Commit), [locked(2, Row::OPENING), closed]);
}

/// 6.3: the operation's id is stored with the data, and looked up under the lock.
#[test]
fn an_operation_that_is_done_is_found() {
    let mut store = Machine::store(1);
    let log = [committed(1)];
    store.run(|node, cx| node.on_start(&log, cx));
    let (row, ret) = sold(Row::OPENING);
    assert_eq!(store.ask(1, 0, LOCK), [ran(1, Answer::Locked { row, done: Some(ret) })]);
    let mut worker = Machine::new(Role::Worker);
    worker.run(|node, cx| node.on_request(request(1), SELL, cx));
    worker.hear(Msg::Opened { attempt: attempt(1, 1), conn: conn(1) });
    let answer = Answer::Locked { row, done: Some(ret) };
    let effects = worker.hear(Msg::Ran { attempt: attempt(1, 1), answer });
    let close = Effect::Send(STORE, Msg::Close { conn: conn(1) });
    assert_eq!(effects, [close, Effect::Reply(request(1), Told::Ok(SOLD))]);
}

/// Everything of one attempt goes over one connection: the next attempt begins anew.
#[test]
fn a_commit_without_an_answer_is_looked_for_on_a_new_connection() {
    let mut worker = Machine::new(Role::Worker);
    worker.run(|node, cx| node.on_request(request(1), SELL, cx));
    worker.hear(Msg::Opened { attempt: attempt(1, 1), conn: conn(7) });
    let row = Row::OPENING;
    let lock = Msg::Ran { attempt: attempt(1, 1), answer: Answer::Locked { row, done: None } };
    worker.hear(lock.clone());
    let send = |nth, statement| {
        Effect::Send(STORE, Msg::Run { conn: conn(7), nth, attempt: attempt(1, 1), statement })
    };
    assert_eq!(worker.ring(Timer::Next(request(1))), [send(1, update(row))]);
    let answer = Answer::Updated;
    let effects = worker.hear(Msg::Ran { attempt: attempt(1, 1), answer });
    assert_eq!(effects, [send(2, Statement::Commit)]);
    let close = Effect::Send(STORE, Msg::Close { conn: conn(7) });
    let open = Msg::Open { attempt: attempt(1, 2), idle: THINK + 2 * PATIENCE };
    let effects = worker.ring(Timer::Next(request(1)));
    assert_eq!(effects, [close, Effect::Send(STORE, open)]);
    assert_eq!(worker.hear(lock), [], "what the old one has locked is not the new one's");
}
