//! Which variables a refusal is about, for its message. Nothing is decided by it.

use planner::{Facts, KeyId, SecretValue, Target};

use super::seen::Seen;

/// Two names that have less in common than this are not taken for each other.
const ALIKE: f64 = 0.8;

impl Seen {
    /// A hidden secret whose marker names a key that isn't the user's, as far as the list shows.
    pub(super) fn stranger(&self, target: usize, facts: &Facts) -> Option<String> {
        let Some(Target::Seen(pair)) = facts.targets.get(target) else {
            return None;
        };
        let marker = pair
            .secret
            .marker
            .filter(|_| pair.secret.value == SecretValue::Hidden)?;
        let listed = facts.keys.iter().any(|key| key.id == marker.key);
        let (place, key, user) = (
            self.assignment().target_name(target),
            marker.key,
            &self.assignment().identity.user,
        );
        (!listed).then(|| format!("{place}: its marker names {key}, which is no key of {user}"))
    }

    /// Both halves by name, and what the missing one may be called.
    pub(super) fn halves(&self, target: usize) -> Option<String> {
        let Ok((Target::Seen(pair), _)) = self.unproved(target) else {
            return None;
        };
        let place = self.assignment().target(target)?;
        let names = [&place.id, &place.secret];
        let [there, missing] = if pair.id.is_there() {
            names
        } else {
            let [id, secret] = names;
            [secret, id]
        };
        let nearest = self
            .nearest(target, missing)
            .map(|name| format!("; did you mean {name}?"))
            .unwrap_or_default();
        Some(format!(
            "{} has {there} and no value of {missing}{nearest}",
            place.container
        ))
    }

    /// The places that were named, and a variable that holds the key that signs.
    pub(super) fn likely_place(&self, key: KeyId) -> String {
        let named = self.assignment().target_names();
        let holders: Vec<String> = self.places(key).collect();
        let held = if holders.is_empty() {
            String::new()
        } else {
            format!("; {} holds that key", holders.join(", "))
        };
        format!("{}{held}", named.join(", "))
    }

    /// The variable of the container whose name is nearest to one that doesn't exist.
    fn nearest(&self, target: usize, name: &str) -> Option<&str> {
        let variables = self.variables(target)?;
        let place = self.assignment().target(target)?;
        let halves: [&str; 2] = [&place.id, &place.secret];
        variables
            .iter()
            .filter(|variable| !halves.contains(&variable.key.as_str()))
            .map(|variable| {
                let (one, other) = (variable.key.to_uppercase(), name.to_uppercase());
                (strsim::jaro_winkler(&one, &other), variable.key.as_str())
            })
            .filter(|(alike, _)| *alike >= ALIKE)
            .max_by(|(one, _), (other, _)| one.total_cmp(other))
            .map(|(_, name)| name)
    }
}
