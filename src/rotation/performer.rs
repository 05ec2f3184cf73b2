//! Performing one step. Each sends one change and says what is known of it; nothing is read, and what follows is for the planner
//! to decide.

use std::sync::Arc;

use planner::{Facts, Intent, KeyId, Marker, Step, TimeLeft};

use super::assignment::Assignment;
use super::budget::PROOF_BUDGET;
use super::keyring::Keyring;
use super::remotes::Writer;
use super::seen::Seen;
use super::time::Time;
use crate::aws::NewKey;
use crate::failure::{Class, Failure, Written};
use crate::gitlab::{NewVariable, Variable, marker};
use crate::reason::Reason;
use crate::secret::{KeyPair, Secret};
use crate::settings::TargetSpec;
use crate::warnings::Warnings;

/// What a person reads beside the intent record.
const JOURNAL_DESCRIPTION: &str =
    "keyturn: when a new access key was last about to be created. Not a secret; do not edit.";

/// Sends what the planner asks for.
pub(super) struct Performer {
    assignment: Arc<Assignment>,
    time: Time,
    warnings: Warnings,
    /// The identity that signs may deactivate and delete keys.
    may_retire: bool,
}

/// What a performer is lent for a step.
pub(super) struct Lent<'a> {
    pub(super) writer: Writer<'a>,
    pub(super) keyring: &'a Keyring,
    pub(super) seen: &'a Seen,
}

/// What the answer to a step that took effect shows.
pub(super) enum Effect {
    /// Nothing more than that.
    Done,
    /// The journal as GitLab stored it, and the intent that is open in it.
    Journaled(Variable, Option<Intent>),
    /// The new key. Its secret exists nowhere else.
    Created(NewKey),
    /// The new key works.
    Verified,
    /// The new key never became usable, or is not the user's.
    NotProved(Failure),
    /// The proof was given up because the run was asked to stop.
    Stopped,
    /// A target's half of a pair as GitLab stored it.
    Written(usize, Variable),
}

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

impl Performer {
    pub(super) fn new(assignment: Arc<Assignment>, time: Time, warnings: Warnings) -> Performer {
        Performer {
            assignment,
            time,
            warnings,
            may_retire: false,
        }
    }

    /// Sends one change. The facts are those that it was decided on.
    pub(super) async fn perform(
        &mut self,
        step: Step,
        facts: &Facts,
        with: Lent<'_>,
    ) -> Result<Effect, NotDone> {
        let assignment = Arc::clone(&self.assignment);
        let user = &assignment.identity.user;
        match step {
            Step::Journal => {
                self.check_rights(facts, with.writer).await?;
                self.write_intent(facts, false, &with).await
            }
            Step::CloseIntent => self.write_intent(facts, true, &with).await,
            Step::Create => {
                self.check_rights(facts, with.writer).await?;
                with.writer.create_key(user).await.done().map(Effect::Created)
            }
            Step::Verify { key } => self.verify(in_hand(with.keyring, key)?, with.writer).await,
            Step::WriteSecret { target, key } => {
                let secret = &in_hand(with.keyring, key)?.secret;
                let name = &self.place(target)?.secret;
                // Hidden only where one target is all there is: else a crash between two could not be finished.
                let hidden = assignment.spec.targets.len() == 1 && with.writer.can_hide();
                let note = marker(key, None, with.writer)?;
                self.write(Half { target, name, hidden }, secret, &note, &with)
                    .await
            }
            Step::WriteId { target, key, prev } => {
                let name = &self.place(target)?.id;
                let note = marker(key, prev, with.writer)?;
                let (id, hidden) = (Secret::new(key.as_str()), false);
                self.write(Half { target, name, hidden }, &id, &note, &with).await
            }
            Step::Deactivate { key } => {
                with.writer.deactivate_key(user, key).await.done()?;
                Ok(Effect::Done)
            }
            Step::Delete { key } | Step::Undo { key } => {
                with.writer.delete_key(user, key).await.done()?;
                Ok(Effect::Done)
            }
            // Nothing is sent: from the next request on, this pair signs.
            Step::SwitchSigner { .. } => Ok(Effect::Done),
        }
    }

    /// A key that can't be retired later takes the second place for good, so it isn't created; unless no pair works that
    /// could be rotated later.
    async fn check_rights(&mut self, facts: &Facts, writer: Writer<'_>) -> Result<(), NotDone> {
        if self.may_retire {
            return Ok(());
        }
        let held = planner::holdings(facts, &self.assignment.policy);
        let all_dead = held.iter().all(|(holds, _)| *holds == planner::Holds::Unknown);
        match writer.may_retire(&self.assignment.identity.user).await {
            Err(failure) if all_dead && failure.reason == Reason::AccessDenied => {
                self.warnings
                    .say(format!("{}, and one is needed all the same", failure.message));
            }
            other => other.map_err(NotDone::Refused)?,
        }
        self.may_retire = true;
        if self.time.left() < TimeLeft::Ample {
            let late =
                "no key was created: IAM took so long to answer that there is no time to prove and write one";
            return Err(NotDone::Refused(Failure::incomplete(Reason::OutOfTime, late)));
        }
        Ok(())
    }

