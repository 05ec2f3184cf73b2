//! What GitLab says of the token itself.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use planner::Timestamp;
use serde::Deserialize;

use super::Gitlab;
use super::cause::Doing;
use crate::failure::Failure;

/// A personal, group or project access token: GitLab keeps all three in the same record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenInfo {
    /// The name that its owner gave it.
    pub name: String,
    /// Its scopes; writing variables needs `api`.
    pub scopes: Vec<String>,
    /// When it stops working: at 00:00 UTC *on* the date that GitLab shows, not after that day. `None` when it doesn't
    /// expire, or GitLab does not say so in a form that is known.
    pub expires_at: Option<Timestamp>,
    /// Whether it is neither revoked nor expired.
    pub active: bool,
    /// Whether it was revoked.
    pub revoked: bool,
    /// Whether it has fine-grained permissions, in which case the scopes say nothing.
    pub granular: bool,
}

impl TokenInfo {
    /// Whether the scopes let it write variables: only `api` does, apart from fine-grained permissions that can't be
    /// judged from here.
    pub fn may_write(&self) -> bool {
        self.granular || self.scopes.iter().any(|scope| scope == "api")
    }
}

#[derive(Deserialize)]
struct Wire {
    name: String,
    #[serde(default)]
    scopes: Vec<String>,
    expires_at: Option<String>,
    #[serde(default)]
    active: Option<bool>,
    #[serde(default)]
    revoked: bool,
    #[serde(default)]
    granular: bool,
}

impl Gitlab {
    /// Asks what the token is; any scope may. `None` for a token of another kind, such as OAuth's, which may work all the
    /// same: GitLab answers 400 for those.
    pub async fn token(&self) -> Result<Option<TokenInfo>, Failure> {
        let doing = Doing::plain("The GitLab token was not looked up");
        let answer = self
            .get(self.url(&["personal_access_tokens", "self"])?, &doing)
            .await?;
        if answer.status == 400 && answer.document().is_some() {
            return Ok(None);
        }
        let wire: Wire = answer.json(&doing)?;
        Ok(Some(TokenInfo {
            name: wire.name,
            scopes: wire.scopes,
            expires_at: wire.expires_at.as_deref().and_then(end),
            active: wire.active.unwrap_or(!wire.revoked),
            revoked: wire.revoked,
            granular: wire.granular,
        }))
    }
}

/// `expires_at` is a date; newer releases document a date-time.
fn end(text: &str) -> Option<Timestamp> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(Timestamp(at.as_second()));
    }
    let midnight = text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok()?;
    Some(Timestamp(midnight.timestamp().as_second()))
}

#[cfg(test)]
mod tests {
    use super::end;
    use planner::Timestamp;

    #[test]
    fn a_token_ends_at_midnight_utc_of_its_date() {
        assert_eq!(end("2026-11-22"), Some(Timestamp(1_795_305_600)));
        assert_eq!(end("2026-11-22T00:00:00.000Z"), Some(Timestamp(1_795_305_600)));
        assert_eq!(end("some day"), None);
    }
}
