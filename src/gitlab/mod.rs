//! GitLab: reader and writer of CI/CD variables over REST. It decides nothing; what its answers mean for a rotation is
//! the planner's business.
//!
//! `client` holds the connection and the retries, `answer` one answer, and `document` GitLab's own text of an error in it.
//! `refusals` says what an answer means, `transport` and `tls` why there is none, each as a `cause`. `variables` reads and
//! writes the variables of an `owner`, [`marker`] the notes that keyturn keeps in their descriptions; `token` and `version`
//! are what the preflight asks.

mod access;
mod answer;
pub mod answers;
#[cfg(test)]
mod arbitrary;
mod cause;
mod client;
mod document;
pub mod marker;
mod owner;
mod refusals;
mod tls;
mod token;
mod transport;
mod variables;
mod version;

pub use access::Access;
pub use client::{ANSWERED_WITHIN, Gitlab};
pub use owner::VariableOwner;
pub use token::TokenInfo;
pub use variables::{NewVariable, Variable, find, other_scopes};
pub use version::Version;
