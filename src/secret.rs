//! The one type that holds a secret. It can't be printed or serialised; only this module's `expose` shows it, to what sends,
//! parses or judges it.

use std::fmt;
use std::sync::Arc;

use planner::KeyId;
use secrecy::{ExposeSecret, SecretString};

/// A secret access key, a token, or a variable's value that may be one. Clones share one text, which is wiped when the last of
/// them is dropped; the environment and the JSON it was read from are plain text, and are not.
#[derive(Clone)]
pub struct Secret(Arc<SecretString>);

impl Secret {
    /// Takes a secret in.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(Arc::new(SecretString::from(text.into())))
    }

    /// Shows the secret to the request that carries it. Never to a log, an error or a report.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether both are the same text.
    pub fn same(&self, other: &Secret) -> bool {
        self.expose() == other.expose()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// An access key with its secret.
#[derive(Clone, Debug)]
#[must_use = "a key that is dropped here has lost its secret for ever"]
pub struct KeyPair {
    /// The id, which is no secret.
    pub id: KeyId,
    /// The secret access key.
    pub secret: Secret,
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn clones_share_one_text() {
        let one = Secret::new("wJalrXUtnFEMI");
        let other = one.clone();
        assert!(std::ptr::eq(one.expose(), other.expose()));
    }
}
