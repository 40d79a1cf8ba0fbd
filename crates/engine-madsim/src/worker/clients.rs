//! The clients: the shell's, each with the calls that the case has for it.

use super::port::{LocalClock, Wire, sleep_until};
use super::stage::{Shared, Stage};
use super::streams::connect;
use history::{Actor, What};
use node::{Node, NodeId, RequestId};
use shell::{Client, Outcome, Policy, Resend};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use world::parts::nanos;
use world::{Attempts, CaseOf, FaultKind, Faults, Happening, Kind};

/// A client's operation, and where it stands.
pub(super) struct Call<Op> {
    pub(super) id: u32,
    at: u64,
    pub(super) client: u16,
    to: NodeId,
    op: Op,
    /// The operation's number in the history, from its begin to its end.
    open: Option<u32>,
    pub(super) attempts: Attempts,
    /// Nodes that were ever asked, as bits.
    pub(super) asked: u64,
}

/// A client, between the engine's plans and the history.
struct Asker {
    process: u32,
    /// Indices of its calls that have not begun, the next one last.
    waiting: Vec<u32>,
    /// The call at hand.
    current: u32,
    /// When its faults make it ask again, and which do.
    again: Vec<(u64, FaultKind)>,
}

/// Every call of a case, and who makes it.
pub(super) struct Calls<N: Node> {
    pub(super) calls: Vec<Call<N::Op>>,
    /// Their ids and indices, sorted.
    by_id: Vec<(u32, u32)>,
    /// The first client's machine.
    servers: u16,
    clients: Vec<Asker>,
    give_up: Duration,
    deduplicated: bool,
}

impl<N: Node> Calls<N> {
    pub(super) fn new(case: &CaseOf<N>) -> Self {
        let calls = case.calls.iter().map(|call| Call {
            id: call.id,
            at: nanos(call.at),
            client: call.client,
            to: call.to,
            op: call.op.clone(),
            open: None,
            attempts: Attempts::default(),
            asked: 0,
        });
        let calls: Vec<_> = calls.collect();
        let mut clients: Vec<Asker> = (0..case.clients.count)
            .map(|process| Asker {
                process: process.into(),
                waiting: Vec::new(),
                current: 0,
                again: Vec::new(),
            })
            .collect();
        for index in (0..calls.len()).rev() {
            clients[usize::from(calls[index].client)].waiting.push(index as u32);
        }
        let (give_up, deduplicated) = (case.clients.give_up, case.clients.deduplicated);
        let mut by_id: Vec<_> =
            calls.iter().zip(0..).map(|(call, index)| (call.id, index)).collect();
        by_id.sort_unstable();
        let servers = case.nodes.len() as u16;
        Self { calls, by_id, servers, clients, give_up, deduplicated }
    }

    /// The index of the call that a request names, if there is one.
    pub(super) fn find(&self, request: RequestId) -> Option<u32> {
        let at = self.by_id.binary_search_by_key(&request.call, |(id, _)| *id).ok()?;
        let index = self.by_id[at].1;
        let client = self.calls[index as usize].client;
        (self.servers + client == request.client.0).then_some(index)
    }

    pub(super) fn clients(&self) -> u16 {
        self.clients.len() as u16
    }
}

/// What a client is to do next, when its time has come.
struct Begun<Op> {
    index: u32,
    number: u32,
    to: NodeId,
    op: Op,
    resend: Vec<Duration>,
    /// When the client ends in the middle of it, and the fault.
    crash: Option<(u64, usize)>,
}

/// Makes the calls of one client, one after the other.
pub(super) async fn client<N: Node>(stage: Shared<N>, client: u16) {
    let (me, servers, policy, seed) = {
        let stage = stage.borrow();
        let policy = Policy {
            give_up: stage.calls.give_up,
            resend: Resend::Never,
            deduplicated: stage.calls.deduplicated,
        };
        (NodeId(stage.servers() + client), stage.servers(), policy, stage.seed)
    };
    let identity = stage.borrow().streams.as_ref().map(|_| stage.borrow().identity(me));
    let wire = match identity {
        Some(identity) => connect(stage.clone(), identity).await,
        None => Wire { stage: stage.clone(), me, tcp: None },
    };
    let clock = LocalClock { stage: stage.clone(), me };
    let mut asker: Client<N, _, _> = Client::new(me, servers, policy, wire, clock, seed);
    loop {
        let next = stage.borrow().next_call(client);
        let Some(at) = next else { return };
        sleep_until(&stage, me, at).await;
        let begun = stage.borrow_mut().begin(client);
        let Some(Begun { index, number, to, op, resend, crash }) = begun else { return };
        asker.policy.resend = Resend::At(resend);
        let outcome = {
            let mut call = pin!(asker.call(number, to, &op));
            let mut crash = pin!(ends(&stage, me, crash));
            poll_fn(|cx| match call.as_mut().poll(cx) {
                Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
                Poll::Pending => crash.as_mut().poll(cx).map(|()| None),
            })
            .await
        };
        stage.borrow_mut().complete(index, outcome);
    }
}

