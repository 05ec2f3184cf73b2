//! What no single decision may do, whatever was observed.
//!
//! Written from the promise and not from the rules: nothing of the planner is used here but the types of what is seen
//! and said, the fields of the policy and bare numbers. Each law is a sentence; a decision that breaks one is answered
//! with it.

use planner::*;

use super::sight::*;
use crate::common::{HOUR, MINUTE};

/// The longest run.
pub(crate) const RUN: i64 = 10 * MINUTE as i64;
/// How late a request may land after its run.
pub(crate) const LATE: i64 = 5 * MINUTE as i64;
/// After this long no write of an earlier run can land.
const SETTLED: i64 = RUN + 2 * LATE;
/// Past that a target is taken for what it shows: five seconds are allowed for clocks.
pub(crate) const PAST_SETTLED: i64 = SETTLED + 5;
/// How long a list may lag.
pub(crate) const LAG: i64 = 5 * MINUTE as i64;
/// A key that nothing mentions is nobody's only from this age on.
const ORPHAN: i64 = HOUR as i64;
/// Clocks further apart are not compared.
pub(crate) const SKEW: i64 = 5 * MINUTE as i64;

type Law = &'static str;

/// The law that this decision breaks, if it breaks one.
pub(crate) fn broken(facts: &Facts, policy: &Policy, verdict: Verdict) -> Option<Law> {
    if pairs(facts).any(|(_, pair)| pair.hold) {
        return (!matches!(verdict, Verdict::Blocked(Block::Hold { .. })))
            .then_some("a hold stops everything");
    }
    match verdict {
        Verdict::Do(step) => by_step(facts, policy, step).or_else(|| needs_two_looks(facts, policy, step)),
        Verdict::Look(step) => by_step(facts, policy, step).or_else(|| look(facts, step)),
        Verdict::Converged { until } => converged(facts, policy, until),
        Verdict::Wait(wait) => waits(facts, wait),
        Verdict::Blocked(block) => blocks(facts, policy, block),
        Verdict::Incomplete(why) => ends(facts, why),
    }
    .or_else(|| {
        let done = matches!(verdict, Verdict::Converged { .. });
        (is_finished(facts, policy) && !done).then_some("a finished state that is not due is left alone")
    })
}

fn by_step(facts: &Facts, policy: &Policy, step: Step) -> Option<Law> {
    let run = &facts.run;
    let completes = matches!(step, Step::WriteId { .. });
    if run.time_left == TimeLeft::Over {
        return Some("a run past its deadline sends nothing");
    }
    if run.time_left == TimeLeft::Short && !completes && !matches!(step, Step::Undo { .. }) {
        return Some("a run almost out of time begins nothing");
    }
    if run.stopping && !completes {
        return Some("a run that was asked to stop only completes a pair");
    }
    if run.create_sent && run.created.is_none() && !completes && step != Step::CloseIntent {
        return Some("after a lost answer to CreateAccessKey nothing is begun");
    }
    if run
        .unclear
        .iter()
        .any(|write| variable(write) == variable(&step) && half_of(write) != half_of(&step))
    {
        return Some("no second value goes over an unclear write");
    }
    match step {
        Step::Deactivate { key } => destroys(facts, policy, key, false),
        Step::Delete { key } => destroys(facts, policy, key, true),
        Step::Undo { key } => undoes(facts, key),
        Step::Journal => (!policy.settings.journal || run.journaled)
            .then_some("the intent is recorded once, and only where there is a journal")
            .or_else(|| creates(facts, policy)),
        Step::CloseIntent => closes(facts),
        Step::Create => (policy.settings.journal && !run.journaled)
            .then_some("the intent is recorded before a key is created")
            .or_else(|| creates(facts, policy)),
        Step::Verify { key } => (run.created != Some(key) || run.verified.contains(&key) || run.undo)
            .then_some("only this run's own unproved key is proved"),
        Step::WriteSecret { target, key } => writes_secret(facts, policy, target, key),
        Step::WriteId { target, key, prev } => writes_id(facts, policy, target, key, prev),
        Step::SwitchSigner { key } => switches(facts, policy, key),
    }
}

