//! The machine's clocks.

use crate::clock::Clock;
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::time::Duration;

/// The machine's monotonic and wall clocks. The monotonic one counts from the machine's start, so
/// it goes on when the process starts again, and begins anew when the machine does.
#[derive(Clone, Copy, Default, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        duration(clock_gettime(ClockId::Monotonic))
    }

    fn wall(&self) -> Duration {
        duration(clock_gettime(ClockId::Realtime))
    }

    async fn sleep_until(&self, at: Duration) {
        loop {
            let left = at.saturating_sub(self.now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }
}

/// Times before 1970 count as 1970.
fn duration(time: Timespec) -> Duration {
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    u64::try_from(time.tv_sec).map_or(Duration::ZERO, |secs| Duration::new(secs, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_clock_goes_on_and_sleeps_are_never_short() {
        let clock = SystemClock;
        let at = clock.now() + Duration::from_micros(1500);
        clock.sleep_until(at).await;
        assert!(clock.now() >= at);
        clock.sleep_until(at).await;
        let year_2024 = Duration::from_secs(1_704_067_200);
        assert!(clock.wall() > year_2024, "the wall clock counts from 1970");
    }
}
