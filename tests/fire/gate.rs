//! The gate between the real binary and the stand-ins: it counts the requests to both in the order of their arrival,
//! strikes the chosen one, and judges every change of a key at the instant at which it is made.

use std::io::{Result, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use testbed::message::Request;
use testbed::relay::{self, Remote};

use crate::fault::Fault;
use crate::truth::Truth;

/// Nothing that the gate waits for takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which of the two remotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Aws,
    GitLab,
}

/// One address for each remote, for one process at a time.
pub(crate) struct Gate {
    pub(crate) aws: SocketAddr,
    pub(crate) gitlab: SocketAddr,
    passing: Arc<Mutex<Option<Arc<Passage>>>>,
}

impl Gate {
    pub(crate) fn open(aws: SocketAddr, gitlab: SocketAddr) -> Gate {
        let passing = Arc::new(Mutex::new(None));
        Gate {
            aws: listen(Host::Aws, aws, &passing),
            gitlab: listen(Host::GitLab, gitlab, &passing),
            passing,
        }
    }

    /// Connections made from now on belong to this process.
    pub(crate) fn let_pass(&self, passage: &Arc<Passage>) {
        *lock(&self.passing) = Some(Arc::clone(passage));
    }
}

fn listen(host: Host, remote: SocketAddr, passing: &Arc<Mutex<Option<Arc<Passage>>>>) -> SocketAddr {
    let passing = Arc::clone(passing);
    relay::listen(move |stream| {
        let passage = lock(&passing).clone();
        if let Some(passage) = passage {
            // A client that was killed, or gave up, leaves broken connections behind.
            let _ = passage.serve(stream, host, remote);
        }
    })
    .unwrap()
}

/// One process, what it asked for, and what befalls it.
pub(crate) struct Passage {
    truth: Arc<Truth>,
    strike: Option<(usize, Fault)>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    process: Option<Child>,
    /// The chosen request has arrived, and what was to happen to it has happened.
    arrived: bool,
    concluded: bool,
    /// The second run is over.
    released: bool,
    ended: bool,
    terminated: Option<Instant>,
    late: Option<(SocketAddr, Host, Request)>,
}

/// One request, in the order of arrival.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) what: String,
    pub(crate) writes: bool,
    status: Option<u16>,
    fault: Option<Fault>,
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let status = self
            .status
            .map_or("not carried out".to_owned(), |status| status.to_string());
        write!(f, "{} -> {status}", self.what)?;
        self.fault.map_or(Ok(()), |fault| write!(f, "   <== {fault}"))
    }
}

