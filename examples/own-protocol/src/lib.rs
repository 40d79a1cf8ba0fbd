//! A bank of two machines, and what must hold of it.
//!
//! A client asks one machine to send money to the other one:
//!
//! 1. upon a transfer: write down that the money has left, and send it;
//! 2. until the other machine confirms: send it again and again, also after a restart;
//! 3. upon money: write down that it has come, and confirm.
//!
//! A message can be lost, so rule 2 must repeat it; a message that is repeated arrives twice, so
//! rule 3 must know it again. A bank that is not [`Config::careful`] forgets the second half.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tribunal::prelude::*;

/// What each account holds at first.
pub const START: u32 = 100;

/// What an operator would write down.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(crate = "tribunal::serde")]
pub struct Config {
    /// Money that comes again is known again.
    pub careful: bool,
}

/// What clients ask: send so much to the other machine.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(crate = "tribunal::serde")]
pub struct Transfer(pub u32);

/// What machines say to each other. A transfer is known by the request that asked for it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(crate = "tribunal::serde")]
pub enum Msg {
    Money(RequestId, u32),
    Confirm(RequestId),
}

/// What a machine writes down.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(crate = "tribunal::serde")]
pub enum Record {
    Left(RequestId, u32),
    Came(RequestId, u32),
    Confirmed(RequestId),
}

/// One machine. All that it knows comes from its log.
pub struct Bank {
    me: NodeId,
    careful: bool,
    /// What its account holds.
    balance: u32,
    /// Money that has left and is not confirmed.
    under_way: BTreeMap<RequestId, u32>,
    left: BTreeSet<RequestId>,
    came: BTreeSet<RequestId>,
}

const AGAIN: Duration = Duration::from_millis(200);

impl Bank {
    fn apply(&mut self, record: &Record) {
        match *record {
            Record::Left(request, amount) => {
                self.balance -= amount;
                self.under_way.insert(request, amount);
                self.left.insert(request);
            }
            Record::Came(request, amount) => {
                self.balance += amount;
                self.came.insert(request);
            }
            Record::Confirmed(request) => drop(self.under_way.remove(&request)),
        }
    }

    fn write(&mut self, record: Record, cx: &mut Cx<Self>) {
        self.apply(&record);
        cx.force(record);
    }

    fn send(&self, request: RequestId, cx: &mut Cx<Self>) {
        if let Some(amount) = self.under_way.get(&request) {
            cx.send(NodeId(1 - self.me.0), Msg::Money(request, *amount));
            cx.set_timer(AGAIN, request);
        }
    }
}

impl Node for Bank {
    type Config = Config;
    type Op = Transfer;
    type Ret = bool;
    type Msg = Msg;
    type Record = Record;
    type Timer = RequestId;

    fn new(me: NodeId, config: &Config) -> Self {
        let (under_way, left, came) = Default::default();
        Self { me, careful: config.careful, balance: START, under_way, left, came }
    }

    fn on_start(&mut self, log: &[Record], cx: &mut Cx<Self>) {
        log.iter().for_each(|record| self.apply(record));
        self.under_way.keys().for_each(|request| self.send(*request, cx));
    }

    // Rule 1. A client that got no answer asks again, and the money leaves only once.
    fn on_request(&mut self, request: RequestId, Transfer(amount): Transfer, cx: &mut Cx<Self>) {
        if !self.left.contains(&request) {
            if amount > self.balance {
                return cx.reply(request, false);
            }
            self.write(Record::Left(request, amount), cx);
            self.send(request, cx);
        }
        cx.reply(request, true);
    }

    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<Self>) {
        match msg {
            // Rule 3.
            Msg::Money(request, amount) => {
                let again = self.came.contains(&request);
                if !again || !self.careful {
                    self.write(Record::Came(request, amount), cx);
                }
                if again {
                    cx.mark("money came again"); // counted: a trial that never sees it proves little
                }
                cx.send(from, Msg::Confirm(request));
            }
            Msg::Confirm(request) => {
                if self.under_way.contains_key(&request) {
                    self.write(Record::Confirmed(request), cx);
                }
            }
        }
    }

    // Rule 2.
    fn on_timer(&mut self, request: RequestId, cx: &mut Cx<Self>) {
        self.send(request, cx);
    }
}

/// What to try with the bank, and what must hold.
pub struct Transfers {
    /// Whether the bank is careful.
    pub careful: bool,
}

impl Scenario for Transfers {
    type Node = Bank;

    fn name(&self) -> String {
        if self.careful { "transfers".into() } else { "naive::transfers".into() }
    }

    /// Two machines; and what is not said here: four clients and every kind of fault.
    fn shape(&self) -> Shape {
        let expected = if self.careful { Expected::Holds } else { Expected::Violated };
        Shape { nodes: 2, marks: &["money came again"], expected, ..Shape::default() }
    }

    fn op(&self) -> impl Strategy<Value = Transfer> {
        (1..=START / 2).prop_map(Transfer)
    }

    fn cluster(&self, shape: &Shape) -> impl Strategy<Value = Vec<Config>> {
        Just(vec![Config { careful: self.careful }; shape.nodes.into()])
    }

    /// After the run, when all faults are over and there was time to settle: no money was made or
    /// lost.
    fn check(&self, run: &Run<Bank>) -> Verdict {
        let banks = run.ids().filter_map(|node| run.state(node));
        let (there, expected) = (banks.map(|bank| bank.balance).sum::<u32>(), 2 * START);
        if there == expected {
            return Verdict::Holds;
        }
        let class = if there > expected { "money made" } else { "money lost" };
        Verdict::violated("transfers", class, format!("{there} in all, {expected} at first"))
    }
}
