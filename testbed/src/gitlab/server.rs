//! The HTTP server around the world.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::certificates::Certificate;
use super::connection::Door;
use super::exchange;
use super::faults::Fault;
use super::jobs::Job;
use super::journal::Call;
use super::options::Options;
use super::request::ROOT;
use super::state::Shared;
use super::tree::Container;
use super::world::World;

/// A running GitLab. It has a thread and a runtime of its own, so it also answers while a test blocks on a child
/// process. It stops when dropped.
#[derive(Debug)]
pub struct GitLab {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<Result<()>>>,
}

impl GitLab {
    /// Binds the port and starts to answer.
    ///
    /// # Errors
    ///
    /// When the version or the certificate can't be read, or the port can't be bound.
    pub async fn start(options: Options) -> Result<Self> {
        let listener = TcpListener::bind(options.listen)
            .with_context(|| format!("the GitLab stand-in can't listen on {}", options.listen))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let tls = options.tls.as_ref().map(Certificate::acceptor).transpose()?;
        let shared = Arc::new(Shared::new(options)?);

        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = oneshot::channel();
        let serving = Arc::clone(&shared);
        let run = move || serve(listener, tls, serving, ready, stopped);
        let thread = thread::Builder::new().name("gitlab".into()).spawn(run)?;
        let mut gitlab = Self {
            shared,
            address,
            stop: Some(stop),
            thread: Some(thread),
        };
        match is_ready.await {
            Ok(()) => Ok(gitlab),
            Err(_) => Err(gitlab
                .end()
                .err()
                .unwrap_or_else(|| anyhow!("the GitLab stand-in ended early"))),
        }
    }

    /// The API's root, e.g. `http://127.0.0.1:40123/api/v4`: what `CI_API_V4_URL` is in a job.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}{}", self.origin(), ROOT)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The control API's root, for other processes.
    #[must_use]
    pub fn control_url(&self) -> String {
        format!("{}/_testbed", self.origin())
    }

    fn origin(&self) -> String {
        format!("{}://{}", self.shared.scheme(), self.address)
    }

    /// Sets up, changes or looks at the state. No request is served meanwhile.
    pub fn world<T>(&self, visit: impl FnOnce(&mut World) -> T) -> T {
        visit(&mut self.shared.lock().world)
    }

    /// Moves the server's clock on: the `Date` header, expiry of tokens, late requests.
    pub fn advance(&self, by: Duration) {
        self.shared.lock().world.clock.advance(by);
        drop(self.shared.lock());
    }

    /// Sets the server's clock, forth or back.
    pub fn set_clock(&self, to: Timestamp) {
        self.shared.lock().world.clock.set(to);
    }

    /// Puts a fault at the end of the line.
    pub fn fault(&self, fault: Fault) {
        self.shared.lock().faults.add(fault);
    }

    /// The faults that still wait for a request. A test that ends with some hasn't tested what it meant to.
    #[must_use]
    pub fn waiting_faults(&self) -> Vec<Fault> {
        self.shared.lock().faults.waiting().to_vec()
    }

    /// Every call of the API since the start or the last reset, without secrets.
    #[must_use]
    pub fn journal(&self) -> Vec<Call> {
        self.shared.lock().journal.calls().to_vec()
    }

    /// The values a runner would hand to a job of this container at this moment, in the order of `keys`; `None`
    /// for a key the job wouldn't get. For a job with an environment use [`World::job_variables`].
    #[must_use]
    pub fn job_sees(
        &self,
        container: impl Into<Container>,
        keys: &[&str],
        protected_ref: bool,
    ) -> Vec<Option<String>> {
        let job = Job {
            container: container.into(),
            protected_ref,
            environment: None,
        };
        self.world(|world| world.job_variables(&job).pick(keys))
    }

    /// Back to an empty world, with the clock, the journal, the faults and the settings as at the start.
    pub fn reset(&self) {
        self.shared.reset();
    }

    /// Stops and frees the port. Connections end, and what waited in them is lost.
    pub async fn stop(mut self) {
        // What can fail is the start, and it was told there.
        let _ = self.end();
    }

    fn end(&mut self) -> Result<()> {
        drop(self.stop.take());
        let ended = self.thread.take().map(thread::JoinHandle::join);
        ended
            .unwrap_or(Ok(Ok(())))
            .unwrap_or_else(|_| bail!("the GitLab stand-in panicked"))
    }
}

impl Drop for GitLab {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    ready: oneshot::Sender<()>,
    stopped: oneshot::Receiver<()>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let door = Door::new(tokio::net::TcpListener::from_std(listener)?, tls);
        let _ = ready.send(());
        tokio::select! {
            served = exchange::serve(door, shared) => served,
            // Also when the handle is dropped.
            _ = stopped => Ok(()),
        }
    })
    // Dropping the runtime here ends all connections and whatever still waits in them.
}
