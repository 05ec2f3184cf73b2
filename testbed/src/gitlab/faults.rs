//! Faults on chosen requests: answers that GitLab, a proxy or the network give instead of the right one.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;

use super::clock::{http_date, shifted};
use super::reply::Reply;
use super::request::Request;

/// A fault, the requests it waits for, and which of them it takes.
///
/// Faults stand in line: a request is seen by the first fault that matches it, and by a later one only if the
/// first lets it pass. So a 500 once and then a dropped connection are two faults.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Only this method; any, if empty.
    #[serde(default)]
    pub method: String,
    /// Only paths that end so, without the query.
    #[serde(default)]
    pub path_suffix: String,
    /// Only paths, with the query, that contain this.
    #[serde(default)]
    pub path_contains: String,
    /// How many matching requests to let pass first.
    #[serde(default)]
    pub skip: u32,
    /// How many to take after that; 0 is all.
    #[serde(default = "once")]
    pub times: u32,
    /// What happens to them.
    pub effect: Effect,
}

fn once() -> u32 {
    1
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Another answer. With `applied` the request is carried out first: the outcome is hidden from the client.
    Answer {
        /// The answer given.
        with: Answer,
        /// Whether the request was carried out.
        #[serde(default)]
        applied: bool,
    },
    /// The connection is reset without a response.
    Drop {
        /// Whether the request was carried out first.
        #[serde(default)]
        applied: bool,
    },
    /// The request waits, then is carried out and answered, also if the client has gone in the meantime.
    Delay {
        /// Real time.
        millis: u64,
    },
    /// The request is carried out at once, and answered after a wait.
    Stall {
        /// Real time.
        millis: u64,
    },
    /// The connection is reset now, and the request carried out when the server's clock has moved on by this:
    /// by itself, or by `advance`.
    Late {
        /// Server's time.
        millis: u64,
    },
    /// The request is carried out; the answer ends in the middle of its body.
    Truncate,
}

/// An answer that isn't the endpoint's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// 500 from GitLab, JSON.
    InternalError,
    /// 502 from a proxy, HTML.
    BadGateway,
    /// 429 from the throttle in front: text, with `Retry-After` and `RateLimit-…`.
    Throttled {
        /// Seconds.
        retry_after: u32,
    },
    /// 429 from GitLab's limiter of single endpoints: JSON, without `Retry-After`.
    Limited,
    /// 403 as in maintenance mode.
    ReadOnly,
    /// 200 that claims to be JSON and isn't even text.
    Garbage,
    /// 200 with a web page, as from a sign-in portal.
    Html,
    /// Anything else.
    Custom {
        /// The status.
        status: u16,
        /// The headers.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// The body.
        #[serde(default)]
        body: String,
    },
}

impl Fault {
    /// A fault of the first request with this method whose path ends so.
    #[must_use]
    pub fn on(method: &str, path_suffix: &str, effect: Effect) -> Self {
        Self {
            method: method.into(),
            path_suffix: path_suffix.into(),
            path_contains: String::new(),
            skip: 0,
            times: 1,
            effect,
        }
    }

    /// A fault of the first request of any kind.
    #[must_use]
    pub fn on_any(effect: Effect) -> Self {
        Self::on("", "", effect)
    }

    /// Only paths that contain this, too.
    #[must_use]
    pub fn containing(self, path_contains: &str) -> Self {
        Self {
            path_contains: path_contains.into(),
            ..self
        }
    }

    /// Lets this many matching requests pass first.
    #[must_use]
    pub fn skip(self, skip: u32) -> Self {
        Self { skip, ..self }
    }

    /// Takes this many requests, 0 for all.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    fn matches(&self, request: &Request) -> bool {
        (self.method.is_empty() || self.method.eq_ignore_ascii_case(&request.method))
            && request.path.ends_with(&self.path_suffix)
            && request.path_and_query().contains(&self.path_contains)
    }
}

impl Effect {
    /// Instead of being carried out, the request is answered so.
    #[must_use]
    pub fn answer(with: Answer) -> Self {
        Self::Answer { with, applied: false }
    }

