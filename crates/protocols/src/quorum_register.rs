//! A register that a majority of replicas keeps: multi-writer ABD, after Attiya, Bar-Noy and Dolev
//! (Sharing memory robustly in message-passing systems, 1995) and Lynch and Shvartsman (1997).
//!
//! Every node is a front end for clients and, if it is listed in `Config::replicas`, a replica. It
//! talks to itself as to the others.
//!
//! - **17.1** A replica keeps one durable `(ts, value)` for each key. `ts = (counter, writer)` is
//!   totally ordered; the writer breaks ties.
//! - **17.2** Upon a write, a front end asks a majority for their `ts`. It chooses `(1 + the
//!   highest of the answers and of every ts that it has itself recorded, own id)` and in the same
//!   step forces `{request, ts, value}`, before any `Store` leaves; then it sends
//!   `Store(ts, value)` to all, and is done when a majority has acknowledged. A request of an
//!   operation that still runs joins it; one whose record exists goes on with the recorded `ts`;
//!   one without a record starts afresh. A client's older requests are refused, and a newer
//!   request ends the client's older one that still runs: it never records any more.
//! - **17.3** Upon a `Store` with a higher `ts`, a replica forces `(ts, value)` and acknowledges.
//!   With a lower or an equal one it acknowledges.
//! - **17.4** Upon a read, a front end asks a majority, takes the highest and writes it back to a
//!   majority before it replies; not so if all the counted answers carry the same `ts`.
//! - **17.5** Each round is named (incarnation, number); answers of another round do not count. A
//!   majority is a set of replicas, never a count of messages; the set is volatile and ends with
//!   its round; of two answers of one replica the first counts.
//!
//! # Deviations
//!
//! - There is a register for each key. A front end's timestamps grow over all keys together.
//! - A refusal is silence: only a late copy is ever refused, and nobody waits for its answer. It
//!   must not be *fail*, for the older write may still take effect.
//! - A record does not say whether its write has ended. A request that comes again after its answer
//!   was lost stores once more under the recorded `ts`, which changes nothing.
//! - A restart leaves a recorded write that had not ended to the client, which asks again or does
//!   not know.
//! - The highest `ts` ever recorded has no record of its own. What a front end records only grows,
//!   so the highest is always some client's last write, and these are kept through snapshots.
//! - A front end asks the silent replicas of a round again, under the round's name, for ever.
//!
//! # Costs
//!
//! Over N replicas without faults, a node's messages to itself included: a write takes 4N messages,
//! one force at the front end and one at each replica; a read takes 2N, and 4N with its write-back.
//!
//! # What it promises
//!
//! Reads and writes are linearizable, whatever network, crashes, power losses and clocks do, and
//! also while a minority of replicas is lost for good. An operation ends once a majority and its
//! front end stay up and hear each other. This asks of a client that a write goes to one front end
//! only, also when it is tried again; a read may be run anywhere, and again.
//!
//! # What it cannot
//!
//! Serve without a majority, or a client whose front end is lost. Compare-and-set, or any write
//! that depends on what was read: that needs consensus.

use super::register::{Cell, Config, Durable, Op, Recorded, Ret, Ts, View};
use node::{Cx, Incarnation, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What nodes say to each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    /// What do you hold?
    Query { round: Round, key: u8 },
    /// The replica holds this.
    Answer { round: Round, ts: Ts, value: u32 },
    /// Hold this, unless you hold something newer.
    Store { round: Round, key: u8, ts: Ts, value: u32 },
    /// The replica holds this or something newer.
    Ack { round: Round },
    /// Background traffic.
    Heartbeat,
}

/// What stands in the log.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    /// A front end has chosen the timestamp of a write.
    Recorded { request: RequestId, key: u8, ts: Ts, value: u32 },
    /// A replica holds this.
    Stored { key: u8, ts: Ts, value: u32 },
}

/// What a node waits for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    /// A majority, for the operation of this client.
    Resend(NodeId),
    /// The next heartbeat.
    Heartbeat,
}

/// The name of a round of one front end. The number starts again with every life.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Round {
    incarnation: Incarnation,
    number: u32,
}

