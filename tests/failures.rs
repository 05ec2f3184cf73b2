//! Every failure in the middle of a rotation, with the real binary: the pair that GitLab holds goes on working, or
//! works again after the next runs, and in the end there is one key.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testbed::aws::Pair;
use testbed::gitlab::{Answer, Effect, Fault, OverwrittenRow, Scope, Token, Variable};
use testbed::lab::{Lab, Ran, USER, policy};

const ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
/// More requests than one run sends.
const AS_LONG_AS_IT_RUNS: u32 = 30;
const HOUR: Duration = Duration::from_secs(60 * 60);
const MINUTE: Duration = Duration::from_secs(60);

type Settings = BTreeMap<String, String>;

/// Whose credentials sign the runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Signer {
    /// The pair that GitLab holds, as it holds it.
    Own,
    /// A role of another workload.
    Role,
}

/// A lab, a signer and what stays the same in all runs.
struct World {
    lab: Lab,
    signer: Signer,
    immediate: bool,
    roles: Cell<u32>,
}

impl World {
    async fn start(signer: Signer, immediate: bool) -> World {
        let lab = Lab::start(env!("CARGO_BIN_EXE_keyturn").into()).await.unwrap();
        World {
            lab,
            signer,
            immediate,
            roles: Cell::new(0),
        }
    }

    /// The settings of the next run, with credentials as they are at that time.
    async fn settings(&self) -> Settings {
        let signer = match self.signer {
            Signer::Own => self.lab.pair(),
            Signer::Role => {
                self.roles.set(self.roles.get() + 1);
                let policy = policy("role")
                    .unwrap()
                    .replace("user/ci-deployer", &format!("user/{USER}"));
                let name = format!("rotator-{}", self.roles.get());
                self.lab.aws.role(&name, &policy).await.unwrap()
            }
        };
        let mut settings = self.lab.settings(&signer);
        if self.immediate {
            settings.insert("KEYTURN_GRACE".into(), "0s".into());
            settings.insert("KEYTURN_DELETE_AFTER".into(), "0s".into());
        }
        settings
    }

    async fn run(&self, command: &str) -> Ran {
        self.lab
            .run(&[command, "--format", "json"], &self.settings().await)
            .unwrap()
    }

    async fn spawn(&self) -> Child {
        spawn(&self.lab, &self.settings().await)
    }

    async fn works(&self) -> bool {
        self.lab.aws.works(&self.lab.pair()).await
    }

    async fn key_count(&self) -> usize {
        self.lab.aws.keys(USER).await.unwrap().len()
    }

    /// The pair that GitLab held at first, for as long as running jobs may hold it.
    async fn old_works(&self) -> bool {
        self.immediate || self.lab.aws.works(&self.lab.old).await
    }

    /// No fault is left armed.
    async fn mend(&self) {
        self.lab.aws.control("DELETE", "fault", None).await.unwrap();
        self.lab
            .aws
            .control("POST", "clock", Some(json!({"visible": 0, "linger": 0})))
            .await
            .unwrap();
        // Requests of a stranger use up what is left; none of them changes anything.
        let stranger = reqwest::Client::builder().no_proxy().build().unwrap();
        let variables = format!("{}/groups/{}/variables", self.lab.gitlab.url(), self.lab.group.0);
        while let Some(fault) = self.lab.gitlab.waiting_faults().first() {
            let name = fault.path_suffix.rsplit('/').next().unwrap_or_default();
            let _ = stranger.put(format!("{variables}/{name}")).send().await;
        }
    }

    /// After whatever happened in the first run: two runs, then time, then the end of the old key.
    async fn heals(&self, may_be_torn: bool) {
        assert!(
            may_be_torn || self.works().await,
            "the pair stopped working in the first run"
        );
        assert!(self.old_works().await, "a job's pair was cut");
        assert!(self.key_count().await <= 2);
        self.mend().await;
        let mut last = self.run("rotate").await;
        if last.code != Some(0) || !self.works().await {
            last = self.run("rotate").await;
        }
        assert_eq!(last.code, Some(0), "{last:?}");
        assert!(self.works().await, "{last:?}");
        assert!(self.old_works().await, "a job's pair was cut: {last:?}");
        assert!(self.key_count().await <= 2);
        self.converges().await;
    }

