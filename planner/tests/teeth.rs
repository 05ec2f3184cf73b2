//! Wrong planners. Each is the shipped one with one safeguard taken away, as other tools do without it, and each must be
//! caught: a checker that can't lose proves nothing. The shortest way to the harm is kept in `teeth.txt`
//! (`KEYTURN_BLESS=1` writes it anew).
//!
//! The numbers are those of the counterexamples that shaped the protocol. Some can't be caused by a decision:
//!
//! * 13, a key that a person creates within the window of an intent and never uses: nothing tells it from an orphan;
//! * 17, a description written without its value: there is no such step. Its kin, a value written again only for its
//!   marker while another run publishes, is here;
//! * 20, rotating more often than grace and soak allow: `Policy::new` refuses it, which is asserted here;
//! * 25, one shared place for pending secrets: there is none;
//! * 29, replacing a key that somebody deactivated: a policy, and no harm that the model knows. Its wrong planner stands
//!   among those that the laws over all observations catch (`observation/wrong.rs`).

#![allow(
    clippy::wildcard_enum_match_arm,
    clippy::match_wildcard_for_single_variants,
    clippy::indexing_slicing,
    reason = "a test that means one case of many"
)]

mod common;
mod model;

use std::fmt::Write as _;

use model::scenario::{Scenario, Signer, Start};
use model::search::Search;
use planner::*;

struct Tooth {
    name: &'static str,
    /// Who does it.
    seen_in: &'static str,
    /// The promise that it breaks.
    expected: &'static str,
    scenario: Scenario,
    planner: fn(&Facts, &Policy) -> Verdict,
}

const ROLE: Signer = Signer::Role;
const OWN: Signer = Signer::Own(0);

fn one(signer: Signer, hidden: bool) -> Scenario {
    Scenario {
        faults: Some(1),
        most_states: 2_000_000,
        ..Scenario::new("", signer, &[hidden])
    }
}

fn two(signer: Signer, hidden: [bool; 2]) -> Scenario {
    Scenario {
        faults: Some(1),
        most_states: 2_000_000,
        ..Scenario::new("", signer, &hidden)
    }
}

fn lied(facts: &Facts, policy: &Policy, lie: impl FnOnce(&mut Facts)) -> Verdict {
    let mut facts = facts.clone();
    lie(&mut facts);
    next(&facts, policy)
}

fn pairs(facts: &mut Facts) -> impl Iterator<Item = &mut Pair> {
    facts.targets.iter_mut().filter_map(|target| match target {
        Target::Seen(pair) => Some(pair),
        Target::Unread => None,
    })
}

fn id_of(pair: &Pair) -> Option<KeyId> {
    pair.id_key()
}

/// All markers look a year old.
fn aged(facts: &Facts, policy: &Policy) -> Verdict {
    lied(facts, policy, |facts| {
        for pair in pairs(facts) {
            for marker in [&mut pair.id.marker, &mut pair.secret.marker]
                .into_iter()
                .flatten()
            {
                marker.at.0 -= 365 * 24 * 60 * 60;
            }
        }
    })
}

fn oldest_of_two(facts: &Facts, policy: &Policy) -> Verdict {
    match facts.keys.first() {
        Some(oldest) if facts.keys.len() > 1 && facts.run.created.is_none() => {
            Verdict::Do(Step::Delete { key: oldest.id })
        }
        _ => next(facts, policy),
    }
}

fn deactivate_first(facts: &Facts, policy: &Policy) -> Verdict {
    match next(facts, policy) {
        Verdict::Do(Step::Journal) => match facts.keys.first() {
            Some(key) if key.status == Status::Active => Verdict::Do(Step::Deactivate { key: key.id }),
            _ => Verdict::Do(Step::Journal),
        },
        verdict => verdict,
    }
}

