//! A token about itself: reading, rotating, revoking.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::{Span, ToSpan};
use serde_json::{Value, json};

use crate::gitlab::call::Call;
use crate::gitlab::params::{Declarations, Given};
use crate::gitlab::reply::Reply;
use crate::gitlab::tokens::IssuedToken;
use crate::gitlab::world::World;

/// `GET /personal_access_tokens/self` works with any scope, for personal, group and project tokens alike. No role
/// is in it.
pub(super) fn about(world: &World, call: &Call<'_>) -> Reply {
    Reply::json(200, &entity(world, &call.caller))
}

/// `DELETE /personal_access_tokens/self` revokes the token that asks.
pub(super) fn revoke(world: &mut World, call: &Call<'_>) -> Reply {
    world.alter_token(&call.caller.text, |token| token.revoked = true);
    Reply::no_content()
}

/// `POST /personal_access_tokens/self/rotate` revokes the token that asks and answers its successor, once: 200,
/// not 201. Without `expires_at` the successor lives for 7 days; more than 365 are refused, and the old token
/// stays good.
///
/// # Errors
///
/// The 400 for a bad date or one too far away.
pub(super) fn rotate(world: &mut World, call: &Call<'_>) -> Result<Reply, Reply> {
    let mut declared = Declarations::of(call.params);
    let expires_at = declared.parsed("expires_at", |text| text.parse::<Date>().ok());
    declared.finish()?;
    let today = world.today();
    let latest = after(today, 365.days());
    let expires_at = match expires_at {
        Given::Is(day) if day > latest => {
            let text = format!("400 Bad request - Expires at must be before {latest}");
            return Err(Reply::message(400, &text));
        }
        Given::Is(day) => day,
        Given::Absent | Given::Null => after(today, 7.days()),
    };
    let now = world.now();
    let successor = world.tokens.rotate(&call.caller, expires_at, now).clone();
    let mut body = entity(world, &successor);
    if let Value::Object(members) = &mut body {
        members.insert("token".into(), successor.text.into());
    }
    Ok(Reply::json(200, &body))
}

fn entity(world: &World, issued: &IssuedToken) -> Value {
    let version = &world.settings.version;
    let mut body = json!({
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
    if let Value::Object(members) = &mut body {
        if version.describes_tokens() {
            members.insert("description".into(), Value::Null);
        }
        if version.tells_token_addresses() {
            members.insert("last_used_ips".into(), json!(["127.0.0.1"]));
        }
        if version.tells_granular_tokens() {
            members.insert("granular".into(), false.into());
        }
    }
    body
}

/// `2026-01-01T10:00:00.000Z`
fn instant(at: Timestamp) -> String {
    format!("{at:.3}")
}

fn after(day: Date, span: Span) -> Date {
    day.checked_add(span).unwrap_or(Date::MAX)
}
