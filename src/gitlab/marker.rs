//! The notes that keyturn keeps in the text fields of variables, and their text form.
//!
//! GitLab stores a description in the same row update as the value, so a marker is as true as the value beside it, also
//! where the value is hidden. The owner's own text stands before the marker and is kept.

use jiff::Timestamp as Instant;
use planner::{Intent, KeyId, Marker, Timestamp};

/// GitLab refuses a description of more characters (`description` is validated with a maximum of 255).
const LONGEST: usize = 255;
const MARKER: &str = "[keyturn key=";
const INTENT: &str = "[keyturn intent ";
/// The owner's word: nothing of this rotation may be touched.
pub const HOLD: &str = "keyturn:hold";
/// The owner's word: this variable holds no key that would have to be rotated.
pub const IGNORE: &str = "keyturn:ignore";

/// Splits a description into the owner's text and the marker. Only the last marker counts; one that can't be read is no
/// marker, and stays part of the owner's text.
pub fn parse(description: Option<&str>) -> (String, Option<Marker>) {
    let text = description.unwrap_or("");
    let found = text.rfind(MARKER).and_then(|start| {
        let (before, rest) = text.split_at_checked(start)?;
        let (inside, after) = rest.strip_prefix('[')?.split_once(']')?;
        Some((owner_text(before, after), read_marker(inside)?))
    });
    match found {
        Some((owner, marker)) => (owner, Some(marker)),
        None => (text.to_owned(), None),
    }
}

/// The description that holds the owner's text and the marker: at most 255 characters, of which the marker has the
/// first claim; the owner's text is cut with `…` when both don't fit.
pub fn write(owner_text: &str, marker: &Marker) -> String {
    let prev = marker.prev.map(|key| format!(" prev={key}")).unwrap_or_default();
    let note = format!("{MARKER}{} at={}{prev}]", marker.key, rfc3339(marker.at));
    let owner = owner_text.trim_end();
    if owner.is_empty() {
        return note;
    }
    let room = LONGEST.saturating_sub(note.chars().count()).saturating_sub(1);
    if owner.chars().count() <= room {
        return format!("{owner} {note}");
    }
    let kept: String = owner.chars().take(room.saturating_sub(1)).collect();
    format!("{kept}… {note}")
}

/// Whether one of the owner's words stands in the description. In doubt it does: upper and lower case are the same, and
/// punctuation around it is ignored.
pub fn says(description: Option<&str>, owners_word: &str) -> bool {
    let apart = |c: char| !(c.is_alphanumeric() || c == ':' || c == '_' || c == '-');
    description.unwrap_or("").split(apart).any(|word| {
        word.trim_matches([':', '-', '_'])
            .eq_ignore_ascii_case(owners_word)
    })
}

/// The record that a key is about to be created for this user, at this time of AWS's clock, by the run of this name. A closed
/// one vouches for no key.
fn intent_text(user: &str, at: Timestamp, run: &str, closed: bool) -> String {
    let closed = if closed { " closed=yes" } else { "" };
    format!("{INTENT}user={user} at={} run={run}{closed}]", rfc3339(at))
}

/// The journal with this user's record replaced. The records of other users, whose rotations share the container, stay:
/// losing one would leave that user's orphan to a person.
pub fn with_intent(journal: &str, user: &str, at: Timestamp, run: &str, closed: bool) -> String {
    let others =
        records(journal).filter(|inside| word(inside, "user").flatten().is_some_and(|of| of != user));
    let kept: Vec<&str> = others.collect();
    let newest = kept.iter().skip(kept.len().saturating_sub(OTHER_RECORDS));
    newest
        .map(|inside| format!("{INTENT}{inside}] "))
        .collect::<String>()
        + &intent_text(user, at, run, closed)
}

/// Whether it is records, and nothing else.
pub fn is_journal(text: &str) -> bool {
    let rest = text.split(INTENT).enumerate().map(|(at, part)| match at {
        0 => Some(part),
        _ => part.split_once(']').map(|(_, rest)| rest),
    });
    records(text).next().is_some()
        && rest
            .into_iter()
            .all(|rest| rest.is_some_and(|rest| rest.trim().is_empty()))
}

