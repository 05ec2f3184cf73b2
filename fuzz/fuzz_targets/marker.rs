//! Any description and any journal: read without a panic, and what is written into it is read again.
#![no_main]

use keyturn::gitlab::marker::{HOLD, has_others, is_journal, parse, parse_intent, says, with_intent, write};
use libfuzzer_sys::fuzz_target;
use planner::{KeyId, Marker, Timestamp};

fuzz_target!(|input: (i64, &str)| {
    let (seconds, text) = input;
    let (owner, found) = parse(Some(text));
    assert!(found.is_some() || owner == text);
    let _ = (says(Some(text), HOLD), has_others(text, "deploy"), is_journal(text));
    let Some(key) = KeyId::parse("AKIAIOSFODNN7EXAMPLE") else {
        return;
    };
    // Later times of the year 9999 are written as the latest that every time zone can tell.
    let at = Timestamp(seconds.rem_euclid(253_402_207_200));
    for prev in [None, KeyId::parse("AKIAI44QH8DHBEXAMPLE")] {
        let marker = Marker { key, at, prev };
        let description = write(text, &marker);
        assert!(description.chars().count() <= 255);
        let (kept, read) = parse(Some(&description));
        assert_eq!(read, Some(marker));
        assert_eq!(write(&kept, &marker), description);
    }
    let _ = parse_intent(text, "deploy", "1f");
    let journal = with_intent(text, "deploy", at, "1f", false);
    assert_eq!(parse_intent(&journal, "deploy", "1f").map(|intent| intent.at), Some(at));
});
