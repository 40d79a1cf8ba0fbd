//! The clients' workflow: rules R5 to R9.

use super::*;
use std::collections::VecDeque;

/// How often the time to wait is doubled, at most.
const MAX_DOUBLINGS: u32 = 10;

/// Runs the clients' workflow, one request at a time: R5–R9.
#[derive(Debug)]
pub struct Holder {
    config: Config,
    /// Attempts of this incarnation.
    seq: u32,
    /// How many of them in a row came to nothing.
    lost: u32,
    /// Requests that have not been answered; the first is being worked on. Without any there is
    /// neither an attempt nor a time to wait for one.
    queue: VecDeque<(RequestId, Object)>,
    attempt: Option<Attempt>,
}

#[derive(Clone, Debug)]
struct Attempt {
    object: Object,
    token: Token,
    /// The bound, on the own monotonic clock, once a majority has the key.
    until: Option<Duration>,
    /// The last question to the lock servers.
    round: Round,
    phase: Phase,
}

/// A question to all lock servers.
#[derive(Clone, Debug)]
struct Round {
    nth: u32,
    began: Duration,
    yes: BTreeSet<NodeId>,
    no: BTreeSet<NodeId>,
    /// The step that it is, until it has been decided.
    step: Option<StepId>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Acquiring,
    Reading,
    Working { value: u64 },
    Writing { value: u64 },
}

/// R5: how long a key can be relied on, by any clock that is as right as it should be.
fn validity(config: &Config) -> Duration {
    let drift = config.ttl.as_nanos() * u128::from(config.drift_ppm) / 1_000_000;
    config.ttl.saturating_sub(Duration::from_nanos(u64::try_from(drift).unwrap_or(u64::MAX)))
}

impl Round {
    fn new(nth: u32, op: Op, cx: &mut Context) -> Self {
        let (began, step) = (cx.now(), Some(cx.invoke(op)));
        Self { nth, began, yes: BTreeSet::new(), no: BTreeSet::new(), step }
    }
}

impl Holder {
    pub(super) fn new(config: &Config) -> Self {
        Self { config: config.clone(), seq: 0, lost: 0, queue: VecDeque::new(), attempt: None }
    }

    pub(super) fn view(&self) -> View {
        View::Holder(self.queue.len())
    }

    fn majority(&self) -> usize {
        usize::from(self.config.servers) / 2 + 1
    }

    fn tell_servers(&self, msg: &Msg, cx: &mut Context) {
        (0..self.config.servers).for_each(|server| cx.send(NodeId(server), msg.clone()));
    }

    pub(super) fn on_increment(&mut self, request: RequestId, object: Object, cx: &mut Context) {
        if self.queue.iter().any(|(waiting, _)| *waiting == request) {
            return; // a retry: one answer serves both
        }
        self.queue.push_back((request, object));
        if self.queue.len() == 1 {
            self.acquire(cx);
        }
    }

    /// R5: a new attempt for the first request, if there is one.
    pub(super) fn acquire(&mut self, cx: &mut Context) {
        let Some(&(_, object)) = self.queue.front() else { return };
        self.seq += 1;
        let token = Token { holder: cx.me(), incarnation: cx.incarnation(), seq: self.seq };
        let round = Round::new(0, Op::Acquire(object), cx);
        let phase = Phase::Acquiring;
        self.attempt = Some(Attempt { object, token, until: None, round, phase });
        self.tell_servers(&Msg::Set { object, token }, cx);
        cx.set_timer(self.config.patience, Timer::Round(token, 0));
    }

    pub(super) fn on_extend(&mut self, token: Token, cx: &mut Context) {
        if !self.is_current(token) || self.stopped(cx) {
            return;
        }
        // R7
        if let Some(attempt) = &mut self.attempt {
            let (object, round) = (attempt.object, attempt.round.nth + 1);
            attempt.round = Round::new(round, Op::Extend { object, token }, cx);
            self.tell_servers(&Msg::Extend { object, token, round }, cx);
            cx.set_timer(self.config.patience, Timer::Round(token, round));
        }
    }

    pub(super) fn on_answer(
        &mut self,
        from: NodeId,
        token: Token,
        round: u32,
        done: bool,
        cx: &mut Context,
    ) {
        let majority = self.majority();
        let no_majority = usize::from(self.config.servers) - majority + 1;
        if !self.is_open(token, round) || self.stopped(cx) {
            return;
        }
        let Some(attempt) = &mut self.attempt else { return };
        if done {
            attempt.round.yes.insert(from);
        } else if !attempt.round.yes.contains(&from) {
            attempt.round.no.insert(from); // to a copy of a Set the server says no, having said yes
        }
        if attempt.round.yes.len() >= majority {
            self.won(cx);
        } else if attempt.round.no.len() >= no_majority {
            self.lost(cx);
        }
    }

    /// A majority has the key.
    fn won(&mut self, cx: &mut Context) {
        let (from, validity) = (cx.now(), validity(&self.config));
        let Some(attempt) = &mut self.attempt else { return };
        let until = attempt.round.began + validity;
        let token = attempt.token;
        // R5: counted from when it was asked for, not from when the answers came.
        if from >= until {
            cx.mark("a majority came too late");
            self.lost(cx);
            return;
        }
        if let Some(step) = attempt.round.step.take() {
            cx.complete(step, Step::Ok(Ret::Held { token, from, until }));
        }
        cx.cancel_timer(Timer::Round(token, attempt.round.nth));
        let first = attempt.until.replace(until).is_none();
        cx.set_timer(until - from, Timer::Bound(token));
        cx.set_timer((until - from) / 2, Timer::Extend(token));
        if first {
            attempt.phase = Phase::Reading;
            self.lost = 0;
            self.ask(cx);
        } else {
            cx.mark("an extension moved the bound");
        }
    }