fn id_names_the_owner(facts: &Facts, policy: &Policy) -> Verdict {
    lied(facts, policy, |facts| {
        for pair in pairs(facts) {
            if let (SecretValue::Readable(_), Some(key)) = (pair.secret.value, id_of(pair)) {
                pair.secret.value = SecretValue::Readable(Proof::Of(key));
                pair.secret.marker = pair.id.marker;
            }
        }
    })
}

fn id_first(facts: &Facts, policy: &Policy) -> Verdict {
    match next(facts, policy) {
        Verdict::Do(Step::WriteSecret { target, key }) => {
            let id = match facts.targets.get(target) {
                Some(Target::Seen(pair)) => id_of(pair),
                Some(Target::Unread) | None => None,
            };
            if id == Some(key) {
                Verdict::Do(Step::WriteSecret { target, key })
            } else {
                Verdict::Do(Step::WriteId {
                    target,
                    key,
                    prev: id,
                })
            }
        }
        verdict => verdict,
    }
}

fn undo_what_failed(facts: &Facts, policy: &Policy) -> Verdict {
    let failed = facts
        .run
        .unclear
        .iter()
        .any(|step| matches!(step, Step::WriteSecret { .. }));
    match facts.run.created {
        Some(key) if failed && !facts.run.undo => Verdict::Do(Step::Undo { key }),
        _ => next(facts, policy),
    }
}

fn grace_from_creation(facts: &Facts, policy: &Policy) -> Verdict {
    lied(facts, policy, |facts| {
        let keys = facts.keys.clone();
        for pair in pairs(facts) {
            for marker in [&mut pair.id.marker, &mut pair.secret.marker]
                .into_iter()
                .flatten()
            {
                if let Some(key) = keys.iter().find(|key| key.id == marker.key) {
                    marker.at = key.created;
                }
            }
        }
    })
}

fn unread_is_nothing(facts: &Facts, policy: &Policy) -> Verdict {
    lied(facts, policy, |facts| {
        while facts.targets.len() > 1 && facts.targets.last() == Some(&Target::Unread) {
            facts.targets.pop();
        }
    })
}

/// Only the answer counts: what a look shows of the key that was refused is passed over.
fn a_refusal_is_a_fact(facts: &Facts, policy: &Policy) -> Verdict {
    let own = facts.run.created.filter(|_| facts.run.refused);
    let before = facts.run.listed_before.first().copied();
    lied(facts, policy, |facts| {
        for pair in pairs(facts) {
            let (Some(own), Some(before)) = (own, before) else {
                continue;
            };
            if pair.secret.value == SecretValue::Readable(Proof::Of(own)) {
                pair.secret.value = SecretValue::Readable(Proof::Of(before));
            }
            for marker in [&mut pair.id.marker, &mut pair.secret.marker] {
                *marker = marker.filter(|marker| marker.key != own);
            }
        }
    })
}

/// Dates, and in one second ids, say which of two keys is the newer one, also to the run that made one of them; and a run
/// that has nothing to publish is done.
fn ids_decide_a_second(facts: &Facts, policy: &Policy) -> Verdict {
    let verdict = lied(facts, policy, |facts| {
        let own = facts.run.created.and_then(|own| facts.key(own)).copied();
        let before = facts
            .keys
            .iter()
            .filter(|key| facts.run.listed_before.contains(&key.id));
        let outranked = |own: Key| {
            before
                .clone()
                .any(|key| (key.created, key.id) > (own.created, own.id))
        };
        if own.is_some_and(outranked) {
            facts.run.listed_before.clear();
        }
    });
    match verdict {
        Verdict::Incomplete(Incomplete::Unpublished { .. }) => Verdict::Converged { until: None },
        verdict => verdict,
    }
}

/// A refusal of a key ends the run, and its intent stands.
fn a_refused_key_stays_announced(facts: &Facts, policy: &Policy) -> Verdict {
    match next(facts, policy) {
        Verdict::Do(Step::CloseIntent) => Verdict::Blocked(Block::CreateDenied),
        verdict => verdict,
    }
}

