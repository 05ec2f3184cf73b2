//! A full look: everything is read, nothing is concluded. GitLab is read first and the keys after it, so that every key
//! a variable refers to can be in the list.

use planner::{
    Cause, Clocks, Extent, Facts, IdHalf, IdValue, Journal, Key, KeyId, LastUsed, Pair, Proof, SecretHalf,
    SecretValue, Service, Status, Target,
};

use super::Rotation;
use crate::aws::{Answer, CallerKind};
use crate::failure::Failure;
use crate::gitlab::{Variable, find, marker, other_scopes};
use crate::reason::Reason;
use crate::report::Command;
use crate::secret::{KeyPair, Secret};

impl Rotation {
    /// Reads every variable and every key, and in a full look when each was last used.
    pub(super) async fn look(&mut self, extent: Extent) -> Result<Facts, Failure> {
        self.read_variables().await;
        // With a single target there is nothing to repair that was read.
        if let [Err(failure)] = self.seen.as_slice() {
            return Err(failure.clone());
        }
        let mut keys = self.list_keys().await?;
        let full = extent == Extent::Full;
        if full {
            self.read_last_uses(&mut keys).await?;
        }
        self.facts(keys, full).await
    }

    /// When the keys were last used, of those where it makes a difference; a plan also tells of later steps. It is read before
    /// STS is asked whose a secret is, which is a use too.
    async fn read_last_uses(&mut self, keys: &mut [Key]) -> Result<(), Failure> {
        self.use_unread = None;
        let mut targets = Vec::new();
        for at in 0..self.seen.len() {
            let (target, _) = self.unproved(at)?;
            targets.push(target);
        }
        let (all, policy) = (self.command == Command::Plan, self.policy);
        let asked = |key: &&mut Key| all || planner::last_use_matters(&targets, &policy, key.id);
        for key in keys.iter_mut().filter(asked) {
            match self.aws.last_used(key.id).await {
                Ok((used, _)) => key.last_used = self.not_by_this_run(key.id, used),
                // Unknown forbids to remove it, and nothing else: a torn pair is repaired all the same.
                Err(failure) => {
                    key.last_used = LastUsed::Unknown;
                    self.use_unread = Some(failure);
                }
            }
        }
        Ok(())
    }

    /// IAM keeps the latest use alone, and this run's own question to STS is one. A use by somebody that an earlier look of this
    /// run found is not forgotten for it.
    fn not_by_this_run(&mut self, key: KeyId, used: LastUsed) -> LastUsed {
        match used {
            LastUsed::At(at, Service::Sts) if self.used.contains(&key) => LastUsed::At(at, Service::Other),
            LastUsed::At(_, Service::Other) => {
                if !self.used.contains(&key) {
                    self.used.push(key);
                }
                used
            }
            LastUsed::At(_, Service::Sts) | LastUsed::Never | LastUsed::Unknown => used,
        }
    }

    pub(super) async fn read_variables(&mut self) {
        self.inconclusive = None;
        self.seen = Vec::new();
        for target in self.spec.targets.clone() {
            let seen = self.gitlab.variables(&target.container).await;
            self.seen.push(seen);
        }
    }

    /// The user's keys. A key that this run created exists even where the list does not show it yet.
    pub(super) async fn list_keys(&self) -> Result<Vec<Key>, Failure> {
        let mut keys = self.aws.list_keys(&self.user).await?;
        keys.retain(|key| !self.reconciler.run.gone.contains(&key.id));
        if let Some(own) = self
            .created
            .filter(|own| !self.reconciler.run.undo && !keys.iter().any(|key| key.id == own.id))
        {
            keys.push(own);
        }
        Ok(keys)
    }

