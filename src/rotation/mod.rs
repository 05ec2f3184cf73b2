//! The circle: observe, ask the planner for one step, perform it, observe again, until there is nothing left to do.
//!
//! No choice is made here. What to do is `planner::next`'s answer; this module only carries it out and says what it saw.
//! Nothing is kept between runs: a new run and a resumed run are the same run.

mod observe;
mod open;
mod perform;

use std::time::Duration;

use planner::{Facts, Incomplete, KeyId, Policy, Run, Step, Verdict, next};

use crate::aws::Connection;
use crate::clock::Deadline;
use crate::failure::Failure;
use crate::gitlab::{Gitlab, Variable, Version};
use crate::report::{Command, Ending, Outcome, Performed, RotationReport};
use crate::secret::{KeyPair, Secret};
use crate::settings::Settings;
use crate::stop::Stop;

/// A step without an answer is tried again after a full look, this often in one run.
const SECOND_CHANCES: u32 = 2;

/// One rotation in progress.
pub struct Rotation {
    settings: Settings,
    policy: Policy,
    aws: Connection,
    gitlab: Gitlab,
    version: Version,
    account: String,
    user: String,
    /// The variables of each container as last seen, answers of writes folded in.
    seen: Vec<Result<Vec<Variable>, Failure>>,
    /// Secrets this process holds.
    hand: Vec<KeyPair>,
    /// Secrets that STS accepted in this run, with their key.
    proved: Vec<(KeyId, Secret)>,
    /// Why STS could not say whose a readable secret is.
    inconclusive: Option<Failure>,
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
    pub async fn run(mut self, command: Command) -> RotationReport {
        let mut facts = match self.look().await {
            Ok(facts) => facts,
            Err(failure) => return self.report(None, Ending::from(failure)),
        };
        self.run.inactive_at_start = observe::inactive(&facts);
        facts.run = self.run.clone();
        let (facts, ending) = match command {
            Command::Plan => {
                let (steps, verdict) = planner::dry_run(&facts, &self.policy);
                for step in steps {
                    self.note(step);
                }
                let ending = self.ending(verdict);
                (facts, ending)
            }
            Command::Rotate | Command::Retire => self.circle(facts).await,
        };
        self.report(Some(&facts), ending)
    }

    /// Observe, decide, perform.
    async fn circle(&mut self, mut facts: Facts) -> (Facts, Ending) {
        let mut chances = SECOND_CHANCES;
        let mut refused = None;
        loop {
            self.run.stopping = self.stop.asked();
            self.run.time_left = self.deadline.left();
            facts.run = self.run.clone();
            let verdict = next(&facts, &self.policy);
            tracing::debug!(?verdict, full = facts.full, "decided");
            let looked = match verdict {
                Verdict::Look(step) => {
                    self.run.proposed = facts.full.then_some(step);
                    self.look().await
                }
                Verdict::Do(step) => {
                    if refused == Some(step)
                        && let Some(failure) = self.trouble.clone()
                    {
                        return (facts, Ending::from(failure));
                    }
                    // Recorded before the request leaves: no lost answer may find a run that believes it sent nothing.
                    self.run.begin(step, &facts.keys);
                    let stop = self.stop.clone();
                    let done = tokio::select! {
                        done = self.perform(step, &mut facts) => done,
                        () = stop.when_overdue() => return (facts, cut_short(step)),
                    };
                    match done {
                        Ok(perform::Done::Folded) => continue,
                        Ok(perform::Done::LookAgain) => self.look().await,
                        Err(perform::NotDone::Refused(failure)) => {
                            self.run.refused(step);
                            self.trouble = Some(failure.clone());
                            refused = Some(step);
                            if matches!(step, Step::Create | Step::Journal) {
                                return (facts, Ending::from(failure));
                            }
                            self.look().await
                        }
                        Err(perform::NotDone::Unclear(failure)) => {
                            self.run.unclear(step);
                            self.trouble = Some(failure.clone());
                            if chances == 0 {
                                return (facts, Ending::from(failure));
                            }
                            chances -= 1;
                            self.look().await
                        }
                    }
                }
                // An end is believed only after everything was read again.
                Verdict::Converged { .. } | Verdict::Wait(_) | Verdict::Blocked(_) if !facts.full => {
                    self.look().await
                }
                Verdict::Converged { .. }
                | Verdict::Wait(_)
                | Verdict::Blocked(_)
                | Verdict::Incomplete(_) => {
                    let ending = self.ending(verdict);
                    return (facts, ending);
                }
            };
            facts = match looked {
                Ok(looked) => looked,
                Err(failure) => return (facts, Ending::from(failure)),
            };
        }
    }

