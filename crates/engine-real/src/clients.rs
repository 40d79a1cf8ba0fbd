//! The clients of a run: they ask what the case says, over proxies, and say what they know.

use crate::clock::RunClock;
use crate::journal::nanos;
use crate::links::Links;
use crate::replay::Moment;
use history::What;
use node::{Node, NodeId};
use shell::tcp::{Limits, Tcp};
use shell::{Client, Clock as _, Identity, Outcome, Policy, Resend};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;
use world::{Call, CaseOf, Kind, Place};

/// What happened so far, each at its time.
pub(crate) type Moments<N> = RefCell<Vec<(u64, Moment<N>)>>;

/// How much sooner calls begin that come after heal: nothing is timed against anything any more.
const SOONER: u32 = 8;

/// One client and what it stands on.
pub(crate) struct Caller<'a, N: Node> {
    pub(crate) case: &'a CaseOf<N>,
    pub(crate) number: u16,
    pub(crate) identity: Identity,
    /// Where its proxies to the nodes listen.
    pub(crate) ways: Vec<SocketAddr>,
    pub(crate) links: &'a Links,
    pub(crate) moments: &'a Moments<N>,
    /// When the case began.
    pub(crate) zero: Duration,
}

impl<N: Node> Caller<'_, N> {
    /// Runs the client's calls, one after the other.
    pub(crate) async fn run(self) {
        let mut client = self.connect();
        for call in self.case.calls.iter().filter(|call| call.client == self.number) {
            self.links.clock.sleep_until(self.zero + self.due(call)).await;
            let began = self.tell(call, What::Invoke(call.op.clone()));
            let (resends, crash) = self.troubles(call);
            client.policy.resend = Resend::At(resends);
            let crashed = async {
                match crash {
                    Some((after, _)) => tokio::time::sleep(after).await,
                    None => std::future::pending().await,
                }
            };
            let outcome = tokio::select! {
                biased;
                outcome = client.call(call.id, call.to, &call.op) => Some(outcome),
                () = crashed => None,
            };
            let copied = || self.links.was_copied(self.identity.node, began);
            let what = match outcome {
                Some(Outcome::Ok(ret)) => What::Ok(ret),
                // Another copy, which the network has made, may still do something.
                Some(Outcome::Fail(_)) if !self.case.clients.deduplicated && copied() => What::Info,
                Some(Outcome::Fail(reason)) => What::Fail(reason),
                Some(Outcome::Info) => What::Info,
                None => {
                    // It comes back as another process, with connections of its own.
                    client = self.connect();
                    if let Some((_, fault)) = crash {
                        self.links.effective(fault);
                    }
                    What::Info
                }
            };
            self.tell(call, what);
        }
    }

    fn connect(&self) -> Client<N, Tcp, RunClock> {
        let (me, seed) = (self.identity.node, self.case.seed.0);
        let mut tcp = Tcp::client(self.identity.clone(), Limits::default(), seed);
        for (node, way) in (0..).map(NodeId).zip(&self.ways) {
            tcp.call(node, way.to_string());
        }
        let clients = &self.case.clients;
        let policy = Policy {
            give_up: clients.give_up,
            resend: Resend::Never,
            deduplicated: clients.deduplicated,
        };
        Client::new(me, self.case.nodes.len() as u16, policy, tcp, self.links.clock, seed)
    }

    /// When a call begins, after the begin of the case.
    fn due(&self, call: &Call<N::Op>) -> Duration {
        match call.at.checked_sub(self.case.heal_at) {
            Some(after) => self.case.heal_at + after / SOONER,
            None => call.at,
        }
    }

    /// What goes wrong with a call is decided when it begins: when its request is sent again, and
    /// when the client crashes, by which fault.
    fn troubles(&self, call: &Call<N::Op>) -> (Vec<Duration>, Option<(Duration, usize)>) {
        let (mut resends, mut crash) = (Vec::new(), None);
        if self.links.clock.now() >= self.zero + self.case.heal_at {
            return (resends, crash);
        }
        for (index, fault) in self.case.faults.iter().enumerate() {
            match fault.kind {
                _ if fault.place != Place::Call(call.id) => {}
                Kind::Retry { after } | Kind::DuplicateRequest { after } => resends.push(after),
                Kind::ClientCrash { after } => crash = Some((after, index)),
                _ => {}
            }
        }
        (resends, crash)
    }

    fn tell(&self, call: &Call<N::Op>, what: What<N::Op, N::Ret>) -> u64 {
        let at = nanos(self.links.clock.now());
        let moment = Moment::Client { client: self.number, call: call.id, what };
        self.moments.borrow_mut().push((at, moment));
        at
    }
}
