//! What may be written where: the newest key whose secret is in hand, to what holds an older one or nothing.

mod common;

use common::*;
use planner::*;

fn decide(facts: &Facts) -> String {
    words(&next(facts, &rotate(Settings::default())))
}

fn without_creating(facts: &Facts) -> String {
    let settings = Settings {
        create_missing: false,
        ..Settings::default()
    };
    words(&next(facts, &rotate(settings)))
}

/// OLD is in hand, and the second target is this one.
fn beside_a_sound_one(pair: Pair, others: &[Key]) -> Facts {
    let keys = [&[key("OLD", 90 * DAY)], others].concat();
    look(&keys, &[holding("OLD", None, 30 * DAY), pair])
}

#[test]
fn a_deactivated_id_without_a_secret_is_not_written_over() {
    let pair = unmarked(IdValue::Key(id("STOPPED")), SecretValue::Missing);
    let facts = beside_a_sound_one(pair, &[inactive(key("STOPPED", 200 * DAY))]);
    assert_eq!(decide(&facts), "blocked key_disabled STOPPED");
}

#[test]
fn a_missing_secret_blocks_where_it_may_not_be_created_and_a_dead_one_does_not() {
    let half = unmarked(IdValue::Key(id("OLD")), SecretValue::Missing);
    let missing = beside_a_sound_one(half, &[]);
    assert_eq!(without_creating(&missing), "blocked missing_variable");
    assert_eq!(decide(&missing), "write_secret 1 OLD");
    let dead = unmarked(IdValue::Key(id("OLD")), SecretValue::Readable(Proof::OfNone));
    let dead = beside_a_sound_one(dead, &[]);
    assert_eq!(without_creating(&dead), "look, then write_secret 1 OLD");
}

#[test]
fn a_key_that_somebody_deactivated_while_it_was_proved_is_not_published() {
    let mut facts = beside_a_sound_one(absent(), &[inactive(key("NEW", 20))]);
    facts.run.create_sent = true;
    facts.run.listed_before = vec![id("OLD")];
    facts.run.created(id("NEW"));
    facts.run.verified.push(id("NEW"));
    assert!(!decide(&facts).contains("NEW"), "{}", decide(&facts));
}

#[test]
fn an_older_pair_is_spread_once_a_newer_key_can_be_nobodys() {
    let at = |age| {
        let mut facts = beside_a_sound_one(absent(), &[key("NEW", age)]);
        facts.journal = intent(age);
        decide(&facts)
    };
    assert_eq!(at(HOUR - 1), "wait orphan_age NEW");
    assert_eq!(at(HOUR), "write_secret 1 OLD");
}

#[test]
fn targets_go_back_only_to_a_key_that_one_of_them_holds_in_hand_and_proved() {
    let keys = [key("OLD", 90 * DAY), key("NEW", 2 * DAY), key("SIGNS", 80 * DAY)];
    let pairs = [hiding("NEW", Some("OLD"), 2 * DAY), hiding("OLD", None, 30 * DAY)];
    let knowing = |in_hand: &[&str], verified: &[&str]| {
        let mut facts = look(&keys, &pairs);
        facts.run.in_hand = in_hand.iter().map(|name| id(name)).collect();
        facts.run.verified = verified.iter().map(|name| id(name)).collect();
        decide(&facts)
    };
    assert_eq!(knowing(&["OLD"], &["OLD"]), "look, then write_secret 0 OLD");
    assert_eq!(knowing(&["OLD"], &[]), "blocked split NEW");
    assert_eq!(knowing(&[], &["OLD"]), "blocked split NEW");
    assert_eq!(knowing(&["SIGNS"], &["SIGNS"]), "blocked split NEW");
}

#[test]
fn a_key_is_not_created_for_a_pair_that_lacks_a_variable_which_may_not_be_created() {
    let gone = IdValue::Key(id("GONE"));
    for (id, secret, wanted) in [
        (IdValue::Missing, SecretValue::Hidden, "blocked missing_variable"),
        (gone, SecretValue::Missing, "blocked missing_variable"),
        (IdValue::Missing, SecretValue::Missing, "blocked missing_variable"),
        (gone, SecretValue::Readable(Proof::OfNone), "look, then journal"),
    ] {
        assert_eq!(without_creating(&look(&[], &[unmarked(id, secret)])), wanted);
    }
}

#[test]
fn a_key_is_created_beside_a_strangers_once_it_can_be_no_runs() {
    let at = |age| decide(&look(&[key("HERS", age)], &[absent()]));
    assert_eq!(at(HOUR - 1), "wait orphan_age HERS");
    assert_eq!(at(HOUR), "look, then journal");
}

#[test]
fn a_run_that_may_not_create_does_not_name_a_time_that_has_come() {
    let policy = retire(Settings {
        rotate_after: secs(30 * DAY),
        ..Settings::default()
    });
    let at = |age| {
        let facts = look(&[key("OLD", age)], &[holding("OLD", None, 20 * DAY)]);
        next(&facts, &policy)
    };
    let until = Some(NOW.after(secs(1)));
    assert_eq!(at(30 * DAY - 1), Verdict::Converged { until });
    assert_eq!(at(30 * DAY), Verdict::Converged { until: None });
}

#[test]
fn a_newer_key_that_another_run_published_is_not_replaced_by_this_runs_own() {
    let keys = [key("OLD", 90 * DAY), key("NEW", 20), key("THIRD", 15)];
    for pair in [hiding("THIRD", Some("OLD"), 5), holding("THIRD", Some("OLD"), 5)] {
        let mut facts = look(&keys, &[pair]);
        facts.run.create_sent = true;
        facts.run.listed_before = vec![id("OLD")];
        facts.run.created(id("NEW"));
        facts.run.verified.push(id("NEW"));
        assert_eq!(decide(&facts), "wait grace OLD");
    }
}

#[test]
fn an_id_that_was_written_over_by_hand_keeps_the_memory_of_the_key_before() {
    let by_hand = unmarked(IdValue::NotAKey, SecretValue::Readable(Proof::Of(id("NEW"))));
    let facts = look(
        &[key("OLD", 90 * DAY), key("NEW", DAY)],
        &[marked(by_hand, "NEW", "NEW", Some("OLD"), DAY)],
    );
    assert_eq!(decide(&facts), "write_id 0 NEW (prev OLD)");
}
