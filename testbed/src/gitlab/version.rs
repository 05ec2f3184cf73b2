//! Which GitLab release is played, and what it can't do yet.

use anyhow::{Context, bail};

/// A release such as `18.2.1-ee`: the text it reports, and the rules that changed with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    text: String,
    number: (u32, u32),
}

impl Version {
    /// Reads `MAJOR.MINOR` and whatever follows.
    ///
    /// # Errors
    ///
    /// When the text doesn't begin with two numbers.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let mut parts = text.split(['.', '-']);
        let (Some(major), Some(minor)) = (parts.next(), parts.next()) else {
            bail!("{text:?} is no GitLab version: write it like 18.2.1-ee");
        };
        let number = |part: &str| {
            part.parse()
                .with_context(|| format!("{text:?} is no GitLab version: {part:?} is no number"))
        };
        Ok(Self {
            text: text.to_owned(),
            number: (number(major)?, number(minor)?),
        })
    }

    /// The text as `/metadata` and `/version` report it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Enterprise builds end in `-ee`. Only they drop the environment scope of group variables without a licence.
    #[must_use]
    pub fn is_enterprise(&self) -> bool {
        self.text.ends_with("-ee")
    }

    fn since(&self, major: u32, minor: u32) -> bool {
        self.number >= (major, minor)
    }

    /// `GET /metadata` came with 15.2; `/version` is older.
    pub(super) fn has_metadata(&self) -> bool {
        self.since(15, 2)
    }

    /// `GET /personal_access_tokens/self` came with 15.5.
    pub(super) fn has_token_self(&self) -> bool {
        self.since(15, 5)
    }

    /// `enterprise` in the metadata came with 15.6.
    pub(super) fn tells_edition(&self) -> bool {
        self.since(15, 6)
    }

    /// `raw` came with 15.7.
    pub(super) fn has_raw(&self) -> bool {
        self.since(15, 7)
    }

    /// `description` came with 16.2; before, it is an undeclared parameter and so ignored.
    pub(super) fn has_description(&self) -> bool {
        self.since(16, 2)
    }

    /// The group `PUT` reads `filter[environment_scope]` since 16.9.
    pub(super) fn has_group_filter(&self) -> bool {
        self.since(16, 9)
    }

    /// `masked_and_hidden` and `hidden` came with 17.4.
    pub(super) fn has_hidden(&self) -> bool {
        self.since(17, 4)
    }

    /// The refusal to unmask a hidden variable was reworded in 17.6.
    pub(super) fn has_new_hidden_wording(&self) -> bool {
        self.since(17, 6)
    }
}
