//! The clients: each on a machine of its own, with the calls that the case has for it.

use super::stage::{Stage, ip};
use crate::data::Data;
use crate::trial::{Client, Failure, Lines, Workload};
use history::{Actor, Event, What};
use madsim::runtime::Handle;
use madsim::time::{sleep_until, timeout};
use node::NodeId;
use std::any::Any;
use std::time::Duration;
use world::parts::nanos;
use world::{Call, FaultKind, Happening, Kind, Origin, Place};

impl Stage {
    /// Lets clients work, and waits until they have ended.
    pub(crate) async fn work(&self, workload: Workload) -> Lines {
        let clients = {
            let mut state = self.state();
            assert!(state.workload.is_none(), "expected one call of `clients`: this is the second");
            assert!(!state.groups.is_empty(), "expected a node before clients begin");
            state.workload = Some(workload);
            // Whoever asked for what the test declares has it now, and ends the run.
            state.stir();
            let clients = state.case.as_ref().map(|case| case.clients.count);
            state.working = clients.unwrap_or(1).into();
            clients.unwrap_or(0)
        };
        for client in 0..clients {
            let machine = self.state().client(client);
            let stage = self.clone();
            let life = move || stage.clone().ask_all(client);
            let handle = Handle::current();
            let node = handle.create_node().name(format!("client {client}"));
            let node = node.ip(ip(machine.index())).init(life).build();
            self.state().clients.push(node.id());
        }
        self.cut_newcomers();
        self.until(|state| state.working == 0).await;
        std::mem::take(&mut self.state().lines)
    }

    /// Makes the calls of one client, one after the other.
    async fn ask_all(self, id: u16) {
        let (calls, give_up, workload) = {
            let state = self.state();
            let (Some(case), Some(workload)) = (&state.case, &state.workload) else { return };
            let calls: Vec<_> =
                case.calls.iter().filter(|call| call.client == id).cloned().collect();
            (calls, case.clients.give_up, workload.clone())
        };
        let nodes = 0..self.state().names.len() as u16;
        let servers: Vec<_> = nodes.map(|node| self.address(NodeId(node))).collect();
        let mut process = u32::from(id);
        for call in calls {
            let due = self.state().instant(nanos(call.at));
            sleep_until(due).await;
            let client = Client { id, server: self.address(call.to), servers: servers.clone() };
            let crash = self.crash_in(call.id);
            let patience = crash.map_or(give_up, |after| after.min(give_up));
            let number = self.begin(&call, process, &workload);
            let told = match timeout(patience, (workload.ask)(client, &call.op)).await {
                Ok(told) => told,
                Err(_) => {
                    if crash.is_some_and(|after| after < give_up) {
                        self.state().effective.add(FaultKind::ClientCrash);
                    }
                    Err(Failure::Info("no answer in time".into()))
                }
            };
            process = self.end(&call, process, number, told);
        }
        let mut state = self.state();
        state.working -= 1;
        state.stir();
    }

    /// How long after its begin a client ends in this call, if it does.
    fn crash_in(&self, id: u32) -> Option<Duration> {
        let mut state = self.state();
        let case = state.case.as_ref()?;
        let mut faults = case.faults.iter().enumerate();
        let (index, after) =
            faults.find_map(|(index, fault)| match (&fault.place, &fault.kind) {
                (Place::Call(call), Kind::ClientCrash { after }) if *call == id => {
                    Some((index, *after))
                }
                _ => None,
            })?;
        state.struck[index] = true;
        Some(after)
    }

    fn begin(&self, call: &Call<Data>, process: u32, workload: &Workload) -> u32 {
        let mut state = self.state();
        let number = state.operations.0;
        state.operations.0 += 1;
        state.open += 1;
        state.begun += 1;
        state.meets_call();
        let text = (workload.show)(&call.op).unwrap_or_default();
        let node = state.client(call.client);
        let about = (call.id, text.clone());
        state.note(Happening::Invoke, node, Some(Origin::Call(call.id)), &about, || text);
        state.record(call, process, number, What::Invoke(call.op.clone()));
        number
    }

    /// Records the end of a call, and says as which process its client goes on.
    fn end(
        &self,
        call: &Call<Data>,
        process: u32,
        number: u32,
        told: Result<(Box<dyn Any + Send>, String), Failure>,
    ) -> u32 {
        let mut state = self.state();
        state.open -= 1;
        let (what, text) = match told {
            Ok((ret, text)) => (What::Ok(ret), text),
            Err(Failure::Fail(why)) => (What::Fail(why.clone().into()), why),
            Err(Failure::Info(why)) => (What::Info, why),
        };
        let mut next = process;
        if matches!(what, What::Ok(_)) {
            state.operations.1 += 1;
        } else if matches!(what, What::Info) {
            next = state.next_process;
            state.next_process += 1;
        }
        let node = state.client(call.client);
        let about = (call.id, text.clone());
        let happening = super::stage::happening(&what);
        state.note(happening, node, Some(Origin::Call(call.id)), &about, || text);
        state.record(call, process, number, what);
        next
    }
}

impl super::stage::State {
    fn record(
        &mut self,
        call: &Call<Data>,
        process: u32,
        op: u32,
        what: What<Data, Box<dyn Any + Send>>,
    ) {
        let (at, actor) = (self.now(), Actor::Client(call.client));
        self.lines.push(Event { at, op, actor, process, call: call.id, what });
    }
}