fn one_look_is_enough(facts: &Facts, policy: &Policy) -> Verdict {
    match aged(facts, policy).into_done() {
        verdict @ Verdict::Do(Step::WriteSecret { .. }) => verdict,
        _ => next(facts, policy).into_done(),
    }
}

fn everything_is_ours(facts: &Facts, policy: &Policy) -> Verdict {
    lied(facts, policy, |facts| {
        facts.journal = Journal::Read(facts.keys.last().map(|key| Intent {
            at: key.created,
            own: false,
        }));
    })
}

fn stamps_survive_edits(facts: &Facts, policy: &Policy) -> Verdict {
    lied(facts, policy, |facts| {
        for pair in pairs(facts) {
            let Some(key) = id_of(pair) else { continue };
            for marker in [&mut pair.id.marker, &mut pair.secret.marker]
                .into_iter()
                .flatten()
            {
                if marker.key != key && pair.secret.value == SecretValue::Readable(Proof::Of(key)) {
                    *marker = Marker {
                        key,
                        prev: Some(marker.key),
                        ..*marker
                    };
                }
            }
        }
    })
}

fn marker_outlives_the_id(facts: &Facts, policy: &Policy) -> Verdict {
    lied(facts, policy, |facts| {
        for pair in pairs(facts) {
            if let (Some(key), Some(marker)) = (id_of(pair), &mut pair.id.marker) {
                marker.key = key;
            }
        }
    })
}

fn turn_back(facts: &Facts, policy: &Policy) -> Verdict {
    let failed = facts.run.unclear.iter().find_map(|step| match step {
        Step::WriteId { target, key, .. } => Some((*target, *key)),
        _ => None,
    });
    let before = |key: KeyId| {
        facts
            .keys
            .iter()
            .find(|old| old.id != key && facts.run.in_hand.contains(&old.id))
    };
    if let Some((target, key)) = failed
        && let Some(old) = before(key)
        && let Some(Target::Seen(pair)) = facts.targets.get(target)
    {
        let secret = pair.secret.marker.map(|marker| marker.key);
        if secret != Some(old.id) {
            return Verdict::Do(Step::WriteSecret { target, key: old.id });
        }
    }
    lied(facts, policy, |facts| facts.run.unclear.clear())
}

fn adopt_at_any_time(facts: &Facts, policy: &Policy) -> Verdict {
    let marked = facts.pairs().any(|(_, pair)| pair.secret.marker.is_some());
    let bare = facts.pairs().find_map(|(target, pair)| match pair.secret.value {
        SecretValue::Readable(Proof::Of(key)) if pair.id.marker.is_none() && id_of(pair) == Some(key) => {
            Some(Step::WriteId {
                target,
                key,
                prev: None,
            })
        }
        _ => None,
    });
    match bare {
        Some(step) if marked && facts.full => Verdict::Do(step),
        _ => next(facts, policy),
    }
}

fn undo_is_not_final(facts: &Facts, policy: &Policy) -> Verdict {
    lied(facts, policy, |facts| {
        if facts.run.undo {
            (facts.run.undo, facts.run.undone, facts.run.unverifiable) = (false, false, false);
        }
    })
}

fn newer_keys_without_quiet(facts: &Facts, policy: &Policy) -> Verdict {
    let newest = facts.keys.last().map(|key| key.id);
    match aged(facts, policy) {
        verdict @ (Verdict::Look(Step::Deactivate { key } | Step::Delete { key })
        | Verdict::Do(Step::Deactivate { key } | Step::Delete { key }))
            if Some(key) == newest =>
        {
            verdict
        }
        _ => next(facts, policy),
    }
}

fn no_quiet_before_the_next(facts: &Facts, policy: &Policy) -> Verdict {
    match aged(facts, policy) {
        verdict @ Verdict::Do(Step::Journal | Step::Create) => verdict,
        _ => next(facts, policy),
    }
}

