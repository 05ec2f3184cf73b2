//! What follows from an observation: whose secret each target holds, since when nothing was written, which keys are
//! referenced, and whose the others are. Conclusions only; no rule is applied here.

use std::time::Duration;

use crate::facts::{
    Facts, IdValue, Journal, Key, LastUsed, Marker, Pair, Proof, SecretValue, Service, Status, Target,
};
use crate::{KeyId, Policy, Timestamp};

/// Whose secret a target holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// STS accepted it for this Active key.
    Proved(KeyId),
    /// It is hidden, and its marker names this Active key.
    Noted(KeyId),
    /// It is hidden without any marker, and the id beside it names this Active key. Enough to replace it by a
    /// rotation, never enough to remove any key.
    Presumed(KeyId),
    /// It belongs, or may belong, to this Inactive key.
    Disabled(KeyId),
    /// It belongs to a key that is not listed: deleted, or hidden by a list that lags.
    Unlisted(KeyId),
    /// It works with no key of the user, or there is none.
    Nothing,
    /// It can't be told.
    Unknown,
}

/// Since when no target was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quiet {
    /// No target carries any marker: keyturn never wrote there.
    Untouched,
    /// A marker contradicts its value, or is missing in one target only: somebody wrote there, nobody knows when.
    Void,
    /// The newest marker of all targets.
    Since(Timestamp),
}

/// Whose an unreferenced key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Provenance {
    /// A marker shows that it was in a target before: ours, replaced.
    Superseded,
    /// Created within an intent window and never used except to be proved: the orphan of a crash.
    Orphan,
    /// Neither. Somebody else's.
    Foreign,
}

/// What a key is to this rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A target holds it, or it is about to be published.
    Current,
    /// It was replaced and waits to be retired.
    Outgoing,
    /// A crash left it; no target ever held it.
    Orphan,
    /// It is not keyturn's.
    Foreign,
}

/// What each listed key is to this rotation, in the order of the list.
pub fn roles(facts: &Facts, policy: &Policy) -> Vec<(Key, Role)> {
    let picture = Picture::new(facts, policy);
    let newest = picture.newest_held();
    let role = |key: &Key| {
        if facts.run.created == Some(key.id) {
            return Role::Current;
        }
        if picture.is_held(key.id) {
            // A target that lags behind keeps its key in use; the newest one held is where all are going.
            return if newest.is_some_and(|newest| newest != key.id) {
                Role::Outgoing
            } else {
                Role::Current
            };
        }
        match picture.provenance(key) {
            Provenance::Superseded => Role::Outgoing,
            Provenance::Orphan => Role::Orphan,
            Provenance::Foreign => Role::Foreign,
        }
    };
    facts.keys.iter().map(|key| (*key, role(key))).collect()
}

/// Whether it makes a difference for the next step when this key was last used; it need not be asked otherwise. A key that a
/// target's id or a marker names is ours without more evidence, and without a grace nobody waits for its users.
pub fn last_use_matters(targets: &[Target], policy: &Policy, key: KeyId) -> bool {
    let names = |target: &Target| match target {
        Target::Seen(pair) => pair.id_key() == Some(key) || notes(pair, key),
        Target::Unread => false,
    };
    !(policy.immediate() && targets.iter().any(names))
}

/// The key of the user that signs a run whose targets are all empty, and never were anything else: the pair is kept elsewhere.
pub fn in_the_wrong_place(facts: &Facts) -> Option<KeyId> {
    let seen = facts.targets.iter().all(|target| match target {
        Target::Seen(pair) => pair.is_empty() && pair.is_unmarked(),
        Target::Unread => false,
    });
    facts.run.signer.filter(|_| seen && facts.run.created.is_none())
}

/// Whether a target holds a listed key of the user, or a marker of it names one.
pub fn names_a_listed_key(facts: &Facts) -> bool {
    let proved = |pair: &Pair, key: KeyId| pair.secret.value == SecretValue::Readable(Proof::Of(key));
    let named = |key: &Key| {
        facts
            .pairs()
            .any(|(_, pair)| pair.id_key() == Some(key.id) || notes(pair, key.id) || proved(pair, key.id))
    };
    facts.keys.iter().any(named)
}

