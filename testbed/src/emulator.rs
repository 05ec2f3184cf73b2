//! AWS's own emulator of a Lambda execution environment, and what it says of each invocation.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::paths::project_root;
use crate::relay;

/// An EventBridge rule sends this, and the Scheduler its like, when the target has no input of its own.
pub const SCHEDULED: &str = r#"{"version":"0","id":"53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa","detail-type":"Scheduled Event",
    "source":"aws.events","account":"123456789012","time":"2026-11-01T03:00:00Z","region":"us-east-1",
    "resources":["arn:aws:events:us-east-1:123456789012:rule/keyturn"],"detail":{}}"#;
/// Seconds that an invocation may take: the template's default.
pub const TIMEOUT: u64 = 300;
/// How long the emulator may take to listen.
const START: Duration = Duration::from_secs(10);
/// How long after an answer its report may come. None comes on a function that died.
const REPORT: Duration = Duration::from_secs(2);

/// One execution environment. It ends, with the function in it, when it is dropped.
pub struct Emulator {
    process: Child,
    invoke: String,
    lines: Arc<Mutex<Vec<String>>>,
    inits: Arc<Inits>,
    bootstrap: PathBuf,
    http: reqwest::Client,
}

/// What the caller of an invocation sees, what was logged meanwhile, and what it took.
#[derive(Debug)]
pub struct Invoked {
    /// The answer.
    pub body: Value,
    /// What the emulator and the function logged.
    pub lines: Vec<String>,
    /// From the event to the answer.
    pub wall: Duration,
    /// The process that served it; `None` when it is gone.
    pub process: Option<u32>,
    /// The most memory that it ever held, from the kernel, in KiB. The emulator's own figure is only the configured size.
    pub peak_kib: Option<u64>,
    /// The CPU that it has used since it began.
    pub cpu: Option<Duration>,
    /// What its start took, if this was its first event.
    pub init: Option<Init>,
}

/// What a function took from its start to its first request for an event.
#[derive(Clone, Copy, Debug)]
pub struct Init {
    /// The CPU that it had used.
    pub cpu: Duration,
    /// When it asked.
    at: Instant,
    /// From the event that started it to that request.
    pub wall: Duration,
}

impl Emulator {
    /// Starts an environment for this bootstrap; its timeout is in seconds.
    ///
    /// # Errors
    ///
    /// When there is no emulator (`make emulator` unpacks it), or it does not start.
    pub async fn start(
        bootstrap: &Path,
        settings: &BTreeMap<String, String>,
        timeout: u64,
    ) -> Result<Emulator> {
        let emulator = project_root().join(".testbed/rie/aws-lambda-rie");
        ensure!(
            emulator.exists(),
            "{} does not exist: run `make emulator`",
            emulator.display()
        );
        // The only error is that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (invoke, runtime) = (free_address()?.to_string(), free_address()?);
        let inits = Arc::new(Inits::default());
        let noted = Arc::clone(&inits);
        // What goes wrong here is told by the emulator: its function does not answer.
        let between = relay::listen(move |function| {
            // Before anything is answered: the function only waits.
            noted.note();
            let _ = relay::pass_on(function, runtime);
        })?;
        let bootstrap = asking(between, bootstrap)?;
        let mut process = Command::new(emulator)
            .args(["--runtime-interface-emulator-address", &invoke])
            .args(["--runtime-api-address", &runtime.to_string()])
            .arg(&bootstrap)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("AWS_LAMBDA_FUNCTION_NAME", "keyturn")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("AWS_LAMBDA_FUNCTION_TIMEOUT", timeout.to_string())
            .envs(settings)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        inits.emulator.store(process.id(), Ordering::Relaxed);
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
        let emulator = Emulator {
            process,
            invoke,
            lines,
            inits,
            bootstrap,
            http: reqwest::Client::builder().no_proxy().build()?,
        };
        collect(stdout.context("no stdout")?, &emulator.lines);
        collect(stderr.context("no stderr")?, &emulator.lines);
        let end = Instant::now() + START;
        while TcpStream::connect(&emulator.invoke).is_err() {
            ensure!(Instant::now() < end, "the emulator does not listen");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(emulator)
    }

    /// Sends an event and waits for the end of its invocation.
    ///
    /// # Errors
    ///
    /// When the emulator does not answer.
    pub async fn invoke(&self, event: &str) -> Result<Invoked> {
        let from = lock(&self.lines).len();
        let began = Instant::now();
        let url = format!("http://{}/2015-03-31/functions/function/invocations", self.invoke);
        let answer = self.http.post(url).body(event.to_owned()).send().await?;
        let body = answer.text().await?;
        let wall = began.elapsed();
        let end = Instant::now() + REPORT;
        let reported = || {
            self.lines_since(from)
                .iter()
                .any(|line| line.starts_with("REPORT "))
        };
        while !reported() && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let process = self.function();
        let init = lock(&self.inits.costs).pop();
        Ok(Invoked {
            body: serde_json::from_str(&body).unwrap_or(Value::String(body)),
            lines: self.lines_since(from),
            wall,
            process,
            peak_kib: process.and_then(peak_kib),
            cpu: process.and_then(|process| cpu(process).ok()),
            init: init.map(|init| Init {
                wall: init.at.saturating_duration_since(began),
                ..init
            }),
        })
    }

    /// Kills the function, as Lambda does when its time is over, and leaves its environment.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn kill_function(&self) -> Result<()> {
        self.signal("-KILL")
    }

