//! A run: the shipped loop, and what its requests show it of the world. What to read, what to send, when to wait and when to
//! end is all the loop's; here is only what a look shows and what an answer changes in what is known. It never sees the truth.

use planner::{
    Clocks, Due, End, Extent, Facts, IdHalf, IdValue, Intent, Journal, Key, KeyId, LastUsed, Marker, Policy,
    Proof, Reconciler, Run, SecretHalf, SecretValue, Service, Status, Step, Target, TimeLeft, Timestamp,
    Told, Turn, Unseen, Verdict,
};

use super::conduct::Conduct;

use super::scenario::{JOB, RUN, Scenario, TICK};
use super::world::*;

const NOW: Timestamp = Timestamp(1_800_000_000);

pub(crate) type Planner<'a> = &'a (dyn Fn(&Facts, &Policy) -> Verdict + Sync);

/// The loop that drives a run: the shipped one, or a wrong one.
pub(crate) trait Loop: Sync {
    fn turn(&self, run: &mut Reconciler, facts: Option<&mut Facts>, stopping: bool, policy: &Policy) -> Turn;

    fn told(&self, run: &mut Reconciler, step: Step, told: Told) {
        run.told(step, told);
    }

    fn unseen(&self, run: &mut Reconciler, unseen: Unseen) {
        run.unseen(unseen);
    }
}

/// The shipped loop with this planner. A run that is killed at its deadline has ample time until then.
pub(crate) struct Shipped<'a>(pub(crate) Planner<'a>);

impl Loop for Shipped<'_> {
    fn turn(&self, run: &mut Reconciler, facts: Option<&mut Facts>, stopping: bool, policy: &Policy) -> Turn {
        run.turn_by(self.0, facts, TimeLeft::Ample, stopping, policy)
    }
}

/// What a run does next.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum Phase {
    /// Read the variables of this target.
    Read(u8),
    /// List the keys, ask when they were used, and ask STS whose the readable secrets are.
    List,
    /// Decide, where reading came last; STS is asked now.
    Decide,
    /// Send the request that was decided.
    Send,
}

/// A step in the world's numbers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum Act {
    None,
    Journal,
    CloseIntent,
    Create,
    Verify(u8),
    WriteSecret(u8, u8),
    WriteId(u8, u8, u8),
    SwitchSigner(u8),
    Deactivate(u8),
    Delete(u8),
    Undo(u8),
}

/// A target as it was read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Seen {
    pub(crate) unread: bool,
    pub(crate) id: Variable,
    pub(crate) secret: Variable,
}

const UNSEEN: Seen = Seen {
    unread: false,
    id: Variable {
        value: NONE,
        marker: NONE,
        prev: NONE,
        at: 0,
    },
    secret: Variable {
        value: NONE,
        marker: NONE,
        prev: NONE,
        at: 0,
    },
};

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Process {
    pub(crate) phase: Phase,
    pub(crate) act: Act,
    /// Its looks begin with the list.
    list_first: bool,
    /// The look under way, or the facts in hand, read everything.
    pub(crate) full: bool,
    /// It was asked to stop.
    pub(crate) stopping: bool,
    pub(crate) conduct: Conduct,
    pub(crate) age: u8,
    /// In truth: the intent that stands is this run's, and nothing failed since it was refused a key.
    pub(crate) own_intent: bool,
    pub(crate) unhurt: bool,
    /// In truth: it sent CreateAccessKey.
    pub(crate) asked_for_key: bool,
    /// The key that signs; [`NONE`] for a role.
    pub(crate) auth: u8,
    // The planner's memory.
    signer: u8,
    in_hand: u8,
    verified: u8,
    pub(crate) created: u8,
    listed_before: u8,
    pub(crate) create_sent: bool,
    pub(crate) denied: bool,
    journaled: bool,
    unverifiable: bool,
    sent: u8,
    refused: bool,
    undo: bool,
    undone: bool,
    inactive_at_start: u8,
    unclear: [Act; 2],
    proposed: Act,
    gone: u8,
    switched: bool,
    // The loop's memory.
    began: bool,
    chances: u8,
    pauses: u8,
    refused_act: Act,
    torn: bool,
    short: bool,
    // What was read.
    seen: [Seen; TARGETS],
    journal_unread: bool,
    saw_own: bool,
    saw_intent: u8,
    saw_announced: u8,
    listed: u8,
    listed_active: u8,
    saw_used: [u8; KEYS],
    clock: u8,
}

