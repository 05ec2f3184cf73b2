//! The servers' clocks. keyturn computes every age from the `Date` headers of the answers it gets, so a runner whose
//! clock is a day off neither cuts a grace short nor stretches it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use jiff::fmt::rfc2822;
use planner::Timestamp;

/// The clock of one server, as its answers show it. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct ServerClock {
    seen: Arc<Mutex<Option<(Timestamp, Instant)>>>,
}

impl ServerClock {
    /// Notes the `Date` header of an answer. A header that is no date is ignored.
    pub fn note(&self, date: &str) {
        if let Ok(zoned) = rfc2822::parse(date) {
            let at = Timestamp(zoned.timestamp().as_second());
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, Instant::now()));
        }
    }

    /// The server's time now; `None` before its first answer.
    pub fn now(&self) -> Option<Timestamp> {
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.map(|(at, when)| at.after(when.elapsed()))
    }
}

/// Until when a run may go on. It is told by two clocks, because the monotonic one stands still while a machine is
/// suspended: a run that wakes up the next day sends nothing more.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    monotonic: Instant,
    wall: SystemTime,
}

#[expect(
    clippy::disallowed_methods,
    reason = "a time span on this machine, no key's age; a wrong clock that is put right can only end the run early"
)]
impl Deadline {
    /// So long from now.
    pub fn after(left: Duration) -> Deadline {
        Deadline {
            monotonic: Instant::now() + left,
            wall: SystemTime::now() + left,
        }
    }

    #[cfg(test)]
    pub(crate) fn at(monotonic: Instant, wall: SystemTime) -> Deadline {
        Deadline { monotonic, wall }
    }

    /// What is left, by the clock that says less.
    pub fn left(&self) -> Duration {
        let monotonic = self.monotonic.saturating_duration_since(Instant::now());
        let wall = self.wall.duration_since(SystemTime::now()).unwrap_or_default();
        monotonic.min(wall)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant, SystemTime};

    use super::{Deadline, ServerClock};
    use planner::Timestamp;

    #[test]
    fn a_machine_that_slept_has_no_time_left() {
        let day = Duration::from_secs(24 * 60 * 60);
        let slept = Deadline {
            wall: SystemTime::UNIX_EPOCH,
            ..Deadline::after(day)
        };
        assert_eq!(slept.left(), Duration::ZERO);
        let set_back = Deadline {
            monotonic: Instant::now(),
            ..Deadline::after(day)
        };
        assert_eq!(set_back.left(), Duration::ZERO);
    }

    #[test]
    fn the_date_of_an_answer_is_the_time() {
        let clock = ServerClock::default();
        assert_eq!(clock.now(), None);
        clock.note("Sun, 22 Nov 2026 03:00:07 GMT");
        assert_eq!(clock.now(), Some(Timestamp(1_795_316_407)));
        clock.note("no date");
        assert_eq!(clock.now(), Some(Timestamp(1_795_316_407)));
    }
}
