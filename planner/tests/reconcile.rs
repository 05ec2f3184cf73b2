//! The loop, event by event: what it asks for next, and what it remembers of what it was told.

mod common;

use common::*;
use planner::*;

const STEP: Step = Step::Journal;

fn policy() -> Policy {
    rotate(Settings::default())
}

fn turn_within(run: &mut Reconciler, facts: Option<&mut Facts>, left: TimeLeft) -> Turn {
    run.turn(facts, left, false, &policy())
}

fn turn(run: &mut Reconciler, facts: Option<&mut Facts>) -> Turn {
    turn_within(run, facts, TimeLeft::Ample)
}

/// One key, rotated a long time ago.
fn at_rest() -> Facts {
    look(&[key("OLD", 90 * DAY)], &[holding("OLD", None, 30 * DAY)])
}

/// The id of OLD beside the secret of NEW, as keyturn leaves it between two writes.
fn torn() -> Facts {
    let pair = marked(readable("OLD", "NEW"), "OLD", "NEW", None, 5);
    look(&[key("OLD", 90 * DAY), key("NEW", 20)], &[pair])
}

/// A run that has looked and decided on these facts.
fn after(facts: &mut Facts) -> (Reconciler, Turn) {
    let mut run = Reconciler::new(None);
    run.looked(facts);
    let next = turn(&mut run, Some(facts));
    (run, next)
}

const WRITES_ID: fn(&Turn) -> bool = |turn| matches!(turn, Turn::Perform(Step::WriteId { .. }));

#[test]
fn a_run_begins_with_a_look_at_everything() {
    let mut run = Reconciler::new(Some(id("OLD")));
    assert_eq!(
        (run.run.signer, run.run.in_hand.clone()),
        (Some(id("OLD")), vec![id("OLD")])
    );
    assert_eq!(turn(&mut run, None), Turn::Observe(Extent::Full));
    assert_eq!(
        turn(&mut run, None),
        Turn::Observe(Extent::Full),
        "nothing was shown"
    );
    assert_eq!(run.looking, Extent::Full);
}

#[test]
fn the_first_full_look_says_which_keys_were_inactive() {
    let keys = [inactive(key("OLD", 90 * DAY)), key("NEW", 30 * DAY)];
    let mut facts = look(&keys, &[holding("NEW", Some("OLD"), 30 * DAY)]);
    facts.full = false;
    let mut run = Reconciler::new(None);
    run.looked(&facts);
    assert!(
        run.run.inactive_at_start.is_empty() && !run.began,
        "a look at half is none"
    );
    facts.full = true;
    run.looked(&facts);
    assert_eq!(run.run.inactive_at_start, [id("OLD")]);
    facts.keys = vec![inactive(key("NEW", 30 * DAY))];
    run.looked(&facts);
    assert_eq!(run.run.inactive_at_start, [id("OLD")], "only the first");
}

#[test]
fn a_look_puts_secrets_of_active_keys_in_hand_once() {
    let facts = at_rest();
    let mut run = Reconciler::new(None);
    run.looked(&facts);
    run.looked(&facts);
    assert_eq!(
        (run.run.in_hand, run.run.verified),
        (vec![id("OLD")], vec![id("OLD")])
    );
    let unlisted = look(&[], &[holding("OLD", None, 30 * DAY)]);
    let mut run = Reconciler::new(None);
    run.looked(&unlisted);
    assert!(run.run.in_hand.is_empty());
    let stopped = look(
        &[inactive(key("OLD", 90 * DAY))],
        &[holding("OLD", None, 30 * DAY)],
    );
    run.looked(&stopped);
    assert!(run.run.in_hand.is_empty());
}

