//! One run, whichever door it came through: settings, then the rotation, then the report.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::aws::{AwsSettings, Connection};
use crate::clock::Deadline;
use crate::failure::{Class, Failure};
use crate::report::{Command, Exit, Report, RotationReport};
use crate::rotation::Rotation;
use crate::secret::Secret;
use crate::settings::{Bootstrap, SecretJson, Settings};
use crate::stop::Stop;

/// A run ends itself after this long (D of the protocol); a Lambda function has what is left of its own time.
pub const RUN_DEADLINE: Duration = planner::Bounds::DEFAULT.run;

/// Runs a command with the settings of this environment, for the rotations that `only` names, or all.
pub async fn run(
    command: Command,
    only: Option<&[String]>,
    environment: &BTreeMap<String, String>,
    notes: Vec<String>,
    deadline: Deadline,
    stop: Stop,
) -> (Report, Exit) {
    let user = environment.get("AWS_IAM_USER").map(String::as_str);
    let (rotation, settings_failure) =
        match Box::pin(open(command, only, environment, notes, deadline, stop)).await {
            Ok(rotation) => (Box::pin(rotation.run(command)).await, false),
            Err(failure) => {
                let of_settings = failure.class == Class::Settings;
                (RotationReport::not_opened(user, failure), of_settings)
            }
        };
    let report = Report::new(command, rotation);
    let exit = report.exit(settings_failure);
    (report, exit)
}

async fn open(
    command: Command,
    only: Option<&[String]>,
    environment: &BTreeMap<String, String>,
    notes: Vec<String>,
    deadline: Deadline,
    stop: Stop,
) -> Result<Rotation, Failure> {
    let bootstrap = Bootstrap::from(environment)?;
    // What needs no secret is refused before anything is asked of AWS.
    let complete = if bootstrap.secret_id.is_none() {
        Some(Settings::from(environment, None)?)
    } else {
        None
    };
    let aws = Connection::open(&AwsSettings {
        ca_pem: bootstrap.aws_ca_pem.clone(),
        web_identity: bootstrap
            .web_identity
            .as_ref()
            .map(|web| (web.token.clone(), web.role_arn.clone())),
    })
    .await?;
    let mut settings = match (complete, &bootstrap.secret_id) {
        (Some(settings), _) => settings,
        (None, Some(id)) => {
            let secret = SecretJson::parse(&Secret::new(aws.secret(id).await?))?;
            Settings::from(environment, Some(&secret))?
        }
        (None, None) => Settings::from(environment, None)?,
    };
    settings.warnings.splice(0..0, notes);
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let rotation = Rotation::open(settings, aws, command, deadline, stop).await?;
    selected(only, rotation.name())?;
    Ok(rotation)
}

/// A name that no rotation has does nothing: whoever misspelt it meant another one.
fn selected(only: Option<&[String]>, name: &str) -> Result<(), Failure> {
    match only.into_iter().flatten().find(|asked| *asked != name) {
        None => Ok(()),
        Some(unknown) => Err(Failure::settings(
            "unknown_rotation",
            format!("nothing was done: no rotation is called {unknown:?}"),
            format!("There is one, {name:?}: a rotation is called as its user."),
        )),
    }
}
