//! What the shell costs on the loopback interface: bank transfers over two-phase commit, with
//! syncs and without, and a node that only answers, beside a plain tokio echo of the same frames;
//! and where the time of a transfer goes.
//!
//! ```console
//! $ cargo bench -p shell
//! ```
//!
//! Everything runs in one process: a runtime with two threads, machines as tasks, clients that ask
//! again as soon as they are answered.

#[cfg(not(madsim))]
#[path = "loopback/bench.rs"]
mod bench;

fn main() {
    #[cfg(not(madsim))]
    bench::main();
}
