//! The AWS stand-in: a process of `testbed/aws`, and its administration.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use aws_credential_types::Credentials;
use aws_sdk_iam::config::{BehaviorVersion, Region, SharedHttpClient};
use aws_sdk_iam::types::StatusType;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use serde_json::{Value, json};

use crate::gitlab::Certificate;
use crate::issuer::Issuer;
use crate::paths::{project_root, python};

/// The account that the stand-in plays.
pub const ACCOUNT: &str = "123456789012";

/// An access key with its secret, and a session token where it has one.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Pair {
    /// The access key id.
    pub id: String,
    /// The secret access key.
    pub secret: String,
    /// The session token of a role's credentials.
    pub token: Option<String>,
}

/// An access key as IAM truly has it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct HeldKey {
    /// Its id.
    pub id: String,
    /// `Active` or `Inactive`.
    pub status: String,
    /// Its secret, which real IAM shows once.
    pub secret: String,
}

/// The running stand-in. It ends when it is dropped, or when this process dies.
pub struct Aws {
    process: Child,
    url: String,
    http: reqwest::Client,
    authority: Option<Vec<u8>>,
}

/// How the stand-in is reached, and whose tokens it takes.
#[derive(Clone, Debug, Default)]
pub struct Door {
    /// Over TLS, with this certificate.
    pub tls: Option<TlsFiles>,
    /// An OpenID Connect issuer whose signatures are checked; without one no signature of a token is.
    pub issuer: Option<Issuer>,
}

/// A certificate in files.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The authority: what `AWS_CA_BUNDLE` names.
    pub authority: PathBuf,
    /// The server's certificate.
    pub certificate: PathBuf,
    /// The server's key.
    pub key: PathBuf,
}

impl TlsFiles {
    /// Writes a certificate into this directory.
    ///
    /// # Errors
    ///
    /// When the directory can't be written to.
    pub fn write(directory: &Path, certificate: &Certificate) -> Result<TlsFiles> {
        std::fs::create_dir_all(directory)?;
        let file = |name: &str, pem: &str| {
            let file = directory.join(name);
            std::fs::write(&file, pem)?;
            Ok::<_, std::io::Error>(file)
        };
        Ok(TlsFiles {
            authority: file("authority.pem", &certificate.authority_pem)?,
            certificate: file("certificate.pem", &certificate.certificate_pem)?,
            key: file("key.pem", &certificate.key_pem)?,
        })
    }
}

fn http(authority: Option<&[u8]>) -> Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder().no_proxy();
    if let Some(pem) = authority {
        builder = builder.add_root_certificate(reqwest::Certificate::from_pem(pem)?);
    }
    Ok(builder.build()?)
}

impl Aws {
    /// Starts it on a free port of the loopback interface.
    ///
    /// # Errors
    ///
    /// When there is no Python environment (`make testbed` makes it) or it does not start.
    pub async fn start() -> Result<Aws> {
        Aws::behind(&Door::default()).await
    }

