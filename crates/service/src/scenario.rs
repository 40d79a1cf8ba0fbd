//! A service as a scenario: what its test's body has declared, in the shape that campaigns, the
//! shrinker and repros know.

use crate::KINDS;
use crate::data::Data;
use crate::trial::Workload;
use checkers::Verdict;
use explorer::{Expected, Run, Scenario, Shape};
use node::{Cx, Node, NodeId, RequestId};
use proptest::strategy::Strategy;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use world::{Case, Faults};

/// What stands for a node of a service in the types of the explorer, which know state machines. It
/// never runs: the service does, on its own engine.
pub struct Served;

/// The name of a machine: its configuration, as far as a case knows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Name(pub String);

impl Node for Served {
    type Config = Name;
    type Op = Data;
    type Ret = Data;
    type Msg = ();
    type Record = ();
    type Timer = ();

    fn new(_: NodeId, _: &Name) -> Self {
        Self
    }
    fn on_start(&mut self, _: &[()], _: &mut Cx<Self>) {}
    fn on_request(&mut self, _: RequestId, _: Data, _: &mut Cx<Self>) {}
    fn on_message(&mut self, _: NodeId, (): (), _: &mut Cx<Self>) {}
    fn on_timer(&mut self, (): (), _: &mut Cx<Self>) {}
}

/// A case of a service.
pub type ServiceCase = Case<Data, Name>;

/// Machines of one name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) count: RangeInclusive<u16>,
}

/// A service, as its test declares it.
pub struct Service {
    pub(crate) name: String,
    pub(crate) groups: Vec<Group>,
    pub(crate) workload: Workload,
    /// The kinds of faults that it is tried with.
    pub faults: Faults,
    /// The most calls of a case.
    pub calls: u16,
    /// What the trial must show.
    pub expected: Expected,
}

impl Service {
    fn group(&self, Name(name): &Name) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == *name)
    }
}

impl Scenario for Service {
    type Node = Served;

    fn name(&self) -> String {
        self.name.clone()
    }

    fn shape(&self) -> Shape {
        Shape {
            nodes: self.groups.iter().map(|group| *group.count.end()).sum(),
            clients: self.workload.clients,
            calls: self.calls,
            faults: self.faults.only(KINDS),
            expected: self.expected,
            ..Shape::default()
        }
    }

    fn op(&self) -> impl Strategy<Value = Data> {
        (self.workload.ops)()
    }

    fn cluster(&self, _: &Shape) -> impl Strategy<Value = Vec<Name>> {
        let counts: Vec<_> = self.groups.iter().map(|group| group.count.clone()).collect();
        let names: Vec<_> = self.groups.iter().map(|group| group.name.clone()).collect();
        counts.prop_map(move |counts| {
            let each = names.iter().zip(counts);
            each.flat_map(|(name, count)| vec![Name(name.clone()); count.into()]).collect()
        })
    }

    fn without_node(&self, nodes: &[Name], node: NodeId) -> Option<Vec<Name>> {
        let name = nodes.get(node.index())?;
        let left = nodes.iter().filter(|other| *other == name).count() - 1;
        if left < usize::from(*self.group(name)?.count.start()) {
            return None;
        }
        let mut nodes = nodes.to_vec();
        nodes.remove(node.index());
        Some(nodes)
    }

    fn role(&self, nodes: &[Name], node: NodeId) -> String {
        role(nodes, node)
    }

    /// Every operation is one of the test's, and there are as many machines as it asks for.
    fn valid(&self, case: &ServiceCase) -> bool {
        let fits = |group: &Group| {
            let there = case.nodes.iter().filter(|Name(name)| *name == group.name).count();
            group.count.contains(&(there as u16))
        };
        self.groups.iter().all(fits)
            && case.nodes.iter().all(|name| self.group(name).is_some())
            && case.calls.iter().all(|call| (self.workload.show)(&call.op).is_ok())
    }

    fn check(&self, _: &Run<Served>) -> Verdict {
        Verdict::Unknown("a service runs on its own engine alone".into())
    }
}

/// What a node is called in stories: by its name, and its number among those of that name.
pub(crate) fn role(nodes: &[Name], node: NodeId) -> String {
    let Some(name) = nodes.get(node.index()) else { return node.to_string() };
    let same = |nodes: &[Name]| nodes.iter().filter(|other| *other == name).count();
    match same(nodes) {
        1 => name.0.clone(),
        _ => format!("{}-{}", name.0, same(&nodes[..=node.index()])),
    }
}
