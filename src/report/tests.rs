//! What a run says, word for word. `INSTA_UPDATE=always` writes the snapshots anew, and their diff is reviewed.

use std::time::Duration;

use planner::{
    Block, Clocks, Facts, IdHalf, IdValue, Incomplete, Journal, Key, KeyId, LastUsed, Marker, Pair, Policy,
    Proof, Run, SecretHalf, SecretValue, Service, Settings, Status, Target, Timestamp, Wait,
};

use super::{Command, Ending, Performed, Report, RotationReport, Subject, Vitals};
use crate::failure::Failure;
use crate::reason::Reason;

/// 2026-11-22T03:00:00Z.
const NOW: Timestamp = Timestamp(1_795_316_400);
const DAY: i64 = 24 * 60 * 60;

fn ago(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 - seconds)
}

fn id(name: &str) -> KeyId {
    KeyId::parse(&format!("AKIA{name:0>16}")).unwrap()
}

fn key(name: &str, age: i64, status: Status) -> Key {
    Key {
        id: id(name),
        status,
        created: ago(age),
        last_used: LastUsed::At(ago(age / 2), Service::Other),
    }
}

fn marked(name: &str, age: i64, prev: Option<&str>) -> Option<Marker> {
    Some(Marker {
        key: id(name),
        at: ago(age),
        prev: prev.map(id),
    })
}

/// A target that holds both halves of a key, and says so.
fn holding(name: &str, age: i64, prev: Option<&str>) -> Target {
    Target::Seen(Pair {
        id: IdHalf {
            value: IdValue::Key(id(name)),
            marker: marked(name, age, prev),
        },
        secret: SecretHalf {
            value: SecretValue::Readable(Proof::Of(id(name))),
            marker: marked(name, age, None),
        },
        hold: false,
    })
}

/// A target whose secret is of one key and whose id is another's.
fn torn(secret: &str, other: &str, age: i64) -> Target {
    Target::Seen(Pair {
        id: IdHalf {
            value: IdValue::Key(id(other)),
            marker: marked(other, age + 30 * DAY, None),
        },
        secret: SecretHalf {
            value: SecretValue::Readable(Proof::Of(id(secret))),
            marker: marked(secret, age, None),
        },
        hold: false,
    })
}

fn facts(keys: Vec<Key>, targets: Vec<Target>) -> Facts {
    Facts {
        clocks: Clocks {
            aws: NOW,
            gitlab: NOW,
        },
        full: true,
        keys,
        targets,
        passing: false,
        elsewhere: Vec::new(),
        journal: Journal::Read(None),
        alone: true,
        run: Run::new(),
    }
}

fn policy() -> Policy {
    Policy::new(Settings::default(), planner::Bounds::DEFAULT, true).unwrap()
}

fn step(step: &'static str, key: Option<&str>, target: Option<&str>) -> Performed {
    Performed {
        step,
        key: key.map(id),
        target: target.map(str::to_owned),
        at: Some(ago(5)),
    }
}

const GROUP: &str = "group/42/AWS_ACCESS_KEY_ID+AWS_SECRET_ACCESS_KEY@*";
const PROJECT: &str = "project/7/AWS_ACCESS_KEY_ID+AWS_SECRET_ACCESS_KEY@*";

/// The report of a rotation that was opened.
fn opened(
    command: Command,
    facts: Option<&Facts>,
    targets: &[&str],
    steps: Vec<Performed>,
    warnings: &[&str],
    ending: Ending,
) -> Report {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let subject = Subject {
        user: "deploy".to_owned(),
        account: "123456789012".to_owned(),
    };
    let rotation = RotationReport::new(subject, ending)
        .with_state(texts(targets), facts, &policy())
        .with_steps(steps)
        .with_warnings(texts(warnings));
    Report::new(command, rotation)
}

/// The three forms of each of these reports.
fn forms(name: &str, reports: &[Report]) {
    let all = |form: &dyn Fn(&Report) -> String| -> String { reports.iter().map(form).collect() };
    let text = all(&|report| {
        let exit = report.exit().code();
        format!("[exit {exit}] {}\n{}\n", report.summary(), report.text())
    });
    same(&format!("{name}_text"), &text);
    same(&format!("{name}_json"), &all(&|report| report.json() + "\n"));
    same(&format!("{name}_junit"), &all(&Report::junit));
}

/// Holds a text to its snapshot.
fn same(name: &str, text: &str) {
    let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!(name, text);
    });
}

fn endings(name: &str, endings: Vec<Ending>) {
    let report = |ending| opened(Command::Rotate, None, &[], Vec::new(), &[], ending);
    let reports: Vec<Report> = endings.into_iter().map(report).collect();
    forms(name, &reports);
}

#[test]
fn every_ending_without_a_fault() {
    let (until, key) = (Timestamp(NOW.0 + DAY), id("OLD"));
    let waits = [
        Wait::Grace { key, until },
        Wait::InUse { key, until },
        Wait::UseOfNewKey { key: id("NEW") },
        Wait::Deletion { key, until },
        Wait::Quiet { until },
        Wait::Orphan { key, until },
        Wait::Unconfirmed { until },
    ];
    let mut all = vec![Ending::converged(None), Ending::converged(Some(until))];
    all.extend(waits.map(Ending::waiting));
    endings("fine", all);
}

#[test]
fn every_ending_that_a_person_must_resolve() {
    let (target, key) = (0, id("OLD"));
    let blocks = [
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
    ];
    endings("blocked", blocks.map(Ending::blocked).to_vec());
}

