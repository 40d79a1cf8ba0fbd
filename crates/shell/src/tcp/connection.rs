//! One connection: how it comes about, what it carries, and how it ends.

use crate::identity::Identity;
use crate::tcp::hello::{self, Hello, Refusal};
use crate::tcp::outbox::Outbox;
use crate::tcp::{Limits, stats};
use bytes::{Bytes, BytesMut};
use node::{Dice, NodeId};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;
use tokio_util::codec::{Decoder, Encoder, LengthDelimitedCodec};
use tokio_util::sync::CancellationToken;

/// Room for so many bytes is made before a read.
const READ: usize = 16 << 10;

/// How long accepting rests when the system has no sockets left.
const REST: Duration = Duration::from_millis(100);

/// What all connections of a machine share.
pub(crate) struct Shared {
    pub(crate) identity: Identity,
    pub(crate) limits: Limits,
    pub(crate) seed: u64,
    pub(crate) stats: stats::Counters,
    pub(crate) inbox: mpsc::Sender<(NodeId, Bytes)>,
    pub(crate) stop: CancellationToken,
    /// The connections that others have made.
    pub(crate) links: Mutex<BTreeMap<NodeId, Link>>,
    /// Connections that others have made or are making.
    pub(crate) taken: AtomicUsize,
}

/// A connection that another machine has made.
pub(crate) struct Link {
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) close: CancellationToken,
}

/// A machine that this one calls.
#[derive(Clone)]
pub(crate) struct Called {
    pub(crate) outbox: Arc<Outbox>,
    /// Ends the connection at hand; another one is made.
    pub(crate) hang_up: Arc<Notify>,
}

impl Shared {
    pub(crate) fn links(&self) -> MutexGuard<'_, BTreeMap<NodeId, Link>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn outbox(&self) -> Outbox {
        Outbox::new(self.limits.outbox, self.limits.outbox_bytes.max(self.limits.frame))
    }

    /// Runs a task until the machine's connections end.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = task => {}
            }
        });
    }
}

/// Why a connection has ended, or has not come about.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("the peer has closed it")]
    Closed,
    #[error("it ended in the middle of a frame")]
    Half,
    #[error("a frame is longer than {0} bytes")]
    Oversized(usize),
    #[error("nothing was heard for {0:?}")]
    Silent(Duration),
    #[error("nothing was taken for {0:?}")]
    Stalled(Duration),
    #[error("it was given up")]
    GivenUp,
    #[error("it did not come about within {0:?}")]
    Slow(Duration),
    #[error("the peer refuses: {0}")]
    Refused(Refusal),
    #[error("we refuse: {0}")]
    Refuse(Refusal),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Shared {
    fn count(&self, lost: &Lost) {
        match lost {
            Lost::Half => self.stats.half.add(1),
            Lost::Oversized(_) => self.stats.oversized.add(1),
            Lost::Silent(_) | Lost::Stalled(_) => self.stats.silent.add(1),
            Lost::Refused(_) | Lost::Refuse(_) | Lost::Slow(_) => self.stats.refused.add(1),
            Lost::Closed | Lost::GivenUp | Lost::Io(_) => {}
        }
    }
}

