//! A queue in memory: a worker pops the head, and then processes it.
//!
//! # What the article says
//!
//! 001 §3.3 and code 4.3: a request queue and a result queue. Clients put requests into the first
//! one; processors take the head, process it, and put the result into the second one, where the
//! client takes it. This "guarantees atomicity and consistency", and a node that fails does not
//! stop the others.
//!
//! # What is wrong
//!
//! Once popped, a request is nowhere but in its worker's memory: a worker that crashes takes it
//! along, and so does a lost message. The queue itself is in memory too. And a client takes the
//! head of the result queue, whoever that result is for: with two clients, each may well get the
//! other's.
//!
//! # The rules
//!
//! - Upon a request: push it; who does not wait is told that it is accepted.
//! - A worker **pops** the head, and **then** processes it: the store writes the line. The result
//!   is pushed.
//! - A front with a client that waits pops a result, and gives it to **the client that has waited
//!   for longest**.

use super::job::{Config, Durable, Job, Op, Ret, Role, View};
use node::{Cx, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    Push { id: RequestId, job: Job },
    Pushed { id: RequestId },
    Pop,
    Popped { id: RequestId, job: Job },
    Process { id: RequestId, job: Job },
    Processed { ret: Ret },
    PushResult { ret: Ret },
    PopResult,
    PoppedResult { ret: Ret },
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Line {
    pub id: RequestId,
    pub job: Job,
}

/// One node of a queue.
#[derive(Debug)]
pub struct QueuePopThenProcess {
    config: Config,
    requests: VecDeque<(RequestId, Job)>,
    results: VecDeque<Ret>,
    /// At the broker: workers, and fronts, that wait for the head.
    idle: [VecDeque<NodeId>; 2],
    /// At a front: clients that wait, the first one for longest.
    waiting: VecDeque<RequestId>,
    lines: BTreeMap<u16, u32>,
}

impl QueuePopThenProcess {
    /// Heads go to those who wait for them.
    fn hand_out(&mut self, cx: &mut Cx<Self>) {
        let [workers, fronts] = &mut self.idle;
        while !workers.is_empty() && !self.requests.is_empty() {
            let (worker, head) = (workers.pop_front(), self.requests.pop_front());
            if let (Some(worker), Some((id, job))) = (worker, head) {
                cx.send(worker, Msg::Popped { id, job });
            }
        }
        while !fronts.is_empty() && !self.results.is_empty() {
            if let (Some(front), Some(ret)) = (fronts.pop_front(), self.results.pop_front()) {
                cx.send(front, Msg::PoppedResult { ret });
            }
        }
    }
}

impl Node for QueuePopThenProcess {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Line;
    type Timer = ();

    fn new(_: NodeId, config: &Config) -> Self {
        Self {
            config: config.clone(),
            requests: VecDeque::new(),
            results: VecDeque::new(),
            idle: Default::default(),
            waiting: VecDeque::new(),
            lines: BTreeMap::new(),
        }
    }

    fn on_start(&mut self, log: &[Line], cx: &mut Cx<Self>) {
        for line in log {
            *self.lines.entry(line.job.account).or_default() += 1;
        }
        if self.config.role == Role::Worker {
            cx.send(self.config.broker, Msg::Pop);
        }
    }

    fn on_request(&mut self, id: RequestId, op: Op, cx: &mut Cx<Self>) {
        if self.config.role != Role::Front {
            return cx.retry(id, None);
        }
        cx.send(self.config.broker, Msg::Push { id, job: op.job });
        if op.wait {
            self.waiting.push_back(id);
            cx.send(self.config.broker, Msg::PopResult);
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<Self>) {
        let Config { broker, store, .. } = self.config;
        match msg {
            Msg::Push { id, job } => {
                self.requests.push_back((id, job));
                cx.send(from, Msg::Pushed { id });
                self.hand_out(cx);
            }
            Msg::Pushed { id } if !self.waiting.contains(&id) => cx.reply(id, Ret::Accepted),
            Msg::Pushed { .. } => {}
            Msg::Pop => {
                self.idle[0].push_back(from);
                self.hand_out(cx);
            }
            Msg::Popped { id, job } => cx.send(store, Msg::Process { id, job }),
            Msg::Process { id, job } => {
                let line = self.lines.entry(job.account).or_default();
                *line += 1;
                cx.force(Line { id, job });
                let ret = Ret::Done { account: job.account, line: *line };
                cx.send(from, Msg::Processed { ret });
            }
            Msg::Processed { ret } => {
                cx.send(broker, Msg::PushResult { ret });
                cx.send(broker, Msg::Pop);
            }
            Msg::PushResult { ret } => {
                self.results.push_back(ret);
                self.hand_out(cx);
            }
            Msg::PopResult => {
                self.idle[1].push_back(from);
                self.hand_out(cx);
            }
            Msg::PoppedResult { ret } => {
                if let Some(id) = self.waiting.pop_front() {
                    cx.reply(id, ret); // whoever it was made for
                }
            }
        }
    }

    fn on_timer(&mut self, (): (), _: &mut Cx<Self>) {}
}

impl Observe for QueuePopThenProcess {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Line]) -> Durable {
        let mut durable = Durable::default();
        for Line { id, job } in log {
            durable.done.entry(job.account).or_default().push((*id, job.amount));
        }
        durable
    }

    fn view(&self) -> View {
        View::default()
    }
}
