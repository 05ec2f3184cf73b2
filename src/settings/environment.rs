//! The environment, made fit for the AWS SDK, which reads it by itself: a newline after a key or a retry mode of another
//! SDK makes it panic, and an empty region is not "no region" to it.
//!
//! A program without `unsafe` can't change its own environment. So where a variable has to go or to change, the program
//! replaces itself, once, with itself in a clean environment.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::raw;
use crate::failure::{Class, Failure};
use crate::reason::Reason;

/// Carries the warnings of the first process to the second, whose environment no longer shows what was wrong with it. Its
/// presence also says that this is the second process.
const NOTES: &str = "KEYTURN_ENVIRONMENT_NOTES";

/// They make the SDK write bodies of requests and answers to its log, new secret access keys among them.
const FORBIDDEN: [&str; 2] = ["LOG_SENSITIVE_BODIES", "LOG_SIGNABLE_BODY"];

/// An environment in which no value of ours has blanks around it or is empty, and in which the SDK does not panic.
#[derive(Clone, PartialEq, Eq)]
pub struct Normalised {
    /// The variables. They hold secrets.
    pub variables: BTreeMap<String, String>,
    /// What was changed and deserves a word, without the value of anything that may be secret.
    pub warnings: Vec<String>,
    /// A variable that keyturn relies on and can't read.
    pub problem: Option<Failure>,
    /// Names of the variables that are different or missing here; empty when the environment was clean.
    pub changed: Vec<String>,
    /// Whether an earlier process has cleaned this environment.
    successor: bool,
}

impl std::fmt::Debug for Normalised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Normalised")
            .field("variables", &self.variables.keys())
            .field("warnings", &self.warnings)
            .field("problem", &self.problem)
            .field("changed", &self.changed)
            .field("successor", &self.successor)
            .finish()
    }
}

/// The environment of this process, normalised.
#[expect(
    clippy::disallowed_methods,
    reason = "this is where the environment is read, once"
)]
pub fn normalised() -> Normalised {
    normalise(std::env::vars_os())
}

/// Returns the environment when it is clean already; otherwise replaces this process with the same program and arguments
/// in the normalised environment, and does not return.
///
/// To be called first, before a thread is started or a file is opened.
///
/// # Errors
///
/// When a variable that keyturn relies on isn't UTF-8, or when the program can't be started again.
pub fn clean_or_exec() -> Result<Normalised, Failure> {
    let normalised = normalised();
    if let Some(problem) = normalised.problem {
        return Err(problem);
    }
    if normalised.changed.is_empty() {
        return Ok(normalised);
    }
    let names = normalised.changed.join(", ");
    if normalised.successor {
        return Err(Failure {
            class: Class::Unexpected,
            reason: Reason::EnvironmentNotClean,
            message: format!(
                "no key was looked at: the environment was cleaned, and {names} is unclean again"
            ),
            advice: format!("Unset {NOTES}, which only keyturn itself sets, and run again."),
        });
    }
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_else(|| "keyturn".into());
    let error = match std::env::current_exe() {
        Ok(executable) => Command::new(executable)
            .arg0(program)
            .args(arguments)
            .env_clear()
            .envs(successors_variables(&normalised))
            .exec(),
        Err(error) => error,
    };
    Err(Failure::settings(
        Reason::EnvironmentNotClean,
        format!("no key was looked at: keyturn could not start itself again in a clean environment: {error}"),
        format!("Correct these variables (blanks around the value, empty, or not for the AWS SDK): {names}."),
    ))
}

fn successors_variables(normalised: &Normalised) -> BTreeMap<String, String> {
    let mut variables = normalised.variables.clone();
    variables.insert(
        NOTES.to_owned(),
        serde_json::Value::from(normalised.warnings.clone()).to_string(),
    );
    variables
}