/// How a decision went on.
pub(crate) enum Settled {
    /// The run goes on.
    On,
    /// The run is over.
    Ended(End),
}

impl Process {
    /// A run starts: its job was given the pair that its target holds now. `None`: it has no usable credential.
    pub(crate) fn start(world: &World, scenario: &Scenario) -> Option<Process> {
        let auth = match scenario.signer {
            super::scenario::Signer::Role => NONE,
            super::scenario::Signer::Own(target) => {
                let secret = world.pairs[target].secret.value;
                match world.works(target) {
                    Some(key) => key,
                    // The pair is torn: a marker says which id belongs to the secret.
                    None => (0..scenario.hidden.len())
                        .map(|at| world.pairs[at].secret.marker)
                        .find(|noted| *noted == secret && world.is(*noted, ACTIVE))?,
                }
            }
        };
        let mut process = Process {
            phase: begins(scenario.list_first),
            act: Act::None,
            list_first: scenario.list_first,
            full: true,
            stopping: false,
            conduct: Conduct::default(),
            age: 0,
            own_intent: false,
            unhurt: true,
            asked_for_key: false,
            auth,
            signer: NONE,
            in_hand: 0,
            verified: 0,
            created: NONE,
            listed_before: 0,
            create_sent: false,
            denied: false,
            journaled: false,
            unverifiable: false,
            sent: 0,
            refused: false,
            undo: false,
            undone: false,
            inactive_at_start: 0,
            unclear: [Act::None; 2],
            proposed: Act::None,
            gone: 0,
            switched: false,
            began: false,
            chances: 0,
            pauses: 0,
            refused_act: Act::None,
            torn: false,
            short: false,
            seen: [UNSEEN; TARGETS],
            journal_unread: false,
            saw_own: false,
            saw_intent: NONE,
            saw_announced: 0,
            listed: 0,
            listed_active: 0,
            saw_used: [NEVER; KEYS],
            clock: 0,
        };
        let mut run = Reconciler::new(named(auth));
        // It begins with a look.
        run.due = Due::Decision;
        process.pack(&run);
        Some(process)
    }

    /// Whether it is still within its deadline after another tick.
    pub(crate) fn tick(&mut self, markers: u8) -> bool {
        self.age += 1;
        if self.phase != begins(self.list_first) {
            for seen in &mut self.seen {
                for variable in [&mut seen.id, &mut seen.secret] {
                    if variable.marker != NONE {
                        // Compared with this run's clock, which stood still: so both may grow beyond the cap.
                        variable.at = (variable.at + 1).min(markers + RUN);
                    }
                }
            }
            if self.saw_intent != NONE {
                self.saw_intent = (self.saw_intent + 1).min(markers + RUN);
            }
            self.saw_used.iter_mut().for_each(use_ages);
        }
        if self.phase == Phase::Send {
            self.clock += 1;
        }
        self.age <= RUN
    }

    /// A target is read. The journal stands beside the first.
    pub(crate) fn read(&mut self, world: &World, scenario: &Scenario, target: u8, unread: bool) {
        let pair = world.pairs[usize::from(target)];
        self.seen[usize::from(target)] = if unread {
            Seen { unread, ..UNSEEN }
        } else {
            Seen {
                unread,
                id: pair.id,
                secret: pair.secret,
            }
        };
        if target == 0 && scenario.journal {
            self.journal_unread = unread;
            if !unread {
                self.saw_intent = world.intent;
                self.saw_own = self.own_intent;
                let announced = (0..KEYS).map(small).filter(|key| world.key(*key).announced);
                self.saw_announced = announced.map(bit).fold(0, |all, one| all | one);
            }
        }
        let more = usize::from(target) + 1 < scenario.hidden.len();
        self.phase = match (more, self.list_first) {
            (true, _) => Phase::Read(target + 1),
            (false, false) => Phase::List,
            (false, true) => Phase::Decide,
        };
    }

