//! AWS and GitLab, as this run reaches them. Who reads them can't write, and who writes can't read: each is lent one side.

use std::time::Duration;

use planner::{Clocks, Key, KeyId, LastUsed, Timestamp};

use super::identity::Identity;
use crate::aws::{Answer, Connection, NewKey, Unproved};
use crate::failure::{Failure, Written};
use crate::gitlab::{Gitlab, NewVariable, Variable, VariableOwner, Version};
use crate::reason::Reason;
use crate::secret::{KeyPair, Secret};
use crate::settings::TargetSpec;

/// Variables can be created hidden from this version on.
const HIDES: Version = Version { major: 17, minor: 4 };

/// Both remotes, with the credentials that sign now.
pub(super) struct Remotes {
    aws: Connection,
    gitlab: Gitlab,
    version: Version,
}

/// The side that reads.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(&'a Remotes);

/// The side that writes, one request for each method. An answer to a write is all that it shows.
#[derive(Clone, Copy)]
pub(super) struct Writer<'a>(&'a Remotes);

impl Remotes {
    /// Both as they were opened. The version is GitLab's.
    pub(super) fn new(aws: Connection, gitlab: Gitlab, version: Version) -> Remotes {
        Remotes { aws, gitlab, version }
    }

    /// Signs with another pair from here on.
    pub(super) fn switch(&mut self, pair: &KeyPair) {
        self.aws = self.aws.signed_by(pair);
    }

    pub(super) fn reader(&self) -> Reader<'_> {
        Reader(self)
    }

    pub(super) fn writer(&self) -> Writer<'_> {
        Writer(self)
    }

    /// AWS's time, by its latest answer.
    pub(super) fn aws_time(&self) -> Option<Timestamp> {
        self.aws.clock().now()
    }

    /// GitLab's time, by its latest answer.
    pub(super) fn gitlab_time(&self) -> Option<Timestamp> {
        self.gitlab.clock().now()
    }
}

impl Reader<'_> {
    pub(super) async fn variables(self, container: &VariableOwner) -> Result<Vec<Variable>, Failure> {
        self.0.gitlab.variables(container).await
    }

    pub(super) async fn list_keys(self, user: &str) -> Result<Vec<Key>, Failure> {
        self.0.aws.list_keys(user).await
    }

    pub(super) async fn last_used(self, key: KeyId) -> Result<LastUsed, Failure> {
        self.0.aws.last_used(key).await.map(|(used, _)| used)
    }

    /// Asks STS whose this pair is.
    pub(super) async fn ask(self, pair: &KeyPair) -> Answer {
        self.0.aws.ask(pair).await
    }

    pub(super) fn clocks(self) -> Result<Clocks, Failure> {
        let missing = |server: &str| {
            Failure::incomplete(
                Reason::NoDate,
                format!("nothing was changed: the answers of {server} carry no usable Date"),
            )
        };
        Ok(Clocks {
            aws: self.0.aws_time().ok_or_else(|| missing("AWS"))?,
            gitlab: self.0.gitlab_time().ok_or_else(|| missing("GitLab"))?,
        })
    }
}

impl Writer<'_> {
    pub(super) async fn create_key(self, user: &str) -> Written<NewKey> {
        self.0.aws.create_key(user).await
    }

    pub(super) async fn deactivate_key(self, user: &str, key: KeyId) -> Written<()> {
        self.0.aws.deactivate_key(user, key).await
    }

    pub(super) async fn delete_key(self, user: &str, key: KeyId) -> Written<()> {
        self.0.aws.delete_key(user, key).await
    }

    /// Tries to deactivate and to delete a key that can't exist.
    pub(super) async fn may_retire(self, user: &str) -> Result<(), Failure> {
        self.0.aws.may_retire(user).await
    }

    /// Waits until STS accepts a new pair for good.
    pub(super) async fn prove(
        self,
        pair: &KeyPair,
        of: &Identity,
        settle: Duration,
        budget: Duration,
    ) -> Result<(), Unproved> {
        let Identity { account, user, .. } = of;
        self.0.aws.prove(pair, account, user, settle, budget).await
    }

    /// Changes a variable that is there.
    pub(super) async fn update(
        self,
        place: &TargetSpec,
        name: &str,
        value: &Secret,
        description: &str,
    ) -> Written<Variable> {
        let TargetSpec { container, scope, .. } = place;
        self.0
            .gitlab
            .update(container, name, scope, value, description)
            .await
    }

    /// Creates a variable that is not there.
    pub(super) async fn create(self, container: &VariableOwner, new: &NewVariable) -> Written<Variable> {
        self.0.gitlab.create(container, new).await
    }

    /// Whether this GitLab can create a variable whose value it never shows.
    pub(super) fn can_hide(self) -> bool {
        self.0.version >= HIDES
    }

    /// GitLab's time, which markers carry because they are compared with it.
    pub(super) fn gitlab_time(self) -> Option<Timestamp> {
        self.0.gitlab_time()
    }
}