// Destruction.

fn destroys(facts: &Facts, policy: &Policy, key: KeyId, deletes: bool) -> Option<Law> {
    let run = &facts.run;
    let Some(listed) = find(facts, key) else {
        return Some("only a listed key is removed");
    };
    if unread(facts) {
        return Some("no key is removed while a target is unread");
    }
    if pairs(facts).any(|(_, pair)| names(pair, key)) {
        return Some("no key is removed that a half or a marker names");
    }
    if pairs(facts).any(|(_, pair)| may_hold_any(facts, pair)) {
        return Some("no key is removed while a secret may be anybody's");
    }
    if run.signer == Some(key) {
        return Some("no key is removed that signs this run's requests");
    }
    if run.created == Some(key) {
        return Some("the run's own key is only ever undone");
    }
    if (facts.clocks.aws.0.abs_diff(facts.clocks.gitlab.0)) > SKEW.unsigned_abs() {
        return Some("no key is removed while clocks disagree");
    }
    if pairs(facts).any(|(_, pair)| lags(facts, pair)) {
        return Some("no key is removed while the list lags behind a target");
    }
    if facts.elsewhere.contains(&key) {
        return Some("no key is removed that another variable holds");
    }
    if is_of_the_future(facts) && !policy.settings.grace.is_zero() {
        return Some("no key is removed while a marker is of the future");
    }
    let born = announced(facts, listed) && only_proved(listed);
    let replaced =
        pairs(facts).any(|(_, pair)| pair.id.marker.is_some_and(|marker| marker.prev == Some(key)));
    if !born && !replaced {
        return Some("no key is removed that is not proved ours");
    }
    if !replaced && since(facts.clocks.aws, listed.created) < ORPHAN {
        return Some("no orphan is removed that may be another run's");
    }
    let others = facts
        .keys
        .iter()
        .any(|other| other.id != key && other.status == Status::Active);
    // An orphan in an account that never had a working key of ours is exempt: nobody has its secret.
    let lost = deletes && born && held(facts).is_none();
    if listed.status == Status::Active && !others && !lost {
        return Some("the last Active key stays");
    }
    let settings = &policy.settings;
    let grace = seconds(settings.grace);
    let stamped = pairs(facts).all(|(_, pair)| is_stamped(pair));
    let untouched = deletes && born && pairs(facts).all(|(_, pair)| is_unmarked(pair));
    // Without a grace it is accepted that jobs lose the key, whenever they were given it.
    if grace > 0 && !stamped && !untouched {
        return Some("no key is removed before the last write is known");
    }
    if newest_mark(facts).is_some_and(|at| since(facts.clocks.gitlab, at) < grace) {
        return Some("no key is removed within the grace of the last write");
    }
    let retired = complete(facts).filter(|current| *current != key);
    if deletes && listed.status == Status::Active || retired.is_none() {
        // Only an orphan may go without a stage between, and only one that is newer than what is held.
        let newer = held(facts).is_none_or(|held| is_older(facts, held, listed));
        return (!(deletes && born && newer))
            .then_some("a key that was in use is deactivated before it is deleted");
    }
    if listed.last_used == LastUsed::Unknown && grace > 0 {
        return Some("no key is removed whose last use is unknown");
    }
    let recently = match listed.last_used {
        LastUsed::At(at, _) => since(facts.clocks.aws, at) < seconds(settings.unused_for),
        LastUsed::Never | LastUsed::Unknown => false,
    };
    if recently && grace > 0 {
        return Some("no key is removed that was used lately");
    }
    let reaped = deletes && born && held(facts).is_some_and(|held| is_older(facts, held, listed));
    if deletes && !reaped {
        if listed.status != Status::Inactive {
            return Some("a key that was in use is deactivated before it is deleted");
        }
        let period = grace.saturating_add(seconds(settings.delete_after));
        if newest_mark(facts).is_some_and(|at| since(facts.clocks.gitlab, at) < period) {
            return Some("a deactivated key stays for as long as was set");
        }
        let lately = match listed.last_used {
            LastUsed::At(at, _) => since(facts.clocks.aws, at) < seconds(settings.delete_after),
            LastUsed::Never | LastUsed::Unknown => false,
        };
        if lately && grace > 0 {
            return Some("a key is Inactive for as long as was set, so it was not used meanwhile");
        }
        if !settings.delete_after.is_zero() && !run.inactive_at_start.contains(&key) {
            return Some("the run that deactivated a key does not delete it");
        }
    }
    if !deletes && grace > 0 {
        let used = retired
            .and_then(|current| find(facts, current))
            .is_some_and(|current| {
                run.signer == Some(current.id) || matches!(current.last_used, LastUsed::At(_, Service::Other))
            });
        if settings.require_use && !used {
            return Some("where use of the new key is required, it comes first");
        }
    }
    (!deletes && listed.status == Status::Inactive).then_some("an Inactive key is not deactivated again")
}

