//! Who is a member, in which order they came, and which keys there are.

use crate::{Name, Placement};
use proptest::collection::btree_set;
use proptest::prelude::{Strategy, prop_oneof};

/// Nodes in the order in which they join, one more that comes later, and a number to draw from.
#[derive(Clone, Debug)]
pub struct Membership {
    pub nodes: Vec<Name>,
    pub newcomer: Name,
    pub draw: u64,
}

/// Up to so many nodes. Where only the last by name may leave, the newcomer is the last by name.
pub fn any_membership(most: usize, any_leaves: bool) -> impl Strategy<Value = Membership> {
    let nodes = btree_set(any_name(), 2..=most).prop_map(|nodes| nodes.into_iter().collect());
    let shuffled = nodes.prop_shuffle();
    (shuffled, (0..10_000u64).no_shrink()).prop_map(move |(mut nodes, draw): (Vec<Name>, u64)| {
        let last = nodes.iter().max().and_then(|last| nodes.iter().position(|node| node == last));
        let newcomer = nodes.remove(last.filter(|_| !any_leaves).unwrap_or(0));
        Membership { nodes, newcomer, draw }
    })
}

/// Names as people give them: short, with a port that runs into a number, with a long beginning
/// that all have in common.
fn any_name() -> impl Strategy<Value = Name> {
    prop_oneof![
        (0..200u32).prop_map(|n| format!("n{n}").into()),
        (0..200u32).prop_map(|n| format!("s1:{n}").into()),
        (0..200u32).prop_map(|n| format!("rack-3.example.org/node-{n}").into()),
    ]
}

/// `count` nodes for one round of a figure, with short names, or ones with a long common beginning.
pub fn nodes(round: u64, count: usize, long: bool) -> Vec<Name> {
    let beginning = if long { "rack-3.example.org/" } else { "" };
    (0..count).map(|n| format!("{beginning}{round:x}-{n:02}").into()).collect()
}

/// `count` keys.
pub fn keys(draw: u64, count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|n| format!("key {draw:x}.{n}").into_bytes()).collect()
}

pub fn text(key: &[u8]) -> String {
    format!("“{}”", String::from_utf8_lossy(key))
}

/// A placement in which these have joined, one after the other.
pub fn build<P: Placement>(empty: &impl Fn() -> P, nodes: &[Name]) -> P {
    let mut placement = empty();
    for node in nodes {
        placement.join(node, 1);
    }
    placement
}
