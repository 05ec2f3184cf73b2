//! Settings that can't be wrong: each is checked here, once, and has the type it is used as.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::misplaced;
use super::raw::{self, Raw};
use super::secret_json::SecretJson;
use crate::failure::{Class, Failure};
use crate::gitlab::Container;
use crate::reason::Reason;
use crate::secret::Secret;

const API_OF_GITLAB_COM: &str = "https://gitlab.com/api/v4";
const JOURNAL: &str = "KEYTURN_JOURNAL";
/// Longer is a mistake, and sums of durations must not overflow.
const LONGEST_DURATION: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
/// A key is created only with the time for its proof (`rotation::create_budget`), and a run has ten minutes in all.
const LONGEST_SETTLE: Duration = Duration::from_secs(60);

/// What is needed before the secret that holds the other settings can be read.
#[derive(Debug)]
pub struct Bootstrap {
    /// Name or ARN of the AWS Secrets Manager secret that holds settings.
    pub secret_id: Option<String>,
    /// PEM certificates that AWS's endpoints are trusted by, besides the public ones.
    pub aws_ca_pem: Option<Vec<u8>>,
    /// The role to assume with GitLab's OIDC token, instead of other credentials.
    pub web_identity: Option<WebIdentity>,
    /// What is written to the log.
    pub log: Targets,
}

/// An OIDC token of GitLab and the role it stands for.
#[derive(Debug)]
pub struct WebIdentity {
    /// The token.
    pub token: Secret,
    /// ARN of the role.
    pub role_arn: String,
}

/// How to reach GitLab.
#[derive(Clone, Debug)]
pub struct GitlabAccess {
    /// Root of the REST API, without a slash at the end.
    pub api_url: String,
    /// A token with scope `api`.
    pub token: Secret,
    /// PEM certificates that GitLab is trusted by, besides the public ones.
    pub ca_pem: Option<Vec<u8>>,
}

/// The settings of one rotation.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The IAM user; the caller when absent.
    pub user: Option<String>,
    /// How to reach GitLab.
    pub gitlab: GitlabAccess,
    /// Where the pair is held: at least one, the group first. The journal is beside the first.
    pub containers: Vec<Container>,
    /// Name of the variable with the access key's id.
    pub id_variable: String,
    /// Name of the variable with the secret access key.
    pub secret_variable: String,
    /// Environment scope of both, to the letter.
    pub scope: String,
    /// Name of the variable with the intent record; `None`: no record is kept.
    pub journal: Option<String>,
    /// Whether variables that keyturn creates are protected.
    pub protected: bool,
    /// How long a new key is proved before it is published.
    pub settle: Duration,
    /// What the planner decides by. It has passed the planner's validation.
    pub policy: planner::Settings,
    /// PEM certificates that AWS's endpoints are trusted by, besides the public ones.
    pub aws_ca_pem: Option<Vec<u8>>,
    /// What was ignored, and what is allowed but unwise. No secrets.
    pub warnings: Vec<String>,
}

impl Bootstrap {
    /// Validates what the normalised environment says about the first stage.
    ///
    /// # Errors
    ///
    /// When one of its settings can't be used, or `KEYTURN_CONFIG` is set.
    pub fn from(environment: &BTreeMap<String, String>) -> Result<Bootstrap, Failure> {
        misplaced::check(environment)?;
        let raw = read(environment)?;
        if raw.keyturn_config.is_some() {
            return Err(refused(
                Reason::ConfigUnsupported,
                "KEYTURN_CONFIG is not supported in this version",
                "Unset it and give the settings of one rotation in the environment or in a secret; \
                 for several, use a job each.",
            ));
        }
        Ok(Bootstrap {
            aws_ca_pem: aws_ca(&raw)?,
            log: log(raw.keyturn_log.as_deref())?,
            secret_id: raw.keyturn_secret_id,
            web_identity: web_identity(raw.keyturn_id_token, raw.aws_role_arn)?,
        })
    }
}

