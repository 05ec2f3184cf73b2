//! Planners that are wrong in one way each: the real one, shown facts without the part that a safeguard rests on, or its
//! answer bent. Each names the law that catches it, so that a law which can't fail is found out.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "each bends one answer and passes on the others, whatever they are"
)]

use std::time::Duration;

use planner::*;

use crate::common::{DAY, HOUR, id, secs};

pub(crate) type Planner = fn(&Facts, &Policy) -> Verdict;

/// What each forgets, believes or does, the planner, and the law that it breaks.
pub(crate) const PLANNERS: [(&str, Planner, &str); 59] = [
    // What it does not see.
    (
        "ignores a hold",
        |f, p| shown(f, p, |f, _| each_pair(f, |pair| pair.hold = false)),
        "a hold stops everything",
    ),
    (
        "passes over an unread target",
        |f, p| shown(f, p, |f, _| f.targets.retain(|target| *target != Target::Unread)),
        "no key is removed while a target is unread",
    ),
    (
        "creates although a target is unread",
        |f, p| shown(f, p, |f, _| f.targets.retain(|target| *target != Target::Unread)),
        "nothing is created while a target is unread",
    ),
    (
        "takes a failed proof for a refusal",
        |f, p| shown(f, p, |f, _| each_secret(f, Proof::Inconclusive, Proof::OfNone)),
        "no secret is overwritten that may be anybody's",
    ),
    (
        "takes a stranger's secret for nobody's",
        |f, p| shown(f, p, |f, _| each_secret(f, Proof::OfSomebodyElse, Proof::OfNone)),
        "nothing is created while a secret may be anybody's",
    ),
    (
        "takes Inactive for Active",
        |f, p| {
            shown(f, p, |f, _| {
                f.keys.iter_mut().for_each(|key| key.status = Status::Active)
            })
        },
        "a held Inactive key is not replaced",
    ),
    (
        "replaces a key that somebody deactivated (CE-29)",
        |f, p| shown(f, p, |f, _| f.keys.retain(|key| key.status == Status::Active)),
        "a held Inactive key is not replaced",
    ),
    (
        "does not see Inactive keys",
        |f, p| shown(f, p, |f, _| f.keys.retain(|key| key.status == Status::Active)),
        "nothing is created where two keys are listed",
    ),
    (
        "believes that clocks agree",
        |f, p| shown(f, p, |f, _| f.clocks.gitlab = f.clocks.aws),
        "no key is removed while clocks disagree",
    ),
    (
        "creates with a clock that is wrong",
        |f, p| shown(f, p, |f, _| f.clocks.gitlab = f.clocks.aws),
        "no key is replaced while a clock is wrong",
    ),
    (
        "does not look beside the targets when it retires",
        |f, p| shown(f, p, |f, _| f.elsewhere.clear()),
        "no key is removed that another variable holds",
    ),
    (
        "does not look beside the targets when it creates",
        |f, p| shown(f, p, |f, _| f.elsewhere.clear()),
        "no key is replaced that another variable holds too",
    ),
    (
        "creates what it could never retire",
        |f, p| shown(f, p, |f, _| each_use(f, LastUsed::Unknown)),
        "no key is replaced that could never be retired",
    ),
    (
        "takes a marker of the future for an old one",
        |f, p| {
            shown(f, p, |f, _| {
                let now = f.clocks.gitlab;
                each_marker(f, |marker| {
                    if marker.at > now {
                        marker.at.0 -= 100 * DAY as i64
                    }
                })
            })
        },
        "no key is removed while a marker is of the future",
    ),
    (
        "counts the days of an Inactive key from the last write",
        |f, p| {
            shown(f, p, |f, _| {
                let inactive = f.keys.iter_mut().filter(|key| key.status == Status::Inactive);
                inactive.for_each(|key| key.last_used = LastUsed::Never)
            })
        },
        "a key is Inactive for as long as was set, so it was not used meanwhile",
    ),
    (
        "takes unknown use for none",
        |f, p| shown(f, p, |f, _| each_use(f, LastUsed::Unknown)),
        "no key is removed whose last use is unknown",
    ),
    (
        "takes unknown use of an Inactive key for none",
        |f, p| {
            shown(f, p, |f, _| {
                let inactive = f.keys.iter_mut().filter(|key| key.status == Status::Inactive);
                let unknown = inactive.filter(|key| key.last_used == LastUsed::Unknown);
                unknown.for_each(|key| key.last_used = LastUsed::Never)
            })
        },
        "no key is removed whose last use is unknown",
    ),
    (
        "does not read the last use",
        |f, p| {
            shown(f, p, |f, _| {
                f.keys.iter_mut().for_each(|key| key.last_used = LastUsed::Never)
            })
        },
        "no key is removed that was used lately",
    ),
    (
        "thinks every marker old",
        |f, p| {
            shown(f, p, |f, _| {
                each_marker(f, |marker| marker.at.0 -= 100 * DAY as i64)
            })
        },
        "no key is removed within the grace of the last write",
    ),
    (
        "starts a rotation beside the last one's writes",
        |f, p| {
            shown(f, p, |f, _| {
                each_marker(f, |marker| marker.at.0 -= 100 * DAY as i64)
            })
        },
        "nothing is created before the last rotation is quiet",
    ),
    (
        "takes what was just written for dead",
        |f, p| shown(f, p, |f, _| each_marker(f, |marker| marker.at.0 -= HOUR as i64)),
        "a pair that was just written is not taken for dead",
    ),
    (
        "takes every key for an old one",
        |f, p| {
            shown(f, p, |f, _| {
                f.keys.iter_mut().for_each(|key| key.created.0 -= 2 * HOUR as i64)
            })
        },
        "nothing is created beside a young key that may be another run's",
    ),
    (
        "believes that every key was replaced here",
        |f, p| {
            shown(f, p, |f, _| {
                let oldest = f.keys.first().map(|key| key.id);
                each_marker(f, |marker| marker.prev = oldest.filter(|key| *key != marker.key));
            })
        },
        "no key is removed that is not proved ours",
    ),
    (
        "takes every key for announced",
        |f, p| {
            shown(f, p, |f, _| {
                f.journal = Journal::Read(f.keys.last().map(|key| Intent {
                    at: key.created,
                    own: false,
                }));
            })
        },
        "no key is removed that is not proved ours",
    ),
    (
        "takes an intent for a second later than it is",
        |f, p| shown(f, p, |f, _| move_intent(f, 1)),
        "no key is removed that is not proved ours",
    ),
    (
        "takes an intent for a second earlier than it is",
        |f, p| shown(f, p, |f, _| move_intent(f, -1)),
        "no key is removed that is not proved ours",
    ),
    (
        "believes the marker before STS",
        |f, p| {
            shown(f, p, |f, _| {
                each_pair(f, |pair| {
                    if let (SecretValue::Readable(Proof::Of(_)), Some(marker)) =
                        (pair.secret.value, pair.secret.marker)
                    {
                        pair.secret.value = SecretValue::Readable(Proof::Of(marker.key));
                    }
                })
            })
        },
        "an id is written only beside its own secret",
    ),
    (
        "follows the id and not the secret",
        |f, p| {
            shown(f, p, |f, _| {
                each_pair(f, |pair| {
                    if let (SecretValue::Readable(Proof::Of(_)), IdValue::Key(key)) =
                        (pair.secret.value, pair.id.value)
                    {
                        pair.secret.value = SecretValue::Readable(Proof::Of(key));
                    }
                })
            })
        },
        "a torn pair is not converged",
    ),
    (
        "believes a marker beside an edited id",
        |f, p| shown(f, p, |f, _| each_pair(f, |pair| pair.id.marker = None)),
        "the marker of a hidden secret is not believed beside an edited id",
    ),
    (
        "takes half a pair for a start from nothing",
        |f, p| {
            shown(f, p, |f, _| {
                each_pair(f, |pair| {
                    if pair.is_half() {
                        (pair.id.value, pair.secret.value) = (IdValue::Missing, SecretValue::Missing);
                    }
                })
            })
        },
        "nothing is created beside half a pair",
    ),
    (
        "takes a secret that fits no key of the user for nobody's",
        |f, p| {
            shown(f, p, |f, _| {
                each_pair(f, |pair| {
                    let unmarked = pair.id.marker.is_none() && pair.secret.marker.is_none();
                    if unmarked && pair.secret.value == SecretValue::Readable(Proof::OfNone) {
                        (pair.id.value, pair.secret.value) = (IdValue::Missing, SecretValue::Missing);
                    }
                })
            })
        },
        "nothing is created while a secret may be anybody's",
    ),
    (
        "takes a key that isn't in one user's list for deleted",
        |f, p| shown(f, p, |f, _| f.alone = true),
        "no secret is overwritten that may be anybody's",
    ),
    (
        "writes its journal over anything",
        |f, p| {
            shown(f, p, |f, _| {
                if f.journal == Journal::Taken {
                    f.journal = Journal::Read(None);
                }
            })
        },
        "nothing is created over what is no journal",
    ),
    (
        "starts anew where the key that signs is nowhere",
        |f, p| shown(f, p, |f, _| f.run.signer = None),
        "nothing is created where nothing holds the key that signs",
    ),
    (
        "believes a refusal against what a look shows",
        |f, p| {
            shown(f, p, |f, _| {
                let own = f.run.created;
                let old = id("OLD");
                each_pair(f, |pair| {
                    if pair.secret.marker.is_some_and(|marker| Some(marker.key) == own) {
                        pair.secret.marker = None;
                        pair.secret.value = SecretValue::Readable(Proof::Of(old));
                    }
                })
            })
        },
        "no key is undone that a target shows",
    ),
    (
        "discards its key without having read every target",
        |f, p| {
            shown(f, p, |f, _| {
                f.targets.retain(|target| *target != Target::Unread);
                each_secret(f, Proof::Inconclusive, Proof::OfSomebodyElse);
            })
        },
        "no key is undone while a target may hold it",
    ),
    (
        "decides between its own key and those before it by date and id",
        |f, p| {
            let verdict = shown(f, p, |f, _| {
                let own = f.run.created.and_then(|own| f.key(own)).copied();
                let before = f.keys.iter().filter(|key| f.run.listed_before.contains(&key.id));
                let outranked = |own: Key| {
                    before
                        .clone()
                        .any(|key| (key.created, key.id) > (own.created, own.id))
                };
                if own.is_some_and(outranked) {
                    f.run.listed_before.clear();
                }
            });
            match verdict {
                Verdict::Incomplete(Incomplete::Unpublished { .. }) => Verdict::Converged { until: None },
                verdict => verdict,
            }
        },
        "a run doesn't end well beside its unpublished key",
    ),
    (
        "leaves the intent of a key that it was refused",
        |f, p| match next(f, p) {
            Verdict::Do(Step::CloseIntent) => Verdict::Blocked(Block::CreateDenied),
            verdict => verdict,
        },
        "a block names what is really in the way",
    ),
    (
        "closes the intent of another run",
        |f, p| {
            shown(f, p, |f, _| {
                if let Journal::Read(Some(intent)) = &mut f.journal {
                    intent.own = true;
                }
            })
        },
        "an intent is closed only while a look shows that it is this run's",
    ),
    (
        "closes its intent beside a key that appeared",
        |f, p| {
            shown(f, p, |f, _| {
                f.keys
                    .retain(|key| f.run.listed_before.contains(&key.id) || !f.run.denied)
            })
        },
        "an intent is not closed beside a key that may be of it",
    ),
    // What it does not remember.
    (
        "forgets which key signs",
        |f, p| shown(f, p, |f, _| f.run.signer = None),
        "no key is removed that signs this run's requests",
    ),
    (
        "forgets that a key was asked for",
        |f, p| shown(f, p, |f, _| f.run.create_sent = false),
        "after a lost answer to CreateAccessKey nothing is begun",
    ),
    (
        "forgets writes without an answer",
        |f, p| shown(f, p, |f, _| f.run.unclear.clear()),
        "no second value goes over an unclear write",
    ),
    (
        "forgets what it sent",
        |f, p| shown(f, p, |f, _| f.run.sent = 0),
        "a key is undone only while nothing of it was sent",
    ),
    (
        "publishes what was not proved",
        |f, p| shown(f, p, |f, _| f.run.verified.extend(f.run.in_hand.clone())),
        "no secret is written that is not proved",
    ),
    (
        "thinks every secret in hand",
        |f, p| {
            shown(f, p, |f, _| {
                let all: Vec<KeyId> = f.keys.iter().map(|key| key.id).collect();
                f.run.in_hand.clone_from(&all);
                f.run.verified = all;
            })
        },
        "no secret is written that is not in hand",
    ),
    (
        "goes on when asked to stop",
        |f, p| shown(f, p, |f, _| f.run.stopping = false),
        "a run that was asked to stop only completes a pair",
    ),
    (
        "has no deadline",
        |f, p| shown(f, p, |f, _| f.run.time_left = TimeLeft::Ample),
        "a run past its deadline sends nothing",
    ),
    (
        "forgets that it deactivated a key itself",
        |f, p| {
            shown(f, p, |f, _| {
                f.run.inactive_at_start = f.keys.iter().map(|key| key.id).collect();
            })
        },
        "the run that deactivated a key does not delete it",
    ),
    // What it does not ask.
    (
        "lets retire create",
        |f, p| shown(f, p, |_, p| p.may_create = true),
        "retire creates nothing",
    ),
    (
        "creates without recording the intent",
        |f, p| shown(f, p, |_, p| p.settings.journal = false),
        "the intent is recorded before a key is created",
    ),
    (
        "has no grace",
        |f, p| {
            shown(f, p, |_, p| {
                p.settings.grace = Duration::ZERO;
                p.settings.delete_after = Duration::ZERO;
            })
        },
        "no key is removed within the grace of the last write",
    ),
    (
        "rotates at every run",
        |f, p| shown(f, p, |_, p| p.settings.rotate_after = Duration::ZERO),
        "nothing is created before it is due",
    ),
    // What it answers.
    (
        "trusts one look",
        |f, p| match next(f, p) {
            Verdict::Look(step) => Verdict::Do(step),
            verdict => verdict,
        },
        "what can't be taken back wants two full looks that agree",
    ),
    (
        "looks for ever",
        |f, p| match next(f, p) {
            Verdict::Do(step @ (Step::Deactivate { .. } | Step::Delete { .. })) => Verdict::Look(step),
            verdict => verdict,
        },
        "two looks that agree are enough",
    ),
    (
        "deletes where it should deactivate",
        |f, p| {
            bent(f, p, |step| match step {
                Step::Deactivate { key } => Step::Delete { key },
                step => step,
            })
        },
        "a key that was in use is deactivated before it is deleted",
    ),
    (
        "deletes a key that a target holds",
        |f, p| {
            bent(f, p, |step| match step {
                Step::Delete { key } => Step::Delete {
                    key: if key == id("OLD") { id("NEW") } else { id("OLD") },
                },
                step => step,
            })
        },
        "no key is removed that a half or a marker names",
    ),
    (
        "forgets which key was here before",
        |f, p| {
            bent(f, p, |step| match step {
                Step::WriteId { target, key, .. } => Step::WriteId {
                    target,
                    key,
                    prev: None,
                },
                step => step,
            })
        },
        "the key that was here before is remembered",
    ),
    (
        "is never done",
        |f, p| match next(f, p) {
            Verdict::Converged { .. } => Verdict::Wait(Wait::Quiet {
                until: f.clocks.gitlab.after(secs(DAY)),
            }),
            verdict => verdict,
        },
        "a finished state that is not due is left alone",
    ),
];

