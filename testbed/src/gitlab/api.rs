//! The order in which GitLab refuses a request, and the routes behind it.
//!
//! A client learns most from what it is *not* told: an unknown group hides a missing role, a missing role hides a
//! missing parameter. So the order is the contract:
//!
//! 1. the throttle in front (a fault here),
//! 2. read-only mode,
//! 3. the route,
//! 4. the body's syntax,
//! 5. the token,
//! 6. the group or project, then the role on it,
//! 7. the declared parameters,
//! 8. the endpoint.

use super::call::Call;
use super::params::Params;
use super::reply::Reply;
use super::request::Request;
use super::routes::{self, Route};
use super::world::World;

/// Answers a request and changes the world accordingly.
pub(super) fn answer(world: &mut World, request: &Request) -> Reply {
    refuse_or_serve(world, request).unwrap_or_else(|refusal| refusal)
}

fn refuse_or_serve(world: &mut World, request: &Request) -> Result<Reply, Reply> {
    if world.settings.read_only && request.is_write() {
        let is_json = request.media_type() == Some("application/json");
        return Err(Reply::read_only(is_json));
    }

    let segments = request.segments().ok_or_else(Reply::unknown_route)?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let route = Route::find(&segments, &world.settings.version).ok_or_else(Reply::unknown_route)?;
    let methods = route.methods();
    let method = if request.is_read() {
        "GET"
    } else {
        request.method.as_str()
    };
    if !methods.contains(&method) {
        return Err(Reply::error(405, "405 Not Allowed").with("allow", methods.join(", ")));
    }

    let params = Params::read(&request.query, request.media_type(), &request.body)?;

    let parameter = params.text("private_token");
    let time = (world.now(), world.today());
    let text = request.token(parameter.as_deref());
    let accepted = route.accepted(method);
    let caller = world.tokens.authenticate(text, accepted, time)?;

    routes::serve(
        world,
        route,
        method,
        &Call {
            request,
            params: &params,
            caller,
        },
    )
}
