//! Exclusive logins on trial: several devices log in to an account, and the newest one has it.
//!
//! What is judged:
//!
//! - **at every step, by the durable logs**: at the resource no act of an epoch comes after the
//!   first one of a later epoch, none is done twice, none that failed is done, and none is of an
//!   epoch that was not granted; at the session server epochs only grow, and each goes to one
//!   session. What a client was told is there.
//! - **at the end**: no epoch was told to two requests; every request has come to an end; and
//!   devices believe in no session but the one that the server knows.

use crate::trial::{NO_WALL_CLOCKS, Trial};
use checkers::Verdict;
use explorer::{CaseFor, Planted, Run, Scenario, Shape};
use history::{Actor, History, What};
use node::{Node, NodeId, Observe, RequestId};
use proptest::prelude::*;
use protocols::Sessions;
use protocols::login::{Account, Acted, Config, Durable, Op, Ret, Role, Session, View};
use protocols::naive::LoginLock;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use world::{Kind, Scene};

const SERVER: NodeId = NodeId(0);
const RESOURCE: NodeId = NodeId(1);

/// Logins, acts and logouts over a few devices.
pub struct Logins<N: Node> {
    /// What it is called, its shape, and its planted bugs.
    pub trial: Trial<N>,
}

/// Session epochs as fencing tokens.
pub fn login() -> Logins<Sessions> {
    let about =
        "exclusive logins: the newest session has the account, by its epoch at the resource";
    let marks = &[
        "nobody was logged in here",
        "a copy of a login got the same epoch",
        "a copy of an act was answered again",
        "a device was logged out by another one",
        "a session had ended before its device knew of it",
        "an act of an earlier session was refused",
        "an earlier session was logged out",
    ];
    Logins { trial: Trial::new("login", about, Shape { marks, ..shape() }) }
}

impl<N: Node> Logins<N> {
    /// A protocol that is here to be found broken.
    pub fn exhibit(name: &'static str, about: &'static str) -> Self {
        Self { trial: Trial::exhibit(name, about, shape()) }
    }
}

/// The exhibit whose login is a lock with a TTL.
pub fn lock() -> Logins<LoginLock> {
    let about = "a login that is a lock with a TTL: a late act comes after the next user's";
    Logins::exhibit("naive::login_lock", about)
}

/// A device may be lost.
fn shape() -> Shape {
    Shape { faults: NO_WALL_CLOCKS, may_lose: 1, ..Shape::default() }
}

