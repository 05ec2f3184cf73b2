//! What one exploration covers: the targets, who signs, which faults may happen, and the settings in ticks.

use std::time::Duration;

use planner::{Bounds, Policy, Settings};

/// One tick of the model in seconds.
pub(crate) const TICK: u64 = 300;

/// Longest job, D and Z: one tick each. An event that lies this many ticks back may still have its consequence.
pub(crate) const JOB: u8 = 1;
/// How old a run gets.
pub(crate) const RUN: u8 = 1;
/// How late a request may take effect.
pub(crate) const LATE: u8 = 1;
/// How long a recorded use counts as recent.
pub(crate) const UNUSED: u8 = 1;

/// Whose credentials sign.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Signer {
    /// A role: nothing the rotation does can take it away.
    Role,
    /// The pair of this target, captured when the job of the run starts.
    Own(usize),
}

/// How the exploration begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Start {
    /// One old key in all targets: without markers, and with old ones.
    Healthy,
    /// The same, with a key that is as young as the first run.
    Young,
    /// No variable and no key exist.
    Empty,
    /// Two keys, and in the first target the id of one beside the secret of the other, without markers.
    TornByHand,
    /// Every combination of up to two keys, their status, use and origin, and of what one target holds.
    Anything,
}

/// One exploration.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) signer: Signer,
    /// For each target, whether GitLab hides the secret.
    pub(crate) hidden: Vec<bool>,
    pub(crate) start: Start,
    /// Overlapping runs.
    pub(crate) runs: usize,
    pub(crate) journal: bool,
    /// Everything with a grace of zero.
    pub(crate) immediate: bool,
    /// The key is due at an age, instead of always.
    pub(crate) by_age: bool,
    /// A deactivated key soaks for a tick before it is deleted.
    pub(crate) soak: bool,
    /// Lists and new keys lag for one tick more than the tick of the change.
    pub(crate) slow_lists: bool,
    /// Answers lost, requests refused, late or never sent: at most this many at a time in one history; `None`: any number.
    pub(crate) faults: Option<u8>,
    /// Requests that are in flight without a sender, at most.
    pub(crate) in_flight: usize,
    /// Lists hide fresh keys and show deleted ones; new keys are not live at once.
    pub(crate) lag: bool,
    /// STS may prove nothing.
    pub(crate) sts_fails: bool,
    /// A target may fail to be read.
    pub(crate) unread: bool,
    /// Jobs use what they captured, and IAM records it.
    pub(crate) uses: bool,
    /// Keys that other people create.
    pub(crate) foreign: u8,
    /// Pairs that other people replace by hand.
    pub(crate) edits: u8,
    /// They may replace one half and leave the other.
    pub(crate) half_edits: bool,
    /// Writes carry markers; without, for wrong planners.
    pub(crate) markers: bool,
    /// A look lists the keys before it reads the targets; for a wrong planner whose harm comes first.
    pub(crate) list_first: bool,
    /// Writes of the pair that take effect may be answered with a refusal.
    pub(crate) lies: bool,
    /// How runs go about their work is judged too.
    pub(crate) conduct: bool,
    /// Runs may be asked to stop.
    pub(crate) stops: bool,
    /// Whole looks may fail, and pass.
    pub(crate) looks_fail: bool,
    /// CreateAccessKey may be refused for want of a right.
    pub(crate) denials: bool,
    /// Two creators may both win.
    pub(crate) quota_race: bool,
    /// What must be seen at least once, or the exploration is void.
    pub(crate) expect: u32,
    /// Reasons to stop for ever that are this scenario's unavoidable leftovers.
    pub(crate) leftovers: &'static [&'static str],
    /// Weaker settings than [`Policy::new`] allows, for wrong planners.
    pub(crate) weaken: fn(&mut Policy),
    /// Keys of one second may be ordered either way by their random ids.
    pub(crate) ties: bool,
    /// What follows when faults stop is not asked, for wrong planners whose harm comes later.
    pub(crate) safety_only: bool,
    /// Explorations end here.
    pub(crate) most_states: usize,
}

impl Scenario {
    pub(crate) fn new(name: &'static str, signer: Signer, hidden: &[bool]) -> Scenario {
        Scenario {
            name,
            signer,
            hidden: hidden.to_vec(),
            start: Start::Healthy,
            runs: 1,
            journal: true,
            immediate: false,
            by_age: false,
            soak: false,
            slow_lists: false,
            faults: None,
            in_flight: 2,
            lag: true,
            sts_fails: true,
            unread: false,
            uses: false,
            foreign: 0,
            edits: 0,
            half_edits: false,
            markers: true,
            list_first: false,
            conduct: false,
            stops: false,
            looks_fail: false,
            lies: false,
            denials: false,
            quota_race: false,
            ties: true,
            safety_only: false,
            expect: 0,
            leftovers: &[],
            weaken: |_| {},
            most_states: 60_000_000,
        }
    }

    /// How many ticks a change may stay unseen.
    pub(crate) fn propagation(&self) -> u8 {
        u8::from(self.slow_lists)
    }

    /// The settings of the program, in ticks, validated by the program.
    pub(crate) fn policy(&self) -> Policy {
        let ticks = |ticks: u8, more: u64| Duration::from_secs(u64::from(ticks) * TICK + more);
        let propagation = self.propagation();
        let bounds = Bounds {
            run: ticks(RUN, 0),
            late: ticks(LATE, 0),
            propagation: ticks(propagation, 1),
            orphan: ticks(RUN + LATE + propagation, 2),
            clock_skew: Bounds::DEFAULT.clock_skew,
            clock_grain: Bounds::DEFAULT.clock_grain,
        };
        let floor = JOB + RUN + 2 * LATE;
        let grace = if self.immediate {
            ticks(0, 0)
        } else {
            ticks(floor, 1)
        };
        let delete_after = if self.soak { ticks(1, 0) } else { ticks(0, 0) };
        let rotate_after = if self.by_age {
            grace + delete_after + ticks(1, 0)
        } else {
            ticks(0, 0)
        };
        let settings = Settings {
            rotate_after,
            grace,
            delete_after,
            unused_for: ticks(UNUSED, 0),
            longest_job: ticks(JOB, 0),
            journal: self.journal,
            ..Settings::default()
        };
        let mut policy = Policy::new(settings, bounds, true).unwrap_or_else(|why| unreachable!("{why:?}"));
        (self.weaken)(&mut policy);
        policy
    }

    /// From this age on a marker's age makes no difference.
    pub(crate) fn marker_cap(&self) -> u8 {
        JOB + RUN + 2 * LATE + 1 + u8::from(self.soak)
    }

    /// From this age on a key's age makes no difference.
    pub(crate) fn key_cap(&self) -> u8 {
        let grace = JOB + RUN + 2 * LATE + 1;
        if self.by_age { self.marker_cap() + 1 } else { grace }
    }
}
