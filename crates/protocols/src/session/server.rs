//! The session server: rules L1 to L4.

use super::*;

/// All that a session server knows.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Book {
    /// The highest epoch ever granted.
    epochs: BTreeMap<Account, u64>,
    live: BTreeMap<Account, Session>,
    /// Sessions that have ended by another login, whose devices may not know.
    out: BTreeMap<(Account, NodeId), u64>,
    /// The last login of each client over each device.
    last: BTreeMap<(NodeId, NodeId), Login>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
struct Login {
    life: Incarnation,
    call: u32,
    epoch: u64,
}

impl Book {
    fn apply(&mut self, record: &Record) {
        match record {
            Record::Login { account, request, life, session } => {
                let Session { epoch, device } = *session;
                self.epochs.insert(*account, epoch);
                let login = Login { life: *life, call: request.call, epoch };
                self.last.insert((device, request.client), login);
                if let Some(before) = self.live.insert(*account, *session) {
                    self.out.insert((*account, before.device), before.epoch);
                }
            }
            Record::Logout { account } => {
                self.live.remove(account);
            }
            Record::Told { account, session } => {
                self.out.remove(&(*account, session.device));
            }
            Record::Book(book) => *self = book.clone(),
            Record::Act(_) | Record::Acts(_) => {} // the resource's
        }
    }
}

/// Grants sessions: L1–L4.
#[derive(Debug)]
pub struct Server {
    config: Config,
    /// Records since the last snapshot.
    logged: u32,
    book: Book,
}

impl Server {
    pub(super) fn new(config: &Config) -> Self {
        Self { config: config.clone(), logged: 0, book: Book::default() }
    }

    /// The highest epochs and the sessions that a log knows.
    pub(super) fn durable(log: &[Record]) -> (BTreeMap<Account, u64>, BTreeMap<Account, Session>) {
        let mut book = Book::default();
        log.iter().for_each(|record| book.apply(record));
        (book.epochs, book.live)
    }

    pub(super) fn on_start(&mut self, log: &[Record], cx: &mut Context) {
        self.logged = u32::try_from(log.len()).unwrap_or(u32::MAX);
        log.iter().for_each(|record| self.book.apply(record));
        // L4
        let untold: Vec<(Account, NodeId)> = self.book.out.keys().copied().collect();
        untold.into_iter().for_each(|(account, device)| self.tell(account, device, cx));
    }

    pub(super) fn on_login(
        &mut self,
        device: NodeId,
        account: Account,
        request: RequestId,
        life: Incarnation,
        cx: &mut Context,
    ) {
        self.compact(cx);
        // L2
        match self.book.last.get(&(device, request.client)) {
            Some(last) if (last.life, last.call) == (life, request.call) => {
                cx.mark("a copy of a login got the same epoch");
                cx.send(device, Msg::Granted { account, request, life, epoch: last.epoch });
                return;
            }
            Some(last) if (last.life, last.call) > (life, request.call) => {
                cx.send(device, Msg::Stale { request });
                return;
            }
            _ => {}
        }
        // L1
        let epoch = self.book.epochs.get(&account).copied().unwrap_or(0) + 1;
        let before = self.book.live.get(&account).copied();
        let session = Session { epoch, device };
        let record = Record::Login { account, request, life, session };
        self.book.apply(&record);
        self.logged += 1;
        cx.force(record);
        cx.send(device, Msg::Granted { account, request, life, epoch });
        // L4
        if let Some(before) = before {
            self.tell(account, before.device, cx);
        }
    }

    /// L4: now and again until it knows.
    pub(super) fn tell(&mut self, account: Account, device: NodeId, cx: &mut Context) {
        if let Some(&epoch) = self.book.out.get(&(account, device)) {
            cx.send(device, Msg::Out { account, epoch });
            cx.set_timer(self.config.resend, Timer::Tell(account, device));
        }
    }

    pub(super) fn on_known(&mut self, account: Account, session: Session, cx: &mut Context) {
        if self.book.out.get(&(account, session.device)) == Some(&session.epoch) {
            cx.cancel_timer(Timer::Tell(account, session.device));
            // Lazy: if it is lost, the device is told again.
            let record = Record::Told { account, session };
            self.book.apply(&record);
            self.logged += 1;
            cx.persist(record);
        }
    }

    pub(super) fn on_logout(
        &mut self,
        from: NodeId,
        account: Account,
        request: RequestId,
        epoch: u64,
        cx: &mut Context,
    ) {
        self.compact(cx);
        // L3
        match self.book.live.get(&account) {
            Some(live) if live.epoch == epoch => {
                let record = Record::Logout { account };
                self.book.apply(&record);
                self.logged += 1;
                cx.force(record);
            }
            Some(_) => cx.mark("an earlier session was logged out"),
            None => {}
        }
        cx.send(from, Msg::Ended { request, epoch });
    }

    fn compact(&mut self, cx: &mut Context) {
        if self.logged > self.config.compact {
            cx.snapshot(vec![Record::Book(self.book.clone())]);
            self.logged = 0;
        }
    }
}
