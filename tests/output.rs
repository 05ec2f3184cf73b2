//! What the real binary writes, word for word: help, log, report, and the lines of the Lambda function. What differs from run
//! to run is replaced. `INSTA_UPDATE=always` writes the snapshots anew, and their diff is reviewed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use testbed::aws::Pair;
use testbed::emulator::{Emulator, SCHEDULED, TIMEOUT};
use testbed::lab::{Lab, Ran, USER, policy};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn binary() -> PathBuf {
    env!("CARGO_BIN_EXE_keyturn").into()
}

/// Text with whatever a run makes up replaced, each by the same word wherever it stands.
#[derive(Default)]
struct Plain {
    known: Vec<(String, String)>,
}

impl Plain {
    fn known(&mut self, text: &str, word: &str) {
        self.known.push((text.to_owned(), word.to_owned()));
    }

    /// Key ids become `KEY-1`, `KEY-2`, in the order in which they are seen; times `TIME`.
    fn of(&mut self, text: &str) -> String {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '.');
        let mut plain = String::new();
        for piece in text.split_inclusive(|c: char| !is_part(c)) {
            let token = piece.trim_end_matches(|c: char| !is_part(c));
            let word = self.word(token);
            plain.push_str(word.as_deref().unwrap_or(token));
            plain.push_str(&piece[token.len()..]);
        }
        for (text, word) in &self.known {
            plain = plain.replace(text, word);
        }
        plain
    }

    fn word(&mut self, token: &str) -> Option<String> {
        let token = token.trim_end_matches(['.', ':']);
        if token.len() == 20 && token.starts_with("AKIA") {
            if !self.known.iter().any(|(known, _)| known == token) {
                let keys = self.known.iter().filter(|(_, word)| word.starts_with("KEY-"));
                let word = format!("KEY-{}", keys.count() + 1);
                self.known(token, &word);
            }
            return None;
        }
        let shape = token.replace(|c: char| c.is_ascii_digit(), "9");
        match shape.as_str() {
            "9999-99-99T99:99:99Z" => Some("TIME".to_owned()),
            _ => None,
        }
    }
}

async fn lab() -> (Lab, Plain) {
    let lab = Lab::start(binary()).await.unwrap();
    let mut plain = Plain::default();
    plain.known(&format!("group/{}", lab.group.0), "group/GROUP");
    (lab, plain)
}

async fn role(lab: &Lab, name: &str) -> Pair {
    let policy = policy("role")
        .unwrap()
        .replace("user/ci-deployer", &format!("user/{USER}"));
    lab.aws.role(name, &policy).await.unwrap()
}

/// Holds a text to its snapshot.
fn same(name: &str, text: &str) {
    let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!(name, text);
    });
}

fn said(ran: &Ran, what: &str) -> String {
    let code = ran.code.unwrap();
    format!(
        "$ {what}\n[exit {code}]\n--- stdout\n{}--- stderr\n{}\n",
        ran.stdout, ran.stderr
    )
}

fn alone(arguments: &[&str]) -> String {
    let output = Command::new(binary())
        .args(arguments)
        .env_clear()
        .output()
        .unwrap();
    let ran = Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    };
    said(&ran, &format!("keyturn {}", arguments.join(" ")))
}

#[test]
fn help_and_usage() {
    let all: String = [
        &["--help"] as &[&str],
        &["-h"],
        &["--version"],
        &["rotate", "--help"],
        &["retire", "--help"],
        &["plan", "--help"],
        &[],
        &["rotaet"],
        &["rotate", "--formt", "json"],
        &["rotate", "--format", "xml"],
    ]
    .map(alone)
    .concat();
    same("help", &all);
}

#[test]
fn settings_that_cannot_be_used() {
    same("settings", &alone(&["rotate"]));
}

#[tokio::test]
async fn a_whole_rotation_as_text() {
    let (lab, mut plain) = lab().await;
    let mut all = String::new();
    for (wait, commands) in [
        (Duration::ZERO, ["plan", "rotate", "rotate"]),
        (DAY + DAY / 4, ["plan", "retire", "retire"]),
        (DAY * 8, ["plan", "retire", "retire"]),
    ] {
        lab.advance(wait).await.unwrap();
        let later = wait.as_secs() / 60 / 60;
        let mut settings = lab.settings(&role(&lab, &format!("rotator-{later}")).await);
        settings.insert("KEYTURN_GRACES".into(), "1h".into());
        for command in commands {
            let ran = lab.run(&[command], &settings).unwrap();
            write!(
                all,
                "{}",
                said(&ran, &format!("keyturn {command}   # {later} hours later"))
            )
            .unwrap();
        }
    }
    same("rotation_text", &plain.of(&all));
}

#[tokio::test]
async fn a_whole_rotation_as_json_signed_by_the_pair() {
    let (lab, mut plain) = lab().await;
    let mut settings = lab.settings(&lab.pair());
    for name in ["KEYTURN_GRACE", "KEYTURN_DELETE_AFTER"] {
        settings.insert(name.into(), "0s".into());
    }
    let ran = lab.run(&["rotate", "--format", "json"], &settings).unwrap();
    let all = said(&ran, "keyturn rotate --format json");
    same("rotation_json", &plain.of(&all));
}

#[tokio::test]
async fn the_lines_of_the_lambda_function() {
    let (lab, mut plain) = lab().await;
    let settings = lab.settings(&role(&lab, "rotator").await);
    let function = Emulator::start(&binary(), &settings, TIMEOUT).await.unwrap();
    // stdout and stderr come by two pipes, in any order.
    let (mut log, mut metrics) = (String::new(), String::new());
    for event in [SCHEDULED, r#"{"command": "retire"}"#, r#"{"command": "destroy"}"#] {
        let invoked = function.invoke(event).await.unwrap();
        for line in invoked.own_lines() {
            let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
            for pointer in [
                "/request",
                "/RequestId",
                "/Duration",
                "/KeyAgeDays",
                "/TokenDaysLeft",
                "/_aws/Timestamp",
            ] {
                if let Some(value) = line.pointer_mut(pointer) {
                    *value = pointer.rsplit('/').next().unwrap().to_uppercase().into();
                }
            }
            let is_metric = line.get("_aws").is_some();
            writeln!(if is_metric { &mut metrics } else { &mut log }, "{line}").unwrap();
        }
    }
    same("lambda", &plain.of(&(log + "\n" + &metrics)));
}