impl Passage {
    pub(crate) fn new(truth: &Arc<Truth>, strike: Option<(usize, Fault)>) -> Arc<Passage> {
        Arc::new(Passage {
            truth: Arc::clone(truth),
            strike,
            state: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    /// The process is known from here on; requests that arrived before wait for this.
    pub(crate) fn started(&self, process: Child) {
        lock(&self.state).process = Some(process);
        self.changed.notify_all();
    }

    /// The process has closed its output: takes its exit code, and says when it was asked to stop, if it was.
    pub(crate) fn ended(&self) -> (Option<i32>, Option<Instant>) {
        let mut state = lock(&self.state);
        let code = state
            .process
            .as_mut()
            .and_then(|process| process.wait().unwrap().code());
        state.ended = true;
        self.changed.notify_all();
        (code, state.terminated)
    }

    /// Whether the chosen request arrives before the process ends.
    pub(crate) fn arrives(&self) -> bool {
        self.wait(|state| state.arrived || state.ended).arrived
    }

    /// Lets the held request go on.
    pub(crate) fn release(&self) {
        lock(&self.state).released = true;
        self.changed.notify_all();
    }

    /// Waits until what was to happen to the chosen request has happened; whether it ever arrived.
    pub(crate) fn concluded(&self) -> bool {
        if !lock(&self.state).arrived {
            return false;
        }
        self.wait(|state| state.concluded).concluded
    }

    /// Carries out the request that was held past the end of its process.
    pub(crate) fn land(&self) {
        let late = lock(&self.state).late.take();
        if let Some((remote, host, request)) = late {
            self.truth
                .judged(host, &request, || Remote::new(remote).exchange(&request.bytes))
                .unwrap();
        }
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        lock(&self.state).calls.clone()
    }

    fn wait(&self, until: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let waited = self
            .changed
            .wait_timeout_while(lock(&self.state), PATIENCE, |state| !until(state));
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "the gate waited in vain: {:?}", state.calls);
        state
    }

    fn serve(&self, mut client: TcpStream, host: Host, remote: SocketAddr) -> Result<()> {
        let mut server = Remote::new(remote);
        while let Some(request) = Request::read(&mut client)? {
            let (number, fault) = self.enter(host, &request);
            let Some(fault) = fault else {
                let answer = self.carry_out(number, host, &request, &mut server)?;
                client.write_all(&answer)?;
                continue;
            };
            let stays = self.strike(number, fault, (host, request), &mut server, &mut client);
            lock(&self.state).concluded = true;
            self.changed.notify_all();
            if !stays? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether the connection goes on afterwards.
    fn strike(
        &self,
        number: usize,
        fault: Fault,
        (host, request): (Host, Request),
        server: &mut Remote,
        client: &mut TcpStream,
    ) -> Result<bool> {
        match fault {
            Fault::KillBefore => self.kill(),
            Fault::KillAfter | Fault::KillTwice => {
                self.carry_out(number, host, &request, server)?;
                self.kill();
            }
            Fault::KillLate => {
                lock(&self.state).late = Some((server.address, host, request));
                self.kill();
            }
            Fault::AnswerLost => {
                self.carry_out(number, host, &request, server)?;
                client.shutdown(Shutdown::Both)?;
            }
            Fault::Reset => socket2::SockRef::from(&*client).set_linger(Some(Duration::ZERO))?,
            Fault::InternalError | Fault::Throttled | Fault::Garbage => {
                client.write_all(&fault.answer(host, number))?;
                return Ok(true);
            }
            Fault::GarbageAfter | Fault::ErrorAfter => {
                self.carry_out(number, host, &request, server)?;
                client.write_all(&fault.answer(host, number))?;
                return Ok(true);
            }
            Fault::Terminate => {
                self.terminate();
                client.write_all(&self.carry_out(number, host, &request, server)?)?;
                return Ok(true);
            }
            Fault::Stall => {
                let answer = self.carry_out(number, host, &request, server)?;
                thread::sleep(Fault::holds(&what(host, &request)));
                client.write_all(&answer)?;
                return Ok(true);
            }
            Fault::Overtaken | Fault::OvertakenLate => {
                drop(self.wait(|state| state.released));
                if fault == Fault::OvertakenLate {
                    thread::sleep(Fault::holds(&what(host, &request)));
                }
                client.write_all(&self.carry_out(number, host, &request, server)?)?;
                return Ok(true);
            }
            Fault::Together => {}
        }
        Ok(false)
    }

    fn enter(&self, host: Host, request: &Request) -> (usize, Option<Fault>) {
        let mut state = lock(&self.state);
        let number = state.calls.len() + 1;
        let fault = self
            .strike
            .filter(|(at, _)| *at == number)
            .map(|(_, fault)| fault);
        state.calls.push(Call {
            what: what(host, request),
            writes: writes(host, request),
            status: None,
            fault,
        });
        if fault.is_some() {
            state.arrived = true;
            self.changed.notify_all();
        }
        (number, fault)
    }

    fn carry_out(
        &self,
        number: usize,
        host: Host,
        request: &Request,
        server: &mut Remote,
    ) -> Result<Vec<u8>> {
        let answer = self
            .truth
            .judged(host, request, || server.exchange(&request.bytes))?;
        if let Some(call) = lock(&self.state).calls.get_mut(number - 1) {
            call.status = Some(answer.status);
        }
        Ok(answer.bytes)
    }

    fn kill(&self) {
        let mut state = self.wait(|state| state.process.is_some());
        if let Some(process) = state.process.as_mut() {
            process.kill().unwrap();
        }
    }

    fn terminate(&self) {
        let mut state = self.wait(|state| state.process.is_some());
        let id = state.process.as_ref().map(Child::id).unwrap_or_default();
        let sent = Command::new("kill").args(["-TERM", &id.to_string()]).status();
        assert!(sent.unwrap().success(), "SIGTERM could not be sent");
        state.terminated = Some(Instant::now());
    }
}

/// A request in one line, without its values.
fn what(host: Host, request: &Request) -> String {
    match host {
        Host::Aws => {
            let key = request.form("AccessKeyId").unwrap_or_default();
            let status = request.form("Status").unwrap_or_default();
            let action = request.form("Action").unwrap_or_default();
            format!("AWS {action} {key} {status}").trim_end().to_owned()
        }
        Host::GitLab => format!("GitLab {} {}", request.method, request.path),
    }
}

fn writes(host: Host, request: &Request) -> bool {
    match host {
        Host::Aws => matches!(
            request.form("Action").as_deref(),
            Some("CreateAccessKey" | "UpdateAccessKey" | "DeleteAccessKey")
        ),
        Host::GitLab => request.method != "GET",
    }
}

/// The lock also after a thread that held it has failed: it is the failure that is to be told, and not this.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