impl fmt::Debug for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.incarnation, self.number)
    }
}

/// Who has answered a round.
#[derive(Debug)]
struct Tally {
    round: Round,
    heard: Vec<NodeId>,
}

impl Tally {
    /// 17.5: whether an answer counts; if so, it has been counted.
    fn counts(&mut self, from: NodeId, round: Round) -> bool {
        let this_round = round == self.round;
        let first = !self.heard.contains(&from);
        if this_round && first {
            self.heard.push(from);
        }
        this_round && first
    }
}

/// What an operation waits for.
#[derive(Debug)]
enum Phase {
    /// A majority's answers.
    Query { op: Op, answers: Vec<Cell> },
    /// A majority's acks, to reply this.
    Store { key: u8, cell: Cell, ret: Ret },
}

/// An operation that still runs.
#[derive(Debug)]
struct Running {
    request: RequestId,
    tally: Tally,
    phase: Phase,
}

impl Running {
    /// Asks every replica that has not answered the round yet.
    fn ask(&self, replicas: &[NodeId], cx: &mut Cx<QuorumRegister>) {
        let round = self.tally.round;
        for &replica in replicas.iter().filter(|replica| !self.tally.heard.contains(replica)) {
            let msg = match self.phase {
                Phase::Query { op, .. } => Msg::Query { round, key: op.key() },
                Phase::Store { key, cell: Cell { ts, value }, .. } => {
                    Msg::Store { round, key, ts, value }
                }
            };
            cx.send(replica, msg);
        }
    }
}

/// A node: a front end and a replica.
#[derive(Debug)]
pub struct QuorumRegister {
    config: Config,
    /// What the log says. Nothing of it is told to anyone before it has been forced.
    durable: Durable,
    /// How many records the log has taken since it was compacted.
    appended: usize,
    /// How many rounds this life has begun.
    rounds: u32,
    /// What runs here, by client: a newer request ends the older one.
    running: BTreeMap<NodeId, Running>,
}

impl Node for QuorumRegister {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = Timer;

    fn new(_: NodeId, config: &Config) -> Self {
        Self {
            config: config.clone(),
            durable: Durable::default(),
            appended: 0,
            rounds: 0,
            running: BTreeMap::new(),
        }
    }

    fn on_start(&mut self, log: &[Record], cx: &mut Cx<Self>) {
        self.durable = Self::durable(log);
        self.appended = log.len();
        self.expect_heartbeat(cx);
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Cx<Self>) {
        let call = Some(request.call);
        let running = self.running.get(&request.client).map(|run| run.request.call);
        let recorded = self.durable.recorded.get(&request.client).copied();
        if running > call || recorded.map(|write| write.request.call) > call {
            // 17.2: a client's older requests are refused.
            cx.mark("older request refused");
        } else if running == call {
            // 17.2: a request of an operation that still runs joins it: one reply answers both.
        } else if let Some(write) = recorded.filter(|write| write.request == request) {
            // 17.2: one whose record exists goes on with the recorded ts. A new one would write an
            // old value a second time, over newer ones.
            cx.mark("recorded write resumed");
            let cell = Cell { ts: write.ts, value: write.value };
            self.begin(request, Phase::Store { key: write.key, cell, ret: Ret::Written }, cx);
        } else {
            // 17.2, 17.4: one without a record starts afresh, and ends the client's older one.
            self.begin(request, Phase::Query { op, answers: Vec::new() }, cx);
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
            Msg::Query { round, key } => {
                let Cell { ts, value } = self.durable.cell(key);
                cx.send(from, Msg::Answer { round, ts, value });
            }
            Msg::Store { round, key, ts, value } => self.on_store(from, round, key, ts, value, cx),
            Msg::Answer { round, ts, value } => self.on_answer(from, round, Cell { ts, value }, cx),
            Msg::Ack { round } => self.on_ack(from, round, cx),
            Msg::Heartbeat => {}
        }
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Cx<Self>) {
        match timer {
            Timer::Resend(client) => {
                if let Some(run) = self.running.get(&client) {
                    cx.mark("round sent again");
                    run.ask(&self.config.replicas, cx);
                    cx.set_timer(self.config.resend, Timer::Resend(client));
                }
            }
            Timer::Heartbeat => {
                let me = cx.me();
                for &replica in self.config.replicas.iter().filter(|replica| **replica != me) {
                    cx.send(replica, Msg::Heartbeat);
                }
                self.expect_heartbeat(cx);
            }
        }
    }
}

