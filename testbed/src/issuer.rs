//! An OpenID Connect issuer: what GitLab is to AWS.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::paths::{project_root, python};

/// Signs tokens with a key that it makes when it starts. It is also the audience of its tokens, as GitLab is unless a
/// job's `id_tokens:` say otherwise.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Its URL.
    pub url: String,
    directory: PathBuf,
}

impl Issuer {
    /// An issuer with a new key, which it keeps in this directory.
    ///
    /// # Errors
    ///
    /// When there is no Python environment (`make testbed` makes it).
    pub fn start(url: &str, directory: PathBuf) -> Result<Issuer> {
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory)?;
        let issuer = Issuer {
            url: url.to_owned(),
            directory,
        };
        issuer.sign(&json!({}))?;
        Ok(issuer)
    }

    /// The file with what it publishes.
    pub fn jwks(&self) -> PathBuf {
        self.directory.join("jwks.json")
    }

    /// A token for this subject that is good for so many seconds from now on; negative: it was, until then.
    ///
    /// # Errors
    ///
    /// When it can't be signed.
    #[expect(
        clippy::disallowed_methods,
        reason = "an issuer dates its tokens by its own clock, and this one is this machine"
    )]
    pub fn token(&self, subject: &str, seconds: i64) -> Result<String> {
        let now = jiff::Timestamp::now().as_second();
        self.sign(&json!({"iss": self.url, "aud": self.url, "sub": subject,
            "iat": now - 3600, "nbf": now - 3600, "exp": now + seconds}))
    }

    fn sign(&self, claims: &Value) -> Result<String> {
        let mut process = Command::new(python())
            .args(["-m", "strict_aws.issuer"])
            .arg(&self.directory)
            .current_dir(project_root().join("testbed/aws"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the issuer could not be started: run `make testbed` first")?;
        let mut stdin = process.stdin.take().context("the issuer has no stdin")?;
        stdin.write_all(claims.to_string().as_bytes())?;
        drop(stdin);
        let signed = process.wait_with_output()?;
        ensure!(signed.status.success(), "the issuer signed nothing");
        Ok(String::from_utf8(signed.stdout)?.trim().to_owned())
    }
}
