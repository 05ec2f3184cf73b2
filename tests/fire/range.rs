//! Where it happens: one pair of stand-ins with one clock, shared by many users and groups.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use testbed::aws::{Aws, HeldKey, Pair};
use testbed::gitlab::{GitLab, GroupId, Options};
use testbed::lab::policy;
use tokio::runtime::Runtime;

use crate::gate::{Gate, lock};

pub(crate) struct Range {
    pub(crate) gitlab: GitLab,
    aws: Aws,
    runtime: Runtime,
    /// Gates that no process uses.
    gates: Mutex<Vec<Gate>>,
    role: Mutex<Option<Pair>>,
    roles: AtomicU32,
}

impl Range {
    pub(crate) fn start() -> Range {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (aws, gitlab) = runtime.block_on(async {
            (
                Aws::start().await.unwrap(),
                GitLab::start(Options::from_env()).await.unwrap(),
            )
        });
        Range {
            gitlab,
            aws,
            runtime,
            gates: Mutex::default(),
            role: Mutex::default(),
            roles: AtomicU32::new(0),
        }
    }

    /// Empty, and at the present time.
    pub(crate) fn reset(&self) {
        self.runtime.block_on(self.aws.reset()).unwrap();
        self.gitlab.reset();
        *lock(&self.role) = None;
    }

    /// Both clocks.
    pub(crate) fn advance(&self, by: Duration) {
        self.runtime.block_on(self.aws.advance(by)).unwrap();
        self.gitlab.advance(by);
        // Its session may have ended.
        *lock(&self.role) = None;
    }

    /// A gate to both; it goes back when its process has ended.
    pub(crate) fn gate(&self) -> Gate {
        let free = lock(&self.gates).pop();
        free.unwrap_or_else(|| {
            let aws: SocketAddr = self.aws.url().trim_start_matches("http://").parse().unwrap();
            Gate::open(aws, self.gitlab.address())
        })
    }

    pub(crate) fn give_back(&self, gate: Gate) {
        lock(&self.gates).push(gate);
    }

    /// Credentials of a role that may rotate the keys of all users of this range.
    pub(crate) fn role(&self) -> Pair {
        let mut role = lock(&self.role);
        let present = role.get_or_insert_with(|| {
            let allowed = policy("role").unwrap().replace("user/ci-deployer", "user/*");
            let name = format!("rotator-{}", self.roles.fetch_add(1, Ordering::Relaxed));
            self.runtime.block_on(self.aws.role(&name, &allowed)).unwrap()
        });
        present.clone()
    }

    pub(crate) fn add_user(&self, user: &str) {
        let own = policy("self-rotation").unwrap();
        self.runtime
            .block_on(self.aws.add_user(user, Some(&own)))
            .unwrap();
    }

    /// A key of this age and status, last used this long ago if it ever was.
    pub(crate) fn add_key(&self, user: &str, age: i64, status: &str, used: Option<i64>) -> Pair {
        let key = self.control(
            "POST",
            "keys",
            Some(json!({"user": user, "age": age, "status": status})),
        );
        let text = |name: &str| key[name].as_str().unwrap().to_owned();
        if let Some(ago) = used {
            self.control("POST", "used", Some(json!({"id": text("id"), "ago": ago})));
        }
        Pair {
            id: text("id"),
            secret: text("secret"),
            token: None,
        }
    }

    /// The user's keys as they truly are.
    pub(crate) fn keys(&self, user: &str) -> Vec<HeldKey> {
        self.runtime.block_on(self.aws.keys(user)).unwrap()
    }

    /// The same with their times.
    pub(crate) fn dated_keys(&self, user: &str) -> Vec<Value> {
        let keys = self.control("GET", &format!("keys?user={user}"), None);
        keys.as_array().unwrap().clone()
    }

    /// Whether STS accepts exactly this pair, by a signed request.
    pub(crate) fn works(&self, pair: &Pair) -> bool {
        self.runtime.block_on(self.aws.works(pair))
    }

    /// What a job of the group on a protected branch would be given now.
    pub(crate) fn pair(&self, group: GroupId) -> Pair {
        let mut values = self
            .gitlab
            .job_sees(group, &[crate::ID, crate::SECRET], true)
            .into_iter();
        let mut next = || values.next().flatten().unwrap_or_default();
        Pair {
            id: next(),
            secret: next(),
            token: None,
        }
    }

    fn control(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        self.runtime
            .block_on(self.aws.control(method, path, body))
            .unwrap()
    }
}
