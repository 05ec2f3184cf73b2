//! The two APIs as a pure function: what a successful request changes, and what a look then shows. Dry runs are the
//! decision folded over it.

use crate::facts::{
    Clocks, Facts, IdValue, Intent, Journal, Key, LastUsed, Marker, Pair, Proof, Run, SecretValue, Status,
    Target,
};
use crate::reconcile::{End, Extent, Reconciler, Told, Turn};
use crate::{KeyId, Policy, Step, Verdict};

/// What exists: the user's keys, what the variables hold, the intent record, and the time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// The servers' clocks.
    pub clocks: Clocks,
    /// The user's keys.
    pub keys: Vec<Key>,
    /// The targets, as a look shows them.
    pub targets: Vec<Target>,
    /// Keys in variables that are no targets.
    pub elsewhere: Vec<KeyId>,
    /// The intent record.
    pub journal: Journal,
    /// It has a record of this user and of nobody else.
    pub alone: bool,
}

impl World {
    /// The world that an observation describes.
    pub fn of(facts: &Facts) -> World {
        World {
            clocks: facts.clocks,
            keys: facts.keys.clone(),
            targets: facts.targets.clone(),
            elsewhere: facts.elsewhere.clone(),
            journal: facts.journal,
            alone: facts.alone,
        }
    }

    /// What a full look by this run shows.
    pub fn look(&self, run: Run) -> Facts {
        Facts {
            clocks: self.clocks,
            full: true,
            keys: self.keys.clone(),
            targets: self.targets.clone(),
            passing: false,
            elsewhere: self.elsewhere.clone(),
            journal: self.journal,
            alone: self.alone,
            run,
        }
    }

    /// What a step changes when it takes effect. `new` is the id that CreateAccessKey would return.
    pub fn apply(&mut self, step: Step, new: KeyId) {
        let at = self.clocks.gitlab;
        match step {
            Step::Journal => {
                self.journal = Journal::Read(Some(Intent {
                    at: self.clocks.aws,
                    own: true,
                }));
            }
            Step::CloseIntent => self.journal = Journal::Read(None),
            Step::Create => self.keys.push(Key {
                id: new,
                status: Status::Active,
                created: self.clocks.aws,
                last_used: LastUsed::Never,
            }),
            Step::WriteSecret { target, key } => {
                if let Some(pair) = self.pair(target) {
                    pair.secret.value = match pair.secret.value {
                        SecretValue::Readable(_) => SecretValue::Readable(Proof::Of(key)),
                        // A new variable is hidden where the server can: what it holds is told by its marker alone.
                        SecretValue::Hidden | SecretValue::Missing => SecretValue::Hidden,
                    };
                    pair.secret.marker = Some(Marker { key, at, prev: None });
                }
            }
            Step::WriteId { target, key, prev } => {
                if let Some(pair) = self.pair(target) {
                    pair.id.value = match pair.id.value {
                        IdValue::Hidden => IdValue::Hidden,
                        IdValue::Key(_) | IdValue::NotAKey | IdValue::Empty | IdValue::Missing => {
                            IdValue::Key(key)
                        }
                    };
                    pair.id.marker = Some(Marker { key, at, prev });
                }
            }
            Step::Deactivate { key } => {
                for held in self.keys.iter_mut().filter(|held| held.id == key) {
                    held.status = Status::Inactive;
                }
            }
            Step::Delete { key } | Step::Undo { key } => self.keys.retain(|held| held.id != key),
            Step::Verify { .. } | Step::SwitchSigner { .. } => {}
        }
    }

    fn pair(&mut self, target: usize) -> Option<&mut Pair> {
        match self.targets.get_mut(target)? {
            Target::Seen(pair) => Some(pair),
            Target::Unread => None,
        }
    }
}

/// More turns than any run takes: two targets need ten steps, and a look or two for each.
const ENOUGH: usize = 200;

/// What a run that met no failure would do from here, and how it would end.
pub fn dry_run(facts: &Facts, policy: &Policy) -> (Vec<Step>, Verdict) {
    let new = KeyId::hypothetical();
    let mut world = World::of(facts);
    let mut facts = facts.clone();
    let (left, stopping) = (facts.run.time_left, facts.run.stopping);
    let mut run = Reconciler::after_a_look(facts.run.clone());
    let mut steps = Vec::new();
    for _ in 0..ENOUGH {
        match run.turn(Some(&mut facts), left, stopping, policy) {
            Turn::Observe(extent) => {
                facts = world.look(run.run.clone());
                facts.full = extent == Extent::Full;
            }
            Turn::Perform(step) => {
                world.apply(step, new);
                steps.push(step);
                let created = step == Step::Create;
                run.told(step, if created { Told::Created(new) } else { Told::Done });
                // What it changed, as the answer would say; the rest is as it was seen.
                facts = world.look(run.run.clone());
                facts.full = false;
            }
            Turn::End(End::Decided(end)) => return (steps, end),
            Turn::Pause(_) | Turn::End(End::Failed(_) | End::Unseen | End::Cut | End::CutShort(_)) => break,
        }
    }
    (steps, Verdict::Incomplete(crate::Incomplete::OutOfTime))
}
