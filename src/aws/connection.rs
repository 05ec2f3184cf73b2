//! Opening AWS: region, credentials, timeouts, clients.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::identity::IdentityCache;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use aws_types::service_config::ServiceConfigKey;
use planner::KeyId;

use super::transport::{self, DateReader};
use crate::clock::ServerClock;
use crate::failure::Failure;
use crate::reason::Reason;
use crate::secret::{KeyPair, Secret};
use crate::settings::{AwsAccess, WebIdentity};

/// With this, a network without a way to AWS is told within 10 s, all attempts counted; one lost packet is survived.
const CONNECT: Duration = Duration::from_secs(2);
const ATTEMPT: Duration = Duration::from_secs(6);
/// One request to AWS with all its attempts.
pub const OPERATION: Duration = Duration::from_secs(20);
/// For all sources of credentials together.
const CREDENTIALS: Duration = Duration::from_secs(15);
/// IAM's control plane of the partition `aws`, and the region when none is set.
pub(super) const DEFAULT_REGION: &str = "us-east-1";

/// A connection to AWS with one set of credentials. Cheap to clone.
#[derive(Clone)]
pub struct Connection {
    shared: Arc<Shared>,
    config: SdkConfig,
    iam: aws_sdk_iam::Client,
    sts: aws_sdk_sts::Client,
    secrets: aws_sdk_secretsmanager::Client,
}

/// What connections with different credentials have in common.
struct Shared {
    clock: ServerClock,
    region_is_default: bool,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("region", &self.config.region())
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Opens AWS as the environment says. The caller has normalised the environment: the SDK panics on, or misreads,
    /// values that are empty, not UTF-8 or end in a line break. No request is sent yet, except by `AWS_PROFILE`s that
    /// need one.
    pub async fn open(access: &AwsAccess) -> Result<Connection, Failure> {
        let http = transport::http_client(access.roots.as_ref()).map_err(|why| {
            Failure::of(
                Reason::CaInvalid,
                format!(
                    "the connection to AWS was not opened: the bundle of CA certificates can't be used: {why}"
                ),
            )
        })?;
        // The SDK's own chain would ask the instance metadata service, and needs a client of its own for it.
        let configured = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
            .or_else(ProfileFileRegionProvider::new())
            .region()
            .await;
        let region_is_default = configured.is_none();
        let region = configured.unwrap_or_else(|| Region::from_static(DEFAULT_REGION));

        // Set explicitly, because the SDK panics on an AWS_MAX_ATTEMPTS or AWS_RETRY_MODE that it doesn't know.
        let loader = aws_config::defaults(BehaviorVersion::latest())
            .region(region)
            .http_client(http)
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .timeout_config(timeouts(ATTEMPT, OPERATION))
            .identity_cache(IdentityCache::lazy().load_timeout(CREDENTIALS).build());
        let shared = Arc::new(Shared {
            clock: ServerClock::default(),
            region_is_default,
        });
        let config = match &access.web_identity {
            None => loader.load().await,
            Some(identity) => {
                let config = loader.no_credentials().load().await;
                let client = sts(&config, &shared.clock);
                let provider = RoleOfToken {
                    client,
                    identity: identity.clone(),
                };
                config
                    .into_builder()
                    .credentials_provider(SharedCredentialsProvider::new(provider))
                    .build()
            }
        };
        Ok(Connection::with(shared, config))
    }

    fn with(shared: Arc<Shared>, config: SdkConfig) -> Connection {
        let read = DateReader(shared.clock.clone());
        let iam = aws_sdk_iam::config::Builder::from(&config)
            .interceptor(read.clone())
            .build();
        let secrets = aws_sdk_secretsmanager::config::Builder::from(&config)
            .interceptor(read)
            .build();
        Connection {
            iam: aws_sdk_iam::Client::from_conf(iam),
            sts: sts(&config, &shared.clock),
            secrets: aws_sdk_secretsmanager::Client::from_conf(secrets),
            shared,
            config,
        }
    }

