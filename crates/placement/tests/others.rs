//! Placements from the registry, at the versions of the lock file, under the same trial. Each test
//! names what is broken.

use Property::{Edges, Monotone, Moves, Replicas, Set};
use consistent_hash::{Node, RingHash, StaticHashRing};
use hashring::HashRing;
use placement::{Claims, Name, Placement, Property, Trial, Violation, xxh3};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hash, Hasher};

const POINTS: u32 = 100;

fn broken(violations: &[Violation]) -> Vec<Property> {
    for violation in violations {
        println!("{violation}");
    }
    violations.iter().map(|violation| violation.property).collect()
}

/// 20 bits of a hash, so that points fall together.
#[derive(Clone, Copy)]
struct Narrow;

#[derive(Default)]
struct NarrowHasher(Vec<u8>);

impl Hasher for NarrowHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }
    fn finish(&self) -> u64 {
        xxh3(&self.0, 0) >> 44
    }
}

impl BuildHasher for Narrow {
    type Hasher = NarrowHasher;
    fn build_hasher(&self) -> NarrowHasher {
        NarrowHasher::default()
    }
}

/// `hashring` with virtual nodes as in its documentation: a node and a number.
struct Hashring<S> {
    ring: HashRing<(Name, u32), S>,
    points: u32,
    /// Whether a node that is here is kept from being added again.
    once: bool,
    nodes: Vec<Name>,
}

impl Hashring<hashring::DefaultHashBuilder> {
    fn empty(points: u32, once: bool) -> impl Fn() -> Self {
        move || Self { ring: HashRing::new(), points, once, nodes: Vec::new() }
    }
}

impl<S: BuildHasher + Clone> Placement for Hashring<S> {
    fn join(&mut self, node: &str, weight: u32) {
        let node = Name::from(node);
        if self.once && self.nodes.contains(&node) {
            return;
        }
        self.nodes.push(node.clone());
        self.ring.batch_add((0..self.points * weight).map(|n| (node.clone(), n)).collect());
    }

    fn leave(&mut self, node: &str) {
        self.nodes.retain(|other| **other != *node);
        for number in 0..self.points * 4 {
            self.ring.remove(&(node.into(), number));
        }
    }

    fn owner(&self, key: &[u8]) -> Option<Name> {
        self.ring.get(&key).map(|(node, _)| node.clone())
    }

    /// "The node responsible for the key along with the next replicas": one and the others.
    fn replicas(&self, key: &[u8], count: usize) -> Vec<Name> {
        let Some(others) = count.checked_sub(1) else { return Vec::new() };
        let points = self.ring.get_with_replicas(&key, others).unwrap_or_default();
        points.into_iter().map(|(node, _)| node).collect()
    }

    fn claims(&self) -> Claims {
        Claims { points: Some(self.points), ..Claims::default() }
    }
}

/// Replicas are the next *points*: with virtual nodes, made as its documentation makes them, one
/// node is there twice.
#[test]
fn hashring_repeats_nodes_among_replicas() {
    let violations = Trial::default().violations(Hashring::empty(POINTS, true));
    assert_eq!(broken(&violations), [Replicas]);
    let mut ring = Hashring::empty(POINTS, true)();
    (0..10).for_each(|n| ring.join(&format!("n{n}"), 1));
    let pairs = (0..1000u32).map(|key| ring.replicas(&key.to_le_bytes(), 2));
    let twice = pairs.filter(|pair| pair[0] == pair[1]).count();
    assert!((50..200).contains(&twice), "{twice} of 1000, about one of ten nodes");
}

/// Also with one point a node: who asks for one replica more than there are nodes gets them all,
/// and the first one again.
#[test]
fn hashring_gives_one_replica_too_many() {
    let broken = Trial::default().judge(Replicas, &Hashring::empty(1, true)).unwrap_err();
    let expected = "2 replicas [\"n1\", \"n1\"], expected 1 distinct nodes";
    assert!(broken.counterexample.contains(expected), "{broken}");
}

/// A node that is added twice and removed once still serves.
#[test]
fn hashring_counts_a_node_twice() {
    let violations = Trial::default().violations(Hashring::empty(POINTS, false));
    assert_eq!(broken(&violations), [Set, Replicas]);
}

/// M1: equal points stand in the order of arrival, and the removal of one may take the other.
#[test]
fn hashring_does_not_order_equal_points() {
    let empty = || Hashring {
        ring: HashRing::with_hasher(Narrow),
        points: POINTS,
        once: true,
        nodes: Vec::new(),
    };
    assert_eq!(broken(&Trial::default().violations(empty)), [Set, Monotone, Replicas]);
}

/// `consistent_hash`: a ring that is built anew for each set of nodes.
struct ConsistentHash<H: RingHash + Copy + 'static> {
    hash: H,
    nodes: BTreeMap<Name, u32>,
    ring: StaticHashRing<'static, Name, (), H>,
}