    /// A key was created somewhere after the journal was read.
    pub(crate) fn key_appeared(&mut self, key: u8, scenario: &Scenario) {
        if within(self.saw_intent, 0, scenario) {
            self.saw_announced |= bit(key);
        }
    }

    /// Keys whose recent change a list may not show yet.
    pub(crate) fn may_lag(world: &World, scenario: &Scenario) -> u8 {
        if !scenario.lag {
            return 0;
        }
        let recent = |at: &usize| {
            let key = world.keys[*at];
            key.state != FREE && key.changed <= scenario.propagation() && key.was != key.state
        };
        (0..KEYS)
            .filter(recent)
            .map(|at| bit(small(at)))
            .fold(0, |all, one| all | one)
    }

    /// The key list, as it stands or behind by the changes in `lagging`; with the records of use.
    pub(crate) fn list(&mut self, world: &World, lagging: u8) {
        (self.listed, self.listed_active) = (0, 0);
        for at in 0..KEYS {
            let (key, this) = (world.keys[at], bit(small(at)));
            let state = if lagging & this != 0 { key.was } else { key.state };
            // A key whose deletion was confirmed is gone, whatever the list shows.
            let shown = self.gone & this == 0;
            if shown && matches!(state, ACTIVE | INACTIVE) {
                self.listed |= this;
            }
            if shown && state == ACTIVE {
                self.listed_active |= this;
            }
            self.saw_used[at] = match state {
                FREE | DELETED => NEVER,
                _ if !self.full => NOT_ASKED,
                _ => key.used,
            };
        }
        // What CreateAccessKey returned exists, whatever the list shows.
        let own = bit(self.created);
        if !self.undo && self.listed & own == 0 {
            self.listed |= own;
            self.listed_active |= own;
            if own != 0 {
                self.saw_used[usize::from(self.created)] = NEVER;
            }
        }
        self.clock = 0;
        if self.list_first {
            self.phase = Phase::Read(0);
        }
    }

    /// Asks STS whose a secret is, with each key listed as Active, and with the id beside it.
    fn whose(&self, world: &World, seen: &Seen, sts_fails: bool) -> Proof {
        let secret = seen.secret.value;
        let this = bit(secret);
        if this & self.in_hand & self.listed_active != 0 {
            return Proof::Of(id(secret));
        }
        if !sts_fails && this & self.listed_active != 0 && world.is(secret, ACTIVE) {
            return Proof::Of(id(secret));
        }
        let mut inconclusive = sts_fails && self.listed_active != 0;
        inconclusive |= (0..KEYS)
            .map(small)
            .any(|key| self.listed_active & bit(key) != 0 && !world.is(key, ACTIVE));
        let beside = seen.id.value;
        if usize::from(beside) < KEYS && self.listed & bit(beside) == 0 {
            if sts_fails {
                inconclusive = true;
            } else if beside == secret && world.is(beside, ACTIVE) {
                return Proof::Of(id(beside));
            }
        }
        if inconclusive {
            Proof::Inconclusive
        } else {
            Proof::OfNone
        }
    }

    /// Whether a failing STS would make a difference to this look.
    pub(crate) fn asks_sts(&self, scenario: &Scenario) -> bool {
        scenario.hidden.iter().zip(&self.seen).any(|(hidden, seen)| {
            !hidden && !seen.unread && seen.secret.value != NONE && bit(seen.secret.value) & self.in_hand == 0
        })
    }

