//! The world in which a scene is played: a user `deploy` whose pair a group holds, a second user `release` with a pair of
//! its own, a role that may rotate deploy, and the people beside them.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testbed::aws::{ACCOUNT, HeldKey, Pair};
use testbed::gitlab::{Container, Variable};
use testbed::lab::{Lab, Ran, USER, policy};

use crate::case::{Held, binary};

pub(crate) const ID: &str = "AWS_ACCESS_KEY_ID";
pub(crate) const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
pub(crate) const RELEASE: &str = "release";
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(60 * 60);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Longer than a run takes in any scene.
const PATIENCE: Duration = Duration::from_secs(60);
const ROLE: &str = "rotate";
const ISSUER: &str = "https://gitlab.example.com";
/// A token of that issuer, good until 2100. Signatures of tokens aren't checked here.
const ID_TOKEN: &str = concat!(
    "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.",
    "eyJpc3MiOiJodHRwczovL2dpdGxhYi5leGFtcGxlLmNvbSIsImF1ZCI6Imh0dHBzOi8vZ2l0bGFiLmV4YW1wbGUuY29tIiwic3ViIjoi",
    "cHJvamVjdF9wYXRoOnBsYXRmb3JtL3JvdGF0aW9uOnJlZl90eXBlOmJyYW5jaDpyZWY6bWFpbiIsImV4cCI6NDEwMjQ0NDgwMH0.",
    "bm9ib2R5IGNoZWNrcw"
);

/// Labs that no scene uses at present.
static IDLE: Mutex<Vec<Lab>> = Mutex::new(Vec::new());

/// A world of a scene's own.
pub(crate) struct World {
    pub(crate) lab: Lab,
    /// Release's pair, which nothing holds at first.
    pub(crate) release: Pair,
    /// May rotate deploy.
    role: String,
    users: Mutex<Vec<String>>,
}

/// The environment of a run.
#[derive(Clone)]
pub(crate) struct Settings(BTreeMap<String, String>);

/// A run that has begun. It is killed when it is dropped.
pub(crate) struct Started {
    child: Child,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
}

/// All that a run could have changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    changes: usize,
    issued: usize,
    keys: BTreeMap<String, Vec<HeldKey>>,
}

impl World {
    pub(crate) async fn start() -> World {
        let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let lab = match idle {
            Some(mut lab) => {
                lab.again().await.unwrap();
                lab
            }
            None => Lab::start(binary()).await.unwrap(),
        };
        let of_itself = policy("self-rotation").unwrap();
        lab.aws.add_user(RELEASE, Some(&of_itself)).await.unwrap();
        let release = lab.aws.add_key(RELEASE, DAY * 40).await.unwrap();
        let trust = serde_json::from_str(&policy("gitlab-trust").unwrap()).unwrap();
        let role = lab
            .aws
            .web_identity_role_trusting(ROLE, ISSUER, &trust, &of_role(&[USER]))
            .await
            .unwrap();
        World {
            lab,
            release,
            role,
            users: Mutex::new(vec![USER.to_owned(), RELEASE.to_owned()]),
        }
    }

    /// Leaves the stand-ins to the next scene. A scene that was broken may have left something running: its stand-ins end.
    pub(crate) fn end(self) {
        IDLE.lock().unwrap_or_else(PoisonError::into_inner).push(self.lab);
    }

    /// A further user.
    pub(crate) async fn add_user(&self, name: &str, policy: Option<&str>) {
        self.lab.aws.add_user(name, policy).await.unwrap();
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        users.push(name.to_owned());
    }

    /// The role may rotate these users.
    pub(crate) async fn role_may_rotate(&self, users: &[&str]) {
        self.lab.aws.allow_role(ROLE, &of_role(users)).await.unwrap();
    }

    /// A run that the role signs, which names deploy.
    pub(crate) fn by_role(&self) -> Settings {
        self.without_credentials()
            .with("KEYTURN_ID_TOKEN", ID_TOKEN)
            .with("AWS_ROLE_ARN", &self.role)
            .with("AWS_IAM_USER", USER)
    }

    /// A run that this pair signs, which names no user.
    pub(crate) fn signed_by(&self, pair: &Pair) -> Settings {
        self.without_credentials()
            .with(ID, &pair.id)
            .with(SECRET, &pair.secret)
    }

    /// A run that is signed by the pair that a job gets at present.
    pub(crate) fn by_itself(&self) -> Settings {
        self.signed_by(&self.pair())
    }

    fn without_credentials(&self) -> Settings {
        let settings = Settings(self.lab.settings(&self.lab.old));
        settings.without(ID).without(SECRET)
    }

    /// Runs to the end.
    pub(crate) async fn run(&self, command: &str, settings: &Settings) -> Ran {
        self.begin(command, settings).ended().await
    }

