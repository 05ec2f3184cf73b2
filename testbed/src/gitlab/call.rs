//! A request that passed the token check, and what its token sees and may do.

use super::params::Params;
use super::reply::Reply;
use super::request::Request;
use super::tokens::{IssuedToken, Role};
use super::tree::{Container, Found};
use super::variables::Author;
use super::world::World;

/// A request that passed the token check.
pub(super) struct Call<'a> {
    pub(super) request: &'a Request,
    pub(super) params: &'a Params,
    pub(super) caller: IssuedToken,
}

impl Call<'_> {
    /// Finds a group by id or path. A group that the token can't see is as absent as one that isn't there, and a
    /// renamed group's old path isn't followed.
    ///
    /// # Errors
    ///
    /// The 404.
    pub(super) fn group(&self, world: &World, id: &str) -> Result<Container, Reply> {
        match world.tree.find_group(id) {
            Found::Here(container) if self.sees(world, container) => Ok(container),
            Found::Here(_) | Found::MovedProject(_) | Found::Nothing => Err(Reply::not_found("Group")),
        }
    }

    /// Finds a project by id or path. A moved project's old path is a redirect to its id for `GET` and a refusal
    /// for anything else.
    ///
    /// # Errors
    ///
    /// The 301, 404 or 405.
    pub(super) fn project(&self, world: &World, id: &str, after: &str) -> Result<Container, Reply> {
        match world.tree.find_project(id) {
            Found::Here(container) if self.sees(world, container) => Ok(container),
            Found::MovedProject(now) if self.sees(world, Container::Project(now)) => {
                if !self.request.is_read() {
                    let text = "Non GET methods are not allowed for moved projects";
                    return Err(Reply::message(405, text));
                }
                let path = self
                    .request
                    .path
                    .strip_suffix(after)
                    .unwrap_or(&self.request.path);
                let api = path.rsplit_once('/').map_or(path, |(api, _)| api);
                let query = if self.request.query.is_empty() {
                    String::new()
                } else {
                    format!("?{}", self.request.query)
                };
                let location = format!("{}{api}/{}{after}{query}", self.request.origin, now.0);
                let text = format!("This resource has been moved permanently to {location}");
                Err(Reply::of(301, "application/json", text.into_bytes()).with("location", location))
            }
            Found::Here(_) | Found::MovedProject(_) | Found::Nothing => Err(Reply::not_found("Project")),
        }
    }

    /// Who writes, and when, for the record of changes.
    pub(super) fn author(&self, world: &World) -> Author {
        Author {
            name: self.caller.token.name.clone(),
            at: world.now(),
        }
    }

    /// The highest role on the container or any group above it.
    pub(super) fn role(&self, world: &World, container: Container) -> Option<Role> {
        let lineage = world.tree.lineage(container);
        let roles = &self.caller.token.roles;
        roles
            .iter()
            .filter(|(on, _)| lineage.contains(on))
            .map(|(_, role)| *role)
            .max()
    }

    pub(super) fn is_admin(&self) -> bool {
        self.caller.token.admin
    }

    /// Whether the container isn't absent to the token: it has a role on it, above it or below it.
    fn sees(&self, world: &World, container: Container) -> bool {
        let is_above = |below: Container| world.tree.lineage(below).contains(&container);
        self.is_admin()
            || self.role(world, container).is_some()
            || self.caller.token.roles.iter().any(|(on, _)| is_above(*on))
    }
}