    /// The observation, as the program would hand it to the planner.
    fn facts(&self, world: &World, scenario: &Scenario, sts_fails: bool) -> Facts {
        let created = self.creation_ages(world, scenario);
        let key = |at: usize| Key {
            id: id(small(at)),
            status: if self.listed_active & bit(small(at)) != 0 {
                Status::Active
            } else {
                Status::Inactive
            },
            created: ago(created[at]),
            last_used: match self.saw_used[at] {
                NEVER => LastUsed::Never,
                PROVED => LastUsed::At(ago(created[at]), Service::Sts),
                NOT_ASKED => LastUsed::Unknown,
                used => LastUsed::At(ago(u64::from(used - USED)), Service::Other),
            },
        };
        let keys: Vec<Key> = (0..KEYS)
            .filter(|at| self.listed & bit(small(*at)) != 0)
            .map(key)
            .collect();
        let journal = if self.journal_unread {
            Journal::Unread
        } else {
            Journal::Read(self.intent(&created, scenario))
        };
        let mut targets = Vec::with_capacity(scenario.hidden.len());
        for (at, hidden) in scenario.hidden.iter().enumerate() {
            let seen = self.seen[at];
            if seen.unread {
                targets.push(Target::Unread);
                continue;
            }
            let value = match seen.secret.value {
                NONE => SecretValue::Missing,
                _ if *hidden => SecretValue::Hidden,
                _ => SecretValue::Readable(self.whose(world, &seen, sts_fails)),
            };
            targets.push(Target::Seen(planner::Pair {
                id: IdHalf {
                    value: match seen.id.value {
                        NONE => IdValue::Missing,
                        JUNK => IdValue::NotAKey,
                        key => IdValue::Key(id(key)),
                    },
                    marker: marker(&seen.id),
                },
                secret: SecretHalf {
                    value,
                    marker: marker(&seen.secret),
                },
                hold: false,
            }));
        }
        let now = ago(u64::from(self.clock));
        // What keeps a target from being read passes.
        let passing = targets.contains(&Target::Unread);
        Facts {
            clocks: Clocks {
                aws: now,
                gitlab: now,
            },
            full: self.full,
            keys,
            targets,
            passing,
            elsewhere: Vec::new(),
            journal,
            alone: scenario.journal,
            run: self.unpack().run,
        }
    }

    /// When each listed key was created, in ticks before now. Where ages have stopped growing, those announced by the
    /// intent are set apart from those that aren't, as they are in truth.
    fn creation_ages(&self, world: &World, scenario: &Scenario) -> [u64; KEYS] {
        let cap = scenario.key_cap();
        let mut ages = [0; KEYS];
        let mut newer: Option<(u64, bool)> = None;
        for at in (0..KEYS).rev().filter(|at| self.listed & bit(small(*at)) != 0) {
            let announced = self.saw_announced & bit(small(at)) != 0;
            let mut age = u64::from(world.keys[at].age);
            if let (Some((newer, same)), true) = (newer, world.keys[at].age >= cap) {
                age = age.max(if same == announced { newer } else { newer + 100 });
            }
            newer = Some((age, announced));
            ages[at] = age;
        }
        ages
    }

    /// An intent record that announces the keys it truly announces, and no other.
    fn intent(&self, created: &[u64; KEYS], scenario: &Scenario) -> Option<Intent> {
        let listed = || (0..KEYS).filter(|at| self.listed & bit(small(*at)) != 0);
        let announced = |at: usize| self.saw_announced & bit(small(at)) != 0;
        let youngest = listed().filter(|at| announced(*at)).map(|at| created[at]).min();
        // One that announces no key that is listed says nothing, but to the run that wrote it.
        let youngest = youngest.or((self.denied && self.saw_own).then_some(0))?;
        let (lag, window) = (u64::from(scenario.propagation()), u64::from(WINDOW));
        let fits = |age: &u64| {
            let within = |at: usize| created[at] <= *age + lag && age.saturating_sub(created[at]) <= window;
            listed().all(|at| announced(at) == within(at))
        };
        let true_age = Some(u64::from(self.saw_intent)).filter(|age| self.saw_intent != NONE && fits(age));
        let age = true_age.or_else(|| (youngest.saturating_sub(lag)..=youngest + window).find(fits));
        Some(Intent {
            at: ago(age.unwrap_or_else(|| unreachable!("no intent fits {self:?}"))),
            own: self.saw_own,
        })
    }

