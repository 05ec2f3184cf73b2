//! What can be decided: one step, or a reason to stop, each with a word, a sentence and advice.

use std::fmt;

use crate::{Bounds, KeyId, Timestamp};

/// One action. Each is one request, except [`Step::Verify`], which repeats a read, and [`Step::SwitchSigner`], which
/// sends nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Write the intent record. It is also the canary: a token that can't write fails here, before a key exists.
    Journal,
    /// Close the intent record again: CreateAccessKey was refused, so there is no key for it to vouch for.
    CloseIntent,
    /// `CreateAccessKey`, once.
    Create,
    /// Prove that the key works, before anybody can read it.
    Verify {
        /// The key.
        key: KeyId,
    },
    /// Write the secret of a key, with its marker.
    WriteSecret {
        /// Position among the targets.
        target: usize,
        /// The key whose secret it is.
        key: KeyId,
    },
    /// Write the id of the key whose secret is already there, with its marker.
    WriteId {
        /// Position among the targets.
        target: usize,
        /// The id.
        key: KeyId,
        /// The key it replaces, which the marker records.
        prev: Option<KeyId>,
    },
    /// Sign with this key from here on, because the key that signs is about to be retired.
    SwitchSigner {
        /// The verified new key.
        key: KeyId,
    },
    /// `UpdateAccessKey` to Inactive.
    Deactivate {
        /// The key.
        key: KeyId,
    },
    /// `DeleteAccessKey` of a retired key or of an orphan.
    Delete {
        /// The key.
        key: KeyId,
    },
    /// `DeleteAccessKey` of the key this run created and never published.
    Undo {
        /// The key.
        key: KeyId,
    },
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Look at everything again; if the same step comes out of that look, it will be done.
    Look(Step),
    /// Perform this step.
    Do(Step),
    /// All targets hold the current key, and nothing is left to do until the time given, if any.
    Converged {
        /// When the current key becomes due.
        until: Option<Timestamp>,
    },
    /// Nothing may be done yet. A later run goes on.
    Wait(Wait),
    /// A person must act.
    Blocked(Block),
    /// The run ends before it is finished. Running again is safe.
    Incomplete(Incomplete),
}

/// Why nothing may be done yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wait {
    /// Jobs may still hold the outgoing key.
    Grace {
        /// The outgoing key.
        key: KeyId,
        /// The end of the grace.
        until: Timestamp,
    },
    /// The outgoing key was used recently.
    InUse {
        /// The outgoing key.
        key: KeyId,
        /// When it will have been unused for long enough.
        until: Timestamp,
    },
    /// Nobody but this run has used the new key yet, and the settings require it.
    UseOfNewKey {
        /// The new key.
        key: KeyId,
    },
    /// The outgoing key is Inactive and not yet due to be deleted.
    Deletion {
        /// The outgoing key.
        key: KeyId,
        /// When it may be deleted.
        until: Timestamp,
    },
    /// A write of the last rotation could still land.
    Quiet {
        /// When none can any more.
        until: Timestamp,
    },
    /// A key that no target mentions may belong to a run that is still going on.
    Orphan {
        /// The key.
        key: KeyId,
        /// When it will be an orphan for certain.
        until: Timestamp,
    },
    /// A pair looks dead, but it was written so recently that the key list may lag.
    Unconfirmed {
        /// When the look can be trusted.
        until: Timestamp,
    },
}

