//! The search for secrets in what runs wrote, in every way in which one may be spelt.

use std::collections::BTreeSet;

/// What is shorter can't be told from ordinary text.
const SHORTEST: usize = 16;

/// The ways in which a secret may be spelt: as it is, percent-encoded, and in base64, where inside other text it begins at
/// any of three places of a group.
pub fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned(), percent_encoded(secret)];
    for shift in 0..3 {
        let text = base64(format!("{}{secret}", " ".repeat(shift)).as_bytes());
        // The groups at both ends also hold what stands beside the secret.
        if let Some(inner) = text.get(4..text.len().saturating_sub(4)) {
            forms.push(inner.replace('+', "-").replace('/', "_"));
            forms.push(inner.to_owned());
        }
    }
    forms
}

/// The forms of these secrets that are in what was written.
pub fn found(written: &[u8], secrets: &BTreeSet<String>) -> Vec<String> {
    let text = String::from_utf8_lossy(written);
    let all = secrets
        .iter()
        .filter(|secret| secret.len() >= SHORTEST)
        .flat_map(|secret| forms(secret));
    all.filter(|form| text.contains(form.as_str())).collect()
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn base64(bytes: &[u8]) -> String {
    aws_smithy_types::base64::encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::{base64, percent_encoded};

    #[test]
    fn encodings_are_those_of_their_rfcs() {
        assert_eq!(base64(b"light w"), "bGlnaHQgdw==");
        assert_eq!(percent_encoded("a+/b"), "a%2B%2Fb");
    }
}
