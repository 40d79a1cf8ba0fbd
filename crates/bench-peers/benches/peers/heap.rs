//! Tribunal's heap engine on the ring: all of it, as a campaign runs it.
//!
//! Addressed dice, origins, the running digest, clocks, the fault plan (empty) and the history
//! (empty: the ring has no clients) are there; the recorded trace is not, as in a campaign. The
//! case is made once; a [`World`] is made from it for every run.

use bench_peers::workload::{Config, Peer};
use bench_peers::{DELAY, NODES, Size};
use std::time::Duration;
use world::case::CASE_VERSION;
use world::{Case, CaseOf, Clients, End, Network, Seed, World};

/// The case: no calls, no faults, 1 ms a message, and time enough.
fn case(size: Size) -> CaseOf<Peer> {
    let time = Duration::from_secs(3600);
    Case {
        version: CASE_VERSION,
        scenario: "ring".to_owned(),
        mutant: None,
        seed: Seed(1),
        heal_at: time,
        end_at: time,
        sync: DELAY,
        clients: Clients { count: 0, give_up: time, deduplicated: false },
        network: Network { fastest: DELAY, slowest: DELAY, ..Network::default() },
        nodes: vec![Config { calls: size.calls() }; usize::from(NODES)],
        calls: Vec::new(),
        faults: Vec::new(),
    }
}

/// What makes one run after the other.
pub fn runner(size: Size) -> impl FnMut() -> u64 {
    let case = case(size);
    move || {
        let mut world = World::<Peer>::new(&case);
        assert_eq!(world.run(), End::Quiet, "the ring comes to rest");
        world.deliveries()
    }
}