/// Whether a marker of the pair names the key, as the one that its variable holds or as the one that was there before.
fn notes(pair: &Pair, key: KeyId) -> bool {
    let names = |marker: Option<Marker>| marker.is_some_and(|it| it.key == key || it.prev == Some(key));
    names(pair.id.marker) || names(pair.secret.marker)
}

/// An observation with the conclusions that more than one rule needs.
pub(crate) struct Picture<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) policy: &'a Policy,
    owners: Vec<(usize, &'a Pair, Owner)>,
}

impl<'a> Picture<'a> {
    pub(crate) fn new(facts: &'a Facts, policy: &'a Policy) -> Picture<'a> {
        let owners = facts
            .pairs()
            .map(|(at, pair)| (at, pair, owner(facts, policy, pair)))
            .collect();
        Picture {
            facts,
            policy,
            owners,
        }
    }

    /// The targets that were read, with whose secret each holds.
    pub(crate) fn owners(&self) -> impl Iterator<Item = (usize, &'a Pair, Owner)> {
        self.owners.iter().copied()
    }

    /// The first target whose id is not that of the key its secret belongs to, and that key.
    pub(crate) fn torn(&self) -> Option<(usize, &'a Pair, KeyId)> {
        self.owners().find_map(|(target, pair, owner)| match owner {
            Owner::Proved(key) | Owner::Noted(key) => {
                (pair.id_key() != Some(key)).then_some((target, pair, key))
            }
            Owner::Presumed(_)
            | Owner::Disabled(_)
            | Owner::Unlisted(_)
            | Owner::Nothing
            | Owner::Unknown => None,
        })
    }

    /// The target whose pair the next write would complete.
    pub(crate) fn mendable(&self) -> Option<usize> {
        let on_hold = self.owners().any(|(_, pair, _)| pair.hold);
        let (target, pair, key) = self.torn()?;
        let elsewhere = !pair.id.is_there() && self.facts.elsewhere.contains(&key);
        (!on_hold && !elsewhere && !self.lacks_what_may_not_be_created(pair)).then_some(target)
    }

    /// Whether the id is missing, and settings forbid to create it.
    pub(crate) fn lacks_what_may_not_be_created(&self, pair: &Pair) -> bool {
        pair.id.value == IdValue::Missing && !self.policy.settings.create_missing
    }

    /// The first target that could not be read.
    pub(crate) fn unread(&self) -> Option<usize> {
        self.facts
            .targets
            .iter()
            .position(|target| matches!(target, Target::Unread))
    }

    /// Whether the clocks of AWS and of GitLab are so far apart that a period can't be measured across them.
    pub(crate) fn clocks_disagree(&self) -> bool {
        let clocks = self.facts.clocks;
        clocks.aws.distance(clocks.gitlab) > self.policy.bounds.clock_skew
    }

    /// Age of a key, by AWS's clock.
    pub(crate) fn age(&self, key: &Key) -> Duration {
        self.facts.clocks.aws.since(key.created)
    }

    /// The key that every target holds, both halves, proved or noted, and listed Active.
    pub(crate) fn complete(&self) -> Option<&'a Key> {
        if self.unread().is_some() {
            return None;
        }
        let mut keys = self.owners().map(|(_, pair, owner)| match owner {
            Owner::Proved(key) | Owner::Noted(key) if pair.id_key() == Some(key) => Some(key),
            Owner::Proved(_)
            | Owner::Noted(_)
            | Owner::Presumed(_)
            | Owner::Disabled(_)
            | Owner::Unlisted(_)
            | Owner::Nothing
            | Owner::Unknown => None,
        });
        let first = keys.next()??;
        if !keys.all(|key| key == Some(first)) {
            return None;
        }
        self.facts.key(first).filter(|key| key.status == Status::Active)
    }

    /// Whether every target holds the secret of this key.
    pub(crate) fn all_hold(&self, key: KeyId) -> bool {
        self.unread().is_none()
            && self.owners().all(|(_, _, owner)| {
                matches!(owner, Owner::Proved(held) | Owner::Noted(held) | Owner::Presumed(held) if held == key)
            })
    }

    /// Whether the newest marker, void or not, was already so old when this look began that the run that wrote it can't
    /// write any more. The clocks are those of the end of the look, which may be D after its begin.
    pub(crate) fn last_write_settled(&self) -> bool {
        let bounds = &self.policy.bounds;
        self.owners()
            .all(|(_, pair, _)| self.older_than(stamp(pair), bounds.past_settled() + bounds.run))
    }

    /// The newest Active key whose secret a target holds, presumed ones included.
    pub(crate) fn newest_held(&self) -> Option<KeyId> {
        self.owners()
            .filter_map(|(_, _, owner)| match owner {
                Owner::Proved(key) | Owner::Noted(key) | Owner::Presumed(key) => self.facts.key(key),
                Owner::Disabled(_) | Owner::Unlisted(_) | Owner::Nothing | Owner::Unknown => None,
            })
            .max_by_key(|key| self.facts.age_order(key))
            .map(|key| key.id)
    }

    /// Whether anything refers to the key: a target, this run, or another variable.
    pub(crate) fn is_referenced(&self, key: KeyId) -> bool {
        self.is_held(key) || self.facts.elsewhere.contains(&key)
    }

    /// Whether any target holds the key's id or its secret, or may hold it, or this run created it.
    pub(crate) fn is_held(&self, key: KeyId) -> bool {
        let held = self.owners().any(|(_, pair, owner)| {
            pair.id_key() == Some(key)
                || match owner {
                    Owner::Proved(held)
                    | Owner::Noted(held)
                    | Owner::Presumed(held)
                    | Owner::Disabled(held)
                    | Owner::Unlisted(held) => held == key,
                    Owner::Nothing => false,
                    Owner::Unknown => true,
                }
        });
        held || self.unread().is_some() || self.facts.run.created == Some(key)
    }

    /// Whether a target shows the key: its id, its secret, or a marker of it.
    pub(crate) fn shows(&self, key: KeyId) -> bool {
        self.owners().any(|(_, pair, owner)| {
            let holds = match owner {
                Owner::Proved(held)
                | Owner::Noted(held)
                | Owner::Presumed(held)
                | Owner::Disabled(held)
                | Owner::Unlisted(held) => held == key,
                Owner::Nothing | Owner::Unknown => false,
            };
            holds || pair.id_key() == Some(key) || notes(pair, key)
        })
    }

    /// Whether a target may hold any key: it was not read, or STS could not say whose its secret is.
    pub(crate) fn may_hide_any(&self) -> bool {
        let untold = SecretValue::Readable(Proof::Inconclusive);
        self.unread().is_some() || self.owners().any(|(_, pair, _)| pair.secret.value == untold)
    }

    /// Whether the key is listed as Inactive.
    pub(crate) fn is_inactive(&self, key: KeyId) -> bool {
        is_inactive(self.facts, key)
    }

    /// Keys that nothing refers to.
    pub(crate) fn unreferenced(&self) -> impl Iterator<Item = &'a Key> {
        self.facts.keys.iter().filter(|key| !self.is_referenced(key.id))
    }

    /// Whether every key a target refers to is listed. A reference to an unlisted key can mean that the list lags,
    /// unless it was written longer ago than a list can lag.
    pub(crate) fn coherent(&self) -> bool {
        self.owners().all(|(_, pair, owner)| {
            let unlisted = matches!(owner, Owner::Unlisted(_))
                || pair.id_key().is_some_and(|key| self.facts.key(key).is_none());
            !unlisted || self.older_than(stamp(pair), self.policy.bounds.propagation)
        })
    }

    /// Whether a time by GitLab's clock is at least this long ago. No time at all is long ago.
    fn older_than(&self, at: Option<Timestamp>, age: Duration) -> bool {
        at.is_none_or(|at| self.facts.clocks.gitlab.since(at) >= age)
    }

    /// Since when no target was written.
    pub(crate) fn quiet(&self) -> Quiet {
        let stamps: Vec<Stamp> = self
            .owners()
            .map(|(_, pair, owner)| self.stamp_of(pair, owner))
            .collect();
        if stamps
            .iter()
            .all(|stamp| matches!(stamp, Stamp::None | Stamp::Empty))
        {
            return Quiet::Untouched;
        }
        let mut newest = None;
        for stamp in stamps {
            match stamp {
                Stamp::At(at) => newest = newest.max(Some(at)),
                // A target without any variable has nothing that a late look could have missed.
                Stamp::Empty => {}
                Stamp::None | Stamp::Void => return Quiet::Void,
            }
        }
        newest.map_or(Quiet::Void, Quiet::Since)
    }

    /// The end of a period that begins with the last write; `None` while it can't be told when that was.
    pub(crate) fn quiet_until(&self, period: Duration) -> Option<Timestamp> {
        match self.quiet() {
            Quiet::Since(at) => Some(at.after(period)),
            Quiet::Untouched | Quiet::Void => None,
        }
    }

    /// A marker of the future was written while GitLab's clock was wrong. It says nothing of when that was.
    pub(crate) fn is_future(&self, at: Timestamp) -> bool {
        at > self.facts.clocks.gitlab.after(self.policy.bounds.clock_skew)
    }

    /// A target whose marker is of the future, and whose secret nobody holds to write it anew with a true one.
    pub(crate) fn stamped_in_the_future(&self) -> bool {
        self.owners().any(|(_, pair, owner)| match (owner, stamp(pair)) {
            (Owner::Noted(key), Some(at)) => self.is_future(at) && !self.facts.run.in_hand.contains(&key),
            (
                Owner::Noted(_)
                | Owner::Proved(_)
                | Owner::Presumed(_)
                | Owner::Disabled(_)
                | Owner::Unlisted(_)
                | Owner::Nothing
                | Owner::Unknown,
                _,
            ) => false,
        })
    }

    fn stamp_of(&self, pair: &Pair, owner: Owner) -> Stamp {
        match stamp_of(pair, owner) {
            Stamp::At(at) if self.is_future(at) => Stamp::Void,
            stamp @ (Stamp::At(_) | Stamp::Empty | Stamp::None | Stamp::Void) => stamp,
        }
    }

    /// Whether this target wants a marker: it has none, or one that its value contradicts.
    pub(crate) fn wants_marker(&self, pair: &Pair, owner: Owner) -> bool {
        match self.stamp_of(pair, owner) {
            Stamp::None | Stamp::Void => true,
            Stamp::At(_) | Stamp::Empty => false,
        }
    }

    /// The newest marker of one target.
    pub(crate) fn written(&self, pair: &Pair) -> Option<Timestamp> {
        stamp(pair)
    }

    /// Whose an unreferenced key is, by evidence. Age alone is never evidence.
    pub(crate) fn provenance(&self, key: &Key) -> Provenance {
        if self.owners().any(|(_, pair, _)| notes(pair, key.id)) {
            Provenance::Superseded
        } else if self.within_intent(key) && self.only_proved(key) {
            Provenance::Orphan
        } else {
            Provenance::Foreign
        }
    }

    /// When the run that announced its intent can't write any more and the orphan it left is old enough.
    pub(crate) fn orphan_since(&self, key: &Key) -> Timestamp {
        key.created.after(self.policy.bounds.orphan)
    }

    /// When the intent was recorded.
    pub(crate) fn intent(&self) -> Option<Timestamp> {
        match self.facts.journal {
            Journal::Read(intent) => intent.map(|intent| intent.at),
            Journal::Taken | Journal::Unread => None,
        }
    }

    /// Whether the intent that stands announced this key. It may be an older one, whose write came late over that of the
    /// run that created the key: D + Z earlier at most. And it may be a newer one, of a run whose list did not show the
    /// key yet.
    fn within_intent(&self, key: &Key) -> bool {
        let bounds = &self.policy.bounds;
        let before = bounds.propagation.max(bounds.clock_grain);
        let after = (bounds.run + bounds.late) * 2;
        self.intent()
            .is_some_and(|at| key.created.after(before) >= at && key.created <= at.after(after))
    }

    /// Never used, or only by the proof that its own run made right after creating it.
    fn only_proved(&self, key: &Key) -> bool {
        match key.last_used {
            LastUsed::Never => true,
            LastUsed::At(at, Service::Sts) => {
                at <= key
                    .created
                    .after(self.policy.bounds.run + self.policy.bounds.late)
            }
            LastUsed::At(_, Service::Other) | LastUsed::Unknown => false,
        }
    }
}

