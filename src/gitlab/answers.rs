//! What is made of one answer of GitLab's, whatever it is, without a connection. For tests and fuzzing that throw
//! arbitrary answers at the code that reads them; the client reads its answers with the same functions.

use super::answer::Answer;
use super::cause::Doing;
use super::client::Outcome;
use super::refusals;
use super::variables::{Expected, conclude, differs, rows};
use super::{Variable, VariableOwner};
use crate::failure::{Failure, Written};
use crate::secret::Secret;

/// Reads the answer to the question for one page of variables.
///
/// # Errors
///
/// When it is anything but a page of variables.
pub fn page(status: u16, html: bool, body: &[u8]) -> Result<Vec<Variable>, Failure> {
    let owner = VariableOwner::Group("g".to_owned());
    rows(&answer(status, html, body), &doing(&owner))
}

/// Judges the answer to the only attempt to write this value to the variable `K`, scope `*`, with the description `d`.
pub fn written(status: u16, html: bool, body: &[u8], value: &Secret) -> Written<Variable> {
    let owner = VariableOwner::Group("g".to_owned());
    let answer = answer(status, html, body);
    let outcome = if (200..300).contains(&status) {
        Outcome::Answered(answer)
    } else {
        let cause = refusals::of_answer(&answer, Some(&owner));
        if refusals::is_refusal(&answer) {
            Outcome::Refused(cause)
        } else {
            Outcome::Unclear(cause)
        }
    };
    let expected = Expected {
        key: "K",
        scope: "*",
        value,
        description: "d",
    };
    conclude(outcome, &doing(&owner), value, |variable| {
        differs(variable, &expected)
    })
}

fn answer(status: u16, html: bool, body: &[u8]) -> Answer {
    Answer {
        status,
        html,
        next_page: None,
        total: None,
        retry_after: None,
        body: body.to_vec(),
    }
}

fn doing(owner: &VariableOwner) -> Doing<'_> {
    Doing {
        failed: "K was not changed".to_owned(),
        unclear: "It is not known whether K was changed".to_owned(),
        owner: Some(owner),
    }
}
