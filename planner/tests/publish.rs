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
    let missing = beside_a_sound_one(absent(), &[]);
    assert_eq!(without_creating(&missing), "blocked missing_variable");
    assert_eq!(decide(&missing), "write_secret 1 OLD");
    let dead = unmarked(IdValue::Key(id("OLD")), SecretValue::Readable(Proof::OfNone));
    let dead = marked(dead, "OLD", "GONE", None, 30 * DAY);
    let strangers = beside_a_sound_one(dead.clone(), &[]);
    assert_eq!(without_creating(&strangers), "blocked owner_unknown");
    // The first target had this key, so the journal beside it speaks for it.
    let pairs = [holding("OLD", Some("GONE"), 30 * DAY), dead];
    let facts = look(&[key("OLD", 90 * DAY)], &pairs);
    assert_eq!(without_creating(&facts), "look, then write_secret 1 OLD");
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
    let missing = unmarked(IdValue::Missing, SecretValue::Missing);
    assert_eq!(
        without_creating(&look(&[], &[missing])),
        "blocked missing_variable"
    );
    for half in [
        unmarked(gone, SecretValue::Missing),
        unmarked(IdValue::Missing, SecretValue::Hidden),
    ] {
        assert_eq!(without_creating(&look(&[], &[half])), "blocked half_pair");
    }
    let dead = unmarked(gone, SecretValue::Readable(Proof::OfNone));
    assert_eq!(
        without_creating(&look(&[], std::slice::from_ref(&dead))),
        "blocked owner_unknown"
    );
    let written = marked(dead, "GONE", "GONE", None, 30 * DAY);
    assert_eq!(without_creating(&look(&[], &[written])), "look, then journal");
}

#[test]
fn half_a_pair_is_left_alone_unless_keyturn_wrote_it() {
    let of_old = SecretValue::Readable(Proof::Of(id("OLD")));
    let there = IdValue::Key(id("OLD"));
    for (id, secret) in [
        (there, SecretValue::Missing),
        (there, SecretValue::Readable(Proof::Empty)),
        (IdValue::NotAKey, SecretValue::Missing),
        (IdValue::Hidden, SecretValue::Missing),
        (IdValue::Missing, of_old),
        (IdValue::Empty, of_old),
        (IdValue::Missing, SecretValue::Hidden),
        (IdValue::Missing, SecretValue::Readable(Proof::OfNone)),
    ] {
        let facts = look(&[key("OLD", 90 * DAY)], &[unmarked(id, secret)]);
        assert_eq!(decide(&facts), "blocked half_pair", "{id:?} {secret:?}");
    }
    // keyturn writes the secret first: what it marked beside a missing secret is no work of its own.
    for secret in [SecretValue::Missing, SecretValue::Readable(Proof::Empty)] {
        let half = id_marked(unmarked(there, secret), "OLD", MINUTE);
        assert_eq!(
            decide(&look(&[key("OLD", 90 * DAY)], &[half])),
            "blocked half_pair"
        );
    }
    // Between two creations of keyturn's own.
    let mut secret_first = unmarked(IdValue::Missing, of_old);
    secret_first.secret.marker = marker("OLD", MINUTE);
    let mut facts = look(&[key("OLD", 90 * DAY)], &[secret_first]);
    assert_eq!(decide(&facts), "write_id 0 OLD");
    // Its id stands under another name.
    facts.elsewhere = vec![id("OLD")];
    assert_eq!(decide(&facts), "blocked half_pair");
    // Nothing and nothing is a start.
    let facts = look(
        &[],
        &[unmarked(IdValue::Empty, SecretValue::Readable(Proof::Empty))],
    );
    assert_eq!(decide(&facts), "look, then journal");
}

#[test]
fn a_secret_that_fits_no_key_of_the_user_and_that_keyturn_never_wrote_may_be_anybodys() {
    for id in [
        IdValue::Key(id("OLD")),
        IdValue::Key(id("GONE")),
        IdValue::NotAKey,
        IdValue::Hidden,
    ] {
        let pair = unmarked(id, SecretValue::Readable(Proof::OfNone));
        let facts = look(&[key("OLD", 90 * DAY)], &[pair]);
        assert_eq!(decide(&facts), "blocked owner_unknown", "{id:?}");
    }
    // The marker of the id says nothing of the secret, and one that names an Active key is contradicted.
    let there = unmarked(IdValue::Key(id("OLD")), SecretValue::Readable(Proof::OfNone));
    for pair in [
        id_marked(there.clone(), "OLD", 30 * DAY),
        marked(there, "OLD", "OLD", None, 30 * DAY),
    ] {
        let facts = look(&[key("OLD", 90 * DAY)], &[pair]);
        assert_eq!(decide(&facts), "blocked owner_unknown");
    }
}

