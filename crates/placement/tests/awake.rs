//! Planted bugs: each property rejects one that no other rejects, and the ring that they are
//! planted in holds. The numbers are rows of group M of the list of known bugs.

use Property::{Balance, Edges, Load, Monotone, Moves, Replicas, Set, Weights};
use placement::naive::Modulo;
use placement::{Bounded, Claims, Hash, Name, Placement, Property, Trial, point, xxh3};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

#[derive(Clone, Copy, PartialEq)]
enum Bug {
    None,
    /// Equal points stand in the order of arrival.
    Arrival,
    /// M1: an equal point overwrites, and goes with either node.
    Overwrite,
    /// M3: name and number of a point are joined with nothing between.
    Unseparated,
    /// M3 and M1 at once: no narrow hash is needed for points to fall together.
    UnseparatedOverwrite,
    /// The number of a point is the seed of its name's hash, and M1.
    NumberAsSeedOverwrite,
    /// The number of points depends on the number of nodes, as when shares of a fixed total are
    /// rounded.
    PointsOfCluster,
    /// Names are cut at 8 bytes before they are hashed.
    CutNames,
    /// M2: the next points, whoever's they are.
    RepeatedReplicas,
    /// M2: one more than was asked for, where there is one.
    OneReplicaMore,
    /// M4: no owner behind the last point.
    NoWrap,
    /// Everybody weighs the same.
    NoWeights,
}

/// A plain ring, with a bug.
struct Planted {
    bug: Bug,
    hash: Hash,
    nodes: Vec<(Name, u32)>,
    points: Vec<(u64, Name)>,
}

impl Planted {
    const POINTS: u32 = 100;

    fn empty(bug: Bug, hash: Hash) -> impl Fn() -> Self {
        move || Self { bug, hash, nodes: Vec::new(), points: Vec::new() }
    }

    fn overwrites(&self) -> bool {
        use Bug::{NumberAsSeedOverwrite, Overwrite, UnseparatedOverwrite};
        matches!(self.bug, Overwrite | UnseparatedOverwrite | NumberAsSeedOverwrite)
    }

    fn point(&self, node: &str, number: u32) -> u64 {
        match self.bug {
            Bug::Unseparated | Bug::UnseparatedOverwrite => {
                (self.hash)(format!("{node}{number}").as_bytes(), 0)
            }
            Bug::NumberAsSeedOverwrite => (self.hash)(node.as_bytes(), u64::from(number)),
            Bug::CutNames => point(self.hash, &node[..node.len().min(8)], number),
            _ => point(self.hash, node, number),
        }
    }

    fn add(&mut self, node: &Name, weight: u32) {
        let weight = if self.bug == Bug::NoWeights { 1 } else { weight };
        let odd = self.bug == Bug::PointsOfCluster && self.nodes.len() % 2 == 1;
        let numbers = 0..Self::POINTS * weight + u32::from(odd);
        let points: BTreeSet<u64> = numbers.map(|number| self.point(node, number)).collect();
        if self.overwrites() {
            self.points.retain(|(point, _)| !points.contains(point));
        }
        self.points.extend(points.into_iter().map(|point| (point, node.clone())));
        match self.bug {
            Bug::Arrival => self.points.sort_by_key(|(point, _)| *point),
            _ => self.points.sort(),
        }
    }

    /// Where the number of points has changed for everybody.
    fn rebuild(&mut self) {
        if self.bug == Bug::PointsOfCluster {
            self.points.clear();
            for (node, weight) in self.nodes.clone() {
                self.add(&node, weight);
            }
        }
    }

    /// The nodes of all points: from the key's on, and then, on a ring, from the first one.
    fn walk(&self, key: &[u8], ring: bool) -> impl Iterator<Item = &Name> {
        let key = (self.hash)(key, 0);
        let (before, after) = self.points.split_at(self.points.partition_point(|p| p.0 < key));
        let before = if ring { before } else { &[] };
        after.iter().chain(before).map(|(_, node)| node)
    }
}

impl Placement for Planted {
    fn join(&mut self, node: &str, weight: u32) {
        if self.nodes.iter().all(|(other, _)| **other != *node) {
            self.nodes.push((node.into(), weight));
            self.add(&node.into(), weight);
            self.rebuild();
        }
    }

    fn leave(&mut self, node: &str) {
        self.nodes.retain(|(other, _)| **other != *node);
        if self.overwrites() {
            let gone: BTreeSet<u64> = (0..Self::POINTS).map(|n| self.point(node, n)).collect();
            self.points.retain(|(point, _)| !gone.contains(point));
        }
        self.points.retain(|(_, other)| **other != *node);
        self.rebuild();
    }

    fn owner(&self, key: &[u8]) -> Option<Name> {
        self.walk(key, self.bug != Bug::NoWrap).next().cloned()
    }

    fn replicas(&self, key: &[u8], count: usize) -> Vec<Name> {
        let nodes = self.walk(key, true).cloned();
        if self.bug == Bug::RepeatedReplicas {
            return nodes.take(count.min(self.nodes.len())).collect();
        }
        let count = count + usize::from(self.bug == Bug::OneReplicaMore && count > 0);
        let mut replicas = Vec::new();
        for node in nodes {
            if replicas.len() < count && !replicas.contains(&node) {
                replicas.push(node);
            }
        }
        replicas
    }

    fn claims(&self) -> Claims {
        Claims { points: Some(Self::POINTS), ..Claims::default() }
    }
}

/// Bounded loads gone wrong: what is broken is `place` alone.
struct Full {
    bounded: Bounded,
    modulo: Modulo,
    bug: FullBug,
}

