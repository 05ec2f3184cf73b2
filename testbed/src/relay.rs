//! What stands between a client and a server: connections taken from the one, and one held to the other. Whoever stands there
//! sees whole messages, and may hold them up, strike them or count them; or passes on bytes as they come.

use std::io::{Result, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
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
            // An answer that waits for an acknowledgement would count as the server's time.
            let _ = stream.set_nodelay(true);
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    Ok(address)
}

/// The connection to a server, made when it is first needed.
#[derive(Debug)]
pub struct Remote {
    /// Where the server listens.
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
    /// When the server can't be reached, or ends the connection before it has answered.
    pub fn exchange(&mut self, request: &[u8]) -> Result<Response> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(self.address)?,
        };
        stream.write_all(request)?;
        let answer = Response::read(&mut stream)?;
        self.stream = Some(stream);
        Ok(answer)
    }
}

/// Passes on whatever either side says, until both have said all.
///
/// # Errors
///
/// When the server can't be reached.
pub fn pass_on(client: TcpStream, server: SocketAddr) -> Result<()> {
    let server = connect(server)?;
    let (from_server, to_client) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || copy(from_server, to_client));
    copy(client, server);
    Ok(())
}

/// When one side breaks, the other learns that nothing more comes.
fn copy(mut from: TcpStream, mut to: TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