fn nobody_yields(facts: &Facts, policy: &Policy) -> Verdict {
    lied(facts, policy, |facts| {
        facts.run.listed_before = facts.keys.iter().map(|key| key.id).collect()
    })
}

fn yield_to_any_other(facts: &Facts, policy: &Policy) -> Verdict {
    lied(facts, policy, |facts| facts.run.listed_before.clear())
}

fn presumed_is_known(facts: &Facts, policy: &Policy) -> Verdict {
    lied(facts, policy, |facts| {
        let now = facts.clocks.gitlab;
        for pair in pairs(facts) {
            if let (SecretValue::Hidden, None, Some(key)) =
                (pair.secret.value, pair.secret.marker, id_of(pair))
            {
                let at = Timestamp(now.0 - 365 * 24 * 60 * 60);
                pair.secret.marker = Some(Marker { key, at, prev: None });
                pair.id.marker = Some(Marker { key, at, prev: None });
            }
        }
    })
}

fn what_the_id_does_not_name_is_past(facts: &Facts, policy: &Policy) -> Verdict {
    lied(facts, policy, |facts| {
        let at = Timestamp(facts.clocks.gitlab.0 - 365 * 24 * 60 * 60);
        let keys = facts.keys.clone();
        for pair in pairs(facts) {
            let Some(key) = id_of(pair) else { continue };
            let prev = keys.iter().map(|other| other.id).find(|other| *other != key);
            if (pair.secret.value, pair.secret.marker) == (SecretValue::Hidden, None) {
                pair.secret.marker = Some(Marker { key, at, prev: None });
                pair.id.marker = Some(Marker { key, at, prev });
            }
        }
    })
}

fn marker_instead_of_proof(facts: &Facts, policy: &Policy) -> Verdict {
    lied(facts, policy, |facts| {
        for pair in pairs(facts) {
            if let (SecretValue::Readable(Proof::Inconclusive), Some(marker)) =
                (pair.secret.value, pair.secret.marker)
            {
                pair.secret.value = SecretValue::Readable(Proof::Of(marker.key));
            }
        }
    })
}

fn create_again(facts: &Facts, policy: &Policy) -> Verdict {
    lied(facts, policy, |facts| facts.run.create_sent = false)
}

