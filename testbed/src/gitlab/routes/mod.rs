//! The routes: which paths exist, with which methods, for which tokens.

mod instance;
mod token;
mod variable;

use super::call::Call;
use super::reply::Reply;
use super::tokens::Accepted;
use super::version::Version;
use super::world::World;

/// Whose variables a route is about. Roles, lookups, messages and the meaning of `PUT` differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Group,
    Project,
}

/// A path that exists.
#[derive(Debug, Clone, Copy)]
pub(super) enum Route<'a> {
    /// `/groups/:id` or `/projects/:id`
    Container(Level, &'a str),
    /// `…/variables`
    Variables(Level, &'a str),
    /// `…/variables/:key`
    Variable(Level, &'a str, &'a str),
    /// `/personal_access_tokens/self`
    TokenSelf,
    /// `/metadata` and `/version`
    Metadata,
}

impl<'a> Route<'a> {
    pub(super) fn find(segments: &[&'a str], version: &Version) -> Option<Self> {
        let level = |name: &str| match name {
            "groups" => Some(Level::Group),
            "projects" => Some(Level::Project),
            _ => None,
        };
        match *segments {
            ["version"] => Some(Self::Metadata),
            ["metadata"] if version.has_metadata() => Some(Self::Metadata),
            ["personal_access_tokens", "self"] if version.has_token_self() => Some(Self::TokenSelf),
            [name, id] => Some(Self::Container(level(name)?, id)),
            [name, id, "variables"] => Some(Self::Variables(level(name)?, id)),
            [name, id, "variables", key] => Some(Self::Variable(level(name)?, id, key)),
            _ => None,
        }
    }

    pub(super) fn methods(self) -> &'static [&'static str] {
        match self {
            Self::Container(..) | Self::TokenSelf | Self::Metadata => &["GET"],
            Self::Variables(..) => &["GET", "POST"],
            Self::Variable(..) => &["GET", "PUT", "DELETE"],
        }
    }

    /// The scopes that suffice: reading takes less than writing, a token may always ask about itself.
    pub(super) fn accepted(self, method: &str) -> Accepted {
        match self {
            Self::Metadata => Accepted::METADATA,
            Self::TokenSelf => Accepted::ANY,
            Self::Container(..) | Self::Variables(..) | Self::Variable(..) => {
                if method == "GET" {
                    Accepted::READ
                } else {
                    Accepted::WRITE
                }
            }
        }
    }
}

/// Steps 6 to 8: the container and the role, the parameters, the endpoint.
///
/// # Errors
///
/// The refusal.
pub(super) fn serve(
    world: &mut World,
    route: Route<'_>,
    method: &str,
    call: &Call<'_>,
) -> Result<Reply, Reply> {
    match route {
        Route::Container(level, id) => instance::container(world, level, id, call),
        Route::Metadata => Ok(instance::metadata(world)),
        Route::TokenSelf => Ok(token::about(world, call)),
        Route::Variables(level, id) => {
            let container = variable::admitted(world, level, id, call)?;
            match method {
                "POST" => variable::create(world, level, container, call),
                _ => variable::list(world, container, call),
            }
        }
        Route::Variable(level, id, key) => {
            let container = variable::admitted(world, level, id, call)?;
            let at = variable::Place {
                level,
                container,
                key,
            };
            match method {
                "PUT" => variable::update(world, at, call),
                "DELETE" => variable::delete(world, at, call),
                _ => variable::show(world, at, call),
            }
        }
    }
}
