//! How the two remotes are reached: the same for every rotation of a process.

use std::path::Path;

use reqwest::Url;

use super::raw::Raw;
use super::value::{api_url, bad, refused};
use crate::failure::Failure;
use crate::gitlab::Access;
use crate::reason::Reason;
use crate::roots::Roots;
use crate::secret::Secret;
use crate::warnings::Warnings;

const API_OF_GITLAB_COM: &str = "https://gitlab.com/api/v4";

/// How AWS is reached, besides by the standard `AWS_*` variables, which the SDK reads itself. It can't come from the secret
/// that holds the other settings, because it is needed to read that.
#[derive(Clone, Debug, Default)]
pub struct AwsAccess {
    /// Authorities that AWS is trusted by, besides the public ones.
    pub roots: Option<Roots>,
    /// The role to assume with GitLab's OIDC token. It goes before every other source of credentials.
    pub web_identity: Option<WebIdentity>,
}

/// An OIDC token of GitLab and the role it stands for.
#[derive(Clone, Debug)]
pub struct WebIdentity {
    /// The token.
    pub token: Secret,
    /// ARN of the role.
    pub role_arn: String,
}

pub(super) fn gitlab_access(raw: &Raw, warnings: &Warnings) -> Result<Access, Failure> {
    let file = [
        ("KEYTURN_CA_FILE", &raw.keyturn_ca_file),
        ("CI_SERVER_TLS_CA_FILE", &raw.ci_server_tls_ca_file),
    ]
    .into_iter()
    .find_map(|(name, path)| path.as_deref().map(|path| (name, path)));
    Ok(Access {
        roots: file.map(|(name, path)| roots(name, path)).transpose()?,
        api: api(raw, warnings)?,
        token: token(raw)?,
    })
}

impl AwsAccess {
    /// AWS is trusted by the roots that the user names, not by those that the runner hands out for GitLab alone.
    pub(super) fn from(raw: &Raw) -> Result<AwsAccess, Failure> {
        let mut all: Option<Roots> = None;
        for (name, path) in [
            ("KEYTURN_CA_FILE", &raw.keyturn_ca_file),
            ("AWS_CA_BUNDLE", &raw.aws_ca_bundle),
        ] {
            if let Some(path) = path {
                let more = roots(name, path)?;
                all = Some(match all {
                    None => more,
                    Some(roots) => roots.and(more),
                });
            }
        }
        Ok(AwsAccess {
            roots: all,
            web_identity: web_identity(raw)?,
        })
    }
}

fn web_identity(raw: &Raw) -> Result<Option<WebIdentity>, Failure> {
    // A role without a token is AWS's own business: its web identity file, or nothing.
    let Some(token) = raw.keyturn_id_token.clone() else {
        return Ok(None);
    };
    let Some(role_arn) = raw.aws_role_arn.clone() else {
        return Err(refused(
            Reason::RoleMissing,
            "KEYTURN_ID_TOKEN is set and AWS_ROLE_ARN is not",
            "Set AWS_ROLE_ARN to the role that trusts GitLab's OIDC token, or unset KEYTURN_ID_TOKEN.",
        ));
    };
    if !(role_arn.starts_with("arn:") && role_arn.contains(":role/")) {
        return Err(bad(
            "AWS_ROLE_ARN",
            &role_arn,
            "an ARN such as arn:aws:iam::123456789012:role/rotate",
        ));
    }
    if !is_header_text(&token) {
        return Err(refused(
            Reason::BadSetting,
            "KEYTURN_ID_TOKEN holds blanks, line ends or letters that no token has",
            "Take it from `id_tokens:` of the job.",
        ));
    }
    Ok(Some(WebIdentity { token, role_arn }))
}

fn token(raw: &Raw) -> Result<Secret, Failure> {
    let Some(token) = raw.gitlab_token.clone() else {
        let (places, advice) = match &raw.keyturn_secret_id {
            None => (
                "GITLAB_TOKEN is not set".to_owned(),
                "Set GITLAB_TOKEN".to_owned(),
            ),
            Some(id) => (
                format!("GITLAB_TOKEN is set neither in the environment nor in the secret {id}"),
                format!("Add GITLAB_TOKEN to the JSON of the secret {id}, or set it in the environment"),
            ),
        };
        return Err(refused(
            Reason::TokenMissing,
            places,
            format!(
                "{advice}: a token with scope api, of an Owner of the group or a Maintainer of the project. A \
                 protected variable is empty in pipelines of unprotected branches."
            ),
        ));
    };
    if !is_header_text(&token) {
        return Err(refused(
            Reason::TokenMalformed,
            "GITLAB_TOKEN holds blanks, line ends or letters that no token has",
            "Set it again, to the token alone.",
        ));
    }
    Ok(token)
}

/// Whether it can be sent in a header as it is.
fn is_header_text(token: &Secret) -> bool {
    token.expose().bytes().all(|b| b.is_ascii_graphic())
}

fn api(raw: &Raw, warnings: &Warnings) -> Result<Url, Failure> {
    let (name, text) = match (&raw.gitlab_api_url, &raw.ci_api_v4_url) {
        (Some(url), _) => ("GITLAB_API_URL", url.as_str()),
        (None, Some(url)) => ("CI_API_V4_URL", url.as_str()),
        (None, None) => ("GITLAB_API_URL", API_OF_GITLAB_COM),
    };
    let url = api_url(name, text)?;
    let host = url.host_str().unwrap_or_default();
    if url.scheme() == "http" && !["localhost", "127.0.0.1", "[::1]"].contains(&host) {
        warnings.say(format!(
            "{name} is http: the token and the new secret access key travel unencrypted to {host}"
        ));
    }
    if !url.path().ends_with("/api/v4") {
        warnings.say(format!(
            "{name} does not end in /api/v4, as the root of GitLab's API does"
        ));
    }
    Ok(url)
}

fn roots(name: &str, path: &str) -> Result<Roots, Failure> {
    if path.contains("-----BEGIN") {
        return Err(refused(
            Reason::CaFile,
            format!("{name} holds a certificate instead of the path of a file with it"),
            "Make it a variable of type File.",
        ));
    }
    let pem = std::fs::read(Path::new(path)).map_err(|error| {
        refused(
            Reason::CaFile,
            format!("the file {path} that {name} names can't be read: {error}"),
            format!("Give {name} the path of a readable PEM file, or unset it."),
        )
    })?;
    Roots::parse(pem).ok_or_else(|| {
        refused(
            Reason::CaFile,
            format!("the file {path} that {name} names holds no PEM certificate, or a broken one"),
            "It must hold one or more blocks from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----.",
        )
    })
}
