//! The case: one fully spelled-out attempt, as data. It is the evidence; a seed is only its index.

use crate::Mutant;
use crate::fault::{Fault, FaultKind, Faults, Kind, Place};
use node::{Node, NodeId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The version of the case format that this code writes, and the only one that it reads.
pub const CASE_VERSION: u32 = 1;

/// The most nodes, clients' machines apart, that a case may have.
pub const MAX_NODES: usize = 64;

/// The most clients that a case may have: links are counted in pairs of machines.
pub const MAX_CLIENTS: u16 = 1000;

/// The number that fixes every draw of a run. Written in hexadecimal: `0x29`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Seed(pub u64);

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl FromStr for Seed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
        let parsed = match digits {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => text.parse(),
        };
        parsed.map(Self).map_err(|_| {
            format!("seed {text:?}: expected a number from 0x0 to {:#x}, such as 0x29", u64::MAX)
        })
    }
}

impl TryFrom<String> for Seed {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Seed> for String {
    fn from(seed: Seed) -> Self {
        seed.to_string()
    }
}

/// What links are made of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Each message for itself: it may be lost, duplicated and overtaken.
    #[default]
    Datagram,
    /// Connections: in order, no duplicates; a break loses a suffix.
    Stream,
}

/// The network: how long messages take, and how often (per mille) fate strikes one.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Datagrams or streams.
    pub profile: Profile,
    /// The shortest way.
    #[serde(with = "humantime_serde")]
    pub fastest: Duration,
    /// The longest way, fate apart.
    #[serde(with = "humantime_serde")]
    pub slowest: Duration,
    /// The most that a `delay` fate adds; a `reorder` fate adds up to a tenth of it.
    #[serde(with = "humantime_serde")]
    pub tail: Duration,
    /// Per mille of messages.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub loss: u16,
    /// Per mille of messages.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub duplicate: u16,
    /// Per mille of messages.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub delay: u16,
    /// Per mille of messages.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reorder: u16,
    /// Per mille of messages.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub corrupt: u16,
}

fn is_zero(n: &u16) -> bool {
    *n == 0
}

impl Default for Network {
    /// Datagrams that take 1 to 5 ms; nothing happens to any.
    fn default() -> Self {
        Self {
            profile: Profile::Datagram,
            fastest: Duration::from_millis(1),
            slowest: Duration::from_millis(5),
            tail: Duration::from_millis(500),
            loss: 0,
            duplicate: 0,
            delay: 0,
            reorder: 0,
            corrupt: 0,
        }
    }
}

impl Network {
    /// The kinds whose fates are drawn at random.
    pub fn fates(&self) -> Faults {
        let mut kinds = Faults::NONE;
        for (chance, kind) in [
            (self.loss, FaultKind::Loss),
            (self.duplicate, FaultKind::Duplicate),
            (self.delay, FaultKind::Delay),
            (self.reorder, FaultKind::Reorder),
            (self.corrupt, FaultKind::Corrupt),
        ] {
            if chance > 0 {
                kinds.add(kind);
            }
        }
        kinds
    }

    /// The same links with no random fate.
    #[must_use]
    pub fn calm(&self) -> Self {
        Self { loss: 0, duplicate: 0, delay: 0, reorder: 0, corrupt: 0, ..self.clone() }
    }
}

/// The clients: how many, and how patient.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clients {
    /// How many.
    pub count: u16,
    /// A call that has no answer by then is recorded as info.
    #[serde(with = "humantime_serde")]
    pub give_up: Duration,
    /// The scenario declares that the servers deduplicate requests: a Fail is final even while
    /// other copies of the request are under way.
    pub deduplicated: bool,
}

/// A client's operation: when, by whom, to whom.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call<Op> {
    /// Unique in the case, increasing for each client; it names the request.
    pub id: u32,
    /// The earliest begin; a client that is still busy begins later.
    #[serde(with = "humantime_serde")]
    pub at: Duration,
    /// Which client.
    pub client: u16,
    /// The node that is asked first.
    pub to: NodeId,
    /// What is asked.
    pub op: Op,
}