fn teeth() -> Vec<Tooth> {
    let (readable, hidden) = (false, true);
    let edited = |hidden| Scenario {
        foreign: 1,
        edits: 1,
        leftovers: &["slot_occupied", "owner_unknown"],
        ..one(ROLE, hidden)
    };
    let tooth = |name, seen_in, expected, scenario, planner| Tooth {
        name,
        seen_in,
        expected,
        scenario,
        planner,
    };
    vec![
        tooth(
            "CE-1 no grace: the old key goes in the same run",
            "ovotech/cloud-key-rotator",
            "I3",
            Scenario {
                weaken: |policy| policy.settings.grace = std::time::Duration::ZERO,
                ..one(ROLE, readable)
            },
            next,
        ),
        tooth(
            "CE-2 two keys: delete the oldest",
            "HashiCorp Vault's static roles",
            "I2",
            Scenario {
                // The pair that it breaks is one that keyturn never wrote, so there is no way back: that is not asked.
                safety_only: true,
                ..one(ROLE, readable)
            },
            oldest_of_two,
        ),
        tooth(
            "CE-3 deactivate first",
            "Keydra",
            "I2",
            one(ROLE, readable),
            deactivate_first,
        ),
        tooth(
            "CE-4 no marker, and the run signs with the pair itself",
            "scripts that rotate their own key",
            "I11",
            Scenario {
                markers: false,
                ..one(OWN, hidden)
            },
            next,
        ),
        tooth(
            "CE-5 references are counted by the id variable",
            "most scripts",
            "I2",
            Scenario {
                safety_only: true,
                ..one(ROLE, readable)
            },
            id_names_the_owner,
        ),
        tooth(
            "CE-6 no marker, hidden, and the id is believed",
            "most scripts",
            "I2",
            Scenario {
                safety_only: true,
                markers: false,
                ..one(ROLE, hidden)
            },
            presumed_is_known,
        ),
        tooth(
            "CE-7 the id first",
            "spack's former rotator",
            "I8",
            one(ROLE, hidden),
            id_first,
        ),
        tooth(
            "CE-8 a write failed, so the new key is deleted",
            "scripts with a cleanup",
            "I2",
            one(ROLE, readable),
            undo_what_failed,
        ),
        tooth(
            "CE-9 orphans are reaped while their run may live",
            "scripts that clean up first",
            "I7",
            Scenario {
                runs: 2,
                weaken: |policy| policy.bounds.orphan = std::time::Duration::ZERO,
                ..one(ROLE, readable)
            },
            next,
        ),
        tooth(
            "CE-10 the grace counts from the creation of the key",
            "AWS's sample for IAM users",
            "I3",
            Scenario {
                safety_only: true,
                faults: Some(0),
                lag: false,
                ..two(ROLE, [readable, readable])
            },
            grace_from_creation,
        ),
        tooth(
            "CE-11 a target that can't be read refers to nothing",
            "scripts that ignore a 404",
            "I2",
            Scenario {
                unread: true,
                faults: Some(2),
                ..two(ROLE, [readable, readable])
            },
            unread_is_nothing,
        ),
        tooth(
            "CE-12 any unused key is an orphan",
            "cleaners of unused keys",
            "I4",
            Scenario {
                foreign: 1,
                journal: false,
                ..one(ROLE, readable)
            },
            everything_is_ours,
        ),
        tooth(
            "CE-14 a stamp survives an edit by hand",
            "timers kept beside the value",
            "I3",
            edited(readable),
            stamps_survive_edits,
        ),
        tooth(
            "CE-15 a marker is believed after the id was changed by hand",
            "desired state by name",
            "I8",
            edited(hidden),
            marker_outlives_the_id,
        ),
        tooth(
            "CE-16 a run turns back after a write without an answer",
            "scripts with a rollback",
            "I8",
            one(ROLE, readable),
            turn_back,
        ),
        tooth(
            "CE-17 a marker is written while another run publishes",
            "tools that tag what they manage",
            "I8",
            two(ROLE, [readable, readable]),
            adopt_at_any_time,
        ),
        tooth(
            "CE-18 one look is enough, and its list is older than what it reads",
            "every rotator that lists once",
            "I8",
            Scenario {
                runs: 2,
                list_first: true,
                safety_only: true,
                faults: Some(0),
                lag: false,
                ..two(ROLE, [readable, readable])
            },
            one_look_is_enough,
        ),
        tooth(
            "CE-19 an undo that is not final",
            "retry loops around a whole rotation",
            "I7",
            one(ROLE, readable),
            undo_is_not_final,
        ),
        tooth(
            "CE-21 a newer key goes without quiet, and the step backwards from it has just been made",
            "cleaners by age",
            "I3",
            Scenario {
                safety_only: true,
                faults: Some(0),
                most_states: 600_000,
                ..two(Signer::Own(1), [hidden, hidden])
            },
            newer_keys_without_quiet,
        ),
        tooth(
            "CE-22 the next rotation begins at once",
            "forced rotations",
            "I8",
            Scenario {
                safety_only: true,
                immediate: true,
                ..one(ROLE, readable)
            },
            no_quiet_before_the_next,
        ),
        tooth(
            "CE-23 the quota is trusted as a lock",
            "every rotator that counts keys",
            "I8",
            Scenario {
                runs: 2,
                quota_race: true,
                ties: false,
                faults: Some(0),
                lag: false,
                ..one(ROLE, hidden)
            },
            nobody_yields,
        ),
        tooth(
            "CE-24 a run yields to any other key",
            "locks by age",
            "I11",
            Scenario {
                start: Start::Empty,
                foreign: 1,
                lag: false,
                ..one(ROLE, readable)
            },
            yield_to_any_other,
        ),
        tooth(
            "CE-26 a presumed owner is enough to remove a key",
            "inventories by id",
            "I2",
            Scenario {
                start: Start::TornByHand,
                safety_only: true,
                faults: Some(0),
                lag: false,
                ..one(ROLE, hidden)
            },
            what_the_id_does_not_name_is_past,
        ),
        tooth(
            "CE-27 a marker instead of a proof",
            "state files",
            "I8",
            edited(readable),
            marker_instead_of_proof,
        ),
        tooth(
            "CE-28 create again when the answer was lost",
            "the SDKs' default retries",
            "I9",
            one(ROLE, readable),
            create_again,
        ),
        tooth(
            "a refusal is believed against what a look shows",
            "a proxy that changes the status of an answer",
            "I2",
            Scenario {
                lies: true,
                ..one(ROLE, false)
            },
            a_refusal_is_a_fact,
        ),
        tooth(
            "the same, where the secret is hidden",
            "a proxy that changes the status of an answer",
            "I2",
            Scenario {
                lies: true,
                ..one(ROLE, true)
            },
            a_refusal_is_a_fact,
        ),
        tooth(
            "ids decide between keys of one second",
            "a script that makes user, key and variables, and rotates",
            "P4",
            Scenario {
                start: Start::Young,
                lag: false,
                ..one(ROLE, false)
            },
            ids_decide_a_second,
        ),
        tooth(
            "the intent of a refused key stands",
            "a policy that forbids CreateAccessKey, and an administrator who makes a key",
            "I4",
            Scenario {
                denials: true,
                foreign: 1,
                ..one(ROLE, false)
            },
            a_refused_key_stays_announced,
        ),
    ]
}

