//! What can be seen in an observation, in words that are not the planner's.

use planner::*;

use super::laws::{LAG, LATE, PAST_SETTLED, RUN, SKEW};

pub(crate) fn pairs(facts: &Facts) -> impl Iterator<Item = (usize, &Pair)> {
    facts
        .targets
        .iter()
        .enumerate()
        .filter_map(|(at, target)| match target {
            Target::Seen(pair) => Some((at, pair)),
            Target::Unread => None,
        })
}

pub(crate) fn pair(facts: &Facts, target: usize) -> Option<&Pair> {
    pairs(facts).find_map(|(at, pair)| (at == target).then_some(pair))
}

pub(crate) fn unread(facts: &Facts) -> bool {
    facts.targets.contains(&Target::Unread)
}

pub(crate) fn find(facts: &Facts, id: KeyId) -> Option<&Key> {
    facts.keys.iter().find(|key| key.id == id)
}

/// The key whose secret stands there, as STS says.
pub(crate) fn proved(pair: &Pair) -> Option<KeyId> {
    match pair.secret.value {
        SecretValue::Readable(Proof::Of(key)) => Some(key),
        SecretValue::Readable(_) | SecretValue::Hidden | SecretValue::Missing => None,
    }
}

/// The key whose secret stands there, as STS or else its own marker says.
pub(crate) fn secret_of(pair: &Pair) -> Option<KeyId> {
    match pair.secret.value {
        SecretValue::Hidden => pair.secret.marker.map(|marker| marker.key),
        SecretValue::Readable(_) | SecretValue::Missing => proved(pair),
    }
}

pub(crate) fn id_of(pair: &Pair) -> Option<KeyId> {
    match pair.id.value {
        IdValue::Key(key) => Some(key),
        IdValue::Hidden => pair.id.marker.map(|marker| marker.key),
        IdValue::NotAKey | IdValue::Empty | IdValue::Missing => None,
    }
}

pub(crate) fn holds(pair: &Pair, key: KeyId) -> bool {
    id_of(pair) == Some(key) || secret_of(pair) == Some(key)
}

pub(crate) fn names(pair: &Pair, key: KeyId) -> bool {
    let marks = [pair.id.marker, pair.secret.marker];
    holds(pair, key) || marks.iter().flatten().any(|marker| marker.key == key)
}

fn has_id(pair: &Pair) -> bool {
    !matches!(pair.id.value, IdValue::Missing | IdValue::Empty)
}

fn has_secret(pair: &Pair) -> bool {
    !matches!(
        pair.secret.value,
        SecretValue::Missing | SecretValue::Readable(Proof::Empty)
    )
}

/// Neither variable holds anything.
pub(crate) fn is_empty(pair: &Pair) -> bool {
    !has_id(pair) && !has_secret(pair)
}

/// One variable holds something and the other doesn't, and it isn't a secret that keyturn wrote before its id.
pub(crate) fn is_half(pair: &Pair) -> bool {
    has_id(pair) && !has_secret(pair) || has_secret(pair) && !has_id(pair) && pair.secret.marker.is_none()
}

/// Nothing tells whose the secret is, and it may be of use to somebody.
pub(crate) fn may_hold_any(facts: &Facts, pair: &Pair) -> bool {
    match pair.secret.value {
        SecretValue::Missing | SecretValue::Readable(Proof::Of(_) | Proof::Empty) => false,
        SecretValue::Readable(Proof::OfSomebodyElse | Proof::Inconclusive) => true,
        SecretValue::Readable(Proof::OfNone) => pair.secret.marker.is_none_or(|marker| {
            let listed = find(facts, marker.key).map(|key| key.status);
            listed == Some(Status::Active) || may_be_a_strangers(facts, pair, marker)
        }),
        SecretValue::Hidden => match (pair.secret.marker, pair.id.marker) {
            (Some(marker), _) => may_be_a_strangers(facts, pair, marker),
            (None, Some(_)) => true,
            (None, None) => !matches!(pair.id.value, IdValue::Key(key) if find(facts, key).is_some()),
        },
    }
}