    /// The request is carried out, and answered so.
    #[must_use]
    pub fn apply_then_answer(with: Answer) -> Self {
        Self::Answer { with, applied: true }
    }

    /// The connection is reset, and nothing carried out.
    #[must_use]
    pub fn drop_before() -> Self {
        Self::Drop { applied: false }
    }

    /// The request is carried out, and the connection reset.
    #[must_use]
    pub fn drop_after() -> Self {
        Self::Drop { applied: true }
    }

    /// The word for it in the journal.
    fn word(&self) -> &'static str {
        match self {
            Self::Answer { applied: false, .. } => "answer",
            Self::Answer { applied: true, .. } => "apply, then answer",
            Self::Drop { applied: false } => "drop",
            Self::Drop { applied: true } => "apply, then drop",
            Self::Delay { .. } => "delay",
            Self::Stall { .. } => "stall",
            Self::Late { .. } => "late",
            Self::Truncate => "truncate",
        }
    }

    /// As the journal tells it.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Answer { with, .. } => format!("{}: {}", self.word(), with.status()),
            Self::Drop { .. } | Self::Truncate => self.word().to_owned(),
            Self::Delay { millis } | Self::Stall { millis } | Self::Late { millis } => {
                format!("{}: {:?}", self.word(), Duration::from_millis(*millis))
            }
        }
    }
}

impl Answer {
    fn status(&self) -> u16 {
        match self {
            Self::InternalError => 500,
            Self::BadGateway => 502,
            Self::Throttled { .. } | Self::Limited => 429,
            Self::ReadOnly => 403,
            Self::Garbage | Self::Html => 200,
            Self::Custom { status, .. } => *status,
        }
    }

    pub(super) fn reply(&self, now: Timestamp) -> Reply {
        let status = self.status();
        match self {
            Self::InternalError => Reply::message(status, "500 Internal Server Error"),
            Self::BadGateway => Reply::of(status, "text/html", BAD_GATEWAY.into()),
            Self::Throttled { retry_after } => throttled(*retry_after, now),
            Self::Limited => {
                let text = "This endpoint has been requested too many times. Try again later.";
                Reply::json(status, &json!({ "message": { "error": text } }))
            }
            Self::ReadOnly => Reply::read_only(true),
            Self::Garbage => Reply::of(
                status,
                "application/json",
                vec![0xff, 0xfe, 0x00, 0x7b, 0xc3, 0x28],
            ),
            Self::Html => Reply::of(status, "text/html; charset=utf-8", SIGN_IN.into()),
            Self::Custom {
                status,
                headers,
                body,
            } => Reply {
                status: *status,
                headers: headers
                    .iter()
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect(),
                body: body.clone().into_bytes(),
            },
        }
    }
}

/// The answer of the throttle that stands before GitLab. The limit is told per minute.
fn throttled(retry_after: u32, now: Timestamp) -> Reply {
    let reset = shifted(now, SignedDuration::from_secs(i64::from(retry_after)));
    Reply::of(429, "text/plain", "Retry later\n".into())
        .with("ratelimit-name", "throttle_authenticated_api")
        .with("ratelimit-limit", "120")
        .with("ratelimit-observed", "121")
        .with("ratelimit-remaining", "0")
        .with("ratelimit-reset", reset.as_second().to_string())
        .with("ratelimit-resettime", http_date(reset))
        .with("retry-after", retry_after.to_string())
}

const BAD_GATEWAY: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n\
    <center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";

const SIGN_IN: &str = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head>\n\
    <body><form action=\"/login\" method=\"post\"></form></body></html>\n";

/// The faults in line.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// Those that still wait for a request.
    pub(super) fn waiting(&self) -> &[Fault] {
        &self.0
    }

    /// Counts the request and answers what happens to it, if anything.
    pub(super) fn take(&mut self, request: &Request) -> Option<Effect> {
        for (at, fault) in self.0.iter_mut().enumerate() {
            if !fault.matches(request) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            let effect = fault.effect.clone();
            match fault.times {
                0 => {}
                1 => {
                    self.0.remove(at);
                }
                _ => fault.times -= 1,
            }
            return Some(effect);
        }
        None
    }
}
