//! A machine's port: the frames that have arrived, and the one alarm that its task waits for.

use super::stage::{About, Event, Shared, Stage};
use bytes::Bytes;
use node::{Node, NodeId};
use shell::tcp::Tcp;
use shell::{Clock, Transport};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Poll, Waker};
use std::time::Duration;
use world::parts::{OriginId, nanos};

/// A frame that has arrived.
pub(super) struct Arrived {
    pub(super) from: NodeId,
    pub(super) frame: Bytes,
    pub(super) heard: Heard,
}

/// What the engine knows of a frame that a machine is told.
#[derive(Clone, Copy)]
pub(super) struct Heard {
    pub(super) origin: OriginId,
    pub(super) nth: u32,
    pub(super) epoch: u32,
    /// One of its bits was flipped.
    pub(super) corrupt: bool,
    pub(super) about: About,
}

/// The port of a machine, which one task looks at.
#[derive(Default)]
pub(super) struct Port {
    pub(super) inbox: VecDeque<Arrived>,
    pub(super) waker: Option<Waker>,
    /// When the next alarm rings that has been scheduled.
    alarm: Option<u64>,
}

impl Port {
    /// The task has ended, and what waited for it is gone.
    pub(super) fn close(&mut self) {
        *self = Self::default();
    }
}

impl<N: Node> Stage<N> {
    /// Wakes the task of a machine.
    pub(super) fn wake(&mut self, id: NodeId) {
        if let Some(waker) = self.ports[id.index()].waker.take() {
            if let Some(machine) = self.machines.get_mut(id.index()) {
                machine.held_up |= machine.paused.is_some();
            }
            self.woken += 1;
            waker.wake();
        }
    }

    /// An alarm rings, unless an earlier one has taken its place.
    pub(super) fn ring(&mut self, id: NodeId, at: u64) {
        if self.ports[id.index()].alarm == Some(at) {
            self.ports[id.index()].alarm = None;
            self.wake(id);
        }
    }

    fn set_alarm(&mut self, id: NodeId, at: u64, waker: &Waker) {
        let port = &mut self.ports[id.index()];
        port.waker = Some(waker.clone());
        if port.alarm.is_none_or(|alarm| alarm > at) {
            port.alarm = Some(at);
            self.queue.push(at, Event::Alarm { id, at });
        }
    }
}

/// Waits until a time of the run.
pub(super) async fn sleep_until<N: Node>(stage: &Shared<N>, id: NodeId, at: u64) {
    poll_fn(|cx| {
        let mut stage = stage.borrow_mut();
        stage.tick();
        if stage.now >= at {
            return Poll::Ready(());
        }
        stage.set_alarm(id, at, cx.waker());
        Poll::Pending
    })
    .await;
}

/// A machine's end of the network.
pub struct Wire<N: Node> {
    pub(super) stage: Shared<N>,
    pub(super) me: NodeId,
    /// In place of our network.
    pub(super) tcp: Option<Tcp>,
}

impl<N: Node> Transport for Wire<N> {
    fn send(&mut self, to: NodeId, frame: Bytes) {
        match &mut self.tcp {
            None => self.stage.borrow_mut().send(self.me, to, frame),
            Some(tcp) => {
                self.stage.borrow_mut().sent_over_stream(self.me, to);
                tcp.send(to, frame);
            }
        }
    }

    async fn recv(&mut self) -> (NodeId, Bytes) {
        if let Some(tcp) = &mut self.tcp {
            let arrived = tcp.recv().await;
            let mut stage = self.stage.borrow_mut();
            stage.tick();
            stage.deliveries += 1;
            return arrived;
        }
        poll_fn(|cx| {
            let mut stage = self.stage.borrow_mut();
            let port = &mut stage.ports[self.me.index()];
            let Some(Arrived { from, frame, heard }) = port.inbox.pop_front() else {
                port.waker = Some(cx.waker().clone());
                return Poll::Pending;
            };
            stage.heard[self.me.index()] = Some(heard);
            Poll::Ready((from, frame))
        })
        .await
    }

    fn distrust(&mut self, from: NodeId) {
        self.stage.borrow_mut().distrusted(self.me, from);
        if let Some(tcp) = &mut self.tcp {
            tcp.distrust(from);
        }
    }
}

/// A machine's clocks.
pub(super) struct LocalClock<N: Node> {
    pub(super) stage: Shared<N>,
    pub(super) me: NodeId,
}

impl<N: Node> Clock for LocalClock<N> {
    fn now(&self) -> Duration {
        let mut stage = self.stage.borrow_mut();
        stage.tick();
        Duration::from_nanos(stage.clock(self.me).local(stage.now))
    }

    fn wall(&self) -> Duration {
        let stage = self.stage.borrow();
        Duration::from_nanos(stage.clock(self.me).wall(stage.now))
    }

    async fn sleep_until(&self, at: Duration) {
        let at = self.stage.borrow().clock(self.me).global(nanos(at));
        sleep_until(&self.stage, self.me, at).await;
    }
}
