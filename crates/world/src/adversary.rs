//! The adversary's moves: what each fault does when it strikes, and the heal that ends them all.

use crate::disk::Failing;
use crate::engine::{Event, World, nanos};
use crate::fault::{Direction, Fault, Kind, Place};
use crate::machine::Pause;
use crate::trace::Happening;
use node::{Dice, Node, NodeId, mix};
use std::time::Duration;

const DISK_DICE: u64 = 0x6469_736b_6469_6365;

impl<N: Node> World<N> {
    /// A fault has found its place.
    pub(crate) fn strike(&mut self, index: usize) {
        if self.healed {
            return;
        }
        self.plan.strike(index);
        self.note_fault(Happening::Fault, index);
        match self.plan.fault(index).kind.clone() {
            Kind::Cut { nodes, direction, lasts } => {
                self.network.cut(index, nodes, direction);
                self.queue.push(self.now + nanos(lasts), Event::Lift(index));
            }
            Kind::SlowLink { from, to, by, lasts } => {
                self.network.slow(index, from, to, by);
                self.queue.push(self.now + nanos(lasts), Event::Lift(index));
            }
            Kind::Crash { node, down } => self.crash(node, index, down),
            Kind::Restart { node } => self.crash(node, index, Duration::ZERO),
            Kind::CrashLoop { times, .. } => self.crash_again(index, times),
            Kind::Pause { node, lasts } => self.pause(node, index, lasts),
            Kind::Retire { node } => self.retire(node, index),
            Kind::PowerLoss { nodes, down } => {
                for node in nodes {
                    self.lose_power(node, index, down);
                }
            }
            Kind::TornWrite { node, down } => self.tear(node, index, down),
            Kind::BitRot { node, permanent } => {
                self.machine(node).disk.rot = Some((permanent, index));
                self.end_process(node, index, Duration::ZERO);
            }
            Kind::FailedSync { node, leaves, down } => {
                self.machine(node).disk.failing = Some(Failing { leaves, fault: index, down });
            }
            Kind::FullDisk { node } => self.machine(node).disk.full = Some(index),
            Kind::SlowSync { node, by, lasts } => {
                let slow = &mut self.machine(node).disk.slow;
                *slow = slow.saturating_add(nanos(by));
                self.queue.push(self.now + nanos(lasts), Event::Lift(index));
            }
            Kind::WallOffset { node, millis } => self.shift_wall(node, millis, index),
            Kind::WallJump { node, millis } => self.shift_wall(node, millis, index),
            Kind::WallDrift { node, ppm } => {
                self.machine(node).clock.wall_ppm = ppm;
                self.make_wrong(node, ppm, index);
            }
            Kind::Rate { node, ppm } => {
                self.machine(node).clock.rate_ppm = ppm;
                self.make_wrong(node, ppm, index);
            }
            // Fates are decided when their message is sent, clients' faults when their call begins.
            Kind::Loss
            | Kind::Corrupt
            | Kind::Duplicate { .. }
            | Kind::Delay { .. }
            | Kind::Reorder { .. }
            | Kind::Retry { .. }
            | Kind::DuplicateRequest { .. }
            | Kind::ClientCrash { .. } => {}
        }
    }

    fn shift_wall(&mut self, node: NodeId, millis: i64, fault: usize) {
        let offset = &mut self.machine(node).clock.wall_offset_nanos;
        *offset = offset.saturating_add(millis.saturating_mul(1_000_000));
        self.make_wrong(node, millis, fault);
    }

    /// A clock is wrong by so much: whoever reads it sees the effect.
    fn make_wrong(&mut self, node: NodeId, by: i64, fault: usize) {
        if by != 0 {
            let kind = self.plan.fault(fault).kind.kind();
            self.machine(node).wrong.add(kind);
        }
    }

    /// What a fault's own dice decide about a disk.
    fn disk_dice(&self, fault: usize, node: NodeId) -> Dice {
        let address = u64::from(self.plan.fault(fault).id) << 16 | u64::from(node.0);
        Dice::new(mix(self.seed ^ DISK_DICE, address))
    }

    fn note_fault(&mut self, what: Happening, index: usize) {
        let Fault { id, mut kind, .. } = self.plan.fault(index).clone();
        let node = kind.nodes_mut().first().map_or(NodeId(0), |node| **node);
        let origin = self.plan.origin(index);
        self.note(what, node, origin, &id, |event| event.text = describe(&kind));
    }

    /// A fault that lasts is over.
    pub(crate) fn lift(&mut self, index: usize) {
        if self.healed {
            return;
        }
        self.network.lift(index);
        if let Kind::SlowSync { node, by, .. } = self.plan.fault(index).kind {
            let slow = &mut self.machine(node).disk.slow;
            *slow = slow.saturating_sub(nanos(by));
        }
        self.note_fault(Happening::Lifted, index);
    }

    /// A process ends and starts again later. One that does not run cannot end.
    fn crash(&mut self, node: NodeId, index: usize, down: Duration) {
        let amid =
            matches!(self.plan.fault(index).place, Place::Effect { node: at, .. } if at == node);
        let machine = self.machine(node);
        if machine.node.is_some() {
            machine.downed_by = Some(index);
            if machine.busy || amid {
                self.plan.effective(index);
            }
            self.end_process(node, index, down);
        }
    }

