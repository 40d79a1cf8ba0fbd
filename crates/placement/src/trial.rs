//! The trial: nine properties, of which each is judged alone.
//!
//! H1, H2, H5, H6 and H8 are exact: one counterexample breaks them, and it is made small. H3, H4
//! and H7 are figures over many memberships, held beside bounds. A load spreads by s around the
//! average, in averages: s is 1/√V on a ring of V points a node, or √(N/m), the chance by which m
//! keys fall on N nodes, if that is more. The bounds are 1 + 7·s for the highest load, above every
//! maximum seen in 200 rings of each size (V from 40, N up to 50), and 1 + 3·s for the 99th
//! percentile of what one node's change moves: 1.3/N on a ring of 100 points. Where loads are
//! bounded by an ε below s, full nodes hand keys on, and it is 1 + 3·s²/ε.
//!
//! Everything is drawn from the seed: a trial says the same thing every time.

mod exact;
mod figures;
mod membership;

use crate::{Name, Placement};
use std::fmt;

/// What is asked of a placement.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Property {
    /// H1: the place of a key depends on the set of nodes, not on how it came about.
    Set,
    /// H2: who comes takes keys, who goes gives keys, and no other key moves.
    Monotone,
    /// H3: the highest load is near the average.
    Balance,
    /// H4: a change moves about as many keys as the node that comes or goes has.
    Moves,
    /// H5: replicas are as many distinct nodes as were asked for, or all, the owner first.
    Replicas,
    /// H6: without nodes no key has an owner; with one node or more, every key.
    Edges,
    /// H7: loads are as weights.
    Weights,
    /// H8: no load is above ⌈(1+ε)·m/N⌉.
    Load,
    /// H9: the same everywhere: the golden vectors hold, and two instances agree.
    Golden,
}

impl Property {
    /// All nine.
    pub const ALL: [Self; 9] = [
        Self::Set,
        Self::Monotone,
        Self::Balance,
        Self::Moves,
        Self::Replicas,
        Self::Edges,
        Self::Weights,
        Self::Load,
        Self::Golden,
    ];
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Set => "H1 set of nodes",
            Self::Monotone => "H2 monotone",
            Self::Balance => "H3 balance",
            Self::Moves => "H4 moves",
            Self::Replicas => "H5 replicas",
            Self::Edges => "H6 edges",
            Self::Weights => "H7 weights",
            Self::Load => "H8 bounded load",
            Self::Golden => "H9 golden vectors",
        })
    }
}

/// What was seen, beside what is allowed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Figure {
    /// Seen.
    pub seen: f64,
    /// The most that is allowed.
    pub bound: f64,
}

/// A property that is broken.
#[derive(Clone, PartialEq, Debug)]
pub struct Violation {
    /// Which one.
    pub property: Property,
    /// By which nodes and keys.
    pub counterexample: String,
    /// By how much, where it is a matter of how much.
    pub figure: Option<Figure>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.property, self.counterexample)?;
        if let Some(Figure { seen, bound }) = self.figure {
            write!(f, " ({seen:.2}, at most {bound:.2})")?;
        }
        Ok(())
    }
}

/// How much is tried.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Everything is drawn from it.
    pub seed: u64,
    /// Memberships for each exact property.
    pub cases: u32,
    /// Keys for each figure; a tenth of them for each exact property.
    pub keys: usize,
    /// Memberships of each size for each figure.
    pub rounds: u32,
    /// Keys and their owners among [`Trial::GOLDEN_NODES`], from another implementation or an
    /// earlier release. Without them H9 only compares two instances.
    pub golden: &'static [(&'static str, &'static str)],
}

impl Default for Trial {
    fn default() -> Self {
        Self { seed: 7, cases: 64, keys: 20_000, rounds: 20, golden: &[] }
    }
}

impl Trial {
    /// The nodes of the golden vectors. Two of them have one text as label of two points, if name
    /// and number are joined with nothing between.
    pub const GOLDEN_NODES: [&'static str; 5] = ["ann", "bob", "cid", "s1:1", "s1:11"];

    /// Every property that the placement breaks. `empty` is one without nodes, from which each try
    /// begins.
    pub fn violations<P: Placement>(&self, empty: impl Fn() -> P) -> Vec<Violation> {
        let judged = Property::ALL.into_iter().map(|property| self.judge(property, &empty));
        judged.filter_map(Result::err).collect()
    }

    /// One property. What a placement does not claim holds.
    ///
    /// # Errors
    ///
    /// How it is broken.
    pub fn judge<P: Placement>(
        &self,
        property: Property,
        empty: &impl Fn() -> P,
    ) -> Result<(), Violation> {
        let claims = empty().claims();
        let claimed = match property {
            Property::Set | Property::Balance | Property::Moves => true,
            Property::Edges | Property::Golden => true,
            Property::Monotone => claims.monotone,
            Property::Replicas => claims.replicas,
            Property::Weights => claims.weights,
            Property::Load => claims.epsilon.is_some(),
        };
        if !claimed {
            return Ok(());
        }
        match property {
            Property::Set => exact::search(self, property, empty, exact::set),
            Property::Monotone => exact::search(self, property, empty, exact::monotone),
            Property::Replicas => exact::search(self, property, empty, exact::replicas),
            Property::Edges => exact::search(self, property, empty, exact::edges),
            Property::Load => exact::search(self, property, empty, exact::load),
            Property::Balance => figures::balance(self, empty),
            Property::Moves => figures::moves(self, empty),
            Property::Weights => figures::weights(self, empty),
            Property::Golden => golden(self.golden, empty),
        }
    }
}

/// H9.
fn golden<P: Placement>(vectors: &[(&str, &str)], empty: &impl Fn() -> P) -> Result<(), Violation> {
    let nodes = Trial::GOLDEN_NODES.map(Name::from);
    let (one, two) = (membership::build(empty, &nodes), membership::build(empty, &nodes));
    let broken = |counterexample| {
        Err(Violation { property: Property::Golden, counterexample, figure: None })
    };
    for key in membership::keys(0, 100) {
        let (one, two) = (one.owner(&key), two.owner(&key));
        if one != two {
            let key = membership::text(&key);
            return broken(format!("two instances place {key} at {one:?} and {two:?}"));
        }
    }
    for (key, owner) in vectors {
        let found = one.owner(key.as_bytes());
        if found.as_deref() != Some(owner) {
            return broken(format!("{key} belongs to {owner} and is placed at {found:?}"));
        }
    }
    Ok(())
}
