//! Performing one step. Each sends one change and says what is known of it; what follows is for the planner to decide.

use planner::{Facts, Intent, Journal, KeyId, Marker, Step, TimeLeft, Told};

use super::budget::PROOF_BUDGET;
use super::{Rotation, observe};
use crate::failure::{Failure, Written};
use crate::gitlab::{NewVariable, Variable, Version, find, marker};
use crate::reason::Reason;
use crate::secret::{KeyPair, Secret};
use crate::settings::TargetSpec;

/// Variables can be created hidden from this version on.
const HIDES: Version = Version { major: 17, minor: 4 };
/// What a person reads beside the intent record.
const JOURNAL_DESCRIPTION: &str =
    "keyturn: when a new access key was last about to be created. Not a secret; do not edit.";

/// A step that was not done, or may not have been.
pub(super) enum NotDone {
    /// It did not take effect and will not.
    Refused(Failure),
    /// Nobody can say.
    Unclear(Failure),
}

impl NotDone {
    pub(super) fn failure(&self) -> &Failure {
        match self {
            NotDone::Refused(failure) | NotDone::Unclear(failure) => failure,
        }
    }

    pub(super) fn into_failure(self) -> Failure {
        match self {
            NotDone::Refused(failure) | NotDone::Unclear(failure) => failure,
        }
    }
}

impl<T> Written<T> {
    fn done(self) -> Result<T, NotDone> {
        match self {
            Written::Done(done) => Ok(done),
            Written::Refused(failure) => Err(NotDone::Refused(failure)),
            Written::Unclear(failure) => Err(NotDone::Unclear(failure)),
        }
    }
}

impl Rotation {
    pub(super) async fn perform(&mut self, step: Step, facts: &mut Facts) -> Result<Told, NotDone> {
        match step {
            Step::Journal => {
                self.check_rights(facts).await?;
                self.write_intent(facts, false).await?;
            }
            Step::CloseIntent => self.write_intent(facts, true).await?,
            Step::Create => {
                self.check_rights(facts).await?;
                let key = self.create(facts).await?;
                self.done(step);
                facts.full = false;
                return Ok(Told::Created(key));
            }
            Step::Verify { key } => return self.verify(key).await,
            Step::WriteSecret { target, key } => {
                let secret = self.in_hand(key)?.secret;
                let name = self.place(target)?.secret;
                // Hidden only where one target is all there is: else a crash between two could not be finished.
                let hidden = self.spec.targets.len() == 1 && self.version >= HIDES;
                let marker = self.marker(key, None)?;
                self.write(target, &name, &secret, marker, hidden).await?;
                self.fold(facts).await?;
            }
            Step::WriteId { target, key, prev } => {
                let name = self.place(target)?.id;
                let marker = self.marker(key, prev)?;
                self.write(target, &name, &Secret::new(key.as_str()), marker, false)
                    .await?;
                self.fold(facts).await?;
            }
            Step::SwitchSigner { key } => {
                self.aws = self.aws.signed_by(&self.in_hand(key)?);
                return Ok(Told::Done);
            }
            Step::Deactivate { key } => {
                self.aws.deactivate_key(&self.user, key).await.done()?;
            }
            Step::Delete { key } | Step::Undo { key } => {
                self.aws.delete_key(&self.user, key).await.done()?;
            }
        }
        self.done(step);
        facts.full = false;
        Ok(Told::Done)
    }

    /// A key that can't be retired later takes the second place for good, so it isn't created; unless no pair works that
    /// could be rotated later.
    async fn check_rights(&mut self, facts: &Facts) -> Result<(), NotDone> {
        if self.may_retire {
            return Ok(());
        }
        let held = planner::holdings(facts, &self.policy);
        let all_dead = held.iter().all(|(holds, _)| *holds == planner::Holds::Unknown);
        match self.aws.may_retire(&self.user).await {
            Err(failure) if all_dead && failure.reason == Reason::AccessDenied => {
                self.warnings
                    .say(format!("{}, and one is needed all the same", failure.message));
            }
            other => other.map_err(NotDone::Refused)?,
        }
        self.may_retire = true;
        if self.time_left() < TimeLeft::Ample {
            let late =
                "no key was created: IAM took so long to answer that there is no time to prove and write one";
            return Err(NotDone::Refused(Failure::incomplete(Reason::OutOfTime, late)));
        }
        Ok(())
    }

    /// The intent record: the canary of the write, before a key exists. A closed one says that none came of it.
    async fn write_intent(&mut self, facts: &mut Facts, closed: bool) -> Result<(), NotDone> {
        let Some(name) = self.spec.journal.clone() else {
            return Ok(());
        };
        let at = facts.clocks.aws;
        let present = self.present(0, &name)?.and_then(|journal| journal.value);
        let others = present.as_ref().map_or("", Secret::expose);
        let user = self.journal_name();
        let text = Secret::new(marker::with_intent(others, &user, at, &self.run_name, closed));
        let written = self
            .put(
                0,
                &name,
                &text,
                JOURNAL_DESCRIPTION,
                Attributes {
                    masked: false,
                    hidden: false,
                },
            )
            .await;
        match written {
            // The canary is also the proof that this server keeps descriptions, which the markers need.
            Ok(variable) if variable.description.as_deref() != Some(JOURNAL_DESCRIPTION) => {
                return Err(NotDone::Refused(Failure::blocked(
                    Reason::NoDescriptions,
                    "no key was created: this GitLab does not keep the descriptions of variables",
                    "Use GitLab 16.9 or newer.",
                )));
            }
            Ok(_) => {}
            Err(not_done) => return Err(not_done),
        }
        facts.journal = Journal::Read((!closed).then_some(Intent { at, own: true }));
        Ok(())
    }

