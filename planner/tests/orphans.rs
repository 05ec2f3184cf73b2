//! Whose a key is that no target mentions: the orphan of a crash, which is deleted, or somebody else's, which never is.

mod common;

use std::time::Duration;

use common::*;
use planner::*;

fn decide(facts: &Facts) -> String {
    words(&next(facts, &rotate(Settings::default())))
}

/// LOST was announced and never used, and no target mentions it.
fn lost(lost: Key, pairs: &[Pair]) -> Facts {
    let mut facts = look(&[lost], pairs);
    facts.journal = intent(2 * DAY);
    facts
}

#[test]
fn a_deactivated_key_that_may_own_a_dead_secret_is_not_deleted_as_an_orphan() {
    // STS can't be asked about an Inactive key, so the secret that nobody accepts may be its own.
    let dead = unmarked(IdValue::NotAKey, SecretValue::Readable(Proof::OfNone));
    let disabled = inactive(key("LOST", 2 * DAY));
    assert_eq!(decide(&lost(disabled, &[dead])), "blocked owner_unknown");
    // Where there is no secret there is nothing to own.
    assert_eq!(decide(&lost(disabled, &[absent()])), "look, then delete LOST");
}

#[test]
fn a_key_that_sts_served_after_its_run_is_in_somebodys_hands() {
    let at = |after_creation: u64| {
        let used = LastUsed::At(ago(2 * DAY - after_creation), Service::Sts);
        let orphan = Key {
            last_used: used,
            ..key("NEW", 2 * DAY)
        };
        let mut facts = look(&[key("OLD", 90 * DAY), orphan], &[holding("OLD", None, 30 * DAY)]);
        facts.journal = intent(2 * DAY);
        decide(&facts)
    };
    // Its run proves it within D, and the record of that may bear a date Z later.
    assert_eq!(at(15 * MINUTE), "look, then delete NEW");
    assert_eq!(at(15 * MINUTE + 1), "blocked slot_occupied NEW");
}

#[test]
fn an_orphan_is_not_deleted_beside_a_target_of_which_somebody_left_one_half() {
    // Nobody knows when the other half went, so a job may hold anything.
    let halves = [
        unmarked(IdValue::Key(id("OLD")), SecretValue::Missing),
        unmarked(IdValue::Missing, SecretValue::Hidden),
    ];
    for half in halves {
        let mut facts = look(
            &[key("OLD", 90 * DAY), key("LOST", 2 * DAY)],
            &[hiding("OLD", None, 30 * DAY), half],
        );
        facts.journal = intent(2 * DAY);
        assert_eq!(decide(&facts), "blocked half_pair");
    }
}

#[test]
fn an_orphan_is_not_deleted_while_the_list_may_lag_behind_one_half_of_a_target() {
    // GONE may be the key of a run that the list does not show yet, and LOST the one that run replaced.
    let at_once = rotate(Settings {
        grace: Duration::ZERO,
        delete_after: Duration::ZERO,
        ..Settings::default()
    });
    let decide = |age| {
        let pair = marked(hidden("OLD"), "OLD", "GONE", None, age);
        let mut facts = look(&[key("OLD", 90 * DAY), key("LOST", 2 * HOUR)], &[pair]);
        facts.journal = intent(2 * HOUR);
        words(&next(&facts, &at_once))
    };
    assert_eq!(decide(5 * MINUTE - 1), "wait unconfirmed");
    assert_eq!(decide(5 * MINUTE), "look, then delete LOST");
}

#[test]
fn an_orphan_is_deleted_only_where_clocks_can_be_compared() {
    let apart = |seconds| {
        let mut facts = look(
            &[key("OLD", 90 * DAY), key("NEW", 2 * DAY)],
            &[holding("OLD", None, 30 * DAY)],
        );
        facts.journal = intent(2 * DAY);
        facts.clocks.aws = NOW.after(secs(seconds));
        decide(&facts)
    };
    assert_eq!(apart(5 * MINUTE), "look, then delete NEW");
    assert_eq!(apart(5 * MINUTE + 1), "blocked clocks_disagree");
}

#[test]
fn an_orphan_goes_at_the_very_end_of_its_waits() {
    let at = |age: u64, written: u64| {
        let mut facts = look(
            &[key("OLD", 90 * DAY), key("NEW", age)],
            &[holding("OLD", None, written)],
        );
        facts.journal = intent(age);
        decide(&facts)
    };
    assert_eq!(at(2 * DAY, DAY - 1), "wait orphan_age NEW");
    assert_eq!(at(2 * DAY, DAY), "look, then delete NEW");
    assert_eq!(at(HOUR - 1, 2 * DAY), "wait orphan_age NEW");
    assert_eq!(at(HOUR, 2 * DAY), "look, then delete NEW");
}