/// Why a person must act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Block {
    /// `keyturn:hold` stands in a description.
    Hold {
        /// Position among the targets.
        target: usize,
    },
    /// A target could not be read, and what is left to do needs all of them.
    IncompleteRead {
        /// Position among the targets.
        target: usize,
    },
    /// It can't be told whose secret a target holds.
    OwnerUnknown {
        /// Position among the targets.
        target: usize,
    },
    /// One half of a pair is there, the other isn't, and no marker says that keyturn was completing it.
    HalfPair {
        /// Position among the targets.
        target: usize,
    },
    /// A key of the user signs this run, and every target is empty: the pair is kept somewhere else.
    WrongPlace {
        /// The key.
        key: KeyId,
    },
    /// The variable that should hold the journal holds something else.
    JournalTaken,
    /// The signer may not create access keys.
    CreateDenied,
    /// A target holds a key that somebody deactivated. It may be an answer to an incident.
    KeyDisabled {
        /// Position among the targets.
        target: usize,
        /// The key.
        key: KeyId,
    },
    /// Both places for keys are taken, and one by a key that isn't keyturn's to remove.
    SlotOccupied {
        /// The key that is in the way.
        key: KeyId,
    },
    /// Targets hold different keys, and nobody holds the secret that would unite them.
    Split {
        /// The newest key held by a target.
        key: KeyId,
    },
    /// Another variable beside the targets holds the key too, and would not get the new one.
    HeldElsewhere {
        /// The key.
        key: KeyId,
    },
    /// A pair does not work, and this command creates no key.
    Dead {
        /// Position among the targets.
        target: usize,
    },
    /// A variable does not exist, and the settings forbid to create it.
    MissingVariable {
        /// Position among the targets.
        target: usize,
    },
    /// Several targets, all hidden, and no secret in hand: a crash between them could not be finished.
    AllHidden,
    /// AWS's and GitLab's clocks differ too much to compare ages, or to write a marker that counts later.
    ClocksDisagree,
    /// IAM's record of use can't be read, and without it no key is retired, nor one created that never could be.
    LastUseUnknown {
        /// The key that could otherwise be retired, or replaced by a new one.
        key: KeyId,
    },
    /// The new secret was refused by GitLab; the key created for it was deleted again.
    Refused,
}

/// Why the run ends before it is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Incomplete {
    /// It was asked to stop.
    Interrupted,
    /// Its time is used up.
    OutOfTime,
    /// A write whose outcome is unknown stands in the way of a different one.
    UnclearWrite,
    /// The answer to CreateAccessKey was lost.
    UnclearCreate,
    /// The new key never became usable; it was deleted again.
    Unverified,
    /// Another run created a key first; this run's was deleted again.
    Yielded,
    /// The key that this run made is in no target, and was not deleted.
    Unpublished {
        /// The key.
        key: KeyId,
    },
}

impl Step {
    /// The word that reports use.
    pub fn word(&self) -> &'static str {
        match self {
            Step::Journal => "journal",
            Step::CloseIntent => "close_intent",
            Step::Create => "create",
            Step::Verify { .. } => "verify",
            Step::WriteSecret { .. } => "write_secret",
            Step::WriteId { .. } => "write_id",
            Step::SwitchSigner { .. } => "switch_signer",
            Step::Deactivate { .. } => "deactivate",
            Step::Delete { .. } | Step::Undo { .. } => "delete",
        }
    }

    /// The key it is about.
    pub fn key(&self) -> Option<KeyId> {
        match self {
            Step::Journal | Step::CloseIntent | Step::Create => None,
            Step::Verify { key }
            | Step::WriteSecret { key, .. }
            | Step::WriteId { key, .. }
            | Step::SwitchSigner { key }
            | Step::Deactivate { key }
            | Step::Delete { key }
            | Step::Undo { key } => Some(*key),
        }
    }

    /// The target it writes to.
    pub fn target(&self) -> Option<usize> {
        match self {
            Step::WriteSecret { target, .. } | Step::WriteId { target, .. } => Some(*target),
            Step::Journal
            | Step::CloseIntent
            | Step::Create
            | Step::Verify { .. }
            | Step::SwitchSigner { .. }
            | Step::Deactivate { .. }
            | Step::Delete { .. }
            | Step::Undo { .. } => None,
        }
    }

    /// Whether both write to the same variable.
    pub fn same_variable(&self, other: &Step) -> bool {
        match (self, other) {
            (Step::WriteSecret { target, .. }, Step::WriteSecret { target: other, .. })
            | (Step::WriteId { target, .. }, Step::WriteId { target: other, .. }) => target == other,
            _ => false,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Journal => f.write_str("record the intent to create a key"),
            Step::CloseIntent => f.write_str("close the intent to create a key"),
            Step::Create => f.write_str("create an access key"),
            Step::Verify { key } => write!(f, "prove that {key} works"),
            Step::WriteSecret { key, .. } => write!(f, "write the secret of {key}"),
            Step::WriteId { key, .. } => write!(f, "write the id {key}"),
            Step::SwitchSigner { key } => write!(f, "sign with {key} from here on"),
            Step::Deactivate { key } => write!(f, "deactivate {key}"),
            Step::Delete { key } => write!(f, "delete {key}"),
            Step::Undo { key } => write!(f, "delete {key}, which was never published"),
        }
    }
}