/// Whether it has a record of this user, open or closed.
pub fn has_record_of(text: &str, user: &str) -> bool {
    records(text).any(|inside| word(inside, "user").flatten() == Some(user))
}

/// Whether it has a record of anybody but this user, or one that can't be read.
pub fn has_others(text: &str, user: &str) -> bool {
    records(text).any(|inside| word(inside, "user").flatten() != Some(user))
}

/// Reads this user's latest record. Another user's is none, and neither is one that is closed or can't be read. `run` is the
/// name of the run that asks.
pub fn parse_intent(journal: &str, user: &str, run: &str) -> Option<Intent> {
    let inside = records(journal)
        .filter(|inside| word(inside, "user").flatten() == Some(user))
        .last()?;
    let open = word(inside, "closed") == Some(None);
    let at = read_time(word(inside, "at")??).filter(|_| open)?;
    let own = word(inside, "run").flatten() == Some(run);
    Some(Intent { at, own })
}

/// What stands inside each record of a journal, in order.
fn records(journal: &str) -> impl Iterator<Item = &str> {
    journal
        .split(INTENT)
        .skip(1)
        .filter_map(|rest| rest.split_once(']').map(|(inside, _)| inside))
}

/// The most records of other users that are kept: GitLab documents 10,000 characters for a value.
const OTHER_RECORDS: usize = 50;

fn read_marker(inside: &str) -> Option<Marker> {
    let key = KeyId::parse(word(inside, "key")??)?;
    let at = read_time(word(inside, "at")??)?;
    let prev = match word(inside, "prev")? {
        Some(text) => Some(KeyId::parse(text)?),
        None => None,
    };
    Some(Marker { key, at, prev })
}

/// The value of `name=value` among the words. `None` when it stands there twice, for then neither can be believed.
fn word<'a>(inside: &'a str, name: &str) -> Option<Option<&'a str>> {
    let mut values = inside
        .split_whitespace()
        .filter_map(|word| word.split_once('='))
        .filter_map(|(left, right)| (left == name).then_some(right));
    let first = values.next();
    values.next().is_none().then_some(first)
}

/// The owner may have written on after the marker; that is kept as well.
fn owner_text(before: &str, after: &str) -> String {
    let (before, after) = (before.trim_end(), after.trim());
    match (before.is_empty(), after.is_empty()) {
        (_, true) => before.to_owned(),
        (true, false) => after.to_owned(),
        (false, false) => format!("{before} {after}"),
    }
}

fn read_time(text: &str) -> Option<Timestamp> {
    text.parse::<Instant>().ok().map(|at| Timestamp(at.as_second()))
}

/// A time outside of jiff's years (-9999 to 9999) is written as the nearest that it knows.
fn rfc3339(at: Timestamp) -> String {
    let nearest = if at.0 < 0 { Instant::MIN } else { Instant::MAX };
    Instant::from_second(at.0).unwrap_or(nearest).to_string()
}

#[cfg(test)]
mod tests {
    use super::parse_intent as read_intent;
    use super::{
        HOLD, IGNORE, has_others, has_record_of, intent_text, is_journal, parse, says, with_intent, write,
    };
    use planner::{Intent, KeyId, Marker, Timestamp};

    const AT: Timestamp = Timestamp(1_795_316_407);

    fn open(journal: &str, user: &str, at: Timestamp) -> String {
        with_intent(journal, user, at, "run", false)
    }

    fn parse_intent(journal: &str, user: &str) -> Option<Intent> {
        read_intent(journal, user, "run")
    }

    fn key(text: &str) -> KeyId {
        KeyId::parse(text).unwrap()
    }

    fn marker(prev: bool) -> Marker {
        Marker {
            key: key("AKIAIOSFODNN7EXAMPLE"),
            at: AT,
            prev: prev.then(|| key("AKIAI44QH8DHBEXAMPLE")),
        }
    }