    /// Freezes the function.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn stop_function(&self) -> Result<()> {
        self.signal("-STOP")
    }

    fn signal(&self, name: &str) -> Result<()> {
        let function = self.function().context("the function does not run")?;
        let sent = Command::new("kill")
            .args([name, &function.to_string()])
            .status()?;
        ensure!(sent.success(), "{name} could not be sent");
        Ok(())
    }

    /// The process id of the function, if it runs.
    pub fn function(&self) -> Option<u32> {
        child_of(self.process.id())
    }

    fn lines_since(&self, from: usize) -> Vec<String> {
        lock(&self.lines).get(from..).unwrap_or_default().to_vec()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.kill_function();
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_file(&self.bootstrap);
    }
}

impl Invoked {
    /// Whether the function failed.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.body.get("errorMessage").is_some()
    }

    /// Whether the process ended with the invocation, by itself or by the end of its time.
    #[must_use]
    pub fn ended(&self) -> bool {
        let timed_out = self
            .body
            .as_str()
            .is_some_and(|text| text.starts_with("Task timed out"));
        timed_out || self.body.get("errorType").and_then(Value::as_str) == Some("Runtime.ExitError")
    }

    /// The function's own lines.
    pub fn own_lines(&self) -> impl Iterator<Item = &str> {
        let lines = self.lines.iter().map(String::as_str);
        lines.filter(|line| !is_of_emulator(line))
    }

    /// A figure of the emulator's REPORT line, in milliseconds.
    #[must_use]
    pub fn reported(&self, name: &str) -> Option<f64> {
        let report = self.lines.iter().find(|line| line.starts_with("REPORT "))?;
        let figure = report.split('\t').find_map(|part| part.strip_prefix(name))?;
        figure.trim_start_matches(": ").split(' ').next()?.parse().ok()
    }
}

/// The emulator's own lines: those of each invocation, and its log.
fn is_of_emulator(line: &str) -> bool {
    let mut words = line.split(' ');
    let begins =
        matches!(words.next(), Some("START" | "END" | "REPORT")) && words.next() == Some("RequestId:");
    begins || line.split(' ').nth(5) == Some("(rapid)")
}

/// What the processes of one environment had used when they first asked for an event.
#[derive(Default)]
struct Inits {
    emulator: AtomicU32,
    seen: AtomicU32,
    costs: Mutex<Vec<Init>>,
}

impl Inits {
    /// The function asks for an event, now, on a connection of its own.
    fn note(&self) {
        let at = Instant::now();
        let process = child_of(self.emulator.load(Ordering::Relaxed)).unwrap_or(0);
        if self.seen.swap(process, Ordering::Relaxed) != process
            && let Ok(cpu) = cpu(process)
        {
            let wall = Duration::ZERO;
            lock(&self.costs).push(Init { cpu, at, wall });
        }
    }
}

/// A bootstrap that is this one, which asks for its events at this address.
fn asking(between: SocketAddr, bootstrap: &Path) -> Result<PathBuf> {
    let script = std::env::temp_dir().join(format!(
        "keyturn-bootstrap-{}-{}",
        std::process::id(),
        between.port()
    ));
    let text = format!(
        "#!/bin/sh\nexport AWS_LAMBDA_RUNTIME_API={between}\nexec {}\n",
        bootstrap.display()
    );
    std::fs::write(&script, text)?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
    Ok(script)
}

/// The CPU that a process has used, on all of its threads.
fn cpu(process: u32) -> Result<Duration> {
    let mut nanoseconds = 0_u64;
    for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let spent = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        let Some(Ok(spent)) = spent.split(' ').next().map(str::parse::<u64>) else {
            bail!("no schedstat: {spent:?}");
        };
        nanoseconds = nanoseconds.saturating_add(spent);
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// The most memory a process ever held, by the kernel.
fn peak_kib(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let high = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    high.trim().strip_suffix(" kB")?.parse().ok()
}

/// A free port of a loopback address of its own: between this look and the emulator's start, no other stand-in on a busy
/// machine can take it.
fn free_address() -> Result<SocketAddr> {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    let own = Ipv4Addr::new(127, high | 1, low, NEXT.fetch_add(1, Ordering::Relaxed));
    let listener = TcpListener::bind((own, 0))?;
    Ok(listener.local_addr()?)
}

fn collect(stream: impl Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            lock(&lines).push(line);
        }
    });
}

/// The emulator has one child, the function.
fn child_of(parent: u32) -> Option<u32> {
    let is_child = |process: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        let fields = stat.rsplit(") ").next().unwrap_or_default();
        let mut fields = fields.split(' ');
        let alive = fields.next() != Some("Z");
        alive && fields.next().and_then(|of| of.parse().ok()) == Some(parent)
    };
    let processes = std::fs::read_dir("/proc").ok()?;
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .find(is_child)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
