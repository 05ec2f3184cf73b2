//! The wire between a client and a stand-in: it adds a delay to every answer, ends TLS, counts what passes, and keeps the
//! requests with the time of each.

use std::io::{Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::message::{Request, Response};
use crate::relay::{self, Remote};

/// What passed since the last look.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub(super) connections: usize,
    /// Bytes of the payload of TCP in both directions: TLS records and handshakes included.
    pub(super) bytes: u64,
    /// In the order of their arrival.
    pub(super) exchanges: Vec<Exchange>,
}

/// One request and its answer.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    /// When the whole request was here.
    pub(super) asked: Instant,
    /// When its answer began to leave.
    pub(super) answered: Instant,
    pub(super) request: Request,
    pub(super) response: Response,
}

/// One listening end.
pub(super) struct Wire {
    address: SocketAddr,
    secure: bool,
    passed: Arc<Passed>,
}

#[derive(Debug, Default)]
struct Passed {
    bytes: AtomicU64,
    traffic: Mutex<Traffic>,
}

impl Passed {
    fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wire {
    /// Listens on a port of its own until the process ends.
    pub(super) fn open(remote: SocketAddr, delay: Duration, tls: Option<Arc<ServerConfig>>) -> Result<Wire> {
        let passed = Arc::new(Passed::default());
        let (secure, passing) = (tls.is_some(), Arc::clone(&passed));
        let address = relay::listen(move |client| {
            passing.traffic().connections += 1;
            // A client that has what it wanted hangs up.
            let _ = accept(client, remote, delay, tls.clone(), &passing);
        })?;
        Ok(Wire {
            address,
            secure,
            passed,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn url(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// What passed since the last call.
    pub(super) fn passed(&self) -> Traffic {
        let bytes = self.passed.bytes.swap(0, Ordering::Relaxed);
        Traffic {
            bytes,
            ..std::mem::take(&mut *self.passed.traffic())
        }
    }
}

fn accept(
    stream: TcpStream,
    remote: SocketAddr,
    delay: Duration,
    tls: Option<Arc<ServerConfig>>,
    passed: &Arc<Passed>,
) -> Result<()> {
    let counted = Counted {
        stream,
        passed: Arc::clone(passed),
    };
    match tls {
        None => serve(counted, remote, delay, passed),
        Some(tls) => {
            let connection = ServerConnection::new(tls).map_err(std::io::Error::other)?;
            serve(StreamOwned::new(connection, counted), remote, delay, passed)
        }
    }
}

fn serve(mut client: impl Read + Write, remote: SocketAddr, delay: Duration, passed: &Passed) -> Result<()> {
    let mut server = Remote::new(remote);
    while let Some(request) = Request::read(&mut client)? {
        let asked = Instant::now();
        let response = server.exchange(&request.bytes)?;
        thread::sleep(delay);
        let bytes = response.bytes.clone();
        // Noted before it leaves: whatever it causes comes later.
        passed.traffic().exchanges.push(Exchange {
            asked,
            answered: Instant::now(),
            request,
            response,
        });
        client.write_all(&bytes)?;
        client.flush()?;
    }
    Ok(())
}

/// Counts the bytes of a connection.
struct Counted {
    stream: TcpStream,
    passed: Arc<Passed>,
}

impl Counted {
    fn count(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.passed.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let count = self.stream.read(buffer)?;
        self.count(count);
        Ok(count)
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let count = self.stream.write(bytes)?;
        self.count(count);
        Ok(count)
    }

    fn flush(&mut self) -> Result<()> {
        self.stream.flush()
    }
}