/// The real planner's answer to changed facts.
fn shown(facts: &Facts, policy: &Policy, change: impl FnOnce(&mut Facts, &mut Policy)) -> Verdict {
    let (mut facts, mut policy) = (facts.clone(), *policy);
    change(&mut facts, &mut policy);
    next(&facts, &policy)
}

/// The real planner's answer with its step changed.
fn bent(facts: &Facts, policy: &Policy, change: impl FnOnce(Step) -> Step) -> Verdict {
    match next(facts, policy) {
        Verdict::Do(step) => Verdict::Do(change(step)),
        Verdict::Look(step) => Verdict::Look(change(step)),
        verdict => verdict,
    }
}

fn each_pair(facts: &mut Facts, mut change: impl FnMut(&mut Pair)) {
    for target in &mut facts.targets {
        if let Target::Seen(pair) = target {
            change(pair);
        }
    }
}

fn each_marker(facts: &mut Facts, mut change: impl FnMut(&mut Marker)) {
    each_pair(facts, |pair| {
        pair.id
            .marker
            .iter_mut()
            .chain(&mut pair.secret.marker)
            .for_each(&mut change);
    });
}

fn each_secret(facts: &mut Facts, from: Proof, to: Proof) {
    each_pair(facts, |pair| {
        if pair.secret.value == SecretValue::Readable(from) {
            pair.secret.value = SecretValue::Readable(to);
        }
    });
}

fn move_intent(facts: &mut Facts, seconds: i64) {
    if let Journal::Read(Some(intent)) = &mut facts.journal {
        intent.at.0 += seconds;
    }
}

fn each_use(facts: &mut Facts, from: LastUsed) {
    for key in facts.keys.iter_mut().filter(|key| key.last_used == from) {
        key.last_used = LastUsed::Never;
    }
}
