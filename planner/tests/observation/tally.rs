//! How often each verdict was seen. A law that is only ever asked about verdicts that never occur says nothing.

use planner::*;

const STEPS: usize = 9;
const KINDS: [&str; 45] = [
    "do journal",
    "do create",
    "do verify",
    "do write_secret",
    "do write_id",
    "do switch_signer",
    "do deactivate",
    "do delete",
    "do undo",
    "look journal",
    "look create",
    "look verify",
    "look write_secret",
    "look write_id",
    "look switch_signer",
    "look deactivate",
    "look delete",
    "look undo",
    "converged",
    "wait grace",
    "wait in_use",
    "wait use_of_new_key",
    "wait deletion",
    "wait quiet",
    "wait orphan",
    "wait unconfirmed",
    "blocked hold",
    "blocked incomplete_read",
    "blocked owner_unknown",
    "blocked key_disabled",
    "blocked slot_occupied",
    "blocked split",
    "blocked held_elsewhere",
    "blocked dead_pair",
    "blocked missing_variable",
    "blocked all_hidden",
    "blocked clocks_disagree",
    "blocked last_use_unknown",
    "blocked value_refused",
    "incomplete interrupted",
    "incomplete out_of_time",
    "incomplete unclear_write",
    "incomplete unclear_create",
    "incomplete unverified",
    "incomplete yielded",
];

/// A second look is asked for before what can't be taken back, and these can.
const NEVER: [&str; 3] = ["look verify", "look write_id", "look switch_signer"];

/// Counts of what was seen, and of what was decided, by kind. An observation that asks for another look, or for patience, is
/// followed by more decisions than one.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    observations: u64,
    decisions: [u64; KINDS.len()],
}

impl Tally {
    pub(crate) fn new() -> Tally {
        Tally {
            observations: 0,
            decisions: [0; KINDS.len()],
        }
    }

    pub(crate) fn observe(&mut self) {
        self.observations += 1;
    }

    pub(crate) fn count(&mut self, verdict: &Verdict) {
        if let Some(count) = self.decisions.get_mut(kind(verdict)) {
            *count += 1;
        }
    }

    pub(crate) fn add(&mut self, other: &Tally) {
        self.observations += other.observations;
        for (count, more) in self.decisions.iter_mut().zip(other.decisions) {
            *count += more;
        }
    }

    pub(crate) fn observations(&self) -> u64 {
        self.observations
    }

    pub(crate) fn decisions(&self) -> u64 {
        self.decisions.iter().sum()
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = (&'static str, u64)> {
        KINDS.into_iter().zip(self.decisions)
    }

    /// Kinds that should have been seen and were not, and the other way round.
    pub(crate) fn surprises(&self) -> Vec<&'static str> {
        let odd = |(kind, count): &(&str, u64)| (*count == 0) != NEVER.contains(kind);
        self.rows().filter(odd).map(|(kind, _)| kind).collect()
    }
}

fn kind(verdict: &Verdict) -> usize {
    match verdict {
        Verdict::Do(step) => of_step(step),
        Verdict::Look(step) => STEPS + of_step(step),
        Verdict::Converged { .. } => 18,
        Verdict::Wait(wait) => match wait {
            Wait::Grace { .. } => 19,
            Wait::InUse { .. } => 20,
            Wait::UseOfNewKey { .. } => 21,
            Wait::Deletion { .. } => 22,
            Wait::Quiet { .. } => 23,
            Wait::Orphan { .. } => 24,
            Wait::Unconfirmed { .. } => 25,
        },
        Verdict::Blocked(block) => match block {
            Block::Hold { .. } => 26,
            Block::IncompleteRead { .. } => 27,
            Block::OwnerUnknown { .. } => 28,
            Block::KeyDisabled { .. } => 29,
            Block::SlotOccupied { .. } => 30,
            Block::Split { .. } => 31,
            Block::HeldElsewhere { .. } => 32,
            Block::Dead { .. } => 33,
            Block::MissingVariable { .. } => 34,
            Block::AllHidden => 35,
            Block::ClocksDisagree => 36,
            Block::LastUseUnknown { .. } => 37,
            Block::Refused => 38,
        },
        Verdict::Incomplete(why) => match why {
            Incomplete::Interrupted => 39,
            Incomplete::OutOfTime => 40,
            Incomplete::UnclearWrite => 41,
            Incomplete::UnclearCreate => 42,
            Incomplete::Unverified => 43,
            Incomplete::Yielded => 44,
        },
    }
}

fn of_step(step: &Step) -> usize {
    match step {
        Step::Journal => 0,
        Step::Create => 1,
        Step::Verify { .. } => 2,
        Step::WriteSecret { .. } => 3,
        Step::WriteId { .. } => 4,
        Step::SwitchSigner { .. } => 5,
        Step::Deactivate { .. } => 6,
        Step::Delete { .. } => 7,
        Step::Undo { .. } => 8,
    }
}
