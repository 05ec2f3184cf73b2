//! Request parameters: query and body merged into one set, then read against declarations.
//!
//! Bodies are JSON or forms; multipart bodies, which GitLab reads as well, are refused here with 415.
//!
//! GitLab ignores parameters that an endpoint doesn't declare, silently and with success.

use form_urlencoded::parse;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::reply::Reply;

/// One merged set of parameters.
#[derive(Debug, Clone, Default)]
pub(super) struct Params(Map<String, Value>);

/// A declared parameter: left out, sent as `null`, or sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Given<T> {
    Absent,
    Null,
    Is(T),
}

impl<T> Given<T> {
    pub(super) fn is(self) -> Option<T> {
        match self {
            Self::Absent | Self::Null => None,
            Self::Is(value) => Some(value),
        }
    }
}

impl Params {
    /// Merges query and body; the body wins.
    ///
    /// # Errors
    ///
    /// The 400 of a malformed body, or the 415 of a content type the API doesn't read.
    pub(super) fn read(query: &str, content_type: Option<&str>, body: &[u8]) -> Result<Self, Reply> {
        let mut params = Self::default();
        for (name, value) in parse(query.as_bytes()) {
            params.insert_nested(&name, value.into_owned());
        }
        if body.is_empty() {
            return Ok(params);
        }
        match content_type.unwrap_or("application/x-www-form-urlencoded") {
            "application/json" => {
                let malformed = || Reply::error(400, "message body does not match declared format");
                let sent: Value = serde_json::from_slice(body).map_err(|_| malformed())?;
                if let Value::Object(sent) = sent {
                    params.0.extend(sent);
                }
            }
            "application/x-www-form-urlencoded" => {
                for (name, value) in parse(body) {
                    params.insert_nested(&name, value.into_owned());
                }
            }
            other => {
                let text = format!("The provided content-type '{other}' is not supported.");
                return Err(Reply::error(415, &text));
            }
        }
        Ok(params)
    }

    /// `filter[environment_scope]` becomes a member of `filter`.
    fn insert_nested(&mut self, name: &str, value: String) {
        match name
            .split_once('[')
            .and_then(|(outer, rest)| Some((outer, rest.strip_suffix(']')?)))
        {
            Some((outer, inner)) => {
                let slot = self.0.entry(outer).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(members) = slot {
                    members.insert(inner.to_owned(), Value::String(value));
                }
            }
            None => {
                self.0.insert(name.to_owned(), Value::String(value));
            }
        }
    }

    /// Every name that was sent, members as `outer[inner]`.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for (name, value) in &self.0 {
            match value.as_object() {
                Some(members) => names.extend(members.keys().map(|inner| format!("{name}[{inner}]"))),
                None => names.push(name.clone()),
            }
        }
        names
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A parameter as text, without any declaration.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(to_text)
    }

    /// `filter[environment_scope]`, unless blank.
    pub(super) fn filter_scope(&self) -> Option<String> {
        let scope = to_text(self.get("filter")?.as_object()?.get("environment_scope")?)?;
        (!scope.trim().is_empty()).then_some(scope)
    }
}

/// Reads declared parameters and collects what is wrong with them into one 400.
pub(super) struct Declarations<'a> {
    params: &'a Params,
    errors: Vec<String>,
}

impl<'a> Declarations<'a> {
    pub(super) fn of(params: &'a Params) -> Self {
        Self {
            params,
            errors: Vec::new(),
        }
    }

    /// Must be sent; an empty string suffices.
    pub(super) fn required_text(&mut self, name: &str) -> Given<String> {
        let given = self.text(name);
        if given == Given::Absent {
            self.errors.push(format!("{name} is missing"));
        }
        given
    }

    pub(super) fn text(&mut self, name: &str) -> Given<String> {
        self.coerced(name, to_text)
    }

    /// `true`, `false` and the strings that are taken for them.
    pub(super) fn boolean(&mut self, name: &str) -> Given<bool> {
        if self.params.get(name).and_then(Value::as_str) == Some("") {
            return Given::Null;
        }
        self.coerced(name, |value| {
            match to_text(value)?.to_ascii_lowercase().as_str() {
                "true" | "t" | "1" | "on" | "yes" | "y" => Some(true),
                "false" | "f" | "0" | "off" | "no" | "n" => Some(false),
                _ => None,
            }
        })
    }

    /// A number such as a page, in a query always text.
    pub(super) fn integer(&mut self, name: &str) -> Given<i64> {
        self.coerced(name, |value| to_text(value)?.parse().ok())
    }

    /// One of a closed set.
    pub(super) fn one_of<T>(&mut self, name: &str, parse: impl Fn(&str) -> Option<T>) -> Given<T> {
        match self.text(name) {
            Given::Absent => Given::Absent,
            Given::Null => Given::Null,
            Given::Is(text) => parse(&text).map_or_else(
                || {
                    self.errors.push(format!("{name} does not have a valid value"));
                    Given::Absent
                },
                Given::Is,
            ),
        }
    }

    /// `filter` must be a hash where it is declared.
    pub(super) fn filter(&mut self) {
        if self
            .params
            .get("filter")
            .is_some_and(|filter| !filter.is_object() && !filter.is_null())
        {
            self.refuse("filter is invalid");
        }
    }

    pub(super) fn refuse(&mut self, error: &str) {
        self.errors.push(error.to_owned());
    }

    /// # Errors
    ///
    /// The 400 that names every parameter at fault.
    pub(super) fn finish(self) -> Result<(), Reply> {
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Reply::error(400, &self.errors.join(", ")))
        }
    }

    fn coerced<T>(&mut self, name: &str, coerce: impl Fn(&Value) -> Option<T>) -> Given<T> {
        match self.params.get(name) {
            None => Given::Absent,
            Some(Value::Null) => Given::Null,
            Some(value) => coerce(value).map_or_else(
                || {
                    self.errors.push(format!("{name} is invalid"));
                    Given::Absent
                },
                Given::Is,
            ),
        }
    }
}

/// Strings as they are, numbers and booleans as written; nothing else is taken for text.
fn to_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A path segment or form part without its percent signs.
pub(super) fn decoded(segment: &str) -> String {
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}
