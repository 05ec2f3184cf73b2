//! The search: every order of events, breadth first, so that what it finds broken it finds by a shortest way.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use planner::{Cause, End, Policy, Told, Unseen};

use super::invariants::{self, Broken};
use super::process::{Act, Loop, Phase, Planner, Process, Settled, Shipped, id};
use super::scenario::{JOB, Scenario, Signer, Start};
use super::world::*;

/// What an exploration may see; an exploration that misses what it must see proves nothing.
pub(crate) mod seen {
    pub(crate) const ROTATED: u32 = 1;
    pub(crate) const TORN: u32 = 1 << 1;
    pub(crate) const RETIRED: u32 = 1 << 2;
    pub(crate) const REAPED: u32 = 1 << 3;
    pub(crate) const ROLLED_BACK: u32 = 1 << 4;
    pub(crate) const TWO_CREATORS: u32 = 1 << 5;
    pub(crate) const UNDONE: u32 = 1 << 6;
    pub(crate) const LANDED_LATE: u32 = 1 << 7;
    pub(crate) const MENDED: u32 = 1 << 8;
    pub(crate) const SWITCHED: u32 = 1 << 9;
    pub(crate) const NO_CREDENTIAL: u32 = 1 << 10;
    pub(crate) const THREE_KEYS: u32 = 1 << 11;
    pub(crate) const LIED: u32 = 1 << 12;
    pub(crate) const DENIED: u32 = 1 << 13;
    pub(crate) const CLOSED: u32 = 1 << 14;
    pub(crate) const NAMES: [&str; 15] = [
        "a rotation completed",
        "torn with no live run",
        "an outgoing key deleted",
        "an orphan reaped",
        "rolled back",
        "two creators",
        "an own key undone",
        "a request landed after its run died",
        "a torn pair mended",
        "the signer switched",
        "a run without a credential",
        "three keys",
        "a refusal of a write that took effect",
        "a key refused for want of a right",
        "an intent closed",
    ];
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Done,
    AnswerLost,
    NeverArrives,
    StaysInFlight,
    Refused,
    RefusedAfterEffect,
    Denied,
}

/// What a person replaces by hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Half {
    Both,
    Id,
    Secret,
}

/// An event.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Tick,
    Start { auth: u8 },
    Read { target: u8, unread: bool },
    List { lagging: u8, sts_fails: bool },
    Send { act: Act, outcome: Outcome },
    Crash,
    Lands(Request),
    Used(u8),
    LookFails,
    AskedToStop,
    SomebodyCreates,
    SomebodyEdits { target: u8, key: u8, half: Half },
}

/// Where an event leads.
pub(crate) struct Next {
    pub(crate) event: Event,
    /// Which of the overlapping runs.
    pub(crate) run: u8,
    pub(crate) world: World,
    pub(crate) broken: Option<Broken>,
    pub(crate) seen: u32,
}

/// A checker for one scenario and one planner.
pub(crate) struct Search<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) looper: Box<dyn Loop + 'a>,
    pub(crate) policy: Policy,
}

/// What an exploration found.
pub(crate) struct Report {
    pub(crate) states: usize,
    pub(crate) edges: usize,
    pub(crate) depth: usize,
    pub(crate) cut: usize,
    pub(crate) truncated: bool,
    pub(crate) seen: u32,
    pub(crate) quiescent: usize,
    /// The most runs that a way back took.
    pub(crate) longest: u8,
    /// Reasons to stop for ever, with how many quiescent states end there.
    pub(crate) leftovers: Vec<(&'static str, usize)>,
    pub(crate) broken: Option<(Broken, usize, String)>,
}

impl Report {
    /// The figures on one line, what was seen on another.
    pub(crate) fn figures(&self, scenario: &Scenario) -> String {
        let names: Vec<&str> = (0..seen::NAMES.len())
            .filter(|at| self.seen & (1 << at) != 0)
            .map(|at| seen::NAMES[at])
            .collect();
        let bound = match scenario.faults {
            None => "any number of faults".to_owned(),
            Some(count) => format!("faults <= {count}"),
        };
        let left: String = self
            .leftovers
            .iter()
            .map(|(word, count)| format!("; {count} quiescent states end in {word}"))
            .collect();
        let cut = match self.cut {
            0 => String::new(),
            count => format!("; LEFT OUT {count} creations of a ninth key that something still names"),
        };
        format!(
            "{}: {} states, {} transitions, depth {}, {bound}, in flight <= {}{}; {} quiescent states, back in {} runs at most{left}{cut}\n    seen: {}",
            scenario.name,
            self.states,
            self.edges,
            self.depth,
            scenario.in_flight,
            if self.truncated { ", CUT SHORT" } else { "" },
            self.quiescent,
            self.longest,
            names.join(", "),
        )
    }
}

impl<'a> Search<'a> {
    pub(crate) fn new(scenario: &'a Scenario, planner: Planner<'a>) -> Search<'a> {
        Search::driven_by(scenario, Box::new(Shipped(planner)))
    }

