//! The settings of a rotation as durations, and the inequalities between them that the protocol's safety rests on.

use std::time::Duration;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Bounds on the world that the rules rest on. They are constants of the program, kept together because their
/// inequalities are what the protocol proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// D: a run ends itself after this long.
    pub run: Duration,
    /// Z: how late a request may still take effect after its sender gave up on it, or died.
    pub late: Duration,
    /// P: how long lists and new keys may take to be seen everywhere.
    pub propagation: Duration,
    /// O: an unreferenced key younger than this may be another run's, about to be published.
    pub orphan: Duration,
    /// Two servers' clocks further apart than this are not compared.
    pub clock_skew: Duration,
    /// AWS's servers among themselves: a key may bear a date this much before the intent that announced it.
    pub clock_grain: Duration,
}

impl Bounds {
    /// The bounds the program ships with.
    pub const DEFAULT: Bounds = Bounds {
        run: Duration::from_secs(10 * 60),
        late: Duration::from_secs(5 * 60),
        propagation: Duration::from_secs(5 * 60),
        orphan: HOUR,
        clock_skew: Duration::from_secs(5 * 60),
        clock_grain: Duration::from_secs(5),
    };

    /// D + 2Z: after this long without a write, no request of an earlier run can still land.
    pub fn settled(&self) -> Duration {
        self.run + self.late * 2
    }

    /// Longer than [`Bounds::settled`]: a request may land as late as that, so what it would break begins after it.
    pub fn past_settled(&self) -> Duration {
        self.settled() + self.clock_grain
    }
}

/// What a user can set about one rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The current key is due at this age; zero: at every run that may create.
    pub rotate_after: Duration,
    /// The outgoing key stays Active this long after the last write; zero: not at all, jobs that hold it break.
    pub grace: Duration,
    /// A deactivated key is deleted this long after its grace; zero: by the run that deactivated it.
    pub delete_after: Duration,
    /// The outgoing key must not have been used for this long.
    pub unused_for: Duration,
    /// The longest job that may hold the outgoing key.
    pub longest_job: Duration,
    /// No key may ever live longer.
    pub max_age: Option<Duration>,
    /// Retire only after somebody other than this run has used the new key.
    pub require_use: bool,
    /// Keep an intent record, which proves whose an orphan is.
    pub journal: bool,
    /// Create variables that do not exist.
    pub create_missing: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            rotate_after: Duration::ZERO,
            grace: HOUR * 24,
            delete_after: HOUR * 24 * 7,
            unused_for: HOUR,
            longest_job: HOUR,
            max_age: None,
            require_use: false,
            journal: true,
            create_missing: true,
        }
    }
}

/// Settings that don't contradict each other within these bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ValidSettings {
    settings: Settings,
    bounds: Bounds,
}

/// Settings that passed validation, and what kind of run asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    /// The validated settings.
    pub settings: Settings,
    /// The bounds they were validated against.
    pub bounds: Bounds,
    /// Whether this run may create a key: `rotate` may, `retire` never does.
    pub may_create: bool,
}

/// Settings that contradict each other, with the arithmetic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyError {
    /// The outgoing key could be cut while a job or a late write still relies on it.
    GraceTooShort {
        /// The value given.
        grace: Duration,
        /// What it must exceed.
        floor: Duration,
        /// The part of the floor that is the longest job.
        longest_job: Duration,
        /// The part of the floor that is D + 2Z.
        settled: Duration,
    },
    /// Each run would delete one key and create the next, and never be finished.
    RotateTooOften {
        /// The value given.
        rotate_after: Duration,
        /// What it must exceed: grace + delete after.
        floor: Duration,
    },
    /// A key would outlive the maximum age.
    MaxAgeTooShort {
        /// The value given.
        max_age: Duration,
        /// The age that a key reaches with these settings.
        reached: Duration,
    },
    /// The bounds themselves contradict each other.
    Bounds(&'static str),
}

impl ValidSettings {
    /// Validates settings.
    ///
    /// # Errors
    ///
    /// When the settings contradict each other, with the arithmetic.
    pub fn new(settings: Settings, bounds: Bounds) -> Result<ValidSettings, PolicyError> {
        if bounds.orphan <= bounds.run + bounds.late + bounds.propagation {
            return Err(PolicyError::Bounds("the orphan age must exceed D + Z + P"));
        }
        let Settings {
            rotate_after,
            grace,
            delete_after,
            unused_for,
            longest_job,
            max_age,
            ..
        } = settings;
        let floor = longest_job + bounds.settled();
        if !grace.is_zero() && grace <= floor {
            return Err(PolicyError::GraceTooShort {
                grace,
                floor,
                longest_job,
                settled: bounds.settled(),
            });
        }
        if !rotate_after.is_zero() && rotate_after <= grace + delete_after {
            return Err(PolicyError::RotateTooOften {
                rotate_after,
                floor: grace + delete_after,
            });
        }
        if let Some(max_age) = max_age {
            let in_use = if grace.is_zero() {
                Duration::ZERO
            } else {
                unused_for
            };
            let reached = rotate_after + grace.max(in_use) + delete_after + bounds.run;
            if reached > max_age {
                return Err(PolicyError::MaxAgeTooShort { max_age, reached });
            }
        }
        Ok(ValidSettings { settings, bounds })
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The policy of a run that may (`rotate`) or may not (`retire`) create a key.
    pub fn policy(self, may_create: bool) -> Policy {
        Policy {
            settings: self.settings,
            bounds: self.bounds,
            may_create,
        }
    }
}

impl Policy {
    /// Validates settings, and builds the policy of a run with them.
    ///
    /// # Errors
    ///
    /// Those of [`ValidSettings::new`].
    pub fn new(settings: Settings, bounds: Bounds, may_create: bool) -> Result<Policy, PolicyError> {
        Ok(ValidSettings::new(settings, bounds)?.policy(may_create))
    }

    /// The time without a write after which the next rotation may begin.
    ///
    /// It is the grace, and never less than the time in which a write of the last rotation can still land: with a grace
    /// of zero a late `PUT` of the id would otherwise tear the next pair.
    pub fn quiet_before_create(&self) -> Duration {
        self.settings.grace.max(self.bounds.past_settled())
    }

    /// Whether the user accepts that jobs which hold the outgoing key break.
    pub fn immediate(&self) -> bool {
        self.settings.grace.is_zero()
    }
}
