//! Texts and answers that nobody thought of: read without a panic, bounded, and without a word of a secret.

use planner::{KeyId, Marker, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

use super::answers::{page, written};
use super::marker::{HOLD, parse, parse_intent, says, with_intent, write};
use crate::failure::{Failure, Written};
use crate::secret::Secret;

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn key() -> impl Strategy<Value = KeyId> {
    "[A-Za-z0-9_]{16,32}".prop_filter_map("no key id", |text| KeyId::parse(&text))
}

/// The years that RFC 3339 can write in every time zone.
fn time() -> impl Strategy<Value = Timestamp> {
    (0_i64..253_402_207_200).prop_map(Timestamp)
}

fn a_marker() -> impl Strategy<Value = Marker> {
    (key(), time(), proptest::option::of(key())).prop_map(|(key, at, prev)| Marker { key, at, prev })
}

/// Any text, and texts that are almost ours.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        "\\PC{0,80}",
        Just("[keyturn key=".to_owned()),
        Just("[keyturn intent ".to_owned()),
        Just("]".to_owned()),
        Just("keyturn:hold".to_owned()),
        "(user|at|key|prev)=[A-Za-z0-9:-]{0,24}",
        "[\u{300}-\u{36f}\u{200d}\u{1f600}-\u{1f64f}]{0,90}",
        "[ \t\r\n]{0,4}",
    ];
    vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn user() -> impl Strategy<Value = String> {
    "[A-Za-z0-9_+=,.@-]{1,64}"
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn a_marker_is_read_as_it_was_written_whatever_stands_before_it(owner in text(), marker in a_marker()) {
        let description = write(&owner, &marker);
        prop_assert!(description.chars().count() <= 255);
        let (kept, found) = parse(Some(&description));
        prop_assert_eq!(found, Some(marker));
        let own = owner.trim_end();
        let cut = kept.strip_suffix('…').unwrap_or(&kept);
        prop_assert!(own == kept || own.starts_with(cut.trim_end()), "{:?} of {:?}", kept, own);
        prop_assert_eq!(write(&kept, &marker), description);
    }

    #[test]
    fn a_text_that_fits_beside_the_marker_is_kept_whole(owner in "\\PC{0,120}", marker in a_marker()) {
        let (kept, _) = parse(Some(&write(&owner, &marker)));
        prop_assert_eq!(kept, owner.trim_end());
    }

    #[test]
    fn any_description_is_read_and_none_is_lost(text in text()) {
        let (owner, marker) = parse(Some(&text));
        prop_assert!(marker.is_some() || owner == text);
        let held = says(Some(&text), HOLD);
        prop_assert!(!held || text.to_ascii_lowercase().contains("keyturn:hold"));
    }

    #[test]
    fn a_record_is_found_again_in_any_journal(journal in text(), user in user(), at in time()) {
        let found = parse_intent(&with_intent(&journal, &user, at, "1f", false), &user, "1f");
        prop_assert_eq!(found.map(|intent| intent.at), Some(at));
    }

    #[test]
    fn users_that_share_a_journal_keep_their_records(users in vec((user(), time()), 1..12)) {
        let journal = users.iter().fold(String::new(), |journal, (user, at)| with_intent(&journal, user, *at, "1f", false));
        for (user, _) in &users {
            let last = users.iter().rev().find(|(other, _)| other == user).map(|(_, at)| *at);
            prop_assert_eq!(parse_intent(&journal, user, "1f").map(|intent| intent.at), last);
        }
    }
}

/// A secret access key, as AWS makes them.
const SENT: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// Bodies that are nothing, almost GitLab's, or GitLab's, and that may repeat what was sent.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let said = prop_oneof![any::<String>(), "\\PC{0,400}", Just(SENT.to_owned())];
    let said = vec(said, 0..4).prop_map(|parts| parts.concat());
    let fields = (said.clone(), said.clone(), said.clone()).prop_flat_map(|(a, b, c)| {
        prop_oneof![
            Just(serde_json::json!({"message": a})),
            Just(serde_json::json!({"message": {a.clone(): [b, c]}})),
            Just(serde_json::json!({"message": {"value": ["is invalid", b]}})),
            Just(serde_json::json!({"error": a, "error_description": b})),
            Just(serde_json::json!({"key": "K", "value": b, "description": c, "environment_scope": a})),
            Just(serde_json::json!([{"key": a, "value": b, "hidden": true}, {"key": c}])),
        ]
    });
    prop_oneof![
        vec(any::<u8>(), 0..300),
        said.prop_map(String::into_bytes),
        fields.prop_map(|json| json.to_string().into_bytes()),
    ]
}

fn status() -> impl Strategy<Value = u16> {
    prop_oneof![
        100_u16..600,
        proptest::sample::select(vec![200, 201, 400, 401, 403, 404, 405, 409, 422, 429, 502]),
    ]
}

/// A failure is one that a person can read, and repeats nothing of what was sent.
fn is_fit_to_print(failure: &Failure) -> Result<(), TestCaseError> {
    let all = format!("{failure:?}");
    let pieces = (0..=SENT.len() - 8).filter_map(|at| SENT.get(at..at + 8));
    for piece in pieces {
        prop_assert!(!all.contains(piece), "{all} repeats {piece}");
    }
    prop_assert!(
        failure.message.chars().count() < 600 && failure.advice.chars().count() < 600,
        "{}",
        all
    );
    prop_assert!(!failure.message.chars().any(char::is_control), "{}", all);
    Ok(())
}

proptest! {
    #![proptest_config(cases(4_000))]

    #[test]
    fn no_answer_to_a_write_is_a_success_unless_it_shows_what_was_sent(
        status in status(), html in any::<bool>(), body in body(),
    ) {
        match written(status, html, &body, &Secret::new(SENT)) {
            Written::Done(variable) => {
                prop_assert!((200..300).contains(&status));
                prop_assert_eq!(variable.key, "K");
                prop_assert_eq!(variable.description.as_deref(), Some("d"));
                prop_assert!(variable.hidden || variable.value.is_some_and(|value| value.same(&Secret::new(SENT))));
            }
            Written::Refused(failure) => {
                prop_assert!((400..500).contains(&status), "{status} proves nothing");
                is_fit_to_print(&failure)?;
            }
            Written::Unclear(failure) => is_fit_to_print(&failure)?,
        }
    }

    #[test]
    fn a_list_of_variables_is_read_from_an_answer_or_is_a_failure(
        status in status(), html in any::<bool>(), body in body(),
    ) {
        match page(status, html, &body) {
            Ok(_) => prop_assert_eq!(status, 200),
            Err(failure) => prop_assert!(
                failure.message.chars().count() < 600 && !failure.message.chars().any(char::is_control)
            ),
        }
    }
}

#[test]
fn a_piece_of_the_secret_that_a_cut_leaves_is_not_shown() {
    for before in 0..=200 {
        let body =
            serde_json::json!({"message": format!("{}{SENT} is too short", "x".repeat(before))}).to_string();
        let Written::Refused(failure) = written(422, false, body.as_bytes(), &Secret::new(SENT)) else {
            panic!("a 422 of GitLab's own is a refusal");
        };
        assert!(is_fit_to_print(&failure).is_ok(), "{failure}");
    }
}
