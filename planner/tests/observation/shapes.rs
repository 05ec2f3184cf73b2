//! Keys and targets, in every shape in which they can be found.

use std::collections::HashSet;

use planner::*;

use crate::common::{DAY, MINUTE, ago, id};

pub(crate) const STATUSES: [Status; 2] = [Status::Active, Status::Inactive];

pub(crate) fn key(name: &str, status: Status, age: u64, last_used: LastUsed) -> Key {
    Key {
        id: id(name),
        status,
        created: ago(age),
        last_used,
    }
}

pub(crate) fn other(age: u64) -> LastUsed {
    LastUsed::At(ago(age), Service::Other)
}

/// Never, lately, long ago, by its own proof only, by somebody's STS call later, and not to be told.
pub(crate) fn uses(age: u64) -> [LastUsed; 6] {
    [
        LastUsed::Never,
        other(10 * MINUTE),
        other(5 * DAY),
        LastUsed::At(ago(age.saturating_sub(MINUTE)), Service::Sts),
        LastUsed::At(ago(5 * MINUTE), Service::Sts),
        LastUsed::Unknown,
    ]
}

pub(crate) fn two_keys(histories: &[(u64, LastUsed, u64, LastUsed)]) -> Vec<Vec<Key>> {
    let mut lists = Vec::new();
    for (older, used_older, newer, used_newer) in histories {
        for old in STATUSES {
            for new in STATUSES {
                lists.push(vec![
                    key("OLD", old, *older, *used_older),
                    key("NEW", new, *newer, *used_newer),
                ]);
            }
        }
    }
    lists
}

pub(crate) fn marker(key: KeyId, age: u64, prev: Option<KeyId>) -> Marker {
    Marker {
        key,
        at: ago(age),
        prev,
    }
}

/// Every pair that can be made of these keys, one that is not listed, and every marker of theirs, true or not.
pub(crate) fn any_pairs(names: &[&str]) -> Vec<Target> {
    let listed: Vec<KeyId> = names.iter().map(|name| id(name)).collect();
    let known: Vec<KeyId> = listed.iter().copied().chain([id("GONE")]).collect();
    let mut ids = vec![
        IdValue::NotAKey,
        IdValue::Empty,
        IdValue::Hidden,
        IdValue::Missing,
    ];
    ids.extend(known.iter().map(|key| IdValue::Key(*key)));
    let mut secrets = vec![
        SecretValue::Hidden,
        SecretValue::Missing,
        SecretValue::Readable(Proof::OfNone),
        SecretValue::Readable(Proof::Empty),
        SecretValue::Readable(Proof::OfSomebodyElse),
        SecretValue::Readable(Proof::Inconclusive),
    ];
    secrets.extend(known.iter().map(|key| SecretValue::Readable(Proof::Of(*key))));
    // Of the id's marker and of the secret's.
    let ages = [
        (2 * MINUTE, 2 * MINUTE),
        (2 * DAY, 2 * DAY),
        (30 * DAY, 30 * DAY),
        (2 * MINUTE, 30 * DAY),
    ];
    let mut on_ids = vec![None];
    for key in &known {
        let before = listed
            .iter()
            .filter(|before| *before != key)
            .map(|before| Some(*before));
        on_ids.extend(before.chain([None]).map(|prev| Some((*key, prev))));
    }
    let on_secrets: Vec<Option<KeyId>> = known.iter().map(|key| Some(*key)).chain([None]).collect();
    let mut known_pairs = HashSet::new();
    let mut all = Vec::new();
    for id in &ids {
        for secret in &secrets {
            for (on_id, on_secret) in on_ids
                .iter()
                .flat_map(|on_id| on_secrets.iter().map(move |s| (on_id, s)))
            {
                for (age_id, age_secret) in ages {
                    let pair = Pair {
                        id: IdHalf {
                            value: *id,
                            marker: on_id.map(|(key, prev)| marker(key, age_id, prev)),
                        },
                        secret: SecretHalf {
                            value: *secret,
                            marker: on_secret.map(|key| marker(key, age_secret, None)),
                        },
                        hold: false,
                    };
                    if known_pairs.insert(pair.clone()) {
                        all.push(Target::Seen(pair));
                    }
                }
            }
        }
    }
    all.extend(stops(names));
    all
}