/// Answers when the client ends, which it does not after heal.
async fn ends<N: Node>(stage: &Shared<N>, me: NodeId, crash: Option<(u64, usize)>) {
    let Some((at, fault)) = crash else { return std::future::pending().await };
    sleep_until(stage, me, at).await;
    if stage.borrow().healed {
        std::future::pending::<()>().await;
    }
    stage.borrow_mut().plan.effective(fault);
}

impl<N: Node> Stage<N> {
    /// When a client's next call begins.
    fn next_call(&self, client: u16) -> Option<u64> {
        let call = *self.calls.clients[usize::from(client)].waiting.last()?;
        Some(self.calls.calls[call as usize].at)
    }

    fn begin(&mut self, client: u16) -> Option<Begun<N::Op>> {
        let asker = &mut self.calls.clients[usize::from(client)];
        let index = asker.waiting.pop()?;
        asker.current = index;
        asker.again.clear();
        let process = asker.process;
        let operation = self.operations;
        self.operations += 1;
        let call = &mut self.calls.calls[index as usize];
        call.open = Some(operation);
        let (id, to, op) = (call.id, call.to, call.op.clone());
        let (machine, origin) = (NodeId(self.servers() + client), self.call_origin(index));
        self.note(Happening::Invoke, machine, origin, &(id, &op), |event| {
            event.text = format!("{op:?}");
        });
        self.tell_history(operation, Actor::Client(client), process, id, What::Invoke(op.clone()));
        let mut begun = Begun { index, number: id, to, op, resend: Vec::new(), crash: None };
        self.trouble(client, id, &mut begun);
        Some(begun)
    }

    /// What goes wrong with a call is decided when it begins.
    fn trouble(&mut self, client: u16, id: u32, begun: &mut Begun<N::Op>) {
        if self.healed {
            return;
        }
        let faults: Vec<usize> = self.plan.of_call(id).collect();
        for index in faults {
            self.plan.strike(index);
            let kind = self.plan.fault(index).kind.clone();
            match kind {
                Kind::Retry { after } | Kind::DuplicateRequest { after } => {
                    begun.resend.push(after);
                    let at = self.now + nanos(after);
                    self.calls.clients[usize::from(client)].again.push((at, kind.kind()));
                }
                Kind::ClientCrash { after } => {
                    let at = self.now + nanos(after);
                    if begun.crash.is_none_or(|(earlier, _)| at < earlier) {
                        begun.crash = Some((at, index));
                    }
                }
                _ => {}
            }
        }
    }

    /// A client sends its request: for which call, and what has had an effect when it is handled.
    pub(super) fn attempt(&mut self, from: NodeId) -> Option<(u32, Faults)> {
        let client = from.0.checked_sub(self.servers())?;
        let now = self.now;
        let asker = self.calls.clients.get_mut(usize::from(client))?;
        let mut counts = Faults::NONE;
        if let Some(at) = asker.again.iter().position(|(at, _)| *at <= now) {
            counts.add(asker.again.swap_remove(at).1);
        }
        Some((asker.current, counts))
    }

    /// An answer reaches its client; false if nobody waits for it any more.
    pub(super) fn arrive(&mut self, call: u32, reply: u32) -> bool {
        let call = &mut self.calls.calls[call as usize];
        call.attempts.arrive(reply) && call.open.is_some()
    }

    /// Records the end of a call; none: its client has ended. The shell's client cannot know of the
    /// copies that the network has made of a request, so a Fail is held against them here.
    fn complete(&mut self, index: u32, outcome: Option<Outcome<N::Ret>>) {
        self.tick();
        let deduplicated = self.calls.deduplicated;
        let copies_nothing = self.streams.is_some();
        let call = &mut self.calls.calls[index as usize];
        let Some(operation) = call.open.take() else { return };
        let certain = deduplicated || copies_nothing || call.attempts.all_answered();
        let (id, client) = (call.id, call.client);
        let what = match outcome {
            Some(Outcome::Ok(ret)) => What::Ok(ret),
            Some(Outcome::Fail(reason)) if certain => What::Fail(reason),
            Some(Outcome::Fail(_) | Outcome::Info) | None => What::Info,
        };
        self.note_end(NodeId(self.servers() + client), self.call_origin(index), id, &what);
        let asker = &mut self.calls.clients[usize::from(client)];
        let process = asker.process;
        if what == What::Info {
            asker.process = self.next_process;
            self.next_process += 1;
        }
        self.tell_history(operation, Actor::Client(client), process, id, what);
    }
}
