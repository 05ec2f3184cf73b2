//! One thing that is wrong, each time: the function says what, and nothing is touched.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use crate::emulator::{Emulator, Invoked, bootstrap};
use crate::{SCHEDULED, SECRET_NAME, TIMEOUT, World};

/// Invokes the function of this world with some of its environment replaced.
async fn invoke(world: &World, replaced: &[(&str, &str)]) -> Invoked {
    let mut settings: BTreeMap<String, String> = world.settings(&world.stack()).await;
    for (name, value) in replaced {
        settings.insert((*name).to_owned(), (*value).to_owned());
    }
    let function = Emulator::start(&bootstrap(), &settings, TIMEOUT).await;
    function.invoke(SCHEDULED).await
}

async fn refused(world: &World, invoked: &Invoked, reason: &str, says: &str) {
    assert!(invoked.failed(), "{invoked:?}");
    assert_eq!(invoked.word("reason"), reason, "{invoked:?}");
    assert!(invoked.report().to_string().contains(says), "{says}: {invoked:?}");
    assert!(world.untouched().await, "{invoked:?}");
}

#[tokio::test]
async fn a_secret_that_is_missing_is_named() {
    let mut world = World::start().await;
    // The role may read it, so that Secrets Manager says that it isn't there.
    world.secret = world.secret.replace(SECRET_NAME, "another-name");
    let invoked = invoke(&world, &[]).await;
    refused(&world, &invoked, "secret_unknown", "another-name").await;
}

#[tokio::test]
async fn a_secret_that_the_role_may_not_read_is_told_from_one_that_is_missing() {
    let world = World::start().await;
    world.lab.aws.add_secret("of-others", "{}").await.unwrap();
    let invoked = invoke(&world, &[("KEYTURN_SECRET_ID", "of-others")]).await;
    refused(&world, &invoked, "access_denied", "secretsmanager:GetSecretValue").await;
}

#[tokio::test]
async fn a_secret_that_is_not_json_is_not_quoted() {
    for text in [
        "glpat-hunter2",
        "[\"glpat-hunter2\"]",
        "{\"GITLAB_TOKEN\": glpat-hunter2}",
    ] {
        let world = World::with_secret(|names| *names = json!(text)).await;
        let invoked = invoke(&world, &[]).await;
        refused(&world, &invoked, "secret_not_json", "GITLAB_TOKEN").await;
        assert!(!format!("{invoked:?}").contains("hunter2"));
    }
}

#[tokio::test]
async fn a_name_that_the_secret_lacks_is_named() {
    for (name, reason) in [
        ("GITLAB_TOKEN", "token_missing"),
        ("GITLAB_GROUP_ID", "no_target"),
    ] {
        let world = World::with_secret(|names| drop(names.as_object_mut().unwrap().remove(name))).await;
        let invoked = invoke(&world, &[]).await;
        refused(&world, &invoked, reason, name).await;
    }
}

#[tokio::test]
async fn the_user_is_the_stacks_when_the_secret_does_not_name_it() {
    let world = World::with_secret(|names| drop(names.as_object_mut().unwrap().remove("AWS_IAM_USER"))).await;
    let invoked = invoke(&world, &[]).await;
    assert!(!invoked.failed(), "{invoked:?}");
    assert!(world.works().await && world.lab.pair().id != world.lab.old.id);
}

#[tokio::test]
async fn names_that_the_secret_has_too_many_are_warned_of_and_harmless() {
    let world = World::with_secret(|names| {
        names["SLACK_WEBHOOK"] = json!("glpat-hunter2");
        names["glpat-hunter2"] = json!("x");
        names["KEYTURN_GRACES"] = json!("1h");
    })
    .await;
    let invoked = invoke(&world, &[]).await;
    assert!(!invoked.failed(), "{invoked:?}");
    let warnings = invoked.report()["rotations"][0]["warnings"].to_string();
    assert!(
        warnings.contains("SLACK_WEBHOOK") && warnings.contains("KEYTURN_GRACE?"),
        "{warnings}"
    );
    assert!(!format!("{invoked:?}").contains("hunter2"));
    assert!(world.works().await && world.lab.pair().id != world.lab.old.id);
}