/// Whose secret a target holds. Where the value can be read, STS decides and markers are not believed; where it is
/// hidden, its marker counts only while the id beside it has not been edited by hand. What nobody of this user's keys fits
/// may be anybody's, unless a marker says that keyturn wrote it.
fn owner(facts: &Facts, policy: &Policy, pair: &Pair) -> Owner {
    if pair.is_half() {
        return Owner::Unknown;
    }
    let by_list = |key: KeyId, active: fn(KeyId) -> Owner| match facts.key(key).map(|key| key.status) {
        Some(Status::Active) => active(key),
        Some(Status::Inactive) => Owner::Disabled(key),
        None => Owner::Unlisted(key),
    };
    match pair.secret.value {
        SecretValue::Missing => Owner::Nothing,
        // STS accepts it and the list does not show it: the list lags behind a person. A working pair is never dead.
        SecretValue::Readable(Proof::Of(key)) if facts.key(key).is_none() => Owner::Unknown,
        SecretValue::Readable(Proof::Of(key)) => by_list(key, Owner::Proved),
        SecretValue::Readable(Proof::OfSomebodyElse | Proof::Inconclusive) => Owner::Unknown,
        // It is half a pair, or there is none.
        SecretValue::Readable(Proof::Empty) => Owner::Nothing,
        // STS can't be asked about Inactive and deleted keys: their ids are refused whatever the secret is.
        SecretValue::Readable(Proof::OfNone) => match pair.secret.marker.map(|marker| marker.key) {
            None => {
                let beside = pair.id_key().filter(|key| is_inactive(facts, *key));
                beside.map_or(Owner::Unknown, Owner::Disabled)
            }
            Some(_) if marks_a_stranger(facts, policy, pair) => Owner::Unknown,
            // It is not that of the Active key that its marker names: somebody put it here.
            Some(key) => by_list(key, |_| Owner::Unknown),
        },
        SecretValue::Hidden => match pair.secret.marker {
            Some(_) if marks_a_stranger(facts, policy, pair) => Owner::Unknown,
            Some(marker) if id_is_as_written(facts, pair, marker) => by_list(marker.key, Owner::Noted),
            Some(_) => Owner::Unknown,
            None if pair.id.marker.is_some() => Owner::Unknown,
            None => match pair.id.value {
                // An unlisted id without any marker may be another user's, in a pair that works.
                IdValue::Key(key) if facts.key(key).is_none() => Owner::Unknown,
                IdValue::Key(key) => by_list(key, Owner::Presumed),
                IdValue::Hidden | IdValue::NotAKey | IdValue::Empty | IdValue::Missing => Owner::Unknown,
            },
        },
    }
}