impl<H: RingHash + Copy> ConsistentHash<H> {
    fn empty(hash: H) -> impl Fn() -> Self {
        move || {
            let ring = StaticHashRing::new(hash, std::iter::empty());
            Self { hash, nodes: BTreeMap::new(), ring }
        }
    }

    fn build(&mut self) {
        let nodes = self.nodes.iter().map(|(node, weight)| {
            let points = POINTS * weight;
            Node::new(node.clone()).quantity(points as usize)
        });
        self.ring = StaticHashRing::new(self.hash, nodes);
    }
}

impl<H: RingHash + Copy> Placement for ConsistentHash<H> {
    fn join(&mut self, node: &str, weight: u32) {
        self.nodes.insert(node.into(), weight);
        self.build();
    }

    fn leave(&mut self, node: &str) {
        self.nodes.remove(node);
        self.build();
    }

    fn owner(&self, key: &[u8]) -> Option<Name> {
        self.replicas(key, 1).pop()
    }

    fn replicas(&self, key: &[u8], count: usize) -> Vec<Name> {
        self.ring.calc_candidates(&key).take(count).map(|node| node.key.clone()).collect()
    }

    fn claims(&self) -> Claims {
        Claims { points: Some(POINTS), ..Claims::default() }
    }
}

/// Counts the words of the machine's own width that were hashed.
#[derive(Default)]
struct Words(Cell<u32>);

impl RingHash for &Words {
    fn hash_item<T: Hash>(&self, item: &T) -> u64 {
        struct Count<'a>(&'a Cell<u32>, NarrowHasher);
        impl Hasher for Count<'_> {
            fn write(&mut self, bytes: &[u8]) {
                self.1.write(bytes);
            }
            fn write_usize(&mut self, word: usize) {
                self.0.set(self.0.get() + 1);
                self.write(&word.to_ne_bytes());
            }
            fn finish(&self) -> u64 {
                self.1.finish()
            }
        }
        let mut hasher = Count(&self.0, NarrowHasher::default());
        item.hash(&mut hasher);
        hasher.finish()
    }
}

/// H9, which golden vectors of one kind of machine cannot show: each point's number is hashed as a
/// `usize`, in the machine's width and order, so that a machine of 32 bits has another ring.
#[test]
fn consistent_hash_hashes_the_machines_words() {
    let words = Words::default();
    StaticHashRing::new(&words, std::iter::once(Node::new("ann").quantity(POINTS as usize)));
    assert_eq!(words.0.get(), POINTS);
}

impl RingHash for Narrow {
    fn hash_item<T: Hash>(&self, item: &T) -> u64 {
        self.hash_one(item)
    }
}

/// Equal points are ordered by node, replicas are distinct, an empty ring has no owner.
#[test]
fn consistent_hash_holds() {
    let wide = ConsistentHash::empty(consistent_hash::DefaultHash);
    assert_eq!(broken(&Trial::default().violations(wide)), []);
    let narrow = ConsistentHash::empty(Narrow);
    assert_eq!(broken(&Trial::default().violations(narrow)), []);
}

/// `jumpch`, with nodes as buckets in the order of their names.
struct Jumpch {
    nodes: Vec<Name>,
    any_leaves: bool,
}

impl Jumpch {
    fn empty(any_leaves: bool) -> impl Fn() -> Self {
        move || Self { nodes: Vec::new(), any_leaves }
    }
}

impl Placement for Jumpch {
    fn join(&mut self, node: &str, _: u32) {
        self.leave(node);
        self.nodes.push(node.into());
        self.nodes.sort();
    }

    fn leave(&mut self, node: &str) {
        self.nodes.retain(|other| **other != *node);
    }

    fn owner(&self, key: &[u8]) -> Option<Name> {
        let bucket = jumpch::hash(xxh3(key, 0), self.nodes.len() as u32);
        self.nodes.get(bucket as usize).cloned()
    }

    fn claims(&self) -> Claims {
        let any_leaves = self.any_leaves;
        Claims { any_leaves, replicas: false, weights: false, ..Claims::default() }
    }
}

/// It panics where there is no bucket. As buckets of which only the last one leaves, it holds
/// otherwise, and puts each key where the paper does.
#[test]
fn jumpch_has_no_answer_without_buckets() {
    let violations = Trial::default().violations(Jumpch::empty(false));
    assert_eq!(broken(&violations), [Edges]);
    assert!(violations[0].counterexample.contains("slots must be greater than 0"));
    for key in 0..20_000u64 {
        let key = xxh3(&key.to_le_bytes(), 0);
        let buckets = (key % 1000) as u32 + 1;
        assert_eq!(jumpch::hash(key, buckets), placement::jump(key, buckets));
    }
}

/// As nodes that come and go it renumbers the others. That is the paper's limit, not this crate's.
#[test]
fn jumpch_is_not_for_nodes_that_leave() {
    let violations = Trial::default().violations(Jumpch::empty(true));
    assert_eq!(broken(&violations), [Monotone, Moves, Edges]);
}
