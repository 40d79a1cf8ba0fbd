//! Exclusive logins: one session for each account, whose number is a fencing token.
//!
//! Leases and locks cannot keep a device that was replaced from acting late (a message may be on
//! its way when the session ends); the resource can, by the one number that it keeps beside its
//! data. So the newest login wins, at once and without a time-out, and whoever was logged in before
//! is out as soon as the new one acts.
//!
//! # Session server
//!
//! - **L1** Upon receiving `Login{account}` from a device: a new epoch, one above the highest ever
//!   granted for the account. It is forced, with whose it is, before `Granted` leaves; the session
//!   that was there ends with it.
//! - **L2** A copy of a `Login` (same request, same life of the device) gets the same epoch. Over
//!   another device, or from a later life, it is a login of its own: two devices never share one.
//! - **L3** Upon receiving `Logout{account, epoch}`: compare, then end the session, forced. A
//!   logout of an earlier session ends nothing, and is answered all the same.
//! - **L4** Whose session has ended by another login is told `Out{epoch}`, again and again until it
//!   says that it knows, also after restarts.
//!
//! # Device
//!
//! - **L5** A session begins with its `Granted`. It ends with an `Out`, a refused act, or its own
//!   logout, and so does each earlier one; the device remembers that, for a `Granted` may come
//!   late: behind the `Out` that overtook it, or to a copy of the request behind the logout. A
//!   later life has forgotten it, and so it listens to no `Granted` to an earlier one.
//! - **L6** An act carries the epoch of the session that the device has when it is asked; without
//!   one it fails.
//!
//! # Resource
//!
//! - **L7** Upon receiving `Act{account, epoch}`: refuse it if a higher epoch has acted; else do it
//!   and keep the epoch, in **one** forced record, and say `Done`.
//! - **L8** Each client's last act is remembered: a copy of it is answered and not done again,
//!   under whichever epoch it comes; one of an older act is not even answered.
//!
//! Each message is sent again until it is answered.
//!
//! # Costs
//!
//! Login: 2 messages and 1 force; over another session 2 more and a lazy record. Act: 2 messages
//! and 1 force; refused, 2 messages. Logout: 2 messages and 1 force.
//!
//! # Promises
//!
//! At the resource no act of an epoch comes after the first one of a later epoch; no epoch is
//! granted twice; each act is done once, and one that failed never; at rest, devices believe in no
//! session but the account's newest. Under any loss, duplication, reordering, pause, crash, power
//! loss and clock.
//!
//! **Cannot**: stop an act of the earlier session that arrives before the new one has acted, or a
//! late one after a logout: neither raises the resource's number. Keep a device from believing in
//! its session until the news reaches it. Serve while the server or the resource is down.

mod device;
mod resource;
mod server;
#[cfg(test)]
mod tests;

use super::login::{Account, Acted, Config, Durable, Op, Ret, Role, Session, View};
use device::Device;
use node::{Cx, Incarnation, Node, NodeId, Observe, RequestId};
use resource::{Acts, Resource};
use serde::{Deserialize, Serialize};
use server::{Book, Server};
use std::collections::BTreeMap;

/// What nodes say to each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    /// Device to session server; `life` is the device's.
    Login { account: Account, request: RequestId, life: Incarnation },
    /// Session server to device; `life` is that of the `Login`.
    Granted { account: Account, request: RequestId, life: Incarnation, epoch: u64 },
    /// Device to session server.
    Logout { account: Account, request: RequestId, epoch: u64 },
    /// Session server to device: this session has ended.
    Ended { request: RequestId, epoch: u64 },
    /// Session server to device: this session and all before it have ended.
    Out { account: Account, epoch: u64 },
    /// Device to session server: it knows.
    Known { account: Account, epoch: u64 },
    /// Device to resource.
    Act { account: Account, request: RequestId, epoch: u64 },
    /// Resource to device: it was done, in this session.
    Done { request: RequestId, epoch: u64 },
    /// Resource to device: not in this session, a later one has acted.
    Refused { request: RequestId, epoch: u64 },
    /// To device: the client has had a later request served.
    Stale { request: RequestId },
}

