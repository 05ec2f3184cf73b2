//! No secret of a run is in anything that a run writes, however much is logged and whatever goes wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::BTreeMap;

use serde_json::json;
use testbed::aws::Pair;
use testbed::gitlab::{Answer, Effect, Fault};
use testbed::lab::{Lab, USER, policy};
use testbed::secrecy::{forms, found};

type Settings = BTreeMap<String, String>;

/// Every scenario of this directory is searched when its lab is dropped. These are the ones that exist for the search, and
/// they also show that it would find something.
struct Watched(Lab);

impl Watched {
    async fn start() -> Watched {
        Watched(Lab::watched(env!("CARGO_BIN_EXE_keyturn").into()).await.unwrap())
    }

    async fn role(&self) -> Pair {
        let policy = policy("role")
            .unwrap()
            .replace("user/ci-deployer", &format!("user/{USER}"));
        self.0.aws.role("rotator", &policy).await.unwrap()
    }

    fn run(&self, command: &str, format: &str, settings: &Settings) -> Option<i32> {
        let ran = self.0.run(&[command, "--format", format], settings);
        ran.unwrap().code
    }

    /// The runs wrote much, and had one of the secrets been in it in any form, it would have been found.
    fn check(self) {
        let written = self.0.written().unwrap();
        let secrets = self.0.secrets().unwrap();
        let text = String::from_utf8_lossy(&written).into_owned();
        for part in ["TRACE ", "keyturn.report/1", "<testsuites"] {
            assert!(
                text.contains(part),
                "{part} is missing, and with it what to search"
            );
        }
        assert!(secrets.len() >= 2, "{}", secrets.len());
        assert_eq!(found(&written, &secrets), Vec::<String>::new());
        for secret in &secrets {
            assert!(secret.len() >= 16, "too short to be searched for");
            for form in forms(secret) {
                let planted = format!("\"body\": b\"{form}\\n\"");
                assert!(!found(planted.as_bytes(), &secrets).is_empty(), "{form}");
            }
        }
    }
}

fn put(variable: &str, effect: Effect) -> Fault {
    Fault::on("PUT", &format!("/variables/{variable}"), effect)
}

#[tokio::test]
async fn a_good_rotation() {
    let watched = Watched::start().await;
    let role = watched.role().await;
    let settings = watched.0.settings(&role);
    assert_eq!(watched.run("plan", "text", &settings), Some(0));
    assert_eq!(watched.run("rotate", "text", &settings), Some(0));
    assert_eq!(watched.run("rotate", "json", &settings), Some(0));
    watched.check();
}

#[tokio::test]
async fn a_rotation_signed_by_the_pair_itself_that_deletes_it() {
    let watched = Watched::start().await;
    let mut settings = watched.0.settings(&watched.0.pair());
    settings.insert("KEYTURN_GRACE".into(), "0s".into());
    settings.insert("KEYTURN_DELETE_AFTER".into(), "0s".into());
    assert_eq!(watched.run("rotate", "json", &settings), Some(0));
    assert_eq!(watched.0.aws.keys(USER).await.unwrap().len(), 1);
    watched.check();
}

#[tokio::test]
async fn a_torn_pair() {
    let watched = Watched::start().await;
    let settings = watched.0.settings(&watched.0.pair());
    // A server's error would be outlasted; a refusal is taken at its word.
    let refusal = Answer::Custom {
        status: 404,
        headers: BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]),
        body: r#"{"message":"404 Not Found"}"#.to_owned(),
    };
    let fault = put("AWS_ACCESS_KEY_ID", Effect::answer(refusal));
    watched.0.gitlab.fault(fault.times(2));
    watched.run("rotate", "text", &settings);
    assert!(!watched.0.aws.works(&watched.0.pair()).await, "not torn");
    for format in ["text", "json"] {
        let settings = watched.0.settings(&watched.0.pair());
        watched.run("rotate", format, &settings);
    }
    assert!(watched.0.aws.works(&watched.0.pair()).await);
    watched.check();
}

#[tokio::test]
async fn a_refused_secret_that_the_answer_quotes() {
    let watched = Watched::start().await;
    let settings = watched.0.settings(&watched.0.pair());
    let token = watched.0.token.clone();
    let body = format!(r#"{{"message":{{"value":["is invalid"]}},"token":"{token}"}}"#);
    let answer = Answer::Custom {
        status: 400,
        headers: BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]),
        body,
    };
    let fault = put("AWS_SECRET_ACCESS_KEY", Effect::answer(answer));
    watched.0.gitlab.fault(fault.times(0));
    for format in ["text", "json"] {
        assert_eq!(watched.run("rotate", format, &settings), Some(3));
    }
    watched.check();
}

#[tokio::test]
async fn an_answer_of_create_that_is_a_web_page() {
    let watched = Watched::start().await;
    let settings = watched.0.settings(&watched.0.pair());
    let page = "<html><SecretAccessKey>wJalrXUtnFEMI/K7MDENG+bPxRfiCYSECRETKEYx</SecretAccessKey></html>";
    watched.0.keep_secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYSECRETKEYx");
    let fault = json!({"action": "CreateAccessKey", "mode": "body", "status": 200, "content_type": "text/html",
        "body": page, "apply": true});
    watched.0.aws.fault(fault).await.unwrap();
    assert_eq!(watched.run("rotate", "text", &settings), Some(4));
    assert_eq!(watched.run("rotate", "json", &settings), Some(0));
    watched.check();
}

#[tokio::test]
async fn answers_of_gitlab_that_are_wrong_json() {
    let watched = Watched::start().await;
    let settings = watched.0.settings(&watched.0.pair());
    let secret = watched.0.old.secret.clone();
    for (method, status) in [("GET", 200), ("PUT", 200), ("GET", 500)] {
        let answer = Answer::Custom {
            status,
            headers: BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]),
            body: format!(r#"{{"key":"AWS_SECRET_ACCESS_KEY","value":"{secret}","raw":{{"#),
        };
        let fault = Fault::on(method, "", Effect::answer(answer)).containing("/variables");
        watched.0.gitlab.fault(fault);
        watched.run("rotate", "text", &settings);
    }
    watched.run("rotate", "json", &settings);
    watched.check();
}

#[tokio::test]
async fn settings_that_cannot_be_used() {
    let watched = Watched::start().await;
    let good = watched.0.settings(&watched.0.pair());
    let token = watched.0.token.clone();
    let secret = watched.0.old.secret.clone();
    for (name, value) in [
        ("GITLAB_GROUP_ID", String::new()),
        ("GITLAB_TOKEN", format!("{token}\u{e9} {token}")),
        ("AWS_SECRET_ACCESS_KEY", format!("{secret}x")),
        ("AWS_SECRET_ACCESS_KEY", format!(" {secret}\n")),
        ("KEYTURN_GRACE", "1 parsec".to_owned()),
        ("KEYTURN_GRACES", "1d".to_owned()),
        ("KEYTURN_SECRET_ID", "no-such-secret".to_owned()),
    ] {
        let mut settings = good.clone();
        settings.insert(name.to_owned(), value);
        for format in ["text", "json"] {
            watched.run("plan", format, &settings);
        }
    }
    watched.check();
}
