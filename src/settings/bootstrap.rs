//! What is needed before the secret that holds the other settings can be read.

use std::collections::BTreeMap;

use tracing_subscriber::filter::{LevelFilter, Targets};

use super::access::AwsAccess;
use super::value::{log, parsed, refused};
use super::{misplaced, read};
use crate::failure::Failure;
use crate::reason::Reason;

/// The first stage of the settings.
#[derive(Debug)]
pub struct Bootstrap {
    /// Name or ARN of the AWS Secrets Manager secret that holds settings.
    pub secret_id: Option<String>,
    /// How AWS is reached.
    pub aws: AwsAccess,
    /// What is written to the log.
    pub log: Targets,
}

impl Bootstrap {
    /// Validates what the normalised environment says about the first stage.
    ///
    /// # Errors
    ///
    /// When one of its settings can't be used, or `KEYTURN_CONFIG` is set.
    pub fn from(environment: &BTreeMap<String, String>) -> Result<Bootstrap, Failure> {
        misplaced::check(environment)?;
        let raw = read(environment)?;
        if raw.keyturn_config.is_some() {
            return Err(refused(
                Reason::ConfigUnsupported,
                "KEYTURN_CONFIG is not supported in this version",
                "Unset it and give the settings of one rotation in the environment or in a secret; \
                 for several, use a job each.",
            ));
        }
        Ok(Bootstrap {
            aws: AwsAccess::from(&raw)?,
            log: parsed("KEYTURN_LOG", raw.keyturn_log.as_deref(), log)?
                .unwrap_or(Targets::new().with_default(LevelFilter::INFO)),
            secret_id: raw.keyturn_secret_id,
        })
    }
}
