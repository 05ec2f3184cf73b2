//! Opening a rotation: whose credentials sign, whose key is rotated, and whether GitLab's token is fit for it. All of
//! it only reads, and all of it comes before a key is created.

use std::sync::Arc;
use std::time::Duration;

use planner::{Facts, Reconciler, SecretValue, Target, Timestamp};

use super::Rotation;
use super::assignment::Assignment;
use super::budget::Budgets;
use super::identity::Identity;
use super::observer::Observer;
use super::performer::Performer;
use super::remotes::Remotes;
use super::time::Time;
use super::transcript::Transcript;
use crate::aws::{Caller, CallerFailure, CallerKind, Connection};
use crate::clock::Deadline;
use crate::failure::{Class, Failure};
use crate::gitlab::{Gitlab, Version, find, marker};
use crate::reason::Reason;
use crate::report::Command;
use crate::secret::KeyPair;
use crate::settings::{RotationSpec, Settings};
use crate::stop::Stop;
use crate::warnings::Warnings;

/// GitLab's group `PUT` honours `filter[environment_scope]` from this version on; before it, it may overwrite the
/// variable of another scope.
const OLDEST_GITLAB: Version = Version { major: 16, minor: 9 };
/// Token expiry is warned of this long ahead.
const EXPIRY_WARNING: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Rotation {
    /// Opens both remotes and finds out who is who.
    ///
    /// # Errors
    ///
    /// When there is no usable credential, no user to rotate, or the token can't be used.
    pub async fn open(
        settings: Settings,
        aws: Connection,
        command: Command,
        deadline: Deadline,
        stop: Stop,
        warnings: Warnings,
    ) -> Result<Rotation, Failure> {
        let Settings {
            gitlab,
            rotation: spec,
        } = settings;
        let gitlab = Gitlab::open(&gitlab)?.until(deadline);
        let version = gitlab.version().await?;
        if version < OLDEST_GITLAB {
            return Err(Failure::blocked(
                Reason::GitlabTooOld,
                format!(
                    "nothing was changed: this is GitLab {version}, which may overwrite the variable of another scope"
                ),
                format!("Use GitLab {OLDEST_GITLAB} or newer."),
            ));
        }
        let token_left = check_token(&gitlab, command, deadline, &warnings).await?;
        let (aws, pair, caller) = signer(aws, &gitlab, &spec).await?;
        let user = user_of(&spec, &caller)?;
        let identity = Identity::new(caller.account.clone(), user);
        let own = pair.filter(|_| identity.is(&caller));
        let signs = own.as_ref().map(|pair| pair.id);
        let time = Time::new(deadline, stop, Budgets::of(spec.settle, spec.targets.len()));
        let assignment = Arc::new(Assignment {
            command,
            policy: spec.policy.policy(command != Command::Retire),
            spec,
            identity,
        });
        Ok(Rotation {
            remotes: Remotes::new(aws, gitlab, version),
            keyring: own.into_iter().collect(),
            observer: Observer::new(Arc::clone(&assignment)),
            performer: Performer::new(Arc::clone(&assignment), time.clone(), warnings.clone()),
            transcript: Transcript::new(warnings, token_left),
            reconciler: Reconciler::new(signs),
            time,
            assignment,
        })
    }
}

/// The credentials that sign. When the pair of the environment is torn, because a run was killed between the two writes
/// of a pair, the marker of the secret says which id belongs to it: the only way out without a person.
async fn signer(
    aws: Connection,
    gitlab: &Gitlab,
    spec: &RotationSpec,
) -> Result<(Connection, Option<KeyPair>, Caller), Failure> {
    let pair = aws.environment_pair().await;
    let refusal = match aws.caller().await {
        Ok(caller) => return Ok((aws, pair, caller)),
        Err(CallerFailure::Other(failure)) => return Err(failure),
        Err(refusal @ (CallerFailure::WrongSecret | CallerFailure::UnknownKey)) => refusal,
    };
    let Some(pair) = pair else {
        return Err(refusal.into_failure(aws.region_is_default()));
    };
    for target in &spec.targets {
        let variables = gitlab.variables(&target.container).await?;
        let Some(secret) = find(&variables, &target.secret, &target.scope)? else {
            continue;
        };
        let (_, Some(note)) = marker::parse(secret.description.as_deref()) else {
            continue;
        };
        let mended = KeyPair {
            id: note.key,
            secret: pair.secret.clone(),
        };
        let connection = aws.signed_by(&mended);
        match connection.caller().await {
            Ok(caller) => {
                tracing::warn!(key = %mended.id, "the pair of the environment is torn; its secret belongs to another id");
                return Ok((connection, Some(mended), caller));
            }
            Err(CallerFailure::WrongSecret | CallerFailure::UnknownKey) => {}
            Err(CallerFailure::Other(failure)) => return Err(failure),
        }
    }
    Err(refusal.into_failure(aws.region_is_default()))
}

