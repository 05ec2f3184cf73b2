//! What GitLab's refusals mean for the person who reads of them.
//!
//! Nothing of an answer is quoted but the fields of GitLab's own error documents, and those are cut.

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::VariableOwner;
use super::answer::Answer;
use super::cause::{Cause, Doing};
use super::document::Document;
use crate::failure::Failure;
use crate::reason::Reason;

impl Answer {
    /// It is not what GitLab answers.
    pub(super) fn unexpected(&self) -> Cause {
        unexpected(self.status, self.html)
    }

    /// The JSON of a read that succeeded. GitLab answers every read of keyturn with 200; a sign-in page does, too.
    pub(super) fn json<T: DeserializeOwned>(&self, doing: &Doing<'_>) -> Result<T, Failure> {
        if self.status != 200 {
            let cause = if self.status < 300 {
                self.unexpected()
            } else {
                of_answer(self, doing.owner)
            };
            return Err(cause.failed(doing));
        }
        serde_json::from_slice(&self.body).map_err(|_| self.unexpected().failed(doing))
    }
}

/// Whether a write with this answer certainly did not take effect: GitLab itself refused it, in one of its own shapes.
/// A proxy's page with the same status proves nothing.
pub(super) fn is_refusal(answer: &Answer) -> bool {
    matches!(answer.status, 400 | 401 | 403 | 404 | 405 | 409 | 412 | 422) && answer.document().is_some()
}

/// What an answer other than success means.
pub(super) fn of_answer(answer: &Answer, owner: Option<&VariableOwner>) -> Cause {
    match answer.status {
        301 | 302 | 303 | 307 | 308 => {
            return moved(format!("GitLab answered with a redirect ({})", answer.status));
        }
        429 => return rate_limited(answer.retry_after),
        status @ (408 | 500..=599) => {
            return Cause::incomplete(
                Reason::GitlabError,
                format!("GitLab answered with HTTP status {status}"),
            );
        }
        _ => {}
    }
    let Some(document) = answer.document() else {
        return answer.unexpected();
    };
    let said = document.quote();
    match answer.status {
        400 if document.mask_refused() => Cause::blocked(
            Reason::ValueRefused,
            "GitLab refused the value (value is invalid), by its rule for masked variables",
            "Turn expansion off (raw) or masking off on this variable, or choose a value that can be masked.",
        ),
        401 => unauthorized(&document),
        403 => forbidden(&document, &said, owner),
        404 => not_found(answer, &document, owner),
        405 if document.says("moved project") => moved(said),
        409 => Cause::blocked(
            Reason::AmbiguousVariable,
            format!("GitLab found a conflict: {said}"),
            "Leave one variable with this key and environment scope.",
        ),
        status => Cause::of(
            Reason::RequestRefused,
            format!("GitLab refused the request with HTTP status {status}: {said}"),
        ),
    }
}

/// GitLab tests expiry before revocation, and tells neither from the other by status.
fn unauthorized(document: &Document) -> Cause {
    if document.describes("expired") {
        Cause::of(Reason::TokenExpired, "the GitLab token has expired")
    } else if document.describes("revoked") {
        Cause::of(Reason::TokenRevoked, "the GitLab token was revoked")
    } else {
        Cause::of(Reason::TokenRefused, "GitLab does not know the token")
    }
}

fn forbidden(document: &Document, said: &str, owner: Option<&VariableOwner>) -> Cause {
    if document.read_only() {
        return Cause::incomplete(
            Reason::GitlabReadOnly,
            "the GitLab instance is read-only (maintenance) for now",
        );
    }
    if matches!(
        document.error.as_deref(),
        Some("insufficient_scope" | "insufficient_granular_scope")
    ) {
        return Cause::blocked(
            Reason::TokenScope,
            "the scopes of the GitLab token do not suffice",
            "Create a token with the scope api; read_api can't write variables.",
        );
    }
    let role = match owner {
        Some(VariableOwner::Group(_)) => "the role Owner in the group",
        Some(VariableOwner::Project(_)) => "the role Maintainer or Owner in the project",
        None => "a role that permits it",
    };
    Cause::blocked(
        Reason::TokenRole,
        format!("the GitLab token may not do this ({said})"),
        format!("The token needs {role}; reading variables needs it too."),
    )
}

/// GitLab says 404 of a group or project that is absent or that the token may not see. A renamed group is absent under
/// its old path: groups are not redirected. `{"error":"404 Not Found"}` comes from the router: there is no such path at
/// all.
fn not_found(answer: &Answer, document: &Document, owner: Option<&VariableOwner>) -> Cause {
    if document.message.is_none() && document.error.is_some() {
        return answer.unexpected();
    }
    if document.says("Variable Not Found") {
        return Cause::of(Reason::VariableUnknown, "GitLab finds no such variable any more");
    }
    match owner {
        Some(VariableOwner::Group(name)) => Cause::of(
            Reason::GroupUnknown,
            format!("GitLab shows the token no group {name}"),
        ),
        Some(VariableOwner::Project(name)) => Cause::of(
            Reason::ProjectUnknown,
            format!("GitLab shows the token no project {name}"),
        ),
        None => answer.unexpected(),
    }
}

