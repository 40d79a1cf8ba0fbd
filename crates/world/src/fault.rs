//! Faults as data: the kinds, where each one strikes, and what it does.

pub use crate::faults::Faults;
use node::{EffectKind, NodeId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

macro_rules! fault_kinds {
    ($($variant:ident $name:literal $doc:literal,)*) => {
        /// The kinds of faults: one list of names for cases, `--faults`, tables and reports.
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize,
        )]
        pub enum FaultKind { $(#[doc = $doc] #[serde(rename = $name)] $variant,)* }

        impl FaultKind {
            /// Every kind, in the order of tables.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in cases, flags and tables.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it does, in one line.
            pub const fn describe(self) -> &'static str {
                match self { $(Self::$variant => $doc,)* }
            }
        }
    };
}

fault_kinds! {
    Delay "delay" "a message takes much longer than usual",
    Loss "loss" "a message is lost",
    Duplicate "duplicate" "a message arrives twice",
    Reorder "reorder" "a message is overtaken by later ones",
    Corrupt "corrupt" "a message's bits flip: the codec must refuse it",
    Cut "cut" "a partition: some links carry nothing, one way or both ways",
    SlowLink "slow_link" "every message of one link takes longer for a while",
    Crash "crash" "a process ends; what it wrote stays; it starts again later",
    Restart "restart" "a process ends and starts again at once",
    CrashLoop "crash_loop" "a process ends again and again, each time soon after its start",
    Pause "pause" "a process stops for a while; its clocks go on",
    Retire "retire" "a node is lost for good",
    PowerLoss "power_loss" "nodes lose power: any of the unsynced suffix of their logs is gone",
    TornWrite "torn_write" "a power loss in the middle of a write: the torn record is refused",
    BitRot "bit_rot" "a read at start meets bad data: it is read again, or the node stays down",
    FailedSync "failed_sync" "a sync fails, which crashes the node",
    FullDisk "full_disk" "nothing more can be written until heal",
    SlowSync "slow_sync" "syncs take longer for a while",
    WallOffset "wall_offset" "a wall clock is off from the start",
    WallDrift "wall_drift" "a wall clock runs fast or slow",
    WallJump "wall_jump" "a wall clock jumps, forward or back",
    Rate "rate" "a monotonic clock runs fast or slow, within the scenario's bound",
    Retry "retry" "a client sends its request again after a time-out",
    DuplicateRequest "duplicate_request" "a client's request is sent twice",
    ClientCrash "client_crash" "a client ends in a call, whose outcome stays unknown",
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for FaultKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|kind| kind.name() == text);
        found.copied().ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|kind| kind.name()).collect();
            format!("unknown fault kind {text:?}: expected one of {}", names.join(", "))
        })
    }
}

/// What caused an event: the client operation, boot, fault or heal that its chain of messages and
/// timers goes back to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Origin {
    /// The call of that id.
    Call(u32),
    /// The first boot of a node, and its background timers.
    Boot(u16),
    /// The fault of that id: what follows from a restart.
    Fault(u32),
    /// The end of all faults.
    Heal,
}

impl Origin {
    /// As the dice know it.
    pub fn code(self) -> u64 {
        match self {
            Self::Call(id) => 1 << 32 | u64::from(id),
            Self::Boot(node) => 2 << 32 | u64::from(node),
            Self::Fault(id) => 3 << 32 | u64::from(id),
            Self::Heal => 4 << 32,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(id) => write!(f, "call {id}"),
            Self::Boot(node) => write!(f, "boot {node}"),
            Self::Fault(id) => write!(f, "fault {id}"),
            Self::Heal => f.write_str("heal"),
        }
    }
}

