//! A user's own async service on trial.
//!
//! A test's body starts the service's nodes on a [`Trial`], lets clients work, heals, and says what
//! must hold. It runs once for each case: on madsim, in a process of its own, so that no static, no
//! hasher and no `select!` of one run is felt by the next.
//!
//! - [`trial`]: what the body sees
//! - [`scenario`]: what it declares, in the shape that campaigns, the shrinker and repros know
//! - [`rebuild`]: the test, built again under `--cfg madsim`; `host`: runs of cases, from there
//! - `sim`: one run

pub mod data;
#[cfg(madsim)]
mod host;
pub mod rebuild;
pub mod scenario;
#[cfg(madsim)]
mod sim;
#[cfg(not(madsim))]
mod stage;
pub mod trial;

#[cfg(madsim)]
pub use host::{Limits, Service, answer, campaign};
#[cfg(madsim)]
use sim as stage;

pub use trial::{Client, Ending, Failure, Judgement, Machine, Trial};

use world::{FaultKind, Faults};

/// The engine's name in repros.
pub const NAME: &str = "service";

/// The kinds of faults that a service can be tried with.
pub const KINDS: Faults = Faults::of(&[
    FaultKind::Delay,
    FaultKind::Cut,
    FaultKind::Crash,
    FaultKind::Restart,
    FaultKind::CrashLoop,
    FaultKind::Pause,
    FaultKind::ClientCrash,
]);

/// What no trial of a service exercises, in words: what madsim's machines cannot do.
pub const NOT_EXERCISED: [&str; 4] = [
    "disk: power loss, torn and failed writes (files are this machine's and survive every crash)",
    "clocks: skew, drift, jumps (all nodes read one clock)",
    "half-open connections: a dead peer is seen at once, a connect never hangs",
    "stale delivery: nothing arrives twice, damaged, or in a later life of its receiver",
];

/// The kinds that a list names: `crash,cut,pause`. An empty one names every kind that there is.
///
/// # Errors
/// Names the kind that there is not, or that a service cannot have, and those that it can.
pub fn kinds(list: &str) -> Result<Faults, String> {
    let mut kinds = Faults::NONE;
    let names: Vec<&str> = KINDS.iter().map(FaultKind::name).collect();
    let there = names.join(", ");
    for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let kind: FaultKind = name
            .parse()
            .map_err(|_| format!("no fault kind {name:?}: a service can have {there}"))?;
        if !KINDS.has(kind) {
            return Err(format!(
                "fault kind {name:?} cannot be had for a service, whose network, disk and clocks \
                 are madsim's: it can have {there}"
            ));
        }
        kinds.add(kind);
    }
    Ok(if kinds.is_empty() { KINDS } else { kinds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_or_refused() {
        let two = Faults::of(&[FaultKind::Crash, FaultKind::Pause]);
        assert_eq!(kinds("crash, pause"), Ok(two));
        assert_eq!(kinds(""), Ok(KINDS));
        let refused = kinds("crash,torn_write").expect_err("madsim has no disk");
        assert!(refused.contains("\"torn_write\" cannot be had"), "{refused}");
        assert!(refused.ends_with("restart, crash_loop, pause, client_crash"), "{refused}");
        assert!(kinds("crsh").expect_err("no such kind").contains("no fault kind \"crsh\""));
    }
}
