//! Who a rotation is for.

use std::hash::{BuildHasher, RandomState};

use crate::aws::{Caller, CallerKind};

/// The user whose key is rotated, and the names that a run of it has.
pub(super) struct Identity {
    /// The AWS account.
    pub(super) account: String,
    /// The IAM user.
    pub(super) user: String,
    /// What the journal calls this run.
    pub(super) run_name: String,
}

impl Identity {
    /// The user of this account, in a new run.
    pub(super) fn new(account: String, user: String) -> Identity {
        let run_name = run_name();
        Identity {
            account,
            user,
            run_name,
        }
    }

    /// What the journal calls this rotation: users of two accounts may have one name.
    pub(super) fn journal_name(&self) -> String {
        format!("{}/{}", self.account, self.user)
    }

    /// Whether the caller is the user.
    pub(super) fn is(&self, caller: &Caller) -> bool {
        caller.account == self.account
            && matches!(&caller.kind, CallerKind::User { name } if *name == self.user)
    }
}

/// A name that no other run has: two runs of one second must not take each other's intent for their own.
fn run_name() -> String {
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}
