//! What a source may say: every setting by its name, as text.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer};

use crate::secret::Secret;

/// Where a setting may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The environment alone, because it is needed before the secret can be read, or means something only there.
    Environment,
    /// The environment, or the secret that `KEYTURN_SECRET_ID` names.
    EnvironmentOrSecret,
}

/// Every name, and where it may come from.
pub const NAMES: [(&str, Source); 28] = [
    ("AWS_IAM_USER", Source::EnvironmentOrSecret),
    ("GITLAB_TOKEN", Source::EnvironmentOrSecret),
    ("GITLAB_GROUP_ID", Source::EnvironmentOrSecret),
    ("GITLAB_PROJECT_ID", Source::EnvironmentOrSecret),
    ("GITLAB_API_URL", Source::EnvironmentOrSecret),
    ("CI_API_V4_URL", Source::Environment),
    ("CI_SERVER_TLS_CA_FILE", Source::Environment),
    ("AWS_CA_BUNDLE", Source::Environment),
    ("AWS_ROLE_ARN", Source::Environment),
    ("KEYTURN_ID_TOKEN", Source::Environment),
    ("KEYTURN_SECRET_ID", Source::Environment),
    ("KEYTURN_CONFIG", Source::Environment),
    ("KEYTURN_LOG", Source::Environment),
    ("KEYTURN_CA_FILE", Source::EnvironmentOrSecret),
    ("KEYTURN_ACCESS_KEY_ID_VARIABLE", Source::EnvironmentOrSecret),
    ("KEYTURN_SECRET_ACCESS_KEY_VARIABLE", Source::EnvironmentOrSecret),
    ("KEYTURN_ENVIRONMENT_SCOPE", Source::EnvironmentOrSecret),
    ("KEYTURN_ROTATE_AFTER", Source::EnvironmentOrSecret),
    ("KEYTURN_GRACE", Source::EnvironmentOrSecret),
    ("KEYTURN_DELETE_AFTER", Source::EnvironmentOrSecret),
    ("KEYTURN_UNUSED_FOR", Source::EnvironmentOrSecret),
    ("KEYTURN_SETTLE", Source::EnvironmentOrSecret),
    ("KEYTURN_LONGEST_JOB", Source::EnvironmentOrSecret),
    ("KEYTURN_MAX_AGE", Source::EnvironmentOrSecret),
    ("KEYTURN_REQUIRE_USE", Source::EnvironmentOrSecret),
    ("KEYTURN_JOURNAL", Source::EnvironmentOrSecret),
    ("KEYTURN_CREATE", Source::EnvironmentOrSecret),
    ("KEYTURN_PROTECTED", Source::EnvironmentOrSecret),
];

/// Where a setting of this name may come from; `None` when there is no such setting.
pub fn known(name: &str) -> Option<Source> {
    NAMES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, source)| *source)
}

/// The known name that is most like the given one, if any is much like it.
pub fn nearest(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_uppercase();
    let (distance, nearest) = NAMES
        .iter()
        .map(|(known, _)| (strsim::levenshtein(&name, known), *known))
        .min()?;
    (distance <= nearest.len() / 3).then_some(nearest)
}

/// A warning about a name that no setting has.
pub(super) fn unknown(place: &str, name: &str) -> String {
    match nearest(name) {
        Some(nearest) => {
            format!("{name} in {place} is ignored: there is no such setting; did you mean {nearest}?")
        }
        None => format!("{name} in {place} is ignored: there is no such setting"),
    }
}

/// What the merged sources say, empty and absent alike as `None`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) aws_iam_user: Option<String>,
    #[serde(deserialize_with = "secret")]
    pub(super) gitlab_token: Option<Secret>,
    pub(super) gitlab_group_id: Option<String>,
    pub(super) gitlab_project_id: Option<String>,
    pub(super) gitlab_api_url: Option<String>,
    pub(super) ci_api_v4_url: Option<String>,
    pub(super) ci_server_tls_ca_file: Option<String>,
    pub(super) aws_ca_bundle: Option<String>,
    pub(super) aws_role_arn: Option<String>,
    #[serde(deserialize_with = "secret")]
    pub(super) keyturn_id_token: Option<Secret>,
    pub(super) keyturn_secret_id: Option<String>,
    pub(super) keyturn_config: Option<String>,
    pub(super) keyturn_log: Option<String>,
    pub(super) keyturn_ca_file: Option<String>,
    pub(super) keyturn_access_key_id_variable: Option<String>,
    pub(super) keyturn_secret_access_key_variable: Option<String>,
    pub(super) keyturn_environment_scope: Option<String>,
    pub(super) keyturn_rotate_after: Option<String>,
    pub(super) keyturn_grace: Option<String>,
    pub(super) keyturn_delete_after: Option<String>,
    pub(super) keyturn_unused_for: Option<String>,
    pub(super) keyturn_settle: Option<String>,
    pub(super) keyturn_longest_job: Option<String>,
    pub(super) keyturn_max_age: Option<String>,
    pub(super) keyturn_require_use: Option<String>,
    pub(super) keyturn_journal: Option<String>,
    pub(super) keyturn_create: Option<String>,
    pub(super) keyturn_protected: Option<String>,
}

