//! What a run says. It is built from key ids, names and times; no type that can hold a secret reaches this module.
//!
//! One renderer a file, each a function of the same report: [`text`](Report::text) for people, [`json`](Report::json) for
//! programs, [`junit`](Report::junit) for CI systems.

mod ending;
mod json;
mod junit;
mod text;

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::time::Duration;

use planner::{Facts, Holds, KeyId, Policy, Role, Status, Timestamp, holdings, roles};
use serde::Serialize;

use crate::failure::Failure;
use crate::reason::{Class, Reason};

pub use ending::Ending;

/// The report of one run, with a part for each of its rotations.
#[derive(Clone, Debug)]
pub struct Report {
    command: Command,
    rotations: Vec<RotationReport>,
}

/// The report of one rotation.
#[derive(Clone, Debug)]
pub struct RotationReport {
    subject: Subject,
    ending: Ending,
    warnings: Vec<String>,
    keys: Vec<KeyReport>,
    targets: Vec<TargetReport>,
    steps: Vec<Performed>,
    vitals: Vitals,
}

/// Whose key a rotation is about. What was not learnt is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The IAM user, after whom the rotation is named.
    pub user: String,
    /// The AWS account.
    pub account: String,
}

/// An access key of the user.
#[derive(Clone, Copy, Debug)]
struct KeyReport {
    id: KeyId,
    status: Status,
    created: Timestamp,
    role: Role,
}

/// What a target holds.
#[derive(Clone, Debug)]
struct TargetReport {
    name: String,
    holds: Holds,
    written: Option<Timestamp>,
}

/// A step that was performed, or that `plan` would perform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Performed {
    /// Its word.
    pub step: &'static str,
    /// The key.
    pub key: Option<KeyId>,
    /// The target.
    pub target: Option<String>,
    /// When, by the server's clock.
    pub at: Option<Timestamp>,
}

/// What of a rotation is worth a graph. `None` is not learnt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vitals {
    /// The age of the oldest key that a target holds, or of the current one while the only pair is torn, by AWS's clock.
    pub key_age: Option<Duration>,
    /// The time until the GitLab token expires, by GitLab's clock.
    pub token_left: Option<Duration>,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Command {
    /// Do what is due.
    Rotate,
    /// Finish, deactivate and delete; never create.
    Retire,
    /// Say what `rotate` would do.
    Plan,
}

/// How a rotation ended, as reports call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Every target holds the current key and nothing is left to do.
    Converged,
    /// A later run goes on.
    Waiting,
    /// A person must act.
    Blocked,
    /// A remote failed; running again is safe.
    Incomplete,
    /// Settings that can't be used, or a defect.
    Failed,
}

/// The exit code of a process, by the contract of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: converged or waiting.
    Fine,
    /// 1: unexpected.
    Unexpected,
    /// 2: usage or settings.
    Usage,
    /// 3: blocked.
    Blocked,
    /// 4: incomplete.
    Incomplete,
}

impl Report {
    /// The report of a run with one rotation.
    pub fn new(command: Command, rotation: RotationReport) -> Report {
        Report::of(command, vec![rotation])
    }

    /// The report of a run with any number of rotations.
    pub fn of(command: Command, rotations: Vec<RotationReport>) -> Report {
        Report { command, rotations }
    }

    /// What was asked for.
    pub fn command(&self) -> Command {
        self.command
    }

    /// The rotations of the run.
    pub fn rotations(&self) -> &[RotationReport] {
        &self.rotations
    }

    /// The worst ending of a rotation is that of the run.
    pub fn class(&self) -> Class {
        let classes = self.rotations.iter().map(|rotation| rotation.ending.class);
        classes.max().unwrap_or(Class::Converged)
    }

    /// How the run ended.
    pub fn outcome(&self) -> Outcome {
        self.class().into()
    }

    /// The exit code that says so.
    pub fn exit(&self) -> Exit {
        self.class().into()
    }

    /// Whether the run ended well.
    pub fn is_fine(&self) -> bool {
        self.exit() == Exit::Fine
    }

    /// Adds advice to what ended for one of these reasons.
    pub fn advise(&mut self, reasons: &[Reason], advice: &str) {
        for RotationReport { ending, .. } in &mut self.rotations {
            if reasons.contains(&ending.reason) {
                let _ = write!(ending.advice, " {advice}");
            }
        }
    }

    /// A short sentence, for a Lambda error.
    pub fn summary(&self) -> String {
        let summary = |rotation: &RotationReport| {
            let Ending { reason, message, .. } = &rotation.ending;
            format!("{reason}: {message}")
        };
        self.rotations.iter().map(summary).collect::<Vec<_>>().join("; ")
    }

    /// For people.
    pub fn text(&self) -> String {
        text::document(self)
    }

    /// One JSON document, `keyturn.report/1`.
    pub fn json(&self) -> String {
        json::document(self)
    }

    /// JUnit XML: a test case for each rotation.
    pub fn junit(&self) -> String {
        junit::document(self)
    }
}