/// The key that the marker of a hidden secret names is in no list of this user's, and neither lag nor the journal tells that it
/// is one of this user's all the same.
fn may_be_a_strangers(facts: &Facts, pair: &Pair, marker: Marker) -> bool {
    let now = facts.clocks.gitlab;
    let ahead = |at: Timestamp| at.0.saturating_sub(now.0) > SKEW;
    let recent = mark(pair).is_some_and(|at| since(now, at) < PAST_SETTLED && !ahead(at));
    let vouched = match facts.targets.first() {
        Some(Target::Seen(first)) => {
            let before = first.id.marker.and_then(|first| first.prev);
            facts.alone && (names(first, marker.key) || before == Some(marker.key))
        }
        Some(Target::Unread) | None => false,
    };
    find(facts, marker.key).is_none() && !recent && !vouched
}

/// Whether the first is older than the second: by date, in the same second by id; but this run's own key is newer than
/// all that were listed before it was made.
pub(crate) fn is_older(facts: &Facts, key: &Key, than: &Key) -> bool {
    let run = &facts.run;
    let own = |key: &Key| run.created == Some(key.id);
    let before = |key: &Key| run.listed_before.contains(&key.id);
    if own(than) && before(key) || own(key) && before(than) {
        return own(than);
    }
    (key.created, key.id) < (than.created, than.id)
}

/// The pair does not work: its secret is nobody's any more.
pub(crate) fn is_dead(facts: &Facts, pair: &Pair) -> bool {
    match pair.secret.value {
        SecretValue::Missing | SecretValue::Readable(Proof::Empty) => !is_half(pair),
        SecretValue::Readable(Proof::Of(_) | Proof::OfSomebodyElse | Proof::Inconclusive) => false,
        SecretValue::Readable(Proof::OfNone) | SecretValue::Hidden => {
            pair.secret.marker.is_some_and(|marker| {
                find(facts, marker.key).is_none() && !may_be_a_strangers(facts, pair, marker)
            })
        }
    }
}

/// The pair holds, or may hold, a key that a person deactivated. What STS accepts is no such key.
pub(crate) fn disabled(facts: &Facts, pair: &Pair) -> bool {
    let inactive = |key: Option<KeyId>| {
        key.and_then(|key| find(facts, key))
            .is_some_and(|key| key.status == Status::Inactive)
    };
    match pair.secret.value {
        SecretValue::Readable(Proof::Of(key)) => inactive(Some(key)),
        SecretValue::Readable(_) | SecretValue::Hidden | SecretValue::Missing => {
            let follows = secret_of(pair).is_some_and(|key| find(facts, key).is_some());
            inactive(secret_of(pair)) || !follows && inactive(id_of(pair))
        }
    }
}

/// The write would put an older key over a newer one that works.
pub(crate) fn is_step_back(facts: &Facts, pair: &Pair, key: KeyId) -> bool {
    let active = |key: KeyId| find(facts, key).filter(|key| key.status == Status::Active);
    match (secret_of(pair).and_then(active), find(facts, key)) {
        (Some(there), Some(key)) => is_older(facts, key, there),
        (Some(_), None) => true,
        (None, _) => false,
    }
}

/// A target refers to a key that is not listed, and was written so recently that the list may lag.
pub(crate) fn lags(facts: &Facts, pair: &Pair) -> bool {
    let unlisted = |key: Option<KeyId>| key.is_some_and(|key| find(facts, key).is_none());
    (unlisted(id_of(pair)) || unlisted(secret_of(pair)))
        && mark(pair).is_some_and(|at| since(facts.clocks.gitlab, at) < LAG)
}

pub(crate) fn mark(pair: &Pair) -> Option<Timestamp> {
    let marks = [pair.id.marker, pair.secret.marker];
    marks.iter().flatten().map(|marker| marker.at).max()
}

