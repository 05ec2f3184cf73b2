//! The circle: observe, ask the planner for one step, perform it, observe again, until there is nothing left to do.
//!
//! No choice is made here. What to do is `planner::next`'s answer; this module only carries it out and says what it saw.
//! Nothing is kept between runs: a new run and a resumed run are the same run.

mod budget;
mod naming;
mod observe;
mod open;
mod perform;
mod time;

use std::time::Duration;

use planner::{Facts, Incomplete, KeyId, Policy, Run, Step, Verdict, next};

use crate::aws::Connection;
use crate::clock::Deadline;
use crate::failure::{Class, Failure};
use crate::gitlab::{Gitlab, Variable, Version};
use crate::reason::Reason;
use crate::report::{Command, Ending, Performed, RotationReport, Subject};
use crate::secret::{KeyPair, Secret};
use crate::settings::Settings;
use crate::stop::Stop;

pub use budget::create_budget;
use time::{Pauses, in_time};

/// A step without an answer is tried again after a full look, this often in one run.
const SECOND_CHANCES: u32 = 2;

/// One rotation in progress.
pub struct Rotation {
    command: Command,
    settings: Settings,
    policy: Policy,
    aws: Connection,
    gitlab: Gitlab,
    version: Version,
    account: String,
    user: String,
    /// What the journal calls this run.
    run_name: String,
    /// The variables of each container as last seen, answers of writes folded in.
    seen: Vec<Result<Vec<Variable>, Failure>>,
    /// Secrets this process holds.
    hand: Vec<KeyPair>,
    /// Secrets that STS accepted in this run, with their key.
    proved: Vec<(KeyId, Secret)>,
    /// Why STS could not say whose a readable secret is.
    inconclusive: Option<Failure>,
    /// Why the last use of a key could not be read.
    use_unread: Option<Failure>,
    /// Keys that somebody used, other than to ask STS.
    used: Vec<KeyId>,
    /// Keys whose deletion was confirmed: a list that shows one lags.
    gone: Vec<KeyId>,
    /// The identity that signs may deactivate and delete keys.
    may_retire: bool,
    /// Requests are signed by the new key from here on.
    switched: bool,
    /// The key this run created, in case a list that lags does not show it.
    created: Option<planner::Key>,
    run: Run,
    deadline: Deadline,
    stop: Stop,
    steps: Vec<Performed>,
    trouble: Option<Failure>,
    warnings: Vec<String>,
    token_left: Option<Duration>,
}

impl Rotation {
    /// What a user calls it.
    pub fn name(&self) -> &str {
        &self.user
    }

    /// Runs the circle to its end and reports.
    pub async fn run(mut self) -> RotationReport {
        let (deadline, stop) = (self.deadline, self.stop.clone());
        let mut facts = match in_time(deadline, &stop, self.look()).await {
            Some(Ok(facts)) => facts,
            Some(Err(failure)) => return self.report(None, Ending::from(failure)),
            None => {
                let ending = self.out_of_time();
                return self.report(None, ending);
            }
        };
        if let Some(failure) = open::user_missing(&self.settings, &self.user, &facts) {
            return self.report(Some(&facts), Ending::from(failure));
        }
        self.run.inactive_at_start = observe::inactive(&facts);
        facts.run = self.run.clone();
        let (facts, ending) = match self.command {
            Command::Plan => {
                let (steps, verdict) = planner::dry_run(&facts, &self.policy);
                for step in steps {
                    self.note(step);
                }
                let ending = self.ending(verdict, &facts);
                (facts, ending)
            }
            Command::Rotate | Command::Retire => self.circle(facts).await,
        };
        self.report(Some(&facts), ending)
    }