    async fn create(&mut self, facts: &mut Facts) -> Result<KeyId, NotDone> {
        let new = self.aws.create_key(&self.user).await.done()?;
        let key = observe::fresh(new.pair.id, new.created);
        self.created = Some(key);
        self.keyring.keep(new.pair);
        facts.keys.push(key);
        Ok(key.id)
    }

    /// Proves the new key. A request to stop ends the proof, because nothing of the key is out yet.
    async fn verify(&mut self, key: KeyId) -> Result<Told, NotDone> {
        let pair = self.in_hand(key)?;
        let proof = tokio::select! {
            proof = self.aws.prove(&pair, &self.account, &self.user, self.spec.settle, PROOF_BUDGET) => proof,
            () = self.stop.when_asked() => return Ok(Told::Stopped),
        };
        Ok(match proof {
            Ok(()) => {
                self.done(Step::Verify { key });
                Told::Done
            }
            Err(unproved) => {
                self.trouble = Some(unproved.into_failure());
                Told::NotProved
            }
        })
    }

    /// Writes one half of a pair with its marker, in one request.
    async fn write(
        &mut self,
        target: usize,
        name: &str,
        value: &Secret,
        note: Marker,
        hidden: bool,
    ) -> Result<(), NotDone> {
        let present = self.present(target, name)?;
        let (own_text, _) = marker::parse(
            present
                .as_ref()
                .and_then(|variable| variable.description.as_deref()),
        );
        let description = marker::write(&own_text, &note);
        self.put(
            target,
            name,
            value,
            &description,
            Attributes { masked: true, hidden },
        )
        .await?;
        Ok(())
    }

    /// Updates the variable where it exists and creates it where it does not. `masked` and `hidden` are for new ones:
    /// the attributes of a variable that exists are its owner's.
    async fn put(
        &mut self,
        target: usize,
        name: &str,
        value: &Secret,
        description: &str,
        attributes: Attributes,
    ) -> Result<Variable, NotDone> {
        let TargetSpec { container, scope, .. } = self.place(target)?;
        let written = if self.present(target, name)?.is_some() {
            self.gitlab
                .update(&container, name, &scope, value, description)
                .await
        } else {
            let new = NewVariable {
                key: name.to_owned(),
                value: value.clone(),
                description: description.to_owned(),
                masked: attributes.masked,
                hidden: attributes.hidden,
                raw: true,
                protected: self.spec.protected,
                scope: scope.to_string(),
            };
            self.gitlab.create(&container, &new).await
        };
        let variable = written.done()?;
        if let Some(Ok(variables)) = self.seen.get_mut(target) {
            variables.retain(|seen| seen.key != name || seen.environment_scope != *scope);
            variables.push(variable.clone());
        }
        Ok(variable)
    }

    /// The answer of a write is an observation too.
    async fn fold(&mut self, facts: &mut Facts) -> Result<(), NotDone> {
        let keys = facts.keys.clone();
        *facts = self.facts(keys, false).await.map_err(NotDone::Unclear)?;
        Ok(())
    }

    fn place(&self, target: usize) -> Result<TargetSpec, NotDone> {
        let place = self.spec.targets.get(target).cloned();
        place.ok_or_else(|| NotDone::Refused(unexpected("there is no such target")))
    }

    fn present(&self, target: usize, name: &str) -> Result<Option<Variable>, NotDone> {
        match self.seen.get(target) {
            Some(Ok(variables)) => Ok(find(variables, name, &self.place(target)?.scope)
                .map_err(NotDone::Refused)?
                .cloned()),
            Some(Err(failure)) => Err(NotDone::Refused(failure.clone())),
            None => Ok(None),
        }
    }

    /// Markers carry GitLab's time, because they are compared with it.
    fn marker(&self, key: KeyId, prev: Option<KeyId>) -> Result<Marker, NotDone> {
        let at = self
            .gitlab
            .clock()
            .now()
            .ok_or(NotDone::Refused(unexpected("GitLab has no clock")))?;
        Ok(Marker { key, at, prev })
    }

    fn in_hand(&self, key: KeyId) -> Result<KeyPair, NotDone> {
        let found = self.keyring.pair(key).cloned();
        found.ok_or(NotDone::Refused(unexpected("the secret is not in hand")))
    }
}

/// Attributes of a variable that is created.
struct Attributes {
    masked: bool,
    hidden: bool,
}

pub(super) fn unexpected(why: &str) -> Failure {
    Failure {
        class: crate::failure::Class::Unexpected,
        reason: Reason::Unexpected,
        message: format!("the step was not performed: {why}"),
        advice: "Report this as a defect.".to_owned(),
    }
}
