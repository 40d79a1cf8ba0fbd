//! What reaches a machine's port and should not, and connections that come and go.
#![cfg(not(madsim))]

use bytes::Bytes;
use node::NodeId;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use shell::tcp::{Limits, Refusal, Stats, Tcp, VERSION};
use shell::{Backoff, Identity, Transport};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const MS: fn(u64) -> Duration = Duration::from_millis;

fn identity(node: u16) -> Identity {
    Identity { scenario: "bank".to_owned(), cluster: 3, node: NodeId(node) }
}

fn limits() -> Limits {
    Limits {
        frame: 4096,
        backoff: Backoff { first: MS(5), most: MS(50) },
        close: MS(500),
        ..Limits::default()
    }
}

async fn listen_with(node: u16, limits: Limits) -> (Tcp, SocketAddr) {
    let any = "127.0.0.1:0".parse().expect("an address");
    let tcp = Tcp::listen(identity(node), any, limits, 1).await.expect("a free port");
    let address = tcp.address().expect("it listens");
    (tcp, address)
}

async fn listen(node: u16) -> (Tcp, SocketAddr) {
    listen_with(node, limits()).await
}

fn client(node: u16, address: SocketAddr) -> Tcp {
    let mut tcp = Tcp::client(identity(node), limits(), 1);
    tcp.call(NodeId(0), address.to_string());
    tcp
}

fn framed(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32).to_be_bytes(), content].concat()
}

fn hello(from: Identity, to: NodeId) -> Vec<u8> {
    let mut content = b"TRIB".to_vec();
    content.extend_from_slice(&VERSION.to_le_bytes());
    codec::encode_into(&(from, to), &mut content);
    framed(&content)
}

/// Says this on a new connection, and hears what comes back until its end.
async fn say(address: SocketAddr, bytes: &[u8], hang_up: bool) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(bytes).await?;
    if hang_up {
        stream.shutdown().await?;
    }
    let mut heard = Vec::new();
    timeout(Duration::from_secs(5), stream.read_to_end(&mut heard)).await??;
    Ok(heard)
}

/// The answer to a hello.
fn answer(heard: &[u8]) -> Result<(), Refusal> {
    let (len, rest) = heard.split_first_chunk::<4>().expect("a frame");
    let frame = &rest[..u32::from_be_bytes(*len) as usize];
    assert_eq!(&frame[..6], b"TRIB\x01\x00");
    codec::decode(&frame[6..]).expect("an answer")
}

async fn until(tcp: &Tcp, what: impl Fn(&Stats) -> bool) {
    for _ in 0..500 {
        if what(&tcp.stats()) {
            return;
        }
        sleep(MS(10)).await;
    }
    panic!("it does not come about: {:?}", tcp.stats());
}

/// A frame goes to the node and an answer comes back.
async fn works(server: &mut Tcp, address: SocketAddr) {
    let mut client = client(50_000, address);
    client.send(NodeId(0), Bytes::from_static(b"ask"));
    let (from, frame) = server.recv().await;
    assert_eq!((from, &frame[..]), (NodeId(50_000), &b"ask"[..]));
    server.send(from, Bytes::from_static(b"answer"));
    assert_eq!(client.recv().await, (NodeId(0), Bytes::from_static(b"answer")));
}

#[tokio::test]
async fn a_first_frame_that_means_nothing_is_refused() {
    let (mut server, address) = listen(0).await;
    let mut version = hello(identity(9), NodeId(0));
    version[8] = 7;
    let mut flipped = hello(identity(9), NodeId(0));
    flipped[15] ^= 1;
    let foreign = Identity { scenario: "lease".to_owned(), ..identity(9) };
    let elsewhere = Identity { cluster: 4, ..identity(9) };
    let refused = Refusal::Foreign { scenario: "bank".to_owned(), cluster: 3 };
    let cases = [
        (version, Refusal::Version(7)),
        (hello(foreign, NodeId(0)), refused.clone()),
        (hello(elsewhere, NodeId(0)), refused),
        (hello(identity(9), NodeId(1)), Refusal::Misdirected(NodeId(0))),
        (hello(identity(0), NodeId(0)), Refusal::Impostor(NodeId(0))),
    ];
    for (n, (bytes, refusal)) in (1..).zip(cases) {
        assert_eq!(answer(&say(address, &bytes, false).await.expect("heard")), Err(refusal));
        until(&server, |stats| stats.refused == n).await;
    }
    // What is to come after a hello, damage, and another protocol altogether.
    for bytes in [framed(b"a message"), flipped, framed(b"")] {
        let heard = say(address, &bytes, false).await.expect("heard");
        assert!(matches!(answer(&heard), Err(Refusal::Malformed(_))));
    }
    assert_eq!(say(address, b"GET / HTTP/1.1\r\n\r\n", false).await.expect("hung up"), b"");
    until(&server, |stats| stats.oversized == 1).await;
    assert_eq!(say(address, &hello(identity(9), NodeId(0))[..9], true).await.expect("ended"), b"");
    until(&server, |stats| stats.half == 1).await;
    assert_eq!(server.stats().connections, 0);
    works(&mut server, address).await;
}

