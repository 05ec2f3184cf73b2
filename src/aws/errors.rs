//! From the SDK's errors to words.

use std::error::Error;
use std::io;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::transport::NeverSent;
use crate::failure::Failure;
use crate::reason::Reason;

const REGION_HINT: &str = " No region is set, so us-east-1 was asked: a key of GovCloud, China or the European Sovereign \
                           Cloud is unknown there. Set AWS_REGION.";

/// What was being done, for the sentence about its failure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doing<'a> {
    /// What did not happen: "the access keys of deploy could not be listed".
    pub(super) undone: &'a str,
    /// The permission it takes: `iam:ListAccessKeys`.
    pub(super) action: &'static str,
    /// No region was set anywhere.
    pub(super) region_is_default: bool,
}

/// A failed request, stripped of everything that can hold a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// AWS refused the request with an error document of its own.
    Refused {
        /// AWS's error code.
        code: String,
        /// AWS's explanation, one line.
        message: String,
    },
    /// A status of 500 or more.
    Server(u16),
    /// An answer that AWS doesn't give, with this status.
    NotAws(u16),
    /// No answer in time.
    Timeout {
        /// Not even a connection.
        never_sent: bool,
    },
    /// No connection, or one that broke.
    Unreachable {
        /// No connection was made.
        never_sent: bool,
        /// The operating system's words.
        detail: String,
    },
    /// The server's certificate was not accepted. Nothing was sent.
    Certificate {
        /// The verifier's words.
        detail: String,
    },
    /// Nothing was sent, because there are no credentials.
    NoCredential,
    /// Nothing was sent, because a profile or a credential source is set up in a way that can't be used.
    CredentialUnusable,
    /// Nothing was sent, because the source of credentials failed.
    CredentialSource,
    /// Nothing was sent, because the role could not be assumed.
    Role {
        /// The permission it takes.
        action: &'static str,
        /// Why not.
        why: Box<Trouble>,
    },
    /// Nothing was sent: the request could not be built, for instance because the region or the endpoint is no name.
    Unsendable,
}

