//! What is concluded from an observation, as reports show it: what each key is to the rotation, and what each target holds.
//! A person decides by these words which key to delete by hand.

mod common;

use common::*;
use planner::*;

fn shown(facts: &Facts) -> Vec<(String, Role)> {
    roles(facts, &rotate(Settings::default()))
        .iter()
        .map(|(key, role)| (name(key.id), *role))
        .collect()
}

fn held(facts: &Facts) -> Vec<(Holds, Option<Timestamp>)> {
    holdings(facts, &rotate(Settings::default()))
}

fn said(all: &[(&str, Role)]) -> Vec<(String, Role)> {
    all.iter()
        .map(|(name, role)| ((*name).to_owned(), *role))
        .collect()
}

#[test]
fn the_key_in_use_is_never_shown_as_one_to_remove() {
    let facts = look(
        &[key("OLD", 90 * DAY), key("NEW", DAY)],
        &[holding("NEW", Some("OLD"), DAY)],
    );
    assert_eq!(
        shown(&facts),
        said(&[("OLD", Role::Outgoing), ("NEW", Role::Current)])
    );
}

#[test]
fn the_key_that_this_run_is_about_to_publish_is_not_shown_as_an_orphan() {
    let mut facts = look(
        &[key("OLD", 90 * DAY), key("NEW", 20)],
        &[holding("OLD", None, 30 * DAY)],
    );
    facts.journal = intent(21);
    assert_eq!(
        shown(&facts),
        said(&[("OLD", Role::Current), ("NEW", Role::Orphan)])
    );
    facts.run.created(id("NEW"));
    assert_eq!(
        shown(&facts),
        said(&[("OLD", Role::Current), ("NEW", Role::Current)])
    );
}

#[test]
fn somebody_elses_key_is_shown_as_theirs() {
    let keys = [key("OLD", 90 * DAY), key("HERS", 2 * DAY), key("LOST", DAY)];
    let mut facts = look(&keys, &[holding("OLD", None, 30 * DAY)]);
    facts.journal = intent(DAY);
    assert_eq!(
        shown(&facts),
        said(&[
            ("OLD", Role::Current),
            ("HERS", Role::Foreign),
            ("LOST", Role::Orphan)
        ])
    );
}

#[test]
fn of_two_held_keys_the_newer_one_is_where_all_targets_are_going() {
    let facts = look(
        &[key("OLD", 90 * DAY), key("NEW", DAY)],
        &[holding("NEW", Some("OLD"), DAY), holding("OLD", None, 30 * DAY)],
    );
    assert_eq!(
        shown(&facts),
        said(&[("OLD", Role::Outgoing), ("NEW", Role::Current)])
    );
}

#[test]
fn each_target_is_shown_with_its_own_key_and_the_time_of_its_own_last_write() {
    let pairs = [
        holding("NEW", Some("OLD"), HOUR),
        hiding("OLD", None, 30 * DAY),
        hidden("OLD"),
    ];
    let mut facts = look(&[key("OLD", 90 * DAY), key("NEW", 2 * HOUR)], &pairs);
    facts.targets.insert(1, Target::Unread);
    assert_eq!(
        held(&facts),
        [
            (Holds::Key(id("NEW")), Some(ago(HOUR))),
            (Holds::Unknown, None),
            (Holds::Key(id("OLD")), Some(ago(30 * DAY))),
            (Holds::Key(id("OLD")), None),
        ]
    );
}

#[test]
fn a_torn_pair_is_shown_as_torn_and_not_as_a_key_that_works() {
    let pairs = [
        marked(readable("OLD", "NEW"), "OLD", "NEW", None, HOUR),
        marked(hidden("OLD"), "OLD", "NEW", None, HOUR),
    ];
    for pair in pairs {
        let facts = look(&[key("OLD", 90 * DAY), key("NEW", 2 * HOUR)], &[pair]);
        assert_eq!(held(&facts), [(Holds::Torn, Some(ago(HOUR)))]);
    }
}

#[test]
fn a_pair_of_a_deactivated_key_is_shown_with_it_and_a_dead_one_with_none() {
    let facts = look(
        &[inactive(key("OLD", 90 * DAY))],
        &[hiding("OLD", None, DAY), hiding("GONE", None, DAY), absent()],
    );
    assert_eq!(
        held(&facts),
        [
            (Holds::Key(id("OLD")), Some(ago(DAY))),
            (Holds::Unknown, Some(ago(DAY))),
            (Holds::Unknown, None),
        ]
    );
}

#[test]
fn what_is_printed_of_an_observation_names_the_keys() {
    assert_eq!(format!("{:?}", id("OLD")), "AKIA0000000000000OLD");
    assert_eq!(format!("{:>22}", id("OLD")), "  AKIA0000000000000OLD");
}

#[test]
fn the_next_run_is_named_for_when_the_wait_is_over() {
    let (key, until) = (id("OLD"), NOW.after(secs(DAY)));
    for wait in [
        Wait::Grace { key, until },
        Wait::InUse { key, until },
        Wait::Deletion { key, until },
        Wait::Quiet { until },
        Wait::Orphan { key, until },
        Wait::Unconfirmed { until },
    ] {
        assert_eq!(wait.until(), Some(until), "{wait:?}");
    }
    assert_eq!(Wait::UseOfNewKey { key }.until(), None);
}
