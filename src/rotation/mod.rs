//! One rotation: look, ask the planner's loop what to do, do it, tell what came of it, until the loop is at its end.
//!
//! No choice is made here. What to do is the answer of `planner::Reconciler`; this module carries it out and says what it saw.
//! Nothing is kept between runs: a new run and a resumed run are the same run.

mod budget;
mod keyring;
mod naming;
mod observe;
mod open;
mod perform;
mod time;

use std::time::Duration;

use planner::{End, Extent, Facts, Incomplete, KeyId, Policy, Reconciler, Step, Told, Turn, Unseen, Verdict};

use crate::aws::Connection;
use crate::clock::Deadline;
use crate::failure::Failure;
use crate::gitlab::{Gitlab, Variable, Version};
use crate::reason::Reason;
use crate::report::{Command, Ending, Performed, RotationReport, Subject};
use crate::settings::RotationSpec;
use crate::stop::Stop;
use crate::warnings::Warnings;

use budget::Budgets;
pub use budget::create_budget;
use keyring::Keyring;
use perform::NotDone;
use time::in_time;

/// One rotation in progress.
pub struct Rotation {
    command: Command,
    spec: RotationSpec,
    policy: Policy,
    budgets: Budgets,
    aws: Connection,
    gitlab: Gitlab,
    version: Version,
    account: String,
    user: String,
    /// What the journal calls this run.
    run_name: String,
    /// The variables of each container as last seen, answers of writes folded in.
    seen: Vec<Result<Vec<Variable>, Failure>>,
    keyring: Keyring,
    /// Why STS could not say whose a readable secret is.
    inconclusive: Option<Failure>,
    /// Why the last use of a key could not be read.
    use_unread: Option<Failure>,
    /// Keys that somebody used, other than to ask STS.
    used: Vec<KeyId>,
    /// The identity that signs may deactivate and delete keys.
    may_retire: bool,
    /// The key this run created, in case a list that lags does not show it.
    created: Option<planner::Key>,
    reconciler: Reconciler,
    deadline: Deadline,
    stop: Stop,
    steps: Vec<Performed>,
    /// Why the last step failed that did.
    trouble: Option<Failure>,
    /// Why the last look failed that did.
    blind: Option<Failure>,
    warnings: Warnings,
    token_left: Option<Duration>,
}

impl Rotation {
    /// What a user calls it.
    pub fn name(&self) -> &str {
        &self.user
    }

    /// Runs the loop to its end and reports.
    pub async fn run(mut self) -> RotationReport {
        let (deadline, stop) = (self.deadline, self.stop.clone());
        let mut facts = match in_time(deadline, &stop, self.look(Extent::Full)).await {
            Some(Ok(facts)) => facts,
            Some(Err(failure)) => return self.report(None, Ending::from(failure)),
            None => {
                let ending = self.out_of_time();
                return self.report(None, ending);
            }
        };
        if let Some(failure) = open::user_missing(&self.spec, &self.user, &facts) {
            return self.report(Some(&facts), Ending::from(failure));
        }
        self.reconciler.looked(&facts);
        let (facts, ending) = match self.command {
            Command::Plan => {
                facts.run = self.reconciler.run.clone();
                let (steps, verdict) = planner::dry_run(&facts, &self.policy);
                for step in steps {
                    self.note(step);
                }
                let ending = self.decided(verdict, &facts);
                (facts, ending)
            }
            Command::Rotate | Command::Retire => self.reconcile(facts).await,
        };
        self.report(Some(&facts), ending)
    }

