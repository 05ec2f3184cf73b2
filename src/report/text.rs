//! The report for people.

use std::fmt::Write as _;

use planner::KeyId;

use super::{Command, Outcome, Report, RotationReport, rfc3339};

/// One rotation after the other.
pub(super) fn document(report: &Report) -> String {
    let mut text = String::new();
    for rotation in &report.rotations {
        write(rotation, report.command, &mut text);
    }
    text
}

/// A line on the end, and below it what is known.
pub(super) fn write(rotation: &RotationReport, command: Command, text: &mut String) {
    let ending = &rotation.ending;
    let outcome = Outcome::from(ending.class).word();
    let who = Some(rotation.name())
        .filter(|name| !name.is_empty())
        .unwrap_or("keyturn");
    // Writing to a String can't fail.
    let _ = writeln!(text, "{who}: {outcome} ({}): {}", ending.reason, ending.message);
    let planned = if command == Command::Plan { "would " } else { "" };
    for step in &rotation.steps {
        let of = [step.key.as_ref().map(KeyId::as_str), step.target.as_deref()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" -> ");
        let _ = writeln!(text, "  {planned}{:<13} {of}", step.step);
    }
    for key in &rotation.keys {
        let (status, role, created) = (key.status_word(), key.role_word(), rfc3339(key.created));
        let _ = writeln!(text, "  key {} {status:<8} {role:<8} created {created}", key.id);
    }
    for target in &rotation.targets {
        let written = target
            .written
            .map_or_else(|| "at an unknown time".to_owned(), rfc3339);
        let _ = writeln!(
            text,
            "  target {} holds {}, written {written}",
            target.name,
            target.holds_word()
        );
    }
    for warning in &rotation.warnings {
        let _ = writeln!(text, "  warning: {warning}");
    }
    if let Some(next) = ending.next_run {
        let _ = writeln!(text, "  next run: {}", rfc3339(next));
    }
    let _ = writeln!(text, "  advice: {}", ending.advice);
}
