//! A node's clocks: a monotonic one with its own rate, and a wall clock that nobody can trust.

/// Where wall clocks start: 2026-01-01T00:00:00Z, in nanoseconds.
const EPOCH: u64 = 1_767_225_600_000_000_000;
const MILLION: i128 = 1_000_000;

/// The clocks of one node. Rates are parts per million off true time.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// The monotonic clock's.
    pub rate_ppm: i64,
    /// The wall clock's.
    pub wall_ppm: i64,
    /// How far the wall clock is off besides.
    pub wall_offset_nanos: i64,
}

impl Clock {
    /// The monotonic clock at the virtual time `now`; both in nanoseconds.
    #[inline]
    pub fn local(&self, now: u64) -> u64 {
        if self.rate_ppm == 0 { now } else { scale(now, self.rate_ppm) }
    }

    /// The virtual time at which the monotonic clock first shows at least `local`.
    #[inline]
    pub fn global(&self, local: u64) -> u64 {
        if self.rate_ppm == 0 {
            return local;
        }
        let rate = MILLION + i128::from(self.rate_ppm);
        ((i128::from(local) * MILLION + rate - 1) / rate).min(u64::MAX.into()) as u64
    }

    /// The wall clock at the virtual time `now`, since the Unix epoch.
    #[inline]
    pub fn wall(&self, now: u64) -> u64 {
        let since = if self.wall_ppm == 0 { now } else { scale(now, self.wall_ppm) };
        (EPOCH + since).saturating_add_signed(self.wall_offset_nanos)
    }
}

fn scale(now: u64, ppm: i64) -> u64 {
    (i128::from(now) * (MILLION + i128::from(ppm)) / MILLION) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_and_global_are_inverse() {
        for ppm in [-900_000, -50_000, -1, 0, 1, 50_000, 900_000] {
            let clock = Clock { rate_ppm: ppm, ..Clock::default() };
            for local in [0, 1, 999, 1_000_000, 123_456_789_012] {
                let global = clock.global(local);
                assert!(clock.local(global) >= local);
                assert!(global == 0 || clock.local(global - 1) < local || ppm > 0);
            }
        }
    }

    #[test]
    fn a_slow_clock_shows_less() {
        let slow = Clock { rate_ppm: -100_000, ..Clock::default() };
        assert_eq!(slow.local(1_000_000), 900_000);
        assert_eq!(slow.global(900_000), 1_000_000);
    }
}
