//! The four placements hold, the exhibits do not.

use placement::naive::{ArticleRing, Modulo};
use placement::{Bounded, Claims, Jump, Name, Placement, Property, Rendezvous, Ring, Trial, xxh3};

/// Keys with their owners on a ring of 100 points, by rendezvous and by jump: from a program of
/// thirty lines in another language, over the reference implementation of XXH3. The last key stands
/// behind the ring's last point.
const OWNERS: [(&str, [&str; 3]); 7] = [
    ("", ["s1:1", "s1:1", "ann"]),
    ("a", ["s1:1", "s1:11", "bob"]),
    ("key", ["s1:11", "ann", "ann"]),
    ("user:42", ["cid", "cid", "bob"]),
    ("the quick brown fox jumps over the lazy dog", ["ann", "bob", "cid"]),
    ("ключ", ["bob", "s1:1", "ann"]),
    ("wrap 245", ["cid", "s1:11", "bob"]),
];

const fn golden(which: usize) -> [(&'static str, &'static str); OWNERS.len()] {
    let mut vectors = [("", ""); OWNERS.len()];
    let mut at = 0;
    while at < OWNERS.len() {
        vectors[at] = (OWNERS[at].0, OWNERS[at].1[which]);
        at += 1;
    }
    vectors
}

static RING: [(&str, &str); OWNERS.len()] = golden(0);
static RENDEZVOUS: [(&str, &str); OWNERS.len()] = golden(1);
static JUMP: [(&str, &str); OWNERS.len()] = golden(2);

fn broken<P: Placement>(trial: &Trial, empty: impl Fn() -> P) -> Vec<Property> {
    let violations = trial.violations(empty);
    for violation in &violations {
        println!("{violation}");
    }
    violations.into_iter().map(|violation| violation.property).collect()
}

#[test]
fn ring_holds() {
    assert_eq!(broken(&Trial { golden: &RING, ..Trial::default() }, Ring::default), []);
}

#[test]
fn rendezvous_holds() {
    let trial = Trial { golden: &RENDEZVOUS, ..Trial::default() };
    assert_eq!(broken(&trial, Rendezvous::default), []);
}

#[test]
fn jump_holds() {
    assert_eq!(broken(&Trial { golden: &JUMP, ..Trial::default() }, Jump::default), []);
}

#[test]
fn bounded_loads_hold() {
    let trial = Trial { golden: &RING, rounds: 8, ..Trial::default() };
    for epsilon in [50, 100, 250, 1000] {
        assert_eq!(broken(&trial, || Bounded { epsilon, ..Bounded::default() }), [], "{epsilon}");
    }
}

#[test]
fn rings_of_other_sizes_hold() {
    for points in [40, 160, 500] {
        let trial = Trial { rounds: 5, ..Trial::default() };
        assert_eq!(broken(&trial, || Ring::new(points, xxh3)), [], "{points}");
    }
}

#[test]
fn the_articles_ring_is_broken() {
    let found = Trial::default().violations(ArticleRing::default);
    let [edges] = &found[..] else { panic!("{found:?}") };
    assert_eq!(
        edges.to_string(),
        "H6 edges: “key 2422.0” is at None, none of the nodes (1); nodes [\"n1\"], and \"n0\" to come"
    );
}

/// "Constructor nodes raise KeyError; every other key maps to None."
#[test]
fn the_articles_ring_knows_only_names() {
    let mut ring = ArticleRing::new(["ann".into()]);
    ring.join("bob", 1);
    let found = ["ann", "bob", "a key"].map(|key| ring.owner(key.as_bytes()));
    assert_eq!(found, [None, Some(Name::from("bob")), None]);
}

#[test]
fn modulo_moves_ten_keys_of_eleven() {
    let found = Trial::default().violations(Modulo::default);
    let [monotone, moves] = &found[..] else { panic!("{found:?}") };
    assert_eq!((monotone.property, moves.property), (Property::Monotone, Property::Moves));
    let figure = moves.figure.expect("a figure");
    assert!(figure.seen > 8.9 && figure.bound < 1.1, "{moves}");
}

/// Who claims more than the paper is found out: each claim that a placement waives is waived for a
/// reason.
struct Boast<P>(P, fn(&mut Claims));

impl<P: Placement> Placement for Boast<P> {
    fn join(&mut self, node: &str, weight: u32) {
        self.0.join(node, weight);
    }
    fn leave(&mut self, node: &str) {
        self.0.leave(node);
    }
    fn owner(&self, key: &[u8]) -> Option<Name> {
        self.0.owner(key)
    }
    fn replicas(&self, key: &[u8], count: usize) -> Vec<Name> {
        self.0.replicas(key, count)
    }
    fn place(&self, keys: &[Vec<u8>]) -> Vec<Option<Name>> {
        self.0.place(keys)
    }
    fn claims(&self) -> Claims {
        let mut claims = self.0.claims();
        (self.1)(&mut claims);
        claims
    }
}

#[test]
fn claims_are_waived_for_a_reason() {
    use Property::{Balance, Load, Monotone, Moves, Replicas, Weights};
    fn found<P: Placement + Default>(more: fn(&mut Claims)) -> Vec<Property> {
        broken(&Trial { rounds: 8, ..Trial::default() }, || Boast(P::default(), more))
    }
    let any_leaves = |claims: &mut Claims| claims.any_leaves = true;
    let replicas = |claims: &mut Claims| claims.replicas = true;
    let weights = |claims: &mut Claims| claims.weights = true;
    assert_eq!(found::<Jump>(any_leaves), [Monotone, Moves]);
    assert_eq!(found::<Jump>(replicas), [Replicas]);
    assert_eq!(found::<Jump>(weights), [Weights]);
    assert_eq!(found::<Modulo>(weights), [Monotone, Moves, Weights]);
    assert_eq!(found::<Bounded>(|claims| claims.monotone = true), [Monotone]);
    assert_eq!(found::<Bounded>(weights), [Weights]);
    assert_eq!(found::<Ring>(|claims| claims.epsilon = Some(250)), [Load]);
    assert_eq!(found::<Ring>(|claims| claims.points = None), [Balance, Moves]);
}
