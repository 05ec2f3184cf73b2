//! What a run remembers of its own requests, and what would go wrong if it remembered more or less.

mod common;

use common::*;
use planner::*;

#[test]
fn writing_another_keys_secret_does_not_keep_an_unpublished_key_alive() {
    // OLD's pair was spread to a second target; nothing of NEW, which was refused, is out.
    let mut facts = look(
        &[key("OLD", 90 * DAY), key("NEW", 20)],
        &[holding("OLD", None, 30 * DAY)],
    );
    facts.run.create_sent = true;
    facts.run.listed_before = vec![id("OLD")];
    facts.run.created(id("NEW"));
    let write = |name| Step::WriteSecret {
        target: 0,
        key: id(name),
    };
    facts.run.begin(write("OLD"), &[]);
    assert_eq!(facts.run.sent, 0);
    facts.run.begin(write("NEW"), &[]);
    assert_eq!(facts.run.sent, 1);
    facts.run.refused(write("OLD"));
    assert_eq!((facts.run.sent, facts.run.refused), (1, false));
    facts.run.refused(write("NEW"));
    assert_eq!((facts.run.sent, facts.run.refused), (0, true));
    let verdict = next(&facts, &rotate(Settings::default()));
    assert_eq!(words(&verdict), "look, then delete NEW");
}

#[test]
fn a_write_without_an_answer_bars_its_own_variable_and_no_other() {
    let (keys, pairs) = (
        [key("OLD", 90 * DAY), key("NEW", 20)],
        [holding("OLD", None, 30 * DAY), holding("OLD", None, 30 * DAY)],
    );
    let after = |unclear| {
        let mut facts = look(&keys, &pairs);
        facts.run.create_sent = true;
        facts.run.listed_before = vec![id("OLD")];
        facts.run.created(id("NEW"));
        facts.run.verified.push(id("NEW"));
        facts.run.unclear(unclear);
        words(&next(&facts, &rotate(Settings::default())))
    };
    let (key, prev) = (id("OLD"), None);
    assert_eq!(
        after(Step::WriteSecret { target: 0, key }),
        "incomplete unclear_write"
    );
    assert_eq!(after(Step::WriteSecret { target: 1, key }), "write_secret 0 NEW");
    let other_half = Step::WriteId { target: 0, key, prev };
    assert_eq!(after(other_half), "write_secret 0 NEW");
    assert_eq!(after(Step::Deactivate { key }), "write_secret 0 NEW");
}