    /// A checker of another loop than the shipped one.
    pub(crate) fn driven_by(scenario: &'a Scenario, looper: Box<dyn Loop + 'a>) -> Search<'a> {
        Search {
            scenario,
            looper,
            policy: scenario.policy(),
        }
    }

    /// The states that an exploration begins with.
    pub(crate) fn starts(&self) -> Vec<World> {
        let scenario = self.scenario;
        let nothing = World {
            keys: [Key::default(); KEYS],
            pairs: [Pair {
                id: Variable::bare(NONE),
                secret: Variable::bare(NONE),
                anchored: false,
            }; TARGETS],
            intent: NONE,
            void_intent: false,
            flight: [Request::NOTHING; FLIGHT],
            runs: [None; 2],
            faults_left: scenario.faults.unwrap_or(0),
            foreign_left: scenario.foreign,
            edits_left: scenario.edits,
        };
        let old = Key {
            state: ACTIVE,
            was: ACTIVE,
            age: scenario.key_cap(),
            changed: scenario.propagation() + 1,
            captured: JOB + 1,
            published: true,
            proved: true,
            ..Key::default()
        };
        let mut worlds = match scenario.start {
            Start::Empty => vec![nothing],
            Start::Healthy | Start::Young => {
                let mut bare = nothing;
                bare.keys[0] = old;
                if scenario.start == Start::Young {
                    bare.keys[0].age = 0;
                }
                let mut marked = bare;
                for at in 0..scenario.hidden.len() {
                    let variable = Variable {
                        value: 0,
                        marker: 0,
                        prev: NONE,
                        at: scenario.marker_cap(),
                    };
                    bare.pairs[at] = Pair {
                        id: Variable::bare(0),
                        secret: Variable::bare(0),
                        anchored: false,
                    };
                    marked.pairs[at] = Pair {
                        id: variable,
                        secret: variable,
                        anchored: false,
                    };
                }
                match scenario.start {
                    Start::Young => vec![bare],
                    _ => vec![bare, marked],
                }
            }
            Start::TornByHand => {
                let mut torn = nothing;
                (torn.keys[0], torn.keys[1]) = (old, old);
                (torn.pairs[0].id, torn.pairs[0].secret) = (Variable::bare(0), Variable::bare(1));
                vec![torn]
            }
            Start::Anything => self.anything(&nothing, &old),
        };
        for world in &mut worlds {
            world.capture();
        }
        let mut worlds: Vec<World> = worlds
            .into_iter()
            .map(|world| world.canonical(scenario))
            .collect();
        let mut known = HashSet::new();
        worlds.retain(|world| known.insert(*world));
        worlds
    }

    /// Up to two keys in every condition, and every pair of halves with markers that are true, absent, or contradicted
    /// by a later edit of one half or both.
    fn anything(&self, nothing: &World, old: &Key) -> Vec<World> {
        const ID_EDITED: u8 = 3;
        const SECRET_EDITED: u8 = 4;
        const BOTH_EDITED: u8 = 5;
        let scenario = self.scenario;
        let mut keys = vec![Key::default()];
        for state in [ACTIVE, INACTIVE] {
            for age in [0, scenario.key_cap()] {
                for used in [NEVER, USED, USED + 1] {
                    for (announced, foreign) in [(true, false), (false, false), (false, true)] {
                        keys.push(Key {
                            state,
                            was: state,
                            age,
                            used,
                            announced,
                            foreign,
                            ..*old
                        });
                    }
                }
            }
        }
        let halves = [0, 1, JUNK];
        let mut worlds = Vec::new();
        for first in &keys {
            for second in &keys {
                let apart = (first.announced == second.announced) == (first.age == second.age)
                    || !first.announced && !second.announced
                    || second.state == FREE;
                if first.state == FREE && second.state != FREE || first.age < second.age || !apart {
                    continue;
                }
                for (id, secret) in halves.iter().flat_map(|id| halves.map(|secret| (*id, secret))) {
                    for (marks, at) in [
                        (0, 0),
                        (1, 0),
                        (1, scenario.marker_cap()),
                        (2, scenario.marker_cap()),
                        (ID_EDITED, scenario.marker_cap()),
                        (SECRET_EDITED, scenario.marker_cap()),
                        (BOTH_EDITED, scenario.marker_cap()),
                    ] {
                        let mut world = *nothing;
                        (world.keys[0], world.keys[1]) = (*first, *second);
                        let listed = |key: u8| matches!(world.key(key).state, ACTIVE | INACTIVE);
                        if [id, secret].iter().any(|half| *half != JUNK && !listed(*half)) {
                            continue;
                        }
                        // Only a person leaves a hidden secret, unmarked or edited, beside an id that is not its own.
                        if scenario.hidden[0]
                            && (marks != 1 && marks != ID_EDITED && id != secret || marks == SECRET_EDITED)
                        {
                            continue;
                        }
                        let mark = |value: u8| match (marks, value) {
                            (0, _) => Variable::bare(value),
                            (_, JUNK) => Variable {
                                value,
                                marker: NONE,
                                prev: NONE,
                                at: 0,
                            },
                            _ => Variable {
                                value,
                                marker: value,
                                prev: NONE,
                                at,
                            },
                        };
                        let mut pair = Pair {
                            id: mark(id),
                            secret: mark(secret),
                            anchored: false,
                        };
                        if marks == 2 {
                            // Replaced by hand since: both values are new, both markers are not.
                            (pair.id.marker, pair.secret.marker) = (JUNK, JUNK);
                            if id != secret {
                                continue;
                            }
                        }
                        if marks >= ID_EDITED {
                            // The markers are those of the other key, which was here before.
                            if [id, secret].contains(&JUNK) || !listed(1 - id) || !listed(1 - secret) {
                                continue;
                            }
                            if marks != SECRET_EDITED {
                                pair.id.marker = 1 - id;
                            }
                            if marks != ID_EDITED {
                                pair.secret.marker = 1 - secret;
                            }
                        }
                        if marks == 1 && id != JUNK {
                            let other = 1 - id;
                            pair.id.prev = if listed(other) && other != secret {
                                other
                            } else {
                                NONE
                            };
                        }
                        world.pairs[0] = pair;
                        for key in &mut world.keys {
                            // An orphan was in no target, and nobody used it.
                            key.published &= !(key.announced && key.used == NEVER);
                        }
                        for key in [id, secret, pair.id.marker, pair.secret.marker] {
                            if let Some(key) = world.keys.get_mut(usize::from(key)) {
                                (key.foreign, key.published) = (false, true);
                            }
                        }
                        if pair.id.prev != NONE {
                            let key = &mut world.keys[usize::from(pair.id.prev)];
                            (key.foreign, key.published) = (false, true);
                        }
                        worlds.push(world);
                    }
                }
            }
        }
        worlds
    }

    /// Every state, until something is broken.
    pub(crate) fn explore(&self) -> Report {
        let mut report = Report {
            states: 0,
            edges: 0,
            depth: 0,
            cut: 0,
            truncated: false,
            seen: 0,
            quiescent: 0,
            longest: 0,
            leftovers: Vec::new(),
            broken: None,
        };
        let mut known: HashSet<u64, Same> = HashSet::default();
        let mut ways: Vec<(u32, u16)> = Vec::new();
        let mut back = Back::default();
        let mut level: Vec<(u32, World)> = Vec::new();
        for (at, world) in self.starts().into_iter().enumerate() {
            known.insert(fingerprint(&world));
            level.push((u32::try_from(ways.len()).unwrap_or(u32::MAX), world));
            ways.push((u32::MAX, u16::try_from(at).unwrap_or(u16::MAX)));
        }
        for (at, world) in &level {
            if let Some(broken) = invariants::state(world).or_else(|| self.returns(world, &mut back)) {
                report.broken = Some((broken, 0, self.trace(&ways, *at, None)));
                return report;
            }
        }
        while !level.is_empty() && report.broken.is_none() {
            report.depth += 1;
            let mut following = Vec::new();
            'level: for (from, world) in &level {
                let mut nexts = Vec::new();
                report.cut += self.successors(world, &mut nexts);
                for (choice, next) in nexts.into_iter().enumerate() {
                    report.edges += 1;
                    report.seen |= next.seen;
                    let choice = u16::try_from(choice).unwrap_or(u16::MAX);
                    if let Some(broken) = next.broken {
                        let trace = self.trace(&ways, *from, Some(choice));
                        report.broken = Some((broken, report.depth, trace));
                        break 'level;
                    }
                    if !known.insert(fingerprint(&next.world)) {
                        continue;
                    }
                    let at = u32::try_from(ways.len()).unwrap_or(u32::MAX);
                    ways.push((*from, choice));
                    report.seen |= glimpse(&next.world, self.scenario);
                    if next.world.quiescent() {
                        report.quiescent += 1;
                        if let Some(broken) = self.returns(&next.world, &mut back) {
                            let mut trace = self.trace(&ways, at, None);
                            trace.push_str(&back.story);
                            report.broken = Some((broken, report.depth, trace));
                            break 'level;
                        }
                    }
                    following.push((at, next.world));
                }
            }
            level = following;
            if ways.len() > self.scenario.most_states {
                report.truncated = true;
                break;
            }
        }
        report.states = ways.len();
        report.longest = back.longest;
        report.leftovers = back.leftovers;
        report
    }

    /// Everything that can happen next. Returns how much was left out for want of room.
    pub(crate) fn successors(&self, world: &World, out: &mut Vec<Next>) -> usize {
        let scenario = self.scenario;
        let mut cut = 0;
        let mut tick = *world;
        tick.tick(scenario);
        self.push(out, Event::Tick, 0, tick, None, 0);
        if let Some(free) = (0..scenario.runs).find(|slot| world.runs[*slot].is_none()) {
            match Process::start(world, scenario) {
                None => self.push(
                    out,
                    Event::Start { auth: NONE },
                    0,
                    *world,
                    None,
                    seen::NO_CREDENTIAL,
                ),
                Some(process) => {
                    let mut next = *world;
                    next.runs[free] = Some(process);
                    self.push(
                        out,
                        Event::Start { auth: process.auth },
                        small(free),
                        next,
                        None,
                        0,
                    );
                }
            }
        }
        for slot in 0..scenario.runs {
            if let Some(process) = world.runs[slot] {
                let mut next = *world;
                next.runs[slot] = None;
                self.push(out, Event::Crash, small(slot), next, None, 0);
                cut += self.turn(world, slot, process, out);
            }
        }
        for at in 0..FLIGHT {
            let request = world.flight[at];
            if request.what != What::Nothing && (at == 0 || world.flight[at - 1] != request) {
                let mut next = *world;
                next.flight[at] = Request::NOTHING;
                if request.what == What::Create && !self.quota_admits(&next) {
                    continue;
                }
                cut += self.effect(out, Event::Lands(request), 0, &next, &request, None);
            }
        }
        self.people(world, out);
        cut
    }

    fn push(
        &self,
        out: &mut Vec<Next>,
        event: Event,
        run: u8,
        world: World,
        broken: Option<Broken>,
        seen: u32,
    ) {
        let broken = broken.or_else(|| invariants::state(&world));
        let mut world = world.canonical(self.scenario);
        if world.quiescent() && well(&world, self.scenario) {
            world.faults_left = self.scenario.faults.unwrap_or(0);
        }
        out.push(Next {
            event,
            run,
            world,
            broken,
            seen,
        });
    }

    /// What one run can do next.
    fn turn(&self, world: &World, slot: usize, process: Process, out: &mut Vec<Next>) -> usize {
        let scenario = self.scenario;
        let run = small(slot);
        if scenario.stops && !process.stopping {
            let (mut next, mut asked) = (*world, process);
            asked.stopping = true;
            next.runs[slot] = Some(asked);
            self.push(out, Event::AskedToStop, run, next, None, 0);
        }
        if scenario.looks_fail && process.phase != Phase::Send && self.affords(world) {
            let (mut next, mut blind) = (*world, process);
            self.pay(&mut next);
            let failed = Unseen::Failed(Cause::Passing);
            let settled = blind.unseen(scenario, &self.policy, &*self.looper, failed);
            let broken = self.after(&mut next, slot, blind, settled);
            self.push(out, Event::LookFails, run, next, broken, 0);
        }
        match process.phase {
            Phase::Read(target) => {
                for unread in [false, true] {
                    if unread && !(scenario.unread && self.affords(world)) {
                        continue;
                    }
                    let mut next = *world;
                    let mut process = process;
                    process.read(world, scenario, target, unread);
                    next.runs[slot] = Some(process);
                    if unread {
                        self.pay(&mut next);
                    }
                    let broken = if process.phase == Phase::Decide {
                        self.settle(&mut next, slot, process, false)
                    } else {
                        None
                    };
                    self.push(out, Event::Read { target, unread }, run, next, broken, 0);
                }
            }
            Phase::List => {
                // A dead signer can list nothing.
                if process.auth != NONE && !world.is(process.auth, ACTIVE) {
                    let (mut next, mut blind) = (*world, process);
                    let refused = Unseen::SignerRefused;
                    let settled = blind.unseen(scenario, &self.policy, &*self.looper, refused);
                    let broken = self.after(&mut next, slot, blind, settled);
                    self.push(out, Event::LookFails, run, next, broken, 0);
                    return 0;
                }
                let may_lag = Process::may_lag(world, scenario);
                let mut lagging = may_lag;
                loop {
                    for sts_fails in [false, true] {
                        if sts_fails
                            && !(scenario.sts_fails && process.asks_sts(scenario) && self.affords(world))
                        {
                            continue;
                        }
                        let mut next = *world;
                        if sts_fails {
                            self.pay(&mut next);
                        }
                        let mut process = process;
                        process.list(world, lagging);
                        let broken = if process.phase == Phase::List {
                            self.settle(&mut next, slot, process, sts_fails)
                        } else {
                            next.runs[slot] = Some(process);
                            None
                        };
                        self.push(out, Event::List { lagging, sts_fails }, run, next, broken, 0);
                    }
                    if lagging == 0 {
                        break;
                    }
                    lagging = (lagging - 1) & may_lag;
                }
            }
            // Reading it last decides at once.
            Phase::Decide => {}
            Phase::Send => return self.send(world, slot, process, out),
        }
        0
    }

    /// The run decides from what it read; an end removes it.
    fn settle(
        &self,
        world: &mut World,
        slot: usize,
        mut process: Process,
        sts_fails: bool,
    ) -> Option<Broken> {
        let truth = *world;
        let settled = process.settle(&truth, self.scenario, &self.policy, &*self.looper, sts_fails);
        self.after(world, slot, process, settled)
    }

    /// A run goes on, or ends and is gone; what it decided is judged by the truth.
    fn after(&self, world: &mut World, slot: usize, process: Process, settled: Settled) -> Option<Broken> {
        let truth = *world;
        let broken = invariants::conduct(&process);
        match settled {
            Settled::Ended(end) => {
                world.runs[slot] = None;
                world.void_intent |= process.knows_void_intent();
                broken.or_else(|| invariants::ending(&truth, &process, &end))
            }
            Settled::On => {
                world.runs[slot] = Some(process);
                let sends = process.phase == Phase::Send;
                broken.or_else(|| {
                    sends
                        .then(|| invariants::decision(&truth, &process, self.scenario))
                        .flatten()
                })
            }
        }
    }

    /// The run whose step was answered so goes on.
    fn answered(&self, world: &mut World, slot: usize, mut process: Process, told: Told) -> Option<Broken> {
        let truth = *world;
        let settled = process.told(&truth, self.scenario, &self.policy, &*self.looper, told);
        self.after(world, slot, process, settled)
    }

    fn send(&self, world: &World, slot: usize, mut process: Process, out: &mut Vec<Next>) -> usize {
        let scenario = self.scenario;
        let run = small(slot);
        let act = process.act;
        let mut cut = 0;
        process.asked_for_key |= act == Act::Create;
        let event = |outcome| Event::Send { act, outcome };
        let signs = process.auth == NONE || world.is(process.auth, ACTIVE);
        let Some(request) = process.request(world, scenario) else {
            if let Act::Verify(key) = act {
                let works = world.is(key, ACTIVE);
                let fresh = scenario.lag && world.key(key).age <= scenario.propagation();
                for proved in [true, false] {
                    let fault = !proved && works;
                    if proved && !works || fault && !(fresh && scenario.sts_fails && self.affords(world)) {
                        continue;
                    }
                    let mut next = *world;
                    if fault {
                        self.pay(&mut next);
                    }
                    if proved {
                        let key = &mut next.keys[usize::from(key)];
                        key.proved = true;
                        if key.used == NEVER {
                            key.used = PROVED;
                        }
                    }
                    let told = if proved { Told::Done } else { Told::NotProved };
                    let broken = self.answered(&mut next, slot, process, told);
                    let outcome = if proved { Outcome::Done } else { Outcome::Refused };
                    self.push(out, event(outcome), run, next, broken, 0);
                }
                return 0;
            }
            let mut next = *world;
            process.switched();
            let broken = self.answered(&mut next, slot, process, Told::Done);
            self.push(out, event(Outcome::Done), run, next, broken, seen::SWITCHED);
            return 0;
        };
        // The world with this run in it: what takes effect is told to it as it is then.
        let mut asking = *world;
        asking.runs[slot] = Some(process);
        let possible = (signs || !process.asks_aws()) && (act != Act::Create || self.quota_admits(world));
        if possible {
            let done = |key| match act {
                Act::Create => Told::Created(id(key)),
                _ => Told::Done,
            };
            cut += self.effect(out, event(Outcome::Done), run, &asking, &request, Some(&done));
        }
        if !self.affords(world) && possible {
            return cut;
        }
        let mut paid = asking;
        if possible {
            self.pay(&mut paid);
        }
        let completes = scenario.conduct && matches!(act, Act::WriteId(..));
        let cause = if completes { Cause::Passing } else { Cause::Lasting };
        let tell = |mut world: World, outcome: Outcome, told: Told, seen: u32, out: &mut Vec<Next>| {
            let broken = self.answered(&mut world, slot, process, told);
            self.push(out, event(outcome), run, world, broken, seen);
            world
        };
        tell(paid, Outcome::Refused, Told::Refused(cause), 0, out);
        if !possible {
            return cut;
        }
        if scenario.denials && act == Act::Create {
            tell(paid, Outcome::Denied, Told::Denied, seen::DENIED, out);
        }
        if scenario.lies && matches!(act, Act::WriteSecret(..) | Act::WriteId(..)) {
            let refused = |_| Told::Refused(Cause::Lasting);
            cut += self.effect(
                out,
                event(Outcome::RefusedAfterEffect),
                run,
                &paid,
                &request,
                Some(&refused),
            );
        }
        let unknown = Told::Unknown(Cause::Passing);
        tell(paid, Outcome::NeverArrives, unknown, 0, out);
        let lost = |_| unknown;
        cut += self.effect(out, event(Outcome::AnswerLost), run, &paid, &request, Some(&lost));
        let flying = paid.flight.iter().take(scenario.in_flight);
        if let Some(free) = flying.into_iter().position(|flying| flying.what == What::Nothing) {
            let mut late = paid;
            late.flight[free] = request;
            tell(late, Outcome::StaysInFlight, unknown, 0, out);
        }
        cut
    }

    /// A request takes effect; then its sender goes on.
    fn effect(
        &self,
        out: &mut Vec<Next>,
        event: Event,
        run: u8,
        before: &World,
        request: &Request,
        told: Option<&dyn Fn(u8) -> Told>,
    ) -> usize {
        let scenario = self.scenario;
        let mut next = *before;
        let key = next.apply(request, scenario);
        if request.what == What::Create && key == NONE {
            return 1;
        }
        if request.what == What::Journal
            && told.is_some()
            && let Some(sender) = &mut next.runs[usize::from(run)]
        {
            sender.own_intent = scenario.denials;
        }
        let lied = Outcome::RefusedAfterEffect;
        let mut seen = match event {
            Event::Send { outcome, .. } if outcome == lied => seen::LIED,
            _ => 0,
        };
        match request.what {
            What::Undo => seen |= seen::UNDONE,
            What::CloseIntent => seen |= seen::CLOSED,
            What::Delete if before.key(request.key).published => seen |= seen::RETIRED,
            What::Delete => seen |= seen::REAPED,
            What::WriteSecret
                if request.disagreed
                    && request.key < before.pairs[usize::from(request.target)].secret.value =>
            {
                seen |= seen::ROLLED_BACK;
            }
            What::WriteId => {
                let held = before.pairs[usize::from(request.target)].secret.value;
                let own = before.runs.iter().flatten().any(|run| run.created == held);
                if held == request.key && !own && before.pairs[usize::from(request.target)].id.value != held {
                    seen |= seen::MENDED;
                }
            }
            What::Nothing | What::Journal | What::Create | What::Deactivate | What::WriteSecret => {}
        }
        if matches!(event, Event::Lands(_)) && before.idle() {
            seen |= seen::LANDED_LATE;
        }
        let broken = invariants::effect(before, &next, request, scenario);
        // Two keys of one second are ordered by their ids: the newcomer may be either.
        let mut orders = vec![(next, key)];
        if scenario.ties
            && request.what == What::Create
            && key > 0
            && next.keys[usize::from(key) - 1].age == 0
        {
            let other = key - 1;
            if next.keys[usize::from(other)].state != FREE {
                let mut swapped = next;
                swapped.swap(other, key);
                orders.push((swapped, other));
            }
        }
        for (mut next, key) in orders {
            let sender = next.runs[usize::from(run)].filter(|_| told.is_some());
            let after = sender
                .zip(told)
                .and_then(|(sender, told)| self.answered(&mut next, usize::from(run), sender, told(key)));
            let broken = broken.clone().or(after);
            self.push(out, event, run, next, broken, seen);
        }
        0
    }

    /// IAM's quota counts Active and Inactive keys, but may not yet count a key of this very moment.
    fn quota_admits(&self, world: &World) -> bool {
        let count = world.existing().count();
        let race = self.scenario.quota_race && world.existing().any(|key| world.key(key).age == 0);
        count < 2 || race && count < 3
    }

    fn affords(&self, world: &World) -> bool {
        self.scenario.faults.is_none() || world.faults_left > 0
    }

    fn pay(&self, world: &mut World) {
        world.faults_left = world.faults_left.saturating_sub(1);
    }

    /// Jobs that use keys, people who create keys and edit pairs.
    fn people(&self, world: &World, out: &mut Vec<Next>) {
        let scenario = self.scenario;
        if scenario.uses {
            for key in world.existing() {
                let held = world.key(key);
                if held.state == ACTIVE && held.used != USED && (held.captured <= JOB || held.foreign) {
                    let mut next = *world;
                    next.keys[usize::from(key)].used = USED;
                    self.push(out, Event::Used(key), 0, next, None, 0);
                }
            }
        }
        if world.foreign_left > 0 && world.existing().count() < 2 {
            let mut next = *world;
            if let Some(key) = next.create(scenario) {
                let key = &mut next.keys[usize::from(key)];
                (key.foreign, key.proved) = (true, true);
                next.foreign_left -= 1;
                self.push(out, Event::SomebodyCreates, 0, next, None, 0);
            }
        }
        if world.edits_left > 0 && world.quiescent() {
            for key in world
                .existing()
                .filter(|key| world.key(*key).foreign && world.is(*key, ACTIVE))
            {
                for (target, hidden) in scenario.hidden.iter().enumerate() {
                    // Who changes a hidden secret alone is not noticed.
                    let halves: &[Half] = match (scenario.half_edits, hidden) {
                        (false, _) => &[Half::Both],
                        (true, true) => &[Half::Both, Half::Id],
                        (true, false) => &[Half::Both, Half::Id, Half::Secret],
                    };
                    for half in halves {
                        let mut next = *world;
                        next.edits_left -= 1;
                        if *half != Half::Secret {
                            next.pairs[target].id.value = key;
                        }
                        if *half != Half::Id {
                            next.pairs[target].secret.value = key;
                        }
                        let held = &mut next.keys[usize::from(key)];
                        (held.foreign, held.published) = (false, true);
                        next.capture();
                        let event = Event::SomebodyEdits {
                            target: small(target),
                            key,
                            half: *half,
                        };
                        self.push(out, event, 0, next, None, 0);
                    }
                }
            }
        }
    }

    /// From a quiescent state, runs without faults lead back to one Active key in every target, or to a named block.
    fn returns(&self, world: &World, back: &mut Back) -> Option<Broken> {
        const MOST_RUNS: u8 = 15;
        if self.scenario.safety_only {
            return None;
        }
        let mut path = Vec::new();
        let mut world = *world;
        back.story.clear();
        let end = loop {
            let print = fingerprint(&world);
            if let Some(end) = back.known.get(&print) {
                break end.clone();
            }
            if path.len() > usize::from(MOST_RUNS) {
                return Some(("I11", format!("no way back in {MOST_RUNS} runs: {}", back.story)));
            }
            path.push(print);
            let (after, end, good, _) = self.without_faults(&world);
            let word = end.as_ref().map_or("no_credential", End::word);
            let _ = write!(
                back.story,
                "\n    then a run without faults: {word}; {}",
                describe(&after)
            );
            if end.is_some_and(|end| end.is_converged()) {
                let (_, _, _, writes) = self.without_faults(&after);
                if writes > 0 {
                    return Some(("I12", "a run after a converged one writes".to_owned()));
                }
            }
            if good {
                break Way::Good(0);
            }
            let mut later = after;
            for _ in 0..=self.scenario.marker_cap() {
                later.tick(self.scenario);
            }
            let later = later.canonical(self.scenario);
            if fingerprint(&later) == print {
                let left = end.map_or(Some("no_credential"), |end| end.blocked());
                let Some(word) = left else {
                    return Some(("I11", format!("it stays as it is for ever: {}", back.story)));
                };
                break Way::Left(word);
            }
            world = later;
        };
        let mut end = end;
        for print in path.into_iter().rev() {
            if let Way::Good(runs) = &mut end {
                *runs += 1;
                back.longest = back.longest.max(*runs);
            }
            if let Way::Left(word) = end {
                match back.leftovers.iter_mut().find(|(known, _)| *known == word) {
                    Some((_, count)) => *count += 1,
                    None => back.leftovers.push((word, 1)),
                }
            }
            back.known.insert(print, end.clone());
        }
        match end {
            Way::Good(runs) if runs > MOST_RUNS => Some(("I11", format!("the way back takes {runs} runs"))),
            Way::Left(word) if !self.scenario.leftovers.contains(&word) => {
                Some(("I11", format!("blocked for ever: {word}")))
            }
            Way::Good(_) | Way::Left(_) => None,
        }
    }

    /// One run to which nothing happens: the world after it, how it ended, whether all was well at some instant, and
    /// how many requests changed something.
    pub(crate) fn without_faults(&self, world: &World) -> (World, Option<End>, bool, usize) {
        let scenario = self.scenario;
        let (policy, looper) = (&self.policy, &*self.looper);
        let mut world = *world;
        let mut good = well(&world, scenario);
        let mut writes = 0;
        let Some(mut process) = Process::start(&world, scenario) else {
            return (world, None, good, 0);
        };
        for _ in 0..200 {
            let settled = match process.phase {
                Phase::Read(target) => {
                    process.read(&world, scenario, target, false);
                    Settled::On
                }
                Phase::List if process.auth != NONE && !world.is(process.auth, ACTIVE) => {
                    process.unseen(scenario, policy, looper, Unseen::SignerRefused)
                }
                Phase::List if scenario.list_first => {
                    process.list(&world, 0);
                    Settled::On
                }
                Phase::List | Phase::Decide => {
                    if !scenario.list_first {
                        process.list(&world, 0);
                    }
                    process.settle(&world, scenario, policy, looper, false)
                }
                Phase::Send => match process.request(&world, scenario) {
                    None => {
                        let mut told = Told::Done;
                        if let Act::Verify(key) = process.act {
                            let works = world.is(key, ACTIVE);
                            if let Some(key) = world.keys.get_mut(usize::from(key)) {
                                key.proved |= works;
                            }
                            if !works {
                                told = Told::NotProved;
                            }
                        }
                        process.switched();
                        process.told(&world, scenario, policy, looper, told)
                    }
                    Some(request) => {
                        writes += 1;
                        if request.what == What::Create && !self.quota_admits(&world) {
                            let refused = Told::Refused(Cause::Lasting);
                            process.told(&world, scenario, policy, looper, refused)
                        } else {
                            let key = world.apply(&request, scenario);
                            good |= well(&world, scenario);
                            let created = request.what == What::Create;
                            let told = if created {
                                Told::Created(id(key))
                            } else {
                                Told::Done
                            };
                            process.told(&world, scenario, policy, looper, told)
                        }
                    }
                },
            };
            if let Settled::Ended(end) = settled {
                return (world, Some(end), good, writes);
            }
        }
        (world, Some(End::Cut), good, writes)
    }

    /// The events that lead to a state, in words.
    fn trace(&self, ways: &[(u32, u16)], at: u32, last: Option<u16>) -> String {
        let mut choices: Vec<u16> = last.into_iter().collect();
        let mut at = at;
        while let Some((from, choice)) = ways.get(at as usize) {
            choices.push(*choice);
            at = *from;
        }
        choices.reverse();
        let mut choices = choices.into_iter();
        let first = usize::from(choices.next().unwrap_or(0));
        let Some(mut world) = self.starts().get(first).copied() else {
            return String::new();
        };
        let mut text = format!("     0. {}\n", describe(&world));
        for (number, choice) in choices.enumerate() {
            let mut nexts = Vec::new();
            self.successors(&world, &mut nexts);
            let Some(next) = nexts.into_iter().nth(usize::from(choice)) else {
                break;
            };
            let _ = writeln!(
                text,
                "    {:2}. {}\n        {}",
                number + 1,
                words(&next, self.scenario),
                describe(&next.world)
            );
            world = next.world;
        }
        text
    }
}

