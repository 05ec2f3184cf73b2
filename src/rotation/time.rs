//! The time of a run: what it may still begin, and when what it waits for is given up.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use planner::{Facts, Incomplete, Step, Target, Verdict, next};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::Rotation;
use crate::clock::Deadline;
use crate::failure::{Class, Failure};
use crate::reason::Reason;
use crate::report::Ending;
use crate::stop::Stop;

/// How often a request is looked at while it is waited for.
const POLL: Duration = Duration::from_millis(100);
/// Between attempts to complete a pair that this run tore.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The same when the run was asked to stop: it has seconds.
const HASTE: Duration = Duration::from_secs(1);

/// A key that STS accepted may take IAM a little longer: this many pauses, a minute.
const UNTIL_LIVE: u32 = 4;

/// Pauses that get longer, and how many there were.
pub(super) struct Pauses {
    next: Duration,
    taken: u32,
}

impl Default for Pauses {
    fn default() -> Pauses {
        Pauses {
            next: FIRST_PAUSE,
            taken: 0,
        }
    }
}

/// Waits for the work until the run is out of time, or was asked to stop long enough ago; `None` then. That is asked
/// before each step of the work and not of a timer alone: a process that was suspended for days must not wake up to the
/// next attempt of a write.
pub(super) async fn in_time<F: Future>(deadline: Deadline, stop: &Stop, work: F) -> Option<F::Output> {
    let mut work = pin!(work);
    let mut ticks = interval(POLL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    poll_fn(move |context| {
        if deadline.left().is_zero() || stop.overdue() {
            return Poll::Ready(None);
        }
        while ticks.poll_tick(context).is_ready() {}
        work.as_mut().poll(context).map(Some)
    })
    .await
}

impl Rotation {
    /// Looks again, in time. While a pair is torn by this run, or may be, a remote that fails for a moment is asked until the
    /// run has no time left: every job that starts meanwhile fails, and the next run may be a month away.
    pub(super) async fn look_again(&mut self, facts: &Facts, pauses: &mut Pauses) -> Result<Facts, Ending> {
        loop {
            let (deadline, stop) = (self.deadline, self.stop.clone());
            match in_time(deadline, &stop, self.look()).await {
                Some(Ok(looked)) => {
                    // With several targets one that could not be read is no failure of the look.
                    let passing = self
                        .seen
                        .iter()
                        .any(|seen| matches!(seen, Err(failure) if failure.class == Class::Incomplete));
                    let waits = passing && self.torn_target(&looked).is_none() && self.may_be_torn(facts);
                    if !waits || !self.pause(pauses).await {
                        return Ok(looked);
                    }
                }
                None => return Err(self.out_of_time().with_torn(self.torn_name(facts))),
                Some(Err(mut failure)) => {
                    let is_new = self.switched && failure.reason == Reason::CredentialRefused;
                    if is_new {
                        failure = Failure::incomplete(
                            Reason::KeyNotLive,
                            format!(
                                "{}, and STS did: it is new, and IAM may need longer",
                                failure.message
                            ),
                        );
                    }
                    let goes_on = failure.class == Class::Incomplete && self.may_be_torn(facts)
                        || is_new && pauses.taken < UNTIL_LIVE;
                    if !goes_on || !self.pause(pauses).await {
                        return Err(Ending::from(failure).with_torn(self.torn_name(facts)));
                    }
                }
            }
        }
    }

    /// Waits before another attempt at completing a pair; `false` when there is no time for one.
    pub(super) async fn pause(&self, pauses: &mut Pauses) -> bool {
        let room = self.deadline.left().saturating_sub(self.policy.step_budget);
        if self.stop.overdue() || room < HASTE {
            return false;
        }
        if self.stop.asked() {
            return in_time(self.deadline, &self.stop, sleep(HASTE)).await.is_some();
        }
        let pause = pauses.next.min(room);
        tracing::warn!(seconds = pause.as_secs(), "not finished: trying again");
        tokio::select! {
            () = sleep(pause) => {}
            () = self.stop.when_asked() => {}
        }
        pauses.next = (pauses.next * 2).min(LONGEST_PAUSE);
        pauses.taken = pauses.taken.saturating_add(1);
        true
    }

    /// Whether a pair is torn as far as this run knows, or by a write of it whose outcome is unknown.
    fn may_be_torn(&self, facts: &Facts) -> bool {
        self.torn_target(facts).is_some()
            || self
                .run
                .unclear
                .iter()
                .any(|step| matches!(step, Step::WriteSecret { .. }))
    }

    /// The target whose id the planner would write next, and whose pair that completes: an id is also written for its marker.
    pub(super) fn torn_target(&self, facts: &Facts) -> Option<usize> {
        match next(facts, &self.policy) {
            Verdict::Do(Step::WriteId { target, key, .. }) => {
                let torn = matches!(facts.targets.get(target), Some(Target::Seen(pair)) if pair.id_key() != Some(key));
                torn.then_some(target)
            }
            Verdict::Do(_)
            | Verdict::Look(_)
            | Verdict::Converged { .. }
            | Verdict::Wait(_)
            | Verdict::Blocked(_)
            | Verdict::Incomplete(_) => None,
        }
    }

    pub(super) fn torn_name(&self, facts: &Facts) -> Option<String> {
        self.torn_target(facts).map(|target| self.target_name(target))
    }

    /// The end of a run that waited for an answer for too long.
    pub(super) fn out_of_time(&self) -> Ending {
        Ending::incomplete(if self.stop.asked() {
            Incomplete::Interrupted
        } else {
            Incomplete::OutOfTime
        })
    }

    /// The same, when it is not known whether the last step was done.
    pub(super) fn cut_short(&self, step: Step, facts: &Facts) -> Ending {
        let (reason, why) = if self.stop.asked() {
            (Reason::Interrupted, "the run was asked to stop")
        } else {
            (Reason::OutOfTime, "the time of the run was over")
        };
        Ending::from(Failure::incomplete(
            reason,
            format!("{why}, and it is not known whether it could {step}"),
        ))
        .with_torn(self.torn_name(facts))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::{Duration, Instant, SystemTime};

    use super::in_time;
    use crate::clock::Deadline;
    use crate::stop::Stop;

    #[tokio::test(flavor = "current_thread")]
    async fn what_is_done_in_time_is_done() {
        let deadline = Deadline::after(Duration::from_secs(60));
        assert_eq!(in_time(deadline, &Stop::default(), async { 7 }).await, Some(7));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_request_without_an_answer_ends_with_the_run() {
        let deadline = Deadline::after(Duration::from_millis(200));
        let answer = in_time(deadline, &Stop::default(), std::future::pending::<()>()).await;
        assert_eq!(answer, None);
    }

    /// The monotonic clock stands still while a machine is suspended, so its timers come to nothing; the wall clock says
    /// how late it is.
    #[tokio::test(flavor = "current_thread")]
    async fn nothing_is_sent_after_a_machine_slept_past_the_deadline() {
        let sent = Cell::new(false);
        let slept = Deadline::at(Instant::now() + Duration::from_secs(60), SystemTime::UNIX_EPOCH);
        let answer = in_time(slept, &Stop::default(), async { sent.set(true) }).await;
        assert_eq!((answer, sent.get()), (None, false));
    }
}
