//! What every atomic commitment owes: the facts of its runs that scenarios hand to the rules of
//! [`checkers::commit`] and [`checkers::conservation`], and their clusters.
//!
//! While a run goes on, [`Judge`] looks at what becomes durable, at what nodes believe where that
//! decides something, and at what clients are told: AC1 to AC3, effects, balances. Each is judged
//! at the step that breaks it, because a later repair can make the end states agree.
//!
//! At the end, [`agreed`] is AC1 once more, over what nodes believe; [`settled`] is AC5; and
//! [`verdicts`] compares what clients were told with what is durable, and every balance with the
//! operations that are in it; AC4 is asked of calm cases.

mod judge;
mod verdicts;

pub use judge::Judge;
pub use verdicts::{agreed, settled, verdicts};

use crate::trial::NO_WALL_CLOCKS;
use node::{Dice, Node, NodeId, Observe, RequestId};
use protocols::commit::{Config, Durable, Key, Op, Ret, Role, TxId, View};
use std::fmt;
use std::time::Duration;
use world::{Case, FaultKind, Faults};

/// A commit protocol, right or not.
pub trait Commit:
    Node<Op = Op, Ret = Ret, Config = Config> + Observe<Durable = Durable, View = View>
{
}

impl<N> Commit for N where
    N: Node<Op = Op, Ret = Ret, Config = Config> + Observe<Durable = Durable, View = View>
{
}

/// Faults that a commit protocol survives: nobody reads a wall clock, and no node may be lost.
pub const FAULTS: Faults = NO_WALL_CLOCKS.without(Faults::of(&[FaultKind::Retire]));

/// What a campaign with a right protocol must have reached.
pub const MARKS: &[&str] = &[
    "coordinator restarted with a commit to finish",
    "in-doubt participant inquired",
    "in-doubt participant restarted",
    "participant compacted its log",
    "peer ended a doubt",
    "retry found its operation applied",
];

/// Timers that stand in no fixed ratio to each other: bugs hide behind ratios.
pub fn timing(dice: &mut Dice) -> Config {
    let mut time = || Duration::from_millis(20 + dice.below(381));
    Config {
        vote_timeout: time(),
        work_timeout: time(),
        inquiry_interval: time(),
        resend_interval: time(),
        ask_peers: dice.below(4) != 0,
        compact_after: [1, 2, 5, 1000][dice.below(4) as usize],
        ..Config::default()
    }
}

/// Coordinators first, then participants with these accounts each.
pub fn cluster(
    coordinators: u16,
    participants: u16,
    balances: &[(Key, i64)],
    timing: &Config,
) -> Vec<Config> {
    let nodes = (coordinators..coordinators + participants).map(NodeId).collect();
    let coordinator = Role::Coordinator { participants: nodes, acceptors: Vec::new() };
    let participant = Role::Participant { balances: balances.to_vec() };
    let roles = std::iter::repeat_n(coordinator, coordinators.into())
        .chain(std::iter::repeat_n(participant, participants.into()));
    roles.map(|role| Config { role, ..timing.clone() }).collect()
}

/// The same with so many acceptors behind.
pub fn with_acceptors(mut nodes: Vec<Config>, count: u16) -> Vec<Config> {
    let first = nodes.len() as u16;
    let Some(timing) = nodes.first().cloned() else { return nodes };
    for config in &mut nodes {
        if let Role::Coordinator { acceptors, .. } = &mut config.role {
            *acceptors = (first..first + count).map(NodeId).collect();
        }
    }
    let acceptor = Config { role: Role::Acceptor, ..timing };
    nodes.extend(std::iter::repeat_n(acceptor, count.into()));
    nodes
}

/// Whoever may be lost for good, all together: everybody, but of 2F+1 acceptors F, those that are
/// asked first.
pub fn losable(nodes: &[Config]) -> Vec<NodeId> {
    let acceptors = Cast::of(nodes).acceptors;
    let kept = acceptors.get(acceptors.len().saturating_sub(1) / 2..).unwrap_or_default();
    (0..nodes.len() as u16).map(NodeId).filter(|node| !kept.contains(node)).collect()
}

/// Whether a majority of the acceptors lives, where there are any.
pub fn has_majority(case: &Case<Op, Config>) -> bool {
    let acceptors = Cast::of(&case.nodes).acceptors;
    let lost = acceptors.iter().filter(|acceptor| case.lost().any(|lost| lost == **acceptor));
    acceptors.is_empty() || lost.count() < acceptors.len().div_ceil(2)
}

/// The rules, over nodes by their index.
type Rules = checkers::commit::Commit<TxId, Call, Part>;

/// An operation, as messages name it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Call(RequestId);

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call {}", self.0.call)
    }
}

/// An account of a participant, by that one's number in operations.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Account(u16, Key);

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of p{}", self.1, self.0 + 1)
    }
}

/// What a node is called. It becomes text only where something is broken.
#[derive(Clone, Copy)]
enum Part {
    Coordinator,
    OneOfCoordinators(usize),
    Participant(usize),
    Acceptor(usize),
    None(NodeId),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Coordinator => f.write_str("coordinator"),
            Self::OneOfCoordinators(place) => write!(f, "c{}", place + 1),
            Self::Participant(place) => write!(f, "p{}", place + 1),
            Self::Acceptor(place) => write!(f, "a{}", place + 1),
            Self::None(node) => write!(f, "{node}"),
        }
    }
}

