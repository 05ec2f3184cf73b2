//! The string of an AWS Secrets Manager secret as a source of settings. Nothing of its content is ever quoted, except
//! names that look like names of settings.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::environment::trimmed;
use super::raw::{self, Source};
use crate::failure::Failure;
use crate::reason::Reason;
use crate::secret::Secret;
use crate::warnings::Warnings;

/// What a secret says.
#[derive(Clone, Default)]
pub struct SecretJson {
    pub(super) values: BTreeMap<String, String>,
}

impl fmt::Debug for SecretJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretJson")
            .field("values", &self.values.keys())
            .finish()
    }
}

impl SecretJson {
    /// Reads the string of a secret: a JSON object whose names are those of the settings and whose values are strings,
    /// numbers or booleans. `null` and the empty string are "not set"; a name that no setting has is warned of.
    ///
    /// # Errors
    ///
    /// When it isn't JSON, not an object, or when a setting has a value of another type.
    pub fn parse(text: &Secret, warnings: &Warnings) -> Result<SecretJson, Failure> {
        // The parser's own message may quote the text, so it is dropped.
        let Ok(Value::Object(members)) = serde_json::from_str::<Value>(trimmed(text.expose())) else {
            return Err(Failure::settings(
                Reason::SecretNotJson,
                "no key was looked at: the string of the secret that KEYTURN_SECRET_ID names is not a JSON object",
                "Store one, such as {\"GITLAB_TOKEN\": \"…\", \"GITLAB_GROUP_ID\": \"42\"}, as the secret's string.",
            ));
        };
        let mut secret = SecretJson::default();
        for (name, value) in members {
            match raw::known(&name) {
                Some(Source::EnvironmentOrSecret) => {}
                Some(Source::Environment) => {
                    warnings.say(format!(
                        "{name} in the secret is ignored: it is read from the environment only"
                    ));
                    continue;
                }
                None => {
                    warnings.say(unknown(&name));
                    continue;
                }
            }
            let value = match value {
                Value::Null => continue,
                Value::Bool(value) => value.to_string(),
                Value::Number(value) => value.to_string(),
                Value::String(value) => trimmed(&value).to_owned(),
                Value::Array(_) | Value::Object(_) => {
                    return Err(Failure::settings(
                        Reason::SecretValue,
                        format!("no key was looked at: {name} in the secret is a list or an object"),
                        format!("Make {name} a string, a number or a boolean."),
                    ));
                }
            };
            if !value.is_empty() {
                secret.values.insert(name, value);
            }
        }
        Ok(secret)
    }
}

/// A token stored as a name by mistake must not be printed, so only what looks like a setting's name is.
fn unknown(name: &str) -> String {
    let like_a_name = name.len() <= 64 && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    if like_a_name {
        raw::unknown("the secret", name)
    } else {
        "a name in the secret is ignored: no setting is called so".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SecretJson, Failure> {
        SecretJson::parse(&Secret::new(text), &Warnings::default())
    }

    #[test]
    fn what_is_not_an_object_is_refused_without_a_word_of_it() {
        for text in [
            "hunter2",
            "\"hunter2\"",
            "[\"hunter2\"]",
            "{\"hunter2\"",
            "",
            "42",
            "{'hunter2': 1}",
            "null",
        ] {
            let failure = parse(text).unwrap_err();
            assert_eq!(failure.reason.word(), "secret_not_json", "{text}");
            assert!(!format!("{failure:?}").contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn a_setting_is_text_whatever_its_json_type() {
        for (json, expected) in [
            ("\"42\"", Some("42")),
            ("42", Some("42")),
            ("true", Some("true")),
            ("\" 42\\n\"", Some("42")),
            ("\"\"", None),
            ("\" \"", None),
            ("null", None),
        ] {
            let secret = parse(&format!("\u{feff}{{\"GITLAB_GROUP_ID\": {json}}}\n")).unwrap();
            assert_eq!(
                secret.values.get("GITLAB_GROUP_ID").map(String::as_str),
                expected,
                "{json}"
            );
        }
    }

    #[test]
    fn a_setting_that_is_a_list_or_an_object_is_refused_by_name_only() {
        for json in ["[\"hunter2\"]", "{\"a\":\"hunter2\"}"] {
            let failure = parse(&format!("{{\"GITLAB_TOKEN\": {json}}}")).unwrap_err();
            assert_eq!(failure.reason.word(), "secret_value");
            assert!(failure.message.contains("GITLAB_TOKEN") && !format!("{failure:?}").contains("hunter2"));
        }
    }

    #[test]
    fn names_that_do_not_belong_are_ignored_with_a_warning() {
        for (name, says) in [
            ("KEYTURN_GRACES", "did you mean KEYTURN_GRACE?"),
            ("KEYTURN_SECRET_ID", "KEYTURN_SECRET_ID in the secret is ignored"),
            ("KEYTURN_ID_TOKEN", "KEYTURN_ID_TOKEN in the secret is ignored"),
            ("CI_API_V4_URL", "CI_API_V4_URL in the secret is ignored"),
            ("PASSWORD", "PASSWORD in the secret is ignored"),
            ("glpat-hunter2", "a name in the secret is ignored"),
        ] {
            let warnings = Warnings::default();
            let text = Secret::new(format!("{{\"{name}\": [\"hunter2\"]}}"));
            let secret = SecretJson::parse(&text, &warnings).unwrap();
            assert!(secret.values.is_empty(), "{name}");
            let said = warnings.kept();
            assert!(said.len() == 1 && said[0].contains(says), "{said:?}");
            assert!(!format!("{secret:?} {said:?}").contains("hunter2"), "{name}");
        }
    }
}