    /// The loop's value, as it is between two events.
    fn unpack(&self) -> Reconciler {
        let all = |mask: u8| {
            (0..KEYS)
                .map(small)
                .filter(|key| mask & bit(*key) != 0)
                .map(id)
                .collect::<Vec<_>>()
        };
        let run = Run {
            signer: named(self.signer),
            in_hand: all(self.in_hand),
            verified: all(self.verified),
            created: named(self.created),
            listed_before: all(self.listed_before),
            create_sent: self.create_sent,
            denied: self.denied,
            journaled: self.journaled,
            unverifiable: self.unverifiable,
            sent: u32::from(self.sent),
            refused: self.refused,
            undo: self.undo,
            undone: self.undone,
            inactive_at_start: all(self.inactive_at_start),
            unclear: self.unclear.iter().filter_map(|act| step(*act)).collect(),
            stopping: self.stopping,
            time_left: TimeLeft::Ample,
            proposed: step(self.proposed),
            gone: all(self.gone),
            switched: self.switched,
        };
        Reconciler {
            run,
            began: self.began,
            chances: self.chances,
            pauses: self.pauses,
            refused: step(self.refused_act),
            torn: self.torn,
            looking: if self.short { Extent::Short } else { Extent::Full },
            due: Due::Decision,
        }
    }

    /// Keeps the loop's value in less room. Nothing of it may be lost.
    fn pack(&mut self, reconciler: &Reconciler) {
        let mask = |keys: &[KeyId]| {
            keys.iter()
                .map(|key| bit(number(*key)))
                .fold(0, |all, one| all | one)
        };
        let run = &reconciler.run;
        self.signer = run.signer.map_or(NONE, number);
        self.in_hand = mask(&run.in_hand);
        self.verified = mask(&run.verified);
        self.created = run.created.map_or(NONE, number);
        self.listed_before = mask(&run.listed_before);
        self.create_sent = run.create_sent;
        self.denied = run.denied;
        self.journaled = run.journaled;
        self.unverifiable = run.unverifiable;
        self.sent = u8::try_from(run.sent).unwrap_or(u8::MAX);
        self.refused = run.refused;
        self.undo = run.undo;
        self.undone = run.undone;
        self.inactive_at_start = mask(&run.inactive_at_start);
        self.unclear = std::array::from_fn(|at| run.unclear.get(at).map_or(Act::None, act));
        self.proposed = run.proposed.as_ref().map_or(Act::None, act);
        self.gone = mask(&run.gone);
        self.switched = run.switched;
        self.began = reconciler.began;
        self.chances = reconciler.chances;
        self.pauses = reconciler.pauses;
        self.refused_act = reconciler.refused.as_ref().map_or(Act::None, act);
        self.torn = reconciler.torn;
        self.short = reconciler.looking == Extent::Short;
        debug_assert!(same(&self.unpack(), reconciler), "the packed loop is another one");
    }

    /// Lets the loop go on until it looks, sends or ends.
    fn go_on(
        &mut self,
        looper: &dyn Loop,
        scenario: &Scenario,
        policy: &Policy,
        mut run: Reconciler,
        mut facts: Option<Facts>,
    ) -> Settled {
        loop {
            let turn = looper.turn(&mut run, facts.as_mut(), self.stopping, policy);
            facts = None;
            self.conduct
                .turned(&turn, self.full, self.short, self.stopping, scenario);
            match turn {
                Turn::Pause(_) => continue,
                Turn::Observe(extent) => {
                    self.pack(&run);
                    self.phase = begins(self.list_first);
                    self.act = Act::None;
                    self.full = extent == Extent::Full;
                    self.forget();
                    return Settled::On;
                }
                Turn::Perform(step) => {
                    self.pack(&run);
                    self.act = act(&step);
                    self.phase = Phase::Send;
                    if !folds(self.act) {
                        self.forget();
                    }
                    return Settled::On;
                }
                Turn::End(end) => {
                    self.pack(&run);
                    return Settled::Ended(end);
                }
            }
        }
    }

    /// A look replaces everything that was read.
    fn forget(&mut self) {
        self.seen = [UNSEEN; TARGETS];
        self.journal_unread = false;
        (self.saw_intent, self.saw_announced, self.saw_own) = (NONE, 0, false);
        (self.listed, self.listed_active, self.clock) = (0, 0, 0);
        self.saw_used = [NEVER; KEYS];
    }

    /// What was read is complete.
    pub(crate) fn settle(
        &mut self,
        world: &World,
        scenario: &Scenario,
        policy: &Policy,
        looper: &dyn Loop,
        sts_fails: bool,
    ) -> Settled {
        let mut facts = self.facts(world, scenario, sts_fails);
        not_asked(&mut facts, policy);
        self.conduct.looked(self.full, scenario);
        self.go_on(looper, scenario, policy, self.unpack(), Some(facts))
    }

