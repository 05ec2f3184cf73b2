//! A secret in the place of a name. Messages and reports quote names, and reports are kept as artifacts, which nobody masks.

use std::collections::BTreeMap;

use super::raw;
use crate::failure::Failure;
use crate::reason::Reason;

/// Settings that are secrets, or hold them.
const SECRETS: [&str; 4] = [
    "GITLAB_TOKEN",
    "KEYTURN_ID_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
];
/// A shorter one may stand in a name by chance.
const SHORTEST: usize = 12;
/// GitLab's tokens, unless an instance was told otherwise, begin with one of these (GitLab's documentation, "Token
/// prefixes") and go on for 20 characters.
const PREFIXES: [&str; 9] = [
    "glpat-", "gloas-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glimt-", "glsoat-",
];
const TOKEN_TAIL: usize = 20;

/// Refuses settings of which one holds a secret of another, a token of GitLab, or the JSON of a secret; unquoted.
pub(super) fn check(settings: &BTreeMap<String, String>) -> Result<(), Failure> {
    let secrets: Vec<&str> = SECRETS
        .iter()
        .filter_map(|name| settings.get(*name))
        .map(String::as_str)
        .filter(|secret| secret.len() >= SHORTEST)
        .collect();
    let quoted = settings
        .iter()
        .filter(|(name, _)| raw::known(name).is_some() && !SECRETS.contains(&name.as_str()));
    for (name, value) in quoted {
        let holds_one = secrets.iter().any(|secret| value.contains(secret));
        if holds_one || holds_token(value) || is_content(name, value) {
            return Err(Failure::settings(
                Reason::SecretInSetting,
                format!("no key was looked at: {name} holds a secret, so it is not shown"),
                format!(
                    "Set {name} to the name that it is for, and replace the secret if this was logged elsewhere."
                ),
            ));
        }
    }
    Ok(())
}

/// The JSON of the secret in the place of its name. A journal is handed to jobs as the setting of its name, and may be that.
fn is_content(name: &str, value: &str) -> bool {
    name == "KEYTURN_SECRET_ID" && value.contains(['{', '"'])
}

fn holds_token(value: &str) -> bool {
    let is_tail = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    PREFIXES.iter().any(|prefix| {
        value
            .split(prefix)
            .skip(1)
            .any(|tail| tail.chars().take_while(is_tail).count() >= TOKEN_TAIL)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::check;

    const SECRET: &str = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYxx";
    const TOKEN: &str = "glpat-0123456789abcdefghij";

    #[test]
    fn a_secret_in_the_place_of_a_name_is_refused_and_not_quoted() {
        for (name, value) in [
            ("KEYTURN_SECRET_ACCESS_KEY_VARIABLE", SECRET.to_owned()),
            ("GITLAB_GROUP_ID", TOKEN.to_owned()),
            (
                "GITLAB_API_URL",
                format!("https://gitlab.example.com/api/v4?private_token={TOKEN}"),
            ),
            ("GITLAB_API_URL", format!("https://gitlab.example.com/{SECRET}")),
            ("KEYTURN_SECRET_ID", format!("{{\"GITLAB_TOKEN\":\"{TOKEN}\"}}")),
            ("AWS_IAM_USER", "gldt-abcdefghij_ABCDEFGHIJ".to_owned()),
        ] {
            let settings = BTreeMap::from([
                ("AWS_SECRET_ACCESS_KEY".to_owned(), SECRET.to_owned()),
                (name.to_owned(), value.clone()),
            ]);
            let failure = check(&settings).unwrap_err();
            assert_eq!(failure.reason.word(), "secret_in_setting", "{name}");
            let said = failure.message + &failure.advice;
            assert!(!said.contains(SECRET) && !said.contains(TOKEN) && !said.contains("abcdefghij"));
        }
    }

    #[test]
    fn names_are_names() {
        let settings = [
            ("GITLAB_TOKEN", TOKEN),
            ("GITLAB_GROUP_ID", "glass-house/a-team-with-a-rather-long-name"),
            ("AWS_IAM_USER", "gitlab-ci-deployer-of-the-platform-team"),
            (
                "KEYTURN_JOURNAL",
                "[keyturn intent user=1/deploy at=2026-11-22T03:00:07Z]",
            ),
            ("KEYTURN_SECRET_ID", "gitlab-key-rotation-secrets"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(check(&BTreeMap::from(settings)), Ok(()));
    }
}
