//! One run, whichever door it came through: settings, then the rotation, then the report.

use std::collections::BTreeMap;
use std::time::Duration;

use tracing::{Instrument, Span};

use crate::aws::Connection;
use crate::clock::Deadline;
use crate::failure::Failure;
use crate::log::of_rotation;
use crate::reason::Reason;
use crate::report::{Command, Report, RotationReport};
use crate::rotation::Rotation;
use crate::secret::Secret;
use crate::settings::{Bootstrap, SecretJson, Settings, warn_of_unknown};
use crate::stop::Stop;
use crate::warnings::Warnings;

/// A run ends itself after this long (D of the protocol); a Lambda function has what is left of its own time.
pub const RUN_DEADLINE: Duration = planner::Bounds::DEFAULT.run;

/// Runs a command with the settings of this environment, for the rotations that `only` names, or all. `warnings` are those of
/// the door that it came through.
pub async fn run(
    command: Command,
    only: Option<&[String]>,
    environment: &BTreeMap<String, String>,
    warnings: Warnings,
    deadline: Deadline,
    stop: Stop,
) -> Report {
    let user = environment.get("AWS_IAM_USER").map(String::as_str);
    let opened = Box::pin(async {
        let (settings, aws) = read(environment, &warnings).await?;
        let span = settings
            .rotation
            .user
            .as_deref()
            .map_or(Span::none(), of_rotation);
        let opening = Rotation::open(settings, aws, command, deadline, stop, warnings.clone());
        let rotation = opening.instrument(span).await?;
        selected(only, rotation.name())?;
        Ok(rotation)
    });
    let rotation = match opened.await {
        Ok(rotation) => {
            let span = of_rotation(rotation.name());
            Box::pin(rotation.run()).instrument(span).await
        }
        Err(failure) => RotationReport::not_opened(user, failure).with_warnings(warnings.kept()),
    };
    Report::new(command, rotation)
}

/// The settings, and the connection to AWS that some of them may come by.
async fn read(
    environment: &BTreeMap<String, String>,
    warnings: &Warnings,
) -> Result<(Settings, Connection), Failure> {
    // First, because it may be why one of the others can't be used.
    warn_of_unknown(environment, warnings);
    let bootstrap = Bootstrap::from(environment)?;
    let Some(id) = &bootstrap.secret_id else {
        // What needs no secret is refused before anything is asked of AWS.
        let complete = Settings::from(environment, None, warnings)?;
        return Ok((complete, Connection::open(&bootstrap.aws).await?));
    };
    let aws = Connection::open(&bootstrap.aws).await?;
    let secret = SecretJson::parse(&Secret::new(aws.secret(id).await?), warnings)?;
    Ok((Settings::from(environment, Some(&secret), warnings)?, aws))
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
