//! The measurements.

use bytes::{Buf, Bytes, BytesMut};
use node::{Context, Cx, Dice, Effect, EffectKind, Incarnation, Node, NodeId, RequestId};
use protocols::commit::{Config, Key, Op, Role};
use protocols::two_phase_commit::TwoPhaseCommit;
use shell::tcp::{Limits, Tcp};
use shell::{
    Client, Clock, Disk, Edge, Event, Files, Identity, Observer, Outcome, Policy, Resend, Server,
    SystemClock,
};
use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// How long each row is measured, after a tenth of it that is not.
const LASTS: Duration = Duration::from_secs(2);

/// How many clients ask at once.
const CLIENTS: [u16; 3] = [1, 8, 32];

/// Accounts at each participant, so that transfers seldom wait for each other.
const ACCOUNTS: u16 = 1000;

const NODES: u16 = 3;

pub fn main() {
    // `cargo test --benches` and `cargo bench -- --test` only want to know that it runs.
    let quick = std::env::args().any(|arg| arg == "--test");
    let lasts = if quick { Duration::from_millis(50) } else { LASTS };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().expect("a runtime");
    let place = Place::new();
    let (clients, calls, p50, p99, times) = ("clients", "calls/s", "p50 µs", "p99 µs", "echo ×");
    println!("{:<34} {clients:>7} {calls:>10} {p50:>9} {p99:>9} {times:>8}", "");
    for clients in CLIENTS {
        let echoed = echo(&runtime, clients, lasts);
        let echo = rate(clients, &echoed);
        row("tokio echo", clients, &echoed, echo);
        let answered = answers(&runtime, &place, clients, lasts);
        row("shell, a node that answers", clients, &answered, echo);
        for synced in [false, true] {
            let name = if synced { "bank, syncs to files" } else { "bank, no syncs" };
            let (calls, spent) = bank(&runtime, &place, clients, synced, lasts);
            row(name, clients, &calls, echo);
            spent.tell();
        }
    }
}

/// How long each call took.
type Calls = Vec<Duration>;

/// Calls per second: each client asks one thing after the other, so its rate is the inverse of its
/// mean.
fn rate(clients: u16, calls: &Calls) -> f64 {
    let total: Duration = calls.iter().sum();
    f64::from(clients) * calls.len() as f64 / total.as_secs_f64()
}

/// The last column says how many times as many calls the echo answers.
fn row(name: &str, clients: u16, calls: &Calls, echo: f64) {
    let mut sorted = calls.clone();
    sorted.sort_unstable();
    let at = |per_mille: usize| sorted.get(sorted.len() * per_mille / 1000).copied();
    let micros = |time: Option<Duration>| time.map_or(0.0, |time| time.as_nanos() as f64 / 1e3);
    let (rate, p50, p99) = (rate(clients, calls), micros(at(500)), micros(at(990)));
    let times = echo / rate;
    println!("{name:<34} {clients:>7} {rate:>10.0} {p50:>9.0} {p99:>9.0} {times:>8.2}");
}

/// Folders that go when the bench ends.
struct Place(PathBuf);

impl Place {
    /// Below the target directory, for `/tmp` may be no disk at all.
    fn new() -> Self {
        let name = format!("shell-bench-{}", std::process::id());
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
    }

