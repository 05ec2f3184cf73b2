//! The rules, in the order in which they apply. One rule, one function; the first that answers decides.

use crate::facts::{Facts, IdValue, Journal, Key, LastUsed, Pair, SecretValue, Service, Status, TimeLeft};
use crate::picture::{Owner, Picture, Provenance, Quiet, in_the_wrong_place};
use crate::step::{Block, Incomplete, Step, Verdict, Wait};
use crate::{KeyId, Policy, Timestamp};

type Rule = fn(&Picture<'_>) -> Option<Verdict>;

/// The rules. The order is part of the protocol: what repairs comes before what waits, what waits before what creates,
/// and what removes a key needs everything before it to have nothing to say.
const RULES: [Rule; 17] = [
    hold,
    undo,
    repair_torn_pair,
    stop_when_asked,
    answer_of_create_lost,
    prove_the_new_key,
    publish,
    nothing_more_without_all_targets,
    disabled_by_somebody,
    owner_unknown,
    wrong_place,
    adopt,
    roll_back,
    retire,
    reap_orphan,
    create,
    wait_or_converge,
];

/// Decides the next step from what was observed. Total: every observation has an answer.
pub fn next(facts: &Facts, policy: &Policy) -> Verdict {
    let picture = Picture::new(facts, policy);
    let verdict = RULES
        .iter()
        .find_map(|rule| rule(&picture))
        .unwrap_or(Verdict::Converged { until: None });
    let verdict = nothing_is_well_beside_an_unpublished_key(&picture, verdict);
    no_second_value_over_an_unclear_write(facts, verdict)
}

/// `keyturn:hold` in a description stops everything, at every look.
fn hold(picture: &Picture<'_>) -> Option<Verdict> {
    let (target, ..) = picture.owners().find(|(_, pair, _)| pair.hold)?;
    Some(Verdict::Blocked(Block::Hold { target }))
}

/// The run's own key is deleted again while nothing of its secret is out: when it could not be proved, was refused, or
/// when another run created first (the newer creator yields). A refusal alone doesn't say that nothing is out: what stood
/// between may have changed the status of an answer, so both looks must have read every target and found nothing of the
/// key. Once begun it is final, because the deletion may be in flight when a later look finds the key still listed.
fn undo(picture: &Picture<'_>) -> Option<Verdict> {
    let run = &picture.facts.run;
    let own = run.created?;
    let why = if run.refused {
        Verdict::Blocked(Block::Refused)
    } else if run.unverifiable {
        Verdict::Incomplete(Incomplete::Unverified)
    } else if run.undo || another_created_first(picture, own) {
        Verdict::Incomplete(Incomplete::Yielded)
    } else {
        return None;
    };
    if run.sent > 0 {
        // It may be in a variable. From here on only forward: the orphan rule takes it if it truly is one.
        return None;
    }
    if !run.undo && picture.shows(own) {
        // It is in a variable, whatever the answer was.
        return None;
    }
    if run.undone || picture.facts.key(own).is_none() && run.undo {
        return Some(why);
    }
    if run.time_left == TimeLeft::Over {
        return Some(Verdict::Incomplete(Incomplete::OutOfTime));
    }
    if run.stopping {
        return Some(Verdict::Incomplete(Incomplete::Interrupted));
    }
    if !run.undo && picture.may_hide_any() {
        // The journal remembers it, for a run that can read everything.
        return Some(if run.refused {
            why
        } else {
            Verdict::Incomplete(Incomplete::Unpublished { key: own })
        });
    }
    Some(after_two_looks(picture, Step::Undo { key: own }))
}

/// Judged by "not listed when it was decided to create", never by age: else any young key would make every run create
/// and undo for ever.
fn another_created_first(picture: &Picture<'_>, own: KeyId) -> bool {
    let facts = picture.facts;
    let Some(own) = facts.key(own) else { return false };
    facts.keys.iter().any(|key| {
        key.id != own.id
            && !facts.run.listed_before.contains(&key.id)
            && (key.created, key.id) < (own.created, own.id)
    })
}

/// A torn pair follows its secret: the id of the key the secret belongs to is public and can always be written again,
/// a secret can't be read again. Survives a kill between the two writes of a pair.
fn repair_torn_pair(picture: &Picture<'_>) -> Option<Verdict> {
    // A run past its deadline writes nothing at all: the proof that no write comes late rests on it.
    if picture.facts.run.time_left == TimeLeft::Over {
        return Some(Verdict::Incomplete(Incomplete::OutOfTime));
    }
    let (target, pair, key) = picture.torn()?;
    Some(if !pair.id.is_there() && picture.facts.elsewhere.contains(&key) {
        // The id stands in another variable: this one has a wrong name, or somebody renamed it.
        Verdict::Blocked(Block::HalfPair { target })
    } else if picture.lacks_what_may_not_be_created(pair) {
        Verdict::Blocked(Block::MissingVariable { target })
    } else {
        Verdict::Do(write_id(target, pair, key))
    })
}

/// On SIGTERM a pair is finished, by the rule before this one, and nothing else is begun.
fn stop_when_asked(picture: &Picture<'_>) -> Option<Verdict> {
    let run = &picture.facts.run;
    if run.stopping {
        return Some(Verdict::Incomplete(Incomplete::Interrupted));
    }
    (run.time_left < TimeLeft::Enough).then_some(Verdict::Incomplete(Incomplete::OutOfTime))
}

/// A lost answer to CreateAccessKey is never followed by a second one: the key may exist, and its secret is lost.
///
/// A refusal for want of a right is no lost answer: nothing was made, so the intent must not vouch for a key that a person
/// makes in its window. It is closed when a full look shows no key that wasn't listed before, and only while it is this run's.
fn answer_of_create_lost(picture: &Picture<'_>) -> Option<Verdict> {
    let facts = picture.facts;
    let run = &facts.run;
    if !run.create_sent || run.created.is_some() {
        return None;
    }
    if !run.denied {
        return Some(Verdict::Incomplete(Incomplete::UnclearCreate));
    }
    let own = matches!(facts.journal, Journal::Read(Some(intent)) if intent.own);
    let appeared = facts.keys.iter().any(|key| !run.listed_before.contains(&key.id));
    Some(if facts.full && own && !appeared {
        Verdict::Do(Step::CloseIntent)
    } else {
        Verdict::Blocked(Block::CreateDenied)
    })
}

/// A key is proved before anybody can read it.
fn prove_the_new_key(picture: &Picture<'_>) -> Option<Verdict> {
    let run = &picture.facts.run;
    let key = run.created.filter(|key| !run.verified.contains(key))?;
    Some(Verdict::Do(Step::Verify { key }))
}

/// Writes the newest key whose secret is in hand to every target that holds an older one or none: the secret first,
/// because it is the half that can be refused and can't be read again.
fn publish(picture: &Picture<'_>) -> Option<Verdict> {
    let facts = picture.facts;
    let newest = newest_in_hand(picture)?;
    let candidates = picture.owners().filter_map(|(target, pair, owner)| {
        let (behind, dead) = match owner {
            Owner::Proved(held) | Owner::Noted(held) | Owner::Presumed(held) => {
                (is_older(facts, held, newest), false)
            }
            // An answer to an incident is not overwritten, whatever the other half says.
            Owner::Unlisted(_) | Owner::Nothing if disabled(picture, pair, owner).is_some() => (false, false),
            Owner::Unlisted(_) if unconfirmed(picture, pair).is_some() => (false, false),
            Owner::Unlisted(_) | Owner::Nothing => (true, pair.secret.value != SecretValue::Missing),
            // An answer to an incident, or something a person did: neither is overwritten.
            Owner::Disabled(_) | Owner::Unknown => (false, false),
        };
        behind.then_some((target, pair, dead))
    });
    // A target that holds no working pair comes last: it wants a second look, and the others don't.
    // A hidden one comes after those that can be read: a run cut short between two finds the new secret in the readable one.
    let (target, pair, dead) = candidates
        .min_by_key(|(target, pair, dead)| (*dead, pair.secret.value == SecretValue::Hidden, *target))?;
    if pair.secret.value == SecretValue::Missing && !picture.policy.settings.create_missing {
        return Some(Verdict::Blocked(Block::MissingVariable { target }));
    }
    let step = Step::WriteSecret {
        target,
        key: newest.id,
    };
    let own = facts.run.created == Some(newest.id);
    Some(if dead && !own {
        after_two_looks(picture, step)
    } else {
        Verdict::Do(step)
    })
}

/// The key to publish: this run's own, or one that another target holds already and whose secret is in hand; and no
/// key that is newer, unless it belongs to nobody for certain.
fn newest_in_hand<'a>(picture: &Picture<'a>) -> Option<&'a Key> {
    let facts = picture.facts;
    let run = &facts.run;
    if run.undo {
        return None;
    }
    let in_hand = |key: &&Key| {
        key.status == Status::Active && run.in_hand.contains(&key.id) && run.verified.contains(&key.id)
    };
    if let Some(own) = run.created.and_then(|own| facts.key(own)).filter(in_hand) {
        return Some(own);
    }
    let held = facts.keys.iter().filter(in_hand).filter(|key| {
        picture
            .owners()
            .any(|(_, _, owner)| matches!(owner, Owner::Proved(held) | Owner::Noted(held) if held == key.id))
    });
    let newest = held.max_by_key(|key| facts.age_order(key))?;
    let overtaken = facts.keys.iter().any(|key| {
        facts.is_older(newest, key)
            && (picture.is_held(key.id) || picture.age(key) < picture.policy.bounds.orphan)
    });
    (!overtaken).then_some(newest)
}

