//! A login that is a lock: who has the account's line in the lock table is logged in.
//!
//! # What the article claims
//!
//! A lock makes logins exclusive: a login gets the account's lock, a logout gives it back, so one
//! user at a time is logged in to an account (seed 003). With a Redis key the lock has a TTL, so
//! that a user who never logs out does not keep the account for ever.
//!
//! # As it stands here
//!
//! - Server, upon `Login`: free, or this device's own → force the line, set the TTL, `Granted`;
//!   else `Taken`. Upon `Logout` or at the end of the TTL: the line goes, if it is this session's.
//! - Device: acts as long as the TTL lasts, counted from when it learnt of its session, and looks
//!   at the clock before everything that it sends.
//! - Resource: does what is asked, once for each request, durably.
//!
//! # What is wrong
//!
//! That the lock was held when the act was *sent* says nothing of when it *arrives*. A message that
//! is late, or a device that stops between its look at the clock and the sending, acts for A when B
//! is logged in and has acted. The lock cannot see it, and the resource is not told: its only
//! question could be "which session?", and nobody says. (The sessions are numbered here, so that a
//! judge can tell them apart; nothing compares the numbers.)

use crate::login::{Account, Acted, Config, Durable, Op, Ret, Role, Session, View};
use node::{Cx, Node, NodeId, Observe, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    Login { account: Account, request: RequestId },
    Granted { account: Account, request: RequestId, epoch: u64 },
    Taken { request: RequestId },
    Logout { account: Account, request: RequestId, epoch: u64 },
    Ended { request: RequestId },
    Act { account: Account, request: RequestId, epoch: u64 },
    Done { request: RequestId, epoch: u64 },
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Record {
    Login { account: Account, session: Session },
    Ended { account: Account },
    Act(Acted),
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    /// Server and device: the TTL is over.
    Expire(Account, u64),
    /// Device: no answer yet.
    Resend(RequestId),
}

/// One node of the cluster.
#[derive(Debug)]
pub struct LoginLock {
    config: Config,
    /// Server: the last number given out, and the lock table.
    epochs: BTreeMap<Account, u64>,
    live: BTreeMap<Account, Session>,
    /// Resource: what was done, and in which session.
    acts: Vec<Acted>,
    done: BTreeMap<RequestId, u64>,
    /// Device: its sessions and until when they last, and requests that have not been answered.
    sessions: BTreeMap<Account, (u64, Duration)>,
    tasks: BTreeMap<RequestId, (Op, u64)>,
}

type Context = Cx<LoginLock>;

impl Node for LoginLock {
    type Config = Config;
    type Op = Op;
    type Ret = Ret;
    type Msg = Msg;
    type Record = Record;
    type Timer = Timer;

    fn new(_: NodeId, config: &Config) -> Self {
        Self {
            config: config.clone(),
            epochs: BTreeMap::new(),
            live: BTreeMap::new(),
            acts: Vec::new(),
            done: BTreeMap::new(),
            sessions: BTreeMap::new(),
            tasks: BTreeMap::new(),
        }
    }

    fn on_start(&mut self, log: &[Record], cx: &mut Context) {
        log.iter().for_each(|record| self.apply(record));
        for (account, session) in &self.live {
            cx.set_timer(self.config.ttl, Timer::Expire(*account, session.epoch));
        }
    }

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Context) {
        if self.config.role != Role::Device {
            cx.retry(request, None);
        } else if !self.tasks.contains_key(&request) {
            let now = cx.now();
            let session = self.sessions.get(&op.account()).filter(|(_, until)| now < *until);
            match (op, session) {
                (Op::Login(_), _) => self.begin(request, op, 0, cx),
                (_, Some(&(epoch, _))) => self.begin(request, op, epoch, cx),
                (Op::Act(_), None) => cx.fail(request, "not logged in"),
                (Op::Logout(_), None) => cx.reply(request, Ret::LoggedOut),
            }
        }
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Context) {
        match msg {
            Msg::Login { account, request } => self.on_login(from, account, request, cx),
            Msg::Logout { account, request, epoch } => {
                self.end(account, epoch, cx);
                cx.send(from, Msg::Ended { request });
            }
            Msg::Act { account, request, epoch } => {
                // Who acts has the lock: why else would he act?
                if !self.done.contains_key(&request) {
                    self.force(Record::Act(Acted { account, epoch, request }), cx);
                }
                let epoch = self.done.get(&request).copied().unwrap_or(epoch);
                cx.send(from, Msg::Done { request, epoch });
            }
            Msg::Granted { account, request, epoch } => {
                if self.tasks.remove(&request).is_some() {
                    let until = cx.now() + self.config.ttl;
                    self.sessions.insert(account, (epoch, until));
                    cx.set_timer(self.config.ttl, Timer::Expire(account, epoch));
                    cx.reply(request, Ret::LoggedIn { epoch });
                }
            }
            Msg::Taken { request } => {
                if self.tasks.remove(&request).is_some() {
                    cx.fail(request, "somebody is logged in");
                }
            }
            Msg::Ended { request } => {
                if self.tasks.remove(&request).is_some() {
                    cx.reply(request, Ret::LoggedOut);
                }
            }
            Msg::Done { request, epoch } => {
                if self.tasks.remove(&request).is_some() {
                    cx.reply(request, Ret::Acted { epoch });
                }
            }
        }
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Context) {
        match timer {
            Timer::Expire(account, epoch) => {
                self.end(account, epoch, cx);
                if self.sessions.get(&account).is_some_and(|(session, _)| *session == epoch) {
                    self.sessions.remove(&account);
                }
            }
            Timer::Resend(request) => self.ask(request, cx),
        }
    }
}

