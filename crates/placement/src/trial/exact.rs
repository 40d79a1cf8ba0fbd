//! The properties that one counterexample breaks: H1, H2, H5, H6, H8.

use super::membership::{Membership, any_membership, build, keys, text};
use super::{Figure, Property, Trial, Violation};
use crate::{Bounded, Name, Placement};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

/// The most nodes in a membership.
const NODES: usize = 60;

/// What breaks a property in one membership.
pub struct Broken {
    message: String,
    figure: Option<Figure>,
}

impl From<String> for Broken {
    fn from(message: String) -> Self {
        Self { message, figure: None }
    }
}

/// One membership, judged.
type Judge<E> = fn(&E, &Membership, &[Vec<u8>]) -> Result<(), Broken>;

/// Looks for a membership that breaks the property, and makes it small. A panic breaks it too.
pub fn search<P: Placement, E: Fn() -> P>(
    trial: &Trial,
    property: Property,
    empty: &E,
    judge: Judge<E>,
) -> Result<(), Violation> {
    let config = Config {
        cases: trial.cases,
        failure_persistence: None,
        max_shrink_iters: 400,
        ..Config::default()
    };
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&trial.seed.to_le_bytes());
    let dice = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let figure = Cell::new(None);
    let memberships = any_membership(NODES, empty().claims().any_leaves);
    let found = TestRunner::new_with_rng(config, dice).run(&memberships, |members| {
        let keys = keys(members.draw, (trial.keys / 10).max(1));
        judge(empty, &members, &keys).map_err(|broken| {
            figure.set(broken.figure);
            TestCaseError::fail(broken.message)
        })
    });
    match found {
        Ok(()) => Ok(()),
        Err(TestError::Fail(reason, members)) => {
            let Membership { nodes, newcomer, .. } = members;
            let counterexample = format!("{reason}; nodes {nodes:?}, and {newcomer:?} to come");
            Err(Violation { property, counterexample, figure: figure.get() })
        }
        Err(TestError::Abort(reason)) => {
            let counterexample = format!("no membership could be drawn: {reason}");
            Err(Violation { property, counterexample, figure: None })
        }
    }
}

/// The first key for which two placements differ in a way that is wrong.
fn moved<'a>(
    keys: &'a [Vec<u8>],
    before: &[Option<Name>],
    after: &[Option<Name>],
    wrong: impl Fn(&Option<Name>, &Option<Name>) -> bool,
) -> Option<(&'a [u8], Option<Name>, Option<Name>)> {
    let places = before.iter().zip(after);
    let mut both = keys.iter().zip(places);
    let (key, (from, to)) = both.find(|(_, (from, to))| from != to && wrong(from, to))?;
    Some((key, from.clone(), to.clone()))
}

/// H1.
pub fn set<P: Placement>(
    empty: &impl Fn() -> P,
    members: &Membership,
    keys: &[Vec<u8>],
) -> Result<(), Broken> {
    let Membership { nodes, newcomer, .. } = members;
    let straight = build(empty, nodes);
    let mut order = nodes.clone();
    order.reverse();
    let mut detour = build(empty, nodes);
    detour.join(newcomer, 1);
    detour.join(newcomer, 1);
    detour.leave(newcomer);
    let others = [
        ("in reverse order", build(empty, &order)),
        ("and one more that came, came again and went", detour),
    ];
    let expected = straight.place(keys);
    for (how, other) in others {
        if let Some((key, one, two)) = moved(keys, &expected, &other.place(keys), |_, _| true) {
            let key = text(key);
            let message =
                format!("{key} is at {one:?}, and with the same nodes, {how}, at {two:?}");
            return Err(message.into());
        }
        for key in keys.iter().take(50) {
            let (one, two) = (straight.replicas(key, 3), other.replicas(key, 3));
            if one != two {
                let key = text(key);
                return Err(format!("{key} has replicas {one:?}, and {how} {two:?}").into());
            }
        }
    }
    Ok(())
}

