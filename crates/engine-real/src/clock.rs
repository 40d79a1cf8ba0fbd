//! The machine's clocks, counted from the start of a run: every process of a run shows the same.

use shell::{Clock, SystemClock};
use std::time::Duration;

/// The machine's monotonic clock less a start, and its wall clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunClock {
    start: Duration,
}

impl RunClock {
    /// That which begins now.
    pub(crate) fn begin() -> Self {
        Self { start: SystemClock.now() }
    }

    /// That which began at a moment of the monotonic clock, in nanoseconds.
    pub(crate) fn since(start: u64) -> Self {
        Self { start: Duration::from_nanos(start) }
    }

    /// Its start on the machine's monotonic clock.
    pub(crate) fn start(&self) -> Duration {
        self.start
    }
}

impl Clock for RunClock {
    fn now(&self) -> Duration {
        SystemClock.now().saturating_sub(self.start)
    }

    fn wall(&self) -> Duration {
        SystemClock.wall()
    }

    async fn sleep_until(&self, at: Duration) {
        SystemClock.sleep_until(self.start.saturating_add(at)).await;
    }
}