impl<N> Scenario for Logins<N>
where
    N: Node<Config = Config, Op = Op, Ret = Ret> + Observe<Durable = Durable, View = View>,
{
    type Node = N;

    fn name(&self) -> String {
        self.trial.name.to_owned()
    }

    fn about(&self) -> String {
        self.trial.about.to_owned()
    }

    fn shape(&self) -> Shape {
        self.trial.shape.clone()
    }

    fn op(&self) -> impl Strategy<Value = Op> {
        let account = prop_oneof![9 => Just(Account(0)), 1 => Just(Account(1))];
        (account, prop_oneof![6 => Just(0u8), 8 => Just(1), 1 => Just(2)]).prop_map(
            |(account, what)| match what {
                0 => Op::Login(account),
                1 => Op::Act(account),
                _ => Op::Logout(account),
            },
        )
    }

    fn cluster(&self, _: &Shape) -> impl Strategy<Value = Vec<Config>> {
        let compact = prop_oneof![3..=20u32, Just(64)];
        (2..=3u16, 20..=200u64, 5..=100u64, compact).prop_map(|(devices, ttl, resend, compact)| {
            let config = Config {
                role: Role::Device,
                server: SERVER,
                resource: RESOURCE,
                ttl: Duration::from_millis(ttl),
                resend: Duration::from_millis(resend),
                compact,
            };
            (0..2 + devices).map(|node| role_of(NodeId(node), &config)).collect()
        })
    }

    /// A client has a device, and shares it with others.
    fn entries(&self, nodes: &[Config], client: u16) -> Vec<NodeId> {
        let devices: Vec<NodeId> = devices(nodes).collect();
        let own = usize::from(client) % devices.len().max(1);
        devices.get(own).copied().into_iter().collect()
    }

    /// Without the session server or the resource nothing goes on.
    fn losable(&self, nodes: &[Config]) -> Vec<NodeId> {
        devices(nodes).collect()
    }

    fn without_node(&self, nodes: &[Config], node: NodeId) -> Option<Vec<Config>> {
        let mut rest = nodes.to_vec();
        (node > RESOURCE && nodes.len() > 3).then(|| {
            rest.remove(node.index());
            rest
        })
    }

    fn role(&self, _: &[Config], node: NodeId) -> String {
        match node {
            SERVER => "sessions".to_owned(),
            RESOURCE => "resource".to_owned(),
            NodeId(number) => format!("device {}", number - RESOURCE.0),
        }
    }

    fn valid(&self, case: &CaseFor<Self>) -> bool {
        let Some(first) = case.nodes.first() else { return false };
        let nodes = (0..case.nodes.len() as u16).map(NodeId);
        case.nodes.len() > 2
            && nodes.zip(&case.nodes).all(|(node, config)| *config == role_of(node, first))
            && (first.server, first.resource) == (SERVER, RESOURCE)
            && first.resend > Duration::ZERO
            && case.calls.iter().all(|call| call.to > RESOURCE)
            && case.faults.iter().all(|fault| match fault.kind {
                Kind::Retire { node } | Kind::BitRot { node, permanent: true } => node > RESOURCE,
                _ => true,
            })
    }

    fn mutants(&self) -> &[Planted<Op, Config>] {
        &self.trial.mutants
    }

    fn invariant(&self) -> impl FnMut(&dyn Scene<N>) -> Verdict {
        let mut audit = Audit::default();
        move |scene: &dyn Scene<N>| {
            let verdict = match scene.changed() {
                Some(SERVER) => audit.server(&N::durable(scene.durable(SERVER))),
                Some(RESOURCE) => audit.resource(&N::durable(scene.durable(RESOURCE))),
                _ => Verdict::Holds,
            };
            verdict.and_then(|| audit.clients(scene.history(), scene.nodes()))
        }
    }

    fn progress(&self, run: &Run<N>) -> Verdict {
        let live = N::durable(run.durable(SERVER)).live;
        for node in run.ids().filter(|node| !run.is_retired(*node)) {
            match run.state(node).map(Observe::view) {
                Some(View::Device { pending, .. }) if pending > 0 => {
                    let message = format!("{pending} requests are left undone at {node}");
                    return Verdict::violated("progress", "request never ends", message);
                }
                Some(View::Device { sessions, .. }) => {
                    let believed = sessions
                        .into_iter()
                        .map(|(account, epoch)| (account, Session { epoch, device: node }));
                    for (account, session) in believed {
                        if live.get(&account) != Some(&session) {
                            let message = format!(
                                "at the end {account:?} has {:?}, and there is {session:?}",
                                live.get(&account)
                            );
                            return Verdict::violated("login", "session that has ended", message);
                        }
                    }
                }
                Some(View::Durable) => {}
                None => {
                    return Verdict::violated("progress", "node down", format!("{node} is down"));
                }
            }
        }
        Verdict::Holds
    }

    fn check(&self, run: &Run<N>) -> Verdict {
        told_once(run.history())
    }
}

fn role_of(node: NodeId, config: &Config) -> Config {
    let role = match node {
        SERVER => Role::Server,
        RESOURCE => Role::Resource,
        _ => Role::Device,
    };
    Config { role, ..config.clone() }
}

fn devices(nodes: &[Config]) -> impl Iterator<Item = NodeId> {
    (0..nodes.len() as u16).map(NodeId).filter(|node| *node > RESOURCE)
}

/// No epoch is two logins'.
fn told_once(history: &History<Op, Ret>) -> Verdict {
    let mut told = BTreeMap::new();
    for operation in history.operations() {
        if let history::Outcome::Ok(Ret::LoggedIn { epoch }) = operation.outcome {
            let account = operation.op.account();
            if let Some(other) = told.insert((account, *epoch), operation.call) {
                let calls = format!("calls {other} and {}", operation.call);
                let message = format!("epoch {epoch} of {account:?} was granted to {calls}");
                return Verdict::violated("login", "epoch granted again", message);
            }
        }
    }
    Verdict::Holds
}

