//! Stand-ins for the services that the program talks to, for its tests and its demonstration.
//!
//! [`aws`] runs the strict front door of `testbed/aws` as a process of its own; [`gitlab`] is a state model behind HTTP;
//! [`lab`] puts both together with a user, a group and the real binary.

pub mod aws;
pub mod bench;
pub mod clock;
pub mod demo;
pub mod emulator;
pub mod gitlab;
pub mod issuer;
pub mod lab;
pub mod message;
pub mod paths;
pub mod relay;
pub mod secrecy;
pub mod serve;
pub mod unread;