/// The sources can't be read as settings. Carries the name of the one that is to blame, and no text of theirs.
#[derive(Debug)]
pub(super) struct Unreadable(Option<&'static str>);

impl From<envy::Error> for Unreadable {
    fn from(error: envy::Error) -> Unreadable {
        let field = match error {
            envy::Error::MissingValue(field) => field.to_ascii_uppercase(),
            // "… while parsing value '…' provided by NAME"; the value may be a secret.
            envy::Error::Custom(text) => text
                .rsplit_once(" provided by ")
                .map(|(_, name)| name.to_owned())
                .unwrap_or_default(),
        };
        Unreadable(NAMES.iter().map(|(name, _)| *name).find(|name| *name == field))
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => write!(f, "{name} is not the text of a setting"),
            None => f.write_str("the settings are not text"),
        }
    }
}

impl Raw {
    /// Picks the settings out of a source. Names are exact: `gitlab_token` is not `GITLAB_TOKEN`.
    pub(super) fn read(source: &BTreeMap<String, String>) -> Result<Raw, Unreadable> {
        let ours = source
            .iter()
            .filter(|(name, value)| known(name).is_some() && !value.is_empty());
        Ok(envy::from_iter(
            ours.map(|(name, value)| (name.clone(), value.clone())),
        )?)
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_field_and_every_field_a_name() {
        let refused = serde_json::from_str::<Raw>(r#"{"other":"x"}"#)
            .unwrap_err()
            .to_string();
        let mut fields: Vec<String> = refused
            .split('`')
            .skip(3)
            .step_by(2)
            .map(str::to_ascii_uppercase)
            .collect();
        let mut names: Vec<String> = NAMES.iter().map(|(name, _)| (*name).to_owned()).collect();
        fields.sort();
        names.sort();
        assert_eq!(fields, names);
    }

    #[test]
    fn a_name_in_the_wrong_case_is_not_the_setting() {
        let source = [
            ("GITLAB_TOKEN", "right"),
            ("gitlab_token", "wrong"),
            ("KEYTURN_GRACE", ""),
        ];
        let source = source
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let raw = Raw::read(&source).unwrap();
        assert_eq!(raw.gitlab_token.unwrap().expose(), "right");
        assert_eq!(raw.keyturn_grace, None);
    }

    #[test]
    fn what_is_unreadable_is_named_and_not_quoted() {
        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "it is never read")]
        struct Number {
            keyturn_grace: u32,
        }
        let unreadable = |value: Option<&str>| {
            let source = value.map(|value| ("KEYTURN_GRACE".to_owned(), value.to_owned()));
            Unreadable::from(envy::from_iter::<_, Number>(source).unwrap_err()).to_string()
        };
        for value in [Some("hunter2"), Some("a provided by hunter2"), None] {
            assert_eq!(
                unreadable(value),
                "KEYTURN_GRACE is not the text of a setting",
                "{value:?}"
            );
        }
        let other = Unreadable::from(envy::Error::Custom("hunter2".to_owned()));
        assert_eq!(other.to_string(), "the settings are not text");
    }

    #[test]
    fn a_misspelt_name_is_told_its_nearest() {
        for (name, expected) in [
            ("KEYTURN_GRACE_PERIOD", None),
            ("KEYTURN_GRACES", Some("KEYTURN_GRACE")),
            ("KEYTURN_ROTATE_AFTR", Some("KEYTURN_ROTATE_AFTER")),
            ("KEYTURN_UNUSEDFOR", Some("KEYTURN_UNUSED_FOR")),
            ("keyturn_settle", Some("KEYTURN_SETTLE")),
            ("KEYTURN_SECRET_VARIABLE", None),
            ("X", None),
            ("", None),
        ] {
            assert_eq!(nearest(name), expected, "{name}");
        }
    }
}