    #[test]
    fn the_text_form_is_stable() {
        assert_eq!(
            write("", &marker(false)),
            "[keyturn key=AKIAIOSFODNN7EXAMPLE at=2026-11-22T03:00:07Z]"
        );
        assert_eq!(
            write("Deploys.", &marker(true)),
            "Deploys. [keyturn key=AKIAIOSFODNN7EXAMPLE at=2026-11-22T03:00:07Z prev=AKIAI44QH8DHBEXAMPLE]"
        );
    }

    #[test]
    fn what_is_written_is_read_again() {
        let owners = [
            "",
            "Deploys the shop",
            "Schlüssel für die Auslieferung — 配備用の鍵 🔑",
            "a [keyturn key= of old",
            "[keyturn key=AKIAI44QH8DHBEXAMPLE at=2020-01-01T00:00:00Z] copied",
            "[keyturn intent user=x at=2020-01-01T00:00:00Z]",
            "two\nlines",
            "e\u{301}\u{200d}\u{202e}",
        ];
        for owner in owners {
            for prev in [false, true] {
                let text = write(owner, &marker(prev));
                assert_eq!(
                    parse(Some(&text)),
                    (owner.to_owned(), Some(marker(prev))),
                    "{owner:?}"
                );
            }
        }
    }

    #[test]
    fn a_long_text_is_cut_and_the_marker_never() {
        for letter in ["x", "ü", "鍵", "🔑", "e\u{301}"] {
            for length in [1, 150, 170, 171, 172, 200, 254, 255, 256, 3000] {
                for prev in [false, true] {
                    let text = write(&letter.repeat(length), &marker(prev));
                    assert!(text.chars().count() <= 255, "{letter} {length}");
                    let (owner, found) = parse(Some(&text));
                    assert_eq!(found, Some(marker(prev)));
                    assert_eq!(write(&owner, &marker(prev)), text);
                }
            }
        }
    }

    #[test]
    fn the_longest_key_ids_fit() {
        let long = key(&"A".repeat(32));
        let text = write(
            &"🔑".repeat(400),
            &Marker {
                key: long,
                at: AT,
                prev: Some(long),
            },
        );
        assert_eq!(text.chars().count(), 255);
        assert_eq!(parse(Some(&text)).1.unwrap().prev, Some(long));
    }

    #[test]
    fn unknown_words_are_passed_over_and_text_behind_is_kept() {
        let text = "Mine. [keyturn key=AKIAIOSFODNN7EXAMPLE v=2 at=2026-11-22T03:00:07Z new] And more.";
        assert_eq!(
            parse(Some(text)),
            ("Mine. And more.".to_owned(), Some(marker(false)))
        );
    }

    #[test]
    fn what_is_malformed_is_no_marker() {
        let rows = [
            "[keyturn key=AKIAIOSFODNN7EXAMPLE at=2026-11-22T03:00:07Z",
            "[keyturn key=AKIAIOSFODNN7EXAMPLE]",
            "[keyturn key=AKIAIOSFODNN7EXAMPLE at=yesterday]",
            "[keyturn key=short at=2026-11-22T03:00:07Z]",
            "[keyturn key=AKIAIOSFODNN7EXAMPLE at=2026-11-22T03:00:07Z prev=?]",
            "[keyturn key=AKIAIOSFODNN7EXAMPLE key=AKIAI44QH8DHBEXAMPLE at=2026-11-22T03:00:07Z]",
            "[keyturn key=",
            "]",
            "[keyturn key=鍵 at=🔑]",
            "[keyturn at=2026-11-22T03:00:07Z key=AKIAIOSFODNN7EXAMPLE]",
        ];
        for row in rows {
            assert_eq!(parse(Some(row)), (row.to_owned(), None));
        }
        assert_eq!(parse(None), (String::new(), None));
    }

    #[test]
    fn every_cut_of_a_description_can_be_read() {
        let text = format!("ü🔑 {}", write("e\u{301} ]鍵[", &marker(true)));
        for (at, _) in text.char_indices() {
            let (head, tail) = text.split_at(at);
            let _ = (
                parse(Some(head)),
                parse(Some(tail)),
                says(Some(head), HOLD),
                parse_intent(tail, "u"),
            );
        }
    }

