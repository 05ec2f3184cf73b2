//! The log, on stderr. What it may say is bounded by types: secrets can't be formatted.

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts the log with a filter such as `info` or `warn,keyturn=debug`.
pub fn start(filter: Targets) {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false)
        .without_time();
    // A second call, in tests, finds a log in place and keeps it.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
}
