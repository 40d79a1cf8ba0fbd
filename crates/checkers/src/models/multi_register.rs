//! Several registers that one operation reads and writes at one moment.

use crate::Model;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::Hash;

/// Registers under keys, which begin with these values: what is read is what was written last. A
/// key that is not among them cannot be read before it is written.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MultiRegister<K = u64, V = u64>(pub BTreeMap<K, V>);

/// One step of an operation, which is a list of them: they take effect in their order, and nobody
/// else's between them.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Access<K = u64, V = u64> {
    /// What is the value under this key?
    Read(K),
    /// Let this be the value under that key.
    Write(K, V),
}

/// For every access in its order what it read; `None` for a write, and for a read that did not say.
pub type Accessed<V = u64> = Vec<Option<V>>;

impl<K, V> Model for MultiRegister<K, V>
where
    K: Ord + Clone + Hash + Debug + 'static,
    V: Clone + Eq + Hash + Debug + 'static,
{
    type Op = Vec<Access<K, V>>;
    type Ret = Accessed<V>;
    type State = BTreeMap<K, V>;
    type Key = ();

    fn key(&self, _: &Vec<Access<K, V>>) {}

    fn initial(&self, (): &()) -> BTreeMap<K, V> {
        self.0.clone()
    }

    fn step(
        &self,
        registers: &BTreeMap<K, V>,
        op: &Vec<Access<K, V>>,
        ret: Option<&Accessed<V>>,
    ) -> Option<BTreeMap<K, V>> {
        if ret.is_some_and(|read| read.len() != op.len()) {
            return None;
        }
        let mut after = registers.clone();
        for (nth, access) in op.iter().enumerate() {
            let read = ret.and_then(|read| read[nth].as_ref());
            match access {
                Access::Write(_, _) if read.is_some() => return None,
                Access::Write(key, value) => {
                    after.insert(key.clone(), value.clone());
                }
                Access::Read(key) if read.is_some() && after.get(key) != read => return None,
                Access::Read(_) => {}
            }
        }
        Some(after)
    }

    fn observes(&self, op: &Vec<Access<K, V>>, _: Option<&Accessed<V>>) -> bool {
        op.iter().all(|access| matches!(access, Access::Read(_)))
    }

    fn alike(&self, a: &Vec<Access<K, V>>, b: &Vec<Access<K, V>>) -> bool {
        a == b
    }
}
