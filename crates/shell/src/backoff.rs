//! Pauses between attempts: each twice as long as the last, up to a bound, with jitter.

use node::Dice;
use std::time::Duration;

/// How long to wait between attempts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    /// Before the second attempt.
    pub first: Duration,
    /// At most.
    pub most: Duration,
}

impl Backoff {
    /// The pause after so many attempts, counted from 1: between a half and all of
    /// `first · 2ⁿ⁻¹`, so that those who failed together do not come back together.
    pub fn pause(&self, attempts: u32, dice: &mut Dice) -> Duration {
        let doubled = 1u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
        let whole = self.first.saturating_mul(doubled).min(self.most);
        let half = u64::try_from(whole.as_nanos() / 2).unwrap_or(u64::MAX);
        whole - Duration::from_nanos(half) + Duration::from_nanos(dice.below(half))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_bound_and_differ() {
        let backoff = Backoff { first: Duration::from_millis(10), most: Duration::from_secs(1) };
        let mut dice = Dice::new(7);
        for (attempts, whole) in
            [(1, 10), (2, 20), (4, 80), (8, 1000), (33, 1000), (u32::MAX, 1000)]
        {
            let whole = Duration::from_millis(whole);
            let pauses: Vec<_> = (0..20).map(|_| backoff.pause(attempts, &mut dice)).collect();
            assert!(
                pauses.iter().all(|pause| *pause >= whole / 2 && *pause <= whole),
                "{pauses:?}"
            );
            assert!(pauses.windows(2).any(|pair| pair[0] != pair[1]));
        }
        let none = Backoff { first: Duration::ZERO, most: Duration::MAX };
        assert_eq!(none.pause(3, &mut dice), Duration::ZERO);
    }
}
