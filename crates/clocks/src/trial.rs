//! The trial: traces of a few nodes, and four properties, of which each is judged alone.
//!
//! A trace is a list of steps: something happens and leaves a message, a message comes in (any
//! earlier one: late, again, never), a wall clock jumps, a node restarts. proptest draws them and
//! makes a counterexample small.

use crate::{Clock, Close};
use proptest::prelude::{Strategy, prop_oneof};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use std::collections::BTreeMap;
use std::fmt;

/// What is asked of a clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Property {
    /// The clock condition: if a came before b on one node, in this life or an earlier one, or a
    /// is the sending of what b received, then a's stamp is smaller. Any way of causes is made of
    /// such steps.
    Condition,
    /// No two events share a stamp, so that the order is total.
    Total,
    /// Wall time in a stamp is not behind the clock here, and not ahead of all clocks that anybody
    /// has read, but for what restarts reserve.
    Close,
    /// A message that is too far ahead is refused, and no other one.
    Refusal,
}

impl Property {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Condition, Self::Total, Self::Close, Self::Refusal];
}

/// A property that is broken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which one.
    pub property: Property,
    /// By which events, after which steps.
    pub counterexample: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.property, self.counterexample)
    }
}

/// How much is tried.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Everything is drawn from it.
    pub seed: u64,
    /// Traces for each property.
    pub cases: u32,
}

impl Default for Trial {
    fn default() -> Self {
        Self { seed: 7, cases: 2_000 }
    }
}

const NODES: usize = 3;
const STEPS: usize = 60;
/// Wall clocks begin here, so that they can be set back.
const DAWN: u64 = 10_000;

/// A step of a trace, at one of the nodes.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Something happens, and a message tells it.
    Tick { node: usize },
    /// The message of this tick comes in, or of the last one if there are not so many.
    Receive { node: usize, tick: usize },
    /// The wall clock is set by so much.
    Jump { node: usize, by: i64 },
    /// The node loses all but what it has reserved.
    Restart { node: usize },
    /// Time goes by.
    Wait { by: u64 },
}

fn any_step() -> impl Strategy<Value = Step> {
    let node = 0..NODES;
    prop_oneof![
        4 => node.clone().prop_map(|node| Step::Tick { node }),
        4 => (node.clone(), 0..STEPS / 4).prop_map(|(node, tick)| Step::Receive { node, tick }),
        1 => (node.clone(), -2_000..2_000i64).prop_map(|(node, by)| Step::Jump { node, by }),
        1 => node.prop_map(|node| Step::Restart { node }),
        2 => (0..50u64).prop_map(|by| Step::Wait { by }),
    ]
}

/// An event, stamped.
struct Event<S> {
    node: usize,
    /// What the wall clock here said.
    wall: u64,
    /// The most that any wall clock has said so far, to anybody.
    highest: u64,
    /// How often nodes have restarted so far.
    restarts: u64,
    /// The event that sent what was received here.
    sent: Option<usize>,
    /// None if the message was refused.
    stamp: Option<S>,
}

/// What happens on a trace, in an order that fits all causes.
fn run<C: Clock>(steps: &[Step]) -> Vec<Event<C::Stamp>> {
    let mut clocks: Vec<C> = (0..NODES).map(|node| C::start(node as u8, 0)).collect();
    let mut walls = [DAWN as i64; NODES];
    let (mut highest, mut restarts) = (0, 0);
    let mut ticks = Vec::new();
    let mut events: Vec<Event<C::Stamp>> = Vec::new();
    for step in steps {
        let (node, sent) = match *step {
            Step::Tick { node } => {
                ticks.push(events.len());
                (node, None)
            }
            Step::Receive { .. } if ticks.is_empty() => continue,
            Step::Receive { node, tick } => (node, Some(ticks[tick.min(ticks.len() - 1)])),
            Step::Jump { node, by } => {
                walls[node] = (walls[node] + by).max(0);
                continue;
            }
            Step::Restart { node } => {
                restarts += 1;
                clocks[node] = C::start(node as u8, clocks[node].reserved());
                continue;
            }
            Step::Wait { by } => {
                walls = walls.map(|wall| wall + by as i64);
                continue;
            }
        };
        let wall = walls[node] as u64;
        highest = wall.max(highest);
        let stamp = match sent.and_then(|sent| events[sent].stamp.clone()) {
            Some(stamp) => clocks[node].receive(wall, stamp),
            None => Some(clocks[node].tick(wall)),
        };
        events.push(Event { node, wall, highest, restarts, sent, stamp });
    }
    events
}

