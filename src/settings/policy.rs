//! The durations of a rotation, which must fit together.

use std::time::Duration;

use planner::{Bounds, ValidSettings};

use super::raw::Raw;
use super::value::{boolean, duration, parsed, refused};
use crate::failure::Failure;

pub(super) use planner::policy::human;

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
            "policy",
            contradiction,
            "Change KEYTURN_GRACE, KEYTURN_LONGEST_JOB, KEYTURN_ROTATE_AFTER, KEYTURN_DELETE_AFTER or \
             KEYTURN_MAX_AGE until it holds.",
        )
    })
}