impl Wait {
    /// The word that reports use.
    pub fn word(&self) -> &'static str {
        match self {
            Wait::Grace { .. } => "grace",
            Wait::InUse { .. } => "in_use",
            Wait::UseOfNewKey { .. } => "use_of_new_key",
            Wait::Deletion { .. } => "delete_after",
            Wait::Quiet { .. } => "quiet",
            Wait::Orphan { .. } => "orphan_age",
            Wait::Unconfirmed { .. } => "unconfirmed",
        }
    }

    /// When a run can go on, if that can be told.
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            Wait::Grace { until, .. }
            | Wait::InUse { until, .. }
            | Wait::Deletion { until, .. }
            | Wait::Quiet { until }
            | Wait::Orphan { until, .. }
            | Wait::Unconfirmed { until } => Some(*until),
            Wait::UseOfNewKey { .. } => None,
        }
    }

    /// What a person should know or do.
    pub fn advice(&self) -> &'static str {
        match self {
            Wait::Grace { .. } | Wait::Deletion { .. } | Wait::Quiet { .. } => {
                "Nothing to do: a later run goes on by itself."
            }
            Wait::InUse { .. } => {
                "Find who still uses the outgoing key: GetAccessKeyLastUsed and CloudTrail name the service and region."
            }
            Wait::UseOfNewKey { .. } => "Run a job that uses the variables, or unset KEYTURN_REQUIRE_USE.",
            Wait::Orphan { .. } => {
                "Nothing to do: a later run deletes it when it can't belong to a run any more."
            }
            Wait::Unconfirmed { .. } => {
                "Run again after the time given; if the pair is still dead it is replaced."
            }
        }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wait::Grace { key, .. } => write!(
                f,
                "the outgoing key {key} stays Active for jobs that already hold it"
            ),
            Wait::InUse { key, .. } => write!(f, "the outgoing key {key} was used recently"),
            Wait::UseOfNewKey { key } => write!(f, "nobody but keyturn has used the new key {key} yet"),
            Wait::Deletion { key, .. } => write!(
                f,
                "the outgoing key {key} is Inactive and not yet due to be deleted"
            ),
            Wait::Quiet { .. } => f.write_str("a write of the last rotation could still land"),
            Wait::Orphan { key, .. } => {
                write!(
                    f,
                    "no target mentions {key}; it may belong to a run that is still going on"
                )
            }
            Wait::Unconfirmed { .. } => {
                f.write_str("a pair looks dead, but it was written so recently that the key list may lag")
            }
        }
    }
}

