//! The real binary, given one thing that is wrong. Whatever it is, keyturn says so in a word, a sentence and an advice,
//! and leaves IAM's keys and GitLab's pair as they were.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod aws;
mod environment;
mod gitlab;
mod permissions;
mod secret;

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use testbed::aws::{HeldKey, Pair};
use testbed::lab::{Lab, Ran, USER};

const ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

type Settings = BTreeMap<String, String>;

/// A lab and the settings that work in it.
async fn start() -> (Lab, Settings) {
    let lab = Lab::start(env!("CARGO_BIN_EXE_keyturn").into()).await.unwrap();
    let settings = lab.settings(&lab.old);
    (lab, settings)
}

fn with(mut settings: Settings, name: &str, value: &str) -> Settings {
    settings.insert(name.to_owned(), value.to_owned());
    settings
}

fn without(mut settings: Settings, name: &str) -> Settings {
    settings.remove(name);
    settings
}

/// What must stay as it is.
#[derive(Debug, PartialEq)]
struct World {
    keys: Vec<HeldKey>,
    pair: Pair,
    works: bool,
}

async fn world(lab: &Lab, user: &str) -> World {
    let pair = lab.pair();
    World {
        keys: lab.aws.keys(user).await.unwrap(),
        works: lab.aws.works(&pair).await,
        pair,
    }
}

/// Runs the binary. Nothing it says holds a secret.
fn run(lab: &Lab, arguments: &[&str], settings: &Settings) -> Ran {
    let ran = lab.run(arguments, settings).unwrap();
    says_no_secret(lab, &ran);
    ran
}

fn says_no_secret(lab: &Lab, ran: &Ran) {
    for secret in [&lab.old.secret, &lab.pair().secret, &lab.token] {
        let said = !secret.is_empty() && (ran.stdout.contains(secret) || ran.stderr.contains(secret));
        assert!(!said, "a secret was printed: {ran:#?}");
    }
}

/// The only rotation of the report on stdout.
fn rotation(ran: &Ran) -> Value {
    let report: Value =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("no report ({error}): {ran:#?}"));
    report["rotations"][0].clone()
}

fn text<'r>(rotation: &'r Value, name: &str) -> &'r str {
    rotation[name].as_str().unwrap_or_default()
}

/// `rotate` ends with this code and this word, and changes neither keys nor pair.
async fn refused(lab: &Lab, settings: &Settings, code: i32, reason: &str) -> Value {
    refused_of(lab, USER, "rotate", settings, code, reason).await
}

async fn refused_of(
    lab: &Lab,
    user: &str,
    command: &str,
    settings: &Settings,
    code: i32,
    reason: &str,
) -> Value {
    let before = world(lab, user).await;
    let ran = run(lab, &[command, "--format", "json"], settings);
    let rotation = rotation(&ran);
    assert_eq!(
        (ran.code, text(&rotation, "reason")),
        (Some(code), reason),
        "{ran:#?}"
    );
    assert!(!text(&rotation, "message").is_empty(), "{rotation:#}");
    assert!(!text(&rotation, "advice").is_empty(), "{rotation:#}");
    assert_eq!(world(lab, user).await, before, "something changed: {ran:#?}");
    rotation
}

/// `rotate` ends well, with a new pair that works.
async fn rotated(lab: &Lab, settings: &Settings) -> Value {
    let before = lab.pair();
    let ran = run(lab, &["rotate", "--format", "json"], settings);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    let after = lab.pair();
    assert!(
        after.id != before.id && after.secret != before.secret,
        "the pair is the old one: {ran:#?}"
    );
    assert!(lab.aws.works(&after).await, "the pair does not work: {ran:#?}");
    rotation(&ran)
}

/// A run that ends before there is a report: it says on stderr what is wrong.
async fn refused_without_report(lab: &Lab, mut command: Command, says: &str) {
    let before = world(lab, USER).await;
    let ran = Ran::from(command.output().unwrap());
    says_no_secret(lab, &ran);
    assert_eq!(ran.code, Some(2), "{ran:#?}");
    assert!(ran.stdout.is_empty() && ran.stderr.contains(says), "{ran:#?}");
    assert_eq!(world(lab, USER).await, before, "something changed: {ran:#?}");
}

/// Credentials of a role that may do everything keyturn needs, for any user, and read secrets.
async fn role(lab: &Lab) -> Pair {
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*", "Action": [
        "iam:ListAccessKeys", "iam:CreateAccessKey", "iam:UpdateAccessKey", "iam:DeleteAccessKey",
        "iam:GetAccessKeyLastUsed", "secretsmanager:GetSecretValue"]}]});
    lab.aws.role("rotator", &policy.to_string()).await.unwrap()
}
