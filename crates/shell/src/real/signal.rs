//! Being asked to stop.

use std::io;
use tokio::signal::unix::{SignalKind, signal};

/// Answers when the process is sent SIGTERM, or SIGINT from a terminal. From the call on these
/// signals no longer end the process by themselves.
///
/// # Errors
///
/// When the handlers cannot be set.
pub fn terminated() -> io::Result<impl Future<Output = ()>> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            biased;
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}
