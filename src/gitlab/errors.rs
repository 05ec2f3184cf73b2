//! What GitLab's refusals, and the silence of networks, mean for the person who reads of them.
//!
//! Nothing of an answer is quoted but the fields of GitLab's own error documents, and those are cut. GitLab has several
//! shapes: `{"message": text}` from its helpers, `{"message": {attribute: [text]}}` from validation, `{"error": text}`
//! from parameter declarations, `{"error", "error_description"}` from token checks, and `{"message": {"error": text}}`
//! from its rate limiter.

use std::error::Error;
use std::time::Duration;

use serde_json::Value;

use super::VariableOwner;
use super::client::Answer;
use crate::failure::{Class, Failure};
use crate::reason::Reason;
use crate::secret::Secret;

/// The most characters of GitLab's texts that are quoted.
const QUOTED: usize = 200;

/// What a request is for, in the words that its failure begins with.
pub(super) struct Doing<'a> {
    /// Such as "The variables of group/42 were not read".
    pub(super) failed: String,
    /// Such as "It is not known whether …". Only for writes.
    pub(super) unclear: String,
    /// Whose variables they are.
    pub(super) owner: Option<&'a VariableOwner>,
}

impl Doing<'_> {
    /// A read of what no group or project owns.
    pub(super) fn plain(failed: &str) -> Doing<'static> {
        Doing {
            failed: failed.to_owned(),
            unclear: String::new(),
            owner: None,
        }
    }
}

/// Why something did not happen; what that was is added last.
#[derive(Clone, Debug)]
pub(super) struct Cause {
    pub(super) class: Class,
    pub(super) reason: Reason,
    pub(super) text: String,
    pub(super) advice: String,
}

impl Cause {
    pub(super) fn blocked(reason: Reason, text: impl Into<String>, advice: impl Into<String>) -> Cause {
        Cause {
            class: Class::Blocked,
            reason,
            text: text.into(),
            advice: advice.into(),
        }
    }

    pub(super) fn incomplete(reason: Reason, text: impl Into<String>) -> Cause {
        Cause {
            class: Class::Incomplete,
            reason,
            text: text.into(),
            advice: "Run again; it is safe.".to_owned(),
        }
    }

    /// It did not happen.
    pub(super) fn failed(self, doing: &Doing<'_>) -> Failure {
        Failure {
            class: self.class,
            reason: self.reason,
            message: format!("{}: {}", doing.failed, self.text),
            advice: self.advice,
        }
    }

    /// Nobody can say whether it happened, so running again is what there is to do, whatever the cause.
    pub(super) fn unclear(self, doing: &Doing<'_>) -> Failure {
        Failure {
            class: Class::Incomplete,
            reason: self.reason,
            message: format!("{}: {}", doing.unclear, self.text),
            advice: self.advice,
        }
    }

    /// An earlier attempt whose outcome is unknown, and what became of a later one.
    pub(super) fn then(self, later: Cause) -> Cause {
        Cause {
            text: format!(
                "{}; a later attempt did not take effect: {}",
                self.text, later.text
            ),
            ..later
        }
    }

    /// The last net: should an error text repeat what was sent, or a piece of it that a cut has left, it goes.
    pub(super) fn without(mut self, secret: &Secret) -> Cause {
        let value: Vec<char> = secret.expose().chars().collect();
        let repeats = |piece: &[char]| self.text.contains(&piece.iter().collect::<String>());
        let repeated = if value.len() < PIECE {
            !value.is_empty() && repeats(&value)
        } else {
            value.windows(PIECE).any(repeats)
        };
        if repeated {
            self.text = "GitLab's answer repeats the value, so it is not shown".to_owned();
        }
        self
    }
}

/// So many characters in a row are a piece of a secret and no accident.
const PIECE: usize = 8;

/// An error document in one of GitLab's shapes.
#[derive(Debug, Default)]
pub(super) struct Document {
    error: Option<String>,
    description: Option<String>,
    message: Option<String>,
    attributes: Vec<(String, Vec<String>)>,
}