/// A target on hold and one that was not read.
pub(crate) fn stops(names: &[&str]) -> [Target; 2] {
    let name = names.first().copied().unwrap_or("GONE");
    [
        Target::Seen(Pair {
            hold: true,
            ..sound(name, None, 30 * DAY, false)
        }),
        Target::Unread,
    ]
}

/// A pair of one key as keyturn leaves it.
pub(crate) fn sound(name: &str, prev: Option<&str>, age: u64, hidden: bool) -> Pair {
    torn(name, name, prev, age, hidden)
}

/// A pair of two keys as keyturn leaves it between two writes.
pub(crate) fn torn(of_id: &str, of_secret: &str, prev: Option<&str>, age: u64, hidden: bool) -> Pair {
    let secret = if hidden {
        SecretValue::Hidden
    } else {
        SecretValue::Readable(Proof::Of(id(of_secret)))
    };
    Pair {
        id: IdHalf {
            value: IdValue::Key(id(of_id)),
            marker: Some(marker(id(of_id), age, prev.map(id))),
        },
        secret: SecretHalf {
            value: secret,
            marker: Some(marker(id(of_secret), age, None)),
        },
        hold: false,
    }
}

/// A pair as a person makes it.
pub(crate) fn plain(name: &str, hidden: bool) -> Pair {
    unmarked(torn(name, name, None, 0, hidden))
}

pub(crate) fn unmarked(pair: Pair) -> Pair {
    Pair {
        id: IdHalf {
            marker: None,
            ..pair.id
        },
        secret: SecretHalf {
            marker: None,
            ..pair.secret
        },
        hold: pair.hold,
    }
}

/// What a target is found as, in fewer kinds: sound, torn, by hand, edited, refused, missing, hidden, unread, on hold.
pub(crate) fn shapes(names: &[&str], ages: &[u64]) -> Vec<Target> {
    let mut pairs = Vec::new();
    let known: Vec<&str> = names.iter().copied().chain(["GONE"]).collect();
    for hidden in [false, true] {
        for of_id in &known {
            pairs.push(plain(of_id, hidden));
            for of_secret in &known {
                for age in ages {
                    let prev = names.iter().find(|prev| *prev != of_id).copied();
                    pairs.push(torn(
                        of_id,
                        of_secret,
                        prev.filter(|_| of_id == of_secret),
                        *age,
                        hidden,
                    ));
                }
            }
        }
    }
    let missing = torn("GONE", "GONE", None, 0, true);
    pairs.push(unmarked(Pair {
        id: IdHalf {
            value: IdValue::Missing,
            marker: None,
        },
        secret: SecretHalf {
            value: SecretValue::Missing,
            marker: None,
        },
        ..missing
    }));
    for name in names {
        let sound = sound(name, None, 30 * DAY, false);
        for value in [
            SecretValue::Readable(Proof::OfNone),
            SecretValue::Readable(Proof::OfSomebodyElse),
            SecretValue::Readable(Proof::Inconclusive),
            SecretValue::Missing,
        ] {
            pairs.push(Pair {
                secret: SecretHalf {
                    value,
                    ..sound.secret
                },
                ..sound.clone()
            });
        }
        pairs.push(Pair {
            secret: SecretHalf {
                value: SecretValue::Readable(Proof::OfNone),
                marker: None,
            },
            ..sound.clone()
        });
        for value in [IdValue::Missing, IdValue::Hidden, IdValue::NotAKey] {
            pairs.push(Pair {
                id: IdHalf { value, ..sound.id },
                ..sound.clone()
            });
        }
        // Replaced by hand: the values are of this key, the markers of another.
        if let Some(before) = names.iter().find(|before| *before != name) {
            let by_hand = plain(name, false);
            let noted = torn(before, before, None, 30 * DAY, false);
            for value in [
                by_hand.secret.value,
                SecretValue::Readable(Proof::OfNone),
                SecretValue::Hidden,
            ] {
                pairs.push(Pair {
                    id: IdHalf {
                        value: by_hand.id.value,
                        ..noted.id
                    },
                    secret: SecretHalf {
                        value,
                        ..noted.secret
                    },
                    hold: false,
                });
            }
        }
    }
    pairs.into_iter().map(Target::Seen).chain(stops(names)).collect()
}
