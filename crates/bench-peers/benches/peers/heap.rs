//! Tribunal's heap engine on the ring: all of it, as a campaign runs it.
//!
//! Addressed dice, origins, the running digest, clocks, the fault plan (empty) and the history
//! (empty: the ring has no clients) are there; the recorded trace is not, as in a campaign. The
//! case is made once; a [`World`] is made from it for every run.

use bench_peers::Size;
use bench_peers::workload::{Peer, case};
use world::{End, World};

/// What makes one run after the other.
pub fn runner(size: Size) -> impl FnMut() -> u64 {
    let case = case(size);
    move || {
        let mut world = World::<Peer>::new(&case);
        assert_eq!(world.run(), End::Quiet, "the ring comes to rest");
        world.deliveries()
    }
}
