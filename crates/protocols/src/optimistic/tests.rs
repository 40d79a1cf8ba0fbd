//! Each test quotes the rule that it is about.

use super::*;
use crate::stock::OPENING;
use node::{Answer, Context as Here, Effect};

type Effects = Vec<Effect<Optimistic>>;

const STORE: NodeId = NodeId(0);
const WORKER: NodeId = NodeId(1);
const ITEM: Item = Item(0);
const SELL: Op = Op::Sell { item: ITEM };
const PATIENCE: Duration = Duration::from_millis(50);
const THINK: Duration = Duration::from_millis(2);

fn config(role: Role) -> Config {
    let backoff = Duration::from_millis(5);
    Config { role, store: STORE, think: THINK, patience: PATIENCE, backoff, attempts: 2 }
}

fn request(call: u32) -> RequestId {
    RequestId { client: NodeId(9), call }
}

fn attempt(call: u32, nth: u32) -> Attempt {
    Attempt { operation: request(call), life: 1, nth }
}

fn sale(expected: Version) -> Update {
    let (row, ret) = Row::OPENING.after(SELL).expect("there are some");
    Update { item: ITEM, expected, row, ret }
}

/// A node and the log that it writes.
struct Machine {
    node: Optimistic,
    role: Role,
    log: Vec<Record>,
}

impl Machine {
    fn new(role: Role) -> Self {
        Self { node: Optimistic::new(WORKER, &config(role)), role, log: Vec::new() }
    }

