//! Observations in few words, for tests.

#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod every;

use std::path::Path;
use std::time::Duration;

use planner::*;

pub(crate) const MINUTE: u64 = 60;
pub(crate) const HOUR: u64 = 60 * MINUTE;
pub(crate) const DAY: u64 = 24 * HOUR;
pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000);

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn ago(seconds: u64) -> Timestamp {
    Timestamp(NOW.0.saturating_sub_unsigned(seconds))
}

/// The id of the key with this name.
pub(crate) fn id(name: &str) -> KeyId {
    KeyId::parse(&format!("AKIA{name:0>16}")).unwrap_or(KeyId::hypothetical())
}

/// The name behind an id.
pub(crate) fn name(key: KeyId) -> String {
    key.as_str()
        .trim_start_matches("AKIA")
        .trim_start_matches('0')
        .to_owned()
}

/// An Active key of this age that was never used.
pub(crate) fn key(name: &str, age: u64) -> Key {
    Key {
        id: id(name),
        status: Status::Active,
        created: ago(age),
        last_used: LastUsed::Never,
    }
}

pub(crate) fn inactive(key: Key) -> Key {
    Key {
        status: Status::Inactive,
        ..key
    }
}

pub(crate) fn used(key: Key, age: u64) -> Key {
    Key {
        last_used: LastUsed::At(ago(age), Service::Other),
        ..key
    }
}

pub(crate) fn marker(name: &str, age: u64) -> Option<Marker> {
    Some(Marker {
        key: id(name),
        at: ago(age),
        prev: None,
    })
}

/// A target without markers.
pub(crate) fn unmarked(id: IdValue, secret: SecretValue) -> Pair {
    Pair {
        id: IdHalf {
            value: id,
            marker: None,
        },
        secret: SecretHalf {
            value: secret,
            marker: None,
        },
        hold: false,
    }
}

/// A readable pair as a person made it.
pub(crate) fn readable(id_of: &str, secret_of: &str) -> Pair {
    unmarked(
        IdValue::Key(id(id_of)),
        SecretValue::Readable(Proof::Of(id(secret_of))),
    )
}

/// A hidden pair as a person made it.
pub(crate) fn hidden(id_of: &str) -> Pair {
    unmarked(IdValue::Key(id(id_of)), SecretValue::Hidden)
}

/// A target without variables.
pub(crate) fn absent() -> Pair {
    unmarked(IdValue::Missing, SecretValue::Missing)
}

/// The pair with the markers that keyturn leaves when it writes these halves, so long ago.
pub(crate) fn marked(pair: Pair, id_of: &str, secret_of: &str, prev: Option<&str>, age: u64) -> Pair {
    let with_prev = |marker: Marker| Marker {
        prev: prev.map(id),
        ..marker
    };
    Pair {
        id: IdHalf {
            marker: marker(id_of, age).map(with_prev),
            ..pair.id
        },
        secret: SecretHalf {
            marker: marker(secret_of, age),
            ..pair.secret
        },
        ..pair
    }
}

/// The pair with a marker of this key on its id, and none on its secret.
pub(crate) fn id_marked(pair: Pair, name: &str, age: u64) -> Pair {
    Pair {
        id: IdHalf {
            marker: marker(name, age),
            ..pair.id
        },
        ..pair
    }
}

/// A readable pair of one key that replaced `prev`, so long ago.
pub(crate) fn holding(name: &str, prev: Option<&str>, age: u64) -> Pair {
    marked(readable(name, name), name, name, prev, age)
}

/// A hidden pair of one key that replaced `prev`, so long ago.
pub(crate) fn hiding(name: &str, prev: Option<&str>, age: u64) -> Pair {
    marked(hidden(name), name, name, prev, age)
}

/// A full look by a run that has just begun: secrets that can be read are in hand, Inactive keys are remembered.
pub(crate) fn look(keys: &[Key], pairs: &[Pair]) -> Facts {
    let mut run = Run::new();
    for pair in pairs {
        if let SecretValue::Readable(Proof::Of(key)) = pair.secret.value {
            run.in_hand.push(key);
            run.verified.push(key);
        }
    }
    run.inactive_at_start = keys
        .iter()
        .filter(|key| key.status == Status::Inactive)
        .map(|key| key.id)
        .collect();
    Facts {
        clocks: Clocks {
            aws: NOW,
            gitlab: NOW,
        },
        full: true,
        keys: keys.to_vec(),
        targets: pairs.iter().cloned().map(Target::Seen).collect(),
        passing: false,
        elsewhere: Vec::new(),
        journal: Journal::Read(None),
        alone: true,
        run,
    }
}

