//! The adversary's moves: what each fault does when it strikes, and the heal that ends them all.

use super::stage::{Event, Pause, Stage};
use history::{Actor, What};
use node::{Dice, Node, NodeId, mix};
use std::time::Duration;
use world::parts::nanos;
use world::{Happening, Kind, Place};

const DISK_DICE: u64 = 0x6469_736b_6469_6365;

/// A process takes a moment to start even when nothing keeps it down. It is the time in which
/// madsim drops what has been killed, too.
const START: Duration = Duration::from_millis(1);

impl<N: Node> Stage<N> {
    /// A fault has found its place.
    pub(super) fn strike(&mut self, index: usize) {
        if self.healed {
            return;
        }
        self.plan.strike(index);
        self.note_fault(Happening::Fault, index);
        match self.plan.fault(index).kind.clone() {
            Kind::Cut { nodes, direction, lasts } => {
                self.links.cut(index, nodes, direction);
                self.cut_streams();
                self.queue.push(self.now + nanos(lasts), Event::Lift(index));
            }
            Kind::SlowLink { from, to, by, lasts } => {
                self.links.slow(index, from, to, by);
                self.queue.push(self.now + nanos(lasts), Event::Lift(index));
            }
            Kind::Crash { node, down } => self.crash(node, index, down),
            Kind::Restart { node } => self.crash(node, index, Duration::ZERO),
            Kind::CrashLoop { times, .. } => self.crash_again(index, times),
            Kind::Pause { node, lasts } => self.pause(node, index, lasts),
            Kind::Retire { node } => self.retire(node, index),
            Kind::PowerLoss { nodes, down } => {
                for node in nodes {
                    self.lose_power(node, index, down, false);
                }
            }
            Kind::TornWrite { node, down } => self.lose_power(node, index, down, true),
            Kind::BitRot { node, permanent } => {
                self.machine(node).trouble.rot = Some((permanent, index));
                self.end_process(node, index, Duration::ZERO);
            }
            Kind::FailedSync { node, leaves, down } => {
                self.machine(node).trouble.failing = Some((leaves, index, down));
            }
            Kind::FullDisk { node } => self.machine(node).trouble.full = Some(index),
            Kind::SlowSync { node, by, lasts } => {
                let slow = &mut self.machine(node).trouble.slow;
                *slow = slow.saturating_add(nanos(by));
                self.queue.push(self.now + nanos(lasts), Event::Lift(index));
            }
            Kind::WallOffset { node, millis } | Kind::WallJump { node, millis } => {
                let offset = &mut self.machine(node).clock.wall_offset_nanos;
                *offset = offset.saturating_add(millis.saturating_mul(1_000_000));
                self.make_wrong(node, millis, index);
            }
            Kind::WallDrift { node, ppm } => {
                self.machine(node).clock.wall_ppm = ppm;
                self.make_wrong(node, ppm, index);
            }
            Kind::Rate { node, ppm } => {
                self.machine(node).clock.rate_ppm = ppm;
                self.make_wrong(node, ppm, index);
            }
            // Fates are decided when their frame is sent, clients' faults when their call begins.
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

    /// A clock is wrong by so much: whoever reads it sees the effect.
    fn make_wrong(&mut self, node: NodeId, by: i64, fault: usize) {
        if by != 0 {
            let kind = self.plan.fault(fault).kind.kind();
            self.machine(node).wrong.add(kind);
        }
    }

    /// What a fault's own dice decide about a disk.
    pub(super) fn disk_dice(&self, fault: usize, node: NodeId) -> Dice {
        let address = u64::from(self.plan.fault(fault).id) << 16 | u64::from(node.0);
        Dice::new(mix(self.seed ^ DISK_DICE, address))
    }

    /// A fault that lasts is over.
    pub(super) fn lift(&mut self, index: usize) {
        if self.healed {
            return;
        }
        self.links.lift(index);
        self.cut_streams();
        if let Kind::SlowSync { node, by, .. } = self.plan.fault(index).kind {
            let slow = &mut self.machine(node).trouble.slow;
            *slow = slow.saturating_sub(nanos(by));
        }
        self.note_fault(Happening::Lifted, index);
    }

    /// A process ends and starts again later. One that does not run cannot end.
    fn crash(&mut self, node: NodeId, index: usize, down: Duration) {
        let amid =
            matches!(self.plan.fault(index).place, Place::Effect { node: at, .. } if at == node);
        let machine = self.machine(node);
        if machine.up {
            machine.downed_by = Some(index);
            if machine.busy || amid {
                self.plan.effective(index);
            }
            self.end_process(node, index, down);
        }
    }

    fn end_process(&mut self, node: NodeId, index: usize, down: Duration) {
        if self.machine(node).up {
            self.stop(node, index);
            self.boot_later(node, down);
        }
    }

    /// Power is gone, of a running process as of a machine that is down; if torn, amid a write, and
    /// only that counts.
    fn lose_power(&mut self, node: NodeId, index: usize, down: Duration, torn: bool) {
        let mut dice = self.disk_dice(index, node);
        let machine = self.machine(node);
        if machine.retired {
            return;
        }
        if machine.files.lose_power(torn, &mut dice) {
            self.plan.effective(index);
        }
        if torn {
            self.end_process(node, index, down);
        } else {
            self.crash(node, index, down);
        }
        self.boot_no_sooner(node, index, down);
    }

    pub(super) fn crash_again(&mut self, fault: usize, left: u32) {
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

    /// Ends a process: its tasks are killed, and what it held in memory is gone with them. What
    /// follows from its next start goes back to the fault.
    pub(super) fn stop(&mut self, id: NodeId, fault: usize) {
        self.end_pause(id);
        let origin = self.plan.origin(fault);
        let machine = self.machine(id);
        let killed = machine.task.filter(|_| machine.up);
        machine.up = false;
        machine.node = None;
        machine.timers.clear();
        machine.own.clear();
        machine.processes.clear();
        machine.sending = None;
        machine.trouble.met = None;
        machine.token += 1;
        machine.boot = origin;
        let (open, downed_by) = (std::mem::take(&mut machine.open), machine.downed_by);
        self.ports[id.index()].close();
        self.links.disconnect(id, downed_by);
        if let Some(task) = killed {
            self.handle.kill(task);
            self.woken += 1;
        }
        for (step, operation, process) in open {
            self.note_end(id, origin, step, &What::Info);
            self.tell_history(operation, Actor::Role(id.0), process, step.nth, What::Info);
        }
    }

    /// Schedules a start, and makes void what was scheduled before.
    pub(super) fn boot_later(&mut self, id: NodeId, down: Duration) {
        let at = self.now + nanos(down.max(START));
        let machine = self.machine(id);
        machine.token += 1;
        machine.boot_at = at;
        let token = machine.token;
        self.queue.push(at, Event::Boot { node: id, token });
    }

    /// Power comes back after so long: a machine that is down stays down until then.
    fn boot_no_sooner(&mut self, id: NodeId, fault: usize, down: Duration) {
        if self.now + nanos(down.max(START)) > self.machine(id).boot_at {
            let origin = self.plan.origin(fault);
            self.machine(id).boot = origin;
            self.machine(id).downed_by = Some(fault);
            self.boot_later(id, down);
        }
    }

    fn pause(&mut self, id: NodeId, fault: usize, lasts: Duration) {
        let until = self.now + nanos(lasts);
        let machine = self.machine(id);
        if !machine.up || machine.paused.is_some_and(|pause| pause.until >= until) {
            return;
        }
        machine.paused = Some(Pause { fault, until });
        if let Some(task) = machine.task {
            self.handle.pause(task);
        }
        self.queue.push(until, Event::Resume { node: id });
    }

    /// A paused process goes on, if no longer pause is under way.
    pub(super) fn resume(&mut self, id: NodeId) {
        if self.machine(id).paused.is_some_and(|pause| pause.until <= self.now) {
            self.end_pause(id);
            if let Some(task) = self.machine(id).task {
                self.handle.resume(task);
                self.woken += 1;
            }
        }
    }

    /// A pause is over. It has had an effect if something has waited for that.
    fn end_pause(&mut self, id: NodeId) {
        let machine = self.machine(id);
        let held_up = std::mem::take(&mut machine.held_up);
        if let Some(pause) = machine.paused.take()
            && held_up
        {
            self.plan.effective(pause.fault);
        }
    }

    /// The end of all faults: links work, nodes that are down start, paused ones go on. Running
    /// nodes keep their state, and clocks their rates.
    pub(super) fn heal(&mut self) {
        self.healed = true;
        self.links.heal();
        self.cut_streams();
        let origin = self.heal_origin;
        self.note(Happening::Heal, NodeId(0), origin, &0u8, |event| {
            event.text = "all faults end".to_owned();
        });
        for index in 0..self.machines.len() {
            let node = NodeId(index as u16);
            let machine = &mut self.machines[index];
            machine.trouble.full = None;
            machine.trouble.slow = 0;
            machine.trouble.failing = None;
            if machine.trouble.rot.is_some_and(|(permanent, _)| !permanent) {
                machine.trouble.rot = None;
            }
            if machine.retired {
                continue;
            }
            if !machine.up {
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
