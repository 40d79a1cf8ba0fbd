//! Nodes, clients, connections and logs together, on the loopback interface and in real files.
#![cfg(not(madsim))]

mod common;

use common::{Ledger, Op, Place, identity, start};
use node::NodeId;
use shell::tcp::{Limits, Tcp};
use shell::{Client, Outcome, Policy, SystemClock};

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
