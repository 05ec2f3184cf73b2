//! The report as JUnit XML, for CI systems that show test results: a test case for each rotation. A rotation that is
//! blocked is a failure, one that was cut short or could not begin an error; both fail in the Tests tab as in the job.

use std::fmt::Write as _;

use super::{Command, Outcome, Report, RotationReport, text};

/// One `testsuites` document.
pub(super) fn document(report: &Report) -> String {
    let suite = match report.command {
        Command::Rotate => "keyturn rotate",
        Command::Retire => "keyturn retire",
        Command::Plan => "keyturn plan",
    };
    let count = |element: &str| {
        let ended = |rotation: &&RotationReport| fault(rotation.outcome()) == Some(element);
        report.rotations.iter().filter(ended).count()
    };
    let counts = format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\"",
        report.rotations.len(),
        count("failure"),
        count("error")
    );
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n<testsuite name=\"{suite}\" {counts}>\n"
    );
    for rotation in &report.rotations {
        test_case(rotation, report.command, suite, &mut xml);
    }
    xml.push_str("</testsuite>\n</testsuites>\n");
    xml
}

/// The element that says that a rotation ended badly; `None` when it didn't.
fn fault(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Converged | Outcome::Waiting => None,
        Outcome::Blocked => Some("failure"),
        Outcome::Incomplete | Outcome::Failed => Some("error"),
    }
}

fn test_case(rotation: &RotationReport, command: Command, suite: &str, xml: &mut String) {
    // GitLab shows a test case by its name, and refuses none.
    let name = Some(rotation.name())
        .filter(|name| !name.is_empty())
        .unwrap_or("rotation");
    let mut text = String::new();
    text::write(rotation, command, &mut text);
    let text = escaped(&text);
    let name = escaped(name);
    // Writing to a String can't fail.
    let _ = writeln!(xml, "<testcase classname=\"{suite}\" name=\"{name}\">");
    // Of a case that failed GitLab shows the text of the failure. The output of one that passed it leaves out; other readers
    // of JUnit show it.
    let _ = match fault(rotation.outcome()) {
        None => writeln!(xml, "<system-out>{text}</system-out>"),
        Some(element) => writeln!(
            xml,
            "<{element} type=\"{}\" message=\"{}\">{text}</{element}>",
            rotation.ending.reason,
            escaped(&rotation.ending.message)
        ),
    };
    xml.push_str("</testcase>\n");
}

/// Text as it may stand in an element or a quoted attribute. What XML 1.0 can't hold at all, such as the escape that
/// begins a colour, becomes U+FFFD; a parser would refuse the whole document for it.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            // Written bare, an attribute's line end would be read as a blank.
            '\n' => safe.push_str("&#10;"),
            '\r' => safe.push_str("&#13;"),
            '\t' => safe.push_str("&#9;"),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;
    use crate::reason::{Class, Reason};

    fn report(command: Command, user: &str, failure: Failure) -> Report {
        Report::new(command, RotationReport::not_opened(Some(user), failure))
    }

    #[test]
    fn text_can_neither_leave_its_element_nor_make_the_document_unreadable() {
        for (text, expected) in [
            ("a<b>&\"c\"", "a&lt;b&gt;&amp;&quot;c&quot;"),
            ("]]>", "]]&gt;"),
            ("one\ntwo\tthree\r", "one&#10;two&#9;three&#13;"),
            ("\u{1b}[31mred\0", "\u{fffd}[31mred\u{fffd}"),
            ("Zoë 鍵", "Zoë 鍵"),
        ] {
            assert_eq!(escaped(text), expected);
        }
    }

    #[test]
    fn a_rotation_that_was_cut_short_is_an_error_with_its_reason() {
        let failure = Failure::incomplete(Reason::Interrupted, "no answer from \"<gitlab>\"");
        let xml = document(&report(Command::Rotate, "deploy & co", failure));
        assert!(xml.contains("<testsuite name=\"keyturn rotate\" tests=\"1\" failures=\"0\" errors=\"1\">"));
        assert!(xml.contains("<testcase classname=\"keyturn rotate\" name=\"deploy &amp; co\">"));
        assert!(xml.contains(
            "<error type=\"interrupted\" message=\"no answer from &quot;&lt;gitlab&gt;&quot;\">deploy &amp; co: incomplete"
        ));
        assert!(!xml.contains("<failure") && !xml.contains("<system-out>"));
    }

    #[test]
    fn a_rotation_without_a_name_still_has_one_in_the_list_of_tests() {
        let xml = document(&report(
            Command::Plan,
            "",
            Failure::settings(Reason::TokenMissing, "no token", "Set it."),
        ));
        assert!(xml.contains("name=\"rotation\""));
    }

    #[test]
    fn a_person_who_must_act_is_a_failure_and_an_ending_as_meant_is_a_pass() {
        let mut report = report(
            Command::Retire,
            "deploy",
            Failure::incomplete(Reason::Interrupted, "x"),
        );
        for (class, element, other) in [
            (Class::Blocked, "<failure ", "<error "),
            (Class::Waiting, "<system-out>", "<failure "),
            (Class::Converged, "<system-out>", "<error "),
        ] {
            for rotation in &mut report.rotations {
                rotation.ending.class = class;
            }
            let xml = document(&report);
            assert!(xml.contains(element), "{class:?}: {xml}");
            assert!(!xml.contains(other), "{class:?}: {xml}");
        }
    }
}