/// What the durable logs and the clients have shown so far.
#[derive(Default)]
struct Audit {
    epochs: BTreeMap<Account, u64>,
    live: BTreeMap<Account, Session>,
    /// The highest epoch that has acted.
    highest: BTreeMap<Account, u64>,
    /// How many acts have been looked at.
    count: u64,
    /// In which session each request was done.
    done: BTreeMap<RequestId, u64>,
    asked: BTreeMap<RequestId, Op>,
    failed: BTreeSet<RequestId>,
    /// Lines of the history that have been read.
    read: usize,
}

impl Audit {
    /// An epoch belongs to one session, and to none before a smaller one.
    fn server(&mut self, durable: &Durable) -> Verdict {
        for (account, before) in &self.epochs {
            let now = durable.epochs.get(account).copied().unwrap_or(0);
            if now < *before {
                let message = format!("{account:?}: the last epoch was {before} and is {now}");
                return Verdict::violated("login", "epoch goes back", message);
            }
        }
        for (account, session) in &durable.live {
            let before = self.epochs.get(account).copied().unwrap_or(0);
            if self.live.get(account) != Some(session) && session.epoch <= before {
                let message = format!("{account:?}: {session:?} when {before} had been");
                return Verdict::violated("login", "epoch granted again", message);
            }
        }
        self.epochs.clone_from(&durable.epochs);
        self.live.clone_from(&durable.live);
        Verdict::Holds
    }

    fn resource(&mut self, durable: &Durable) -> Verdict {
        if durable.count < self.count {
            let message = format!("{} acts, and now {}", self.count, durable.count);
            return Verdict::violated("login", "resource goes back", message);
        }
        let before = durable.count.saturating_sub(durable.acts.len() as u64);
        let seen = usize::try_from(self.count.saturating_sub(before)).unwrap_or(usize::MAX);
        for act in durable.acts.iter().skip(seen) {
            let verdict = self.act(act);
            if verdict.is_violated() {
                return verdict;
            }
        }
        self.count = durable.count;
        Verdict::Holds
    }

    fn act(&mut self, act: &Acted) -> Verdict {
        let Acted { account, epoch, request } = *act;
        let told = |what| format!("{account:?} in session {epoch}: {request:?} {what}");
        let highest = self.highest.entry(account).or_default();
        if epoch < *highest {
            let message = format!("{} {highest}", told("acts after session"));
            return Verdict::violated("login", "act of an earlier session", message);
        }
        *highest = epoch;
        if epoch > self.epochs.get(&account).copied().unwrap_or(0) {
            return Verdict::violated("login", "epoch of nobody", told("acts, ungranted"));
        }
        if self.asked.get(&request) != Some(&Op::Act(account)) {
            return Verdict::violated("login", "nobody asked", told("acts unasked"));
        }
        if self.failed.contains(&request) {
            return Verdict::violated("login", "failed request done", told("had failed"));
        }
        if self.done.insert(request, epoch).is_some() {
            return Verdict::violated("login", "done twice", told("acts again"));
        }
        Verdict::Holds
    }

