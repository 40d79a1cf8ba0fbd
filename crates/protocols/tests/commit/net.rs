//! A cluster in the hands of a test: every delivery, timer and crash is a call.

use node::{Answer, Context, Cx, Dice, Effect, Node, NodeId, Observe, RequestId, variant};
use protocols::commit::{Config, Durable, Key, Op, Ret, Role, View};

/// What these tests need of a protocol.
pub trait Commit:
    Node<Op = Op, Ret = Ret, Config = Config> + Observe<Durable = Durable, View = View>
{
}

impl<N> Commit for N where
    N: Node<Op = Op, Ret = Ret, Config = Config> + Observe<Durable = Durable, View = View>
{
}

/// One machine; its node is gone while it is down.
pub struct Machine<N: Node> {
    pub config: Config,
    pub node: Option<N>,
    pub incarnation: u32,
    pub log: Vec<N::Record>,
    pub synced: usize,
    pub timers: Vec<N::Timer>,
    pub forces: usize,
}

/// The cluster, and all that was said.
pub struct Net<N: Node> {
    pub machines: Vec<Machine<N>>,
    pub wire: Vec<(NodeId, NodeId, N::Msg)>,
    pub answers: Vec<(RequestId, Answer<Ret>)>,
    pub sent: Vec<String>,
    pub marks: Vec<&'static str>,
    /// How many effects the next handler gets done before its node crashes.
    pub crash_after: Option<usize>,
}

/// The coordinator of [`Net::bank`].
pub const COORDINATOR: NodeId = NodeId(0);

pub fn key(number: u16) -> Key {
    Key(number)
}

pub fn call(number: u32) -> RequestId {
    RequestId { client: NodeId(9), call: number }
}

impl<N: Commit> Net<N> {
    /// Node 0 coordinates; each participant has the accounts k0 to k3 with 10 each.
    pub fn bank(participants: u16) -> Self {
        Self::with(1, participants, &Config::default())
    }

    /// The same with more coordinators, which come first.
    pub fn with(coordinators: u16, participants: u16, timing: &Config) -> Self {
        Self::agreed(coordinators, participants, 0, timing)
    }

    /// The same with acceptors, which come last.
    pub fn agreed(coordinators: u16, participants: u16, agree: u16, timing: &Config) -> Self {
        let nodes: Vec<_> = (coordinators..coordinators + participants).map(NodeId).collect();
        let first = coordinators + participants;
        let acceptors = (first..first + agree).map(NodeId).collect();
        let coordinator = Role::Coordinator { participants: nodes, acceptors };
        let mut roles = vec![coordinator; usize::from(coordinators)];
        let balances: Vec<_> = (0..4).map(|number| (key(number), 10)).collect();
        for _ in 0..participants {
            roles.push(Role::Participant { balances: balances.clone() });
        }
        roles.extend((0..agree).map(|_| Role::Acceptor));
        let machine = |role| Machine {
            config: Config { role, ..timing.clone() },
            node: None,
            incarnation: 0,
            log: Vec::new(),
            synced: 0,
            timers: Vec::new(),
            forces: 0,
        };
        let mut net = Self {
            machines: roles.into_iter().map(machine).collect(),
            wire: Vec::new(),
            answers: Vec::new(),
            sent: Vec::new(),
            marks: Vec::new(),
            crash_after: None,
        };
        for id in net.ids() {
            net.start(id);
        }
        net.machines.iter_mut().for_each(|machine| machine.forces = 0);
        net
    }

    fn handle(&mut self, id: NodeId, handler: impl FnOnce(&mut N, &mut Cx<N>)) {
        let crash_after = self.crash_after.take();
        let machine = &mut self.machines[id.index()];
        let Some(node) = &mut machine.node else { return };
        let incarnation = machine.incarnation;
        let dice = Dice::new(7);
        let mut cx = Cx::new(Context { me: id, incarnation, dice, ..Context::default() });
        handler(node, &mut cx);
        let effects = cx.take();
        let done = crash_after.unwrap_or(effects.len());
        for effect in effects.into_iter().take(done) {
            match effect {
                Effect::Persist(record) => machine.log.push(record),
                Effect::Force(record) => {
                    machine.log.push(record);
                    machine.synced = machine.log.len();
                    machine.forces += 1;
                }
                Effect::Snapshot(records) => {
                    machine.synced = records.len();
                    machine.log = records;
                    machine.forces += 1;
                }
                Effect::Send(to, msg) => {
                    self.sent.push(variant(&msg));
                    self.wire.push((id, to, msg));
                }
                Effect::SetTimer { timer, .. } => {
                    machine.timers.retain(|old| *old != timer);
                    machine.timers.push(timer);
                }
                Effect::CancelTimer(timer) => machine.timers.retain(|old| *old != timer),
                Effect::Reply(request, answer) => self.answers.push((request, answer)),
                Effect::Mark(label) => self.marks.push(label),
                Effect::Invoke(..) | Effect::Complete(..) => {}
            }
        }
        if crash_after.is_some() {
            self.crash(id, usize::MAX);
        }
    }

