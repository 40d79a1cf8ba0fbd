//! madsim's own TCP in place of our network: what puts the shell's connections on trial.
//!
//! Time is madsim's here, because the connections wait by its timers; ours follows it. Links are
//! cut where a segment is sent, and a killed process is seen by its peers as the end of every
//! connection: so it is in madsim.

use super::port::Wire;
use super::stage::{Shared, Stage};
use checkers::Verdict;
use madsim::net::NetSim;
use madsim::task::NodeId as Task;
use madsim::time::{Instant, TimeHandle};
use node::{Node, NodeId};
use shell::Identity;
use shell::tcp::{Limits, Tcp};
use std::future::{pending, poll_fn};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::task::{Poll, Waker};
use std::time::Duration;
use world::case::Network;
use world::parts::nanos;

/// Where every node listens.
const PORT: u16 = 700;

/// What the stage keeps where frames go over TCP.
pub(super) struct Streams {
    time: TimeHandle,
    start: Instant,
    /// Tasks have done something since the supervisor looked.
    stirred: bool,
    supervisor: Option<Waker>,
    /// Every machine in madsim's words, clients' included, from its first start on.
    pub(super) tasks: Vec<Option<Task>>,
}

/// madsim's network with the case's delays. One of its millisecond is the least that it knows.
pub(super) fn config(network: &Network) -> madsim::Config {
    let mut config = madsim::Config::default();
    let fastest = network.fastest.max(Duration::from_millis(1));
    config.net.send_latency = fastest..network.slowest.max(fastest) + Duration::from_nanos(1);
    config
}

/// The address of a machine.
pub(super) fn ip(id: NodeId) -> IpAddr {
    let [high, low] = id.0.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(10, 1, high, low))
}

impl<N: Node> Stage<N> {
    /// From now on frames go over TCP.
    pub(super) fn take_streams(&mut self) {
        let time = TimeHandle::current();
        let start = time.now_instant();
        let tasks = vec![None; self.ports.len()];
        let streams = Streams { time, start, stirred: false, supervisor: None, tasks };
        self.streams = Some(streams);
    }

    /// Follows madsim's clock, where that leads: a task does something.
    pub(super) fn tick(&mut self) {
        if let Some(streams) = &mut self.streams {
            let passed = streams.time.now_instant().saturating_duration_since(streams.start);
            self.now = self.now.max(nanos(passed));
            streams.stirred = true;
            if let Some(supervisor) = streams.supervisor.take() {
                supervisor.wake();
            }
        }
    }

    /// Tells madsim which links carry nothing.
    pub(super) fn cut_streams(&mut self) {
        let Some(streams) = &self.streams else { return };
        let net = NetSim::current();
        let machines = || streams.tasks.iter().zip((0..).map(NodeId));
        for (from, from_id) in machines() {
            for (to, to_id) in machines().filter(|(_, to)| *to != from_id) {
                let (Some(from), Some(to)) = (from, to) else { continue };
                match self.links.cut_by(from_id, to_id) {
                    Some(_) => net.clog_link(*from, *to),
                    None => net.unclog_link(*from, *to),
                }
            }
        }
    }

    /// A frame is handed to a connection. Whether it arrives is not seen from here: a fault counts
    /// that would keep it away now.
    pub(super) fn sent_over_stream(&mut self, from: NodeId, to: NodeId) {
        self.tick();
        match self.machines.get_mut(from.index()) {
            Some(machine) => machine.sending = None,
            None => {
                if let Some((call, counts)) = self.attempt(from) {
                    self.calls.calls[call as usize].attempts.copies(1);
                    self.plan.count(counts);
                }
            }
        }
        let down = self.machines.get(to.index()).filter(|machine| !machine.up);
        let by = down.and_then(|machine| machine.downed_by).or(self.links.cut_by(from, to));
        if let Some(fault) = by {
            self.plan.effective(fault);
        }
    }
}

/// Answers when tasks have done something since it was last asked.
pub(super) async fn stirred<N: Node>(stage: &Shared<N>) {
    poll_fn(|cx| {
        let mut stage = stage.borrow_mut();
        let Some(streams) = &mut stage.streams else { return Poll::Ready(()) };
        if std::mem::take(&mut streams.stirred) {
            return Poll::Ready(());
        }
        streams.supervisor = Some(cx.waker().clone());
        Poll::Pending
    })
    .await;
}

/// The connections of a machine, which calls every node but itself.
pub(super) async fn connect<N: Node>(stage: Shared<N>, identity: Identity) -> Wire<N> {
    let me = identity.node;
    let (servers, seed) = (stage.borrow().servers(), stage.borrow().seed);
    let tcp = match me.0 < servers {
        true => Tcp::listen(identity, (ip(me), PORT).into(), Limits::default(), seed).await,
        false => Ok(Tcp::client(identity, Limits::default(), seed)),
    };
    let mut tcp = match tcp {
        Ok(tcp) => tcp,
        Err(error) => {
            let verdict = Verdict::violated("connections", "cannot listen", error.to_string());
            stage.borrow_mut().found(verdict);
            pending().await
        }
    };
    for peer in (0..servers).map(NodeId).filter(|peer| *peer != me) {
        tcp.call(peer, SocketAddr::from((ip(peer), PORT)).to_string());
    }
    Wire { stage, me, tcp: Some(tcp) }
}
