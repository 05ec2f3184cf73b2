//! The variables of groups and projects.

use serde::Serialize;

use super::Level;
use crate::gitlab::call::Call;
use crate::gitlab::paging::Page;
use crate::gitlab::params::{Declarations, Given, Params};
use crate::gitlab::reply::Reply;
use crate::gitlab::tokens::Role;
use crate::gitlab::tree::Container;
use crate::gitlab::validation::{self, Attributes, Errors};
use crate::gitlab::variables::{Row, Variable, VariableType, select};
use crate::gitlab::version::Version;
use crate::gitlab::world::{OverwrittenRow, World};

/// A variable's address in a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) level: Level,
    pub(super) container: Container,
    pub(super) key: &'a str,
}

impl Level {
    /// The least role that may read or write: a group's variables take an Owner, a project's a Maintainer.
    fn role(self) -> Role {
        match self {
            Self::Group => Role::Owner,
            Self::Project => Role::Maintainer,
        }
    }

    fn variable_not_found(self) -> Reply {
        Reply::not_found(match self {
            Self::Group => "GroupVariable",
            Self::Project => "Variable",
        })
    }
}

/// Step 6: the lookup (404, or the redirect of a moved project), then the role (403).
///
/// # Errors
///
/// The refusal.
pub(super) fn admitted(world: &World, level: Level, id: &str, call: &Call<'_>) -> Result<Container, Reply> {
    let container = match level {
        Level::Group => call.group(world, id)?,
        Level::Project => {
            let after = call
                .request
                .path
                .rfind("/variables")
                .and_then(|at| call.request.path.get(at..));
            call.project(world, id, after.unwrap_or_default())?
        }
    };
    if call.is_admin()
        || call
            .role(world, container)
            .is_some_and(|role| role >= level.role())
    {
        Ok(container)
    } else {
        Err(Reply::forbidden())
    }
}

pub(super) fn list(world: &World, container: Container, call: &Call<'_>) -> Result<Reply, Reply> {
    let page = Page::declared(call.params)?;
    let entities: Vec<_> = world
        .variables
        .of(container)
        .map(|row| entity(&row.variable, &world.settings.version))
        .collect();
    Ok(page.of(&entities, call.request))
}

pub(super) fn show(world: &World, at: Place<'_>, call: &Call<'_>) -> Result<Reply, Reply> {
    declare_filter(at.level, call.params)?;
    let row = the_one(world.variables.of(at.container), at, call.params)?
        .ok_or_else(|| at.level.variable_not_found())?;
    Ok(Reply::json(200, &entity(&row.variable, &world.settings.version)))
}

pub(super) fn create(
    world: &mut World,
    level: Level,
    container: Container,
    call: &Call<'_>,
) -> Result<Reply, Reply> {
    let mut declared = Declarations::of(call.params);
    let key = declared.required_text("key");
    let value = declared.required_text("value");
    let masked_and_hidden = declared.boolean("masked_and_hidden");
    let attributes = Attributes::declared(&mut declared, value);
    declared.finish()?;

    let version = world.settings.version.clone();
    let mut variable = Variable::new(key.is().unwrap_or_default().trim(), "");
    let mut errors = scoped(world, level, attributes).merge_into(&mut variable, &version);
    if version.has_hidden() && masked_and_hidden == Given::Is(true) {
        variable.masked = true;
        variable.hidden = true;
    }
    validation::validate(&variable, &version, &mut errors);
    check_unique(world, container, &variable, None, &mut errors);
    refuse(errors)?;

    let author = call.author(world);
    let row = world.variables.create(container, variable, &author);
    Ok(Reply::json(201, &entity(&row.variable, &version)))
}

/// `PUT` merges: what isn't sent stays. `masked_and_hidden`, like any undeclared parameter, is ignored.
pub(super) fn update(world: &mut World, at: Place<'_>, call: &Call<'_>) -> Result<Reply, Reply> {
    let mut declared = Declarations::of(call.params);
    let value = declared.text("value");
    let attributes = Attributes::declared(&mut declared, value);
    if at.level == Level::Project {
        declared.filter();
    }
    declared.finish()?;

    let row = match at.level {
        Level::Group => overwritten_by_group_put(world, at, call.params)?,
        Level::Project => the_one(world.variables.of(at.container), at, call.params)?,
    };
    let row = row.ok_or_else(|| at.level.variable_not_found())?;

    let version = world.settings.version.clone();
    let mut variable = row.variable.clone();
    let mut errors = scoped(world, at.level, attributes).merge_into(&mut variable, &version);
    validation::validate(&variable, &version, &mut errors);
    check_unique(world, at.container, &variable, Some(row.id), &mut errors);
    refuse(errors)?;

    let author = call.author(world);
    let reply = Reply::json(200, &entity(&variable, &version));
    world.variables.update(row.id, variable, &author);
    Ok(reply)
}

