//! Settings, journals, and what a run remembers.

use std::time::Duration;

use planner::*;

use crate::common::{DAY, ago, id, retire, rotate, secs};

pub(crate) struct Situation {
    pub(crate) policy: Policy,
    pub(crate) skew: i64,
    pub(crate) plan: Plan,
    pub(crate) memory: Memory,
}

pub(crate) fn situations(
    policies: &[Policy],
    skews: &[i64],
    plans: &[Plan],
    memories: &[Memory],
) -> Vec<Situation> {
    let mut all = Vec::new();
    for policy in policies {
        for skew in skews {
            for plan in plans {
                for memory in memories {
                    all.push(Situation {
                        policy: *policy,
                        skew: *skew,
                        plan: *plan,
                        memory: *memory,
                    });
                }
            }
        }
    }
    all
}

/// The settings that rules tell apart. The first four are the plainest.
pub(crate) fn all_policies() -> Vec<Policy> {
    let plain = Settings::default();
    let at_once = Settings {
        grace: Duration::ZERO,
        delete_after: Duration::ZERO,
        ..plain
    };
    vec![
        rotate(plain),
        retire(plain),
        rotate(at_once),
        retire(at_once),
        retire(Settings {
            delete_after: Duration::ZERO,
            ..plain
        }),
        rotate(Settings {
            grace: Duration::ZERO,
            ..plain
        }),
        rotate(Settings {
            rotate_after: secs(40 * DAY),
            journal: false,
            ..plain
        }),
        rotate(Settings {
            rotate_after: secs(40 * DAY),
            require_use: true,
            ..plain
        }),
        rotate(Settings {
            create_missing: false,
            ..plain
        }),
    ]
}

pub(crate) fn few_policies() -> Vec<Policy> {
    all_policies().into_iter().take(4).collect()
}

/// What the journal says.
#[derive(Clone, Copy)]
pub(crate) enum Plan {
    Nothing,
    /// Of a rotation long gone.
    LongAgo,
    Unread,
    /// Its variable holds something else.
    Taken,
    /// So many seconds after the newest key was created, or before.
    Newest(i64),
    /// The same of the oldest key.
    Oldest(i64),
}

impl Plan {
    pub(crate) const NONE: Plan = Plan::Nothing;
    pub(crate) const NEWEST: Plan = Plan::Newest(-5);
    pub(crate) const OLDEST: Plan = Plan::Oldest(-5);
    pub(crate) const ALL: [Plan; 5] = [
        Plan::NONE,
        Plan::NEWEST,
        Plan::OLDEST,
        Plan::LongAgo,
        Plan::Unread,
    ];
    /// On either side of both ends of the window in which an intent announces a key.
    pub(crate) const EDGES: [Plan; 8] = [
        Plan::Newest(-1801),
        Plan::Newest(-1800),
        Plan::Newest(300),
        Plan::Newest(301),
        Plan::Oldest(-1801),
        Plan::Oldest(-1800),
        Plan::Oldest(300),
        Plan::Oldest(301),
    ];

    pub(crate) fn journal(self, keys: &[Key]) -> Journal {
        let beside = |key: Option<&Key>, seconds: i64| {
            Journal::Read(key.map(|key| Intent {
                at: Timestamp(key.created.0.saturating_add(seconds)),
                own: false,
            }))
        };
        match self {
            Plan::Nothing => Journal::Read(None),
            Plan::LongAgo => Journal::Read(Some(Intent {
                at: ago(400 * DAY),
                own: false,
            })),
            Plan::Unread => Journal::Unread,
            Plan::Taken => Journal::Taken,
            Plan::Newest(seconds) => beside(keys.last(), seconds),
            Plan::Oldest(seconds) => beside(keys.first(), seconds),
        }
    }
}

/// What a run remembers, in the shapes that runs have.
#[derive(Clone, Copy)]
pub(crate) enum Memory {
    /// Nothing yet: Inactive keys were noted, secrets that can be read are in hand.
    Fresh,
    Journaled,
    SignedByOldest,
    SignedByNewest,
    /// It deactivated the Inactive keys itself.
    DeactivatedHere,
    /// It created and proved the newest key and sent nothing of it.
    CreatedNewest,
}

