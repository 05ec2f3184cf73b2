//! What a run says: `keyturn.report/1` as JSON, and the same as text. It is built from key ids, names and times; no type
//! that can hold a secret reaches this module.

mod junit;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use std::time::Duration;

use planner::{
    Block, Facts, Holds, Incomplete, KeyId, Policy, Role, Status, Timestamp, Wait, holdings, roles,
};
use serde::Serialize;

use crate::failure::{Class, Failure};
use crate::reason::Reason;

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

/// How a rotation ended. The exit code follows from it.
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

/// The end of a run, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// How it ended.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
    /// A sentence.
    pub message: String,
    /// What to do.
    pub advice: String,
    /// When another run can go on.
    pub next_run: Option<Timestamp>,
}

impl Ending {
    /// Nothing is left to do.
    pub fn converged(until: Option<Timestamp>) -> Ending {
        Ending {
            outcome: Outcome::Converged,
            reason: Reason::Converged,
            message: "every target holds the current key".to_owned(),
            advice: "Nothing to do.".to_owned(),
            next_run: until,
        }
    }

    /// A later run goes on.
    pub fn waiting(wait: Wait) -> Ending {
        Ending {
            outcome: Outcome::Waiting,
            reason: Reason::from(wait),
            message: wait.to_string(),
            advice: wait.advice().to_owned(),
            next_run: wait.until(),
        }
    }

    /// A person must act.
    pub fn blocked(block: Block) -> Ending {
        Ending {
            outcome: Outcome::Blocked,
            reason: Reason::from(block),
            message: block.to_string(),
            advice: block.advice().to_owned(),
            next_run: None,
        }
    }

    /// The run was cut short.
    pub fn incomplete(why: Incomplete) -> Ending {
        Ending {
            outcome: Outcome::Incomplete,
            reason: Reason::from(why),
            message: why.to_string(),
            advice: why.advice().to_owned(),
            next_run: None,
        }
    }

    /// Adds what a remote said.
    #[must_use]
    pub fn because(mut self, trouble: Option<&Failure>) -> Ending {
        if let Some(trouble) = trouble {
            let _ = write!(self.message, ": {}", trouble.message);
        }
        self
    }

    /// Adds what it is about.
    #[must_use]
    pub fn noting(mut self, what: Option<String>) -> Ending {
        if let Some(what) = what {
            let _ = write!(self.message, " ({what})");
        }
        self
    }

    /// Names the target whose pair this run leaves torn, if it does.
    #[must_use]
    pub fn with_torn(mut self, target: Option<String>) -> Ending {
        if let Some(target) = target {
            let _ = write!(
                self.message,
                "; {target} is torn until the next run: jobs that start now can't sign"
            );
        }
        self
    }
}

impl From<Failure> for Ending {
    fn from(failure: Failure) -> Ending {
        let outcome = match failure.class {
            Class::Blocked => Outcome::Blocked,
            Class::Incomplete => Outcome::Incomplete,
            Class::Converged => Outcome::Converged,
            Class::Waiting => Outcome::Waiting,
            Class::Settings | Class::Unexpected => Outcome::Failed,
        };
        Ending {
            outcome,
            reason: failure.reason,
            message: failure.message,
            advice: failure.advice,
            next_run: None,
        }
    }
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

/// The report of one run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    schema: &'static str,
    version: &'static str,
    command: Command,
    outcome: Outcome,
    rotations: Vec<RotationReport>,
}

/// The report of one rotation.
#[derive(Clone, Debug, Serialize)]
pub struct RotationReport {
    name: String,
    user: String,
    account: String,
    outcome: Outcome,
    reason: Reason,
    message: String,
    advice: String,
    next_run: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    keys: Vec<KeyReport>,
    targets: Vec<TargetReport>,
    steps: Vec<StepReport>,
    /// For metrics; the report has the dates they come from.
    #[serde(skip)]
    vitals: Vitals,
}

/// What of a rotation is worth a graph. `None` is not learnt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vitals {
    /// The age of the oldest key that a target holds, or of the current one while the only pair is torn, by AWS's clock.
    pub key_age: Option<Duration>,
    /// The time until the GitLab token expires, by GitLab's clock.
    pub token_left: Option<Duration>,
}

#[derive(Clone, Debug, Serialize)]
struct KeyReport {
    id: String,
    status: &'static str,
    created: String,
    role: &'static str,
}

