//! Whose credentials these are.

use aws_sdk_sts::Client;

use super::connection::Connection;
use super::errors::{Doing, Trouble};
use crate::failure::Failure;

/// Who signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account's number.
    pub account: String,
    /// The whole ARN.
    pub arn: String,
    /// `aws`, `aws-cn`, `aws-us-gov`, …
    pub partition: String,
    /// What it is.
    pub kind: CallerKind,
}

/// What a caller is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallerKind {
    /// The account's root user.
    Root,
    /// An IAM user.
    User {
        /// Its name, without its path.
        name: String,
    },
    /// A session of a role.
    Role {
        /// The role's name.
        name: String,
    },
    /// Something else, such as a federated user.
    Other,
}

impl Caller {
    /// Reads an ARN as GetCallerIdentity gives it; `None` when it is none.
    fn parse(arn: &str, account: &str) -> Option<Caller> {
        let mut parts = arn.splitn(6, ':');
        let (scheme, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
        let (_region, of_account, resource) = (parts.next()?, parts.next()?, parts.next()?);
        if scheme != "arn" || partition.is_empty() || of_account != account || account.is_empty() {
            return None;
        }
        let mut path = resource.split('/');
        let kind = match (service, path.next()?) {
            ("iam", "root") => CallerKind::Root,
            ("iam", "user") => CallerKind::User {
                name: path.next_back().filter(|name| !name.is_empty())?.to_owned(),
            },
            ("sts", "assumed-role") => CallerKind::Role {
                name: path.next().filter(|name| !name.is_empty())?.to_owned(),
            },
            _ => CallerKind::Other,
        };
        Some(Caller {
            account: account.to_owned(),
            arn: arn.to_owned(),
            partition: partition.to_owned(),
            kind,
        })
    }

    /// The user's name, where the caller is an IAM user.
    pub fn user(&self) -> Option<&str> {
        match &self.kind {
            CallerKind::User { name } => Some(name),
            CallerKind::Root | CallerKind::Role { .. } | CallerKind::Other => None,
        }
    }
}

/// Why the caller is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallerFailure {
    /// The secret does not belong to the access key id.
    WrongSecret,
    /// The access key id is unknown, Inactive, deleted or not live yet.
    UnknownKey,
    /// Anything else.
    Other(Failure),
}

const UNDONE: &str = "the AWS credentials could not be checked";

fn doing(region_is_default: bool) -> Doing<'static> {
    Doing {
        undone: UNDONE,
        action: "sts:GetCallerIdentity",
        region_is_default,
    }
}

impl CallerFailure {
    /// The failure in words. `region_is_default` as in [`Connection::region_is_default`].
    pub fn into_failure(self, region_is_default: bool) -> Failure {
        let code = match self {
            CallerFailure::WrongSecret => "SignatureDoesNotMatch",
            CallerFailure::UnknownKey => "InvalidClientTokenId",
            CallerFailure::Other(failure) => return failure,
        };
        Trouble::Refused {
            code: code.to_owned(),
            message: String::new(),
        }
        .failure(doing(region_is_default))
    }
}

/// Asks STS who signs this client's requests. No policy can deny the answer.
pub(super) async fn who(client: &Client) -> Result<Caller, Trouble> {
    let answer = client
        .get_caller_identity()
        .send()
        .await
        .map_err(|error| Trouble::of(&error))?;
    let (arn, account) = (
        answer.arn().unwrap_or_default(),
        answer.account().unwrap_or_default(),
    );
    Caller::parse(arn, account).ok_or(Trouble::NotAws(200))
}

/// The words for an unanswered question.
pub(super) fn unanswered(trouble: &Trouble, region_is_default: bool) -> Failure {
    trouble.failure(doing(region_is_default))
}

impl Connection {
    /// Asks whose this connection's credentials are.
    pub async fn caller(&self) -> Result<Caller, CallerFailure> {
        who(self.sts()).await.map_err(|trouble| {
            if trouble.is_wrong_secret() {
                CallerFailure::WrongSecret
            } else if trouble.is_unknown_key() {
                CallerFailure::UnknownKey
            } else {
                CallerFailure::Other(unanswered(&trouble, self.region_is_default()))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Caller, CallerFailure, CallerKind};

    fn kind(arn: &str) -> Option<(String, CallerKind)> {
        Caller::parse(arn, "123456789012").map(|caller| (caller.partition, caller.kind))
    }

    fn user(name: &str) -> CallerKind {
        CallerKind::User {
            name: name.to_owned(),
        }
    }

    #[test]
    fn users_of_every_partition_are_told_by_their_name() {
        for partition in ["aws", "aws-us-gov", "aws-cn", "aws-eusc"] {
            let arn = format!("arn:{partition}:iam::123456789012:user/deploy");
            assert_eq!(kind(&arn), Some((partition.to_owned(), user("deploy"))));
        }
        let arn = "arn:aws:iam::123456789012:user/ci/robots/deploy@example.com";
        assert_eq!(kind(arn), Some(("aws".to_owned(), user("deploy@example.com"))));
    }

    #[test]
    fn root_and_roles_are_no_users() {
        let aws = |kind| Some(("aws".to_owned(), kind));
        assert_eq!(kind("arn:aws:iam::123456789012:root"), aws(CallerKind::Root));
        assert_eq!(
            kind("arn:aws:sts::123456789012:assumed-role/keyturn/i-0123"),
            aws(CallerKind::Role {
                name: "keyturn".to_owned()
            })
        );
        assert_eq!(
            kind("arn:aws:sts::123456789012:federated-user/bob"),
            aws(CallerKind::Other)
        );
    }

    #[test]
    fn what_is_no_arn_of_the_account_is_none() {
        for arn in [
            "",
            "arn:aws:iam",
            "arn:aws:iam::999999999999:user/deploy",
            "arn:aws:iam::123456789012:user/",
        ] {
            assert_eq!(kind(arn), None, "{arn}");
        }
    }

    #[test]
    fn refused_credentials_need_a_person() {
        for failure in [CallerFailure::WrongSecret, CallerFailure::UnknownKey] {
            assert_eq!(failure.into_failure(false).reason.word(), "credential_refused");
        }
    }
}
