//! A device: rules L5 and L6.

use super::*;

/// Has sessions: L5, L6.
#[derive(Debug)]
pub struct Device {
    config: Config,
    sessions: BTreeMap<Account, u64>,
    /// Up to which epoch sessions are known to have ended.
    ended: BTreeMap<Account, u64>,
    /// Requests that have not been answered.
    tasks: BTreeMap<RequestId, Task>,
}

#[derive(Clone, Copy, Debug)]
enum Task {
    Login { account: Account },
    Act { account: Account, epoch: u64 },
    Logout { account: Account, epoch: u64 },
}

impl Device {
    pub(super) fn new(config: &Config) -> Self {
        let (sessions, ended, tasks) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { config: config.clone(), sessions, ended, tasks }
    }

    pub(super) fn view(&self) -> View {
        View::Device { sessions: self.sessions.clone(), pending: self.tasks.len() }
    }

    pub(super) fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Context) {
        if self.tasks.contains_key(&request) {
            return; // a retry: one answer serves both
        }
        let session = self.sessions.get(&op.account()).copied();
        let task = match (op, session) {
            (Op::Login(account), _) => Task::Login { account },
            (Op::Act(account), Some(epoch)) => Task::Act { account, epoch },
            (Op::Logout(account), Some(epoch)) => {
                self.leave(account, epoch);
                Task::Logout { account, epoch }
            }
            (Op::Act(_), None) => {
                // L6
                cx.mark("nobody was logged in here");
                cx.fail(request, "not logged in");
                return;
            }
            (Op::Logout(_), None) => {
                cx.reply(request, Ret::LoggedOut);
                return;
            }
        };
        self.tasks.insert(request, task);
        self.ask(request, cx);
    }

    /// Sends what has not been answered, now and again until it is.
    pub(super) fn ask(&self, request: RequestId, cx: &mut Context) {
        let Some(task) = self.tasks.get(&request) else { return };
        let Config { server, resource, resend, .. } = self.config;
        match *task {
            Task::Login { account } => {
                let life = cx.incarnation();
                cx.send(server, Msg::Login { account, request, life });
            }
            Task::Act { account, epoch } => {
                cx.send(resource, Msg::Act { account, request, epoch });
            }
            Task::Logout { account, epoch } => {
                cx.send(server, Msg::Logout { account, request, epoch });
            }
        }
        cx.set_timer(resend, Timer::Resend(request));
    }

    fn end(&mut self, request: RequestId, cx: &mut Context) -> Option<Task> {
        let task = self.tasks.remove(&request)?;
        cx.cancel_timer(Timer::Resend(request));
        Some(task)
    }

    pub(super) fn on_granted(
        &mut self,
        account: Account,
        request: RequestId,
        epoch: u64,
        cx: &mut Context,
    ) {
        if self.end(request, cx).is_none() {
            return; // a copy
        }
        // L5
        let ended = self.ended.get(&account).copied().unwrap_or(0);
        let known = self.sessions.get(&account).copied().unwrap_or(0);
        if epoch <= ended {
            cx.mark("a session had ended before its device knew of it");
        } else if epoch > known {
            self.sessions.insert(account, epoch);
        }
        cx.reply(request, Ret::LoggedIn { epoch });
    }

    pub(super) fn on_out(&mut self, from: NodeId, account: Account, epoch: u64, cx: &mut Context) {
        if self.leave(account, epoch) {
            cx.mark("a device was logged out by another one");
        }
        cx.send(from, Msg::Known { account, epoch });
    }

    /// L5: this session and all before it have ended. Whether one of them was there.
    fn leave(&mut self, account: Account, epoch: u64) -> bool {
        let ended = self.ended.entry(account).or_default();
        *ended = epoch.max(*ended);
        let is_there = self.sessions.get(&account).is_some_and(|session| *session <= epoch);
        if is_there {
            self.sessions.remove(&account);
        }
        is_there
    }

    /// Whether a request is an act or a logout in this session: a copy of it may have been one in
    /// an earlier session.
    fn is_in(&self, request: RequestId, session: u64) -> bool {
        match self.tasks.get(&request) {
            Some(Task::Act { epoch, .. } | Task::Logout { epoch, .. }) => *epoch == session,
            Some(Task::Login { .. }) | None => false,
        }
    }

    pub(super) fn on_ended(&mut self, request: RequestId, epoch: u64, cx: &mut Context) {
        if self.is_in(request, epoch) {
            self.end(request, cx);
            cx.reply(request, Ret::LoggedOut);
        }
    }

    pub(super) fn on_done(&mut self, request: RequestId, epoch: u64, cx: &mut Context) {
        if self.end(request, cx).is_some() {
            cx.reply(request, Ret::Acted { epoch });
        }
    }

    pub(super) fn on_refused(&mut self, request: RequestId, epoch: u64, cx: &mut Context) {
        if self.is_in(request, epoch)
            && let Some(Task::Act { account, .. }) = self.end(request, cx)
        {
            self.leave(account, epoch);
            cx.fail(request, "logged in elsewhere");
        }
    }

    pub(super) fn on_stale(&mut self, request: RequestId, cx: &mut Context) {
        self.end(request, cx);
    }
}
