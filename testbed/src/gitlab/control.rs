//! The control API under `/_testbed/`, for tests in other languages and for `testbed clock`.
//!
//! | call | what |
//! | --- | --- |
//! | `GET journal` | every call of the API |
//! | `GET clock` | the server's time |
//! | `POST clock` | `{"advance": seconds}`; answers the new time |
//! | `POST faults` | a [`Fault`], e.g. `{"method": "PUT", "effect": {"drop": {"applied": true}}}` |
//! | `GET job?group=11&protected=true` | what a job would get now |

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::faults::Fault;
use super::jobs::Job;
use super::params::Params;
use super::reply::Reply;
use super::request::Request;
use super::state::{Shared, State};
use super::tree::{Container, GroupId};

pub(super) fn answer(shared: &Shared, path: &str, request: &Request) -> Reply {
    let call = (request.method.as_str(), path.trim_matches('/'));
    let reply = serve(&mut shared.lock(), call, request).unwrap_or_else(|refusal| refusal);
    // Whatever the clock's new time made due is carried out before the answer leaves.
    drop(shared.lock());
    reply
}

fn serve(state: &mut State, call: (&str, &str), request: &Request) -> Result<Reply, Reply> {
    let world = &mut state.world;
    Ok(match call {
        ("GET", "journal") => Reply::json(200, &state.journal.calls()),
        ("GET", "clock") => Reply::json(200, &json!({ "now": world.now() })),
        ("POST", "clock") => {
            let Turn { advance } = sent(request)?;
            world.clock.advance(Duration::from_secs(advance));
            Reply::json(200, &json!({ "now": world.now() }))
        }
        ("POST", "faults") => {
            state.faults.add(sent::<Fault>(request)?);
            Reply::json(200, &json!({}))
        }
        ("GET", "job") => {
            let params = Params::read(&request.query, None, &[])?;
            let group = params.text("group").and_then(|text| text.parse().ok());
            let group = group.ok_or_else(|| Reply::error(400, "say whose: group=ID"))?;
            let job = Job {
                container: Container::Group(GroupId(group)),
                protected_ref: params.text("protected").as_deref() == Some("true"),
                environment: None,
            };
            Reply::json(200, &world.job_variables(&job))
        }
        _ => return Err(Reply::error(404, "the control API has no such call")),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Turn {
    advance: u64,
}

/// The body as JSON, whatever its content type says.
fn sent<T: DeserializeOwned>(request: &Request) -> Result<T, Reply> {
    serde_json::from_slice(&request.body).map_err(|error| Reply::error(400, &error.to_string()))
}
