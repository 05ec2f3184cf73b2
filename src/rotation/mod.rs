//! One rotation: look, ask the planner's loop what to do, do it, tell what came of it, until the loop is at its end.
//!
//! No choice is made here. What to do is the answer of `planner::Reconciler`; this module carries it out and says what it saw.
//! Nothing is kept between runs: a new run and a resumed run are the same run.

mod assignment;
mod budget;
mod ending;
mod identity;
mod keyring;
mod naming;
mod observer;
mod open;
mod performer;
mod remotes;
mod seen;
mod time;
mod transcript;

use std::sync::Arc;

use planner::{Extent, Facts, Journal, Reconciler, Step, Told, Turn, Unseen};

use crate::failure::Failure;
use crate::reason::Reason;
use crate::report::{Command, Ending, Performed, RotationReport, Subject};

use assignment::Assignment;
pub use budget::create_budget;
use keyring::Keyring;
use observer::Observer;
use performer::{Effect, NotDone, Performer, in_hand};
use remotes::Remotes;
use time::Time;
use transcript::Transcript;

/// One rotation in progress.
pub struct Rotation {
    assignment: Arc<Assignment>,
    remotes: Remotes,
    keyring: Keyring,
    observer: Observer,
    performer: Performer,
    transcript: Transcript,
    reconciler: Reconciler,
    time: Time,
}

impl Rotation {
    /// What a user calls it.
    pub fn name(&self) -> &str {
        &self.assignment.identity.user
    }

    /// Runs the loop to its end and reports.
    pub async fn run(mut self) -> RotationReport {
        let mut facts = match self.time.clone().spend_on(self.look(Extent::Full)).await {
            Some(Ok(facts)) => facts,
            Some(Err(failure)) => return self.report(None, Ending::from(failure)),
            None => {
                let ending = self.out_of_time();
                return self.report(None, ending);
            }
        };
        if let Some(failure) = open::user_missing(&self.assignment, &facts) {
            return self.report(Some(&facts), Ending::from(failure));
        }
        self.reconciler.looked(&facts);
        let (facts, ending) = match self.assignment.command {
            Command::Plan => {
                facts.run = self.reconciler.run.clone();
                let ending = self.plan(&facts);
                (facts, ending)
            }
            Command::Rotate | Command::Retire => self.reconcile(facts).await,
        };
        self.report(Some(&facts), ending)
    }

    /// Says what the loop would ask for.
    fn plan(&mut self, facts: &Facts) -> Ending {
        let (steps, verdict) = planner::dry_run(facts, &self.assignment.policy);
        for step in steps {
            self.transcript.keep(step, self.performed(step));
        }
        self.decided(verdict, facts)
    }

    /// Carries out what the loop asks for, and tells it what came of that. It makes no choice.
    async fn reconcile(&mut self, mut facts: Facts) -> (Facts, Ending) {
        let (time, assignment) = (self.time.clone(), Arc::clone(&self.assignment));
        loop {
            let (left, stopping) = (time.left(), time.stopping());
            let turn = self
                .reconciler
                .turn(Some(&mut facts), left, stopping, &assignment.policy);
            tracing::debug!(?turn, full = facts.full, "decided");
            match turn {
                Turn::Observe(extent) => match time.spend_on(self.look(extent)).await {
                    Some(Ok(looked)) => facts = looked,
                    Some(Err(failure)) => self.unseen(failure),
                    None => self.reconciler.unseen(Unseen::Cut),
                },
                Turn::Perform(step) => {
                    let told = match time.spend_on(self.perform(step, &mut facts)).await {
                        Some(Ok(told)) => told,
                        Some(Err(not_done)) => self.not_done(step, not_done),
                        None => Told::Cut,
                    };
                    self.reconciler.told(step, told);
                }
                Turn::Pause(before) => time.pause(before).await,
                Turn::End(end) => {
                    let torn = self.reconciler.torn_target(&facts, &assignment.policy);
                    let torn = torn.map(|target| assignment.target_name(target));
                    let ending = self.ending(end, &facts).with_torn(torn);
                    return (facts, ending);
                }
            }
        }
    }

    async fn look(&mut self, extent: Extent) -> Result<Facts, Failure> {
        let (observer, lent) = self.observing();
        observer.look(extent, lent).await
    }

