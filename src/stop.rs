//! The request to stop, SIGTERM: the request in flight and the pair it belongs to are finished, within a bound; nothing
//! else is begun.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// The request in flight, and the pair it belongs to, get this long. GitLab's runner and Kubernetes kill a job that is
/// still there a little later (10 s and 30 s by default).
const STOP_WITHIN: Duration = Duration::from_secs(8);
/// How often a long request looks for it.
const POLL: Duration = Duration::from_millis(100);

/// Whether, and since when, the process is asked to stop. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    since: Arc<OnceLock<Instant>>,
}

impl Stop {
    /// Asks to stop. Only the first time counts.
    pub fn ask(&self) {
        let _ = self.since.set(Instant::now());
    }

    /// Whether it was asked.
    pub fn asked(&self) -> bool {
        self.since.get().is_some()
    }

    /// Ends when it is asked.
    pub async fn when_asked(&self) {
        while !self.asked() {
            tokio::time::sleep(POLL).await;
        }
    }

    /// Whether the time after the request is used up.
    pub fn overdue(&self) -> bool {
        self.since
            .get()
            .is_some_and(|since| since.elapsed() >= STOP_WITHIN)
    }

    /// Ends when the time after the request is used up.
    pub async fn when_overdue(&self) {
        while !self.overdue() {
            tokio::time::sleep(POLL).await;
        }
    }
}