    /// Observe, decide, perform.
    async fn circle(&mut self, mut facts: Facts) -> (Facts, Ending) {
        let mut chances = SECOND_CHANCES;
        let mut pauses = Pauses::default();
        let mut refused = None;
        loop {
            self.run.stopping = self.stop.asked();
            self.run.time_left = self.deadline.left();
            facts.run = self.run.clone();
            let verdict = next(&facts, &self.policy);
            tracing::debug!(?verdict, full = facts.full, "decided");
            match verdict {
                Verdict::Look(step) => self.run.proposed = facts.full.then_some(step),
                Verdict::Do(step) => {
                    if refused == Some(step)
                        && let Some(failure) = self.trouble.clone()
                    {
                        let torn = self.torn_name(&facts);
                        return (facts, Ending::from(failure).with_torn(torn));
                    }
                    // Recorded before the request leaves: no lost answer may find a run that believes it sent nothing.
                    self.run.begin(step, &facts.keys);
                    let (deadline, stop) = (self.deadline, self.stop.clone());
                    let Some(done) = in_time(deadline, &stop, self.perform(step, &mut facts)).await else {
                        let ending = self.cut_short(step, &facts);
                        return (facts, ending);
                    };
                    match done {
                        Ok(perform::Done::Folded) => continue,
                        Ok(perform::Done::LookAgain) => {}
                        Err(not_done) => {
                            // The half that completes a pair is tried for as long as there is time.
                            let mends = matches!(step, Step::WriteId { .. })
                                && self.torn_target(&facts).is_some()
                                && not_done.failure().class == Class::Incomplete
                                && self.pause(&mut pauses).await;
                            let ends = match &not_done {
                                perform::NotDone::Refused(_) => {
                                    self.run.refused(step);
                                    self.run.denied |= step == Step::Create
                                        && not_done.failure().reason == Reason::AccessDenied;
                                    refused = (!mends).then_some(step);
                                    step == Step::Create && !self.run.denied
                                }
                                perform::NotDone::Unclear(_) => {
                                    self.run.unclear(step);
                                    // Another variable may have been overwritten: no request more.
                                    not_done.failure().class == Class::Blocked || chances == 0 && !mends
                                }
                            };
                            let failure = not_done.failure().clone();
                            // The refusal of a key is what the run ends with, whatever comes of its intent.
                            if step != Step::CloseIntent {
                                self.trouble = Some(failure.clone());
                            }
                            if ends {
                                let torn = self.torn_name(&facts);
                                return (facts, Ending::from(failure).with_torn(torn));
                            }
                            if matches!(not_done, perform::NotDone::Unclear(_)) && !mends {
                                chances -= 1;
                            }
                        }
                    }
                }
                // An end is believed only after everything was read again.
                Verdict::Converged { .. } | Verdict::Wait(_) | Verdict::Blocked(_) if !facts.full => {}
                Verdict::Converged { .. }
                | Verdict::Wait(_)
                | Verdict::Blocked(_)
                | Verdict::Incomplete(_) => {
                    let torn = self.torn_name(&facts);
                    let ending = self.ending(verdict, &facts).with_torn(torn);
                    return (facts, ending);
                }
            }
            facts = match self.look_again(&facts, &mut pauses).await {
                Ok(looked) => looked,
                Err(ending) => {
                    let denied = self.trouble.clone().filter(|_| self.run.denied);
                    return (facts, denied.map_or(ending, Ending::from));
                }
            };
        }
    }

    /// How a verdict ends the run. Where a remote's own words explain it better, they are used.
    fn ending(&self, verdict: Verdict, facts: &Facts) -> Ending {
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
        let targets = (0..self.settings.containers.len())
            .map(|target| self.target_name(target))
            .collect();
        let subject = Subject {
            user: self.user,
            account: self.account,
        };
        RotationReport::new(subject, ending)
            .with_state(targets, facts, &self.policy)
            .with_steps(self.steps)
            .with_warnings(self.warnings)
            .with_token_left(self.token_left)
    }

    /// What the journal calls this rotation: users of two accounts may have one name.
    fn journal_name(&self) -> String {
        format!("{}/{}", self.account, self.user)
    }

    /// `group/42/AWS_ACCESS_KEY_ID+AWS_SECRET_ACCESS_KEY@*`
    fn target_name(&self, target: usize) -> String {
        let container = self
            .settings
            .containers
            .get(target)
            .map(ToString::to_string)
            .unwrap_or_default();
        let Settings {
            id_variable,
            secret_variable,
            scope,
            ..
        } = &self.settings;
        format!("{container}/{id_variable}+{secret_variable}@{scope}")
    }
}
