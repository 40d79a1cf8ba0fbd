//! A disk in memory that does to what was not synced whatever a power loss may do.
#![allow(dead_code)]

use node::Dice;
use shell::Disk;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// What a power loss treats as one, in bytes.
const SECTOR: usize = 16;

/// What becomes of a sync that fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// What was to be synced is gone.
    Lost,
    /// It is there, and safe.
    Kept,
    /// It is there to read, counts as clean, and is gone with the next power loss: no later sync
    /// of this file writes it.
    Vanishing,
}

#[derive(Clone, Default)]
struct Inode {
    bytes: Vec<u8>,
    /// So many bytes are safe.
    synced: usize,
    /// Nothing from here on will be safe, whatever later syncs say.
    vanishing: Option<usize>,
}

type Names = BTreeMap<String, usize>;

#[derive(Default)]
struct State {
    inodes: Vec<Inode>,
    names: Names,
    /// How the names were, oldest first, since they were last synced.
    older: Vec<Names>,
    failing: Option<Failure>,
    /// Room for so many more bytes.
    room: Option<usize>,
    /// So many more calls, and then the process is dead.
    calls: Option<u32>,
}

/// A disk that outlives the process: clones are the same disk.
#[derive(Clone, Default)]
pub struct Memory(Rc<RefCell<State>>);

impl Memory {
    pub fn new() -> Self {
        Self::default()
    }

    /// The bytes of a file, as a process reads them.
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.0.borrow();
        state.names.get(name).map(|inode| state.inodes[*inode].bytes.clone())
    }

    /// Lets a file hold these bytes, all of them safe.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let mut state = self.0.borrow_mut();
        let inode = Inode { bytes: bytes.to_vec(), synced: bytes.len(), vanishing: None };
        state.inodes.push(inode);
        let last = state.inodes.len() - 1;
        state.names.insert(name.to_owned(), last);
        state.older.clear();
    }

    /// The next sync of a file fails.
    pub fn fail_sync(&self, failure: Failure) {
        self.0.borrow_mut().failing = Some(failure);
    }

    /// There is room for so many more bytes; none: without end.
    pub fn leave_room(&self, room: Option<usize>) {
        self.0.borrow_mut().room = room;
    }

    /// The process dies after so many more calls; every later one fails.
    pub fn die_after(&self, calls: Option<u32>) {
        self.0.borrow_mut().calls = calls;
    }

    /// Power is gone: what was not synced may be there, in part, or not at all.
    pub fn lose_power(&self, dice: &mut Dice) {
        let state = &mut *self.0.borrow_mut();
        state.older.push(state.names.clone());
        let kept = dice.below(state.older.len() as u64) as usize;
        state.names = state.older.swap_remove(kept);
        state.older.clear();
        for inode in &mut state.inodes {
            let safe = inode.vanishing.map_or(inode.synced, |from| from.min(inode.synced));
            let unsafe_bytes = (inode.bytes.len() - safe) as u64;
            inode.bytes.truncate(safe + dice.below(unsafe_bytes + 1) as usize);
            let harm = dice.below(3);
            for sector in inode.bytes[safe..].chunks_mut(SECTOR) {
                match (harm, dice.below(3)) {
                    (0, _) | (_, 0) => {}
                    (1, _) => sector.fill(0),
                    _ => sector.iter_mut().for_each(|byte| *byte = dice.bits() as u8),
                }
            }
            (inode.synced, inode.vanishing) = (inode.bytes.len(), None);
        }
    }

    fn call(&self) -> io::Result<std::cell::RefMut<'_, State>> {
        let mut state = self.0.borrow_mut();
        if let Some(calls) = &mut state.calls {
            if *calls == 0 {
                return Err(io::Error::other("the process is dead"));
            }
            *calls -= 1;
        }
        Ok(state)
    }
}

impl State {
    fn inode(&mut self, name: &str) -> io::Result<&mut Inode> {
        let at = *self.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(&mut self.inodes[at])
    }

    fn rename_all(&mut self, change: impl FnOnce(&mut Names)) {
        self.older.push(self.names.clone());
        change(&mut self.names);
    }
}

impl Disk for Memory {
    fn place(&self, name: &str) -> String {
        format!("memory/{name}")
    }

    async fn read(&mut self, name: &str) -> io::Result<Option<Vec<u8>>> {
        drop(self.call()?);
        Ok(self.bytes(name))
    }

    async fn create(&mut self, name: &str) -> io::Result<()> {
        let mut state = self.call()?;
        state.inodes.push(Inode::default());
        let inode = state.inodes.len() - 1;
        state.rename_all(|names| {
            names.insert(name.to_owned(), inode);
        });
        Ok(())
    }

    async fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.call()?;
        let fits = state.room.map_or(bytes.len(), |room| room.min(bytes.len()));
        state.inode(name)?.bytes.extend_from_slice(&bytes[..fits]);
        if let Some(room) = &mut state.room {
            *room -= fits;
        }
        if fits < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    async fn sync(&mut self, name: &str) -> io::Result<()> {
        let mut state = self.call()?;
        let failing = state.failing.take();
        let inode = state.inode(name)?;
        match failing {
            None | Some(Failure::Kept) => inode.synced = inode.bytes.len(),
            Some(Failure::Lost) => inode.bytes.truncate(inode.synced),
            Some(Failure::Vanishing) => {
                inode.vanishing.get_or_insert(inode.synced);
                inode.synced = inode.bytes.len();
            }
        }
        failing.map_or(Ok(()), |_| Err(io::Error::other("EIO")))
    }

    async fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.call()?;
        state.inode(from)?;
        state.rename_all(|names| {
            let inode = names.remove(from).expect("it was found above");
            names.insert(to.to_owned(), inode);
        });
        Ok(())
    }

    async fn sync_names(&mut self) -> io::Result<()> {
        self.call()?.older.clear();
        Ok(())
    }
}

/// The result of work that never waits.
pub fn now<T>(work: impl Future<Output = T>) -> T {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("it waits"),
    }
}