    #[test]
    fn times_beyond_the_calendar_are_written_all_the_same() {
        for at in [i64::MIN, i64::MAX] {
            let text = write(
                "",
                &Marker {
                    at: Timestamp(at),
                    ..marker(false)
                },
            );
            assert!(parse(Some(&text)).1.is_some());
        }
    }

    #[test]
    fn hold_is_a_word() {
        for text in [
            "keyturn:hold",
            "audit until May (keyturn:hold)",
            "KEYTURN:HOLD.",
            "a\nkeyturn:hold\nb",
        ] {
            assert!(says(Some(text), HOLD), "{text}");
        }
        for text in ["", "keyturn: hold", "keyturn:holder", "keyturn"] {
            assert!(!says(Some(text), HOLD), "{text}");
        }
        assert!(!says(None, HOLD));
        assert!(says(Some("a copy (keyturn:ignore)"), IGNORE));
        assert!(!says(Some("keyturn:hold"), IGNORE));
    }

    #[test]
    fn two_users_share_a_journal_without_losing_a_record() {
        let later = Timestamp(AT.0 + 60);
        let journal = open(&open("", "deploy", AT), "backup", later);
        assert_eq!(parse_intent(&journal, "deploy").unwrap().at, AT);
        assert_eq!(parse_intent(&journal, "backup").unwrap().at, later);
        let journal = open(&journal, "deploy", later);
        assert_eq!(journal.matches("user=deploy").count(), 1);
        assert_eq!(parse_intent(&journal, "deploy").unwrap().at, later);
        assert_eq!(parse_intent(&journal, "backup").unwrap().at, later);
    }

    #[test]
    fn a_journal_of_many_users_stays_within_gitlabs_limit() {
        let journal = (0..500).fold(String::new(), |journal, n| {
            open(&journal, &format!("{n:064}"), AT)
        });
        assert!(journal.len() < 10_000, "{}", journal.len());
        assert!(parse_intent(&journal, &format!("{:064}", 499)).is_some());
    }

    #[test]
    fn an_intent_is_for_its_user_only() {
        let text = intent_text("deploy@shop", AT, "1f", false);
        assert_eq!(
            text,
            "[keyturn intent user=deploy@shop at=2026-11-22T03:00:07Z run=1f]"
        );
        assert_eq!(parse_intent(&text, "deploy@shop").unwrap().at, AT);
        assert_eq!(parse_intent(&text, "deploy"), None);
        assert_eq!(parse_intent("[keyturn intent user=deploy]", "deploy"), None);
        assert_eq!(parse_intent("", "deploy"), None);
    }

    #[test]
    fn a_run_knows_its_own_intent_and_a_closed_one_vouches_for_nothing() {
        let journal = with_intent("", "deploy", AT, "1f", false);
        assert!(read_intent(&journal, "deploy", "1f").unwrap().own);
        assert!(!read_intent(&journal, "deploy", "2e").unwrap().own);
        let closed = with_intent(&journal, "deploy", AT, "1f", true);
        assert_eq!(read_intent(&closed, "deploy", "1f"), None);
        assert!(is_journal(&closed) && !has_others(&closed, "deploy") && has_others(&closed, "backup"));
        // An older form without the name of a run is still an intent.
        let unnamed = "[keyturn intent user=deploy at=2026-11-22T03:00:07Z]";
        assert_eq!(read_intent(unnamed, "deploy", "1f").unwrap().at, AT);
    }

    #[test]
    fn what_holds_no_record_is_no_journal() {
        let journal = with_intent("", "deploy", AT, "1f", false);
        for text in ["", "web1.example.com web2.example.com", "[keyturn intent "] {
            assert!(!is_journal(text) && !has_record_of(text, "deploy"), "{text}");
        }
        assert!(is_journal(&journal) && is_journal(&format!(" {journal}\n{journal}")));
        let beside = format!("AKIAIOSFODNN7EXAMPLE {journal}");
        assert!(has_record_of(&beside, "deploy") && !is_journal(&beside));
        assert!(!is_journal(&format!("{journal} AKIAIOSFODNN7EXAMPLE")));
        assert!(has_others("[keyturn intent at=2026-11-22T03:00:07Z]", "deploy"));
    }
}
