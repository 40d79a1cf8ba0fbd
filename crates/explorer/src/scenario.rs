//! The scenario: what to try, and what must hold.

use crate::measure::Sample;
use crate::planted::Planted;
use checkers::Verdict;
use history::{History, Outcome};
use node::{Node, NodeId};
use proptest::strategy::Strategy;
use std::ops::Deref;
use std::time::Duration;
use world::{CaseOf, Faults, Scene};

/// The operation type of a scenario.
pub type OpOf<S> = <<S as Scenario>::Node as Node>::Op;
/// The configuration type of a scenario.
pub type ConfigOf<S> = <<S as Scenario>::Node as Node>::Config;
/// The case type of a scenario.
pub type CaseFor<S> = CaseOf<<S as Scenario>::Node>;

/// What is expected of a scenario's campaign.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Expected {
    /// A protocol that keeps its promise.
    #[default]
    Holds,
    /// An exhibit: it must be found broken.
    Violated,
}

/// How large cases are, what may go wrong in them, and what is promised then. A plain struct: say
/// what differs, and `..Shape::default()`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shape {
    /// How many nodes, for the scenario's own [`Scenario::cluster`].
    pub nodes: u16,
    /// The most clients.
    pub clients: u16,
    /// The most calls, one at least.
    pub calls: u16,
    /// The most faults that are placed at a time or an effect, one at least. Wrong clocks, nodes
    /// that are lost as all others heal, and clients' faults come on top.
    pub plan: u16,
    /// The kinds of faults under which the promise is made.
    pub faults: Faults,
    /// Links may be streams.
    pub streams: bool,
    /// How many nodes may be lost for good, of those that [`Scenario::losable`] names.
    pub may_lose: u16,
    /// The most that a monotonic clock's rate is off, in parts per million.
    pub rate_ppm: u32,
    /// The longest fault phase.
    pub trouble: Duration,
    /// After heal, what is promised must come true within this time.
    pub deadline: Duration,
    /// A client's patience.
    pub give_up: Duration,
    /// Servers deduplicate requests: a Fail is final for every copy.
    pub deduplicated: bool,
    /// The promise rests on a bound for the time that a message takes, syncs and waiting included:
    /// the heap engine keeps one, and `explore` does not ask the others.
    pub synchronous: bool,
    /// What a campaign of at least 1,000 cases must have reached to mean anything.
    pub marks: &'static [&'static str],
    /// What the campaign must show.
    pub expected: Expected,
}

impl Default for Shape {
    /// Three nodes, four clients, every kind of fault.
    fn default() -> Self {
        Self {
            nodes: 3,
            clients: 4,
            calls: 20,
            plan: 6,
            faults: Faults::ALL,
            streams: true,
            may_lose: 0,
            rate_ppm: 50_000,
            trouble: Duration::from_secs(2),
            deadline: Duration::from_secs(20),
            give_up: Duration::from_secs(1),
            deduplicated: false,
            synchronous: false,
            marks: &[],
            expected: Expected::Holds,
        }
    }
}

/// What to try and what must hold. Only the node, a name, operations, a cluster and a check have to
/// be said.
pub trait Scenario: Send + Sync + 'static {
    /// What is on trial.
    type Node: Node;

    /// The name in commands, files and tables.
    fn name(&self) -> String;

    /// One line for lists.
    fn about(&self) -> String {
        String::new()
    }

    /// Sizes, faults, promises.
    fn shape(&self) -> Shape {
        Shape::default()
    }

    /// What clients ask.
    fn op(&self) -> impl Strategy<Value = OpOf<Self>>
    where
        Self: Sized;

    /// One configuration a node.
    fn cluster(&self, shape: &Shape) -> impl Strategy<Value = Vec<ConfigOf<Self>>>
    where
        Self: Sized;

    /// Makes an operation fit a cluster: called for every generated operation, and again when the
    /// shrinker takes a node away or makes the operation simpler.
    fn fit(&self, _op: &mut OpOf<Self>, _nodes: &[ConfigOf<Self>]) {}

    /// The nodes that this client may ask first.
    fn entries(&self, nodes: &[ConfigOf<Self>], _client: u16) -> Vec<NodeId> {
        (0..nodes.len() as u16).map(NodeId).collect()
    }

    /// The nodes of which [`Shape::may_lose`] may be lost for good.
    fn losable(&self, nodes: &[ConfigOf<Self>]) -> Vec<NodeId> {
        (0..nodes.len() as u16).map(NodeId).collect()
    }

    /// The cluster without one node, if it is still one: node numbers above it have moved down.
    fn without_node(
        &self,
        _nodes: &[ConfigOf<Self>],
        _node: NodeId,
    ) -> Option<Vec<ConfigOf<Self>>> {
        None
    }

    /// What a node is called in stories: "coordinator", "p1".
    fn role(&self, _nodes: &[ConfigOf<Self>], node: NodeId) -> String {
        node.to_string()
    }

    /// Whether a case is one that the scenario speaks of. The shrinker asks before every run, and a
    /// saved case that is none is refused.
    fn valid(&self, _case: &CaseFor<Self>) -> bool {
        true
    }

    /// Its own planted bugs: each is run when a case names it.
    fn mutants(&self) -> &[Planted<OpOf<Self>, ConfigOf<Self>>] {
        &[]
    }

    /// Made anew for each run and asked after every step: it may keep state.
    fn invariant(&self) -> impl FnMut(&dyn Scene<Self::Node>) -> Verdict
    where
        Self: Sized,
    {
        |_: &dyn Scene<Self::Node>| Verdict::Holds
    }

    /// After the run: what must have come true since heal.
    fn progress(&self, _run: &Run<Self::Node>) -> Verdict {
        Verdict::Holds
    }

    /// After a run that holds: what a campaign keeps histograms of.
    fn measure(&self, _run: &Run<Self::Node>) -> Vec<Sample> {
        Vec::new()
    }

    /// After the run: what clients saw, and what is left.
    fn check(&self, run: &Run<Self::Node>) -> Verdict;
}

/// A finished run, as checks see it: its case, and the scene as it was left.
pub struct Run<'a, N: Node> {
    /// What was tried.
    pub case: &'a CaseOf<N>,
    /// What is left.
    pub scene: &'a dyn Scene<N>,
}

impl<'a, N: Node> Deref for Run<'a, N> {
    type Target = dyn Scene<N> + 'a;

    fn deref(&self) -> &Self::Target {
        self.scene
    }
}

impl<N: Node> Run<'_, N> {
    /// What clients and roles saw.
    pub fn history(&self) -> &History<N::Op, N::Ret> {
        self.scene.history()
    }

    /// How many operations there were, and how many of them took effect.
    pub fn counts(&self) -> (u32, u32) {
        let operations = self.history().operations();
        let ok = operations.iter().filter(|o| matches!(o.outcome, Outcome::Ok(_))).count();
        (operations.len() as u32, ok as u32)
    }
}