/// An unread target may hold any key: what was read may be repaired, nothing else.
fn nothing_more_without_all_targets(picture: &Picture<'_>) -> Option<Verdict> {
    picture
        .unread()
        .map(|target| Verdict::Blocked(Block::IncompleteRead { target }))
}

/// A held key that is Inactive was deactivated by a person. It is neither revived nor replaced: it may be the answer to
/// an incident.
fn disabled_by_somebody(picture: &Picture<'_>) -> Option<Verdict> {
    picture.owners().find_map(|(target, pair, owner)| {
        let key = disabled(picture, pair, owner)?;
        Some(Verdict::Blocked(Block::KeyDisabled { target, key }))
    })
}

/// The Inactive key that a target holds, or would hold if it weren't torn.
fn disabled(picture: &Picture<'_>, pair: &Pair, owner: Owner) -> Option<KeyId> {
    match owner {
        Owner::Disabled(key) => Some(key),
        Owner::Nothing | Owner::Unlisted(_) | Owner::Unknown => {
            pair.id_key().filter(|key| picture.is_inactive(*key))
        }
        Owner::Proved(_) | Owner::Noted(_) | Owner::Presumed(_) => None,
    }
}

/// Where it can't be told whose a secret is, writing could break a pair that works.
fn owner_unknown(picture: &Picture<'_>) -> Option<Verdict> {
    let unmarked_twin = |pair: &Pair, owner: Owner| {
        // Presumed is enough only where no other target was ever written by keyturn, or the secret is in hand.
        matches!(owner, Owner::Presumed(key) if !picture.facts.run.in_hand.contains(&key))
            && picture.quiet() != Quiet::Untouched
            && picture.wants_marker(pair, owner)
    };
    let (target, pair, _) = picture
        .owners()
        .find(|(_, pair, owner)| *owner == Owner::Unknown || unmarked_twin(pair, *owner))?;
    Some(Verdict::Blocked(if pair.is_half() {
        Block::HalfPair { target }
    } else {
        Block::OwnerUnknown { target }
    }))
}