    /// AWS's clock, as its answers show it.
    pub fn clock(&self) -> &ServerClock {
        &self.shared.clock
    }

    /// Whether no region is set anywhere, so that us-east-1 is used.
    pub fn region_is_default(&self) -> bool {
        self.shared.region_is_default
    }

    /// The connection's credentials, when they are an access key of a user and no session.
    pub async fn environment_pair(&self) -> Option<KeyPair> {
        let provider = self.config.credentials_provider()?;
        let credentials = tokio::time::timeout(CREDENTIALS, provider.provide_credentials())
            .await
            .ok()?
            .ok()?;
        if credentials.session_token().is_some() || !credentials.access_key_id().starts_with("AKIA") {
            return None;
        }
        let id = KeyId::parse(credentials.access_key_id())?;
        Some(KeyPair {
            id,
            secret: Secret::new(credentials.secret_access_key()),
        })
    }

    /// The same connection with exactly this key: no session token can mix in.
    pub fn signed_by(&self, pair: &KeyPair) -> Connection {
        Connection::with(Arc::clone(&self.shared), self.config_of(pair))
    }

    /// The configuration of requests that this key signs.
    pub(super) fn config_of(&self, pair: &KeyPair) -> SdkConfig {
        let credentials = Credentials::new(pair.id.as_str(), pair.secret.expose(), None, None, "keyturn");
        self.config
            .to_builder()
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build()
    }

    /// The region that requests go to.
    pub(super) fn region(&self) -> &str {
        self.config.region().map_or(DEFAULT_REGION, Region::as_ref)
    }

    /// Whether STS is reached at a URL of the user's, so that a region does not choose another server.
    pub(super) fn has_sts_endpoint(&self) -> bool {
        let key = ServiceConfigKey::builder()
            .service_id("STS")
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build();
        let of_service = key
            .ok()
            .and_then(|key| self.config.service_config()?.load_config(key));
        self.config.endpoint_url().is_some() || of_service.is_some()
    }

    pub(super) fn iam(&self) -> &aws_sdk_iam::Client {
        &self.iam
    }

    pub(super) fn sts(&self) -> &aws_sdk_sts::Client {
        &self.sts
    }

    pub(super) fn secrets(&self) -> &aws_sdk_secretsmanager::Client {
        &self.secrets
    }
}

/// Timeouts of every kind; without them the SDK waits for ever for a server that accepts and never answers.
pub(super) fn timeouts(attempt: Duration, operation: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(attempt)
        .operation_timeout(operation)
        .build()
}

fn sts(config: &SdkConfig, clock: &ServerClock) -> aws_sdk_sts::Client {
    let config = aws_sdk_sts::config::Builder::from(config)
        .interceptor(DateReader(clock.clone()))
        .build();
    aws_sdk_sts::Client::from_conf(config)
}

/// Credentials of a role, for an OIDC token that is held in memory. The SDK's own source wants it in a file.
#[derive(Debug)]
struct RoleOfToken {
    client: aws_sdk_sts::Client,
    identity: WebIdentity,
}

impl RoleOfToken {
    async fn credentials(&self) -> provider::Result {
        let answer = self
            .client
            .assume_role_with_web_identity()
            .role_arn(&self.identity.role_arn)
            .role_session_name("keyturn")
            .web_identity_token(self.identity.token.expose())
            .send()
            .await
            .map_err(CredentialsError::provider_error)?;
        let Some(credentials) = answer.credentials else {
            return Err(CredentialsError::unhandled("no credentials in the answer"));
        };
        let expiry = credentials
            .expiration
            .try_into()
            .map_err(|_| CredentialsError::unhandled("no expiry"))?;
        Ok(Credentials::new(
            credentials.access_key_id,
            credentials.secret_access_key,
            Some(credentials.session_token),
            Some(expiry),
            "keyturn",
        ))
    }
}

impl ProvideCredentials for RoleOfToken {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}
