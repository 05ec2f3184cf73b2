//! The secrets that this process holds.

use planner::{Key, KeyId, Status};

use crate::secret::{KeyPair, Secret};

/// Each secret once, with its key: STS accepted the pair in this run, or CreateAccessKey returned it.
#[derive(Default)]
pub(super) struct Keyring {
    pairs: Vec<KeyPair>,
}

impl Keyring {
    /// Takes a pair in.
    pub(super) fn keep(&mut self, pair: KeyPair) {
        let known = |held: &KeyPair| held.id == pair.id && held.secret.same(&pair.secret);
        if !self.pairs.iter().any(known) {
            self.pairs.push(pair);
        }
    }

    /// The key with its secret, if this process holds it.
    pub(super) fn pair(&self, key: KeyId) -> Option<&KeyPair> {
        self.pairs.iter().rev().find(|pair| pair.id == key)
    }

    /// The key of a secret that is held already, as long as it is listed as Active.
    pub(super) fn key_of(&self, secret: &Secret, listed: &[Key]) -> Option<KeyId> {
        let active = |id: KeyId| {
            let mut keys = listed.iter();
            keys.any(|key| key.id == id && key.status == Status::Active)
        };
        let held = self
            .pairs
            .iter()
            .find(|pair| pair.secret.same(secret) && active(pair.id));
        held.map(|pair| pair.id)
    }
}

impl FromIterator<KeyPair> for Keyring {
    fn from_iter<I: IntoIterator<Item = KeyPair>>(pairs: I) -> Keyring {
        let mut keyring = Keyring::default();
        pairs.into_iter().for_each(|pair| keyring.keep(pair));
        keyring
    }
}

#[cfg(test)]
mod tests {
    use planner::{Key, KeyId, LastUsed, Status, Timestamp};

    use super::Keyring;
    use crate::secret::{KeyPair, Secret};

    fn pair(id: &str, secret: &str) -> KeyPair {
        KeyPair {
            id: KeyId::parse(id).unwrap(),
            secret: Secret::new(secret),
        }
    }

    fn listed(pair: &KeyPair, status: Status) -> Key {
        Key {
            id: pair.id,
            status,
            created: Timestamp(0),
            last_used: LastUsed::Never,
        }
    }

    #[test]
    fn each_secret_is_held_once() {
        let mut keyring = Keyring::default();
        keyring.keep(pair("AKIAAAAAAAAAAAAAAAAA", "one"));
        keyring.keep(pair("AKIAAAAAAAAAAAAAAAAA", "one"));
        keyring.keep(pair("AKIABBBBBBBBBBBBBBBB", "other"));
        assert_eq!(keyring.pairs.len(), 2);
    }

    #[test]
    fn a_secret_proves_its_key_only_while_that_is_listed_as_active() {
        let mut keyring = Keyring::default();
        let one = pair("AKIAAAAAAAAAAAAAAAAA", "one");
        keyring.keep(one.clone());
        let key_of = |secret: &str, listed: &[Key]| keyring.key_of(&Secret::new(secret), listed);
        assert_eq!(key_of("one", &[listed(&one, Status::Active)]), Some(one.id));
        assert_eq!(key_of("one", &[listed(&one, Status::Inactive)]), None);
        assert_eq!(key_of("one", &[]), None);
        assert_eq!(key_of("other", &[listed(&one, Status::Active)]), None);
    }
}
