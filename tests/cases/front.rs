//! A proxy on the loopback interface between the binary and a stand-in. Its rule answers each request: by passing it on,
//! or by something else.

use std::io::{Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use testbed::message::{Request, Response};
use testbed::relay::{Remote, listen};

use crate::world::World;

/// Longer than anything takes that a request is held for.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a request is held for another one that may never come.
const SOON: Duration = Duration::from_secs(3);

/// The URL of a front of GitLab: the value of `GITLAB_API_URL`. An error of the rule ends the connection without an answer.
pub(crate) fn of_gitlab(
    world: &World,
    rule: impl Fn(&Request, &mut Remote) -> Result<Vec<u8>> + Send + Sync + 'static,
) -> String {
    format!("http://{}/api/v4", open(world.lab.gitlab.address(), rule))
}

/// The URL of a front of AWS: the value of `AWS_ENDPOINT_URL`.
pub(crate) fn of_aws(
    world: &World,
    rule: impl Fn(&Request, &mut Remote) -> Result<Vec<u8>> + Send + Sync + 'static,
) -> String {
    let address = world.lab.aws.url().trim_start_matches("http://").parse();
    format!("http://{}", open(address.unwrap(), rule))
}

fn open(
    remote: SocketAddr,
    rule: impl Fn(&Request, &mut Remote) -> Result<Vec<u8>> + Send + Sync + 'static,
) -> SocketAddr {
    let rule = Arc::new(rule);
    listen(move |client| {
        // A client that was killed, or gave up, leaves broken connections behind.
        let _ = serve(client, &mut Remote::new(remote), rule.as_ref());
    })
    .unwrap()
}

fn serve(
    mut client: TcpStream,
    remote: &mut Remote,
    rule: &dyn Fn(&Request, &mut Remote) -> Result<Vec<u8>>,
) -> Result<()> {
    client.set_nodelay(true)?;
    while let Some(request) = Request::read(&mut client)? {
        client.write_all(&rule(&request, remote)?)?;
    }
    Ok(())
}

/// Carried out and answered as if there were no front.
pub(crate) fn pass(request: &Request, remote: &mut Remote) -> Result<Vec<u8>> {
    Ok(remote.exchange(&request.bytes)?.bytes)
}

/// Whether it lists variables.
pub(crate) fn lists_variables(request: &Request) -> bool {
    request.method == "GET" && request.path.contains("/variables?")
}

/// Whether it is this action of IAM or STS.
pub(crate) fn is_action(request: &Request, action: &str) -> bool {
    request.form("Action").as_deref() == Some(action)
}

/// Where the first request that comes is held until the scene lets it go on.
#[derive(Default)]
pub(crate) struct Halt {
    reached: AtomicBool,
    released: AtomicBool,
}

impl Halt {
    /// Called by a rule.
    pub(crate) fn here(&self) {
        if !self.reached.swap(true, Ordering::SeqCst) {
            wait(PATIENCE, || self.released.load(Ordering::SeqCst));
        }
    }

    /// Called by the scene.
    pub(crate) fn is_reached(&self) -> bool {
        self.reached.load(Ordering::SeqCst)
    }

    /// Called by the scene.
    pub(crate) fn release(&self) {
        self.released.store(true, Ordering::SeqCst);
    }
}

/// Holds a request until this is so, or for a few seconds: it may never be so with another binary.
pub(crate) fn wait_for(so: impl Fn() -> bool) {
    wait(SOON, so);
}

fn wait(most: Duration, so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() && begun.elapsed() < most {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Reads that show what was there some time ago, as those of a replica or a cache do.
pub(crate) struct Lag {
    by: Duration,
    reads: fn(&Request) -> bool,
    writes: fn(&Request) -> bool,
    past: Mutex<Past>,
}

#[derive(Default)]
struct Past {
    /// What the client asked last.
    read: Option<Vec<u8>>,
    /// What that showed before each write.
    shown: Vec<(Instant, Response)>,
}

impl Lag {
    pub(crate) fn new(by: Duration, reads: fn(&Request) -> bool, writes: fn(&Request) -> bool) -> Lag {
        Lag {
            by,
            reads,
            writes,
            past: Mutex::default(),
        }
    }

    /// A rule.
    pub(crate) fn answer(&self, request: &Request, remote: &mut Remote) -> Result<Vec<u8>> {
        let mut past = lock(&self.past);
        if (self.writes)(request)
            && let Some(read) = &past.read
        {
            let before = remote.exchange(read)?;
            past.shown.push((Instant::now(), before));
        }
        let answer = remote.exchange(&request.bytes)?;
        if !(self.reads)(request) {
            return Ok(answer.bytes);
        }
        past.read = Some(request.bytes.clone());
        let still = past.shown.iter().find(|(written, _)| written.elapsed() < self.by);
        Ok(still.map_or_else(|| answer.bytes.clone(), |(_, shown)| dated(shown, &answer)))
    }
}

/// An answer of before with the date of now: what lags is the data and not the server's clock.
fn dated(before: &Response, now: &Response) -> Vec<u8> {
    let date = |response: &Response| {
        let text = String::from_utf8_lossy(&response.bytes).into_owned();
        let mut lines = text.lines();
        lines
            .find(|line| line.to_ascii_lowercase().starts_with("date:"))
            .unwrap()
            .to_owned()
    };
    let text = String::from_utf8_lossy(&before.bytes);
    text.replacen(&date(before), &date(now), 1).into_bytes()
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