impl QuorumRegister {
    /// 17.3: upon a store.
    fn on_store(
        &mut self,
        from: NodeId,
        round: Round,
        key: u8,
        ts: Ts,
        value: u32,
        cx: &mut Cx<Self>,
    ) {
        let held = self.durable.cell(key).ts;
        if held.counter == ts.counter && held.writer != ts.writer {
            cx.mark("two writers raced");
        }
        if ts > held {
            self.durable.cells.insert(key, Cell { ts, value });
            cx.force(Record::Stored { key, ts, value });
            self.compact(cx);
        }
        cx.send(from, Msg::Ack { round });
    }

    /// 17.2, 17.4: upon a replica's answer to a query.
    fn on_answer(&mut self, from: NodeId, round: Round, cell: Cell, cx: &mut Cx<Self>) {
        let counted = self.running.values_mut().find_map(|run| match &mut run.phase {
            Phase::Query { op, answers } if run.tally.counts(from, round) => {
                answers.push(cell);
                Some((run.request, *op, answers.clone()))
            }
            _ => None,
        });
        let Some((request, op, answers)) = counted else {
            return self.pass_over(round, cx);
        };
        if answers.len() < self.majority() {
            return;
        }
        match op {
            Op::Write { key, value } => self.choose(request, key, value, &answers, cx),
            Op::Read { key } => self.conclude(request, key, &answers, cx),
        }
    }

    /// 17.2: a majority has told its timestamps to a write.
    fn choose(
        &mut self,
        request: RequestId,
        key: u8,
        value: u32,
        answers: &[Cell],
        cx: &mut Cx<Self>,
    ) {
        let told = answers.iter().map(|answer| answer.ts.counter).max().unwrap_or(0);
        let own = self.durable.recorded.values().map(|write| write.ts.counter).max().unwrap_or(0);
        let ts = Ts { counter: 1 + told.max(own), writer: cx.me() };
        let write = Recorded { request, key, ts, value };
        self.durable.recorded.insert(request.client, write);
        cx.force(Record::Recorded { request, key, ts, value });
        self.compact(cx);
        let cell = Cell { ts, value };
        self.begin(request, Phase::Store { key, cell, ret: Ret::Written }, cx);
    }

    /// 17.4: a majority has answered a read.
    fn conclude(&mut self, request: RequestId, key: u8, answers: &[Cell], cx: &mut Cx<Self>) {
        let highest = answers.iter().copied().max_by_key(|answer| answer.ts);
        let cell = highest.unwrap_or(Cell::INITIAL);
        let ret = Ret::Value(cell.value);
        let agreed = answers.iter().all(|answer| answer.ts == cell.ts);
        if agreed {
            self.end(request, ret, cx);
        } else {
            // Fewer than a majority may hold it. Who reads later must not find less.
            cx.mark("write-back");
            self.begin(request, Phase::Store { key, cell, ret }, cx);
        }
    }

    /// 17.2, 17.4: upon a replica's ack of a store.
    fn on_ack(&mut self, from: NodeId, round: Round, cx: &mut Cx<Self>) {
        let counted = self.running.values_mut().find_map(|run| match run.phase {
            Phase::Store { ret, .. } if run.tally.counts(from, round) => {
                Some((run.request, ret, run.tally.heard.len()))
            }
            _ => None,
        });
        let Some((request, ret, acks)) = counted else {
            return self.pass_over(round, cx);
        };
        if acks >= self.majority() {
            self.end(request, ret, cx);
        }
    }

    /// 17.5: an answer of a round that has ended, or the second one of a replica, does not count.
    fn pass_over(&self, round: Round, cx: &mut Cx<Self>) {
        if round.incarnation < cx.incarnation() {
            cx.mark("answer to an earlier life");
        }
    }

