//! The loop: observe, decide one step, perform it, observe again. It is a value without I/O: the program carries out what
//! [`Reconciler::turn`] asks for and tells what came of it, a dry run folds it over a model of the world, and the checker drives
//! this very value through every order of events.

use crate::facts::{Facts, Journal, Run, Status, TimeLeft};
use crate::picture::Picture;
use crate::plan::next;
use crate::{KeyId, Policy, Proof, SecretValue, Step, Verdict};

/// A step without an answer is tried again after a full look, this often in one run.
const SECOND_CHANCES: u8 = 2;
/// Pauses are counted this far: from then on they don't get longer, and a new key is given up that AWS still refuses.
const MOST_PAUSES: u8 = 4;

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Turn {
    /// Read everything that this extent covers.
    Observe(Extent),
    /// Send the change, and tell what came of it.
    Perform(Step),
    /// Wait before the next attempt; the number of pauses before this one says for how long.
    Pause(u8),
    /// The run is over.
    End(End),
}

/// How much a look covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extent {
    /// Variables, keys and their last uses.
    Full,
    /// Variables and keys. It shows what another run did, and is enough to go on, never to destroy or to end.
    Short,
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Told {
    /// It took effect. Of CreateAccessKey there is [`Told::Created`].
    Done,
    /// CreateAccessKey returned this key.
    Created(KeyId),
    /// The new key never became usable within the time for it, or is not the user's.
    NotProved,
    /// The proof was given up because the run was asked to stop. Nothing was sent.
    Stopped,
    /// The server refused it with an error of its own.
    Refused(Cause),
    /// The server refused it for want of a right.
    Denied,
    /// Nobody can say whether it took effect, or will.
    Unknown(Cause),
    /// The run's time was over before an answer came.
    Cut,
}

/// Whether a failure can pass by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// A remote that fails for a moment.
    Passing,
    /// A person must act.
    Lasting,
}

/// Why a look showed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unseen {
    /// A remote failed.
    Failed(Cause),
    /// AWS refused the credentials that sign.
    SignerRefused,
    /// The run's time was over before everything was read.
    Cut,
}

/// How a run ends, and what there is to say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// As the planner decided.
    Decided(Verdict),
    /// The failure of this step is the last word.
    Failed(Step),
    /// A look failed, and nothing was left to try.
    Unseen,
    /// Time was over while everything was read.
    Cut,
    /// Time was over before this step was answered: it may or may not have been done.
    CutShort(Step),
}

impl End {
    /// Whether nothing is left to do.
    pub fn is_converged(&self) -> bool {
        matches!(self, End::Decided(Verdict::Converged { .. }))
    }

    /// Whether there is nothing to do but to wait, or nothing at all.
    pub fn is_well(&self) -> bool {
        matches!(self, End::Decided(Verdict::Converged { .. } | Verdict::Wait(_)))
    }

    /// Whether it says something about the world, and not about this run alone.
    pub fn judges_the_world(&self) -> bool {
        self.is_well() || matches!(self, End::Decided(Verdict::Blocked(_)))
    }

    /// Why a person must act, in a word.
    pub fn blocked(&self) -> Option<&'static str> {
        match self {
            End::Decided(Verdict::Blocked(block)) => Some(block.word()),
            End::Decided(_) | End::Failed(_) | End::Unseen | End::Cut | End::CutShort(_) => None,
        }
    }

    /// A word for it.
    pub fn word(&self) -> &'static str {
        match self {
            End::Decided(Verdict::Converged { .. }) => "converged",
            End::Decided(Verdict::Wait(wait)) => wait.word(),
            End::Decided(Verdict::Blocked(block)) => block.word(),
            End::Decided(Verdict::Incomplete(why)) => why.word(),
            End::Decided(Verdict::Look(_) | Verdict::Do(_)) => "goes on",
            End::Failed(_) => "step_failed",
            End::Unseen => "look_failed",
            End::Cut | End::CutShort(_) => "cut",
        }
    }
}

/// What the last events decided for the next turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Due {
    /// To decide from the facts in hand.
    Decision,
    /// To look.
    Look(Extent),
    /// To pause and then to look, or where there is no time for that, to end so.
    Pause(End),
    /// To end.
    End(End),
}

/// The memory of one run and of its loop. There are no times in it and no texts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reconciler {
    /// What the rules remember.
    pub run: Run,
    /// The first full look was taken.
    pub began: bool,
    /// How often a step without an answer may still be tried again.
    pub chances: u8,
    /// Pauses so far, counted to a few.
    pub pauses: u8,
    /// The step that was refused last. It isn't sent again: the same answer would come.
    pub refused: Option<Step>,
    /// A target was torn when the facts were last decided on.
    pub torn: bool,
    /// What the last look was to cover.
    pub looking: Extent,
    /// What comes next.
    pub due: Due,
}

