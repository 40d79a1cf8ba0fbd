//! Locks: one holder at a time, and with a fence, grants that are told apart by a growing number.
//!
//! A hold begins when the grant is handled, and ends when the release is sent or at the holder's
//! own bound, whichever is first. The history must say so: an `Acquire` is complete when the
//! holder handles the grant, and a hold that ran out is a `Release` at its bound. A holder that
//! crashed leaves a `Release` of unknown outcome; without one its hold would never end.

use crate::polynomial::{Span, Values, answer, fences, lock};
use crate::{Decision, Model};
use history::Operation;

/// A lock that one owner holds at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mutex;

/// What is asked of a [`Mutex`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MutexOp {
    /// Let this owner hold it.
    Acquire(u64),
    /// This owner's hold ends.
    Release(u64),
}

/// What a [`Mutex`] answers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MutexRet {
    /// The acquirer holds it; or, the hold has ended.
    Done,
    /// Nothing changed: it is held, or not held by who releases it.
    Refused,
}

impl Model for Mutex {
    type Op = MutexOp;
    type Ret = MutexRet;
    type State = Option<u64>;
    type Key = ();

    fn key(&self, _: &MutexOp) {}

    fn initial(&self, (): &()) -> Option<u64> {
        None
    }

    fn step(
        &self,
        holder: &Option<u64>,
        op: &MutexOp,
        ret: Option<&MutexRet>,
    ) -> Option<Option<u64>> {
        use {MutexOp::*, MutexRet::*};
        match (op, ret) {
            (Acquire(owner), None | Some(Done)) => holder.is_none().then_some(Some(*owner)),
            (Acquire(_), Some(Refused)) => holder.is_some().then_some(*holder),
            (Release(owner), None | Some(Done)) => (*holder == Some(*owner)).then_some(None),
            (Release(owner), Some(Refused)) => (*holder != Some(*owner)).then_some(*holder),
        }
    }

    fn observes(&self, _: &MutexOp, ret: Option<&MutexRet>) -> bool {
        ret == Some(&MutexRet::Refused)
    }

    fn alike(&self, a: &MutexOp, b: &MutexOp) -> bool {
        a == b
    }

    fn show(&self, holder: &Option<u64>) -> String {
        match holder {
            None => "free".to_owned(),
            Some(owner) => format!("held by {owner}"),
        }
    }

    /// Judges histories in which no owner's completed operations overlap each other.
    fn decide<'a>(
        &self,
        (): &(),
        operations: impl ExactSizeIterator<Item = Operation<'a, Self::Op, Self::Ret>> + Clone,
    ) -> Option<Decision> {
        use {MutexOp::*, MutexRet::*, lock::Turn};
        let mut owners = Values::with_capacity(0);
        let mut turns = Vec::with_capacity(operations.len());
        for (place, operation) in operations.enumerate() {
            let turn = match (operation.op, answer(&operation)) {
                (Acquire(owner), None | Some(Done)) => Turn::Acquire(owners.number(owner)),
                (Release(owner), None | Some(Done)) => Turn::Release(owners.number(owner)),
                (Acquire(_), Some(Refused)) => Turn::Held,
                (Release(owner), Some(Refused)) => Turn::NotHeldBy(owners.number(owner)),
            };
            turns.push((Span::of(place, &operation)?, turn));
        }
        lock::decide(&turns, owners.len(), |owner| owners.get(owner).to_string())
    }
}

/// A lock that one owner holds at a time, and whose every grant has a greater fence than all
/// grants before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FencedMutex;

/// What is asked of a [`FencedMutex`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FencedOp {
    /// Let this owner hold it.
    Acquire {
        /// Who asks.
        owner: u64,
    },
    /// A hold ends.
    Release {
        /// Whose.
        owner: u64,
        /// Which of this owner's holds.
        fence: u64,
    },
}

