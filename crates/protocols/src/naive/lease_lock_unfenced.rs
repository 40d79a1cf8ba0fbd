//! A lease lock whose holder trusts it: nobody looks at a fence.
//!
//! # What the articles claim
//!
//! "Only one node accesses the resource at a time", because it has the lock (seeds 000 §3.4 and
//! 003, and most pages about distributed locks): get the lock, with a time limit so that a crashed
//! holder does not block everybody; read, change, write; give the lock back, and compare the owner
//! before deleting it.
//!
//! # What is wrong
//!
//! The time limit runs at the server, the work at the holder, and neither sees the other's clock. A
//! holder that is paused for longer than the TTL (a long collection of garbage, a stopped virtual
//! machine, a slow disk) wakes up, believes that it still has the lock, and writes what it computed
//! from its old read over everything that others have written since: a lost update, with one fault.
//! A message that was under way for that long does the same. No check of the own clock before the
//! write helps, for the pause may come after the check; the resource must refuse the write, and for
//! that it has to know the number of the grant (rules 5.8 and 5.9 of the right lock).
//!
//! # The rules
//!
//! - Lock server, upon `Acquire`: free → force the grant, set the TTL, answer `Granted`; held by
//!   this very request → `Granted` again; else silence, and the holder asks again.
//! - Lock server, upon `Release`: compare owner and number, then delete. After a restart every
//!   lease lasts a full TTL more.
//! - Holder: acquire, read, work, write, release, reply. It believes in its lease for a full TTL
//!   from when it learnt of it, and does not look at the clock in between.
//! - Store, upon `Read`: the value. Upon `Write`: force and apply it, once for each request.
//!
//! Server and store are otherwise as reliable as the right ones (durable grants, requests applied
//! once), so that the missing fence is the one thing that can go wrong. Logs are never compacted.

use super::lease::{Applied, Config, Durable, Hold, Lease, Object, Op, Ret, Role, Stored, View};
use node::{Cx, Incarnation, Node, NodeId, Observe, RequestId, Step, StepId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Names a holder's attempt: its incarnation, and a number in it.
type Attempt = (Incarnation, u32);

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    Acquire {
        object: Object,
        attempt: Attempt,
    },
    Granted {
        attempt: Attempt,
        fence: u64,
    },
    Release {
        object: Object,
        fence: u64,
    },
    Read {
        object: Object,
        attempt: Attempt,
        request: RequestId,
    },
    /// `done` says that the request had been applied and wrote this value.
    Value {
        attempt: Attempt,
        value: u64,
        done: bool,
    },
    Write {
        object: Object,
        attempt: Attempt,
        fence: u64,
        request: RequestId,
        value: u64,
    },
    Written {
        attempt: Attempt,
        value: u64,
    },
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    Grant { object: Object, owner: NodeId, attempt: Attempt, fence: u64 },
    Ended { object: Object, fence: u64 },
    Write { object: Object, fence: u64, request: RequestId, value: u64 },
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    Expire { object: Object, fence: u64 },
    Resend(Attempt),
    Work(Attempt),
}

/// One node of the unfenced lock's cluster.
#[derive(Debug)]
pub struct LeaseLockUnfenced {
    config: Config,
    /// Lock server: the last number given out, and who has which lock.
    fence: u64,
    leases: BTreeMap<Object, (Lease, Attempt)>,
    /// Store: the objects, and what each request wrote.
    objects: BTreeMap<Object, Stored>,
    done: BTreeMap<(Object, RequestId), u64>,
    /// Holder: the first request is being worked on.
    queue: VecDeque<(RequestId, Object)>,
    seq: u32,
    work: Option<Work>,
}

#[derive(Clone, Copy, Debug)]
struct Work {
    object: Object,
    attempt: Attempt,
    request: RequestId,
    hold: Option<Hold>,
    phase: Phase,
    step: StepId,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Acquiring,
    Reading,
    Working { value: u64 },
    Writing { value: u64 },
}

type Context = Cx<LeaseLockUnfenced>;

impl Node for LeaseLockUnfenced {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = Timer;

    fn new(_: NodeId, config: &Config) -> Self {
        Self {
            config: config.clone(),
            fence: 0,
            leases: BTreeMap::new(),
            objects: BTreeMap::new(),
            done: BTreeMap::new(),
            queue: VecDeque::new(),
            seq: 0,
            work: None,
        }
    }