impl Reconciler {
    /// A run that has done nothing yet. `signer` is the user's key that signs it, if it is one of the user's.
    pub fn new(signer: Option<KeyId>) -> Reconciler {
        let mut run = Run::new();
        run.signer = signer;
        run.in_hand.extend(signer);
        run.verified.extend(signer);
        Reconciler {
            run,
            began: false,
            chances: SECOND_CHANCES,
            pauses: 0,
            refused: None,
            torn: false,
            looking: Extent::Full,
            due: Due::Look(Extent::Full),
        }
    }

    /// A run with this memory that has just looked.
    pub fn after_a_look(run: Run) -> Reconciler {
        Reconciler {
            run,
            began: true,
            due: Due::Decision,
            ..Reconciler::new(None)
        }
    }

    /// What to do now. `facts` are those of the last look, with the answers of writes since folded in; before the first look
    /// they are none.
    pub fn turn(
        &mut self,
        facts: Option<&mut Facts>,
        left: TimeLeft,
        stopping: bool,
        policy: &Policy,
    ) -> Turn {
        self.turn_by(&next, facts, left, stopping, policy)
    }

    /// The same with another decision than the shipped one, which the checker must find wrong.
    pub fn turn_by(
        &mut self,
        decide: &dyn Fn(&Facts, &Policy) -> Verdict,
        facts: Option<&mut Facts>,
        left: TimeLeft,
        stopping: bool,
        policy: &Policy,
    ) -> Turn {
        (self.run.time_left, self.run.stopping) = (left, stopping);
        match (std::mem::replace(&mut self.due, Due::Decision), facts) {
            (Due::Decision, Some(facts)) => self.decide(decide, facts, policy),
            (Due::Look(extent), _) => self.observe(extent),
            (Due::Decision, None) => self.observe(Extent::Full),
            (Due::End(end), _) => Turn::End(end),
            (Due::Pause(end), _) => self.pause(end),
        }
    }

    fn decide(
        &mut self,
        decide: &dyn Fn(&Facts, &Policy) -> Verdict,
        facts: &mut Facts,
        policy: &Policy,
    ) -> Turn {
        self.take_in(facts);
        let own_intent = matches!(facts.journal, Journal::Read(Some(intent)) if intent.own);
        if self.refused == Some(Step::Journal) && facts.full && own_intent {
            // It was refused, and it stands: a refusal is an answer and not a fact.
            (self.refused, self.run.journaled) = (None, true);
        }
        facts.run = self.run.clone();
        let torn = Picture::new(facts, policy).mendable().is_some();
        if facts.full && facts.passing && !torn && self.may_be_torn() {
            // With several targets one that could not be read is no failure of the look. But the pair that may be torn is.
            if let pause @ Turn::Pause(_) = self.pause(End::Unseen) {
                return pause;
            }
            self.due = Due::Decision;
        }
        self.torn = torn;
        match decide(facts, policy) {
            Verdict::Look(step) => {
                self.run.proposed = facts.full.then_some(step);
                self.observe(Extent::Full)
            }
            Verdict::Do(step) if self.refused == Some(step) => Turn::End(End::Failed(step)),
            Verdict::Do(step) => {
                // Recorded before the request leaves: no lost answer may find a run that believes it sent nothing.
                self.run.begin(step, &facts.keys);
                Turn::Perform(step)
            }
            // An end is believed only after everything was read again.
            Verdict::Converged { .. } | Verdict::Wait(_) | Verdict::Blocked(_) if !facts.full => {
                self.observe(Extent::Full)
            }
            end @ (Verdict::Converged { .. }
            | Verdict::Wait(_)
            | Verdict::Blocked(_)
            | Verdict::Incomplete(_)) => Turn::End(End::Decided(end)),
        }
    }

    fn observe(&mut self, extent: Extent) -> Turn {
        self.looking = extent;
        Turn::Observe(extent)
    }

    /// The first look was taken already: what comes next is to decide.
    pub fn looked(&mut self, facts: &Facts) {
        self.take_in(facts);
        self.due = Due::Decision;
    }

    /// What a look teaches a run: which secrets it holds, and which keys it found Inactive.
    fn take_in(&mut self, facts: &Facts) {
        for (_, pair) in facts.pairs() {
            if let SecretValue::Readable(Proof::Of(key)) = pair.secret.value
                && facts.key(key).is_some_and(|key| key.status == Status::Active)
            {
                self.run.holds(key);
            }
        }
        if facts.full && !self.began {
            self.began = true;
            let inactive = facts.keys.iter().filter(|key| key.status == Status::Inactive);
            self.run.inactive_at_start = inactive.map(|key| key.id).collect();
        }
    }

