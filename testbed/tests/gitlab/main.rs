//! The GitLab stand-in against the contract that the program relies on: every test is a sentence about GitLab.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail by panicking, too"
)]

mod client;
mod faults;
mod jobs;
mod refusals;
mod server;
mod tokens;
mod variables;