impl Memory {
    pub(crate) fn remember(self, facts: &mut Facts) {
        recall(facts);
        let newest = facts.keys.last().map(|key| key.id);
        let active = |key: &&Key| key.status == Status::Active;
        let run = &mut facts.run;
        match self {
            Memory::Fresh => {}
            Memory::Journaled => run.journaled = true,
            Memory::SignedByOldest => run.signer = facts.keys.first().filter(active).map(|key| key.id),
            Memory::SignedByNewest => {
                run.signer = facts.keys.last().filter(active).map(|key| key.id);
                run.in_hand.extend(run.signer);
                run.verified.extend(run.signer);
            }
            Memory::DeactivatedHere => run.inactive_at_start.clear(),
            Memory::CreatedNewest => {
                let known = facts.targets.iter().any(|target| match target {
                    Target::Seen(pair) => {
                        newest.is_some_and(|key| pair.secret.value == SecretValue::Readable(Proof::Of(key)))
                    }
                    Target::Unread => false,
                });
                run.create_sent = true;
                run.journaled = true;
                run.created = newest;
                run.sent = u32::from(known);
                run.in_hand.extend(newest);
                run.verified.extend(newest);
                run.listed_before.extend(
                    facts
                        .keys
                        .iter()
                        .map(|key| key.id)
                        .filter(|key| Some(*key) != newest),
                );
            }
        }
    }
}

/// Empties the memory but for what every run notes at its first look.
pub(crate) fn recall(facts: &mut Facts) {
    let Facts {
        run, targets, keys, ..
    } = facts;
    *run = Run::new();
    for target in targets.iter() {
        if let Target::Seen(Pair {
            secret:
                SecretHalf {
                    value: SecretValue::Readable(Proof::Of(key)),
                    ..
                },
            ..
        }) = target
        {
            run.in_hand.push(*key);
            run.verified.push(*key);
        }
    }
    let inactive = keys.iter().filter(|key| key.status == Status::Inactive);
    run.inactive_at_start.extend(inactive.map(|key| key.id));
}

/// All memories that such a run can have.
pub(crate) fn runs(noted: &Run, keys: &[Key]) -> Vec<Run> {
    let own = id("NEW");
    let before = vec![id("OLD")];
    let mut all = Vec::new();
    for bits in 0..=0b1_1111_u32 {
        let bit = |at: u32| bits & (1 << at) != 0;
        for created in [None, Some(own)] {
            let [sent, refused, unverifiable, undo, undone] = [bit(0), bit(1), bit(2), bit(3), bit(4)];
            if undone && !undo || undo && sent || created.is_none() && bits > 1 {
                continue;
            }
            for (signer, in_hand) in [(None, false), (Some(id("OLD")), true), (Some(own), true)] {
                let refuses = |id| {
                    keys.iter()
                        .any(|key| Some(key.id) == id && key.status == Status::Inactive)
                };
                if signer == Some(own) && created.is_some() && !sent || refuses(signer) {
                    continue;
                }
                let mut run = noted.clone();
                run.signer = signer;
                run.create_sent = created.is_some() || bit(0);
                run.created = created;
                run.in_hand.extend(created);
                run.listed_before.clone_from(&before);
                run.sent = u32::from(created.is_some() && sent);
                run.refused = refused;
                run.unverifiable = unverifiable;
                run.undo = undo;
                run.undone = undone;
                if let Some(signer) = signer.filter(|_| in_hand) {
                    run.in_hand.push(signer);
                    run.verified.push(signer);
                }
                all.extend(endings(&run, keys));
            }
        }
    }
    all
}

pub(crate) fn endings(run: &Run, keys: &[Key]) -> Vec<Run> {
    let times = [
        (false, TimeLeft::Over),
        (false, TimeLeft::Short),
        (false, TimeLeft::Enough),
        (false, TimeLeft::Ample),
        (true, TimeLeft::Ample),
    ];
    let writes = |key| {
        [
            Step::WriteSecret { target: 0, key },
            Step::WriteId {
                target: 0,
                key,
                prev: None,
            },
        ]
    };
    let mut unclear: Vec<Option<Step>> = vec![None];
    unclear.extend(writes(id("OLD")).map(Some));
    unclear.extend(writes(id("NEW")).map(Some));
    let verified: &[bool] = if run.created.is_some() {
        &[false, true]
    } else {
        &[false]
    };
    let mut all = Vec::new();
    for (stopping, left) in times {
        for write in &unclear {
            for verified in verified {
                for (journaled, listed) in [(false, false), (true, false), (true, true)] {
                    let mut run = run.clone();
                    run.stopping = stopping;
                    run.time_left = left;
                    run.unclear.extend(*write);
                    run.journaled = journaled;
                    if *verified {
                        run.verified.extend(run.created);
                    }
                    if listed {
                        run.listed_before = keys
                            .iter()
                            .map(|key| key.id)
                            .filter(|key| Some(*key) != run.created)
                            .collect();
                    }
                    // A proposal that the last look made and this one may not make any more.
                    run.proposed = listed.then_some(Step::Delete { key: id("OLD") });
                    all.push(run);
                }
            }
        }
    }
    all
}