/// A run that a key of the user signs was given that key by something. Where every target is empty, it is not one of them:
/// the pair lives elsewhere, and a second one here would hide it from some jobs and leave it to the others.
fn wrong_place(picture: &Picture<'_>) -> Option<Verdict> {
    in_the_wrong_place(picture.facts).map(|key| Verdict::Blocked(Block::WrongPlace { key }))
}

/// Targets disagree and the newer key's secret is in nobody's hand: after all is quiet, the older one that is in hand
/// goes back to all of them. The only step backwards, and only between targets that both work.
fn roll_back(picture: &Picture<'_>) -> Option<Verdict> {
    let facts = picture.facts;
    let newest = picture.newest_held().and_then(|key| facts.key(key))?;
    let behind = picture
        .owners()
        .any(|(_, _, owner)| matches!(owner, Owner::Proved(key) | Owner::Noted(key) if key != newest.id));
    if !behind || facts.run.in_hand.contains(&newest.id) {
        return None;
    }
    let back = facts.keys.iter().filter(|key| {
        key.status == Status::Active
            && facts.run.in_hand.contains(&key.id)
            && facts.run.verified.contains(&key.id)
            && picture.owners().any(
                |(_, _, owner)| matches!(owner, Owner::Proved(held) | Owner::Noted(held) if held == key.id),
            )
    });
    let Some(back) = back.max_by_key(|key| facts.age_order(key)) else {
        return Some(Verdict::Blocked(Block::Split { key: newest.id }));
    };
    if let Some(wait) = young_unreferenced(picture) {
        return Some(Verdict::Wait(wait));
    }
    match wait_for_quiet(picture, picture.policy.quiet_before_create()) {
        Some(wait) => Some(Verdict::Wait(wait)),
        None => {
            let (target, ..) = picture.owners().find(
                |(_, _, owner)| matches!(owner, Owner::Proved(key) | Owner::Noted(key) if *key == newest.id),
            )?;
            Some(after_two_looks(
                picture,
                Step::WriteSecret { target, key: back.id },
            ))
        }
    }
}

