//! A network that is a script, a clock that jumps, and a node that does what it is told.
#![allow(dead_code)]

use bytes::Bytes;
use node::{Answer, Cx, Node, NodeId, RequestId, Step};
use serde::{Deserialize, Serialize};
use shell::{Clock, Transport, Wire, WireOf};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

/// One thing that a puppet does.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Do {
    Persist(u8),
    Force(u8),
    Snapshot(Vec<u8>),
    Send(u16, Vec<Do>),
    SetTimer(u64, Timer),
    CancelTimer(Timer),
    Reply(u8),
    Answer(RequestId, u8),
    Step(u8),
    /// Sends a number that its dice have drawn to a node.
    Draw(u16),
}

/// Does these things when it rings.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Timer(pub Vec<Do>);

/// Does what requests, messages and timers say.
pub struct Puppet;

impl Puppet {
    fn act(request: Option<RequestId>, acts: Vec<Do>, cx: &mut Cx<Self>) {
        for act in acts {
            match act {
                Do::Persist(record) => cx.persist(record),
                Do::Force(record) => cx.force(record),
                Do::Snapshot(records) => cx.snapshot(records),
                Do::Send(to, acts) => cx.send(NodeId(to), acts),
                Do::SetTimer(ms, timer) => cx.set_timer(Duration::from_millis(ms), timer),
                Do::CancelTimer(timer) => cx.cancel_timer(timer),
                Do::Reply(ret) => cx.reply(request.expect("a request"), ret),
                Do::Answer(request, ret) => cx.reply(request, ret),
                Do::Step(ret) => {
                    let step = cx.invoke(vec![]);
                    cx.complete(step, Step::Ok(ret));
                    cx.mark("a step");
                }
                Do::Draw(to) => {
                    let drawn = cx.dice().below(256) as u8;
                    cx.send(NodeId(to), vec![Do::Persist(drawn)]);
                }
            }
        }
    }
}

impl Node for Puppet {
    /// What it does at its start.
    type Config = Vec<Do>;
    type Op = Vec<Do>;
    type Ret = u8;
    type Msg = Vec<Do>;
    type Record = u8;
    type Timer = Timer;

    fn new(_: NodeId, _: &Vec<Do>) -> Self {
        Self
    }

    fn on_start(&mut self, _: &[u8], _: &mut Cx<Self>) {}

    fn on_request(&mut self, request: RequestId, acts: Vec<Do>, cx: &mut Cx<Self>) {
        Self::act(Some(request), acts, cx);
    }

    fn on_message(&mut self, _: NodeId, acts: Vec<Do>, cx: &mut Cx<Self>) {
        Self::act(None, acts, cx);
    }

    fn on_timer(&mut self, Timer(acts): Timer, cx: &mut Cx<Self>) {
        Self::act(None, acts, cx);
    }
}

/// What a frame says.
pub type Said = WireOf<Puppet>;

/// Frames that arrive, and frames that were sent. Clones are one network.
#[derive(Clone, Default)]
pub struct Script {
    pub arriving: Rc<RefCell<VecDeque<(Duration, NodeId, Bytes)>>>,
    pub sent: Rc<RefCell<Vec<(Duration, NodeId, Bytes)>>>,
    pub distrusted: Rc<RefCell<Vec<NodeId>>>,
    pub clock: Jumping,
}

impl Script {
    /// A frame that arrives at a time.
    pub fn arrive(&self, ms: u64, from: u16, frame: impl Into<Bytes>) {
        let arrival = (Duration::from_millis(ms), NodeId(from), frame.into());
        self.arriving.borrow_mut().push_back(arrival);
    }

    pub fn ask(&self, ms: u64, from: u16, call: u32, op: &[Do]) {
        self.arrive(ms, from, Said::Request { call, op: op.to_vec() }.encode());
    }

    pub fn tell(&self, ms: u64, from: u16, acts: &[Do]) {
        self.arrive(ms, from, Said::Peer(acts.to_vec()).encode());
    }

    /// What was sent: when, to whom, and what it says.
    pub fn said(&self) -> Vec<(u64, u16, Said)> {
        let sent = self.sent.borrow();
        let said = sent.iter().map(|(at, to, frame)| {
            (at.as_millis() as u64, to.0, Wire::decode(frame).expect("a frame of ours"))
        });
        said.collect()
    }
}

impl Transport for Script {
    fn send(&mut self, to: NodeId, frame: Bytes) {
        self.sent.borrow_mut().push((self.clock.now(), to, frame));
    }

    async fn recv(&mut self) -> (NodeId, Bytes) {
        let next = self.arriving.borrow().front().map(|(at, ..)| *at);
        match next {
            None => std::future::pending().await,
            Some(at) => self.clock.sleep_until(at).await,
        }
        let (_, from, frame) = self.arriving.borrow_mut().pop_front().expect("it was there");
        (from, frame)
    }

    fn distrust(&mut self, from: NodeId) {
        self.distrusted.borrow_mut().push(from);
    }
}

#[derive(Default)]
struct Hands {
    now: Cell<Duration>,
    next: Cell<Option<Duration>>,
}

/// A clock that stands still while anybody is busy, and then jumps to what is waited for first:
/// see [`Jumping::run`].
#[derive(Clone, Default)]
pub struct Jumping(Rc<Hands>);

impl Jumping {
    /// Waits for this work, which waits for nothing but this clock.
    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        use std::task::{Context, Poll, Waker};
        let mut work = std::pin::pin!(work);
        for _ in 0..100_000 {
            self.0.next.set(None);
            if let Poll::Ready(result) = work.as_mut().poll(&mut Context::from_waker(Waker::noop()))
            {
                return result;
            }
            let next = self.0.next.get().expect("somebody waits for the clock");
            self.0.now.set(next.max(self.0.now.get()));
        }
        panic!("it never ends");
    }
}

impl Clock for Jumping {
    fn now(&self) -> Duration {
        self.0.now.get()
    }

    fn wall(&self) -> Duration {
        Duration::from_secs(1_800_000_000) + self.0.now.get()
    }

    async fn sleep_until(&self, at: Duration) {
        std::future::poll_fn(|_| {
            if self.now() >= at {
                return std::task::Poll::Ready(());
            }
            let next = self.0.next.get().map_or(at, |next| next.min(at));
            self.0.next.set(Some(next));
            std::task::Poll::Pending
        })
        .await;
    }
}

/// An answer as a frame.
pub fn answer(call: u32, answer: Answer<u8>, life: u32, nth: u32) -> Bytes {
    Said::Answer { call, answer, life, nth }.encode()
}
