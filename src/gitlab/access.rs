//! How GitLab is reached.

use reqwest::Url;

use crate::roots::Roots;
use crate::secret::Secret;

/// How GitLab is reached.
#[derive(Clone, Debug)]
pub struct Access {
    /// The root of the REST API: what a job has in `CI_API_V4_URL`.
    pub api: Url,
    /// A personal, group or project access token with scope `api`. Its shape is not checked: the prefix is a setting of the
    /// instance.
    pub token: Secret,
    /// Authorities that GitLab is trusted by, besides the public ones.
    pub roots: Option<Roots>,
}
