//! A majority register whose reads do not write back: "R + W > N, so reads are strongly
//! consistent".
//!
//! # What people claim
//!
//! A write waits for a majority, a read asks a majority, and any two majorities have a replica in
//! common; so a read sees the latest write, and the register behaves like one copy. Many designs
//! stop there, and stores that know better let their users stop there: Apache Cassandra repairs
//! before it answers, and has a table option, `read_repair = 'none'`, that leaves it out
//! (<https://cassandra.apache.org/doc/latest/operating/read_repair.html>).
//!
//! # What is wrong
//!
//! The argument is about writes that have ended. While a write is under way, or after its front end
//! has crashed in the middle, its value may stand at one replica of three. A read that asks this
//! one returns the new value; a later read that asks the other two returns the old one. No order of
//! the operations explains that (*new/old inversion*): the register is regular in Lamport's sense,
//! not atomic. No fault is needed, only two reads that hear different majorities.
//!
//! # The rules
//!
//! - Upon a write: ask a majority for their timestamps; choose a higher one, force it with the
//!   request, send it to all; done when a majority has stored it. A request that comes again goes
//!   on with the timestamp that was forced.
//! - Upon a store with a higher timestamp: force it; then acknowledge, whatever it was.
//! - Upon a read: ask a majority, **reply the highest**.
//!
//! Everything else is as in the right register, so that this is the one thing that can go wrong. It
//! sends no heartbeats and never compacts its log.

use super::register::{Cell, Config, Durable, Op, Recorded, Ret, Ts, View};
use node::{Cx, Incarnation, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    Query { round: (Incarnation, u32), key: u8 },
    Answer { round: (Incarnation, u32), ts: Ts, value: u32 },
    Store { round: (Incarnation, u32), key: u8, ts: Ts, value: u32 },
    Ack { round: (Incarnation, u32) },
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    Recorded { request: RequestId, key: u8, ts: Ts, value: u32 },
    Stored { key: u8, ts: Ts, value: u32 },
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    Resend(NodeId),
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Query(Op),
    Store(u8, Cell),
}

/// What a client has asked, and who has answered its round: a replica counts once.
#[derive(Debug)]
struct Running {
    request: RequestId,
    round: (Incarnation, u32),
    phase: Phase,
    heard: BTreeMap<NodeId, Cell>,
}

/// A node: a front end, and a replica if it is listed as one.
#[derive(Debug)]
pub struct RegisterWithoutWriteBack {
    config: Config,
    durable: Durable,
    rounds: u32,
    running: BTreeMap<NodeId, Running>,
}

impl Node for RegisterWithoutWriteBack {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = Timer;

    fn new(_: NodeId, config: &Config) -> Self {
        let config = config.clone();
        Self { config, durable: Durable::default(), rounds: 0, running: BTreeMap::new() }
    }

    fn on_start(&mut self, log: &[Record], _: &mut Cx<Self>) {
        self.durable = Self::durable(log);
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Cx<Self>) {
        let running = self.running.get(&request.client).map(|run| run.request);
        let recorded = self.durable.recorded.get(&request.client).copied();
        if running.max(recorded.map(|write| write.request)) > Some(request) {
            return; // a late copy: its client has gone on
        }
        match recorded {
            _ if running == Some(request) => {}
            Some(write) if write.request == request => {
                let cell = Cell { ts: write.ts, value: write.value };
                self.begin(request, Phase::Store(write.key, cell), cx);
            }
            _ => self.begin(request, Phase::Query(op), cx),
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
            Msg::Query { round, key } => {
                let Cell { ts, value } = self.durable.cell(key);
                cx.send(from, Msg::Answer { round, ts, value });
            }
            Msg::Store { round, key, ts, value } => {
                if ts > self.durable.cell(key).ts {
                    self.durable.cells.insert(key, Cell { ts, value });
                    cx.force(Record::Stored { key, ts, value });
                }
                cx.send(from, Msg::Ack { round });
            }
            Msg::Answer { round, ts, value } => self.count(from, round, Cell { ts, value }, cx),
            Msg::Ack { round } => self.count(from, round, Cell::INITIAL, cx),
        }
    }

    fn on_timer(&mut self, Timer::Resend(client): Timer, cx: &mut Cx<Self>) {
        self.ask(client, cx);
    }
}

impl RegisterWithoutWriteBack {
    fn begin(&mut self, request: RequestId, phase: Phase, cx: &mut Cx<Self>) {
        self.rounds += 1;
        let round = (cx.incarnation(), self.rounds);
        let run = Running { request, round, phase, heard: BTreeMap::new() };
        self.running.insert(request.client, run);
        self.ask(request.client, cx);
    }

