//! One life of a node: the shell's server on this engine's wire, disk and clock.

use super::medium::Medium;
use super::observer::Watch;
use super::port::{LocalClock, Wire};
use super::stage::{Shared, Stage};
use super::streams::{connect, ip};
use checkers::Verdict;
use explorer::judge::catch;
use madsim::runtime::Handle;
use madsim::task::NodeId as Task;
use node::{Node, NodeId};
use shell::{End, Error, Identity, Server};
use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::net::IpAddr;
use std::pin::Pin;
use std::task::Poll;

type Life = Pin<Box<dyn Future<Output = ()>>>;

thread_local! {
    /// What the next process to start will run. madsim starts a node by a function that anybody
    /// could call from any thread, and a life is a value of this one: so it is put here, and taken
    /// away again before the call that starts the process has ended.
    static NEXT: Cell<Option<Life>> = const { Cell::new(None) };
}

impl<N: Node> Stage<N> {
    /// A process starts, unless another start has made this one void.
    pub(super) fn boot(&mut self, id: NodeId, token: u32) {
        let machine = self.machine(id);
        if machine.token != token || machine.up || machine.retired {
            return;
        }
        let Some(stage) = self.me.upgrade() else { return };
        let machine = self.machine(id);
        machine.up = true;
        machine.busy = false;
        machine.downed_by = None;
        machine.token += 1;
        machine.origin = machine.boot;
        machine.trouble.met = None;
        let (token, task) = (machine.token, machine.task);
        self.ports[id.index()].close();
        self.heard[id.index()] = None;
        let server = self.server(&stage, id, token);
        let life = guarded(stage, id, token, server);
        let started = start(&self.handle, task, ip(id), life);
        self.machine(id).task = Some(started);
        if let Some(streams) = &mut self.streams {
            streams.tasks[id.index()] = Some(started);
            self.cut_streams();
        }
        self.woken += 1;
    }

    pub(super) fn identity(&self, node: NodeId) -> Identity {
        Identity { scenario: self.scenario.clone(), cluster: self.seed, node }
    }

    fn server(
        &self,
        stage: &Shared<N>,
        me: NodeId,
        token: u32,
    ) -> impl Future<Output = Result<End, Error>> + use<N> {
        let server: Server<N, _, _, _, _> = Server {
            identity: self.identity(me),
            config: self.configs[me.index()].clone(),
            servers: self.servers(),
            seed: self.seed,
            mutant: self.mutant.clone(),
            transport: Wire { stage: stage.clone(), me, tcp: None },
            disk: Medium { stage: stage.clone(), me },
            clock: LocalClock { stage: stage.clone(), me },
            observer: Watch { stage: stage.clone(), me, token },
        };
        let streams = self.streams.is_some().then(|| (stage.clone(), self.identity(me)));
        async move {
            let transport = match streams {
                Some((stage, identity)) => connect(stage, identity).await,
                None => server.transport,
            };
            Server { transport, ..server }.run(pending()).await
        }
    }

    /// A life has ended by itself: its disk has failed, or it did what no node may.
    fn ended(&mut self, id: NodeId, token: u32, result: Result<End, Error>) {
        let machine = self.machine(id);
        if machine.token != token || !machine.up {
            return;
        }
        match result {
            Ok(_) => {}
            Err(Error::Misuse(_)) => self.misuse(id),
            Err(Error::Log(error)) => match machine.trouble.met.take() {
                Some((fault, down)) => {
                    self.plan.effective(fault);
                    self.stop(id, fault);
                    match down {
                        Some(down) => self.boot_later(id, down),
                        None => self.machine(id).retired = true,
                    }
                }
                None => {
                    let message = format!("{id} ends, and its disk has done nothing: {error}");
                    self.found(Verdict::violated("log", "refused for nothing", message));
                }
            },
        }
    }
}

/// Starts a process on a machine of madsim's, for the first time or again.
pub(super) fn start(
    handle: &Handle,
    task: Option<Task>,
    ip: IpAddr,
    life: impl Future<Output = ()> + 'static,
) -> Task {
    NEXT.set(Some(Box::pin(life)));
    if let Some(task) = task {
        handle.restart(task);
        return task;
    }
    let next = || NEXT.take().unwrap_or_else(|| Box::pin(async {}));
    handle.create_node().ip(ip).init(next).build().id()
}

/// Runs a life to its end. A panic in it is a finding.
fn guarded<N: Node>(
    stage: Shared<N>,
    id: NodeId,
    token: u32,
    life: impl Future<Output = Result<End, Error>>,
) -> impl Future<Output = ()> {
    let mut life = Box::pin(life);
    poll_fn(move |cx| {
        match catch(|| life.as_mut().poll(cx)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(result)) => stage.borrow_mut().ended(id, token, result),
            Err(panic) => stage.borrow_mut().found(panic.verdict(Some(id))),
        }
        Poll::Ready(())
    })
}
