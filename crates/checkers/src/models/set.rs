//! A set, and one whose members can be listed.

use crate::polynomial::flips::{self, Look};
use crate::polynomial::{Span, answer};
use crate::{Decision, Model};
use history::Operation;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::Arc;

/// A set, empty at first. Every element is an object of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Set<V = u64>(PhantomData<V>);

/// What is asked of a set.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum SetOp<V = u64> {
    /// Let this be in it.
    Add(V),
    /// Let this not be in it.
    Remove(V),
    /// Is this in it?
    Contains(V),
}

/// What a set answers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SetRet {
    /// To an addition or a removal: done, whether or not it changed anything.
    Done,
    /// It was not in it and was added; it was in it and was removed; it is in it.
    Yes,
    /// It was in it already; it was not in it to be removed; it is not in it.
    No,
}

impl<V> Set<V> {
    /// An empty set.
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<V> SetOp<V> {
    fn element(&self) -> &V {
        let (Self::Add(element) | Self::Remove(element) | Self::Contains(element)) = self;
        element
    }
}

/// Whether the element is in the set after `op`, if it was before as `present` says.
fn step<V>(present: bool, op: &SetOp<V>, ret: Option<SetRet>) -> Option<bool> {
    let (yes, after) = match op {
        SetOp::Add(_) => (!present, true),
        SetOp::Remove(_) => (present, false),
        SetOp::Contains(_) => (present, present),
    };
    let fits = match ret {
        None => true,
        Some(SetRet::Done) => !matches!(op, SetOp::Contains(_)),
        Some(SetRet::Yes) => yes,
        Some(SetRet::No) => !yes,
    };
    fits.then_some(after)
}

/// Whether `op`, with that answer, changes nothing.
fn observes<V>(op: &SetOp<V>, ret: Option<SetRet>) -> bool {
    matches!(op, SetOp::Contains(_)) || ret == Some(SetRet::No)
}

impl<V: Ord + Clone + Debug + 'static> Model for Set<V> {
    type Op = SetOp<V>;
    type Ret = SetRet;
    type State = bool;
    type Key = V;

    fn key(&self, op: &SetOp<V>) -> V {
        op.element().clone()
    }

    fn initial(&self, _: &V) -> bool {
        false
    }

    fn step(&self, present: &bool, op: &SetOp<V>, ret: Option<&SetRet>) -> Option<bool> {
        step(*present, op, ret.copied())
    }

    fn observes(&self, op: &SetOp<V>, ret: Option<&SetRet>) -> bool {
        observes(op, ret.copied())
    }

    fn overwrites(&self, op: &SetOp<V>, ret: Option<&SetRet>) -> bool {
        !matches!(op, SetOp::Contains(_)) && matches!(ret, None | Some(SetRet::Done))
    }

    fn alike(&self, a: &SetOp<V>, b: &SetOp<V>) -> bool {
        a == b
    }

    fn show(&self, present: &bool) -> String {
        if *present { "in the set".to_owned() } else { "not in the set".to_owned() }
    }

    /// Judges histories in which additions and removals say whether they changed anything.
    fn decide<'a>(
        &self,
        element: &V,
        operations: impl ExactSizeIterator<Item = Operation<'a, Self::Op, Self::Ret>> + Clone,
    ) -> Option<Decision> {
        let mut looks = Vec::with_capacity(operations.len());
        for (place, operation) in operations.enumerate() {
            let look = match (operation.op, answer(&operation)) {
                (SetOp::Add(_), None | Some(SetRet::Yes)) => Look::Turns(true),
                (SetOp::Remove(_), None | Some(SetRet::Yes)) => Look::Turns(false),
                (SetOp::Add(_), Some(SetRet::No)) | (SetOp::Contains(_), Some(SetRet::Yes)) => {
                    Look::Sees(true)
                }
                (SetOp::Remove(_), Some(SetRet::No)) | (SetOp::Contains(_), Some(SetRet::No)) => {
                    Look::Sees(false)
                }
                (SetOp::Contains(_), None) => continue,
                (_, Some(SetRet::Done)) => return None,
            };
            looks.push((Span::of(place, &operation)?, look));
        }
        Some(flips::decide(&looks, || format!("{element:?}")))
    }
}

/// A set, empty at first, whose members can be listed: so it is one object, and costs more to
/// judge than a [`Set`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ListedSet<V = u64>(PhantomData<V>);

/// What is asked of a set whose members can be listed.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ListedSetOp<V = u64> {
    /// Something about one element.
    One(SetOp<V>),
    /// What is in it?
    List,
}

/// What it answers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ListedSetRet<V = u64> {
    /// What a set answers about one element.
    One(SetRet),
    /// All its members.
    Members(BTreeSet<V>),
}

impl<V> ListedSet<V> {
    /// An empty set.
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<V: Ord + Clone + Hash + Debug + 'static> Model for ListedSet<V> {
    type Op = ListedSetOp<V>;
    type Ret = ListedSetRet<V>;
    type State = Arc<BTreeSet<V>>;
    type Key = ();

    fn key(&self, _: &ListedSetOp<V>) {}

    fn initial(&self, (): &()) -> Arc<BTreeSet<V>> {
        Arc::default()
    }

    fn step(
        &self,
        members: &Arc<BTreeSet<V>>,
        op: &ListedSetOp<V>,
        ret: Option<&ListedSetRet<V>>,
    ) -> Option<Arc<BTreeSet<V>>> {
        use {ListedSetOp::*, ListedSetRet as Ret};
        let (op, ret) = match (op, ret) {
            (List, None) => return Some(members.clone()),
            (List, Some(Ret::Members(seen))) => {
                return (**members == *seen).then(|| members.clone());
            }
            (One(op), None) => (op, None),
            (One(op), Some(Ret::One(ret))) => (op, Some(*ret)),
            (List, Some(Ret::One(_))) | (One(_), Some(Ret::Members(_))) => return None,
        };
        let element = op.element();
        let present = members.contains(element);
        let after = step(present, op, ret)?;
        let mut members = members.clone();
        if after && !present {
            Arc::make_mut(&mut members).insert(element.clone());
        } else if present && !after {
            Arc::make_mut(&mut members).remove(element);
        }
        Some(members)
    }

    fn observes(&self, op: &ListedSetOp<V>, ret: Option<&ListedSetRet<V>>) -> bool {
        match (op, ret) {
            (ListedSetOp::List, _) => true,
            (ListedSetOp::One(op), Some(ListedSetRet::One(ret))) => observes(op, Some(*ret)),
            (ListedSetOp::One(op), _) => observes(op, None),
        }
    }

    fn show(&self, members: &Arc<BTreeSet<V>>) -> String {
        format!("{members:?}")
    }
}