    fn end_process(&mut self, node: NodeId, index: usize, down: Duration) {
        if self.machine(node).node.is_some() {
            let mut dice = self.disk_dice(index, node);
            self.machine(node).disk.crash(&mut dice);
            self.stop(node, index);
            self.boot_later(node, down);
        }
    }

    /// Power is gone, of a running process as of a machine that is down.
    fn lose_power(&mut self, node: NodeId, index: usize, down: Duration) {
        let mut dice = self.disk_dice(index, node);
        let machine = self.machine(node);
        if machine.retired {
            return;
        }
        if machine.disk.lose_power(&mut dice) > 0 {
            self.plan.effective(index);
        }
        self.crash(node, index, down);
        self.boot_no_sooner(node, index, down);
    }

    /// Power is gone amid a write, if one was under way: only that counts.
    fn tear(&mut self, node: NodeId, index: usize, down: Duration) {
        let mut dice = self.disk_dice(index, node);
        let machine = self.machine(node);
        if machine.retired {
            return;
        }
        if machine.disk.tear(&mut dice) {
            self.plan.effective(index);
        }
        self.end_process(node, index, down);
        self.boot_no_sooner(node, index, down);
    }

    pub(crate) fn crash_again(&mut self, fault: usize, left: u32) {
        let Kind::CrashLoop { node, every, .. } = self.plan.fault(fault).kind else { return };
        if left == 0 || self.healed {
            return;
        }
        self.crash(node, fault, every);
        let at = self.now + 2 * nanos(every).max(1_000_000);
        self.queue.push(at, Event::CrashAgain { fault, left: left - 1 });
    }

    /// A node is lost; what counts is that it had done something, or that somebody misses it.
    fn retire(&mut self, node: NodeId, index: usize) {
        let machine = self.machine(node);
        if machine.retired {
            return;
        }
        machine.retired = true;
        machine.downed_by = Some(index);
        if machine.busy {
            self.plan.effective(index);
        }
        self.stop(node, index);
    }

    /// The end of all faults: links work, nodes that are down start, paused ones go on. Running
    /// nodes keep their state, and clocks their rates.
    pub(crate) fn heal(&mut self) {
        self.healed = true;
        self.network.heal();
        let origin = self.heal_origin;
        self.note(Happening::Heal, NodeId(0), origin, &0u8, |event| {
            event.text = "all faults end".to_owned();
        });
        for index in 0..self.machines.len() {
            let node = NodeId(index as u16);
            let machine = &mut self.machines[index];
            machine.disk.full = None;
            machine.disk.slow = 0;
            machine.disk.failing = None;
            if machine.disk.rot.is_some_and(|(permanent, _)| !permanent) {
                machine.disk.rot = None;
            }
            if machine.retired {
                continue;
            }
            if machine.node.is_none() {
                machine.boot = origin;
                let token = machine.token;
                self.queue.push(self.now, Event::Boot { node, token });
            } else if let Some(Pause { until, .. }) = &mut machine.paused {
                *until = self.now;
                self.queue.push(self.now, Event::Resume { node });
            }
        }
    }
}

/// A fault in words, for traces and stories.
pub fn describe(kind: &Kind) -> String {
    match kind {
        Kind::Loss => "lost".into(),
        Kind::Corrupt => "corrupted".into(),
        Kind::Duplicate { takes } => format!("duplicated, the copy takes {takes:?}"),
        Kind::Delay { by } | Kind::Reorder { by } => format!("late by {by:?}"),
        Kind::Cut { nodes, direction, lasts } => {
            let way = match direction {
                Direction::Both => "both ways",
                Direction::Into => "nothing gets in",
                Direction::OutOf => "nothing gets out",
            };
            format!("cut {nodes:?} off, {way}, for {lasts:?}")
        }
        Kind::SlowLink { from, to, by, lasts } => {
            format!("{from} to {to} slower by {by:?} for {lasts:?}")
        }
        Kind::Crash { down, .. } => format!("crash, down for {down:?}"),
        Kind::Restart { .. } => "restart".into(),
        Kind::CrashLoop { times, every, .. } => format!("crash {times} times, every {every:?}"),
        Kind::Pause { lasts, .. } => format!("pause for {lasts:?}"),
        Kind::Retire { .. } => "lost for good".into(),
        Kind::PowerLoss { nodes, down } => format!("power loss of {nodes:?}, down for {down:?}"),
        Kind::TornWrite { down, .. } => format!("power loss amid a write, down for {down:?}"),
        Kind::BitRot { permanent: true, .. } => "permanent bit rot".into(),
        Kind::BitRot { permanent: false, .. } => "bit rot on one read".into(),
        Kind::FailedSync { leaves, .. } => format!("the next sync fails ({leaves:?})"),
        Kind::FullDisk { .. } => "disk full".into(),
        Kind::SlowSync { by, lasts, .. } => format!("syncs slower by {by:?} for {lasts:?}"),
        Kind::WallOffset { millis, .. } => format!("wall clock off by {millis} ms"),
        Kind::WallDrift { ppm, .. } => format!("wall clock drifts by {ppm} ppm"),
        Kind::WallJump { millis, .. } => format!("wall clock jumps by {millis} ms"),
        Kind::Rate { ppm, .. } => format!("clock runs {ppm} ppm off"),
        Kind::Retry { after } => format!("the client retries after {after:?}"),
        Kind::DuplicateRequest { after } => format!("a second copy of the request after {after:?}"),
        Kind::ClientCrash { after } => format!("the client crashes after {after:?}"),
    }
}
