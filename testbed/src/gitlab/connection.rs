//! Connections: plain or TLS, without Nagle's delay, and with a switch that ends one without a response.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use super::faults::Hangup;

/// Accepts connections and numbers them.
pub(super) struct Door {
    listener: TcpListener,
    accepted: AtomicU64,
}

impl Door {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self {
            listener,
            accepted: AtomicU64::new(0),
        }
    }
}

impl Listener for Door {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    // Small answers to a client that waits for them: Nagle's delay would only slow the tests.
                    let _ = stream.set_nodelay(true);
                    let number = self.accepted.fetch_add(1, Ordering::Relaxed) + 1;
                    return (
                        Connection {
                            stream,
                            peer: Peer::new(number),
                        },
                        address,
                    );
                }
                // Out of descriptors, or the client has gone already.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// What a handler knows of the connection it answers on.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) number: u64,
    switch: Arc<AtomicU8>,
}

const OPEN: u8 = 0;
const RESET: u8 = 1;
const CLOSE: u8 = 2;

impl Peer {
    fn new(number: u64) -> Self {
        Self {
            number,
            switch: Arc::new(AtomicU8::new(OPEN)),
        }
    }

    /// Ends the connection at its next write: not one byte of the answer leaves.
    pub(super) fn hang_up(&self, how: Hangup) {
        let state = match how {
            Hangup::Reset => RESET,
            Hangup::Close => CLOSE,
        };
        self.switch.store(state, Ordering::Relaxed);
    }
}

impl Connected<IncomingStream<'_, Door>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.io().peer.clone()
    }
}

/// A stream that can be cut.
pub(super) struct Connection {
    stream: TcpStream,
    peer: Peer,
}

impl Connection {
    /// Fails once the switch is set. The HTTP server then drops the stream, which resets or closes it.
    fn check(&self) -> io::Result<()> {
        match self.peer.switch.load(Ordering::Relaxed) {
            OPEN => Ok(()),
            RESET => {
                self.stream.set_zero_linger()?;
                Err(io::ErrorKind::ConnectionReset.into())
            }
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        Poll::Ready(Ok(()))
    }
}
