//! The clients' workflow: rule 5.7.

use super::*;
use std::collections::VecDeque;

/// Runs the clients' workflow, one request at a time: 5.7.
#[derive(Debug)]
pub struct Holder {
    config: Config,
    /// Attempts of this incarnation.
    seq: u32,
    /// Requests that have not been answered; the first is being worked on.
    queue: VecDeque<(RequestId, Object)>,
    /// None exactly while the queue is empty.
    attempt: Option<Attempt>,
}

#[derive(Clone, Debug)]
struct Attempt {
    object: Object,
    req: ReqId,
    /// The bound of 5.7, on the own monotonic clock.
    until: Duration,
    /// Of the grant; 0 before it.
    fence: u64,
    /// The number of the last read and of its write.
    nth: u32,
    phase: Phase,
    /// The step that is open.
    step: Option<StepId>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Acquiring,
    Reading,
    Working { value: u64 },
    Writing { value: u64 },
}

impl Holder {
    pub(super) fn new(config: &Config) -> Self {
        Self { config: config.clone(), seq: 0, queue: VecDeque::new(), attempt: None }
    }

    pub(super) fn view(&self) -> View {
        let held = self.attempt.as_ref().filter(|attempt| attempt.fence != 0);
        let hold = |a: &Attempt| Hold { object: a.object, fence: a.fence, until: a.until };
        View::Holder { hold: held.map(hold), pending: self.queue.len() }
    }

    pub(super) fn on_increment(&mut self, request: RequestId, object: Object, cx: &mut Context) {
        if self.queue.iter().any(|(waiting, _)| *waiting == request) {
            return; // a retry: one answer serves both
        }
        self.queue.push_back((request, object));
        if self.attempt.is_none() {
            self.acquire(cx);
        }
    }

    /// A new attempt for the first request, if there is one.
    fn acquire(&mut self, cx: &mut Context) {
        let Some(&(_, object)) = self.queue.front() else { return };
        self.seq += 1;
        let req = ReqId { incarnation: cx.incarnation(), seq: self.seq };
        // 5.7: from before the request leaves for the first time.
        let until = cx.now() + self.config.validity();
        let step = Some(cx.invoke(Op::Acquire(object)));
        let phase = Phase::Acquiring;
        self.attempt = Some(Attempt { object, req, until, fence: 0, nth: 0, phase, step });
        self.ask(cx);
    }

    /// Sends what the attempt waits to be answered, now and again until it is.
    fn ask(&self, cx: &mut Context) {
        let (Some(attempt), Some(&(request, _))) = (&self.attempt, self.queue.front()) else {
            return;
        };
        let Attempt { object, req, fence: token, nth, phase, .. } = *attempt;
        let Config { server, store, ttl, resend, .. } = self.config;
        match phase {
            Phase::Acquiring => cx.send(server, Msg::Acquire { object, req, ttl }),
            Phase::Reading => cx.send(store, Msg::Read { object, token, nth, request }),
            Phase::Working { .. } => return,
            Phase::Writing { value } => {
                cx.send(store, Msg::Write { object, token, nth, request, value });
            }
        }
        cx.set_timer(resend, Timer::Resend(req));
    }

    pub(super) fn on_granted(&mut self, object: Object, req: ReqId, fence: u64, cx: &mut Context) {
        let from = cx.now();
        let server = self.config.server;
        match &mut self.attempt {
            Some(attempt) if attempt.req == req && attempt.phase == Phase::Acquiring => {
                // 5.7: it may have waited in line, or on its way, for too long.
                if from >= attempt.until {
                    cx.mark("a grant came too late to be used");
                    cx.send(server, Msg::Release { object, fence });
                    self.stopped(cx);
                    return;
                }
                let until = attempt.until;
                if let Some(step) = attempt.step.take() {
                    cx.complete(step, Step::Ok(Ret::Granted { fence, from, until }));
                }
                attempt.fence = fence;
                cx.set_timer(until.saturating_sub(from), Timer::Bound(req));
                self.read(cx);
            }
            Some(attempt) if attempt.req == req => {} // a copy
            // Given up, or ended: nobody needs it.
            _ if req.incarnation == cx.incarnation() => {
                cx.send(server, Msg::Release { object, fence });
            }
            _ => {}
        }
    }

    /// Begins the next read and write under the grant.
    fn read(&mut self, cx: &mut Context) {
        if let Some(attempt) = &mut self.attempt {
            attempt.nth += 1;
            attempt.phase = Phase::Reading;
            let (object, fence) = (attempt.object, attempt.fence);
            attempt.step = Some(cx.invoke(Op::Read { object, fence }));
            self.ask(cx);
        }
    }