    fn run(&mut self, f: impl FnOnce(&mut Optimistic, &mut Context)) -> Effects {
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

    fn restart(&mut self) {
        self.node = Optimistic::new(WORKER, &config(self.role));
        let log = self.log.clone();
        self.run(|node, cx| node.on_start(&log, cx));
    }

    fn ask(&mut self, call: u32, op: Op) -> Effects {
        self.run(|node, cx| node.on_request(request(call), op, cx))
    }

    fn hear(&mut self, msg: Msg) -> Effects {
        self.run(|node, cx| node.on_message(NodeId(5), msg, cx))
    }

    fn ring(&mut self, call: u32) -> Effects {
        self.run(|node, cx| node.on_timer(Timer::Next(request(call)), cx))
    }
}

fn to_store(msg: Msg) -> Effect<Optimistic> {
    Effect::Send(STORE, msg)
}

fn told(msg: Msg) -> Effect<Optimistic> {
    Effect::Send(NodeId(5), msg)
}

fn wait(after: Duration, call: u32) -> Effect<Optimistic> {
    Effect::SetTimer { after, timer: Timer::Next(request(call)), background: false }
}

/// A worker that has sent its write.
fn writing() -> Machine {
    let mut worker = Machine::new(Role::Worker);
    worker.ask(1, SELL);
    worker.hear(Msg::Row { attempt: attempt(1, 1), row: Row::OPENING, version: 4 });
    let effects = worker.ring(1);
    let update = Msg::Update { attempt: attempt(1, 1), update: sale(4) };
    assert_eq!(effects, [to_store(update), wait(PATIENCE, 1)]);
    worker
}

/// 6.1: UPDATE … WHERE id = ? AND version = ?, and require rows = 1.
#[test]
fn a_write_goes_through_at_the_version_that_was_read_and_at_no_other() {
    let mut store = Machine::new(Role::Store);
    let effects = store.hear(Msg::Update { attempt: attempt(1, 1), update: sale(0) });
    let ret = Ret::Sold { number: 1 };
    let record = Record::Updated { operation: request(1), update: sale(0) };
    let done = told(Msg::Done { attempt: attempt(1, 1), ret });
    assert_eq!(effects, [Effect::Force(record), done]);
    let effects = store.hear(Msg::Update { attempt: attempt(2, 1), update: sale(0) });
    assert_eq!(effects, [told(Msg::Conflict { attempt: attempt(2, 1) })]);
}

/// 6.5: compare the version, not the value.
#[test]
fn a_value_that_is_the_same_again_is_a_conflict() {
    let mut store = Machine::new(Role::Store);
    let same = Update { row: Row::OPENING, ret: Ret::Stocked, ..sale(0) };
    store.hear(Msg::Update { attempt: attempt(1, 1), update: same });
    let effects = store.hear(Msg::Read { attempt: attempt(2, 1), item: ITEM });
    let row = Row { stock: OPENING, sold: 0 };
    assert_eq!(effects, [told(Msg::Row { attempt: attempt(2, 1), row, version: 1 })]);
    let effects = store.hear(Msg::Update { attempt: attempt(3, 1), update: sale(0) });
    assert_eq!(effects, [told(Msg::Conflict { attempt: attempt(3, 1) })]);
}

/// 6.2: on conflict repeat the whole, with fresh reads; capped.
#[test]
fn a_conflict_begins_from_the_read_and_not_for_ever() {
    let mut worker = writing();
    let effects = worker.hear(Msg::Conflict { attempt: attempt(1, 1) });
    assert!(matches!(effects[..], [Effect::SetTimer { .. }]), "{effects:?}");
    assert_eq!(worker.hear(Msg::Conflict { attempt: attempt(1, 1) }), [], "told twice");
    let effects = worker.ring(1);
    let read = Msg::Read { attempt: attempt(1, 2), item: ITEM };
    assert_eq!(effects, [to_store(read), wait(PATIENCE, 1)]);
    worker.hear(Msg::Row { attempt: attempt(1, 2), row: Row::OPENING, version: 5 });
    worker.ring(1);
    let effects = worker.hear(Msg::Conflict { attempt: attempt(1, 2) });
    let failed = Effect::Reply(request(1), Answer::Fail("too many conflicts".into()));
    assert_eq!(effects, [Effect::CancelTimer(Timer::Next(request(1))), failed]);
}

/// 6.3: on an unknown result read again, by operation id, before anything is written.
#[test]
fn an_unknown_write_is_looked_for_before_it_is_tried_again() {
    let mut worker = writing();
    let effects = worker.ring(1);
    let read = Msg::Read { attempt: attempt(1, 2), item: ITEM };
    assert_eq!(effects, [to_store(read), wait(2 * PATIENCE, 1)]);
    let ret = Ret::Sold { number: 1 };
    let effects = worker.hear(Msg::Done { attempt: attempt(1, 2), ret });
    let reply = Effect::Reply(request(1), Answer::Ok(ret));
    assert_eq!(effects, [Effect::CancelTimer(Timer::Next(request(1))), reply]);
}

/// 6.3: the operation's id is written with the row.
#[test]
fn a_restarted_store_still_knows_what_was_done() {
    let mut store = Machine::new(Role::Store);
    store.hear(Msg::Update { attempt: attempt(1, 1), update: sale(0) });
    store.restart();
    let ret = Ret::Sold { number: 1 };
    let effects = store.hear(Msg::Read { attempt: attempt(1, 2), item: ITEM });
    assert_eq!(effects, [told(Msg::Done { attempt: attempt(1, 2), ret })]);
    let effects = store.hear(Msg::Update { attempt: attempt(1, 2), update: sale(1) });
    assert_eq!(effects, [told(Msg::Done { attempt: attempt(1, 2), ret })]);
}

/// Attempts are named: a late answer to an earlier one does not count.
#[test]
fn a_late_conflict_ends_no_later_attempt() {
    let mut worker = writing();
    worker.ring(1);
    worker.hear(Msg::Row { attempt: attempt(1, 2), row: Row::OPENING, version: 5 });
    worker.ring(1);
    assert_eq!(worker.hear(Msg::Conflict { attempt: attempt(1, 1) }), []);
    let earlier = Attempt { life: 0, ..attempt(1, 2) };
    assert_eq!(worker.hear(Msg::Conflict { attempt: earlier }), []);
}
