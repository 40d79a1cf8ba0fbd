//! A small key-value server in plain tokio: numbers under names, kept in a log file.
//!
//! A line is a request: `put NAME NUMBER` is answered by `done`, `get NAME` by the number, or by
//! `none`. The log holds every put; a server that starts reads it again.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// When a put is written to the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Writes {
    /// Before it is answered.
    First,
    /// With others, some time later: fast, and wrong.
    Later,
}

/// How long puts wait for each other.
const TOGETHER: Duration = Duration::from_millis(50);

/// The numbers, and the log that they come from.
pub struct Store {
    numbers: BTreeMap<String, u32>,
    log: File,
    /// Lines that are not in the log yet.
    waiting: String,
}

impl Store {
    /// Reads the log of a folder.
    ///
    /// # Errors
    /// If it cannot be read, or written to.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join("log");
        let log = OpenOptions::new().create(true).append(true).open(&path)?;
        let text = std::fs::read_to_string(&path)?;
        let mut numbers = BTreeMap::new();
        // What stands behind the last line end was being written when the server ended.
        for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            if let Some((name, Ok(number))) = line.split_once(' ').map(|(n, v)| (n, v.parse())) {
                numbers.insert(name.to_owned(), number);
            }
        }
        Ok(Self { numbers, log, waiting: String::new() })
    }

    /// The number under a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// Keeps a number.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn put(&mut self, name: &str, number: u32, writes: Writes) -> io::Result<()> {
        self.waiting.push_str(&format!("{name} {number}\n"));
        if writes == Writes::First {
            self.write()?;
        }
        self.numbers.insert(name.to_owned(), number);
        Ok(())
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&mut self) -> io::Result<()> {
        if !self.waiting.is_empty() {
            self.log.write_all(self.waiting.as_bytes())?;
            self.log.sync_data()?;
            self.waiting.clear();
        }
        Ok(())
    }
}

/// Serves the store of a folder, until something fails.
///
/// # Errors
/// If the folder or the address cannot be used.
pub async fn serve(address: SocketAddr, folder: &Path, writes: Writes) -> io::Result<()> {
    let store = Arc::new(Mutex::new(Store::open(folder)?));
    if writes == Writes::Later {
        let store = store.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(TOGETHER).await;
                if store.lock().unwrap_or_else(PoisonError::into_inner).write().is_err() {
                    return;
                }
            }
        });
    }
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let store = store.clone();
        tokio::spawn(async move {
            // A connection that breaks concerns nobody else.
            let _broken = answer(stream, &store, writes).await;
        });
    }
}

async fn answer(stream: TcpStream, store: &Mutex<Store>, writes: Writes) -> io::Result<()> {
    let (input, mut output) = tokio::io::split(stream);
    let mut lines = BufReader::new(input).lines();
    while let Some(line) = lines.next_line().await? {
        let words: Vec<&str> = line.split_whitespace().collect();
        let said = {
            let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
            match (words.as_slice(), words.last().map(|word| word.parse())) {
                (["put", name, _], Some(Ok(number))) => {
                    store.put(name, number, writes)?;
                    "done".to_owned()
                }
                (["get", name], _) => {
                    store.get(name).map_or("none".to_owned(), |number| number.to_string())
                }
                _ => "what?".to_owned(),
            }
        };
        output.write_all(format!("{said}\n").as_bytes()).await?;
        output.flush().await?;
    }
    Ok(())
}

/// Asks a server one thing.
///
/// # Errors
/// If it does not answer.
pub async fn ask(address: SocketAddr, request: &str) -> io::Result<String> {
    let stream = TcpStream::connect(address).await?;
    let (input, mut output) = tokio::io::split(stream);
    output.write_all(format!("{request}\n").as_bytes()).await?;
    output.flush().await?;
    let answer = BufReader::new(input).lines().next_line().await?;
    answer.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