    /// 17.5: a round under a new name, with nobody heard. It ends the client's round before.
    fn begin(&mut self, request: RequestId, phase: Phase, cx: &mut Cx<Self>) {
        self.rounds += 1;
        let round = Round { incarnation: cx.incarnation(), number: self.rounds };
        let run = Running { request, tally: Tally { round, heard: Vec::new() }, phase };
        run.ask(&self.config.replicas, cx);
        cx.set_timer(self.config.resend, Timer::Resend(request.client));
        self.running.insert(request.client, run);
    }

    fn end(&mut self, request: RequestId, ret: Ret, cx: &mut Cx<Self>) {
        self.running.remove(&request.client);
        cx.cancel_timer(Timer::Resend(request.client));
        cx.reply(request, ret);
    }

    /// 17.5: any two sets of so many replicas have one in common.
    fn majority(&self) -> usize {
        self.config.replicas.len() / 2 + 1
    }

    /// After every force: replaces a log that has grown long by what it still says.
    fn compact(&mut self, cx: &mut Cx<Self>) {
        self.appended += 1;
        let limit = self.config.compact_after as usize;
        if limit == 0 || self.appended < limit {
            return;
        }
        self.appended = 0;
        let cells = self.durable.cells.iter();
        let stored = cells.map(|(&key, &Cell { ts, value })| Record::Stored { key, ts, value });
        let writes = self.durable.recorded.values();
        let recorded = writes.map(|&Recorded { request, key, ts, value }| Record::Recorded {
            request,
            key,
            ts,
            value,
        });
        cx.snapshot(stored.chain(recorded).collect());
    }

    fn expect_heartbeat(&self, cx: &mut Cx<Self>) {
        if !self.config.heartbeat.is_zero() {
            cx.set_background_timer(self.config.heartbeat, Timer::Heartbeat);
        }
    }
}

impl Observe for QuorumRegister {
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
    use super::super::register::INITIAL;
    use super::*;
    use node::{Answer, Context, Effect};
    use std::time::Duration;

    const A: NodeId = NodeId(0);
    const B: NodeId = NodeId(1);
    const C: NodeId = NodeId(2);
    const RESEND: Duration = Duration::from_millis(50);

    fn config(replicas: u16) -> Config {
        Config {
            replicas: (0..replicas).map(NodeId).collect(),
            resend: RESEND,
            heartbeat: Duration::ZERO,
            compact_after: 0,
        }
    }

    fn request(client: u16, call: u32) -> RequestId {
        RequestId { client: NodeId(client), call }
    }

    fn ts(counter: u64, writer: NodeId) -> Ts {
        Ts { counter, writer }
    }

    fn write(value: u32) -> Op {
        Op::Write { key: 7, value }
    }

    const READ: Op = Op::Read { key: 7 };

    /// Node A, and what its last handler wanted done.
    struct Bench {
        node: QuorumRegister,
        cx: Cx<QuorumRegister>,
    }

    impl Bench {
        fn new(config: &Config, incarnation: Incarnation, log: &[Record]) -> Self {
            let context = Context { me: A, incarnation, ..Context::default() };
            let mut bench = Self { node: QuorumRegister::new(A, config), cx: Cx::new(context) };
            bench.node.on_start(log, &mut bench.cx);
            bench
        }

        fn request(&mut self, request: RequestId, op: Op) -> Vec<Effect<QuorumRegister>> {
            self.node.on_request(request, op, &mut self.cx);
            self.cx.take()
        }

        fn hear(&mut self, from: NodeId, msg: Msg) -> Vec<Effect<QuorumRegister>> {
            self.node.on_message(from, msg, &mut self.cx);
            self.cx.take()
        }

        fn answer(
            &mut self,
            from: NodeId,
            number: u32,
            ts: Ts,
            value: u32,
        ) -> Vec<Effect<QuorumRegister>> {
            let round = self.round(number);
            self.hear(from, Msg::Answer { round, ts, value })
        }

