//! The server's clock, which a test can move.
//!
//! A client of GitLab learns the time from the `Date` header only, so every response carries this clock and
//! never the machine's. Token expiry reads it too.

use std::time::{Duration, Instant};

use jiff::civil::Date;
use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Runs at the speed of the machine's monotonic clock, from any chosen instant, or stands until it is moved.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    origin: Timestamp,
    started: Instant,
    stands: bool,
    /// Set while a late change is carried out, so that it is dated when it was due.
    held: Option<Timestamp>,
}

impl Clock {
    /// A clock that shows `origin` now, or the machine's time if none is chosen.
    pub(super) fn starting(origin: Option<Timestamp>, stands: bool) -> Self {
        let origin = origin.unwrap_or_else(machine_time);
        Self {
            origin,
            started: Instant::now(),
            stands,
            held: None,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        let elapsed = if self.stands {
            Duration::ZERO
        } else {
            self.started.elapsed()
        };
        let elapsed = SignedDuration::try_from(elapsed).unwrap_or(SignedDuration::MAX);
        self.held.unwrap_or_else(|| shifted(self.origin, elapsed))
    }

    /// The day in UTC. A token that expires on day D stops working at 00:00 UTC on D.
    pub(super) fn today(&self) -> Date {
        self.now().to_zoned(TimeZone::UTC).date()
    }

    pub(super) fn advance(&mut self, by: Duration) {
        let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
        self.origin = shifted(self.origin, by);
    }

    pub(super) fn set(&mut self, to: Timestamp) {
        self.origin = to;
        self.started = Instant::now();
    }

    pub(super) fn hold(&mut self, at: Option<Timestamp>) {
        self.held = at;
    }
}

/// `Date` and `RateLimit-ResetTime` in the form HTTP asks for, e.g. `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(super) fn http_date(at: Timestamp) -> String {
    // Only years outside 0..=9999 can't be printed.
    DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&at)
        .unwrap_or_default()
}

/// `at` moved by `by`, stopping at the end of time rather than failing.
pub(super) fn shifted(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(if by.is_negative() {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

#[allow(
    clippy::disallowed_methods,
    reason = "the stand-in IS the server whose Date header the program reads; without a chosen start its clock \
              agrees with the other stand-ins only by starting from the machine's"
)]
fn machine_time() -> Timestamp {
    Timestamp::now()
}
