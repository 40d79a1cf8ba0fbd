//! Locks whose holders trust them: nobody looks at a fence.
//!
//! # What the articles claim
//!
//! "Only one node accesses the resource at a time", because it has the lock (seeds 000 §3.4, 001
//! §3.2 and 003): get the lock, read, change, write, give the lock back. They differ in what the
//! lock server does, and so do the exhibits: one set of [`Rules`] each.
//!
//! # What all have in common
//!
//! - Lock server, upon `Acquire`: granted by the rules → force the grant, set the TTL, answer
//!   `Granted`; held by this very attempt → `Granted` again; else silence, and the holder asks
//!   again. Upon `Release`: the grants that the rules name end. After a restart every lease lasts
//!   a full TTL more.
//! - Holder: acquire, read, work, write, release, reply. It believes in its lease for a full TTL
//!   from when it learnt of it, and does not look at the clock in between.
//! - Store, upon `Read`: the value. Upon `Write`: force and apply it, once for each request.
//!
//! Server and store are otherwise as reliable as the right ones (durable grants, requests applied
//! once), so that rules and the missing fence are all that can go wrong. Logs are never compacted.

mod first_free_node;
mod redis;
mod smallest_id;
mod unfenced;

pub use first_free_node::FirstFreeNode;
pub use redis::Redis;
pub use smallest_id::SmallestId;
pub use unfenced::Unfenced;

use crate::lease::{Applied, Config, Durable, Hold, Lease, Object, Op, Ret, Role, Stored, View};
use node::{Cx, Node, NodeId, Observe, RequestId, Step, StepId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::marker::PhantomData;

/// A holder's attempt to get a lock, by a random number, as the articles' requests go by a UUID.
pub type Attempt = u64;

/// A lock that is held, as the lock server knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held {
    /// Which lock, by whom, under which number.
    pub lease: Lease,
    /// Whose attempt got it.
    pub attempt: Attempt,
}

/// What a lock server does: all that the exhibits differ in.
pub trait Rules: Debug + Send + Sync + 'static {
    /// Whether this attempt gets the lock of `object`, while these are held.
    fn grants(held: &[Held], object: Object, attempt: Attempt) -> bool;

    /// Whether a `Release` by `owner` of its grant `fence` ends the one that is held.
    fn releases(held: &Held, object: Object, owner: NodeId, fence: u64) -> bool;
}

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

/// One node of the cluster whose lock server follows these rules.
#[derive(Debug)]
pub struct Lock<R> {
    config: Config,
    /// Lock server: the last number given out, and who has which lock.
    fence: u64,
    held: Vec<Held>,
    /// Store: the objects, and what each request wrote.
    objects: BTreeMap<Object, Stored>,
    done: BTreeMap<(Object, RequestId), u64>,
    /// Holder: the first request is being worked on.
    queue: VecDeque<(RequestId, Object)>,
    work: Option<Work>,
    rules: PhantomData<R>,
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

type Context<R> = Cx<Lock<R>>;

impl<R: Rules> Node for Lock<R> {
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
            held: Vec::new(),
            objects: BTreeMap::new(),
            done: BTreeMap::new(),
            queue: VecDeque::new(),
            work: None,
            rules: PhantomData,
        }
    }

    fn on_start(&mut self, log: &[Record], cx: &mut Context<R>) {
        log.iter().for_each(|record| self.apply(record));
        for Held { lease, .. } in &self.held {
            let Lease { object, fence, .. } = *lease;
            cx.set_timer(self.config.ttl, Timer::Expire { object, fence });
        }
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Context<R>) {
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

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Context<R>) {
        match msg {
            Msg::Acquire { object, attempt } => self.on_acquire(from, object, attempt, cx),
            Msg::Release { object, fence } => {
                let ends = |held: &&Held| R::releases(held, object, from, fence);
                let ended: Vec<Lease> = self.held.iter().filter(ends).map(|h| h.lease).collect();
                for Lease { object, fence, .. } in ended {
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

    fn on_timer(&mut self, timer: Timer, cx: &mut Context<R>) {
        match timer {
            Timer::Expire { object, fence } => {
                if self.held.iter().any(|held| held.lease.fence == fence) {
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

impl<R: Rules> Lock<R> {
    /// What a record means, while it is written and when it is read at start.
    fn apply(&mut self, record: &Record) {
        match *record {
            Record::Grant { object, owner, attempt, fence } => {
                self.fence = fence;
                self.held.push(Held { lease: Lease { object, owner, fence }, attempt });
            }
            Record::Ended { fence, .. } => self.held.retain(|held| held.lease.fence != fence),
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
    fn log(&mut self, record: Record, cx: &mut Context<R>) {
        self.apply(&record);
        match record {
            Record::Ended { .. } => cx.persist(record),
            Record::Grant { .. } | Record::Write { .. } => cx.force(record),
        }
    }

    fn on_acquire(&mut self, owner: NodeId, object: Object, attempt: Attempt, cx: &mut Context<R>) {
        if let Some(held) = self.held.iter().find(|held| held.attempt == attempt) {
            cx.send(owner, Msg::Granted { attempt, fence: held.lease.fence });
        } else if R::grants(&self.held, object, attempt) {
            let fence = self.fence + 1;
            self.log(Record::Grant { object, owner, attempt, fence }, cx);
            cx.send(owner, Msg::Granted { attempt, fence });
            cx.set_timer(self.config.ttl, Timer::Expire { object, fence });
        } // else it waits, and asks again
    }

    fn acquire(&mut self, cx: &mut Context<R>) {
        if let (None, Some(&(request, object))) = (self.work, self.queue.front()) {
            let attempt = cx.dice().bits();
            let step = cx.invoke(Op::Acquire(object));
            let phase = Phase::Acquiring;
            self.work = Some(Work { object, attempt, request, hold: None, phase, step });
            self.ask(cx);
        }
    }

    /// Sends what is waited for to be answered, now and again until it is.
    fn ask(&self, cx: &mut Context<R>) {
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

    fn on_granted(&mut self, attempt: Attempt, fence: u64, cx: &mut Context<R>) {
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

    fn on_value(&mut self, attempt: Attempt, value: u64, done: bool, cx: &mut Context<R>) {
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

    fn on_work(&mut self, attempt: Attempt, cx: &mut Context<R>) {
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
    fn finish(&mut self, attempt: Attempt, value: u64, cx: &mut Context<R>) {
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

impl<R: Rules> Observe for Lock<R> {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        let mut node = Self::new(NodeId(0), &Config::default());
        log.iter().for_each(|record| node.apply(record));
        let leases = node.held.iter().map(|held| held.lease).collect();
        Durable { leases, fence: node.fence, objects: node.objects }
    }

    fn view(&self) -> View {
        match self.config.role {
            Role::LockServer => View::LockServer {
                leases: self.held.iter().map(|held| held.lease).collect(),
                line: Vec::new(),
            },
            Role::Store => View::Store,
            Role::Holder => {
                let hold = self.work.and_then(|work| work.hold);
                View::Holder { hold, pending: self.queue.len() }
            }
        }
    }
}
