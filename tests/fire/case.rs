//! One fault of one request of one run, and the clean runs after it.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use testbed::aws::{HeldKey, Pair};

use crate::fault::Fault;
use crate::gate::{Call, Passage, lock};
use crate::scene::{Scene, Signer};
use crate::truth::{QUOTA, Truth};

/// After SIGTERM a run is over within this.
const STOPS_WITHIN: Duration = Duration::from_secs(10);
/// From the fault to the end of the rotation.
pub(crate) const MOST_RUNS: usize = 15;

static RUNS: AtomicUsize = AtomicUsize::new(0);
static KILLED: AtomicUsize = AtomicUsize::new(0);

/// How many processes ran, and how many of them were killed.
pub(crate) fn processes() -> (usize, usize) {
    (RUNS.load(Ordering::Relaxed), KILLED.load(Ordering::Relaxed))
}

/// One process, from its start to its end.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) calls: Vec<Call>,
    stdout: String,
    stderr: String,
    stopped_after: Option<Duration>,
}

impl Ran {
    fn word(&self, name: &str) -> String {
        let report: Value = serde_json::from_str(&self.stdout).unwrap_or_default();
        report["rotations"][0][name]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

/// A user, a group, and what befalls their rotation.
pub(crate) struct Case {
    scene: Scene,
    /// Which request is struck, from 1.
    number: usize,
    fault: Option<Fault>,
    truth: Arc<Truth>,
    /// What running jobs hold.
    before: Pair,
    story: std::sync::Mutex<Vec<String>>,
    runs: AtomicUsize,
    traced: bool,
    pub(crate) over: bool,
}

impl Case {
    pub(crate) fn new(scene: Scene, number: usize, fault: Option<Fault>, truth: Truth) -> Case {
        Case {
            scene,
            number,
            fault,
            before: truth.pair(),
            truth: Arc::new(truth),
            story: std::sync::Mutex::default(),
            runs: AtomicUsize::new(0),
            traced: number.is_multiple_of(4),
            over: false,
        }
    }

    pub(crate) fn truth(&self) -> &Truth {
        &self.truth
    }

    pub(crate) fn is_slow(&self) -> bool {
        self.fault.is_some_and(Fault::is_slow)
    }

    /// How this case is run again by itself.
    pub(crate) fn label(&self) -> String {
        let fault = self.fault.map_or("none".to_owned(), |fault| fault.to_string());
        format!("{}/{}/{fault}", self.scene.name(), self.number)
    }

    /// What went wrong, with everything that happened; `None` when nothing did.
    pub(crate) fn violation(&self) -> Option<String> {
        let violations = self.truth.violations();
        (!violations.is_empty()).then(|| {
            format!(
                "{}\n  {}\n{}\n  again: KEYTURN_FIRE=only={}",
                self.label(),
                violations.join("\n  "),
                lock(&self.story).join("\n"),
                self.label(),
            )
        })
    }

    /// A clean run.
    pub(crate) fn run(&self, command: &str) -> Ran {
        self.pass(command, &Passage::new(&self.truth, None))
    }

    /// The run that is struck.
    pub(crate) fn strike(&mut self) {
        let Some(fault) = self.fault else { return };
        let command = self.scene.command();
        let strike = (fault != Fault::Together).then_some((self.number, fault));
        let passage = Passage::new(&self.truth, strike);
        let first = if fault.has_second_run() {
            thread::scope(|scope| {
                let first = scope.spawn(|| self.pass(command, &passage));
                if fault == Fault::Together || passage.arrives() {
                    self.run(command);
                }
                passage.release();
                first.join().unwrap()
            })
        } else {
            self.pass(command, &passage)
        };
        if fault != Fault::Together && !passage.concluded() {
            self.truth
                .violate(format!("the run had no request {}", self.number));
        }
        self.judge_struck(fault, &first);
        if fault == Fault::KillTwice {
            // Any other request will do, also one that this run does not come to.
            let second = self.number * 5 % 13 + 1;
            let ran = self.pass(
                command,
                &Passage::new(&self.truth, Some((second, Fault::KillAfter))),
            );
            KILLED.fetch_add(usize::from(ran.code.is_none()), Ordering::Relaxed);
        }
        if fault == Fault::KillLate {
            self.run(command);
            self.note("  … and the request that was held lands".to_owned());
            passage.land();
        }
    }

    fn judge_struck(&self, fault: Fault, ran: &Ran) {
        if ran.code == Some(0) && !fault.has_second_run() && !self.truth.works() {
            self.truth.violate("it ended well, and the pair does not work");
        }
        if fault.kills() {
            KILLED.fetch_add(1, Ordering::Relaxed);
            if ran.code.is_some() {
                self.truth
                    .violate(format!("it was killed, and ended with {:?}", ran.code));
            }
        }
        if fault == Fault::Terminate {
            let slow = ran.stopped_after.is_none_or(|after| after > STOPS_WITHIN);
            if slow || !matches!(ran.code, Some(0 | 4)) {
                self.truth.violate(format!(
                    "after SIGTERM it ended with {:?} in {:?}",
                    ran.code, ran.stopped_after
                ));
            }
        }
    }

    /// Without any time passing: at most two clean runs, after which everything works.
    pub(crate) fn heal(&mut self) {
        let command = self.scene.command();
        let mut ran = self.run(command);
        if ran.code != Some(0) || !self.truth.works() {
            ran = self.run(command);
        }
        self.judge_healed(&ran);
        if !self.scene.immediate && !self.truth.range.works(&self.before) {
            self.truth.violate("the pair of a running job was cut");
        }
    }

    /// One more run, some time later; whether the rotation is over by now.
    pub(crate) fn go_on(&mut self, rotate: bool) {
        let unturned = self.scene.rotates() && self.truth.pair().id == self.before.id;
        let ran = self.run(if rotate && self.scene.rotates() || unturned {
            "rotate"
        } else {
            "retire"
        });
        let (pair, keys) = (self.truth.pair(), self.judge_healed(&ran));
        let one = matches!(keys.as_slice(), [key] if key.id == pair.id && key.status == "Active");
        let turned = !self.scene.rotates() || pair.id != self.before.id;
        self.over = one && turned && ran.word("outcome") == "converged";
        if !self.over && self.runs.load(Ordering::Relaxed) >= MOST_RUNS {
            self.truth.violate(format!("no end: {keys:?}"));
        }
        self.over |= !self.truth.violations().is_empty();
    }

    /// The user's keys afterwards.
    fn judge_healed(&self, ran: &Ran) -> Vec<HeldKey> {
        if ran.code != Some(0) {
            self.truth
                .violate(format!("a clean run ended with {:?}", ran.code));
        }
        if !self.truth.works() {
            self.truth.violate("the pair that GitLab holds does not work");
        }
        let keys = self.truth.keys();
        if keys.len() > QUOTA {
            self.truth.violate("more keys than the quota");
        }
        keys
    }

    /// Runs the real binary through a gate to its end.
    fn pass(&self, command: &str, passage: &Arc<Passage>) -> Ran {
        let range = &self.truth.range;
        let gate = range.gate();
        gate.let_pass(passage);
        let signer = match self.scene.signer {
            Signer::Own => self.truth.pair(),
            Signer::Role => range.role(),
        };
        self.truth.keep_secret(&signer);
        let settings = self.settings(&signer, &gate.aws.to_string(), &gate.gitlab.to_string());
        let mut child = Command::new(env!("CARGO_BIN_EXE_keyturn"))
            .args([command, "--format", "json"])
            .env_clear()
            .envs(settings)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        passage.started(child);
        let log = thread::spawn(move || {
            let mut text = Vec::new();
            err.read_to_end(&mut text).unwrap();
            text
        });
        let mut stdout = Vec::new();
        out.read_to_end(&mut stdout).unwrap();
        let stderr = log.join().unwrap();
        let (code, terminated) = passage.ended();
        let stopped_after = terminated.map(|at| at.elapsed());
        let ran = Ran {
            code,
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
            calls: passage.calls(),
            stopped_after,
        };
        range.give_back(gate);
        RUNS.fetch_add(1, Ordering::Relaxed);
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.judge_output(command, &ran);
        ran
    }

    fn judge_output(&self, command: &str, ran: &Ran) {
        let calls: Vec<String> = ran.calls.iter().map(ToString::to_string).collect();
        let log = if self.traced { "" } else { ran.stderr.as_str() };
        self.note(format!(
            "  {command}: {:?}\n    {}\n{}{log}",
            ran.code,
            calls.join("\n    "),
            ran.stdout
        ));
        if self.truth.betrayed_by(&ran.stdout) || self.truth.betrayed_by(&ran.stderr) {
            self.truth.violate("a secret stands in the output");
        }
        if !matches!(ran.code, None | Some(0 | 3 | 4)) || ran.stderr.contains("panicked") {
            self.truth.violate(format!("it ended with {:?}", ran.code));
        }
        if ran.code.is_some() && serde_json::from_str::<Value>(&ran.stdout).is_err() {
            self.truth.violate("there is no report");
        }
    }

    fn settings(&self, signer: &Pair, aws: &str, gitlab: &str) -> BTreeMap<String, String> {
        let mut settings: BTreeMap<String, String> = [
            ("AWS_ENDPOINT_URL", format!("http://{aws}")),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("AWS_ACCESS_KEY_ID", signer.id.clone()),
            ("AWS_SECRET_ACCESS_KEY", signer.secret.clone()),
            ("GITLAB_API_URL", format!("http://{gitlab}/api/v4")),
            ("GITLAB_TOKEN", self.truth.token.clone()),
            ("GITLAB_GROUP_ID", self.truth.group.0.to_string()),
            ("KEYTURN_SETTLE", "0s".to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        let mut set = |name: &str, value: &str| settings.insert(name.to_owned(), value.to_owned());
        if let Some(token) = &signer.token {
            set("AWS_SESSION_TOKEN", token);
            set("AWS_IAM_USER", &self.truth.user);
        }
        if self.scene.immediate {
            set("KEYTURN_GRACE", "0s");
            set("KEYTURN_DELETE_AFTER", "0s");
        }
        if self.traced {
            set("KEYTURN_LOG", "trace");
        }
        settings
    }

    fn note(&self, what: String) {
        lock(&self.story).push(what);
    }
}