#[test]
fn what_wants_a_second_look_gets_it_and_is_done_when_that_agrees() {
    let keys = [key("OLD", 90 * DAY), key("NEW", 30 * DAY)];
    let mut facts = look(&keys, &[holding("NEW", Some("OLD"), 30 * DAY)]);
    let (mut run, next) = after(&mut facts);
    assert_eq!(next, Turn::Observe(Extent::Full));
    let step = Step::Deactivate { key: id("OLD") };
    assert_eq!(run.run.proposed, Some(step));
    assert_eq!(turn(&mut run, Some(&mut facts)), Turn::Perform(step));
    assert_eq!(run.run.proposed, None);
    facts.full = false;
    let (run, _) = after(&mut facts);
    assert_eq!(run.run.proposed, None, "a look at half proposes nothing");
}

#[test]
fn an_end_is_believed_only_on_a_full_look() {
    let keys = [key("OLD", 90 * DAY), key("NEW", DAY / 2)];
    let mut facts = look(&keys, &[holding("NEW", Some("OLD"), DAY / 2)]);
    let (_, next) = after(&mut facts);
    let Turn::End(end) = next else {
        unreachable!("{next:?}")
    };
    assert!(
        end.is_well() && end.judges_the_world() && !end.is_converged(),
        "{end:?}"
    );
    assert_eq!((end.word(), end.blocked()), ("grace", None));
    facts.full = false;
    assert_eq!(after(&mut facts).1, Turn::Observe(Extent::Full));
    // What says something of this run alone is believed at once.
    facts.run.stopping = true;
    let mut run = Reconciler::new(None);
    run.looked(&facts);
    let stopped = run.turn(Some(&mut facts), TimeLeft::Ample, true, &policy());
    assert_eq!(
        stopped,
        Turn::End(End::Decided(Verdict::Incomplete(Incomplete::Interrupted)))
    );
}

#[test]
fn a_refused_step_ends_the_run_when_it_comes_up_again() {
    for told in [
        Told::Refused(Cause::Lasting),
        Told::Refused(Cause::Passing),
        Told::Denied,
    ] {
        let mut facts = at_rest();
        let (mut run, next) = after(&mut facts);
        assert_eq!(next, Turn::Perform(STEP));
        run.told(STEP, told);
        assert_eq!(turn(&mut run, Some(&mut facts)), Turn::Observe(Extent::Full));
        assert_eq!(turn(&mut run, Some(&mut facts)), Turn::End(End::Failed(STEP)));
    }
}

#[test]
fn an_intent_that_was_refused_and_stands_is_an_intent() {
    let intent = |own| Journal::Read(Some(Intent { at: NOW, own }));
    let after_refusal = |journal, full| {
        let mut facts = at_rest();
        let (mut run, _) = after(&mut facts);
        run.told(STEP, Told::Refused(Cause::Lasting));
        assert_eq!(turn(&mut run, Some(&mut facts)), Turn::Observe(Extent::Full));
        (facts.journal, facts.full) = (journal, full);
        turn(&mut run, Some(&mut facts))
    };
    assert_eq!(after_refusal(intent(true), true), Turn::Perform(Step::Create));
    for (journal, full) in [
        (intent(false), true),
        (Journal::Read(None), true),
        (intent(true), false),
    ] {
        assert_eq!(after_refusal(journal, full), Turn::End(End::Failed(STEP)));
    }
}

#[test]
fn a_refused_key_ends_the_run_and_one_for_want_of_a_right_wants_a_look() {
    let told = |told| {
        let mut run = Reconciler::new(None);
        run.told(Step::Create, told);
        let next = turn(&mut run, Some(&mut at_rest()));
        (run.run.denied, next)
    };
    let failed = Turn::End(End::Failed(Step::Create));
    assert_eq!(told(Told::Refused(Cause::Lasting)), (false, failed));
    assert_eq!(told(Told::Refused(Cause::Passing)), (false, failed));
    assert_eq!(told(Told::Denied), (true, Turn::Observe(Extent::Full)));
    // A look that fails then doesn't hide why there is no key.
    for unseen in [
        Unseen::Failed(Cause::Passing),
        Unseen::Failed(Cause::Lasting),
        Unseen::Cut,
    ] {
        let mut run = Reconciler::new(None);
        run.told(Step::Create, Told::Denied);
        run.unseen(unseen);
        assert_eq!(turn(&mut run, None), failed);
    }
}