    /// The observation, from the variables last seen and these keys.
    pub(super) async fn facts(&mut self, keys: Vec<Key>, full: bool) -> Result<Facts, Failure> {
        let mut targets = Vec::new();
        for at in 0..self.seen.len() {
            targets.push(self.target(at, &keys).await?);
        }
        let held_elsewhere = |key: &KeyId| self.places(*key).next().is_some();
        let elsewhere = keys.iter().map(|key| key.id).filter(held_elsewhere).collect();
        let (journal, alone) = self.journal()?;
        let mut failures = self.seen.iter().filter_map(|seen| seen.as_ref().err());
        let passing = failures.any(|failure| failure.cause() == Cause::Passing);
        Ok(Facts {
            clocks: self.clocks()?,
            full,
            passing,
            elsewhere,
            keys,
            targets,
            journal,
            alone,
            run: self.reconciler.run.clone(),
        })
    }

    /// Where the id of a key stands besides in the targets: anywhere inside the value of another variable of the containers,
    /// such as a credentials file or JSON. keyturn's journals are no such place, and neither is what its owner says is none.
    pub(super) fn places(&self, key: KeyId) -> impl Iterator<Item = String> {
        let all = self.spec.targets.iter().zip(&self.seen);
        all.flat_map(|(target, seen)| {
            let variables = seen.iter().flatten();
            variables.map(move |variable| (target, variable))
        })
        .filter(|(target, variable)| {
            let halves: [&str; 2] = [&target.id, &target.secret];
            variable.environment_scope != *target.scope || !halves.contains(&variable.key.as_str())
        })
        .filter(move |(_, variable)| {
            let holds = |value: &Secret| {
                value.expose().contains(key.as_str()) && !marker::is_all_journal(value.expose())
            };
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

    fn clocks(&self) -> Result<Clocks, Failure> {
        let missing = |server: &str| {
            Failure::incomplete(
                Reason::NoDate,
                format!("nothing was changed: the answers of {server} carry no usable Date"),
            )
        };
        Ok(Clocks {
            aws: self.aws.clock().now().ok_or_else(|| missing("AWS"))?,
            gitlab: self.gitlab.clock().now().ok_or_else(|| missing("GitLab"))?,
        })
    }

    /// The intent record, and whether the journal has a record of this user and of nobody else.
    fn journal(&self) -> Result<(Journal, bool), Failure> {
        let (Some(name), Some(beside)) = (&self.spec.journal, self.spec.targets.first()) else {
            return Ok((Journal::Read(None), false));
        };
        let Some(Ok(variables)) = self.seen.first() else {
            return Ok((Journal::Unread, false));
        };
        let Some(variable) = find(variables, name, &beside.scope)? else {
            return Ok((Journal::Read(None), false));
        };
        let text = variable.value.as_ref().map(Secret::expose);
        let Some(text) = text.filter(|text| text.trim().is_empty() || marker::is_journal(text)) else {
            return Ok((Journal::Taken, false));
        };
        let user = self.journal_name();
        let intent = marker::parse_intent(text, &user, &self.run_name);
        // Journals of other names count: somebody else's rotation may keep its own beside this one.
        let mut journals = variables.iter().filter_map(|variable| variable.value.as_ref());
        let others = journals.any(|value| marker::has_others(value.expose(), &user));
        Ok((Journal::Read(intent), intent.is_some() && !others))
    }

    async fn target(&mut self, at: usize, keys: &[Key]) -> Result<Target, Failure> {
        let (mut target, secret) = self.unproved(at)?;
        if let (Target::Seen(pair), Some(secret)) = (&mut target, secret) {
            let named = pair.secret.marker.map(|marker| marker.key);
            pair.secret.value = SecretValue::Readable(self.whose(&secret, named, pair.id.value, keys).await);
        }
        Ok(target)
    }

    /// A target without a proof whose its secret is, and the secret if it can be read.
    pub(super) fn unproved(&self, at: usize) -> Result<(Target, Option<Secret>), Failure> {
        let (Some(target), Some(Ok(variables))) = (self.spec.targets.get(at), self.seen.get(at)) else {
            return Ok((Target::Unread, None));
        };
        let id = in_scope(variables, &target.id, &target.scope)?;
        let secret = in_scope(variables, &target.secret, &target.scope)?;
        let described =
            |variable: &Option<Variable>| variable.as_ref().and_then(|found| found.description.clone());
        let (id_text, secret_text) = (described(&id), described(&secret));
        let hold = [&id_text, &secret_text]
            .into_iter()
            .any(|text| marker::says(text.as_deref(), marker::HOLD));
        let id = IdHalf {
            value: id_value(id.as_ref()),
            marker: marker::parse(id_text.as_deref()).1,
        };
        let (value, text) = match secret {
            None => (SecretValue::Missing, None),
            Some(Variable { value: None, .. }) => (SecretValue::Hidden, None),
            Some(Variable { value: text, .. }) => (SecretValue::Readable(Proof::Inconclusive), text),
        };
        let secret = SecretHalf {
            value,
            marker: marker::parse(secret_text.as_deref()).1,
        };
        Ok((Target::Seen(Pair { id, secret, hold }), text))
    }

    /// Asks STS whose a readable secret is: first the key its marker names, then the one beside it, then the others.
    async fn whose(&mut self, secret: &Secret, noted: Option<KeyId>, beside: IdValue, keys: &[Key]) -> Proof {
        if let Some(key) = self.keyring.key_of(secret, keys) {
            return Proof::Of(key);
        }
        if secret.expose().is_empty() {
            return Proof::Empty;
        }
        let beside = match beside {
            IdValue::Key(key) => Some(key),
            IdValue::NotAKey | IdValue::Empty | IdValue::Hidden | IdValue::Missing => None,
        };
        let mut candidates: Vec<KeyId> = keys
            .iter()
            .filter(|key| key.status == Status::Active)
            .map(|key| key.id)
            .collect();
        candidates.sort_by_key(|key| (Some(*key) != noted, Some(*key) != beside, *key));
        let mut inconclusive = false;
        for id in candidates {
            let pair = KeyPair {
                id,
                secret: secret.clone(),
            };
            match self.aws.ask(&pair).await {
                Answer::Accepted(caller) if self.is_user(&caller) => {
                    self.keyring.keep(pair);
                    return Proof::Of(id);
                }
                Answer::Accepted(_) => return Proof::OfSomebodyElse,
                Answer::WrongSecret => {}
                Answer::NotAccepted => {
                    inconclusive = true;
                    self.inconclusive = Some(Failure::incomplete(
                        Reason::KeyNotLive,
                        format!(
                            "nothing was changed: STS does not accept {id} yet, so it can't be told whose the secret is"
                        ),
                    ));
                }
                Answer::Unclear(failure) => {
                    inconclusive = true;
                    self.inconclusive = Some(failure);
                }
            }
        }
        if let Some(id) = beside.filter(|id| !keys.iter().any(|key| key.id == *id)) {
            match self
                .aws
                .ask(&KeyPair {
                    id,
                    secret: secret.clone(),
                })
                .await
            {
                Answer::Accepted(caller) if self.is_user(&caller) => return Proof::Of(id),
                Answer::Accepted(_) => return Proof::OfSomebodyElse,
                Answer::WrongSecret | Answer::NotAccepted => {}
                Answer::Unclear(failure) => {
                    inconclusive = true;
                    self.inconclusive = Some(failure);
                }
            }
        }
        if inconclusive {
            Proof::Inconclusive
        } else {
            Proof::OfNone
        }
    }

    fn is_user(&self, caller: &crate::aws::Caller) -> bool {
        caller.account == self.account
            && matches!(&caller.kind, CallerKind::User { name } if *name == self.user)
    }
}

/// A key as CreateAccessKey returns it.
pub(super) fn fresh(id: KeyId, created: planner::Timestamp) -> Key {
    Key {
        id,
        status: Status::Active,
        created,
        last_used: LastUsed::Never,
    }
}

/// The variable of exactly this scope. One that exists in other scopes only is refused: jobs may see that one instead,
/// and a person has to say which is meant.
fn in_scope(variables: &[Variable], key: &str, scope: &str) -> Result<Option<Variable>, Failure> {
    let found = find(variables, key, scope)?.cloned();
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
    if let Some(variable) = found.as_ref().filter(|variable| variable.is_reference()) {
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