/// A target that a person wrote by hand carries a marker that is void. Writing it anew starts the grace clock of what
/// was there before. Values stay the same; a description is never written without its value, because a late one would
/// name the wrong key. And none is written while another run may be about to publish a newer key: landing late, the id
/// would break the pair that run has finished.
fn adopt(picture: &Picture<'_>) -> Option<Verdict> {
    let wanted = match picture.quiet() {
        Quiet::Void => true,
        // Without a marker anywhere the grace of a key that has to go would never begin.
        Quiet::Untouched => picture
            .complete()
            .is_some_and(|current| outgoing(picture, current).is_some()),
        Quiet::Since(_) => false,
    };
    if !wanted || young_unreferenced(picture).is_some() {
        return None;
    }
    let settled = picture.last_write_settled();
    picture.owners().find_map(|(target, pair, owner)| {
        let (Owner::Proved(key) | Owner::Presumed(key) | Owner::Noted(key)) = owner else {
            return None;
        };
        if !settled && !picture.all_hold(key) {
            return None;
        }
        if !picture.wants_marker(pair, owner) || !picture.facts.run.in_hand.contains(&key) {
            return None;
        }
        let secret_is_marked = pair
            .secret
            .marker
            .is_some_and(|marker| marker.key == key && !picture.is_future(marker.at));
        let hidden = pair.secret.value == SecretValue::Hidden;
        Some(Verdict::Do(
            if (pair.secret.marker.is_some() || hidden) && !secret_is_marked {
                Step::WriteSecret { target, key }
            } else {
                write_id(target, pair, key)
            },
        ))
    })
}

/// Retires the outgoing key: Inactive first, deleted later, each after two looks that agree, and only on evidence: every
/// target holds the current key, the last write is a grace ago, and nobody used the outgoing one lately.
fn retire(picture: &Picture<'_>) -> Option<Verdict> {
    let facts = picture.facts;
    let current = picture.complete()?;
    let outgoing = outgoing(picture, current)?;
    if !picture.coherent() {
        return None;
    }
    if retirement_waits(picture, current, outgoing).is_some() {
        return None;
    }
    if picture.clocks_disagree() {
        return Some(Verdict::Blocked(Block::ClocksDisagree));
    }
    if facts.run.signer == Some(outgoing.id) {
        return Some(Verdict::Do(Step::SwitchSigner { key: current.id }));
    }
    Some(after_two_looks(
        picture,
        match outgoing.status {
            Status::Active => Step::Deactivate { key: outgoing.id },
            Status::Inactive => Step::Delete { key: outgoing.id },
        },
    ))
}

/// The key to retire next, Inactive ones first: they are nearer to a free place.
fn outgoing<'a>(picture: &Picture<'a>, current: &Key) -> Option<&'a Key> {
    picture
        .unreferenced()
        .filter(|key| key.id != current.id)
        .filter(|key| match picture.provenance(key) {
            Provenance::Superseded => true,
            // Ours by its birth, and older than the key in use: whatever it was, it is past.
            Provenance::Orphan => picture.facts.is_older(key, current),
            Provenance::Foreign => false,
        })
        .min_by_key(|key| (key.status == Status::Active, key.created, key.id))
}

