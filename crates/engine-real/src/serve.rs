//! One node of a scenario as a process: TCP, files, the machine's clocks.

use crate::clock::RunClock;
use crate::deployment::{DeploymentOf, FileError};
use crate::journal::Journal;
use node::{Node, NodeId};
use shell::tcp::{BindError, Limits, Tcp};
use shell::{End, Files, OpenError, Server, terminated};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use tokio::io::AsyncReadExt as _;

/// How a process serves its node.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms<'a> {
    /// A file of its own for the journal of this life, if an engine wants one.
    pub journal: Option<&'a Path>,
    /// It ends when its standard input does: with whoever has started it, in whatever way that
    /// one ends.
    pub leashed: bool,
}

/// Why a node is not served, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its deployment.
    #[error(transparent)]
    Deployment(#[from] FileError),
    /// A number that is none of the deployment's.
    #[error("no node {node}: the deployment has n0 to n{}", .nodes.saturating_sub(1))]
    NoNode {
        /// The number.
        node: NodeId,
        /// How many there are.
        nodes: usize,
    },
    /// The deployment is of another scenario.
    #[error("the deployment is of scenario {found:?}, expected {expected:?}")]
    Scenario {
        /// The deployment's.
        found: String,
        /// That of the command.
        expected: String,
    },
    /// Its port.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Its folder.
    #[error(transparent)]
    Folder(#[from] OpenError),
    /// Its log, or the protocol.
    #[error(transparent)]
    Server(#[from] shell::Error),
    /// The system.
    #[error("cannot {doing}: {source}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The engine's journal.
    #[error("the journal cannot be written any more")]
    Journal,
}

/// Serves a node until the process is sent SIGTERM or SIGINT, and lets it stop gracefully. Once it
/// can be called, `ready` is told where.
///
/// # Errors
/// When it cannot start, or cannot go on: a port or a folder in use, the log of another node, a
/// disk that fails.
pub fn serve<N: Node>(
    deployment: &DeploymentOf<N>,
    node: NodeId,
    terms: Terms<'_>,
    ready: impl FnOnce(SocketAddr) -> io::Result<()>,
) -> Result<(), Error> {
    let system = |doing| move |source| Error::System { doing, source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(system("start a runtime"))?;
    let ended = runtime.block_on(async {
        let Some(config) = deployment.nodes.get(node.index()) else {
            return Err(Error::NoNode { node, nodes: deployment.nodes.len() });
        };
        let stop = terminated().map_err(system("wait for signals"))?;
        let identity = deployment.identity(node);
        let disk = Files::open(deployment.folder(node))?;
        let clock = RunClock::since(deployment.start);
        let own = deployment.addresses[node.index()];
        let seed = deployment.seed.0;
        let mut tcp = Tcp::listen(identity.clone(), own, Limits::default(), seed).await?;
        for (peer, address) in (0..).map(NodeId).zip(&deployment.addresses) {
            if peer != node {
                tcp.call(peer, address.to_string());
            }
        }
        let journal = Journal::create(terms.journal, clock);
        let journal = journal.map_err(system("create the journal"))?;
        ready(tcp.address().unwrap_or(own)).map_err(system("say where the node is"))?;
        let server: Server<N, _, _, _, _> = Server {
            identity,
            config: config.clone(),
            servers: deployment.nodes.len() as u16,
            seed,
            mutant: deployment.mutant.clone(),
            transport: tcp,
            disk,
            clock,
            observer: journal,
        };
        let released = async {
            match terms.leashed {
                true => let_go().await,
                false => std::future::pending().await,
            }
        };
        let stop = async {
            tokio::select! {
                () = stop => {}
                () = released => {}
            }
        };
        match server.run(stop).await? {
            End::Stopped => Ok(()),
            End::Broken => Err(Error::Journal),
        }
    });
    // A thread may still wait for standard input, and for ever.
    runtime.shutdown_background();
    ended
}

/// Answers when nobody holds the other end of standard input any more.
async fn let_go() {
    let mut input = tokio::io::stdin();
    let mut bytes = [0; 64];
    while input.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
}