fn is_of_the_future(facts: &Facts) -> bool {
    newest_mark(facts).is_some_and(|at| at.0.saturating_sub(facts.clocks.gitlab.0) > SKEW)
}

fn undoes(facts: &Facts, key: KeyId) -> Option<Law> {
    let run = &facts.run;
    if run.created != Some(key) {
        return Some("only the run's own key is undone");
    }
    if run.sent > 0 {
        return Some("a key is undone only while nothing of it was sent");
    }
    if run.undone {
        return Some("a key is undone once");
    }
    if run.signer == Some(key) || pairs(facts).any(|(_, pair)| proved(pair) == Some(key)) {
        return Some("no key is undone that signs or that a target holds");
    }
    if !run.undo && pairs(facts).any(|(_, pair)| names(pair, key)) {
        return Some("no key is undone that a target shows");
    }
    let untold = SecretValue::Readable(Proof::Inconclusive);
    if !run.undo && (unread(facts) || pairs(facts).any(|(_, pair)| pair.secret.value == untold)) {
        return Some("no key is undone while a target may hold it");
    }
    let earlier = find(facts, key).is_some_and(|own| {
        facts.keys.iter().any(|other| {
            !run.listed_before.contains(&other.id) && (other.created, other.id) < (own.created, own.id)
        })
    });
    (!(run.refused || run.unverifiable || run.undo || earlier)).then_some("a key is undone for a reason")
}

fn needs_two_looks(facts: &Facts, policy: &Policy, step: Step) -> Option<Law> {
    let own = |key| facts.run.created == Some(key);
    let wants = match step {
        Step::Deactivate { .. } | Step::Delete { .. } | Step::Undo { .. } => true,
        Step::WriteSecret { target, key } => {
            let over_dead = pair(facts, target)
                .is_some_and(|pair| is_dead(facts, pair) && pair.secret.value != SecretValue::Missing);
            let back = pair(facts, target).is_some_and(|pair| is_step_back(facts, pair, key));
            (over_dead || back) && !own(key)
        }
        Step::Journal => pairs(facts).any(|(_, pair)| is_dead(facts, pair)),
        Step::Create => !policy.settings.journal && pairs(facts).any(|(_, pair)| is_dead(facts, pair)),
        Step::CloseIntent | Step::Verify { .. } | Step::WriteId { .. } | Step::SwitchSigner { .. } => false,
    };
    let confirmed = facts.full && facts.run.proposed == Some(step);
    let journaled = matches!(step, Step::Create) && facts.run.journaled;
    (wants && !confirmed && !journaled).then_some("what can't be taken back wants two full looks that agree")
}

fn look(facts: &Facts, step: Step) -> Option<Law> {
    (facts.full && facts.run.proposed == Some(step)).then_some("two looks that agree are enough")
}

fn closes(facts: &Facts) -> Option<Law> {
    let run = &facts.run;
    if !run.denied || run.created.is_some() {
        return Some("an intent is closed only when its key was refused");
    }
    let own = matches!(facts.journal, Journal::Read(Some(Intent { own: true, .. })));
    if !own || !facts.full {
        return Some("an intent is closed only while a look shows that it is this run's");
    }
    facts
        .keys
        .iter()
        .any(|key| !run.listed_before.contains(&key.id))
        .then_some("an intent is not closed beside a key that may be of it")
}

