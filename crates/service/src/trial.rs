//! One run of a service, as its test's body sees it.

use crate::data::Data;
use crate::stage::Stage;
use checkers::Verdict;
use history::{Event, History, What};
use node::NodeId;
use proptest::strategy::{BoxedStrategy, Strategy};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::Any;
use std::fmt::{Debug, Display};
use std::future::Future;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use world::case::MAX_CLIENTS;

/// A run of one case: its nodes, its clients, and the end of its faults.
///
/// The function that has it is run once for each case, so it starts from nothing each time. It
/// starts nodes, lets clients work, heals, and says what must hold.
#[derive(Clone)]
pub struct Trial {
    stage: Stage,
}

/// A machine for one node of the service: it crashes, is paused and cut off as the case says.
#[derive(Clone)]
pub struct Machine {
    stage: Stage,
    id: NodeId,
}

/// Who asks, and whom.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its number, from 0.
    pub id: u16,
    /// The node that it should ask, where any will do: the case says which.
    pub server: SocketAddr,
    /// Every node.
    pub servers: Vec<SocketAddr>,
}

/// Why an operation has no answer. Every error becomes [`Failure::Info`], so that `?` is right; say
/// [`Failure::Fail`] only of what cannot have had, and never will have, an effect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// It never takes effect, and why.
    Fail(String),
    /// Nobody knows whether it did or will take effect, and why.
    Info(String),
}

impl<E: Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Info(error.to_string())
    }
}

/// How a node's future may end: a node that ends by itself is a finding, with this as the reason.
pub trait Ending {
    /// Why it has ended.
    fn why(self) -> String;
}

impl Ending for () {
    fn why(self) -> String {
        "without an error".into()
    }
}

impl<T, E: Debug> Ending for Result<T, E> {
    fn why(self) -> String {
        self.err().map_or_else(|| ().why(), |error| format!("{error:?}"))
    }
}

/// What a test's body may end with: a verdict, or nothing, which is that what it asserted holds.
pub trait Judgement {
    /// The verdict.
    fn verdict(self) -> Verdict;
}

impl Judgement for () {
    fn verdict(self) -> Verdict {
        Verdict::Holds
    }
}

impl Judgement for Verdict {
    fn verdict(self) -> Verdict {
        self
    }
}

pub(crate) type Task<T> = Pin<Box<dyn Future<Output = T>>>;

/// One life of a node, as often as it starts; it ends with the reason of its end.
pub(crate) type Life = Arc<dyn Fn() -> Task<String> + Send + Sync>;

/// What a client was told: the answer, and its text.
pub(crate) type Answered = Result<(Box<dyn Any + Send>, String), Failure>;

/// The lines of a history before their types are known again.
pub(crate) type Lines = Vec<Event<Data, Box<dyn Any + Send>>>;

/// The text of an operation, if it is one.
type Show = Arc<dyn Fn(&Data) -> Result<String, String> + Send + Sync>;

/// Asks for an operation.
type Ask = Arc<dyn Fn(Client, &Data) -> Task<Answered> + Send + Sync>;

/// What clients do, its types erased.
#[derive(Clone)]
pub(crate) struct Workload {
    /// The most clients.
    pub(crate) clients: u16,
    /// Operations to try.
    pub(crate) ops: Arc<dyn Fn() -> BoxedStrategy<Data> + Send + Sync>,
    /// The text of an operation, if it is one.
    pub(crate) show: Show,
    /// Asks.
    #[cfg_attr(not(madsim), expect(dead_code, reason = "only a simulation asks"))]
    pub(crate) ask: Ask,
}

impl Trial {
    #[cfg(madsim)]
    pub(crate) fn on(stage: Stage) -> Self {
        Self { stage }
    }

    /// The machine of that name. Ask for every machine before clients begin.
    #[must_use]
    pub fn node(&self, name: &str) -> Machine {
        let id = self.stage.machines(name, 1..=1)[0];
        Machine { stage: self.stage.clone(), id }
    }

