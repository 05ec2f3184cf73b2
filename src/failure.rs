//! What can go wrong, by what it means for the person who reads it.

use planner::Cause;

use crate::reason::Reason;

pub use crate::reason::Class;

/// A failure: its class, a reason for scripts, a sentence that begins with what did not happen, and advice.
///
/// No text in it comes from a place that can hold a secret: bodies of answers are never quoted, except for the
/// documented error fields of GitLab's and AWS's error documents.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// How the run ends.
    pub class: Class,
    /// Why, as a word for scripts.
    pub reason: Reason,
    /// What did not happen, and why.
    pub message: String,
    /// What to do next.
    pub advice: String,
}

impl Failure {
    /// A failure that ends a run as its reason usually does, with the advice that goes with it.
    pub fn of(reason: Reason, message: impl Into<String>) -> Failure {
        Failure {
            class: reason.class(),
            reason,
            message: message.into(),
            advice: reason.advice().unwrap_or(reason.explanation().to_do).to_owned(),
        }
    }

    /// A failure that a person must resolve.
    pub fn blocked(reason: Reason, message: impl Into<String>, advice: impl Into<String>) -> Failure {
        Failure {
            class: Class::Blocked,
            reason,
            message: message.into(),
            advice: advice.into(),
        }
    }

    /// A failure that may be gone when keyturn runs again.
    pub fn incomplete(reason: Reason, message: impl Into<String>) -> Failure {
        Failure {
            class: Class::Incomplete,
            reason,
            message: message.into(),
            advice: "Run again; it is safe.".into(),
        }
    }

    /// A setting that can't be used.
    pub fn settings(reason: Reason, message: impl Into<String>, advice: impl Into<String>) -> Failure {
        Failure {
            class: Class::Settings,
            reason,
            message: message.into(),
            advice: advice.into(),
        }
    }
}

impl Failure {
    /// Whether it can pass by itself.
    pub fn cause(&self) -> Cause {
        match self.class {
            Class::Incomplete => Cause::Passing,
            Class::Converged | Class::Waiting | Class::Settings | Class::Blocked | Class::Unexpected => {
                Cause::Lasting
            }
        }
    }
}

/// The outcome of a request that changes something.
#[derive(Debug)]
#[must_use = "an outcome that nobody looks at is how pipelines are locked out"]
pub enum Written<T> {
    /// It took effect, and the answer matches what was sent.
    Done(T),
    /// It did not take effect and will not: the server refused it with an error of its own.
    Refused(Failure),
    /// Nobody can say: it may have taken effect, or may yet.
    Unclear(Failure),
}
