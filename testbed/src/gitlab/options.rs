//! How the stand-in is started.

use std::net::SocketAddr;

use anyhow::Result;
use jiff::Timestamp;

use super::certificates::Certificate;
use super::version::Version;
use super::world::{OverwrittenRow, Settings};

/// How to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// The release to play, e.g. `18.2.1-ee`.
    pub version: String,
    /// Where to listen; port 0 is a free one.
    pub listen: SocketAddr,
    /// What the server's clock shows at the start; the machine's time if left out.
    pub starts_at: Option<Timestamp>,
    /// Whether the clock stands still until a test moves it.
    pub clock_stands: bool,
    /// Serves HTTPS with this certificate instead of HTTP.
    pub tls: Option<Certificate>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            version: "18.2.1-ee".into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            starts_at: None,
            clock_stands: false,
            tls: None,
        }
    }
}

impl Options {
    /// The defaults, with the release that the environment variable `GITLAB_VERSION` names.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the stand-in's own setting; only the program's settings have one place"
    )]
    pub fn from_env() -> Self {
        let version = std::env::var_os("GITLAB_VERSION").and_then(|text| text.into_string().ok());
        let defaults = Self::default();
        let version = version
            .filter(|text| !text.is_empty())
            .unwrap_or(defaults.version);
        Self { version, ..defaults }
    }

    pub(super) fn settings(&self) -> Result<Settings> {
        Ok(Settings {
            version: Version::parse(&self.version)?,
            licensed: true,
            read_only: false,
            overwritten: OverwrittenRow::default(),
        })
    }
}