    /// Asks every replica that has not answered yet, and again after a while.
    fn ask(&mut self, client: NodeId, cx: &mut Cx<Self>) {
        let Some(run) = self.running.get(&client) else { return };
        let round = run.round;
        for &replica in self.config.replicas.iter().filter(|it| !run.heard.contains_key(it)) {
            cx.send(
                replica,
                match run.phase {
                    Phase::Query(op) => Msg::Query { round, key: op.key() },
                    Phase::Store(key, Cell { ts, value }) => Msg::Store { round, key, ts, value },
                },
            );
        }
        cx.set_timer(self.config.resend, Timer::Resend(client));
    }

    /// A replica has answered a round; when a majority has, the operation goes on.
    fn count(&mut self, from: NodeId, round: (Incarnation, u32), cell: Cell, cx: &mut Cx<Self>) {
        let majority = self.config.replicas.len() / 2 + 1;
        let Some(run) = self.running.values_mut().find(|run| run.round == round) else { return };
        run.heard.entry(from).or_insert(cell);
        if run.heard.len() < majority {
            return;
        }
        let (request, phase) = (run.request, run.phase);
        let highest = run.heard.values().copied().max_by_key(|cell| cell.ts).unwrap_or(cell);
        match phase {
            Phase::Query(Op::Write { key, value }) => {
                let own = self.durable.recorded.values().map(|write| write.ts.counter).max();
                let counter = 1 + own.unwrap_or(0).max(highest.ts.counter);
                let ts = Ts { counter, writer: cx.me() };
                let write = Recorded { request, key, ts, value };
                self.durable.recorded.insert(request.client, write);
                cx.force(Record::Recorded { request, key, ts, value });
                self.begin(request, Phase::Store(key, Cell { ts, value }), cx);
            }
            Phase::Query(Op::Read { .. }) => {
                if run.heard.values().any(|cell| cell.ts != highest.ts) {
                    cx.mark("write-back left out");
                }
                // The bug: fewer than a majority may hold the highest, and a later read miss it.
                self.end(request, Ret::Value(highest.value), cx);
            }
            Phase::Store(..) => self.end(request, Ret::Written, cx),
        }
    }

    fn end(&mut self, request: RequestId, ret: Ret, cx: &mut Cx<Self>) {
        self.running.remove(&request.client);
        cx.cancel_timer(Timer::Resend(request.client));
        cx.reply(request, ret);
    }
}

impl Observe for RegisterWithoutWriteBack {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        let mut durable = Durable::default();
        for record in log {
            match *record {
                Record::Stored { key, ts, value } => {
                    durable.cells.insert(key, Cell { ts, value });
                }
                Record::Recorded { request, key, ts, value } => {
                    let write = Recorded { request, key, ts, value };
                    durable.recorded.insert(request.client, write);
                }
            }
        }
        durable
    }

    fn view(&self) -> View {
        View { running: self.running.values().map(|run| run.request).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use node::{Answer, Context, Effect};
    use std::time::Duration;

    /// One of three nodes at work on a read of client 9, told what two replicas hold.
    fn reads(told: [(u16, Cell); 2]) -> Option<Effect<RegisterWithoutWriteBack>> {
        let config = Config {
            replicas: (0..3).map(NodeId).collect(),
            resend: Duration::from_millis(50),
            heartbeat: Duration::ZERO,
            compact_after: 0,
        };
        let mut node = RegisterWithoutWriteBack::new(NodeId(0), &config);
        let mut cx = Cx::new(Context::default());
        node.on_request(RequestId { client: NodeId(9), call: 1 }, Op::Read { key: 0 }, &mut cx);
        for (from, Cell { ts, value }) in told {
            node.on_message(NodeId(from), Msg::Answer { round: (1, 1), ts, value }, &mut cx);
        }
        cx.take().pop()
    }

    #[test]
    fn a_later_read_may_return_less() {
        let old = Cell::INITIAL;
        let new = Cell { ts: Ts { counter: 1, writer: NodeId(0) }, value: 5 };
        // The first store of a write has arrived at node 0; the others are still on their way.
        let told = |value| {
            let request = RequestId { client: NodeId(9), call: 1 };
            Some(Effect::Reply(request, Answer::Ok(Ret::Value(value))))
        };
        assert_eq!(reads([(0, new), (1, old)]), told(5));
        assert_eq!(reads([(1, old), (2, old)]), told(0));
    }
}
