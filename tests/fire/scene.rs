//! Where a run begins: who signs, whether the secret can be read, how long the grace is, and what earlier runs left.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use testbed::aws::Pair;
use testbed::gitlab::{GroupId, Token, Variable};

use crate::case::Case;
use crate::range::Range;
use crate::truth::Truth;
use crate::{DAY, HOUR, ID, MINUTE, SECRET};

/// Whose credentials sign the runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signer {
    /// The pair that GitLab holds, as it holds it.
    Own,
    /// A role of another workload.
    Role,
}

/// What earlier runs left, each of them made by the real binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// None was there: a pair written by hand.
    Adoption,
    /// A rotation that is over: one key, with its markers.
    Rotation,
    /// A rotation whose outgoing key is due to be deactivated.
    Deactivation,
    /// A rotation whose outgoing key is Inactive and due to be deleted.
    Deletion,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene {
    pub(crate) signer: Signer,
    pub(crate) hidden: bool,
    pub(crate) immediate: bool,
    pub(crate) start: Start,
}

impl Scene {
    /// All of them. With a grace of 0 a rotation retires its key itself.
    pub(crate) fn all() -> Vec<Scene> {
        let mut scenes = Vec::new();
        for start in [
            Start::Rotation,
            Start::Adoption,
            Start::Deactivation,
            Start::Deletion,
        ] {
            for signer in [Signer::Own, Signer::Role] {
                for hidden in [false, true] {
                    for immediate in [true, false] {
                        let scene = Scene {
                            signer,
                            hidden,
                            immediate,
                            start,
                        };
                        if scene.rotates() || !immediate {
                            scenes.push(scene);
                        }
                    }
                }
            }
        }
        scenes
    }

    pub(crate) fn name(&self) -> String {
        format!(
            "{:?}-{:?}-{}-{}",
            self.start,
            self.signer,
            if self.hidden { "hidden" } else { "readable" },
            if self.immediate { "immediate" } else { "24h" },
        )
        .to_lowercase()
    }

    /// Whether a run creates a key, or only removes one.
    pub(crate) fn rotates(&self) -> bool {
        matches!(self.start, Start::Adoption | Start::Rotation)
    }

    /// Whether requests are held up longer than anybody waits: one scene of each signer, grace and visibility.
    pub(crate) fn has_slow_faults(&self) -> bool {
        self.start == Start::Rotation
            && matches!(
                (self.signer, self.hidden, self.immediate),
                (Signer::Own, true, true) | (Signer::Role, false, false)
            )
    }

    pub(crate) fn grace(&self) -> Duration {
        if self.immediate { Duration::ZERO } else { DAY }
    }

    pub(crate) fn command(&self) -> &'static str {
        if self.rotates() { "rotate" } else { "retire" }
    }

    /// Lets the real binary bring a first rotation to where this scene begins.
    pub(crate) fn prepare(&self, range: &Arc<Range>) -> Photograph {
        let user = "deploy";
        range.add_user(user);
        let key = range.add_key(user, seconds(DAY * 90), "Active", Some(seconds(HOUR)));
        let secret = Variable {
            hidden: self.hidden,
            ..Variable::credential(SECRET, &key.secret)
        };
        let truth = self.settle(range, user, &[Variable::credential(ID, &key.id), secret]);
        let case = Case::new(*self, 0, None, truth);
        let history: &[(&str, Duration)] = match self.start {
            Start::Adoption => &[],
            Start::Rotation if self.immediate => &[("rotate", HOUR)],
            Start::Rotation => &[("rotate", HOUR * 25), ("retire", DAY * 8), ("retire", HOUR * 2)],
            Start::Deactivation => &[("rotate", HOUR * 25)],
            Start::Deletion => &[("rotate", HOUR * 25), ("retire", DAY * 8)],
        };
        for (command, then) in history {
            let ran = case.run(command);
            assert_eq!(ran.code, Some(0), "{}: {ran:?}", self.name());
            range.advance(*then + MINUTE);
        }
        self.photograph(case.truth())
    }

    fn photograph(&self, truth: &Truth) -> Photograph {
        let now = truth.range.gitlab.world(|world| world.now());
        let ago = |key: &Value, name: &str| -> Option<i64> {
            let at: jiff::Timestamp = key[name].as_str()?.parse().unwrap();
            Some(now.as_second() - at.as_second())
        };
        let text = |key: &Value, name: &str| key[name].as_str().unwrap().to_owned();
        let keys = truth.range.dated_keys(&truth.user);
        Photograph {
            user: truth.user.clone(),
            keys: keys
                .iter()
                .map(|key| PhotographedKey {
                    id: text(key, "id"),
                    secret: text(key, "secret"),
                    status: text(key, "status"),
                    age: ago(key, "created").unwrap(),
                    used: ago(key, "last_used"),
                })
                .collect(),
            variables: truth.range.gitlab.world(|world| world.variables(truth.group)),
        }
    }

    fn settle(&self, range: &Arc<Range>, user: &str, variables: &[Variable]) -> Truth {
        let (group, token) = range.gitlab.world(|world| {
            let group: GroupId = world.add_group(&format!("group-of-{user}"));
            for variable in variables {
                world.set_variable(group, variable.clone());
            }
            (group, world.add_token(Token::owner(group)))
        });
        let truth = Truth::new(range, user.to_owned(), group, token, self.grace());
        truth.keys();
        truth.capture();
        truth
    }
}

/// A user and a group as they are, to be set up again under other names: the same dates, keys of the same age.
pub(crate) struct Photograph {
    user: String,
    keys: Vec<PhotographedKey>,
    variables: Vec<Variable>,
}

struct PhotographedKey {
    id: String,
    secret: String,
    status: String,
    age: i64,
    used: Option<i64>,
}

impl Photograph {
    pub(crate) fn copy(&self, scene: &Scene, range: &Arc<Range>, user: &str) -> Truth {
        range.add_user(user);
        let new: Vec<Pair> = self
            .keys
            .iter()
            .map(|key| range.add_key(user, key.age, &key.status, key.used))
            .collect();
        let renamed = |text: &str| {
            let text = text.replace(&format!("/{} at=", self.user), &format!("/{user} at="));
            self.keys.iter().zip(&new).fold(text, |text, (old, new)| {
                text.replace(&old.id, &new.id).replace(&old.secret, &new.secret)
            })
        };
        let variables: Vec<Variable> = self
            .variables
            .iter()
            .map(|variable| Variable {
                value: renamed(&variable.value),
                description: variable.description.as_deref().map(renamed),
                ..variable.clone()
            })
            .collect();
        scene.settle(range, user, &variables)
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap()
}
