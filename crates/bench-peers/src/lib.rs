//! What every contestant runs and how it is timed.
//!
//! **The workload.** Five nodes in a ring. Each asks its successor, which answers; when the answer
//! is there it asks again. A request and an answer carry 32 bytes. So five messages are in flight
//! from the first moment to the last, and a run with `calls` requests a node delivers
//! `10 * calls` messages. Every message takes 1 ms of virtual time, nothing is lost, and no fault
//! is switched on. A run includes making the cluster and taking it down again.
//!
//! **The figures.** Deliveries per second over long runs and runs per second of short ones, by the
//! *processor time* of the process: all contestants use one thread and never wait, and wall time
//! would charge them for whoever else is on the machine.

pub mod workload;

use cpu_time::ProcessTime;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How many nodes stand in the ring.
pub const NODES: u16 = 5;

/// The virtual time that a message takes.
pub const DELAY: Duration = Duration::from_millis(1);

/// The payload of a message of a peer, which carries bytes: a tag and 32 bytes.
pub const FRAME: usize = 33;

/// The tag of a request.
pub const REQUEST: u8 = 1;

/// The tag of an answer.
pub const ANSWER: u8 = 2;

/// How long a run is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Size {
    /// 10,000 messages: what a delivery costs.
    Long,
    /// 50 messages: what a run costs.
    Short,
}

impl Size {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Long, Self::Short];

    /// Its name on a worker's command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Long => "long",
            Self::Short => "short",
        }
    }

    /// How many requests each node makes.
    pub fn calls(self) -> u32 {
        match self {
            Self::Long => 1_000,
            Self::Short => 5,
        }
    }

    /// How many messages a run delivers.
    pub fn messages(self) -> u64 {
        2 * u64::from(NODES) * u64::from(self.calls())
    }
}

/// What one measurement saw. A worker prints it as one line of JSON.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// How many runs were made.
    pub runs: u64,
    /// How many messages they delivered in all.
    pub deliveries: u64,
    /// The processor time they took.
    pub nanos: u64,
}

impl Sample {
    /// Per second: deliveries of long runs, runs of short ones.
    pub fn rate(&self, size: Size) -> f64 {
        let count = match size {
            Size::Long => self.deliveries,
            Size::Short => self.runs,
        };
        count as f64 * 1e9 / self.nanos as f64
    }
}

/// Times runs in batches, each twice as long as the one before, until a batch takes `least`; what
/// counts is that last one. The earlier ones warm caches and the allocator up.
///
/// # Panics
///
/// When a run delivers another number of messages than the workload has.
pub fn measure(size: Size, least: Duration, mut run: impl FnMut() -> u64) -> Sample {
    let mut runs = 1;
    loop {
        let start = ProcessTime::now();
        let mut deliveries = 0;
        for _ in 0..runs {
            deliveries += run();
        }
        let took = start.elapsed();
        assert_eq!(deliveries, runs * size.messages(), "a run lost messages or made some up");
        if took >= least {
            return Sample { runs, deliveries, nanos: took.as_nanos() as u64 };
        }
        runs *= 2;
    }
}

/// The main function of a worker: `WORKER CONTESTANT long|short MILLISECONDS` measures once and
/// prints the [`Sample`].
///
/// # Errors
///
/// When the command line is not of that form, or `runner` knows no such contestant.
pub fn serve<R: FnMut() -> u64>(runner: impl Fn(&str, Size) -> Option<R>) -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [contestant, size, least] = args.as_slice() else {
        anyhow::bail!("expected CONTESTANT long|short MILLISECONDS, got {args:?}");
    };
    let size = Size::ALL.into_iter().find(|known| known.name() == size);
    let size = size.ok_or_else(|| anyhow::anyhow!("a run is long or short"))?;
    let run = runner(contestant, size);
    let run = run.ok_or_else(|| anyhow::anyhow!("no contestant {contestant:?} here"))?;
    let sample = measure(size, Duration::from_millis(least.parse()?), run);
    println!("{}", serde_json::to_string(&sample)?);
    Ok(())
}
