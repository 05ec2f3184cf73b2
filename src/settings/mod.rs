//! What the user wants. A source says something ([`raw`]), sources are merged, and each value is parsed once, to the type
//! it is used as ([`value`]), after which nothing is optional that is needed and nothing is text that has a type.
//!
//! Two stages, because one source must be fetched: [`Bootstrap`] is what is needed to read the secret that
//! `KEYTURN_SECRET_ID` names, [`Settings`] is the rest. The environment is read in [`environment`] and nowhere else.

use std::collections::BTreeMap;

use crate::failure::{Class, Failure};
use crate::gitlab;
use crate::warnings::Warnings;

mod access;
#[cfg(test)]
mod arbitrary;
mod bootstrap;
pub mod environment;
mod misplaced;
mod policy;
pub mod raw;
mod rotation;
pub mod secret_json;
#[cfg(test)]
mod tests;
pub mod value;

pub use access::{AwsAccess, WebIdentity};
pub use bootstrap::Bootstrap;
pub use environment::{Normalised, clean_or_exec, normalised};
pub use reqwest::Url;
pub use rotation::{DEFAULT_SETTLE, RotationSpec, TargetSpec};
pub use secret_json::SecretJson;
pub use value::{Scope, VariableName};

use raw::Raw;

/// The second stage of the settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How GitLab is reached.
    pub gitlab: gitlab::Access,
    /// What is wanted of the rotation.
    pub rotation: RotationSpec,
}

impl Settings {
    /// Merges the normalised environment with what the secret says, the environment winning, and validates the result. What
    /// is allowed but unwise is warned of.
    ///
    /// # Errors
    ///
    /// When a setting is missing or can't be used. No message quotes a token.
    pub fn from(
        environment: &BTreeMap<String, String>,
        secret: Option<&SecretJson>,
        warnings: &Warnings,
    ) -> Result<Settings, Failure> {
        let mut merged = environment.clone();
        // An empty value is unset, and so doesn't win.
        merged.retain(|_, value| !value.is_empty());
        if let Some(secret) = secret {
            for (name, value) in &secret.values {
                merged.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        misplaced::check(&merged)?;
        let raw = read(&merged)?;
        Ok(Settings {
            gitlab: access::gitlab_access(&raw, warnings)?,
            rotation: RotationSpec::from(&raw)?,
        })
    }
}

/// A word on each name in the environment that no setting has. Where settings can't be used, it may be why.
pub fn warn_of_unknown(environment: &BTreeMap<String, String>, warnings: &Warnings) {
    for name in environment.keys() {
        if name.starts_with("KEYTURN_") && raw::known(name).is_none() {
            warnings.say(raw::unknown("the environment", name));
        }
    }
}

fn read(source: &BTreeMap<String, String>) -> Result<Raw, Failure> {
    Raw::read(source).map_err(|error| Failure {
        class: Class::Unexpected,
        reason: crate::reason::Reason::SettingsUnreadable,
        message: format!("no key was looked at: {error}"),
        advice: "This is a defect of keyturn; please report it.".to_owned(),
    })
}