/// Takes calls.
pub(crate) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let others = shared.taken.fetch_add(1, Ordering::Relaxed);
                // Some more may come in to be told that there is no room; the rest is hung up on.
                if others < shared.limits.connections.saturating_mul(2) {
                    let mine = Arc::clone(&shared);
                    shared.spawn(answer(stream, mine, others));
                } else {
                    shared.stats.refused.add(1);
                    shared.taken.fetch_sub(1, Ordering::Relaxed);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot take a call");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// A call from another machine, from its first byte to its end.
async fn answer(stream: TcpStream, shared: Arc<Shared>, others: usize) {
    struct Taken<'a>(&'a AtomicUsize);
    impl Drop for Taken<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
    let _taken = Taken(&shared.taken);
    let patience = shared.limits.handshake;
    let (from, lost) = match timeout(patience, welcome(stream, &shared, others)).await {
        Err(_) => (None, Lost::Slow(patience)),
        Ok(Err(lost)) => (None, lost),
        Ok(Ok((stream, from, rest))) => {
            let link = Link { outbox: Arc::new(shared.outbox()), close: shared.stop.child_token() };
            let (outbox, close) = (Arc::clone(&link.outbox), link.close.clone());
            if let Some(older) = shared.links().insert(from, link) {
                shared.stats.replaced.add(1);
                older.close.cancel();
            }
            let (lost, _) = carry(stream, rest, from, &outbox, &shared, close.cancelled()).await;
            let mut links = shared.links();
            if links.get(&from).is_some_and(|link| Arc::ptr_eq(&link.outbox, &outbox)) {
                links.remove(&from);
            }
            (Some(from), lost)
        }
    };
    shared.count(&lost);
    let me = shared.identity.node;
    match (&lost, from) {
        (Lost::Closed | Lost::GivenUp, _) => tracing::debug!(%me, ?from, %lost, "hung up"),
        _ => tracing::warn!(%me, ?from, %lost, "hung up on a caller"),
    }
}

/// Hears who calls, and says whether that is fine.
async fn welcome(
    mut stream: TcpStream,
    shared: &Shared,
    others: usize,
) -> Result<(TcpStream, NodeId, BytesMut), Lost> {
    stream.set_nodelay(true)?;
    let mut rest = BytesMut::new();
    let first = read_first(&mut stream, &mut rest).await?;
    let judged = hello::decode(&first).and_then(|hello| judge(hello, shared, others));
    write_first(&mut stream, &judged.as_ref().map(|_| ())).await?;
    match judged {
        Ok(from) => Ok((stream, from, rest)),
        Err(refusal) => {
            let _ = stream.shutdown().await;
            Err(Lost::Refuse(refusal))
        }
    }
}

fn judge(hello: Hello, shared: &Shared, others: usize) -> Result<NodeId, Refusal> {
    let Hello { from: Identity { scenario, cluster, node }, to } = hello;
    let ours = &shared.identity;
    if (&scenario, cluster) != (&ours.scenario, ours.cluster) {
        let scenario = ours.scenario.clone();
        return Err(Refusal::Foreign { scenario, cluster: ours.cluster });
    }
    if to != ours.node {
        return Err(Refusal::Misdirected(ours.node));
    }
    if node == ours.node {
        return Err(Refusal::Impostor(node));
    }
    if others >= shared.limits.connections {
        return Err(Refusal::Busy(others));
    }
    Ok(node)
}

/// Calls a machine, for as long as anybody wants to send to it.
pub(crate) async fn dial(
    to: NodeId,
    address: String,
    called: Called,
    shared: Arc<Shared>,
    stop: CancellationToken,
    mut dice: Dice,
) {
    let Called { outbox, hang_up } = called;
    let (me, patience) = (shared.identity.node, shared.limits.handshake);
    let mut attempts = 0;
    while !stop.is_cancelled() {
        attempts += 1;
        let lost = match timeout(patience, introduce(to, &address, &shared)).await {
            Err(_) => Lost::Slow(patience),
            Ok(Err(Lost::Io(error))) => {
                shared.stats.refused.add(1);
                Lost::Io(error)
            }
            Ok(Err(lost)) => lost,
            Ok(Ok((stream, rest))) => {
                let close = async {
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => {}
                        () = hang_up.notified() => {}
                    }
                };
                let (lost, heard) = carry(stream, rest, to, &outbox, &shared, close).await;
                if heard {
                    attempts = 0;
                }
                lost
            }
        };
        shared.count(&lost);
        // Once is news; that a machine stays away is not.
        if attempts <= 1 {
            tracing::warn!(%me, %to, address, %lost, "no connection");
        } else {
            tracing::debug!(%me, %to, address, %lost, attempts, "no connection");
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = tokio::time::sleep(shared.limits.backoff.pause(attempts, &mut dice)) => {}
        }
    }
}

