//! The variables as last seen: what they say without asking anybody.

use std::sync::Arc;

use planner::{Cause, IdHalf, IdValue, Journal, KeyId, Pair, Proof, SecretHalf, SecretValue, Target};

use super::assignment::Assignment;
use crate::failure::Failure;
use crate::gitlab::{Variable, find, marker, other_scopes};
use crate::reason::Reason;
use crate::secret::Secret;

/// The variables of each target's container, with the answers of writes folded in.
pub(super) struct Seen {
    assignment: Arc<Assignment>,
    containers: Vec<Result<Vec<Variable>, Failure>>,
}

impl Seen {
    /// Before the first look.
    pub(super) fn nothing(assignment: Arc<Assignment>) -> Seen {
        Seen {
            assignment,
            containers: Vec::new(),
        }
    }

    /// Forgets everything, for a new look.
    pub(super) fn clear(&mut self) {
        self.containers.clear();
    }

    /// The next container of a look, in the order of the targets.
    pub(super) fn add(&mut self, container: Result<Vec<Variable>, Failure>) {
        self.containers.push(container);
    }

    /// Folds in what GitLab answered to a write.
    pub(super) fn store(&mut self, target: usize, variable: Variable) {
        if let Some(Ok(variables)) = self.containers.get_mut(target) {
            variables.retain(|seen| {
                seen.key != variable.key || seen.environment_scope != variable.environment_scope
            });
            variables.push(variable);
        }
    }

    /// How many targets there are.
    pub(super) fn len(&self) -> usize {
        self.containers.len()
    }

    /// What was asked for of the rotation that this was seen for.
    pub(super) fn assignment(&self) -> &Assignment {
        &self.assignment
    }

    /// The variables of a target's container, if they could be read.
    pub(super) fn variables(&self, target: usize) -> Option<&[Variable]> {
        self.containers.get(target)?.as_deref().ok()
    }

    /// Why a target could not be read.
    pub(super) fn failure(&self, target: usize) -> Option<&Failure> {
        self.containers.get(target)?.as_ref().err()
    }

    /// Why the only target could not be read.
    pub(super) fn only_failure(&self) -> Option<&Failure> {
        match self.containers.as_slice() {
            [Err(failure)] => Some(failure),
            _ => None,
        }
    }

    /// Whether what kept a target from being read may pass by itself.
    pub(super) fn passing(&self) -> bool {
        let mut failures = self.containers.iter().filter_map(|seen| seen.as_ref().err());
        failures.any(|failure| failure.cause() == Cause::Passing)
    }

    /// The variable of a target's scope with this name.
    pub(super) fn present(&self, target: usize, name: &str) -> Result<Option<&Variable>, Failure> {
        let (Some(seen), Some(place)) = (self.containers.get(target), self.assignment.target(target)) else {
            return Ok(None);
        };
        match seen {
            Ok(variables) => find(variables, name, &place.scope),
            Err(failure) => Err(failure.clone()),
        }
    }

    /// Where the id of a key stands besides in the targets: anywhere inside the value of another variable of the containers,
    /// such as a credentials file or JSON. keyturn's journals are no such place, and neither is what its owner says is none.
    pub(super) fn places(&self, key: KeyId) -> impl Iterator<Item = String> {
        let all = self.assignment.spec.targets.iter().zip(&self.containers);
        all.flat_map(|(target, seen)| {
            let variables = seen.iter().flatten();
            variables.map(move |variable| (target, variable))
        })
        .filter(|(target, variable)| {
            let halves: [&str; 2] = [&target.id, &target.secret];
            variable.environment_scope != *target.scope || !halves.contains(&variable.key.as_str())
        })
        .filter(move |(_, variable)| {
            let holds =
                |value: &Secret| value.expose().contains(key.as_str()) && !marker::is_journal(value.expose());
            variable.value.as_ref().is_some_and(holds)
                && !marker::says(variable.description.as_deref(), marker::IGNORE)
        })
        .map(|(target, variable)| {
            format!(
                "{}/{}@{}",
                target.container, variable.key, variable.environment_scope
            )
        })
    }

