//! The adversary's moves: what each fault does when it strikes, and the heal that ends them all.

use crate::Clock;
use crate::clients::Status;
use crate::engine::{End, Event, Uses, World, nanos};
use crate::fault::{Fault, FaultKind, Faults, Kind};
use crate::network::Drawn;
use crate::trace::{Happening, TraceEvent};
use history::{Actor, History, What};
use node::{Dice, Node, NodeId, mix};
use std::time::Duration;

const DISK_DICE: u64 = 0x6469_736b_6469_6365;

impl<N: Node> World<N> {
    /// A fault has found its place.
    pub(crate) fn strike(&mut self, index: usize) {
        if self.healed && !matches!(self.plan.fault(index).kind, Kind::Retire { .. }) {
            return;
        }
        self.plan.strike(index);
        let Fault { id, kind, .. } = self.plan.fault(index).clone();
        self.note_fault(Happening::Fault, index);
        match kind {
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
                    let mut dice = self.disk_dice(id, node);
                    self.machines[node.index()].disk.lose_power(&mut dice);
                    self.crash(node, index, down);
                }
            }
            Kind::TornWrite { node, down } => {
                let mut dice = self.disk_dice(id, node);
                if self.machines[node.index()].disk.tear(&mut dice) {
                    self.plan.effective(index);
                }
                self.crash_quietly(node, index, down);
            }
            Kind::BitRot { node, permanent } => {
                self.machines[node.index()].disk.rot = Some((permanent, index as u32));
                self.crash_quietly(node, index, Duration::ZERO);
            }
            Kind::FailedSync { node, leaves, down } => {
                let disk = &mut self.machines[node.index()].disk;
                disk.failing = Some((leaves, index as u32));
                disk.down_after_failure = down;
            }
            Kind::FullDisk { node } => self.machines[node.index()].disk.full = true,
            Kind::SlowSync { node, by, lasts } => {
                self.machines[node.index()].disk.slow = nanos(by);
                self.queue.push(self.now + nanos(lasts), Event::Lift(index));
            }
            Kind::WallOffset { node, millis } | Kind::WallJump { node, millis } => {
                let clock = &mut self.machines[node.index()].clock;
                clock.wall_offset_nanos += millis.saturating_mul(1_000_000);
            }
            Kind::WallDrift { node, ppm } => self.machines[node.index()].clock.wall_ppm = ppm,
            Kind::Rate { node, ppm } => self.machines[node.index()].clock.rate_ppm = ppm,
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

    /// What a fault's own dice decide about a disk.
    fn disk_dice(&self, fault: u32, node: NodeId) -> Dice {
        let address = u64::from(fault) << 16 | u64::from(node.0);
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
        if let Kind::SlowSync { node, .. } = self.plan.fault(index).kind {
            self.machines[node.index()].disk.slow = 0;
        }
        self.note_fault(Happening::Lifted, index);
    }

    fn crash(&mut self, node: NodeId, index: usize, down: Duration) {
        if self.machines[node.index()].busy {
            self.plan.effective(index);
        }
        self.crash_quietly(node, index, down);
    }

    fn crash_quietly(&mut self, node: NodeId, index: usize, down: Duration) {
        let id = self.plan.fault(index).id;
        let mut dice = self.disk_dice(id, node);
        self.machines[node.index()].disk.crash(&mut dice);
        self.stop(node, Some(index));
        self.boot_later(node, down);
    }

    /// Ends a process: what it held in memory is gone, and so are its timers and open steps.
    pub(crate) fn stop(&mut self, id: NodeId, fault: Option<usize>) {
        let machine = &mut self.machines[id.index()];
        machine.node = None;
        machine.timers.clear();
        machine.effects.clear();
        machine.inputs.clear();
        machine.after_sync.clear();
        machine.processes.clear();
        machine.syncing = false;
        machine.paused = None;
        machine.token += 1;
        machine.steps = 0;
        if let Some(fault) = fault {
            machine.boot = self.plan.origin(fault);
            machine.downed_by = Some(fault);
        }
        let origin = machine.boot;
        let open = std::mem::take(&mut machine.open);
        self.network.disconnect(id);
        for (step, operation, process) in open {
            self.note(Happening::Info, id, origin, &step, |event| {
                event.text = "outcome unknown".to_owned();
            });
            self.tell_history(operation, Actor::Role(id.0), process, step.nth, What::Info);
        }
    }

