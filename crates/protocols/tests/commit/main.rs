//! Commit protocols and their exhibits, handler by handler: no engine, no time.

mod exhibits;
mod net;
mod paxos_commit;
mod three_phase_commit;
mod two_phase_commit;
mod walks;
mod wound_wait;
