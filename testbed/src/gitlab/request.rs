//! A request as the API sees it: whole, so that it can be carried out late and without its connection.

use form_urlencoded::{Serializer, parse};

use super::params::{Params, decoded};

/// The API's root path.
pub(super) const ROOT: &str = "/api/v4";

/// A request with its body.
#[derive(Debug, Clone, Default)]
pub(super) struct Request {
    pub(super) method: String,
    /// As sent: percent signs tell a slash in a name from one between segments.
    pub(super) path: String,
    pub(super) query: String,
    pub(super) content_type: Option<String>,
    pub(super) private_token: Option<String>,
    pub(super) authorization: Option<String>,
    /// Where it was called, for `Location`.
    pub(super) origin: String,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// The decoded segments of the path below the API's root; `None` outside of it.
    pub(super) fn segments(&self) -> Option<Vec<String>> {
        let below = self.path.strip_prefix(ROOT)?.strip_prefix('/')?;
        Some(below.split('/').map(decoded).collect())
    }

    /// `GET`'s routes answer `HEAD` too.
    pub(super) fn is_read(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD")
    }

    /// The methods that a read-only GitLab refuses.
    pub(super) fn is_write(&self) -> bool {
        matches!(self.method.as_str(), "POST" | "PUT" | "PATCH" | "DELETE")
    }

    /// The content type without its parameters.
    pub(super) fn media_type(&self) -> Option<&str> {
        let media_type = self
            .content_type
            .as_deref()?
            .split(';')
            .next()
            .unwrap_or_default();
        Some(media_type.trim())
    }

    /// The token's text: the parameter, `PRIVATE-TOKEN`, or `Authorization: Bearer`. A job token has a header of
    /// its own, which these routes don't look at.
    pub(super) fn token<'a>(&'a self, parameter: Option<&'a str>) -> Option<&'a str> {
        let bearer = || {
            let (scheme, token) = self.authorization.as_deref()?.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        };
        parameter
            .or(self.private_token.as_deref())
            .or_else(bearer)
            .filter(|token| !token.is_empty())
    }

    pub(super) fn path_and_query(&self) -> String {
        if self.query.is_empty() {
            self.path.clone()
        } else {
            format!("{}?{}", self.path, self.query)
        }
    }

    /// Path and query without anything secret that a client put there.
    pub(super) fn harmless_path_and_query(&self) -> String {
        let is_secret = |name: &str| matches!(name, "value" | "private_token" | "access_token" | "job_token");
        if !parse(self.query.as_bytes()).any(|(name, _)| is_secret(&name)) {
            return self.path_and_query();
        }
        let mut query = Serializer::new(String::new());
        for (name, value) in parse(self.query.as_bytes()) {
            let value = if is_secret(&name) { "FILTERED" } else { &value };
            query.append_pair(&name, value);
        }
        format!("{}?{}", self.path, query.finish())
    }

    /// What the journal may know of the parameters, also of a request that will be refused.
    pub(super) fn parameters(&self) -> Params {
        Params::read(&self.query, self.media_type(), &self.body)
            .or_else(|_| Params::read(&self.query, None, &[]))
            .unwrap_or_default()
    }
}