#[derive(Clone, Debug, Serialize)]
struct TargetReport {
    target: String,
    holds: String,
    written: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct StepReport {
    step: &'static str,
    key: Option<String>,
    target: Option<String>,
    at: Option<String>,
}

impl RotationReport {
    /// Builds the report from the last observation, if there was one.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a part of the report, and it is built in one place"
    )]
    pub(crate) fn new(
        user: String,
        account: String,
        facts: Option<&Facts>,
        policy: &Policy,
        targets: Vec<String>,
        steps: Vec<Performed>,
        warnings: Vec<String>,
        token_left: Option<Duration>,
        ending: Ending,
    ) -> RotationReport {
        let keys = facts.map(|facts| roles(facts, policy)).unwrap_or_default();
        let held = facts.map(|facts| holdings(facts, policy)).unwrap_or_default();
        let key_age = facts.and_then(|facts| {
            let in_use = keys.iter().filter(|(key, role)| {
                *role == Role::Current || held.iter().any(|(holds, _)| *holds == Holds::Key(key.id))
            });
            in_use.map(|(key, _)| facts.clocks.aws.since(key.created)).max()
        });
        RotationReport {
            name: user.clone(),
            user,
            account,
            outcome: ending.outcome,
            reason: ending.reason,
            message: ending.message,
            advice: ending.advice,
            next_run: ending.next_run.map(rfc3339),
            warnings,
            keys: keys
                .into_iter()
                .map(|(key, role)| KeyReport {
                    id: key.id.to_string(),
                    status: match key.status {
                        Status::Active => "Active",
                        Status::Inactive => "Inactive",
                    },
                    created: rfc3339(key.created),
                    role: match role {
                        Role::Current => "current",
                        Role::Outgoing => "outgoing",
                        Role::Orphan => "orphan",
                        Role::Foreign => "foreign",
                    },
                })
                .collect(),
            targets: targets
                .into_iter()
                .enumerate()
                .map(|(at, target)| {
                    let (holds, written) = held.get(at).copied().unwrap_or((Holds::Unknown, None));
                    let holds = match holds {
                        Holds::Key(key) => key.to_string(),
                        Holds::Torn => "torn".to_owned(),
                        Holds::Unknown => "unknown".to_owned(),
                    };
                    TargetReport {
                        target,
                        holds,
                        written: written.map(rfc3339),
                    }
                })
                .collect(),
            steps: steps
                .into_iter()
                .map(|step| StepReport {
                    step: step.step,
                    key: step.key.map(|key| key.to_string()),
                    target: step.target,
                    at: step.at.map(rfc3339),
                })
                .collect(),
            vitals: Vitals { key_age, token_left },
        }
    }

    /// The report of a rotation that could not be opened.
    pub fn not_opened(user: Option<&str>, failure: Failure) -> RotationReport {
        let ending = Ending::from(failure);
        let user = user.unwrap_or_default().to_owned();
        RotationReport {
            name: user.clone(),
            user,
            account: String::new(),
            outcome: ending.outcome,
            reason: ending.reason,
            message: ending.message,
            advice: ending.advice,
            next_run: None,
            warnings: Vec::new(),
            keys: Vec::new(),
            targets: Vec::new(),
            steps: Vec::new(),
            vitals: Vitals::default(),
        }
    }

    /// The same with a word on these.
    #[must_use]
    pub fn with_warnings(mut self, warnings: Vec<String>) -> RotationReport {
        self.warnings = warnings;
        self
    }

    /// The same with other vitals.
    #[must_use]
    pub fn with_vitals(mut self, vitals: Vitals) -> RotationReport {
        self.vitals = vitals;
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it ended.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Why.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// What is worth a graph.
    pub fn vitals(&self) -> Vitals {
        self.vitals
    }
}

impl Report {
    /// The report of a run with one rotation.
    pub fn new(command: Command, rotation: RotationReport) -> Report {
        Report {
            schema: "keyturn.report/1",
            version: env!("CARGO_PKG_VERSION"),
            command,
            outcome: rotation.outcome,
            rotations: vec![rotation],
        }
    }

    /// What was asked for.
    pub fn command(&self) -> Command {
        self.command
    }

    /// How the run ended.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The rotations of the run.
    pub fn rotations(&self) -> &[RotationReport] {
        &self.rotations
    }

    /// Adds advice to what ended for one of these reasons.
    pub fn advise(&mut self, reasons: &[Reason], advice: &str) {
        for rotation in &mut self.rotations {
            if reasons.contains(&rotation.reason) {
                let _ = write!(rotation.advice, " {advice}");
            }
        }
    }

    /// Whether the run ended well.
    pub fn is_fine(&self) -> bool {
        matches!(self.outcome, Outcome::Converged | Outcome::Waiting)
    }

    /// The exit code that says so. `settings` tells a failure of settings from a defect.
    pub fn exit(&self, settings: bool) -> Exit {
        match self.outcome {
            Outcome::Converged | Outcome::Waiting => Exit::Fine,
            Outcome::Blocked => Exit::Blocked,
            Outcome::Incomplete => Exit::Incomplete,
            Outcome::Failed if settings => Exit::Usage,
            Outcome::Failed => Exit::Unexpected,
        }
    }

    /// One JSON document.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// JUnit XML: a test case for each rotation.
    pub fn junit(&self) -> String {
        junit::document(self)
    }

    /// A short sentence, for a Lambda error.
    pub fn summary(&self) -> String {
        self.rotations
            .iter()
            .map(|rotation| format!("{}: {}", rotation.reason, rotation.message))
            .collect()
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for rotation in &self.rotations {
            rotation.write_text(self.command, &mut text);
        }
        text
    }
}

impl RotationReport {
    fn write_text(&self, command: Command, text: &mut String) {
        let outcome = self.outcome.word();
        let who = if self.user.is_empty() {
            "keyturn"
        } else {
            &self.user
        };
        // Writing to a String can't fail.
        let _ = writeln!(text, "{who}: {outcome} ({}): {}", self.reason, self.message);
        let planned = if command == Command::Plan { "would " } else { "" };
        for step in &self.steps {
            let of = [step.key.as_deref(), step.target.as_deref()]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(" -> ");
            let _ = writeln!(text, "  {planned}{:<13} {of}", step.step);
        }
        for key in &self.keys {
            let _ = writeln!(
                text,
                "  key {} {:<8} {:<8} created {}",
                key.id, key.status, key.role, key.created
            );
        }
        for target in &self.targets {
            let written = target.written.as_deref().unwrap_or("at an unknown time");
            let _ = writeln!(
                text,
                "  target {} holds {}, written {written}",
                target.target, target.holds
            );
        }
        for warning in &self.warnings {
            let _ = writeln!(text, "  warning: {warning}");
        }
        if let Some(next) = &self.next_run {
            let _ = writeln!(text, "  next run: {next}");
        }
        let _ = writeln!(text, "  advice: {}", self.advice);
    }
}

/// A server's time as reports write it.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_second(at.0)
        .map(|at| at.to_string())
        .unwrap_or_default()
}