/// Why the outgoing key may not be retired yet.
fn retirement_waits(picture: &Picture<'_>, current: &Key, outgoing: &Key) -> Option<Verdict> {
    let facts = picture.facts;
    let settings = &picture.policy.settings;
    let key = outgoing.id;
    if picture.stamped_in_the_future() {
        return Some(Verdict::Blocked(Block::ClocksDisagree));
    }
    // Older than the key in use, and yet perhaps another run's that is still about to be published: whatever the grace.
    let since = picture.orphan_since(outgoing);
    if picture.provenance(outgoing) == Provenance::Orphan && since > facts.clocks.aws {
        return Some(Verdict::Wait(Wait::Orphan { key, until: since }));
    }
    let period = match outgoing.status {
        Status::Active => settings.grace,
        Status::Inactive => settings.grace.saturating_add(settings.delete_after),
    };
    let now = facts.clocks.gitlab;
    // A marker that is void says nothing of the last write, so not even a grace of zero is over.
    let unknown = period.max(picture.policy.bounds.past_settled());
    let until = picture.quiet_until(period).unwrap_or(now.after(unknown));
    if until > now {
        return Some(Verdict::Wait(match outgoing.status {
            Status::Active => Wait::Grace { key, until },
            Status::Inactive => Wait::Deletion { key, until },
        }));
    }
    if outgoing.status == Status::Inactive {
        // IAM does not say since when it is Inactive, but not for longer than since its last use: whoever used it may just
        // be finding out, and has all the time before the deletion to have it activated again.
        if let LastUsed::At(at, _) = outgoing.last_used
            && !picture.policy.immediate()
        {
            let (unused, deleted) = (at.after(settings.unused_for), at.after(settings.delete_after));
            if unused > facts.clocks.aws {
                return Some(Verdict::Wait(Wait::InUse { key, until: unused }));
            }
            if deleted > facts.clocks.aws {
                return Some(Verdict::Wait(Wait::Deletion { key, until: deleted }));
            }
        }
        // Deleting it in the run that deactivated it needs a setting.
        let ready = settings.delete_after.is_zero() || facts.run.inactive_at_start.contains(&key);
        let until = now.after(settings.delete_after);
        if !ready {
            return Some(Verdict::Wait(Wait::Deletion { key, until }));
        }
        let unknown = outgoing.last_used == LastUsed::Unknown && !picture.policy.immediate();
        return unknown.then_some(Verdict::Blocked(Block::LastUseUnknown { key }));
    }
    if picture.policy.immediate() {
        let can_switch = facts.run.in_hand.contains(&current.id) && facts.run.verified.contains(&current.id);
        let signs = facts.run.signer == Some(key);
        return (signs && !can_switch).then_some(Verdict::Wait(Wait::InUse { key, until: now }));
    }
    if facts.run.signer == Some(key) {
        // This very run was given the outgoing key, so something still hands it out.
        return Some(Verdict::Wait(Wait::InUse {
            key,
            until: facts.clocks.aws.after(settings.unused_for),
        }));
    }
    match outgoing.last_used {
        LastUsed::Unknown => return Some(Verdict::Blocked(Block::LastUseUnknown { key })),
        LastUsed::At(at, _) if facts.clocks.aws.since(at) < settings.unused_for => {
            return Some(Verdict::Wait(Wait::InUse {
                key,
                until: at.after(settings.unused_for),
            }));
        }
        LastUsed::Never | LastUsed::At(..) => {}
    }
    if settings.require_use && !used_by_others(picture, current) {
        return Some(Verdict::Wait(Wait::UseOfNewKey { key: current.id }));
    }
    None
}

/// Whether somebody used the key: a call to another service than STS, or this run, which was started with it.
fn used_by_others(picture: &Picture<'_>, key: &Key) -> bool {
    picture.facts.run.signer == Some(key.id) || matches!(key.last_used, LastUsed::At(_, Service::Other))
}

/// Deletes the orphan of a crash: newer than every key in use, in no target, within the intent window, never used, and
/// too old to belong to a run that is still going on.
fn reap_orphan(picture: &Picture<'_>) -> Option<Verdict> {
    let facts = picture.facts;
    let orphan = orphan(picture)?;
    if !picture.coherent() || orphan_waits(picture, orphan).is_some() || facts.run.signer == Some(orphan.id) {
        return None;
    }
    if picture.clocks_disagree() {
        return Some(Verdict::Blocked(Block::ClocksDisagree));
    }
    Some(after_two_looks(picture, Step::Delete { key: orphan.id }))
}

