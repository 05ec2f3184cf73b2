//! What deserves a word and stops nothing.

use std::sync::{Arc, Mutex, PoisonError};

/// The warnings of one run, for its log and its report. Whoever has something to say is handed a clone; clones share what
/// they keep. No warning holds a secret.
#[derive(Clone, Debug, Default)]
pub struct Warnings {
    said: Arc<Mutex<Vec<String>>>,
}

impl Warnings {
    /// Logs a warning, and keeps it for the report.
    pub fn say(&self, warning: impl Into<String>) {
        let warning = warning.into();
        tracing::warn!("{warning}");
        self.said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(warning);
    }

    /// Everything that was said, in its order.
    pub fn kept(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl FromIterator<String> for Warnings {
    fn from_iter<I: IntoIterator<Item = String>>(warnings: I) -> Warnings {
        let all = Warnings::default();
        warnings.into_iter().for_each(|warning| all.say(warning));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::Warnings;

    #[test]
    fn clones_share_what_they_keep() {
        let one = Warnings::from_iter(["first".to_owned()]);
        let other = one.clone();
        other.say("second");
        one.say("third");
        assert_eq!(one.kept(), ["first", "second", "third"]);
        assert_eq!(other.kept(), one.kept());
    }
}
