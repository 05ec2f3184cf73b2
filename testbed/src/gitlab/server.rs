//! The HTTP server around the world.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::api;
use super::certificates::Certificate;
use super::clock::{Clock, shifted};
use super::connection::Door;
use super::exchange;
use super::faults::{Fault, Faults};
use super::jobs::Job;
use super::journal::{Call, Journal};
use super::reply::Reply;
use super::request::Request;
use super::tree::Container;
use super::version::Version;
use super::world::{OverwrittenRow, Settings, World};

/// How to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// The release to play, e.g. `18.2.1-ee`.
    pub version: String,
    /// Where to listen; port 0 is a free one.
    pub listen: SocketAddr,
    /// The path that GitLab is installed under: empty, or e.g. `/gitlab`.
    pub relative_root: String,
    /// The address GitLab believes to have. It is never called; a client that follows it fails.
    pub external_url: String,
    /// What the server's clock shows at the start; the machine's time if left out.
    pub starts_at: Option<Timestamp>,
    /// Whether the clock stands still until a test moves it.
    pub clock_stands: bool,
    /// Serves HTTPS with this certificate instead of HTTP.
    pub tls: Option<Certificate>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            version: "18.2.1-ee".into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            relative_root: String::new(),
            external_url: "https://gitlab.example.com".into(),
            starts_at: None,
            clock_stands: false,
            tls: None,
        }
    }
}

impl Options {
    /// The defaults, with the release that the environment variable `GITLAB_VERSION` names.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the stand-in's own setting; only the program's settings have one place"
    )]
    pub fn from_env() -> Self {
        let version = std::env::var_os("GITLAB_VERSION").and_then(|text| text.into_string().ok());
        let defaults = Self::default();
        let version = version
            .filter(|text| !text.is_empty())
            .unwrap_or(defaults.version);
        Self { version, ..defaults }
    }

    fn settings(&self) -> Result<Settings> {
        Ok(Settings {
            version: Version::parse(&self.version)?,
            licensed: true,
            read_only: false,
            overwritten: OverwrittenRow::default(),
            stale_reads: 0,
            group_limit: 30_000,
            project_limit: 8_000,
            external_url: self.external_url.clone(),
        })
    }
}

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
        format!("{}{}", self.origin(), self.shared.root)
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

/// What the server's thread and the handle share.
#[derive(Debug)]
pub(super) struct Shared {
    options: Options,
    settings: Settings,
    /// The API's root path.
    root: String,
    state: Mutex<State>,
}

/// Everything that a request or a test may change, behind one lock: requests are served one at a time.
#[derive(Debug)]
pub(super) struct State {
    pub(super) world: World,
    pub(super) faults: Faults,
    pub(super) journal: Journal,
    late: Vec<Late>,
}

/// A request that is carried out when the server's clock reaches its time, long after its connection was lost.
#[derive(Debug)]
struct Late {
    due: Timestamp,
    request: Request,
}

impl Shared {
    fn new(options: Options) -> Result<Self> {
        let settings = options.settings()?;
        let root = format!("{}/api/v4", options.relative_root.trim_end_matches('/'));
        let state = Mutex::new(State::new(&options, &settings));
        Ok(Self {
            options,
            settings,
            root,
            state,
        })
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.options.tls.is_some() {
            "https"
        } else {
            "http"
        }
    }

    pub(super) fn root(&self) -> &str {
        &self.root
    }

    /// The state, with everything done that is due by now.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A test's closure that panicked has failed its test already; the state is still the best there is.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.catch_up(&self.root);
        state
    }

    pub(super) fn reset(&self) {
        *self.lock() = State::new(&self.options, &self.settings);
    }
}

impl State {
    fn new(options: &Options, settings: &Settings) -> Self {
        Self {
            world: World::new(
                settings.clone(),
                Clock::starting(options.starts_at, options.clock_stands),
            ),
            faults: Faults::default(),
            journal: Journal::default(),
            late: Vec::new(),
        }
    }

    pub(super) fn answer(&mut self, request: &Request, root: &str) -> Reply {
        api::answer(&mut self.world, request, root)
    }

    pub(super) fn postpone(&mut self, request: Request, millis: u64) {
        let by = SignedDuration::from_millis(i64::try_from(millis).unwrap_or(i64::MAX));
        self.late.push(Late {
            due: shifted(self.world.now(), by),
            request,
        });
    }

    /// Carries out late requests that are due, in order, each dated when it was due.
    fn catch_up(&mut self, root: &str) {
        let now = self.world.now();
        let (mut due, late): (Vec<Late>, Vec<Late>) = std::mem::take(&mut self.late)
            .into_iter()
            .partition(|late| late.due <= now);
        self.late = late;
        due.sort_by_key(|late| late.due);
        for Late { due, request } in due {
            self.world.clock.hold(Some(due));
            let _ = api::answer(&mut self.world, &request, root);
        }
        self.world.clock.hold(None);
    }
}