/// Connects, says who calls, and hears whether that is fine.
async fn introduce(
    to: NodeId,
    address: &str,
    shared: &Shared,
) -> Result<(TcpStream, BytesMut), Lost> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    write_first(&mut stream, &Hello { from: shared.identity.clone(), to }).await?;
    let mut rest = BytesMut::new();
    let first = read_first(&mut stream, &mut rest).await?;
    let answer: Result<(), Refusal> = hello::decode(&first).map_err(Lost::Refuse)?;
    answer.map_err(Lost::Refused)?;
    Ok((stream, rest))
}

fn frames(longest: usize) -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().max_frame_length(longest).new_codec()
}

async fn write_first<T: serde::Serialize>(stream: &mut TcpStream, content: &T) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    frames(hello::MOST).encode(Bytes::from(hello::encode(content)), &mut buffer)?;
    stream.write_all_buf(&mut buffer).await?;
    stream.flush().await
}

/// The first frame; what has come behind it stays in the buffer.
async fn read_first(stream: &mut TcpStream, buffer: &mut BytesMut) -> Result<Bytes, Lost> {
    let mut codec = frames(hello::MOST);
    loop {
        match codec.decode(buffer) {
            Ok(Some(frame)) => return Ok(frame.freeze()),
            Ok(None) => {}
            Err(_) => return Err(Lost::Oversized(hello::MOST)),
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(Lost::Half);
        }
    }
}

/// Carries frames both ways until the connection ends; says whether anything was heard.
async fn carry(
    stream: TcpStream,
    rest: BytesMut,
    peer: NodeId,
    outbox: &Outbox,
    shared: &Shared,
    close: impl Future<Output = ()>,
) -> (Lost, bool) {
    shared.stats.connections.add(1);
    let (read, write) = tokio::io::split(stream);
    let mut heard = false;
    let lost = tokio::select! {
        biased;
        () = close => Lost::GivenUp,
        lost = receive(read, rest, peer, shared, &mut heard) => lost,
        lost = transmit(write, outbox, shared) => lost,
    };
    outbox.written();
    (lost, heard)
}

async fn receive(
    mut read: impl AsyncRead + Unpin,
    mut buffer: BytesMut,
    peer: NodeId,
    shared: &Shared,
    heard: &mut bool,
) -> Lost {
    let longest = shared.limits.frame;
    let mut codec = frames(longest);
    let mut half = false;
    loop {
        half |= !buffer.is_empty();
        match codec.decode(&mut buffer) {
            Ok(Some(frame)) => {
                (half, *heard) = (false, true);
                if !frame.is_empty() && shared.inbox.send((peer, frame.freeze())).await.is_err() {
                    return Lost::GivenUp;
                }
                continue;
            }
            Ok(None) => {}
            Err(_) => return Lost::Oversized(longest),
        }
        buffer.reserve(READ);
        match timeout(shared.limits.silence, read.read_buf(&mut buffer)).await {
            Err(_) => return Lost::Silent(shared.limits.silence),
            Ok(Err(error)) => return error.into(),
            Ok(Ok(0)) if half => return Lost::Half,
            Ok(Ok(0)) => return Lost::Closed,
            Ok(Ok(_)) => {}
        }
    }
}

async fn transmit(mut write: impl AsyncWrite + Unpin, outbox: &Outbox, shared: &Shared) -> Lost {
    let silence = shared.limits.silence;
    let mut codec = frames(shared.limits.frame);
    let (mut waiting, mut buffer) = (VecDeque::new(), BytesMut::new());
    loop {
        // Nothing to say for a while: an empty frame says that we are here.
        if timeout(silence / 3, outbox.take(&mut waiting)).await.is_err() {
            waiting.push_back(Bytes::new());
        }
        for frame in waiting.drain(..) {
            if let Err(error) = codec.encode(frame, &mut buffer) {
                return error.into();
            }
        }
        let written = async {
            write.write_all_buf(&mut buffer).await?;
            write.flush().await
        };
        match timeout(silence, written).await {
            Err(_) => return Lost::Stalled(silence),
            Ok(Err(error)) => return error.into(),
            Ok(Ok(())) => outbox.written(),
        }
    }
}