#[test]
fn a_step_without_an_answer_is_tried_twice_more() {
    let mut facts = at_rest();
    let (mut run, _) = after(&mut facts);
    for chances in [1, 0] {
        run.told(STEP, Told::Unknown(Cause::Passing));
        assert_eq!((run.chances, run.run.unclear.as_slice()), (chances, &[STEP][..]));
        assert_eq!(turn(&mut run, Some(&mut facts)), Turn::Observe(Extent::Full));
        assert_eq!(turn(&mut run, Some(&mut facts)), Turn::Perform(STEP));
    }
    run.told(STEP, Told::Unknown(Cause::Passing));
    assert_eq!(turn(&mut run, Some(&mut facts)), Turn::End(End::Failed(STEP)));
}

#[test]
fn an_answer_that_may_be_of_another_variable_ends_the_run() {
    let (mut run, _) = after(&mut at_rest());
    run.told(STEP, Told::Unknown(Cause::Lasting));
    assert_eq!(turn(&mut run, None), Turn::End(End::Failed(STEP)));
    run.told(STEP, Told::Cut);
    assert_eq!(turn(&mut run, None), Turn::End(End::CutShort(STEP)));
}

#[test]
fn the_half_that_completes_a_pair_is_tried_for_as_long_as_there_is_time() {
    for told in [Told::Refused(Cause::Passing), Told::Unknown(Cause::Passing)] {
        let mut facts = torn();
        let (mut run, mut next) = after(&mut facts);
        for before in [0, 1, 2, 3, 4, 4] {
            assert!(WRITES_ID(&next), "{next:?}");
            let Turn::Perform(step) = next else { return };
            run.told(step, told);
            assert_eq!(turn(&mut run, Some(&mut facts)), Turn::Pause(before));
            assert_eq!(turn(&mut run, Some(&mut facts)), Turn::Observe(Extent::Full));
            next = turn(&mut run, Some(&mut facts));
        }
        assert_eq!(run.chances, 2, "it uses up no chance");
        let Turn::Perform(step) = next else { return };
        for left in [TimeLeft::Short, TimeLeft::Over] {
            run.told(step, told);
            assert_eq!(turn_within(&mut run, None, left), Turn::End(End::Failed(step)));
        }
        run.told(step, told);
        assert_eq!(turn_within(&mut run, None, TimeLeft::Enough), Turn::Pause(4));
    }
    // What a person must mend, no waiting does.
    let mut facts = torn();
    let (mut run, next) = after(&mut facts);
    let Turn::Perform(step) = next else {
        unreachable!("{next:?}")
    };
    run.told(step, Told::Refused(Cause::Lasting));
    assert_eq!(turn(&mut run, Some(&mut facts)), Turn::Observe(Extent::Full));
    assert_eq!(turn(&mut run, Some(&mut facts)), Turn::End(End::Failed(step)));
}

