//! GitLab's error documents.
//!
//! GitLab has several shapes: `{"message": text}` from its helpers, `{"message": {attribute: [text]}}` from validation,
//! `{"error": text}` from parameter declarations, `{"error", "error_description"}` from token checks, and
//! `{"message": {"error": text}}` from its rate limiter.

use serde_json::Value;

/// The most characters of GitLab's texts that are quoted.
const QUOTED: usize = 200;

/// An error document in one of GitLab's shapes.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) error: Option<String>,
    description: Option<String>,
    pub(super) message: Option<String>,
    attributes: Vec<(String, Vec<String>)>,
}

impl Document {
    /// Reads an error document; `None` when the body is none of GitLab's shapes, as when a proxy answered.
    pub(super) fn parse(body: &[u8]) -> Option<Document> {
        let value: Value = serde_json::from_slice(body).ok()?;
        let object = value.as_object()?;
        let text = |name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
        let mut document = Document {
            error: text("error"),
            description: text("error_description"),
            ..Document::default()
        };
        document.message = text("message");
        if let Some(attributes) = object.get("message").and_then(Value::as_object) {
            document.attributes = attributes
                .iter()
                .map(|(name, texts)| (name.clone(), strings(texts)))
                .collect();
        }
        let known = document.error.is_some() || document.message.is_some() || !document.attributes.is_empty();
        known.then_some(document)
    }

    /// GitLab's texts in one line, cut.
    pub(super) fn quote(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        parts.extend(self.message.clone());
        parts.extend(
            self.attributes
                .iter()
                .map(|(name, texts)| format!("{name} {}", texts.join(", "))),
        );
        parts.extend(self.description.clone().or_else(|| self.error.clone()));
        cut(&parts.join("; "))
    }

    pub(super) fn describes(&self, word: &str) -> bool {
        self.description
            .as_deref()
            .is_some_and(|text| text.to_ascii_lowercase().contains(word))
    }

    pub(super) fn says(&self, text: &str) -> bool {
        self.message
            .as_deref()
            .is_some_and(|message| message.contains(text))
    }

    /// Maintenance mode, and a read-only Geo secondary: a 403 that has nothing to do with the token.
    pub(super) fn read_only(&self) -> bool {
        self.says("read-only instance")
    }

    /// The masking rule is checked on the value: `{"value": ["is invalid"]}`.
    pub(super) fn mask_refused(&self) -> bool {
        self.attributes
            .iter()
            .any(|(name, texts)| name == "value" && texts.iter().any(|text| text == "is invalid"))
    }
}

fn strings(value: &Value) -> Vec<String> {
    match value.as_array() {
        Some(items) => items
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        None => value.as_str().map(str::to_owned).into_iter().collect(),
    }
}

/// One line of at most [`QUOTED`] characters.
pub(super) fn cut(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if plain.chars().count() <= QUOTED {
        return plain;
    }
    let mut short: String = plain.chars().take(QUOTED.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::Document;

    #[test]
    fn quotes_are_cut_to_one_short_line() {
        let long = "ü\\n".repeat(400);
        let document = Document::parse(format!(r#"{{"message":"{long}"}}"#).as_bytes()).unwrap();
        assert_eq!(document.quote().chars().count(), 200);
        assert!(!document.quote().contains('\n'));
        assert!(Document::parse(b"[]").is_none());
        assert!(Document::parse(b"{\"value\":\"x\"}").is_none());
    }
}