pub(super) fn delete(world: &mut World, at: Place<'_>, call: &Call<'_>) -> Result<Reply, Reply> {
    declare_filter(at.level, call.params)?;
    let row = the_one(world.variables.of(at.container), at, call.params)?
        .ok_or_else(|| at.level.variable_not_found())?;
    let author = call.author(world);
    world.variables.delete(row.id, &author);
    Ok(Reply::no_content())
}

/// The rule of all routes but the group's `PUT`: none, the one, or 409 for several.
fn the_one<'a>(
    rows: impl Iterator<Item = &'a Row>,
    at: Place<'_>,
    params: &Params,
) -> Result<Option<Row>, Reply> {
    let mut selected = select(rows, at.key, params.filter_scope().as_deref());
    if selected.len() > 1 {
        Err(Reply::ambiguous())
    } else {
        Ok(selected.pop())
    }
}

/// The trap in the group's `PUT`: when the filter selects nothing, or when there is none, GitLab updates **any**
/// variable with that key and answers 200. Only a filter that is present and blank is told of the ambiguity.
/// Before 16.9 the filter isn't read at all.
fn overwritten_by_group_put(world: &World, at: Place<'_>, params: &Params) -> Result<Option<Row>, Reply> {
    let has_filter = params.get("filter").is_some_and(|filter| !filter.is_null());
    if has_filter && world.settings.version.has_group_filter() {
        let selected = the_one(world.variables.of(at.container), at, params)?;
        if selected.is_some() {
            return Ok(selected);
        }
    }
    let mut rows = select(world.variables.of(at.container), at.key, None);
    let choice = match world.settings.overwritten {
        OverwrittenRow::LowestId => 0,
        OverwrittenRow::HighestId => usize::MAX,
        OverwrittenRow::Nth(n) => n,
    };
    let last = rows.len().saturating_sub(1);
    Ok((!rows.is_empty()).then(|| rows.swap_remove(choice.min(last))))
}

fn scoped(world: &World, level: Level, attributes: Attributes) -> Attributes {
    let is_dropped =
        level == Level::Group && world.settings.version.is_enterprise() && !world.settings.licensed;
    if is_dropped {
        attributes.without_scope()
    } else {
        attributes
    }
}

/// Projects declare the filter; groups read it without declaring it, so nothing is checked.
fn declare_filter(level: Level, params: &Params) -> Result<(), Reply> {
    let mut declared = Declarations::of(params);
    if level == Level::Project {
        declared.filter();
    }
    declared.finish()
}

fn check_unique(
    world: &World,
    container: Container,
    variable: &Variable,
    own: Option<u64>,
    errors: &mut Errors,
) {
    let same = world
        .variables
        .get(container, &variable.key, &variable.environment_scope);
    if same.is_some_and(|row| Some(row.id) != own) {
        let text = format!("({}) has already been taken", variable.key);
        validation::add(errors, "key", &text);
    }
}

fn refuse(errors: Errors) -> Result<(), Reply> {
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Reply::invalid(&errors))
    }
}

/// The representation, its fields in GitLab's order; a hidden variable's value is `null` everywhere.
#[derive(Debug, Serialize)]
struct Entity<'a> {
    variable_type: VariableType,
    key: &'a str,
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hidden: Option<bool>,
    protected: bool,
    masked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<bool>,
    environment_scope: &'a str,
    /// Left out by releases that don't know it; `null` when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Option<&'a str>>,
}

fn entity<'a>(variable: &'a Variable, version: &Version) -> Entity<'a> {
    let Variable {
        key,
        value,
        variable_type,
        protected,
        masked,
        hidden,
        raw,
        environment_scope,
        description,
    } = variable;
    let is_hidden = *hidden && version.has_hidden();
    Entity {
        variable_type: *variable_type,
        key,
        value: (!is_hidden).then_some(value),
        hidden: version.has_hidden().then_some(is_hidden),
        protected: *protected,
        masked: *masked,
        raw: version.has_raw().then_some(*raw),
        environment_scope,
        description: version.has_description().then_some(description.as_deref()),
    }
}