fn orphan<'a>(picture: &Picture<'a>) -> Option<&'a Key> {
    let held = picture.newest_held().and_then(|key| picture.facts.key(key));
    picture.unreferenced().find(|key| {
        picture.provenance(key) == Provenance::Orphan
            && held.is_none_or(|held| picture.facts.is_older(held, key))
    })
}

fn orphan_waits(picture: &Picture<'_>, orphan: &Key) -> Option<Wait> {
    let clocks = picture.facts.clocks;
    let key = orphan.id;
    let until = picture.orphan_since(orphan);
    if until > clocks.aws {
        return Some(Wait::Orphan { key, until });
    }
    // A running job may have captured it, if it ever was in a target: so its grace counts too. Where no target was ever
    // written, nothing can have been captured before the intent.
    let grace = picture.policy.settings.grace;
    let (until, now) = match picture.quiet() {
        Quiet::Since(at) => (at.after(grace), clocks.gitlab),
        Quiet::Untouched => (picture.intent().unwrap_or(clocks.aws).after(grace), clocks.aws),
        Quiet::Void => (clocks.gitlab.after(grace), clocks.gitlab),
    };
    (until > now || grace.is_zero() && picture.quiet() == Quiet::Void).then_some(Wait::Orphan { key, until })
}

/// Creates a key when the current one is due and the last rotation is finished, or when a pair is dead and no secret is
/// in hand that could repair it. The intent goes first: it is the canary of the write, and evidence for the orphan rule.
fn create(picture: &Picture<'_>) -> Option<Verdict> {
    let facts = picture.facts;
    let policy = picture.policy;
    let run = &facts.run;
    let dead = picture
        .owners()
        .find(|(_, _, owner)| matches!(owner, Owner::Nothing | Owner::Unlisted(_)));
    if let Some((target, pair, _)) = dead {
        if let Some(until) = unconfirmed(picture, pair) {
            return Some(Verdict::Wait(Wait::Unconfirmed { until }));
        }
        if !policy.may_create {
            return Some(Verdict::Blocked(Block::Dead { target }));
        }
        let lacks = pair.id.value == IdValue::Missing || pair.secret.value == SecretValue::Missing;
        if lacks && !policy.settings.create_missing {
            return Some(Verdict::Blocked(Block::MissingVariable { target }));
        }
    }
    if run.create_sent || !(dead.is_some() || is_due(picture)) {
        return None;
    }
    if policy.settings.journal && facts.journal == Journal::Taken {
        return Some(Verdict::Blocked(Block::JournalTaken));
    }
    if facts.keys.len() >= KEYS_PER_USER {
        return no_free_place(picture);
    }
    if let Some(wait) = young_unreferenced(picture) {
        return Some(Verdict::Wait(wait));
    }
    // The intent of the next key would replace the evidence that this one is an orphan. Where a person wrote by hand its
    // wait has no end, and a pair that does not work can't wait for that.
    if picture.quiet() != Quiet::Void
        && let Some(wait) = orphan(picture).and_then(|orphan| orphan_waits(picture, orphan))
    {
        return Some(Verdict::Wait(wait));
    }
    if dead.is_none()
        && let Some(block) = never_retired(picture)
    {
        return Some(Verdict::Blocked(block));
    }
    if dead.is_none()
        && let Some(wait) = wait_for_quiet(picture, policy.quiet_before_create())
    {
        return Some(Verdict::Wait(wait));
    }
    let hidden = |pair: &Pair| pair.secret.value == SecretValue::Hidden;
    if facts.targets.len() > 1 && run.in_hand.is_empty() && picture.owners().all(|(_, pair, _)| hidden(pair))
    {
        return Some(Verdict::Blocked(Block::AllHidden));
    }
    if run.time_left < TimeLeft::Ample {
        return Some(Verdict::Incomplete(Incomplete::OutOfTime));
    }
    let step = if policy.settings.journal && !run.journaled {
        Step::Journal
    } else {
        Step::Create
    };
    // Replacing what looks dead wants a second look: the key list may have been older than the variables.
    let confirmed = dead.is_none() || run.journaled;
    Some(if confirmed {
        Verdict::Do(step)
    } else {
        after_two_looks(picture, step)
    })
}

