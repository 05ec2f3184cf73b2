//! What is true of one rotation, whatever anybody believes: the judge of every change, at the instant of the change.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Result;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use testbed::aws::{HeldKey, Pair};
use testbed::gitlab::GroupId;
use testbed::message::{Request, Response};

use crate::gate::{Host, lock};
use crate::range::Range;

/// IAM's quota of access keys per user.
pub(crate) const QUOTA: usize = 2;
/// A marker bears the time at which its write was sent, and a write may land this much later.
const LATE: SignedDuration = SignedDuration::from_mins(5);

pub(crate) struct Truth {
    pub(crate) range: Arc<Range>,
    pub(crate) user: String,
    pub(crate) group: GroupId,
    pub(crate) token: String,
    /// How long a pair stays alive for the jobs that captured it.
    grace: Duration,
    /// Requests of this rotation are judged and carried out one at a time.
    turn: Mutex<()>,
    /// When a job could last be given a key, by GitLab's clock.
    captured: Mutex<BTreeMap<String, Timestamp>>,
    /// The secret of each key there ever was: IAM never changes one.
    known: Mutex<BTreeMap<String, String>>,
    /// Keys that were deactivated or deleted.
    gone: Mutex<BTreeSet<String>>,
    /// Other secrets of the runs: of the token and of sessions.
    secrets: Mutex<BTreeSet<String>>,
    violations: Mutex<Vec<String>>,
}

impl Truth {
    pub(crate) fn new(
        range: &Arc<Range>,
        user: String,
        group: GroupId,
        token: String,
        grace: Duration,
    ) -> Truth {
        Truth {
            range: Arc::clone(range),
            user,
            group,
            grace,
            turn: Mutex::default(),
            captured: Mutex::default(),
            known: Mutex::default(),
            gone: Mutex::default(),
            secrets: Mutex::new(BTreeSet::from([token.clone()])),
            token,
            violations: Mutex::default(),
        }
    }

    /// What a job would be given now.
    pub(crate) fn pair(&self) -> Pair {
        self.range.pair(self.group)
    }

    pub(crate) fn works(&self) -> bool {
        self.range.works(&self.pair())
    }

    /// The user's keys, whose secrets no output may ever hold.
    pub(crate) fn keys(&self) -> Vec<HeldKey> {
        let keys = self.range.keys(&self.user);
        lock(&self.known).extend(keys.iter().map(|key| (key.id.clone(), key.secret.clone())));
        keys
    }

    pub(crate) fn keep_secret(&self, pair: &Pair) {
        lock(&self.secrets).extend(
            [Some(pair.secret.clone()), pair.token.clone()]
                .into_iter()
                .flatten(),
        );
    }

    /// Whether a secret stands in a text, as it is or percent-encoded.
    pub(crate) fn betrayed_by(&self, text: &str) -> bool {
        let encoded = |secret: &str| secret.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D");
        let (secrets, known) = (lock(&self.secrets), lock(&self.known));
        secrets
            .iter()
            .chain(known.values())
            .any(|secret| text.contains(secret.as_str()) || text.contains(&encoded(secret)))
    }

    pub(crate) fn violate(&self, what: impl Into<String>) {
        lock(&self.violations).push(what.into());
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        lock(&self.violations).clone()
    }

    /// Carries a request out, and judges what it did in the world as it was at that instant.
    pub(crate) fn judged(
        &self,
        host: Host,
        request: &Request,
        carry_out: impl FnOnce() -> Result<Response>,
    ) -> Result<Response> {
        let _turn = lock(&self.turn);
        let destroys = match (host, request.form("Action").as_deref()) {
            (Host::Aws, Some("DeleteAccessKey")) => request.form("AccessKeyId"),
            (Host::Aws, Some("UpdateAccessKey")) if request.form("Status").as_deref() == Some("Inactive") => {
                request.form("AccessKeyId")
            }
            _ => None,
        };
        let creates = host == Host::Aws && request.form("Action").as_deref() == Some("CreateAccessKey");
        let writes = host == Host::GitLab && request.method != "GET";
        let harm = destroys.as_ref().and_then(|key| self.harm_without(key));
        if writes {
            self.capture();
        }
        let answer = carry_out()?;
        if (200..300).contains(&answer.status) {
            if let Some(key) = destroys {
                if let Some(harm) = harm {
                    let action = request.form("Action").unwrap_or_default();
                    self.violate(format!("{key} was taken away by {action} while {harm}"));
                }
                lock(&self.gone).insert(key);
            }
            if creates {
                let keys = self.keys();
                if keys.len() > QUOTA {
                    self.violate(format!("{} keys", keys.len()));
                }
            }
            if writes {
                self.capture();
                if let Some(harm) = self.harm_of_secret() {
                    self.violate(harm);
                }
            }
        }
        Ok(answer)
    }

    /// Who would be cut off if this key stopped working now.
    fn harm_without(&self, key: &str) -> Option<String> {
        let pair = self.pair();
        if pair.id == key {
            return Some("the variable of the id held it".to_owned());
        }
        if lock(&self.known).get(key) == Some(&pair.secret) {
            return Some("the variable of the secret held it".to_owned());
        }
        if self.grace.is_zero() {
            return None;
        }
        let until = lock(&self.captured).get(key).and_then(|at| {
            at.checked_add(SignedDuration::try_from(self.grace).ok()? - LATE)
                .ok()
        })?;
        let now = self.range.gitlab.world(|world| world.now());
        (now < until).then(|| format!("a job may hold it until {until}, and it is {now}"))
    }

    /// A secret can't be read again: whatever else is torn, the one that GitLab holds must be that of a living key.
    fn harm_of_secret(&self) -> Option<String> {
        let secret = self.pair().secret;
        let known = lock(&self.known);
        let Some((key, _)) = known.iter().find(|(_, held)| **held == secret) else {
            return Some("a secret was written that is no key's".to_owned());
        };
        let dead = lock(&self.gone).contains(key);
        dead.then(|| format!("the secret of {key} was written, which is gone"))
    }

    /// Remembers that a job that starts now is given this pair, if it is one.
    pub(crate) fn capture(&self) {
        let pair = self.pair();
        let is_one = lock(&self.known).get(&pair.id) == Some(&pair.secret);
        if is_one {
            let now = self.range.gitlab.world(|world| world.now());
            lock(&self.captured).insert(pair.id, now);
        }
    }
}
