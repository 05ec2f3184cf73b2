//! What stands beside the targets and matters all the same: variables that keyturn does not write, a clock that was wrong,
//! rights that are lacking.

mod common;

use common::*;
use planner::*;

fn decide(facts: &Facts) -> String {
    words(&next(facts, &rotate(Settings::default())))
}

fn retired(facts: &Facts) -> String {
    words(&next(facts, &retire(Settings::default())))
}

/// One key, held since a rotation ten days ago.
fn at_rest() -> Facts {
    look(&[key("NEW", 10 * DAY)], &[holding("NEW", Some("OLD"), 10 * DAY)])
}

/// A rotation whose outgoing key could go.
fn rotated() -> Facts {
    let keys = [used(key("OLD", 90 * DAY), 9 * DAY), key("NEW", 2 * DAY)];
    look(&keys, &[holding("NEW", Some("OLD"), 2 * DAY)])
}

#[test]
fn no_key_is_replaced_that_a_variable_of_another_scope_holds_too() {
    let mut facts = at_rest();
    assert_eq!(decide(&facts), "journal");
    facts.elsewhere = vec![id("NEW")];
    assert_eq!(decide(&facts), "blocked held_elsewhere NEW");
}

#[test]
fn no_key_is_retired_that_a_variable_of_another_scope_still_hands_out() {
    let mut facts = rotated();
    assert_eq!(retired(&facts), "look, then deactivate OLD");
    facts.elsewhere = vec![id("OLD")];
    assert_eq!(retired(&facts), "blocked held_elsewhere OLD");
    assert_eq!(decide(&facts), "blocked held_elsewhere OLD");
}

#[test]
fn a_copy_of_the_current_key_hinders_no_retirement_of_the_one_before() {
    let mut facts = rotated();
    facts.elsewhere = vec![id("NEW")];
    assert_eq!(retired(&facts), "look, then deactivate OLD");
}

#[test]
fn a_copy_of_a_strangers_key_is_none_of_this_rotations_business() {
    let mut facts = at_rest();
    facts.keys.push(key("THEIRS", 40 * DAY));
    facts.elsewhere = vec![id("THEIRS")];
    assert_eq!(retired(&facts), "converged");
    assert_eq!(decide(&facts), "blocked slot_occupied THEIRS");
    let roles = roles(&facts, &retire(Settings::default()));
    assert!(
        roles
            .iter()
            .any(|(key, role)| key.id == id("THEIRS") && *role == Role::Foreign)
    );
}

#[test]
fn a_newer_key_of_a_stranger_keeps_no_target_from_getting_the_current_one() {
    let mut facts = look(
        &[key("NEW", 10 * DAY), key("THEIRS", 5 * DAY)],
        &[holding("NEW", Some("OLD"), 10 * DAY), absent()],
    );
    facts.elsewhere = vec![id("THEIRS")];
    assert_eq!(decide(&facts), "write_secret 1 NEW");
}

#[test]
fn of_two_copies_the_one_of_the_key_that_should_go_is_told() {
    for turned in [false, true] {
        let mut facts = rotated();
        facts.elsewhere = vec![id("NEW"), id("OLD")];
        if turned {
            facts.keys.reverse();
        }
        assert_eq!(retired(&facts), "blocked held_elsewhere OLD");
    }
}

#[test]
fn a_copy_does_not_keep_a_dead_pair_dead() {
    let mut facts = look(
        &[key("OTHER", 90 * DAY)],
        &[marked(
            unmarked(IdValue::Key(id("GONE")), SecretValue::Readable(Proof::OfNone)),
            "GONE",
            "GONE",
            None,
            30 * DAY,
        )],
    );
    facts.elsewhere = vec![id("OTHER")];
    assert_eq!(decide(&facts), "look, then journal");
}

#[test]
fn no_rotation_begins_whose_marker_would_carry_a_wrong_time() {
    let mut facts = at_rest();
    facts.clocks.aws = facts.clocks.aws.after(secs(5 * MINUTE + 1));
    assert_eq!(decide(&facts), "blocked clocks_disagree");
    facts.clocks.aws = NOW.after(secs(5 * MINUTE));
    assert_eq!(decide(&facts), "journal");
}

#[test]
fn a_dead_pair_is_replaced_whatever_the_clocks_say() {
    let mut facts = look(&[], &[holding("GONE", None, 10 * DAY)]);
    if let Some(Target::Seen(pair)) = facts.targets.first_mut() {
        pair.secret.value = SecretValue::Readable(Proof::OfNone);
    }
    facts.clocks.aws = facts.clocks.aws.after(secs(DAY));
    assert_eq!(decide(&facts), "look, then journal");
}

