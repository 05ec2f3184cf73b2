//! One run, whichever door it came through: settings, then the rotation, then the report.

use std::collections::BTreeMap;
use std::time::Duration;

use tracing::{Instrument, Span};

use crate::aws::{AwsSettings, Connection};
use crate::clock::Deadline;
use crate::failure::Failure;
use crate::log::of_rotation;
use crate::reason::Reason;
use crate::report::{Command, Report, RotationReport};
use crate::rotation::Rotation;
use crate::secret::Secret;
use crate::settings::{Bootstrap, SecretJson, Settings, misspelt};
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
) -> Report {
    let user = environment.get("AWS_IAM_USER").map(String::as_str);
    let mut warnings = notes;
    let read = Box::pin(read(environment, &mut warnings)).await;
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    let opened = match read {
        Ok((mut settings, aws)) => {
            settings.warnings.clone_from(&warnings);
            Box::pin(open(command, only, settings, aws, deadline, stop)).await
        }
        Err(failure) => Err(failure),
    };
    let rotation = match opened {
        Ok(rotation) => {
            let span = of_rotation(rotation.name());
            Box::pin(rotation.run()).instrument(span).await
        }
        Err(failure) => RotationReport::not_opened(user, failure).with_warnings(warnings),
    };
    Report::new(command, rotation)
}

/// The settings, and the connection to AWS that some of them may come by. What deserves a word is added to `warnings`,
/// also where the settings can't be used.
async fn read(
    environment: &BTreeMap<String, String>,
    warnings: &mut Vec<String>,
) -> Result<(Settings, Connection), Failure> {
    let bootstrap =
        Bootstrap::from(environment).inspect_err(|_| warnings.extend(misspelt(environment, None)))?;
    // What needs no secret is refused before anything is asked of AWS.
    let complete = match bootstrap.secret_id {
        None => Some(merged(environment, None, warnings)?),
        Some(_) => None,
    };
    let aws = Connection::open(&AwsSettings {
        ca_pem: bootstrap.aws_ca_pem.clone(),
        web_identity: bootstrap
            .web_identity
            .as_ref()
            .map(|web| (web.token.clone(), web.role_arn.clone())),
    })
    .await?;
    let settings = match (complete, &bootstrap.secret_id) {
        (Some(settings), _) => settings,
        (None, Some(id)) => {
            let secret = SecretJson::parse(&Secret::new(aws.secret(id).await?))?;
            merged(environment, Some(&secret), warnings)?
        }
        (None, None) => merged(environment, None, warnings)?,
    };
    Ok((settings, aws))
}

fn merged(
    environment: &BTreeMap<String, String>,
    secret: Option<&SecretJson>,
    warnings: &mut Vec<String>,
) -> Result<Settings, Failure> {
    Settings::from(environment, secret)
        .inspect(|settings| warnings.extend(settings.warnings.iter().cloned()))
        .inspect_err(|_| warnings.extend(misspelt(environment, secret)))
}

async fn open(
    command: Command,
    only: Option<&[String]>,
    settings: Settings,
    aws: Connection,
    deadline: Deadline,
    stop: Stop,
) -> Result<Rotation, Failure> {
    let span = settings.user.as_deref().map_or(Span::none(), of_rotation);
    let opening = Rotation::open(settings, aws, command, deadline, stop).instrument(span);
    let rotation = opening.await?;
    selected(only, rotation.name())?;
    Ok(rotation)
}

/// A name that no rotation has does nothing: whoever misspelt it meant another one.
fn selected(only: Option<&[String]>, name: &str) -> Result<(), Failure> {
    match only.into_iter().flatten().find(|asked| *asked != name) {
        None => Ok(()),
        Some(unknown) => Err(Failure::settings(
            Reason::UnknownRotation,
            format!("nothing was done: no rotation is called {unknown:?}"),
            format!("There is one, {name:?}: a rotation is called as its user."),
        )),
    }
}