    /// Boots the node with what its log holds.
    pub fn start(&mut self, id: NodeId) {
        let machine = &mut self.machines[id.index()];
        machine.incarnation += 1;
        machine.synced = machine.log.len();
        machine.node = Some(N::new(id, &machine.config));
        let log = machine.log.clone();
        self.handle(id, |node, cx| node.on_start(&log, cx));
    }

    /// Stops the node; all but `keep` of its records that are not synced are gone.
    pub fn crash(&mut self, id: NodeId, keep: usize) {
        let machine = &mut self.machines[id.index()];
        machine.node = None;
        machine.timers.clear();
        machine.log.truncate(machine.synced.saturating_add(keep));
    }

    /// Loses what is not synced, and boots again.
    pub fn restart(&mut self, id: NodeId) {
        self.crash(id, 0);
        self.start(id);
    }

    pub fn ids(&self) -> Vec<NodeId> {
        (0..self.machines.len()).map(|id| NodeId(id as u16)).collect()
    }

    pub fn request(&mut self, number: u32, op: &Op) {
        self.request_at(COORDINATOR, number, op);
    }

    pub fn request_at(&mut self, id: NodeId, number: u32, op: &Op) {
        self.handle(id, |node, cx| node.on_request(call(number), op.clone(), cx));
    }

    /// Delivers the message at this place on the wire.
    pub fn deliver(&mut self, place: usize) {
        let (from, to, msg) = self.wire.remove(place);
        self.handle(to, |node, cx| node.on_message(from, msg, cx));
    }

    /// Delivers the oldest message of this kind to this node; whether there was one.
    pub fn pass(&mut self, kind: &str, to: NodeId) -> bool {
        let wanted = |(_, receiver, msg): &(_, _, N::Msg)| *receiver == to && variant(msg) == kind;
        let place = self.wire.iter().position(wanted);
        place.inspect(|place| self.deliver(*place)).is_some()
    }

    /// Delivers everything, oldest first, until nothing is under way.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            if self.wire.is_empty() {
                return;
            }
            self.deliver(0);
        }
        panic!("messages never end");
    }

    /// Lets one timer of a node run out.
    pub fn fire(&mut self, id: NodeId, place: usize) {
        let timer = self.machines[id.index()].timers.remove(place);
        self.handle(id, |node, cx| node.on_timer(timer, cx));
    }

    /// Lets the node's oldest timer of this kind run out; whether there was one.
    pub fn expire(&mut self, id: NodeId, kind: &str) -> bool {
        let timers = &self.machines[id.index()].timers;
        let place = timers.iter().position(|timer| variant(timer) == kind);
        place.inspect(|place| self.fire(id, *place)).is_some()
    }

    /// Starts whoever is down; lets messages arrive and timers run out until nothing waits.
    pub fn heal(&mut self) -> bool {
        let ids = self.ids();
        for &id in &ids {
            if self.machines[id.index()].node.is_none() {
                self.start(id);
            }
        }
        // Work that waits can become, one after the other, work that is given up.
        for _ in 0..12 {
            self.settle();
            for &id in &ids {
                for _ in 0..self.machines[id.index()].timers.len() {
                    self.fire(id, 0);
                }
            }
        }
        self.settle();
        ids.iter().all(|id| self.view(*id).is_idle())
    }

    pub fn durable(&self, id: NodeId) -> Durable {
        let machine = &self.machines[id.index()];
        N::durable(&machine.log[..machine.synced])
    }

    pub fn view(&self, id: NodeId) -> View {
        self.machines[id.index()].node.as_ref().map(Observe::view).unwrap_or_default()
    }

    /// Forces so far at each node.
    pub fn forces(&self) -> Vec<usize> {
        self.machines.iter().map(|machine| machine.forces).collect()
    }

    /// How many messages of these kinds were sent.
    pub fn count(&self, kinds: &[&str]) -> usize {
        self.sent.iter().filter(|kind| kinds.contains(&kind.as_str())).count()
    }
}
