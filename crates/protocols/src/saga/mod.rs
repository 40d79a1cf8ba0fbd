//! A saga: several services change one after the other, and what cannot go on is undone.
//!
//! Garcia-Molina and Salem, *Sagas* (SIGMOD 1987), with backward recovery before the pivot and
//! forward recovery after it. Clients ask the *orchestrator*, whose log is the saga log; the
//! *services* (stock, payment, shipping) know nothing of each other. An order is four steps:
//! reserve, charge, sell, ship.
//!
//! # Orchestrator
//!
//! - **11.1** Upon an order: force `Started`, **then** call the first step. Upon its answer: force
//!   `Done`, **then** call the next one. So the log knows of whatever may have been called.
//! - **11.4** `Charge` is the *pivot*. The steps before it can be refused, and be compensated;
//!   those after it are never refused, and are called until they are done.
//! - **11.2** Until the pivot is known to be done, a step that is refused, a client that calls the
//!   order off, and patience that has run out abort it: force `Aborted`, **then** compensate the
//!   steps that are done **and the one that may be**, the last one first.
//! - **11.3** A call is named by (order, step, direction), and sent again until it is answered: a
//!   compensation for ever.
//! - After a restart each saga goes on where its log ends.
//! - Everybody who asks is told how the order ended, once it has.
//!
//! # Service
//!
//! - **11.3** Upon a step: the effect and the row that names it are one record. A row that is there
//!   is answered again, and so is a refusal: what was refused is never done by a late copy.
//! - Upon a compensation: undo the step if it is done, with the row in the same record.
//! - **11.10** A compensation whose step was never seen leaves a tombstone, so that the step does
//!   nothing when it comes.
//!
//! # Costs
//!
//! Of an order that is completed: 2 messages and 1 force at a service for each of the 4 steps, and
//! 5 forces at the orchestrator. Of one whose charge is refused: 6 messages, 3 forces at services
//! and 3 at the orchestrator.
//!
//! # Deviations
//!
//! - `Done` of a step is also the start of the next one, so that one force does for both.
//! - The unwinding is not logged step by step, since every compensation may come again: a restarted
//!   orchestrator unwinds from where it aborted. `Ended` is not forced, for the same reason.
//! - The pivot has a compensation, which is needed while nobody knows whether it is done.
//! - What is placed again under an order's number is taken for a copy of it, whatever it is.
//! - Rows are kept for ever; nobody knows when the last copy of a call has come.
//!
//! # Promises
//!
//! Under any loss, duplication, reordering, pause, crash and power loss: an order is completed or
//! compensated, and everybody is told the same; what is completed is paid, sold and shipped, once;
//! what is compensated leaves neither stock nor coins taken; no account is overdrawn; nothing is
//! paid that is not set aside. When faults have ended, every order ends.
//!
//! **Cannot**: isolate. Others see what is set aside and paid for an order that is undone later,
//! and are refused for it; a reservation is as much of a lock as there is (11.5). Undo what has no
//! compensation; end while a service stays down, or could refuse a compensation.

mod orchestrator;
mod service;
#[cfg(test)]
mod tests;

use super::order::{Cause, Config, Durable, End, Move, Op, Order, Ret, Role, Step, View};
use node::{Cx, Node, NodeId, Observe, RequestId};
use orchestrator::Orchestrator;
use serde::{Deserialize, Serialize};
use service::Service;

/// The last step that may be refused: when it is done, the order will be completed (11.4).
const PIVOT: Step = Step::Charge;

/// What nodes say to each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    /// Orchestrator to service: do it.
    Do { step: Step, order: Order },
    /// Service to orchestrator: it is done; or refused, for good.
    Did { step: Step, number: u32, done: bool },
    /// Orchestrator to service: let it not be done.
    Compensate { step: Step, order: Order },
    /// Service to orchestrator: it is not done, and never will be.
    Compensated { step: Step, number: u32 },
}

/// What stands in the logs.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    /// Orchestrator: an order, whose first step may be called.
    Started { order: Order },
    /// Orchestrator: the step is done, and the next one may be called.
    Done { number: u32, step: Step },
    /// Orchestrator: it is given up; steps from this one down may be done.
    Aborted { number: u32, cause: Cause, unwind: Option<Step> },
    /// Orchestrator: every compensation has been answered.
    Ended { number: u32 },
    /// Service: the effect and its row; or the row of a refusal.
    Did { step: Step, order: Order, done: bool },
    /// Service: the row of a compensation, with its effect if there was one to undo.
    Undid { step: Step, order: Order, undone: bool },
}

/// What nodes wait for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    /// Orchestrator: no answer to the call yet.
    Call(u32),
    /// Orchestrator: not paid yet.
    Patience(u32),
}

/// One node of an order service.
#[derive(Debug)]
pub enum Saga {
    /// Takes orders.
    Orchestrator(Orchestrator),
    /// Does steps of them.
    Service(Service),
}

type Context = Cx<Saga>;

impl Node for Saga {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = Timer;

    fn new(_: NodeId, config: &Config) -> Self {
        match config.role {
            Role::Orchestrator => Self::Orchestrator(Orchestrator::new(config)),
            _ => Self::Service(Service::new(config)),
        }
    }

    fn on_start(&mut self, log: &[Record], cx: &mut Context) {
        match self {
            Self::Orchestrator(orchestrator) => orchestrator.on_start(log, cx),
            Self::Service(service) => service.on_start(log),
        }
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Context) {
        match self {
            Self::Orchestrator(orchestrator) => orchestrator.on_request(request, op, cx),
            Self::Service(_) => cx.retry(request, None),
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Context) {
        match (self, msg) {
            (Self::Service(service), Msg::Do { step, order }) => {
                service.on_do(from, step, order, cx);
            }
            (Self::Service(service), Msg::Compensate { step, order }) => {
                service.on_compensate(from, step, order, cx);
            }
            (Self::Orchestrator(orchestrator), Msg::Did { step, number, done }) => {
                orchestrator.on_did(step, number, done, cx);
            }
            (Self::Orchestrator(orchestrator), Msg::Compensated { step, number }) => {
                orchestrator.on_compensated(step, number, cx);
            }
            (_, _) => {} // for another role: the cluster is set up wrong
        }
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Context) {
        match (self, timer) {
            (Self::Orchestrator(orchestrator), Timer::Call(number)) => {
                orchestrator.call(number, cx);
            }
            (Self::Orchestrator(orchestrator), Timer::Patience(number)) => {
                orchestrator.abort(number, Cause::Late, cx);
            }
            (Self::Service(_), _) => {} // it sets none
        }
    }
}

impl Observe for Saga {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        let mut durable = Durable::default();
        for record in log {
            match *record {
                Record::Did { step, order, done: true } => {
                    durable.moves.push(Move { step, back: false, order });
                }
                Record::Undid { step, order, undone: true } => {
                    durable.moves.push(Move { step, back: true, order });
                }
                Record::Done { number, step } if step.next().is_none() => {
                    durable.ends.push((number, End::Completed));
                }
                Record::Aborted { number, .. } => durable.ends.push((number, End::Compensated)),
                _ => {}
            }
        }
        durable
    }

    fn view(&self) -> View {
        match self {
            Self::Orchestrator(orchestrator) => orchestrator.view(),
            Self::Service(service) => service.view(),
        }
    }
}
