//! The decision for every shape of a single target, as a committed table: a change of a rule shows as a diff of
//! `decision_table.txt`. `KEYTURN_BLESS=1 cargo test -p keyturn-planner` writes the table anew.
//!
//! The table was reviewed against the one that the model checker prints for the same shapes. They differ where, and
//! only where, the program says more or dares less than the model:
//!
//! * a key that a target refers to and that is Inactive is `blocked key_disabled`, never replaced: it may be the answer
//!   to an incident;
//! * a pair that looks dead right after a write is `wait unconfirmed`: no person is needed, only time;
//! * a hidden secret without markers beside an id that is not listed is `blocked owner_unknown`: it may be another
//!   user's pair, and it may work. Beside a listed Active id it is presumed to be that key's, which a rotation may
//!   replace. "Unknown" in the model is what is called "edited" here, and an edited pair is nobody's to replace, not
//!   even when its id is not listed;
//! * a key that is neither replaced nor announced by an intent has rows of its own here: it is somebody else's;
//! * waiting states have names (`grace`, `delete_after`, `orphan`, `in_use`) where the model says "nothing".

mod common;

use std::fmt::Write as _;

use common::*;
use planner::*;

/// Half of a pair: whose it is. "gone" is a key that is not listed.
const HALVES: [&str; 3] = ["OLD", "NEW", "GONE"];

/// What is known of the keys that no target refers to.
const EVIDENCE: [&str; 4] = [
    "never used, intent",
    "never used, no intent",
    "replaced, unused",
    "replaced, in use",
];

const WRITTEN: u64 = 10 * DAY;

#[derive(Clone, Copy)]
struct Row {
    old: Option<Status>,
    new: Option<Status>,
    hidden: bool,
    id: &'static str,
    /// Whose the secret is; for hidden ones also "unmarked" and "edited".
    secret: &'static str,
    evidence: &'static str,
}

impl Row {
    fn listed(&self) -> Vec<(&'static str, Status, u64)> {
        let old = self.old.map(|status| ("OLD", status, 60 * DAY));
        let new = self.new.map(|status| ("NEW", status, 30 * DAY));
        old.into_iter().chain(new).collect()
    }

    /// The listed key that the pair does not mention.
    fn unreferenced(&self) -> Option<&'static str> {
        let mut names = self.listed().into_iter().map(|(name, ..)| name);
        names.find(|name| *name != self.id && *name != self.secret)
    }

    fn facts(&self, written: u64) -> Facts {
        let unreferenced = self.unreferenced();
        let keys: Vec<Key> = self
            .listed()
            .into_iter()
            .map(|(name, status, age)| {
                let key = Key {
                    status,
                    ..key(name, age)
                };
                match self.evidence {
                    "replaced, in use" if unreferenced == Some(name) => used(key, MINUTE),
                    "replaced, unused" if unreferenced == Some(name) => used(key, 20 * DAY),
                    _ => key,
                }
            })
            .collect();
        let active = |name: &str| {
            keys.iter()
                .any(|key| key.id == id(name) && key.status == Status::Active)
        };
        let secret = match self.secret {
            _ if self.hidden => SecretValue::Hidden,
            // STS refuses the secrets of Inactive and of deleted keys alike.
            name if active(name) => SecretValue::Readable(Proof::Of(id(name))),
            _ => SecretValue::Readable(Proof::OfNone),
        };
        let pair = unmarked(IdValue::Key(id(self.id)), secret);
        let prev = unreferenced.filter(|_| self.evidence.starts_with("replaced"));
        let pair = match self.secret {
            "unmarked" => pair,
            "edited" => marked(pair, "BEFORE", "BEFORE", prev, written),
            secret => marked(pair, self.id, secret, prev, written),
        };
        let mut facts = look(&keys, &[pair]);
        if self.evidence == "never used, intent" {
            let created = unreferenced
                .and_then(|name| facts.key(id(name)))
                .map(|key| key.created);
            facts.journal = Journal::Read(created.map(|at| Intent { at, own: false }));
        }
        facts
    }
}