    /// A run that only prepares the scene, and does what it is asked for.
    pub(crate) async fn does(&self, command: &str, settings: &Settings) -> Ran {
        let ran = self.run(command, settings).await;
        assert_eq!(ran.code, Some(0), "{command}: {}", told(&ran));
        ran
    }

    /// A run that hasn't begun.
    pub(crate) fn command(&self, command: &str, settings: &Settings) -> Command {
        self.lab.command(&[command, "--format", "json"], &settings.0)
    }

    /// Begins a run.
    pub(crate) fn begin(&self, command: &str, settings: &Settings) -> Started {
        let mut command = self.command(command, settings);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Started {
            child,
            stdout: Some(std::thread::spawn(|| text(stdout))),
            stderr: Some(std::thread::spawn(|| text(stderr))),
        }
    }

    pub(crate) async fn advance(&self, by: Duration) {
        self.lab.advance(by).await.unwrap();
    }

    /// A full round of deploy's: a new pair is published, and the old key is gone.
    pub(crate) async fn rotates_fully(&self, settings: &Settings) {
        self.does("rotate", settings).await;
        for later in [HOUR * 25, DAY * 8] {
            self.advance(later).await;
            self.does("retire", settings).await;
        }
        let keys = self.lab.aws.keys(USER).await.unwrap();
        assert_eq!(keys.len(), 1, "{keys:?}");
    }

    /// Whether STS accepts exactly the two values that the group holds by the usual names. It is a use of the key.
    pub(crate) async fn works(&self) -> Held {
        self.accepted(&self.pair()).await
    }

    /// Whether STS accepts this pair. It is a use of the key.
    pub(crate) async fn accepted(&self, pair: &Pair) -> Held {
        must(self.lab.aws.works(pair).await, || {
            format!("the pair does not work: {:?} and the secret beside it", pair.id)
        })
    }

    /// The pair that jobs of the group would get by the usual names.
    pub(crate) fn pair(&self) -> Pair {
        self.pair_of(self.lab.group, [ID, SECRET])
    }

    /// The pair that jobs of this container would get by these names; what is missing is empty.
    pub(crate) fn pair_of(&self, container: impl Into<Container>, names: [&str; 2]) -> Pair {
        let mut seen = self.lab.gitlab.job_sees(container, &names, true).into_iter();
        let mut next = || seen.next().flatten().unwrap_or_default();
        Pair {
            id: next(),
            secret: next(),
            token: None,
        }
    }

    /// The status of a key of this user; nothing when it is gone.
    pub(crate) async fn status(&self, user: &str, id: &str) -> Option<String> {
        let keys = self.lab.aws.keys(user).await.unwrap();
        keys.into_iter().find(|key| key.id == id).map(|key| key.status)
    }

    /// A key was last used so long ago.
    pub(crate) async fn used(&self, id: &str, ago: Duration) {
        let body = json!({"id": id, "ago": ago.as_secs()});
        self.lab.aws.control("POST", "used", Some(body)).await.unwrap();
    }

    pub(crate) async fn snapshot(&self) -> Snapshot {
        let users = self.users.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut keys = BTreeMap::new();
        for user in users {
            keys.insert(user.clone(), self.lab.aws.keys(&user).await.unwrap());
        }
        let issued = self.lab.aws.issued().unwrap();
        Snapshot {
            changes: self.lab.gitlab.world(|gitlab| gitlab.changes().len()),
            issued: issued.iter().filter(|pair| pair.token.is_none()).count(),
            keys,
        }
    }

    /// Nothing was created, written, deactivated or deleted since.
    pub(crate) async fn untouched_since(&self, before: &Snapshot) -> Held {
        let now = self.snapshot().await;
        must(now.issued == before.issued, || "a key was created".to_owned())?;
        must(now.keys == before.keys, || {
            format!("keys were changed: {:?}, and before: {:?}", now.keys, before.keys)
        })?;
        must(now.changes == before.changes, || {
            let changes = self.lab.gitlab.world(|gitlab| gitlab.changes().to_vec());
            let written: Vec<String> = changes[before.changes..]
                .iter()
                .map(|change| format!("{:?} {}", change.action, change.key))
                .collect();
            format!("variables were written: {}", written.join(", "))
        })
    }

    /// Both `plan` and `rotate` end so, and change nothing; the pair goes on working.
    pub(crate) async fn is_refused(&self, settings: &Settings, codes: &[i32]) -> Held {
        let before = self.snapshot().await;
        let planned = self.run("plan", settings).await;
        let ran = self.run("rotate", settings).await;
        let untouched = self.untouched_since(&before).await;
        untouched.map_err(|why| format!("rotate: {why}\n{}", told(&ran)))?;
        for (command, ran) in [("rotate", ran), ("plan", planned)] {
            ended(&ran, codes).map_err(|why| format!("{command}: {why}"))?;
        }
        Ok(())
    }