    pub(super) fn on_value(&mut self, token: u64, nth: u32, value: u64, cx: &mut Context) {
        if self.phase(token, nth) != Some(Phase::Reading) || self.stopped(cx) {
            return;
        }
        self.complete(Step::Ok(Ret::Value(value)), cx);
        if let Some(attempt) = &mut self.attempt {
            attempt.phase = Phase::Working { value };
            cx.cancel_timer(Timer::Resend(attempt.req));
            cx.set_timer(self.config.work, Timer::Work(attempt.req));
        }
    }

    pub(super) fn on_work(&mut self, req: ReqId, cx: &mut Context) {
        if !self.is_current(req) || self.stopped(cx) {
            return;
        }
        if let Some(attempt) = &mut self.attempt
            && let Phase::Working { value } = attempt.phase
        {
            let (object, fence, value) = (attempt.object, attempt.fence, value + 1);
            attempt.phase = Phase::Writing { value };
            attempt.step = Some(cx.invoke(Op::Write { object, fence, value }));
            self.ask(cx);
        }
    }

    pub(super) fn on_done(&mut self, token: u64, nth: u32, value: u64, cx: &mut Context) {
        match self.phase(token, nth) {
            Some(Phase::Reading) => cx.mark("a retried request had been applied"),
            Some(Phase::Writing { .. }) => {}
            _ => return,
        }
        self.complete(Step::Ok(Ret::Done(value)), cx);
        if let Some((request, _)) = self.queue.pop_front() {
            cx.reply(request, Ret::Incremented(value));
        }
        self.next(cx);
    }

    pub(super) fn on_stale(&mut self, token: u64, nth: u32, cx: &mut Context) {
        if matches!(self.phase(token, nth), Some(Phase::Reading | Phase::Writing { .. })) {
            self.complete(Step::Info, cx);
            self.queue.pop_front();
            self.next(cx);
        }
    }

    pub(super) fn on_refused(&mut self, token: u64, nth: u32, cx: &mut Context) {
        if matches!(self.phase(token, nth), Some(Phase::Reading | Phase::Writing { .. })) {
            self.complete(Step::Fail("a higher token is known".into()), cx);
            self.end(cx);
        }
    }

    /// The first request has been dealt with: another one under the same grant, or the end.
    fn next(&mut self, cx: &mut Context) {
        let now = cx.now();
        let object = self.queue.front().map(|(_, object)| *object);
        let more =
            |a: &Attempt| Some(a.object) == object && a.nth < self.config.batch && now < a.until;
        if self.attempt.as_ref().is_some_and(more) { self.read(cx) } else { self.end(cx) }
    }

    pub(super) fn on_resend(&mut self, req: ReqId, cx: &mut Context) {
        if self.is_current(req) && !self.stopped(cx) {
            self.ask(cx);
        }
    }

    pub(super) fn on_bound(&mut self, req: ReqId, cx: &mut Context) {
        if self.is_current(req) {
            self.stopped(cx);
        }
    }

    /// 5.7: at its bound it stops working, and starts over.
    fn stopped(&mut self, cx: &mut Context) -> bool {
        let now = cx.now();
        let Some(attempt) = &self.attempt else { return true };
        if now < attempt.until {
            return false;
        }
        if attempt.phase == Phase::Acquiring {
            self.complete(Step::Fail("the lease would have run out".into()), cx);
        } else {
            cx.mark("a holder stopped at its bound");
            self.complete(Step::Info, cx);
        }
        self.end(cx);
        true
    }

    /// Gives back what it holds, and goes on with the first request, if there is one.
    fn end(&mut self, cx: &mut Context) {
        if let Some(attempt) = self.attempt.take() {
            let Attempt { object, req, fence, .. } = attempt;
            cx.cancel_timer(Timer::Resend(req));
            if fence != 0 {
                cx.cancel_timer(Timer::Bound(req));
                let step = cx.invoke(Op::Release { object, fence });
                cx.send(self.config.server, Msg::Release { object, fence });
                cx.complete(step, Step::Ok(Ret::Released));
            }
        }
        self.acquire(cx);
    }

    fn complete(&mut self, outcome: Step<Ret>, cx: &mut Context) {
        if let Some(step) = self.attempt.as_mut().and_then(|attempt| attempt.step.take()) {
            cx.complete(step, outcome);
        }
    }

    fn is_current(&self, req: ReqId) -> bool {
        self.attempt.as_ref().is_some_and(|attempt| attempt.req == req)
    }

    /// Where the attempt stands, if an answer of this number is for it.
    fn phase(&self, token: u64, nth: u32) -> Option<Phase> {
        let attempt = self.attempt.as_ref()?;
        (attempt.fence == token && attempt.nth == nth).then_some(attempt.phase)
    }
}