#[test]
fn a_secret_of_an_unlisted_key_is_dead_only_where_the_journal_vouches() {
    let decided = |alone, age| {
        let read = marked(
            unmarked(IdValue::Key(id("GONE")), SecretValue::Readable(Proof::OfNone)),
            "GONE",
            "GONE",
            None,
            age,
        );
        let [hidden, read] = [hiding("GONE", None, age), read].map(|pair| {
            let mut facts = look(&[], &[pair]);
            facts.alone = alone;
            decide(&facts)
        });
        assert_eq!(hidden, read, "whether it can be read makes no difference");
        hidden
    };
    assert_eq!(decided(true, HOUR), "look, then journal");
    assert_eq!(decided(false, HOUR), "blocked owner_unknown");
    // The list may lag behind a run that has just published a key.
    assert_eq!(decided(true, 20 * MINUTE), "wait unconfirmed");
    assert_eq!(decided(false, 20 * MINUTE), "wait unconfirmed");
    // The journal stands beside the first target and says nothing of another key in the second.
    let second = |marked| {
        let pairs = [hiding("GONE", None, HOUR), hiding(marked, None, HOUR)];
        let mut facts = look(&[], &pairs);
        facts.run.in_hand = vec![id("OTHER")];
        decide(&facts)
    };
    assert_eq!(second("GONE"), "look, then journal");
    assert_eq!(second("HERS"), "blocked owner_unknown");
}

#[test]
fn a_run_signed_by_a_key_that_no_target_holds_is_in_the_wrong_place() {
    let signed_by = |signer: Option<&str>, pairs: &[Pair]| {
        let mut facts = look(&[key("OLD", 90 * DAY)], pairs);
        facts.run.signer = signer.map(id);
        decide(&facts)
    };
    assert_eq!(signed_by(Some("OLD"), &[absent()]), "blocked wrong_place OLD");
    assert_eq!(signed_by(None, &[absent()]), "look, then journal");
    // A new project beside its group still starts.
    assert_eq!(
        signed_by(Some("OLD"), &[holding("OLD", None, 30 * DAY), absent()]),
        "write_secret 1 OLD"
    );
}

#[test]
fn no_key_is_created_where_the_journal_is_somebodys() {
    let mut facts = look(&[key("OLD", 90 * DAY)], &[holding("OLD", None, 30 * DAY)]);
    facts.journal = Journal::Taken;
    assert_eq!(decide(&facts), "blocked journal_taken");
}

#[test]
fn this_runs_key_is_newer_than_all_before_it_whatever_their_dates_and_ids() {
    for (before, age) in [("OLD", 20), ("ZULU", 20), ("OLD", 0)] {
        let mut facts = look(
            &[key(before, age), key("NEW", 20)],
            &[holding(before, None, 30 * DAY)],
        );
        facts.run.create_sent = true;
        facts.run.listed_before = vec![id(before)];
        facts.run.created(id("NEW"));
        facts.run.verified.push(id("NEW"));
        assert_eq!(decide(&facts), "write_secret 0 NEW", "{before} {age}");
    }
}

#[test]
fn a_refusal_is_not_believed_against_a_look_that_shows_the_secret() {
    let refused = |pairs: &[Pair]| {
        let mut facts = look(&[key("OLD", 90 * DAY), key("NEW", 20)], pairs);
        facts.run.create_sent = true;
        facts.run.listed_before = vec![id("OLD")];
        facts.run.created(id("NEW"));
        facts.run.verified.push(id("NEW"));
        facts.run.refused = true;
        facts
    };
    let shown = [
        marked(readable("OLD", "NEW"), "OLD", "NEW", None, 5),
        marked(hidden("OLD"), "OLD", "NEW", None, 5),
    ];
    for pair in shown {
        assert_eq!(decide(&refused(&[pair])), "write_id 0 NEW (prev OLD)");
    }
    assert_eq!(
        decide(&refused(&[holding("OLD", None, 30 * DAY)])),
        "look, then delete NEW"
    );
    let mut unread = refused(&[holding("OLD", None, 30 * DAY)]);
    unread.targets.push(Target::Unread);
    assert_eq!(decide(&unread), "blocked value_refused");
}

#[test]
fn the_intent_of_a_refused_key_is_closed_once_and_only_by_its_run() {
    let denied = |own: Option<bool>, listed: &[&str]| {
        let keys: Vec<Key> = listed.iter().map(|name| key(name, 90 * DAY)).collect();
        let mut facts = look(&keys, &[holding("OLD", None, 30 * DAY)]);
        facts.run.create_sent = true;
        facts.run.denied = true;
        facts.run.journaled = true;
        facts.run.listed_before = vec![id("OLD")];
        facts.journal = Journal::Read(own.map(|own| Intent { at: NOW, own }));
        decide(&facts)
    };
    assert_eq!(denied(Some(true), &["OLD"]), "close_intent");
    assert_eq!(denied(Some(true), &["OLD", "HERS"]), "blocked access_denied");
    assert_eq!(denied(Some(false), &["OLD"]), "blocked access_denied");
    assert_eq!(denied(None, &["OLD"]), "blocked access_denied");
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
        assert_eq!(decide(&facts), "incomplete unpublished");
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