// Creation.

fn creates(facts: &Facts, policy: &Policy) -> Option<Law> {
    let run = &facts.run;
    if !policy.may_create {
        return Some("retire creates nothing");
    }
    if run.create_sent {
        return Some("CreateAccessKey is sent once");
    }
    if facts.keys.len() >= 2 {
        return Some("nothing is created where two keys are listed");
    }
    if unread(facts) {
        return Some("nothing is created while a target is unread");
    }
    if run.time_left != TimeLeft::Ample {
        return Some("nothing is created without the time to publish it");
    }
    if pairs(facts).any(|(_, pair)| may_hold_any(facts, pair)) {
        return Some("nothing is created while a secret may be anybody's");
    }
    if pairs(facts).any(|(_, pair)| is_half(pair)) {
        return Some("nothing is created beside half a pair");
    }
    if policy.settings.journal && facts.journal == Journal::Taken {
        return Some("nothing is created over what is no journal");
    }
    if run.signer.is_some() && pairs(facts).all(|(_, pair)| is_empty(pair) && is_unmarked(pair)) {
        return Some("nothing is created where nothing holds the key that signs");
    }
    if pairs(facts).any(|(_, pair)| disabled(facts, pair)) {
        return Some("a held Inactive key is not replaced");
    }
    let young = |key: &&Key| since(facts.clocks.aws, key.created) < ORPHAN;
    if facts
        .keys
        .iter()
        .filter(young)
        .any(|key| !pairs(facts).any(|(_, pair)| holds(pair, key.id)))
    {
        return Some("nothing is created beside a young key that may be another run's");
    }
    let now = facts.clocks.gitlab;
    let dead = pairs(facts).any(|(_, pair)| is_dead(facts, pair));
    let quiet = seconds(policy.settings.grace).max(SETTLED);
    if !dead && newest_mark(facts).is_some_and(|at| since(now, at) < quiet) {
        return Some("nothing is created before the last rotation is quiet");
    }
    let first = pairs(facts).find(|(_, pair)| is_dead(facts, pair));
    if first
        .and_then(|(_, pair)| mark(pair))
        .is_some_and(|at| since(now, at) < SETTLED && at.0.saturating_sub(now.0) <= SKEW)
    {
        return Some("a pair that was just written is not taken for dead");
    }
    let due = facts
        .keys
        .iter()
        .all(|key| since(facts.clocks.aws, key.created) >= seconds(policy.settings.rotate_after));
    if !dead && !due && held(facts).is_some() {
        return Some("nothing is created before it is due");
    }
    let replaced = held(facts).filter(|_| !dead);
    if replaced.is_some_and(|key| facts.elsewhere.contains(&key.id)) {
        return Some("no key is replaced that another variable holds too");
    }
    if replaced.is_some_and(|key| key.last_used == LastUsed::Unknown) && !policy.settings.grace.is_zero() {
        return Some("no key is replaced that could never be retired");
    }
    let apart = facts.clocks.aws.0.abs_diff(facts.clocks.gitlab.0) > SKEW.unsigned_abs();
    if !dead && (apart || is_of_the_future(facts)) {
        return Some("no key is replaced while a clock is wrong");
    }
    let hidden = pairs(facts).all(|(_, pair)| pair.secret.value == SecretValue::Hidden);
    if facts.targets.len() > 1 && hidden && run.in_hand.is_empty() {
        return Some("nothing is created that a crash would leave unfinished");
    }
    let missing =
        |pair: &Pair| pair.id.value == IdValue::Missing || pair.secret.value == SecretValue::Missing;
    (!policy.settings.create_missing
        && pairs(facts).any(|(_, pair)| missing(pair) && is_dead(facts, pair))
        && first.is_some_and(|(_, pair)| missing(pair)))
    .then_some("a variable is not created against the settings")
}

// Writes.

