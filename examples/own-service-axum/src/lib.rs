//! Tickets over HTTP, with axum: `POST /tickets` is answered by a number that nobody else gets.
//!
//! `axum::serve` needs a real runtime, so each accepted stream is served by hyper: three lines, on
//! tokio and on the simulator alike.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use http_body_util::BodyExt as _;
use hyper::Request;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// When a number is written down as given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Writes {
    /// Before it is given.
    First,
    /// With others, some time later: fast, and wrong.
    Later,
}

/// How long numbers wait for each other.
const TOGETHER: Duration = Duration::from_millis(50);

/// Numbers that were given, a line each in a file.
pub struct Tickets {
    given: u32,
    written: u32,
    file: File,
    writes: Writes,
}

impl Tickets {
    /// Reads the file of a folder.
    ///
    /// # Errors
    /// If it cannot be read, or written to.
    pub fn open(folder: &Path, writes: Writes) -> io::Result<Self> {
        let path = folder.join("tickets");
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let given = std::fs::read_to_string(&path)?.lines().count() as u32;
        Ok(Self { given, written: given, file, writes })
    }

    fn next(&mut self) -> io::Result<u32> {
        self.given += 1;
        if self.writes == Writes::First {
            self.write()?;
        }
        Ok(self.given)
    }

    fn write(&mut self) -> io::Result<()> {
        let new = self.written..self.given;
        let lines: String = new.map(|number| format!("{number}\n")).collect();
        if !lines.is_empty() {
            self.file.write_all(lines.as_bytes())?;
            self.file.sync_data()?;
            self.written = self.given;
        }
        Ok(())
    }
}

type Shared = Arc<Mutex<Tickets>>;

async fn next(State(tickets): State<Shared>) -> Result<String, StatusCode> {
    let given = tickets.lock().unwrap_or_else(PoisonError::into_inner).next();
    given.map(|number| number.to_string()).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

/// Serves the tickets of a folder, until something fails.
///
/// # Errors
/// If the folder or the address cannot be used.
pub async fn serve(address: SocketAddr, folder: &Path, writes: Writes) -> io::Result<()> {
    let tickets: Shared = Arc::new(Mutex::new(Tickets::open(folder, writes)?));
    let later = tickets.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(TOGETHER).await;
            if later.lock().unwrap_or_else(PoisonError::into_inner).write().is_err() {
                return;
            }
        }
    });
    let app = Router::new().route("/tickets", post(next)).with_state(tickets);
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(app.clone());
        let mut http = hyper::server::conn::http1::Builder::new();
        // hyper keeps the date of a thread, whatever the clock of a simulation says.
        let served = http.auto_date_header(false).serve_connection(TokioIo::new(stream), service);
        tokio::spawn(served);
    }
}

/// Asks for a number.
///
/// # Errors
/// If there is no answer, or none that is a number.
pub async fn ask(address: SocketAddr) -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    let stream = TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    tokio::spawn(connection);
    let request = Request::post("/tickets").header("host", "tickets").body(String::new())?;
    let body = sender.send_request(request).await?.into_body().collect().await?.to_bytes();
    Ok(std::str::from_utf8(&body)?.parse()?)
}