/// H2.
pub fn monotone<P: Placement>(
    empty: &impl Fn() -> P,
    members: &Membership,
    keys: &[Vec<u8>],
) -> Result<(), Broken> {
    let Membership { nodes, newcomer, .. } = members;
    let mut placement = build(empty, nodes);
    let before = placement.place(keys);
    placement.join(newcomer, 1);
    let with = placement.place(keys);
    let coming = moved(keys, &before, &with, |_, to| to.as_ref() != Some(newcomer));
    if let Some((key, from, to)) = coming {
        let key = text(key);
        return Err(format!("{newcomer} came, and {key} moved from {from:?} to {to:?}").into());
    }
    let anyone = nodes.get(members.draw as usize % nodes.len());
    let leaver = anyone.filter(|_| placement.claims().any_leaves).unwrap_or(newcomer);
    placement.leave(leaver);
    let without = placement.place(keys);
    let going = moved(keys, &with, &without, |from, _| from.as_ref() != Some(leaver));
    if let Some((key, from, to)) = going {
        let key = text(key);
        return Err(format!("{leaver} went, and {key} moved from {from:?} to {to:?}").into());
    }
    Ok(())
}

/// H5.
pub fn replicas<P: Placement>(
    empty: &impl Fn() -> P,
    members: &Membership,
    keys: &[Vec<u8>],
) -> Result<(), Broken> {
    let nodes = &members.nodes;
    let placement = build(empty, nodes);
    for key in keys.iter().take(20) {
        for count in [0, 1, 2, 3, nodes.len(), nodes.len() + 1, nodes.len() + 2] {
            let replicas = placement.replicas(key, count);
            let distinct: BTreeSet<&Name> = replicas.iter().collect();
            let all = count.min(nodes.len());
            let members = replicas.iter().all(|node| nodes.contains(node));
            // A key without an owner is the edges' business.
            let first = replicas.first().or(placement.owner(key).as_ref()).cloned();
            let owner = placement.owner(key).or(first.clone());
            if (replicas.len(), distinct.len(), members) != (all, all, true) || first != owner {
                let key = text(key);
                let message = format!(
                    "{key} of {owner:?} has as {count} replicas {replicas:?}, expected {all} \
                     distinct nodes"
                );
                return Err(message.into());
            }
        }
    }
    Ok(())
}

/// H6.
pub fn edges<P: Placement>(
    empty: &impl Fn() -> P,
    members: &Membership,
    keys: &[Vec<u8>],
) -> Result<(), Broken> {
    let mut placement = empty();
    let nobody = |placement: &P, when: &str| {
        let found = placement.place(&keys[..1]).pop().flatten();
        let found = found.or_else(|| placement.replicas(&keys[0], 2).pop());
        found.map_or(Ok(()), |node| Err(format!("{when}, and {node} has a key")))
    };
    nobody(&placement, "no node has come")?;
    let Membership { nodes, newcomer, .. } = members;
    placement.join(newcomer, 1);
    let alone = std::slice::from_ref(newcomer);
    let whole = build(empty, nodes);
    for (placement, nodes) in [(&placement, alone), (&whole, nodes)] {
        let mut places = keys.iter().zip(placement.place(keys));
        let member = |place: &Option<Name>| place.as_ref().is_some_and(|at| nodes.contains(at));
        if let Some((key, place)) = places.find(|(_, place)| !member(place)) {
            let (key, count) = (text(key), nodes.len());
            return Err(format!("{key} is at {place:?}, none of the nodes ({count})").into());
        }
    }
    placement.leave(newcomer);
    Ok(nobody(&placement, "the only node has gone")?)
}

/// H8.
pub fn load<P: Placement>(
    empty: &impl Fn() -> P,
    members: &Membership,
    keys: &[Vec<u8>],
) -> Result<(), Broken> {
    let placement = build(empty, &members.nodes);
    let nodes = members.nodes.len();
    let epsilon = placement.claims().epsilon.unwrap_or_default();
    for count in [1, nodes.min(keys.len()), members.draw as usize % keys.len() + 1, keys.len()] {
        let capacity = Bounded::capacity(count, nodes, epsilon);
        let mut loads: BTreeMap<Name, usize> = BTreeMap::new();
        for node in placement.place(&keys[..count]).into_iter().flatten() {
            *loads.entry(node).or_default() += 1;
        }
        if let Some((node, load)) = loads.iter().find(|(_, load)| **load > capacity) {
            let message = format!("{node} has {load} keys of {count}, on {nodes} nodes");
            let figure = Some(Figure { seen: *load as f64, bound: capacity as f64 });
            return Err(Broken { message, figure });
        }
    }
    Ok(())
}
