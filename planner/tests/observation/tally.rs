//! How often each verdict was seen. A law that is only ever asked about verdicts that never occur says nothing.

use planner::*;

use crate::common::every::{number, verdicts};

/// A second look is asked for before what can't be taken back, and these can.
const NEVER: [&str; 4] = [
    "look verify",
    "look write_id",
    "look switch_signer",
    "look close_intent",
];

/// Counts of what was seen, and of what was decided, by kind. An observation that asks for another look, or for patience, is
/// followed by more decisions than one.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    observations: u64,
    decisions: Vec<u64>,
}

impl Tally {
    pub(crate) fn new() -> Tally {
        Tally {
            observations: 0,
            decisions: vec![0; verdicts().len()],
        }
    }

    pub(crate) fn observe(&mut self) {
        self.observations += 1;
    }

    pub(crate) fn count(&mut self, verdict: &Verdict) {
        if let Some(count) = self.decisions.get_mut(number(verdict)) {
            *count += 1;
        }
    }

    pub(crate) fn add(&mut self, other: &Tally) {
        self.observations += other.observations;
        for (count, more) in self.decisions.iter_mut().zip(&other.decisions) {
            *count += more;
        }
    }

    pub(crate) fn observations(&self) -> u64 {
        self.observations
    }

    pub(crate) fn decisions(&self) -> u64 {
        self.decisions.iter().sum()
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = (String, u64)> {
        let kinds = verdicts().into_iter().map(|(kind, _)| kind);
        kinds.zip(self.decisions.iter().copied())
    }

    /// Kinds that should have been seen and were not, and the other way round.
    pub(crate) fn surprises(&self) -> Vec<String> {
        let odd = |(kind, count): &(String, u64)| (*count == 0) != NEVER.contains(&kind.as_str());
        self.rows().filter(odd).map(|(kind, _)| kind).collect()
    }
}