    /// Machines of that name: each case has some number of them out of this range, and a case that
    /// shrinks has fewer.
    ///
    /// # Panics
    /// If the range begins with 0, or is empty.
    #[must_use]
    pub fn nodes(&self, name: &str, count: RangeInclusive<u16>) -> Vec<Machine> {
        assert!(*count.start() > 0 && !count.is_empty(), "{name}: {count:?}: expected 1 or more");
        let ids = self.stage.machines(name, count).into_iter();
        ids.map(|id| Machine { stage: self.stage.clone(), id }).collect()
    }

    /// Lets up to so many clients, each on a machine of its own, ask what the case says, and waits
    /// until they have ended. Call it once.
    ///
    /// `ops` makes the strategy of operations: `|| any::<Op>()`, or a function of yours. Operations
    /// stand in case files: no floats, no units. `ask` asks for one: an answer that it returns is
    /// recorded as ok, an error as info, and so is a client that is not told in time.
    ///
    /// # Panics
    /// If it was called before, if there is no node or no client, or if an operation cannot stand
    /// in a file.
    pub async fn clients<Op, Ret, S, F, Fut>(
        &self,
        count: u16,
        ops: impl Fn() -> S + Send + Sync + 'static,
        ask: F,
    ) -> History<Op, Ret>
    where
        Op: Serialize + DeserializeOwned + Debug + 'static,
        Ret: Debug + Send + 'static,
        S: Strategy<Value = Op> + 'static,
        F: Fn(Client, Op) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Ret, Failure>> + 'static,
    {
        assert!((1..=MAX_CLIENTS).contains(&count), "{count} clients: expected 1 to {MAX_CLIENTS}");
        let data = |op: Op| match Data::of(&op) {
            Ok(data) => data,
            Err(why) => panic!("operation {op:?} cannot stand in a case file: {why}"),
        };
        let asked = move |client: Client, op: &Data| -> Task<Answered> {
            match op.to::<Op>() {
                Ok(op) => {
                    let asking = ask(client, op);
                    Box::pin(async move {
                        let ret = asking.await?;
                        let text = format!("{ret:?}");
                        Ok((Box::new(ret) as Box<dyn Any + Send>, text))
                    })
                }
                Err(why) => Box::pin(async { Err(Failure::Fail(why)) }),
            }
        };
        let workload = Workload {
            clients: count,
            ops: Arc::new(move || ops().prop_map(data).boxed()),
            show: Arc::new(|op| op.to::<Op>().map(|op| format!("{op:?}"))),
            ask: Arc::new(asked),
        };
        typed(self.stage.work(workload).await)
    }

    /// Waits for the end of all faults: links work, nodes that were down have started, paused ones
    /// go on.
    pub async fn heal(&self) {
        self.stage.healed().await;
    }
}

impl Machine {
    /// Where the node listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.stage.address(self.id)
    }

    /// A folder of its own, empty in the beginning of a run. It survives crashes of the process;
    /// there is no power loss here. Its path is another one in each run: do not answer with it.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.stage.folder(self.id)
    }

    /// Runs a node: now, and again after each crash. `life` is called for each start, with the
    /// address to bind.
    pub fn serve<F, Fut>(&self, life: F)
    where
        F: Fn(SocketAddr) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Ending> + 'static,
    {
        let address = self.address();
        let life: Life = Arc::new(move || {
            let life = life(address);
            Box::pin(async move { life.await.why() })
        });
        self.stage.serve(self.id, life);
    }
}

fn typed<Op: DeserializeOwned, Ret: 'static>(lines: Lines) -> History<Op, Ret> {
    let events = lines.into_iter().filter_map(|event| {
        let Event { at, op, actor, process, call, what } = event;
        let what = match what {
            What::Invoke(op) => What::Invoke(op.to().ok()?),
            What::Ok(ret) => What::Ok(*ret.downcast().ok()?),
            What::Fail(why) => What::Fail(why),
            What::Info => What::Info,
        };
        Some(Event { at, op, actor, process, call, what })
    });
    History { events: events.collect() }
}