impl TryFrom<String> for Origin {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parsed = match text.split_once(' ') {
            None if text == "heal" => Some(Self::Heal),
            Some(("call", id)) => id.parse().ok().map(Self::Call),
            Some(("boot", node)) => node.parse().ok().map(Self::Boot),
            Some(("fault", id)) => id.parse().ok().map(Self::Fault),
            _ => None,
        };
        parsed.ok_or_else(|| {
            format!("origin {text:?}: expected \"call N\", \"boot N\", \"fault N\" or \"heal\"")
        })
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.to_string()
    }
}

/// A message, named by what it is and not by when it is sent: the `nth` (from 1) that `origin`
/// caused on the link. What another origin causes never changes it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// Sender.
    pub from: NodeId,
    /// Receiver.
    pub to: NodeId,
    /// What caused it.
    pub origin: Origin,
    /// Counted from 1.
    pub nth: u32,
}

/// Which side of an effect.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edge {
    /// The effect has not happened.
    Before,
    /// A force or a snapshot has been written and not synced. For other effects the same as
    /// `After`.
    During,
    /// The effect has happened.
    After,
}

/// Effects of one kind, or of one kind and variant: `any`, `Force`, `Send(Prepare)`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EffectPattern {
    /// The kind; every kind if absent.
    pub kind: Option<EffectKind>,
    /// The variant name of the record, message, timer or operation; any if absent.
    pub variant: Option<String>,
}

const EFFECT_KINDS: [EffectKind; 10] = [
    EffectKind::Persist,
    EffectKind::Force,
    EffectKind::Snapshot,
    EffectKind::Send,
    EffectKind::SetTimer,
    EffectKind::CancelTimer,
    EffectKind::Reply,
    EffectKind::Invoke,
    EffectKind::Complete,
    EffectKind::Mark,
];

impl fmt::Display for EffectPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.kind, &self.variant) {
            (None, _) => f.write_str("any"),
            (Some(kind), None) => write!(f, "{kind:?}"),
            (Some(kind), Some(variant)) => write!(f, "{kind:?}({variant})"),
        }
    }
}

impl TryFrom<String> for EffectPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "any" {
            return Ok(Self { kind: None, variant: None });
        }
        let (name, variant) = match text.split_once('(') {
            None => (text.as_str(), None),
            Some((name, rest)) => (name, rest.strip_suffix(')')),
        };
        let kind = EFFECT_KINDS.into_iter().find(|kind| format!("{kind:?}") == name);
        match kind {
            Some(_) if text.contains('(') == variant.is_some() => {
                Ok(Self { kind, variant: variant.map(str::to_owned) })
            }
            _ => Err(format!(
                "effect {text:?}: expected \"any\", \"Force\", \"Send(Prepare)\" or the like"
            )),
        }
    }
}

impl From<EffectPattern> for String {
    fn from(pattern: EffectPattern) -> Self {
        pattern.to_string()
    }
}

/// Where a fault strikes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Place {
    /// At a virtual time.
    At(#[serde(with = "humantime_serde")] Duration),
    /// At the `nth` (from 1) effect of a node that fits.
    Effect {
        /// Before, during or after it.
        edge: Edge,
        /// Whose effect.
        node: NodeId,
        /// Which effects count.
        effect: EffectPattern,
        /// Only those with this origin, if one is given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        origin: Option<Origin>,
        /// Counted from 1.
        nth: u32,
    },
    /// On one message.
    Message(Address),
    /// On the client's call of that id.
    Call(u32),
}

/// Which links of a group of nodes a cut silences.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Both ways.
    Both,
    /// Into the group only.
    Into,
    /// Out of the group only.
    OutOf,
}

/// What a failed sync leaves behind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncFailure {
    /// What was not synced is gone.
    Lost,
    /// It reached the disk all the same.
    Kept,
    /// It is read back after the crash and gone after the next power loss, unless it is written
    /// again, which this engine does at every boot.
    Vanishing,
}