    fn on_start(&mut self, log: &[Record], cx: &mut Context) {
        log.iter().for_each(|record| self.apply(record));
        for (lease, _) in self.leases.values() {
            let Lease { object, fence, .. } = *lease;
            cx.set_timer(self.config.ttl, Timer::Expire { object, fence });
        }
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Context) {
        match (self.config.role, op) {
            (Role::Holder, Op::Increment(object)) => {
                if self.queue.iter().all(|(waiting, _)| *waiting != request) {
                    self.queue.push_back((request, object));
                    self.acquire(cx);
                }
            }
            (Role::Holder, _) => cx.fail(request, "a step of the workflow, not a request"),
            (Role::LockServer | Role::Store, _) => cx.retry(request, None),
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Context) {
        match msg {
            Msg::Acquire { object, attempt } => self.on_acquire(from, object, attempt, cx),
            Msg::Release { object, fence } => {
                let is_theirs = |(l, _): &(Lease, Attempt)| l.owner == from && l.fence == fence;
                if self.leases.get(&object).is_some_and(is_theirs) {
                    self.log(Record::Ended { object, fence }, cx);
                    cx.cancel_timer(Timer::Expire { object, fence });
                }
            }
            Msg::Read { object, attempt, request } => {
                let (value, done) = match self.done.get(&(object, request)) {
                    Some(wrote) => (*wrote, true),
                    None => (self.objects.get(&object).map_or(0, |stored| stored.value), false),
                };
                cx.send(from, Msg::Value { attempt, value, done });
            }
            Msg::Write { object, attempt, fence, request, value } => {
                // Whoever holds the lock may write; and whoever writes says that he holds it.
                if !self.done.contains_key(&(object, request)) {
                    self.log(Record::Write { object, fence, request, value }, cx);
                }
                let value = self.done.get(&(object, request)).copied().unwrap_or(value);
                cx.send(from, Msg::Written { attempt, value });
            }
            Msg::Granted { attempt, fence } => self.on_granted(attempt, fence, cx),
            Msg::Value { attempt, value, done } => self.on_value(attempt, value, done, cx),
            Msg::Written { attempt, value } => self.finish(attempt, value, cx),
        }
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Context) {
        match timer {
            Timer::Expire { object, fence } => {
                if self.leases.get(&object).is_some_and(|(lease, _)| lease.fence == fence) {
                    cx.mark("a lease ran out at the lock server");
                    self.log(Record::Ended { object, fence }, cx);
                }
            }
            Timer::Resend(attempt) => {
                if self.work.is_some_and(|work| work.attempt == attempt) {
                    self.ask(cx);
                }
            }
            Timer::Work(attempt) => self.on_work(attempt, cx),
        }
    }
}

impl LeaseLockUnfenced {
    /// What a record means, while it is written and when it is read at start.
    fn apply(&mut self, record: &Record) {
        match *record {
            Record::Grant { object, owner, attempt, fence } => {
                self.fence = fence;
                self.leases.insert(object, (Lease { object, owner, fence }, attempt));
            }
            Record::Ended { fence, .. } => self.leases.retain(|_, (l, _)| l.fence != fence),
            Record::Write { object, fence: token, request, value: to } => {
                let stored = self.objects.entry(object).or_default();
                let write = Applied { token, nth: 1, request, from: stored.value, to };
                stored.value = to;
                stored.count += 1;
                stored.writes.push(write);
                self.done.insert((object, request), to);
            }
        }
    }

    /// The end of a lease is lazy; all else is forced.
    fn log(&mut self, record: Record, cx: &mut Context) {
        self.apply(&record);
        match record {
            Record::Ended { .. } => cx.persist(record),
            Record::Grant { .. } | Record::Write { .. } => cx.force(record),
        }
    }

    fn on_acquire(&mut self, owner: NodeId, object: Object, attempt: Attempt, cx: &mut Context) {
        match self.leases.get(&object) {
            None => {
                let fence = self.fence + 1;
                self.log(Record::Grant { object, owner, attempt, fence }, cx);
                cx.send(owner, Msg::Granted { attempt, fence });
                cx.set_timer(self.config.ttl, Timer::Expire { object, fence });
            }
            Some((lease, theirs)) if lease.owner == owner && *theirs == attempt => {
                cx.send(owner, Msg::Granted { attempt, fence: lease.fence });
            }
            Some(_) => {} // held by somebody else
        }
    }

    fn acquire(&mut self, cx: &mut Context) {
        if let (None, Some(&(request, object))) = (self.work, self.queue.front()) {
            self.seq += 1;
            let attempt = (cx.incarnation(), self.seq);
            let step = cx.invoke(Op::Acquire(object));
            let phase = Phase::Acquiring;
            self.work = Some(Work { object, attempt, request, hold: None, phase, step });
            self.ask(cx);
        }
    }

    /// Sends what is waited for to be answered, now and again until it is.
    fn ask(&self, cx: &mut Context) {
        let Some(Work { object, attempt, request, hold, phase, .. }) = self.work else { return };
        let Config { server, store, resend, .. } = self.config;
        let fence = hold.map_or(0, |hold| hold.fence);
        match phase {
            Phase::Acquiring => cx.send(server, Msg::Acquire { object, attempt }),
            Phase::Reading => cx.send(store, Msg::Read { object, attempt, request }),
            Phase::Working { .. } => return,
            Phase::Writing { value } => {
                cx.send(store, Msg::Write { object, attempt, fence, request, value });
            }
        }
        cx.set_timer(resend, Timer::Resend(attempt));
    }

