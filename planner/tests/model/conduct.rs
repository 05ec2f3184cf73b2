//! How a run goes about its work, judged apart from the loop's own memory: what it sends again, when it waits, on what it ends.
//! Only explorations that ask for it keep this.

use planner::{Cause, End, Step, Told, Turn, Unseen};

use super::process::{Act, act};
use super::scenario::Scenario;

/// An answer that is missing is followed by two more attempts.
const MORE_ATTEMPTS: u8 = 2;

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Conduct {
    /// What it was refused last, other than a half that completes a pair.
    refused: Act,
    /// Answers that were missing, other than of such halves.
    missing: u8,
    /// Full looks since the last step, two at most.
    looks: u8,
    /// A half of a pair could not be completed, or not be looked at: it must wait before it tries again.
    must_pause: bool,
    /// It wrote a secret, and the id that belongs to it is still to come.
    between: bool,
    /// What it did that no run should.
    pub(crate) wrong: Option<&'static str>,
}

impl Default for Conduct {
    fn default() -> Conduct {
        Conduct {
            refused: Act::None,
            missing: 0,
            looks: 0,
            must_pause: false,
            between: false,
            wrong: None,
        }
    }
}

impl Conduct {
    /// It wrote a secret, saw no answer to the id that belongs to it, and ended for a failure while there was time.
    pub(crate) fn gave_up(&self, end: &End) -> bool {
        self.between && matches!(end, End::Failed(_) | End::Unseen)
    }

    /// The key that it names is renamed with all others.
    pub(crate) fn act(&mut self) -> &mut Act {
        &mut self.refused
    }

    pub(crate) fn looked(&mut self, full: bool, scenario: &Scenario) {
        if scenario.conduct && full {
            self.looks = (self.looks + 1).min(2);
        }
    }

    pub(crate) fn told(&mut self, sent: Act, told: &Told, torn: bool, scenario: &Scenario) {
        if !scenario.conduct {
            return;
        }
        let completes = matches!(sent, Act::WriteId(..)) && torn;
        match told {
            Told::Refused(Cause::Passing) | Told::Unknown(_) if completes => self.must_pause = true,
            Told::Refused(_) => self.refused = sent,
            Told::Unknown(_) => {
                self.missing += 1;
                if self.missing > MORE_ATTEMPTS + 1 {
                    self.wrong = Some("a step without an answer is tried too often");
                }
            }
            Told::Done => match sent {
                Act::WriteSecret(..) => self.between = true,
                Act::WriteId(..) => self.between = false,
                _ => {}
            },
            Told::Created(_) | Told::NotProved | Told::Stopped | Told::Denied | Told::Cut => {}
        }
    }

    pub(crate) fn unseen(&mut self, unseen: &Unseen, torn: bool, short: bool, scenario: &Scenario) {
        if scenario.conduct && *unseen == Unseen::Failed(Cause::Passing) {
            self.must_pause |= torn;
            self.missing += u8::from(short && !torn);
        }
    }

    pub(crate) fn turned(
        &mut self,
        turn: &Turn,
        full: bool,
        short: bool,
        stopping: bool,
        scenario: &Scenario,
    ) {
        if !scenario.conduct {
            return;
        }
        let wrong = match turn {
            Turn::Pause(_) => {
                self.must_pause = false;
                None
            }
            Turn::Observe(_) => self
                .must_pause
                .then_some("what failed is tried again without a pause"),
            Turn::Perform(step) => {
                let destroys = matches!(
                    step,
                    Step::Deactivate { .. } | Step::Delete { .. } | Step::Undo { .. }
                );
                let completes = matches!(step, Step::WriteId { .. });
                let looks = std::mem::take(&mut self.looks);
                if self.must_pause {
                    Some("what failed is tried again without a pause")
                } else if act(step) == self.refused {
                    Some("a refused step is sent again")
                } else if stopping && !completes {
                    Some("a run that was asked to stop begins something")
                } else {
                    (destroys && looks < 2).then_some("a key is removed on one look since the last step")
                }
            }
            Turn::End(end) => self.ended(end, full, short),
        };
        self.wrong = self.wrong.or(wrong);
    }

    fn ended(&self, end: &End, full: bool, short: bool) -> Option<&'static str> {
        if end.judges_the_world() && !full {
            return Some(if short {
                "a look that read half is believed at the end"
            } else {
                "an end is believed on answers alone"
            });
        }
        match end {
            End::Failed(step) if act(step) != self.refused && self.missing <= MORE_ATTEMPTS => {
                Some("a step without an answer is given up too soon")
            }
            _ => None,
        }
    }
}
