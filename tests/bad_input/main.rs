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
mod oidc;
mod permissions;
mod secret;
mod tls;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use testbed::aws::{HeldKey, Pair};
use testbed::gitlab::Variable;
use testbed::lab::{Lab, Ran, USER, policy};

const ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
/// The variable with the intent record, which a run may write before it finds out what is wrong.
const JOURNAL: &str = "KEYTURN_JOURNAL";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

type Settings = BTreeMap<String, String>;

/// A lab and the settings that work in it. Nothing that is written in it holds a secret.
async fn start() -> (Lab, Settings) {
    let lab = Lab::watched(env!("CARGO_BIN_EXE_keyturn").into()).await.unwrap();
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
    /// All of the group, with every attribute, but the journal.
    variables: Vec<Variable>,
}

async fn world(lab: &Lab, user: &str) -> (World, Option<Variable>) {
    let pair = lab.pair();
    let (journal, variables) = lab
        .gitlab
        .world(|world| world.variables(lab.group))
        .into_iter()
        .partition::<Vec<_>, _>(|variable| variable.key == JOURNAL);
    let world = World {
        keys: lab.aws.keys(user).await.unwrap(),
        works: lab.aws.works(&pair).await,
        pair,
        variables,
    };
    (world, journal.into_iter().next())
}

fn run(lab: &Lab, arguments: &[&str], settings: &Settings) -> Ran {
    lab.run(arguments, settings).unwrap()
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

/// `rotate` ends with this code and this word, and changes neither keys nor variables.
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
    let (before, journal_before) = world(lab, user).await;
    let ran = run(lab, &[command, "--format", "json"], settings);
    let rotation = rotation(&ran);
    assert_eq!(
        (ran.code, text(&rotation, "reason")),
        (Some(code), reason),
        "{ran:#?}"
    );
    assert!(!text(&rotation, "message").is_empty(), "{rotation:#}");
    assert!(!text(&rotation, "advice").is_empty(), "{rotation:#}");
    let (after, journal) = world(lab, user).await;
    assert_eq!(after, before, "something changed: {ran:#?}");
    let said = rotation["steps"].as_array().unwrap().iter();
    let journaled = said.filter(|step| step["step"] == "journal").count() > 0;
    assert_eq!(journal != journal_before, journaled, "{journal:?}: {ran:#?}");
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
async fn refused_without_report(lab: &Lab, command: Command, says: &str) {
    let before = world(lab, USER).await;
    let ran = lab.end(command).unwrap();
    assert_eq!(ran.code, Some(2), "{ran:#?}");
    assert!(ran.stdout.is_empty() && ran.stderr.contains(says), "{ran:#?}");
    assert_eq!(world(lab, USER).await, before, "something changed: {ran:#?}");
}

/// Credentials of a role with the documented policy, for this user.
async fn role_for(lab: &Lab, user: &str) -> Pair {
    let policy = policy("role")
        .unwrap()
        .replace("user/ci-deployer", &format!("user/{user}"));
    lab.aws.role("rotator", &policy).await.unwrap()
}

async fn role(lab: &Lab) -> Pair {
    role_for(lab, USER).await
}

/// A directory of this test's own.
fn directory(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}