pub(crate) fn intent(age: u64) -> Journal {
    Journal::Read(Some(Intent {
        at: ago(age),
        own: false,
    }))
}

/// The policy of `rotate` with these settings.
pub(crate) fn rotate(settings: Settings) -> Policy {
    match Policy::new(settings, Bounds::DEFAULT, true) {
        Ok(policy) => policy,
        Err(error) => unreachable!("{error:?}"),
    }
}

/// The policy of `retire` with these settings.
pub(crate) fn retire(settings: Settings) -> Policy {
    Policy {
        may_create: false,
        ..rotate(settings)
    }
}

/// A step in words, with names for ids.
pub(crate) fn step(step: &Step) -> String {
    let mut words = step.word().to_owned();
    if let Step::WriteSecret { target, .. } | Step::WriteId { target, .. } = step {
        words = format!("{words} {target}");
    }
    if let Some(key) = step.key() {
        words = format!("{words} {}", name(key));
    }
    if let Step::WriteId { prev: Some(prev), .. } = step {
        words = format!("{words} (prev {})", name(*prev));
    }
    words
}

/// A verdict in words.
pub(crate) fn words(verdict: &Verdict) -> String {
    let about = |word: &str, key: Option<KeyId>| match key {
        Some(key) => format!("{word} {}", name(key)),
        None => word.to_owned(),
    };
    match verdict {
        Verdict::Do(done) => step(done),
        Verdict::Look(wanted) => format!("look, then {}", step(wanted)),
        Verdict::Converged { .. } => "converged".to_owned(),
        Verdict::Incomplete(why) => format!("incomplete {}", why.word()),
        Verdict::Wait(wait) => {
            let key = match wait {
                Wait::Grace { key, .. }
                | Wait::InUse { key, .. }
                | Wait::UseOfNewKey { key }
                | Wait::Deletion { key, .. }
                | Wait::Orphan { key, .. } => Some(*key),
                Wait::Quiet { .. } | Wait::Unconfirmed { .. } => None,
            };
            format!("wait {}", about(wait.word(), key))
        }
        Verdict::Blocked(block) => {
            let key = match block {
                Block::KeyDisabled { key, .. }
                | Block::WrongPlace { key }
                | Block::SlotOccupied { key }
                | Block::Split { key }
                | Block::HeldElsewhere { key }
                | Block::LastUseUnknown { key } => Some(*key),
                Block::Hold { .. }
                | Block::IncompleteRead { .. }
                | Block::OwnerUnknown { .. }
                | Block::HalfPair { .. }
                | Block::JournalTaken
                | Block::CreateDenied
                | Block::Dead { .. }
                | Block::MissingVariable { .. }
                | Block::AllHidden
                | Block::ClocksDisagree
                | Block::Refused => None,
            };
            format!("blocked {}", about(block.word(), key))
        }
    }
}

/// A dry run in words: the steps, then how it ends.
pub(crate) fn run(facts: &Facts, policy: &Policy) -> Vec<String> {
    let (steps, end) = dry_run(facts, policy);
    steps.iter().map(step).chain([words(&end)]).collect()
}

/// Holds a text to the one that is committed under this name in `planner/`. `KEYTURN_BLESS=1` writes it anew, so that
/// a change is read as a diff.
#[allow(clippy::disallowed_methods, reason = "the test's own switch")]
pub(crate) fn as_committed(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("KEYTURN_BLESS").is_some() {
        assert!(std::fs::write(&path, text).is_ok(), "{file} can't be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let only_in = |these: &str, those: &str, sign: &str| -> String {
        these
            .lines()
            .filter(|line| !those.lines().any(|other| other == *line))
            .map(|line| format!("{sign} {line}\n"))
            .collect()
    };
    assert!(
        committed == text,
        "{file} is not what the planner does; KEYTURN_BLESS=1 accepts this:\n{}{}",
        only_in(&committed, text, "-"),
        only_in(text, &committed, "+"),
    );
}