fn condition<C: Clock>(events: &[Event<C::Stamp>]) -> Result<(), String> {
    let mut last: BTreeMap<usize, &C::Stamp> = BTreeMap::new();
    for Event { node, sent, stamp, .. } in events {
        let Some(stamp) = stamp else { continue };
        if let Some(before) = last.insert(*node, stamp).filter(|before| *before >= stamp) {
            return Err(format!("n{node} stamps {before:?}, and after it {stamp:?}"));
        }
        let cause = sent.and_then(|sent| events[sent].stamp.as_ref());
        if let Some(cause) = cause.filter(|cause| *cause >= stamp) {
            return Err(format!("n{node} receives what was sent at {cause:?} at {stamp:?}"));
        }
    }
    Ok(())
}

fn total<C: Clock>(events: &[Event<C::Stamp>]) -> Result<(), String> {
    let mut stamped: BTreeMap<&C::Stamp, usize> = BTreeMap::new();
    for Event { node, stamp, .. } in events {
        let Some(stamp) = stamp else { continue };
        if let Some(other) = stamped.insert(stamp, *node) {
            return Err(format!("an event of n{other} and one of n{node} are stamped {stamp:?}"));
        }
    }
    Ok(())
}

fn close<C: Clock>(events: &[Event<C::Stamp>], claim: Close) -> Result<(), String> {
    for Event { node, wall, highest, restarts, stamp, .. } in events {
        let Some(stamp) = stamp else { continue };
        let (l, most) = (C::wall(stamp), highest + restarts * claim.block);
        if l < *wall {
            return Err(format!("n{node} stamps {stamp:?}, and its wall clock says {wall}"));
        }
        if l > most {
            return Err(format!("n{node} stamps {stamp:?}, and nobody has got beyond {most}"));
        }
    }
    Ok(())
}

fn refusal<C: Clock>(events: &[Event<C::Stamp>], claim: Option<Close>) -> Result<(), String> {
    for Event { node, wall, sent, stamp, .. } in events {
        let Some(cause) = sent.and_then(|sent| events[sent].stamp.as_ref()) else { continue };
        let far = claim.is_some_and(|claim| C::wall(cause) > wall + claim.epsilon);
        if far == stamp.is_some() {
            let did = if far { "accepts" } else { "refuses" };
            return Err(format!("n{node}, whose wall clock says {wall}, {did} {cause:?}"));
        }
    }
    Ok(())
}

impl Trial {
    /// Every property that the clock breaks.
    pub fn violations<C: Clock>(&self) -> Vec<Violation> {
        Property::ALL.into_iter().filter_map(|property| self.judge::<C>(property).err()).collect()
    }

    /// One property. What a clock does not claim holds.
    ///
    /// # Errors
    ///
    /// How it is broken.
    pub fn judge<C: Clock>(&self, property: Property) -> Result<(), Violation> {
        let config = Config { cases: self.cases, failure_persistence: None, ..Config::default() };
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_le_bytes());
        let dice = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let traces = proptest::collection::vec(any_step(), 1..=STEPS);
        let found = TestRunner::new_with_rng(config, dice).run(&traces, |steps| {
            let events = run::<C>(&steps);
            let judged = match property {
                Property::Condition => condition::<C>(&events),
                Property::Total => total::<C>(&events),
                Property::Close => C::close().map_or(Ok(()), |claim| close::<C>(&events, claim)),
                Property::Refusal => refusal::<C>(&events, C::close()),
            };
            judged.map_err(TestCaseError::fail)
        });
        found.map_err(|error| match error {
            TestError::Fail(reason, steps) => {
                Violation { property, counterexample: format!("{reason}; after {steps:?}") }
            }
            TestError::Abort(reason) => {
                Violation { property, counterexample: format!("no trace: {reason}") }
            }
        })
    }
}