        fn ack(&mut self, from: NodeId, number: u32) -> Vec<Effect<QuorumRegister>> {
            let round = self.round(number);
            self.hear(from, Msg::Ack { round })
        }

        fn round(&self, number: u32) -> Round {
            Round { incarnation: self.cx.incarnation(), number }
        }

        /// What a round that begins looks like.
        fn begins(&self, client: u16, msg: &Msg) -> Vec<Effect<QuorumRegister>> {
            let replicas = self.node.config.replicas.iter();
            let mut effects: Vec<_> = replicas.map(|&to| Effect::Send(to, msg.clone())).collect();
            let timer = Timer::Resend(NodeId(client));
            effects.push(Effect::SetTimer { after: RESEND, timer, background: false });
            effects
        }
    }

    fn ends(request: RequestId, ret: Ret) -> Vec<Effect<QuorumRegister>> {
        let timer = Timer::Resend(request.client);
        vec![Effect::CancelTimer(timer), Effect::Reply(request, Answer::Ok(ret))]
    }

    fn recorded(request: RequestId, counter: u64, value: u32) -> Record {
        Record::Recorded { request, key: 7, ts: ts(counter, A), value }
    }

    #[test]
    fn rule_17_2_a_write_asks_a_majority_forces_its_choice_and_only_then_stores() {
        let mut a = Bench::new(&config(3), 1, &[]);
        let w = request(9, 1);
        let asked = a.request(w, write(5));
        assert_eq!(asked, a.begins(9, &Msg::Query { round: a.round(1), key: 7 }));
        assert_eq!(a.answer(A, 1, Ts::ZERO, INITIAL), []);

        let chosen = a.answer(B, 1, ts(4, C), 44);
        let store = Msg::Store { round: a.round(2), key: 7, ts: ts(5, A), value: 5 };
        assert_eq!(chosen[0], Effect::Force(recorded(w, 5, 5)));
        assert_eq!(chosen[1..], a.begins(9, &store));

        assert_eq!(a.ack(C, 2), []);
        assert_eq!(a.ack(A, 2), ends(w, Ret::Written));
        assert_eq!(a.node.view(), View::default());
    }

    #[test]
    fn rule_17_2_one_more_than_every_ts_that_it_has_itself_recorded() {
        let mut a = Bench::new(&config(3), 1, &[]);
        a.request(request(8, 1), write(5));
        a.request(request(9, 1), write(6));
        for number in [1, 2] {
            a.answer(A, number, Ts::ZERO, INITIAL);
        }
        let first = a.answer(B, 1, Ts::ZERO, INITIAL);
        let second = a.answer(B, 2, Ts::ZERO, INITIAL);
        assert_eq!(first[0], Effect::Force(recorded(request(8, 1), 1, 5)));
        assert_eq!(second[0], Effect::Force(recorded(request(9, 1), 2, 6)));
    }

    #[test]
    fn rule_17_2_a_request_of_an_operation_that_still_runs_joins_it() {
        let mut a = Bench::new(&config(3), 1, &[]);
        for (call, op) in [(1, write(5)), (2, READ)] {
            assert_ne!(a.request(request(9, call), op), []);
            assert_eq!(a.request(request(9, call), op), []);
        }
    }

    #[test]
    fn rule_17_2_one_whose_record_exists_goes_on_with_the_recorded_ts() {
        let w = request(9, 1);
        let log = [recorded(w, 3, 5), Record::Stored { key: 7, ts: ts(8, B), value: 80 }];
        let mut a = Bench::new(&config(3), 2, &log);
        let resumed = a.request(w, write(5));
        let store = Msg::Store { round: a.round(1), key: 7, ts: ts(3, A), value: 5 };
        assert_eq!(resumed[0], Effect::Mark("recorded write resumed"));
        assert_eq!(resumed[1..], a.begins(9, &store));
    }

    #[test]
    fn rule_17_2_a_clients_older_requests_are_refused() {
        let refused = [Effect::Mark("older request refused")];
        let mut a = Bench::new(&config(3), 2, &[recorded(request(9, 2), 3, 5)]);
        assert_eq!(a.request(request(9, 1), write(4)), refused, "a newer one is recorded");
        a.request(request(9, 3), READ);
        assert_eq!(a.request(request(9, 2), write(5)), refused, "a newer one runs");
        assert_ne!(a.request(request(8, 1), write(6)), refused, "another client's");
    }