    fn of(&self, node: u16) -> PathBuf {
        let folder = self.0.join(format!("n{node}"));
        let _ = std::fs::remove_dir_all(&folder);
        folder
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The calls of one client, one after the other until the time is up.
struct Laps {
    begin: Duration,
    end: Duration,
    last: Duration,
    calls: Calls,
}

impl Laps {
    fn new(lasts: Duration) -> Self {
        let last = SystemClock.now();
        let begin = last + lasts / 10;
        Self { begin, end: begin + lasts, last, calls: Vec::new() }
    }

    /// The last call has ended; says whether there is time for another.
    fn lap(&mut self) -> bool {
        let now = SystemClock.now();
        if self.last >= self.begin && now < self.end {
            self.calls.push(now - self.last);
        }
        self.last = now;
        now < self.end
    }
}

fn gather(runtime: &Runtime, clients: Vec<JoinHandle<Calls>>) -> Calls {
    runtime.block_on(async {
        let mut calls = Vec::new();
        for client in clients {
            calls.extend(client.await.expect("no panic"));
        }
        calls
    })
}

fn request(call: u32, op: &Op) -> Bytes {
    shell::WireRef::<TwoPhaseCommit>::Request { call, op }.encode()
}

/// A transfer between two participants.
fn transfer(dice: &mut Dice) -> Op {
    let account = |dice: &mut Dice| Key(dice.below(ACCOUNTS.into()) as u16);
    Op::transfer((0, account(dice)), (1, account(dice)), 1)
}

/// A server that sends back what it has read, and clients that send it a transfer.
fn echo(runtime: &Runtime, clients: u16, lasts: Duration) -> Calls {
    async fn read(stream: &mut TcpStream, buffer: &mut BytesMut) -> Option<Bytes> {
        loop {
            if let Some(len) = buffer.first_chunk::<4>() {
                let len = u32::from_be_bytes(*len) as usize;
                if buffer.len() >= 4 + len {
                    return Some(buffer.split_to(4 + len).freeze());
                }
            }
            if stream.read_buf(buffer).await.ok()? == 0 {
                return None;
            }
        }
    }
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
    let address = listener.local_addr().expect("an address");
    let server = runtime.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.set_nodelay(true).expect("a socket");
            tokio::spawn(async move {
                let mut buffer = BytesMut::new();
                while let Some(frame) = read(&mut stream, &mut buffer).await {
                    if stream.write_all(&frame).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    let client = |me: u16| async move {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.set_nodelay(true).expect("a socket");
        let (mut dice, mut buffer) = (Dice::new(me.into()), BytesMut::new());
        let mut laps = Laps::new(lasts);
        while laps.lap() {
            let content = request(7, &transfer(&mut dice));
            let mut frame = BytesMut::from(&(content.len() as u32).to_be_bytes()[..]);
            frame.extend_from_slice(&content);
            stream.write_all(&frame).await.expect("it listens");
            let answer = read(&mut stream, &mut buffer).await.expect("an answer");
            assert_eq!(answer.remaining(), frame.len());
        }
        laps.calls
    };
    let clients = (0..clients).map(|me| runtime.spawn(client(me))).collect();
    let calls = gather(runtime, clients);
    server.abort();
    calls
}

/// Answers every request at once.
struct Answers;

impl Node for Answers {
    type Config = ();
    type Op = Op;
    type Ret = Op;
    type Msg = u8;
    type Record = u8;
    type Timer = u8;

    fn new(_: NodeId, (): &()) -> Self {
        Self
    }

    fn on_start(&mut self, _: &[u8], _: &mut Cx<Self>) {}

    fn on_request(&mut self, request: RequestId, op: Op, cx: &mut Cx<Self>) {
        cx.reply(request, op);
    }

    fn on_message(&mut self, _: NodeId, _: u8, _: &mut Cx<Self>) {}

    fn on_timer(&mut self, _: u8, _: &mut Cx<Self>) {}
}

fn identity(node: u16) -> Identity {
    Identity { scenario: "bench".to_owned(), cluster: 1, node: NodeId(node) }
}

async fn listen(node: u16) -> (Tcp, SocketAddr) {
    let any = "127.0.0.1:0".parse().expect("an address");
    let tcp = Tcp::listen(identity(node), any, Limits::default(), 1).await.expect("a free port");
    let address = tcp.address().expect("it listens");
    (tcp, address)
}

fn client<N: Node>(me: u16, address: SocketAddr) -> Client<N, Tcp, SystemClock> {
    let me = NODES + me;
    let mut net = Tcp::client(identity(me), Limits::default(), 1);
    net.call(NodeId(0), address.to_string());
    let policy = Policy { resend: Resend::Never, ..Policy::default() };
    Client::new(NodeId(me), NODES, policy, net, SystemClock, 1)
}

fn answers(runtime: &Runtime, place: &Place, clients: u16, lasts: Duration) -> Calls {
    let (transport, address) = runtime.block_on(listen(0));
    let server: Server<Answers, _, _, _, _> = Server {
        identity: identity(0),
        config: (),
        servers: NODES,
        seed: 1,
        mutant: None,
        transport,
        disk: Files::open(place.of(0)).expect("a folder"),
        clock: SystemClock,
        observer: (),
    };
    let server = runtime.spawn(server.run(std::future::pending()));
    let one = |me: u16| async move {
        let mut client = client::<Answers>(me, address);
        let (mut dice, mut number) = (Dice::new(me.into()), 0);
        let mut laps = Laps::new(lasts);
        while laps.lap() {
            let op = transfer(&mut dice);
            number += 1;
            let outcome = client.call(number, NodeId(0), &op).await;
            assert_eq!(outcome, Outcome::Ok(op));
        }
        laps.calls
    };
    let clients = (0..clients).map(|me| runtime.spawn(one(me))).collect();
    let calls = gather(runtime, clients);
    server.abort();
    calls
}

/// A disk whose syncs cost nothing, and are worth nothing.
struct MaybeSynced(Files, bool);

impl Disk for MaybeSynced {
    fn place(&self, name: &str) -> String {
        self.0.place(name)
    }

    async fn read(&mut self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.0.read(name).await
    }

    async fn create(&mut self, name: &str) -> io::Result<()> {
        self.0.create(name).await
    }

    async fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.0.append(name, bytes).await
    }

    async fn sync(&mut self, name: &str) -> io::Result<()> {
        if self.1 { self.0.sync(name).await } else { Ok(()) }
    }

    async fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to).await
    }

    async fn sync_names(&mut self) -> io::Result<()> {
        if self.1 { self.0.sync_names().await } else { Ok(()) }
    }
}

/// Where the nodes' time goes, in nanoseconds, and how often.
#[derive(Default)]
struct Spent {
    handlers: [AtomicU64; 2],
    writes: [AtomicU64; 2],
    syncs: [AtomicU64; 2],
    frames: [AtomicU64; 2],
    snapshots: [AtomicU64; 2],
    answers: AtomicU64,
}

impl Spent {
    fn add([nanos, times]: &[AtomicU64; 2], time: Duration) {
        nanos.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
        times.fetch_add(1, Ordering::Relaxed);
    }

    fn tell(&self) {
        let calls = self.answers.load(Ordering::Relaxed).max(1) as f64;
        for (name, [nanos, times]) in [
            ("handlers", &self.handlers),
            ("log writes", &self.writes),
            ("syncs", &self.syncs),
            ("frames encoded and queued", &self.frames),
            ("snapshots", &self.snapshots),
        ] {
            let (nanos, times) = (nanos.load(Ordering::Relaxed), times.load(Ordering::Relaxed));
            let each = nanos as f64 / times.max(1) as f64 / 1e3;
            let (times, micros) = (times as f64 / calls, nanos as f64 / calls / 1e3);
            println!("    {name:<26} {times:>6.2} a call × {each:>8.2} µs = {micros:>8.1} µs");
        }
    }
}

struct Watch {
    spent: Arc<Spent>,
    began: Duration,
}

impl Observer<TwoPhaseCommit> for Watch {
    fn booted(&mut self, _: Incarnation, _: &[<TwoPhaseCommit as Node>::Record]) {
        self.began = SystemClock.now();
    }

    fn event(&mut self, _: &Event<TwoPhaseCommit>) {
        self.began = SystemClock.now();
    }

    fn handled(&mut self, _: &TwoPhaseCommit, _: &Context) {
        Spent::add(&self.spent.handlers, SystemClock.now() - self.began);
    }

    async fn effect(
        &mut self,
        edge: Edge,
        effect: &Effect<TwoPhaseCommit>,
        _: &'static Location<'static>,
    ) -> ControlFlow<()> {
        let now = SystemClock.now();
        let took = now - self.began;
        let spent = match (edge, effect.kind()) {
            (Edge::Before, _) => None,
            (Edge::During, EffectKind::Force) => Some(&self.spent.writes),
            (Edge::After, EffectKind::Persist) => Some(&self.spent.writes),
            (Edge::After, EffectKind::Force) => Some(&self.spent.syncs),
            (_, EffectKind::Snapshot) => Some(&self.spent.snapshots),
            (_, EffectKind::Send | EffectKind::Reply) => Some(&self.spent.frames),
            _ => None,
        };
        if edge == Edge::After && effect.kind() == EffectKind::Reply {
            self.spent.answers.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(spent) = spent {
            Spent::add(spent, took);
        }
        self.began = now;
        ControlFlow::Continue(())
    }
}

fn bank(
    runtime: &Runtime,
    place: &Place,
    clients: u16,
    synced: bool,
    lasts: Duration,
) -> (Calls, Arc<Spent>) {
    let spent = Arc::new(Spent::default());
    let mut nodes: Vec<_> = (0..NODES).map(|node| runtime.block_on(listen(node))).collect();
    let addresses: Vec<SocketAddr> = nodes.iter().map(|(_, address)| *address).collect();
    let mut servers = Vec::new();
    for (node, (mut transport, _)) in (0..).zip(nodes.drain(..)) {
        let _entered = runtime.enter();
        for (other, address) in (0..).zip(&addresses) {
            if other != node {
                transport.call(NodeId(other), address.to_string());
            }
        }
        let role = match node {
            0 => Role::Coordinator {
                participants: vec![NodeId(1), NodeId(2)],
                acceptors: Vec::new(),
            },
            _ => Role::Participant {
                balances: (0..ACCOUNTS).map(|key| (Key(key), 1_000_000)).collect(),
            },
        };
        let config = Config { role, compact_after: 1000, ..Config::default() };
        let server: Server<TwoPhaseCommit, _, _, _, _> = Server {
            identity: identity(node),
            config,
            servers: NODES,
            seed: 1,
            mutant: None,
            transport,
            disk: MaybeSynced(Files::open(place.of(node)).expect("a folder"), synced),
            clock: SystemClock,
            observer: Watch { spent: Arc::clone(&spent), began: Duration::ZERO },
        };
        servers.push(runtime.spawn(server.run(std::future::pending())));
    }
    let address = addresses[0];
    let one = |me: u16| async move {
        let mut client = client::<TwoPhaseCommit>(me, address);
        let (mut dice, mut number) = (Dice::new(me.into()), 0);
        let mut laps = Laps::new(lasts);
        while laps.lap() {
            number += 1;
            let outcome = client.call(number, NodeId(0), &transfer(&mut dice)).await;
            assert_ne!(outcome, Outcome::Info, "an answer");
        }
        laps.calls
    };
    let clients = (0..clients).map(|me| runtime.spawn(one(me))).collect();
    let calls = gather(runtime, clients);
    servers.iter().for_each(JoinHandle::abort);
    (calls, spent)
}
