//! No secret of a run is in anything that a run writes, however much is logged and whatever goes wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::json;
use testbed::aws::Pair;
use testbed::gitlab::{Answer, Effect, Fault};
use testbed::lab::{Lab, USER, policy};

type Settings = BTreeMap<String, String>;

/// A lab that remembers every secret there was and every byte a run wrote.
struct Watched {
    lab: Lab,
    report: PathBuf,
    secrets: BTreeSet<String>,
    written: Vec<u8>,
}

impl Watched {
    async fn start(name: &str) -> Watched {
        let lab = Lab::start(env!("CARGO_BIN_EXE_keyturn").into()).await.unwrap();
        let report = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("secrecy-{name}.json"));
        let secrets = BTreeSet::from([lab.token.clone(), lab.old.secret.clone()]);
        Watched {
            lab,
            report,
            secrets,
            written: Vec::new(),
        }
    }

    async fn role(&mut self) -> Pair {
        let policy = policy("role")
            .unwrap()
            .replace("user/ci-deployer", &format!("user/{USER}"));
        let role = self.lab.aws.role("rotator", &policy).await.unwrap();
        self.secrets.insert(role.secret.clone());
        self.secrets.extend(role.token.clone());
        role
    }

    /// Keys are looked at after each run: a later one may delete them.
    async fn remember(&mut self) {
        let keys = self.lab.aws.keys(USER).await.unwrap();
        self.secrets.extend(keys.into_iter().map(|key| key.secret));
        self.secrets.insert(self.lab.pair().secret);
        // Also what was a value for a moment only.
        let changes = self.lab.gitlab.world(|world| world.changes().to_vec());
        for change in changes.iter().filter(|change| change.key.contains("SECRET")) {
            self.secrets.insert(change.value.clone());
        }
    }

    async fn run(&mut self, command: &str, format: &str, settings: &Settings) -> Option<i32> {
        let mut settings = settings.clone();
        settings.insert("KEYTURN_LOG".into(), "trace".into());
        settings.insert("LOG_SENSITIVE_BODIES".into(), "true".into());
        settings.insert("LOG_SIGNABLE_BODY".into(), "true".into());
        settings.insert("RUST_LOG".into(), "trace".into());
        self.remember().await;
        let _ = std::fs::remove_file(&self.report);
        let file = self.report.to_str().unwrap().to_owned();
        let arguments = [command, "--format", format, "--report", &file];
        let output = self.lab.command(&arguments, &settings).output().unwrap();
        self.written.extend(output.stdout);
        self.written.extend(output.stderr);
        self.written
            .extend(std::fs::read(&self.report).unwrap_or_default());
        self.remember().await;
        output.status.code()
    }

    /// What was written has no secret in it, and the search would have found one.
    fn check(mut self) {
        let lines = String::from_utf8_lossy(&self.written).into_owned();
        assert!(
            lines.contains("TRACE"),
            "the log says too little for this to mean anything"
        );
        assert!(self.secrets.iter().all(|secret| secret.len() >= 16));
        assert_eq!(found(&self.written, &self.secrets), Vec::<String>::new());
        let secrets = self.secrets.clone();
        let at = self.written.len();
        for secret in secrets {
            for form in forms(&secret) {
                self.written.truncate(at);
                self.written.extend(form.bytes());
                assert!(!found(&self.written, &self.secrets).is_empty(), "{form}");
            }
        }
    }
}

/// The ways in which a secret may be spelt.
fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned(), url_encoded(secret)];
    // Inside other text it begins at any of three places of base64's groups.
    for shift in 0..3 {
        let encoded = base64(&[&b"   "[..shift], secret.as_bytes()].concat());
        let clean = encoded.get(4..encoded.len() - 4).unwrap().to_owned();
        forms.push(clean.replace('+', "-").replace('/', "_"));
        forms.push(clean);
    }
    forms
}

fn found(written: &[u8], secrets: &BTreeSet<String>) -> Vec<String> {
    let text = String::from_utf8_lossy(written);
    let all = secrets.iter().flat_map(|secret| forms(secret));
    all.filter(|form| text.contains(form.as_str())).collect()
}