    #[test]
    fn rule_17_2_a_newer_request_ends_the_older_one_which_never_records_any_more() {
        let mut a = Bench::new(&config(3), 1, &[]);
        a.request(request(9, 1), write(5));
        a.answer(A, 1, Ts::ZERO, INITIAL);
        a.request(request(9, 2), READ);
        assert_eq!(a.answer(B, 1, Ts::ZERO, INITIAL), []);
        assert_eq!(a.node.view().running, [request(9, 2)]);
    }

    #[test]
    fn rule_17_3_a_higher_ts_is_forced_before_the_ack_and_a_lower_or_equal_one_acknowledged() {
        let mut a = Bench::new(&config(3), 1, &[]);
        let round = Round { incarnation: 6, number: 1 };
        let ack = Effect::Send(B, Msg::Ack { round });
        let mut store = |ts, value| a.hear(B, Msg::Store { round, key: 7, ts, value });
        let forced = Effect::Force(Record::Stored { key: 7, ts: ts(2, B), value: 5 });
        assert_eq!(store(ts(2, B), 5), [forced, ack.clone()]);
        assert_eq!(store(ts(2, B), 5), vec![ack.clone()]);
        assert_eq!(store(ts(1, C), 4), vec![ack.clone()]);

        // 17.1: the writer breaks ties.
        let raced = Effect::Mark("two writers raced");
        assert_eq!(store(ts(2, A), 3), [raced.clone(), ack.clone()]);
        let forced = Effect::Force(Record::Stored { key: 7, ts: ts(2, C), value: 6 });
        assert_eq!(store(ts(2, C), 6), [raced, forced, ack]);

        let answer = Msg::Answer { round, ts: ts(2, C), value: 6 };
        assert_eq!(a.hear(B, Msg::Query { round, key: 7 }), [Effect::Send(B, answer)]);
        let answer = Msg::Answer { round, ts: Ts::ZERO, value: INITIAL };
        assert_eq!(a.hear(B, Msg::Query { round, key: 8 }), [Effect::Send(B, answer)]);
    }

    #[test]
    fn rule_17_4_a_read_writes_the_highest_back_to_a_majority_before_it_replies() {
        let mut a = Bench::new(&config(3), 1, &[]);
        let r = request(9, 1);
        a.request(r, READ);
        a.answer(C, 1, ts(2, B), 5);
        let back = a.answer(B, 1, ts(1, C), 4);
        let store = Msg::Store { round: a.round(2), key: 7, ts: ts(2, B), value: 5 };
        assert_eq!(back[0], Effect::Mark("write-back"));
        assert_eq!(back[1..], a.begins(9, &store));
        assert_eq!(a.ack(A, 2), []);
        assert_eq!(a.ack(B, 2), ends(r, Ret::Value(5)));
    }

    #[test]
    fn rule_17_4_not_so_if_all_the_counted_answers_carry_the_same_ts() {
        let mut a = Bench::new(&config(3), 1, &[]);
        let r = request(9, 1);
        a.request(r, READ);
        a.answer(C, 1, ts(2, B), 5);
        assert_eq!(a.answer(A, 1, ts(2, B), 5), ends(r, Ret::Value(5)));
    }

    #[test]
    fn rule_17_5_answers_of_another_round_do_not_count() {
        let mut a = Bench::new(&config(3), 2, &[]);
        a.request(request(9, 1), READ);
        a.request(request(8, 1), READ);
        a.answer(A, 1, Ts::ZERO, INITIAL);
        assert_eq!(a.answer(B, 2, Ts::ZERO, INITIAL), [], "another operation's round");
        assert_eq!(a.ack(B, 1), [], "an ack is no answer");
        let round = Round { incarnation: 1, number: 1 };
        let late = a.hear(B, Msg::Answer { round, ts: Ts::ZERO, value: INITIAL });
        assert_eq!(late, [Effect::Mark("answer to an earlier life")]);
        assert_eq!(a.node.view().running, [request(8, 1), request(9, 1)]);
    }