#[derive(Clone, Copy)]
enum FullBug {
    /// Compares the load with the capacity after the key is in.
    OneMore,
    /// The walk begins at the key modulo the nodes.
    OverModulo,
}

impl Full {
    fn empty(bug: FullBug) -> impl Fn() -> Self {
        move || Self { bounded: Bounded::default(), modulo: Modulo::default(), bug }
    }
}

impl Placement for Full {
    fn join(&mut self, node: &str, weight: u32) {
        self.bounded.join(node, weight);
        self.modulo.join(node, weight);
    }

    fn leave(&mut self, node: &str) {
        self.bounded.leave(node);
        self.modulo.leave(node);
    }

    fn owner(&self, key: &[u8]) -> Option<Name> {
        self.bounded.owner(key)
    }

    fn place(&self, keys: &[Vec<u8>]) -> Vec<Option<Name>> {
        let nodes = self.bounded.ring.nodes();
        let mut capacity = Bounded::capacity(keys.len(), nodes, self.bounded.epsilon);
        capacity += usize::from(matches!(self.bug, FullBug::OneMore));
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by_cached_key(|&at| xxh3(&keys[at], 0));
        let mut load = BTreeMap::<Name, usize>::new();
        let mut places = vec![None; keys.len()];
        for at in order {
            let walk: Vec<Name> = match self.bug {
                FullBug::OneMore => self.bounded.ring.replicas(&keys[at], nodes),
                FullBug::OverModulo => self.modulo.replicas(&keys[at], nodes),
            };
            let room = |node: &&Name| load.get(*node).copied().unwrap_or(0) < capacity;
            places[at] = walk.iter().find(room).cloned();
            if let Some(node) = &places[at] {
                *load.entry(node.clone()).or_default() += 1;
            }
        }
        places
    }

    fn claims(&self) -> Claims {
        self.bounded.claims()
    }
}

/// Where a ring of 100 points over XXH3 has three keys.
const OWNERS: Golden = &[("a", "s1:1"), ("key", "s1:11"), ("ключ", "bob")];

type Golden = &'static [(&'static str, &'static str)];

fn found_by<P: Placement>(golden: Golden, empty: impl Fn() -> P) -> Vec<Property> {
    let trial = Trial { golden, keys: 10_000, rounds: 8, ..Trial::default() };
    let violations = trial.violations(empty);
    for violation in &violations {
        println!("{violation}");
    }
    violations.into_iter().map(|violation| violation.property).collect()
}

fn found<P: Placement>(empty: impl Fn() -> P) -> Vec<Property> {
    found_by(OWNERS, empty)
}

fn planted(bug: Bug) -> Vec<Property> {
    found(Planted::empty(bug, xxh3))
}

/// 20 bits, so that points fall together.
fn narrow(bytes: &[u8], seed: u64) -> u64 {
    xxh3(bytes, seed) >> 44
}

/// Another one in each process, the same in all instances of one.
fn of_this_process(bytes: &[u8], seed: u64) -> u64 {
    static STATE: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    STATE.hash_one((bytes, seed))
}

#[test]
fn without_a_bug_it_holds() {
    assert_eq!(planted(Bug::None), []);
    assert_eq!(found_by(&[], Planted::empty(Bug::None, narrow)), []);
}

#[test]
fn set_alone_finds_points_in_order_of_arrival() {
    assert_eq!(found_by(&[], Planted::empty(Bug::Arrival, narrow)), [Set]);
    assert_eq!(planted(Bug::Arrival), [], "64 bits hide it");
}

#[test]
fn m1_an_equal_point_overwrites() {
    assert_eq!(found_by(&[], Planted::empty(Bug::Overwrite, narrow)), [Set, Monotone]);
    assert_eq!(planted(Bug::Overwrite), [], "64 bits hide it");
    assert_eq!(planted(Bug::UnseparatedOverwrite), [Set, Monotone, Property::Golden]);
    assert_eq!(planted(Bug::NumberAsSeedOverwrite), [Set, Monotone, Property::Golden]);
}

#[test]
fn monotone_alone_finds_points_that_depend_on_the_cluster() {
    assert_eq!(planted(Bug::PointsOfCluster), [Monotone]);
}

#[test]
fn balance_alone_finds_names_that_are_cut() {
    assert_eq!(planted(Bug::CutNames), [Balance]);
}

#[test]
fn moves_alone_finds_bounded_loads_over_modulo() {
    assert_eq!(found(Full::empty(FullBug::OverModulo)), [Moves]);
}

#[test]
fn m2_replicas_alone_finds_repeated_nodes_and_one_too_many() {
    assert_eq!(planted(Bug::RepeatedReplicas), [Replicas]);
    assert_eq!(planted(Bug::OneReplicaMore), [Replicas]);
}

#[test]
fn m4_edges_alone_finds_no_wrap_around() {
    assert_eq!(planted(Bug::NoWrap), [Edges]);
}

#[test]
fn weights_alone_finds_that_they_are_ignored() {
    assert_eq!(planted(Bug::NoWeights), [Weights]);
}

#[test]
fn load_alone_finds_one_key_too_many() {
    assert_eq!(found(Full::empty(FullBug::OneMore)), [Load]);
}

#[test]
fn golden_vectors_alone_find_m3_and_a_hash_of_this_process() {
    assert_eq!(planted(Bug::Unseparated), [Property::Golden]);
    assert_eq!(found(Planted::empty(Bug::None, of_this_process)), [Property::Golden]);
}
