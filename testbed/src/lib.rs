//! Stand-ins for the services that the program talks to, for its tests and its demonstration.

pub mod gitlab;
