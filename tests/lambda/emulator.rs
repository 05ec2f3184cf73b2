//! AWS's own emulator of a Lambda execution environment, and what it says of each invocation.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use testbed::aws::project_root;

/// The most memory that the function may ever hold: 24 MB.
const PEAK_BUDGET_KIB: u64 = 24_000_000 / 1024;
/// The most CPU from the start of the process to its first request for an event.
const INIT_BUDGET: Duration = Duration::from_millis(10);

/// One execution environment. It ends, with the function in it, when it is dropped.
pub(crate) struct Emulator {
    process: Child,
    invoke: String,
    lines: Arc<Mutex<Vec<String>>>,
    inits: Arc<Inits>,
    bootstrap: PathBuf,
    http: reqwest::Client,
}

/// What the caller of an invocation sees, what was logged meanwhile, and what it took.
#[derive(Debug)]
pub(crate) struct Invoked {
    pub(crate) body: Value,
    pub(crate) lines: Vec<String>,
    pub(crate) wall: Duration,
    /// The process that served it; `None` when it is gone.
    pub(crate) process: Option<u32>,
    /// The most memory that it ever held, from the kernel. The emulator's own figure is only the configured size.
    pub(crate) peak_kib: Option<u64>,
    /// The CPU that it had used when it asked for its first event, if this was its first.
    pub(crate) init: Option<Duration>,
}

