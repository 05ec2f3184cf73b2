//! Access tokens: what they may do, and how they end.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use super::reply::Reply;
use super::tree::Container;

/// A token's scope. `api` is for everything, `read_api` for `GET` only; no narrower classic scope writes
/// variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everything.
    Api,
    /// Reading.
    ReadApi,
    /// The user and the instance's version, nothing of groups and projects.
    ReadUser,
    /// Rotating itself (17.9), and nothing else.
    SelfRotate,
}

/// A membership's access level, lowest first. A role on a group is inherited by everything below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "GitLab's own names")]
pub enum Role {
    Guest,
    Planner,
    Reporter,
    Developer,
    /// Enough for a project's variables, too low for a group's.
    Maintainer,
    /// The only role that reads or writes a group's variables.
    Owner,
}

/// A token as a test sets it up; personal, group and project tokens are the same kind of record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Shown in the journal in place of the token's text.
    pub name: String,
    /// Default: `api`.
    pub scopes: Vec<Scope>,
    /// Memberships of the token's user.
    pub roles: Vec<(Container, Role)>,
    /// An instance administrator sees and may do everything without a membership.
    pub admin: bool,
    /// The token stops working at 00:00 UTC on this day; `None` never.
    pub expires_at: Option<Date>,
    /// Revoked already.
    pub revoked: bool,
    /// The token's text; made up (`glpat-…`) when left out.
    pub text: Option<String>,
}

impl Default for Token {
    fn default() -> Self {
        Self {
            name: "token".into(),
            scopes: vec![Scope::Api],
            roles: Vec::new(),
            admin: false,
            expires_at: None,
            revoked: false,
            text: None,
        }
    }
}

impl Token {
    /// A token with scope `api` and one role.
    #[must_use]
    pub fn with_role(name: &str, container: impl Into<Container>, role: Role) -> Self {
        Self {
            name: name.into(),
            roles: vec![(container.into(), role)],
            ..Self::default()
        }
    }

    /// An Owner's token, as a group access token must be to write the group's variables.
    #[must_use]
    pub fn owner(container: impl Into<Container>) -> Self {
        Self::with_role("owner", container, Role::Owner)
    }

    /// A Maintainer's token: enough for a project's variables only.
    #[must_use]
    pub fn maintainer(container: impl Into<Container>) -> Self {
        Self::with_role("maintainer", container, Role::Maintainer)
    }

    /// An administrator's token.
    #[must_use]
    pub fn admin() -> Self {
        Self {
            name: "admin".into(),
            admin: true,
            ..Self::default()
        }
    }
}

/// A token in existence, with its text: ground truth for tests, never part of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedToken {
    /// Its id.
    pub id: u64,
    /// The user behind it.
    pub user_id: u64,
    /// What a client sends.
    pub text: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last accepted.
    pub last_used_at: Option<Timestamp>,
    /// Its rights and state.
    pub token: Token,
}

impl IssuedToken {
    /// Whether GitLab accepts it on this day.
    #[must_use]
    pub fn is_active(&self, today: Date) -> bool {
        !self.token.revoked && !self.is_expired(today)
    }

    fn is_expired(&self, today: Date) -> bool {
        self.token.expires_at.is_some_and(|day| today >= day)
    }
}

/// What a route asks of a token: any of some scopes, or any scope at all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Accepted {
    scopes: &'static [Scope],
    /// The list in the refusal: all scopes registered for the route, whatever the method.
    registered: &'static str,
}

impl Accepted {
    /// Reading groups, projects and variables.
    pub(super) const READ: Self = Self {
        scopes: &[Scope::Api, Scope::ReadApi],
        registered: "api read_api",
    };
    /// Writing variables.
    pub(super) const WRITE: Self = Self {
        scopes: &[Scope::Api],
        registered: "api read_api",
    };
    /// Version and metadata.
    pub(super) const METADATA: Self = Self {
        scopes: &[Scope::Api, Scope::ReadApi, Scope::ReadUser],
        registered: "api read_api read_user",
    };
    /// What any token may ask about itself.
    pub(super) const ANY: Self = Self {
        scopes: &[Scope::Api, Scope::ReadApi, Scope::ReadUser, Scope::SelfRotate],
        registered: "api read_api",
    };
}

/// All tokens.
#[derive(Debug, Clone, Default)]
pub(super) struct Tokens {
    issued: Vec<IssuedToken>,
}

impl Tokens {
    pub(super) fn add(&mut self, mut token: Token, now: Timestamp) -> &IssuedToken {
        let n = self.issued.len() as u64;
        let id = 101 + n;
        let text = token.text.take().unwrap_or_else(|| made_up_text(id));
        self.issued.push_mut(IssuedToken {
            id,
            user_id: 2001 + n,
            text,
            created_at: now,
            last_used_at: None,
            token,
        })
    }

    pub(super) fn all(&self) -> &[IssuedToken] {
        &self.issued
    }

    pub(super) fn with_text(&self, text: &str) -> Option<&IssuedToken> {
        self.issued.iter().find(|issued| issued.text == text)
    }

    pub(super) fn with_text_mut(&mut self, text: &str) -> Option<&mut IssuedToken> {
        self.issued.iter_mut().find(|issued| issued.text == text)
    }

    /// Accepts or refuses a token in GitLab's order: unknown, expired, revoked, scope too small.
    ///
    /// # Errors
    ///
    /// The 401 or 403.
    pub(super) fn authenticate(
        &mut self,
        text: Option<&str>,
        accepted: Accepted,
        (now, today): (Timestamp, Date),
    ) -> Result<IssuedToken, Reply> {
        let issued = text
            .and_then(|text| self.with_text_mut(text))
            .ok_or_else(Reply::unauthorized)?;
        if issued.is_expired(today) {
            return Err(Reply::invalid_token(
                "Token is expired. You can either do re-authorization or token refresh.",
            ));
        }
        if issued.token.revoked {
            return Err(Reply::invalid_token(
                "Token was revoked. You have to re-authorize from the user.",
            ));
        }
        if !issued
            .token
            .scopes
            .iter()
            .any(|scope| accepted.scopes.contains(scope))
        {
            return Err(Reply::insufficient_scope(accepted.registered));
        }
        let before = issued.clone();
        issued.last_used_at = Some(now);
        Ok(before)
    }
}

/// Twenty characters that look random and are the same in every run.
fn made_up_text(seed: u64) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut state = seed;
    let mut text = String::from("glpat-");
    for _ in 0..20 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let character = ALPHABET.get((state >> 58) as usize).copied().unwrap_or(b'_');
        text.push(char::from(character));
    }
    text
}
