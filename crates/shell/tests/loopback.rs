//! Nodes, clients, connections and logs together, on the loopback interface and in real files.
#![cfg(not(madsim))]

mod common;

use common::{Ledger, Op, Place, Sum, identity, start, start_mutant};
use node::{MutationKind, NodeId};
use shell::log::{self, BESIDE, LOG, Log};
use shell::tcp::{Limits, Tcp};
use shell::{Client, Error, Files, OpenError, Outcome, Policy, SystemClock};
use std::fs;

#[tokio::test]
async fn what_was_acknowledged_outlives_the_process() {
    let place = Place::new("outlives");
    let (first, second) = (start(&place, 0).await, start(&place, 1).await);
    first.meet(&second);
    second.meet(&first);
    let mut net = Tcp::client(identity(2), Limits::default(), 1);
    net.call(NodeId(0), first.address.to_string());
    net.call(NodeId(1), second.address.to_string());
    let mut client =
        Client::<Ledger, _, _>::new(NodeId(2), 2, Policy::default(), net, SystemClock, 1);
    assert_eq!(client.call(0, NodeId(0), &Op::Add(5)).await, Outcome::Ok(5));
    // The second node sends its clients on to the first.
    assert_eq!(client.call(1, NodeId(1), &Op::Add(2)).await, Outcome::Ok(7));
    assert_eq!(
        client.call(2, NodeId(0), &Op::Add(-8)).await,
        Outcome::Fail("it would fall below zero".into())
    );
    second.stop().await;
    first.kill().await;
    let again = start(&place, 0).await;
    let second = start(&place, 1).await;
    again.meet(&second);
    second.meet(&again);
    let mut net = Tcp::client(identity(3), Limits::default(), 2);
    net.call(NodeId(0), again.address.to_string());
    let mut client =
        Client::<Ledger, _, _>::new(NodeId(3), 2, Policy::default(), net, SystemClock, 1);
    assert_eq!(client.call(0, NodeId(0), &Op::Add(1)).await, Outcome::Ok(8));
}

#[tokio::test]
async fn what_was_not_forced_survives_a_process_and_a_dropped_force_nothing() {
    for (mutant, kept) in [(MutationKind::PersistInsteadOfForce, 5), (MutationKind::DropForce, 0)] {
        let place = Place::new(mutant.name());
        let keeper = start_mutant(&place, 0, Some(mutant.into())).await;
        let copy = start(&place, 1).await;
        keeper.meet(&copy);
        copy.meet(&keeper);
        assert_eq!(client(2, &keeper).call(0, NodeId(0), &Op::Add(5)).await, Outcome::Ok(5));
        keeper.kill().await;
        let log = Log::open::<Sum>(Files::open(place.of(0)).expect("free"), &identity(0)).await;
        let (_, boot) = log.expect("a log");
        assert_eq!(boot.records.last().map_or(0, |sum| sum.sum), kept, "{mutant:?}");
        assert_eq!(boot.incarnation, 2);
    }
}

fn client(me: u16, of: &common::Running) -> Client<Ledger, Tcp, SystemClock> {
    let mut net = Tcp::client(identity(me), Limits::default(), 1);
    net.call(of.me, of.address.to_string());
    Client::new(NodeId(me), 2, Policy::default(), net, SystemClock, 1)
}

#[tokio::test]
async fn a_second_process_is_kept_out_of_a_folder() {
    let place = Place::new("lock");
    let node = start(&place, 1).await;
    let error = Files::open(place.of(1)).expect_err("it is in use");
    assert!(matches!(error, OpenError::InUse(_)));
    let folder = place.of(1);
    assert_eq!(error.to_string(), format!("{} is in use by another process", folder.display()));
    node.stop().await;
    Files::open(place.of(1)).expect("it is free again");
    let file = place.of(7);
    fs::create_dir_all(file.parent().expect("a folder")).expect("made");
    fs::write(&file, "a file").expect("written");
    let error = Files::open(&file).expect_err("no folder").to_string();
    assert!(error.starts_with(&format!("cannot make {}: ", file.display())), "{error}");
}

#[tokio::test]
async fn a_damaged_log_keeps_a_node_from_starting() {
    let place = Place::new("damage");
    let copy = start(&place, 1).await;
    let keeper = start(&place, 0).await;
    keeper.meet(&copy);
    copy.meet(&keeper);
    let mut client = client(2, &keeper);
    for call in 0..4 {
        let expected = Outcome::Ok(i64::from(call) + 1);
        assert_eq!(client.call(call, NodeId(0), &Op::Add(1)).await, expected);
    }
    keeper.stop().await;
    let path = place.of(0).join(LOG);
    let bytes = fs::read(&path).expect("a log");
    let found = log::format::recover(&bytes).expect("undamaged");
    let (second, last) = (found.records[1].0, found.records[3].0);
    // The second record: the third says that it had been synced.
    let mut damaged = bytes.clone();
    damaged[second + 10] ^= 1;
    fs::write(&path, &damaged).expect("written");
    let error = start(&place, 0).await.ended().await.expect_err("corrupt");
    let expected = format!("{} is corrupt at offset {second}: ", path.display());
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert_eq!(fs::read(&path).expect("it stays"), damaged);
    assert!(!place.of(0).join(BESIDE).exists());
    // Half of the last one: a torn tail, as far as anybody can tell.
    fs::write(&path, &bytes[..last + 20]).expect("written");
    let keeper = start(&place, 0).await;
    keeper.stop().await;
    // The log of another node.
    fs::copy(place.of(1).join(LOG), &path).expect("copied");
    let error = start(&place, 0).await.ended().await.expect_err("not ours");
    assert!(matches!(error, Error::Log(log::Error::Foreign { .. })), "{error}");
    copy.stop().await;
}
