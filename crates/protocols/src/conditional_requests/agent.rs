//! A user agent: it reads a record, thinks, and writes it back for its clients. It keeps the copies
//! that it has read, and asks whether they are still good.

use super::conditions::{NOT_MODIFIED, PRECONDITION_FAILED, PRECONDITION_REQUIRED};
use super::{Context, Exchange, Method, Msg, Request, Response, Timer};
use crate::record::{Config, Entry, Op, Patient, Ret, View};
use node::RequestId;
use std::collections::BTreeMap;
use std::time::Duration;

/// How often a time is doubled, at most.
const MAX_DOUBLINGS: u32 = 10;

/// A record as it was read: what stood there, and under which tag; none if it was not there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Copy {
    entries: Vec<Entry>,
    tag: Option<String>,
}

/// What a task waits for.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Phase {
    /// For the record.
    Reading,
    /// For what is to be written.
    Thinking(Copy),
    /// For the origin's word on the write that leaves so many entries.
    Writing(u32),
    /// For others to be done.
    Pausing,
}

#[derive(Clone, Debug)]
struct Task {
    op: Op,
    exchange: Exchange,
    phase: Phase,
    /// How many writes met another version, and how many requests had no answer.
    conflicts: u32,
    unanswered: u32,
}

/// Works for clients.
#[derive(Debug)]
pub struct Agent {
    config: Config,
    tasks: BTreeMap<RequestId, Task>,
    copies: BTreeMap<Patient, Copy>,
    /// Exchanges of this life.
    exchanges: u32,
}

fn doubled(time: Duration, times: u32) -> Duration {
    time * (1 << times.min(MAX_DOUBLINGS))
}

impl Agent {
    pub(super) fn new(config: &Config) -> Self {
        let (tasks, copies) = (BTreeMap::new(), BTreeMap::new());
        Self { config: config.clone(), tasks, copies, exchanges: 0 }
    }