#[tokio::test]
async fn a_caller_hears_why_it_is_refused_and_calls_again() {
    let (server, address) = listen(0).await;
    let mut stranger = Tcp::client(Identity { cluster: 4, ..identity(9) }, limits(), 1);
    stranger.call(NodeId(0), address.to_string());
    until(&stranger, |stats| stats.refused >= 3).await;
    assert!(server.stats().refused >= 3);
    assert_eq!(stranger.stats().connections, 0);
}

#[tokio::test]
async fn frames_too_long_or_cut_short_end_their_connection() {
    let (mut server, address) = listen(0).await;
    let hello = hello(identity(9), NodeId(0));
    let good = [&hello[..], &framed(b"one"), &framed(b"two")].concat();
    let long = [&good[..], &4097u32.to_be_bytes()].concat();
    let heard = say(address, &long, false).await.expect("heard");
    assert_eq!(answer(&heard), Ok(()));
    until(&server, |stats| stats.oversized == 1).await;
    for end in [&b"\0\0"[..], b"\0\0\0\x05", b"\0\0\0\x05four"] {
        say(address, &[&good[..], end].concat(), true).await.expect("heard");
    }
    until(&server, |stats| stats.half == 3).await;
    say(address, &good, true).await.expect("heard");
    for _ in 0..5 {
        assert_eq!(server.recv().await, (NodeId(9), Bytes::from_static(b"one")));
        assert_eq!(server.recv().await, (NodeId(9), Bytes::from_static(b"two")));
    }
    let Stats { half, oversized, connections, .. } = server.stats();
    assert_eq!((half, oversized, connections), (3, 1, 5));
}

#[tokio::test]
async fn no_more_connections_than_the_limit() {
    let limits = Limits { connections: 2, ..limits() };
    let (server, address) = listen_with(0, limits).await;
    let first = client(5, address);
    let second = client(6, address);
    until(&first, |stats| stats.connections == 1).await;
    until(&second, |stats| stats.connections == 1).await;
    let third = client(7, address);
    until(&third, |stats| stats.refused > 0).await;
    let heard = say(address, &hello(identity(8), NodeId(0)), false).await.expect("heard");
    assert!(matches!(answer(&heard), Err(Refusal::Busy(_))));
    assert_eq!((server.stats().connections, third.stats().connections), (2, 0));
    drop(first);
    until(&third, |stats| stats.connections == 1).await;
}

#[tokio::test]
async fn a_second_connection_takes_the_place_of_the_first() {
    let (mut server, address) = listen(0).await;
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(&hello(identity(9), NodeId(0))).await.expect("taken");
    until(&server, |stats| stats.connections == 1).await;
    let mut again = client(9, address);
    again.send(NodeId(0), Bytes::from_static(b"it is me"));
    assert_eq!(server.recv().await.1, Bytes::from_static(b"it is me"));
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.expect("the end of the first");
    server.send(NodeId(9), Bytes::from_static(b"welcome"));
    assert_eq!(again.recv().await.1, Bytes::from_static(b"welcome"));
    assert_eq!(server.stats().replaced, 1);
}

#[tokio::test]
async fn a_peer_that_says_nothing_is_given_up_and_an_idle_one_is_not() {
    let quick = Limits { silence: MS(600), ..limits() };
    let (mut server, address) = listen_with(0, quick.clone()).await;
    let mut idle = Tcp::client(identity(5), quick, 1);
    idle.call(NodeId(0), address.to_string());
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(&hello(identity(9), NodeId(0))).await.expect("taken");
    until(&server, |stats| stats.silent == 1).await;
    sleep(MS(1500)).await;
    idle.send(NodeId(0), Bytes::from_static(b"still here"));
    assert_eq!(server.recv().await.1, Bytes::from_static(b"still here"));
    assert_eq!((idle.stats().connections, server.stats().silent), (1, 1));
}

