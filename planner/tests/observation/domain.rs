//! The observations. They are what can be *seen*, not what can be *reached*: variables edited by hand, markers that lie,
//! lists that lag and secrets of strangers are all in.
//!
//! The full product of all fields has more than 10^15 members. Each slice here is a full product of what interacts, with
//! the rest held to a few values; a field is never varied in one slice alone where a rule reads it together with
//! another. What is left out, and why:
//!
//! * names: keys are numbered by age, so that renamings of the same picture are seen once; equal dates of creation are in;
//! * more than three keys, more than two targets: rules speak of "any" and "all", and two of each tell those apart;
//! * ages within a class: one age on either side of each bound that a rule compares with (2 min, 12 h, 2 d, 30 d);
//! * memories that contradict themselves: an undone key without an undo; an undo of what was sent; a signer that is
//!   Inactive, whose requests AWS refuses, or that this run created and never published; a target that holds the secret of the run's own key when none was sent (nobody else knows it);
//! * secrets in hand beyond those that a target shows and that of the run's own or signing key: there is no other source.

use std::ops::ControlFlow;
use std::time::Duration;

use planner::*;

use super::memory::*;
use super::shapes::*;
use crate::common::{DAY, HOUR, MINUTE, NOW, ago, id, retire, rotate, secs};

/// What is done with each observation; `Break` ends the visit.
pub(crate) type Visit<'a> = dyn FnMut(&mut Facts, &Policy) -> ControlFlow<()> + 'a;

