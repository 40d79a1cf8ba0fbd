//! What a process tells of its life, so that the engine can live it again.
//!
//! A node is a function of what it is told. So it is enough to write down every event with the
//! clocks that its handler saw, and every effect when it has happened: [`replay`](crate::replay)
//! makes the same node of it, state and log and all, at every moment of the run. An entry is with
//! the system before the next effect begins, so that SIGKILL takes none that anybody could have
//! seen something of.

use crate::clock::RunClock;
use node::{Context, Effect, EffectKind, Incarnation, Node, NodeId, RequestId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shell::{Clock, Edge, Event, Observer};
use std::fs::File;
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::panic::Location;
use std::path::Path;
use std::time::Duration;

/// What a node is told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Told<Op, Msg, Timer, Record> {
    /// Its life begins with this log.
    Start(Incarnation, Vec<Record>),
    /// A client asks.
    Request(RequestId, Op),
    /// A node says something.
    Message(NodeId, Msg),
    /// A timer has run out.
    Timer(Timer),
}

/// What node `N` is told.
pub(crate) type ToldTo<N> =
    Told<<N as Node>::Op, <N as Node>::Msg, <N as Node>::Timer, <N as Node>::Record>;

/// A line of a journal. Times are nanoseconds of the run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Entry<T> {
    /// A handler has run.
    Told {
        /// Its monotonic clock.
        at: u64,
        /// Its wall clock.
        wall: u64,
        /// What it was told.
        told: T,
    },
    /// The next of its effects has happened.
    Done {
        /// When it had.
        at: u64,
        /// What it was: the replay must come to the same.
        kind: EffectKind,
    },
}

impl<T> Entry<T> {
    pub(crate) fn at(&self) -> u64 {
        match self {
            Self::Told { at, .. } | Self::Done { at, .. } => *at,
        }
    }
}

/// Writes the journal of one life. Without a file it writes nothing.
pub(crate) struct Journal<N: Node> {
    file: Option<File>,
    clock: RunClock,
    told: Option<ToldTo<N>>,
    buffer: Vec<u8>,
}

impl<N: Node> Journal<N> {
    /// A new file, or none.
    pub(crate) fn create(path: Option<&Path>, clock: RunClock) -> io::Result<Self> {
        let file = path.map(File::create_new).transpose()?;
        Ok(Self { file, clock, told: None, buffer: Vec::new() })
    }

    /// An engine that does not hear everything would judge something else than what happened: a
    /// process that cannot write its journal ends.
    fn write(&mut self, entry: &Entry<&ToldTo<N>>) -> ControlFlow<()> {
        let Some(file) = &mut self.file else { return ControlFlow::Continue(()) };
        self.buffer.clear();
        self.buffer.extend_from_slice(&[0; 4]);
        codec::encode_into(entry, &mut self.buffer);
        let length = (self.buffer.len() - 4) as u32;
        self.buffer[..4].copy_from_slice(&length.to_le_bytes());
        match file.write_all(&self.buffer) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

impl<N: Node> Observer<N> for Journal<N> {
    fn booted(&mut self, incarnation: Incarnation, log: &[N::Record]) {
        if self.file.is_some() {
            self.told = Some(Told::Start(incarnation, log.to_vec()));
        }
    }

    fn event(&mut self, event: &Event<N>) {
        if self.file.is_some() {
            self.told = Some(match event.clone() {
                Event::Request(request, op) => Told::Request(request, op),
                Event::Message(from, msg) => Told::Message(from, msg),
                Event::Timer(timer) => Told::Timer(timer),
            });
        }
    }

    fn handled(&mut self, _: &N, context: &Context) {
        if let Some(told) = self.told.take() {
            let (at, wall) = (context.now_nanos, context.wall_nanos);
            // A failed write shows at the next effect, and a handler without one changes nothing
            // that anybody else sees.
            let _ = self.write(&Entry::Told { at, wall, told: &told });
        }
    }

    async fn effect(
        &mut self,
        edge: Edge,
        effect: &Effect<N>,
        _: &'static Location<'static>,
    ) -> ControlFlow<()> {
        if edge != Edge::After || self.file.is_none() {
            return ControlFlow::Continue(());
        }
        let at = nanos(self.clock.now());
        self.write(&Entry::Done { at, kind: effect.kind() })
    }
}

/// Every whole entry of a journal. What was being written when the process was killed is not.
///
/// # Errors
/// When an entry means nothing: a bug of ours.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<Vec<Entry<T>>, codec::Error> {
    let mut entries = Vec::new();
    let mut rest = bytes;
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let Some(entry) = behind.get(..u32::from_le_bytes(*length) as usize) else { break };
        entries.push(codec::decode(entry)?);
        rest = &behind[entry.len()..];
    }
    Ok(entries)
}

/// In whole nanoseconds, as far as they go: 584 years.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