    /// What came of the step that was sent. `told` is in the world's numbers already.
    pub(crate) fn told(
        &mut self,
        world: &World,
        scenario: &Scenario,
        policy: &Policy,
        looper: &dyn Loop,
        told: Told,
    ) -> Settled {
        let Some(step) = step(self.act) else {
            return Settled::On;
        };
        let mut run = self.unpack();
        self.conduct.told(self.act, &told, run.torn, scenario);
        looper.told(&mut run, step, told);
        let done = matches!(told, Told::Done | Told::Created(_));
        self.unhurt &= done || !self.denied;
        let facts = (done && folds(self.act)).then(|| {
            self.fold(world, told, scenario);
            self.full = false;
            let mut facts = self.facts(world, scenario, false);
            not_asked(&mut facts, policy);
            facts
        });
        self.go_on(looper, scenario, policy, run, facts)
    }

    /// A look showed nothing.
    pub(crate) fn unseen(
        &mut self,
        scenario: &Scenario,
        policy: &Policy,
        looper: &dyn Loop,
        unseen: Unseen,
    ) -> Settled {
        let mut run = self.unpack();
        self.conduct.unseen(&unseen, run.torn, self.short, scenario);
        looper.unseen(&mut run, unseen);
        self.go_on(looper, scenario, policy, run, None)
    }

    /// The request that the decided step sends. `None` for a proof, and for a change of signer.
    pub(crate) fn request(&self, world: &World, scenario: &Scenario) -> Option<Request> {
        let on = |what, target, key, prev, at| Request {
            what,
            target,
            key,
            prev,
            at,
            sent: 0,
            disagreed: disagree(world, scenario.hidden.len()),
            found_inactive: self.inactive_at_start & bit(key) != 0,
            own: key != NONE && key == self.created,
            newer: what == What::WriteSecret
                && key == self.created
                && self.listed_before & bit(world.pairs[usize::from(target)].secret.value) != 0,
        };
        Some(match self.act {
            Act::Journal => on(What::Journal, 0, NONE, NONE, self.clock),
            Act::CloseIntent => on(What::CloseIntent, 0, NONE, NONE, 0),
            Act::Create => on(What::Create, 0, NONE, NONE, 0),
            Act::WriteSecret(target, key) => on(What::WriteSecret, target, key, NONE, 0),
            Act::WriteId(target, key, prev) => on(What::WriteId, target, key, prev, 0),
            Act::Deactivate(key) => on(What::Deactivate, 0, key, NONE, 0),
            Act::Delete(key) => on(What::Delete, 0, key, NONE, 0),
            Act::Undo(key) => on(What::Undo, 0, key, NONE, 0),
            Act::None | Act::Verify(_) | Act::SwitchSigner(_) => return None,
        })
    }

    /// Whether the request goes to AWS, which a dead signer can't.
    pub(crate) fn asks_aws(&self) -> bool {
        match self.act {
            Act::Create | Act::Verify(_) | Act::Deactivate(_) | Act::Delete(_) | Act::Undo(_) => true,
            Act::None
            | Act::Journal
            | Act::CloseIntent
            | Act::WriteSecret(..)
            | Act::WriteId(..)
            | Act::SwitchSigner(_) => false,
        }
    }

    /// Signs with the new key from here on.
    pub(crate) fn switched(&mut self) {
        if let Act::SwitchSigner(key) = self.act {
            self.auth = key;
        }
    }

