//! The servers' clocks. keyturn computes every age from the `Date` headers of the answers it gets, so a runner whose
//! clock is a day off neither cuts a grace short nor stretches it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

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

#[cfg(test)]
mod tests {
    use super::ServerClock;
    use planner::Timestamp;

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