/// Why the key in use could not be retired after a rotation, so that none is begun: another variable holds it too, its use
/// can't be told, or the marker would carry a time that says nothing.
fn never_retired(picture: &Picture<'_>) -> Option<Block> {
    let facts = picture.facts;
    if let Some(block) = held_elsewhere(picture) {
        return Some(block);
    }
    let current = picture.newest_held().and_then(|key| facts.key(key))?;
    if current.last_used == LastUsed::Unknown && !picture.policy.immediate() {
        return Some(Block::LastUseUnknown { key: current.id });
    }
    (picture.clocks_disagree() || picture.stamped_in_the_future()).then_some(Block::ClocksDisagree)
}

/// A key of this rotation that stands in a variable which is no target: that one would go on handing it out.
fn held_elsewhere(picture: &Picture<'_>) -> Option<Block> {
    let facts = picture.facts;
    let ours = |key: &&Key| {
        facts.elsewhere.contains(&key.id)
            && (picture.newest_held() == Some(key.id) || picture.provenance(key) == Provenance::Superseded)
    };
    // One that should go before one that stays.
    let key = facts
        .keys
        .iter()
        .filter(ours)
        .min_by_key(|key| picture.newest_held() == Some(key.id))?;
    Some(Block::HeldElsewhere { key: key.id })
}

/// IAM's quota, Active and Inactive keys together. It is checked against an eventually consistent count, so it is no
/// lock and more keys than this can exist.
const KEYS_PER_USER: usize = 2;

/// Who is in the way of a new key: what keyturn will remove by itself is waited for, the rest needs a person.
fn no_free_place(picture: &Picture<'_>) -> Option<Verdict> {
    if let Some(verdict) = retirement(picture) {
        // It is due, and somebody keeps using the key that should go.
        if let Verdict::Wait(Wait::InUse { key, .. }) = verdict {
            return Some(Verdict::Blocked(Block::SlotOccupied { key }));
        }
        return Some(verdict);
    }
    // Where a person wrote by hand and nothing can be adopted, an orphan's wait has no end.
    if picture.quiet() != Quiet::Void
        && let Some(wait) = orphan(picture).and_then(|orphan| orphan_waits(picture, orphan))
    {
        return Some(Verdict::Wait(wait));
    }
    if let Some(block) = held_elsewhere(picture) {
        return Some(Verdict::Blocked(block));
    }
    let in_the_way = picture
        .unreferenced()
        .find(|key| picture.provenance(key) == Provenance::Foreign);
    // One that only a variable beside the targets holds is in the way, too.
    let beside = picture.facts.keys.iter().find(|key| !picture.is_held(key.id));
    if let Some(key) = in_the_way.or(picture.unreferenced().next()).or(beside) {
        return Some(Verdict::Blocked(Block::SlotOccupied { key: key.id }));
    }
    // Every key is held by some target: none is in the way, and none may be named as one to delete.
    Some(Verdict::Blocked(match picture.newest_held() {
        Some(key) => Block::Split { key },
        None => Block::OwnerUnknown { target: 0 },
    }))
}

/// What the retirement of the outgoing key waits for.
fn retirement(picture: &Picture<'_>) -> Option<Verdict> {
    let current = picture.complete()?;
    retirement_waits(picture, current, outgoing(picture, current)?)
}

/// What remains: to wait for the outgoing key or an orphan, or nothing.
fn wait_or_converge(picture: &Picture<'_>) -> Option<Verdict> {
    if let Some(verdict) = retirement(picture) {
        return Some(verdict);
    }
    if let Some(wait) = orphan(picture).and_then(|orphan| orphan_waits(picture, orphan)) {
        return Some(Verdict::Wait(wait));
    }
    // A replaced key that another variable hands out stays, and somebody has to know.
    if let Some(Block::HeldElsewhere { key }) = held_elsewhere(picture)
        && !picture.all_hold(key)
    {
        return Some(Verdict::Blocked(Block::HeldElsewhere { key }));
    }
    let rotate_after = picture.policy.settings.rotate_after;
    let until = picture
        .complete()
        .filter(|_| !rotate_after.is_zero())
        .map(|current| current.created.after(rotate_after))
        .filter(|until| *until > picture.facts.clocks.aws);
    Some(Verdict::Converged { until })
}

