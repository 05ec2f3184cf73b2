//! What an event asks for. Whatever isn't understood does nothing: an event that was meant as `plan` must not rotate.

use serde_json::{Map, Value};

use crate::report::Command;

/// A command, and the rotations it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) command: Command,
    /// Names of rotations; `None` for all.
    pub(super) only: Option<Vec<String>>,
}

impl Asked {
    /// Reads `{"command": "retire", "only": ["ci-deployer"]}`. The event of a schedule, by a rule or by the Scheduler, and an
    /// empty object mean `rotate`.
    ///
    /// # Errors
    ///
    /// When it is anything else, with a sentence that quotes no value but an unknown command.
    pub(super) fn read(event: &Value) -> Result<Asked, String> {
        let Value::Object(members) = event else {
            return Err(
                "nothing was done: the event is not a JSON object; send {\"command\": \"rotate\"}".to_owned(),
            );
        };
        if members.contains_key("source") || members.contains_key("detail-type") {
            return of_a_schedule(members);
        }
        let unknown = members
            .keys()
            .find(|name| !matches!(name.as_str(), "command" | "only"));
        if let Some(name) = unknown {
            return Err(format!(
                "nothing was done: {name:?} means nothing in an event; it may have \"command\" and \"only\", or be the \
                 event of a schedule"
            ));
        }
        let command = match members.get("command") {
            None => Command::Rotate,
            Some(Value::String(command)) if command == "rotate" => Command::Rotate,
            Some(Value::String(command)) if command == "retire" => Command::Retire,
            Some(Value::String(command)) if command == "plan" => Command::Plan,
            Some(other) => {
                return Err(format!(
                    "nothing was done: the event's command is {other}; it must be \"rotate\", \"retire\" or \"plan\""
                ));
            }
        };
        let only = members.get("only").map(names).transpose()?;
        Ok(Asked { command, only })
    }
}

/// A schedule whose target has no input of its own sends its event: a rule as `aws.events`, the Scheduler as `aws.scheduler`.
/// A rule can match any event of the account, and the others are no word about keys.
fn of_a_schedule(members: &Map<String, Value>) -> Result<Asked, String> {
    let is = |name: &str, words: &[&str]| {
        let text = members.get(name).and_then(Value::as_str);
        text.is_some_and(|text| words.contains(&text))
    };
    if !is("source", &["aws.events", "aws.scheduler"]) || !is("detail-type", &["Scheduled Event"]) {
        return Err(
            "nothing was done: the event is of EventBridge and not of a schedule, whose source is aws.events or \
             aws.scheduler and whose detail-type is Scheduled Event; make {\"command\": \"rotate\"} the input of the \
             target if it is to rotate"
                .to_owned(),
        );
    }
    match members.keys().find(|name| !ENVELOPE.contains(&name.as_str())) {
        None => Ok(Asked {
            command: Command::Rotate,
            only: None,
        }),
        Some(name) => Err(format!(
            "nothing was done: {name:?} means nothing in the event of a schedule; make {{\"command\": …}} alone the input of \
             the target"
        )),
    }
}

/// What the event of a schedule has. One with more is something else, such as the replay of an archive.
const ENVELOPE: [&str; 9] = [
    "version",
    "id",
    "detail-type",
    "source",
    "account",
    "time",
    "region",
    "resources",
    "detail",
];

