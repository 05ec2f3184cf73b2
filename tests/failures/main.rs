//! Every failure in the middle of a rotation, with the real binary: the pair that GitLab holds goes on working, or
//! works again after the next runs, and in the end there is one key.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

/// Waits until the world shows what it should while a run is held up.
macro_rules! until {
    ($holds:expr) => {{
        let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !$holds {
            assert!(std::time::Instant::now() < end, "it never came to this");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }};
}

mod lambda;
mod promises;
mod proof;
mod undisturbed;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testbed::aws::Door;
use testbed::gitlab::{Answer, Effect, Fault};
use testbed::lab::{Lab, Ran, Running, USER, policy};

const ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
/// More requests than one run sends.
const AS_LONG_AS_IT_RUNS: u32 = 30;
/// Attempts at completing a pair: three at once, and again after 5 s and after 10 s.
const A_QUARTER_OF_A_MINUTE: u32 = 9;
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

/// The exit code and the reason word of a run.
type Ending = (i32, &'static str);

/// A lab, a signer and what stays the same in all runs.
struct World {
    lab: Lab,
    signer: Signer,
    immediate: bool,
    roles: Cell<u32>,
}

impl World {
    async fn start(signer: Signer, immediate: bool) -> World {
        World::behind(&Door::default(), signer, immediate).await
    }

    async fn behind(door: &Door, signer: Signer, immediate: bool) -> World {
        let lab = Lab::watched_behind(door, env!("CARGO_BIN_EXE_keyturn").into())
            .await
            .unwrap();
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

    /// A run that has begun, with these settings beside the usual ones.
    async fn begin(&self, more: &[(&str, &str)]) -> Running {
        let mut settings = self.settings().await;
        settings.extend(more.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        let command = self.lab.command(&["rotate", "--format", "json"], &settings);
        self.lab.spawn(command).unwrap()
    }

    /// The report of a run that was asked to stop while it could not complete a pair.
    async fn torn_and_stopped(&self) -> Ran {
        let child = self.begin(&[]).await;
        until!(self.lab.pair().secret != self.lab.old.secret);
        tokio::time::sleep(Duration::from_secs(4)).await;
        terminated(child)
    }

    async fn run(&self, command: &str) -> Ran {
        self.lab
            .run(&[command, "--format", "json"], &self.settings().await)
            .unwrap()
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

    /// The struck run ended as it should, and did not call a failure success, as the usual scripts do.
    async fn ended(&self, ran: &Ran, how: Ending) {
        assert_eq!(
            (ran.code, word(ran, "reason").as_str()),
            (Some(how.0), how.1),
            "{ran:?}"
        );
        if how.0 == 0 {
            let new = self.lab.pair().id;
            assert!(
                self.works().await,
                "success over a pair that does not work: {ran:?}"
            );
            assert_ne!(new, self.lab.old.id, "success over nothing: {ran:?}");
            let keys = self.lab.aws.keys(USER).await.unwrap();
            let left = keys.iter().find(|key| key.id != new && key.id != self.lab.old.id);
            assert!(left.is_none(), "success over a key that nobody holds: {ran:?}");
        }
    }

    /// Whatever happened, each change of a half that left the pair torn was followed by the change that completed it, and
    /// by no other.
    fn torn_between_two_writes_only(&self) {
        let issued = self.lab.aws.issued().unwrap();
        let changes = self.lab.gitlab.world(|gitlab| gitlab.changes().to_vec());
        let told: Vec<String> = changes
            .iter()
            .map(|change| {
                let key = issued.iter().find(|key| key.secret == change.value);
                let of = key.map_or(&change.value, |key| &key.id);
                format!("{} {} of {of}", change.by, change.key)
            })
            .collect();
        let (mut id, mut secret, mut torn) = (None, None, false);
        for change in &changes {
            match change.key.as_str() {
                ID => id = Some(&change.value),
                SECRET => secret = Some(&change.value),
                _ => {}
            }
            let (Some(id), Some(secret)) = (id, secret) else {
                continue;
            };
            let whole = issued.iter().any(|key| key.id == *id && key.secret == *secret);
            assert!(
                whole || !torn,
                "the pair stayed torn over another write: {told:#?}"
            );
            torn = !whole;
        }
        assert!(!torn, "the pair is torn at the end: {told:#?}");
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
                    self.torn_between_two_writes_only();
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

/// A first run that ends by itself, with these faults of GitLab.
async fn gitlab_fails(signer: Signer, faults: Vec<Fault>, may_be_torn: bool, how: Ending) {
    let world = World::start(signer, false).await;
    for fault in faults {
        world.lab.gitlab.fault(fault);
    }
    let ran = world.run("rotate").await;
    let calls = world.lab.gitlab.journal();
    assert!(calls.iter().any(|call| call.fault.is_some()), "no fault: {ran:?}");
    world.ended(&ran, how).await;
    world.heals(may_be_torn).await;
}

/// GitLab refuses the second half again and again. The run goes on trying, until it is told to stop.
async fn stopped_while_torn(signer: Signer) {
    let world = World::start(signer, false).await;
    let refused = Effect::answer(status(500));
    world.lab.gitlab.fault(put(ID, refused).times(AS_LONG_AS_IT_RUNS));
    let ran = world.torn_and_stopped().await;
    world.ended(&ran, (4, "interrupted")).await;
    assert!(
        word(&ran, "message").contains("is torn until the next run"),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("write_secret"), "{ran:?}");
    world.heals(true).await;
}

/// A first run that ends by itself, with a fault of AWS.
async fn aws_fails(signer: Signer, immediate: bool, fault: Value, how: Ending) {
    let world = World::start(signer, immediate).await;
    world.lab.aws.fault(fault).await.unwrap();
    let ran = world.run("rotate").await;
    let left = world.lab.aws.control("GET", "faults", None).await.unwrap();
    assert_eq!(left, json!([]), "{ran:?}");
    world.ended(&ran, how).await;
    world.heals(false).await;
}

async fn slow(signer: Signer, clock: Value) {
    let world = World::start(signer, true).await;
    world.lab.aws.control("POST", "clock", Some(clock)).await.unwrap();
    let ran = world.run("rotate").await;
    world.ended(&ran, (0, "converged")).await;
    world.heals(false).await;
}

async fn killed_after_create(signer: Signer) {
    let world = World::start(signer, false).await;
    let hold = json!({"action": "CreateAccessKey", "mode": "delay", "seconds": 3, "apply_first": true});
    world.lab.aws.fault(hold).await.unwrap();
    let child = world.begin(&[]).await;
    until!(world.key_count().await == 2);
    child.kill().unwrap();
    world.heals(false).await;
}

/// A key that isn't keyturn's takes the second place: nothing is touched until a person removes it.
async fn foreign_second_key(signer: Signer, status: &str) {
    let world = World::start(signer, false).await;
    let lab = &world.lab;
    let key = json!({"user": USER, "age": (HOUR * 24 * 40).as_secs(), "status": status});
    let key = lab.aws.control("POST", "keys", Some(key)).await.unwrap();
    let before = lab.aws.keys(USER).await.unwrap();
    for _ in 0..3 {
        world
            .ended(&world.run("rotate").await, (3, "slot_occupied"))
            .await;
        assert_eq!(lab.aws.keys(USER).await.unwrap(), before);
        assert!(lab.pair() == lab.old && world.works().await);
    }
    lab.aws
        .delete_key(USER, key["id"].as_str().unwrap())
        .await
        .unwrap();
    world.ended(&world.run("rotate").await, (0, "grace")).await;
    world.converges().await;
}

/// The write of the secret takes effect minutes after its run gave up, and after the next one.
async fn secret_lands_late(signer: Signer) {
    let world = World::start(signer, false).await;
    let late = Effect::Late {
        millis: 4 * 60 * 1000,
    };
    world.lab.gitlab.fault(put(SECRET, late));
    let refused = Effect::answer(status(500));
    world
        .lab
        .gitlab
        .fault(put(SECRET, refused).times(AS_LONG_AS_IT_RUNS));
    let ran = world.run("rotate").await;
    world.ended(&ran, (4, "gitlab_error")).await;
    assert!(world.lab.pair() == world.lab.old && world.works().await);
    world.mend().await;
    let ran = world.run("rotate").await;
    assert_eq!(
        (ran.code, word(&ran, "reason").as_str()),
        (Some(0), "orphan_age"),
        "{ran:?}"
    );
    assert!(world.lab.pair() == world.lab.old && world.works().await);
    world.lab.advance(MINUTE * 5).await.unwrap();
    assert!(world.lab.pair().secret != world.lab.old.secret && !world.works().await);
    world.heals(true).await;
}

/// The write of the id takes effect after the next run wrote the same.
async fn id_lands_late(signer: Signer) {
    let world = World::start(signer, false).await;
    let late = Effect::Late {
        millis: 4 * 60 * 1000,
    };
    world.lab.gitlab.fault(put(ID, late));
    let refused = Effect::answer(status(500));
    world.lab.gitlab.fault(put(ID, refused).times(AS_LONG_AS_IT_RUNS));
    world
        .ended(&world.torn_and_stopped().await, (4, "interrupted"))
        .await;
    assert!(!world.works().await);
    world.mend().await;
    world.ended(&world.run("rotate").await, (0, "grace")).await;
    let written = |world: &World| world.lab.gitlab.world(|gitlab| gitlab.changes().len());
    let before = written(&world);
    world.lab.advance(MINUTE * 5).await.unwrap();
    assert_eq!(written(&world), before + 1, "nothing was late");
    world.heals(false).await;
}

/// Held after GitLab applied the write, and killed there.
async fn killed_after_put(signer: Signer, variable: &str, torn: bool) {
    let world = World::start(signer, false).await;
    world
        .lab
        .gitlab
        .fault(put(variable, Effect::Stall { millis: 3000 }));
    let child = world.begin(&[]).await;
    let old = &world.lab.old;
    until!(match variable {
        ID => world.lab.pair().id != old.id,
        _ => world.lab.pair().secret != old.secret,
    });
    child.kill().unwrap();
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
    let child = world.begin(&[]).await;
    until!(world.lab.gitlab.waiting_faults().is_empty());
    child.kill().unwrap();
    assert!(world.works().await);
    until!(world.lab.pair().secret != world.lab.old.secret);
    world.heals(true).await;
}

async fn killed_between_deactivate_and_delete(signer: Signer) {
    let world = World::start(signer, true).await;
    // The first one only asks whether the run may.
    let hold =
        json!({"action": "UpdateAccessKey", "mode": "delay", "seconds": 3, "apply_first": true, "skip": 1});
    world.lab.aws.fault(hold).await.unwrap();
    let child = world.begin(&[]).await;
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
    world.heals(false).await;
}

async fn terminated_between_the_puts(signer: Signer) {
    let world = World::start(signer, false).await;
    world
        .lab
        .gitlab
        .fault(put(SECRET, Effect::Stall { millis: 2000 }));
    let child = world.begin(&[]).await;
    until!(world.lab.pair().secret != world.lab.old.secret);
    world.ended(&terminated(child), (4, "interrupted")).await;
    assert_ne!(world.lab.pair().id, world.lab.old.id);
    world.heals(false).await;
}

/// The request in flight gets no answer before the run must be gone: the report still says what was done.
async fn terminated_while_the_answer_does_not_come(signer: Signer) {
    let world = World::start(signer, false).await;
    let hold = json!({"action": "CreateAccessKey", "mode": "delay", "seconds": 30, "apply_first": true});
    world.lab.aws.fault(hold).await.unwrap();
    let child = world.begin(&[]).await;
    until!(world.key_count().await == 2);
    let ran = terminated(child);
    world.ended(&ran, (4, "interrupted")).await;
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

/// Asked to stop. A runner kills a job 10 seconds later.
fn terminated(child: Running) -> Ran {
    let asked = Instant::now();
    let ran = child.terminate().unwrap();
    let took = asked.elapsed();
    assert!(took < Duration::from_millis(9500), "{took:?}: {ran:?}");
    ran
}

/// The token ends while the key is being created, and works again for the next run.
async fn token_ends_in_the_middle(signer: Signer) {
    let world = World::start(signer, false).await;
    let hold = json!({"action": "CreateAccessKey", "mode": "delay", "seconds": 2, "apply_first": true});
    world.lab.aws.fault(hold).await.unwrap();
    let child = world.begin(&[]).await;
    until!(world.key_count().await == 2);
    let revoke = |revoked| {
        world.lab.gitlab.world(|gitlab| {
            gitlab.alter_token(&world.lab.token, |token| token.revoked = revoked);
        });
    };
    revoke(true);
    let ran = child.wait().unwrap();
    world.ended(&ran, (3, "token_revoked")).await;
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
    secret_500: s => gitlab_fails(s, vec![put(SECRET, Effect::answer(status(500))).times(AS_LONG_AS_IT_RUNS)], false, (4, "gitlab_error"));
    secret_401: s => gitlab_fails(s, vec![put(SECRET, Effect::answer(status(401))).times(AS_LONG_AS_IT_RUNS)], false, (3, "token_refused"));
    secret_400: s => gitlab_fails(s, vec![put(SECRET, Effect::answer(status(400))).times(AS_LONG_AS_IT_RUNS)], false, (3, "value_refused"));
    secret_404: s => gitlab_fails(s, vec![put(SECRET, Effect::answer(status(404))).times(AS_LONG_AS_IT_RUNS)], false, (3, "variable_unknown"));
    id_500: s => gitlab_fails(s, vec![put(ID, Effect::answer(status(500))).times(A_QUARTER_OF_A_MINUTE)], false, (0, "grace"));
    id_500_until_it_is_stopped: s => stopped_while_torn(s);
    id_401: s => gitlab_fails(s, vec![put(ID, Effect::answer(status(401))).times(AS_LONG_AS_IT_RUNS)], true, (3, "token_refused"));
    id_400: s => gitlab_fails(s, vec![put(ID, Effect::answer(status(400))).times(AS_LONG_AS_IT_RUNS)], true, (3, "value_refused"));
    id_404: s => gitlab_fails(s, vec![put(ID, Effect::answer(status(404))).times(AS_LONG_AS_IT_RUNS)], true, (3, "variable_unknown"));
    every_put_500: s => gitlab_fails(s, vec![
        put(SECRET, Effect::answer(status(500))).times(AS_LONG_AS_IT_RUNS),
        put(ID, Effect::answer(status(500))).times(AS_LONG_AS_IT_RUNS),
    ], false, (4, "gitlab_error"));
    every_put_401: s => gitlab_fails(s, vec![
        put(SECRET, Effect::answer(status(401))).times(AS_LONG_AS_IT_RUNS),
        put(ID, Effect::answer(status(401))).times(AS_LONG_AS_IT_RUNS),
    ], false, (3, "token_refused"));
    token_revoked: s => token_ends_in_the_middle(s);
    secret_dropped_before: s => gitlab_fails(s, vec![put(SECRET, Effect::drop_before())], false, (0, "grace"));
    secret_dropped_after: s => gitlab_fails(s, vec![put(SECRET, Effect::drop_after())], false, (0, "grace"));
    id_dropped_before: s => gitlab_fails(s, vec![put(ID, Effect::drop_before())], false, (0, "grace"));
    id_dropped_after: s => gitlab_fails(s, vec![put(ID, Effect::drop_after())], false, (0, "grace"));
    id_always_dropped_after: s => gitlab_fails(s, vec![put(ID, Effect::drop_after()).times(AS_LONG_AS_IT_RUNS)], false, (0, "grace"));
    secret_always_dropped_after: s => gitlab_fails(s, vec![put(SECRET, Effect::drop_after()).times(AS_LONG_AS_IT_RUNS)], false, (0, "grace"));
    create_dropped_before: s => aws_fails(s, false, json!({"action": "CreateAccessKey", "mode": "before"}), (4, "unclear_create"));
    create_dropped_after: s => aws_fails(s, false, json!({"action": "CreateAccessKey", "mode": "after"}), (4, "unclear_create"));
    create_throttled: s => aws_fails(s, false, json!({"action": "CreateAccessKey", "mode": "error"}), (4, "aws_throttled"));
    update_throttled: s => aws_fails(s, true, json!({"action": "UpdateAccessKey", "mode": "error", "skip": 1}), (0, "converged"));
    delete_answer_lost: s => aws_fails(s, true, json!({"action": "DeleteAccessKey", "mode": "after", "skip": 1}), (0, "converged"));
    key_visible_late: s => slow(s, json!({"visible": 4}));
    deactivation_late: s => slow(s, json!({"linger": 4}));
    second_key_active: s => foreign_second_key(s, "Active");
    second_key_inactive: s => foreign_second_key(s, "Inactive");
    secret_late: s => secret_lands_late(s);
    id_late: s => id_lands_late(s);
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
        // The outgoing key asked beforehand whether it may, of a key that can't exist.
        assert_eq!(signers, [&world.lab.old.id, &new.id], "{action}");
    }
    assert_eq!(world.key_count().await, 1);
    world.converges().await;
}

#[tokio::test]
async fn two_rotations_at_once_end_well() {
    for signer in [Signer::Own, Signer::Role] {
        let world = World::start(signer, false).await;
        let (one, other) = (world.begin(&[]).await, world.begin(&[]).await);
        for child in [one, other] {
            let ran = child.wait().unwrap();
            assert!(matches!(ran.code, Some(0 | 3 | 4)), "{ran:?}");
        }
        assert!(world.key_count().await <= 3);
        world.heals(false).await;
    }
}