fn is_inactive(facts: &Facts, key: KeyId) -> bool {
    facts.key(key).is_some_and(|key| key.status == Status::Inactive)
}

/// Whether a secret may be another user's: its marker names a key that is not in this user's list, is older than a list can
/// lag, and the journal does not say that all of keyturn's writes beside it were for this user. One user's list says nothing
/// of another's keys.
fn marks_a_stranger(facts: &Facts, policy: &Policy, pair: &Pair) -> bool {
    let unlisted = pair
        .secret
        .marker
        .is_some_and(|marker| facts.key(marker.key).is_none());
    let vouched = facts.alone && first_container_notes(facts, pair);
    let lags = stamp(pair).is_some_and(|at| {
        let now = facts.clocks.gitlab;
        at <= now.after(policy.bounds.clock_skew) && at.after(policy.bounds.past_settled()) > now
    });
    unlisted && !vouched && !lags
}

/// The journal stands beside the first target, and speaks for what was written there: the same key in another container is
/// the same user's.
fn first_container_notes(facts: &Facts, pair: &Pair) -> bool {
    let noted = pair.secret.marker.map(|marker| marker.key);
    match facts.targets.first() {
        Some(Target::Seen(first)) => noted.is_some_and(|key| notes(first, key)),
        Some(Target::Unread) | None => false,
    }
}