impl Block {
    /// The word that reports use.
    pub fn word(&self) -> &'static str {
        match self {
            Block::Hold { .. } => "hold",
            Block::IncompleteRead { .. } => "incomplete_read",
            Block::OwnerUnknown { .. } => "owner_unknown",
            Block::HalfPair { .. } => "half_pair",
            Block::WrongPlace { .. } => "wrong_place",
            Block::JournalTaken => "journal_taken",
            Block::CreateDenied => "access_denied",
            Block::KeyDisabled { .. } => "key_disabled",
            Block::SlotOccupied { .. } => "slot_occupied",
            Block::Split { .. } => "split",
            Block::HeldElsewhere { .. } => "held_elsewhere",
            Block::Dead { .. } => "dead_pair",
            Block::MissingVariable { .. } => "missing_variable",
            Block::AllHidden => "all_hidden",
            Block::ClocksDisagree => "clocks_disagree",
            Block::LastUseUnknown { .. } => "last_use_unknown",
            Block::Refused => "value_refused",
        }
    }

    /// What a person should do.
    pub fn advice(&self) -> &'static str {
        match self {
            Block::Hold { .. } => {
                "Ask who put keyturn:hold into the description of the variable, and remove it when they agree."
            }
            Block::IncompleteRead { .. } => {
                "Give the token the rights to read every target, or remove the target."
            }
            Block::OwnerUnknown { .. } => {
                "If the pair is another user's, set AWS_IAM_USER to that user or name other variables. If the key was \
                 deleted, delete both variables and run `rotate`, signed by a role. Otherwise put keyturn:hold into the \
                 description of the secret, write a working pair of this user into both variables, and take out the word \
                 and the [keyturn …] markers."
            }
            Block::HalfPair { .. } => {
                "Name both variables of the pair, KEYTURN_ACCESS_KEY_ID_VARIABLE and KEYTURN_SECRET_ACCESS_KEY_VARIABLE, or \
                 complete the pair by hand. If nothing of it is needed, delete the half that is there."
            }
            Block::WrongPlace { .. } => {
                "Name the place that holds the pair (GITLAB_GROUP_ID or GITLAB_PROJECT_ID, and the names of the variables); \
                 or create both variables here with this pair; or let a role sign."
            }
            Block::JournalTaken => {
                "Name another variable in KEYTURN_JOURNAL, or unset it. keyturn writes only to a journal of its own."
            }
            Block::CreateDenied => "Allow iam:CreateAccessKey on the user.",
            Block::KeyDisabled { .. } => {
                "If the key was deactivated by mistake, activate it. If it leaked, delete it in IAM and run rotate."
            }
            Block::SlotOccupied { .. } => {
                "IAM allows two access keys per user. Find the owner of that key (GetAccessKeyLastUsed names the service \
                 and region of its last use, and another variable may hold it), then give its consumer a user of its own, \
                 or delete the key in IAM when nobody needs it."
            }
            Block::Split { .. } => {
                "Write the pair of one of the keys into every target by hand, then run again."
            }
            Block::HeldElsewhere { .. } => {
                "If it has another name, let it and its secret refer to the two that are rotated, by their names with a \
                 dollar sign. If it is the same name in another scope, delete both halves where the rotated scope covers \
                 those jobs. Or give it a pair of another user. If it only mentions the id, put keyturn:ignore into its \
                 description."
            }
            Block::Dead { .. } => "Run `keyturn rotate`, which replaces the pair.",
            Block::MissingVariable { .. } => {
                "Create the variable, or unset KEYTURN_CREATE to let keyturn create it."
            }
            Block::AllHidden => {
                "Make the secret of one target readable (masked, not hidden), or run keyturn with the pair itself."
            }
            Block::ClocksDisagree => {
                "Correct the clock of the GitLab server. A marker that it wrote for the future counts again when that time has \
                 come, or when the pair is written anew by hand."
            }
            Block::LastUseUnknown { .. } => "Allow iam:GetAccessKeyLastUsed on the user.",
            Block::Refused => {
                "Check the masking rule and the attributes of the secret variable: a secret access key has 40 \
                 characters of A-Z, a-z, 0-9, / and +."
            }
        }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Block::Hold { .. } => f.write_str("nothing was changed: a variable is on hold"),
            Block::IncompleteRead { .. } => {
                f.write_str("no key was created or removed: a target could not be read, so it may hold any key")
            }
            Block::OwnerUnknown { .. } => f.write_str(
                "nothing was changed: it can't be told whose secret the variable holds, so writing could break a \
                 working pair",
            ),
            Block::HalfPair { .. } => {
                f.write_str("nothing was changed: one half of the pair exists and the other doesn't")
            }
            Block::WrongPlace { key } => {
                write!(
                    f,
                    "nothing was changed: {key} signs this run, and none of the variables named exists"
                )
            }
            Block::JournalTaken => f.write_str(
                "no key was created: the variable named in KEYTURN_JOURNAL holds something that keyturn never wrote",
            ),
            Block::CreateDenied => f.write_str("no key was created: the signer may not create one"),
            Block::KeyDisabled { key, .. } => {
                write!(f, "nothing was changed: the variables hold {key}, which somebody deactivated")
            }
            Block::SlotOccupied { key } => {
                write!(f, "no key was created: both places are taken, and {key} is not keyturn's to remove")
            }
            Block::Split { key } => write!(
                f,
                "targets hold different keys, and the secret of the newest, {key}, can't be read anywhere",
            ),
            Block::HeldElsewhere { key } => write!(
                f,
                "no key was created or removed: another variable, which keyturn does not write, holds {key} too"
            ),
            Block::Dead { .. } => f.write_str("nothing was changed: the pair in the variables does not work"),
            Block::MissingVariable { .. } => {
                f.write_str("nothing was changed: a variable does not exist and KEYTURN_CREATE is false")
            }
            Block::AllHidden => f.write_str(
                "no key was created: all targets are hidden and no secret is in hand, so a rotation cut short could \
                 not be finished",
            ),
            Block::ClocksDisagree => write!(
                f,
                "no key was created or removed: the clocks of AWS and GitLab differ by more than {}m, or did \
                 when a marker was written",
                Bounds::DEFAULT.clock_skew.as_secs() / 60,
            ),
            Block::LastUseUnknown { key } => {
                write!(f, "no key was created or retired: the last use of {key} can't be read")
            }
            Block::Refused => f.write_str("nothing was changed: GitLab refused the new secret"),
        }
    }
}

