//! The four placements hold, the exhibits do not.

use placement::naive::{ArticleRing, Modulo};
use placement::{Bounded, Jump, Placement, Property, Rendezvous, Ring, Trial, xxh3};

fn broken<P: Placement>(empty: impl Fn() -> P) -> Vec<Property> {
    let violations = Trial::default().violations(empty);
    for violation in &violations {
        println!("{violation}");
    }
    violations.into_iter().map(|violation| violation.property).collect()
}

#[test]
fn ring_holds() {
    assert_eq!(broken(Ring::default), []);
}

#[test]
fn rendezvous_holds() {
    assert_eq!(broken(Rendezvous::default), []);
}

#[test]
fn jump_holds() {
    assert_eq!(broken(Jump::default), []);
}

#[test]
fn bounded_holds() {
    for epsilon in [100, 250, 1000] {
        assert_eq!(broken(|| Bounded { epsilon, ..Bounded::default() }), []);
    }
}

#[test]
fn rings_of_other_sizes_hold() {
    for points in [40, 160, 500] {
        assert_eq!(broken(|| Ring::new(points, xxh3)), []);
    }
}

#[test]
fn the_article_s_ring_is_broken() {
    assert_eq!(broken(ArticleRing::default), [Property::Edges]);
}

#[test]
fn modulo_is_broken() {
    assert_eq!(broken(Modulo::default), [Property::Monotone, Property::Moves]);
}