/// What a fault does.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Kind {
    /// See [`FaultKind::Loss`].
    Loss,
    /// See [`FaultKind::Corrupt`].
    Corrupt,
    /// See [`FaultKind::Duplicate`].
    Duplicate {
        /// The copy's whole way takes this long: it may overtake the original.
        #[serde(with = "humantime_serde")]
        takes: Duration,
    },
    /// See [`FaultKind::Delay`].
    Delay {
        /// So much longer than drawn.
        #[serde(with = "humantime_serde")]
        by: Duration,
    },
    /// See [`FaultKind::Reorder`].
    Reorder {
        /// So much longer than drawn.
        #[serde(with = "humantime_serde")]
        by: Duration,
    },
    /// See [`FaultKind::Cut`].
    Cut {
        /// One side: nodes, and clients too. All others are on the other one.
        nodes: Vec<NodeId>,
        /// Which way.
        direction: Direction,
        /// How long.
        #[serde(with = "humantime_serde")]
        lasts: Duration,
    },
    /// See [`FaultKind::SlowLink`].
    SlowLink {
        /// Sender.
        from: NodeId,
        /// Receiver.
        to: NodeId,
        /// So much longer.
        #[serde(with = "humantime_serde")]
        by: Duration,
        /// How long.
        #[serde(with = "humantime_serde")]
        lasts: Duration,
    },
    /// See [`FaultKind::Crash`].
    Crash {
        /// Whose process.
        node: NodeId,
        /// Until it starts again.
        #[serde(with = "humantime_serde")]
        down: Duration,
    },
    /// See [`FaultKind::Restart`].
    Restart {
        /// Whose process.
        node: NodeId,
    },
    /// See [`FaultKind::CrashLoop`].
    CrashLoop {
        /// Whose process.
        node: NodeId,
        /// How often.
        times: u32,
        /// How long it is down, and up, each time.
        #[serde(with = "humantime_serde")]
        every: Duration,
    },
    /// See [`FaultKind::Pause`].
    Pause {
        /// Whose process.
        node: NodeId,
        /// How long.
        #[serde(with = "humantime_serde")]
        lasts: Duration,
    },
    /// See [`FaultKind::Retire`].
    Retire {
        /// Which node.
        node: NodeId,
    },
    /// See [`FaultKind::PowerLoss`].
    PowerLoss {
        /// All that lose power at once.
        nodes: Vec<NodeId>,
        /// Until they start again.
        #[serde(with = "humantime_serde")]
        down: Duration,
    },
    /// See [`FaultKind::TornWrite`].
    TornWrite {
        /// Which node.
        node: NodeId,
        /// Until it starts again.
        #[serde(with = "humantime_serde")]
        down: Duration,
    },
    /// See [`FaultKind::BitRot`].
    BitRot {
        /// Whose disk.
        node: NodeId,
        /// The node finds it at start and stays down for good.
        permanent: bool,
    },
    /// See [`FaultKind::FailedSync`].
    FailedSync {
        /// Whose disk: its next sync fails.
        node: NodeId,
        /// What is left.
        leaves: SyncFailure,
        /// Until it starts again.
        #[serde(with = "humantime_serde")]
        down: Duration,
    },
    /// See [`FaultKind::FullDisk`].
    FullDisk {
        /// Whose disk.
        node: NodeId,
    },
    /// See [`FaultKind::SlowSync`].
    SlowSync {
        /// Whose disk.
        node: NodeId,
        /// So much longer.
        #[serde(with = "humantime_serde")]
        by: Duration,
        /// How long.
        #[serde(with = "humantime_serde")]
        lasts: Duration,
    },
    /// See [`FaultKind::WallOffset`].
    WallOffset {
        /// Whose clock.
        node: NodeId,
        /// Milliseconds; negative: behind.
        millis: i64,
    },
    /// See [`FaultKind::WallDrift`].
    WallDrift {
        /// Whose clock.
        node: NodeId,
        /// Parts per million; negative: slow.
        ppm: i64,
    },
    /// See [`FaultKind::WallJump`].
    WallJump {
        /// Whose clock.
        node: NodeId,
        /// Milliseconds; negative: back.
        millis: i64,
    },
    /// See [`FaultKind::Rate`].
    Rate {
        /// Whose clock; for the whole run.
        node: NodeId,
        /// Parts per million; negative: slow.
        ppm: i64,
    },
    /// See [`FaultKind::Retry`].
    Retry {
        /// After the first attempt.
        #[serde(with = "humantime_serde")]
        after: Duration,
    },
    /// See [`FaultKind::DuplicateRequest`].
    DuplicateRequest {
        /// After the first copy.
        #[serde(with = "humantime_serde")]
        after: Duration,
    },
    /// See [`FaultKind::ClientCrash`].
    ClientCrash {
        /// After the call began.
        #[serde(with = "humantime_serde")]
        after: Duration,
    },
}

