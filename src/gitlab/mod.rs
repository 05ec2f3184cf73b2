//! GitLab: reader and writer of CI/CD variables over REST. It decides nothing; what its answers mean for a rotation is
//! the planner's business.
//!
//! `client` holds the connection and the retries, `variables` the variables, `errors` what GitLab's refusals mean,
//! [`marker`] the notes that keyturn keeps in descriptions, `token` and `version` what the preflight asks.

mod access;
pub mod answers;
#[cfg(test)]
mod arbitrary;
mod client;
mod errors;
pub mod marker;
mod owner;
mod token;
mod variables;
mod version;

pub use access::Access;
pub use client::{ANSWERED_WITHIN, Gitlab};
pub use owner::VariableOwner;
pub use token::TokenInfo;
pub use variables::{NewVariable, Variable, find, other_scopes};
pub use version::Version;
