//! Access key ids.

use std::fmt;

/// The longest id that is recognised. AWS documents 16 to 128 characters; every id issued so far has 20.
const LONGEST: usize = 32;
/// The shortest, by the same page of AWS's IAM API reference (`AccessKey`, `AccessKeyId`).
const SHORTEST: usize = 16;

/// An AWS access key id, such as `AKIAIOSFODNN7EXAMPLE`. It is no secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId {
    bytes: [u8; LONGEST],
    len: u8,
}

impl KeyId {
    /// Reads an access key id; `None` when the text can't be one (AWS: word characters only, 16 or more of them).
    pub fn parse(text: &str) -> Option<KeyId> {
        let word = text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !word || !(SHORTEST..=LONGEST).contains(&text.len()) {
            return None;
        }
        Self::from_text(text)
    }

    /// Stands for the key that a dry run would create. It equals no id that [`KeyId::parse`] can return.
    pub fn hypothetical() -> KeyId {
        Self::from_text("(new key)").unwrap_or(KeyId {
            bytes: [0; LONGEST],
            len: 0,
        })
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        self.bytes
            .get(..usize::from(self.len))
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .unwrap_or("")
    }

    fn from_text(text: &str) -> Option<KeyId> {
        let mut bytes = [0; LONGEST];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(KeyId {
            bytes,
            len: u8::try_from(text.len()).ok()?,
        })
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::KeyId;

    #[test]
    fn an_access_key_id_is_kept_as_it_was_written() {
        assert_eq!(
            KeyId::parse("AKIAIOSFODNN7EXAMPLE").unwrap().as_str(),
            "AKIAIOSFODNN7EXAMPLE"
        );
    }

    #[test]
    fn what_cannot_be_an_access_key_id_is_none() {
        for text in [
            "",
            "$PROD_KEY",
            "AKIA",
            "AKIAIOSFODNN7EXAMPL\n",
            "placeholder",
            &"A".repeat(33),
        ] {
            assert_eq!(KeyId::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_key_of_a_dry_run_can_never_be_read_from_a_variable() {
        assert_eq!(KeyId::parse(KeyId::hypothetical().as_str()), None);
    }
}
