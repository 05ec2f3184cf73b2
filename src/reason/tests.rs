use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::Path;

use super::{Class, Reason};

/// `docs/reasons.md`.
fn document() -> String {
    let mut text = String::from(
        "# Reasons\n\nEvery `reason` that a report can give: what happened, what is left, and what to do. Written by a test \
         from the program (`src/reason.rs`); don't edit it.\n\nA write that GitLab refused after an earlier attempt got no \
         answer ends as incomplete, whatever the reason: the earlier attempt may have taken effect.\n\n`keyturn \
         plan` changes nothing: its report says how `keyturn rotate` would end.\n",
    );
    let mut class = None;
    for reason in Reason::ALL.iter().copied() {
        if class != Some(reason.class()) {
            class = Some(reason.class());
            write!(text, "\n## {}\n", reason.class().heading()).unwrap();
        }
        let said = reason.explanation();
        write!(
            text,
            "\n### `{reason}`\n\n{}\n\n* Left: {}\n* To do: {}\n",
            said.happened, said.left, said.to_do
        )
        .unwrap();
    }
    text
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test's own choice, no setting")]
fn the_documentation_of_reasons_is_current() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reasons.md");
    let document = document();
    if std::env::var_os("KEYTURN_BLESS").is_some() {
        std::fs::write(&file, &document).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == document,
        "docs/reasons.md is stale; KEYTURN_BLESS=1 writes it anew"
    );
}

#[test]
fn no_two_reasons_have_one_word() {
    let words: HashSet<&str> = Reason::ALL.iter().map(|reason| reason.word()).collect();
    assert_eq!(words.len(), Reason::ALL.len());
    for reason in Reason::ALL.iter().copied() {
        assert_eq!(Reason::of_word(reason.word()), Some(reason));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(reason.word().chars().all(plain), "{reason}");
        assert_eq!(reason.page(), format!("docs/reasons.md#{reason}"));
    }
    assert_eq!(Reason::of_word("no_such_word"), None);
}

#[test]
fn every_text_is_a_sentence() {
    for reason in Reason::ALL.iter().copied() {
        let said = reason.explanation();
        for text in [said.happened, said.left, said.to_do] {
            assert!(text.ends_with('.') && !text.contains("  "), "{reason}: {text}");
        }
    }
}

/// The words of the planner and those of reports are the same.
#[test]
fn the_planner_and_the_report_use_one_word() {
    use planner::{Block, Incomplete, KeyId, Timestamp, Wait};
    let (key, until, target) = (KeyId::hypothetical(), Timestamp(0), 0);
    for wait in [
        Wait::Grace { key, until },
        Wait::InUse { key, until },
        Wait::UseOfNewKey { key },
        Wait::Deletion { key, until },
        Wait::Quiet { until },
        Wait::Orphan { key, until },
        Wait::Unconfirmed { until },
    ] {
        let reason = Reason::from(wait);
        assert_eq!((reason.word(), reason.class()), (wait.word(), Class::Waiting));
    }
    for block in [
        Block::Hold { target },
        Block::IncompleteRead { target },
        Block::OwnerUnknown { target },
        Block::HalfPair { target },
        Block::WrongPlace { key },
        Block::JournalTaken,
        Block::CreateDenied,
        Block::KeyDisabled { target, key },
        Block::SlotOccupied { key },
        Block::Split { key },
        Block::HeldElsewhere { key },
        Block::Dead { target },
        Block::MissingVariable { target },
        Block::AllHidden,
        Block::ClocksDisagree,
        Block::LastUseUnknown { key },
        Block::Refused,
    ] {
        let reason = Reason::from(block);
        assert_eq!((reason.word(), reason.class()), (block.word(), Class::Blocked));
    }
    for why in [
        Incomplete::Interrupted,
        Incomplete::OutOfTime,
        Incomplete::UnclearWrite,
        Incomplete::UnclearCreate,
        Incomplete::Unverified,
        Incomplete::Yielded,
        Incomplete::Unpublished { key },
    ] {
        let reason = Reason::from(why);
        assert_eq!((reason.word(), reason.class()), (why.word(), Class::Incomplete));
    }
}
