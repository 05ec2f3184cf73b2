//! The time of a run: what it may still begin, and when what it waits for is given up.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use planner::{Incomplete, Step, TimeLeft};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::Rotation;
use crate::clock::Deadline;
use crate::failure::Failure;
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
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

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
    /// How much of the run's time is left, in the classes that make a difference.
    pub(super) fn time_left(&self) -> TimeLeft {
        let left = self.deadline.left();
        if left.is_zero() {
            TimeLeft::Over
        } else if left < self.budgets.step {
            TimeLeft::Short
        } else if left < self.budgets.create {
            TimeLeft::Enough
        } else {
            TimeLeft::Ample
        }
    }

    /// Waits before another attempt, longer after each pause before it, and never into the time that the attempt needs.
    pub(super) async fn pause(&self, before: u8) {
        if self.stop.asked() {
            in_time(self.deadline, &self.stop, sleep(HASTE)).await;
            return;
        }
        let room = self.deadline.left().saturating_sub(self.budgets.step);
        let longer = FIRST_PAUSE.saturating_mul(1 << before.min(3));
        let pause = longer.min(LONGEST_PAUSE).min(room.max(SHORTEST_PAUSE));
        tracing::warn!(seconds = pause.as_secs(), "not finished: trying again");
        tokio::select! {
            () = sleep(pause) => {}
            () = self.stop.when_asked() => {}
        }
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
    pub(super) fn cut_short(&self, step: Step) -> Ending {
        let (reason, why) = if self.stop.asked() {
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
