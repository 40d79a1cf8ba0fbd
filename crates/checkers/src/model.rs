//! What a sequential object is: the specification that a history is held against.

use crate::Decision;
use history::{Operation, Outcome};
use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;

/// A sequential object: what it may answer when nobody else uses it.
///
/// One function does the work: [`Model::step`] says whether an operation, with the answer that was
/// seen, is possible in a state, and which state it leaves. A semaphore of three permits, for
/// instance, over the operations and answers that its protocol already has:
///
/// ```
/// use checkers::{Model, linearizable};
/// # use history::{Actor, Event, History, What};
///
/// #[derive(Debug, PartialEq)]
/// enum Op { Acquire, Release }
/// #[derive(Debug, PartialEq)]
/// enum Ret { Done, NoneLeft }
///
/// struct Semaphore;
/// impl Model for Semaphore {
///     type Op = Op;
///     type Ret = Ret;
///     type State = u32;
///     type Key = ();
///     fn key(&self, _: &Op) {}
///     fn initial(&self, _: &()) -> u32 { 3 }
///     fn step(&self, free: &u32, op: &Op, ret: Option<&Ret>) -> Option<u32> {
///         match (op, ret) {
///             (Op::Acquire, Some(Ret::NoneLeft)) => (*free == 0).then_some(0),
///             (Op::Acquire, _) => free.checked_sub(1),
///             (Op::Release, _) => Some(free + 1),
///         }
///     }
/// }
///
/// # let actor = Actor::Client(1);
/// # let line = |op, what| Event { at: 0, op, actor, process: 0, call: op, what };
/// let history = History { events: vec![
///     line(0, What::Invoke(Op::Acquire)),
///     line(0, What::Ok(Ret::NoneLeft)),
/// ] };
/// assert_eq!(
///     linearizable(&Semaphore, &history).anomaly().unwrap().message,
///     "Acquire by client 1 (call 0) returned NoneLeft, \
///      but while it ran the state could only be 3",
/// );
/// ```
pub trait Model {
    /// What is asked of it.
    type Op: Debug + 'static;
    /// What it answers.
    type Ret: Debug + 'static;
    /// What it remembers. The smaller the cheaper: it is copied, compared and hashed in the inner
    /// loop of a search.
    type State: Clone + Eq + Hash + Debug;
    /// Which of many independent objects an operation belongs to; `()` where there is one. Each is
    /// judged alone, for a history is linearizable if its part of every object is.
    type Key: Ord;

    /// The object that `op` belongs to.
    fn key(&self, op: &Self::Op) -> Self::Key;

    /// The state in which that object begins.
    fn initial(&self, key: &Self::Key) -> Self::State;

    /// The state after `op` took effect in `state` and answered `ret`; `None` if it cannot have
    /// given that answer there. Without a `ret` the outcome is unknown: the state after `op` took
    /// effect, whatever it would have answered. That it never took effect need not be considered.
    fn step(
        &self,
        state: &Self::State,
        op: &Self::Op,
        ret: Option<&Self::Ret>,
    ) -> Option<Self::State>;

    /// Whether `op`, with that answer, changes nothing in **any** state, as a read or a refused
    /// compare-and-set does. The search need not branch on such an operation, and passes over one
    /// of unknown outcome, which makes it much faster; `false` is always right.
    fn observes(&self, _op: &Self::Op, _ret: Option<&Self::Ret>) -> bool {
        false
    }

    /// Whether `op`, with that answer, is possible in **every** state and leaves the same one
    /// whatever that was, as a write does. Then it can go unseen right before another such
    /// operation, and a search need not try that out; `false` is always right.
    fn overwrites(&self, _op: &Self::Op, _ret: Option<&Self::Ret>) -> bool {
        false
    }

    /// Whether two operations of unknown outcome are the same in **every** state, so that one can
    /// stand in for the other; `false` is always right.
    fn alike(&self, _a: &Self::Op, _b: &Self::Op) -> bool {
        false
    }

    /// A procedure of this object's own, in polynomial time, for the histories that it knows how
    /// to judge, such as those of a register whose written values all differ; `None` for others,
    /// which a search judges. `operations` are those of one object in the order of invocation;
    /// failed ones are not among them. They are put together as they are asked for, so a procedure
    /// keeps of them what it needs and no more. Where it is `None` for the first few of them it
    /// must be so for all.
    fn decide<'a>(
        &self,
        _key: &Self::Key,
        _operations: impl ExactSizeIterator<Item = Operation<'a, Self::Op, Self::Ret>> + Clone,
    ) -> Option<Decision> {
        None
    }

    /// A state in the words of the message that a person reads: "the state could only be …".
    fn show(&self, state: &Self::State) -> String {
        format!("{state:?}")
    }
}

/// Many objects of one model, told apart by the first half of each operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Keyed<K, M> {
    /// The model of each.
    pub model: M,
    key: PhantomData<K>,
}

impl<K, M> Keyed<K, M> {
    /// Objects of this model.
    pub fn new(model: M) -> Self {
        Self { model, key: PhantomData }
    }
}

impl<K: Ord + Clone + Debug + 'static, M: Model> Model for Keyed<K, M> {
    type Op = (K, M::Op);
    type Ret = M::Ret;
    type State = M::State;
    type Key = (K, M::Key);

    fn key(&self, (key, op): &Self::Op) -> Self::Key {
        (key.clone(), self.model.key(op))
    }

    fn initial(&self, (_, key): &Self::Key) -> M::State {
        self.model.initial(key)
    }

    fn step(&self, state: &M::State, op: &Self::Op, ret: Option<&M::Ret>) -> Option<M::State> {
        self.model.step(state, &op.1, ret)
    }

    fn observes(&self, op: &Self::Op, ret: Option<&M::Ret>) -> bool {
        self.model.observes(&op.1, ret)
    }

    fn overwrites(&self, op: &Self::Op, ret: Option<&Self::Ret>) -> bool {
        self.model.overwrites(&op.1, ret)
    }

    fn alike(&self, a: &Self::Op, b: &Self::Op) -> bool {
        self.model.alike(&a.1, &b.1)
    }

    fn decide<'a>(
        &self,
        (_, key): &Self::Key,
        operations: impl ExactSizeIterator<Item = Operation<'a, Self::Op, Self::Ret>> + Clone,
    ) -> Option<Decision> {
        self.model.decide(key, operations.map(without_key))
    }

    fn show(&self, state: &M::State) -> String {
        self.model.show(state)
    }
}

/// The operation, which has not failed, as the one model sees it.
fn without_key<'a, K, Op, Ret>(operation: Operation<'a, (K, Op), Ret>) -> Operation<'a, Op, Ret> {
    let Operation { id, actor, call, op, outcome, invoked, completed } = operation;
    let outcome = match outcome {
        Outcome::Ok(ret) => Outcome::Ok(ret),
        Outcome::Fail | Outcome::Info => Outcome::Info,
    };
    Operation { id, actor, call, op: &op.1, outcome, invoked, completed }
}
