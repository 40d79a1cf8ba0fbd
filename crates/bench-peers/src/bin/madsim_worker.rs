//! madsim 0.2 on the ring: `endpoint` by its datagrams, `rpc` by its calls, `tcp` by its streams.
//! And our engine on its executor: `network` by our network alone, `shell` with the tokio shell.
//!
//! One `Runtime` a run, five nodes, one task a node (two with streams), latency 1 ms. `Endpoint`
//! is the interface that its documentation offers first; the streams are there because they cost
//! less a message. The nodes are killed at the end of a run and one more millisecond is
//! simulated: a runtime that is just dropped leaks its tasks, and is slower besides.
//!
//! `network` carries the same 33 bytes between the same tasks. `shell` runs the ring's nodes as a
//! campaign does, with codec, digest, origins and the write-ahead log, but without judges.
//!
//! madsim simulates only under `--cfg madsim`, which the bench sets. Without it this program
//! measures nothing and says so.

#[cfg(not(madsim))]
fn main() {
    eprintln!(
        "madsim_worker was built without --cfg madsim: run it by `cargo bench -p bench-peers`"
    );
    std::process::exit(70);
}

#[cfg(madsim)]
fn main() -> anyhow::Result<()> {
    simulated::main()
}

#[cfg(madsim)]
mod simulated {
    use bench_peers::workload::{Peer, case};
    use bench_peers::{ANSWER, DELAY, FRAME, NODES, REQUEST, Size, serve};
    use bytes::Bytes;
    use engine_madsim::worker::{Wire, carry};
    use madsim::net::rpc::Request;
    use madsim::net::{Endpoint, TcpListener, TcpStream};
    use madsim::runtime::{Handle, Runtime};
    use node::NodeId;
    use shell::Transport as _;
    use std::io;
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    pub fn main() -> anyhow::Result<()> {
        serve(|contestant, size| {
            let run: fn(Size) -> u64 = match contestant {
                "endpoint" => |size| run(size, datagrams),
                "rpc" => |size| run(size, calls),
                "tcp" => |size| run(size, streams),
                "network" => {
                    |size| carry::<Peer, _>(&case(size), move |me, wire| frames(me, wire, size))
                }
                "shell" => |size| engine_madsim::worker::serve::<Peer>(&case(size)),
                _ => return None,
            };
            Some(move || run(size))
        })
    }

    fn address(node: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, node as u8 + 1)), 700)
    }

    fn run<F>(size: Size, machine: fn(u16, u32) -> F) -> u64
    where
        F: Future<Output = io::Result<u64>> + Send + 'static,
    {
        let mut config = madsim::Config::default();
        config.net.send_latency = DELAY..DELAY + Duration::from_nanos(1);
        let runtime = Runtime::with_seed_and_config(1, config);
        runtime.block_on(async {
            let handle = Handle::current();
            let (mut nodes, mut tasks) = (Vec::new(), Vec::new());
            for id in 0..NODES {
                let node = handle.create_node().ip(address(id).ip()).build();
                tasks.push(node.spawn(machine(id, size.calls())));
                nodes.push(node.id());
            }
            let mut deliveries = 0;
            for task in tasks {
                deliveries += task.await.expect("a node's task ended").expect("its sockets work");
            }
            for node in nodes {
                handle.kill(node);
            }
            madsim::time::sleep(Duration::from_millis(1)).await;
            deliveries
        })
    }

    async fn datagrams(id: u16, calls: u32) -> io::Result<u64> {
        let socket = Endpoint::bind(address(id)).await?;
        let successor = address((id + 1) % NODES);
        let (mut unanswered, mut unserved, mut deliveries) = (calls, calls, 0);
        let mut frame = [0; FRAME];
        socket.send_to(successor, 0, &[REQUEST; FRAME]).await?;
        while unanswered > 0 || unserved > 0 {
            let (_, from) = socket.recv_from(0, &mut frame).await?;
            deliveries += 1;
            if frame[0] == REQUEST {
                unserved -= 1;
                frame[0] = ANSWER;
                socket.send_to(from, 0, &frame).await?;
            } else {
                unanswered -= 1;
                if unanswered > 0 {
                    socket.send_to(successor, 0, &[REQUEST; FRAME]).await?;
                }
            }
        }
        Ok(deliveries)
    }

    type Words = [u64; 4];

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Ask(Words);

    impl Request for Ask {
        type Response = Words;
        const ID: u64 = 1;
    }

    async fn calls(id: u16, calls: u32) -> io::Result<u64> {
        let server = Arc::new(Endpoint::bind(address(id)).await?);
        server.add_rpc_handler(|Ask(words): Ask| async move { words });
        // Until every node listens.
        madsim::time::sleep(DELAY).await;
        for call in 0..calls {
            server.call(address((id + 1) % NODES), Ask([u64::from(call); 4])).await?;
        }
        // The last one that asks this node still waits for its answer.
        madsim::time::sleep(DELAY * 1000).await;
        Ok(2 * u64::from(calls))
    }

    /// The same as with datagrams, over our network.
    async fn frames(me: NodeId, mut wire: Wire<Peer>, size: Size) {
        let successor = NodeId((me.0 + 1) % NODES);
        let (mut unanswered, mut unserved) = (size.calls(), size.calls());
        wire.send(successor, Bytes::from(vec![REQUEST; FRAME]));
        while unanswered > 0 || unserved > 0 {
            let (from, frame) = wire.recv().await;
            if frame[0] == REQUEST {
                unserved -= 1;
                wire.send(from, Bytes::from(vec![ANSWER; FRAME]));
            } else {
                unanswered -= 1;
                if unanswered > 0 {
                    wire.send(successor, Bytes::from(vec![REQUEST; FRAME]));
                }
            }
        }
    }

    async fn streams(id: u16, calls: u32) -> io::Result<u64> {
        let listener = TcpListener::bind(address(id)).await?;
        let server = madsim::task::spawn(async move {
            let (mut stream, _) = listener.accept().await?;
            let mut frame = [0; FRAME];
            for _ in 0..calls {
                stream.read_exact(&mut frame).await?;
                frame[0] = ANSWER;
                stream.write_all(&frame).await?;
                stream.flush().await?;
            }
            io::Result::Ok(stream) // an open stream: the last answer is still on its way
        });
        // Until every node listens.
        madsim::time::sleep(DELAY).await;
        let mut stream = TcpStream::connect(address((id + 1) % NODES)).await?;
        let mut frame = [REQUEST; FRAME];
        for _ in 0..calls {
            frame[0] = REQUEST;
            stream.write_all(&frame).await?;
            stream.flush().await?;
            stream.read_exact(&mut frame).await?;
        }
        let _open = server.await.expect("the server's task ended")?;
        Ok(2 * u64::from(calls))
    }
}
