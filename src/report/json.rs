//! `keyturn.report/1`. These types are the format and nothing else: a member may be added, and none is changed or removed.

use serde::Serialize;

use super::{Command, KeyReport, Outcome, Performed, Report, RotationReport, TargetReport, rfc3339};
use crate::reason::Reason;

const SCHEMA: &str = "keyturn.report/1";

/// One document.
pub(super) fn document(report: &Report) -> String {
    // Only a map with keys that are no texts could fail.
    serde_json::to_string_pretty(&Document::from(report)).unwrap_or_default()
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    version: &'static str,
    command: Command,
    outcome: Outcome,
    rotations: Vec<Rotation<'a>>,
}

/// As many members as the format has.
#[derive(Serialize)]
struct Rotation<'a> {
    name: &'a str,
    user: &'a str,
    account: &'a str,
    outcome: Outcome,
    reason: Reason,
    message: &'a str,
    advice: &'a str,
    next_run: Option<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
    keys: Vec<Key>,
    targets: Vec<Target<'a>>,
    steps: Vec<Step<'a>>,
}

#[derive(Serialize)]
struct Key {
    id: String,
    status: &'static str,
    created: String,
    role: &'static str,
}

#[derive(Serialize)]
struct Target<'a> {
    target: &'a str,
    holds: &'a str,
    written: Option<String>,
}

#[derive(Serialize)]
struct Step<'a> {
    step: &'static str,
    key: Option<&'a str>,
    target: Option<&'a str>,
    at: Option<String>,
}

impl<'a> From<&'a Report> for Document<'a> {
    fn from(report: &'a Report) -> Document<'a> {
        Document {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            command: report.command,
            outcome: report.outcome(),
            rotations: report.rotations.iter().map(Rotation::from).collect(),
        }
    }
}

impl<'a> From<&'a RotationReport> for Rotation<'a> {
    fn from(rotation: &'a RotationReport) -> Rotation<'a> {
        let RotationReport {
            subject,
            ending,
            warnings,
            keys,
            targets,
            steps,
            vitals: _,
        } = rotation;
        Rotation {
            name: rotation.name(),
            user: &subject.user,
            account: &subject.account,
            outcome: ending.class.into(),
            reason: ending.reason,
            message: &ending.message,
            advice: &ending.advice,
            next_run: ending.next_run.map(rfc3339),
            warnings,
            keys: keys.iter().map(Key::from).collect(),
            targets: targets.iter().map(Target::from).collect(),
            steps: steps.iter().map(Step::from).collect(),
        }
    }
}

impl From<&KeyReport> for Key {
    fn from(key: &KeyReport) -> Key {
        Key {
            id: key.id.to_string(),
            status: key.status_word(),
            created: rfc3339(key.created),
            role: key.role_word(),
        }
    }
}

impl<'a> From<&'a TargetReport> for Target<'a> {
    fn from(target: &'a TargetReport) -> Target<'a> {
        Target {
            target: &target.name,
            holds: target.holds_word(),
            written: target.written.map(rfc3339),
        }
    }
}

impl<'a> From<&'a Performed> for Step<'a> {
    fn from(performed: &'a Performed) -> Step<'a> {
        Step {
            step: performed.step,
            key: performed.key.as_ref().map(planner::KeyId::as_str),
            target: performed.target.as_deref(),
            at: performed.at.map(rfc3339),
        }
    }
}