/// Who plays which part.
#[derive(Clone, Debug, Default)]
pub struct Cast {
    /// Those that take requests.
    pub coordinators: Vec<NodeId>,
    /// Those that vote, in the order in which operations number them.
    pub participants: Vec<NodeId>,
    /// Those that agree on votes, where the protocol has any.
    pub acceptors: Vec<NodeId>,
}

impl Cast {
    /// Reads it from the nodes' configurations.
    pub fn of<'a>(nodes: impl IntoIterator<Item = &'a Config>) -> Self {
        let mut cast = Self::default();
        for (id, config) in (0..).map(NodeId).zip(nodes) {
            if let Role::Coordinator { participants, acceptors } = &config.role {
                cast.coordinators.push(id);
                cast.participants.clone_from(participants);
                cast.acceptors.clone_from(acceptors);
            }
        }
        cast
    }

    /// The name in stories.
    pub fn role(&self, node: NodeId) -> String {
        self.part(node).to_string()
    }

    fn part(&self, node: NodeId) -> Part {
        let place = |list: &[NodeId]| list.iter().position(|other| *other == node);
        let of_coordinators = place(&self.coordinators).map(|place| match self.coordinators[..] {
            [_] => Part::Coordinator,
            _ => Part::OneOfCoordinators(place),
        });
        of_coordinators
            .or_else(|| place(&self.participants).map(Part::Participant))
            .or_else(|| place(&self.acceptors).map(Part::Acceptor))
            .unwrap_or(Part::None(node))
    }

    /// What each of so many nodes plays.
    fn parts(&self, nodes: usize) -> Vec<Part> {
        (0..nodes as u16).map(|node| self.part(NodeId(node))).collect()
    }

    /// What every account starts with, from the nodes' configurations.
    fn accounts<'a>(
        &self,
        nodes: impl IntoIterator<Item = &'a Config>,
    ) -> impl Iterator<Item = (Account, i64)> {
        let nodes = (0..).map(NodeId).zip(nodes);
        nodes.filter_map(|(node, config)| Some((self.number(node)?, config))).flat_map(
            |(at, config)| {
                match &config.role {
                    Role::Participant { balances } => balances.as_slice(),
                    Role::Coordinator { .. } | Role::Acceptor => &[],
                }
                .iter()
                .map(move |(key, sum)| (Account(at, *key), *sum))
            },
        )
    }

    /// The index of the node that operations give this number.
    fn party(&self, at: u16) -> usize {
        self.participants[usize::from(at)].index()
    }

    /// The participant's number in operations.
    fn number(&self, node: NodeId) -> Option<u16> {
        self.participants.iter().position(|other| *other == node).map(|place| place as u16)
    }
}

/// The cluster without one node, as long as this many coordinators and participants are left.
pub fn without_node(nodes: &[Config], node: NodeId, least: (usize, usize)) -> Option<Vec<Config>> {
    let cast = Cast::of(nodes);
    let coordinator = cast.coordinators.contains(&node);
    let (coordinators, participants) = (cast.coordinators.len(), cast.participants.len());
    let enough = match coordinator {
        true => coordinators > least.0,
        false if cast.acceptors.contains(&node) => cast.acceptors.len() > 1,
        false => participants > least.1 && cast.participants.contains(&node),
    };
    if !enough {
        return None;
    }
    let moved = |other: NodeId| if other > node { NodeId(other.0 - 1) } else { other };
    let rest = |list: &[NodeId]| -> Vec<NodeId> {
        list.iter().filter(|other| **other != node).map(|other| moved(*other)).collect()
    };
    let (left, agree) = (rest(&cast.participants), rest(&cast.acceptors));
    let mut nodes = nodes.to_vec();
    nodes.remove(node.index());
    for config in &mut nodes {
        if let Role::Coordinator { participants, acceptors } = &mut config.role {
            participants.clone_from(&left);
            acceptors.clone_from(&agree);
        }
    }
    Some(nodes)
}

/// Whether every node plays the part that coordinators know it in, and every call goes to a
/// coordinator and names participants that exist.
pub fn is_addressed(case: &Case<Op, Config>) -> bool {
    let cast = Cast::of(&case.nodes);
    let known = (0..).map(NodeId).zip(&case.nodes).all(|(node, config)| match &config.role {
        Role::Coordinator { participants, acceptors } => {
            (participants, acceptors) == (&cast.participants, &cast.acceptors)
                && !participants.contains(&node)
                && !acceptors.contains(&node)
        }
        Role::Participant { .. } => cast.participants.contains(&node),
        Role::Acceptor => cast.acceptors.contains(&node),
    });
    let nodes = cast.coordinators.len() + cast.participants.len() + cast.acceptors.len();
    if !known || nodes != case.nodes.len() {
        return false;
    }
    case.calls.iter().all(|call| {
        let exists = |at| usize::from(at) < cast.participants.len();
        cast.coordinators.contains(&call.to) && call.op.items.iter().all(|item| exists(item.at))
    })
}
