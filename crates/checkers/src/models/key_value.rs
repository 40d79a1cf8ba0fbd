//! Strings under keys: get, put, append.

use crate::Model;
use std::sync::Arc;

/// Strings under keys, each empty at first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KeyValue;

/// What is asked of the string under a key.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum KeyValueOp {
    /// What is under this key?
    Get(String),
    /// Under this key, let it be that.
    Put(String, String),
    /// To what is under this key, add that at its end.
    Append(String, String),
}

/// What is answered.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum KeyValueRet {
    /// To a get: the whole string.
    Value(String),
    /// To a put and an append: done.
    Done,
}

impl Model for KeyValue {
    type Op = KeyValueOp;
    type Ret = KeyValueRet;
    type State = Arc<str>;
    type Key = String;

    fn key(&self, op: &KeyValueOp) -> String {
        let (KeyValueOp::Get(key) | KeyValueOp::Put(key, _) | KeyValueOp::Append(key, _)) = op;
        key.clone()
    }

    fn initial(&self, _: &String) -> Arc<str> {
        Arc::default()
    }

    fn step(
        &self,
        held: &Arc<str>,
        op: &KeyValueOp,
        ret: Option<&KeyValueRet>,
    ) -> Option<Arc<str>> {
        use {KeyValueOp::*, KeyValueRet::*};
        match (op, ret) {
            (Get(_), None) => Some(held.clone()),
            (Get(_), Some(Value(seen))) => (**held == **seen).then(|| held.clone()),
            (Put(_, new), None | Some(Done)) => Some(new.as_str().into()),
            (Append(_, more), None | Some(Done)) => Some([held, more.as_str()].concat().into()),
            (Get(_), Some(Done)) | (Put(..) | Append(..), Some(Value(_))) => None,
        }
    }

    fn observes(&self, op: &KeyValueOp, _: Option<&KeyValueRet>) -> bool {
        matches!(op, KeyValueOp::Get(_))
    }

    fn overwrites(&self, op: &KeyValueOp, ret: Option<&KeyValueRet>) -> bool {
        matches!(op, KeyValueOp::Put(..)) && matches!(ret, None | Some(KeyValueRet::Done))
    }

    fn alike(&self, a: &KeyValueOp, b: &KeyValueOp) -> bool {
        a == b
    }
}
