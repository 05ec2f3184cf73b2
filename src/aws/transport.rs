//! The way to AWS: one HTTP client with the environment's proxies and with extra roots of trust.

use std::error::Error;
use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Connector, ConnectorBuilder};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connection::CaptureSmithyConnection;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
    http_client_fn,
};
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use crate::clock::ServerClock;
use crate::roots::Roots;

/// Where EC2, ECS and EKS serve credentials: link-local addresses, which no proxy can reach.
const METADATA_HOSTS: [&str; 5] = [
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "[fd00:ec2::254]",
    "[fd00:ec2::23]",
];

/// The HTTP client of everything in this room, credential sources included. The SDK would panic on a root that is no
/// certificate.
pub(super) fn http_client(roots: Option<&Roots>) -> Result<SharedHttpClient, String> {
    let mut trust = TrustStore::default();
    if let Some(roots) = roots {
        roots
            .check()
            .map_err(|number| format!("certificate {number} is not a valid X.509 certificate"))?;
        trust.add_pem_certificate(roots.pem());
    }
    let tls = TlsContext::builder()
        .with_trust_store(trust)
        .build()
        .map_err(|_| "TLS can't be set up".to_owned())?;
    let made: Mutex<Vec<(Timeouts, SharedHttpConnector)>> = Mutex::new(Vec::new());
    Ok(http_client_fn(move |settings, _components| {
        let timeouts = (settings.connect_timeout(), settings.read_timeout());
        let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, connector)) = made.iter().find(|(of, _)| *of == timeouts) {
            return connector.clone();
        }
        let connector = SharedHttpConnector::new(Transport::new(&tls, settings));
        made.push((timeouts, connector.clone()));
        connector
    }))
}

type Timeouts = (Option<Duration>, Option<Duration>);

/// Sends a request directly or through the environment's proxy, and marks the failures of requests that never left.
#[derive(Debug)]
struct Transport {
    tls: TlsContext,
    settings: HttpConnectorSettings,
    proxied: Connector,
    /// Made when it is needed, which is on EC2, ECS and EKS: each reads all roots of trust.
    direct: OnceLock<Connector>,
}

impl Transport {
    fn new(tls: &TlsContext, settings: &HttpConnectorSettings) -> Transport {
        Transport {
            tls: tls.clone(),
            settings: settings.clone(),
            proxied: connector(tls, settings, ProxyConfig::from_env()),
            direct: OnceLock::new(),
        }
    }

    fn direct(&self) -> &Connector {
        self.direct
            .get_or_init(|| connector(&self.tls, &self.settings, ProxyConfig::disabled()))
    }
}

fn connector(tls: &TlsContext, settings: &HttpConnectorSettings, proxy: ProxyConfig) -> Connector {
    ConnectorBuilder::default()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(tls.clone())
        .connector_settings(settings.clone())
        .proxy_config(proxy)
        .build()
}

impl HttpConnector for Transport {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let connection = match request.extension::<CaptureSmithyConnection>() {
            Some(capture) => capture.clone(),
            None => {
                let capture = CaptureSmithyConnection::new();
                request.add_extension(capture.clone());
                capture
            }
        };
        let connector = if is_metadata(request.uri()) {
            self.direct()
        } else {
            &self.proxied
        };
        let answer = connector.call(request);
        HttpConnectorFuture::new(async move {
            answer.await.map_err(|error| match connection.get() {
                Some(_) => error,
                None => never_sent(error),
            })
        })
    }
}

fn is_metadata(uri: &str) -> bool {
    let authority = uri
        .split_once("://")
        .map_or(uri, |(_, rest)| rest)
        .split('/')
        .next()
        .unwrap_or_default();
    METADATA_HOSTS.iter().any(|host| {
        authority
            .strip_prefix(host)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    })
}

/// No connection was made, so nothing was sent: the one failure of a transport after which a write certainly did not
/// happen.
#[derive(Debug)]
pub(super) struct NeverSent(BoxError);

impl fmt::Display for NeverSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no connection")
    }
}

impl Error for NeverSent {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.0.as_ref())
    }
}

fn never_sent(error: ConnectorError) -> ConnectorError {
    let (timeout, io, user, other) = (
        error.is_timeout(),
        error.is_io(),
        error.is_user(),
        error.as_other(),
    );
    let source = NeverSent(error.into_source()).into();
    let error = if timeout {
        ConnectorError::timeout(source)
    } else if io {
        ConnectorError::io(source)
    } else if user {
        ConnectorError::user(source)
    } else {
        ConnectorError::other(source, other)
    };
    error.never_connected()
}

/// Shows the clock the `Date` of every answer that AWS gave, the errors included. A proxy's own answer carries no
/// request id, and its clock is nobody's.
#[derive(Clone, Debug)]
pub(super) struct DateReader(pub(super) ServerClock);

#[dyn_dispatch_hint]
impl Intercept for DateReader {
    fn name(&self) -> &'static str {
        "DateReader"
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.response().headers();
        if headers
            .get("x-amzn-requestid")
            .or_else(|| headers.get("x-amz-request-id"))
            .is_some()
            && let Some(date) = headers.get("date")
        {
            self.0.note(date);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{http_client, is_metadata};
    use crate::roots::Roots;

    const ROOT: &str = include_str!("root_for_tests.pem");

    #[test]
    fn a_bundle_that_the_sdk_would_panic_on_is_refused() {
        let empty = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let open = |pem: String| http_client(Roots::parse(pem.into()).as_ref());
        assert!(open(format!("a comment\n{ROOT}{ROOT}")).is_ok());
        assert!(
            open(format!("{ROOT}{empty}"))
                .unwrap_err()
                .contains("certificate 2")
        );
    }

    #[test]
    fn metadata_services_are_asked_without_a_proxy() {
        assert!(is_metadata("http://169.254.169.254/latest/api/token"));
        assert!(is_metadata("http://169.254.170.2:80/v2/credentials"));
        assert!(is_metadata("http://[fd00:ec2::254]/latest"));
        assert!(!is_metadata("http://169.254.170.234/"));
        assert!(!is_metadata("https://sts.amazonaws.com/169.254.169.254"));
    }
}