    /// Performs a step, and folds its answer into the facts: that is an observation too.
    async fn perform(&mut self, step: Step, facts: &mut Facts) -> Result<Told, NotDone> {
        if let Step::SwitchSigner { key } = step {
            self.remotes.switch(in_hand(&self.keyring, key)?);
            return Ok(Told::Done);
        }
        let lent = performer::Lent {
            writer: self.remotes.writer(),
            keyring: &self.keyring,
            seen: self.observer.seen(),
        };
        let told = match self.performer.perform(step, facts, lent).await? {
            Effect::Done => Told::Done,
            Effect::Journaled(variable, open) => {
                self.observer.store(0, variable);
                facts.journal = Journal::Read(open);
                Told::Done
            }
            Effect::Created(new) => {
                let key = self.observer.created(&new);
                self.keyring.keep(new.pair);
                facts.keys.push(key);
                Told::Created(key.id)
            }
            Effect::Written(target, variable) => {
                self.observer.store(target, variable);
                let (keys, (observer, lent)) = (facts.keys.clone(), self.observing());
                let folded = observer.facts(keys, false, lent).await;
                *facts = folded.map_err(NotDone::Unclear)?;
                Told::Done
            }
            Effect::Verified => {
                self.done(step);
                return Ok(Told::Done);
            }
            Effect::NotProved(failure) => {
                self.transcript.trouble = Some(failure);
                return Ok(Told::NotProved);
            }
            Effect::Stopped => return Ok(Told::Stopped),
        };
        self.done(step);
        facts.full = false;
        Ok(told)
    }

    /// The observer, and what it needs to read.
    fn observing(&mut self) -> (&mut Observer, observer::Lent<'_>) {
        let lent = observer::Lent {
            reader: self.remotes.reader(),
            keyring: &mut self.keyring,
            memory: &self.reconciler.run,
        };
        (&mut self.observer, lent)
    }

    /// Keeps why a step was not done, or may not have been, and says of which kind that is.
    fn not_done(&mut self, step: Step, not_done: NotDone) -> Told {
        let cause = not_done.failure().cause();
        let told = match &not_done {
            NotDone::Refused(failure) if failure.reason == Reason::AccessDenied => Told::Denied,
            NotDone::Refused(_) => Told::Refused(cause),
            NotDone::Unclear(_) => Told::Unknown(cause),
        };
        // The refusal of a key is what the run ends with, whatever comes of its intent.
        if step != Step::CloseIntent {
            self.transcript.trouble = Some(not_done.into_failure());
        }
        told
    }

    /// Keeps why a look showed nothing.
    fn unseen(&mut self, failure: Failure) {
        let refused = failure.reason == Reason::CredentialRefused;
        self.reconciler.unseen(if refused {
            Unseen::SignerRefused
        } else {
            Unseen::Failed(failure.cause())
        });
        self.transcript.blind = Some(if refused && self.reconciler.run.switched {
            Failure::incomplete(
                Reason::KeyNotLive,
                format!(
                    "{}, and STS did: it is new, and IAM may need longer",
                    failure.message
                ),
            )
        } else {
            failure
        });
    }

    fn done(&mut self, step: Step) {
        self.transcript.done(step, self.performed(step));
    }

    fn performed(&self, step: Step) -> Performed {
        let at = match step {
            Step::Journal | Step::CloseIntent | Step::WriteSecret { .. } | Step::WriteId { .. } => {
                self.remotes.gitlab_time()
            }
            Step::Create
            | Step::Verify { .. }
            | Step::SwitchSigner { .. }
            | Step::Deactivate { .. }
            | Step::Delete { .. }
            | Step::Undo { .. } => self.remotes.aws_time(),
        };
        Performed {
            step: step.word(),
            key: step.key(),
            target: step.target().map(|target| self.assignment.target_name(target)),
            at,
        }
    }

    fn report(self, facts: Option<&Facts>, ending: Ending) -> RotationReport {
        let Assignment { policy, identity, .. } = &*self.assignment;
        let subject = Subject {
            user: identity.user.clone(),
            account: identity.account.clone(),
        };
        let targets = self.assignment.target_names();
        let report = RotationReport::new(subject, ending).with_state(targets, facts, policy);
        self.transcript.tell(report)
    }
}
