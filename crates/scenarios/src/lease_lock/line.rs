//! Fairness: who waits at the lock server is not passed by.

use checkers::Verdict;
use node::NodeId;
use protocols::lease::{Lease, View, Waiter};
use std::collections::BTreeMap;

/// Who waits at the lock server, and whom they have seen go first since.
///
/// An attempt that stands in line lets each other owner pass once at the most: those before it, who
/// are behind it when they ask again. Looking where the server's log changes is enough: every grant
/// is a change, as is a start, which no line survives, and who has left a line does not come back.
#[derive(Default)]
pub(super) struct Line {
    passed: BTreeMap<Waiter, Vec<NodeId>>,
    leases: Vec<Lease>,
}

impl Line {
    /// The lock server, as it is after a step; `None` if it is down.
    pub(super) fn server(&mut self, view: Option<View>) -> Verdict {
        let Some(View::LockServer { leases, line }) = view else {
            self.passed.clear();
            return Verdict::Holds;
        };
        self.passed.retain(|waiting, _| line.contains(waiting));
        for Lease { object, owner, .. } in leases.iter().filter(|l| !self.leases.contains(l)) {
            for (waiter, passed) in self.passed.iter_mut().filter(|(w, _)| w.object == *object) {
                if passed.contains(owner) {
                    let waiting = waiter.owner;
                    let message = format!("{waiting} waits for {object:?}; {owner} had it twice");
                    return Verdict::violated("lock", "passed by", message);
                }
                passed.push(*owner);
            }
        }
        for waiter in line {
            self.passed.entry(waiter).or_default();
        }
        self.leases = leases;
        Verdict::Holds
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocols::lease::Object;

    const X: Object = Object(0);

    /// What the last of these steps comes to: who holds under which fence, and who waits, each with
    /// its first attempt.
    fn seen(steps: &[Option<(u16, u64, &[u16])>]) -> bool {
        let mut line = Line::default();
        let views = steps.iter().map(|step| {
            step.map(|(owner, fence, waiting)| View::LockServer {
                leases: vec![Lease { object: X, owner: NodeId(owner), fence }],
                line: waiting.iter().map(|&owner| waiter(owner)).collect(),
            })
        });
        views.map(|view| line.server(view)).last().is_some_and(|verdict| verdict.holds())
    }

    fn waiter(owner: u16) -> Waiter {
        Waiter { object: X, owner: NodeId(owner), attempt: (1, 1) }
    }

    #[test]
    fn each_passes_one_who_waits_once() {
        assert!(seen(&[Some((2, 1, &[3, 4])), Some((3, 2, &[4, 2])), Some((4, 3, &[2, 3]))]));
        let overtaken = [Some((2, 1, &[3u16, 4] as &[u16])), Some((4, 2, &[3, 2]))];
        assert!(seen(&overtaken), "once");
        let again = [overtaken[0], overtaken[1], Some((2, 3, &[3, 4])), Some((4, 4, &[3]))];
        assert!(!seen(&again), "n4 twice, while n3 waits");
        let restarted = [overtaken[0], overtaken[1], None, Some((2, 3, &[3, 4])), again[3]];
        assert!(seen(&restarted), "nobody has waited for so long");
        let left = [overtaken[0], overtaken[1], Some((2, 3, &[4])), Some((4, 4, &[3]))];
        assert!(seen(&left), "n3 was not in line meanwhile");
    }
}
