//! Every failure in the middle of a rotation, with the real binary: the pair that GitLab holds goes on working, or
//! works again after the next runs, and in the end there is one key.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod lambda;
mod undisturbed;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testbed::gitlab::{Answer, Effect, Fault};
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
    let ran = terminate(child);
    assert_eq!(
        (ran.code, word(&ran, "reason").as_str()),
        (Some(4), "interrupted")
    );
    assert_ne!(world.lab.pair().id, world.lab.old.id);
    world.heals(false).await;
}

/// The request in flight gets no answer before the run must be gone: the report still says what was done.
async fn terminated_while_the_answer_does_not_come(signer: Signer) {
    let world = World::start(signer, false).await;
    let hold = json!({"action": "CreateAccessKey", "mode": "delay", "seconds": 30, "apply_first": true});
    world.lab.aws.fault(hold).await.unwrap();
    let child = world.spawn().await;
    until!(world.key_count().await == 2);
    let ran = terminate(child);
    assert_eq!(
        (ran.code, word(&ran, "reason").as_str()),
        (Some(4), "interrupted")
    );
    let steps = report(&ran)["rotations"][0]["steps"].clone();
    let steps: Vec<&Value> = steps
        .as_array()
        .unwrap()
        .iter()
        .map(|step| &step["step"])
        .collect();
    assert_eq!(steps, ["journal"], "{ran:?}");
    world.lab.advance(2 * HOUR).await.unwrap();
    world.heals(false).await;
}

fn terminate(child: Child) -> Ran {
    let sent = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    Ran::from(child.wait_with_output().unwrap())
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
    terminated_without_an_answer: s => terminated_while_the_answer_does_not_come(s);
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
