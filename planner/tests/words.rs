//! What a person or a script reads of a decision: each step and each ending with its word, its sentence and its advice,
//! as a committed text. Scripts rely on the words; a change of any shows as a diff of `words.txt`.
//! `KEYTURN_BLESS=1 cargo test -p keyturn-planner` writes it anew.

mod common;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use common::every::{blocks, incompletes, steps, waits};
use common::*;
use planner::*;

fn endings() -> Vec<(&'static str, &'static str, String, &'static str)> {
    let waits = waits()
        .into_iter()
        .map(|wait| ("wait", wait.word(), wait.to_string(), wait.advice()));
    let blocks = blocks()
        .into_iter()
        .map(|block| ("blocked", block.word(), block.to_string(), block.advice()));
    let incompletes = incompletes()
        .into_iter()
        .map(|why| ("incomplete", why.word(), why.to_string(), why.advice()));
    waits.chain(blocks).chain(incompletes).collect()
}

#[test]
fn every_word_that_people_and_scripts_rely_on_is_as_committed() {
    let mut text = String::new();
    for step in steps() {
        let about = match (step.key(), step.target()) {
            (None, None) => String::new(),
            (Some(key), None) => format!(" {}", name(key)),
            (Some(key), Some(target)) => format!(" {} at {target}", name(key)),
            (None, Some(target)) => format!(" at {target}"),
        };
        let _ = writeln!(text, "step {}{about}: {step}", step.word());
    }
    for (kind, word, sentence, advice) in endings() {
        let _ = writeln!(text, "\n{kind} {word}: {sentence}\n  {advice}");
    }
    as_committed("tests/words.txt", &text);
}

#[test]
fn no_two_endings_share_a_word() {
    let words: Vec<&str> = endings().iter().map(|(_, word, ..)| *word).collect();
    assert_eq!(
        words.iter().collect::<BTreeSet<_>>().len(),
        words.len(),
        "{words:?}"
    );
}

#[test]
fn a_time_in_a_message_of_a_failed_test_is_a_number_of_seconds() {
    assert_eq!(format!("{:?}", Timestamp(1_800_000_000)), "1800000000s");
}