/// What stands in the logs of session server and resource.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    /// Session server: a session begins.
    Login { account: Account, request: RequestId, life: Incarnation, session: Session },
    /// Session server: a session was logged out.
    Logout { account: Account },
    /// Session server: the device knows that its session has ended.
    Told { account: Account, session: Session },
    /// Session server, in a snapshot: all it knows.
    Book(Book),
    /// Resource: an act, and its epoch.
    Act(Acted),
    /// Resource, in a snapshot: all it knows.
    Acts(Acts),
}

/// What nodes wait for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    /// Device: no answer yet.
    Resend(RequestId),
    /// Session server: the device has not said that it knows.
    Tell(Account, NodeId),
}

/// One node of a cluster with sessions.
#[derive(Debug)]
pub enum Sessions {
    /// Grants sessions.
    Server(Server),
    /// Does what is asked in them.
    Resource(Resource),
    /// Has them.
    Device(Device),
}

type Context = Cx<Sessions>;

impl Node for Sessions {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = Timer;

    fn new(_: NodeId, config: &Config) -> Self {
        match config.role {
            Role::Server => Self::Server(Server::new(config)),
            Role::Resource => Self::Resource(Resource::new(config)),
            Role::Device => Self::Device(Device::new(config)),
        }
    }

    fn on_start(&mut self, log: &[Record], cx: &mut Context) {
        match self {
            Self::Server(server) => server.on_start(log, cx),
            Self::Resource(resource) => resource.replay(log),
            Self::Device(_) => {} // all it knows is volatile
        }
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Context) {
        match self {
            Self::Device(device) => device.on_request(request, op, cx),
            _ => cx.retry(request, None),
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Context) {
        match (self, msg) {
            (Self::Server(server), Msg::Login { account, request, life }) => {
                server.on_login(from, account, request, life, cx);
            }
            (Self::Server(server), Msg::Logout { account, request, epoch }) => {
                server.on_logout(from, account, request, epoch, cx);
            }
            (Self::Server(server), Msg::Known { account, epoch }) => {
                server.on_known(account, Session { epoch, device: from }, cx);
            }
            (Self::Resource(resource), Msg::Act { account, request, epoch }) => {
                resource.on_act(from, Acted { account, epoch, request }, cx);
            }
            (Self::Device(device), Msg::Granted { account, request, life, epoch }) => {
                // L5
                if life == cx.incarnation() {
                    device.on_granted(account, request, epoch, cx);
                }
            }
            (Self::Device(device), Msg::Ended { request, epoch }) => {
                device.on_ended(request, epoch, cx);
            }
            (Self::Device(device), Msg::Out { account, epoch }) => {
                device.on_out(from, account, epoch, cx);
            }
            (Self::Device(device), Msg::Done { request, epoch }) => {
                device.on_done(request, epoch, cx);
            }
            (Self::Device(device), Msg::Refused { request, epoch }) => {
                device.on_refused(request, epoch, cx);
            }
            (Self::Device(device), Msg::Stale { request }) => device.on_stale(request, cx),
            (_, _) => {} // for another role: the cluster is set up wrong
        }
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Context) {
        match (self, timer) {
            (Self::Server(server), Timer::Tell(account, device)) => {
                server.tell(account, device, cx);
            }
            (Self::Device(device), Timer::Resend(request)) => device.ask(request, cx),
            (_, _) => {} // no other role sets it
        }
    }
}

impl Observe for Sessions {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        let (book, acts) = (Server::durable(log), Resource::durable(log));
        Durable { epochs: book.0, live: book.1, count: acts.0, acts: acts.1 }
    }

    fn view(&self) -> View {
        match self {
            Self::Server(_) | Self::Resource(_) => View::Durable,
            Self::Device(device) => device.view(),
        }
    }
}
