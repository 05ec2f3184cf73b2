//! What a run has to tell when it is over.

use std::time::Duration;

use planner::Step;

use crate::failure::Failure;
use crate::report::{Performed, RotationReport};
use crate::warnings::Warnings;

/// The steps of a run, its warnings, and why something failed last.
pub(super) struct Transcript {
    steps: Vec<Performed>,
    warnings: Warnings,
    /// Why the last step failed that did.
    pub(super) trouble: Option<Failure>,
    /// Why the last look failed that did.
    pub(super) blind: Option<Failure>,
    token_left: Option<Duration>,
}

impl Transcript {
    /// A run that has done nothing yet. The time is what is left until GitLab's token expires.
    pub(super) fn new(warnings: Warnings, token_left: Option<Duration>) -> Transcript {
        Transcript {
            steps: Vec::new(),
            warnings,
            trouble: None,
            blind: None,
            token_left,
        }
    }

    /// Logs a step that was done, and keeps it.
    pub(super) fn done(&mut self, step: Step, performed: Performed) {
        tracing::info!(
            step = performed.step,
            key = performed.key.map(|key| key.to_string()),
            target = performed.target,
            "{step}"
        );
        self.keep(step, performed);
    }

    /// Keeps a step that was done, or that a plan would do.
    pub(super) fn keep(&mut self, step: Step, performed: Performed) {
        // Nothing was changed anywhere.
        if !matches!(step, Step::SwitchSigner { .. }) {
            self.steps.push(performed);
        }
    }

    /// Adds all of it to a report.
    pub(super) fn tell(self, report: RotationReport) -> RotationReport {
        report
            .with_steps(self.steps)
            .with_warnings(self.warnings.kept())
            .with_token_left(self.token_left)
    }
}