    #[test]
    fn rule_17_5_of_two_answers_of_one_replica_the_first_counts() {
        let mut a = Bench::new(&config(3), 1, &[]);
        let r = request(9, 1);
        a.request(r, READ);
        assert_eq!(a.answer(B, 1, Ts::ZERO, INITIAL), []);
        assert_eq!(a.answer(B, 1, ts(1, C), 5), []);
        assert_eq!(a.answer(C, 1, Ts::ZERO, INITIAL), ends(r, Ret::Value(INITIAL)));

        a.request(request(9, 2), write(6));
        a.answer(B, 2, Ts::ZERO, INITIAL);
        a.answer(C, 2, Ts::ZERO, INITIAL);
        assert_eq!(a.ack(B, 3), []);
        assert_eq!(a.ack(B, 3), []);
        assert_eq!(a.ack(A, 3), ends(request(9, 2), Ret::Written));
    }

    #[test]
    fn any_two_majorities_have_a_replica_in_common() {
        for (replicas, majority) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4)] {
            let a = Bench::new(&config(replicas), 1, &[]);
            assert_eq!(a.node.majority(), majority, "{replicas} replicas");
        }
    }

    #[test]
    fn only_the_silent_replicas_are_asked_again_under_the_same_round() {
        let mut a = Bench::new(&config(3), 1, &[]);
        a.request(request(9, 1), READ);
        a.answer(B, 1, Ts::ZERO, INITIAL);
        a.node.on_timer(Timer::Resend(NodeId(9)), &mut a.cx);
        let query = Msg::Query { round: a.round(1), key: 7 };
        let timer = Timer::Resend(NodeId(9));
        let again = [
            Effect::Mark("round sent again"),
            Effect::Send(A, query.clone()),
            Effect::Send(C, query),
            Effect::SetTimer { after: RESEND, timer, background: false },
        ];
        assert_eq!(a.cx.take(), again);
    }

    #[test]
    fn what_counts_survives_compaction() {
        let config = Config { compact_after: 2, ..config(3) };
        let mut a = Bench::new(&config, 1, &[]);
        let round = a.round(1);
        a.hear(B, Msg::Store { round, key: 3, ts: ts(9, B), value: 90 });
        a.request(request(9, 1), write(5));
        a.answer(A, 1, Ts::ZERO, INITIAL);
        let chosen = a.answer(B, 1, Ts::ZERO, INITIAL);
        let log =
            [Record::Stored { key: 3, ts: ts(9, B), value: 90 }, recorded(request(9, 1), 1, 5)];
        assert_eq!(chosen[1], Effect::Snapshot(log.to_vec()));
        assert_eq!(QuorumRegister::durable(&log), a.node.durable);

        // 17.2: the highest ts it ever recorded is kept through snapshots.
        let mut a = Bench::new(&config, 2, &log);
        a.request(request(8, 1), write(6));
        a.answer(B, 1, Ts::ZERO, INITIAL);
        let chosen = a.answer(C, 1, Ts::ZERO, INITIAL);
        assert_eq!(chosen[0], Effect::Force(recorded(request(8, 1), 2, 6)));
    }

    #[test]
    fn heartbeats_belong_to_the_boot_and_are_off_at_zero() {
        assert_eq!(Bench::new(&config(3), 1, &[]).cx.take(), []);
        let heartbeat = Duration::from_millis(20);
        let mut a = Bench::new(&Config { heartbeat, ..config(3) }, 1, &[]);
        let timer = Timer::Heartbeat;
        let next = Effect::SetTimer { after: heartbeat, timer, background: true };
        assert_eq!(a.cx.take(), vec![next.clone()]);
        a.node.on_timer(Timer::Heartbeat, &mut a.cx);
        let beat = [Effect::Send(B, Msg::Heartbeat), Effect::Send(C, Msg::Heartbeat), next];
        assert_eq!(a.cx.take(), beat);
        assert_eq!(a.hear(B, Msg::Heartbeat), []);
    }
}
