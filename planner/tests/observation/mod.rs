//! All observations of a chosen domain, the laws that every decision on them keeps, and planners that break one.

pub(crate) mod domain;
pub(crate) mod laws;
pub(crate) mod memory;
pub(crate) mod shapes;
pub(crate) mod sight;
pub(crate) mod tally;
pub(crate) mod wrong;
