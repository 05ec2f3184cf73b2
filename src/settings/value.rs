//! One value of a setting, from text to the type it is used as.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use reqwest::Url;
use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::failure::Failure;
use crate::reason::Reason;

/// What a value must be, for whoever gave another.
pub(super) type Rule = &'static str;

/// Longer is a mistake, and sums of durations must not overflow.
const LONGEST_DURATION: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// The name of a CI/CD variable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VariableName(String);

impl VariableName {
    /// GitLab's rule for names of variables.
    ///
    /// # Errors
    ///
    /// That rule.
    pub fn parse(text: &str) -> Result<VariableName, &'static str> {
        let fits =
            (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if fits {
            Ok(VariableName(text.to_owned()))
        } else {
            Err("the name of a variable: 1 to 255 of A-Z, a-z, 0-9 and _")
        }
    }
}

/// An environment scope, compared to the letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope(String);

impl Scope {
    /// GitLab's rule for scopes.
    ///
    /// # Errors
    ///
    /// That rule.
    pub fn parse(text: &str) -> Result<Scope, &'static str> {
        if text.len() > 255 || text.chars().any(char::is_control) {
            return Err("an environment scope of at most 255 letters, such as *");
        }
        Ok(Scope(text.to_owned()))
    }
}

impl Default for Scope {
    fn default() -> Scope {
        Scope("*".to_owned())
    }
}

impl Deref for VariableName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Deref for Scope {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VariableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

/// A setting that can't be used. The first words say what did not happen.
pub(super) fn refused(reason: Reason, why: impl fmt::Display, advice: impl Into<String>) -> Failure {
    Failure::settings(reason, format!("no key was looked at: {why}"), advice)
}

/// A value that breaks the rule of its setting.
pub(super) fn bad(name: &str, value: &str, rule: Rule) -> Failure {
    refused(
        Reason::BadSetting,
        format!("{name}={value:?} can't be used"),
        format!("{name} must be {rule}."),
    )
}

/// The value of a setting, if there is one.
pub(super) fn parsed<T>(
    name: &str,
    said: Option<&str>,
    parse: impl FnOnce(&str) -> Result<T, Rule>,
) -> Result<Option<T>, Failure> {
    said.map(|text| parse(text).map_err(|rule| bad(name, text, rule)))
        .transpose()
}

pub(super) fn boolean(text: &str) -> Result<bool, Rule> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        _ => Err("true or false"),
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, Rule> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= LONGEST_DURATION => Ok(duration),
        Ok(_) => Err("a duration of at most 100 years"),
        Err(_) => Err("a duration with its unit, such as 30d, 12h, 90m or 0s"),
    }
}

/// A duration in the units that settings take, such as `7d` or `1h 20m`. `humantime` would write `7days`, and 31 days as a
/// month and some hours.
pub(super) fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let shown: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if shown.is_empty() {
        "0s".to_owned()
    } else {
        shown.join(" ")
    }
}

/// IAM's rule for names of users, after the path.
pub(super) fn user(text: &str) -> Result<String, Rule> {
    let fits = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b));
    if fits {
        Ok(text.to_owned())
    } else {
        Err("the name of an IAM user, without path or ARN: 1 to 64 of A-Z, a-z, 0-9 and _+=,.@-")
    }
}

/// The number or full path of a group or project.
pub(super) fn path(text: &str) -> Result<String, Rule> {
    let path = text.trim_matches('/');
    let is_segment = |segment: &str| {
        !segment.is_empty()
            && segment
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
    };
    if path.split('/').all(is_segment) {
        Ok(path.to_owned())
    } else {
        Err("the number, such as 42, or the full path, such as team/platform, and no URL")
    }
}

/// The root of GitLab's REST API, without a slash at its end.
pub(super) fn api_url(name: &str, text: &str) -> Result<Url, Failure> {
    const RULE: &str = "the root of GitLab's REST API, such as https://gitlab.example.com/api/v4";
    // Before the host there may be a password.
    if text.contains('@') {
        return Err(refused(
            Reason::BadSetting,
            format!("{name} holds an @"),
            format!("{name} must be {RULE}, without user."),
        ));
    }
    let Ok(mut url) = Url::parse(text) else {
        return Err(bad(name, text, RULE));
    };
    if !["http", "https"].contains(&url.scheme()) || url.query().is_some() || url.fragment().is_some() {
        // After a question mark there may be a token.
        return Err(refused(
            Reason::BadSetting,
            format!("{name} is no plain http or https URL"),
            format!("{name} must be {RULE}, without query or fragment."),
        ));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// What is logged: `info`, or a list such as `warn,keyturn=debug`.
pub(super) fn log(text: &str) -> Result<Targets, Rule> {
    // To the parser nothing at all is a level, and a bare word that is none is a target: a misspelt level would log
    // nothing.
    let is_level = |word: &str| !word.is_empty() && word.parse::<LevelFilter>().is_ok();
    let fits = |directive: &str| match directive.rsplit_once('=') {
        None => is_level(directive),
        Some((target, level)) => !target.is_empty() && is_level(level),
    };
    let filter = if text.split(',').all(fits) {
        text.parse::<Targets>().ok()
    } else {
        None
    };
    filter.ok_or("off, error, warn, info, debug or trace, or a list such as warn,keyturn=debug")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{duration, human};

    #[test]
    fn durations_are_written_in_the_units_that_settings_take() {
        for (seconds, shown) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (3_599, "59m 59s"),
            (3_600, "1h"),
            (86_399, "23h 59m 59s"),
            (86_400, "1d"),
            (90_061, "1d 1h 1m 1s"),
            (400 * 86_400, "400d"),
        ] {
            let length = Duration::from_secs(seconds);
            assert_eq!(human(length), shown);
            assert_eq!(duration(shown), Ok(length));
        }
    }
}