    async fn converges(&self) {
        self.lab.advance(HOUR + MINUTE * 5).await.unwrap();
        let ran = self.run("rotate").await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(self.works().await, "{ran:?}");
        let mut said = Vec::new();
        let mut command = "retire";
        for _ in 0..14 {
            self.lab.advance(HOUR * 25).await.unwrap();
            let ran = self.run(command).await;
            command = "retire";
            assert_eq!(ran.code, Some(0), "{ran:?}");
            assert!(self.works().await, "{ran:?}");
            let outcome = word(&ran, "outcome");
            if outcome == "converged" && self.key_count().await == 1 {
                let (pair, keys) = (self.lab.pair(), self.lab.aws.keys(USER).await.unwrap());
                assert_eq!(
                    (keys[0].id.as_str(), keys[0].status.as_str()),
                    (pair.id.as_str(), "Active")
                );
                if pair.id != self.lab.old.id {
                    return;
                }
                // The key of the failed run is gone, and its place is free.
                command = "rotate";
            }
            said.push(format!("{outcome} {}", word(&ran, "reason")));
        }
        panic!("no end: {said:?}, {:?}", self.lab.aws.keys(USER).await.unwrap());
    }
}

fn spawn(lab: &Lab, settings: &Settings) -> Child {
    lab.command(&["rotate", "--format", "json"], settings)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn report(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

fn word(ran: &Ran, name: &str) -> String {
    report(ran)["rotations"][0][name]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn status(status: u16) -> Answer {
    if status == 500 {
        return Answer::InternalError;
    }
    let body = match status {
        400 => r#"{"message":{"value":["is invalid"]}}"#,
        401 => r#"{"message":"401 Unauthorized"}"#,
        _ => r#"{"message":"404 Variable Not Found"}"#,
    };
    Answer::Custom {
        status,
        headers: BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]),
        body: body.to_owned(),
    }
}

fn put(variable: &str, effect: Effect) -> Fault {
    Fault::on("PUT", &format!("/variables/{variable}"), effect)
}

/// Waits until the world shows what it should while a run is held up.
macro_rules! until {
    ($holds:expr) => {{
        let end = Instant::now() + Duration::from_secs(20);
        while !$holds {
            assert!(Instant::now() < end, "it never came to this");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }};
}

/// A first run that ends by itself, with these faults of GitLab.
async fn gitlab_fails(signer: Signer, faults: Vec<Fault>, may_be_torn: bool) {
    let world = World::start(signer, false).await;
    for fault in faults {
        world.lab.gitlab.fault(fault);
    }
    let ran = world.run("rotate").await;
    let calls = world.lab.gitlab.journal();
    assert!(calls.iter().any(|call| call.fault.is_some()), "no fault: {ran:?}");
    world.heals(may_be_torn).await;
}

/// A first run that ends by itself, with a fault of AWS.
async fn aws_fails(signer: Signer, immediate: bool, fault: Value) {
    let world = World::start(signer, immediate).await;
    world.lab.aws.fault(fault).await.unwrap();
    let ran = world.run("rotate").await;
    let left = world.lab.aws.control("GET", "faults", None).await.unwrap();
    assert_eq!(left, json!([]), "{ran:?}");
    world.heals(false).await;
}

async fn slow(signer: Signer, clock: Value) {
    let world = World::start(signer, true).await;
    world.lab.aws.control("POST", "clock", Some(clock)).await.unwrap();
    let ran = world.run("rotate").await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    world.heals(false).await;
}

async fn killed_after_create(signer: Signer) {
    let world = World::start(signer, false).await;
    let hold = json!({"action": "CreateAccessKey", "mode": "delay", "seconds": 3, "apply_first": true});
    world.lab.aws.fault(hold).await.unwrap();
    let mut child = world.spawn().await;
    until!(world.key_count().await == 2);
    child.kill().unwrap();
    child.wait().unwrap();
    world.heals(false).await;
}

/// Held after GitLab applied the write, and killed there.
async fn killed_after_put(signer: Signer, variable: &str, torn: bool) {
    let world = World::start(signer, false).await;
    world
        .lab
        .gitlab
        .fault(put(variable, Effect::Stall { millis: 3000 }));
    let mut child = world.spawn().await;
    let old = &world.lab.old;
    until!(match variable {
        ID => world.lab.pair().id != old.id,
        _ => world.lab.pair().secret != old.secret,
    });
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(world.works().await, !torn);
    world.heals(torn).await;
}

/// Killed with the write of the secret on its way; it lands after the run is dead.
async fn killed_before_put_lands(signer: Signer) {
    let world = World::start(signer, false).await;
    world
        .lab
        .gitlab
        .fault(put(SECRET, Effect::Delay { millis: 2000 }));
    let mut child = world.spawn().await;
    until!(world.lab.gitlab.waiting_faults().is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(world.works().await);
    until!(world.lab.pair().secret != world.lab.old.secret);
    world.heals(true).await;
}

async fn killed_between_deactivate_and_delete(signer: Signer) {
    let world = World::start(signer, true).await;
    let hold = json!({"action": "UpdateAccessKey", "mode": "delay", "seconds": 3, "apply_first": true});
    world.lab.aws.fault(hold).await.unwrap();
    let mut child = world.spawn().await;
    until!(
        world
            .lab
            .aws
            .keys(USER)
            .await
            .unwrap()
            .iter()
            .any(|key| key.status == "Inactive")
    );
    child.kill().unwrap();
    child.wait().unwrap();
    world.heals(false).await;
}

async fn terminated_between_the_puts(signer: Signer) {
    let world = World::start(signer, false).await;
    world
        .lab
        .gitlab
        .fault(put(SECRET, Effect::Stall { millis: 2000 }));
    let child = world.spawn().await;
    until!(world.lab.pair().secret != world.lab.old.secret);
    let sent = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(
        (ran.code, word(&ran, "reason").as_str()),
        (Some(4), "interrupted")
    );
    assert_ne!(world.lab.pair().id, world.lab.old.id);
    world.heals(false).await;
}

/// The token ends while the key is being created, and works again for the next run.
async fn token_ends_in_the_middle(signer: Signer) {
    let world = World::start(signer, false).await;
    let hold = json!({"action": "CreateAccessKey", "mode": "delay", "seconds": 2, "apply_first": true});
    world.lab.aws.fault(hold).await.unwrap();
    let child = world.spawn().await;
    until!(world.key_count().await == 2);
    let revoke = |revoked| {
        world.lab.gitlab.world(|gitlab| {
            gitlab.alter_token(&world.lab.token, |token| token.revoked = revoked);
        });
    };
    revoke(true);
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert!(matches!(ran.code, Some(3 | 4)), "{ran:?}");
    revoke(false);
    world.heals(false).await;
}

/// Both signers, each a test of its own so that they run side by side.
macro_rules! rows {
    ($($name:ident: $signer:ident => $run:expr;)*) => {$(
        mod $name {
            use super::*;

            async fn row($signer: Signer) {
                $run.await;
            }

            #[tokio::test]
            async fn signed_by_the_pair_itself() {
                row(Signer::Own).await;
            }

            #[tokio::test]
            async fn signed_by_a_role() {
                row(Signer::Role).await;
            }
        }
    )*};
}

rows! {
    secret_500: s => gitlab_fails(s, vec![put(SECRET, Effect::answer(status(500))).times(AS_LONG_AS_IT_RUNS)], false);
    secret_401: s => gitlab_fails(s, vec![put(SECRET, Effect::answer(status(401))).times(AS_LONG_AS_IT_RUNS)], false);
    secret_400: s => gitlab_fails(s, vec![put(SECRET, Effect::answer(status(400))).times(AS_LONG_AS_IT_RUNS)], false);
    secret_404: s => gitlab_fails(s, vec![put(SECRET, Effect::answer(status(404))).times(AS_LONG_AS_IT_RUNS)], false);
    id_500: s => gitlab_fails(s, vec![put(ID, Effect::answer(status(500))).times(AS_LONG_AS_IT_RUNS)], true);
    id_401: s => gitlab_fails(s, vec![put(ID, Effect::answer(status(401))).times(AS_LONG_AS_IT_RUNS)], true);
    id_400: s => gitlab_fails(s, vec![put(ID, Effect::answer(status(400))).times(AS_LONG_AS_IT_RUNS)], true);
    id_404: s => gitlab_fails(s, vec![put(ID, Effect::answer(status(404))).times(AS_LONG_AS_IT_RUNS)], true);
    every_put_500: s => gitlab_fails(s, vec![
        put(SECRET, Effect::answer(status(500))).times(AS_LONG_AS_IT_RUNS),
        put(ID, Effect::answer(status(500))).times(AS_LONG_AS_IT_RUNS),
    ], false);
    every_put_401: s => gitlab_fails(s, vec![
        put(SECRET, Effect::answer(status(401))).times(AS_LONG_AS_IT_RUNS),
        put(ID, Effect::answer(status(401))).times(AS_LONG_AS_IT_RUNS),
    ], false);
    token_revoked: s => token_ends_in_the_middle(s);
    secret_dropped_before: s => gitlab_fails(s, vec![put(SECRET, Effect::drop_before())], false);
    secret_dropped_after: s => gitlab_fails(s, vec![put(SECRET, Effect::drop_after())], false);
    id_dropped_before: s => gitlab_fails(s, vec![put(ID, Effect::drop_before())], false);
    id_dropped_after: s => gitlab_fails(s, vec![put(ID, Effect::drop_after())], false);
    id_always_dropped_after: s => gitlab_fails(s, vec![put(ID, Effect::drop_after()).times(AS_LONG_AS_IT_RUNS)], false);
    secret_always_dropped_after: s => gitlab_fails(s, vec![put(SECRET, Effect::drop_after()).times(AS_LONG_AS_IT_RUNS)], true);
    create_dropped_before: s => aws_fails(s, false, json!({"action": "CreateAccessKey", "mode": "before"}));
    create_dropped_after: s => aws_fails(s, false, json!({"action": "CreateAccessKey", "mode": "after"}));
    create_throttled: s => aws_fails(s, false, json!({"action": "CreateAccessKey", "mode": "error"}));
    update_throttled: s => aws_fails(s, true, json!({"action": "UpdateAccessKey", "mode": "error"}));
    delete_answer_lost: s => aws_fails(s, true, json!({"action": "DeleteAccessKey", "mode": "after"}));
    key_visible_late: s => slow(s, json!({"visible": 4}));
    deactivation_late: s => slow(s, json!({"linger": 4}));
    killed_create: s => killed_after_create(s);
    killed_before_secret_lands: s => killed_before_put_lands(s);
    killed_between_puts: s => killed_after_put(s, SECRET, true);
    killed_both_puts: s => killed_after_put(s, ID, false);
    killed_deactivated: s => killed_between_deactivate_and_delete(s);
    terminated: s => terminated_between_the_puts(s);
}

#[tokio::test]
async fn immediate_mode_retires_in_one_run_signed_by_the_new_key() {
    let world = World::start(Signer::Own, true).await;
    let ran = world.run("rotate").await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let new = world.lab.pair();
    assert!(new.id != world.lab.old.id && world.works().await);
    let journal = world.lab.aws.journal().await.unwrap();
    for action in ["UpdateAccessKey", "DeleteAccessKey"] {
        let signers: Vec<&String> = journal
            .iter()
            .filter(|(called, _)| called == action)
            .map(|(_, key)| key)
            .collect();
        assert_eq!(signers, [&new.id], "{action}");
    }
    assert_eq!(world.key_count().await, 1);
    world.converges().await;
}

#[tokio::test]
async fn two_rotations_at_once_end_well() {
    for signer in [Signer::Own, Signer::Role] {
        let world = World::start(signer, false).await;
        let (one, other) = (world.spawn().await, world.spawn().await);
        for child in [one, other] {
            let ran = Ran::from(child.wait_with_output().unwrap());
            assert!(matches!(ran.code, Some(0 | 3 | 4)), "{ran:?}");
        }
        assert!(world.key_count().await <= 3);
        world.heals(false).await;
    }
}

#[tokio::test]
async fn only_the_own_scope_is_written() {
    for overwritten in [OverwrittenRow::LowestId, OverwrittenRow::HighestId] {
        let world = World::start(Signer::Role, false).await;
        let lab = &world.lab;
        let production = |name: &str, value: &str| Variable {
            environment_scope: "production".into(),
            ..Variable::credential(name, value)
        };
        let before = lab.gitlab.world(|gitlab| {
            gitlab.settings.overwritten = overwritten;
            let rows = [
                production(ID, "AKIAIOSFODNN7EXAMPLE"),
                production(SECRET, "another-secret-of-another-key-entirely-x"),
            ];
            for row in rows {
                gitlab.set_variable(lab.group, row);
            }
            [ID, SECRET].map(|name| gitlab.variable(lab.group, name, "production"))
        });
        let ran = world.run("rotate").await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let after = lab
            .gitlab
            .world(|gitlab| [ID, SECRET].map(|name| gitlab.variable(lab.group, name, "production")));
        assert_eq!(before, after);
        assert!(lab.pair().id != lab.old.id && world.works().await);
    }
}

#[tokio::test]
async fn a_project_rotates() {
    let world = World::start(Signer::Role, false).await;
    let lab = &world.lab;
    let (project, token) = lab.gitlab.world(|gitlab| {
        let project = gitlab.add_project("platform/app");
        gitlab.set_variable(project, Variable::credential(ID, &lab.old.id));
        gitlab.set_variable(project, Variable::credential(SECRET, &lab.old.secret));
        (project, gitlab.add_token(Token::maintainer(project)))
    });
    let mut settings = world.settings().await;
    settings.remove("GITLAB_GROUP_ID");
    settings.insert("GITLAB_PROJECT_ID".into(), project.0.to_string());
    settings.insert("GITLAB_TOKEN".into(), token);
    let ran = lab.run(&["rotate", "--format", "json"], &settings).unwrap();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let seen = lab.gitlab.job_sees(project, &[ID, SECRET], true);
    let pair = Pair {
        id: seen[0].clone().unwrap(),
        secret: seen[1].clone().unwrap(),
        token: None,
    };
    assert!(pair.id != lab.old.id && lab.aws.works(&pair).await);
    assert_eq!(lab.pair(), lab.old, "the group was not asked for");
}

async fn writes(lab: &Lab) -> Vec<String> {
    let aws = lab.aws.journal().await.unwrap();
    let aws = aws.into_iter().map(|(action, _)| action).filter(|action| {
        ["CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey"].contains(&action.as_str())
    });
    let gitlab = lab.gitlab.journal().into_iter();
    let gitlab = gitlab
        .filter(|call| call.method != "GET")
        .map(|call| format!("{} {}", call.method, call.path));
    aws.chain(gitlab).collect()
}

#[tokio::test]
async fn plan_changes_nothing_and_only_needs_to_read() {
    let world = World::start(Signer::Own, false).await;
    let lab = &world.lab;
    let reader = lab.gitlab.world(|gitlab| {
        gitlab.add_token(Token {
            scopes: vec![Scope::ReadApi],
            ..Token::owner(lab.group)
        })
    });
    let mut settings = world.settings().await;
    settings.insert("GITLAB_TOKEN".into(), reader);
    let ran = lab.run(&["plan", "--format", "json"], &settings).unwrap();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        report(&ran)["rotations"][0]["steps"]
            .as_array()
            .is_some_and(|steps| !steps.is_empty()),
        "{ran:?}"
    );
    assert_eq!(writes(lab).await, Vec::<String>::new());
    assert_eq!(lab.pair(), lab.old);
    let refused = lab.run(&["rotate", "--format", "json"], &settings).unwrap();
    assert_eq!(
        (refused.code, word(&refused, "reason").as_str()),
        (Some(3), "token_scope")
    );
    assert_eq!(writes(lab).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_second_rotation_waits_and_writes_nothing() {
    for signer in [Signer::Own, Signer::Role] {
        let world = World::start(signer, false).await;
        assert_eq!(world.run("rotate").await.code, Some(0));
        let settings = world.settings().await;
        let before = writes(&world.lab).await;
        let ran = world.lab.run(&["rotate", "--format", "json"], &settings).unwrap();
        assert_eq!((ran.code, word(&ran, "outcome").as_str()), (Some(0), "waiting"));
        assert_eq!(writes(&world.lab).await, before);
    }
}

#[tokio::test]
async fn a_rotation_needs_few_requests() {
    let world = World::start(Signer::Role, false).await;
    let settings = world.settings().await;
    world.lab.aws.control("DELETE", "journal", None).await.unwrap();
    let ran = world.lab.run(&["rotate"], &settings).unwrap();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let aws = world.lab.aws.journal().await.unwrap();
    let aws = aws.into_iter().map(|(action, _)| format!("AWS {action}"));
    let gitlab = world.lab.gitlab.journal().into_iter();
    let all: Vec<String> = gitlab
        .map(|call| format!("GitLab {} {}", call.method, call.path))
        .chain(aws)
        .collect();
    println!("{} requests:\n{}", all.len(), all.join("\n"));
    assert!(all.len() <= 20, "{all:?}");
}

/// The side of Lambda's Runtime API that a function sees: one event, and then silence.
struct Runtime {
    address: String,
    answers: mpsc::Receiver<(String, Value)>,
}

impl Runtime {
    fn start(event: &Value) -> Runtime {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (send, answers) = mpsc::channel();
        let events = std::sync::Arc::new(std::sync::Mutex::new(Some(event.to_string())));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (send, events) = (send.clone(), events.clone());
                std::thread::spawn(move || serve(stream.unwrap(), &events, &send));
            }
        });
        Runtime { address, answers }
    }

    /// Lets the function answer the event: `response` or `error`, and its body.
    fn invoke(&self, lab: &Lab, mut settings: Settings) -> (String, Value) {
        for (name, value) in [
            ("AWS_LAMBDA_RUNTIME_API", self.address.as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", "keyturn"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ] {
            settings.insert(name.to_owned(), value.to_owned());
        }
        let mut child = lab
            .command(&[], &settings)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let answer = self.answers.recv_timeout(Duration::from_secs(60));
        child.kill().unwrap();
        child.wait().unwrap();
        answer.unwrap()
    }
}

fn serve(
    stream: TcpStream,
    events: &std::sync::Mutex<Option<String>>,
    answers: &mpsc::Sender<(String, Value)>,
) {
    let mut out = stream.try_clone().unwrap();
    let mut lines = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if lines.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let mut length = 0;
        loop {
            let mut header = String::new();
            lines.read_line(&mut header).unwrap();
            let Some((name, value)) = header.trim().split_once(':') else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        lines.read_exact(&mut body).unwrap();
        let path = first.split(' ').nth(1).unwrap_or_default();
        if path.ends_with("/invocation/next") {
            let Some(event) = events.lock().unwrap().take() else {
                std::thread::sleep(Duration::from_secs(60));
                return;
            };
            write!(
                out,
                "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: 8476a536\r\n\
                 Lambda-Runtime-Deadline-Ms: 4102444800000\r\n\
                 Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:123456789012:function:keyturn\r\n\
                 Lambda-Runtime-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{event}",
                event.len()
            )
            .unwrap();
        } else {
            let kind = path.rsplit('/').next().unwrap_or_default().to_owned();
            let _ = answers.send((kind, serde_json::from_slice(&body).unwrap_or_default()));
            let accepted = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
            out.write_all(accepted.as_bytes()).unwrap();
        }
    }
}

#[tokio::test]
async fn a_scheduled_event_rotates() {
    let world = World::start(Signer::Role, false).await;
    let event = json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}});
    let runtime = Runtime::start(&event);
    let (kind, body) = runtime.invoke(&world.lab, world.settings().await);
    assert_eq!(kind, "response", "{body}");
    assert_eq!(body["schema"], "keyturn.report/1");
    assert_eq!(body["command"], "rotate");
    assert!(world.lab.pair().id != world.lab.old.id && world.works().await);
    world.heals(false).await;
}

#[tokio::test]
async fn an_event_can_ask_for_a_plan() {
    let world = World::start(Signer::Role, false).await;
    let runtime = Runtime::start(&json!({"command": "plan"}));
    let (kind, body) = runtime.invoke(&world.lab, world.settings().await);
    assert_eq!(
        (kind.as_str(), &body["command"]),
        ("response", &json!("plan")),
        "{body}"
    );
    assert_eq!(world.lab.pair(), world.lab.old);
    assert_eq!(world.key_count().await, 1);
}

#[tokio::test]
async fn a_blocked_run_is_an_error_of_the_function() {
    let world = World::start(Signer::Role, false).await;
    let lab = &world.lab;
    lab.gitlab
        .fault(put(SECRET, Effect::answer(status(400))).times(AS_LONG_AS_IT_RUNS));
    let runtime = Runtime::start(&json!({}));
    let (kind, body) = runtime.invoke(lab, world.settings().await);
    assert_eq!(kind, "error", "{body}");
    let told: Value = serde_json::from_str(body["errorMessage"].as_str().unwrap()).unwrap();
    assert_eq!(told["outcome"], "blocked", "{told}");
    assert_eq!((lab.pair(), world.key_count().await), (lab.old.clone(), 1));
}
