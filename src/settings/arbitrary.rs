//! Environments and secrets that nobody thought of: read without a panic, refused by the name of the setting, and without
//! a word of a token.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::environment::normalise;
use super::raw::NAMES;
use super::{Bootstrap, SecretJson, Settings};
use crate::failure::{Class, Failure};
use crate::secret::Secret;
use crate::warnings::Warnings;

/// Stands in every token.
const TOKEN: &str = "glpat-canary";

fn cases() -> ProptestConfig {
    ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn is_secret(name: &str) -> bool {
    [
        "GITLAB_TOKEN",
        "KEYTURN_ID_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
    ]
    .contains(&name)
}

fn name() -> impl Strategy<Value = String> {
    let known = NAMES.map(|(name, _)| name.to_owned()).to_vec();
    prop_oneof![
        8 => select(known),
        1 => "AWS_(SECRET_ACCESS_KEY|SESSION_TOKEN|RETRY_MODE|MAX_ATTEMPTS|REGION)",
        1 => "(KEYTURN_)?[A-Z_]{1,20}",
        1 => "\\PC{1,10}",
    ]
}

fn value() -> impl Strategy<Value = String> {
    let plausible = [
        "",
        " ",
        "42",
        "0s",
        "24h",
        "30d",
        "100years",
        "true",
        "no",
        "*",
        "production",
        "team/shop",
        "K",
        "../x",
        "info",
        "warn,keyturn=trace",
        "=,",
        "https://gitlab.example.com/api/v4",
        "http://u:p@x/",
        "arn:aws:iam::1:role/r",
        "/dev/null",
        "-----BEGIN CERTIFICATE-----",
        "{",
        "99999999999999999999s",
        "18446744073709551615s",
        "\u{feff}1h\n",
    ];
    prop_oneof![
        4 => select(plausible.map(str::to_owned).to_vec()),
        1 => any::<String>(),
        1 => "\\PC{0,40}",
    ]
}

fn variable() -> impl Strategy<Value = (String, String)> {
    (name(), value()).prop_map(|(name, value)| {
        // A path of the machine that runs the test is no part of it.
        let is_file = name.ends_with("_FILE") || name.ends_with("_BUNDLE");
        let value = match value {
            value if is_secret(&name) => format!("{value}{TOKEN}{value}"),
            value if is_file && value.starts_with('/') => "/dev/null".to_owned(),
            value => value,
        };
        (name, value)
    })
}

fn is_about_a_setting(failure: &Failure) -> Result<(), TestCaseError> {
    prop_assert_eq!(failure.class, Class::Settings);
    let all = format!("{} {}", failure.message, failure.advice);
    prop_assert!(NAMES.iter().any(|(name, _)| all.contains(name)), "{}", all);
    Ok(())
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<f64>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        value().prop_map(serde_json::Value::from),
        Just(serde_json::Value::from(TOKEN)),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            vec((any::<String>(), inner), 0..4).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn any_environment_is_settings_or_a_failure_that_names_one(
        variables in vec(variable(), 0..12),
        bytes in proptest::option::of((name(), vec(any::<u8>(), 0..12))),
        whole in any::<bool>(),
    ) {
        let mut found: Vec<(OsString, OsString)> = Vec::new();
        if whole {
            found.push(("GITLAB_TOKEN".into(), TOKEN.into()));
            found.push(("GITLAB_GROUP_ID".into(), "42".into()));
        }
        found.extend(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
        found.extend(bytes.map(|(name, value)| (name.into(), OsString::from_vec(value))));
        let clean = normalise(found);
        let mut said = format!("{clean:?}");
        let bootstrap = Bootstrap::from(&clean.variables);
        said += &format!("{bootstrap:?}");
        if let Err(failure) = bootstrap {
            is_about_a_setting(&failure)?;
        }
        let warnings = Warnings::default();
        let settings = Settings::from(&clean.variables, None, &warnings);
        said += &format!("{settings:?} {warnings:?}");
        if let Err(failure) = settings {
            is_about_a_setting(&failure)?;
        }
        prop_assert!(!said.contains(TOKEN), "{}", said);
    }

    #[test]
    fn any_secret_is_read_or_refused_without_a_word_of_it(
        text in prop_oneof![any::<String>(), json().prop_map(|json| json.to_string())],
    ) {
        let warnings = Warnings::default();
        let tail = if text.len() % 2 == 0 { "" } else { TOKEN };
        let read = SecretJson::parse(&Secret::new(format!("{text}{tail}")), &warnings);
        let other = SecretJson::parse(&Secret::new(text), &warnings);
        let said = format!("{read:?} {other:?} {warnings:?}");
        prop_assert!(!said.contains(TOKEN), "{}", said);
    }

    #[test]
    fn any_object_is_settings_or_a_failure_that_names_one_and_no_token(
        members in vec((name(), json()), 0..8), token in value(),
    ) {
        let mut object: serde_json::Map<String, serde_json::Value> =
            members.into_iter().filter(|(_, value)| !value.to_string().contains(TOKEN)).collect();
        object.insert("GITLAB_TOKEN".to_owned(), format!("{TOKEN}{token}").into());
        let text = Secret::new(serde_json::Value::from(object).to_string());
        let warnings = Warnings::default();
        let read = SecretJson::parse(&text, &warnings);
        let mut said = format!("{read:?}");
        match read {
            Err(failure) => is_about_a_setting(&failure)?,
            Ok(secret) => {
                let settings = Settings::from(&std::collections::BTreeMap::new(), Some(&secret), &warnings);
                said += &format!("{settings:?} {warnings:?}");
                if let Err(failure) = settings {
                    is_about_a_setting(&failure)?;
                }
            }
        }
        prop_assert!(!said.contains(TOKEN), "{}", said);
    }
}
