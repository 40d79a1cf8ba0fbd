//! The floor: the same nodes under the least loop that can run them.
//!
//! A binary heap by (time, sequence), one delay for all, one [`Cx`] whose buffer is reused. No
//! dice, digest, history, trace, clocks or faults: what an engine adds is what it costs over this.

use bench_peers::workload::{Config, Msg, Peer};
use bench_peers::{DELAY, NODES, Size};
use node::{Context, Cx, Effect, Node, NodeId};
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A message on its way. Its order is that of the heap: the earliest is the greatest.
struct Envelope {
    at: u64,
    sequence: u64,
    from: NodeId,
    to: NodeId,
    msg: Msg,
}

impl Ord for Envelope {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

impl PartialOrd for Envelope {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Envelope {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Envelope {}

struct Loop {
    heap: BinaryHeap<Envelope>,
    now: u64,
    sequence: u64,
    cx: Cx<Peer>,
}

impl Loop {
    /// Tells the next handler who and when it is.
    fn enter(&mut self, me: NodeId) {
        self.cx.context.me = me;
        self.cx.context.now_nanos = self.now;
    }

    /// Applies the effects of the handler that has just run.
    fn apply(&mut self, from: NodeId) {
        for (effect, _) in self.cx.buffer().drain(..) {
            let Effect::Send(to, msg) = effect else {
                unreachable!("the ring only sends");
            };
            self.sequence += 1;
            let at = self.now + DELAY.as_nanos() as u64;
            self.heap.push(Envelope { at, sequence: self.sequence, from, to, msg });
        }
    }
}

/// What makes one run after the other.
pub fn runner(size: Size) -> impl FnMut() -> u64 {
    move || run(size)
}

/// Makes the ring, lets it come to rest, and says how many messages it delivered.
fn run(size: Size) -> u64 {
    let config = Config { calls: size.calls() };
    let mut nodes: Vec<Peer> = (0..NODES).map(|id| Peer::new(NodeId(id), &config)).collect();
    let cx = Cx::new(Context::default());
    let mut bare = Loop { heap: BinaryHeap::new(), now: 0, sequence: 0, cx };
    for (id, node) in (0..NODES).map(NodeId).zip(&mut nodes) {
        bare.enter(id);
        node.on_start(&[], &mut bare.cx);
        bare.apply(id);
    }
    let mut deliveries = 0;
    while let Some(Envelope { at, from, to, msg, .. }) = bare.heap.pop() {
        deliveries += 1;
        bare.now = at;
        bare.enter(to);
        nodes[to.index()].on_message(from, msg, &mut bare.cx);
        bare.apply(to);
    }
    deliveries
}
