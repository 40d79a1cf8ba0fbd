//! Which node has which key: consistent hashing four ways, and the trial for any placement.
//!
//! - [`Ring`]: points on a circle (Karger and others 1997).
//! - [`Rendezvous`]: the highest score wins (Thaler and Ravishankar 1998).
//! - [`Jump`]: numbered buckets and no memory (Lamping and Veach 2014).
//! - [`Bounded`]: a ring on which no node has more than its share and a little (Mirrokni, Thorup
//!   and Zadimoghaddam 2018).
//! - [`naive`]: the article's ring, and key modulo nodes.
//! - [`Trial`]: the nine properties H1 to H9, for these and for a [`Placement`] of your own.
//!
//! # What placement is not
//!
//! The articles sell it as consistency ("keeps data consistent", "restores consistency by
//! re-distribution"). It gives none. Two clients whose memberships differ place one key on two
//! nodes, and both serve it; whoever wants one owner needs epochs from one authority and a
//! hand-over in which the old owner stops before the new one serves. Nor does it bound the load of
//! one hot key.
//!
//! ```
//! use placement::{Placement, Rendezvous, Trial};
//!
//! let mut nodes = Rendezvous::default();
//! for node in ["ann", "bob", "cid"] {
//!     nodes.join(node, 1);
//! }
//! assert_eq!(nodes.owner(b"a key").as_deref(), Some("bob"));
//!
//! let quick = Trial { cases: 4, keys: 2_000, rounds: 1, ..Trial::default() };
//! assert_eq!(quick.violations(Rendezvous::default), []);
//! ```

mod bounded;
mod jump;
pub mod naive;
mod rendezvous;
mod ring;
mod trial;

pub use bounded::Bounded;
pub use jump::{Jump, jump};
pub use rendezvous::Rendezvous;
pub use ring::Ring;
pub use trial::{Figure, Property, Trial, Violation};

use std::sync::Arc;

/// A node's name, which is all that is known of it.
pub type Name = Arc<str>;

/// A hash of bytes under a seed, which is 0 or a hash itself.
pub type Hash = fn(bytes: &[u8], seed: u64) -> u64;

/// XXH3 with 64 bits (Collet): fixed by its specification, the same on every machine and in every
/// release, which the standard library's hashers do not promise.
pub fn xxh3(bytes: &[u8], seed: u64) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(bytes, seed)
}

/// One of the points of a node: its number, hashed under the hash of the node's name.
///
/// Two simpler ways are traps. A label joined out of name and number needs a separator: `s1:1` with
/// `11` and `s1:11` with `1` are the same text. And the number as seed of the name's hash is no
/// seed: XXH3 adds it to the few bytes of a short name, and then `n60` and `n61` share points in
/// all 64 bits.
pub fn point(hash: Hash, node: &str, number: u32) -> u64 {
    hash(&number.to_le_bytes(), hash(node.as_bytes(), 0))
}

/// Says which node has which key. It starts without nodes.
pub trait Placement {
    /// A node comes, with its weight; one that is here already takes the weight.
    fn join(&mut self, node: &str, weight: u32);

    /// A node goes, if it is here.
    fn leave(&mut self, node: &str);

    /// Who has this key: nobody while there is no node.
    fn owner(&self, key: &[u8]) -> Option<Name>;

    /// The `count` nodes that keep copies of this key, its owner first; all if they are fewer.
    fn replicas(&self, key: &[u8], count: usize) -> Vec<Name> {
        self.owner(key).into_iter().take(count).collect()
    }

    /// Who has each of these keys, when they are all the keys there are: where loads are bounded,
    /// one key's place depends on the others.
    fn place(&self, keys: &[Vec<u8>]) -> Vec<Option<Name>> {
        keys.iter().map(|key| self.owner(key)).collect()
    }

    /// What it claims, and is held to.
    fn claims(&self) -> Claims;
}

/// What a placement claims beyond H1 (only the set of nodes counts), H3 (balance), H4 (few keys
/// move) and H6 (every key has an owner), which nobody can do without.
#[derive(Clone, PartialEq, Debug)]
pub struct Claims {
    /// Any node may leave and join. Else only the last by name.
    pub any_leaves: bool,
    /// H2: a node that comes takes keys, one that goes gives keys, and no other key moves.
    pub monotone: bool,
    /// The points that a node has on a ring: its load then spreads by 1/√points around the average.
    /// None if nothing but chance makes loads differ.
    pub points: Option<u32>,
    /// H5: replicas stand on distinct nodes.
    pub replicas: bool,
    /// H7: a node's load is proportional to its weight.
    pub weights: bool,
    /// H8: no load exceeds the average by more than this many per mille, rounded up.
    pub epsilon: Option<u32>,
}

impl Default for Claims {
    fn default() -> Self {
        Self {
            any_leaves: true,
            monotone: true,
            points: None,
            replicas: true,
            weights: true,
            epsilon: None,
        }
    }
}