    /// The answer of a request that was done is an observation.
    fn fold(&mut self, world: &World, told: Told, scenario: &Scenario) {
        match self.act {
            Act::Journal => {
                self.own_intent = scenario.denials;
                self.saw_intent = self.clock;
                let announced = (0..KEYS)
                    .map(small)
                    .filter(|key| !world.is(*key, FREE) && within(self.clock, world.key(*key).age, scenario));
                self.saw_announced = announced.map(bit).fold(0, |all, one| all | one);
                self.saw_own = scenario.denials;
            }
            Act::CloseIntent => {
                self.own_intent = false;
                (self.saw_intent, self.saw_announced, self.saw_own) = (NONE, 0, false);
            }
            Act::Create => {
                let created = match told {
                    Told::Created(key) => bit(number(key)),
                    _ => 0,
                };
                self.listed |= created;
                self.listed_active |= created;
                if within(self.saw_intent, 0, scenario) {
                    self.saw_announced |= created;
                }
            }
            Act::WriteSecret(target, key) => {
                self.seen[usize::from(target)].secret = Variable {
                    value: key,
                    marker: key,
                    prev: NONE,
                    at: 0,
                };
                self.clock = 0;
            }
            Act::WriteId(target, key, prev) => {
                self.seen[usize::from(target)].id = Variable {
                    value: key,
                    marker: key,
                    prev,
                    at: 0,
                };
                self.clock = 0;
            }
            Act::None
            | Act::Verify(_)
            | Act::SwitchSigner(_)
            | Act::Deactivate(_)
            | Act::Delete(_)
            | Act::Undo(_) => {}
        }
    }

    /// In truth: its intent stands, it knows that no key came of it, and nothing kept it from closing it.
    pub(crate) fn knows_void_intent(&self) -> bool {
        let appeared = self.listed & !self.listed_before != 0;
        self.denied && self.own_intent && self.unhurt && !appeared
    }

    /// Whether a secret this run was told to write is one it has.
    pub(crate) fn holds(&self, key: u8) -> bool {
        self.in_hand & bit(key) != 0
    }

    /// Whether the last look found this key's secret in a target.
    pub(crate) fn saw_held(&self, key: u8) -> bool {
        self.seen.iter().any(|seen| seen.secret.value == key)
    }

    pub(crate) fn masks(&self) -> u8 {
        self.in_hand
            | self.verified
            | self.listed_before
            | self.inactive_at_start
            | self.gone
            | self.listed
            | self.saw_announced
    }

    pub(crate) fn rename_masks(&mut self, map: &[u8; KEYS]) {
        for mask in [
            &mut self.in_hand,
            &mut self.verified,
            &mut self.listed_before,
            &mut self.inactive_at_start,
            &mut self.gone,
            &mut self.saw_announced,
            &mut self.listed,
            &mut self.listed_active,
        ] {
            *mask = renamed(*mask, map);
        }
        let old = self.saw_used;
        self.saw_used = [NEVER; KEYS];
        for (at, used) in old.iter().enumerate() {
            if let Some(slot) = self.saw_used.get_mut(usize::from(map[at])) {
                *slot = *used;
            }
        }
    }

    pub(crate) fn for_each_name(&mut self, each: &mut impl FnMut(&mut u8)) {
        for name in [&mut self.auth, &mut self.signer, &mut self.created] {
            each(name);
        }
        let conduct = self.conduct.act();
        for act in [&mut self.act, &mut self.proposed, &mut self.refused_act, conduct]
            .into_iter()
            .chain(self.unclear.iter_mut())
        {
            match act {
                Act::None | Act::Journal | Act::CloseIntent | Act::Create => {}
                Act::Verify(key)
                | Act::WriteSecret(_, key)
                | Act::SwitchSigner(key)
                | Act::Deactivate(key)
                | Act::Delete(key)
                | Act::Undo(key) => each(key),
                Act::WriteId(_, key, prev) => {
                    each(key);
                    each(prev);
                }
            }
        }
        for seen in &mut self.seen {
            for variable in [&mut seen.id, &mut seen.secret] {
                each(&mut variable.value);
                each(&mut variable.marker);
                each(&mut variable.prev);
            }
        }
    }
}

/// Steps whose answer the program folds into what it knows.
fn folds(act: Act) -> bool {
    match act {
        Act::Journal | Act::CloseIntent | Act::Create | Act::WriteSecret(..) | Act::WriteId(..) => true,
        Act::None
        | Act::Verify(_)
        | Act::SwitchSigner(_)
        | Act::Deactivate(_)
        | Act::Delete(_)
        | Act::Undo(_) => false,
    }
}

