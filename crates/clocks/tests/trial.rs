//! The clocks hold, the exhibit does not, and each property rejects a planted bug that no other
//! rejects. L5 is a row of the list of known bugs.

use Property::{Condition, Refusal, Total};
use clocks::naive::Wall;
use clocks::{Clock, Close, Hybrid, Lamport, Property, Trial};

fn broken<C: Clock>() -> Vec<Property> {
    let violations = Trial::default().violations::<C>();
    for violation in &violations {
        println!("{violation}");
    }
    violations.into_iter().map(|violation| violation.property).collect()
}

#[test]
fn lamport_holds() {
    assert_eq!(broken::<Lamport>(), []);
}

#[test]
fn hybrid_holds() {
    assert_eq!(broken::<Hybrid>(), []);
}

#[test]
fn the_wall_clock_is_broken() {
    let violations = Trial::default().violations::<Wall>();
    let [condition, total] = &violations[..] else { panic!("{violations:?}") };
    assert_eq!((condition.property, total.property), (Condition, Total));
    assert!(condition.counterexample.contains("10000"), "{condition}");
}

/// The paper's figure 5 in small: a message from a clock that is ahead.
#[test]
fn hybrid_counts_while_its_wall_clock_catches_up() {
    let mut clock = Hybrid::start(1, 0);
    assert_eq!(clock.tick(10), (10, 0, 1));
    assert_eq!(clock.tick(10), (10, 1, 1));
    assert_eq!(clock.receive(11, (14, 5, 0)), Some((14, 6, 1)));
    assert_eq!(clock.receive(12, (14, 9, 0)), Some((14, 10, 1)));
    assert_eq!(clock.receive(13, (12, 7, 0)), Some((14, 11, 1)));
    assert_eq!(clock.tick(14), (14, 12, 1));
    assert_eq!(clock.receive(15, (14, 7, 0)), Some((15, 0, 1)));
    assert_eq!(clock.receive(16, (16 + Hybrid::EPSILON, 0, 0)), Some((516, 1, 1)));
    assert_eq!(clock.receive(16, (17 + Hybrid::EPSILON, 0, 0)), None);
}

/// A clock over another one, of which one thing is different.
macro_rules! planted {
    ($bug:ident, $clock:ty, $stamp:ty, { $($different:tt)* }) => {
        struct $bug($clock);
        impl Clock for $bug {
            type Stamp = $stamp;
            $($different)*
        }
    };
}

planted!(DeafLamport, Lamport, (u64, u8), {
    fn start(node: u8, reserved: u64) -> Self {
        Self(Lamport::start(node, reserved))
    }
    fn tick(&mut self, wall: u64) -> (u64, u8) {
        self.0.tick(wall)
    }
    fn receive(&mut self, wall: u64, _: (u64, u8)) -> Option<(u64, u8)> {
        Some(self.0.tick(wall))
    }
    fn reserved(&self) -> u64 {
        self.0.reserved()
    }
});

#[test]
fn the_condition_alone_finds_a_counter_that_does_not_listen() {
    assert_eq!(broken::<DeafLamport>(), [Condition]);
}

planted!(Nameless, Lamport, u64, {
    fn start(_: u8, reserved: u64) -> Self {
        Self(Lamport::start(0, reserved))
    }
    fn tick(&mut self, wall: u64) -> u64 {
        self.0.tick(wall).0
    }
    fn receive(&mut self, wall: u64, stamp: u64) -> Option<u64> {
        self.0.receive(wall, (stamp, 0)).map(|stamp| stamp.0)
    }
    fn reserved(&self) -> u64 {
        self.0.reserved()
    }
});

#[test]
fn l5_total_alone_finds_a_tie_without_node_id() {
    assert_eq!(broken::<Nameless>(), [Total]);
}

type HybridStamp = (u64, u32, u8);

const CLAIM: Option<Close> = Some(Close { epsilon: Hybrid::EPSILON, block: Hybrid::BLOCK });

planted!(LostAtRestart, Hybrid, HybridStamp, {
    fn start(node: u8, _: u64) -> Self {
        Self(Hybrid::start(node, 0))
    }
    fn tick(&mut self, wall: u64) -> HybridStamp {
        self.0.tick(wall)
    }
    fn receive(&mut self, wall: u64, stamp: HybridStamp) -> Option<HybridStamp> {
        self.0.receive(wall, stamp)
    }
    fn reserved(&self) -> u64 {
        self.0.reserved()
    }
    fn close() -> Option<Close> {
        CLAIM
    }
    fn wall(stamp: &HybridStamp) -> u64 {
        stamp.0
    }
});

#[test]
fn l5_a_hybrid_clock_that_is_lost_at_restart() {
    assert_eq!(broken::<LostAtRestart>(), [Condition, Total]);
}

planted!(Credulous, Hybrid, HybridStamp, {
    fn start(node: u8, reserved: u64) -> Self {
        Self(Hybrid::start(node, reserved))
    }
    fn tick(&mut self, wall: u64) -> HybridStamp {
        self.0.tick(wall)
    }
    fn receive(&mut self, wall: u64, stamp: HybridStamp) -> Option<HybridStamp> {
        let believed = wall.max(stamp.0); // whoever says it
        self.0.receive(believed, stamp)
    }
    fn reserved(&self) -> u64 {
        self.0.reserved()
    }
    fn close() -> Option<Close> {
        CLAIM
    }
    fn wall(stamp: &HybridStamp) -> u64 {
        stamp.0
    }
});

#[test]
fn refusal_alone_finds_a_clock_that_believes_everybody() {
    assert_eq!(broken::<Credulous>(), [Refusal]);
}

planted!(Runaway, Hybrid, HybridStamp, {
    fn start(node: u8, reserved: u64) -> Self {
        Self(Hybrid::start(node, reserved))
    }
    fn tick(&mut self, wall: u64) -> HybridStamp {
        let (l, ..) = self.0.tick(wall);
        self.0.tick(l + 1) // time itself counts events
    }
    fn receive(&mut self, wall: u64, stamp: HybridStamp) -> Option<HybridStamp> {
        self.0.receive(wall, stamp)
    }
    fn reserved(&self) -> u64 {
        self.0.reserved()
    }
    fn close() -> Option<Close> {
        CLAIM
    }
    fn wall(stamp: &HybridStamp) -> u64 {
        stamp.0
    }
});

#[test]
fn closeness_alone_finds_a_clock_that_runs_away() {
    assert_eq!(broken::<Runaway>(), [Property::Close]);
}
