//! A lease that is granted to one and released by its owner alone: all is right at the server.
//!
//! # What the articles claim
//!
//! A time limit, so that a crashed holder does not block everybody, and the owner compared before
//! the lock is deleted: then the lock is safe (seed 003, and most pages about distributed locks).
//!
//! # What is wrong
//!
//! The time limit runs at the server, the work at the holder, and neither sees the other's clock. A
//! holder that is paused for longer than the TTL (a long collection of garbage, a stopped virtual
//! machine, a slow disk) wakes up, believes that it still has the lock, and writes what it computed
//! from its old read over everything that others have written since: a lost update, with one fault.
//! A message that was under way for that long does the same. No check of the own clock before the
//! write helps, for the pause may come after the check; the resource must refuse the write, and for
//! that it has to know the number of the grant (rules 5.8 and 5.9 of the right lock).

use super::{Attempt, Held, Rules};
use crate::lease::Object;
use node::NodeId;

/// One lease for each lock, ended by its owner or by its TTL.
#[derive(Debug)]
pub struct Unfenced;

impl Rules for Unfenced {
    fn grants(held: &[Held], object: Object, _: Attempt) -> bool {
        held.iter().all(|held| held.lease.object != object)
    }

    fn releases(held: &Held, _: Object, owner: NodeId, fence: u64) -> bool {
        (held.lease.owner, held.lease.fence) == (owner, fence)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Lock, Msg, Timer};
    use super::*;
    use crate::lease::{Config, Op, Role};
    use node::Effect;
    use node::{Cx, Node, RequestId};

    /// Runs one handler, and returns what it sent.
    fn run(
        node: &mut Lock<Unfenced>,
        handler: impl FnOnce(&mut Lock<Unfenced>, &mut Cx<Lock<Unfenced>>),
    ) -> Vec<Msg> {
        let mut cx = Cx::default();
        handler(node, &mut cx);
        let msg = |effect| match effect {
            Effect::Send(_, msg) => Some(msg),
            _ => None,
        };
        cx.take().into_iter().filter_map(msg).collect()
    }

    #[test]
    fn a_holder_that_sleeps_past_its_ttl_overwrites_what_others_wrote() {
        let node = |role| Lock::<Unfenced>::new(NodeId(0), &Config { role, ..Config::default() });
        let (mut server, mut store) = (node(Role::LockServer), node(Role::Store));
        let mut holders = [node(Role::Holder), node(Role::Holder)];
        let mut writes = Vec::new();
        // Each in turn gets the lock, reads and computes; then the lease runs out.
        for (n, holder) in (0..).zip(&mut holders) {
            let (me, fence) = (NodeId(2 + n), u64::from(n) + 1);
            let (request, object) = (RequestId { client: NodeId(9 + n), call: 0 }, Object(0));
            let ask = run(holder, |h, cx| h.on_request(request, Op::Increment(object), cx));
            let granted = run(&mut server, |s, cx| s.on_message(me, ask[0].clone(), cx));
            let read = run(holder, |h, cx| h.on_message(NodeId(0), granted[0].clone(), cx));
            let value = run(&mut store, |s, cx| s.on_message(me, read[0].clone(), cx));
            let Msg::Value { attempt, .. } = value[0] else { panic!("{value:?}") };
            run(holder, |h, cx| h.on_message(NodeId(1), value[0].clone(), cx));
            writes.extend(run(holder, |h, cx| h.on_timer(Timer::Work(attempt), cx)));
            run(&mut server, |s, cx| s.on_timer(Timer::Expire { object, fence }, cx));
        }
        for (n, write) in (0..).zip(writes) {
            run(&mut store, |s, cx| s.on_message(NodeId(2 + n), write, cx));
        }
        let stored = &store.objects[&Object(0)];
        assert_eq!((stored.value, stored.count), (1, 2), "one update is lost");
    }
}
