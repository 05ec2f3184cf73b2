//! The Lambda door: any event means `rotate`, unless it names another command.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

use crate::clock::Deadline;
use crate::report::Command;
use crate::run::{RUN_DEADLINE, run};
use crate::stop::Stop;

/// Left of the function's time for the report.
const MARGIN: Duration = Duration::from_secs(2);

/// Serves invocations until the execution environment ends. Clients are built anew for each, because a client goes on
/// signing with the credentials it was built with.
///
/// # Errors
///
/// When the runtime API fails.
pub async fn serve(environment: BTreeMap<String, String>, notes: Vec<String>) -> Result<(), Error> {
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| {
        let (environment, notes) = (&environment, notes.clone());
        Box::pin(invoke(event, environment, notes))
    }))
    .await
}

async fn invoke(
    event: LambdaEvent<Value>,
    environment: &BTreeMap<String, String>,
    notes: Vec<String>,
) -> Result<Value, Error> {
    let command = command(&event.payload)?;
    let left = left(event.context.deadline).saturating_sub(MARGIN);
    let deadline = Deadline::after(left.min(RUN_DEADLINE));
    let (report, _) = run(command, environment, notes, deadline, Stop::default()).await;
    if report.is_fine() {
        return Ok(serde_json::from_str(&report.json())?);
    }
    tracing::error!("{}", report.summary());
    Err(report.json().into())
}

/// `{"command":"retire"}` selects; events of CloudWatch Events and of the Scheduler have no such name.
fn command(event: &Value) -> Result<Command, Error> {
    match event.get("command") {
        None => Ok(Command::Rotate),
        Some(Value::String(command)) if command == "rotate" => Ok(Command::Rotate),
        Some(Value::String(command)) if command == "retire" => Ok(Command::Retire),
        Some(Value::String(command)) if command == "plan" => Ok(Command::Plan),
        Some(other) => Err(format!(
            "nothing was done: the event's command is {other}; it must be \"rotate\", \"retire\" or \"plan\""
        )
        .into()),
    }
}

/// The time until the function's deadline, which Lambda gives in milliseconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the deadline is a time of this machine's own clock, no key's age"
)]
fn left(deadline_ms: u64) -> Duration {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Duration::from_millis(deadline_ms).saturating_sub(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_scheduled_event_means_rotate() {
        let event = json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}});
        assert_eq!(command(&event).unwrap(), Command::Rotate);
    }

    #[test]
    fn an_event_can_name_the_command_and_an_unknown_one_is_refused() {
        assert_eq!(command(&json!({"command": "retire"})).unwrap(), Command::Retire);
        assert_eq!(command(&json!({"command": "plan"})).unwrap(), Command::Plan);
        assert!(command(&json!({"command": "destroy"})).is_err());
        assert!(command(&json!({"command": 1})).is_err());
    }
}
