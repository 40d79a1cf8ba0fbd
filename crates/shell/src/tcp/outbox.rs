//! Frames that wait for a connection: bounded, and the oldest go first when there are too many.

use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

#[derive(Default)]
struct Queue {
    frames: VecDeque<Bytes>,
    bytes: usize,
    /// Frames that are in nobody's hands: neither here nor being written.
    writing: bool,
}

/// What is to be sent to one machine.
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    filled: Notify,
    emptied: Notify,
    frames: usize,
    bytes: usize,
}

impl Outbox {
    /// At most so many frames, of so many bytes together.
    pub(crate) fn new(frames: usize, bytes: usize) -> Self {
        Self {
            queue: Mutex::default(),
            filled: Notify::new(),
            emptied: Notify::new(),
            frames,
            bytes,
        }
    }

    /// Adds a frame; says how many older ones had to go.
    pub(crate) fn push(&self, frame: Bytes) -> u64 {
        let mut queue = self.lock();
        queue.bytes += frame.len();
        queue.frames.push_back(frame);
        let mut lost = 0;
        while queue.frames.len() > self.frames || queue.bytes > self.bytes {
            let Some(oldest) = queue.frames.pop_front() else { break };
            queue.bytes -= oldest.len();
            lost += 1;
        }
        drop(queue);
        self.filled.notify_one();
        lost
    }

    /// Waits for frames, and takes them all. Until [`written`](Self::written) they count as under
    /// way. Cancel-safe.
    pub(crate) async fn take(&self, frames: &mut VecDeque<Bytes>) {
        loop {
            {
                let mut queue = self.lock();
                if !queue.frames.is_empty() {
                    std::mem::swap(frames, &mut queue.frames);
                    (queue.bytes, queue.writing) = (0, true);
                    return;
                }
            }
            self.filled.notified().await;
        }
    }

    /// What was taken has been written, or is lost.
    pub(crate) fn written(&self) {
        self.lock().writing = false;
        self.emptied.notify_waiters();
    }

    /// Waits until there is nothing to send.
    pub(crate) async fn emptied(&self) {
        loop {
            let emptied = self.emptied.notified();
            {
                let queue = self.lock();
                if queue.frames.is_empty() && !queue.writing {
                    return;
                }
            }
            emptied.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
