//! Connections: plain or TLS, without Nagle's delay, and with a switch that ends one without a response.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{Accept, TlsAcceptor, server::TlsStream};

/// Accepts connections and numbers them.
pub(super) struct Door {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    accepted: AtomicU64,
}

impl Door {
    pub(super) fn new(listener: TcpListener, tls: Option<TlsAcceptor>) -> Self {
        Self {
            listener,
            tls,
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
                    let stream = match &self.tls {
                        None => Stream::Plain(stream),
                        Some(tls) => Stream::Greeting(Box::new(tls.accept(stream))),
                    };
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
    cut: Arc<AtomicBool>,
}

impl Peer {
    fn new(number: u64) -> Self {
        Self {
            number,
            cut: Arc::default(),
        }
    }

    /// Resets the connection at its next write: not one byte of the answer leaves.
    pub(super) fn reset(&self) {
        self.cut.store(true, Ordering::Relaxed);
    }
}

impl Connected<IncomingStream<'_, Door>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.io().peer.clone()
    }
}

/// A stream that can be cut.
pub(super) struct Connection {
    stream: Stream,
    peer: Peer,
}

enum Stream {
    Plain(TcpStream),
    /// The handshake goes on in the connection's own task, so that a client that stops in the middle of it, or
    /// doesn't trust the certificate, keeps nobody else waiting.
    Greeting(Box<Accept<TcpStream>>),
    Secure(Box<TlsStream<TcpStream>>),
}

impl Connection {
    /// Fails once it is cut. The HTTP server then drops the stream, which resets it.
    fn check(&self) -> io::Result<()> {
        if !self.peer.cut.load(Ordering::Relaxed) {
            return Ok(());
        }
        let stream = match &self.stream {
            Stream::Plain(stream) => Some(stream),
            Stream::Greeting(accept) => accept.get_ref(),
            Stream::Secure(stream) => Some(stream.get_ref().0),
        };
        stream.map_or(Ok(()), TcpStream::set_zero_linger)?;
        Err(io::ErrorKind::ConnectionReset.into())
    }

    /// Hands the stream to `use_it` once the handshake, if there is one, is done.
    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        use_it: impl FnOnce(Pin<&mut dyn Duplex>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Stream::Greeting(accept) = &mut self.stream {
            let stream = ready!(Pin::new(accept).poll(cx))?;
            self.stream = Stream::Secure(Box::new(stream));
        }
        match &mut self.stream {
            Stream::Plain(stream) => use_it(Pin::new(stream), cx),
            Stream::Secure(stream) => use_it(Pin::new(stream), cx),
            Stream::Greeting(_) => Poll::Pending,
        }
    }
}

trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll(cx, |stream, cx| stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        self.poll(cx, |stream, cx| stream.poll_write(cx, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        self.poll(cx, |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(cx, |stream, cx| stream.poll_shutdown(cx))
    }
}
