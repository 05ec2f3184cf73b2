//! Certificates for tests of what a client does with one it shouldn't trust.

use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A server's certificate, from an authority that nobody knows yet: as a company's own GitLab has.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The authority: what `CI_SERVER_TLS_CA_FILE` holds in a job.
    pub authority_pem: String,
    /// The server's certificate.
    pub certificate_pem: String,
    /// The server's key.
    pub key_pem: String,
}

impl Certificate {
    /// A certificate for these names or addresses, valid for long.
    ///
    /// # Errors
    ///
    /// When a name is none.
    pub fn new(names: &[&str]) -> Result<Self> {
        Self::until(names, 2100)
    }

    /// A certificate that expired years ago, by the machine's clock: clients don't ask the server's.
    ///
    /// # Errors
    ///
    /// When a name is none.
    pub fn expired(names: &[&str]) -> Result<Self> {
        Self::until(names, 2001)
    }

    fn until(names: &[&str], year: i32) -> Result<Self> {
        let mut authority = CertificateParams::new([])?;
        authority
            .distinguished_name
            .push(DnType::CommonName, "authority of the GitLab stand-in");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.not_before = date_time_ymd(2000, 1, 1);
        authority.not_after = date_time_ymd(2100, 1, 1);
        let authority_key = KeyPair::generate()?;
        let authority_pem = authority.self_signed(&authority_key)?.pem();

        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut server = CertificateParams::new(names)?;
        server.not_before = date_time_ymd(2000, 1, 1);
        server.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate()?;
        let certificate = server.signed_by(&key, &Issuer::new(authority, authority_key))?;
        Ok(Self {
            authority_pem,
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        })
    }

    /// What a server needs to speak TLS with it.
    ///
    /// # Errors
    ///
    /// When a part is no PEM.
    pub fn server_config(&self) -> Result<ServerConfig> {
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(self.certificate_pem.as_bytes())
                .collect::<Result<_, _>>()
                .context("the certificate is no PEM")?;
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).context("the key is no PEM")?;
        Ok(
            ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_single_cert(chain, key)?,
        )
    }

    pub(super) fn acceptor(&self) -> Result<TlsAcceptor> {
        Ok(TlsAcceptor::from(Arc::new(self.server_config()?)))
    }
}
