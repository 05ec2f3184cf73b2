//! Reader and writer of CI/CD variables.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;

use super::answer::Answer;
use super::cause::{Cause, Doing};
use super::client::Outcome;
use super::document::cut;
use super::{Gitlab, VariableOwner};
use crate::failure::{Class, Failure, Written};
use crate::reason::Reason;
use crate::secret::Secret;

/// The most that GitLab returns in one page.
const PER_PAGE: usize = 100;
/// GitLab's default limit is 30,000 variables in a group (300 pages); administrators may raise it.
const MOST_PAGES: u32 = 1000;

/// A variable as GitLab shows it.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Its name, which GitLab compares exactly.
    pub key: String,
    /// Its value. `None` when it is hidden: GitLab then answers `null`, always.
    pub value: Option<Secret>,
    /// Its description.
    pub description: Option<String>,
    /// Whether the answer had a description at all: GitLab has them since 16.2.
    pub description_supported: bool,
    /// Whether its value is shown to nobody any more ("masked and hidden", since 17.4).
    pub hidden: bool,
    /// Whether job logs mask it.
    pub masked: bool,
    /// Whether only jobs of protected branches and tags get it.
    pub protected: bool,
    /// Whether `$` in the value is left alone.
    pub raw: bool,
    /// The environments it is for. `*` is all of them.
    pub environment_scope: String,
    /// `env_var` or `file`.
    pub variable_type: String,
}

impl Variable {
    /// Whether the value refers to another variable, which GitLab puts in its place when a job starts. Its text is then
    /// not what jobs get.
    pub fn is_reference(&self) -> bool {
        !self.raw
            && self
                .value
                .as_ref()
                .is_some_and(|value| value.expose().starts_with('$'))
    }
}

/// A variable to create, with every attribute: the defaults of GitLab's API are none that a secret should have.
#[derive(Clone, Debug)]
pub struct NewVariable {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: Secret,
    /// Its description.
    pub description: String,
    /// Masked in job logs.
    pub masked: bool,
    /// Masked and hidden; there is no way back, and no way to it but creation.
    pub hidden: bool,
    /// `$` in the value is left alone.
    pub raw: bool,
    /// Only for protected branches and tags.
    pub protected: bool,
    /// The environments it is for. GitLab drops the scope of a group's variable without a word where that needs a
    /// licence; the answer is compared.
    pub scope: String,
}

/// The variable with exactly this key and scope. GitLab matches neither by pattern: `*` is the scope that is `*`.
pub fn find<'a>(variables: &'a [Variable], key: &str, scope: &str) -> Result<Option<&'a Variable>, Failure> {
    let mut matches = variables
        .iter()
        .filter(|variable| variable.key == key && variable.environment_scope == scope);
    let first = matches.next();
    if matches.next().is_some() {
        return Err(Failure::blocked(
            Reason::AmbiguousVariable,
            format!("{key} was not looked at: there is more than one with the environment scope {scope}"),
            "Leave one variable with this key and environment scope.",
        ));
    }
    Ok(first)
}

/// The other scopes in which the key exists.
pub fn other_scopes(variables: &[Variable], key: &str, scope: &str) -> Vec<String> {
    variables
        .iter()
        .filter(|variable| variable.key == key && variable.environment_scope != scope)
        .map(|variable| variable.environment_scope.clone())
        .collect()
}

/// The nine fields of a variable. Releases before 17.4, 16.2 and 15.7 lack `hidden`, `description` and `raw`.
#[derive(Deserialize)]
struct Wire {
    key: String,
    #[serde(default)]
    value: Option<String>,
    #[serde(default, deserialize_with = "present")]
    description: Option<Option<String>>,
    #[serde(default)]
    hidden: bool,
    #[serde(default)]
    masked: bool,
    #[serde(default)]
    protected: bool,
    #[serde(default)]
    raw: bool,
    #[serde(default = "everywhere")]
    environment_scope: String,
    #[serde(default = "env_var")]
    variable_type: String,
}

/// Tells a field that is null from one that is absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn everywhere() -> String {
    "*".to_owned()
}

fn env_var() -> String {
    "env_var".to_owned()
}

impl From<Wire> for Variable {
    fn from(wire: Wire) -> Variable {
        Variable {
            key: wire.key,
            value: wire.value.filter(|_| !wire.hidden).map(Secret::new),
            description_supported: wire.description.is_some(),
            description: wire.description.flatten(),
            hidden: wire.hidden,
            masked: wire.masked,
            protected: wire.protected,
            raw: wire.raw,
            environment_scope: wire.environment_scope,
            variable_type: wire.variable_type,
        }
    }
}

/// What a PUT may carry: an attribute that is not sent keeps its value. The scope selects the row, and must not be sent
/// as `environment_scope`, which would move it.
#[derive(Serialize)]
struct Update<'a> {
    value: &'a str,
    description: &'a str,
    filter: Filter<'a>,
}

#[derive(Serialize)]
struct Filter<'a> {
    environment_scope: &'a str,
}

