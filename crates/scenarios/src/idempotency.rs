//! Payments under idempotency keys on trial: each intent is paid once, and told alike to everybody.
//!
//! Calls of different clients share keys, as the retries of an impatient user do; now and then one
//! comes with another request. What is judged:
//!
//! - **at every step**: an intent has at most one credit and one charge, every answer to it is the
//!   same, and `Mismatch` comes only where two requests share a key;
//! - **at the end**: what was told to be paid is credited, and charged if it was by card; amounts
//!   are those that were asked for; nothing that was begun is left undone.

use crate::is_drawn;
use crate::trial::{NO_WALL_CLOCKS, Trial};
use checkers::idempotency::{Answer, Idempotency};
use checkers::{Judged, Verdict};
use explorer::{CaseFor, Planted, Run, Scenario, Shape};
use history::{Event, What};
use node::{Node, NodeId, Observe};
use proptest::prelude::*;
use protocols::IdempotencyKey;
use protocols::naive::{IdempotencyCheckThenAct, IdempotencyKeyFirst};
use protocols::payment::{Body, Config, Durable, Key, Op, Ret, Role, View};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;
use world::Scene;

const STORE: NodeId = NodeId(0);
const PROVIDER: NodeId = NodeId(1);

/// Payments through workers, over one store and one provider.
pub struct Payments<N: Node> {
    /// What it is called, its shape, and its planted bugs.
    pub trial: Trial<N>,
}

/// Idempotency keys (protocols.md P8).
pub fn idempotency() -> Payments<IdempotencyKey> {
    let about = "payments under idempotency keys: each intent is paid once, and told alike";
    let marks = &[
        "a charge came again",
        "a copy met a payment under way",
        "a key came with another request",
        "a payment was taken over",
        "a restarted store found a payment begun",
        "a retry came after its key had expired",
        "a stored reply was given again",
        "an overtaken worker was refused",
        "the provider was out of order",
    ];
    Payments { trial: Trial::new("idempotency", about, Shape { marks, ..shape() }) }
}

impl<N: Node> Payments<N> {
    /// A protocol that is here to be found broken.
    pub fn exhibit(name: &'static str, about: &'static str) -> Self {
        Self { trial: Trial::exhibit(name, about, shape()) }
    }
}

/// The exhibit that looks a key up, pays, and remembers the key.
pub fn check_then_act() -> Payments<IdempotencyCheckThenAct> {
    Payments::exhibit(
        "naive::idempotency_check_then_act",
        "the key is looked up, and remembered after the effect: copies pay twice",
    )
}

/// The exhibit that records the key, and then pays.
pub fn key_first() -> Payments<IdempotencyKeyFirst> {
    Payments::exhibit(
        "naive::idempotency_key_first",
        "the key is recorded before the effect: a crash between loses the payment",
    )
}

/// A worker may be lost.
fn shape() -> Shape {
    Shape { faults: NO_WALL_CLOCKS, may_lose: 1, ..Shape::default() }
}

impl<N> Scenario for Payments<N>
where
    N: Node<Config = Config, Op = Op, Ret = Ret> + Observe<Durable = Durable, View = View>,
{
    type Node = N;

    fn name(&self) -> String {
        self.trial.name.to_owned()
    }

    fn about(&self) -> String {
        self.trial.about.to_owned()
    }

    fn shape(&self) -> Shape {
        self.trial.shape.clone()
    }

    fn op(&self) -> impl Strategy<Value = Op> {
        let key = (0..2u16, 1..=6u32).prop_map(|(tenant, number)| Key { tenant, number });
        (key, 0..16u32).prop_map(|(key, other)| {
            // Most calls with one key ask for the same thing.
            let usual = key.number * 10;
            let amount = if other == 0 { usual + 1 } else { usual };
            Op { key, body: Body { amount, by_card: key.number % 3 != 0 } }
        })
    }

    fn cluster(&self, _: &Shape) -> impl Strategy<Value = Vec<Config>> {
        let workers = prop_oneof![1 => Just(2u16), 1 => Just(3)];
        let limit = prop_oneof![3 => Just(1000u32), 1 => Just(45)];
        let trouble = prop_oneof![1 => Just(0u8), 1 => Just(30)];
        (workers, 20..=400u64, 300..=3000u64, 10..=100u64, limit, trouble).prop_map(
            |(workers, lease, ttl, resend, limit, trouble)| {
                let config = Config {
                    role: Role::Worker,
                    store: STORE,
                    provider: PROVIDER,
                    workers: (2..2 + workers).map(NodeId).collect(),
                    lease: Duration::from_millis(lease),
                    ttl: Duration::from_millis(ttl),
                    resend: Duration::from_millis(resend),
                    limit,
                    trouble,
                };
                (0..2 + workers).map(|node| role_of(NodeId(node), &config)).collect()
            },
        )
    }

    fn entries(&self, nodes: &[Config], _: u16) -> Vec<NodeId> {
        nodes.first().map(|config| config.workers.clone()).unwrap_or_default()
    }

    /// A worker knows nothing that is not elsewhere.
    fn losable(&self, nodes: &[Config]) -> Vec<NodeId> {
        self.entries(nodes, 0)
    }

    fn without_node(&self, nodes: &[Config], node: NodeId) -> Option<Vec<Config>> {
        let fewer = nodes.len().checked_sub(1).filter(|fewer| *fewer >= 3 && node > PROVIDER)?;
        let workers: Vec<NodeId> = (2..fewer as u16).map(NodeId).collect();
        let config = |config: &Config| Config { workers: workers.clone(), ..config.clone() };
        Some(nodes[..fewer].iter().map(config).collect())
    }

    fn role(&self, nodes: &[Config], node: NodeId) -> String {
        match nodes.get(node.index()).map(|config| config.role) {
            Some(Role::Store) => "store".to_owned(),
            Some(Role::Provider) => "provider".to_owned(),
            Some(Role::Worker) => format!("worker {}", node.0 - 1),
            None => node.to_string(),
        }
    }

    /// One of several workers may be lost.
    fn valid(&self, case: &CaseFor<Self>) -> bool {
        let workers: Vec<NodeId> = (2..case.nodes.len() as u16).map(NodeId).collect();
        is_drawn(case, &workers, |node, first| {
            let told = Config { store: STORE, provider: PROVIDER, ..role_of(node, &first) };
            Config { workers: workers.clone(), ..told }
        }) && (workers.len() > 1 || case.lost().next().is_none())
    }

    fn mutants(&self) -> &[Planted<Op, Config>] {
        &self.trial.mutants
    }

    fn invariant(&self) -> impl FnMut(&dyn Scene<N>) -> Verdict {
        let mut seen = Seen::default();
        move |scene: &dyn Scene<N>| {
            let judged = seen.hear(&scene.history().events).and_then(|()| match scene.changed() {
                Some(node) => seen.look(&N::durable(scene.durable(node))),
                None => Ok(()),
            });
            Verdict::from(judged)
        }
    }

    fn progress(&self, run: &Run<N>) -> Verdict {
        for node in run.ids() {
            let running = run.state(node).map(|state| state.view().running).unwrap_or_default();
            if let Some(key) = running.first() {
                let message = format!("{key:?} is begun at {node}, and not ended");
                return Verdict::violated("progress", "payment never ends", message);
            }
        }
        Verdict::Holds
    }

    fn check(&self, run: &Run<N>) -> Verdict {
        let mut seen = Seen::default();
        let judged = seen.hear(&run.history().events).and_then(|()| {
            for node in run.ids() {
                seen.look(&N::durable(run.durable(node)))?;
            }
            seen.credits.end()?;
            seen.charges.end()
        });
        Verdict::from(judged).and_then(|| statements(run))
    }
}