impl Settings {
    /// Merges the normalised environment with what the secret says, the environment winning, and validates the result.
    ///
    /// # Errors
    ///
    /// When a setting is missing or can't be used. No message quotes a token.
    pub fn from(
        environment: &BTreeMap<String, String>,
        secret: Option<&SecretJson>,
    ) -> Result<Settings, Failure> {
        let mut warnings = misspelt(environment, secret);
        let mut merged = environment.clone();
        // An empty value is unset, and so doesn't win.
        merged.retain(|_, value| !value.is_empty());
        if let Some(secret) = secret {
            for (name, value) in &secret.values {
                merged.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        misplaced::check(&merged)?;
        let raw = read(&merged)?;

        let aws_ca_pem = aws_ca(&raw)?;
        let ca_pem = first_ca(&[
            ("KEYTURN_CA_FILE", &raw.keyturn_ca_file),
            ("CI_SERVER_TLS_CA_FILE", &raw.ci_server_tls_ca_file),
        ])?;
        let api_url = match (raw.gitlab_api_url, raw.ci_api_v4_url) {
            (Some(url), _) => api_url("GITLAB_API_URL", &url, &mut warnings)?,
            (None, Some(url)) => api_url("CI_API_V4_URL", &url, &mut warnings)?,
            (None, None) => API_OF_GITLAB_COM.to_owned(),
        };
        let token = token(raw.gitlab_token, raw.keyturn_secret_id.as_deref())?;

        let mut containers = Vec::new();
        if let Some(group) = raw.gitlab_group_id {
            containers.push(Container::Group(container("GITLAB_GROUP_ID", &group)?));
        }
        if let Some(project) = raw.gitlab_project_id {
            containers.push(Container::Project(container("GITLAB_PROJECT_ID", &project)?));
        }
        if containers.is_empty() {
            return Err(refused(
                Reason::NoTarget,
                "neither GITLAB_GROUP_ID nor GITLAB_PROJECT_ID says where the variables are",
                "Set one or both, to the number or the full path of the group or project.",
            ));
        }

        let named = [
            raw.keyturn_access_key_id_variable.is_some(),
            raw.keyturn_secret_access_key_variable.is_some(),
        ];
        let id_variable = variable(
            "KEYTURN_ACCESS_KEY_ID_VARIABLE",
            raw.keyturn_access_key_id_variable
                .unwrap_or_else(|| "AWS_ACCESS_KEY_ID".to_owned()),
        )?;
        let secret_variable = variable(
            "KEYTURN_SECRET_ACCESS_KEY_VARIABLE",
            raw.keyturn_secret_access_key_variable
                .unwrap_or_else(|| "AWS_SECRET_ACCESS_KEY".to_owned()),
        )?;
        let journal = journal(raw.keyturn_journal)?;
        distinct(&id_variable, &secret_variable, journal.as_deref())?;
        both_named(named)?;

        let defaults = planner::Settings::default();
        let settle = duration("KEYTURN_SETTLE", raw.keyturn_settle, Duration::from_secs(10))?;
        if settle > LONGEST_SETTLE {
            return Err(refused(
                Reason::BadSetting,
                format!(
                    "KEYTURN_SETTLE={} exceeds {}, the time that a run keeps for proving a key",
                    planner::policy::human(settle),
                    planner::policy::human(LONGEST_SETTLE)
                ),
                "Set it to 1m or less; 10s is the default.",
            ));
        }
        let policy = planner::Settings {
            rotate_after: duration(
                "KEYTURN_ROTATE_AFTER",
                raw.keyturn_rotate_after,
                defaults.rotate_after,
            )?,
            grace: duration("KEYTURN_GRACE", raw.keyturn_grace, defaults.grace)?,
            delete_after: duration(
                "KEYTURN_DELETE_AFTER",
                raw.keyturn_delete_after,
                defaults.delete_after,
            )?,
            unused_for: duration("KEYTURN_UNUSED_FOR", raw.keyturn_unused_for, defaults.unused_for)?,
            longest_job: duration(
                "KEYTURN_LONGEST_JOB",
                raw.keyturn_longest_job,
                defaults.longest_job,
            )?,
            max_age: match raw.keyturn_max_age {
                None => defaults.max_age,
                Some(text) => Some(duration("KEYTURN_MAX_AGE", Some(text), Duration::ZERO)?),
            },
            require_use: boolean(
                "KEYTURN_REQUIRE_USE",
                raw.keyturn_require_use,
                defaults.require_use,
            )?,
            journal: journal.is_some(),
            create_missing: boolean("KEYTURN_CREATE", raw.keyturn_create, defaults.create_missing)?,
        };
        if let Err(contradiction) = planner::Policy::new(policy, planner::Bounds::DEFAULT, true) {
            return Err(refused(
                Reason::Policy,
                contradiction.to_string(),
                "Change KEYTURN_GRACE, KEYTURN_LONGEST_JOB, KEYTURN_ROTATE_AFTER, KEYTURN_DELETE_AFTER or \
                 KEYTURN_MAX_AGE until it holds.",
            ));
        }

        Ok(Settings {
            user: raw.aws_iam_user.map(user).transpose()?,
            gitlab: GitlabAccess {
                api_url,
                token,
                ca_pem,
            },
            containers,
            id_variable,
            secret_variable,
            scope: scope(raw.keyturn_environment_scope)?,
            journal,
            protected: boolean("KEYTURN_PROTECTED", raw.keyturn_protected, true)?,
            settle,
            policy,
            aws_ca_pem,
            warnings,
        })
    }
}

/// One name alone is a pair of which one half was forgotten: the other would be that of another pair.
fn both_named([id, secret]: [bool; 2]) -> Result<(), Failure> {
    let (set, missing) = match (id, secret) {
        (true, false) => (
            "KEYTURN_ACCESS_KEY_ID_VARIABLE",
            "KEYTURN_SECRET_ACCESS_KEY_VARIABLE",
        ),
        (false, true) => (
            "KEYTURN_SECRET_ACCESS_KEY_VARIABLE",
            "KEYTURN_ACCESS_KEY_ID_VARIABLE",
        ),
        (true, true) | (false, false) => return Ok(()),
    };
    Err(refused(
        Reason::HalfPairNamed,
        format!("{set} is set and {missing} is not, so they would name halves of two pairs"),
        format!("Set {missing} too, or unset {set}."),
    ))
}

/// A word on each name that no setting has. Where settings can't be used, it may be why.
pub fn misspelt(environment: &BTreeMap<String, String>, secret: Option<&SecretJson>) -> Vec<String> {
    let mut warnings: Vec<String> = environment
        .keys()
        .filter(|name| name.starts_with("KEYTURN_") && raw::known(name).is_none())
        .map(|name| raw::unknown("the environment", name))
        .collect();
    warnings.extend(secret.iter().flat_map(|secret| secret.warnings.iter().cloned()));
    warnings
}

/// A setting that can't be used. The first words say what did not happen.
fn refused(reason: Reason, why: impl fmt::Display, advice: impl Into<String>) -> Failure {
    Failure::settings(reason, format!("no key was looked at: {why}"), advice)
}

fn bad(name: &str, value: &str, rule: &str) -> Failure {
    refused(
        Reason::BadSetting,
        format!("{name}={value:?} can't be used"),
        format!("{name} must be {rule}."),
    )
}

fn read(source: &BTreeMap<String, String>) -> Result<Raw, Failure> {
    Raw::read(source).map_err(|error| Failure {
        class: Class::Unexpected,
        reason: Reason::SettingsUnreadable,
        message: format!("no key was looked at: {error}"),
        advice: "This is a defect of keyturn; please report it.".to_owned(),
    })
}

fn web_identity(token: Option<Secret>, role_arn: Option<String>) -> Result<Option<WebIdentity>, Failure> {
    // A role without a token is AWS's own business: its web identity file, or nothing.
    let Some(token) = token else { return Ok(None) };
    let Some(role_arn) = role_arn else {
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

fn token(token: Option<Secret>, secret_id: Option<&str>) -> Result<Secret, Failure> {
    let Some(token) = token else {
        let (places, advice) = match secret_id {
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

fn api_url(name: &str, text: &str, warnings: &mut Vec<String>) -> Result<String, Failure> {
    const RULE: &str = "the root of GitLab's REST API, such as https://gitlab.example.com/api/v4";
    // Before the host there may be a password.
    if text.contains('@') {
        return Err(refused(
            Reason::BadSetting,
            format!("{name} holds an @"),
            format!("{name} must be {RULE}, without user."),
        ));
    }
    let Ok(url) = reqwest::Url::parse(text) else {
        return Err(bad(name, text, RULE));
    };
    if !["http", "https"].contains(&url.scheme()) || url.query().is_some() || url.fragment().is_some() {
        // After a question mark there may be a token.
        return Err(refused(
            Reason::BadSetting,
            format!("{name} is no plain http or https URL"),
            format!("{name} must be {RULE}, without query or fragment."),
        ));
    }
    let host = url.host_str().unwrap_or_default();
    if url.scheme() == "http" && !["localhost", "127.0.0.1", "[::1]"].contains(&host) {
        warnings.push(format!(
            "{name} is http: the token and the new secret access key travel unencrypted to {host}"
        ));
    }
    let root = url.as_str().trim_end_matches('/');
    if !root.ends_with("/api/v4") {
        warnings.push(format!(
            "{name} does not end in /api/v4, as the root of GitLab's API does"
        ));
    }
    Ok(root.to_owned())
}

fn container(name: &str, text: &str) -> Result<String, Failure> {
    let path = text.trim_matches('/');
    let is_segment = |segment: &str| {
        !segment.is_empty()
            && segment
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
    };
    if !path.split('/').all(is_segment) {
        return Err(bad(
            name,
            text,
            "the number, such as 42, or the full path, such as team/platform, and no URL",
        ));
    }
    Ok(path.to_owned())
}

fn variable(setting: &str, name: String) -> Result<String, Failure> {
    if !is_variable(&name) {
        return Err(bad(
            setting,
            &name,
            "the name of a variable: 1 to 255 of A-Z, a-z, 0-9 and _",
        ));
    }
    Ok(name)
}

fn is_variable(name: &str) -> bool {
    (1..=255).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn journal(said: Option<String>) -> Result<Option<String>, Failure> {
    let Some(said) = said else {
        return Ok(Some(JOURNAL.to_owned()));
    };
    match truth(&said) {
        Some(true) => Ok(Some(JOURNAL.to_owned())),
        Some(false) => Ok(None),
        // GitLab puts every variable into the environment of jobs, and so also the journal itself, under the name of this
        // setting. No name has these letters, and every record has one of them.
        None if said.contains([':', '[', '{']) => Ok(Some(JOURNAL.to_owned())),
        None if is_variable(&said) => Ok(Some(said)),
        None => Err(bad(
            JOURNAL,
            &said,
            "true, false, or the name of the variable to keep the record in",
        )),
    }
}

fn distinct(id: &str, secret: &str, journal: Option<&str>) -> Result<(), Failure> {
    let clash = if id == secret {
        Some((id, "both the access key's id and its secret"))
    } else if journal == Some(id) {
        Some((id, "both the access key's id and the journal"))
    } else if journal == Some(secret) {
        Some((secret, "both the secret access key and the journal"))
    } else {
        None
    };
    match clash {
        None => Ok(()),
        Some((name, roles)) => Err(refused(
            Reason::SameVariable,
            format!("the variable {name} would hold {roles}"),
            "Give each a name of its own: KEYTURN_ACCESS_KEY_ID_VARIABLE, \
             KEYTURN_SECRET_ACCESS_KEY_VARIABLE, KEYTURN_JOURNAL.",
        )),
    }
}

/// IAM's rule for names of users, after the path.
fn user(name: String) -> Result<String, Failure> {
    let fits = (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b));
    if !fits {
        return Err(bad(
            "AWS_IAM_USER",
            &name,
            "the name of an IAM user, without path or ARN: 1 to 64 of A-Z, a-z, 0-9 and _+=,.@-",
        ));
    }
    Ok(name)
}

fn scope(said: Option<String>) -> Result<String, Failure> {
    let scope = said.unwrap_or_else(|| "*".to_owned());
    if scope.len() > 255 || scope.chars().any(char::is_control) {
        return Err(bad(
            "KEYTURN_ENVIRONMENT_SCOPE",
            &scope,
            "an environment scope of at most 255 letters, such as *",
        ));
    }
    Ok(scope)
}

fn boolean(name: &str, said: Option<String>, default: bool) -> Result<bool, Failure> {
    let Some(said) = said else { return Ok(default) };
    truth(&said).ok_or_else(|| bad(name, &said, "true or false"))
}

fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Some(true),
        "false" | "0" | "no" => Some(false),
        _ => None,
    }
}

fn duration(name: &str, said: Option<String>, default: Duration) -> Result<Duration, Failure> {
    let Some(said) = said else { return Ok(default) };
    match humantime::parse_duration(&said) {
        Ok(duration) if duration <= LONGEST_DURATION => Ok(duration),
        Ok(_) => Err(bad(name, &said, "a duration of at most 100 years")),
        Err(_) => Err(bad(
            name,
            &said,
            "a duration with its unit, such as 30d, 12h, 90m or 0s",
        )),
    }
}

/// `info`, or a list such as `warn,keyturn=debug`.
fn log(said: Option<&str>) -> Result<Targets, Failure> {
    let said = said.unwrap_or("info");
    // To the parser nothing at all is a level, and a bare word that is none is a target: a misspelt level would log
    // nothing.
    let is_level = |word: &str| !word.is_empty() && word.parse::<LevelFilter>().is_ok();
    let fits = |directive: &str| match directive.rsplit_once('=') {
        None => is_level(directive),
        Some((target, level)) => !target.is_empty() && is_level(level),
    };
    let filter = if said.split(',').all(fits) {
        said.parse::<Targets>().ok()
    } else {
        None
    };
    filter.ok_or_else(|| {
        bad(
            "KEYTURN_LOG",
            said,
            "off, error, warn, info, debug or trace, or a list such as warn,keyturn=debug",
        )
    })
}

/// AWS is trusted by the roots that the user names, not by those that the runner hands out for GitLab alone.
fn aws_ca(raw: &Raw) -> Result<Option<Vec<u8>>, Failure> {
    let mut all: Option<Vec<u8>> = None;
    for (name, path) in [
        ("KEYTURN_CA_FILE", &raw.keyturn_ca_file),
        ("AWS_CA_BUNDLE", &raw.aws_ca_bundle),
    ] {
        if let Some(path) = path {
            let pem = ca(name, path)?;
            let all = all.get_or_insert_default();
            all.extend(pem);
            all.push(b'\n');
        }
    }
    Ok(all)
}

fn first_ca(files: &[(&str, &Option<String>)]) -> Result<Option<Vec<u8>>, Failure> {
    let said = files
        .iter()
        .find_map(|(name, path)| path.as_deref().map(|path| (*name, path)));
    said.map(|(name, path)| ca(name, path)).transpose()
}

fn ca(name: &str, path: &str) -> Result<Vec<u8>, Failure> {
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
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    if !certificates.is_ok_and(|found| !found.is_empty()) {
        return Err(refused(
            Reason::CaFile,
            format!("the file {path} that {name} names holds no PEM certificate, or a broken one"),
            "It must hold one or more blocks from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----.",
        ));
    }
    Ok(pem)
}

#[cfg(test)]
mod tests;
