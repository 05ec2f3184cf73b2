//! What is wanted of one rotation.

use std::fmt;
use std::time::Duration;

use planner::ValidSettings;

use super::policy::policy;
use super::raw::Raw;
use super::value::{Rule, Scope, VariableName, bad, boolean, duration, human, parsed, path, refused, user};
use crate::failure::Failure;
use crate::gitlab::VariableOwner;
use crate::reason::Reason;

const JOURNAL: &str = "KEYTURN_JOURNAL";
/// How long a new key is proved, unless the user says otherwise.
pub const DEFAULT_SETTLE: Duration = Duration::from_secs(10);
/// A key is created only with the time for its proof (`rotation::create_budget`), and a run has ten minutes in all.
const LONGEST_SETTLE: Duration = Duration::from_secs(60);

/// The settings of one rotation.
#[derive(Clone, Debug)]
pub struct RotationSpec {
    /// The IAM user; the caller when absent.
    pub user: Option<String>,
    /// Where the pair is held: at least one, the group first. The journal is beside the first, in its scope.
    pub targets: Vec<TargetSpec>,
    /// Name of the variable with the intent record; `None`: no record is kept.
    pub journal: Option<VariableName>,
    /// Whether variables that keyturn creates are protected.
    pub protected: bool,
    /// How long a new key is proved before it is published.
    pub settle: Duration,
    /// What the planner decides by.
    pub policy: ValidSettings,
}

/// Where a pair is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetSpec {
    /// What the variables belong to.
    pub container: VariableOwner,
    /// The variable with the access key's id.
    pub id: VariableName,
    /// The variable with the secret access key.
    pub secret: VariableName,
    /// Environment scope of both.
    pub scope: Scope,
}

/// `group/42/AWS_ACCESS_KEY_ID+AWS_SECRET_ACCESS_KEY@*`
impl fmt::Display for TargetSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TargetSpec {
            container,
            id,
            secret,
            scope,
        } = self;
        write!(f, "{container}/{id}+{secret}@{scope}")
    }
}

impl RotationSpec {
    pub(super) fn from(raw: &Raw) -> Result<RotationSpec, Failure> {
        let containers = containers(raw)?;
        let id = variable(
            "KEYTURN_ACCESS_KEY_ID_VARIABLE",
            raw.keyturn_access_key_id_variable.as_deref(),
            "AWS_ACCESS_KEY_ID",
        )?;
        let secret = variable(
            "KEYTURN_SECRET_ACCESS_KEY_VARIABLE",
            raw.keyturn_secret_access_key_variable.as_deref(),
            "AWS_SECRET_ACCESS_KEY",
        )?;
        let journal = match raw.keyturn_journal.as_deref() {
            None => Some(own_journal()?),
            Some(said) => journal(said)?,
        };
        distinct(&id, &secret, journal.as_ref())?;
        both_named(raw)?;
        let settle = settle(raw)?;
        let policy = policy(raw, journal.is_some())?;
        let user = parsed("AWS_IAM_USER", raw.aws_iam_user.as_deref(), user)?;
        let scope = parsed(
            "KEYTURN_ENVIRONMENT_SCOPE",
            raw.keyturn_environment_scope.as_deref(),
            Scope::parse,
        )?
        .unwrap_or_default();
        let target = |container| TargetSpec {
            container,
            id: id.clone(),
            secret: secret.clone(),
            scope: scope.clone(),
        };
        Ok(RotationSpec {
            user,
            targets: containers.into_iter().map(target).collect(),
            journal,
            protected: parsed("KEYTURN_PROTECTED", raw.keyturn_protected.as_deref(), boolean)?
                .unwrap_or(true),
            settle,
            policy,
        })
    }
}