#[test]
fn what_follows_a_step_that_was_done() {
    let (old, new) = (id("OLD"), id("NEW"));
    let told = |step| {
        let mut run = Reconciler::new(None);
        run.due = Due::Decision;
        run.told(step, Told::Done);
        run
    };
    for (step, due) in [
        (Step::Journal, Due::Decision),
        (Step::CloseIntent, Due::Decision),
        (Step::WriteSecret { target: 0, key: new }, Due::Decision),
        (
            Step::WriteId {
                target: 0,
                key: new,
                prev: None,
            },
            Due::Decision,
        ),
        (Step::Verify { key: new }, Due::Look(Extent::Short)),
        (Step::SwitchSigner { key: new }, Due::Look(Extent::Full)),
        (Step::Deactivate { key: old }, Due::Look(Extent::Full)),
        (Step::Delete { key: old }, Due::Look(Extent::Full)),
        (Step::Undo { key: new }, Due::Look(Extent::Full)),
    ] {
        assert_eq!(told(step).due, due, "{step}");
    }
    assert!(told(Step::Journal).run.journaled && !told(Step::CloseIntent).run.journaled);
    assert_eq!(told(Step::Verify { key: new }).run.verified, [new]);
    assert!(told(Step::SwitchSigner { key: new }).run.switched);
    assert_eq!(told(Step::Delete { key: old }).run.gone, [old]);
    let undone = told(Step::Undo { key: new }).run;
    assert_eq!((undone.undone, undone.gone), (true, vec![new]));
    let mut run = Reconciler::new(None);
    run.told(Step::Create, Told::Created(new));
    assert_eq!((run.run.created, run.due), (Some(new), Due::Decision));
}

#[test]
fn a_key_that_was_not_proved_is_looked_after() {
    let verify = Step::Verify { key: id("NEW") };
    for (told, unverifiable) in [(Told::NotProved, true), (Told::Stopped, false)] {
        let mut run = Reconciler::new(None);
        run.told(verify, told);
        assert_eq!(
            (run.run.unverifiable, run.due),
            (unverifiable, Due::Look(Extent::Full))
        );
    }
}

#[test]
fn a_look_that_fails_ends_a_run_that_tore_nothing() {
    for (unseen, end) in [
        (Unseen::Failed(Cause::Passing), End::Unseen),
        (Unseen::Failed(Cause::Lasting), End::Unseen),
        (Unseen::SignerRefused, End::Unseen),
        (Unseen::Cut, End::Cut),
    ] {
        let (mut run, _) = after(&mut at_rest());
        run.unseen(unseen);
        assert_eq!(turn(&mut run, None), Turn::End(end), "{unseen:?}");
    }
}

#[test]
fn a_look_that_fails_beside_a_torn_pair_is_repeated() {
    let failed = Unseen::Failed(Cause::Passing);
    let (mut run, _) = after(&mut torn());
    run.unseen(failed);
    assert_eq!(turn(&mut run, None), Turn::Pause(0));
    assert_eq!(turn(&mut run, None), Turn::Observe(Extent::Full));
    run.unseen(Unseen::Failed(Cause::Lasting));
    assert_eq!(turn(&mut run, None), Turn::End(End::Unseen));
    // A secret may be there though nobody said so; of an id, that makes no pair torn.
    let secret = Step::WriteSecret {
        target: 0,
        key: id("OLD"),
    };
    for (step, next) in [(secret, Turn::Pause(0)), (STEP, Turn::End(End::Unseen))] {
        let (mut run, _) = after(&mut at_rest());
        run.told(step, Told::Unknown(Cause::Passing));
        assert_eq!(turn(&mut run, None), Turn::Observe(Extent::Full));
        run.unseen(failed);
        assert_eq!(turn(&mut run, None), next);
    }
}

#[test]
fn the_short_look_after_a_proof_has_its_chances() {
    let failed = Unseen::Failed(Cause::Passing);
    let mut run = Reconciler::new(None);
    for chances in [1, 0] {
        run.told(Step::Verify { key: id("NEW") }, Told::Done);
        assert_eq!(turn(&mut run, None), Turn::Observe(Extent::Short));
        run.unseen(failed);
        assert_eq!(run.chances, chances);
        assert_eq!(turn(&mut run, None), Turn::Observe(Extent::Full));
    }
    run.told(Step::Verify { key: id("NEW") }, Told::Done);
    assert_eq!(turn(&mut run, None), Turn::Observe(Extent::Short));
    run.unseen(failed);
    assert_eq!(turn(&mut run, None), Turn::End(End::Unseen));
}

