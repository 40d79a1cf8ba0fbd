//! All copies of a protocol as one node: an engine for each protocol, and not one for each copy,
//! is what keeps the build short.

use node::{Cx, Effect, Node};

/// Makes what a copy's handler has done that of the node which holds the copy.
pub fn hand_over<C: Node, N: Node<Op = C::Op, Ret = C::Ret>>(
    mut from: Cx<C>,
    to: &mut Cx<N>,
    msg: fn(C::Msg) -> N::Msg,
    record: fn(C::Record) -> N::Record,
    timer: fn(C::Timer) -> N::Timer,
) {
    let wrap = |effect| match effect {
        Effect::Persist(one) => Effect::Persist(record(one)),
        Effect::Force(one) => Effect::Force(record(one)),
        Effect::Snapshot(all) => Effect::Snapshot(all.into_iter().map(record).collect()),
        Effect::Send(to, one) => Effect::Send(to, msg(one)),
        Effect::SetTimer { after, timer: one, background } => {
            Effect::SetTimer { after, timer: timer(one), background }
        }
        Effect::CancelTimer(one) => Effect::CancelTimer(timer(one)),
        Effect::Reply(request, answer) => Effect::Reply(request, answer),
        Effect::Invoke(step, op) => Effect::Invoke(step, op),
        Effect::Complete(step, outcome) => Effect::Complete(step, outcome),
        Effect::Mark(label) => Effect::Mark(label),
    };
    let effects = from.buffer().drain(..).map(|(effect, place)| (wrap(effect), place));
    to.buffer().extend(effects);
    to.context = from.context;
}

/// One of the copies' messages, records or timers. Its text and its hash are the copy's own, so
/// that faults, digests and stories are as if the copy ran alone.
macro_rules! one_of {
    ($Name:ident: $($Copy:ident $Inner:ty),+) => {
        #[doc = concat!("A `", stringify!($Name), "` of one of the copies.")]
        #[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub enum $Name {
            $(
                #[doc = concat!("That of ", stringify!($Copy))]
                $Copy(<$Inner as ::node::Node>::$Name)
            ),+
        }

        impl std::hash::Hash for $Name {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                match self {
                    $(Self::$Copy(one) => one.hash(state)),+
                }
            }
        }

        impl std::fmt::Debug for $Name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    $(Self::$Copy(one) => one.fmt(f)),+
                }
            }
        }
    };
}

/// The node that is any one of these copies. All nodes of a run are of the same one, so what comes
/// from another never arrives.
macro_rules! any_of {
    ($Right:ty: $($Copy:ident $Inner:ty),+) => {
        one_of!(Msg: $($Copy $Inner),+);
        one_of!(Record: $($Copy $Inner),+);
        one_of!(Timer: $($Copy $Inner),+);

        /// Any one of the copies, or the right protocol.
        pub enum Node {
            $(#[doc = stringify!($Copy)] $Copy($Inner)),+
        }

        impl ::node::Node for Node {
            type Config = <$Right as ::node::Node>::Config;
            type Op = <$Right as ::node::Node>::Op;
            type Ret = <$Right as ::node::Node>::Ret;
            type Msg = Msg;
            type Record = Record;
            type Timer = Timer;

            /// The right one: a copy is made by who has chosen it.
            fn new(id: NodeId, config: &Self::Config) -> Self {
                Self::Right(<$Right>::new(id, config))
            }

            fn on_start(&mut self, log: &[Record], cx: &mut Cx<Self>) {
                match self {
                    $(Self::$Copy(node) => {
                        let log: Vec<_> = own!(log, $Copy).collect();
                        let mut inner = Cx::new(cx.context.clone());
                        node.on_start(&log, &mut inner);
                        hand_over(inner, cx, Msg::$Copy, Record::$Copy, Timer::$Copy);
                    })+
                }
            }

            fn on_request(&mut self, request: RequestId, op: Self::Op, cx: &mut Cx<Self>) {
                match self {
                    $(Self::$Copy(node) => {
                        let mut inner = Cx::new(cx.context.clone());
                        node.on_request(request, op, &mut inner);
                        hand_over(inner, cx, Msg::$Copy, Record::$Copy, Timer::$Copy);
                    })+
                }
            }

            fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<Self>) {
                match (self, msg) {
                    $((Self::$Copy(node), Msg::$Copy(msg)) => {
                        let mut inner = Cx::new(cx.context.clone());
                        node.on_message(from, msg, &mut inner);
                        hand_over(inner, cx, Msg::$Copy, Record::$Copy, Timer::$Copy);
                    })+
                    _ => {}
                }
            }

            fn on_timer(&mut self, timer: Timer, cx: &mut Cx<Self>) {
                match (self, timer) {
                    $((Self::$Copy(node), Timer::$Copy(timer)) => {
                        let mut inner = Cx::new(cx.context.clone());
                        node.on_timer(timer, &mut inner);
                        hand_over(inner, cx, Msg::$Copy, Record::$Copy, Timer::$Copy);
                    })+
                    _ => {}
                }
            }
        }

        impl Observe for Node {
            type Durable = <$Right as Observe>::Durable;
            type View = <$Right as Observe>::View;

            fn durable(log: &[Record]) -> Self::Durable {
                match log.first() {
                    // Of nothing, all of them say the same.
                    None => <$Right>::durable(&[]),
                    $(Some(Record::$Copy(_)) => {
                        <$Inner>::durable(&own!(log, $Copy).collect::<Vec<_>>())
                    })+
                }
            }

            fn view(&self) -> Self::View {
                match self {
                    $(Self::$Copy(node) => node.view()),+
                }
            }
        }
    };
}

/// The records of a log as those of the copy that has written it.
macro_rules! own {
    ($log:ident, $Copy:ident) => {
        $log.iter().filter_map(|record| match record {
            Record::$Copy(one) => Some(one.clone()),
            _ => None,
        })
    };
}