    pub(super) fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Context) {
        if self.tasks.contains_key(&request) {
            return; // a copy: one reply answers both
        }
        let exchange = Exchange { request, life: cx.incarnation(), nth: 0 };
        let task = Task { op, exchange, phase: Phase::Reading, conflicts: 0, unanswered: 0 };
        self.tasks.insert(request, task);
        self.begin(request, cx);
    }

    /// The operation from its beginning; also when nobody knows what came of a write.
    fn begin(&mut self, request: RequestId, cx: &mut Context) {
        let Some(task) = self.tasks.get(&request) else { return };
        match task.op {
            Op::Look { patient } | Op::Add { patient, .. } => {
                let if_none_match = self.copies.get(&patient).and_then(|copy| copy.tag.clone());
                let get = (Method::Get, None, if_none_match, None);
                self.send(request, Phase::Reading, get, cx);
            }
            Op::Overwrite { dose, .. } => {
                let entries = vec![Entry { by: request, dose }];
                let put = (Method::Put, None, None, Some(entries));
                self.send(request, Phase::Writing(1), put, cx);
            }
        }
    }

    /// Sends an HTTP request: its method, If-Match, If-None-Match and what is to be put.
    fn send(
        &mut self,
        request: RequestId,
        phase: Phase,
        (method, if_match, if_none_match, entries): (
            Method,
            Option<String>,
            Option<String>,
            Option<Vec<Entry>>,
        ),
        cx: &mut Context,
    ) {
        let Some(task) = self.tasks.get_mut(&request) else { return };
        self.exchanges += 1;
        task.exchange.nth = self.exchanges;
        task.phase = phase;
        let (exchange, patient) = (task.exchange, task.op.patient());
        let http = Request { exchange, method, patient, if_match, if_none_match, entries };
        cx.send(self.config.origin, Msg::Request(http));
        let patience = doubled(self.config.patience, task.unanswered);
        cx.set_timer(patience, Timer::Next(request));
    }

    pub(super) fn on_response(&mut self, response: Response, cx: &mut Context) {
        let request = response.exchange.request;
        let Some(task) = self.tasks.get(&request).filter(|t| t.exchange == response.exchange)
        else {
            return; // to what is not waited for any more
        };
        match (task.phase.clone(), response.status) {
            (Phase::Reading, _) => self.on_read(request, response, cx),
            (Phase::Writing(nth), 200..300) => self.reply(request, Ret::Added { nth }, cx),
            (Phase::Writing(_), PRECONDITION_FAILED) => self.on_conflict(request, cx),
            (Phase::Writing(_), PRECONDITION_REQUIRED) => {
                cx.mark("a write without a condition was refused");
                self.fail(request, "428 Precondition Required", cx);
            }
            (Phase::Writing(_), _) => self.fail(request, "refused", cx),
            (Phase::Thinking(_) | Phase::Pausing, _) => {} // told twice
        }
    }

    fn on_read(&mut self, request: RequestId, response: Response, cx: &mut Context) {
        let Some(Task { op, conflicts, .. }) = self.tasks.get(&request).cloned() else { return };
        let patient = op.patient();
        let copy = match (response.status, self.copies.get(&patient)) {
            // 9.1: the copy is good, if it is still the one of that tag.
            (NOT_MODIFIED, Some(copy)) if copy.tag == response.tag => {
                cx.mark("a copy was still good");
                copy.clone()
            }
            (NOT_MODIFIED, _) => return self.begin(request, cx),
            _ => Copy { entries: response.entries.unwrap_or_default(), tag: response.tag },
        };
        self.copies.insert(patient, copy.clone());
        if let Op::Look { .. } = op {
            let doses = copy.entries.iter().map(|entry| entry.dose).collect();
            return self.reply(request, Ret::Entries(doses), cx);
        }
        // Whatever the answer to a write was: what is there was written.
        if let Some(place) = copy.entries.iter().position(|entry| entry.by == request) {
            cx.mark("a read found its operation done");
            return self.reply(request, Ret::Added { nth: place as u32 + 1 }, cx);
        }
        if conflicts >= self.config.attempts {
            cx.mark("given up after conflicts");
            return self.fail(request, "too many conflicts", cx);
        }
        if let Some(task) = self.tasks.get_mut(&request) {
            task.phase = Phase::Thinking(copy);
            cx.set_timer(self.config.think, Timer::Next(request));
        }
    }

    /// 9.2: in place of what was read, or where nothing was.
    fn write(&mut self, request: RequestId, copy: Copy, cx: &mut Context) {
        let Some(Task { op: Op::Add { dose, .. }, .. }) = self.tasks.get(&request) else { return };
        let mut entries = copy.entries;
        entries.push(Entry { by: request, dose: *dose });
        let nth = entries.len() as u32;
        let nothing = copy.tag.is_none().then(|| "*".to_owned());
        let put = (Method::Put, copy.tag, nothing, Some(entries));
        self.send(request, Phase::Writing(nth), put, cx);
    }

    /// Another one has written; or it was this write, and its answer was lost. A look will tell.
    fn on_conflict(&mut self, request: RequestId, cx: &mut Context) {
        let Some(task) = self.tasks.get_mut(&request) else { return };
        task.conflicts += 1;
        task.phase = Phase::Pausing;
        let longest = doubled(self.config.backoff, task.conflicts - 1);
        let pause = Duration::from_nanos(cx.dice().below(longest.as_nanos() as u64 + 1));
        cx.set_timer(pause, Timer::Next(request));
    }

    pub(super) fn on_next(&mut self, request: RequestId, cx: &mut Context) {
        let Some(task) = self.tasks.get_mut(&request) else { return };
        match task.phase.clone() {
            Phase::Thinking(copy) => self.write(request, copy, cx),
            Phase::Pausing => self.begin(request, cx),
            Phase::Reading => {
                task.unanswered += 1;
                self.begin(request, cx);
            }
            Phase::Writing(_) => {
                cx.mark("a write was not answered");
                task.unanswered += 1;
                self.begin(request, cx);
            }
        }
    }

    fn reply(&mut self, request: RequestId, ret: Ret, cx: &mut Context) {
        self.tasks.remove(&request);
        cx.cancel_timer(Timer::Next(request));
        cx.reply(request, ret);
    }

    fn fail(&mut self, request: RequestId, reason: &'static str, cx: &mut Context) {
        self.tasks.remove(&request);
        cx.cancel_timer(Timer::Next(request));
        cx.fail(request, reason);
    }

    pub(super) fn view(&self) -> View {
        View { running: self.tasks.keys().copied().collect() }
    }
}