/// An environment as it is found, normalised.
pub fn normalise(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Normalised {
    let mut clean = Normalised {
        variables: BTreeMap::new(),
        warnings: Vec::new(),
        problem: None,
        changed: Vec::new(),
        successor: false,
    };
    // Sorted, so that warnings come in the same order on every run.
    for (name, value) in variables.into_iter().collect::<BTreeMap<_, _>>() {
        let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else {
            clean.not_utf8(name.to_string_lossy().into_owned());
            continue;
        };
        if name == NOTES {
            clean.successor = true;
            // Not JSON means that it isn't ours, and then it says nothing.
            clean
                .warnings
                .extend(serde_json::from_str::<Vec<String>>(value).unwrap_or_default());
            continue;
        }
        let kept = clean.kept(name, value);
        if kept != Some(value) {
            clean.changed.push(name.to_owned());
        }
        if let Some(kept) = kept {
            clean.variables.insert(name.to_owned(), kept.to_owned());
        }
    }
    clean
}

impl Normalised {
    /// The value as it stays; `None` when the variable goes.
    fn kept<'v>(&mut self, name: &str, value: &'v str) -> Option<&'v str> {
        if FORBIDDEN.contains(&name) {
            self.warnings
                .push(format!("{name} is ignored: it would write secrets to the log"));
            return None;
        }
        if !is_trimmed(name) {
            return Some(value);
        }
        let value = trimmed(value);
        if value.is_empty() {
            return None;
        }
        match name {
            "AWS_RETRY_MODE"
                if !["standard", "adaptive"]
                    .iter()
                    .any(|mode| value.eq_ignore_ascii_case(mode)) =>
            {
                self.warnings.push(format!(
                    "{name}={value:?} is ignored: it can be standard or adaptive"
                ));
                None
            }
            "AWS_MAX_ATTEMPTS" if !value.parse::<u32>().is_ok_and(|attempts| attempts > 0) => {
                self.warnings.push(format!(
                    "{name}={value:?} is ignored: it must be a number above 0"
                ));
                None
            }
            _ => Some(value),
        }
    }

    fn not_utf8(&mut self, name: String) {
        if name.starts_with("AWS_") || name.starts_with("KEYTURN_") || raw::known(&name).is_some() {
            self.problem.get_or_insert_with(|| {
                Failure::settings(
                    Reason::NotUtf8,
                    format!("no key was looked at: {name} is not UTF-8 text"),
                    format!("Set {name} again; its value probably holds bytes that were pasted or decoded by mistake."),
                )
            });
        } else if name.starts_with("GITLAB_") || name.starts_with("CI_") {
            self.warnings
                .push(format!("{name} is not UTF-8 text and is ignored"));
        }
        self.changed.push(name);
    }
}