fn user_of(spec: &RotationSpec, caller: &Caller) -> Result<String, Failure> {
    match (&caller.kind, &spec.user) {
        (CallerKind::Root, _) => Err(Failure::blocked(
            Reason::RootRefused,
            format!(
                "no key was looked at: the credentials are those of the root user of account {}",
                caller.account
            ),
            "Delete the root user's access keys and run keyturn as an IAM user or a role.",
        )),
        (CallerKind::User { .. } | CallerKind::Role { .. } | CallerKind::Other, Some(user)) => {
            Ok(user.clone())
        }
        (CallerKind::User { name }, None) => Ok(name.clone()),
        (CallerKind::Role { .. } | CallerKind::Other, None) => Err(Failure::settings(
            Reason::UserMissing,
            format!(
                "no key was looked at: {} is no IAM user, so there is no user to default to",
                caller.arn
            ),
            "Set AWS_IAM_USER to the name of the user whose key is to be rotated.",
        )),
    }
}

/// A caller is the user to rotate only where its key is: whose key is written to variables that hold another, or none, is not
/// for a default to say. `None` where it is told, or where the planner has more to say of it.
pub(super) fn user_missing(assignment: &Assignment, facts: &Facts) -> Option<Failure> {
    let (spec, user) = (&assignment.spec, &assignment.identity.user);
    // What is hidden without a marker, or was not read, may hold anybody's key: that is for the planner to say.
    let untold = |target: &Target| match target {
        Target::Seen(pair) => {
            pair.secret.value == SecretValue::Hidden && pair.is_unmarked() && !pair.names_a_key()
        }
        Target::Unread => true,
    };
    let elsewhere = planner::in_the_wrong_place(facts).is_some();
    let untold = facts.targets.iter().any(untold);
    if spec.user.is_some() || elsewhere || untold || planner::names_a_listed_key(facts) {
        return None;
    }
    Some(Failure::settings(
        Reason::UserMissing,
        format!(
            "nothing was changed: the variables hold no key of {user}, who signs this run, and nothing says whose key is to \
             be written there"
        ),
        "Set AWS_IAM_USER to the name of the user whose key is to be rotated.",
    ))
}

/// Refuses a token that can't write, and says how long it is still good for.
async fn check_token(
    gitlab: &Gitlab,
    command: Command,
    deadline: Deadline,
    warnings: &Warnings,
) -> Result<Option<Duration>, Failure> {
    let Some(token) = gitlab.token().await? else {
        return Ok(None);
    };
    let writes = command != Command::Plan;
    if writes && !token.may_write() {
        return Err(Failure {
            class: Class::Blocked,
            reason: Reason::TokenScope,
            message: format!(
                "nothing was changed: the token {:?} lacks the scope api",
                token.name
            ),
            advice: "Create a token with the scope api (Owner of the group, or Maintainer of the project)."
                .to_owned(),
        });
    }
    let (Some(expires), Some(now)) = (token.expires_at, gitlab.clock().now()) else {
        return Ok(None);
    };
    let left = expires.since(now);
    // It must not end between the two halves of a pair: no run could complete that one until a person renews it.
    if writes && left <= deadline.left() {
        return Err(Failure::blocked(
            Reason::TokenExpires,
            format!(
                "nothing was changed: the token {:?} expires before this run may end",
                token.name
            ),
            "Create a new token and set GITLAB_TOKEN to it.",
        ));
    }
    if left <= EXPIRY_WARNING {
        let days = left.as_secs() / 86_400;
        let on = date(expires);
        warnings.say(format!(
            "the GitLab token {:?} expires on {on}, in {days} days",
            token.name
        ));
    }
    Ok(Some(left))
}

fn date(at: Timestamp) -> String {
    crate::report::rfc3339(at).chars().take(10).collect()
}