fn writes_secret(facts: &Facts, policy: &Policy, target: usize, key: KeyId) -> Option<Law> {
    let run = &facts.run;
    let Some(pair) = pair(facts, target) else {
        return Some("only a target that was read is written");
    };
    if !run.in_hand.contains(&key) {
        return Some("no secret is written that is not in hand");
    }
    if !run.verified.contains(&key) {
        return Some("no secret is written that is not proved");
    }
    let Some(listed) = find(facts, key).filter(|key| key.status == Status::Active) else {
        return Some("no secret is written of a key that is not Active");
    };
    if run.created == Some(key) && run.undo {
        return Some("nothing of a key is written after its undoing began");
    }
    if pair.secret.value == SecretValue::Missing && !policy.settings.create_missing {
        return Some("a variable is not created against the settings");
    }
    if may_hold_any(facts, pair) {
        return Some("no secret is overwritten that may be anybody's");
    }
    if disabled(facts, pair) {
        return Some("a held Inactive key is not replaced");
    }
    if is_dead(facts, pair) {
        return None;
    }
    if is_step_back(facts, pair, key) {
        let quiet = seconds(policy.settings.grace).max(SETTLED);
        let settled = newest_mark(facts).is_none_or(|at| since(facts.clocks.gitlab, at) >= quiet);
        let lost = secret_of(pair).is_some_and(|newer| !run.in_hand.contains(&newer));
        let works = pairs(facts).any(|(at, other)| at != target && secret_of(other) == Some(key));
        return (!settled || !lost || !works || unread(facts)).then_some(
            "an older secret goes over a newer one only when that is in nobody's hand and all is quiet",
        );
    }
    let same =
        secret_of(pair) == Some(key) || secret_of(pair).is_none() && pair.id.value == IdValue::Key(key);
    if same && is_marked_for(pair, key) && !is_of_the_future(facts) {
        return Some("a pair that is in order is not written");
    }
    let newer = pairs(facts)
        .filter_map(|(_, pair)| proved(pair))
        .filter_map(|held| find(facts, held));
    let mut newer = newer.filter(|held| held.status == Status::Active);
    (run.created != Some(key) && newer.any(|held| is_older(facts, listed, held)))
        .then_some("a key does not spread while a newer one is held")
}

fn writes_id(facts: &Facts, policy: &Policy, target: usize, key: KeyId, prev: Option<KeyId>) -> Option<Law> {
    let Some(pair) = pair(facts, target) else {
        return Some("only a target that was read is written");
    };
    if secret_of(pair) != Some(key) {
        return Some("an id is written only beside its own secret");
    }
    if find(facts, key).is_none_or(|key| key.status != Status::Active) {
        return Some("no id is written of a key that is not Active");
    }
    let edited = match (pair.id.value, pair.id.marker) {
        (IdValue::Key(value), Some(marker)) => value != marker.key,
        (IdValue::NotAKey, Some(_)) => true,
        (IdValue::Key(_) | IdValue::NotAKey | IdValue::Empty | IdValue::Hidden | IdValue::Missing, _) => {
            false
        }
    };
    if edited && pair.secret.value == SecretValue::Hidden {
        return Some("the marker of a hidden secret is not believed beside an edited id");
    }
    if pair.id.value == IdValue::Missing && !policy.settings.create_missing {
        return Some("a variable is not created against the settings");
    }
    if prev == Some(key) {
        return Some("no key is its own predecessor");
    }
    if let IdValue::Key(before) = pair.id.value
        && before != key
        && prev != Some(before)
    {
        return Some("the key that was here before is remembered");
    }
    if pair
        .id
        .marker
        .is_some_and(|marker| marker.prev.is_some_and(|before| before != key))
        && prev.is_none()
    {
        return Some("the key that was here before is remembered");
    }
    let in_order = is_marked_for(pair, key) && id_of(pair) == Some(key);
    (in_order && !is_of_the_future(facts)).then_some("a pair that is in order is not written")
}