impl Trouble {
    /// Reads an error of the SDK.
    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>) -> Trouble
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match error {
            SdkError::ServiceError(context) => {
                let status = context.raw().status().as_u16();
                Trouble::of_answer(status, context.err().code(), context.err().message())
            }
            SdkError::ResponseError(context) => {
                Trouble::of_answer(context.raw().status().as_u16(), None, None)
            }
            SdkError::TimeoutError(_) => Trouble::Timeout { never_sent: false },
            SdkError::DispatchFailure(context) => {
                let timeout = context.is_timeout();
                context
                    .as_connector_error()
                    .map_or(Trouble::Unsendable, |error| Trouble::of_transport(error, timeout))
            }
            SdkError::ConstructionFailure(_) => Trouble::of_construction(error),
            // The enum is open: a kind that is new is no answer of AWS's.
            _ => Trouble::Unreachable {
                never_sent: false,
                detail: "an unknown kind of failure".to_owned(),
            },
        }
    }

    fn of_answer(status: u16, code: Option<&str>, message: Option<&str>) -> Trouble {
        let code = code.filter(|code| {
            (1..=80).contains(&code.len())
                && code
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'.')
        });
        match code {
            Some(code) if (400..500).contains(&status) => {
                let line: Vec<&str> = message.unwrap_or_default().split_whitespace().collect();
                Trouble::Refused {
                    code: code.to_owned(),
                    message: line.join(" ").chars().take(400).collect(),
                }
            }
            Some(_) | None if status >= 500 => Trouble::Server(status),
            Some(_) | None => Trouble::NotAws(status),
        }
    }

    fn of_transport(error: &(dyn Error + 'static), timeout: bool) -> Trouble {
        if let Some(trouble) = Trouble::of_credentials(error) {
            return trouble;
        }
        if let Some(tls) = find::<rustls::Error>(error)
            && matches!(
                tls,
                rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented
            )
        {
            return Trouble::Certificate {
                detail: tls.to_string(),
            };
        }
        let never_sent = find::<NeverSent>(error).is_some();
        if timeout {
            return Trouble::Timeout { never_sent };
        }
        if let Some(tls) = find::<rustls::Error>(error) {
            return Trouble::Unreachable {
                never_sent,
                detail: tls.to_string(),
            };
        }
        let detail =
            find::<io::Error>(error).map_or_else(|| "the connection broke".to_owned(), ToString::to_string);
        Trouble::Unreachable { never_sent, detail }
    }

    fn of_construction(error: &(dyn Error + 'static)) -> Trouble {
        Trouble::of_credentials(error).unwrap_or(Trouble::Unsendable)
    }

    fn of_credentials(error: &(dyn Error + 'static)) -> Option<Trouble> {
        let Some(credentials) = find::<CredentialsError>(error) else {
            // The SDK's cache gives up with an error of a private type.
            let gave_up =
                chain(error).any(|error| error.to_string().starts_with("identity resolver timed out"));
            return gave_up.then_some(Trouble::CredentialSource);
        };
        if let Some(role) = find::<SdkError<AssumeRoleWithWebIdentityError, HttpResponse>>(credentials) {
            let why = Box::new(Trouble::of(role));
            return Some(Trouble::Role {
                action: "sts:AssumeRoleWithWebIdentity",
                why,
            });
        }
        if let Some(role) = find::<SdkError<AssumeRoleError, HttpResponse>>(credentials) {
            return Some(Trouble::Role {
                action: "sts:AssumeRole",
                why: Box::new(Trouble::of(role)),
            });
        }
        Some(match credentials {
            CredentialsError::CredentialsNotLoaded(_) => Trouble::NoCredential,
            CredentialsError::InvalidConfiguration(_) => Trouble::CredentialUnusable,
            CredentialsError::ProviderTimedOut(_)
            | CredentialsError::ProviderError(_)
            | CredentialsError::Unhandled(_) => Trouble::CredentialSource,
            // The enum is open.
            _ => Trouble::CredentialSource,
        })
    }

    /// AWS's error code, where AWS refused.
    pub(super) fn code(&self) -> Option<&str> {
        if let Trouble::Refused { code, .. } = self {
            Some(code)
        } else {
            None
        }
    }

    /// Whether the request certainly took no effect and never will.
    pub(super) fn is_certain(&self) -> bool {
        match self {
            Trouble::Refused { .. }
            | Trouble::Certificate { .. }
            | Trouble::NoCredential
            | Trouble::CredentialUnusable
            | Trouble::CredentialSource
            | Trouble::Role { .. }
            | Trouble::Unsendable => true,
            Trouble::Timeout { never_sent } | Trouble::Unreachable { never_sent, .. } => *never_sent,
            Trouble::Server(_) | Trouble::NotAws(_) => false,
        }
    }

    /// Whether the signature was refused because of the time in it.
    pub(super) fn is_clock(&self) -> bool {
        match self {
            Trouble::Refused { code, message } => {
                code == "RequestTimeTooSkewed"
                    || code == "RequestExpired"
                    || (is_signature(code)
                        && (message.contains("expired") || message.contains("not yet current")))
            }
            Trouble::Server(_)
            | Trouble::NotAws(_)
            | Trouble::Timeout { .. }
            | Trouble::Unreachable { .. }
            | Trouble::Certificate { .. }
            | Trouble::NoCredential
            | Trouble::CredentialUnusable
            | Trouble::CredentialSource
            | Trouble::Role { .. }
            | Trouble::Unsendable => false,
        }
    }

    /// Whether the secret does not belong to the id.
    pub(super) fn is_wrong_secret(&self) -> bool {
        self.code().is_some_and(is_signature) && !self.is_clock()
    }

    /// Whether the access key id is unknown, not live yet, Inactive or deleted; AWS does not say which.
    pub(super) fn is_unknown_key(&self) -> bool {
        self.code().is_some_and(is_unknown)
    }

    /// Whether asking again soon may help.
    pub(super) fn is_momentary(&self) -> bool {
        matches!(self, Trouble::Server(_)) || self.code().is_some_and(is_throttle)
    }

    /// The failure, in words.
    pub(super) fn failure(&self, doing: Doing<'_>) -> Failure {
        let Doing {
            undone,
            action,
            region_is_default,
        } = doing;
        match self {
            Trouble::Refused { code, message } if self.is_clock() => Failure::of(
                Reason::ClockSkew,
                format!("{undone}: AWS refused the signature's time ({code}: {message})"),
            ),
            Trouble::Refused { code, message } => refused(doing, code, message),
            Trouble::Server(status) => Failure::incomplete(
                Reason::AwsError,
                format!("{undone}: AWS failed with status {status}"),
            ),
            Trouble::NotAws(status) => Failure::of(
                Reason::AwsNotAws,
                format!("{undone}: the endpoint did not answer as AWS does (status {status})"),
            ),
            Trouble::Timeout { .. } => Failure::incomplete(
                Reason::AwsTimeout,
                format!("{undone}: AWS did not answer in time"),
            ),
            Trouble::Unreachable { detail, .. } => Failure::of(
                Reason::AwsUnreachable,
                format!("{undone}: AWS could not be reached ({detail})"),
            ),
            Trouble::Certificate { detail } => {
                let hint = if detail.contains("CaUsedAsEndEntity") {
                    " The server presents a CA certificate as its own; give it a certificate that is not a CA \
                     (CA:FALSE), and name the CA that issued it."
                } else {
                    ""
                };
                Failure::blocked(
                    Reason::Tls,
                    format!("{undone}: the server's certificate was not accepted ({detail})"),
                    format!(
                        "Name the file of the CA that issued it in AWS_CA_BUNDLE or KEYTURN_CA_FILE.{hint}"
                    ),
                )
            }
            Trouble::NoCredential => Failure::of(
                Reason::NoCredential,
                format!("{undone}: no AWS credentials were found"),
            ),
            Trouble::CredentialUnusable => Failure::of(
                Reason::CredentialUnusable,
                format!("{undone}: the AWS credentials are set up in a way that can't be used"),
            ),
            Trouble::CredentialSource => Failure::incomplete(
                Reason::CredentialSource,
                format!("{undone}: the source of the AWS credentials failed or gave none in time"),
            ),
            Trouble::Role { action, why } => {
                let undone = format!("{undone}: the role could not be assumed");
                let mut failure = why.failure(Doing {
                    undone: &undone,
                    action,
                    region_is_default,
                });
                if failure.reason == Reason::AccessDenied {
                    failure.advice = format!(
                        "Let the role's trust policy allow {action} to this identity; for a GitLab ID token check the \
                         provider, `aud` and `sub`."
                    );
                }
                failure
            }
            Trouble::Unsendable => Failure::blocked(
                Reason::InvalidRequest,
                format!("{undone}: the request for {action} could not be built"),
                "Check AWS_REGION and AWS_ENDPOINT_URL.",
            ),
        }
    }
}

fn is_signature(code: &str) -> bool {
    matches!(
        code,
        "SignatureDoesNotMatch" | "InvalidSignatureException" | "IncompleteSignature"
    )
}

fn is_unknown(code: &str) -> bool {
    matches!(
        code,
        "InvalidClientTokenId" | "UnrecognizedClientException" | "InvalidAccessKeyId"
    )
}

fn is_throttle(code: &str) -> bool {
    matches!(
        code,
        "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "RequestLimitExceeded"
            | "TooManyRequestsException"
            | "PriorRequestNotComplete"
            | "SlowDown"
    )
}

/// The words for an error code. AWS's explanation of a bad signature is never quoted: it can show the request it
/// checked, and with it a session token.
fn refused(doing: Doing<'_>, code: &str, message: &str) -> Failure {
    let Doing {
        undone,
        action,
        region_is_default,
    } = doing;
    let region = if region_is_default { REGION_HINT } else { "" };
    if is_throttle(code) {
        return Failure::incomplete(
            Reason::AwsThrottled,
            format!("{undone}: AWS throttled the request ({code})"),
        );
    }
    if is_unknown(code) {
        return Failure::blocked(
            Reason::CredentialRefused,
            format!("{undone}: AWS does not accept the access key ({code})"),
            format!(
                "The key is deleted, Inactive or of another partition. Give keyturn one that works.{region}"
            ),
        );
    }
    if is_signature(code) {
        return Failure::blocked(
            Reason::CredentialRefused,
            format!("{undone}: the secret access key does not belong to the access key id ({code})"),
            "Check that AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are of the same key.",
        );
    }
    match code {
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "NotAuthorized" => {
            Failure::blocked(
                Reason::AccessDenied,
                format!("{undone}: {action} is not allowed ({message})"),
                format!("Allow {action} on the user to the identity that runs keyturn."),
            )
        }
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => Failure::of(
            Reason::CredentialExpired,
            format!("{undone}: the credentials have expired ({code})"),
        ),
        "NoSuchEntity" => Failure::of(Reason::UserUnknown, format!("{undone}: {message} ({code})")),
        "ValidationError" | "ValidationException" | "InvalidInput" | "InvalidParameterValue" => {
            Failure::blocked(
                Reason::InvalidRequest,
                format!("{undone}: AWS finds the request invalid ({message})"),
                "Check the settings, first the name of the IAM user.",
            )
        }
        // The list had a free place, so it was behind, or another run was quicker. No person should delete a key for that.
        "LimitExceeded" | "LimitExceededException" => Failure::incomplete(
            Reason::Quota,
            format!(
                "{undone}: the user has as many access keys as AWS allows, which its list did not show ({message})"
            ),
        ),
        "InvalidIdentityToken" => Failure::blocked(
            Reason::CredentialRefused,
            format!("{undone}: AWS does not accept the identity token ({message})"),
            "Check that the IAM identity provider is the issuer of the token, and its audiences.",
        ),
        "RegionDisabledException" => Failure::of(
            Reason::RegionDisabled,
            format!("{undone}: STS is not active in this region ({code})"),
        ),
        "EntityTemporarilyUnmodifiable" | "ConcurrentModification" | "IDPCommunicationError" => {
            Failure::incomplete(Reason::AwsBusy, format!("{undone}: {message} ({code})"))
        }
        _ => Failure::of(
            Reason::AwsRefused,
            format!("{undone}: AWS refused {action} ({code}: {message})"),
        ),
    }
}

/// An error and its sources. An `io::Error` skips its payload as a source, and TLS errors are such payloads.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => error.source(),
    })
}

fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    chain(error).find_map(|error| error.downcast_ref::<T>())
}

#[cfg(test)]
mod tests {
    use super::{Doing, Trouble};
    use crate::failure::{Class, Failure};
    use aws_credential_types::provider::error::CredentialsError;
    use aws_sdk_iam::error::{ConnectorError, ErrorMetadata, SdkError};
    use aws_sdk_iam::operation::list_access_keys::ListAccessKeysError;
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;

    const DOING: Doing<'static> = Doing {
        undone: "the access keys of deploy could not be listed",
        action: "iam:ListAccessKeys",
        region_is_default: true,
    };

    fn answer(status: u16, body: &'static str) -> HttpResponse {
        HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body))
    }

    fn refusal(status: u16, code: &str, message: &str) -> Trouble {
        let error =
            ListAccessKeysError::generic(ErrorMetadata::builder().code(code).message(message).build());
        Trouble::of(&SdkError::service_error(error, answer(status, "")))
    }

    fn failure(status: u16, code: &str, message: &str) -> Failure {
        refusal(status, code, message).failure(DOING)
    }

    #[test]
    fn codes_have_their_reason_and_class() {
        let cases = [
            (403, "AccessDenied", "access_denied", Class::Blocked),
            (403, "InvalidClientTokenId", "credential_refused", Class::Blocked),
            (
                400,
                "UnrecognizedClientException",
                "credential_refused",
                Class::Blocked,
            ),
            (403, "SignatureDoesNotMatch", "credential_refused", Class::Blocked),
            (403, "ExpiredToken", "credential_expired", Class::Blocked),
            (404, "NoSuchEntity", "user_unknown", Class::Blocked),
            (400, "ValidationError", "invalid_request", Class::Blocked),
            (409, "LimitExceeded", "quota", Class::Incomplete),
            (400, "Throttling", "aws_throttled", Class::Incomplete),
            (503, "Throttling", "aws_error", Class::Incomplete),
            (500, "ServiceFailure", "aws_error", Class::Incomplete),
            (403, "<html>", "aws_not_aws", Class::Incomplete),
        ];
        for (status, code, reason, class) in cases {
            let failure = failure(status, code, "some words");
            assert_eq!(
                (failure.reason.word(), failure.class),
                (reason, class),
                "{status} {code}"
            );
            assert!(
                failure
                    .message
                    .starts_with("the access keys of deploy could not be listed: "),
                "{failure}"
            );
        }
    }

    #[test]
    fn a_refusal_is_certain_and_a_failing_server_is_not() {
        assert!(refusal(409, "LimitExceeded", "").is_certain());
        assert!(!refusal(500, "ServiceFailure", "").is_certain());
        assert!(!refusal(403, "not a code", "").is_certain());
    }

    #[test]
    fn the_clock_is_told_from_the_secret() {
        let expired = refusal(
            403,
            "SignatureDoesNotMatch",
            "Signature expired: 1 is now earlier than 2",
        );
        assert!(expired.is_clock() && !expired.is_wrong_secret());
        assert_eq!(expired.failure(DOING).reason.word(), "clock_skew");
        let wrong = refusal(
            403,
            "SignatureDoesNotMatch",
            "The canonical string was x-amz-security-token:SESSION",
        );
        assert!(wrong.is_wrong_secret() && !wrong.is_clock());
        assert!(!wrong.failure(DOING).message.contains("SESSION"));
    }

    #[test]
    fn an_unset_region_is_named_where_it_may_be_the_cause() {
        assert!(
            failure(403, "InvalidClientTokenId", "")
                .advice
                .contains("AWS_REGION")
        );
        let set = Doing {
            region_is_default: false,
            ..DOING
        };
        assert!(
            !refusal(403, "InvalidClientTokenId", "")
                .failure(set)
                .advice
                .contains("AWS_REGION")
        );
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_not_quoted() {
        let error: SdkError<ListAccessKeysError, HttpResponse> = SdkError::response_error(
            "cannot parse",
            answer(200, "<SecretAccessKey>TOPSECRET</SecretAccessKey>"),
        );
        let trouble = Trouble::of(&error);
        assert_eq!(trouble, Trouble::NotAws(200));
        assert!(!trouble.is_certain());
        assert!(!format!("{trouble:?} {:?}", trouble.failure(DOING)).contains("TOPSECRET"));
    }

    #[test]
    fn missing_credentials_mean_that_nothing_was_sent() {
        let source = ConnectorError::other(CredentialsError::not_loaded_no_source().into(), None);
        let error: SdkError<ListAccessKeysError, HttpResponse> = SdkError::dispatch_failure(source);
        let trouble = Trouble::of(&error);
        assert!(trouble.is_certain());
        assert_eq!(trouble.failure(DOING).reason.word(), "no_credential");
    }

    #[test]
    fn a_refused_certificate_is_found_inside_an_io_error() {
        let tls = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let source = ConnectorError::io(std::io::Error::other(std::io::Error::other(tls)).into());
        let error: SdkError<ListAccessKeysError, HttpResponse> = SdkError::dispatch_failure(source);
        assert_eq!(Trouble::of(&error).failure(DOING).reason.word(), "tls");
    }

    #[test]
    fn a_broken_connection_leaves_it_open_whether_the_request_arrived() {
        let source = ConnectorError::io(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into());
        let error: SdkError<ListAccessKeysError, HttpResponse> = SdkError::dispatch_failure(source);
        assert!(!Trouble::of(&error).is_certain());
        assert_eq!(
            Trouble::of(&error).failure(DOING).reason.word(),
            "aws_unreachable"
        );
    }
}