    /// How a verdict ends the run. Where a remote's own words explain it better, they are used.
    fn ending(&self, verdict: Verdict) -> Ending {
        let trouble = || self.trouble.clone().map(Ending::from);
        match verdict {
            Verdict::Converged { until } => Ending::converged(until),
            Verdict::Wait(wait) => Ending::waiting(wait),
            Verdict::Blocked(planner::Block::Refused) => {
                trouble().unwrap_or(Ending::blocked(planner::Block::Refused))
            }
            Verdict::Blocked(planner::Block::OwnerUnknown { target }) => match self.inconclusive.clone() {
                Some(failure) => Ending::from(failure),
                None => Ending::blocked(planner::Block::OwnerUnknown { target }),
            },
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
            Verdict::Blocked(block) => Ending::blocked(block),
            Verdict::Incomplete(
                why @ (Incomplete::UnclearCreate | Incomplete::Unverified | Incomplete::UnclearWrite),
            ) => Ending::incomplete(why).because(self.trouble.as_ref()),
            Verdict::Incomplete(why) => Ending::incomplete(why),
            Verdict::Look(step) | Verdict::Do(step) => Ending {
                outcome: Outcome::Failed,
                reason: "unexpected",
                message: format!("the run ended before it could {step}"),
                advice: "Run again, and report this as a defect.".to_owned(),
                next_run: None,
            },
        }
    }

    fn note(&mut self, step: Step) {
        if matches!(step, Step::SwitchSigner { .. }) {
            return;
        }
        let at = match step {
            Step::WriteSecret { .. } | Step::WriteId { .. } => self.gitlab.clock().now(),
            Step::Journal => self.gitlab.clock().now(),
            Step::Create
            | Step::Verify { .. }
            | Step::SwitchSigner { .. }
            | Step::Deactivate { .. }
            | Step::Delete { .. }
            | Step::Undo { .. } => self.aws.clock().now(),
        };
        let target = step.target().map(|target| self.target_name(target));
        tracing::info!(
            step = step.word(),
            key = step.key().map(|key| key.to_string()),
            target,
            "{step}"
        );
        self.steps.push(Performed {
            step: step.word(),
            key: step.key(),
            target,
            at,
        });
    }

    fn report(self, facts: Option<&Facts>, ending: Ending) -> RotationReport {
        let targets = (0..self.settings.containers.len())
            .map(|target| self.target_name(target))
            .collect();
        RotationReport::new(
            self.user,
            self.account,
            facts,
            &self.policy,
            targets,
            self.steps,
            self.warnings,
            self.token_left,
            ending,
        )
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

/// The end of a run whose last request had no answer when the time to stop was used up.
fn cut_short(step: Step) -> Ending {
    Ending::from(Failure::incomplete(
        "interrupted",
        format!("the run was asked to stop, and it is not known whether it could {step}"),
    ))
}

/// How long a new key may take to become usable, beyond the settle time.
const PROOF_BUDGET: Duration = Duration::from_secs(60);
/// What a key takes besides its proof when each answer comes just before it would be given up: the one that creates it,
/// the last one of the proof, the look before the first write, and both writes.
const SLOW_ANSWERS: Duration = Duration::from_secs(60);

/// Time that must be left to create a key, so that it can be proved and both halves written before the run must end.
pub fn create_budget(settle: Duration) -> Duration {
    settle + PROOF_BUDGET + SLOW_ANSWERS
}
