//! Transactions as clients saw them: lists that are appended to, and registers that are written.

use history::History;
use serde::{Deserialize, Serialize};

/// A micro-operation on lists, each of which has a key.
///
/// A list tells the most of all objects: what a read returns names every append before it, in
/// order. Elements of one list must differ.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListOp<K, V> {
    /// Adds an element at the end.
    Append(K, V),
    /// Reads the whole list. `None` in a completed transaction is the empty list (Jepsen's `nil`);
    /// in an invocation nothing is known yet.
    Read(K, Option<Vec<V>>),
}

/// A micro-operation on registers, each of which has a key. Values written to one register must
/// differ, and none may be the initial one.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RwOp<K, V> {
    /// Writes a value.
    Write(K, V),
    /// Reads the value. `None` in a completed transaction is the initial one, which nobody wrote
    /// (Jepsen's `nil`); in an invocation nothing is known yet.
    Read(K, Option<V>),
}

/// Transactions on lists. An `Ok` carries the whole transaction again, its reads filled in.
pub type ListHistory<K, V> = History<Vec<ListOp<K, V>>, Vec<ListOp<K, V>>>;

/// Transactions on registers. An `Ok` carries the whole transaction again, its reads filled in.
pub type RwHistory<K, V> = History<Vec<RwOp<K, V>>, Vec<RwOp<K, V>>>;

/// What a micro-operation does to its key.
#[derive(Debug)]
pub(super) enum Access<'h, V> {
    Write(&'h V),
    ReadList(&'h [V]),
    ReadValue(Option<&'h V>),
}

// By hand, for a derive would ask for `V: Copy`.
impl<V> Clone for Access<'_, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Access<'_, V> {}

/// What lists and registers have in common.
pub(super) trait MicroOp {
    type Key;
    type Value;
    /// What a write of it is called.
    const WRITE: &'static str;
    fn parts(&self) -> (&Self::Key, Access<'_, Self::Value>);
}

impl<K, V> MicroOp for ListOp<K, V> {
    type Key = K;
    type Value = V;
    const WRITE: &'static str = "append";
    fn parts(&self) -> (&K, Access<'_, V>) {
        match self {
            Self::Append(key, value) => (key, Access::Write(value)),
            Self::Read(key, list) => (key, Access::ReadList(list.as_deref().unwrap_or_default())),
        }
    }
}

impl<K, V> MicroOp for RwOp<K, V> {
    type Key = K;
    type Value = V;
    const WRITE: &'static str = "write";
    fn parts(&self) -> (&K, Access<'_, V>) {
        match self {
            Self::Write(key, value) => (key, Access::Write(value)),
            Self::Read(key, value) => (key, Access::ReadValue(value.as_ref())),
        }
    }
}