fn names(only: &Value) -> Result<Vec<String>, String> {
    let names = only
        .as_array()
        .and_then(|names| {
            names
                .iter()
                .map(|name| name.as_str().map(str::to_owned))
                .collect::<Option<Vec<String>>>()
        })
        .filter(|names| !names.is_empty());
    names.ok_or_else(|| {
        "nothing was done: the event's \"only\" must be a list of names of rotations, such as [\"ci-deployer\"]"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn asked(command: Command, only: &[&str]) -> Asked {
        let names: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
        Asked {
            command,
            only: (!names.is_empty()).then_some(names),
        }
    }

    #[test]
    fn events_of_a_rule_and_of_the_scheduler_mean_rotate() {
        let rule = json!({"version": "0", "id": "53dc4d37", "detail-type": "Scheduled Event", "source": "aws.events",
            "account": "123456789012", "time": "2026-11-01T03:00:00Z", "region": "us-east-1",
            "resources": ["arn:aws:events:us-east-1:123456789012:rule/keyturn"], "detail": {}});
        let scheduler = json!({"version": "0", "id": "8f1a", "detail-type": "Scheduled Event", "source": "aws.scheduler",
            "account": "123456789012", "time": "2026-11-01T03:00:00Z", "region": "us-east-1",
            "resources": ["arn:aws:scheduler:us-east-1:123456789012:schedule/default/keyturn"], "detail": "{}"});
        for event in [rule, scheduler, json!({})] {
            assert_eq!(Asked::read(&event), Ok(asked(Command::Rotate, &[])), "{event}");
        }
    }

    #[test]
    fn an_event_can_name_a_command_and_rotations() {
        for (event, expected) in [
            (json!({"command": "rotate"}), asked(Command::Rotate, &[])),
            (json!({"command": "retire"}), asked(Command::Retire, &[])),
            (json!({"command": "plan"}), asked(Command::Plan, &[])),
            (json!({"only": ["a", "b"]}), asked(Command::Rotate, &["a", "b"])),
            (
                json!({"command": "retire", "only": ["a"]}),
                asked(Command::Retire, &["a"]),
            ),
        ] {
            assert_eq!(Asked::read(&event), Ok(expected), "{event}");
        }
    }

    #[test]
    fn what_is_not_understood_does_nothing_and_says_what_would_be() {
        for (event, says) in [
            (json!(null), "not a JSON object"),
            (json!("rotate"), "not a JSON object"),
            (json!(42), "not a JSON object"),
            (json!(["rotate"]), "not a JSON object"),
            (
                json!({"command": "destroy"}),
                "the event's command is \"destroy\"",
            ),
            (json!({"command": "Rotate"}), "the event's command is \"Rotate\""),
            (json!({"command": null}), "the event's command is null"),
            (json!({"command": ["plan"]}), "the event's command is [\"plan\"]"),
            (json!({"comand": "plan"}), "\"comand\" means nothing"),
            (json!({"command": "plan", "user": "a"}), "\"user\" means nothing"),
            (json!({"source": "aws.events"}), "not of a schedule"),
            (json!({"detail-type": "Scheduled Event"}), "not of a schedule"),
            (
                json!({"source": "aws.ec2", "detail-type": "Scheduled Event"}),
                "not of a schedule",
            ),
            (
                json!({"source": "aws.iam", "detail-type": "AWS API Call via CloudTrail"}),
                "not of a schedule",
            ),
            (
                json!({"source": "aws.events", "detail-type": "AWS API Call via CloudTrail"}),
                "not of a schedule",
            ),
            (
                json!({"source": ["aws.events"], "detail-type": ["Scheduled Event"]}),
                "not of a schedule",
            ),
            (
                json!({"source": "my.app", "detail-type": "rotate", "detail": {"command": "rotate"}}),
                "not of a schedule",
            ),
            (
                json!({"source": "aws.events", "detail-type": "Scheduled Event", "command": "plan"}),
                "\"command\" means nothing in the event of a schedule",
            ),
            (
                json!({"source": "aws.scheduler", "detail-type": "Scheduled Event", "only": ["a"]}),
                "\"only\" means nothing in the event of a schedule",
            ),
            (
                json!({"source": "aws.events", "detail-type": "Scheduled Event", "replay-name": "again"}),
                "\"replay-name\" means nothing in the event of a schedule",
            ),
            (json!({"only": "a"}), "must be a list of names"),
            (json!({"only": []}), "must be a list of names"),
            (json!({"only": [1]}), "must be a list of names"),
            (json!({"only": null}), "must be a list of names"),
        ] {
            let refusal = Asked::read(&event).unwrap_err();
            assert!(
                refusal.starts_with("nothing was done: ") && refusal.contains(says),
                "{event}: {refusal}"
            );
        }
    }
}
