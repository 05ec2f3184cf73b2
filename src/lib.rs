//! keyturn rotates the access key of an AWS IAM user and rewrites the GitLab CI/CD variables that hold it.
//!
//! Rooms: [`settings`] (what the user wants), [`aws`] and [`gitlab`] (readers and writers of the two APIs; they decide
//! nothing), [`rotation`] (observe, ask the planner for one step, perform it, observe again), [`report`]. The decision is the
//! crate `planner`. Only [`secret`] can show a secret.

pub mod aws;
pub mod clock;
pub mod failure;
pub mod gitlab;
pub mod lambda;
pub mod log;
pub mod reason;
pub mod report;
pub mod roots;
pub mod rotation;
pub mod run;
pub mod secret;
pub mod settings;
pub mod stop;
pub mod warnings;