    fn on_granted(&mut self, attempt: Attempt, fence: u64, cx: &mut Context) {
        if let Some(work) = &mut self.work
            && work.attempt == attempt
            && work.phase == Phase::Acquiring
        {
            let from = cx.now();
            let until = from + self.config.ttl;
            let object = work.object;
            cx.complete(work.step, Step::Ok(Ret::Granted { fence, from, until }));
            work.hold = Some(Hold { object, fence, until });
            work.phase = Phase::Reading;
            work.step = cx.invoke(Op::Read { object, fence });
            self.ask(cx);
        }
    }

    fn on_value(&mut self, attempt: Attempt, value: u64, done: bool, cx: &mut Context) {
        match &mut self.work {
            Some(work) if work.attempt == attempt && work.phase == Phase::Reading => {
                if done {
                    return self.finish(attempt, value, cx);
                }
                cx.complete(work.step, Step::Ok(Ret::Value(value)));
                work.phase = Phase::Working { value };
                cx.set_timer(self.config.work, Timer::Work(attempt));
            }
            _ => {} // a copy
        }
    }

    fn on_work(&mut self, attempt: Attempt, cx: &mut Context) {
        if let Some(work) = &mut self.work
            && work.attempt == attempt
            && let (Phase::Working { value }, Some(hold)) = (work.phase, work.hold)
        {
            let Hold { object, fence, .. } = hold;
            let value = value + 1;
            work.phase = Phase::Writing { value };
            work.step = cx.invoke(Op::Write { object, fence, value });
            self.ask(cx);
        }
    }

    /// The request has been applied: give the lock back, and go on with the next one.
    fn finish(&mut self, attempt: Attempt, value: u64, cx: &mut Context) {
        if let Some(work) = self.work.take_if(|work| work.attempt == attempt) {
            cx.cancel_timer(Timer::Resend(attempt));
            cx.complete(work.step, Step::Ok(Ret::Done(value)));
            if let Some(Hold { object, fence, .. }) = work.hold {
                let step = cx.invoke(Op::Release { object, fence });
                cx.send(self.config.server, Msg::Release { object, fence });
                cx.complete(step, Step::Ok(Ret::Released));
            }
            cx.reply(work.request, Ret::Incremented(value));
            self.queue.pop_front();
            self.acquire(cx);
        }
    }
}

impl Observe for LeaseLockUnfenced {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        let mut node = Self::new(NodeId(0), &Config::default());
        log.iter().for_each(|record| node.apply(record));
        let leases = node.leases.values().map(|(lease, _)| *lease).collect();
        Durable { leases, fence: node.fence, objects: node.objects }
    }

    fn view(&self) -> View {
        match self.config.role {
            Role::LockServer => View::LockServer {
                leases: self.leases.values().map(|(lease, _)| *lease).collect(),
                waiting: 0,
            },
            Role::Store => View::Store,
            Role::Holder => {
                let hold = self.work.and_then(|work| work.hold);
                View::Holder { hold, pending: self.queue.len() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use node::Effect;

    /// Runs one handler, and returns what it sent.
    fn run(
        node: &mut LeaseLockUnfenced,
        handler: impl FnOnce(&mut LeaseLockUnfenced, &mut Context),
    ) -> Vec<Msg> {
        let mut cx = Context::default();
        handler(node, &mut cx);
        let msg = |effect| match effect {
            Effect::Send(_, msg) => Some(msg),
            _ => None,
        };
        cx.take().into_iter().filter_map(msg).collect()
    }

    #[test]
    fn a_holder_that_sleeps_past_its_ttl_overwrites_what_others_wrote() {
        let node = |role| LeaseLockUnfenced::new(NodeId(0), &Config { role, ..Config::default() });
        let (mut server, mut store) = (node(Role::LockServer), node(Role::Store));
        let mut holders = [node(Role::Holder), node(Role::Holder)];
        let mut writes = Vec::new();
        // Each in turn gets the lock, reads and computes; then the lease runs out.
        for (n, holder) in (0..).zip(&mut holders) {
            let (me, fence) = (NodeId(2 + n), u64::from(n) + 1);
            let (request, object) = (RequestId { client: NodeId(9 + n), call: 0 }, Object(0));
            let ask = run(holder, |h, cx| h.on_request(request, Op::Increment(object), cx));
            let granted = run(&mut server, |s, cx| s.on_message(me, ask[0].clone(), cx));
            let read = run(holder, |h, cx| h.on_message(NodeId(0), granted[0].clone(), cx));
            let value = run(&mut store, |s, cx| s.on_message(me, read[0].clone(), cx));
            run(holder, |h, cx| h.on_message(NodeId(1), value[0].clone(), cx));
            writes.extend(run(holder, |h, cx| h.on_timer(Timer::Work((1, 1)), cx)));
            run(&mut server, |s, cx| s.on_timer(Timer::Expire { object, fence }, cx));
        }
        for (n, write) in (0..).zip(writes) {
            run(&mut store, |s, cx| s.on_message(NodeId(2 + n), write, cx));
        }
        let stored = &store.objects[&Object(0)];
        assert_eq!((stored.value, stored.count), (1, 2), "one update is lost");
    }
}
