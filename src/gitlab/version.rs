//! Which GitLab it is.

use std::fmt;

use serde::Deserialize;

use super::Gitlab;
use super::cause::Doing;
use crate::failure::Failure;

/// The release of the GitLab instance, as far as behaviour depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// `18` of `18.2.1-ee`.
    pub major: u32,
    /// `2` of `18.2.1-ee`.
    pub minor: u32,
}

impl Version {
    /// Reads `18.2.1-ee`, `19.1.0-pre` and the like.
    pub fn parse(text: &str) -> Option<Version> {
        let mut numbers = text.trim().split(['.', '-', '+']);
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next()?.parse().ok()?;
        Some(Version { major, minor })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[derive(Deserialize)]
struct Wire {
    version: String,
}

impl Gitlab {
    /// Asks `/version`, which needs a token but no more than the scope `read_user`. It is as old as API v4 and answers
    /// the same as the newer `/metadata`.
    pub async fn version(&self) -> Result<Version, Failure> {
        let doing = Doing::plain("GitLab's version was not read");
        let answer = self.get(self.url(&["version"])?, &doing).await?;
        let wire: Wire = answer.json(&doing)?;
        Version::parse(&wire.version).ok_or_else(|| answer.unexpected().failed(&doing))
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn releases_are_read_and_ordered() {
        for (text, major, minor) in [
            ("18.2.1-ee", 18, 2),
            ("16.9.0", 16, 9),
            ("19.1.0-pre", 19, 1),
            ("17.10-rc1", 17, 10),
        ] {
            assert_eq!(Version::parse(text), Some(Version { major, minor }), "{text}");
        }
        assert!(Version { major: 17, minor: 10 } > Version { major: 17, minor: 9 });
    }

    #[test]
    fn what_is_no_release_is_none() {
        for text in ["", "18", "ee", "18.x", "-1.2", "99999999999.1"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
