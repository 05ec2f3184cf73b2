//! One line of CloudWatch's embedded metric format per rotation, from which CloudWatch makes metrics without a request.

use std::time::Duration;

use serde_json::{Value, json};

use crate::report::{Outcome, Report, RotationReport};

/// Where the metrics appear, under the dimension `Rotation`.
const NAMESPACE: &str = "keyturn";

/// What of an invocation is no part of its report.
pub(super) struct Invocation<'a> {
    /// Lambda's id of the request.
    pub(super) request: &'a str,
    /// How long it took.
    pub(super) took: Duration,
    /// The end, in milliseconds since 1970.
    pub(super) at: u64,
}

/// The lines of a report. A figure that was not learnt is left out, not zero.
pub(super) fn lines(report: &Report, invocation: &Invocation<'_>) -> Vec<String> {
    report
        .rotations()
        .iter()
        .map(|rotation| line(report, rotation, invocation).to_string())
        .collect()
}

fn line(report: &Report, rotation: &RotationReport, invocation: &Invocation<'_>) -> Value {
    let failed = match rotation.outcome() {
        Outcome::Converged | Outcome::Waiting => 0,
        Outcome::Blocked | Outcome::Incomplete | Outcome::Failed => 1,
    };
    let vitals = rotation.vitals();
    let milliseconds = u64::try_from(invocation.took.as_millis()).unwrap_or(u64::MAX);
    let figures = [
        ("Failed", "Count", Some(json!(failed))),
        ("Duration", "Milliseconds", Some(json!(milliseconds))),
        ("KeyAgeDays", "None", vitals.key_age.map(days)),
        ("TokenDaysLeft", "None", vitals.token_left.map(days)),
    ];
    let mut definitions = Vec::new();
    let mut line = json!({
        // A dimension may not be empty.
        "Rotation": Some(rotation.name()).filter(|name| !name.is_empty()).unwrap_or("unknown"),
        "Command": report.command(),
        "Outcome": rotation.outcome(),
        "Reason": rotation.reason(),
        "RequestId": invocation.request,
    });
    for (name, unit, figure) in figures {
        if let (Some(figure), Value::Object(members)) = (figure, &mut line) {
            definitions.push(json!({"Name": name, "Unit": unit}));
            members.insert(name.to_owned(), figure);
        }
    }
    if let Value::Object(members) = &mut line {
        let directive = json!({"Namespace": NAMESPACE, "Dimensions": [["Rotation"]], "Metrics": definitions});
        let meta = json!({"Timestamp": invocation.at, "CloudWatchMetrics": [directive]});
        members.insert("_aws".to_owned(), meta);
    }
    line
}

/// In days, to the hundredth.
fn days(duration: Duration) -> Value {
    json!((duration.as_secs_f64() / 864.0).floor() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;
    use crate::reason::Reason;
    use crate::report::{Command, Vitals};

    const INVOCATION: Invocation<'static> = Invocation {
        request: "8476a536",
        took: Duration::from_millis(1500),
        at: 1_795_305_600_000,
    };

    fn of(user: Option<&str>, vitals: Vitals) -> Value {
        let failure = Failure::incomplete(Reason::GitlabUnreachable, "nothing was changed");
        let rotation = RotationReport::not_opened(user, failure).with_vitals(vitals);
        let report = Report::new(Command::Rotate, rotation);
        let lines = lines(&report, &INVOCATION);
        assert_eq!(lines.len(), 1);
        assert!(!lines[0].contains('\n'));
        serde_json::from_str(&lines[0]).unwrap()
    }

    #[test]
    fn every_metric_that_is_declared_has_a_number_and_every_dimension_a_word() {
        let line = of(
            Some("ci-deployer"),
            Vitals {
                key_age: Some(Duration::from_secs(90 * 86_400)),
                token_left: Some(Duration::from_secs(36 * 3_600)),
            },
        );
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        let mut names = Vec::new();
        for metric in directive["Metrics"].as_array().unwrap() {
            let name = metric["Name"].as_str().unwrap();
            assert!(line[name].is_number(), "{name}");
            names.push(name);
        }
        assert_eq!(names, ["Failed", "Duration", "KeyAgeDays", "TokenDaysLeft"]);
        assert_eq!(directive["Namespace"], "keyturn");
        assert_eq!(directive["Dimensions"], json!([["Rotation"]]));
        assert_eq!(line["Rotation"], "ci-deployer");
        assert_eq!(
            (&line["KeyAgeDays"], &line["TokenDaysLeft"]),
            (&json!(90.0), &json!(1.5))
        );
        assert_eq!((&line["Duration"], &line["Failed"]), (&json!(1500), &json!(1)));
        assert_eq!(
            (&line["Outcome"], &line["Reason"]),
            (&json!("incomplete"), &json!("gitlab_unreachable"))
        );
        assert_eq!(line["_aws"]["Timestamp"], json!(1_795_305_600_000_u64));
    }

    #[test]
    fn what_was_not_learnt_is_no_metric_and_a_nameless_rotation_has_a_dimension() {
        let line = of(None, Vitals::default());
        let metrics = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].to_string();
        assert!(
            !metrics.contains("KeyAgeDays") && !metrics.contains("TokenDaysLeft"),
            "{metrics}"
        );
        assert_eq!(line.get("KeyAgeDays"), None);
        assert_eq!(line["Rotation"], "unknown");
    }
}