    /// Carries out what the loop asks for, and tells it what came of that. It makes no choice.
    async fn reconcile(&mut self, mut facts: Facts) -> (Facts, Ending) {
        loop {
            let (left, stopping) = (self.time_left(), self.stop.asked());
            let turn = self
                .reconciler
                .turn(Some(&mut facts), left, stopping, &self.policy);
            tracing::debug!(?turn, full = facts.full, "decided");
            let (deadline, stop) = (self.deadline, self.stop.clone());
            match turn {
                Turn::Observe(extent) => match in_time(deadline, &stop, self.look(extent)).await {
                    Some(Ok(looked)) => facts = looked,
                    Some(Err(failure)) => self.unseen(failure),
                    None => self.reconciler.unseen(Unseen::Cut),
                },
                Turn::Perform(step) => {
                    let told = match in_time(deadline, &stop, self.perform(step, &mut facts)).await {
                        Some(Ok(told)) => told,
                        Some(Err(not_done)) => self.not_done(step, not_done),
                        None => Told::Cut,
                    };
                    self.reconciler.told(step, told);
                }
                Turn::Pause(before) => self.pause(before).await,
                Turn::End(end) => {
                    let torn = self.reconciler.torn_target(&facts, &self.policy);
                    let torn = torn.map(|target| self.target_name(target));
                    let ending = self.ending(end, &facts).with_torn(torn);
                    return (facts, ending);
                }
            }
        }
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
            self.trouble = Some(not_done.into_failure());
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
        self.blind = Some(if refused && self.reconciler.run.switched {
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

    /// How the loop's end ends the run.
    fn ending(&self, end: End, facts: &Facts) -> Ending {
        let said =
            |failure: &Option<Failure>| failure.clone().unwrap_or(perform::unexpected("nothing says why"));
        match end {
            End::Decided(verdict) => self.decided(verdict, facts),
            End::Failed(_) => Ending::from(said(&self.trouble)),
            End::Unseen => Ending::from(said(&self.blind)),
            End::Cut => self.out_of_time(),
            End::CutShort(step) => self.cut_short(step),
        }
    }

    /// How a verdict ends the run. Where a remote's own words explain it better, they are used.
    fn decided(&self, verdict: Verdict, facts: &Facts) -> Ending {
        let trouble = || self.trouble.clone().map(Ending::from);
        match verdict {
            Verdict::Converged { until } => Ending::converged(until),
            Verdict::Wait(wait) => Ending::waiting(wait),
            Verdict::Blocked(block @ (planner::Block::Refused | planner::Block::CreateDenied)) => {
                trouble().unwrap_or(Ending::blocked(block))
            }
            Verdict::Blocked(block @ planner::Block::OwnerUnknown { target }) => {
                match self.inconclusive.clone() {
                    Some(failure) => Ending::from(failure),
                    None => Ending::blocked(block).noting(self.stranger(target, facts)),
                }
            }
            Verdict::Blocked(block @ planner::Block::HalfPair { target }) => {
                Ending::blocked(block).noting(self.halves(target))
            }
            Verdict::Blocked(block @ planner::Block::WrongPlace { key }) => {
                Ending::blocked(block).noting(Some(self.likely_place(key)))
            }
            Verdict::Blocked(planner::Block::IncompleteRead { target }) => {
                let unread = self
                    .seen
                    .get(target)
                    .and_then(|seen| seen.as_ref().err())
                    .cloned();
                unread.map_or(
                    Ending::blocked(planner::Block::IncompleteRead { target }),
                    Ending::from,
                )
            }
            Verdict::Blocked(
                block @ (planner::Block::LastUseUnknown { .. } | planner::Block::SlotOccupied { .. }),
            ) => match self.use_unread.clone() {
                Some(failure) => Ending::from(failure),
                None => Ending::blocked(block),
            },
            Verdict::Blocked(planner::Block::HeldElsewhere { key }) => {
                let named: Vec<String> = self.places(key).collect();
                Ending::blocked(planner::Block::HeldElsewhere { key }).noting(Some(named.join(", ")))
            }
            Verdict::Blocked(block) => Ending::blocked(block),
            Verdict::Incomplete(
                why @ (Incomplete::UnclearCreate | Incomplete::Unverified | Incomplete::UnclearWrite),
            ) => Ending::incomplete(why).because(self.trouble.as_ref()),
            Verdict::Incomplete(why) => Ending::incomplete(why),
            Verdict::Look(step) | Verdict::Do(step) => {
                Ending::unexpected(format!("the run ended before it could {step}"))
            }
        }
    }

    /// Logs a step that was done, and keeps it for the report.
    fn done(&mut self, step: Step) {
        let performed = self.performed(step);
        tracing::info!(
            step = performed.step,
            key = performed.key.map(|key| key.to_string()),
            target = performed.target,
            "{step}"
        );
        self.keep(step, performed);
    }

    /// Keeps a step for the report of a plan.
    fn note(&mut self, step: Step) {
        let performed = self.performed(step);
        self.keep(step, performed);
    }

    fn keep(&mut self, step: Step, performed: Performed) {
        // Nothing was changed anywhere.
        if !matches!(step, Step::SwitchSigner { .. }) {
            self.steps.push(performed);
        }
    }

    fn performed(&self, step: Step) -> Performed {
        let clock = match step {
            Step::Journal | Step::CloseIntent | Step::WriteSecret { .. } | Step::WriteId { .. } => {
                self.gitlab.clock()
            }
            Step::Create
            | Step::Verify { .. }
            | Step::SwitchSigner { .. }
            | Step::Deactivate { .. }
            | Step::Delete { .. }
            | Step::Undo { .. } => self.aws.clock(),
        };
        Performed {
            step: step.word(),
            key: step.key(),
            target: step.target().map(|target| self.target_name(target)),
            at: clock.now(),
        }
    }

    fn report(self, facts: Option<&Facts>, ending: Ending) -> RotationReport {
        let targets = self.spec.targets.iter().map(ToString::to_string).collect();
        let subject = Subject {
            user: self.user,
            account: self.account,
        };
        RotationReport::new(subject, ending)
            .with_state(targets, facts, &self.policy)
            .with_steps(self.steps)
            .with_warnings(self.warnings.kept())
            .with_token_left(self.token_left)
    }

    /// What the journal calls this rotation: users of two accounts may have one name.
    fn journal_name(&self) -> String {
        format!("{}/{}", self.account, self.user)
    }

    fn target_name(&self, target: usize) -> String {
        self.spec
            .targets
            .get(target)
            .map(ToString::to_string)
            .unwrap_or_default()
    }
}