#[tokio::test]
async fn an_event_that_is_not_understood_does_nothing() {
    let world = World::start().await;
    let function = world.function().await;
    for (event, says) in [
        ("[]", "not a JSON object"),
        ("\"rotate\"", "not a JSON object"),
        ("null", "not a JSON object"),
        (r#"{"command":"destroy"}"#, "\"rotate\", \"retire\" or \"plan\""),
        (r#"{"comand":"plan"}"#, "\"comand\" means nothing"),
        (r#"{"command":"rotate","only":[]}"#, "must be a list of names"),
        (
            r#"{"source":"aws.ec2","detail-type":"EC2 Instance State-change Notification"}"#,
            "not of a schedule",
        ),
        (
            r#"{"source":"aws.events","detail-type":"Scheduled Event","command":"plan"}"#,
            "\"command\" means nothing in the event of a schedule",
        ),
        ("not json", "failed to deserialize"),
    ] {
        let invoked = function.invoke(event).await;
        let message = invoked.body["errorMessage"].as_str().unwrap();
        assert!(message.contains(says), "{event}: {message}");
    }
    assert_eq!(world.lab.gitlab.journal().len(), 0);
    let invoked = function.invoke(r#"{"only":["deploy","other"]}"#).await;
    refused(&world, &invoked, "unknown_rotation", "\\\"other\\\"").await;
}

#[tokio::test]
async fn it_rotates_in_an_address_space_of_128_mb() {
    let world = World::start().await;
    let script = std::env::temp_dir().join(format!("keyturn-128-{}", std::process::id()));
    let text = format!("#!/bin/sh\nulimit -v 131072\nexec {}\n", bootstrap().display());
    std::fs::write(&script, text).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, executable).unwrap();
    let function = Emulator::start(&script, &world.settings(&world.stack()).await, TIMEOUT).await;
    let invoked = function.invoke(SCHEDULED).await;
    std::fs::remove_file(script).unwrap();
    assert!(!invoked.failed(), "{invoked:?}");
    assert!(world.works().await && world.lab.pair().id != world.lab.old.id);
}

/// The SDK corrects its clock by the first answer that refuses its signature, so a frozen function's clock does no harm.
#[tokio::test]
async fn a_clock_that_is_wrong_by_twenty_minutes_keeps_no_key_from_its_rotation() {
    for skew in [20 * 60, -20 * 60] {
        let world = World::start().await;
        skewed(&world, skew, skew).await;
        let invoked = invoke(&world, &[]).await;
        assert!(!invoked.failed(), "{skew}: {invoked:?}");
        skewed(&world, 0, -skew).await;
        assert!(world.works().await && world.lab.aws.works(&world.lab.old).await);
        assert_ne!(world.lab.pair().id, world.lab.old.id);
        world.heals().await;
    }
}

#[tokio::test]
async fn clocks_of_aws_and_gitlab_that_disagree_keep_it_from_creating_a_key() {
    for skew in [20 * 60, -20 * 60] {
        let world = World::start().await;
        skewed(&world, skew, 0).await;
        let invoked = invoke(&world, &[]).await;
        skewed(&world, 0, 0).await;
        refused(&world, &invoked, "clocks_disagree", "differ by more than 5m").await;
    }
}

/// Sets AWS's clock off the function's, and moves GitLab's, both by seconds.
async fn skewed(world: &World, aws: i64, gitlab: i64) {
    let body = json!({"skew": aws});
    world.lab.aws.control("POST", "clock", Some(body)).await.unwrap();
    let now = world.lab.gitlab.world(|gitlab| gitlab.now());
    world
        .lab
        .gitlab
        .set_clock(now + jiff::SignedDuration::from_secs(gitlab));
}

/// An address that swallows connections, as a VPC without a way out does: the queue of this socket is full.
struct Nowhere {
    address: SocketAddr,
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl Nowhere {
    fn new() -> Nowhere {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        // Until one is no longer answered.
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            queued.push(stream);
        }
        Nowhere {
            address,
            _listener: listener,
            _queued: queued,
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

#[tokio::test]
async fn a_vpc_without_a_way_out_is_told_within_ten_seconds_and_before_a_key_is_created() {
    let nowhere = Nowhere::new();
    let gitlab = format!("{}/api/v4", nowhere.url());
    for (name, url) in [
        ("AWS_ENDPOINT_URL", nowhere.url()),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", nowhere.url()),
        ("AWS_ENDPOINT_URL_STS", nowhere.url()),
        ("AWS_ENDPOINT_URL_IAM", nowhere.url()),
        ("GITLAB_API_URL", gitlab),
    ] {
        let world = World::start().await;
        let invoked = invoke(&world, &[(name, &url)]).await;
        assert!(invoked.failed(), "{invoked:?}");
        assert!(
            invoked.wall < Duration::from_secs(10),
            "{name}: {:?}: {invoked:?}",
            invoked.wall
        );
        let report: Value = invoked.report();
        let advice = report["rotations"][0]["advice"].as_str().unwrap().to_owned();
        assert!(
            advice.contains("VPC") && advice.contains("NAT gateway"),
            "{advice}"
        );
        assert!(world.untouched().await);
    }
}