/// What the answer to a write must show.
pub(super) struct Expected<'a> {
    pub(super) key: &'a str,
    pub(super) scope: &'a str,
    pub(super) value: &'a Secret,
    pub(super) description: &'a str,
}

impl Gitlab {
    /// Reads all variables of a group or project. Pages are ordered by GitLab's internal id, so none is missed while
    /// others are added; when one is removed meanwhile the number of rows tells.
    pub async fn variables(&self, owner: &VariableOwner) -> Result<Vec<Variable>, Failure> {
        let doing = Doing {
            failed: format!("The variables of {owner} were not read"),
            unclear: String::new(),
            owner: Some(owner),
        };
        let [kind, name] = owner.segments();
        let address = self.url(&[kind, name, "variables"])?;
        let mut found: Vec<Variable> = Vec::new();
        let mut page: u32 = 1;
        while page <= MOST_PAGES {
            let mut url = address.clone();
            url.query_pairs_mut()
                .append_pair("per_page", &PER_PAGE.to_string())
                .append_pair("page", &page.to_string());
            let answer = self.get(url, &doing).await?;
            let rows = rows(&answer, &doing)?;
            let full = rows.len() >= PER_PAGE;
            found.extend(rows);
            // `X-Next-Page`, not `Link`: the links carry the address that GitLab believes to have.
            match answer.next_page.as_deref().map(str::parse::<u32>) {
                Some(Ok(next)) if next > page => page = next,
                Some(Ok(_)) => return Err(answer.unexpected().failed(&doing)),
                None if full => page += 1,
                Some(Err(_)) | None => {
                    if answer.total.is_some_and(|total| total != found.len()) {
                        let changed = "they changed while they were read";
                        return Err(Cause::incomplete(Reason::GitlabListChanged, changed).failed(&doing));
                    }
                    return Ok(found);
                }
            }
        }
        Err(Cause::incomplete(Reason::GitlabError, "there is no end to their pages").failed(&doing))
    }

    /// Replaces value and description of the variable with this key and scope; all else stays as it is.
    ///
    /// A group's PUT whose scope matches no variable overwrites *another* one with the same key and answers 200, so the
    /// caller has just seen the variable, and the answer must show it.
    pub async fn update(
        &self,
        owner: &VariableOwner,
        key: &str,
        scope: &str,
        value: &Secret,
        description: &str,
    ) -> Written<Variable> {
        let doing = Doing {
            failed: format!("{key} (scope {scope}) of {owner} was not changed"),
            unclear: format!("It is not known whether {key} (scope {scope}) of {owner} was changed"),
            owner: Some(owner),
        };
        let [kind, name] = owner.segments();
        let url = match self.url(&[kind, name, "variables", key]) {
            Ok(url) => url,
            Err(failure) => return Written::Refused(failure),
        };
        let update = Update {
            value: value.expose(),
            description,
            filter: Filter {
                environment_scope: scope,
            },
        };
        let outcome = self
            .write(|| self.http.put(url.clone()).json(&update), true, owner)
            .await;
        conclude(outcome, &doing, value, |variable| {
            differs(
                variable,
                &Expected {
                    key,
                    scope,
                    value,
                    description,
                },
            )
        })
    }

    /// Creates a variable, every attribute explicit. A POST is not repeated once it was sent: the second would be refused
    /// as "already taken" by the first.
    pub async fn create(&self, owner: &VariableOwner, new: &NewVariable) -> Written<Variable> {
        let NewVariable { key, scope, .. } = new;
        let doing = Doing {
            failed: format!("{key} (scope {scope}) of {owner} was not created"),
            unclear: format!("It is not known whether {key} (scope {scope}) of {owner} was created"),
            owner: Some(owner),
        };
        let [kind, name] = owner.segments();
        let url = match self.url(&[kind, name, "variables"]) {
            Ok(url) => url,
            Err(failure) => return Written::Refused(failure),
        };
        let request = || {
            self.http.post(url.clone()).json(&json!({
                "key": key,
                "value": new.value.expose(),
                "description": new.description,
                "masked": new.masked || new.hidden,
                "masked_and_hidden": new.hidden,
                "raw": new.raw,
                "protected": new.protected,
                "variable_type": "env_var",
                "environment_scope": scope,
            }))
        };
        let outcome = self.write(request, false, owner).await;
        conclude(outcome, &doing, &new.value, |variable| {
            let expected = Expected {
                key,
                scope,
                value: &new.value,
                description: &new.description,
            };
            differs(variable, &expected).or_else(|| {
                let attributes = [
                    ("masked", variable.masked, new.masked || new.hidden),
                    ("hidden", variable.hidden, new.hidden),
                    ("raw", variable.raw, new.raw),
                    ("protected", variable.protected, new.protected),
                ];
                let differing = attributes.iter().find(|(_, is, should)| is != should);
                differing.map(|(name, is, _)| {
                    Difference::Here(format!("GitLab answered with the attribute {name} = {is}"))
                })
            })
        })
    }
}

