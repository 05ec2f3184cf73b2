//! What stands between a client and a stand-in: connections taken from the one, and one held to the other.

use std::io::{Result, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use crate::message::Response;

/// Takes connections on a free port of the loopback interface for as long as this process lives, each on a thread of its
/// own.
///
/// # Errors
///
/// When there is no free port.
pub fn listen(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    Ok(address)
}

/// The connection to a stand-in, made when it is first needed.
#[derive(Debug)]
pub struct Remote {
    /// Where the stand-in listens.
    pub address: SocketAddr,
    stream: Option<TcpStream>,
}

impl Remote {
    /// Nothing is connected yet.
    #[must_use]
    pub fn new(address: SocketAddr) -> Remote {
        Remote {
            address,
            stream: None,
        }
    }

    /// Sends these bytes and takes the answer to them.
    ///
    /// # Errors
    ///
    /// When the stand-in can't be reached, or ends the connection before it has answered.
    pub fn exchange(&mut self, request: &[u8]) -> Result<Response> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => TcpStream::connect(self.address)?,
        };
        stream.set_nodelay(true)?;
        stream.write_all(request)?;
        let answer = Response::read(&mut stream)?;
        self.stream = Some(stream);
        Ok(answer)
    }
}
