//! What a job gets, at the moment a runner picks it up.
//!
//! GitLab evaluates a job's variables when it hands the job to a runner, not when the pipeline is made, and never
//! again: a job picked up between two `PUT`s gets a mixed pair and keeps it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::tree::{Container, Tree};
use super::variables::{Row, Variable, Variables};

/// A job that a runner picks up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its project; or a group, for a job of any project directly in it that has no variables of its own.
    pub container: Container,
    /// Whether it runs for a protected branch or tag.
    pub protected_ref: bool,
    /// The environment it deploys to, if any.
    pub environment: Option<String>,
}

/// Variables by key, those of group and project resolved as GitLab does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct JobVariables(BTreeMap<String, String>);

impl JobVariables {
    /// The value of a key; `None` if the job wouldn't get it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The values of some keys, in the order asked.
    #[must_use]
    pub fn pick(&self, keys: &[&str]) -> Vec<Option<String>> {
        keys.iter().map(|key| self.0.get(*key).cloned()).collect()
    }
}

/// Project before group, the nearest group first; within one of them the most specific scope. Reads the primary
/// database: lag concerns the API's reads.
pub(super) fn variables_for(tree: &Tree, variables: &Variables, job: &Job) -> JobVariables {
    let mut seen = BTreeMap::new();
    let mut lineage = tree.lineage(job.container);
    lineage.reverse();
    for container in lineage {
        let mut rows: Vec<&Row> = variables
            .of(container)
            .filter(|row| reaches(&row.variable, job))
            .collect();
        rows.sort_by_key(|row| specificity(&row.variable.environment_scope));
        for row in rows {
            seen.insert(row.variable.key.clone(), row.variable.value.clone());
        }
    }
    JobVariables(seen)
}

fn reaches(variable: &Variable, job: &Job) -> bool {
    let scope = variable.environment_scope.as_str();
    let in_scope = match &job.environment {
        None => scope == "*",
        Some(environment) => matches(scope, environment),
    };
    in_scope && (job.protected_ref || !variable.protected)
}

/// Later wins: `*`, then patterns, the longer the later, then a plain name.
fn specificity(scope: &str) -> (bool, usize) {
    (!scope.contains('*'), scope.len())
}

/// `*` stands for any text, slashes included.
fn matches(scope: &str, environment: &str) -> bool {
    match scope.split_once('*') {
        None => scope == environment,
        Some((head, tail)) => environment.strip_prefix(head).is_some_and(|rest| {
            rest.char_indices()
                .map(|(at, _)| at)
                .chain([rest.len()])
                .any(|at| rest.get(at..).is_some_and(|rest| matches(tail, rest)))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_scope_matches_environments_by_its_stars() {
        for (scope, environment, expected) in [
            ("*", "production", true),
            ("production", "production", true),
            ("production", "production/eu", false),
            ("review/*", "review/feature", true),
            ("review/*", "review", false),
            ("*/eu", "production/eu", true),
            ("pro*/*u", "production/eu", true),
        ] {
            assert_eq!(matches(scope, environment), expected, "{scope} {environment}");
        }
    }
}
