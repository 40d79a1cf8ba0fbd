//! What a decision procedure of a model's own says of one object's operations.

/// The answer of [`Model::decide`](crate::Model::decide), about a slice of operations: numbers are
/// places in that slice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// They are linearizable, in this order. It names every completed operation once; one of
    /// unknown outcome that is not named never took effect.
    Order(Vec<u32>),
    /// They are not.
    Conflict(Conflict),
}

/// Why no order exists.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Conflict {
    /// A few operations that cannot be placed together, whatever the others do.
    pub operations: Vec<u32>,
    /// Why, in words that name values: "4 was read after 7 had overwritten it".
    pub reason: String,
}
