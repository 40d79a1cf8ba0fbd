//! `tribunal serve`: nodes of a scenario as processes on this machine, over TCP and files.

use crate::exit::{self, Failure};
use crate::results::say;
use clap::Args;
use engine_real::{Deployment, Error, Process, StartError, Terms};
use explorer::{Narrow, Scenario, case_of_seed};
use node::NodeId;
use scenarios::Visitor;
use std::ffi::OsString;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;
use world::{Faults, Seed};

/// Run a scenario's nodes as processes; without --node a whole cluster on this machine
#[derive(Args)]
#[command(after_help = "Examples:\n  tribunal serve bank --data /var/tmp/bank\n  \
    tribunal serve bank --node 0 --config /var/tmp/bank/cluster.toml")]
pub(crate) struct Arguments {
    /// The scenario, by name
    scenario: String,
    /// Run this one node, in this process
    #[arg(long, value_name = "I", requires = "config", conflicts_with = "data")]
    node: Option<u16>,
    /// The cluster's file: nodes, addresses, data
    #[arg(long, value_name = "FILE", requires = "node")]
    config: Option<PathBuf>,
    /// Where a cluster keeps its data [default: a new folder that goes with it]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Choose another cluster of the scenario, such as 0x29
    #[arg(long, value_name = "S", conflicts_with = "node")]
    seed: Option<Seed>,
    /// A new file that tells an engine what the node does
    #[arg(long, value_name = "FILE", requires = "node", hide = true)]
    journal: Option<PathBuf>,
    /// End when standard input does
    #[arg(long, requires = "node", hide = true)]
    leashed: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::Deployment(engine_real::FileError::Text { .. }) | Error::Scenario { .. } => {
                exit::BAD_INPUT
            }
            Error::NoNode { .. } => exit::USAGE,
            Error::Server(shell::Error::Log(error)) => match error {
                shell::log::Error::Full { .. } | shell::log::Error::Io { .. } => exit::FILE,
                _ => exit::BAD_INPUT,
            },
            Error::Server(shell::Error::Misuse(_)) => exit::OUR_FAULT,
            _ => exit::FILE,
        };
        Self { code, message: error.to_string() }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::file(error.to_string())
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let mut serving = Serving { arguments, served: None, names: Vec::new() };
    scenarios::each(&mut serving);
    let Serving { served, names, .. } = serving;
    served.unwrap_or_else(|| {
        let (name, all) = (&arguments.scenario, names.join(", "));
        Err(Failure::usage(format!("no scenario {name:?} to serve: there are {all}")))
    })
}

/// Looks for a scenario and serves it.
struct Serving<'a> {
    arguments: &'a Arguments,
    served: Option<Result<u8, Failure>>,
    names: Vec<String>,
}

impl Visitor for Serving<'_> {
    fn visit<S: Scenario>(&mut self, scenario: S) {
        let name = scenario.name();
        if name == self.arguments.scenario {
            self.served = Some(match (self.arguments.node, &self.arguments.config) {
                (Some(node), Some(config)) => {
                    serve_node(&scenario, NodeId(node), config, self.arguments)
                }
                _ => serve_cluster(&scenario, self.arguments),
            });
        }
        self.names.push(name);
    }
}

fn serve_node<S: Scenario>(
    scenario: &S,
    node: NodeId,
    config: &Path,
    arguments: &Arguments,
) -> Result<u8, Failure> {
    let deployment = engine_real::deployment(scenario, config)?;
    let terms = Terms { journal: arguments.journal.as_deref(), leashed: arguments.leashed };
    let data = deployment.folder(node);
    // The address is the last word: whoever has started this process reads it.
    let ready = |address: SocketAddr| {
        let (name, data) = (&arguments.scenario, data.display());
        say(format!("{node} of {name}, data in {data}, listens on {address}"))
            .map_err(|failure| io::Error::other(failure.message))
    };
    engine_real::serve::<S::Node>(&deployment, node, terms, ready)?;
    Ok(exit::HOLDS)
}

/// The file that says all of a cluster.
const FILE: &str = "cluster.toml";

/// How often the children are looked at.
const LOOK: Duration = Duration::from_millis(100);

