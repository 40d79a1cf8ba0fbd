//! Three verdicts, of which the worst wins.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// What a checker says of a run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The property holds.
    Holds,
    /// What was seen does not decide it, and why.
    Unknown(String),
    /// The property is broken.
    Violated(Anomaly),
}

/// A broken property. `checker`, `class` and `place` make its signature: they must not depend on
/// seed, time or node number, so that one bug has one signature.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Anomaly {
    /// Who found it: `commit`, `linearizable`, `progress`.
    pub checker: Cow<'static, str>,
    /// What kind it is: `AC1 agreement`, `lost update`.
    pub class: Cow<'static, str>,
    /// Where, as far as it tells bugs apart: `participant`. Often empty.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub place: Cow<'static, str>,
    /// What a person should read: which transaction, which nodes, which values.
    pub message: String,
}

impl Anomaly {
    /// An anomaly without a place.
    pub fn new(
        checker: impl Into<Cow<'static, str>>,
        class: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            checker: checker.into(),
            class: class.into(),
            place: Cow::Borrowed(""),
            message: message.into(),
        }
    }

    /// `checker / class`, and `/ place` where there is one.
    pub fn signature(&self) -> String {
        if self.place.is_empty() {
            format!("{} / {}", self.checker, self.class)
        } else {
            format!("{} / {} / {}", self.checker, self.class, self.place)
        }
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class, self.message)
    }
}

impl Verdict {
    /// A violation.
    pub fn violated(
        checker: impl Into<Cow<'static, str>>,
        class: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self::Violated(Anomaly::new(checker, class, message))
    }

    /// The worse of two: a violation wins over not knowing, which wins over holding. Of two equally
    /// bad ones the first is kept.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        if other.badness() > self.badness() { other } else { self }
    }

    /// As [`Verdict::and`], but `other` is only worked out while nothing is violated yet.
    #[must_use]
    pub fn and_then(self, other: impl FnOnce() -> Self) -> Self {
        if self.is_violated() { self } else { self.and(other()) }
    }

    /// Whether the property holds.
    pub fn holds(&self) -> bool {
        matches!(self, Self::Holds)
    }

    /// Whether the property is broken.
    pub fn is_violated(&self) -> bool {
        matches!(self, Self::Violated(_))
    }

    /// The anomaly, if any.
    pub fn anomaly(&self) -> Option<&Anomaly> {
        match self {
            Self::Violated(anomaly) => Some(anomaly),
            _ => None,
        }
    }

    fn badness(&self) -> u8 {
        match self {
            Self::Holds => 0,
            Self::Unknown(_) => 1,
            Self::Violated(_) => 2,
        }
    }
}

/// What a checker that is fed fact by fact says of each: nothing, or what the fact broke. Boxed,
/// because it travels with every fact and an anomaly is almost never there; `?` passes it on.
pub type Judged = Result<(), Box<Anomaly>>;

impl From<Judged> for Verdict {
    fn from(judged: Judged) -> Self {
        judged.map_or_else(|anomaly| Self::Violated(*anomaly), |()| Self::Holds)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds => f.write_str("HOLDS"),
            Self::Unknown(reason) => write!(f, "UNKNOWN   {reason}"),
            Self::Violated(anomaly) => write!(f, "VIOLATED   {anomaly}"),
        }
    }
}
