//! Which key goes, and when: corners in which a job, or keyturn itself, would lose a key that it still needs.

mod common;

use std::time::Duration;

use common::*;
use planner::*;

fn at_once() -> Policy {
    retire(Settings {
        grace: Duration::ZERO,
        delete_after: Duration::ZERO,
        ..Settings::default()
    })
}

#[test]
fn a_run_does_not_cut_the_key_it_signs_with_while_the_new_one_is_not_proved() {
    let knowing = |in_hand: &[&str], verified: &[&str]| {
        let mut facts = look(
            &[key("OLD", 90 * DAY), key("NEW", HOUR)],
            &[hiding("NEW", Some("OLD"), HOUR)],
        );
        facts.run.signer = Some(id("OLD"));
        facts.run.in_hand = in_hand.iter().map(|name| id(name)).collect();
        facts.run.verified = verified.iter().map(|name| id(name)).collect();
        words(&next(&facts, &at_once()))
    };
    assert_eq!(knowing(&["NEW"], &["NEW"]), "switch_signer NEW");
    assert_eq!(knowing(&["NEW"], &[]), "wait in_use OLD");
    assert_eq!(knowing(&[], &["NEW"]), "wait in_use OLD");
}

#[test]
fn of_two_outgoing_keys_the_inactive_one_makes_room_first() {
    let keys = [
        key("OLD", 90 * DAY),
        inactive(key("MID", 60 * DAY)),
        key("NEW", 30 * DAY),
    ];
    let pairs = [
        holding("NEW", Some("OLD"), 30 * DAY),
        holding("NEW", Some("MID"), 30 * DAY),
    ];
    let verdict = next(&look(&keys, &pairs), &retire(Settings::default()));
    assert_eq!(words(&verdict), "look, then delete MID");
}

#[test]
fn an_older_key_of_another_run_is_cut_when_that_run_can_write_no_more() {
    let at = |age: u64| {
        let mut facts = look(
            &[key("OTHER", age), key("NEW", age - 1)],
            &[marked(readable("NEW", "NEW"), "NEW", "NEW", None, MINUTE)],
        );
        facts.journal = intent(age + 1);
        words(&next(&facts, &at_once()))
    };
    assert_eq!(at(HOUR - 1), "wait orphan_age OTHER");
    assert_eq!(at(HOUR), "look, then deactivate OTHER");
}

/// Somebody may have had it activated and used it an hour ago.
#[test]
fn a_deactivated_key_whose_last_use_can_not_be_read_is_not_deleted() {
    let mut old = inactive(key("OLD", 90 * DAY));
    old.last_used = LastUsed::Unknown;
    let facts = look(
        &[old, key("NEW", 30 * DAY)],
        &[holding("NEW", Some("OLD"), 30 * DAY)],
    );
    let with = |policy: &Policy| words(&next(&facts, policy));
    assert_eq!(with(&retire(Settings::default())), "blocked last_use_unknown OLD");
    assert_eq!(with(&at_once()), "look, then delete OLD", "jobs may break");
    let mut by_this_run = facts.clone();
    by_this_run.run.inactive_at_start.clear();
    let waits = words(&next(&by_this_run, &retire(Settings::default())));
    assert_eq!(waits, "wait delete_after OLD", "it is not asked for yet");
}

#[test]
fn a_deactivated_key_stays_until_its_last_use_is_long_ago() {
    let used = |ago_seconds: u64| {
        let mut old = inactive(key("OLD", 90 * DAY));
        old.last_used = LastUsed::At(ago(ago_seconds), Service::Other);
        let facts = look(
            &[old, key("NEW", 30 * DAY)],
            &[holding("NEW", Some("OLD"), 30 * DAY)],
        );
        words(&next(&facts, &retire(Settings::default())))
    };
    let Settings {
        unused_for,
        delete_after,
        ..
    } = Settings::default();
    assert_eq!(used(unused_for.as_secs() - 1), "wait in_use OLD");
    assert_eq!(used(unused_for.as_secs()), "wait delete_after OLD");
    assert_eq!(used(delete_after.as_secs() - 1), "wait delete_after OLD");
    assert_eq!(used(delete_after.as_secs()), "look, then delete OLD");
}

#[test]
fn without_a_grace_only_the_last_use_of_a_key_that_nothing_names_is_asked_for() {
    let facts = look(
        &[key("OLD", 90 * DAY), key("NEW", DAY), key("LOOSE", HOUR)],
        &[holding("NEW", Some("OLD"), DAY)],
    );
    let asked = |policy: &Policy| {
        ["OLD", "NEW", "LOOSE"].map(|name| last_use_matters(&facts.targets, policy, id(name)))
    };
    assert_eq!(asked(&at_once()), [false, false, true]);
    assert_eq!(asked(&retire(Settings::default())), [true, true, true]);
    let unmarked = look(&[key("OLD", 90 * DAY)], &[readable("OLD", "OLD")]);
    assert!(!last_use_matters(&unmarked.targets, &at_once(), id("OLD")));
}
