//! What runs are measured by, beside their verdicts: samples in virtual time, and a histogram of
//! each kind over a campaign.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// What a sample counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Unit {
    /// Nanoseconds of virtual time; of real time on the real engine.
    Nanoseconds,
    /// So many in a second of that time.
    PerSecond,
}

/// One measured value.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// Of what: a metric's name, such as `lock_hold`.
    pub metric: Cow<'static, str>,
    /// In what.
    pub unit: Unit,
    /// How much.
    pub value: u64,
}

impl Sample {
    /// How long something took.
    pub fn time(metric: &'static str, took: Duration) -> Self {
        let value = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        Self { metric: metric.into(), unit: Unit::Nanoseconds, value }
    }

    /// How many there were in a second; `None` if no time passed.
    pub fn per_second(metric: &'static str, count: u64, within: Duration) -> Option<Self> {
        let rate = (u128::from(count) * 1_000_000_000).checked_div(within.as_nanos())?;
        let value = u64::try_from(rate).unwrap_or(u64::MAX);
        Some(Self { metric: metric.into(), unit: Unit::PerSecond, value })
    }
}

/// The samples of one metric, to two significant digits. Which came first makes no difference.
#[derive(Clone, Debug)]
pub struct Metric {
    /// What they count.
    pub unit: Unit,
    histogram: Histogram<u64>,
}

/// The most that is told apart: samples above it count as this much.
const MOST: u64 = u64::MAX / 2;

impl Metric {
    pub(crate) fn new(unit: Unit) -> Self {
        Self { unit, histogram: Histogram::new(2).expect("from 0 to 5 digits are allowed") }
    }

    pub(crate) fn record(&mut self, value: u64) {
        self.histogram.record(value.min(MOST)).expect("it grows as it needs to");
    }

    pub(crate) fn append(&mut self, other: &Self) {
        self.histogram.add(&other.histogram).expect("it grows as it needs to");
    }

    /// How many samples there are.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// What so many percent of the samples do not exceed.
    pub fn percentile(&self, percent: u8) -> u64 {
        self.histogram.value_at_percentile(percent.into())
    }

    /// The largest.
    pub fn max(&self) -> u64 {
        self.histogram.max()
    }

    /// A value of this metric as a person reads it: to two digits, as it is kept.
    pub fn show(&self, value: u64) -> String {
        let step = 10u64.pow(value.max(1).ilog10().saturating_sub(1));
        let rounded = value.saturating_add(step / 2) / step * step;
        match self.unit {
            Unit::Nanoseconds => format!("{:?}", Duration::from_nanos(rounded)),
            Unit::PerSecond => format!("{rounded}/s"),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} samples", self.count())?;
        for percent in [50, 90, 99] {
            write!(f, ", p{percent} {}", self.show(self.percentile(percent)))?;
        }
        write!(f, ", max {}", self.show(self.max()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = u64>) -> Metric {
        let mut metric = Metric::new(Unit::Nanoseconds);
        values.into_iter().for_each(|value| metric.record(value));
        metric
    }

    #[test]
    fn a_metric_is_the_same_in_whatever_order_its_parts_come() {
        let (low, high) = (of(0..500), of(500..1_000));
        let (mut one, mut other) = (low.clone(), high.clone());
        one.append(&high);
        other.append(&low);
        let told = "1000 samples, p50 500ns, p90 900ns, p99 990ns, max 1µs";
        assert_eq!(one.to_string(), told);
        assert_eq!(other.to_string(), told);
        assert_eq!(of(0..1_000).to_string(), told);
    }

    #[test]
    fn no_sample_is_too_large_and_none_is_lost() {
        let metric = of([0, u64::MAX]);
        assert_eq!(metric.count(), 2);
        assert!(metric.max() >= MOST / 100 * 99);
        assert!(!metric.show(u64::MAX).is_empty());
        assert_eq!(Metric::new(Unit::PerSecond).max(), 0);
    }

    #[test]
    fn rates_are_counts_in_a_second() {
        let rate = |count, millis| {
            Sample::per_second("ops", count, Duration::from_millis(millis)).map(|s| s.value)
        };
        assert_eq!(rate(3, 500), Some(6));
        assert_eq!(rate(3, 0), None);
        assert_eq!(rate(u64::MAX, 1), Some(u64::MAX));
    }
}