    /// What came of a step. It was performed because [`Reconciler::turn`] asked for it.
    pub fn told(&mut self, step: Step, told: Told) {
        // The half that completes a pair is tried for as long as there is time.
        let mends = matches!(step, Step::WriteId { .. }) && self.torn;
        self.due = match told {
            Told::Done => self.done(step),
            Told::Created(key) => {
                self.run.created(key);
                Due::Decision
            }
            Told::NotProved => {
                self.run.unverifiable = true;
                Due::Look(Extent::Full)
            }
            Told::Stopped => Due::Look(Extent::Full),
            Told::Denied if step == Step::Create => {
                self.run.denied = true;
                Due::Look(Extent::Full)
            }
            Told::Refused(Cause::Passing) if mends => {
                self.run.refused(step);
                self.refused = None;
                Due::Pause(End::Failed(step))
            }
            Told::Refused(_) | Told::Denied => {
                self.run.refused(step);
                self.refused = Some(step);
                if step == Step::Create {
                    Due::End(End::Failed(step))
                } else {
                    Due::Look(Extent::Full)
                }
            }
            Told::Unknown(cause) => {
                self.run.unclear(step);
                match cause {
                    // Another variable may have been overwritten: no request more.
                    Cause::Lasting => Due::End(End::Failed(step)),
                    Cause::Passing if mends => Due::Pause(End::Failed(step)),
                    Cause::Passing => match self.chances.checked_sub(1) {
                        None => Due::End(End::Failed(step)),
                        Some(chances) => {
                            self.chances = chances;
                            Due::Look(Extent::Full)
                        }
                    },
                }
            }
            Told::Cut => Due::End(End::CutShort(step)),
        };
    }

    fn done(&mut self, step: Step) -> Due {
        match step {
            Step::Journal => self.run.journaled = true,
            Step::CloseIntent => self.run.journaled = false,
            // Its answer is the key: there is another word for it.
            Step::Create => {}
            Step::WriteSecret { .. } | Step::WriteId { .. } => {}
            Step::Verify { key } => {
                self.run.verified.push(key);
                // Another run may have created or published a key meanwhile.
                return Due::Look(Extent::Short);
            }
            Step::Undo { key } => {
                self.run.undone = true;
                self.run.gone.push(key);
                return Due::Look(Extent::Full);
            }
            Step::Delete { key } => {
                self.run.gone.push(key);
                return Due::Look(Extent::Full);
            }
            Step::SwitchSigner { .. } => {
                self.run.switched = true;
                return Due::Look(Extent::Full);
            }
            Step::Deactivate { .. } => return Due::Look(Extent::Full),
        }
        Due::Decision
    }

    /// A look showed nothing. While a pair is torn, or may be, a remote that fails for a moment is asked until the run has no
    /// time left: every job that starts meanwhile fails, and the next run may be a month away.
    pub fn unseen(&mut self, unseen: Unseen) {
        // What a run that was refused its key ends with is that refusal.
        let end = if self.run.denied {
            End::Failed(Step::Create)
        } else {
            End::Unseen
        };
        self.due = match unseen {
            Unseen::Failed(Cause::Passing) if self.may_be_torn() => Due::Pause(end),
            // The short look is part of the proof, and has its chances.
            Unseen::Failed(Cause::Passing) if self.looking == Extent::Short && self.chances > 0 => {
                self.chances -= 1;
                Due::Look(Extent::Full)
            }
            // A key that STS accepted may take IAM a little longer.
            Unseen::SignerRefused
                if self.run.switched && (self.may_be_torn() || self.pauses < MOST_PAUSES) =>
            {
                Due::Pause(end)
            }
            Unseen::Failed(_) | Unseen::SignerRefused => Due::End(end),
            Unseen::Cut if self.run.denied => Due::End(end),
            Unseen::Cut => Due::End(End::Cut),
        };
    }

    /// The target whose id the next write would complete.
    pub fn torn_target(&self, facts: &Facts, policy: &Policy) -> Option<usize> {
        Picture::new(facts, policy).mendable()
    }

    /// Whether a pair is torn as far as this run knows, or by a write of it whose outcome is unknown.
    fn may_be_torn(&self) -> bool {
        let unclear = |step: &Step| matches!(step, Step::WriteSecret { .. });
        self.torn || self.run.unclear.iter().any(unclear)
    }

    fn pause(&mut self, end: End) -> Turn {
        match self.run.time_left {
            TimeLeft::Over | TimeLeft::Short => Turn::End(end),
            TimeLeft::Enough | TimeLeft::Ample => {
                let before = self.pauses;
                self.pauses = (before + 1).min(MOST_PAUSES);
                self.due = Due::Look(Extent::Full);
                Turn::Pause(before)
            }
        }
    }
}