fn switches(facts: &Facts, policy: &Policy, key: KeyId) -> Option<Law> {
    let run = &facts.run;
    if !run.in_hand.contains(&key) || !run.verified.contains(&key) {
        return Some("no key signs that is not in hand and proved");
    }
    if complete(facts) != Some(key) {
        return Some("the signer changes only to the key that every target holds");
    }
    (run.signer == Some(key) || !policy.settings.grace.is_zero())
        .then_some("the signer changes only to retire the one before at once")
}

// Endings.

fn converged(facts: &Facts, policy: &Policy, until: Option<Timestamp>) -> Option<Law> {
    if unread(facts) || facts.run.stopping || facts.run.time_left == TimeLeft::Over {
        return Some("a run that saw or did less than all is not converged");
    }
    if until.is_some_and(|until| until <= facts.clocks.aws) {
        return Some("what is waited for lies in the future");
    }
    if unpublished(facts) {
        return Some("a run doesn't end well beside its unpublished key");
    }
    for (_, pair) in pairs(facts) {
        if proved(pair).is_some_and(|key| find(facts, key).is_some() && id_of(pair) != Some(key)) {
            return Some("a torn pair is not converged");
        }
        if may_hold_any(facts, pair) || is_half(pair) || disabled(facts, pair) {
            return Some("a pair that a person must look at is not converged");
        }
        if is_dead(facts, pair) && !facts.run.create_sent {
            return Some("a dead pair is not converged");
        }
    }
    let mut secrets = pairs(facts).filter_map(|(_, pair)| secret_of(pair));
    let first = secrets.next();
    if secrets.any(|key| Some(key) != first) && !facts.run.create_sent {
        return Some("targets that hold different keys are not converged");
    }
    (policy.may_create && policy.settings.rotate_after.is_zero() && !facts.run.create_sent)
        .then_some("a rotation that is due is not converged")
}

/// This run made a key that no target shows, and has not begun to delete it.
fn unpublished(facts: &Facts) -> bool {
    let own = facts.run.created.filter(|_| !facts.run.undo);
    let was_here = |pair: &Pair, own| pair.id.marker.is_some_and(|marker| marker.prev == Some(own));
    own.is_some_and(|own| !pairs(facts).any(|(_, pair)| names(pair, own) || was_here(pair, own)))
}

fn waits(facts: &Facts, wait: Wait) -> Option<Law> {
    if unpublished(facts) {
        return Some("a run doesn't end well beside its unpublished key");
    }
    let Clocks { aws, gitlab } = facts.clocks;
    let (key, until) = match wait {
        Wait::Grace { key, until } | Wait::Deletion { key, until } => (Some(key), Some((until, gitlab))),
        // What uses it is this run. When that ends is for those to say who gave it the key.
        Wait::InUse { key, .. } if facts.run.signer == Some(key) => (Some(key), None),
        Wait::InUse { key, until } => (Some(key), Some((until, aws))),
        Wait::Orphan { key, until } => (Some(key), Some((until, aws.min(gitlab)))),
        Wait::Quiet { until } | Wait::Unconfirmed { until } => (None, Some((until, gitlab))),
        Wait::UseOfNewKey { key } => (Some(key), None),
    };
    if key.is_some_and(|key| find(facts, key).is_none()) {
        return Some("what is waited for is a listed key");
    }
    until
        .is_some_and(|(until, now)| until <= now)
        .then_some("what is waited for lies in the future")
}

