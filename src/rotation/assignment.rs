//! What a run is asked for. It doesn't change while the run lasts.

use planner::Policy;

use super::identity::Identity;
use crate::report::Command;
use crate::settings::{RotationSpec, TargetSpec};

/// The command, what the user wants of the rotation, and for whom it is.
pub(super) struct Assignment {
    pub(super) command: Command,
    pub(super) spec: RotationSpec,
    pub(super) policy: Policy,
    pub(super) identity: Identity,
}

impl Assignment {
    /// A target by its number.
    pub(super) fn target(&self, target: usize) -> Option<&TargetSpec> {
        self.spec.targets.get(target)
    }

    /// What reports and messages call a target.
    pub(super) fn target_name(&self, target: usize) -> String {
        self.target(target).map(ToString::to_string).unwrap_or_default()
    }

    /// The same of all targets, in their order.
    pub(super) fn target_names(&self) -> Vec<String> {
        self.spec.targets.iter().map(ToString::to_string).collect()
    }
}