fn role_of(node: NodeId, config: &Config) -> Config {
    let role = match node {
        STORE => Role::Store,
        PROVIDER => Role::Provider,
        _ => Role::Worker,
    };
    Config { role, ..config.clone() }
}

/// What was asked and told, and what has been paid.
#[derive(Default)]
struct Seen {
    credits: Idempotency<Key, Body, Ret>,
    charges: Idempotency<Key, Body, ()>,
    asked: BTreeMap<u32, Op>,
    heard: usize,
    /// Of credits and of charges, how many of each key have been looked at.
    counted: [BTreeMap<Key, usize>; 2],
}

impl Seen {
    fn hear(&mut self, events: &[Event<Op, Ret>]) -> Judged {
        let new = &events[self.heard..];
        self.heard = events.len();
        for event in new {
            match event.what {
                What::Invoke(op) => {
                    self.asked.insert(event.op, op);
                    self.credits.asked(op.key, op.body);
                    self.charges.asked(op.key, op.body);
                }
                What::Ok(ret) => {
                    let Some(Op { key, body }) = self.asked.get(&event.op).copied() else {
                        continue;
                    };
                    self.credits.answered(key, body, answer(ret))?;
                    match ret {
                        Ret::Paid { .. } if body.by_card => {
                            self.charges.answered(key, body, Answer::Done(()))?;
                        }
                        Ret::Declined => self.charges.answered(key, body, Answer::Failed)?,
                        _ => {}
                    }
                }
                What::Fail(_) | What::Info => {}
            }
        }
        Ok(())
    }

    fn look(&mut self, durable: &Durable) -> Judged {
        let [credited, charged] = &mut self.counted;
        for (key, amounts) in &durable.credits {
            for _ in news(credited, *key, amounts.len()) {
                self.credits.effect(*key)?;
            }
        }
        for (key, amounts) in &durable.charges {
            for _ in news(charged, *key, amounts.len()) {
                self.charges.effect(*key)?;
            }
        }
        Ok(())
    }
}

/// The numbers of the effects under a key that have come since it was last looked at.
fn news(counted: &mut BTreeMap<Key, usize>, key: Key, now: usize) -> Range<usize> {
    let before = counted.insert(key, now).unwrap_or(0);
    before..now
}

/// What an answer says of its key. A decline is final too, and has no effect.
fn answer(ret: Ret) -> Answer<Ret> {
    match ret {
        Ret::Paid { .. } => Answer::Done(ret),
        Ret::Declined => Answer::Failed,
        Ret::Mismatch => Answer::Mismatch,
        Ret::InProgress | Ret::Expired => Answer::Undecided,
    }
}

/// Every credit is of an amount that was asked for, and one by card has its charge.
fn statements<N: Node<Op = Op> + Observe<Durable = Durable>>(run: &Run<N>) -> Verdict {
    let durable = |node| N::durable(run.durable(node));
    let (credits, charges) = (durable(STORE).credits, durable(PROVIDER).charges);
    for (key, amounts) in &credits {
        let asked = |op: &Op| op.key == *key && amounts[..] == [op.body.amount];
        let Some(call) = run.case.calls.iter().find(|call| asked(&call.op)) else {
            let message = format!("{key:?} is credited {amounts:?}, which nobody asked for");
            return Verdict::violated("idempotency", "phantom effect", message);
        };
        if call.op.body.by_card && charges.get(key) != Some(amounts) {
            let message = format!("{key:?} is credited {amounts:?}, and not charged");
            return Verdict::violated("conservation", "credit without charge", message);
        }
    }
    Verdict::Holds
}