trait IntoDone {
    fn into_done(self) -> Verdict;
}

impl IntoDone for Verdict {
    fn into_done(self) -> Verdict {
        match self {
            Verdict::Look(step) => Verdict::Do(step),
            verdict => verdict,
        }
    }
}

#[test]
fn every_wrong_planner_is_caught_and_in_the_fewest_steps_known() {
    let mut text = String::new();
    let mut missed = Vec::new();
    let mut caught = 0;
    for Tooth {
        name,
        seen_in,
        expected,
        scenario,
        planner,
    } in teeth()
    {
        let started = std::time::Instant::now();
        let report = Search::new(&scenario, &planner).explore();
        match report.broken {
            Some(((which, how), steps, trace)) => {
                assert_eq!(which, expected, "{name}: caught by another promise\n{trace}");
                caught += 1;
                println!(
                    "{name} ({seen_in}): caught by {which} in {steps} events, {:.1?}",
                    started.elapsed()
                );
                let _ = writeln!(
                    text,
                    "{name}\n  as in: {seen_in}\n  caught by {which} in {steps} events: {how}\n{}",
                    trace.trim_end()
                );
                text.push('\n');
            }
            None => {
                println!(
                    "{name} ({seen_in}): NOT CAUGHT in {} states, {:.1?}",
                    report.states,
                    started.elapsed()
                );
                missed.push(name);
            }
        }
    }
    println!("teeth: {caught} wrong planners caught");
    assert!(missed.is_empty(), "not caught: {missed:?}");
    common::as_committed("tests/teeth.txt", &text);
}

#[test]
fn settings_that_never_come_to_an_end_are_refused() {
    let settings = Settings {
        rotate_after: Settings::default().grace,
        ..Settings::default()
    };
    assert!(matches!(
        Policy::new(settings, Bounds::DEFAULT, true),
        Err(PolicyError::RotateTooOften { .. })
    ));
}
