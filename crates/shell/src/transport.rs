//! What stands between the shell and the wire.

use bytes::Bytes;
use node::NodeId;
use std::future::Future;

/// Carries frames between machines: TCP, or a simulated network.
///
/// A frame arrives whole or not at all. It may arrive late, twice, out of order, and at a later
/// life of the node that it was meant for.
pub trait Transport {
    /// Sends a frame on its way. It never waits and never fails: a frame that cannot travel is
    /// lost in silence, as on any network.
    fn send(&mut self, to: NodeId, frame: Bytes);

    /// The next frame that has arrived, and who sent it. Cancel-safe: a call that is dropped
    /// before it answers has taken nothing. Frames that nobody asks for wait; a transport bounds
    /// how many.
    fn recv(&mut self) -> impl Future<Output = (NodeId, Bytes)>;

    /// A frame from this machine meant nothing: whatever carried it is not to be believed. A
    /// transport that keeps connections ends the one it came on.
    fn distrust(&mut self, from: NodeId) {
        let _ = from;
    }

    /// The node stops for good: what was sent gets a last chance to leave, for a bounded time.
    fn close(&mut self) -> impl Future<Output = ()> {
        std::future::ready(())
    }
}