/// Whether the id variable is as keyturn left it, so that the marker of a hidden secret can be believed: a person who
/// replaces a pair by hand changes the id too, and leaves the descriptions.
fn id_is_as_written(facts: &Facts, pair: &Pair, secret: Marker) -> bool {
    match (pair.id.value, pair.id.marker) {
        (IdValue::Key(value), Some(marker)) => value == marker.key,
        // The first rotation of this pair was cut between its two writes: the id is still the older one.
        (IdValue::Key(value), None) => {
            value == secret.key
                || match (facts.key(value), facts.key(secret.key)) {
                    (Some(value), Some(key)) => value.created <= key.created,
                    (None, _) => true,
                    (_, None) => false,
                }
        }
        (IdValue::NotAKey, marker) => marker.is_none(),
        (IdValue::Hidden | IdValue::Empty | IdValue::Missing, _) => true,
    }
}

/// What the markers of one target say about its last write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stamp {
    /// There are no variables.
    Empty,
    /// There is no marker.
    None,
    /// A marker names another key than its value.
    Void,
    /// The newer of its markers.
    At(Timestamp),
}

fn stamp_of(pair: &Pair, owner: Owner) -> Stamp {
    if pair.is_empty() && stamp(pair).is_none() {
        return Stamp::Empty;
    }
    let id_contradicts = match (pair.id.marker, pair.id.value) {
        (Some(marker), IdValue::Key(value)) => marker.key != value,
        (Some(_), IdValue::NotAKey) => true,
        (Some(_), IdValue::Hidden | IdValue::Empty | IdValue::Missing) | (None, _) => false,
    };
    let secret_contradicts = match (pair.secret.marker, owner) {
        (Some(marker), Owner::Proved(key)) => marker.key != key,
        (Some(_), Owner::Unknown | Owner::Nothing) => true,
        (Some(_), Owner::Noted(_) | Owner::Presumed(_) | Owner::Disabled(_) | Owner::Unlisted(_))
        | (None, _) => false,
    };
    if id_contradicts || secret_contradicts {
        return Stamp::Void;
    }
    stamp(pair).map_or(Stamp::None, Stamp::At)
}