/// One fully spelled-out attempt.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    bound(
        serialize = "Op: Serialize, Config: Serialize",
        deserialize = "Op: Deserialize<'de>, Config: Deserialize<'de>"
    )
)]
pub struct Case<Op, Config> {
    /// [`CASE_VERSION`].
    pub version: u32,
    /// The scenario's name.
    pub scenario: String,
    /// The planted bug, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutant: Option<Mutant>,
    /// Fixes every draw.
    pub seed: Seed,
    /// The end of all faults.
    #[serde(with = "humantime_serde")]
    pub heal_at: Duration,
    /// The end of the run: what the scenario promises must have come true by then.
    #[serde(with = "humantime_serde")]
    pub end_at: Duration,
    /// How long a sync takes.
    #[serde(with = "humantime_serde")]
    pub sync: Duration,
    /// The clients.
    pub clients: Clients,
    /// The network.
    pub network: Network,
    /// One configuration a node.
    #[serde(default = "Vec::new", with = "nodes")]
    pub nodes: Vec<Config>,
    /// What clients do.
    #[serde(default = "Vec::new")]
    pub calls: Vec<Call<Op>>,
    /// What goes wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

/// Nodes that have nothing to configure are a number in the file: TOML knows no `()`.
mod nodes {
    use serde::de::value::{MapDeserializer, UnitDeserializer};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<C: Serialize, S: Serializer>(
        nodes: &[C],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match size_of::<C>() {
            0 => serializer.serialize_u64(nodes.len() as u64),
            _ => nodes.serialize(serializer),
        }
    }

    pub(super) fn deserialize<'de, C: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<C>, D::Error> {
        if size_of::<C>() > 0 {
            return Vec::deserialize(deserializer);
        }
        // `()` and `struct Config;` are a unit to serde, `struct Config {}` is a map.
        let unit = || C::deserialize(UnitDeserializer::<D::Error>::new());
        let no_fields = std::iter::empty::<(&str, &str)>;
        let map = |_| C::deserialize(MapDeserializer::<_, D::Error>::new(no_fields()));
        (0..u16::deserialize(deserializer)?).map(|_| unit().or_else(map)).collect()
    }
}

/// The case type of a node.
pub type CaseOf<N> = Case<<N as Node>::Op, <N as Node>::Config>;

impl<Op, Config> Case<Op, Config> {
    /// The machine of client `client`.
    pub fn client_node(&self, client: u16) -> NodeId {
        NodeId(self.nodes.len() as u16 + client)
    }

    /// The nodes that are lost for good, one for each fault that loses it.
    pub fn lost(&self) -> impl Iterator<Item = NodeId> {
        self.faults.iter().filter_map(|fault| match fault.kind {
            Kind::Retire { node } | Kind::BitRot { node, permanent: true } => Some(node),
            _ => None,
        })
    }

    /// The kinds that are drawn in this case, placed or at random.
    pub fn drawn(&self) -> Faults {
        let mut kinds = self.network.fates();
        for fault in &self.faults {
            kinds.add(fault.kind.kind());
        }
        kinds
    }

    /// Whether the case makes sense to the engine.
    ///
    /// # Errors
    /// Names the field and what was expected.
    pub fn check(&self) -> Result<(), String> {
        let expect = |ok: bool, what: String| if ok { Ok(()) } else { Err(what) };
        expect(
            self.version == CASE_VERSION,
            format!("version {}: expected {CASE_VERSION}", self.version),
        )?;
        expect(
            (1..=MAX_NODES).contains(&self.nodes.len()),
            format!("nodes: {} of them: expected 1 to {MAX_NODES}", self.nodes.len()),
        )?;
        expect(self.heal_at <= self.end_at, "heal_at: expected at most end_at".to_owned())?;
        expect(
            self.end_at <= Duration::from_secs(1_000_000),
            "end_at: expected at most 1,000,000 s".to_owned(),
        )?;
        expect(
            self.network.fastest <= self.network.slowest,
            "network.fastest: expected at most network.slowest".to_owned(),
        )?;
        expect(
            self.clients.count <= MAX_CLIENTS,
            format!("clients.count: {}: expected at most {MAX_CLIENTS}", self.clients.count),
        )?;
        self.check_calls()?;
        self.check_faults()
    }

