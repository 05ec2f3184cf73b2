//! AWS: readers and writers of IAM, STS and Secrets Manager. They decide nothing.
//!
//! * [`Connection`] is the way in: settings, credentials, one transport, the server's clock.
//! * `identity` says whose credentials these are; `keys` reads and writes the access keys of a user; `proof` asks
//!   whether a pair works; `secrets_manager` reads a stored text.
//! * `errors` is the only place that turns an error of the SDK into words. It never prints one: such an error can hold
//!   the whole answer, and the answer to CreateAccessKey is a secret.

mod connection;
mod errors;
mod identity;
mod keys;
mod proof;
mod secrets_manager;
mod transport;

pub use connection::{Connection, OPERATION};
pub use identity::{Caller, CallerFailure, CallerKind};
pub use keys::{CREATE, NewKey};
pub use proof::{Answer, Unproved, longest_proof};