/// Whether the current key is old enough to be replaced.
fn is_due(picture: &Picture<'_>) -> bool {
    let rotate_after = picture.policy.settings.rotate_after;
    let old_enough = || {
        let current = picture.newest_held().and_then(|key| picture.facts.key(key));
        current.is_none_or(|current| picture.age(current) >= rotate_after)
    };
    picture.policy.may_create && (rotate_after.is_zero() || old_enough())
}

/// Before the next rotation, no write of the last one may be able to land any more. Where no target carries a marker
/// there was no last one.
fn wait_for_quiet(picture: &Picture<'_>, period: std::time::Duration) -> Option<Wait> {
    let now = picture.facts.clocks.gitlab;
    let until = match picture.quiet() {
        Quiet::Untouched => return None,
        Quiet::Void => now.after(period),
        Quiet::Since(at) => at.after(period),
    };
    (until > now).then_some(Wait::Quiet { until })
}

/// A key that nothing refers to may be about to be published by the run that created it.
fn young_unreferenced(picture: &Picture<'_>) -> Option<Wait> {
    let young = picture
        .unreferenced()
        .find(|key| picture.age(key) < picture.policy.bounds.orphan)?;
    Some(Wait::Orphan {
        key: young.id,
        until: picture.orphan_since(young),
    })
}

/// Until when a pair that looks dead may only look so: a write of another run may be in flight, or the list may lag.
fn unconfirmed(picture: &Picture<'_>, pair: &Pair) -> Option<Timestamp> {
    let written = picture.written(pair).filter(|at| !picture.is_future(*at))?;
    let until = written.after(picture.policy.bounds.past_settled());
    (until > picture.facts.clocks.gitlab).then_some(until)
}

/// Performs a step only when two full looks in a row propose it. Nothing is destroyed on a single look: its key list
/// may be older than its variables.
fn after_two_looks(picture: &Picture<'_>, step: Step) -> Verdict {
    let facts = picture.facts;
    if facts.full && facts.run.proposed == Some(step) {
        Verdict::Do(step)
    } else {
        Verdict::Look(step)
    }
}

/// A run that made a key doesn't say that all is well, or that there is only to wait, while no target holds that key.
fn nothing_is_well_beside_an_unpublished_key(picture: &Picture<'_>, verdict: Verdict) -> Verdict {
    let run = &picture.facts.run;
    let all_is_well = matches!(verdict, Verdict::Converged { .. } | Verdict::Wait(_));
    match run.created.filter(|own| !run.undo && !picture.shows(*own)) {
        Some(key) if all_is_well => Verdict::Incomplete(Incomplete::Unpublished { key }),
        Some(_) | None => verdict,
    }
}

/// One run never writes two different values to a variable after a write without an answer: the first may land last.
fn no_second_value_over_an_unclear_write(facts: &Facts, verdict: Verdict) -> Verdict {
    let (Verdict::Do(step) | Verdict::Look(step)) = verdict else {
        return verdict;
    };
    let other_value = |write: &Step| write.same_variable(&step) && write.key() != step.key();
    if facts.run.unclear.iter().any(other_value) {
        Verdict::Incomplete(Incomplete::UnclearWrite)
    } else {
        verdict
    }
}

/// The id that completes a pair. Its marker remembers the key that was there before, which is how a later run, with no
/// memory of this one, knows that the outgoing key is ours to retire.
fn write_id(target: usize, pair: &Pair, key: KeyId) -> Step {
    let before = match pair.id.value {
        IdValue::Key(before) => Some(before),
        IdValue::Hidden | IdValue::NotAKey | IdValue::Empty | IdValue::Missing => {
            pair.id.marker.map(|marker| marker.key)
        }
    };
    let marked = pair.id.marker;
    let prev = before
        .filter(|before| *before != key)
        .or(marked.map(|marker| marker.key).filter(|marked| *marked != key))
        .or(marked.and_then(|marker| marker.prev).filter(|prev| *prev != key));
    Step::WriteId { target, key, prev }
}

fn is_older(facts: &Facts, held: KeyId, than: &Key) -> bool {
    facts
        .key(held)
        .is_none_or(|held| held.id != than.id && facts.is_older(held, than))
}