#[tokio::test]
async fn garbage_ends_the_connection_it_came_on_and_another_is_made() {
    let (mut server, address) = listen(0).await;
    let mut client = client(9, address);
    for n in 1..4 {
        client.send(NodeId(0), Bytes::from_static(b"garbage"));
        let (from, _) = server.recv().await;
        server.distrust(from);
        until(&client, |stats| stats.connections == n + 1).await;
    }
    assert_eq!(server.stats().garbage, 3);
    // And the other way: what a client hears comes on a connection that it has made.
    let before = client.stats().connections;
    client.distrust(NodeId(0));
    until(&client, |stats| stats.connections == before + 1).await;
    works(&mut server, address).await;
}

#[tokio::test]
async fn what_waits_for_a_node_is_sent_when_it_comes_back() {
    let (mut server, address) = listen(0).await;
    let mut client = client(9, address);
    client.send(NodeId(0), Bytes::from_static(b"before"));
    assert_eq!(server.recv().await.1, Bytes::from_static(b"before"));
    drop(server);
    // It has called again, in vain, so it knows.
    until(&client, |stats| stats.refused > 0).await;
    client.send(NodeId(0), Bytes::from_static(b"while it was away"));
    until(&client, |stats| stats.refused > 2).await;
    let again = Tcp::listen(identity(0), address, limits(), 1).await;
    let mut server = again.expect("its port is free again");
    assert_eq!(server.recv().await.1, Bytes::from_static(b"while it was away"));
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let (_server, address) = listen(0).await;
    let error = Tcp::listen(identity(1), address, limits(), 1).await.err().expect("taken");
    let expected = format!("cannot listen on {address}: Address already in use");
    assert!(error.to_string().starts_with(&expected), "{error}");
}

/// A node that does not read: those who send to it lose their oldest frames, and wait for nothing.
#[tokio::test]
async fn a_slow_node_makes_others_lose_their_oldest_frames() {
    let small = Limits { inbox: 4, outbox: 8, ..limits() };
    let (mut server, address) = listen_with(0, small.clone()).await;
    let mut client = Tcp::client(identity(9), small, 1);
    client.call(NodeId(0), address.to_string());
    until(&client, |stats| stats.connections == 1).await;
    let frame = |n: u32| Bytes::from([&n.to_be_bytes()[..], &[0; 4000]].concat());
    let sent = 20_000;
    for n in 0..sent {
        client.send(NodeId(0), frame(n));
        if n % 64 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let lost = client.stats().lost;
    assert!(lost > 1000, "80 MB have gone somewhere: {lost} lost");
    let mut last = None;
    for _ in 0..sent as u64 - lost {
        let (_, frame) = server.recv().await;
        let n = u32::from_be_bytes(*frame.first_chunk().expect("a number"));
        assert!(last.is_none_or(|last| last < n), "{last:?} and then {n}");
        last = Some(n);
    }
    assert_eq!(last, Some(sent - 1), "the newest are worth most");
    client.send(NodeId(0), Bytes::from(vec![0; 4097]));
    assert_eq!(client.stats().lost, lost + 1);
}

#[tokio::test]
async fn what_was_sent_leaves_before_a_machine_stops() {
    let (mut server, address) = listen(0).await;
    let mut client = client(9, address);
    for n in 0..100u8 {
        client.send(NodeId(0), Bytes::from(vec![n; 1000]));
    }
    client.close().await;
    drop(client);
    for n in 0..100u8 {
        assert_eq!(server.recv().await.1[..], vec![n; 1000]);
    }
}

#[test]
fn no_bytes_bring_a_machine_down() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let (mut server, address) = runtime.block_on(listen(0));
    let config = ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() };
    let bytes = prop::collection::vec(any::<u8>(), 0..200);
    let strategy = (any::<bool>(), any::<bool>(), bytes);
    let result = TestRunner::new(config).run(&strategy, |(introduced, in_frames, bytes)| {
        let mut said = if introduced { hello(identity(9), NodeId(0)) } else { Vec::new() };
        said.extend(if in_frames { framed(&bytes) } else { bytes });
        // A connection may be reset as soon as it is refused.
        let _ = runtime.block_on(say(address, &said, true));
        Ok(())
    });
    result.expect("no panic");
    runtime.block_on(async {
        while let Ok((from, _)) = timeout(MS(50), server.recv()).await {
            assert_eq!(from, NodeId(9));
        }
        works(&mut server, address).await;
    });
}