/// A part of the domain.
pub(crate) type Slice = fn(&mut Visit<'_>) -> ControlFlow<()>;

/// The parts, by name; the smaller ones first, where what is wrong is found soonest.
pub(crate) const SLICES: [(&str, Slice); 11] = [
    (
        "one target, two keys, at the ends of an intent",
        one_target_any_intent,
    ),
    ("one target, three keys, their histories", one_target_three_keys),
    ("two targets, three keys", two_targets_three_keys),
    ("two targets", two_targets),
    ("a key refused for want of a right", any_denial),
    ("any memory of the run", any_memory),
    ("other variables, and clocks that were wrong", beside_the_targets),
    ("one target, two keys, any markers", one_target_any_markers),
    ("one target, two keys, any history", one_target_any_history),
    ("one target, no key or one", one_target_one_key),
    ("one target, three keys, any markers", three_keys_any_markers),
];

fn one_target_one_key(visit: &mut Visit<'_>) -> ControlFlow<()> {
    let ages = [2 * MINUTE, 2 * HOUR, 10 * DAY, 60 * DAY];
    let mut lists = vec![Vec::new()];
    for status in STATUSES {
        for age in ages {
            for used in uses(age) {
                lists.push(vec![key("OLD", status, age, used)]);
            }
        }
    }
    let pairs = any_pairs(&["OLD"]);
    let situations = situations(
        &all_policies(),
        &[0],
        &[Plan::NONE, Plan::NEWEST, Plan::Taken],
        &[Memory::Fresh, Memory::Journaled],
    );
    each(visit, &lists, &[&pairs], &situations)
}

fn one_target_any_markers(visit: &mut Visit<'_>) -> ControlFlow<()> {
    let lists = two_keys(&[
        (60 * DAY, LastUsed::Never, 10 * DAY, LastUsed::Never),
        (60 * DAY, other(5 * DAY), 2 * DAY, other(MINUTE)),
        (60 * DAY, other(10 * MINUTE), 2 * HOUR, LastUsed::Never),
        (60 * DAY, other(5 * DAY), 30 * MINUTE, LastUsed::Never),
    ]);
    let pairs = any_pairs(&["OLD", "NEW"]);
    let all = all_policies();
    let policies: Vec<Policy> = [0, 2, 3, 4]
        .iter()
        .filter_map(|at| all.get(*at).copied())
        .collect();
    let situations = situations(&policies, &[0], &[Plan::NEWEST, Plan::OLDEST], &[Memory::Fresh]);
    each(visit, &lists, &[&pairs], &situations)
}

fn one_target_any_history(visit: &mut Visit<'_>) -> ControlFlow<()> {
    let mut histories = Vec::new();
    for (older, newer) in [
        (60 * DAY, 10 * DAY),
        (60 * DAY, 2 * HOUR),
        (60 * DAY, 2 * MINUTE),
        (10 * MINUTE, 2 * MINUTE),
        (10 * DAY, 10 * DAY),
    ] {
        for used_older in uses(older) {
            for used_newer in uses(newer) {
                histories.push((older, used_older, newer, used_newer));
            }
        }
    }
    let situations = situations(
        &all_policies(),
        &[0, 600, -600],
        &Plan::ALL,
        &[Memory::Fresh, Memory::SignedByOldest, Memory::DeactivatedHere],
    );
    let pairs = [
        sound("NEW", Some("OLD"), 2 * DAY, false),
        sound("NEW", Some("OLD"), 30 * DAY, true),
        sound("OLD", None, 30 * DAY, false),
        plain("OLD", true),
    ];
    each(
        visit,
        &two_keys(&histories),
        &[&pairs.map(Target::Seen)],
        &situations,
    )
}

fn one_target_any_intent(visit: &mut Visit<'_>) -> ControlFlow<()> {
    let mut histories = Vec::new();
    for (older, newer) in [(60 * DAY, 10 * DAY), (60 * DAY, 2 * HOUR), (10 * DAY, 10 * DAY)] {
        for used_older in uses(older) {
            for used_newer in uses(newer) {
                histories.push((older, used_older, newer, used_newer));
            }
        }
    }
    let pairs = [
        sound("OLD", None, 30 * DAY, false),
        sound("OLD", None, 30 * DAY, true),
        sound("NEW", None, 2 * DAY, false),
        plain("NEW", false),
        plain("GONE", true),
    ];
    let situations = situations(&few_policies(), &[0], &Plan::EDGES, &[Memory::Fresh]);
    each(
        visit,
        &two_keys(&histories),
        &[&pairs.map(Target::Seen)],
        &situations,
    )
}

fn one_target_three_keys(visit: &mut Visit<'_>) -> ControlFlow<()> {
    let mut lists = Vec::new();
    for (ages, uses) in [
        (
            [60 * DAY, 20 * DAY, 2 * DAY],
            [LastUsed::Never, LastUsed::Never, LastUsed::Never],
        ),
        (
            [60 * DAY, 20 * DAY, 30 * MINUTE],
            [other(5 * DAY), LastUsed::Never, other(MINUTE)],
        ),
    ] {
        for old in STATUSES {
            for mid in STATUSES {
                for new in STATUSES {
                    let [a, b, c] = ages;
                    let [x, y, z] = uses;
                    lists.push(vec![
                        key("OLD", old, a, x),
                        key("MID", mid, b, y),
                        key("NEW", new, c, z),
                    ]);
                }
            }
        }
    }
    let situations = situations(&few_policies(), &[0], &[Plan::NEWEST], &[Memory::Fresh]);
    each(
        visit,
        &lists,
        &[&shapes(&["OLD", "MID", "NEW"], &[12 * HOUR, 30 * DAY])],
        &situations,
    )
}

fn three_keys_any_markers(visit: &mut Visit<'_>) -> ControlFlow<()> {
    let mut lists = Vec::new();
    for old in STATUSES {
        for new in STATUSES {
            lists.push(vec![
                key("OLD", old, 60 * DAY, LastUsed::Never),
                key("MID", Status::Active, 20 * DAY, other(5 * DAY)),
                key("NEW", new, 2 * DAY, LastUsed::Never),
            ]);
        }
    }
    let policies: Vec<Policy> = few_policies()
        .into_iter()
        .filter(|policy| policy.may_create)
        .collect();
    let situations = situations(&policies, &[0], &[Plan::OLDEST], &[Memory::Fresh]);
    each(visit, &lists, &[&any_pairs(&["OLD", "MID", "NEW"])], &situations)
}

fn two_targets(visit: &mut Visit<'_>) -> ControlFlow<()> {
    let mut lists = vec![Vec::new()];
    lists.extend(STATUSES.map(|status| vec![key("OLD", status, 60 * DAY, LastUsed::Never)]));
    lists.extend(two_keys(&[
        (60 * DAY, other(5 * DAY), 10 * DAY, other(MINUTE)),
        (60 * DAY, LastUsed::Never, 30 * MINUTE, LastUsed::Never),
    ]));
    let shapes = shapes(&["OLD", "NEW"], &[2 * MINUTE, 30 * DAY]);
    let memories = [Memory::Fresh, Memory::SignedByNewest, Memory::CreatedNewest];
    let situations = situations(&few_policies(), &[0], &[Plan::NEWEST], &memories);
    each(visit, &lists, &[&shapes, &shapes], &situations)
}

fn two_targets_three_keys(visit: &mut Visit<'_>) -> ControlFlow<()> {
    let mut lists = Vec::new();
    for old in STATUSES {
        for new in STATUSES {
            lists.push(vec![
                key("OLD", old, 60 * DAY, other(5 * DAY)),
                key("MID", Status::Active, 20 * DAY, other(5 * DAY)),
                key("NEW", new, 2 * DAY, LastUsed::Never),
            ]);
        }
    }
    let shapes = shapes(&["OLD", "MID", "NEW"], &[30 * DAY]);
    let situations = situations(&few_policies(), &[0], &[Plan::NEWEST], &[Memory::Fresh]);
    each(visit, &lists, &[&shapes, &shapes], &situations)
}

/// Other variables of the container hold keys too, or GitLab's clock was a day ahead when a marker was written.
fn beside_the_targets(visit: &mut Visit<'_>) -> ControlFlow<()> {
    let mut lists = vec![vec![key("OLD", Status::Active, 60 * DAY, LastUsed::Never)]];
    lists.extend(two_keys(&[
        (60 * DAY, other(5 * DAY), 10 * DAY, other(5 * DAY)),
        (60 * DAY, LastUsed::Unknown, 10 * DAY, LastUsed::Unknown),
    ]));
    let mut targets = shapes(&["OLD", "NEW"], &[2 * MINUTE, 2 * DAY, 30 * DAY]);
    for hidden in [false, true] {
        targets.push(Target::Seen(sound("NEW", Some("OLD"), 12 * HOUR, hidden)));
    }
    let memories = [Memory::Fresh, Memory::SignedByNewest];
    let situations = situations(&all_policies(), &[0, 600], &[Plan::NONE], &memories);
    for elsewhere in [
        vec![],
        vec![id("OLD")],
        vec![id("NEW")],
        vec![id("OLD"), id("NEW")],
    ] {
        for earlier in [0, DAY.cast_signed()] {
            let mut beside = |facts: &mut Facts, policy: &Policy| {
                let clocks = facts.clocks;
                facts.elsewhere.clone_from(&elsewhere);
                facts.clocks.gitlab.0 -= earlier;
                facts.clocks.aws.0 -= earlier;
                let flow = visit(facts, policy);
                facts.clocks = clocks;
                flow
            };
            each(&mut beside, &lists, &[&targets], &situations)?;
        }
    }
    ControlFlow::Continue(())
}

/// Builds the product, changing one set of facts in place.
fn each(
    visit: &mut Visit<'_>,
    lists: &[Vec<Key>],
    targets: &[&[Target]],
    situations: &[Situation],
) -> ControlFlow<()> {
    let mut facts = empty();
    for keys in lists {
        facts.keys.clone_from(keys);
        for situation in situations {
            facts.clocks = Clocks {
                aws: NOW,
                gitlab: Timestamp(NOW.0.saturating_add(situation.skew)),
            };
            facts.journal = situation.plan.journal(keys);
            facts.targets.clear();
            combine(visit, &mut facts, targets, situation)?;
        }
    }
    ControlFlow::Continue(())
}

fn combine(
    visit: &mut Visit<'_>,
    facts: &mut Facts,
    targets: &[&[Target]],
    situation: &Situation,
) -> ControlFlow<()> {
    let Some((first, rest)) = targets.split_first() else {
        let marks_unlisted = |target: &Target| match target {
            Target::Seen(pair) => {
                let marker = pair
                    .secret
                    .marker
                    .filter(|_| pair.secret.value == SecretValue::Hidden);
                marker.is_some_and(|marker| facts.keys.iter().all(|key| key.id != marker.key))
            }
            Target::Unread => false,
        };
        // Whether all writes here were for this user makes a difference only where a key is named that isn't listed.
        let alone: &[bool] = if facts.targets.iter().any(marks_unlisted) {
            &[true, false]
        } else {
            &[true]
        };
        for alone in alone {
            facts.alone = *alone;
            situation.memory.remember(facts);
            visit(facts, &situation.policy)?;
        }
        return ControlFlow::Continue(());
    };
    for target in *first {
        facts.targets.push(target.clone());
        combine(visit, facts, rest, situation)?;
        facts.targets.pop();
    }
    ControlFlow::Continue(())
}

fn empty() -> Facts {
    Facts {
        clocks: Clocks {
            aws: NOW,
            gitlab: NOW,
        },
        full: true,
        keys: Vec::new(),
        targets: Vec::new(),
        passing: false,
        elsewhere: Vec::new(),
        journal: Journal::Read(None),
        alone: true,
        run: Run::new(),
    }
}

/// CreateAccessKey was refused; a key appeared meanwhile, or none; the intent that stands is this run's, or another's.
fn any_denial(visit: &mut Visit<'_>) -> ControlFlow<()> {
    let old = key("OLD", Status::Active, 60 * DAY, other(5 * DAY));
    let new = key("NEW", Status::Active, MINUTE, LastUsed::Never);
    let mut targets = shapes(&["OLD"], &[30 * DAY]);
    targets.push(Target::Seen(torn("NEW", "OLD", None, MINUTE, false)));
    let intent = |own| Journal::Read(Some(Intent { at: ago(MINUTE), own }));
    let journals = [
        intent(true),
        intent(false),
        Journal::Read(None),
        Journal::Unread,
        Journal::Taken,
    ];
    let mut facts = empty();
    for keys in [vec![old], vec![old, new]] {
        facts.keys.clone_from(&keys);
        for target in &targets {
            facts.targets = vec![target.clone()];
            recall(&mut facts);
            let noted = facts.run.clone();
            for (journal, full) in journals
                .iter()
                .flat_map(|journal| [(journal, true), (journal, false)])
            {
                let times = [
                    (false, TimeLeft::Ample),
                    (true, TimeLeft::Ample),
                    (false, TimeLeft::Short),
                    (false, TimeLeft::Over),
                ];
                for (stopping, left) in times {
                    for policy in few_policies().into_iter().filter(|policy| policy.may_create) {
                        facts.run = Run {
                            create_sent: true,
                            denied: true,
                            journaled: true,
                            listed_before: vec![id("OLD")],
                            stopping,
                            time_left: left,
                            ..noted.clone()
                        };
                        (facts.journal, facts.full) = (*journal, full);
                        visit(&mut facts, &policy)?;
                    }
                }
            }
        }
    }
    ControlFlow::Continue(())
}

fn any_memory(visit: &mut Visit<'_>) -> ControlFlow<()> {
    let old = |status| key("OLD", status, 60 * DAY, other(5 * DAY));
    let new = key("NEW", Status::Active, 3 * MINUTE, LastUsed::Never);
    let mid = key("MID", Status::Active, 4 * MINUTE, LastUsed::Never);
    // The second: the list lags, and does not show the run's own key. The third: another run created one first. The last: a
    // key of the same second, whose id is the greater one.
    let twin = Key {
        created: new.created,
        ..old(Status::Active)
    };
    assert!(twin.id > new.id, "the ids would not decide wrongly");
    let lists = [
        vec![old(Status::Active), new],
        vec![old(Status::Active)],
        vec![old(Status::Active), mid, new],
        vec![old(Status::Inactive), new],
        vec![twin, new],
    ];
    let pairs = [
        sound("OLD", None, 30 * DAY, false),
        sound("OLD", None, 30 * DAY, true),
        torn("OLD", "NEW", None, MINUTE, false),
        torn("OLD", "NEW", None, MINUTE, true),
        sound("NEW", Some("OLD"), MINUTE, false),
        sound("NEW", Some("OLD"), 2 * DAY, true),
        plain("OLD", true),
        plain("GONE", false),
    ];
    let mut targets: Vec<Target> = pairs.into_iter().map(Target::Seen).collect();
    targets.extend(stops(&["OLD"]));
    let policies: Vec<Policy> = few_policies()
        .into_iter()
        .filter(|policy| policy.may_create)
        .collect();
    let mut facts = empty();
    for keys in &lists {
        facts.keys.clone_from(keys);
        for target in &targets {
            facts.targets = vec![target.clone()];
            recall(&mut facts);
            let noted = facts.run.clone();
            for run in runs(&noted, keys) {
                let published = run.sent > 0;
                let holds_new = noted.in_hand.contains(&id("NEW"));
                if holds_new && run.created.is_some() && !published {
                    continue;
                }
                for policy in &policies {
                    facts.run.clone_from(&run);
                    visit(&mut facts, policy)?;
                }
            }
        }
    }
    ControlFlow::Continue(())
}

/// Times, ages and settings at the ends of what the types hold: nothing is asserted of them but that they are decided.
pub(crate) fn at_the_ends(visit: &mut Visit<'_>) -> ControlFlow<()> {
    let times = [i64::MIN, -1, NOW.0, i64::MAX].map(Timestamp);
    let century = secs(100 * 365 * DAY);
    let ample = Settings {
        grace: century,
        delete_after: century,
        unused_for: century,
        longest_job: HOUR_LONG,
        ..Settings::default()
    };
    let policies = [
        rotate(ample),
        retire(ample),
        rotate(Settings {
            grace: Duration::ZERO,
            ..ample
        }),
    ];
    let pairs = [
        sound("NEW", Some("OLD"), 0, false),
        sound("OLD", None, 0, true),
        plain("OLD", false),
        sound("GONE", None, 0, false),
    ];
    let mut facts = empty();
    for bits in 0..4_usize.pow(6) {
        let time = |at: u32| times.get(bits / 4_usize.pow(at) % 4).copied().unwrap_or(NOW);
        let [aws, gitlab, created, written, used, intent] = [0, 1, 2, 3, 4, 5].map(time);
        facts.clocks = Clocks { aws, gitlab };
        facts.journal = Journal::Read(Some(Intent {
            at: intent,
            own: false,
        }));
        let used = LastUsed::At(used, Service::Sts);
        facts.keys = vec![
            Key {
                created,
                ..key("OLD", Status::Inactive, 0, used)
            },
            Key {
                created: intent,
                ..key("NEW", Status::Active, 0, used)
            },
        ];
        for pair in &pairs {
            let mut pair = pair.clone();
            for marker in [&mut pair.id.marker, &mut pair.secret.marker]
                .into_iter()
                .flatten()
            {
                marker.at = written;
            }
            facts.targets = vec![Target::Seen(pair)];
            recall(&mut facts);
            facts.run.time_left = if bits % 2 == 0 {
                TimeLeft::Ample
            } else {
                TimeLeft::Short
            };
            facts.run.sent = u32::MAX;
            for policy in &policies {
                visit(&mut facts, policy)?;
            }
        }
    }
    ControlFlow::Continue(())
}

const HOUR_LONG: Duration = Duration::from_secs(HOUR);
