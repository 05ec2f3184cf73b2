//! The truth: what exists in IAM and in GitLab, which requests are under way, and what each does when it takes effect.
//! Ages are in ticks and stop growing where they make no difference; keys are numbered from the oldest to the newest.

use super::process::Process;
use super::scenario::{JOB, LATE, RUN, Scenario, UNUSED};

/// Keys that can be told apart at a time, deleted ones that something still names included.
pub(crate) const KEYS: usize = 8;
/// Targets.
pub(crate) const TARGETS: usize = 2;
/// Requests without a sender.
pub(crate) const FLIGHT: usize = 3;

/// No key: no marker, no previous key, no variable.
pub(crate) const NONE: u8 = 0xFF;
/// A value that belongs to no key.
pub(crate) const JUNK: u8 = 0xFE;

/// Whether a key exists.
pub(crate) const FREE: u8 = 0;
pub(crate) const ACTIVE: u8 = 1;
pub(crate) const INACTIVE: u8 = 2;
pub(crate) const DELETED: u8 = 3;

/// IAM's record of use: none, the proof by its own run, or a use so many ticks ago.
pub(crate) const NEVER: u8 = 0;
pub(crate) const PROVED: u8 = 1;
pub(crate) const USED: u8 = 2;
/// It was not asked for.
pub(crate) const NOT_ASKED: u8 = 9;

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Key {
    pub(crate) state: u8,
    pub(crate) age: u8,
    /// Ticks since its state changed, and the state before.
    pub(crate) changed: u8,
    pub(crate) was: u8,
    /// Created within the window of the intent record that stands.
    pub(crate) announced: bool,
    pub(crate) used: u8,
    /// Ticks since a job could last have captured it as a working pair.
    pub(crate) captured: u8,
    /// Somebody else created it, and no target ever held it.
    pub(crate) foreign: bool,
    /// A half of it was in a target.
    pub(crate) published: bool,
    /// STS accepted it before it was published.
    pub(crate) proved: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Variable {
    /// Whose it is; [`NONE`]: it does not exist.
    pub(crate) value: u8,
    /// The key its marker names.
    pub(crate) marker: u8,
    pub(crate) prev: u8,
    /// The marker's age.
    pub(crate) at: u8,
}

impl Variable {
    pub(crate) fn bare(value: u8) -> Variable {
        Variable {
            value,
            marker: NONE,
            prev: NONE,
            at: 0,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Pair {
    pub(crate) id: Variable,
    pub(crate) secret: Variable,
    /// It once held an Active key's secret.
    pub(crate) anchored: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum What {
    Nothing,
    Journal,
    CloseIntent,
    Create,
    WriteSecret,
    WriteId,
    Deactivate,
    Delete,
    Undo,
}

/// A request that changes something.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Request {
    pub(crate) what: What,
    pub(crate) target: u8,
    pub(crate) key: u8,
    pub(crate) prev: u8,
    /// Age of the stamp it carries.
    pub(crate) at: u8,
    /// Ticks since it was sent.
    pub(crate) sent: u8,
    /// When it was sent, two targets held the secrets of different Active keys.
    pub(crate) disagreed: bool,
    /// The key was Inactive when the sender began.
    pub(crate) found_inactive: bool,
    /// Its sender created the key.
    pub(crate) own: bool,
    /// And after it had listed the one that the target held.
    pub(crate) newer: bool,
}

impl Request {
    pub(crate) const NOTHING: Request = Request {
        what: What::Nothing,
        target: 0,
        key: NONE,
        prev: NONE,
        at: 0,
        sent: 0,
        disagreed: false,
        found_inactive: false,
        own: false,
        newer: false,
    };
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct World {
    pub(crate) keys: [Key; KEYS],
    pub(crate) pairs: [Pair; TARGETS],
    /// Age of the intent record, while it announces a key or can announce another.
    pub(crate) intent: u8,
    /// That record is one of a run that was refused the key it announced, and knew it: no key in its window is keyturn's.
    pub(crate) void_intent: bool,
    pub(crate) flight: [Request; FLIGHT],
    pub(crate) runs: [Option<Process>; 2],
    pub(crate) faults_left: u8,
    pub(crate) foreign_left: u8,
    pub(crate) edits_left: u8,
}

pub(crate) fn bit(key: u8) -> u8 {
    if usize::from(key) < KEYS { 1 << key } else { 0 }
}

/// The number of a key as its place.
pub(crate) fn small(number: usize) -> u8 {
    u8::try_from(number).unwrap_or(NONE)
}

/// How long after its intent a key may have been created: the intent that stands may be an older one whose write came
/// late.
pub(crate) const WINDOW: u8 = 2 * (RUN + LATE);

/// Whether a key created at this age lies within the window of an intent of that age. It may be older by as much as the
/// list that hid it lagged.
pub(crate) fn within(intent: u8, created: u8, scenario: &Scenario) -> bool {
    intent != NONE
        && created <= intent.saturating_add(scenario.propagation())
        && intent.saturating_sub(created) <= WINDOW
}

impl World {
    pub(crate) fn key(&self, key: u8) -> Key {
        self.keys.get(usize::from(key)).copied().unwrap_or_default()
    }

    pub(crate) fn is(&self, key: u8, state: u8) -> bool {
        self.key(key).state == state
    }

    /// Keys that exist, Active or not.
    pub(crate) fn existing(&self) -> impl Iterator<Item = u8> {
        let keys = self.keys;
        (0..KEYS)
            .filter(move |at| matches!(keys[*at].state, ACTIVE | INACTIVE))
            .map(small)
    }

    pub(crate) fn idle(&self) -> bool {
        self.runs.iter().all(Option::is_none)
    }

    pub(crate) fn quiescent(&self) -> bool {
        self.idle() && self.flight.iter().all(|request| request.what == What::Nothing)
    }

    /// The key that works in a target.
    pub(crate) fn works(&self, target: usize) -> Option<u8> {
        let pair = self.pairs[target];
        (pair.id.value == pair.secret.value && self.is(pair.id.value, ACTIVE)).then_some(pair.id.value)
    }

    /// A new key, the newest. `None` when there is no place left to tell it apart.
    pub(crate) fn create(&mut self, scenario: &Scenario) -> Option<u8> {
        let at = self
            .keys
            .iter()
            .rposition(|key| key.state != FREE)
            .map_or(0, |last| last + 1);
        if at >= KEYS {
            return None;
        }
        self.keys[at] = Key {
            state: ACTIVE,
            was: FREE,
            announced: within(self.intent, 0, scenario),
            captured: JOB + 1,
            ..Key::default()
        };
        for run in self.runs.iter_mut().flatten() {
            run.key_appeared(small(at), scenario);
        }
        Some(small(at))
    }

    /// A request takes effect. Returns the key it created.
    pub(crate) fn apply(&mut self, request: &Request, scenario: &Scenario) -> u8 {
        let key = usize::from(request.key);
        match request.what {
            What::Nothing => {}
            What::CloseIntent => {
                (self.intent, self.void_intent) = (NONE, false);
                self.keys.iter_mut().for_each(|key| key.announced = false);
                self.runs
                    .iter_mut()
                    .flatten()
                    .for_each(|run| run.own_intent = false);
            }
            What::Journal => {
                self.intent = request.at;
                self.void_intent = false;
                self.runs
                    .iter_mut()
                    .flatten()
                    .for_each(|run| run.own_intent = false);
                for key in &mut self.keys {
                    key.announced = key.state != FREE && within(request.at, key.age, scenario);
                }
            }
            What::Create => return self.create(scenario).unwrap_or(NONE),
            What::WriteSecret => {
                let pair = &mut self.pairs[usize::from(request.target)];
                pair.secret = Variable {
                    value: request.key,
                    marker: request.key,
                    prev: NONE,
                    at: request.at,
                };
                self.published(request.key);
            }
            What::WriteId => {
                let pair = &mut self.pairs[usize::from(request.target)];
                pair.id = Variable {
                    value: request.key,
                    marker: request.key,
                    prev: request.prev,
                    at: request.at,
                };
                self.published(request.key);
            }
            What::Deactivate => {
                if self.is(request.key, ACTIVE) {
                    let key = &mut self.keys[key];
                    (key.was, key.state, key.changed) = (ACTIVE, INACTIVE, 0);
                }
            }
            What::Delete | What::Undo => {
                if matches!(self.key(request.key).state, ACTIVE | INACTIVE) {
                    let key = &mut self.keys[key];
                    (key.was, key.state, key.changed) = (key.state, DELETED, 0);
                }
            }
        }
        if !scenario.markers {
            for pair in &mut self.pairs {
                (pair.id, pair.secret) = (Variable::bare(pair.id.value), Variable::bare(pair.secret.value));
            }
        }
        self.capture();
        NONE
    }

    fn published(&mut self, key: u8) {
        if let Some(key) = self.keys.get_mut(usize::from(key)) {
            key.published = true;
            key.foreign = false;
        }
    }

    /// Jobs may start at any instant: whatever works now is captured now.
    pub(crate) fn capture(&mut self) {
        for target in 0..TARGETS {
            if let Some(key) = self.works(target) {
                self.keys[usize::from(key)].captured = 0;
            }
            let pair = &mut self.pairs[target];
            let owner = pair.secret.value;
            let active = self
                .keys
                .get(usize::from(owner))
                .is_some_and(|key| key.state == ACTIVE);
            pair.anchored |= active && pair.id.value == owner;
        }
    }

    /// Time passes. What could land no more never arrives; a run past its deadline has ended itself.
    pub(crate) fn tick(&mut self, scenario: &Scenario) {
        let (keys, markers, seen) = (
            scenario.key_cap(),
            scenario.marker_cap(),
            scenario.propagation() + 1,
        );
        let older = |age: &mut u8, cap: u8| *age = (*age + 1).min(cap);
        for key in self.keys.iter_mut().filter(|key| key.state != FREE) {
            older(&mut key.age, keys);
            older(&mut key.changed, seen);
            older(&mut key.captured, JOB + 1);
            use_ages(&mut key.used);
        }
        for pair in &mut self.pairs {
            for variable in [&mut pair.id, &mut pair.secret] {
                if variable.marker != NONE {
                    older(&mut variable.at, markers);
                }
            }
        }
        if self.intent != NONE {
            older(&mut self.intent, markers);
        }
        for request in &mut self.flight {
            if request.what != What::Nothing {
                request.sent += 1;
                request.at += 1;
                if request.sent > LATE {
                    *request = Request::NOTHING;
                }
            }
        }
        for run in &mut self.runs {
            if let Some(process) = run
                && !process.tick(markers)
            {
                *run = None;
            }
        }
        self.capture();
    }

    /// One form for all states that no future can tell apart.
    pub(crate) fn canonical(mut self, scenario: &Scenario) -> World {
        let seen = scenario.propagation() + 1;
        let idle = self.idle();
        for at in 0..KEYS {
            let key = &mut self.keys[at];
            if !scenario.lag {
                key.changed = seen;
            }
            if key.changed >= seen {
                key.was = key.state;
            }
            if key.state == DELETED {
                *key = Key {
                    state: DELETED,
                    age: if key.changed < seen || !idle { key.age } else { 0 },
                    changed: key.changed,
                    was: key.was,
                    announced: key.changed < seen && key.announced,
                    used: if key.changed < seen { key.used } else { NEVER },
                    captured: JOB + 1,
                    foreign: false,
                    published: false,
                    proved: false,
                };
            }
        }
        // A key that is gone for good is no evidence of anything any more.
        if idle {
            for target in 0..TARGETS {
                let prev = self.pairs[target].id.prev;
                if prev != NONE && self.is(prev, DELETED) && self.key(prev).changed >= seen {
                    self.pairs[target].id.prev = NONE;
                }
            }
        }
        if self.intent != NONE && self.intent > WINDOW && !self.keys.iter().any(|key| key.announced) {
            (self.intent, self.void_intent) = (NONE, false);
        }
        let mut named = 0;
        self.for_each_name(|name| named |= bit(*name));
        for run in self.runs.iter().flatten() {
            named |= run.masks();
        }
        // Of keys just deleted, a list may still show the last.
        let last = (0..KEYS)
            .rev()
            .find(|at| self.keys[*at].state == DELETED && self.keys[*at].changed < seen);
        let mut map = [0; KEYS];
        let mut next = 0;
        let old = self.keys;
        self.keys = [Key::default(); KEYS];
        for at in 0..KEYS {
            let gone = old[at].state == FREE
                || old[at].state == DELETED && last != Some(at) && named & (1 << at) == 0;
            map[at] = if gone { NONE } else { next };
            if !gone {
                self.keys[usize::from(next)] = old[at];
                next += 1;
            }
        }
        self.rename(&map);
        self.flight.sort_unstable_by(|one, other| other.cmp(one));
        if self.runs[0] < self.runs[1] {
            self.runs.swap(0, 1);
        }
        self
    }

    /// Two keys created in the same second are ordered by their ids, which are random.
    pub(crate) fn swap(&mut self, one: u8, other: u8) {
        self.keys.swap(usize::from(one), usize::from(other));
        let mut map = std::array::from_fn(small);
        map.swap(usize::from(one), usize::from(other));
        self.rename(&map);
    }

    fn rename(&mut self, map: &[u8; KEYS]) {
        self.for_each_name(|name| {
            if usize::from(*name) < KEYS {
                *name = map[usize::from(*name)];
            }
        });
        for run in self.runs.iter_mut().flatten() {
            run.rename_masks(map);
        }
    }

    fn for_each_name(&mut self, mut each: impl FnMut(&mut u8)) {
        for pair in &mut self.pairs {
            for variable in [&mut pair.id, &mut pair.secret] {
                each(&mut variable.value);
                each(&mut variable.marker);
                each(&mut variable.prev);
            }
        }
        for request in &mut self.flight {
            each(&mut request.key);
            each(&mut request.prev);
        }
        for run in self.runs.iter_mut().flatten() {
            run.for_each_name(&mut each);
        }
    }
}

/// A recorded use grows older.
pub(crate) fn use_ages(used: &mut u8) {
    if *used >= USED && *used != NOT_ASKED {
        *used = (*used + 1).min(USED + UNUSED);
    }
}

pub(crate) fn renamed(mask: u8, map: &[u8; KEYS]) -> u8 {
    (0..KEYS)
        .filter(|at| mask & (1 << at) != 0)
        .map(|at| bit(map[at]))
        .fold(0, |all, one| all | one)
}
