//! Reading a text from Secrets Manager, such as the GitLab token of a scheduled run.

use aws_config::Region;

use super::connection::Connection;
use super::errors::{Doing, Trouble};
use crate::failure::Failure;
use crate::reason::Reason;

impl Connection {
    /// The text of a secret, by name or ARN. An ARN's region is the one that is asked.
    pub async fn secret(&self, id: &str) -> Result<String, Failure> {
        let mut there = aws_sdk_secretsmanager::config::Config::builder();
        if let Some(region) = region_of(id) {
            there = there.region(Region::new(region.to_owned()));
        }
        let request = self
            .secrets()
            .get_secret_value()
            .secret_id(id)
            .customize()
            .config_override(there);
        let undone = format!("the secret {id} could not be read");
        match request.send().await {
            Ok(answer) => answer
                .secret_string
                .filter(|text| !text.is_empty())
                .ok_or_else(|| Failure::of(Reason::SecretBinary, format!("{undone}: it holds no text"))),
            Err(error) => Err(self.unread(&Trouble::of(&error), &undone)),
        }
    }

    fn unread(&self, trouble: &Trouble, undone: &str) -> Failure {
        let message = |why: &str| format!("{undone}: {why}");
        match trouble.code() {
            Some("ResourceNotFoundException") => Failure::of(
                Reason::SecretUnknown,
                message("Secrets Manager has no secret of this name, or it has no value"),
            ),
            Some("InvalidRequestException") => Failure::of(
                Reason::SecretDeleted,
                message("it is marked for deletion, or has no value"),
            ),
            Some("DecryptionFailure" | "KMSAccessDeniedException") => Failure::of(
                Reason::SecretUndecryptable,
                message("its KMS key does not decrypt it"),
            ),
            Some("AccessDeniedException" | "AccessDenied") => Failure::blocked(
                Reason::AccessDenied,
                message("secretsmanager:GetSecretValue is not allowed"),
                "Allow secretsmanager:GetSecretValue on the secret (and kms:Decrypt, if it has a key of its own) to \
                 the identity that runs keyturn.",
            ),
            Some(_) | None => trouble.failure(Doing {
                undone,
                action: "secretsmanager:GetSecretValue",
                region_is_default: self.region_is_default(),
            }),
        }
    }
}

/// The region in an ARN: `arn:aws:secretsmanager:eu-west-1:123456789012:secret:name-AbCdEf`.
fn region_of(id: &str) -> Option<&str> {
    let rest = id.strip_prefix("arn:")?;
    rest.split(':').nth(2).filter(|region| !region.is_empty())
}

#[cfg(test)]
mod tests {
    use super::region_of;

    #[test]
    fn an_arn_names_its_region_and_a_name_does_not() {
        assert_eq!(
            region_of("arn:aws:secretsmanager:eu-west-1:123456789012:secret:gitlab-AbCdEf"),
            Some("eu-west-1")
        );
        assert_eq!(region_of("gitlab/token"), None);
    }
}