impl Incomplete {
    /// The word that reports use.
    pub fn word(&self) -> &'static str {
        match self {
            Incomplete::Interrupted => "interrupted",
            Incomplete::OutOfTime => "out_of_time",
            Incomplete::UnclearWrite => "unclear_write",
            Incomplete::UnclearCreate => "unclear_create",
            Incomplete::Unverified => "unverified",
            Incomplete::Yielded => "yielded",
            Incomplete::Unpublished { .. } => "unpublished",
        }
    }

    /// What a person should know or do.
    pub fn advice(&self) -> &'static str {
        match self {
            Incomplete::Interrupted
            | Incomplete::OutOfTime
            | Incomplete::UnclearWrite
            | Incomplete::Yielded => "Run again; it goes on where things stand.",
            Incomplete::UnclearCreate => {
                "Run again in an hour: if a key was created, its secret is lost, and a later run deletes it."
            }
            Incomplete::Unverified => "Run again; IAM may need longer to make a key usable.",
            Incomplete::Unpublished { .. } => {
                "Run again; a later run deletes the key when it can't belong to a run any more."
            }
        }
    }
}

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Incomplete::Unpublished { key } = self {
            return write!(
                f,
                "this run created {key}, which no target holds, and could not delete it safely"
            );
        }
        f.write_str(match self {
            Incomplete::Unpublished { .. } => "",
            Incomplete::Interrupted => "the run was asked to stop",
            Incomplete::OutOfTime => "the run had too little time left to begin another step",
            Incomplete::UnclearWrite => {
                "a write without an answer may still land, so nothing else was written over it"
            }
            Incomplete::UnclearCreate => "the answer to CreateAccessKey was lost, so it was not sent again",
            Incomplete::Unverified => {
                "the new key could not be proved to work; it was deleted and nothing was written"
            }
            Incomplete::Yielded => {
                "another run created a key first; this run's was deleted and nothing was written"
            }
        })
    }
}
