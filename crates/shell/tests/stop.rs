//! SIGTERM, in a process of its own: signals are the whole process's.
#![cfg(not(madsim))]

mod common;

use common::{Ledger, Place, Sum, identity};
use node::{MutationKind, NodeId, RequestId};
use shell::log::Log;
use shell::tcp::{Limits, Tcp};
use shell::{End, Files, Server, SystemClock, Wire, terminated};
use std::process::Command;
use tokio::time::{Duration, sleep};

/// The node ends what it is doing, syncs what it has written, and its folder is free.
#[tokio::test]
async fn sigterm_stops_a_node_in_good_order() {
    let place = Place::new("sigterm");
    let any = "127.0.0.1:0".parse().expect("an address");
    let mut net = Tcp::listen(identity(0), any, Limits::default(), 1).await.expect("a free port");
    net.call(NodeId(1), "127.0.0.1:9");
    let address = net.address().expect("it listens");
    let server: Server<Ledger, _, _, _, _> = Server {
        identity: identity(0),
        config: (),
        servers: 2,
        seed: 1,
        // So that the stop has something to sync.
        mutant: Some(MutationKind::PersistInsteadOfForce.into()),
        transport: net,
        disk: Files::open(place.of(0)).expect("a folder"),
        clock: SystemClock,
        observer: (),
    };
    let life = tokio::spawn(server.run(terminated().expect("handlers")));
    let request = RequestId { client: NodeId(2), call: 0 };
    let mut net = Tcp::client(identity(request.client.0), Limits::default(), 1);
    net.call(NodeId(0), address.to_string());
    let add = Wire::<(), _, ()>::Request { call: request.call, op: common::Op::Add(3) };
    shell::Transport::send(&mut net, NodeId(0), add.encode());
    let log = place.of(0).join(shell::log::LOG);
    let written = || {
        let bytes = std::fs::read(&log).unwrap_or_default();
        shell::log::format::recover(&bytes).is_ok_and(|found| found.records.len() == 1)
    };
    while !written() {
        sleep(Duration::from_millis(5)).await;
    }
    let pid = std::process::id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("a shell").success());
    assert_eq!(life.await.expect("no panic").expect("no failure"), End::Stopped);
    let files = Files::open(place.of(0)).expect("it is free");
    let (_, boot) = Log::open::<Sum>(files, &identity(0)).await.expect("undamaged");
    assert_eq!((boot.cut, boot.records), (0, vec![Sum { changes: 1, sum: 3 }]));
}
