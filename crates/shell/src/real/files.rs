//! A folder of real files, held by one process at a time.

use crate::disk::Disk;
use rustix::fs::{FlockOperation, flock};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file whose lock says who holds the folder.
const LOCK: &str = "lock";

/// A node's folder.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
    /// The lock goes when this file is closed, also by the end of the process.
    _lock: File,
    open: BTreeMap<String, Arc<File>>,
}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// It cannot be made, opened or locked.
    #[error("cannot {doing} {}: {source}", .place.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file or folder.
        place: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Files {
    /// Opens a folder, or makes it, and locks it until this value is dropped.
    ///
    /// # Errors
    ///
    /// When another process has it, or it cannot be made, opened or locked.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, OpenError> {
        let folder = folder.into();
        let io = |doing, place: &Path| {
            let place = place.to_owned();
            move |source| OpenError::Io { doing, place, source }
        };
        if !folder.is_dir() {
            fs::create_dir_all(&folder).map_err(io("make", &folder))?;
            // Its own name must survive a power loss as well.
            let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
            let above = above.unwrap_or(Path::new("."));
            sync_folder(above).map_err(io("sync", above))?;
        }
        let path = folder.join(LOCK);
        let options = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let lock = options.map_err(io("open", &path))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { folder, _lock: lock, open: BTreeMap::new() }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::InUse(folder)),
            Err(error) => Err(io("lock", &path)(error.into())),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn file(&self, name: &str) -> io::Result<&Arc<File>> {
        self.open.get(name).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

/// Writes go to the system at once, so that they survive the process; syncs run on a thread of
/// their own, so that the connections of the process go on meanwhile.
impl Disk for Files {
    fn place(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    async fn read(&mut self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn create(&mut self, name: &str) -> io::Result<()> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().append(true).create_new(true).open(path)?;
        self.open.insert(name.to_owned(), Arc::new(file));
        Ok(())
    }

    async fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.file(name)?.as_ref().write_all(bytes)
    }

    async fn sync(&mut self, name: &str) -> io::Result<()> {
        let file = Arc::clone(self.file(name)?);
        blocking(move || file.sync_data()).await
    }

    async fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))?;
        if let Some(file) = self.open.remove(from) {
            self.open.insert(to.to_owned(), file);
        }
        Ok(())
    }

    async fn sync_names(&mut self) -> io::Result<()> {
        let folder = self.folder.clone();
        blocking(move || sync_folder(&folder)).await
    }
}

async fn blocking(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    tokio::task::spawn_blocking(work).await?
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
