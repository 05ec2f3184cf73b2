//! Why something at GitLab did not happen, and the words in which it is told.

use super::VariableOwner;
use crate::failure::{Class, Failure};
use crate::reason::Reason;
use crate::secret::Secret;

/// So many characters in a row are a piece of a secret and no accident.
const PIECE: usize = 8;

/// What a request is for, in the words that its failure begins with.
pub(super) struct Doing<'a> {
    /// Such as "The variables of group/42 were not read".
    pub(super) failed: String,
    /// Such as "It is not known whether …". Only for writes.
    pub(super) unclear: String,
    /// Whose variables they are.
    pub(super) owner: Option<&'a VariableOwner>,
}

impl Doing<'_> {
    /// A read of what no group or project owns.
    pub(super) fn plain(failed: &str) -> Doing<'static> {
        Doing {
            failed: failed.to_owned(),
            unclear: String::new(),
            owner: None,
        }
    }
}

/// Why something did not happen; what that was is added last.
#[derive(Clone, Debug)]
pub(super) struct Cause {
    pub(super) class: Class,
    pub(super) reason: Reason,
    pub(super) text: String,
    pub(super) advice: String,
}

impl Cause {
    /// With the class and the advice that go with the reason.
    pub(super) fn of(reason: Reason, text: impl Into<String>) -> Cause {
        let Failure {
            class,
            reason,
            message,
            advice,
        } = Failure::of(reason, text);
        Cause {
            class,
            reason,
            text: message,
            advice,
        }
    }

    pub(super) fn blocked(reason: Reason, text: impl Into<String>, advice: impl Into<String>) -> Cause {
        Cause {
            class: Class::Blocked,
            reason,
            text: text.into(),
            advice: advice.into(),
        }
    }

    pub(super) fn incomplete(reason: Reason, text: impl Into<String>) -> Cause {
        Cause {
            class: Class::Incomplete,
            reason,
            text: text.into(),
            advice: "Run again; it is safe.".to_owned(),
        }
    }

    /// It did not happen.
    pub(super) fn failed(self, doing: &Doing<'_>) -> Failure {
        Failure {
            class: self.class,
            reason: self.reason,
            message: format!("{}: {}", doing.failed, self.text),
            advice: self.advice,
        }
    }

    /// Nobody can say whether it happened, so running again is what there is to do, whatever the cause.
    pub(super) fn unclear(self, doing: &Doing<'_>) -> Failure {
        Failure {
            class: Class::Incomplete,
            reason: self.reason,
            message: format!("{}: {}", doing.unclear, self.text),
            advice: self.advice,
        }
    }

    /// An earlier attempt whose outcome is unknown, and what became of a later one.
    pub(super) fn then(self, later: Cause) -> Cause {
        Cause {
            text: format!(
                "{}; a later attempt did not take effect: {}",
                self.text, later.text
            ),
            ..later
        }
    }

    /// The last net: should an error text repeat what was sent, or a piece of it that a cut has left, it goes.
    pub(super) fn without(mut self, secret: &Secret) -> Cause {
        let value: Vec<char> = secret.expose().chars().collect();
        let repeats = |piece: &[char]| self.text.contains(&piece.iter().collect::<String>());
        let repeated = if value.len() < PIECE {
            !value.is_empty() && repeats(&value)
        } else {
            value.windows(PIECE).any(repeats)
        };
        if repeated {
            self.text = "GitLab's answer repeats the value, so it is not shown".to_owned();
        }
        self
    }
}
