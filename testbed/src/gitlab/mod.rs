//! A stand-in for GitLab: a state model of groups, projects, tokens and CI/CD variables behind GitLab's REST API.
//!
//! It reproduces what a client must survive rather than what it would like: the order in which GitLab refuses a
//! request, a group `PUT` that overwrites another scope's variable, parameters ignored without a word, hidden
//! values, answers lost after the change was made.
//!
//! Tests set the world up, let the program run, and then look at the world:
//!
//! ```no_run
//! use testbed::gitlab::{GitLab, Options, Token, Variable};
//!
//! # async fn example() -> anyhow::Result<()> {
//! let gitlab = GitLab::start(Options::from_env()).await?;
//! let (group, token) = gitlab.world(|world| {
//!     let group = world.add_group("parent/child");
//!     world.set_variable(group, Variable::credential("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"));
//!     (group, world.add_token(Token::owner(group)))
//! });
//! // … call gitlab.url() with the token …
//! let seen = gitlab.job_sees(group, &["AWS_ACCESS_KEY_ID"], true);
//! # let _ = (seen, token);
//! gitlab.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! The same by HTTP, from other processes: [`control`].
//!
//! Time is the server's own ([`GitLab::advance`]); nothing is random. What isn't here answers 404, as an unknown
//! path does: everything but `/groups/:id`, `/projects/:id`, their `/variables`, `/personal_access_tokens/self`,
//! `/metadata` and `/version`.

mod api;
mod call;
mod certificates;
mod clock;
mod connection;
pub mod control;
mod exchange;
mod faults;
mod jobs;
mod journal;
mod masking;
mod options;
mod paging;
mod params;
mod reply;
mod request;
mod routes;
mod server;
mod state;
mod tokens;
mod tree;
mod validation;
mod variables;
mod version;
mod world;

pub use certificates::Certificate;
pub use faults::{Answer, Effect, Fault};
pub use jobs::{Job, JobVariables};
pub use journal::Call;
pub use options::Options;
pub use server::GitLab;
pub use tokens::{IssuedToken, Role, Scope, Token};
pub use tree::{Container, GroupId, ProjectId};
pub use variables::{Action, Change, Variable, VariableType};
pub use version::Version;
pub use world::{OverwrittenRow, Settings, World};
