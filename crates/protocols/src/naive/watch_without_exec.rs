//! WATCH and MULTI, and no EXEC.
//!
//! # What the article says
//!
//! 003 §4.3: "version control" protects a set of commands: WATCH the key, look at its value, MULTI,
//! write. Its listing has no EXEC where the key has no value yet; and where it has one, it looks
//! whether "the value has not changed", which is
//! [`OptimisticByValue`](super::OptimisticByValue).
//!
//! # What is wrong
//!
//! After MULTI commands are queued and not run. Nobody says EXEC, so nothing is ever done: the
//! client is told that it is, the connection ends, and its queue with it. No fault is needed.
//!
//! # The rules
//!
//! - Upon a request: `Watch` the row's key and `Get` it.
//! - Upon `Nil`: compute; `Multi`, `Set`.
//! - Upon `Queued`: reply; and that was all.

use super::stock::{Config, Durable, Op, Ret, Role, Row, View};
use node::{Cx, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    WatchAndGet { request: RequestId, op: Op },
    Nil { request: RequestId, op: Op },
    MultiAndSet { request: RequestId, row: Row, ret: Ret },
    Queued { request: RequestId, ret: Ret },
}

/// One node of a stock keeper.
#[derive(Debug)]
pub struct WatchWithoutExec {
    config: Config,
    /// At the store: what each connection, one for each request, has queued.
    queued: BTreeMap<RequestId, Row>,
}

impl Node for WatchWithoutExec {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = ();
    type Timer = (RequestId, Op);

    fn new(_: NodeId, config: &Config) -> Self {
        Self { config: config.clone(), queued: BTreeMap::new() }
    }

    fn on_start(&mut self, _: &[()], _: &mut Cx<Self>) {}

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Cx<Self>) {
        match self.config.role {
            Role::Worker => cx.send(self.config.store, Msg::WatchAndGet { request, op }),
            Role::Store => cx.retry(request, None),
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
            // There never is a value: nobody says EXEC.
            Msg::WatchAndGet { request, op } => cx.send(from, Msg::Nil { request, op }),
            Msg::Nil { request, op } if op.only_reads() => {
                cx.reply(request, Ret::Row(Row::OPENING));
            }
            Msg::Nil { request, op } => cx.set_timer(self.config.think, (request, op)),
            Msg::MultiAndSet { request, row, ret } => {
                self.queued.insert(request, row);
                cx.send(from, Msg::Queued { request, ret });
            }
            Msg::Queued { request, ret } => cx.reply(request, ret),
        }
    }

    fn on_timer(&mut self, (request, op): (RequestId, Op), cx: &mut Cx<Self>) {
        match Row::OPENING.after(op) {
            Some((row, ret)) => {
                cx.send(self.config.store, Msg::MultiAndSet { request, row, ret });
            }
            None => cx.fail(request, "sold out"),
        }
    }
}

impl Observe for WatchWithoutExec {
    type Durable = Durable;
    type View = View;

    fn durable(_: &[()]) -> Durable {
        Durable::default()
    }

    fn view(&self) -> View {
        View::default()
    }
}
