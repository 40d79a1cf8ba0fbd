//! Frames over TCP.
//!
//! # Who calls whom
//!
//! A node calls every other node, and sends to it on that connection; what the other has to say
//! comes on the connection that the other has made. So each direction of a link has a connection
//! of its own, and can be cut, delayed or proxied alone. A client calls the nodes, and they answer
//! it on its own connection. A second connection from one machine takes the place of the first,
//! which was most likely dead without anybody's knowing.
//!
//! # What is bounded, and what happens then
//!
//! Everything of [`Limits`]. A node that is slow to handle frames is read from no faster: its
//! inbox fills, then the system's buffers, then the outboxes of those who send to it. A full
//! outbox loses its oldest frame: what has waited longest is worth least, and whoever needs an
//! answer asks again. What waits for a connection that is down is sent when it is up.
//!
//! # What ends a connection
//!
//! Bytes that mean nothing, too long a frame, half a frame and then the end, and silence: each
//! side says at least an empty frame now and then, so that a peer that has vanished without a
//! word is found out. The side that had called calls again, after a pause that grows.

mod connection;
mod hello;
mod outbox;
mod stats;

pub use hello::{Refusal, VERSION};
pub use stats::Stats;

use crate::backoff::Backoff;
use crate::identity::Identity;
use crate::transport::Transport;
use bytes::Bytes;
use connection::{Called, Link, Shared};
use node::{Dice, NodeId, mix};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What a machine takes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The longest frame, in bytes.
    pub frame: usize,
    /// The most connections that others may have made to it.
    pub connections: usize,
    /// The most frames that wait to be handled.
    pub inbox: usize,
    /// The most frames that wait to be sent to one machine.
    pub outbox: usize,
    /// And the most bytes.
    pub outbox_bytes: usize,
    /// How long a connection may take to come about.
    pub handshake: Duration,
    /// How long a peer may say nothing, or take nothing.
    pub silence: Duration,
    /// How long a machine that stops waits for what it has sent to leave.
    pub close: Duration,
    /// The pauses before it calls again.
    pub backoff: Backoff,
}

impl Default for Limits {
    /// For a cluster of a few nodes and some hundred clients. At the very worst, when everything is
    /// full of the longest frames, a machine holds the inbox, and for each connection a frame and
    /// twice what an outbox holds: 1.8 GB.
    fn default() -> Self {
        Self {
            frame: 1 << 20,
            connections: 256,
            inbox: 1024,
            outbox: 4096,
            outbox_bytes: 1 << 20,
            handshake: Duration::from_secs(3),
            silence: Duration::from_secs(6),
            close: Duration::from_secs(1),
            backoff: Backoff { first: Duration::from_millis(20), most: Duration::from_secs(1) },
        }
    }
}

/// An address at which a machine cannot be called.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// What the system says: most often, that it is in use.
    pub source: io::Error,
}

/// A machine's connections. They end when this value is dropped.
pub struct Tcp {
    shared: Arc<Shared>,
    inbox: mpsc::Receiver<(NodeId, Bytes)>,
    called: BTreeMap<NodeId, (Called, DropGuard)>,
    address: Option<SocketAddr>,
    _stop: DropGuard,
}

impl Tcp {
    /// The connections of a node: it can be called at `address`, where port 0 stands for any that
    /// is free. The seed is for the jitter.
    ///
    /// # Errors
    ///
    /// When the address cannot be had: the port is in use, or not ours to take.
    pub async fn listen(
        identity: Identity,
        address: SocketAddr,
        limits: Limits,
        seed: u64,
    ) -> Result<Self, BindError> {
        let failed = |source| BindError { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let mut tcp = Self::client(identity, limits, seed);
        tcp.address = Some(address);
        tcp.shared.spawn(connection::accept(listener, Arc::clone(&tcp.shared)));
        Ok(tcp)
    }

    /// The connections of a client: nobody calls it.
    pub fn client(identity: Identity, limits: Limits, seed: u64) -> Self {
        let (sender, inbox) = mpsc::channel(limits.inbox.max(1));
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            seed: mix(seed, u64::from(identity.node.0)),
            identity,
            limits,
            stats: stats::Counters::default(),
            inbox: sender,
            stop: stop.clone(),
            links: Default::default(),
            taken: Default::default(),
        });
        Self { shared, inbox, called: BTreeMap::new(), address: None, _stop: stop.drop_guard() }
    }

    /// Where it can be called, if it can.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Calls a machine at an address (`host:port`) from now on, over and over where need be. What
    /// was to be sent to it at another address is lost.
    pub fn call(&mut self, to: NodeId, address: impl Into<String>) {
        let stop = self.shared.stop.child_token();
        let called = Called { outbox: Arc::new(self.shared.outbox()), hang_up: Arc::default() };
        let dice = Dice::new(mix(self.shared.seed, u64::from(to.0)));
        let (shared, until) = (Arc::clone(&self.shared), stop.clone());
        let dial = connection::dial(to, address.into(), called.clone(), shared, until, dice);
        self.shared.spawn(dial);
        self.called.insert(to, (called, stop.drop_guard()));
    }

    /// What has been counted so far.
    pub fn stats(&self) -> Stats {
        self.shared.stats.read()
    }
}

impl Transport for Tcp {
    fn send(&mut self, to: NodeId, frame: Bytes) {
        let shared = &self.shared;
        if frame.len() > shared.limits.frame {
            let (len, most) = (frame.len(), shared.limits.frame);
            tracing::warn!(%to, len, most, "a frame is too long and was not sent");
            return shared.stats.lost.add(1);
        }
        let lost = match self.called.get(&to) {
            Some((called, _)) => called.outbox.push(frame),
            None => match shared.links().get(&to) {
                Some(Link { outbox, .. }) => outbox.push(frame),
                None => 1,
            },
        };
        shared.stats.lost.add(lost);
    }

    async fn recv(&mut self) -> (NodeId, Bytes) {
        match self.inbox.recv().await {
            Some(arrived) => arrived,
            // `shared` holds a sender, so this is never reached.
            None => std::future::pending().await,
        }
    }

    fn distrust(&mut self, from: NodeId) {
        self.shared.stats.garbage.add(1);
        if let Some(link) = self.shared.links().get(&from) {
            link.close.cancel();
        }
        if let Some((called, _)) = self.called.get(&from) {
            called.hang_up.notify_waiters();
        }
    }

    async fn close(&mut self) {
        let called = self.called.values().map(|(called, _)| Arc::clone(&called.outbox));
        let mut outboxes: Vec<_> = called.collect();
        outboxes.extend(self.shared.links().values().map(|link| Arc::clone(&link.outbox)));
        let emptied = async {
            for outbox in outboxes {
                outbox.emptied().await;
            }
        };
        let _ = tokio::time::timeout(self.shared.limits.close, emptied).await;
    }
}
