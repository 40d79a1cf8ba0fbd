//! turmoil 0.7 on the ring: `udp` by its datagrams, `tcp` by its streams.
//!
//! One `Sim` a run, five clients (its word for a host that the run waits for), latency exactly
//! 1 ms. It moves in ticks and a message waits for the next one, so a tick is as long as a message
//! takes: no tick passes in which nothing arrives. (Ticks of half and of double the length were
//! tried and are no faster; without latency, messages arrive before their receiver has bound.)

use bench_peers::{ANSWER, DELAY, FRAME, NODES, REQUEST, Size, serve};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use turmoil::net::{TcpListener, TcpStream, UdpSocket};

const HERE: (IpAddr, u16) = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 700);

fn main() -> anyhow::Result<()> {
    serve(|contestant, size| {
        let tcp = match contestant {
            "udp" => false,
            "tcp" => true,
            _ => return None,
        };
        Some(move || run(tcp, size))
    })
}

fn address(node: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 168, 0, node as u8 + 1)), HERE.1)
}

fn run(tcp: bool, size: Size) -> u64 {
    let mut sim = turmoil::Builder::new()
        .rng_seed(1)
        .tick_duration(DELAY)
        .min_message_latency(DELAY)
        .max_message_latency(DELAY)
        .simulation_duration(Duration::from_secs(3600))
        .build();
    let calls = size.calls();
    for id in 0..NODES {
        if tcp {
            sim.client(address(id).ip(), async move { Ok(streams(id, calls).await?) });
        } else {
            sim.client(address(id).ip(), async move { Ok(datagrams(id, calls).await?) });
        }
    }
    sim.run().expect("every node makes its calls");
    // Each node ends when it has served all requests and has all its answers, and not before.
    size.messages()
}

async fn datagrams(id: u16, calls: u32) -> io::Result<()> {
    let socket = UdpSocket::bind(HERE).await?;
    let successor = address((id + 1) % NODES);
    let (mut unanswered, mut unserved) = (calls, calls);
    let mut frame = [0; FRAME];
    socket.send_to(&[REQUEST; FRAME], successor).await?;
    while unanswered > 0 || unserved > 0 {
        let (_, from) = socket.recv_from(&mut frame).await?;
        if frame[0] == REQUEST {
            unserved -= 1;
            frame[0] = ANSWER;
            socket.send_to(&frame, from).await?;
        } else {
            unanswered -= 1;
            if unanswered > 0 {
                socket.send_to(&[REQUEST; FRAME], successor).await?;
            }
        }
    }
    Ok(())
}

async fn streams(id: u16, calls: u32) -> io::Result<()> {
    let listener = TcpListener::bind(HERE).await?;
    let server = async move {
        let (mut stream, _) = listener.accept().await?;
        let mut frame = [0; FRAME];
        for _ in 0..calls {
            stream.read_exact(&mut frame).await?;
            frame[0] = ANSWER;
            stream.write_all(&frame).await?;
        }
        io::Result::Ok(stream) // an open stream: the last answer is still on its way
    };
    let client = async move {
        let mut stream = TcpStream::connect(address((id + 1) % NODES)).await?;
        let mut frame = [REQUEST; FRAME];
        for _ in 0..calls {
            frame[0] = REQUEST;
            stream.write_all(&frame).await?;
            stream.read_exact(&mut frame).await?;
        }
        io::Result::Ok(stream)
    };
    let _open = tokio::try_join!(server, client)?;
    Ok(())
}