/// The newer of a target's markers.
fn stamp(pair: &Pair) -> Option<Timestamp> {
    let at = |marker: Option<Marker>| marker.map(|marker| marker.at);
    at(pair.id.marker).max(at(pair.secret.marker))
}

/// What a target holds, as reports say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Both halves of this key.
    Key(KeyId),
    /// Halves of two keys.
    Torn,
    /// It can't be told, or it works with no key of the user.
    Unknown,
}

/// What each target holds and when it was last written, in the order of the targets.
pub fn holdings(facts: &Facts, policy: &Policy) -> Vec<(Holds, Option<Timestamp>)> {
    let picture = Picture::new(facts, policy);
    let shown = |at: usize| match picture.owners().find(|(target, ..)| *target == at) {
        None => (Holds::Unknown, None),
        Some((_, pair, owner)) => {
            let holds = match owner {
                Owner::Proved(key) | Owner::Noted(key) if pair.id_key() == Some(key) => Holds::Key(key),
                Owner::Proved(_) | Owner::Noted(_) => Holds::Torn,
                Owner::Presumed(key) | Owner::Disabled(key) => Holds::Key(key),
                Owner::Unlisted(_) | Owner::Nothing | Owner::Unknown => Holds::Unknown,
            };
            (holds, stamp(pair))
        }
    };
    (0..facts.targets.len()).map(shown).collect()
}