fn blocks(facts: &Facts, policy: &Policy, block: Block) -> Option<Law> {
    let status = |key| find(facts, key).map(|key| key.status);
    let there = |target| pair(facts, target);
    let right = match block {
        Block::Hold { .. } => false,
        Block::IncompleteRead { target } => matches!(facts.targets.get(target), Some(Target::Unread)),
        Block::OwnerUnknown { target } => there(target).is_some_and(|pair| !is_half(pair)),
        Block::HalfPair { target } => there(target).is_some_and(|pair| {
            let elsewhere = secret_of(pair).is_some_and(|key| facts.elsewhere.contains(&key));
            is_half(pair) || elsewhere && matches!(pair.id.value, IdValue::Missing | IdValue::Empty)
        }),
        Block::WrongPlace { key } => {
            facts.run.signer == Some(key) && pairs(facts).all(|(_, pair)| is_empty(pair))
        }
        Block::JournalTaken => facts.journal == Journal::Taken,
        // The intent of a key that was refused doesn't stand where it can be closed.
        Block::CreateDenied => facts.run.denied && closes(facts).is_some(),
        Block::KeyDisabled { target, key } => {
            status(key) == Some(Status::Inactive) && there(target).is_some_and(|pair| names(pair, key))
        }
        // The advice is to delete it in IAM, so it must be nobody's.
        Block::SlotOccupied { key } => {
            facts.keys.len() >= 2 && status(key).is_some() && !pairs(facts).any(|(_, pair)| holds(pair, key))
        }
        Block::Split { key } => status(key).is_some() && facts.keys.len() > 1,
        Block::HeldElsewhere { key } => facts.elsewhere.contains(&key) && status(key).is_some(),
        Block::Dead { target } => {
            !policy.may_create && there(target).is_some_and(|pair| is_dead(facts, pair))
        }
        Block::MissingVariable { target } => {
            !policy.settings.create_missing
                && there(target).is_some_and(|pair| {
                    pair.id.value == IdValue::Missing || pair.secret.value == SecretValue::Missing
                })
        }
        Block::AllHidden => {
            facts.targets.len() > 1 && pairs(facts).all(|(_, pair)| pair.secret.value == SecretValue::Hidden)
        }
        Block::ClocksDisagree => {
            facts.clocks.aws.0.abs_diff(facts.clocks.gitlab.0) > SKEW.unsigned_abs()
                || is_of_the_future(facts)
        }
        Block::LastUseUnknown { key } => {
            find(facts, key).is_some_and(|key| key.last_used == LastUsed::Unknown)
        }
        Block::Refused => facts.run.refused,
    };
    (!right).then_some("a block names what is really in the way")
}

fn ends(facts: &Facts, why: Incomplete) -> Option<Law> {
    let run = &facts.run;
    let right = match why {
        Incomplete::Interrupted => run.stopping,
        Incomplete::OutOfTime => run.time_left != TimeLeft::Ample,
        Incomplete::UnclearWrite => !run.unclear.is_empty(),
        Incomplete::UnclearCreate => run.create_sent && run.created.is_none(),
        Incomplete::Unverified => run.created.is_some() && run.unverifiable,
        Incomplete::Yielded => run.created.is_some(),
        Incomplete::Unpublished { key } => run.created == Some(key),
    };
    (!right).then_some("a run ends for the reason it names")
}

/// One Active key, every target holds both its halves, every marker is true, and nothing is due.
fn is_finished(facts: &Facts, policy: &Policy) -> bool {
    let [only] = facts.keys.as_slice() else {
        return false;
    };
    let run = &facts.run;
    let fresh =
        !run.stopping && !run.create_sent && run.created.is_none() && run.time_left == TimeLeft::Ample;
    let due =
        policy.may_create && since(facts.clocks.aws, only.created) >= seconds(policy.settings.rotate_after);
    let settled = |pair: &Pair| {
        secret_of(pair) == Some(only.id)
            && pair.id.value == IdValue::Key(only.id)
            && pair.id.marker.is_some_and(|marker| marker.key == only.id)
            && pair.secret.marker.is_some_and(|marker| marker.key == only.id)
    };
    fresh
        && !due
        && !is_of_the_future(facts)
        && only.status == Status::Active
        && !unread(facts)
        && !facts.targets.is_empty()
        && pairs(facts).all(|(_, pair)| settled(pair))
}

/// When this wait is over, as far as it says.
pub(crate) fn end(facts: &Facts, wait: Wait) -> Option<Timestamp> {
    match wait {
        Wait::InUse { key, .. } if facts.run.signer == Some(key) => None,
        Wait::Grace { until, .. }
        | Wait::Deletion { until, .. }
        | Wait::InUse { until, .. }
        | Wait::Orphan { until, .. }
        | Wait::Quiet { until }
        | Wait::Unconfirmed { until } => Some(until),
        Wait::UseOfNewKey { .. } => None,
    }
}