/// The variables of one page.
pub(super) fn rows(answer: &Answer, doing: &Doing<'_>) -> Result<Vec<Variable>, Failure> {
    let rows: Vec<Wire> = answer.json(doing)?;
    Ok(rows.into_iter().map(Variable::from).collect())
}

pub(super) fn conclude(
    outcome: Outcome,
    doing: &Doing<'_>,
    value: &Secret,
    differs: impl Fn(&Variable) -> Option<Difference>,
) -> Written<Variable> {
    match outcome {
        Outcome::Refused(cause) => Written::Refused(cause.without(value).failed(doing)),
        Outcome::Unclear(cause) => Written::Unclear(cause.without(value).unclear(doing)),
        Outcome::Answered(answer) => {
            let Ok(wire) = serde_json::from_slice::<Wire>(&answer.body) else {
                return Written::Unclear(answer.unexpected().without(value).unclear(doing));
            };
            let variable = Variable::from(wire);
            match differs(&variable) {
                None => Written::Done(variable),
                Some(Difference::Here(text)) => {
                    let cause = Cause::incomplete(Reason::GitlabAnswerDiffers, text);
                    Written::Unclear(cause.without(value).unclear(doing))
                }
                // Running again would not bring the other one back.
                Some(Difference::Elsewhere(text)) => {
                    let cause = Cause::of(Reason::WrongVariableAnswered, text);
                    Written::Unclear(Failure {
                        class: Class::Blocked,
                        ..cause.without(value).unclear(doing)
                    })
                }
            }
        }
    }
}

/// How the answer to a write differs from what was sent.
pub(super) enum Difference {
    /// It is about the variable that was meant.
    Here(String),
    /// It is about another one: a group's `PUT` whose scope matches none overwrites any with that key.
    Elsewhere(String),
}

/// In what the answer to a write differs from what was sent, if it does. Undeclared and unlicensed parameters are ignored
/// by GitLab with success, so success alone proves nothing.
pub(super) fn differs(variable: &Variable, expected: &Expected<'_>) -> Option<Difference> {
    let here = |text: &str| Some(Difference::Here(text.to_owned()));
    if variable.key != expected.key {
        let text = "GitLab answered with another variable, which may have been overwritten";
        return Some(Difference::Elsewhere(text.to_owned()));
    }
    if variable.environment_scope != expected.scope {
        return Some(Difference::Elsewhere(format!(
            "GitLab answered with the variable of another scope ({}), which may have been overwritten",
            cut(&variable.environment_scope)
        )));
    }
    if variable.description.as_deref().unwrap_or("") != expected.description {
        return here("GitLab answered with another description");
    }
    let same = variable.hidden
        || variable
            .value
            .as_ref()
            .is_some_and(|value| value.same(expected.value));
    if same {
        None
    } else {
        here("GitLab answered with another value")
    }
}

#[cfg(test)]
mod tests {
    use super::{Variable, Wire, find, other_scopes};

    fn read(text: &str) -> Variable {
        Variable::from(serde_json::from_str::<Wire>(text).unwrap())
    }

    #[test]
    fn older_releases_lack_fields() {
        let old = read(r#"{"key":"K","value":"v"}"#);
        assert!(!old.description_supported && !old.hidden && old.environment_scope == "*");
        let new = read(r#"{"key":"K","value":null,"hidden":true,"description":null,"more":1}"#);
        assert!(new.description_supported && new.hidden && new.value.is_none() && new.description.is_none());
    }

    #[test]
    fn a_reference_is_a_dollar_that_is_expanded() {
        assert!(read(r#"{"key":"K","value":"$OTHER","raw":false}"#).is_reference());
        assert!(!read(r#"{"key":"K","value":"$OTHER","raw":true}"#).is_reference());
        assert!(!read(r#"{"key":"K","value":"AKIA","raw":false}"#).is_reference());
        assert!(!read(r#"{"key":"K","value":null,"hidden":true}"#).is_reference());
    }

    #[test]
    fn key_and_scope_are_matched_exactly() {
        let row = |key: &str, scope: &str| {
            read(&format!(
                r#"{{"key":"{key}","value":"v","environment_scope":"{scope}"}}"#
            ))
        };
        let rows = [
            row("K", "*"),
            row("K", "production"),
            row("k", "*"),
            row("L", "*"),
            row("L", "*"),
        ];
        assert_eq!(
            find(&rows, "K", "production").unwrap().unwrap().environment_scope,
            "production"
        );
        assert!(find(&rows, "K", "prod*").unwrap().is_none());
        assert_eq!(
            find(&rows, "L", "*").unwrap_err().reason.word(),
            "ambiguous_variable"
        );
        assert_eq!(other_scopes(&rows, "K", "*"), ["production"]);
    }

    #[test]
    fn a_printed_variable_shows_no_value() {
        assert!(!format!("{:?}", read(r#"{"key":"K","value":"hunter22"}"#)).contains("hunter22"));
    }
}