/// Whether blanks around the value can't be meant.
fn is_trimmed(name: &str) -> bool {
    ["AWS_", "GITLAB_", "KEYTURN_"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
        || raw::known(name).is_some()
        || name.to_ascii_uppercase().ends_with("_PROXY")
}

/// Without blanks, line ends and byte order marks at both ends.
pub(super) fn trimmed(value: &str) -> &str {
    value.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn of(variables: &[(&str, &str)]) -> Normalised {
        normalise(variables.iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn blanks_and_line_ends_go_from_the_names_that_matter_and_from_no_other() {
        for (name, value, kept) in [
            (
                "AWS_ACCESS_KEY_ID",
                "AKIAIOSFODNN7EXAMPLE\n",
                Some("AKIAIOSFODNN7EXAMPLE"),
            ),
            ("AWS_SECRET_ACCESS_KEY", " \ta/b+c\r\n", Some("a/b+c")),
            ("AWS_REGION", "", None),
            ("AWS_PROFILE", " \n", None),
            ("GITLAB_TOKEN", "\u{feff}token\n", Some("token")),
            ("GITLAB_GROUP_ID", " 42 ", Some("42")),
            ("KEYTURN_GRACE", "24h\n", Some("24h")),
            ("KEYTURN_GRACE", "", None),
            (
                "CI_API_V4_URL",
                "https://gitlab.com/api/v4\n",
                Some("https://gitlab.com/api/v4"),
            ),
            ("CI_SERVER_TLS_CA_FILE", "/ca.pem ", Some("/ca.pem")),
            ("https_proxy", " http://proxy:3128\n", Some("http://proxy:3128")),
            ("HTTPS_PROXY", "", None),
            ("NO_PROXY", "a, b ", Some("a, b")),
            ("CI_COMMIT_MESSAGE", "one\n", Some("one\n")),
            ("PS1", "$ ", Some("$ ")),
            ("EMPTY", "", Some("")),
        ] {
            let clean = of(&[(name, value)]);
            assert_eq!(
                clean.variables.get(name).map(String::as_str),
                kept,
                "{name}={value:?}"
            );
            assert_eq!(clean.changed.is_empty(), kept == Some(value), "{name}={value:?}");
            assert_eq!(clean.warnings, [""; 0], "{name}={value:?}");
        }
    }

    #[test]
    fn what_makes_the_sdk_panic_or_talk_is_removed_with_a_warning() {
        for (name, value, stays) in [
            ("AWS_RETRY_MODE", "legacy", false),
            ("AWS_RETRY_MODE", "standard", true),
            ("AWS_RETRY_MODE", "Adaptive", true),
            ("AWS_MAX_ATTEMPTS", "0", false),
            ("AWS_MAX_ATTEMPTS", "-1", false),
            ("AWS_MAX_ATTEMPTS", "three", false),
            ("AWS_MAX_ATTEMPTS", "99999999999", false),
            ("AWS_MAX_ATTEMPTS", "3", true),
            ("LOG_SENSITIVE_BODIES", "true", false),
            ("LOG_SENSITIVE_BODIES", "", false),
            ("LOG_SIGNABLE_BODY", "1", false),
        ] {
            let clean = of(&[(name, value)]);
            assert_eq!(clean.variables.contains_key(name), stays, "{name}={value:?}");
            assert_eq!(clean.warnings.len(), usize::from(!stays), "{name}={value:?}");
        }
    }

    #[test]
    fn a_variable_that_is_not_utf8_fails_the_run_only_when_it_is_ours() {
        for (name, fails, warnings) in [
            ("AWS_SECRET_ACCESS_KEY", true, 0),
            ("KEYTURN_GRACE", true, 0),
            ("GITLAB_TOKEN", true, 0),
            ("CI_API_V4_URL", true, 0),
            ("GITLAB_USER_NAME", false, 1),
            ("CI_COMMIT_MESSAGE", false, 1),
            ("LS_COLORS", false, 0),
        ] {
            let clean = normalise([(name.into(), OsString::from_vec(vec![b'a', 0xff]))]);
            assert_eq!(clean.problem.is_some(), fails, "{name}");
            assert_eq!(clean.warnings.len(), warnings, "{name}");
            assert!(clean.variables.is_empty() && clean.changed == [name], "{name}");
        }
    }

    #[test]
    fn normalising_twice_changes_nothing_and_keeps_the_warnings() {
        let bad = OsString::from_vec(vec![0xff, b'\n']);
        let first = normalise([
            ("AWS_RETRY_MODE".into(), "legacy".into()),
            ("AWS_REGION".into(), "\n".into()),
            ("GITLAB_TOKEN".into(), " \u{feff}\n token \u{feff} ".into()),
            ("LOG_SIGNABLE_BODY".into(), "true".into()),
            ("CI_COMMIT_MESSAGE".into(), bad.clone()),
            (bad, "value".into()),
            ("PATH".into(), " /bin ".into()),
        ]);
        assert_eq!(first.changed.len(), 6);
        assert_eq!(first.warnings.len(), 3);
        let passed = successors_variables(&first);
        let second = normalise(passed.iter().map(|(name, value)| (name.into(), value.into())));
        assert_eq!(second.changed, [""; 0]);
        assert!(second.successor);
        assert_eq!(
            (second.variables, second.warnings),
            (first.variables, first.warnings)
        );
    }

    #[test]
    fn notes_that_are_not_ours_say_nothing() {
        let clean = of(&[("KEYTURN_ENVIRONMENT_NOTES", "hello\n")]);
        assert!(clean.warnings.is_empty() && clean.changed.is_empty() && clean.variables.is_empty());
    }
}