    /// What a person does: another value, and nothing else is changed.
    pub(crate) fn sets(&self, container: impl Into<Container>, name: &str, value: &str) {
        let container = container.into();
        self.lab.gitlab.world(|gitlab| {
            let before = gitlab.variable(container, name, "*").unwrap();
            let value = value.to_owned();
            gitlab.set_variable(container, Variable { value, ..before });
        });
    }

    /// The secret is masked and hidden from now on.
    pub(crate) fn hides(&self, container: impl Into<Container>, name: &str) {
        let container = container.into();
        self.lab.gitlab.world(|gitlab| {
            let before = gitlab.variable(container, name, "*").unwrap();
            let hidden = Variable {
                hidden: true,
                masked: true,
                ..before
            };
            gitlab.set_variable(container, hidden);
        });
    }

    pub(crate) fn removes(&self, container: impl Into<Container>, names: [&str; 2]) {
        let container = container.into();
        self.lab.gitlab.world(|gitlab| {
            for name in names {
                gitlab.remove_variable(container, name, "*");
            }
        });
    }

    /// A pair as credentials should be kept.
    pub(crate) fn keeps(&self, container: impl Into<Container>, names: [&str; 2], pair: &Pair) {
        let container = container.into();
        self.lab.gitlab.world(|gitlab| {
            gitlab.set_variable(container, Variable::credential(names[0], &pair.id));
            gitlab.set_variable(container, Variable::credential(names[1], &pair.secret));
        });
    }
}

impl Settings {
    pub(crate) fn with(mut self, name: &str, value: &str) -> Settings {
        self.0.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Settings {
        self.0.remove(name);
        self
    }
}

impl Started {
    /// Its end. A run that takes too long is killed, and has no exit code.
    pub(crate) async fn ended(mut self) -> Ran {
        let begun = Instant::now();
        let code = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status.code();
            }
            if begun.elapsed() > PATIENCE {
                self.child.kill().unwrap();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let told = |thread: Option<JoinHandle<String>>| thread.unwrap().join().unwrap();
        Ran {
            code,
            stdout: told(self.stdout.take()),
            stderr: told(self.stderr.take()),
        }
    }

    /// Kills it at once.
    pub(crate) async fn killed(mut self) -> Ran {
        self.child.kill().unwrap();
        self.ended().await
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(mut stream: impl Read) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The policy of `docs/policies`, for these users.
fn of_role(users: &[&str]) -> String {
    let mut policy: Value = serde_json::from_str(&policy("role").unwrap()).unwrap();
    let arns: Vec<String> = users
        .iter()
        .map(|user| format!("arn:aws:iam::{ACCOUNT}:user/{user}"))
        .collect();
    policy["Statement"][0]["Resource"] = json!(arns);
    policy.to_string()
}

/// What must be, or else why it isn't.
pub(crate) fn must(holds: bool, why: impl FnOnce() -> String) -> Held {
    if holds { Ok(()) } else { Err(why()) }
}

/// The run ended with one of these codes.
pub(crate) fn ended(ran: &Ran, codes: &[i32]) -> Held {
    must(ran.code.is_some_and(|code| codes.contains(&code)), || {
        let wanted: Vec<String> = codes.iter().map(i32::to_string).collect();
        let code = ran
            .code
            .map_or("no exit code".to_owned(), |code| format!("exit {code}"));
        format!(
            "{code} ({}), not {}\n{}",
            reason(ran),
            wanted.join(" or "),
            told(ran)
        )
    })
}

/// What a run said, for people who ask why a case is red.
pub(crate) fn told(ran: &Ran) -> String {
    format!("exit {:?}\n{}{}", ran.code, ran.stderr, ran.stdout)
}

/// The report's part of the only rotation.
pub(crate) fn rotation(ran: &Ran) -> Value {
    let report: Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
    report["rotations"][0].clone()
}

/// Its reason word.
pub(crate) fn reason(ran: &Ran) -> String {
    rotation(ran)["reason"].as_str().unwrap_or_default().to_owned()
}

/// Its message, its advice or a warning says this.
pub(crate) fn says(ran: &Ran, text: &str) -> bool {
    let rotation = rotation(ran);
    ["message", "advice", "warnings"]
        .iter()
        .any(|part| rotation[part].to_string().contains(text))
}

/// Waits until the world shows this, or says that it never did.
macro_rules! until {
    ($holds:expr, $what:literal) => {{
        let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
        loop {
            if $holds {
                break Ok(());
            }
            if std::time::Instant::now() > end {
                break Err(concat!("it never came to this: ", $what).to_owned());
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }};
}
pub(crate) use until;