pub(crate) fn newest_mark(facts: &Facts) -> Option<Timestamp> {
    pairs(facts).filter_map(|(_, pair)| mark(pair)).max()
}

pub(crate) fn is_unmarked(pair: &Pair) -> bool {
    pair.id.marker.is_none() && pair.secret.marker.is_none()
}

/// A marker says when the pair was written, and none is contradicted by the value beside it.
pub(crate) fn is_stamped(pair: &Pair) -> bool {
    let id = match (pair.id.value, pair.id.marker) {
        (IdValue::Key(value), Some(marker)) => value == marker.key,
        (IdValue::NotAKey, Some(_)) => false,
        (IdValue::Key(_) | IdValue::NotAKey | IdValue::Empty | IdValue::Hidden | IdValue::Missing, _) => true,
    };
    let secret = proved(pair).is_none_or(|key| pair.secret.marker.is_none_or(|marker| marker.key == key));
    is_empty(pair) && is_unmarked(pair) || id && secret && !is_unmarked(pair)
}

/// Both markers are there and say this key.
pub(crate) fn is_marked_for(pair: &Pair, key: KeyId) -> bool {
    [pair.id.marker, pair.secret.marker]
        .iter()
        .all(|marker| marker.is_some_and(|marker| marker.key == key))
}

/// The key both of whose halves every target holds, when it is one and it is Active.
pub(crate) fn complete(facts: &Facts) -> Option<KeyId> {
    let mut current = None;
    for target in &facts.targets {
        let Target::Seen(pair) = target else { return None };
        let key = secret_of(pair).filter(|key| id_of(pair) == Some(*key))?;
        if current.is_some_and(|current| current != key) {
            return None;
        }
        current = Some(key);
    }
    current.filter(|key| find(facts, *key).is_some_and(|key| key.status == Status::Active))
}

/// The newest Active key whose secret a target holds; of a hidden secret without markers, the key beside it.
pub(crate) fn held(facts: &Facts) -> Option<&Key> {
    let holds = |pair: &Pair, key: KeyId| {
        let unmarked = pair.secret.value == SecretValue::Hidden && is_unmarked(pair);
        secret_of(pair) == Some(key) || unmarked && pair.id.value == IdValue::Key(key)
    };
    let active = facts.keys.iter().filter(|key| key.status == Status::Active);
    active
        .filter(|key| pairs(facts).any(|(_, pair)| holds(pair, key.id)))
        .reduce(|newest, key| if is_older(facts, newest, key) { key } else { newest })
}

/// Created when this user's key was announced to be created: from 5 minutes before the intent, whose run may have seen a
/// list that lagged, to 30 minutes after it.
pub(crate) fn announced(facts: &Facts, key: &Key) -> bool {
    match facts.journal {
        Journal::Read(Some(Intent { at, .. })) => {
            (at.0.saturating_sub(300)..=at.0.saturating_add(1800)).contains(&key.created.0)
        }
        Journal::Read(None) | Journal::Taken | Journal::Unread => false,
    }
}

/// Never used but to prove it.
pub(crate) fn only_proved(key: &Key) -> bool {
    match key.last_used {
        LastUsed::Never => true,
        LastUsed::At(at, Service::Sts) => at.0 <= key.created.0.saturating_add(RUN + LATE),
        LastUsed::At(_, Service::Other) | LastUsed::Unknown => false,
    }
}

/// The variable that a step writes: the target, and whether it is that of the secret.
pub(crate) fn variable(step: &Step) -> Option<(usize, bool)> {
    match step {
        Step::WriteSecret { target, .. } => Some((*target, true)),
        Step::WriteId { target, .. } => Some((*target, false)),
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

/// The key whose half a step writes.
pub(crate) fn half_of(step: &Step) -> Option<KeyId> {
    match step {
        Step::WriteSecret { key, .. } | Step::WriteId { key, .. } => Some(*key),
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

pub(crate) fn since(now: Timestamp, then: Timestamp) -> i64 {
    now.0.saturating_sub(then.0).max(0)
}

pub(crate) fn seconds(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