fn moved(said: String) -> Cause {
    Cause::of(Reason::Moved, said)
}

fn rate_limited(retry_after: Option<Duration>) -> Cause {
    let wait = match retry_after {
        Some(wait) => format!(" and asks to wait {} seconds", wait.as_secs()),
        None => String::new(),
    };
    Cause::incomplete(
        Reason::GitlabRateLimited,
        format!("GitLab limits the rate of requests{wait}"),
    )
}

/// A success, or a refusal, that is not GitLab's.
fn unexpected(status: u16, html: bool) -> Cause {
    let what = if html {
        "HTML"
    } else {
        "something that is not GitLab's JSON"
    };
    Cause::of(
        Reason::NotGitlab,
        format!("the server answered with {what} (HTTP status {status})"),
    )
}

#[cfg(test)]
mod tests {
    use super::{is_refusal, of_answer};
    use crate::failure::Class;
    use crate::gitlab::VariableOwner;
    use crate::gitlab::answer::Answer;
    use crate::gitlab::cause::{Cause, Doing};
    use crate::reason::Reason;
    use crate::secret::Secret;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            html: false,
            next_page: None,
            total: None,
            retry_after: None,
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn each_answer_has_its_word() {
        let group = VariableOwner::Group("42".into());
        let rows = [
            (401, r#"{"message":"401 Unauthorized"}"#, "token_refused"),
            (
                401,
                r#"{"error":"invalid_token","error_description":"Token is expired. You can…"}"#,
                "token_expired",
            ),
            (
                401,
                r#"{"error":"invalid_token","error_description":"Token was revoked."}"#,
                "token_revoked",
            ),
            (
                403,
                r#"{"error":"insufficient_scope","error_description":"…","scope":"api"}"#,
                "token_scope",
            ),
            (
                403,
                r#"{"error":"insufficient_granular_scope","error_description":"…"}"#,
                "token_scope",
            ),
            (403, r#"{"message":"403 Forbidden"}"#, "token_role"),
            (
                403,
                r#"{"message":"You cannot perform write operations on a read-only instance"}"#,
                "gitlab_read_only",
            ),
            (404, r#"{"message":"404 Group Not Found"}"#, "group_unknown"),
            (
                404,
                r#"{"message":"404 GroupVariable Not Found"}"#,
                "variable_unknown",
            ),
            (404, r#"{"error":"404 Not Found"}"#, "not_gitlab"),
            (404, "<html>", "not_gitlab"),
            (302, "", "moved"),
            (
                405,
                r#"{"message":"Non GET methods are not allowed for moved projects"}"#,
                "moved",
            ),
            (400, r#"{"message":{"value":["is invalid"]}}"#, "value_refused"),
            (
                400,
                r#"{"message":{"base":["Maximum number"]}}"#,
                "request_refused",
            ),
            (400, r#"{"error":"value is missing"}"#, "request_refused"),
            (
                409,
                r#"{"message":"There are multiple variables"}"#,
                "ambiguous_variable",
            ),
            (429, "Retry later", "gitlab_rate_limited"),
            (502, "<html>", "gitlab_error"),
        ];
        for (status, body, reason) in rows {
            assert_eq!(
                of_answer(&answer(status, body), Some(&group)).reason.word(),
                reason,
                "{status} {body}"
            );
        }
        let project = VariableOwner::Project("a/b".into());
        assert_eq!(
            of_answer(
                &answer(404, r#"{"message":"404 Project Not Found"}"#),
                Some(&project)
            )
            .reason
            .word(),
            "project_unknown"
        );
    }

    #[test]
    fn only_gitlab_can_refuse() {
        assert!(is_refusal(&answer(403, r#"{"message":"403 Forbidden"}"#)));
        assert!(!is_refusal(&answer(403, "<html>Forbidden</html>")));
        assert!(!is_refusal(&answer(400, r#"{"status":"bad"}"#)));
        assert!(!is_refusal(&answer(
            500,
            r#"{"message":"500 Internal Server Error"}"#
        )));
        assert!(!is_refusal(&answer(429, r#"{"message":{"error":"too many"}}"#)));
    }

    #[test]
    fn a_repeated_value_is_not_shown() {
        let cause = of_answer(&answer(400, r#"{"error":"bad value hunter22"}"#), None)
            .without(&Secret::new("hunter22"));
        assert!(!cause.text.contains("hunter22"));
    }

    #[test]
    fn what_is_unclear_is_never_blocked() {
        let doing = Doing {
            failed: "No".into(),
            unclear: "Unknown".into(),
            owner: None,
        };
        let later = of_answer(&answer(403, r#"{"message":"403 Forbidden"}"#), None);
        let failure = Cause::incomplete(Reason::GitlabError, "502")
            .then(later)
            .unclear(&doing);
        assert_eq!(
            (failure.class, failure.reason.word()),
            (Class::Incomplete, "token_role")
        );
        assert!(failure.message.starts_with("Unknown: 502; a later attempt"));
    }
}
