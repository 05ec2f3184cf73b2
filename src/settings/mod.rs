//! What the user wants. A source says something ([`raw`]), sources are merged, and the result is validated once
//! ([`validated`]), after which nothing is optional that is needed and nothing is text that has a type.
//!
//! Two stages, because one source must be fetched: [`Bootstrap`] is what is needed to read the secret that
//! `KEYTURN_SECRET_ID` names, [`Settings`] is the rest. The environment is read in [`environment`] and nowhere else.

#[cfg(test)]
mod arbitrary;
pub mod environment;
mod misplaced;
pub mod raw;
pub mod secret_json;
pub mod validated;

pub use environment::{Normalised, clean_or_exec, normalised};
pub use secret_json::SecretJson;
pub use validated::{Bootstrap, GitlabAccess, Settings, WebIdentity, warn_of_unknown};
