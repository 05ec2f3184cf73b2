//! One answer of GitLab's.

use std::time::Duration;

use super::document::Document;

/// An answer, whatever its status.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) html: bool,
    pub(super) next_page: Option<String>,
    pub(super) total: Option<usize>,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// The error document in it.
    pub(super) fn document(&self) -> Option<Document> {
        Document::parse(&self.body)
    }
}
