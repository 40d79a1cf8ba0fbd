//! A node's own clocks.

use std::future::Future;
use std::time::Duration;

/// A node's monotonic clock, its wall clock, and a way to wait.
pub trait Clock {
    /// The monotonic clock. It goes on through crashes and pauses of the node, at a rate of its
    /// own; where it starts means nothing.
    fn now(&self) -> Duration;

    /// The wall clock, since the Unix epoch: it may be off, drift and jump, also back.
    fn wall(&self) -> Duration;

    /// Waits until the monotonic clock shows at least `at`. Cancel-safe.
    fn sleep_until(&self, at: Duration) -> impl Future<Output = ()>;
}
