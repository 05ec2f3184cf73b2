//! The Lambda door: an event says what to do, the report is the answer, and the log and the metrics are lines.

mod event;
mod metrics;

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::io::Write;
use std::time::{Duration, Instant, SystemTime};

use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde_json::Value;

use crate::clock::Deadline;
use crate::failure::Failure;
use crate::reason::Reason;
use crate::report::{Command, Report, RotationReport};
use crate::rotation::create_budget;
use crate::run::{RUN_DEADLINE, run};
use crate::settings::DEFAULT_SETTLE;
use crate::stop::Stop;
use crate::warnings::Warnings;
use event::Asked;

/// Left of the function's time for the report.
const MARGIN: Duration = Duration::from_secs(2);
/// Left when a request that does not end is given up: Lambda would end the process without a word.
const LAST_WORD: Duration = Duration::from_millis(500);
/// Less than this is too little for a rotation: slow remotes take some of it before a key is created, and with the longest
/// time to settle and two targets four and a half minutes must be left then. The template takes no shorter timeout.
pub const ENOUGH: Duration = Duration::from_secs(280);
/// A function in a VPC reaches nothing outside of it by itself, and its requests end in these.
const UNREACHED: [Reason; 4] = [
    Reason::AwsUnreachable,
    Reason::AwsTimeout,
    Reason::GitlabUnreachable,
    Reason::GitlabTimeout,
];
const VPC: &str = "A function that is attached to a VPC needs a NAT gateway, or endpoints, to reach IAM, STS, Secrets Manager \
                   and GitLab.";

/// Serves invocations until the execution environment ends. Clients are built anew for each, because a client goes on
/// signing with the credentials it was built with. An invocation that panics is an error of the function, and the next one is
/// served.
///
/// # Errors
///
/// When the runtime API fails.
pub async fn serve(environment: BTreeMap<String, String>, notes: Vec<String>) -> Result<(), Error> {
    let handler = |event| Box::pin(invoke(event, &environment, &notes));
    lambda_runtime::run(service_fn(handler)).await
}

async fn invoke(
    event: LambdaEvent<Value>,
    environment: &BTreeMap<String, String>,
    notes: &[String],
) -> Result<Value, Failed> {
    let (began, left) = (Instant::now(), left(event.context.deadline));
    // For the test of what becomes of a panic. What ships has no such assertion, and refuses the event.
    debug_assert!(event.payload.get("defect").is_none(), "a defect was asked for");
    let Asked { command, only } = Asked::read(&event.payload).map_err(|refusal| {
        tracing::error!(request = event.context.request_id, "{refusal}");
        Failed {
            kind: "keyturn.event".to_owned(),
            message: refusal,
        }
    })?;
    let request = event.context.request_id;
    tracing::info!(request, command = command.word(), "invoked");
    let warnings: Warnings = notes.iter().cloned().collect();
    if command == Command::Rotate && left < ENOUGH {
        warnings.say(format!(
            "the function's time is {} s: a key is created only while {} s are left, or more with a longer settle time; \
             set its timeout to 300 s",
            left.as_secs_f64().round(),
            (create_budget(DEFAULT_SETTLE, 1) + MARGIN).as_secs()
        ));
    }
    let deadline = Deadline::after(left.saturating_sub(MARGIN).min(RUN_DEADLINE));
    let running = run(
        command,
        only.as_deref(),
        environment,
        warnings,
        deadline,
        Stop::default(),
    );
    let mut report = tokio::select! {
        report = running => report,
        () = tokio::time::sleep(left.saturating_sub(LAST_WORD)) => {
            let failure = Failure::incomplete(Reason::OutOfTime, "the function's time was over, and a request did not end");
            Report::new(command, RotationReport::not_opened(environment.get("AWS_IAM_USER").map(String::as_str), failure))
        }
    };
    report.advise(&UNREACHED, VPC);
    let invocation = metrics::Invocation {
        request: &request,
        took: began.elapsed(),
        at: milliseconds(),
    };
    for line in metrics::lines(&report, &invocation) {
        // A log that can't be written changes nothing of what was done.
        let _ = writeln!(std::io::stdout(), "{line}");
    }
    let outcome = report.outcome().word();
    if report.is_fine() {
        tracing::info!(request, outcome, "{}", report.summary());
        return Ok(serde_json::from_str(&report.json()).unwrap_or_default());
    }
    tracing::error!(request, outcome, "{}", report.summary());
    Err(Failed {
        kind: format!("keyturn.{outcome}"),
        message: report.json(),
    })
}

/// An error of the function, as its caller sees it.
struct Failed {
    kind: String,
    message: String,
}

impl From<Failed> for Diagnostic {
    fn from(failed: Failed) -> Diagnostic {
        Diagnostic {
            error_type: failed.kind,
            error_message: failed.message,
        }
    }
}

/// The runtime logs this, after the log has said the same in more words.
impl Debug for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)
    }
}

/// The time until the function's deadline, which Lambda gives in milliseconds since 1970.
fn left(deadline: u64) -> Duration {
    Duration::from_millis(deadline.saturating_sub(milliseconds()))
}

/// Milliseconds since 1970, by this machine's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the deadline and the metrics are in the time of this machine's own clock; no key's age is"
)]
fn milliseconds() -> u64 {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
