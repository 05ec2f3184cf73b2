//! Points in time, as servers give them.

use std::fmt;
use std::time::Duration;

/// A point in time in whole seconds since 1970-01-01T00:00:00Z. HTTP's `Date`, IAM's `CreateDate` and the markers all
/// have this resolution.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The time that has passed since `earlier`; zero when `earlier` lies in the future.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_secs(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The distance between two points in time, whichever is first.
    pub fn distance(self, other: Timestamp) -> Duration {
        Duration::from_secs(self.0.abs_diff(other.0))
    }

    /// The point in time `later` after this one.
    pub fn after(self, later: Duration) -> Timestamp {
        Timestamp(
            self.0
                .saturating_add(i64::try_from(later.as_secs()).unwrap_or(i64::MAX)),
        )
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0)
    }
}