/// Whether both are one value. The order in which keys came to be known makes no difference, and neither does the moment.
fn same(packed: &Reconciler, whole: &Reconciler) -> bool {
    let sorted = |reconciler: &Reconciler| {
        let mut reconciler = reconciler.clone();
        let run = &mut reconciler.run;
        for keys in [
            &mut run.in_hand,
            &mut run.verified,
            &mut run.listed_before,
            &mut run.inactive_at_start,
            &mut run.gone,
        ] {
            keys.sort();
            keys.dedup();
        }
        (run.stopping, run.time_left) = (false, TimeLeft::Ample);
        reconciler.due = Due::Decision;
        reconciler
    };
    sorted(packed) == sorted(whole)
}

/// What a look begins with.
fn begins(list_first: bool) -> Phase {
    if list_first { Phase::List } else { Phase::Read(0) }
}

/// Whether two targets hold secrets of different Active keys.
fn disagree(world: &World, targets: usize) -> bool {
    let owner = |at: usize| world.pairs[at].secret.value;
    targets > 1 && owner(0) != owner(1) && world.is(owner(0), ACTIVE) && world.is(owner(1), ACTIVE)
}

fn ago(ticks: u64) -> Timestamp {
    Timestamp(NOW.0.saturating_sub_unsigned(ticks * TICK))
}

/// The id of a key. Ids of newer keys sort after those of older ones, which decides between keys of the same second.
pub(crate) fn id(key: u8) -> KeyId {
    const IDS: [&str; KEYS] = [
        "AKIA000000000001",
        "AKIA000000000002",
        "AKIA000000000003",
        "AKIA000000000004",
        "AKIA000000000005",
        "AKIA000000000006",
        "AKIA000000000007",
        "AKIA000000000008",
    ];
    let text = IDS.get(usize::from(key)).copied().unwrap_or("AKIA00000000000X");
    KeyId::parse(text).unwrap_or_else(|| unreachable!())
}

fn named(key: u8) -> Option<KeyId> {
    (usize::from(key) < KEYS).then(|| id(key))
}

fn number(key: KeyId) -> u8 {
    (0..KEYS).map(small).find(|at| id(*at) == key).unwrap_or(NONE)
}

fn marker(variable: &Variable) -> Option<Marker> {
    let key = named(variable.marker).or((variable.marker == JUNK).then(|| id(JUNK)))?;
    Some(Marker {
        key,
        at: ago(u64::from(variable.at)),
        prev: named(variable.prev),
    })
}

pub(crate) fn act(step: &Step) -> Act {
    let place = |target: &usize| small(*target);
    match step {
        Step::Journal => Act::Journal,
        Step::CloseIntent => Act::CloseIntent,
        Step::Create => Act::Create,
        Step::Verify { key } => Act::Verify(number(*key)),
        Step::WriteSecret { target, key } => Act::WriteSecret(place(target), number(*key)),
        Step::WriteId { target, key, prev } => {
            Act::WriteId(place(target), number(*key), prev.map_or(NONE, number))
        }
        Step::SwitchSigner { key } => Act::SwitchSigner(number(*key)),
        Step::Deactivate { key } => Act::Deactivate(number(*key)),
        Step::Delete { key } => Act::Delete(number(*key)),
        Step::Undo { key } => Act::Undo(number(*key)),
    }
}

fn step(act: Act) -> Option<Step> {
    Some(match act {
        Act::None => return None,
        Act::Journal => Step::Journal,
        Act::CloseIntent => Step::CloseIntent,
        Act::Create => Step::Create,
        Act::Verify(key) => Step::Verify { key: id(key) },
        Act::WriteSecret(target, key) => Step::WriteSecret {
            target: target.into(),
            key: id(key),
        },
        Act::WriteId(target, key, prev) => Step::WriteId {
            target: target.into(),
            key: id(key),
            prev: named(prev),
        },
        Act::SwitchSigner(key) => Step::SwitchSigner { key: id(key) },
        Act::Deactivate(key) => Step::Deactivate { key: id(key) },
        Act::Delete(key) => Step::Delete { key: id(key) },
        Act::Undo(key) => Step::Undo { key: id(key) },
    })
}

/// Jobs end before a grace does.
const _: () = assert!(JOB >= RUN);

/// Last uses that the program does not ask for.
fn not_asked(facts: &mut Facts, policy: &Policy) {
    let Facts { keys, targets, .. } = facts;
    for key in keys {
        if !planner::last_use_matters(targets, policy, key.id) {
            key.last_used = LastUsed::Unknown;
        }
    }
}
