//! What it means when the network, and not GitLab, is to blame for a missing answer.

use std::error::Error;

use super::cause::Cause;
use super::document::cut;
use super::tls;
use crate::reason::Reason;

/// How a request failed that got no answer.
pub(super) struct Silence {
    /// Whether the connection was never made, so that nothing was sent.
    pub(super) never_sent: bool,
    /// Why.
    pub(super) cause: Cause,
}

/// Judges an error of the HTTP client.
pub(super) fn silence(error: &reqwest::Error) -> Silence {
    let never_sent = error.is_connect() || error.is_builder();
    let cause = if let Some(cause) = tls::cause(error) {
        cause
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