#[test]
fn every_ending_of_a_run_that_was_cut_short() {
    let trouble = Failure::incomplete(Reason::GitlabTimeout, "GitLab did not answer in time");
    let mut all: Vec<Ending> = [
        Incomplete::Interrupted,
        Incomplete::OutOfTime,
        Incomplete::UnclearWrite,
        Incomplete::UnclearCreate,
        Incomplete::Unverified,
        Incomplete::Yielded,
        Incomplete::Unpublished { key: id("NEW") },
    ]
    .map(Ending::incomplete)
    .to_vec();
    all.push(Ending::incomplete(Incomplete::UnclearWrite).because(Some(&trouble)));
    all.push(Ending::from(trouble).with_torn(Some(GROUP.to_owned())));
    all.push(Ending::blocked(Block::Dead { target: 0 }).noting(Some("AKIA of nobody".to_owned())));
    endings("incomplete", all);
}

#[test]
fn a_failure_of_each_class_before_the_rotation_was_opened() {
    let settings = Failure::settings(
        Reason::TokenMissing,
        "no key was looked at: GITLAB_TOKEN is not set",
        "Set it.",
    );
    let warnings = vec!["KEYTURN_GRACES means nothing; KEYTURN_GRACE does".to_owned()];
    let rotation = RotationReport::not_opened(None, settings).with_warnings(warnings);
    forms("settings", &[Report::new(Command::Plan, rotation)]);

    let unexpected = Failure {
        class: crate::failure::Class::Unexpected,
        reason: Reason::Unexpected,
        message: "the step was not performed: there is no such target".to_owned(),
        advice: "Report this as a defect.".to_owned(),
    };
    let others = [
        Failure::blocked(
            Reason::TokenExpired,
            "no key was looked at: the GitLab token has expired",
            "Create one.",
        ),
        Failure::incomplete(
            Reason::GitlabTimeout,
            "no key was looked at: GitLab did not answer in time",
        ),
        unexpected,
    ];
    let report = |failure| {
        Report::new(
            Command::Retire,
            RotationReport::not_opened(Some("deploy"), failure),
        )
    };
    forms("not_opened", &others.map(report));
}

#[test]
fn one_target_from_the_journal_to_the_last_write() {
    let seen = facts(
        vec![
            key("OLD", 30 * DAY, Status::Active),
            key("NEW", 10, Status::Active),
        ],
        vec![holding("NEW", 5, Some("OLD"))],
    );
    let steps = vec![
        step("journal", None, None),
        step("create", None, None),
        step("verify", Some("NEW"), None),
        step("write_secret", Some("NEW"), Some(GROUP)),
        step("write_id", Some("NEW"), Some(GROUP)),
    ];
    let until = Timestamp(NOW.0 + DAY);
    let ending = Ending::waiting(Wait::Grace {
        key: id("OLD"),
        until,
    });
    let report = |command, warnings: &[&str]| {
        let (steps, ending) = (steps.clone(), ending.clone());
        opened(command, Some(&seen), &[GROUP], steps, warnings, ending)
    };
    let warned = ["the GitLab token expires in 6 days", "a second\nline & more"];
    let reports = [report(Command::Rotate, &[]), report(Command::Plan, &warned)];
    forms("one_target", &reports);
    for report in &reports {
        let vitals = Vitals {
            key_age: Some(Duration::from_secs(10)),
            token_left: None,
        };
        assert_eq!(report.rotations()[0].vitals(), vitals);
    }
}

#[test]
fn two_targets_of_which_one_is_torn_or_unread() {
    let keys = vec![
        key("OLD", 30 * DAY, Status::Active),
        key("FOREIGN", 90 * DAY, Status::Inactive),
        key("NEW", 60, Status::Active),
    ];
    let torn = facts(
        keys.clone(),
        vec![holding("NEW", 5, Some("OLD")), torn("NEW", "OLD", 5)],
    );
    let unread = facts(keys, vec![holding("NEW", 5, Some("OLD")), Target::Unread]);
    let targets = [GROUP, PROJECT];
    let lost = Ending::incomplete(Incomplete::OutOfTime).with_torn(Some(PROJECT.to_owned()));
    let blocked = Ending::blocked(Block::IncompleteRead { target: 1 });
    let steps = vec![step("write_secret", Some("NEW"), Some(PROJECT))];
    let reports = [
        opened(Command::Rotate, Some(&torn), &targets, steps, &[], lost),
        opened(
            Command::Retire,
            Some(&unread),
            &targets,
            Vec::new(),
            &["the project's variables are not readable"],
            blocked,
        ),
    ];
    forms("two_targets", &reports);
}

#[test]
fn the_worst_of_several_rotations_decides_the_exit_code() {
    let named = |user: &str, ending: Ending| {
        let subject = Subject {
            user: user.to_owned(),
            account: String::new(),
        };
        RotationReport::new(subject, ending)
    };
    let all = [
        ("fine", Ending::converged(None), 0),
        ("waits", Ending::waiting(Wait::Quiet { until: NOW }), 0),
        (
            "misconfigured",
            Failure::settings(Reason::Policy, "nothing", "Set it.").into(),
            2,
        ),
        ("defect", Ending::unexpected("the run ended"), 1),
        ("late", Ending::incomplete(Incomplete::OutOfTime), 4),
        ("person", Ending::blocked(Block::AllHidden), 3),
    ];
    let mut rotations = Vec::new();
    for (user, ending, exit) in all {
        rotations.insert(0, named(user, ending));
        let report = Report::of(Command::Rotate, rotations.clone());
        assert_eq!(report.exit().code(), exit, "{user}");
    }
    forms("several", &[Report::of(Command::Rotate, rotations)]);
    assert_eq!(Report::of(Command::Rotate, Vec::new()).exit().code(), 0);
}
