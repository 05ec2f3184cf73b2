//! What variables belong to.

use std::fmt;

/// What variables belong to, by number or full path. Numbers survive renaming.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum VariableOwner {
    /// A group.
    Group(String),
    /// A project.
    Project(String),
}

impl VariableOwner {
    /// The two segments of the path that name it.
    pub(super) fn segments(&self) -> [&str; 2] {
        match self {
            VariableOwner::Group(name) => ["groups", name],
            VariableOwner::Project(name) => ["projects", name],
        }
    }
}

impl fmt::Display for VariableOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VariableOwner::Group(name) => write!(f, "group/{name}"),
            VariableOwner::Project(name) => write!(f, "project/{name}"),
        }
    }
}
