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
