//! What must never happen, in words of their own: judged on the truth, with nothing of the planner's.
//!
//! * I1: a target that was once healthy always holds the secret of an Active key, so that one write of a public value
//!   can mend it at any time.
//! * I2: no key is deactivated or deleted while a target holds its secret.
//! * I3: nor while a job may run that captured it; a job may capture what works at any instant.
//! * I4: nobody else's key is touched, nor one that IAM says is in use.
//! * I5: there is never no Active key left because of us.
//! * I6: a run never takes away the key that it signs with.
//! * I7: the secret of a dead key never replaces that of a live one.
//! * I8: no write breaks a working pair, except the first half of a newer, proved key; or of an older one where targets
//!   disagreed when it was sent; or where IAM let two creators win, of whom none had seen the other.
//! * I9: one run creates one key at most.
//! * I10: what a target ever held is deleted only by a run that found it Inactive (where the settings say so), unless it was
//!   never used and is proved ours.
//! * P4: a run doesn't end well while the key that it made is Active and no target ever held it.
//! * I11 and I12 are about what follows when faults stop: see `search`.

use planner::End;

use super::process::{Act, Process};
use super::scenario::{JOB, Scenario};
use super::world::{ACTIVE, INACTIVE, JUNK, NEVER, NONE, PROVED, Request, USED, What, World, bit};

/// A broken promise: which, and how.
pub(crate) type Broken = (&'static str, String);

fn broken(which: &'static str, how: impl Into<String>) -> Option<Broken> {
    Some((which, how.into()))
}

/// Judges a request at the instant it takes effect.
pub(crate) fn effect(
    before: &World,
    after: &World,
    request: &Request,
    scenario: &Scenario,
) -> Option<Broken> {
    let target = usize::from(request.target);
    let key = request.key;
    let alive = |world: &World, key: u8| world.key(key).state == ACTIVE;
    let pair_works = |world: &World| {
        let pair = world.pairs[target];
        pair.id.value == pair.secret.value && alive(world, pair.secret.value)
    };
    // Two creators of one second, whose ids are in the other order: neither is sure to see the other.
    let raced = scenario.quota_race && scenario.ties;
    match request.what {
        What::Nothing | What::Journal | What::CloseIntent | What::Create => {}
        What::WriteSecret => {
            let held = before.pairs[target].secret.value;
            if alive(before, held) && !alive(before, key) {
                return broken("I7", "a dead secret replaced a live one");
            }
            if held != key && pair_works(before) {
                if !before.key(key).proved {
                    return broken("I8", "a secret that was never proved replaced a working one");
                }
                // Dates have a resolution of a second, and ids are random: who made the key knows.
                let newer = request.newer && before.key(key).age == before.key(held).age;
                let excused = newer || request.disagreed || request.own && raced;
                if key < held && !excused {
                    return broken("I8", "an older secret replaced a newer one that works");
                }
            }
        }
        What::WriteId => {
            // Where IAM lets two creators win they may interleave; the last look of either, or the next run, mends it.
            if pair_works(before) && !pair_works(after) && !raced {
                return broken("I8", "an id broke a pair that worked");
            }
        }
        What::Deactivate | What::Delete | What::Undo => {
            let victim = before.key(key);
            if victim.state != ACTIVE && victim.state != INACTIVE {
                return None;
            }
            if before.pairs.iter().any(|pair| pair.secret.value == key) {
                return broken("I2", "a key was removed while a target holds its secret");
            }
            if victim.state == ACTIVE && victim.captured <= JOB && !scenario.immediate {
                return broken("I3", "a key was cut while a job that captured it may run");
            }
            let active = |world: &World| world.keys.iter().filter(|key| key.state == ACTIVE).count();
            if active(before) > 0 && active(after) == 0 && victim.published {
                return broken("I5", "no Active key is left");
            }
            let may_delete = victim.state == INACTIVE && (request.found_inactive || !scenario.soak);
            let orphan = victim.announced && matches!(victim.used, NEVER | PROVED);
            if request.what != What::Deactivate && victim.published && !may_delete && !orphan {
                return broken("I10", "a key that was in use was deleted in one step");
            }
        }
    }
    state(after)
}

/// Judges a state.
pub(crate) fn state(world: &World) -> Option<Broken> {
    for pair in &world.pairs {
        if pair.anchored && world.key(pair.secret.value).state != ACTIVE {
            return broken(
                "I1",
                "a target's secret belongs to no Active key, and nobody has another",
            );
        }
    }
    None
}

/// Judges how a run goes about its work.
pub(crate) fn conduct(run: &Process) -> Option<Broken> {
    run.conduct.wrong.and_then(|wrong| broken("loop", wrong))
}

/// Judges what a run ends with against the truth at the look it ends on.
pub(crate) fn ending(world: &World, run: &Process, end: &End) -> Option<Broken> {
    let torn = world.pairs.iter().any(|pair| pair.id.value != pair.secret.value);
    if torn && run.conduct.gave_up(end) {
        return broken("loop", "a pair is left torn while there is time");
    }
    let own = world.key(run.created);
    let held = world.pairs.iter().any(|pair| pair.secret.value == run.created) || run.saw_held(run.created);
    if end.is_well() && own.state == ACTIVE && !own.published && !held {
        return broken(
            "P4",
            "a run ends well beside the key that it made, which no target holds",
        );
    }
    None
}

/// Judges a decision against the truth at the look it was made from.
pub(crate) fn decision(world: &World, run: &Process, scenario: &Scenario) -> Option<Broken> {
    match run.act {
        Act::None | Act::Journal | Act::CloseIntent | Act::Verify(_) | Act::SwitchSigner(_) => None,
        Act::Create if run.asked_for_key => broken("I9", "one run asks for a second key"),
        Act::Create => None,
        Act::WriteSecret(_, key) if !run.holds(key) => {
            broken("I7", "a secret that nobody holds is to be written")
        }
        Act::WriteSecret(..) => None,
        Act::WriteId(_, key, _) if key == NONE || key == JUNK => {
            broken("I8", "an id that is no key is to be written")
        }
        Act::WriteId(..) => None,
        Act::Undo(key) if key != run.created => broken("I4", "a run undoes a key that it did not create"),
        Act::Undo(key) | Act::Deactivate(key) | Act::Delete(key) => {
            if key == run.auth && bit(key) != 0 {
                return broken("I6", "a run is about to remove the key it signs with");
            }
            let victim = world.key(key);
            // Created by a person within the window of an intent, and never used: nothing tells it from an orphan, unless it is
            // known that the intent came to nothing.
            let unmistakable =
                !victim.announced || !matches!(victim.used, NEVER | PROVED) || world.void_intent;
            if victim.foreign && unmistakable {
                return broken("I4", "somebody else's key is about to be removed");
            }
            if victim.used == USED && !scenario.immediate && victim.state == ACTIVE {
                return broken("I4", "a key in use is about to be removed");
            }
            None
        }
    }
}