impl Emulator {
    /// Starts an environment for this bootstrap; its timeout is in seconds.
    pub(crate) async fn start(
        bootstrap: &Path,
        settings: &BTreeMap<String, String>,
        timeout: u64,
    ) -> Emulator {
        let emulator = project_root().join(".testbed/rie/aws-lambda-rie");
        assert!(
            emulator.exists(),
            "{} does not exist: run `make testbed`",
            emulator.display()
        );
        // The only error is that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (invoke, runtime) = (free_address().to_string(), free_address());
        let inits = Arc::new(Inits::default());
        let bootstrap = asking(relay(runtime, &inits), bootstrap);
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
            .spawn()
            .unwrap();
        inits.emulator.store(process.id(), Ordering::Relaxed);
        let lines = Arc::new(Mutex::new(Vec::new()));
        collect(process.stdout.take().unwrap(), &lines);
        collect(process.stderr.take().unwrap(), &lines);
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let end = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(&invoke).is_err() {
            assert!(Instant::now() < end, "the emulator does not listen");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Emulator {
            process,
            invoke,
            lines,
            inits,
            bootstrap,
            http,
        }
    }

    /// Sends an event and waits for the end of its invocation.
    pub(crate) async fn invoke(&self, event: &str) -> Invoked {
        let from = self.lines.lock().unwrap().len();
        let began = Instant::now();
        let answer = self
            .http
            .post(format!(
                "http://{}/2015-03-31/functions/function/invocations",
                self.invoke
            ))
            .body(event.to_owned())
            .send()
            .await
            .unwrap();
        let body = answer.text().await.unwrap();
        let wall = began.elapsed();
        // The emulator reports on no function that died.
        let end = Instant::now() + Duration::from_secs(2);
        let reported = || {
            self.lines_since(from)
                .iter()
                .any(|line| line.starts_with("REPORT "))
        };
        while !reported() && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let process = self.function();
        let invoked = Invoked {
            body: serde_json::from_str(&body).unwrap_or(Value::String(body)),
            lines: self.lines_since(from),
            wall,
            process,
            peak_kib: process.and_then(peak_kib),
            init: self.inits.costs.lock().unwrap().pop(),
        };
        println!("{}", invoked.row(event));
        invoked.said();
        if let Some(over) = over_budget(invoked.peak_kib, invoked.init).filter(|_| released()) {
            panic!("{over}: {invoked:?}");
        }
        assert!(
            process.is_some() || invoked.ended(),
            "the function is gone: {invoked:?}"
        );
        invoked
    }

    /// Kills the function, as Lambda does when its time is over, and leaves its environment.
    pub(crate) fn kill_function(&self) {
        signal("-KILL", self.function().unwrap());
    }

    /// Freezes the function.
    pub(crate) fn stop_function(&self) {
        signal("-STOP", self.function().unwrap());
    }

    /// The process id of the function, if it runs.
    pub(crate) fn function(&self) -> Option<u32> {
        child_of(self.process.id())
    }

    fn lines_since(&self, from: usize) -> Vec<String> {
        self.lines
            .lock()
            .unwrap()
            .get(from..)
            .unwrap_or_default()
            .to_vec()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        if let Some(function) = self.function() {
            signal("-KILL", function);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_file(&self.bootstrap);
    }
}

impl Invoked {
    /// Whether the function failed.
    pub(crate) fn failed(&self) -> bool {
        self.body.get("errorMessage").is_some()
    }

    /// Whether the process ended with the invocation, by itself or by the end of its time.
    fn ended(&self) -> bool {
        let timed_out = self
            .body
            .as_str()
            .is_some_and(|text| text.starts_with("Task timed out"));
        timed_out || self.body["errorType"] == "Runtime.ExitError"
    }

    /// The report, whether it is the answer or the message of an error.
    pub(crate) fn report(&self) -> Value {
        match self.body.get("errorMessage").and_then(Value::as_str) {
            Some(message) => {
                serde_json::from_str(message).unwrap_or_else(|error| panic!("{error}: {self:?}"))
            }
            None => self.body.clone(),
        }
    }

    /// A word of the one rotation in the report.
    pub(crate) fn word(&self, name: &str) -> String {
        self.report()["rotations"][0][name]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The function's own lines: each is one JSON object.
    pub(crate) fn said(&self) -> Vec<Value> {
        let own = self.lines.iter().filter(|line| !is_of_emulator(line));
        own.map(|line| {
            let read = serde_json::from_str(line).ok().filter(Value::is_object);
            read.unwrap_or_else(|| panic!("no JSON object: {line:?}"))
        })
        .collect()
    }

    /// The lines that CloudWatch makes metrics of.
    pub(crate) fn metrics(&self) -> Vec<Value> {
        self.said()
            .into_iter()
            .filter(|line| line.get("_aws").is_some())
            .collect()
    }

    /// A figure of the emulator's REPORT line, in milliseconds.
    fn reported(&self, name: &str) -> Option<f64> {
        let report = self.lines.iter().find(|line| line.starts_with("REPORT "))?;
        let figure = report.split('\t').find_map(|part| part.strip_prefix(name))?;
        figure.trim_start_matches(": ").split(' ').next()?.parse().ok()
    }

    fn row(&self, event: &str) -> String {
        let start = self.init.map_or("warm".to_owned(), |init| {
            format!("cold, init CPU {:>4.1} ms", init.as_secs_f64() * 1000.0)
        });
        let told = match &self.body {
            Value::Object(body) if body.contains_key("errorType") => {
                body["errorType"].as_str().unwrap_or("?")
            }
            Value::Object(body) => body.get("outcome").and_then(Value::as_str).unwrap_or("?"),
            Value::String(text) => text,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => "?",
        };
        let event: String = event.chars().take(48).collect();
        format!(
            "{start:<22}  REPORT Duration {:>9.2} ms  wall {:>8.1?}  peak {:>5.1} MiB  {event:<48}  {told}",
            self.reported("Duration").unwrap_or(f64::NAN),
            self.wall,
            self.peak_kib.unwrap_or(0) as f64 / 1024.0,
        )
    }
}

/// The function under test: the release binary that `KEYTURN_BOOTSTRAP` names, or the one built with the tests.
pub(crate) fn bootstrap() -> PathBuf {
    std::env::var_os("KEYTURN_BOOTSTRAP").map_or(env!("CARGO_BIN_EXE_keyturn").into(), PathBuf::from)
}

/// The emulator's own lines: those of each invocation, and its log.
fn is_of_emulator(line: &str) -> bool {
    let mut words = line.split(' ');
    let begins =
        matches!(words.next(), Some("START" | "END" | "REPORT")) && words.next() == Some("RequestId:");
    begins || line.split(' ').nth(5) == Some("(rapid)")
}

/// Whether the function is what ships, which the budgets are for.
pub(crate) fn released() -> bool {
    std::env::var_os("KEYTURN_BOOTSTRAP").is_some()
}

/// What of an invocation is over its budget. A function that was killed shows no peak, and a warm one no init.
fn over_budget(peak_kib: Option<u64>, init: Option<Duration>) -> Option<String> {
    if let Some(peak) = peak_kib.filter(|peak| *peak > PEAK_BUDGET_KIB) {
        return Some(format!("{peak} KiB at the peak are over {PEAK_BUDGET_KIB}"));
    }
    let init = init.filter(|init| *init > INIT_BUDGET)?;
    Some(format!(
        "{init:?} of CPU before the first event are over {INIT_BUDGET:?}"
    ))
}

#[test]
fn what_is_over_a_budget_is_told() {
    let (peak, init) = (Some(PEAK_BUDGET_KIB), Some(INIT_BUDGET));
    assert_eq!(over_budget(peak, init), None);
    assert_eq!(over_budget(None, None), None);
    let more = over_budget(peak.map(|peak| peak + 1), init).unwrap();
    assert!(more.starts_with("23438 KiB at the peak"), "{more}");
    let longer = over_budget(peak, init.map(|init| init + Duration::from_micros(1))).unwrap();
    assert!(longer.starts_with("10.001ms of CPU"), "{longer}");
}

/// What the processes of one environment had used when they first asked for an event.
#[derive(Default)]
struct Inits {
    emulator: AtomicU32,
    seen: AtomicU32,
    costs: Mutex<Vec<Duration>>,
}

/// Stands between the function and its runtime API, to see it ask for its first event.
fn relay(runtime: SocketAddr, inits: &Arc<Inits>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let inits = Arc::clone(inits);
    std::thread::spawn(move || {
        for function in listener.incoming().map_while(Result::ok) {
            let process = child_of(inits.emulator.load(Ordering::Relaxed)).unwrap_or(0);
            // Read before anything is answered: the function only waits.
            if inits.seen.swap(process, Ordering::Relaxed) != process {
                inits.costs.lock().unwrap().push(cpu(process));
            }
            let Ok(emulator) = TcpStream::connect(runtime) else {
                continue;
            };
            pass(&function, &emulator);
            pass(&emulator, &function);
        }
    });
    address
}

fn pass(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
}

/// A bootstrap that is this one, with its runtime API behind the relay.
fn asking(relay: SocketAddr, bootstrap: &Path) -> PathBuf {
    let script = std::env::temp_dir().join(format!("keyturn-bootstrap-{}", relay.port()));
    let text = format!(
        "#!/bin/sh\nexport AWS_LAMBDA_RUNTIME_API={relay}\nexec {}\n",
        bootstrap.display()
    );
    std::fs::write(&script, text).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, executable).unwrap();
    script
}

/// The CPU that a process has used, on all of its threads.
fn cpu(process: u32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let nanoseconds = threads.map(|thread| {
        let spent = std::fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
        let first = spent.split(' ').next().unwrap();
        first.parse::<u64>().unwrap()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// The most memory a process ever held, by the kernel.
fn peak_kib(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let high = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    high.trim().strip_suffix(" kB")?.parse().ok()
}

/// A free port of a loopback address of its own: between this look and the emulator's start, no other stand-in on a busy
/// machine can take it.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    let own = Ipv4Addr::new(127, high | 1, low, NEXT.fetch_add(1, Ordering::Relaxed));
    let listener = TcpListener::bind((own, 0)).unwrap();
    listener.local_addr().unwrap()
}

fn collect(stream: impl Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            lines.lock().unwrap().push(line);
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
    let processes = std::fs::read_dir("/proc").unwrap();
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .find(is_child)
}

fn signal(name: &str, process: u32) {
    let sent = Command::new("kill").args([name, &process.to_string()]).status();
    assert!(sent.unwrap().success());
}
