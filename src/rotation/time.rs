//! The time of a run: what it may still begin, and when what it waits for is given up.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use planner::TimeLeft;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::budget::Budgets;
use crate::clock::Deadline;
use crate::stop::Stop;

/// How often a request is looked at while it is waited for.
const POLL: Duration = Duration::from_millis(100);
/// Between attempts to complete a pair that this run tore.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The same when the run was asked to stop: it has seconds.
const HASTE: Duration = Duration::from_secs(1);
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// The time of one run. Clones share the request to stop.
#[derive(Clone)]
pub(super) struct Time {
    deadline: Deadline,
    stop: Stop,
    budgets: Budgets,
}

impl Time {
    pub(super) fn new(deadline: Deadline, stop: Stop, budgets: Budgets) -> Time {
        Time {
            deadline,
            stop,
            budgets,
        }
    }

    /// How much of it is left, in the classes that make a difference.
    pub(super) fn left(&self) -> TimeLeft {
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

    /// Whether the run was asked to stop.
    pub(super) fn stopping(&self) -> bool {
        self.stop.asked()
    }

    /// Waits until the run is asked to stop.
    pub(super) async fn when_stopped(&self) {
        self.stop.when_asked().await;
    }

    /// Waits for the work, and gives it up when the run is over: `None` then.
    pub(super) async fn spend_on<F: Future>(&self, work: F) -> Option<F::Output> {
        in_time(self.deadline, &self.stop, work).await
    }

    /// Waits before another attempt, longer after each pause before it, and never into the time that the attempt needs.
    pub(super) async fn pause(&self, before: u8) {
        if self.stop.asked() {
            self.spend_on(sleep(HASTE)).await;
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
}

/// Waits for the work until the run is out of time, or was asked to stop long enough ago; `None` then. That is asked
/// before each step of the work and not of a timer alone: a process that was suspended for days must not wake up to the
/// next attempt of a write.
async fn in_time<F: Future>(deadline: Deadline, stop: &Stop, work: F) -> Option<F::Output> {
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
