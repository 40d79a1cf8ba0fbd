//! The orchestrator: the saga log, and what is under way.

use super::{Cause, Config, Context, Msg, Op, Order, PIVOT, Record, Ret, Step, Timer, View};
use node::RequestId;
use std::collections::{BTreeMap, BTreeSet};

/// Where an order stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// The steps before this one are done, and this one may be.
    Forward(Step),
    /// The steps after this one are compensated.
    Back(Step, Cause),
    Ended(Ret),
}

#[derive(Debug)]
struct Saga {
    order: Order,
    stage: Stage,
    /// Whom to tell how it ends.
    asked: BTreeSet<RequestId>,
}

/// Takes orders, and sees each to its end.
#[derive(Debug)]
pub struct Orchestrator {
    config: Config,
    sagas: BTreeMap<u32, Saga>,
}

impl Orchestrator {
    pub(super) fn new(config: &Config) -> Self {
        Self { config: config.clone(), sagas: BTreeMap::new() }
    }

    /// Each saga goes on where its log ends.
    pub(super) fn on_start(&mut self, log: &[Record], cx: &mut Context) {
        log.iter().for_each(|record| self.apply(record));
        for number in self.open().collect::<Vec<_>>() {
            if let Some(Stage::Back(..)) = self.stage(number) {
                cx.mark("a restarted orchestrator found an order to unwind");
            } else {
                cx.mark("a restarted orchestrator found an order under way");
                cx.set_timer(self.config.patience, Timer::Patience(number));
            }
            self.call(number, cx);
        }
    }

    /// What a record says, now or in the log.
    fn apply(&mut self, record: &Record) {
        let (number, stage) = match *record {
            Record::Started { order } => {
                let stage = Stage::Forward(Step::Reserve);
                self.sagas.insert(order.number, Saga { order, stage, asked: BTreeSet::new() });
                return;
            }
            Record::Done { number, step } => {
                (number, step.next().map_or(Stage::Ended(Ret::Completed), Stage::Forward))
            }
            Record::Aborted { number, cause, unwind } => (number, back(unwind, cause)),
            Record::Ended { number } => match self.sagas.get(&number).map(|saga| saga.stage) {
                Some(Stage::Back(_, cause)) => (number, back(None, cause)),
                _ => return,
            },
            Record::Did { .. } | Record::Undid { .. } => return, // a service's
        };
        if let Some(saga) = self.sagas.get_mut(&number) {
            saga.stage = stage;
        }
    }

    fn force(&mut self, record: Record, cx: &mut Context) {
        self.apply(&record);
        cx.force(record);
    }

    pub(super) fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Context) {
        match op {
            Op::Place { order } if !self.sagas.contains_key(&order.number) => {
                self.force(Record::Started { order }, cx);
                cx.set_timer(self.config.patience, Timer::Patience(order.number));
                self.call(order.number, cx);
            }
            Op::Place { .. } => {}
            Op::Cancel { number } => self.abort(number, Cause::Cancelled, cx),
        }
        match self.sagas.get_mut(&op.number()) {
            None => cx.reply(request, Ret::Unknown),
            Some(Saga { stage: Stage::Ended(ret), .. }) => cx.reply(request, *ret),
            Some(saga) => {
                saga.asked.insert(request);
            }
        }
    }

    /// The next call of an order, and again until it is answered (11.3); at its end, the answers.
    pub(super) fn call(&mut self, number: u32, cx: &mut Context) {
        let Some(saga) = self.sagas.get_mut(&number) else { return };
        let order = saga.order;
        let (step, msg) = match saga.stage {
            Stage::Forward(step) => (step, Msg::Do { step, order }),
            Stage::Back(step, _) => (step, Msg::Compensate { step, order }),
            Stage::Ended(ret) => {
                cx.cancel_timer(Timer::Call(number));
                cx.cancel_timer(Timer::Patience(number));
                let asked = std::mem::take(&mut saga.asked);
                return asked.into_iter().for_each(|request| cx.reply(request, ret));
            }
        };
        cx.send(step.at(&self.config), msg);
        cx.set_timer(self.config.resend, Timer::Call(number));
    }

    /// The answer to what has been called last, and to nothing else.
    pub(super) fn on_did(&mut self, step: Step, number: u32, done: bool, cx: &mut Context) {
        if self.stage(number) != Some(Stage::Forward(step)) {
            return;
        }
        match step {
            _ if done => {
                self.force(Record::Done { number, step }, cx);
                self.call(number, cx);
            }
            Step::Reserve => self.abort(number, Cause::SoldOut, cx),
            _ => self.abort(number, Cause::Declined, cx),
        }
    }

    /// Gives an order up, unless its pivot is known to be done (11.2, 11.4).
    pub(super) fn abort(&mut self, number: u32, cause: Cause, cx: &mut Context) {
        let step = match self.stage(number) {
            Some(Stage::Forward(step)) if step <= PIVOT => step,
            Some(Stage::Forward(_)) => return cx.mark("it was too late to give an order up"),
            _ => return,
        };
        // What is refused is not done; of what is not answered nobody knows.
        let unwind = match cause {
            Cause::SoldOut | Cause::Declined => step.before(),
            Cause::Cancelled | Cause::Late => Some(step),
        };
        match cause {
            Cause::SoldOut => cx.mark("an order was sold out"),
            Cause::Declined => cx.mark("the pivot was refused"),
            Cause::Cancelled => cx.mark("an order was called off"),
            Cause::Late => cx.mark("an order was given up for lack of answers"),
        }
        self.force(Record::Aborted { number, cause, unwind }, cx);
        self.call(number, cx);
    }

    /// The step before it is the next to be compensated.
    pub(super) fn on_compensated(&mut self, step: Step, number: u32, cx: &mut Context) {
        let Some(saga) = self.sagas.get_mut(&number) else { return };
        let Stage::Back(last, cause) = saga.stage else { return };
        if last != step {
            return;
        }
        saga.stage = back(step.before(), cause);
        if let Stage::Ended(_) = saga.stage {
            cx.persist(Record::Ended { number });
        }
        self.call(number, cx);
    }

    fn stage(&self, number: u32) -> Option<Stage> {
        self.sagas.get(&number).map(|saga| saga.stage)
    }

    fn open(&self) -> impl Iterator<Item = u32> {
        let open = |saga: &Saga| !matches!(saga.stage, Stage::Ended(_));
        self.sagas.iter().filter(move |(_, saga)| open(saga)).map(|(number, _)| *number)
    }

    pub(super) fn view(&self) -> View {
        View { open: self.open().collect(), ..View::default() }
    }
}

/// Compensating from this step on, or with nothing left to compensate.
fn back(unwind: Option<Step>, cause: Cause) -> Stage {
    match unwind {
        Some(step) => Stage::Back(step, cause),
        None => Stage::Ended(Ret::Compensated { cause }),
    }
}
