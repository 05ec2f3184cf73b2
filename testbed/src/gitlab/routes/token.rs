//! A token about itself.

use jiff::Timestamp;
use serde_json::json;

use crate::gitlab::call::Call;
use crate::gitlab::reply::Reply;
use crate::gitlab::world::World;

/// `GET /personal_access_tokens/self` works with any scope, for personal, group and project tokens alike. No role
/// is in it.
pub(super) fn about(world: &World, call: &Call<'_>) -> Reply {
    let issued = &call.caller;
    let body = json!({
        "id": issued.id,
        "name": issued.token.name,
        "revoked": issued.token.revoked,
        "created_at": instant(issued.created_at),
        "scopes": issued.token.scopes,
        "user_id": issued.user_id,
        "last_used_at": issued.last_used_at.map(instant),
        "active": issued.is_active(world.today()),
        "expires_at": issued.token.expires_at,
    });
    Reply::json(200, &body)
}

/// `2026-01-01T10:00:00.000Z`
fn instant(at: Timestamp) -> String {
    format!("{at:.3}")
}