impl Document {
    /// Reads an error document; `None` when the body is none of GitLab's shapes, as when a proxy answered.
    pub(super) fn parse(body: &[u8]) -> Option<Document> {
        let value: Value = serde_json::from_slice(body).ok()?;
        let object = value.as_object()?;
        let text = |name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
        let mut document = Document {
            error: text("error"),
            description: text("error_description"),
            ..Document::default()
        };
        document.message = text("message");
        if let Some(attributes) = object.get("message").and_then(Value::as_object) {
            document.attributes = attributes
                .iter()
                .map(|(name, texts)| (name.clone(), strings(texts)))
                .collect();
        }
        let known = document.error.is_some() || document.message.is_some() || !document.attributes.is_empty();
        known.then_some(document)
    }

    /// GitLab's texts in one line, cut.
    pub(super) fn quote(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        parts.extend(self.message.clone());
        parts.extend(
            self.attributes
                .iter()
                .map(|(name, texts)| format!("{name} {}", texts.join(", "))),
        );
        parts.extend(self.description.clone().or_else(|| self.error.clone()));
        cut(&parts.join("; "))
    }

    fn describes(&self, word: &str) -> bool {
        self.description
            .as_deref()
            .is_some_and(|text| text.to_ascii_lowercase().contains(word))
    }

    fn says(&self, text: &str) -> bool {
        self.message
            .as_deref()
            .is_some_and(|message| message.contains(text))
    }

    /// Maintenance mode, and a read-only Geo secondary: a 403 that has nothing to do with the token.
    pub(super) fn read_only(&self) -> bool {
        self.says("read-only instance")
    }

    /// The masking rule is checked on the value: `{"value": ["is invalid"]}`.
    fn mask_refused(&self) -> bool {
        self.attributes
            .iter()
            .any(|(name, texts)| name == "value" && texts.iter().any(|text| text == "is invalid"))
    }
}

fn strings(value: &Value) -> Vec<String> {
    match value.as_array() {
        Some(items) => items
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        None => value.as_str().map(str::to_owned).into_iter().collect(),
    }
}

/// One line of at most [`QUOTED`] characters.
pub(super) fn cut(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if plain.chars().count() <= QUOTED {
        return plain;
    }
    let mut short: String = plain.chars().take(QUOTED.saturating_sub(1)).collect();
    short.push('…');
    short
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
        status => Cause::blocked(
            Reason::RequestRefused,
            format!("GitLab refused the request with HTTP status {status}: {said}"),
            "Change what GitLab names, then run again.",
        ),
    }
}

/// GitLab tests expiry before revocation, and tells neither from the other by status.
fn unauthorized(document: &Document) -> Cause {
    let advice = "Create a new token with the scope api and give it to keyturn.";
    if document.describes("expired") {
        Cause::blocked(Reason::TokenExpired, "the GitLab token has expired", advice)
    } else if document.describes("revoked") {
        Cause::blocked(Reason::TokenRevoked, "the GitLab token was revoked", advice)
    } else {
        Cause::blocked(
            Reason::TokenRefused,
            "GitLab does not know the token",
            "Check GITLAB_TOKEN: a personal, group or project access token of this instance. A CI_JOB_TOKEN can't \
             reach variables.",
        )
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
        return Cause::blocked(
            Reason::VariableUnknown,
            "GitLab finds no such variable any more",
            "Find out who removed it; create it again, then run again.",
        );
    }
    match owner {
        Some(VariableOwner::Group(name)) => Cause::blocked(
            Reason::GroupUnknown,
            format!("GitLab shows the token no group {name}"),
            "It is absent, renamed (old paths of groups are not followed) or not visible to the token. Its number \
             survives renaming.",
        ),
        Some(VariableOwner::Project(name)) => Cause::blocked(
            Reason::ProjectUnknown,
            format!("GitLab shows the token no project {name}"),
            "It is absent or not visible to the token. Its number survives renaming.",
        ),
        None => answer.unexpected(),
    }
}

