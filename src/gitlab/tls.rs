//! What a TLS connection that is not accepted means.

use std::error::Error;

use super::cause::Cause;
use super::document::cut;
use crate::reason::Reason;

/// Why rustls refused the connection, if it did.
pub(super) fn cause(error: &reqwest::Error) -> Option<Cause> {
    said(error).map(|text| judge(&text))
}

/// What rustls said, if it is what failed. It hides inside of `std::io::Error`, whose `source` skips it.
fn said(error: &reqwest::Error) -> Option<String> {
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

fn judge(text: &str) -> Cause {
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
