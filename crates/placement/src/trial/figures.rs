//! The properties that are figures beside bounds: H3, H4, H7.

use super::membership::{build, keys, nodes};
use super::{Figure, Property, Trial, Violation};
use crate::{Claims, Name, Placement};
use std::collections::BTreeMap;

/// The spread of one node's load around the average, in averages.
fn spread(claims: &Claims, nodes: usize, keys: usize) -> f64 {
    let chance = (nodes as f64 / keys as f64).sqrt();
    claims.points.map_or(chance, |points| chance.max(1.0 / f64::from(points).sqrt()))
}

fn hold(property: Property, figure: Figure, who: impl Fn() -> String) -> Result<(), Violation> {
    if figure.seen <= figure.bound {
        return Ok(());
    }
    Err(Violation { property, counterexample: who(), figure: Some(figure) })
}

/// How many keys each node has. A key without an owner is nobody's here.
fn loads(places: Vec<Option<Name>>) -> BTreeMap<Name, usize> {
    let mut loads = BTreeMap::new();
    for node in places.into_iter().flatten() {
        *loads.entry(node).or_default() += 1;
    }
    loads
}

/// H3.
pub fn balance<P: Placement>(trial: &Trial, empty: &impl Fn() -> P) -> Result<(), Violation> {
    for round in 0..u64::from(trial.rounds) {
        for count in [3, 10, 50] {
            let members = nodes(trial.seed + round, count, round % 4 == 3);
            let placement = build(empty, &members);
            let loads = loads(placement.place(&keys(round, trial.keys)));
            let Some((node, load)) = loads.iter().max_by_key(|(_, load)| **load) else { continue };
            let seen = (load * count) as f64 / trial.keys as f64;
            let bound = 1.0 + 7.0 * spread(&placement.claims(), count, trial.keys);
            hold(Property::Balance, Figure { seen, bound }, || {
                format!("the highest load of {count} nodes, at {node}, in averages")
            })?;
        }
    }
    Ok(())
}

/// The nodes between which [`moves`] sees one come and go.
const NODES: usize = 10;

/// H4. What one node moves when it goes, which by H1 is what it moves when it comes: the 99th
/// percentile, in averages.
pub fn moves<P: Placement>(trial: &Trial, empty: &impl Fn() -> P) -> Result<(), Violation> {
    let claims = empty().claims();
    let mut moved = Vec::new();
    for round in 0..u64::from(trial.rounds) {
        let members = nodes(trial.seed + round, NODES, false);
        let keys = keys(round, trial.keys);
        let mut placement = build(empty, &members);
        let before = placement.place(&keys);
        for node in members.iter().skip(if claims.any_leaves { 0 } else { NODES - 1 }) {
            placement.leave(node);
            let after = placement.place(&keys);
            let changed = before.iter().zip(&after).filter(|(from, to)| from != to).count();
            moved.push((changed * NODES, node.clone()));
            placement.join(node, 1);
        }
    }
    moved.sort_unstable_by(|a, b| b.cmp(a));
    let beyond = moved.len() as f64 / 100.0;
    let beyond = beyond + 3.0 * beyond.sqrt(); // so many of a sample may lie beyond it by chance
    let Some((changed, node)) = moved.get(beyond as usize) else { return Ok(()) };
    let seen = *changed as f64 / trial.keys as f64;
    let spread = spread(&claims, NODES, trial.keys);
    let handed_on = claims.epsilon.map_or(1.0, |e| 1f64.max(spread * 1000.0 / f64::from(e)));
    let bound = 1.0 + 3.0 * spread * handed_on;
    hold(Property::Moves, Figure { seen, bound }, || {
        format!("moved by one node of {NODES} that goes, such as {node}, in averages")
    })
}

/// H7.
pub fn weights<P: Placement>(trial: &Trial, empty: &impl Fn() -> P) -> Result<(), Violation> {
    for round in 0..u64::from(trial.rounds) {
        let members = nodes(trial.seed + round, 8, false);
        let weights = [1, 2, 3, 4, 4, 3, 2, 1];
        let all: u32 = weights.iter().sum();
        let mut placement = empty();
        for (node, weight) in members.iter().zip(weights) {
            placement.join(node, weight);
        }
        let loads = loads(placement.place(&keys(round, trial.keys)));
        let bound = 1.0 + 7.0 * spread(&placement.claims(), all as usize, trial.keys);
        for (node, weight) in members.iter().zip(weights) {
            let share = trial.keys as f64 * f64::from(weight) / f64::from(all);
            let load = loads.get(node).copied().unwrap_or_default() as f64;
            let seen = (load / share).max(share / load); // too little is wrong, too
            hold(Property::Weights, Figure { seen, bound }, || {
                format!("the load of {node}, of weight {weight} in {all}, by which it is off")
            })?;
        }
    }
    Ok(())
}
