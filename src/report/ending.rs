//! How a rotation ended, in words.

use std::fmt::Write as _;

use planner::{Block, Incomplete, Timestamp, Wait};

use crate::failure::Failure;
use crate::reason::{Class, Reason};

/// The end of a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// What it means for the exit code.
    pub class: Class,
    /// Why.
    pub reason: Reason,
    /// A sentence.
    pub message: String,
    /// What to do.
    pub advice: String,
    /// When another run can go on.
    pub next_run: Option<Timestamp>,
}

impl Ending {
    /// Nothing is left to do.
    pub fn converged(until: Option<Timestamp>) -> Ending {
        Ending {
            next_run: until,
            ..Ending::new(
                Reason::Converged,
                "every target holds the current key",
                "Nothing to do.",
            )
        }
    }

    /// A later run goes on.
    pub fn waiting(wait: Wait) -> Ending {
        Ending {
            next_run: wait.until(),
            ..Ending::new(wait.into(), wait.to_string(), wait.advice())
        }
    }

    /// A person must act.
    pub fn blocked(block: Block) -> Ending {
        Ending::new(block.into(), block.to_string(), block.advice())
    }

    /// The run was cut short.
    pub fn incomplete(why: Incomplete) -> Ending {
        Ending::new(why.into(), why.to_string(), why.advice())
    }

    /// A defect.
    pub fn unexpected(message: impl Into<String>) -> Ending {
        Ending::new(
            Reason::Unexpected,
            message,
            "Run again, and report this as a defect.",
        )
    }

    fn new(reason: Reason, message: impl Into<String>, advice: &str) -> Ending {
        Ending {
            class: reason.class(),
            reason,
            message: message.into(),
            advice: advice.to_owned(),
            next_run: None,
        }
    }

    /// Adds what a remote said.
    #[must_use]
    pub fn because(mut self, trouble: Option<&Failure>) -> Ending {
        if let Some(trouble) = trouble {
            let _ = write!(self.message, ": {}", trouble.message);
        }
        self
    }

    /// Adds what it is about.
    #[must_use]
    pub fn noting(mut self, what: Option<String>) -> Ending {
        if let Some(what) = what {
            let _ = write!(self.message, " ({what})");
        }
        self
    }

    /// Names the target whose pair this run leaves torn, if it does.
    #[must_use]
    pub fn with_torn(mut self, target: Option<String>) -> Ending {
        if let Some(target) = target {
            let _ = write!(
                self.message,
                "; {target} is torn until the next run: jobs that start now can't sign"
            );
        }
        self
    }
}

impl From<Failure> for Ending {
    fn from(failure: Failure) -> Ending {
        Ending {
            class: failure.class,
            reason: failure.reason,
            message: failure.message,
            advice: failure.advice,
            next_run: None,
        }
    }
}
