//! Answers, with GitLab's error bodies word for word.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

/// The address this GitLab believes to have: in `Link` headers and `web_url`, not the one that is called. A client that follows it
/// fails.
pub(super) const EXTERNAL_URL: &str = "https://gitlab.example.com";

/// A response before it is put on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn json(status: u16, body: &impl Serialize) -> Self {
        // Nothing serialised here has a map with keys that aren't strings, the only way to fail.
        let body = serde_json::to_vec(body).unwrap_or_default();
        Self::of(status, "application/json", body)
    }

    pub(super) fn of(status: u16, content_type: &str, body: Vec<u8>) -> Self {
        Self {
            status,
            headers: vec![("content-type".into(), content_type.into())],
            body,
        }
    }

    pub(super) fn no_content() -> Self {
        Self {
            status: 204,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// `{"message": "…"}`, the form of GitLab's own helpers.
    pub(super) fn message(status: u16, text: &str) -> Self {
        Self::json(status, &json!({ "message": text }))
    }

    /// `{"error": "…"}`, the form of the framework below: unknown routes and parameter declarations.
    pub(super) fn error(status: u16, text: &str) -> Self {
        Self::json(status, &json!({ "error": text }))
    }

    /// No token, an unknown one, or one of a kind that isn't looked at: all the same to GitLab.
    pub(super) fn unauthorized() -> Self {
        Self::message(401, "401 Unauthorized")
    }

    /// An expired or revoked token, in OAuth's form.
    pub(super) fn invalid_token(description: &str) -> Self {
        let challenge = format!(
            r#"Bearer realm="Protected by OAuth 2.0", error="invalid_token", error_description="{description}""#
        );
        Self::json(
            401,
            &OauthError {
                error: "invalid_token",
                error_description: description,
                scope: None,
            },
        )
        .with("www-authenticate", challenge)
    }

    /// A token whose scopes don't suffice: 403, without a challenge.
    pub(super) fn insufficient_scope(accepted: &str) -> Self {
        let error_description = "The request requires higher privileges than provided by the access token.";
        let error = OauthError {
            error: "insufficient_scope",
            error_description,
            scope: Some(accepted),
        };
        Self::json(403, &error)
    }

    /// A role that is too low.
    pub(super) fn forbidden() -> Self {
        Self::message(403, "403 Forbidden")
    }

    /// `{"message": "404 <what> Not Found"}`: absent or, for a group or project, not visible to the token.
    pub(super) fn not_found(what: &str) -> Self {
        Self::message(404, &format!("404 {what} Not Found"))
    }

    /// A path that no route matches.
    pub(super) fn unknown_route() -> Self {
        Self::error(404, "404 Not Found")
    }

    /// Several variables match; the text ends without a full stop.
    pub(super) fn ambiguous() -> Self {
        Self::message(
            409,
            "There are multiple variables with provided parameters. Please use 'filter[environment_scope]'",
        )
    }

    /// Failed validation: always 400, with the attributes under `message`.
    pub(super) fn invalid(errors: &BTreeMap<&'static str, Vec<String>>) -> Self {
        Self::json(400, &json!({ "message": errors }))
    }

    /// Maintenance mode or a read-only secondary: 403 to JSON, a redirect to anything else.
    pub(super) fn read_only(is_json: bool) -> Self {
        if is_json {
            Self::message(403, "You cannot perform write operations on a read-only instance")
        } else {
            Self::of(301, "text/html", Vec::new()).with("location", format!("{EXTERNAL_URL}/"))
        }
    }
}

#[derive(Serialize)]
struct OauthError<'a> {
    error: &'a str,
    error_description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
}