    /// The intent record: the canary of the write, before a key exists. A closed one says that none came of it.
    async fn write_intent(&self, facts: &Facts, closed: bool, with: &Lent<'_>) -> Result<Effect, NotDone> {
        let Assignment { spec, identity, .. } = &*self.assignment;
        let Some(name) = &spec.journal else {
            return Ok(Effect::Done);
        };
        let at = facts.clocks.aws;
        let present = with.seen.present(0, name).map_err(NotDone::Refused)?;
        let others = present.and_then(|journal| journal.value.as_ref());
        let others = others.map_or("", Secret::expose);
        let (user, run) = (identity.journal_name(), &identity.run_name);
        let text = Secret::new(marker::with_intent(others, &user, at, run, closed));
        let new = Attributes {
            masked: false,
            hidden: false,
        };
        let variable = self.put(0, name, &text, JOURNAL_DESCRIPTION, new, with).await?;
        // The canary is also the proof that this server keeps descriptions, which the markers need.
        if variable.description.as_deref() != Some(JOURNAL_DESCRIPTION) {
            return Err(NotDone::Refused(Failure::blocked(
                Reason::NoDescriptions,
                "no key was created: this GitLab does not keep the descriptions of variables",
                "Use GitLab 16.9 or newer.",
            )));
        }
        let open = (!closed).then_some(Intent { at, own: true });
        Ok(Effect::Journaled(variable, open))
    }

    /// Proves the new key. A request to stop ends the proof, because nothing of the key is out yet.
    async fn verify(&self, pair: &KeyPair, writer: Writer<'_>) -> Result<Effect, NotDone> {
        let Assignment { spec, identity, .. } = &*self.assignment;
        let proof = tokio::select! {
            proof = writer.prove(pair, identity, spec.settle, PROOF_BUDGET) => proof,
            () = self.time.when_stopped() => return Ok(Effect::Stopped),
        };
        Ok(match proof {
            Ok(()) => Effect::Verified,
            Err(unproved) => Effect::NotProved(unproved.into_failure()),
        })
    }

    /// Writes one half of a pair with its marker, in one request.
    async fn write(
        &self,
        half: Half<'_>,
        value: &Secret,
        note: &Marker,
        with: &Lent<'_>,
    ) -> Result<Effect, NotDone> {
        let Half { target, name, hidden } = half;
        let present = with.seen.present(target, name).map_err(NotDone::Refused)?;
        let (own_text, _) = marker::parse(present.and_then(|variable| variable.description.as_deref()));
        let description = marker::write(&own_text, note);
        let new = Attributes { masked: true, hidden };
        let variable = self.put(target, name, value, &description, new, with).await?;
        Ok(Effect::Written(target, variable))
    }

    /// Updates the variable where it exists and creates it where it does not. The attributes are for new ones: those of a
    /// variable that exists are its owner's.
    async fn put(
        &self,
        target: usize,
        name: &str,
        value: &Secret,
        description: &str,
        attributes: Attributes,
        with: &Lent<'_>,
    ) -> Result<Variable, NotDone> {
        let place = self.place(target)?;
        let present = with.seen.present(target, name).map_err(NotDone::Refused)?;
        let written = if present.is_some() {
            with.writer.update(place, name, value, description).await
        } else {
            let new = NewVariable {
                key: name.to_owned(),
                value: value.clone(),
                description: description.to_owned(),
                masked: attributes.masked,
                hidden: attributes.hidden,
                raw: true,
                protected: self.assignment.spec.protected,
                scope: place.scope.to_string(),
            };
            with.writer.create(&place.container, &new).await
        };
        written.done()
    }

    fn place(&self, target: usize) -> Result<&TargetSpec, NotDone> {
        let place = self.assignment.target(target);
        place.ok_or_else(|| NotDone::Refused(unexpected("there is no such target")))
    }
}

/// A key with its secret, which this process must hold to send it or to sign with it.
pub(super) fn in_hand(keyring: &Keyring, key: KeyId) -> Result<&KeyPair, NotDone> {
    let found = keyring.pair(key);
    found.ok_or_else(|| NotDone::Refused(unexpected("the secret is not in hand")))
}

/// Markers carry GitLab's time, because they are compared with it.
fn marker(key: KeyId, prev: Option<KeyId>, writer: Writer<'_>) -> Result<Marker, NotDone> {
    let at = writer
        .gitlab_time()
        .ok_or_else(|| NotDone::Refused(unexpected("GitLab has no clock")))?;
    Ok(Marker { key, at, prev })
}

/// One half of a target's pair.
struct Half<'a> {
    target: usize,
    name: &'a str,
    /// Whether it is created hidden, where there is none.
    hidden: bool,
}

/// Attributes of a variable that is created.
struct Attributes {
    masked: bool,
    hidden: bool,
}

pub(super) fn unexpected(why: &str) -> Failure {
    Failure {
        class: Class::Unexpected,
        reason: Reason::Unexpected,
        message: format!("the step was not performed: {why}"),
        advice: "Report this as a defect.".to_owned(),
    }
}