fn url_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let number = (0..3).fold(0, |sum, at| {
            sum << 8 | usize::from(group.get(at).copied().unwrap_or(0))
        });
        for at in 0..4 {
            let digit = DIGITS[number >> (18 - 6 * at) & 63];
            text.push(if at <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[test]
fn the_search_knows_base64() {
    assert_eq!(base64(b"Man"), "TWFu");
    assert_eq!(base64(b"light w"), "bGlnaHQgdw==");
    assert_eq!(url_encoded("a+/b"), "a%2B%2Fb");
}

fn put(variable: &str, effect: Effect) -> Fault {
    Fault::on("PUT", &format!("/variables/{variable}"), effect)
}

#[tokio::test]
async fn a_good_rotation() {
    let mut watched = Watched::start("good").await;
    let role = watched.role().await;
    let settings = watched.lab.settings(&role);
    assert_eq!(watched.run("plan", "text", &settings).await, Some(0));
    assert_eq!(watched.run("rotate", "text", &settings).await, Some(0));
    assert_eq!(watched.run("rotate", "json", &settings).await, Some(0));
    watched.check();
}

#[tokio::test]
async fn a_rotation_signed_by_the_pair_itself_that_deletes_it() {
    let mut watched = Watched::start("immediate").await;
    let mut settings = watched.lab.settings(&watched.lab.pair());
    settings.insert("KEYTURN_GRACE".into(), "0s".into());
    settings.insert("KEYTURN_DELETE_AFTER".into(), "0s".into());
    assert_eq!(watched.run("rotate", "json", &settings).await, Some(0));
    assert_eq!(watched.lab.aws.keys(USER).await.unwrap().len(), 1);
    watched.check();
}

#[tokio::test]
async fn a_torn_pair() {
    let mut watched = Watched::start("torn").await;
    let settings = watched.lab.settings(&watched.lab.pair());
    // A server's error would be outlasted; a refusal is taken at its word.
    let refusal = Answer::Custom {
        status: 404,
        headers: BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]),
        body: r#"{"message":"404 Not Found"}"#.to_owned(),
    };
    let fault = put("AWS_ACCESS_KEY_ID", Effect::answer(refusal));
    watched.lab.gitlab.fault(fault.times(2));
    watched.run("rotate", "text", &settings).await;
    assert!(!watched.lab.aws.works(&watched.lab.pair()).await, "not torn");
    for format in ["text", "json"] {
        let settings = watched.lab.settings(&watched.lab.pair());
        watched.run("rotate", format, &settings).await;
    }
    assert!(watched.lab.aws.works(&watched.lab.pair()).await);
    watched.check();
}

#[tokio::test]
async fn a_refused_secret_that_the_answer_quotes() {
    let mut watched = Watched::start("refused").await;
    let settings = watched.lab.settings(&watched.lab.pair());
    let token = watched.lab.token.clone();
    let body = format!(r#"{{"message":{{"value":["is invalid"]}},"token":"{token}"}}"#);
    let answer = Answer::Custom {
        status: 400,
        headers: BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]),
        body,
    };
    let fault = put("AWS_SECRET_ACCESS_KEY", Effect::answer(answer));
    watched.lab.gitlab.fault(fault.times(0));
    for format in ["text", "json"] {
        assert_eq!(watched.run("rotate", format, &settings).await, Some(3));
    }
    watched.check();
}

#[tokio::test]
async fn an_answer_of_create_that_is_a_web_page() {
    let mut watched = Watched::start("page").await;
    let settings = watched.lab.settings(&watched.lab.pair());
    let page = "<html><SecretAccessKey>wJalrXUtnFEMI/K7MDENG+bPxRfiCYSECRETKEYx</SecretAccessKey></html>";
    watched
        .secrets
        .insert("wJalrXUtnFEMI/K7MDENG+bPxRfiCYSECRETKEYx".into());
    let fault = json!({"action": "CreateAccessKey", "mode": "body", "status": 200, "content_type": "text/html",
        "body": page, "apply": true});
    watched.lab.aws.fault(fault).await.unwrap();
    assert_eq!(watched.run("rotate", "text", &settings).await, Some(4));
    assert_eq!(watched.run("rotate", "json", &settings).await, Some(0));
    watched.check();
}

#[tokio::test]
async fn answers_of_gitlab_that_are_wrong_json() {
    let mut watched = Watched::start("json").await;
    let settings = watched.lab.settings(&watched.lab.pair());
    let secret = watched.lab.old.secret.clone();
    for (method, status) in [("GET", 200), ("PUT", 200), ("GET", 500)] {
        let answer = Answer::Custom {
            status,
            headers: BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]),
            body: format!(r#"{{"key":"AWS_SECRET_ACCESS_KEY","value":"{secret}","raw":{{"#),
        };
        let fault = Fault::on(method, "", Effect::answer(answer)).containing("/variables");
        watched.lab.gitlab.fault(fault);
        watched.run("rotate", "text", &settings).await;
    }
    watched.run("rotate", "json", &settings).await;
    watched.check();
}

#[tokio::test]
async fn settings_that_cannot_be_used() {
    let mut watched = Watched::start("settings").await;
    let good = watched.lab.settings(&watched.lab.pair());
    let token = watched.lab.token.clone();
    let secret = watched.lab.old.secret.clone();
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
            watched.run("plan", format, &settings).await;
        }
    }
    watched.check();
}
