//! What stands between the write-ahead log and the medium: a few named files.

use std::future::Future;
use std::io;

/// A folder of a node's own. The log asks for nothing finer, so a simulated disk that keeps to
/// these words puts the whole log on trial: torn writes, failed syncs and full disks included.
///
/// What a power loss may do: of a file that was written since its last [`sync`](Disk::sync), any
/// part of what was written since may be gone, zero or garbage; of names that were changed since
/// the last [`sync_names`](Disk::sync_names), any may be as before. A crash of the process alone
/// takes nothing.
///
/// Any error ends the node's life: nobody tries again in place. An error of
/// [`io::ErrorKind::StorageFull`] means a full disk.
pub trait Disk {
    /// How a file is called in errors: a path, where there is one.
    fn place(&self, name: &str) -> String;

    /// All bytes of a file; none if there is no such file.
    fn read(&mut self, name: &str) -> impl Future<Output = io::Result<Option<Vec<u8>>>>;

    /// A new and empty file. An older one of this name is gone; its storage is not taken over.
    fn create(&mut self, name: &str) -> impl Future<Output = io::Result<()>>;

    /// Appends to a file that this life has created. The bytes survive a crash of the process when
    /// the call has ended, and a power loss after the next sync.
    fn append(&mut self, name: &str, bytes: &[u8]) -> impl Future<Output = io::Result<()>>;

    /// Returns when all that was appended to a file would survive a power loss. After an error
    /// nobody knows what would, and a second sync that succeeds proves nothing.
    fn sync(&mut self, name: &str) -> impl Future<Output = io::Result<()>>;

    /// Gives a file another name, atomically; a file that had that name is gone.
    fn rename(&mut self, from: &str, to: &str) -> impl Future<Output = io::Result<()>>;

    /// Returns when every name would survive a power loss.
    fn sync_names(&mut self) -> impl Future<Output = io::Result<()>>;
}