impl LoginLock {
    fn apply(&mut self, record: &Record) {
        match record {
            Record::Login { account, session } => {
                self.epochs.insert(*account, session.epoch);
                self.live.insert(*account, *session);
            }
            Record::Ended { account } => {
                self.live.remove(account);
            }
            Record::Act(act) => {
                self.done.insert(act.request, act.epoch);
                self.acts.push(*act);
            }
        }
    }

    fn force(&mut self, record: Record, cx: &mut Context) {
        self.apply(&record);
        cx.force(record);
    }

    fn on_login(&mut self, from: NodeId, account: Account, request: RequestId, cx: &mut Context) {
        match self.live.get(&account) {
            Some(live) if live.device != from => cx.send(from, Msg::Taken { request }),
            _ => {
                let epoch = self.epochs.get(&account).copied().unwrap_or(0) + 1;
                let session = Session { epoch, device: from };
                self.force(Record::Login { account, session }, cx);
                cx.set_timer(self.config.ttl, Timer::Expire(account, epoch));
                cx.send(from, Msg::Granted { account, request, epoch });
            }
        }
    }

    fn end(&mut self, account: Account, epoch: u64, cx: &mut Context) {
        if self.live.get(&account).is_some_and(|live| live.epoch == epoch) {
            self.force(Record::Ended { account }, cx);
        }
    }

    fn begin(&mut self, request: RequestId, op: Op, epoch: u64, cx: &mut Context) {
        self.tasks.insert(request, (op, epoch));
        self.ask(request, cx);
        if let Op::Logout(account) = op {
            self.sessions.remove(&account);
        }
    }

    fn ask(&mut self, request: RequestId, cx: &mut Context) {
        let Some(&(op, epoch)) = self.tasks.get(&request) else { return };
        let now = cx.now();
        match op {
            Op::Login(account) => cx.send(self.config.server, Msg::Login { account, request }),
            Op::Logout(account) => {
                cx.send(self.config.server, Msg::Logout { account, request, epoch });
            }
            Op::Act(account) => {
                let session = self.sessions.get(&account);
                if session.is_none_or(|(held, until)| *held != epoch || now >= *until) {
                    self.tasks.remove(&request); // what became of it, nobody knows
                    return;
                }
                cx.send(self.config.resource, Msg::Act { account, request, epoch });
            }
        }
        cx.set_timer(self.config.resend, Timer::Resend(request));
    }
}

impl Observe for LoginLock {
    type Durable = Durable;
    type View = View;

    fn durable(log: &[Record]) -> Durable {
        let mut node = Self::new(NodeId(0), &Config::default());
        log.iter().for_each(|record| node.apply(record));
        let Self { epochs, live, acts, .. } = node;
        Durable { epochs, live, count: acts.len() as u64, acts }
    }

    fn view(&self) -> View {
        match self.config.role {
            Role::Server | Role::Resource => View::Durable,
            Role::Device => {
                let sessions = self.sessions.iter().map(|(account, (epoch, _))| (*account, *epoch));
                View::Device { sessions: sessions.collect(), pending: self.tasks.len() }
            }
        }
    }
}
