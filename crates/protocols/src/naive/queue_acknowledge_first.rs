//! A queue on disk whose consumers acknowledge a message when they get it, and then process it.
//!
//! # What the article says
//!
//! 002 §3.3, reliable delivery: a message is stored on disk and stays there until it is
//! acknowledged, so that "nothing is lost when a machine goes down". When it is acknowledged is
//! left to the consumer, and what clients of real brokers do by default is this: at once (AMQP
//! calls it automatic acknowledgement).
//!
//! # What is wrong
//!
//! An acknowledged message is gone from the queue and not yet done: a worker that crashes now takes
//! it along. Stored is not synced either, so that a power loss takes what was accepted. And since
//! nobody remembers what was done, a message that comes again is done again.
//!
//! # The rules
//!
//! - Upon a message: store it (**without a sync**), tell its sender, deliver it to a worker.
//! - Upon a delivery: **acknowledge**, and **then** process. The result goes to the front that
//!   asked, under the request's name.
//! - Upon an acknowledgement: the broker forgets the message. What it finds unacknowledged when it
//!   starts it delivers again.

use super::job::{Config, Durable, Job, Op, Ret, Role, View};
use node::{Cx, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Letter {
    pub id: RequestId,
    pub job: Job,
    pub front: NodeId,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    Publish { letter: Letter },
    Published { id: RequestId },
    Take,
    Deliver { letter: Letter },
    Ack { id: RequestId },
    Process { letter: Letter },
    Processed,
    Result { id: RequestId, ret: Ret },
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    Stored { letter: Letter },
    Acked { id: RequestId },
    Line { id: RequestId, job: Job },
}

/// One node of a queue.
#[derive(Debug)]
pub struct QueueAcknowledgeFirst {
    config: Config,
    /// At the broker: what nobody has been given yet.
    stored: VecDeque<Letter>,
    /// At the broker: workers that wait.
    idle: VecDeque<NodeId>,
    /// At a front: clients that wait.
    waiting: BTreeSet<RequestId>,
    lines: BTreeMap<u16, u32>,
}

impl QueueAcknowledgeFirst {
    fn deliver(&mut self, cx: &mut Cx<Self>) {
        while !self.idle.is_empty() && !self.stored.is_empty() {
            if let (Some(worker), Some(letter)) = (self.idle.pop_front(), self.stored.pop_front()) {
                cx.send(worker, Msg::Deliver { letter });
            }
        }
    }
}

impl Node for QueueAcknowledgeFirst {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = ();

    fn new(_: NodeId, config: &Config) -> Self {
        Self {
            config: config.clone(),
            stored: VecDeque::new(),
            idle: VecDeque::new(),
            waiting: BTreeSet::new(),
            lines: BTreeMap::new(),
        }
    }

    fn on_start(&mut self, log: &[Record], cx: &mut Cx<Self>) {
        for record in log {
            match record {
                Record::Stored { letter } => self.stored.push_back(*letter),
                Record::Acked { id } => self.stored.retain(|letter| letter.id != *id),
                Record::Line { job, .. } => *self.lines.entry(job.account).or_default() += 1,
            }
        }
        if self.config.role == Role::Worker {
            cx.send(self.config.broker, Msg::Take);
        }
    }

    fn on_request(&mut self, id: RequestId, op: Op, cx: &mut Cx<Self>) {
        if self.config.role != Role::Front {
            return cx.retry(id, None);
        }
        if op.wait {
            self.waiting.insert(id);
        }
        let letter = Letter { id, job: op.job, front: cx.me() };
        cx.send(self.config.broker, Msg::Publish { letter });
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<Self>) {
        let Config { broker, store, .. } = self.config;
        match msg {
            Msg::Publish { letter } => {
                cx.persist(Record::Stored { letter });
                cx.send(from, Msg::Published { id: letter.id });
                self.stored.push_back(letter);
                self.deliver(cx);
            }
            Msg::Published { id } if !self.waiting.contains(&id) => cx.reply(id, Ret::Accepted),
            Msg::Published { .. } => {}
            Msg::Take => {
                self.idle.push_back(from);
                self.deliver(cx);
            }
            Msg::Deliver { letter } => {
                cx.send(broker, Msg::Ack { id: letter.id });
                cx.send(store, Msg::Process { letter });
            }
            Msg::Ack { id } => cx.persist(Record::Acked { id }),
            Msg::Process { letter: Letter { id, job, front } } => {
                let line = self.lines.entry(job.account).or_default();
                *line += 1;
                cx.force(Record::Line { id, job });
                let ret = Ret::Done { account: job.account, line: *line };
                cx.send(front, Msg::Result { id, ret });
                cx.send(from, Msg::Processed);
            }
            Msg::Processed => cx.send(broker, Msg::Take),
            Msg::Result { id, ret } => {
                if self.waiting.remove(&id) {
                    cx.reply(id, ret);
                }
            }
        }
    }

    fn on_timer(&mut self, (): (), _: &mut Cx<Self>) {}
}

impl Observe for QueueAcknowledgeFirst {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        let mut durable = Durable::default();
        for record in log {
            match record {
                Record::Stored { letter } => durable.queued.push((letter.id, letter.job)),
                Record::Line { id, job } => {
                    durable.done.entry(job.account).or_default().push((*id, job.amount));
                }
                Record::Acked { .. } => {}
            }
        }
        durable
    }

    fn view(&self) -> View {
        View::default()
    }
}
