//! The access keys of a user. `UserName` is always sent: without it IAM takes the caller's own keys for meant.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_sdk_iam::types::{AccessKeyMetadata, StatusType};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use planner::{Key, KeyId, LastUsed, Service, Status, Timestamp};

use super::connection::{Connection, timeouts};
use super::errors::{Doing, Trouble};
use crate::failure::{Failure, Written};
use crate::reason::Reason;
use crate::secret::{KeyPair, Secret};

/// CreateAccessKey is sent once and waited for this long.
pub const CREATE: Duration = Duration::from_secs(15);

/// No key has this id: those that AWS issues are written with A to Z and 2 to 7.
const NO_KEY: &str = "AKIA0000000000000000";

/// An access key that was just created. Its secret exists nowhere else.
#[derive(Debug)]
#[must_use = "a key that is dropped here has lost its secret for ever"]
pub struct NewKey {
    /// The id and the secret.
    pub pair: KeyPair,
    /// IAM's `CreateDate`.
    pub created: Timestamp,
}

impl Connection {
    /// The access keys of a user, all pages. Their last use is not asked for.
    pub async fn list_keys(&self, user: &str) -> Result<Vec<Key>, Failure> {
        let undone = format!("the access keys of {user} could not be listed");
        let mut pages = self
            .iam()
            .list_access_keys()
            .user_name(user)
            .into_paginator()
            .send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page =
                page.map_err(|error| self.failure(&Trouble::of(&error), &undone, "iam:ListAccessKeys"))?;
            for listed in page.access_key_metadata() {
                let key = read(listed)
                    .ok_or_else(|| self.failure(&Trouble::NotAws(200), &undone, "iam:ListAccessKeys"))?;
                keys.push(key);
            }
        }
        Ok(keys)
    }

    /// The latest use of a key that IAM knows of, and for the report by which service and where. It is unknown where
    /// the question is not allowed.
    pub async fn last_used(&self, id: KeyId) -> Result<(LastUsed, Option<String>), Failure> {
        let answer = match self
            .iam()
            .get_access_key_last_used()
            .access_key_id(id.as_str())
            .send()
            .await
        {
            Ok(answer) => answer,
            Err(error) => {
                let trouble = Trouble::of(&error);
                if matches!(trouble.code(), Some("AccessDenied" | "AccessDeniedException")) {
                    return Ok((LastUsed::Unknown, None));
                }
                let undone = format!("the last use of {id} could not be read");
                if trouble.code() == Some("NoSuchEntity") {
                    let why =
                        format!("{undone}: it is listed, and IAM knows no such key; the list is behind");
                    return Err(Failure::incomplete(Reason::ListBehind, why));
                }
                return Err(self.failure(&trouble, &undone, "iam:GetAccessKeyLastUsed"));
            }
        };
        let Some(used) = answer.access_key_last_used() else {
            return Ok((LastUsed::Unknown, None));
        };
        let Some(date) = used.last_used_date() else {
            return Ok((LastUsed::Never, None));
        };
        let service = if used.service_name().eq_ignore_ascii_case("sts") {
            Service::Sts
        } else {
            Service::Other
        };
        let place = format!("{} in {}", used.service_name(), used.region());
        Ok((LastUsed::At(Timestamp(date.secs()), service), Some(place)))
    }

    /// Creates an access key. The request is sent once: IAM knows no way to tell a repetition, and the answer to the
    /// first attempt is the only place where that key's secret ever stands.
    pub async fn create_key(&self, user: &str) -> Written<NewKey> {
        let undone = format!("no access key of {user} was created, as far as is known");
        let once = aws_sdk_iam::config::Config::builder()
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts(CREATE, CREATE));
        let request = self
            .iam()
            .create_access_key()
            .user_name(user)
            .customize()
            .config_override(once);
        let created = match request.send().await {
            Ok(answer) => answer.access_key,
            Err(error) => {
                let trouble = Trouble::of(&error);
                if trouble.is_certain() {
                    let undone = format!("no access key of {user} was created");
                    return Written::Refused(self.failure(&trouble, &undone, "iam:CreateAccessKey"));
                }
                return Written::Unclear(self.failure(&trouble, &undone, "iam:CreateAccessKey"));
            }
        };
        let key = created.and_then(|key| {
            let id = KeyId::parse(&key.access_key_id)?;
            let created = key
                .create_date
                .map(|date| Timestamp(date.secs()))
                .or_else(|| self.clock().now())?;
            let secret = Some(key.secret_access_key).filter(|secret| !secret.is_empty())?;
            Some(NewKey {
                pair: KeyPair {
                    id,
                    secret: Secret::new(secret),
                },
                created,
            })
        });
        match key {
            Some(key) => Written::Done(key),
            None => Written::Unclear(self.failure(&Trouble::NotAws(200), &undone, "iam:CreateAccessKey")),
        }
    }

    /// Asks IAM to deactivate and to delete a key that can't exist. Whoever may do it is told that there is no such key, and
    /// whoever may not is told so: before a key is created that could never be retired. IAM judges the rights first.
    ///
    /// # Errors
    ///
    /// When one of the two is not allowed, or IAM does not answer.
    pub async fn may_retire(&self, user: &str) -> Result<(), Failure> {
        let undone = format!("no access key of {user} was created");
        let deactivates = self
            .iam()
            .update_access_key()
            .user_name(user)
            .access_key_id(NO_KEY);
        let updated = deactivates.status(StatusType::Inactive).send().await;
        self.answered_no_such_key(
            updated.err().map(|error| Trouble::of(&error)),
            &undone,
            "iam:UpdateAccessKey",
        )?;
        let deletes = self
            .iam()
            .delete_access_key()
            .user_name(user)
            .access_key_id(NO_KEY);
        let deleted = deletes.send().await;
        self.answered_no_such_key(
            deleted.err().map(|error| Trouble::of(&error)),
            &undone,
            "iam:DeleteAccessKey",
        )
    }

    fn answered_no_such_key(
        &self,
        trouble: Option<Trouble>,
        undone: &str,
        action: &'static str,
    ) -> Result<(), Failure> {
        match trouble {
            Some(trouble) if trouble.code() != Some("NoSuchEntity") => {
                Err(self.failure(&trouble, undone, action))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Deactivates an access key.
    pub async fn deactivate_key(&self, user: &str, id: KeyId) -> Written<()> {
        let sent = Transmissions::default();
        let request = self
            .iam()
            .update_access_key()
            .user_name(user)
            .access_key_id(id.as_str());
        let answer = request
            .status(StatusType::Inactive)
            .customize()
            .interceptor(sent.clone())
            .send()
            .await;
        let Err(error) = answer else {
            return Written::Done(());
        };
        let trouble = Trouble::of(&error);
        let undone = format!("access key {id} of {user} was not deactivated");
        if trouble.code() == Some("NoSuchEntity") {
            let why = format!("{undone}: there is no such key");
            return Written::Refused(Failure::incomplete(Reason::NoSuchKey, why));
        }
        self.unwritten(&trouble, &undone, "iam:UpdateAccessKey", &sent)
    }

    /// Deletes an access key. One that is gone is deleted.
    pub async fn delete_key(&self, user: &str, id: KeyId) -> Written<()> {
        let sent = Transmissions::default();
        let request = self
            .iam()
            .delete_access_key()
            .user_name(user)
            .access_key_id(id.as_str());
        let Err(error) = request.customize().interceptor(sent.clone()).send().await else {
            return Written::Done(());
        };
        let trouble = Trouble::of(&error);
        if trouble.code() == Some("NoSuchEntity") {
            return Written::Done(());
        }
        let undone = format!("access key {id} of {user} was not deleted");
        self.unwritten(&trouble, &undone, "iam:DeleteAccessKey", &sent)
    }

    /// A refusal speaks for the last attempt only; an earlier one may have taken effect.
    fn unwritten(
        &self,
        trouble: &Trouble,
        undone: &str,
        action: &'static str,
        sent: &Transmissions,
    ) -> Written<()> {
        if trouble.is_certain() && sent.count() <= 1 {
            return Written::Refused(self.failure(trouble, undone, action));
        }
        Written::Unclear(self.failure(trouble, &format!("{undone}, as far as is known"), action))
    }

    fn failure(&self, trouble: &Trouble, undone: &str, action: &'static str) -> Failure {
        trouble.failure(Doing {
            undone,
            action,
            region_is_default: self.region_is_default(),
        })
    }
}

fn read(listed: &AccessKeyMetadata) -> Option<Key> {
    // An expired key signs as little as an Inactive one, and counts as much. The list of states is open: what is not
    // known to be refused may sign.
    let refused = matches!(listed.status()?, StatusType::Inactive | StatusType::Expired);
    let status = if refused { Status::Inactive } else { Status::Active };
    Some(Key {
        id: KeyId::parse(listed.access_key_id()?)?,
        status,
        created: Timestamp(listed.create_date()?.secs()),
        last_used: LastUsed::Unknown,
    })
}

/// Counts how often the SDK sent a request.
#[derive(Clone, Debug, Default)]
struct Transmissions(Arc<AtomicU32>);

impl Transmissions {
    fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

#[dyn_dispatch_hint]
impl Intercept for Transmissions {
    fn name(&self) -> &'static str {
        "Transmissions"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::read;
    use aws_sdk_iam::primitives::DateTime;
    use aws_sdk_iam::types::{AccessKeyMetadata, StatusType};
    use planner::{Status, Timestamp};

    fn listed(status: StatusType) -> AccessKeyMetadata {
        AccessKeyMetadata::builder()
            .user_name("deploy")
            .access_key_id("AKIAIOSFODNN7EXAMPLE")
            .status(status)
            .create_date(DateTime::from_secs(1_795_316_407))
            .build()
    }

    #[test]
    fn a_listed_key_is_read_whole() {
        let key = read(&listed(StatusType::Inactive)).unwrap();
        assert_eq!(
            (key.status, key.created),
            (Status::Inactive, Timestamp(1_795_316_407))
        );
        assert_eq!(read(&listed(StatusType::Active)).unwrap().status, Status::Active);
    }

    #[test]
    fn a_key_without_an_id_is_not_guessed_at() {
        assert_eq!(
            read(&AccessKeyMetadata::builder().status(StatusType::Active).build()),
            None
        );
    }
}
