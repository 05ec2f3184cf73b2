//! The state behind the API, and what a test may set up and look at.

use jiff::Timestamp;
use jiff::civil::Date;

use super::clock::Clock;
use super::jobs;
use super::tokens::{IssuedToken, Token, Tokens};
use super::tree::{Container, GroupId, ProjectId, Tree};
use super::variables::{Author, Change, Variable, Variables};
use super::version::Version;

/// How this GitLab is built, licensed and behaves. A test may change it at any time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The release played.
    pub version: Version,
    /// Whether group variables may have an environment scope: Premium and Ultimate, or a build without the
    /// enterprise code.
    pub licensed: bool,
    /// Maintenance mode: writes are refused with 403, before the token is looked at.
    pub read_only: bool,
    /// Which row a group `PUT` overwrites that selected none, or many.
    pub overwritten: OverwrittenRow,
}

/// GitLab takes the first row with the key that its database returns, in no stated order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OverwrittenRow {
    /// The oldest row with the key.
    #[default]
    LowestId,
    /// The newest row with the key.
    HighestId,
    /// The row at this place, from 0 in order of id; the last one if there are fewer.
    Nth(usize),
}

/// Groups, projects, variables and tokens.
#[derive(Debug, Clone)]
pub struct World {
    /// How this GitLab behaves.
    pub settings: Settings,
    pub(super) clock: Clock,
    pub(super) tree: Tree,
    pub(super) tokens: Tokens,
    pub(super) variables: Variables,
}

impl World {
    pub(super) fn new(settings: Settings, clock: Clock) -> Self {
        Self {
            settings,
            clock,
            tree: Tree::default(),
            tokens: Tokens::default(),
            variables: Variables::default(),
        }
    }

    /// The server's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The server's day, in UTC.
    #[must_use]
    pub fn today(&self) -> Date {
        self.clock.today()
    }

    /// Adds a private group by its full path, with the groups above it; one that exists is returned.
    pub fn add_group(&mut self, path: &str) -> GroupId {
        self.tree.add_group(path)
    }

    /// Adds a private project by its full path, with the groups above it; one that exists is returned.
    pub fn add_project(&mut self, path: &str) -> ProjectId {
        self.tree.add_project(path)
    }

    /// Gives a group another full path. Its old path is 404 from then on, its id stays good.
    pub fn rename_group(&mut self, id: GroupId, path: &str) {
        self.tree.relocate(Container::Group(id), path);
    }

    /// Gives a project another full path. Its old path is redirected: 301 to `GET`, 405 to anything else.
    pub fn move_project(&mut self, id: ProjectId, path: &str) {
        self.tree.relocate(Container::Project(id), path);
    }

    /// Issues a token and returns its text.
    pub fn add_token(&mut self, token: Token) -> String {
        let now = self.now();
        self.tokens.add(token, now).text.clone()
    }

    /// All tokens ever issued, in order.
    #[must_use]
    pub fn tokens(&self) -> &[IssuedToken] {
        self.tokens.all()
    }

    /// The token with this text.
    #[must_use]
    pub fn token(&self, text: &str) -> Option<&IssuedToken> {
        self.tokens.with_text(text)
    }

    /// Changes a token's rights or state.
    pub fn alter_token(&mut self, text: &str, alter: impl FnOnce(&mut Token)) {
        if let Some(issued) = self.tokens.with_text_mut(text) {
            alter(&mut issued.token);
        }
    }

    /// Stores a variable as given, unchecked: the one with its key and scope is replaced.
    pub fn set_variable(&mut self, container: impl Into<Container>, variable: Variable) {
        let container = container.into();
        let author = self.test_author();
        match self
            .variables
            .get(container, &variable.key, &variable.environment_scope)
            .map(|row| row.id)
        {
            Some(id) => self.variables.update(id, variable, &author),
            None => {
                self.variables.create(container, variable, &author);
            }
        }
    }

    /// Removes a variable, as a person in the web interface might.
    pub fn remove_variable(&mut self, container: impl Into<Container>, key: &str, scope: &str) {
        let author = self.test_author();
        if let Some(id) = self.variables.get(container.into(), key, scope).map(|row| row.id) {
            self.variables.delete(id, &author);
        }
    }

    /// A variable as it is, with its value even if hidden.
    #[must_use]
    pub fn variable(&self, container: impl Into<Container>, key: &str, scope: &str) -> Option<Variable> {
        self.variables
            .get(container.into(), key, scope)
            .map(|row| row.variable.clone())
    }

    /// All variables of a container, oldest first.
    #[must_use]
    pub fn variables(&self, container: impl Into<Container>) -> Vec<Variable> {
        self.variables
            .of(container.into())
            .map(|row| row.variable.clone())
            .collect()
    }

    /// Every change of any variable, in order.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        self.variables.changes()
    }

    /// What a runner would hand to a job that it picked up at this moment.
    #[must_use]
    pub fn job_variables(&self, job: &jobs::Job) -> jobs::JobVariables {
        jobs::variables_for(&self.tree, &self.variables, job)
    }

    fn test_author(&self) -> Author {
        Author {
            name: "test".into(),
            at: self.now(),
        }
    }
}
