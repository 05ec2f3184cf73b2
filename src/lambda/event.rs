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
    /// Reads `{"command": "retire", "only": ["ci-deployer"]}`. An event of EventBridge, by a rule or by the Scheduler, and
    /// an empty object mean `rotate`.
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
        if is_of_eventbridge(members) {
            return Ok(Asked {
                command: Command::Rotate,
                only: None,
            });
        }
        let unknown = members
            .keys()
            .find(|name| !matches!(name.as_str(), "command" | "only"));
        if let Some(name) = unknown {
            return Err(format!(
                "nothing was done: {name:?} means nothing in an event; it may have \"command\" and \"only\", or be an \
                 event of EventBridge"
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

/// Rules and the Scheduler send these two with every event that has no input of its own.
fn is_of_eventbridge(members: &Map<String, Value>) -> bool {
    let text = |name| members.get(name).is_some_and(Value::is_string);
    text("source") && text("detail-type")
}

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
            (json!({"source": "aws.events"}), "\"source\" means nothing"),
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
