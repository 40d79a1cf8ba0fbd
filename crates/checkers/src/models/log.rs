//! A log: what is appended gets the next offset and stays there.

use super::chain::Chain;
use crate::Model;
use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;

/// A log, empty at first, with offsets from 0; [`Keyed`](crate::Keyed) makes many of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Log<V = u64>(PhantomData<V>);

/// What is asked of a log.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum LogOp<V = u64> {
    /// Put this at the end.
    Append(V),
    /// What is at this offset?
    Read(u64),
}

/// What a log answers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum LogRet<V = u64> {
    /// To an append: the offset it got.
    Offset(u64),
    /// To a read: what is there.
    Value(V),
    /// To a read: the log ends before it.
    End,
}

/// What a log holds.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LogState<V>(Chain<V>);

impl<V> Log<V> {
    /// An empty log.
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<V: Clone + Eq + Hash + Debug + 'static> Model for Log<V> {
    type Op = LogOp<V>;
    type Ret = LogRet<V>;
    type State = LogState<V>;
    type Key = ();

    fn key(&self, _: &LogOp<V>) {}

    fn initial(&self, (): &()) -> LogState<V> {
        LogState(Chain::new())
    }

    fn step(
        &self,
        LogState(log): &LogState<V>,
        op: &LogOp<V>,
        ret: Option<&LogRet<V>>,
    ) -> Option<LogState<V>> {
        use {LogOp::*, LogRet::*};
        let end = log.len() as u64;
        // How far from the newest an offset is.
        let back = |offset: &u64| end.checked_sub(*offset)?.checked_sub(1);
        let fits = match (op, ret) {
            (_, None) => true,
            (Append(_), Some(Offset(offset))) => *offset == end,
            (Read(offset), Some(Value(seen))) => {
                back(offset).and_then(|nth| log.iter().nth(nth as usize)) == Some(seen)
            }
            (Read(offset), Some(End)) => *offset >= end,
            (Append(_), Some(Value(_) | End)) | (Read(_), Some(Offset(_))) => false,
        };
        fits.then(|| match op {
            Append(value) => LogState(log.push(value.clone())),
            Read(_) => LogState(log.clone()),
        })
    }

    fn observes(&self, op: &LogOp<V>, _: Option<&LogRet<V>>) -> bool {
        matches!(op, LogOp::Read(_))
    }

    fn show(&self, LogState(log): &LogState<V>) -> String {
        format!("{log:?}")
    }
}