    pub(crate) fn boot_later(&mut self, node: NodeId, down: Duration) {
        // A process takes a moment to start even when nothing keeps it down.
        let at = self.now + nanos(down).max(1_000_000);
        let token = self.machines[node.index()].token;
        self.queue.push(at, Event::Boot { node, token });
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

    fn pause(&mut self, node: NodeId, index: usize, lasts: Duration) {
        let machine = &mut self.machines[node.index()];
        if machine.node.is_none() && self.running != Some(node) {
            return;
        }
        machine.paused = Some(index);
        machine.pauses += 1;
        let token = machine.pauses;
        self.queue.push(self.now + nanos(lasts), Event::Resume { node, token });
    }

    /// A paused process goes on, with what has waited for it.
    pub(crate) fn resume(&mut self, node: NodeId, token: u32) {
        let machine = &mut self.machines[node.index()];
        if machine.paused.is_none() || machine.pauses != token {
            return;
        }
        if !machine.effects.is_empty()
            && let Some(fault) = machine.paused
        {
            self.plan.effective(fault);
        }
        self.machines[node.index()].paused = None;
        self.proceed(node);
    }

    fn retire(&mut self, node: NodeId, index: usize) {
        self.plan.effective(index);
        self.stop(node, Some(index));
        self.machines[node.index()].retired = true;
    }

    /// A node's start meets bad data: read again, it is good; or the node stays down.
    pub(crate) fn meet_rot(&mut self, node: NodeId, permanent: bool, fault: usize) {
        self.plan.effective(fault);
        if permanent {
            self.machines[node.index()].retired = true;
        } else {
            self.boot_later(node, Duration::from_millis(10));
        }
    }

    /// What goes wrong with a call is decided when it begins.
    pub(crate) fn trouble_call(&mut self, index: u32, id: u32) {
        let faults: Vec<usize> = self.plan.of_call(id).collect();
        for fault in faults {
            if self.healed {
                return;
            }
            self.plan.strike(fault);
            let (after, event) = match self.plan.fault(fault).kind {
                Kind::Retry { after } | Kind::DuplicateRequest { after } => {
                    (after, Event::Again { call: index, fault })
                }
                Kind::ClientCrash { after } => (after, Event::ClientCrash { call: index, fault }),
                _ => continue,
            };
            self.queue.push(self.now + nanos(after), event);
        }
    }

    /// A client sends its request again, unless it has its answer by now.
    pub(crate) fn again(&mut self, call: u32, fault: usize) {
        if let Status::Open(_) = self.clients.calls[call as usize].status {
            self.plan.effective(fault);
            self.resend(call);
        }
    }

    /// A client ends in the middle of a call and comes back as a new process.
    pub(crate) fn client_crash(&mut self, call: u32, fault: usize) {
        if let Status::Open(_) = self.clients.calls[call as usize].status {
            self.plan.effective(fault);
            self.complete(call, What::Info);
        }
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
            machine.disk.full = false;
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
            } else if machine.paused.take().is_some() {
                self.proceed(node);
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
                crate::fault::Direction::Both => "both ways",
                crate::fault::Direction::Into => "nothing gets in",
                crate::fault::Direction::OutOf => "nothing gets out",
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

/// What checkers and invariants may look at.
impl<N: Node> World<N> {
    /// Virtual nanoseconds.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// How many nodes there are, clients apart.
    pub fn nodes(&self) -> usize {
        self.machines.len()
    }

    /// Every node's id.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<N> {
        (0..self.machines.len() as u16).map(NodeId)
    }

    /// The running node, if it runs. A paused one runs.
    pub fn state(&self, id: NodeId) -> Option<&N> {
        self.machines.get(id.index())?.node.as_ref()
    }

    /// The records that no power loss can take.
    pub fn durable(&self, id: NodeId) -> &[N::Record] {
        self.machines.get(id.index()).map_or(&[], |machine| machine.disk.durable())
    }

    /// How many snapshots have replaced the node's log. While the number stays, its durable log
    /// only grows, and what has been looked at need not be looked at again.
    pub fn rewrites(&self, id: NodeId) -> u32 {
        self.machines.get(id.index()).map_or(0, |machine| machine.disk.rewrites)
    }

    /// The node whose durable log the last step may have changed, if any.
    pub fn changed(&self) -> Option<NodeId> {
        self.changed
    }

    /// The node's configuration.
    pub fn config(&self, id: NodeId) -> Option<&N::Config> {
        self.configs.get(id.index())
    }

    /// The node's clocks, to map between its time and the run's.
    pub fn clock(&self, id: NodeId) -> Option<&Clock> {
        self.machines.get(id.index()).map(|machine| &machine.clock)
    }

    /// Whether a node is lost for good.
    pub fn is_retired(&self, id: NodeId) -> bool {
        self.machines.get(id.index()).is_some_and(|machine| machine.retired)
    }

    /// Whether all faults have ended.
    pub fn is_healed(&self) -> bool {
        self.healed
    }

    /// How the run ended.
    pub fn end(&self) -> End {
        self.end
    }

    /// What clients saw so far.
    pub fn history(&self) -> &History<N::Op, N::Ret> {
        &self.history
    }

    /// The recorded events; none unless [`World::record`] was called.
    pub fn events(&self) -> &[TraceEvent] {
        self.trace.events.as_deref().unwrap_or_default()
    }

    /// The fates drawn so far, as placed faults; none unless [`World::record`] was called.
    pub fn drawn(&self) -> &[Drawn] {
        self.drawn.as_deref().unwrap_or_default()
    }

    /// What was worth counting, with how often it happened.
    pub fn marks(&self) -> &[(&'static str, u32)] {
        &self.marks
    }

    /// The kinds of faults that changed what happened.
    pub fn effective(&self) -> Faults {
        self.plan.effects()
    }

    /// The placed faults that found nothing to strike.
    pub fn missed(&self) -> Vec<Fault> {
        self.plan.missed().cloned().collect()
    }

    /// What nodes made use of.
    pub fn uses(&self) -> Uses {
        self.uses
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Messages that reached a machine.
    pub fn deliveries(&self) -> u64 {
        self.deliveries
    }

    /// The node in whose handler the run is, after a panic in it.
    pub fn running(&self) -> Option<NodeId> {
        self.running
    }

    /// Other dice from now on: another future of the same past.
    pub fn reseed(&mut self, seed: u64) {
        self.seed = seed;
        self.network.reseed(seed);
    }

    /// Clock faults act on what reads them: they have had an effect where somebody did.
    pub fn clock_effects(&self) -> Faults {
        let mut kinds = Faults::NONE;
        if self.uses.clock {
            kinds.add(FaultKind::Rate);
        }
        if self.uses.wall {
            kinds = kinds.and(Faults::of(&[
                FaultKind::WallOffset,
                FaultKind::WallDrift,
                FaultKind::WallJump,
            ]));
        }
        kinds
    }
}
