//! What every scenario is besides its rules: the same rules are for the right protocol, for its
//! copies with a planted bug, and for the article's own version.

use explorer::{Expected, Planted, Shape};
use node::Node;
use world::{FaultKind, Faults};

/// Every fault but those of wall clocks: nobody reads one.
pub(crate) const NO_WALL_CLOCKS: Faults = Faults::ALL.without(Faults::of(&[
    FaultKind::WallOffset,
    FaultKind::WallDrift,
    FaultKind::WallJump,
]));

/// A protocol on trial: what it is called, under which shape, and with which planted bugs.
pub struct Trial<N: Node> {
    /// The name in commands, files and tables.
    pub name: &'static str,
    /// One line for lists.
    pub about: &'static str,
    /// Sizes, faults, promises.
    pub shape: Shape,
    /// Planted bugs of the protocol, none unless somebody plants them.
    pub mutants: Vec<Planted<N::Op, N::Config>>,
}

impl<N: Node> Trial<N> {
    /// One that keeps its promise, unless the shape says otherwise.
    pub(crate) fn new(name: &'static str, about: &'static str, shape: Shape) -> Self {
        Self { name, about, shape, mutants: Vec::new() }
    }

    /// One that is here to be found broken, and reaches what it may.
    pub(crate) fn exhibit(name: &'static str, about: &'static str, shape: Shape) -> Self {
        Self::new(name, about, Shape { expected: Expected::Violated, marks: &[], ..shape })
    }
}
