//! Simpler times and faults in place of a case's own.

use std::time::Duration;
use world::Kind;

pub(super) fn shorter(time: Duration) -> Vec<Duration> {
    let millis = time.as_millis() as u64;
    let mut candidates: Vec<Duration> =
        [0, millis / 10, millis / 2, millis].map(Duration::from_millis).to_vec();
    candidates.retain(|candidate| *candidate < time);
    candidates.dedup();
    candidates
}

/// Simpler faults in the place of one.
pub(super) fn simpler(kind: &Kind) -> Vec<Kind> {
    let mut found = Vec::new();
    match kind {
        Kind::PowerLoss { nodes, down } if nodes.len() > 1 => {
            for node in nodes {
                found.push(Kind::PowerLoss { nodes: vec![*node], down: *down });
            }
        }
        Kind::PowerLoss { nodes, down } => {
            found.extend(nodes.iter().map(|node| Kind::Crash { node: *node, down: *down }));
        }
        Kind::TornWrite { node, down } => {
            found.push(Kind::Crash { node: *node, down: *down });
            found.push(Kind::PowerLoss { nodes: vec![*node], down: *down });
        }
        Kind::CrashLoop { node, every, .. } => {
            found.push(Kind::Crash { node: *node, down: *every });
        }
        Kind::BitRot { node, .. } | Kind::Crash { node, .. } => {
            found.push(Kind::Restart { node: *node });
        }
        Kind::FailedSync { node, down, .. } => {
            found.push(Kind::Crash { node: *node, down: *down });
        }
        Kind::Cut { nodes, direction, lasts } if nodes.len() > 1 => {
            for at in 0..nodes.len() {
                let mut nodes = nodes.clone();
                nodes.remove(at);
                found.push(Kind::Cut { nodes, direction: *direction, lasts: *lasts });
            }
        }
        Kind::Reorder { by } => found.push(Kind::Delay { by: *by }),
        Kind::Corrupt => found.push(Kind::Loss),
        _ => {}
    }
    found.extend(rounded(kind));
    found
}

/// The same fault with round times.
fn rounded(kind: &Kind) -> Vec<Kind> {
    let mut found = Vec::new();
    for unit in [1_000, 100, 10, 1] {
        let mut kind = kind.clone();
        let changed = match &mut kind {
            Kind::Duplicate { takes: time }
            | Kind::Delay { by: time }
            | Kind::Reorder { by: time }
            | Kind::Cut { lasts: time, .. }
            | Kind::SlowLink { lasts: time, .. }
            | Kind::Crash { down: time, .. }
            | Kind::Pause { lasts: time, .. }
            | Kind::PowerLoss { down: time, .. }
            | Kind::TornWrite { down: time, .. }
            | Kind::Retry { after: time }
            | Kind::DuplicateRequest { after: time }
            | Kind::ClientCrash { after: time } => {
                let round = Duration::from_millis(time.as_millis() as u64 / unit * unit);
                let changed = !round.is_zero() && round != *time;
                *time = round;
                changed
            }
            _ => false,
        };
        if changed {
            found.push(kind);
        }
    }
    found
}