fn moved(said: String) -> Cause {
    Cause::blocked(
        Reason::Moved,
        said,
        "The project or the GitLab address has moved; redirects are not followed, so that the token goes nowhere \
         else. Use the project's number, and the API root that GitLab shows in CI_API_V4_URL.",
    )
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
pub(super) fn unexpected(status: u16, html: bool) -> Cause {
    let what = if html {
        "HTML"
    } else {
        "something that is not GitLab's JSON"
    };
    Cause::blocked(
        Reason::NotGitlab,
        format!("the server answered with {what} (HTTP status {status})"),
        "Is GITLAB_API_URL an API root ending in /api/v4? Does a proxy or a sign-in page stand before it?",
    )
}

/// How a request failed that got no answer.
pub(super) struct Silence {
    /// Whether the connection was never made, so that nothing was sent.
    pub(super) never_sent: bool,
    /// Why.
    pub(super) cause: Cause,
}

/// Judges an error of the HTTP client.
pub(super) fn of_transport(error: &reqwest::Error) -> Silence {
    let never_sent = error.is_connect() || error.is_builder();
    let cause = if let Some(text) = tls(error) {
        tls_cause(&text)
    } else if error.is_timeout() {
        Cause::incomplete(Reason::GitlabTimeout, "GitLab did not answer in time")
    } else if never_sent {
        Cause::incomplete(
            Reason::GitlabUnreachable,
            format!("GitLab can't be reached ({})", innermost(error)),
        )
    } else {
        Cause::incomplete(
            Reason::GitlabUnreachable,
            format!("the connection to GitLab broke ({})", innermost(error)),
        )
    };
    Silence { never_sent, cause }
}

/// What rustls said, if it is what failed. It hides inside of `std::io::Error`, whose `source` skips it.
fn tls(error: &reqwest::Error) -> Option<String> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(format!("{tls} {tls:?}"));
        }
        next = match error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn tls_cause(text: &str) -> Cause {
    let shown = cut(text);
    if text.contains("CaUsedAsEndEntity") {
        return Cause::blocked(
            Reason::Tls,
            "GitLab's certificate is not accepted: it is a certificate of an authority, used as a server's",
            "A self-signed certificate must not say CA:TRUE. Issue a server certificate (CA:FALSE), and give its \
             issuer in KEYTURN_CA_FILE.",
        );
    }
    if text.contains("InvalidMessage") || text.contains("corrupt message") {
        return Cause::blocked(
            Reason::Tls,
            "the server does not speak TLS at this address",
            "Check scheme and port of GITLAB_API_URL.",
        );
    }
    Cause::blocked(
        Reason::Tls,
        format!("the TLS connection to GitLab is not accepted: {shown}"),
        "If a private authority issued GitLab's certificate, give that authority's certificate (PEM) in \
         KEYTURN_CA_FILE. An expired certificate must be renewed.",
    )
}

/// The last error of the chain: "connection refused" and the like. The outer ones carry the address.
fn innermost(error: &reqwest::Error) -> String {
    let mut last: &(dyn Error + 'static) = match error.source() {
        Some(source) => source,
        None => return "no reason is known".to_owned(),
    };
    while let Some(source) = last.source() {
        last = source;
    }
    cut(&last.to_string())
}

#[cfg(test)]
mod tests {
    use super::{Cause, Document, Doing, is_refusal, of_answer};
    use crate::failure::Class;
    use crate::gitlab::VariableOwner;
    use crate::gitlab::client::Answer;
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
    fn quotes_are_cut_to_one_short_line() {
        let long = "ü\\n".repeat(400);
        let document = Document::parse(format!(r#"{{"message":"{long}"}}"#).as_bytes()).unwrap();
        assert_eq!(document.quote().chars().count(), 200);
        assert!(!document.quote().contains('\n'));
        assert!(Document::parse(b"[]").is_none());
        assert!(Document::parse(b"{\"value\":\"x\"}").is_none());
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