    /// No majority has the key.
    fn lost(&mut self, cx: &mut Context) {
        let Some(attempt) = &mut self.attempt else { return };
        if let Some(step) = attempt.round.step.take() {
            cx.complete(step, Step::Fail("no majority".into()));
        }
        if attempt.until.is_some() {
            // R7: what was held is held until its bound.
            cx.mark("an extension failed");
            return;
        }
        // R6
        cx.mark("no majority");
        self.lost += 1;
        self.end(cx);
        self.back_off(cx);
    }

    pub(super) fn on_silence(&mut self, token: Token, round: u32, cx: &mut Context) {
        if self.is_open(token, round) && !self.stopped(cx) {
            self.lost(cx);
        }
    }

    /// Sends what the store has not answered, now and again until it does.
    fn ask(&self, cx: &mut Context) {
        let (Some(attempt), Some(&(request, _))) = (&self.attempt, self.queue.front()) else {
            return;
        };
        let store = NodeId(self.config.servers);
        let Attempt { object, token, .. } = *attempt;
        match attempt.phase {
            Phase::Reading => cx.send(store, Msg::Read { object, token, request }),
            Phase::Writing { value } => {
                cx.send(store, Msg::Write { object, token, request, value });
            }
            Phase::Acquiring | Phase::Working { .. } => return,
        }
        cx.set_timer(self.config.patience, Timer::Resend(token));
    }

    pub(super) fn on_resend(&mut self, token: Token, cx: &mut Context) {
        if self.is_current(token) && !self.stopped(cx) {
            self.ask(cx);
        }
    }

    pub(super) fn on_value(&mut self, token: Token, value: u64, cx: &mut Context) {
        if !self.is_current(token) || self.stopped(cx) {
            return;
        }
        if let Some(attempt) = &mut self.attempt
            && attempt.phase == Phase::Reading
        {
            attempt.phase = Phase::Working { value };
            cx.cancel_timer(Timer::Resend(token));
            cx.set_timer(self.config.work, Timer::Work(token));
        }
    }

    pub(super) fn on_work(&mut self, token: Token, cx: &mut Context) {
        if !self.is_current(token) || self.stopped(cx) {
            return;
        }
        if let Some(attempt) = &mut self.attempt
            && let Phase::Working { value } = attempt.phase
        {
            attempt.phase = Phase::Writing { value: value + 1 };
            self.ask(cx);
        }
    }

    pub(super) fn on_done(&mut self, token: Token, value: u64, cx: &mut Context) {
        if !self.is_current(token) {
            return;
        }
        self.end(cx);
        if let Some((request, _)) = self.queue.pop_front() {
            cx.reply(request, Ret::Incremented(value));
        }
        self.acquire(cx);
    }

    pub(super) fn on_bound(&mut self, token: Token, cx: &mut Context) {
        if self.is_current(token) {
            self.stopped(cx);
        }
    }

    /// R8: at its bound it stops working, and starts over.
    fn stopped(&mut self, cx: &mut Context) -> bool {
        let now = cx.now();
        if self.attempt.as_ref().and_then(|a| a.until).is_none_or(|until| now < until) {
            return false;
        }
        cx.mark("a holder stopped at its bound");
        self.end(cx);
        self.back_off(cx);
        true
    }

    /// R6, R9: gives back what it has, wherever it may have it.
    fn end(&mut self, cx: &mut Context) {
        let Some(attempt) = self.attempt.take() else { return };
        let Attempt { object, token, until, round, .. } = attempt;
        if let Some(step) = round.step {
            cx.complete(step, Step::Info);
        }
        cx.cancel_timer(Timer::Round(token, round.nth));
        let held = until.map(|_| cx.invoke(Op::Release { object, token }));
        self.tell_servers(&Msg::Release { object, token }, cx);
        if let Some(step) = held {
            cx.complete(step, Step::Ok(Ret::Released));
            let timers = [Timer::Resend, Timer::Extend, Timer::Bound, Timer::Work];
            timers.into_iter().for_each(|timer| cx.cancel_timer(timer(token)));
        }
    }

    /// R6: where a server is gone, who has half of the others keeps them for all its patience. Two
    /// of them can go on like that, unless who comes after them waits until both have gone.
    fn back_off(&self, cx: &mut Context) {
        let Config { back_off, patience, .. } = self.config;
        let doubled = back_off.saturating_mul(1 << self.lost.saturating_sub(1).min(MAX_DOUBLINGS));
        let most = doubled.min(patience.saturating_mul(4)).max(back_off);
        let most = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        let after = Duration::from_nanos(cx.dice().below(most.max(1)));
        cx.set_timer(after, Timer::Again);
    }

    fn is_current(&self, token: Token) -> bool {
        self.attempt.as_ref().is_some_and(|attempt| attempt.token == token)
    }

    /// Whether answers to this round still count.
    fn is_open(&self, token: Token, round: u32) -> bool {
        let open = |a: &Attempt| a.token == token && a.round.nth == round && a.round.step.is_some();
        self.attempt.as_ref().is_some_and(open)
    }
}
