//! CI/CD variables: the rows, how one is selected, and a record of every change.

use jiff::Timestamp;
use serde::Serialize;

use super::tree::Container;

/// How a job gets the value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VariableType {
    /// As the value of an environment variable.
    #[default]
    EnvVar,
    /// As the path of a temporary file that holds the value.
    File,
}

impl VariableType {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "env_var" => Some(Self::EnvVar),
            "file" => Some(Self::File),
            _ => None,
        }
    }
}

/// A variable with its true value, hidden or not. The defaults are those of `POST`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Unique together with the scope.
    pub key: String,
    /// What jobs get.
    pub value: String,
    /// `env_var` or `file`.
    pub variable_type: VariableType,
    /// Only for jobs of protected refs.
    pub protected: bool,
    /// Masked in job logs.
    pub masked: bool,
    /// Never shown by the API (17.4). Always masked too.
    pub hidden: bool,
    /// `$X` in the value is not expanded.
    pub raw: bool,
    /// Which environments' jobs get it: `*`, a name, or a pattern with `*`.
    pub environment_scope: String,
    /// At most 255 characters.
    pub description: Option<String>,
}

impl Default for Variable {
    fn default() -> Self {
        Self {
            key: String::new(),
            value: String::new(),
            variable_type: VariableType::EnvVar,
            protected: false,
            masked: false,
            hidden: false,
            raw: false,
            environment_scope: "*".into(),
            description: None,
        }
    }
}

impl Variable {
    /// A variable with `POST`'s defaults.
    #[must_use]
    pub fn new(key: &str, value: &str) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
            ..Self::default()
        }
    }

    /// A variable as credentials should be kept: masked, protected, not expanded.
    #[must_use]
    pub fn credential(key: &str, value: &str) -> Self {
        Self {
            protected: true,
            masked: true,
            raw: true,
            ..Self::new(key, value)
        }
    }
}

/// What happened to a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// By `POST` or by the test's set-up.
    Created,
    /// By `PUT` or by the test's set-up.
    Updated,
    /// By `DELETE` or by the test's set-up.
    Deleted,
}

/// One entry of the record: the variable as it stood after the change, or before a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The server's time.
    pub at: Timestamp,
    /// The name of the token, or `test` for the test's set-up.
    pub by: String,
    /// What happened.
    pub action: Action,
    /// Whose variable.
    pub container: Container,
    /// The key.
    pub key: String,
    /// The environment scope.
    pub environment_scope: String,
    /// The value, hidden or not.
    pub value: String,
    /// The description.
    pub description: Option<String>,
}

/// A stored variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) id: u64,
    pub(super) container: Container,
    pub(super) variable: Variable,
}

/// Who changes something, and when.
#[derive(Debug, Clone)]
pub(super) struct Author {
    pub(super) name: String,
    pub(super) at: Timestamp,
}

/// All variables, in order of id.
#[derive(Debug, Clone, Default)]
pub(super) struct Variables {
    rows: Vec<Row>,
    next_id: u64,
    changes: Vec<Change>,
}

impl Variables {
    pub(super) fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The rows of a container in order of id.
    pub(super) fn of(&self, container: Container) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.container == container)
    }

    pub(super) fn get(&self, container: Container, key: &str, scope: &str) -> Option<&Row> {
        self.of(container)
            .find(|row| row.variable.key == key && row.variable.environment_scope == scope)
    }

    pub(super) fn create(&mut self, container: Container, variable: Variable, author: &Author) -> &Row {
        self.record(container, &variable, Action::Created, author);
        self.next_id += 1;
        self.rows.push_mut(Row {
            id: self.next_id,
            container,
            variable,
        })
    }

    pub(super) fn update(&mut self, id: u64, variable: Variable, author: &Author) {
        let Some(row) = self.rows.iter_mut().find(|row| row.id == id) else {
            return;
        };
        let container = row.container;
        // A PUT of what is there already saves nothing, so it does not enter the record.
        if row.variable == variable {
            return;
        }
        row.variable = variable.clone();
        self.record(container, &variable, Action::Updated, author);
    }

    pub(super) fn delete(&mut self, id: u64, author: &Author) {
        let Some(at) = self.rows.iter().position(|row| row.id == id) else {
            return;
        };
        let row = self.rows.remove(at);
        self.record(row.container, &row.variable, Action::Deleted, author);
    }

    fn record(&mut self, container: Container, variable: &Variable, action: Action, author: &Author) {
        self.changes.push(Change {
            at: author.at,
            by: author.name.clone(),
            action,
            container,
            key: variable.key.clone(),
            environment_scope: variable.environment_scope.clone(),
            value: variable.value.clone(),
            description: variable.description.clone(),
        });
    }
}

/// The variables a key and a filter select: the key exactly, the scope by equality of the stored text. `*` in a
/// filter selects only the variable whose scope is `*`; it is no wildcard.
pub(super) fn select<'a>(rows: impl Iterator<Item = &'a Row>, key: &str, scope: Option<&str>) -> Vec<Row> {
    rows.filter(|row| row.variable.key == key)
        .filter(|row| scope.is_none_or(|scope| row.variable.environment_scope == scope))
        .cloned()
        .collect()
}
