//! A proxy on every way from one machine to another: it takes the connections that the one makes,
//! makes the same to the other, and passes frames on as the [`Links`] say.
//!
//! A connection carries two links, one each way. It breaks, as any connection does, as a whole.

use crate::links::{Fate, Links};
use bytes::{Bytes, BytesMut};
use node::NodeId;
use shell::Clock as _;
use shell::tcp::Limits;
use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::codec::{Decoder as _, Encoder as _, LengthDelimitedCodec};

/// Frames that are under way on one link at most: behind them their sender waits.
const UNDER_WAY: usize = 4096;

/// One machine's way to another.
#[derive(Clone)]
pub(crate) struct Proxy {
    links: Links,
    from: NodeId,
    to: NodeId,
}

impl Proxy {
    pub(crate) fn new(links: &Links, from: NodeId, to: NodeId) -> Self {
        Self { links: links.clone(), from, to }
    }

    /// Takes connections from now on, at the address that it answers with, until it is dropped
    /// with the `LocalSet` in which it runs.
    pub(crate) async fn listen(self) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        tokio::task::spawn_local(self.accept(listener));
        Ok(address)
    }

    async fn accept(self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                taken = listener.accept() => match taken {
                    Ok((stream, _)) => {
                        connections.spawn_local(self.clone().connect(stream));
                    }
                    Err(_) => tokio::time::sleep(REST).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }

    /// One connection, from its begin to its end. Where nobody can be called, it ends at once.
    async fn connect(self, near: TcpStream) {
        let Some(address) = self.links.address(self.to) else { return };
        let Ok(far) = TcpStream::connect(address).await else { return };
        if near.set_nodelay(true).and_then(|()| far.set_nodelay(true)).is_err() {
            return;
        }
        let (near_read, near_write) = near.into_split();
        let (far_read, far_write) = far.into_split();
        let there = self.carry(near_read, far_write, self.from, self.to);
        let back = self.carry(far_read, near_write, self.to, self.from);
        tokio::select! {
            () = there => {}
            () = back => {}
        }
    }

    /// Passes frames on, one way, until that way ends.
    async fn carry(
        &self,
        read: impl AsyncRead + Unpin,
        write: impl AsyncWrite + Unpin,
        from: NodeId,
        to: NodeId,
    ) {
        let (sender, receiver) = mpsc::channel(UNDER_WAY);
        let way = Way { links: &self.links, from, to, pending: Cell::new(0) };
        // What has been read is still delivered when there is nothing more to read.
        let ((), ()) = tokio::join!(way.take(read, sender), way.give(write, receiver));
    }
}

/// How long accepting rests when the system has no sockets left.
const REST: Duration = Duration::from_millis(20);

/// A frame under way.
struct Passing {
    due: Duration,
    frame: Bytes,
    bare: bool,
    fate: Fate,
}

/// One direction of one connection.
struct Way<'a> {
    links: &'a Links,
    from: NodeId,
    to: NodeId,
    /// Frames that have left and not arrived.
    pending: Cell<usize>,
}

impl Drop for Way<'_> {
    fn drop(&mut self) {
        self.links.gone(self.pending.get());
    }
}

impl Way<'_> {
    async fn take(&self, mut read: impl AsyncRead + Unpin, frames: mpsc::Sender<Passing>) {
        let (mut codec, mut buffer) = (codec(), BytesMut::new());
        let (mut due, mut first) = (Duration::ZERO, true);
        loop {
            while let Ok(Some(frame)) = codec.decode(&mut buffer) {
                let bare = first || frame.is_empty();
                first = false;
                let fate = self.links.leave(self.from, self.to, bare);
                self.pending.set(self.pending.get() + 1);
                // In order: who is late holds up all behind.
                due = due.max(self.links.clock.now() + fate.takes);
                let passing = Passing { due, frame: frame.freeze(), bare, fate };
                if frames.send(passing).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                () = frames.closed() => return,
                read = read.read_buf(&mut buffer) => match read {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                },
            }
        }
    }

    async fn give(&self, mut write: impl AsyncWrite + Unpin, mut frames: mpsc::Receiver<Passing>) {
        let (mut codec, mut buffer) = (codec(), BytesMut::new());
        let mut first = true;
        while let Some(Passing { due, frame, bare, fate }) = frames.recv().await {
            self.links.clock.sleep_until(due).await;
            self.pending.set(self.pending.get() - 1);
            let passes = self.links.arrive(self.from, self.to, bare, fate);
            let brings_about = std::mem::take(&mut first);
            match passes {
                // A connection does not come about over a link that is cut.
                false if brings_about => return,
                false => continue,
                true if fate.lost => return,
                true => {}
            }
            let frame = if fate.corrupt { flipped(&frame) } else { frame };
            let copies = if fate.twice { 2 } else { 1 };
            for _ in 0..copies {
                if codec.encode(frame.clone(), &mut buffer).is_err() {
                    return;
                }
            }
            if write.write_all_buf(&mut buffer).await.is_err() {
                return;
            }
        }
    }
}

/// The shell's framing.
fn codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().max_frame_length(Limits::default().frame).new_codec()
}

/// The same bytes, but for one bit in the middle.
fn flipped(frame: &Bytes) -> Bytes {
    let mut bytes = BytesMut::from(&frame[..]);
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    bytes.freeze()
}
