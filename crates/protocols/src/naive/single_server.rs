//! One server, in memory, where the articles name Paxos and Raft as tools (seed 001, section 6).
//!
//! **Claimed**: a coordinator or lock server "ensures consistency". The articles name Paxos and
//! Raft in a list and go on with one server that is asked for everything; none of their listings
//! writes a log or has a second copy of it.
//!
//! **What is wrong**: the answer a client was given is as durable as one process. A restart
//! forgets locks that are held and values that were written, and hands out the same again. While
//! the server is down or cut off, nothing goes on.
//!
//! It is a fair stand-in otherwise: it executes a request once, however often it arrives, so that
//! nothing but the loss of its state can be held against it.

use crate::replicated::{Config, Durable, Machine, Members, Op, Ret, View};
use node::{Cx, Node, NodeId, Observe, RequestId};
use std::collections::BTreeMap;

/// The one server, and those who send clients on to it.
pub struct SingleServer<M: Machine> {
    me: NodeId,
    server: NodeId,
    machine: M,
    /// The last request of each client, and its answer.
    answered: BTreeMap<NodeId, (u32, M::Answer)>,
}

impl<M: Machine> Node for SingleServer<M> {
    type Config = Config;
    type Op = Op<M::Command>;
    type Ret = Ret<M::Answer>;
    type Msg = ();
    type Record = ();
    type Timer = ();

    /// The first member is the server.
    fn new(me: NodeId, config: &Config) -> Self {
        let server = config.members.first().copied().unwrap_or(me);
        Self { me, server, machine: M::default(), answered: BTreeMap::new() }
    }

    /// Nothing was ever written: it begins anew.
    fn on_start(&mut self, _: &[()], cx: &mut Cx<Self>) {
        if cx.incarnation() > 1 && self.me == self.server {
            cx.mark("single server forgot everything");
        }
    }

    fn on_request(&mut self, request: RequestId, op: Self::Op, cx: &mut Cx<Self>) {
        if self.me != self.server {
            return cx.retry(request, Some(self.server));
        }
        let Op::Command(command) = op else {
            return cx.fail(request, "there is one server");
        };
        let before = self.answered.get(&request.client).filter(|(call, _)| *call >= request.call);
        let answer = match before {
            Some((call, _)) if *call > request.call => return,
            Some((_, answer)) => answer.clone(),
            None => {
                let answer = self.machine.apply(&command);
                self.answered.insert(request.client, (request.call, answer.clone()));
                answer
            }
        };
        cx.reply(request, Ret::Answer(answer));
    }

    fn on_message(&mut self, _: NodeId, (): (), _: &mut Cx<Self>) {}

    fn on_timer(&mut self, (): (), _: &mut Cx<Self>) {}
}

impl<M: Machine> Observe for SingleServer<M> {
    type Durable = Durable<M::Command>;
    type View = View;

    fn durable(_: &[()]) -> Durable<M::Command> {
        Vec::new()
    }

    fn view(&self) -> View {
        let leads = self.me == self.server;
        View { leads, members: Members::default().with(self.server), ..View::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replicated::{RegisterAnswer, RegisterCommand, Registers};
    use node::{Answer, Context, Effect};
    use std::time::Duration;

    #[test]
    fn it_executes_once_and_forgets_at_a_restart() {
        let config = Config {
            members: vec![NodeId(0)],
            election: Duration::ZERO,
            heartbeat: Duration::ZERO,
            batch: 1,
            compact_after: 0,
        };
        let add = Op::Command(RegisterCommand::Add { key: 0, amount: 2 });
        let request = |call| RequestId { client: NodeId(9), call };
        let told = |call, value| {
            let answer = Answer::Ok(Ret::Answer(RegisterAnswer::Value(value)));
            vec![Effect::Reply(request(call), answer)]
        };
        let mut cx = Cx::<SingleServer<Registers>>::default();
        let mut server = SingleServer::new(NodeId(0), &config);
        server.on_request(request(1), add.clone(), &mut cx);
        assert_eq!(cx.take(), told(1, 2));
        server.on_request(request(1), add.clone(), &mut cx);
        assert_eq!(cx.take(), told(1, 2), "the same request");
        server.on_request(request(2), add.clone(), &mut cx);
        assert_eq!(cx.take(), told(2, 4));
        server.on_request(request(1), add.clone(), &mut cx);
        assert_eq!(cx.take(), [], "older than the client's last");

        let mut cx = Cx::new(Context { incarnation: 2, ..Context::default() });
        let mut server = SingleServer::new(NodeId(0), &config);
        server.on_start(&[], &mut cx);
        assert_eq!(cx.take(), [Effect::Mark("single server forgot everything")]);
        server.on_request(request(3), add.clone(), &mut cx);
        assert_eq!(cx.take(), told(3, 2), "4 is forgotten");

        let mut other = SingleServer::<Registers>::new(NodeId(1), &config);
        other.on_request(request(4), add, &mut cx);
        assert_eq!(cx.take(), [Effect::Reply(request(4), Answer::Retry(Some(NodeId(0))))]);
    }
}
