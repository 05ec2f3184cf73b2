//! How a run ends, in words. Nothing is decided here.

use planner::{End, Facts, Incomplete, Step, Verdict};

use super::Rotation;
use super::performer::unexpected;
use crate::failure::Failure;
use crate::reason::Reason;
use crate::report::Ending;

impl Rotation {
    /// How the loop's end ends the run.
    pub(super) fn ending(&self, end: End, facts: &Facts) -> Ending {
        let said = |failure: &Option<Failure>| failure.clone().unwrap_or(unexpected("nothing says why"));
        match end {
            End::Decided(verdict) => self.decided(verdict, facts),
            End::Failed(_) => Ending::from(said(&self.transcript.trouble)),
            End::Unseen => Ending::from(said(&self.transcript.blind)),
            End::Cut => self.out_of_time(),
            End::CutShort(step) => self.cut_short(step),
        }
    }

    /// How a verdict ends the run. Where a remote's own words explain it better, they are used.
    pub(super) fn decided(&self, verdict: Verdict, facts: &Facts) -> Ending {
        let said = |failure: &Failure| Ending::from(failure.clone());
        let (trouble, seen) = (self.transcript.trouble.as_ref(), self.observer.seen());
        match verdict {
            Verdict::Converged { until } => Ending::converged(until),
            Verdict::Wait(wait) => Ending::waiting(wait),
            Verdict::Blocked(block @ (planner::Block::Refused | planner::Block::CreateDenied)) => {
                trouble.map_or(Ending::blocked(block), said)
            }
            Verdict::Blocked(block @ planner::Block::OwnerUnknown { target }) => {
                match self.observer.inconclusive() {
                    Some(failure) => said(failure),
                    None => Ending::blocked(block).noting(seen.stranger(target, facts)),
                }
            }
            Verdict::Blocked(block @ planner::Block::HalfPair { target }) => {
                Ending::blocked(block).noting(seen.halves(target))
            }
            Verdict::Blocked(block @ planner::Block::WrongPlace { key }) => {
                Ending::blocked(block).noting(Some(seen.likely_place(key)))
            }
            Verdict::Blocked(planner::Block::IncompleteRead { target }) => {
                let block = planner::Block::IncompleteRead { target };
                seen.failure(target).map_or(Ending::blocked(block), said)
            }
            Verdict::Blocked(
                block @ (planner::Block::LastUseUnknown { .. } | planner::Block::SlotOccupied { .. }),
            ) => self.observer.use_unread().map_or(Ending::blocked(block), said),
            Verdict::Blocked(planner::Block::HeldElsewhere { key }) => {
                let named: Vec<String> = seen.places(key).collect();
                Ending::blocked(planner::Block::HeldElsewhere { key }).noting(Some(named.join(", ")))
            }
            Verdict::Blocked(block) => Ending::blocked(block),
            Verdict::Incomplete(
                why @ (Incomplete::UnclearCreate | Incomplete::Unverified | Incomplete::UnclearWrite),
            ) => Ending::incomplete(why).because(trouble),
            Verdict::Incomplete(why) => Ending::incomplete(why),
            Verdict::Look(step) | Verdict::Do(step) => {
                Ending::unexpected(format!("the run ended before it could {step}"))
            }
        }
    }

    /// The end of a run that waited for an answer for too long.
    pub(super) fn out_of_time(&self) -> Ending {
        Ending::incomplete(if self.time.stopping() {
            Incomplete::Interrupted
        } else {
            Incomplete::OutOfTime
        })
    }

    /// The same, when it is not known whether the last step was done.
    fn cut_short(&self, step: Step) -> Ending {
        let (reason, why) = if self.time.stopping() {
            (Reason::Interrupted, "the run was asked to stop")
        } else {
            (Reason::OutOfTime, "the time of the run was over")
        };
        Ending::from(Failure::incomplete(
            reason,
            format!("{why}, and it is not known whether it could {step}"),
        ))
    }
}
