//! The function's end in the middle of a rotation, and the invocation after it.

use std::time::{Duration, Instant};

use serde_json::json;
use testbed::gitlab::{Effect, Fault};

use crate::emulator::{Emulator, Invoked, bootstrap};
use crate::{SCHEDULED, World};

const MINUTE: Duration = Duration::from_secs(60);

/// Waits until the world shows what it should while an invocation is held up.
macro_rules! until {
    ($holds:expr) => {{
        let end = Instant::now() + Duration::from_secs(30);
        while !$holds {
            assert!(Instant::now() < end, "it never came to this");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }};
}

/// The next two invocations repair the pair, and later ones finish.
async fn heals(world: &World, function: &Emulator) {
    let next = function.invoke(SCHEDULED).await;
    assert!(world.works().await, "{next:?}");
    assert!(
        world.lab.aws.works(&world.lab.old).await,
        "a job's pair was cut: {next:?}"
    );
    assert!(world.key_count().await <= 2);
    world.heals().await;
}

#[tokio::test]
async fn killed_after_create_the_old_pair_works_and_the_next_invocations_heal() {
    let world = World::start().await;
    let hold = json!({"action": "CreateAccessKey", "mode": "delay", "seconds": 5, "apply_first": true});
    world.lab.aws.fault(hold).await.unwrap();
    let function = world.function().await;
    let (invoked, ()) = tokio::join!(function.invoke(SCHEDULED), async {
        until!(world.key_count().await == 2);
        function.kill_function();
    });
    assert!(
        invoked.failed() && invoked.body["errorType"] == "Runtime.ExitError",
        "{invoked:?}"
    );
    assert!(world.lab.pair() == world.lab.old && world.works().await);
    world.lab.advance(MINUTE).await.unwrap();
    heals(&world, &function).await;
}

#[tokio::test]
async fn killed_between_secret_and_id_the_next_invocation_completes_the_pair() {
    let world = World::start().await;
    let stall = Fault::on(
        "PUT",
        "/variables/AWS_SECRET_ACCESS_KEY",
        Effect::Stall { millis: 5000 },
    );
    world.lab.gitlab.fault(stall);
    let function = world.function().await;
    let (invoked, ()) = tokio::join!(function.invoke(SCHEDULED), async {
        until!(world.lab.pair().secret != world.lab.old.secret);
        function.kill_function();
    });
    assert!(invoked.failed(), "{invoked:?}");
    assert!(!world.works().await, "the pair should be torn");
    let dead = invoked.process;
    let next = function.invoke(SCHEDULED).await;
    assert!(!next.failed() && next.process != dead, "{next:?}");
    assert!(world.works().await && world.lab.pair().id != world.lab.old.id);
    heals(&world, &function).await;
}

#[tokio::test]
async fn a_function_whose_time_is_too_short_creates_no_key_and_says_so() {
    let world = World::start().await;
    let settings = world.settings(&world.stack()).await;
    for (timeout, reason) in [(3, "out_of_time"), (60, "out_of_time"), (115, "out_of_time")] {
        let function = Emulator::start(&bootstrap(), &settings, timeout).await;
        let invoked = function.invoke(SCHEDULED).await;
        assert_eq!(invoked.body["errorType"], "keyturn.incomplete", "{invoked:?}");
        assert_eq!(invoked.word("reason"), reason, "{invoked:?}");
        assert!(
            invoked.report()["rotations"][0]["warnings"]
                .to_string()
                .contains("set its timeout to 300 s"),
            "{invoked:?}"
        );
        assert!(world.untouched().await);
    }
}

#[tokio::test]
async fn a_request_that_does_not_end_is_given_up_before_lambda_ends_the_function() {
    let world = World::start().await;
    let hold = json!({"action": "GetSecretValue", "mode": "delay", "seconds": 5, "times": 3});
    world.lab.aws.fault(hold).await.unwrap();
    let settings = world.settings(&world.stack()).await;
    let function = Emulator::start(&bootstrap(), &settings, 3).await;
    let invoked = function.invoke(SCHEDULED).await;
    assert_eq!(invoked.word("reason"), "out_of_time", "{invoked:?}");
    assert!(invoked.wall < Duration::from_secs(3), "{invoked:?}");
    assert_eq!(invoked.metrics()[0]["Failed"], 1);
    assert!(world.untouched().await);
}

/// The function's time in which a step may begin, and no key be created.
const SHORT: u64 = 34;

/// A world of two targets in which a run ended with the group's pair torn; a next run has both targets to write.
async fn torn() -> World {
    let world = World::of_two_targets().await;
    world.lab.gitlab.fault(secret_stalled().containing("/groups/"));
    let function = world.function().await;
    let ((), invoked) = tokio::join!(
        async {
            until!(world.lab.pair().secret != world.lab.old.secret);
            function.kill_function();
        },
        function.invoke(SCHEDULED)
    );
    assert!(invoked.failed() && !world.works().await, "{invoked:?}");
    world
}

/// The request is carried out, and not answered while anybody waits.
fn secret_stalled() -> Fault {
    let effect = Effect::Stall { millis: 60_000 };
    Fault::on("PUT", "/variables/AWS_SECRET_ACCESS_KEY", effect)
}

/// The requests neither are carried out nor answered while anybody waits.
fn ids_delayed() -> Fault {
    let effect = Effect::Delay { millis: 600_000 };
    Fault::on("PUT", "/variables/AWS_ACCESS_KEY_ID", effect).times(0)
}

#[tokio::test]
async fn frozen_in_the_middle_and_ended_by_its_timeout_the_next_invocation_heals() {
    let world = torn().await;
    world.lab.gitlab.fault(secret_stalled().containing("/projects/"));
    let settings = world.settings(&world.stack()).await;
    let function = Emulator::start(&bootstrap(), &settings, SHORT).await;
    let (invoked, ()) = tokio::join!(function.invoke(SCHEDULED), async {
        until!(world.pair_of_project().secret != world.lab.old.secret);
        function.stop_function();
    });
    assert!(
        invoked
            .body
            .to_string()
            .contains(&format!("Task timed out after {SHORT}.00 seconds")),
        "{invoked:?}"
    );
    assert!(world.works().await, "the group's pair was mended before");
    let project = world.pair_of_project();
    assert!(
        !world.lab.aws.works(&project).await,
        "the project's pair should be torn"
    );
    let next = function.invoke(SCHEDULED).await;
    assert_eq!(world.pair_of_project(), world.lab.pair(), "{next:?}");
    world.heals().await;
}

#[tokio::test]
async fn a_run_that_its_time_cuts_short_reports_what_it_did() {
    let world = torn().await;
    world.lab.gitlab.fault(ids_delayed().containing("/projects/"));
    let settings = world.settings(&world.stack()).await;
    let function = Emulator::start(&bootstrap(), &settings, SHORT).await;
    let invoked = function.invoke(SCHEDULED).await;
    assert!(
        invoked.wall < Duration::from_secs(SHORT),
        "{:?}: {invoked:?}",
        invoked.wall
    );
    reports(&invoked, &["write_id", "write_secret"]);
}

/// Minutes, because no shorter time lets a key be created.
#[tokio::test]
#[ignore = "minutes: make test-lambda-deep"]
async fn a_rotation_that_its_time_cuts_short_reports_what_it_did() {
    const TIME: u64 = 160;
    let world = World::start().await;
    world.lab.gitlab.fault(ids_delayed());
    let settings = world.settings(&world.stack()).await;
    let function = Emulator::start(&bootstrap(), &settings, TIME).await;
    let invoked = function.invoke(SCHEDULED).await;
    assert!(
        invoked.wall < Duration::from_secs(TIME),
        "{:?}: {invoked:?}",
        invoked.wall
    );
    reports(&invoked, &["journal", "create", "verify", "write_secret"]);
}

/// The report of a run that didn't end by itself, with its steps and keys, and the metrics.
fn reports(invoked: &Invoked, steps: &[&str]) {
    assert_eq!(invoked.body["errorType"], "keyturn.incomplete", "{invoked:?}");
    let rotation = &invoked.report()["rotations"][0];
    let said = rotation["steps"].as_array().unwrap().iter();
    let said: Vec<&str> = said.map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(said, steps, "{invoked:?}");
    assert_eq!(rotation["keys"].as_array().unwrap().len(), 2, "{invoked:?}");
    let metrics = &invoked.metrics()[0];
    assert_eq!(metrics["Failed"], 1);
    assert!(
        metrics["KeyAgeDays"].is_number() && metrics["TokenDaysLeft"].is_number(),
        "{metrics}"
    );
}