fn serve_cluster<S: Scenario>(scenario: &S, arguments: &Arguments) -> Result<u8, Failure> {
    let (interrupt, interrupted) = mpsc::channel();
    ctrlc::set_handler(move || interrupt.send(()).unwrap_or_default())
        .map_err(|error| Failure::ours(format!("cannot wait for Ctrl-C: {error}")))?;
    let data = Data::open(arguments.data.as_deref())?;
    let file = data.folder.join(FILE);
    if file.exists() {
        // The cluster whose data this is, at the addresses that it had.
        let _ = engine_real::deployment(scenario, &file)?;
    } else {
        invent(scenario, arguments.seed.unwrap_or(Seed(1)), &data.folder)?.write(&file)?;
    }
    let nodes = engine_real::deployment(scenario, &file)?.nodes;
    let program = std::env::current_exe()
        .map_err(|error| Failure::ours(format!("cannot find this program: {error}")))?;
    let mut processes = Vec::new();
    for node in (0..nodes.len() as u16).map(NodeId) {
        let words: [OsString; 6] = [
            (&arguments.scenario).into(),
            "--node".into(),
            node.0.to_string().into(),
            "--config".into(),
            (&file).into(),
            "--leashed".into(),
        ];
        let errors = data.folder.join(format!("{node}.errors"));
        let mut process = Process::start(&program, words, errors)?;
        let address = process.ready(node)?;
        let role = scenario.role(&nodes, node);
        let folder = data.folder.join(node.to_string());
        let pid = process.id();
        say(format!("{role:<16} {address:<22} process {pid:<8} {}", folder.display()))?;
        processes.push((role, process));
    }
    say(format!("{} is up; Ctrl-C stops it", arguments.scenario))?;
    while let Err(mpsc::RecvTimeoutError::Timeout) = interrupted.recv_timeout(LOOK) {
        for (role, process) in &mut processes {
            if let Some(status) = process.ended() {
                let said = process.last_words();
                return Err(Failure::file(format!("{role} has ended ({status}): {said}")));
            }
        }
    }
    for (_, process) in &mut processes {
        process.terminate();
    }
    for (role, mut process) in processes {
        let status = process.wait();
        say(format!("{role:<16} {status}"))?;
    }
    Ok(exit::HOLDS)
}

/// A cluster as the scenario would put on trial, on ports that are free.
fn invent<S: Scenario>(
    scenario: &S,
    seed: Seed,
    data: &Path,
) -> Result<Deployment<explorer::ConfigOf<S>>, Failure> {
    let calm = Narrow { faults: Some(Faults::NONE), ..Narrow::default() };
    let nodes = case_of_seed(scenario, seed, &calm).nodes;
    let no_port = |error| Failure::file(format!("no free port on 127.0.0.1: {error}"));
    // All are held until all are known, so that no two are the same.
    let held: Vec<TcpListener> = nodes
        .iter()
        .map(|_| TcpListener::bind(("127.0.0.1", 0)))
        .collect::<Result<_, _>>()
        .map_err(no_port)?;
    let addresses = held.iter().map(TcpListener::local_addr).collect::<Result<_, _>>();
    Ok(Deployment {
        scenario: scenario.name(),
        cluster: seed,
        seed,
        mutant: None,
        start: 0,
        data: data.to_owned(),
        addresses: addresses.map_err(no_port)?,
        nodes,
    })
}

/// A cluster's folder, which goes with it unless somebody has named it.
struct Data {
    folder: PathBuf,
    passing: bool,
}

impl Data {
    fn open(named: Option<&Path>) -> Result<Self, Failure> {
        let passing = named.is_none();
        let unnamed = || std::env::temp_dir().join(format!("tribunal-{}", std::process::id()));
        let folder = named.map_or_else(unnamed, Path::to_owned);
        let made = std::fs::create_dir_all(&folder).and_then(|()| std::path::absolute(&folder));
        let folder =
            made.map_err(|error| Failure::file(format!("{}: {error}", folder.display())))?;
        Ok(Self { folder, passing })
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        if self.passing {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

impl From<engine_real::FileError> for Failure {
    fn from(error: engine_real::FileError) -> Self {
        Error::from(error).into()
    }
}