    /// The same, behind a door of this kind.
    ///
    /// # Errors
    ///
    /// As [`Aws::start`].
    pub async fn behind(door: &Door) -> Result<Aws> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let python = python();
        if !python.exists() {
            bail!("{} does not exist: run `make testbed` first", python.display());
        }
        let mut command = Command::new(python);
        command
            .args(["-m", "strict_aws", "--port", "0", "--exit-on-stdin-close"])
            .current_dir(project_root().join("testbed/aws"));
        if let Some(files) = &door.tls {
            command.arg("--tls-cert").arg(&files.certificate);
            command.arg("--tls-key").arg(&files.key);
        }
        if let Some(issuer) = &door.issuer {
            command.arg("--jwks").arg(issuer.jwks());
        }
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the AWS stand-in could not be started")?;
        let mut line = String::new();
        let stdout = process.stdout.take().context("the AWS stand-in has no stdout")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let url = line
            .trim()
            .strip_prefix("listening on ")
            .context("the AWS stand-in did not say where it listens")?;
        let url = url.to_owned();
        let authority = match &door.tls {
            Some(files) => Some(std::fs::read(&files.authority)?),
            None => None,
        };
        Ok(Aws {
            process,
            url,
            http: http(authority.as_deref())?,
            authority,
        })
    }

    /// Where it listens; the value of `AWS_ENDPOINT_URL`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A call of the control API.
    ///
    /// # Errors
    ///
    /// When the stand-in refuses it.
    pub async fn control(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value> {
        let method = reqwest::Method::from_bytes(method.as_bytes())?;
        let mut request = self.http.request(method, format!("{}/_strict/{path}", self.url));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let value: Value = answer.json().await?;
        if !status.is_success() {
            bail!("/_strict/{path}: {status} {value}");
        }
        Ok(value)
    }

    /// Empties all state.
    ///
    /// # Errors
    ///
    /// When the stand-in is gone.
    pub async fn reset(&self) -> Result<()> {
        self.control("POST", "reset", Some(json!({}))).await.map(drop)
    }

    /// Moves the clock.
    ///
    /// # Errors
    ///
    /// When the stand-in is gone.
    pub async fn advance(&self, by: Duration) -> Result<()> {
        self.control("POST", "clock", Some(json!({"advance": by.as_secs()})))
            .await
            .map(drop)
    }

    /// Arms a fault; see `testbed/aws/README.md`.
    ///
    /// # Errors
    ///
    /// When it is malformed.
    pub async fn fault(&self, fault: Value) -> Result<()> {
        self.control("POST", "fault", Some(fault)).await.map(drop)
    }

    /// The actions that were called, in order, with the key that signed each.
    ///
    /// # Errors
    ///
    /// When the stand-in is gone.
    pub async fn journal(&self) -> Result<Vec<(String, String)>> {
        let calls = self.control("GET", "journal", None).await?;
        let text = |call: &Value, name: &str| {
            call.get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let calls = calls.as_array().cloned().unwrap_or_default();
        Ok(calls
            .iter()
            .map(|call| (text(call, "action"), text(call, "key_id")))
            .collect())
    }

    /// How many connections the calls in the journal came on.
    ///
    /// # Errors
    ///
    /// When the stand-in is gone.
    pub async fn connections(&self) -> Result<usize> {
        let calls = self.control("GET", "journal", None).await?;
        let calls = calls.as_array().cloned().unwrap_or_default();
        let numbers: BTreeSet<u64> = calls
            .iter()
            .filter_map(|call| call.get("connection").and_then(Value::as_u64))
            .collect();
        Ok(numbers.len())
    }

    /// The user's keys as they truly are.
    ///
    /// # Errors
    ///
    /// When there is no such user.
    pub async fn keys(&self, user: &str) -> Result<Vec<HeldKey>> {
        Ok(serde_json::from_value(
            self.control("GET", &format!("keys?user={user}"), None).await?,
        )?)
    }

    /// Every key and session that was ever handed out. It blocks, so that a lab can ask while it is being dropped.
    ///
    /// # Errors
    ///
    /// When the stand-in is gone.
    pub fn issued(&self) -> Result<Vec<Pair>> {
        let url = format!("{}/_strict/secrets", self.url);
        let authority = self.authority.as_deref();
        // A runtime can't be entered from within another one.
        let asked: std::thread::Result<Result<Vec<Pair>>> = std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                runtime.block_on(async {
                    let answer = http(authority)?.get(url).send().await?.error_for_status()?;
                    Ok::<_, anyhow::Error>(answer.json().await?)
                })
            });
            asking.join()
        });
        asked.map_err(|_| anyhow::anyhow!("nobody could ask"))?
    }

    /// Removes a key, as an administrator would.
    ///
    /// # Errors
    ///
    /// When IAM refuses.
    pub async fn delete_key(&self, user: &str, id: &str) -> Result<()> {
        let iam = self.iam();
        iam.delete_access_key()
            .user_name(user)
            .access_key_id(id)
            .send()
            .await?;
        Ok(())
    }

    /// Switches a key off, as an administrator would.
    ///
    /// # Errors
    ///
    /// When IAM refuses.
    pub async fn deactivate_key(&self, user: &str, id: &str) -> Result<()> {
        let iam = self.iam();
        iam.update_access_key()
            .user_name(user)
            .access_key_id(id)
            .status(StatusType::Inactive)
            .send()
            .await?;
        Ok(())
    }

    /// Switches a key on again, as an administrator would.
    ///
    /// # Errors
    ///
    /// When IAM refuses.
    pub async fn activate_key(&self, user: &str, id: &str) -> Result<()> {
        let iam = self.iam();
        iam.update_access_key()
            .user_name(user)
            .access_key_id(id)
            .status(StatusType::Active)
            .send()
            .await?;
        Ok(())
    }

    /// Puts a key of this age on a user.
    ///
    /// # Errors
    ///
    /// When there is no such user.
    pub async fn add_key(&self, user: &str, age: Duration) -> Result<Pair> {
        let key = self
            .control("POST", "keys", Some(json!({"user": user, "age": age.as_secs()})))
            .await?;
        let text = |name: &str| {
            key.get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        Ok(Pair {
            id: text("id"),
            secret: text("secret"),
            token: None,
        })
    }

    /// A user with this policy.
    ///
    /// # Errors
    ///
    /// When IAM refuses.
    pub async fn add_user(&self, user: &str, policy: Option<&str>) -> Result<()> {
        let iam = self.iam();
        iam.create_user().user_name(user).send().await?;
        if let Some(policy) = policy {
            iam.put_user_policy()
                .user_name(user)
                .policy_name("keyturn")
                .policy_document(policy)
                .send()
                .await?;
        }
        Ok(())
    }

    /// A role with this policy that an OIDC token of this issuer may assume: the role's ARN.
    ///
    /// # Errors
    ///
    /// When IAM refuses.
    pub async fn web_identity_role(&self, name: &str, issuer: &str, policy: &str) -> Result<String> {
        let host = issuer.trim_start_matches("https://");
        let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Principal": {"Federated": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{host}")},
            "Condition": {"StringEquals": {format!("{host}:aud"): issuer}}}]});
        self.web_identity_role_trusting(name, issuer, &trust, policy)
            .await
    }

    /// The same with a trust policy of its own.
    ///
    /// # Errors
    ///
    /// When IAM refuses.
    pub async fn web_identity_role_trusting(
        &self,
        name: &str,
        issuer: &str,
        trust: &Value,
        policy: &str,
    ) -> Result<String> {
        let iam = self.iam();
        iam.create_open_id_connect_provider()
            .url(issuer)
            .client_id_list(issuer)
            .send()
            .await?;
        self.create_role(name, trust, policy).await?;
        Ok(format!("arn:aws:iam::{ACCOUNT}:role/{name}"))
    }

    async fn create_role(&self, name: &str, trust: &Value, policy: &str) -> Result<()> {
        let iam = self.iam();
        iam.create_role()
            .role_name(name)
            .assume_role_policy_document(trust.to_string())
            .send()
            .await?;
        self.allow_role(name, policy).await
    }

    /// Gives a role this policy in place of the one it has.
    ///
    /// # Errors
    ///
    /// When IAM refuses.
    pub async fn allow_role(&self, name: &str, policy: &str) -> Result<()> {
        let iam = self.iam();
        iam.put_role_policy()
            .role_name(name)
            .policy_name("keyturn")
            .policy_document(policy)
            .send()
            .await?;
        Ok(())
    }

    /// Credentials of a role with this policy.
    ///
    /// # Errors
    ///
    /// When IAM refuses.
    pub async fn role(&self, name: &str, policy: &str) -> Result<Pair> {
        let iam = self.iam();
        let admin = format!("{name}-caller");
        let allow_assume = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}"#;
        iam.create_user().user_name(&admin).send().await?;
        iam.put_user_policy()
            .user_name(&admin)
            .policy_name("assume")
            .policy_document(allow_assume)
            .send()
            .await?;
        let caller = self.add_key(&admin, Duration::ZERO).await?;
        let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:user/{admin}")}}]});
        self.create_role(name, &trust, policy).await?;
        let arn = format!("arn:aws:iam::{ACCOUNT}:role/{name}");
        let assumed = self
            .sts(&caller)
            .assume_role()
            .role_arn(arn)
            .role_session_name("keyturn")
            .send()
            .await?;
        let credentials = assumed.credentials().context("AssumeRole gave no credentials")?;
        Ok(Pair {
            id: credentials.access_key_id().to_owned(),
            secret: credentials.secret_access_key().to_owned(),
            token: Some(credentials.session_token().to_owned()),
        })
    }

    /// A secret of Secrets Manager; returns its ARN.
    ///
    /// # Errors
    ///
    /// When it exists already.
    pub async fn add_secret(&self, name: &str, text: &str) -> Result<String> {
        let root = root_key();
        let config = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(&self.url)
            .credentials_provider(credentials(&root))
            .http_client(self.sdk_http())
            .build();
        let client = aws_sdk_secretsmanager::Client::from_conf(config);
        let created = client
            .create_secret()
            .name(name)
            .secret_string(text)
            .send()
            .await?;
        created.arn.context("a secret without an ARN")
    }

    /// Whether STS accepts exactly this pair, by a signed request.
    pub async fn works(&self, pair: &Pair) -> bool {
        self.sts(pair).get_caller_identity().send().await.is_ok()
    }

    fn sdk_http(&self) -> SharedHttpClient {
        let Some(pem) = &self.authority else {
            return aws_smithy_http_client::Builder::new().build_http();
        };
        let trust = TrustStore::empty().with_pem_certificate(pem.as_slice());
        let builder = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
        match TlsContext::builder().with_trust_store(trust).build() {
            Ok(context) => builder.tls_context(context).build_https(),
            // Only without a trust store; its clients then trust nobody here.
            Err(_) => builder.build_https(),
        }
    }

    fn iam(&self) -> aws_sdk_iam::Client {
        let config = aws_sdk_iam::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(&self.url)
            .credentials_provider(credentials(&root_key()))
            .http_client(self.sdk_http())
            .build();
        aws_sdk_iam::Client::from_conf(config)
    }

    fn sts(&self, pair: &Pair) -> aws_sdk_sts::Client {
        let config = aws_sdk_sts::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(&self.url)
            .credentials_provider(credentials(pair))
            .http_client(self.sdk_http())
            .build();
        aws_sdk_sts::Client::from_conf(config)
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn root_key() -> Pair {
    Pair {
        id: "test".to_owned(),
        secret: "test".to_owned(),
        token: None,
    }
}

fn credentials(pair: &Pair) -> Credentials {
    Credentials::new(&pair.id, &pair.secret, pair.token.clone(), None, "testbed")
}