#[test]
fn a_new_signer_that_aws_refuses_is_waited_for_a_little() {
    let mut run = Reconciler::new(None);
    run.told(Step::SwitchSigner { key: id("NEW") }, Told::Done);
    assert_eq!(turn(&mut run, None), Turn::Observe(Extent::Full));
    for before in [0, 1, 2, 3] {
        run.unseen(Unseen::SignerRefused);
        assert_eq!(turn(&mut run, None), Turn::Pause(before));
        assert_eq!(turn(&mut run, None), Turn::Observe(Extent::Full));
    }
    run.unseen(Unseen::SignerRefused);
    assert_eq!(turn(&mut run, None), Turn::End(End::Unseen));
}

#[test]
fn a_target_that_may_be_read_in_a_moment_is_waited_for_beside_a_torn_pair() {
    let unread = |passing| {
        let mut facts = at_rest();
        facts.targets.push(Target::Unread);
        facts.passing = passing;
        facts
    };
    let (mut run, _) = after(&mut torn());
    assert!(run.torn);
    assert_eq!(turn(&mut run, Some(&mut unread(true))), Turn::Pause(0));
    let (mut run, _) = after(&mut torn());
    assert!(matches!(turn(&mut run, Some(&mut unread(false))), Turn::End(_)));
    let (mut run, _) = after(&mut torn());
    let late = turn_within(&mut run, Some(&mut unread(true)), TimeLeft::Short);
    assert_eq!(
        late,
        Turn::End(End::Decided(Verdict::Incomplete(Incomplete::OutOfTime)))
    );
    let (mut run, _) = after(&mut at_rest());
    assert!(matches!(turn(&mut run, Some(&mut unread(true))), Turn::End(_)));
    let (mut run, _) = after(&mut torn());
    let mut half = unread(true);
    half.full = false;
    assert_eq!(turn(&mut run, Some(&mut half)), Turn::Observe(Extent::Full));
}

#[test]
fn a_torn_pair_is_one_that_the_next_write_would_complete() {
    let target = |facts: &Facts, policy: &Policy| Reconciler::new(None).torn_target(facts, policy);
    assert_eq!(target(&torn(), &policy()), Some(0));
    assert_eq!(target(&at_rest(), &policy()), None);
    let mut held = torn();
    if let Some(Target::Seen(pair)) = held.targets.first_mut() {
        pair.hold = true;
    }
    assert_eq!(target(&held, &policy()), None);
    let no_id = marked(
        unmarked(IdValue::Missing, SecretValue::Readable(Proof::Of(id("NEW")))),
        "NEW",
        "NEW",
        None,
        5,
    );
    let missing = look(&[key("NEW", 20)], &[no_id]);
    let forbidden = rotate(Settings {
        create_missing: false,
        ..Settings::default()
    });
    assert_eq!(
        (target(&missing, &policy()), target(&missing, &forbidden)),
        (Some(0), None)
    );
}

#[test]
fn every_end_has_its_word() {
    let blocked = End::Decided(Verdict::Blocked(Block::AllHidden));
    let converged = End::Decided(Verdict::Converged { until: None });
    let late = End::Decided(Verdict::Incomplete(Incomplete::OutOfTime));
    for (end, word, well, judges) in [
        (converged, "converged", true, true),
        (blocked, "all_hidden", false, true),
        (late, "out_of_time", false, false),
        (End::Decided(Verdict::Do(STEP)), "goes on", false, false),
        (End::Failed(STEP), "step_failed", false, false),
        (End::Unseen, "look_failed", false, false),
        (End::Cut, "cut", false, false),
        (End::CutShort(STEP), "cut", false, false),
    ] {
        assert_eq!(
            (end.word(), end.is_well(), end.judges_the_world()),
            (word, well, judges)
        );
        assert_eq!(end.is_converged(), end == converged);
        assert_eq!(end.blocked(), (end == blocked).then_some("all_hidden"));
    }
}
