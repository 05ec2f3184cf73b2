//! The durations of a rotation, which must fit together.

use std::time::Duration;

use planner::{Bounds, PolicyError, ValidSettings};

use super::raw::Raw;
use super::value::{boolean, duration, human, parsed, refused};
use crate::failure::Failure;
use crate::reason::Reason;

/// What the planner decides by. `journal`: an intent record is kept.
pub(super) fn policy(raw: &Raw, journal: bool) -> Result<ValidSettings, Failure> {
    let defaults = planner::Settings::default();
    let length = |name: &str, said: &Option<String>, default: Duration| {
        Ok::<_, Failure>(parsed(name, said.as_deref(), duration)?.unwrap_or(default))
    };
    let flag = |name: &str, said: &Option<String>, default: bool| {
        Ok::<_, Failure>(parsed(name, said.as_deref(), boolean)?.unwrap_or(default))
    };
    let settings = planner::Settings {
        rotate_after: length(
            "KEYTURN_ROTATE_AFTER",
            &raw.keyturn_rotate_after,
            defaults.rotate_after,
        )?,
        grace: length("KEYTURN_GRACE", &raw.keyturn_grace, defaults.grace)?,
        delete_after: length(
            "KEYTURN_DELETE_AFTER",
            &raw.keyturn_delete_after,
            defaults.delete_after,
        )?,
        unused_for: length("KEYTURN_UNUSED_FOR", &raw.keyturn_unused_for, defaults.unused_for)?,
        longest_job: length(
            "KEYTURN_LONGEST_JOB",
            &raw.keyturn_longest_job,
            defaults.longest_job,
        )?,
        max_age: parsed("KEYTURN_MAX_AGE", raw.keyturn_max_age.as_deref(), duration)?.or(defaults.max_age),
        require_use: flag(
            "KEYTURN_REQUIRE_USE",
            &raw.keyturn_require_use,
            defaults.require_use,
        )?,
        journal,
        create_missing: flag("KEYTURN_CREATE", &raw.keyturn_create, defaults.create_missing)?,
    };
    ValidSettings::new(settings, Bounds::DEFAULT).map_err(|contradiction| {
        refused(
            Reason::Policy,
            arithmetic(&contradiction),
            "Change KEYTURN_GRACE, KEYTURN_LONGEST_JOB, KEYTURN_ROTATE_AFTER, KEYTURN_DELETE_AFTER or \
             KEYTURN_MAX_AGE until it holds.",
        )
    })
}

/// What doesn't fit together.
fn arithmetic(contradiction: &PolicyError) -> String {
    match *contradiction {
        PolicyError::GraceTooShort {
            grace,
            floor,
            longest_job,
            settled,
        } => format!(
            "a grace of {} is too short: it must exceed {} (longest job {} + {} in which a late write can still land), or be \
             0s to accept that running jobs break",
            human(grace),
            human(floor),
            human(longest_job),
            human(settled),
        ),
        PolicyError::RotateTooOften { rotate_after, floor } => format!(
            "rotating after {} never ends: it must exceed grace + delete after = {}, or be 0s to rotate with every run",
            human(rotate_after),
            human(floor),
        ),
        PolicyError::MaxAgeTooShort { max_age, reached } => format!(
            "a key would reach an age of {} (rotate after + grace + delete after + one run), which exceeds the maximum age \
             of {}",
            human(reached),
            human(max_age),
        ),
        PolicyError::Bounds(why) => why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use planner::{Bounds, Settings, ValidSettings};

    use super::arithmetic;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    #[test]
    fn a_contradiction_is_told_with_its_arithmetic() {
        let few = Bounds {
            orphan: Duration::from_secs(20 * 60),
            ..Bounds::DEFAULT
        };
        for (settings, bounds, said) in [
            (
                Settings {
                    grace: Duration::from_secs(60 * 60),
                    ..Settings::default()
                },
                Bounds::DEFAULT,
                "a grace of 1h is too short: it must exceed 1h 20m (longest job 1h + 20m in which a late write can still \
                 land), or be 0s to accept that running jobs break",
            ),
            (
                Settings {
                    rotate_after: DAY * 8,
                    ..Settings::default()
                },
                Bounds::DEFAULT,
                "rotating after 8d never ends: it must exceed grace + delete after = 8d, or be 0s to rotate with every run",
            ),
            (
                Settings {
                    rotate_after: DAY * 30,
                    max_age: Some(DAY * 38),
                    ..Settings::default()
                },
                Bounds::DEFAULT,
                "a key would reach an age of 38d 10m (rotate after + grace + delete after + one run), which exceeds the \
                 maximum age of 38d",
            ),
            (Settings::default(), few, "the orphan age must exceed D + Z + P"),
        ] {
            let contradiction = ValidSettings::new(settings, bounds).unwrap_err();
            assert_eq!(arithmetic(&contradiction), said);
        }
    }
}