impl RotationReport {
    /// A rotation that ended like this.
    pub fn new(subject: Subject, ending: Ending) -> RotationReport {
        RotationReport {
            subject,
            ending,
            warnings: Vec::new(),
            keys: Vec::new(),
            targets: Vec::new(),
            steps: Vec::new(),
            vitals: Vitals::default(),
        }
    }

    /// A rotation that could not be opened.
    pub fn not_opened(user: Option<&str>, failure: Failure) -> RotationReport {
        let user = user.unwrap_or_default().to_owned();
        let account = String::new();
        RotationReport::new(Subject { user, account }, failure.into())
    }

    /// The same with its targets, and with what the last observation showed, if there was one.
    #[must_use]
    pub fn with_state(
        mut self,
        targets: Vec<String>,
        facts: Option<&Facts>,
        policy: &Policy,
    ) -> RotationReport {
        let roles = facts.map(|facts| roles(facts, policy)).unwrap_or_default();
        let held = facts.map(|facts| holdings(facts, policy)).unwrap_or_default();
        self.vitals.key_age = facts.and_then(|facts| {
            let in_use = roles.iter().filter(|(key, role)| {
                *role == Role::Current || held.iter().any(|(holds, _)| *holds == Holds::Key(key.id))
            });
            in_use.map(|(key, _)| facts.clocks.aws.since(key.created)).max()
        });
        let key = |(key, role): (planner::Key, Role)| KeyReport {
            id: key.id,
            status: key.status,
            created: key.created,
            role,
        };
        let target = |(at, name)| {
            let (holds, written) = held.get(at).copied().unwrap_or((Holds::Unknown, None));
            TargetReport { name, holds, written }
        };
        self.targets = targets.into_iter().enumerate().map(target).collect();
        self.keys = roles.into_iter().map(key).collect();
        self
    }

    /// The same with these steps.
    #[must_use]
    pub fn with_steps(self, steps: Vec<Performed>) -> RotationReport {
        RotationReport { steps, ..self }
    }

    /// The same with these warnings.
    #[must_use]
    pub fn with_warnings(self, warnings: Vec<String>) -> RotationReport {
        RotationReport { warnings, ..self }
    }

    /// The same with the time until the token expires.
    #[must_use]
    pub fn with_token_left(mut self, token_left: Option<Duration>) -> RotationReport {
        self.vitals.token_left = token_left;
        self
    }

    /// The same with other vitals.
    #[must_use]
    pub fn with_vitals(self, vitals: Vitals) -> RotationReport {
        RotationReport { vitals, ..self }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.subject.user
    }

    /// How it ended.
    pub fn outcome(&self) -> Outcome {
        self.ending.class.into()
    }

    /// Why.
    pub fn reason(&self) -> Reason {
        self.ending.reason
    }

    /// What is worth a graph.
    pub fn vitals(&self) -> Vitals {
        self.vitals
    }
}

impl Command {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Command::Rotate => "rotate",
            Command::Retire => "retire",
            Command::Plan => "plan",
        }
    }
}

impl Outcome {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Converged => "converged",
            Outcome::Waiting => "waiting",
            Outcome::Blocked => "blocked",
            Outcome::Incomplete => "incomplete",
            Outcome::Failed => "failed",
        }
    }
}

impl From<Class> for Outcome {
    fn from(class: Class) -> Outcome {
        match class {
            Class::Converged => Outcome::Converged,
            Class::Waiting => Outcome::Waiting,
            Class::Blocked => Outcome::Blocked,
            Class::Incomplete => Outcome::Incomplete,
            Class::Settings | Class::Unexpected => Outcome::Failed,
        }
    }
}

impl From<Class> for Exit {
    fn from(class: Class) -> Exit {
        match class {
            Class::Converged | Class::Waiting => Exit::Fine,
            Class::Unexpected => Exit::Unexpected,
            Class::Settings => Exit::Usage,
            Class::Blocked => Exit::Blocked,
            Class::Incomplete => Exit::Incomplete,
        }
    }
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Exit::Fine => 0,
            Exit::Unexpected => 1,
            Exit::Usage => 2,
            Exit::Blocked => 3,
            Exit::Incomplete => 4,
        }
    }
}

impl KeyReport {
    fn status_word(&self) -> &'static str {
        match self.status {
            Status::Active => "Active",
            Status::Inactive => "Inactive",
        }
    }

    fn role_word(&self) -> &'static str {
        match self.role {
            Role::Current => "current",
            Role::Outgoing => "outgoing",
            Role::Orphan => "orphan",
            Role::Foreign => "foreign",
        }
    }
}

impl TargetReport {
    /// The id of a key, or a word.
    fn holds_word(&self) -> &str {
        match &self.holds {
            Holds::Key(key) => key.as_str(),
            Holds::Torn => "torn",
            Holds::Unknown => "unknown",
        }
    }
}

/// A server's time as reports write it.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_second(at.0)
        .map(|at| at.to_string())
        .unwrap_or_default()
}
