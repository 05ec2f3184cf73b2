//! The decision of keyturn: what to do next, given everything that was observed.
//!
//! [`next`] is a pure function of [`Facts`] and [`Policy`]. It answers with one [`Step`] at most; the program performs
//! it, observes again and asks again, so that a run resumed after a crash is the same run as a new one.
//!
//! [`Reconciler`] is the loop around it, as a value: it says when to look, what to send, when to pause and when to end, and it
//! is told what came of that.
//!
//! Invariants of this crate, as absences:
//!
//! * it knows no clock: the time is a field of [`Facts`], and it is the servers' time;
//! * it knows no environment, file, network, thread or randomness, and has no dependency;
//! * it never sees a secret: a secret is only ever "the secret of key K", "of no key", or "unknown".
//!
//! Where to find a rule: [`plan`] holds the rules in the order in which they apply, one function each; `picture` holds
//! what is derived from an observation (who owns a secret, since when nothing was written); [`policy`] holds the time
//! constants and the inequalities between them; [`world`] is the model of the two APIs that dry runs are folded over.

pub mod facts;
mod key;
mod picture;
pub mod plan;
pub mod policy;
mod reconcile;
pub mod step;
mod time;
pub mod world;

pub use facts::{
    Clocks, Facts, IdHalf, IdValue, Intent, Journal, Key, LastUsed, Marker, Pair, Proof, Run, SecretHalf,
    SecretValue, Service, Status, Target, TimeLeft,
};
pub use key::KeyId;
pub use picture::{Holds, Role, holdings, in_the_wrong_place, last_use_matters, names_a_listed_key, roles};

pub use plan::next;
pub use policy::{Bounds, Policy, PolicyError, Settings, ValidSettings};
pub use reconcile::{Cause, Due, End, Extent, Reconciler, Told, Turn, Unseen};
pub use step::{Block, Incomplete, Step, Verdict, Wait};
pub use time::Timestamp;
pub use world::{World, dry_run};