impl Kind {
    /// Its kind.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Loss => FaultKind::Loss,
            Self::Corrupt => FaultKind::Corrupt,
            Self::Duplicate { .. } => FaultKind::Duplicate,
            Self::Delay { .. } => FaultKind::Delay,
            Self::Reorder { .. } => FaultKind::Reorder,
            Self::Cut { .. } => FaultKind::Cut,
            Self::SlowLink { .. } => FaultKind::SlowLink,
            Self::Crash { .. } => FaultKind::Crash,
            Self::Restart { .. } => FaultKind::Restart,
            Self::CrashLoop { .. } => FaultKind::CrashLoop,
            Self::Pause { .. } => FaultKind::Pause,
            Self::Retire { .. } => FaultKind::Retire,
            Self::PowerLoss { .. } => FaultKind::PowerLoss,
            Self::TornWrite { .. } => FaultKind::TornWrite,
            Self::BitRot { .. } => FaultKind::BitRot,
            Self::FailedSync { .. } => FaultKind::FailedSync,
            Self::FullDisk { .. } => FaultKind::FullDisk,
            Self::SlowSync { .. } => FaultKind::SlowSync,
            Self::WallOffset { .. } => FaultKind::WallOffset,
            Self::WallDrift { .. } => FaultKind::WallDrift,
            Self::WallJump { .. } => FaultKind::WallJump,
            Self::Rate { .. } => FaultKind::Rate,
            Self::Retry { .. } => FaultKind::Retry,
            Self::DuplicateRequest { .. } => FaultKind::DuplicateRequest,
            Self::ClientCrash { .. } => FaultKind::ClientCrash,
        }
    }

    /// The nodes that it strikes, for whoever renumbers them.
    pub fn nodes_mut(&mut self) -> Vec<&mut NodeId> {
        match self {
            Self::Loss
            | Self::Corrupt
            | Self::Duplicate { .. }
            | Self::Delay { .. }
            | Self::Reorder { .. }
            | Self::Retry { .. }
            | Self::DuplicateRequest { .. }
            | Self::ClientCrash { .. } => Vec::new(),
            Self::Cut { nodes, .. } | Self::PowerLoss { nodes, .. } => nodes.iter_mut().collect(),
            Self::SlowLink { from, to, .. } => vec![from, to],
            Self::Crash { node, .. }
            | Self::Restart { node }
            | Self::CrashLoop { node, .. }
            | Self::Pause { node, .. }
            | Self::Retire { node }
            | Self::TornWrite { node, .. }
            | Self::BitRot { node, .. }
            | Self::FailedSync { node, .. }
            | Self::FullDisk { node }
            | Self::SlowSync { node, .. }
            | Self::WallOffset { node, .. }
            | Self::WallDrift { node, .. }
            | Self::WallJump { node, .. }
            | Self::Rate { node, .. } => vec![node],
        }
    }
}

/// One fault of a plan. Its id is its own: removing another fault does not change it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Unique in its plan.
    pub id: u32,
    /// Where it strikes.
    pub place: Place,
    /// What it does.
    pub kind: Kind,
}
