//! A model of everything around the planner: IAM and GitLab as they truly are, requests that are late or lost, lists
//! that lag, runs that die, and people. Each run is the shipped loop, [`planner::Reconciler`], itself: the model shows it what
//! its requests show, tells it what came of them, and looks at every state that can follow.
//!
//! Time passes in ticks of five minutes. The longest job, D and Z last one tick each, and the rest are the smallest
//! settings that [`planner::Policy::new`] accepts with these: a grace of five ticks, orphans of three. Ages stop growing
//! where they make no difference and keys are renumbered by age, so that the states are finitely many without a bound
//! on runs. What is bounded is printed: faults between two instants at which all is well (crashes and lists that lag are no
//! faults, and are unlimited), and requests without a sender. A race for the quota makes three keys at most, and a list
//! still shows the last key that was deleted.
//!
//! Simplifications, each towards more harm or without effect on it:
//!
//! * a job is taken to have captured whatever worked at any instant, so captures need no events;
//! * a list, the records of use and the answers of STS are one event, the variables of each target another;
//! * a run that is asked to stop does a part of what a run that dies between the same requests does; what it still does is
//!   judged where its conduct is;
//! * STS calls are recorded as uses only when a new key is proved: a use that is not recorded protects no key.

#![allow(
    dead_code,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "each test binary uses its own part; a place that does not exist is a defect of the model and may panic"
)]

pub(crate) mod conduct;
pub(crate) mod invariants;
pub(crate) mod process;
pub(crate) mod scenario;
pub(crate) mod search;
pub(crate) mod world;