/// The clocks were put back a day since the rotation.
fn put_back(mut facts: Facts) -> Facts {
    for clock in [&mut facts.clocks.aws, &mut facts.clocks.gitlab] {
        clock.0 -= DAY.cast_signed();
    }
    facts
}

#[test]
fn a_marker_of_the_future_is_written_anew_where_its_secret_is_in_hand() {
    let mut facts = put_back(look(
        &[key("NEW", 10 * DAY)],
        &[holding("NEW", Some("OLD"), 2 * HOUR)],
    ));
    assert_eq!(decide(&facts), "write_secret 0 NEW");
    if let Some(Target::Seen(pair)) = facts.targets.first_mut()
        && let Some(marker) = &mut pair.secret.marker
    {
        marker.at = facts.clocks.gitlab;
    }
    assert_eq!(decide(&facts), "write_id 0 NEW (prev OLD)");
    // Within the span in which two clocks may differ it is as good as any.
    let near = |ahead: u64| {
        let mut facts = look(&[key("NEW", 10 * DAY)], &[holding("NEW", Some("OLD"), 0)]);
        facts.clocks.gitlab.0 -= ahead.cast_signed();
        facts.clocks.aws = facts.clocks.gitlab;
        decide(&facts)
    };
    assert_eq!(near(5 * MINUTE), "wait quiet");
    assert_eq!(near(5 * MINUTE + 1), "write_secret 0 NEW");
}

#[test]
fn a_marker_of_the_future_on_a_hidden_secret_is_for_a_person() {
    let hidden = |keys: &[Key]| put_back(look(keys, &[hiding("NEW", Some("OLD"), 2 * HOUR)]));
    assert_eq!(
        decide(&hidden(&[key("NEW", 10 * DAY)])),
        "blocked clocks_disagree"
    );
    let both = [used(key("OLD", 90 * DAY), 9 * DAY), key("NEW", 10 * DAY)];
    assert_eq!(retired(&hidden(&both)), "blocked clocks_disagree");
    // Unless the run was given that secret.
    let mut given = hidden(&[key("NEW", 10 * DAY)]);
    given.run.in_hand.push(id("NEW"));
    given.run.verified.push(id("NEW"));
    assert_eq!(decide(&given), "write_secret 0 NEW");
}

#[test]
fn a_marker_of_the_future_makes_no_dead_pair_wait_for_it() {
    let mut pair = holding("GONE", None, 2 * HOUR);
    pair.secret.value = SecretValue::Readable(Proof::OfNone);
    assert_eq!(decide(&put_back(look(&[], &[pair]))), "look, then journal");
}

#[test]
fn no_key_is_replaced_whose_use_can_not_be_read() {
    // It could never be retired: the second place would be taken for good.
    let mut facts = at_rest();
    facts.keys[0].last_used = LastUsed::Unknown;
    assert_eq!(decide(&facts), "blocked last_use_unknown NEW");
    let at_once = Settings {
        grace: secs(0),
        ..Settings::default()
    };
    assert_eq!(words(&next(&facts, &rotate(at_once))), "journal");
}

#[test]
fn a_key_is_inactive_for_the_whole_time_that_was_set() {
    let at = |use_age| {
        let mut facts = look(
            &[
                used(inactive(key("OLD", 90 * DAY)), use_age),
                key("NEW", 30 * DAY),
            ],
            &[holding("NEW", Some("OLD"), 30 * DAY)],
        );
        facts.run.inactive_at_start.push(id("OLD"));
        retired(&facts)
    };
    // A key that was used a day ago was deactivated since then, however long ago the rotation is.
    assert_eq!(at(HOUR - 1), "wait in_use OLD");
    assert_eq!(at(HOUR), "wait delete_after OLD");
    assert_eq!(at(7 * DAY - 1), "wait delete_after OLD");
    assert_eq!(at(7 * DAY), "look, then delete OLD");
}

#[test]
fn the_target_that_can_be_read_back_gets_the_new_key_first() {
    let mut facts = look(
        &[key("OLD", 90 * DAY), key("NEW", 20)],
        &[hiding("OLD", None, 30 * DAY), holding("OLD", None, 30 * DAY)],
    );
    facts.journal = intent(21);
    facts.run.create_sent = true;
    facts.run.listed_before = vec![id("OLD")];
    facts.run.created(id("NEW"));
    facts.run.verified.push(id("NEW"));
    assert_eq!(decide(&facts), "write_secret 1 NEW");
    // Also where it has no variables yet.
    facts.targets[1] = Target::Seen(absent());
    assert_eq!(decide(&facts), "write_secret 1 NEW");
}