    fn check_calls(&self) -> Result<(), String> {
        let mut ids = BTreeSet::new();
        let mut latest = vec![None; usize::from(self.clients.count)];
        for call in &self.calls {
            let refuse = |what: String| Err(format!("calls: id {}: {what}", call.id));
            if !ids.insert(call.id) {
                return refuse("there twice".to_owned());
            }
            let Some(latest) = latest.get_mut(usize::from(call.client)) else {
                return refuse("no such client".to_owned());
            };
            if latest.replace(call.id) > Some(call.id) {
                return refuse("expected increasing ids of each client's calls".to_owned());
            }
            if call.to.index() >= self.nodes.len() {
                return refuse(format!("no node {}", call.to));
            }
        }
        Ok(())
    }

    fn check_faults(&self) -> Result<(), String> {
        let machines = self.nodes.len() + usize::from(self.clients.count);
        let mut ids = BTreeSet::new();
        for fault in &self.faults {
            let place = format!("faults: id {} ({})", fault.id, fault.kind.kind());
            if !ids.insert(fault.id) {
                return Err(format!("{place}: there twice"));
            }
            let limit = match fault.kind {
                Kind::Cut { .. } | Kind::SlowLink { .. } => machines,
                _ => self.nodes.len(),
            };
            if let Some(node) =
                fault.kind.clone().nodes_mut().into_iter().find(|n| n.index() >= limit)
            {
                return Err(format!("{place}: no node {node}"));
            }
            match fault.place {
                Place::Effect { node, .. } if node.index() >= machines => {
                    return Err(format!("{place}: no node {node}"));
                }
                _ => {}
            }
            if !fits(&fault.place, &fault.kind) {
                return Err(format!("{place}: a fault of this kind cannot be placed there"));
            }
            match &fault.kind {
                Kind::Rate { ppm, .. } | Kind::WallDrift { ppm, .. }
                    if ppm.unsigned_abs() > 900_000 =>
                {
                    return Err(format!("{place}: expected at most 900,000 ppm"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Message fates sit on messages, client faults on calls, clocks are wrong from the start, and the
/// rest strikes at a time or at an effect.
fn fits(place: &Place, kind: &Kind) -> bool {
    match kind {
        Kind::Loss
        | Kind::Corrupt
        | Kind::Duplicate { .. }
        | Kind::Delay { .. }
        | Kind::Reorder { .. } => matches!(place, Place::Message(_)),
        Kind::Retry { .. } | Kind::DuplicateRequest { .. } | Kind::ClientCrash { .. } => {
            matches!(place, Place::Call(_))
        }
        Kind::Rate { .. } | Kind::WallOffset { .. } | Kind::WallDrift { .. } => {
            matches!(place, Place::At(Duration::ZERO))
        }
        _ => matches!(place, Place::At(_) | Place::Effect { .. }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back<C>(config: &C) -> String
    where
        C: Clone + PartialEq + fmt::Debug + Serialize + for<'de> Deserialize<'de>,
    {
        let case = Case {
            version: CASE_VERSION,
            scenario: "s".into(),
            mutant: None,
            seed: Seed(0x29),
            heal_at: Duration::from_secs(1),
            end_at: Duration::from_secs(2),
            sync: Duration::from_millis(1),
            clients: Clients { count: 1, give_up: Duration::from_secs(1), deduplicated: false },
            network: Network::default(),
            nodes: vec![config.clone(); 3],
            calls: vec![Call { id: 0, at: Duration::ZERO, client: 0, to: NodeId(2), op: 7u8 }],
            faults: Vec::new(),
        };
        let text = toml::to_string(&case).expect("TOML can say it");
        assert_eq!(toml::from_str::<Case<u8, C>>(&text), Ok(case), "{text}");
        text
    }

    #[test]
    fn nodes_without_a_configuration_survive_their_file() {
        #[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
        struct Unit;
        #[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
        struct Empty {}
        assert!(there_and_back(&()).contains("nodes = 3\n"));
        there_and_back(&Unit);
        there_and_back(&Empty {});
        assert!(there_and_back(&1u8).contains("nodes = [1, 1, 1]\n"));
    }
}
