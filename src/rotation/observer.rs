//! A look: everything is read, nothing is concluded, and nothing can be written. GitLab is read first and the keys after it, so
//! that every key a variable refers to can be in the list.

use std::sync::Arc;

use planner::{
    Extent, Facts, IdValue, Key, KeyId, LastUsed, Pair, Proof, Run, SecretValue, Service, Status, Target,
};

use super::assignment::Assignment;
use super::keyring::Keyring;
use super::remotes::Reader;
use super::seen::Seen;
use crate::aws::{Answer, NewKey};
use crate::failure::Failure;
use crate::gitlab::Variable;
use crate::reason::Reason;
use crate::report::Command;
use crate::secret::{KeyPair, Secret};

/// Reads both remotes, and remembers of earlier looks what the next one may not show.
pub(super) struct Observer {
    assignment: Arc<Assignment>,
    seen: Seen,
    /// The key this run created, in case a list that lags does not show it.
    own: Option<Key>,
    /// Keys that somebody used, other than to ask STS.
    used: Vec<KeyId>,
    /// Why STS could not say whose a readable secret is.
    inconclusive: Option<Failure>,
    /// Why the last use of a key could not be read.
    use_unread: Option<Failure>,
}

/// What an observer is lent for a look.
pub(super) struct Lent<'a> {
    pub(super) reader: Reader<'a>,
    /// It knows the secrets that STS was asked about, and is given those that STS accepts.
    pub(super) keyring: &'a mut Keyring,
    /// What the planner knows of this run.
    pub(super) memory: &'a Run,
}

impl Observer {
    /// One that has seen nothing yet.
    pub(super) fn new(assignment: Arc<Assignment>) -> Observer {
        Observer {
            seen: Seen::nothing(Arc::clone(&assignment)),
            assignment,
            own: None,
            used: Vec::new(),
            inconclusive: None,
            use_unread: None,
        }
    }

    /// The variables as last seen.
    pub(super) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Why STS could not say whose a readable secret is, in the last look.
    pub(super) fn inconclusive(&self) -> Option<&Failure> {
        self.inconclusive.as_ref()
    }

    /// Why the last use of a key could not be read, in the last full look.
    pub(super) fn use_unread(&self) -> Option<&Failure> {
        self.use_unread.as_ref()
    }

    /// Folds in what GitLab answered to a write.
    pub(super) fn store(&mut self, target: usize, variable: Variable) {
        self.seen.store(target, variable);
    }

    /// The key that this run created exists, whatever a list shows.
    pub(super) fn created(&mut self, new: &NewKey) -> Key {
        *self.own.insert(Key {
            id: new.pair.id,
            status: Status::Active,
            created: new.created,
            last_used: LastUsed::Never,
        })
    }

    /// Reads every variable and every key, and in a full look when each was last used.
    pub(super) async fn look(&mut self, extent: Extent, with: Lent<'_>) -> Result<Facts, Failure> {
        self.read_variables(with.reader).await;
        // With a single target there is nothing to repair that was read.
        if let Some(failure) = self.seen.only_failure() {
            return Err(failure.clone());
        }
        let mut keys = self.list_keys(&with).await?;
        let full = extent == Extent::Full;
        if full {
            self.read_last_uses(&mut keys, with.reader).await?;
        }
        self.facts(keys, full, with).await
    }

    /// The observation, from the variables last seen and these keys.
    pub(super) async fn facts(
        &mut self,
        keys: Vec<Key>,
        full: bool,
        mut with: Lent<'_>,
    ) -> Result<Facts, Failure> {
        let mut targets = Vec::new();
        for at in 0..self.seen.len() {
            targets.push(self.target(at, &keys, &mut with).await?);
        }
        let held_elsewhere = |key: &KeyId| self.seen.places(*key).next().is_some();
        let elsewhere = keys.iter().map(|key| key.id).filter(held_elsewhere).collect();
        let (journal, alone) = self.seen.journal()?;
        Ok(Facts {
            clocks: with.reader.clocks()?,
            full,
            passing: self.seen.passing(),
            elsewhere,
            keys,
            targets,
            journal,
            alone,
            run: with.memory.clone(),
        })
    }

    async fn read_variables(&mut self, reader: Reader<'_>) {
        self.inconclusive = None;
        self.seen.clear();
        for target in &self.assignment.spec.targets {
            self.seen.add(reader.variables(&target.container).await);
        }
    }

    /// The user's keys. A key that this run created exists even where the list does not show it yet, and one that it deleted
    /// is gone even where the list still shows it.
    async fn list_keys(&self, with: &Lent<'_>) -> Result<Vec<Key>, Failure> {
        let Run { gone, undo, .. } = with.memory;
        let mut keys = with.reader.list_keys(&self.assignment.identity.user).await?;
        keys.retain(|key| !gone.contains(&key.id));
        let own = self
            .own
            .filter(|own| !undo && !keys.iter().any(|key| key.id == own.id));
        keys.extend(own);
        Ok(keys)
    }

    /// When the keys were last used, of those where it makes a difference; a plan also tells of later steps. It is read before
    /// STS is asked whose a secret is, which is a use too.
    async fn read_last_uses(&mut self, keys: &mut [Key], reader: Reader<'_>) -> Result<(), Failure> {
        self.use_unread = None;
        let mut targets = Vec::new();
        for at in 0..self.seen.len() {
            let (target, _) = self.seen.unproved(at)?;
            targets.push(target);
        }
        let (all, policy) = (self.assignment.command == Command::Plan, self.assignment.policy);
        let asked = |key: &&mut Key| all || planner::last_use_matters(&targets, &policy, key.id);
        for key in keys.iter_mut().filter(asked) {
            match reader.last_used(key.id).await {
                Ok(used) => key.last_used = self.not_by_this_run(key.id, used),
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

    async fn target(&mut self, at: usize, keys: &[Key], with: &mut Lent<'_>) -> Result<Target, Failure> {
        let (mut target, secret) = self.seen.unproved(at)?;
        if let (Target::Seen(pair), Some(secret)) = (&mut target, secret.cloned()) {
            pair.secret.value = SecretValue::Readable(self.whose(&secret, pair, keys, with).await);
        }
        Ok(target)
    }

    /// Asks STS whose a readable secret is: first the key its marker names, then the one beside it, then the others.
    async fn whose(&mut self, secret: &Secret, pair: &Pair, keys: &[Key], with: &mut Lent<'_>) -> Proof {
        if let Some(key) = with.keyring.key_of(secret, keys) {
            return Proof::Of(key);
        }
        if secret.expose().is_empty() {
            return Proof::Empty;
        }
        let noted = pair.secret.marker.map(|marker| marker.key);
        let beside = match pair.id.value {
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
            match with.reader.ask(&pair).await {
                Answer::Accepted(caller) if self.assignment.identity.is(&caller) => {
                    with.keyring.keep(pair);
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
            let pair = KeyPair {
                id,
                secret: secret.clone(),
            };
            match with.reader.ask(&pair).await {
                Answer::Accepted(caller) if self.assignment.identity.is(&caller) => return Proof::Of(id),
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
}