/// What a [`FencedMutex`] answers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FencedRet {
    /// The acquirer holds it under this fence.
    Granted(u64),
    /// The hold has ended.
    Released,
    /// Nothing changed: it is held, or not held by who releases it under that fence.
    Refused,
}

/// What a [`FencedMutex`] remembers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FencedState {
    /// Who holds it.
    pub owner: Option<u64>,
    /// The fence of the last grant, or the smallest that it can have had where nobody saw it.
    pub fence: u64,
    /// Whether that grant's fence was seen.
    pub seen: bool,
}

impl FencedState {
    /// Whether this owner's hold under this fence can be the present one.
    fn is_held_by(self, owner: u64, fence: u64) -> bool {
        let fits = if self.seen { fence == self.fence } else { fence >= self.fence };
        self.owner == Some(owner) && fits
    }
}

impl Model for FencedMutex {
    type Op = FencedOp;
    type Ret = FencedRet;
    type State = FencedState;
    type Key = ();

    fn key(&self, _: &FencedOp) {}

    fn initial(&self, (): &()) -> FencedState {
        FencedState { owner: None, fence: 0, seen: true }
    }

    fn step(
        &self,
        state: &FencedState,
        op: &FencedOp,
        ret: Option<&FencedRet>,
    ) -> Option<FencedState> {
        use {FencedOp::*, FencedRet::*};
        let granted = |owner, fence, seen| FencedState { owner: Some(owner), fence, seen };
        let free = state.owner.is_none();
        match (*op, ret) {
            (Acquire { owner }, None) => {
                let least = state.fence.checked_add(1)?;
                free.then(|| granted(owner, least, false))
            }
            (Acquire { owner }, Some(&Granted(fence))) => {
                (free && fence > state.fence).then(|| granted(owner, fence, true))
            }
            (Acquire { .. }, Some(Refused)) => (!free).then_some(*state),
            (Release { owner, fence }, None | Some(Released)) => state
                .is_held_by(owner, fence)
                .then_some(FencedState { owner: None, fence, seen: true }),
            (Release { owner, fence }, Some(Refused)) => {
                let other = state.owner != Some(owner) || !state.seen || state.fence != fence;
                other.then_some(*state)
            }
            (Acquire { .. }, Some(Released)) | (Release { .. }, Some(Granted(_))) => None,
        }
    }

    fn observes(&self, _: &FencedOp, ret: Option<&FencedRet>) -> bool {
        ret == Some(&FencedRet::Refused)
    }

    fn alike(&self, a: &FencedOp, b: &FencedOp) -> bool {
        a == b
    }

    fn show(&self, state: &FencedState) -> String {
        let FencedState { owner, fence, seen } = state;
        match (owner, seen) {
            (None, _) => format!("free after fence {fence}"),
            (Some(owner), true) => format!("held by {owner} under fence {fence}"),
            (Some(owner), false) => format!("held by {owner} under a fence of at least {fence}"),
        }
    }

    /// Judges every history, but for refused operations that do not fit in easily.
    fn decide<'a>(
        &self,
        (): &(),
        operations: impl ExactSizeIterator<Item = Operation<'a, Self::Op, Self::Ret>> + Clone,
    ) -> Option<Decision> {
        use {FencedOp::*, FencedRet::*, fences::Turn};
        let mut turns = Vec::with_capacity(operations.len());
        for (place, operation) in operations.enumerate() {
            let turn = match (*operation.op, answer(&operation)) {
                (Acquire { owner }, None) => Turn::Acquire(owner, None),
                (Acquire { owner }, Some(&Granted(fence))) => Turn::Acquire(owner, Some(fence)),
                (Acquire { .. }, Some(Refused)) => Turn::Held,
                (Release { owner, fence }, None | Some(Released)) => Turn::Release(owner, fence),
                (Release { owner, fence }, Some(Refused)) => Turn::NotHeldBy(owner, fence),
                // An answer to another question: the search says so.
                _ => return None,
            };
            turns.push((Span::of(place, &operation)?, turn));
        }
        fences::decide(&turns)
    }
}