fn rows(hidden: bool) -> Vec<Row> {
    let statuses = [None, Some(Status::Active), Some(Status::Inactive)];
    let with_new = statuses.iter().flat_map(|new| statuses.map(|old| (old, *new)));
    let mut rows = Vec::new();
    for (old, new) in with_new.filter(|(old, new)| old.is_some() || new.is_none()) {
        let listed = |half: &&str| match *half {
            "OLD" => old.is_some(),
            "NEW" => new.is_some(),
            _ => true,
        };
        let unclear: &[&'static str] = if hidden { &["unmarked", "edited"] } else { &[] };
        for id in HALVES.iter().filter(|half| listed(half)) {
            for secret in HALVES.iter().filter(|half| listed(half)).chain(unclear) {
                let row = Row {
                    old,
                    new,
                    hidden,
                    id,
                    secret,
                    evidence: "",
                };
                if row.unreferenced().is_none() {
                    rows.push(row);
                    continue;
                }
                // A pair without markers can't say what it replaced.
                let known = EVIDENCE
                    .iter()
                    .filter(|text| *secret != "unmarked" || text.starts_with("never"));
                rows.extend(known.map(|evidence| Row { evidence, ..row }));
            }
        }
    }
    rows
}

fn table() -> String {
    let due = |after: u64| {
        rotate(Settings {
            rotate_after: secs(after),
            ..Settings::default()
        })
    };
    let columns = [
        (MINUTE, due(180 * DAY)),
        (WRITTEN, due(180 * DAY)),
        (WRITTEN, due(20 * DAY)),
    ];
    let mut lines = vec![
        [
            "keys",
            "id of",
            "secret of",
            "unreferenced key",
            "just written",
            "quiet, not due",
            "quiet, due",
        ]
        .map(str::to_owned),
    ];
    for row in rows(false).into_iter().chain(rows(true)) {
        let keys: Vec<String> = row
            .listed()
            .iter()
            .map(|(name, status, _)| format!("{name} {status:?}"))
            .collect();
        let [fresh, quiet, due] = columns.map(|(written, policy)| words(&next(&row.facts(written), &policy)));
        lines.push([
            if keys.is_empty() {
                "none".to_owned()
            } else {
                keys.join(", ")
            },
            row.id.to_owned(),
            format!("{}{}", if row.hidden { "hidden " } else { "" }, row.secret),
            row.evidence.to_owned(),
            fresh,
            quiet,
            due,
        ]);
    }
    let mut text = String::new();
    for line in &lines {
        let mut shown = String::new();
        for (at, cell) in line.iter().enumerate() {
            let width = lines
                .iter()
                .filter_map(|line| line.get(at))
                .map(String::len)
                .max()
                .unwrap_or(0);
            let _ = write!(shown, "{cell:width$}  ");
        }
        text.push_str(shown.trim_end());
        text.push('\n');
    }
    text
}

#[test]
fn the_decision_for_every_shape_of_a_target_is_as_committed() {
    as_committed("tests/decision_table.txt", &table());
}

#[test]
fn no_row_removes_a_key_that_the_pair_mentions() {
    for row in rows(false).into_iter().chain(rows(true)) {
        let settings = Settings {
            grace: secs(0),
            delete_after: secs(0),
            ..Settings::default()
        };
        for policy in [rotate(Settings::default()), retire(settings)] {
            let verdict = next(&row.facts(WRITTEN), &policy);
            let (Verdict::Do(step) | Verdict::Look(step)) = verdict else {
                continue;
            };
            if let Step::Deactivate { key } | Step::Delete { key } | Step::Undo { key } = step {
                assert!(key != id(row.id) && key != id(row.secret), "{step:?}");
            }
        }
    }
}