/// What is known of the ways back.
#[derive(Default)]
struct Back {
    known: std::collections::HashMap<u64, Way, Same>,
    longest: u8,
    leftovers: Vec<(&'static str, usize)>,
    story: String,
}

/// Where runs without faults lead.
#[derive(Clone, Debug)]
enum Way {
    Good(u8),
    Left(&'static str),
}

/// One Active key in both halves of every target, and no other key that is ours.
fn well(world: &World, scenario: &Scenario) -> bool {
    let held = world.works(0);
    held.is_some()
        && (0..scenario.hidden.len()).all(|target| world.works(target) == held)
        && world
            .existing()
            .all(|key| Some(key) == held || world.key(key).foreign)
}

/// Notable properties of a state.
fn glimpse(world: &World, scenario: &Scenario) -> u32 {
    let mut seen = 0;
    let held = world.works(0);
    let all = held.is_some() && (0..scenario.hidden.len()).all(|target| world.works(target) == held);
    let marked = held == Some(world.pairs[0].secret.marker);
    if all
        && marked
        && world
            .existing()
            .any(|key| Some(key) < held && world.key(key).published)
    {
        seen |= seen::ROTATED;
    }
    if world.idle()
        && (0..scenario.hidden.len()).any(|at| world.pairs[at].id.value != world.pairs[at].secret.value)
    {
        seen |= seen::TORN;
    }
    if world
        .runs
        .iter()
        .flatten()
        .filter(|run| run.created != NONE)
        .count()
        > 1
    {
        seen |= seen::TWO_CREATORS;
    }
    if world.existing().count() > 2 {
        seen |= seen::THREE_KEYS;
    }
    seen
}

fn name(key: u8) -> String {
    match key {
        NONE => "none".to_owned(),
        JUNK => "nobody's".to_owned(),
        key => format!("K{}", key + 1),
    }
}

fn act_words(act: Act) -> String {
    match act {
        Act::None => "nothing".to_owned(),
        Act::Journal => "records the intent".to_owned(),
        Act::CloseIntent => "closes the intent".to_owned(),
        Act::Create => "CreateAccessKey".to_owned(),
        Act::Verify(key) => format!("proves {}", name(key)),
        Act::WriteSecret(target, key) => format!("PUT secret of {} to T{}", name(key), target + 1),
        Act::WriteId(target, key, _) => format!("PUT id of {} to T{}", name(key), target + 1),
        Act::SwitchSigner(key) => format!("signs with {} from here on", name(key)),
        Act::Deactivate(key) => format!("deactivates {}", name(key)),
        Act::Delete(key) => format!("deletes {}", name(key)),
        Act::Undo(key) => format!("deletes its own {} again", name(key)),
    }
}

fn words(next: &Next, scenario: &Scenario) -> String {
    let run = if scenario.runs > 1 {
        ["run a", "run b"][usize::from(next.run)]
    } else {
        "the run"
    };
    match next.event {
        Event::Tick => "time passes".to_owned(),
        Event::Start { auth: NONE } if scenario.signer != Signer::Role => {
            "a run finds no usable credential".to_owned()
        }
        Event::Start { auth: NONE } => format!("{run} starts"),
        Event::Start { auth } => format!("{run} starts with {}", name(auth)),
        Event::Read {
            target,
            unread: false,
        } => format!("{run} reads T{}", target + 1),
        Event::Read { target, unread: true } => format!("{run} fails to read T{}", target + 1),
        Event::List { lagging, sts_fails } => {
            let lag = if lagging == 0 {
                ""
            } else {
                ", from a list that lags"
            };
            let sts = if sts_fails { ", and STS proves nothing" } else { "" };
            format!("{run} lists the keys{lag}{sts}")
        }
        Event::Send {
            act: act @ Act::Verify(_),
            outcome: Outcome::Refused,
        } => format!("{run} {}: not accepted", act_words(act)),
        Event::Send { act, outcome } => {
            let how = match outcome {
                Outcome::Done => "ok",
                Outcome::AnswerLost => "takes effect, answer lost",
                Outcome::NeverArrives => "never arrives",
                Outcome::StaysInFlight => "no answer, still in flight",
                Outcome::Refused => "refused",
                Outcome::RefusedAfterEffect => "takes effect, answered with a refusal",
                Outcome::Denied => "refused for want of a right",
            };
            format!("{run} {}: {how}", act_words(act))
        }
        Event::Crash => format!("{run} dies"),
        Event::LookFails => format!("{run} can't read"),
        Event::AskedToStop => format!("{run} is asked to stop"),
        Event::Lands(request) => {
            let (target, key) = (request.target, request.key);
            let act = match request.what {
                What::Nothing => Act::None,
                What::Journal => Act::Journal,
                What::CloseIntent => Act::CloseIntent,
                What::Create => Act::Create,
                What::WriteSecret => Act::WriteSecret(target, key),
                What::WriteId => Act::WriteId(target, key, NONE),
                What::Deactivate => Act::Deactivate(key),
                What::Delete => Act::Delete(key),
                What::Undo => Act::Undo(key),
            };
            format!("the late request lands: {}", act_words(act))
        }
        Event::Used(key) => format!("somebody uses {}", name(key)),
        Event::SomebodyCreates => "somebody else creates a key".to_owned(),
        Event::SomebodyEdits { target, key, half } => {
            let what = match half {
                Half::Both => "",
                Half::Id => "the id of ",
                Half::Secret => "the secret of ",
            };
            format!("somebody puts {what}{} into T{} by hand", name(key), target + 1)
        }
    }
}

/// The truth on one line.
pub(crate) fn describe(world: &World) -> String {
    let mut text = String::from("keys:");
    for at in 0..KEYS {
        let key = world.keys[at];
        let state = match key.state {
            ACTIVE => "Active",
            INACTIVE => "Inactive",
            DELETED => "deleted",
            _ => continue,
        };
        let foreign = if key.foreign { " somebody's" } else { "" };
        let _ = write!(text, " {} {state}{foreign} (age {}),", name(small(at)), key.age);
    }
    for (at, pair) in world.pairs.iter().enumerate() {
        if pair.id.value == NONE && pair.secret.value == NONE {
            continue;
        }
        let _ = write!(
            text,
            " T{}=(id {}, secret of {})",
            at + 1,
            name(pair.id.value),
            name(pair.secret.value)
        );
    }
    text
}

/// Sixty-four bits that stand for a state: with ten million states the odds that two share them are one in 400 000.
pub(crate) fn fingerprint(world: &World) -> u64 {
    let mut hasher = Mixer::default();
    world.hash(&mut hasher);
    hasher.finish()
}

type Same = BuildHasherDefault<Identity>;

#[derive(Default)]
pub(crate) struct Identity(u64);

impl Hasher for Identity {
    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, print: u64) {
        self.0 = print;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Multiplies sixty-four bits at a time into a hundred and twenty-eight, and folds them.
struct Mixer {
    state: u64,
    held: u64,
    bytes: u32,
}

impl Default for Mixer {
    fn default() -> Mixer {
        Mixer {
            state: 0x9E37_79B9_7F4A_7C15,
            held: 0,
            bytes: 0,
        }
    }
}

fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    let low = u64::try_from(product & u128::from(u64::MAX)).unwrap_or(0);
    low ^ u64::try_from(product >> 64).unwrap_or(0)
}

impl Mixer {
    fn flush(&mut self) {
        self.state = fold(
            self.state ^ self.held ^ 0xA076_1D64_78BD_642F,
            self.state.rotate_left(29) ^ 0xE703_7ED1_A0B4_28DB,
        );
        (self.held, self.bytes) = (0, 0);
    }
}

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u8(*byte);
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.held = self.held << 8 | u64::from(byte);
        self.bytes += 1;
        if self.bytes == 8 {
            self.flush();
        }
    }

    // Discriminants and lengths are small.
    fn write_usize(&mut self, number: usize) {
        self.write_u8(small(number));
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u8(u8::try_from(number).unwrap_or(0));
    }

    fn finish(&self) -> u64 {
        let last = fold(
            self.state ^ self.held,
            u64::from(self.bytes) ^ 0x8EBC_6AF0_9C88_C6E3,
        );
        fold(last, 0x5899_65CC_7537_4CC3 ^ self.state)
    }
}