    /// What a client was told is true, and no power loss can take it back.
    fn clients(&mut self, history: &History<Op, Ret>, nodes: usize) -> Verdict {
        for event in &history.events[self.read..] {
            let Actor::Client(client) = event.actor else { continue };
            let request = RequestId { client: NodeId(nodes as u16 + client), call: event.call };
            match &event.what {
                What::Invoke(op) => {
                    self.asked.insert(request, *op);
                }
                What::Ok(ret) => {
                    let account = self.asked.get(&request).map(|op| op.account());
                    let granted = account.and_then(|account| self.epochs.get(&account)).copied();
                    let is_there = match ret {
                        Ret::LoggedIn { epoch } => granted.is_some_and(|last| *epoch <= last),
                        Ret::Acted { epoch } => self.done.get(&request) == Some(epoch),
                        Ret::LoggedOut => true,
                    };
                    if !is_there {
                        let message = format!("{request:?} was told {ret:?}, which is not durable");
                        return Verdict::violated("login", "answer without a record", message);
                    }
                }
                What::Fail(_) if self.done.contains_key(&request) => {
                    let message = format!("{request:?} was told Fail and is done");
                    return Verdict::violated("login", "failed request done", message);
                }
                What::Fail(_) => {
                    self.failed.insert(request);
                }
                What::Info => {}
            }
        }
        self.read = history.events.len();
        Verdict::Holds
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use history::Event;

    const U: Account = Account(0);

    fn request(call: u32) -> RequestId {
        RequestId { client: NodeId(9), call }
    }

    /// What the audit says of these acts (epoch, call), the last epoch being 3, and calls 1 to 3
    /// having been asked.
    fn audited(acts: &[(u64, u32)]) -> Option<String> {
        let act = |&(epoch, call)| Acted { account: U, epoch, request: request(call) };
        let acts: Vec<Acted> = acts.iter().map(act).collect();
        let mut audit = Audit { epochs: BTreeMap::from([(U, 3)]), ..Audit::default() };
        audit.asked.extend((1..=3).map(|call| (request(call), Op::Act(U))));
        audit.failed.insert(request(3));
        let verdict =
            audit.resource(&Durable { count: acts.len() as u64, acts, ..Durable::default() });
        verdict.anomaly().map(|anomaly| anomaly.class.to_string())
    }

    #[test]
    fn the_audit_follows_the_resource() {
        assert_eq!(audited(&[(1, 1), (3, 2)]), None);
        assert_eq!(audited(&[(2, 1), (1, 2)]).as_deref(), Some("act of an earlier session"));
        assert_eq!(audited(&[(2, 1), (3, 1)]).as_deref(), Some("done twice"));
        assert_eq!(audited(&[(4, 1)]).as_deref(), Some("epoch of nobody"));
        assert_eq!(audited(&[(1, 4)]).as_deref(), Some("nobody asked"));
        assert_eq!(audited(&[(1, 3)]).as_deref(), Some("failed request done"));
    }

    #[test]
    fn an_epoch_is_granted_once() {
        let server = |last, live: Option<Session>| Durable {
            epochs: BTreeMap::from([(U, last)]),
            live: live.map(|session| (U, session)).into_iter().collect(),
            ..Durable::default()
        };
        let session = |epoch, device| Some(Session { epoch, device: NodeId(device) });
        let mut audit = Audit::default();
        assert!(audit.server(&server(1, session(1, 2))).holds());
        assert!(audit.server(&server(1, None)).holds());
        assert!(audit.server(&server(2, session(2, 3))).holds());
        assert!(audit.server(&server(2, session(2, 2))).is_violated());
        assert!(audit.server(&server(1, None)).is_violated());
    }

    #[test]
    fn an_answer_is_durable_or_a_violation() {
        let line =
            |what| Event { at: 0, op: 0, actor: Actor::Client(5), process: 0, call: 1, what };
        let judge = |op, ret| {
            let history = History { events: vec![line(What::Invoke(op)), line(What::Ok(ret))] };
            let mut audit = Audit { epochs: BTreeMap::from([(U, 3)]), ..Audit::default() };
            audit.done.insert(request(1), 2);
            audit.clients(&history, 4).holds()
        };
        assert!(judge(Op::Login(U), Ret::LoggedIn { epoch: 3 }));
        assert!(!judge(Op::Login(U), Ret::LoggedIn { epoch: 4 }));
        assert!(judge(Op::Act(U), Ret::Acted { epoch: 2 }));
        assert!(!judge(Op::Act(U), Ret::Acted { epoch: 3 }));
        assert!(judge(Op::Logout(U), Ret::LoggedOut));
    }

    #[test]
    fn two_logins_have_two_epochs() {
        let line =
            |op, what| Event { at: 0, op, actor: Actor::Client(5), process: 0, call: op, what };
        let login = |op, epoch| {
            [line(op, What::Invoke(Op::Login(U))), line(op, What::Ok(Ret::LoggedIn { epoch }))]
        };
        let history = |epoch| History { events: [login(0, 1), login(1, epoch)].concat() };
        assert!(told_once(&history(2)).holds());
        assert!(told_once(&history(1)).is_violated());
    }
}