fn containers(raw: &Raw) -> Result<Vec<VariableOwner>, Failure> {
    let group = parsed("GITLAB_GROUP_ID", raw.gitlab_group_id.as_deref(), path)?;
    let project = parsed("GITLAB_PROJECT_ID", raw.gitlab_project_id.as_deref(), path)?;
    let group = group.map(VariableOwner::Group);
    let all: Vec<VariableOwner> = group
        .into_iter()
        .chain(project.map(VariableOwner::Project))
        .collect();
    if all.is_empty() {
        return Err(refused(
            Reason::NoTarget,
            "neither GITLAB_GROUP_ID nor GITLAB_PROJECT_ID says where the variables are",
            "Set one or both, to the number or the full path of the group or project.",
        ));
    }
    Ok(all)
}

fn variable(name: &str, said: Option<&str>, default: &str) -> Result<VariableName, Failure> {
    let text = said.unwrap_or(default);
    VariableName::parse(text).map_err(|rule| bad(name, text, rule))
}

fn own_journal() -> Result<VariableName, Failure> {
    variable(JOURNAL, None, JOURNAL)
}

fn journal(said: &str) -> Result<Option<VariableName>, Failure> {
    const RULE: Rule = "true, false, or the name of the variable to keep the record in";
    match boolean(said) {
        Ok(true) => own_journal().map(Some),
        Ok(false) => Ok(None),
        // GitLab puts every variable into the environment of jobs, and so also the journal itself, under the name of this
        // setting. No name has these letters, and every record has one of them.
        Err(_) if said.contains([':', '[', '{']) => own_journal().map(Some),
        Err(_) => VariableName::parse(said)
            .map(Some)
            .map_err(|_| bad(JOURNAL, said, RULE)),
    }
}

fn distinct(id: &VariableName, secret: &VariableName, journal: Option<&VariableName>) -> Result<(), Failure> {
    let clash = if id == secret {
        Some((id, "both the access key's id and its secret"))
    } else if journal == Some(id) {
        Some((id, "both the access key's id and the journal"))
    } else if journal == Some(secret) {
        Some((secret, "both the secret access key and the journal"))
    } else {
        None
    };
    match clash {
        None => Ok(()),
        Some((name, roles)) => Err(refused(
            Reason::SameVariable,
            format!("the variable {name} would hold {roles}"),
            "Give each a name of its own: KEYTURN_ACCESS_KEY_ID_VARIABLE, \
             KEYTURN_SECRET_ACCESS_KEY_VARIABLE, KEYTURN_JOURNAL.",
        )),
    }
}

/// One name alone is a pair of which one half was forgotten: the other would be that of another pair.
fn both_named(raw: &Raw) -> Result<(), Failure> {
    let (set, missing) = match (
        &raw.keyturn_access_key_id_variable,
        &raw.keyturn_secret_access_key_variable,
    ) {
        (Some(_), None) => (
            "KEYTURN_ACCESS_KEY_ID_VARIABLE",
            "KEYTURN_SECRET_ACCESS_KEY_VARIABLE",
        ),
        (None, Some(_)) => (
            "KEYTURN_SECRET_ACCESS_KEY_VARIABLE",
            "KEYTURN_ACCESS_KEY_ID_VARIABLE",
        ),
        (Some(_), Some(_)) | (None, None) => return Ok(()),
    };
    Err(refused(
        Reason::HalfPairNamed,
        format!("{set} is set and {missing} is not, so they would name halves of two pairs"),
        format!("Set {missing} too, or unset {set}."),
    ))
}

fn settle(raw: &Raw) -> Result<Duration, Failure> {
    let settle = parsed("KEYTURN_SETTLE", raw.keyturn_settle.as_deref(), duration)?.unwrap_or(DEFAULT_SETTLE);
    if settle > LONGEST_SETTLE {
        return Err(refused(
            Reason::BadSetting,
            format!(
                "KEYTURN_SETTLE={} exceeds {}, the time that a run keeps for proving a key",
                human(settle),
                human(LONGEST_SETTLE)
            ),
            "Set it to 1m or less; 10s is the default.",
        ));
    }
    Ok(settle)
}