    /// The intent record, and whether the journal has a record of this user and of nobody else.
    pub(super) fn journal(&self) -> Result<(Journal, bool), Failure> {
        let Assignment { spec, identity, .. } = &*self.assignment;
        let (Some(name), Some(beside)) = (&spec.journal, spec.targets.first()) else {
            return Ok((Journal::Read(None), false));
        };
        let Some(Ok(variables)) = self.containers.first() else {
            return Ok((Journal::Unread, false));
        };
        let Some(variable) = find(variables, name, &beside.scope)? else {
            return Ok((Journal::Read(None), false));
        };
        let text = variable.value.as_ref().map(Secret::expose);
        let Some(text) = text.filter(|text| text.trim().is_empty() || marker::is_journal(text)) else {
            return Ok((Journal::Taken, false));
        };
        let user = identity.journal_name();
        let intent = marker::parse_intent(text, &user, &identity.run_name);
        // Journals of other names count: somebody else's rotation may keep its own beside this one.
        let mut journals = variables.iter().filter_map(|variable| variable.value.as_ref());
        let others = journals.any(|value| marker::has_others(value.expose(), &user));
        Ok((
            Journal::Read(intent),
            marker::has_record_of(text, &user) && !others,
        ))
    }

    /// A target without a proof whose its secret is, and the secret if it can be read.
    pub(super) fn unproved<'a>(&'a self, at: usize) -> Result<(Target, Option<&'a Secret>), Failure> {
        let (Some(target), Some(Ok(variables))) = (self.assignment.target(at), self.containers.get(at))
        else {
            return Ok((Target::Unread, None));
        };
        let id = in_scope(variables, &target.id, &target.scope)?;
        let secret = in_scope(variables, &target.secret, &target.scope)?;
        let described =
            |variable: Option<&'a Variable>| variable.and_then(|found| found.description.as_deref());
        let (id_text, secret_text) = (described(id), described(secret));
        let hold = [id_text, secret_text]
            .into_iter()
            .any(|text| marker::says(text, marker::HOLD));
        let id = IdHalf {
            value: id_value(id),
            marker: marker::parse(id_text).1,
        };
        let (value, text) = match secret {
            None => (SecretValue::Missing, None),
            Some(Variable { value: None, .. }) => (SecretValue::Hidden, None),
            Some(Variable {
                value: Some(text), ..
            }) => (SecretValue::Readable(Proof::Inconclusive), Some(text)),
        };
        let secret = SecretHalf {
            value,
            marker: marker::parse(secret_text).1,
        };
        Ok((Target::Seen(Pair { id, secret, hold }), text))
    }
}

/// The variable of exactly this scope. One that exists in other scopes only is refused: jobs may see that one instead,
/// and a person has to say which is meant.
fn in_scope<'a>(variables: &'a [Variable], key: &str, scope: &str) -> Result<Option<&'a Variable>, Failure> {
    let found = find(variables, key, scope)?;
    let others = other_scopes(variables, key, scope);
    if found.is_none() && !others.is_empty() {
        return Err(Failure::blocked(
            Reason::AmbiguousVariable,
            format!(
                "nothing was changed: {key} has no scope {scope}, only {}",
                others.join(", ")
            ),
            "Set KEYTURN_ENVIRONMENT_SCOPE to the scope of the pair.",
        ));
    }
    if let Some(variable) = found.filter(|variable| variable.is_reference()) {
        return Err(Failure::blocked(
            Reason::Reference,
            format!(
                "nothing was changed: {} refers to another variable, and writing would cut that link",
                variable.key
            ),
            "Name the variable it refers to in KEYTURN_ACCESS_KEY_ID_VARIABLE or KEYTURN_SECRET_ACCESS_KEY_VARIABLE.",
        ));
    }
    Ok(found)
}

fn id_value(variable: Option<&Variable>) -> IdValue {
    match variable {
        None => IdValue::Missing,
        Some(Variable { value: None, .. }) => IdValue::Hidden,
        Some(Variable {
            value: Some(value), ..
        }) if value.expose().is_empty() => IdValue::Empty,
        Some(Variable {
            value: Some(value), ..
        // With a blank or a line end around it, no job can sign with it.
        }) => KeyId::parse(value.expose()).map_or(IdValue::NotAKey, IdValue::Key),
    }
}
