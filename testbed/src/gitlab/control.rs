//! The control API under `/_testbed/`, for tests in other languages and for people.
//!
//! | call | what |
//! | --- | --- |
//! | `POST reset` | an empty world, as at the start |
//! | `GET journal` | every call of the API |
//! | `GET clock`, `POST clock` | `{"advance": seconds}` or `{"set": "2026-01-01T00:00:00Z"}` |
//! | `GET faults`, `POST faults` | a [`Fault`], e.g. `{"method": "PUT", "effect": {"drop": {"applied": true}}}` |
//! | `POST groups`, `POST projects` | `{"path": "parent/child"}`; answers `{"id": …}` |
//! | `POST tokens`, `GET tokens` | a [`Token`]; answers it with its text |
//! | `POST variables` | `{"container": {"group": 11}, "variable": {"key": …, "value": …}}` |
//! | `GET variables?group=11` | variables with their values, hidden or not |
//! | `GET changes` | the record of every change, with values |
//! | `GET job?group=11&protected=true&environment=production` | what a job would get now |
//! | `POST settings` | any of `version`, `licensed`, `read_only`, `overwritten`, `stale_reads` |

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;

use super::faults::Fault;
use super::jobs::Job;
use super::params::Params;
use super::reply::Reply;
use super::request::Request;
use super::state::{Shared, State};
use super::tokens::Token;
use super::tree::{Container, GroupId, ProjectId};
use super::variables::Variable;
use super::version::Version;
use super::world::{OverwrittenRow, Settings};

pub(super) fn answer(shared: &Shared, path: &str, request: &Request) -> Reply {
    let call = (request.method.as_str(), path.trim_matches('/'));
    if call == ("POST", "reset") {
        shared.reset();
        return done();
    }
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
            let Turn { advance, set } = sent(request)?;
            if let Some(set) = set {
                world.clock.set(set);
            }
            world.clock.advance(Duration::from_secs(advance));
            Reply::json(200, &json!({ "now": world.now() }))
        }
        ("GET", "faults") => Reply::json(200, &state.faults.waiting()),
        ("POST", "faults") => {
            state.faults.add(sent::<Fault>(request)?);
            done()
        }
        ("POST", "groups") => {
            let Place { path } = sent(request)?;
            Reply::json(201, &json!({ "id": world.add_group(&path) }))
        }
        ("POST", "projects") => {
            let Place { path } = sent(request)?;
            Reply::json(201, &json!({ "id": world.add_project(&path) }))
        }
        ("POST", "tokens") => {
            let text = world.add_token(sent::<Token>(request)?);
            Reply::json(201, &world.token(&text))
        }
        ("GET", "tokens") => Reply::json(200, &world.tokens()),
        ("POST", "variables") => {
            let Placed { container, variable } = sent(request)?;
            world.set_variable(container, variable);
            done()
        }
        ("GET", "variables") => Reply::json(200, &world.variables(asked(request)?)),
        ("GET", "changes") => Reply::json(200, &world.changes()),
        ("GET", "job") => {
            let params = Params::read(&request.query, None, &[])?;
            let job = Job {
                container: asked(request)?,
                protected_ref: params.text("protected").as_deref() == Some("true"),
                environment: params.text("environment"),
            };
            Reply::json(200, &world.job_variables(&job))
        }
        ("POST", "settings") => {
            sent::<Change>(request)?.apply(&mut world.settings)?;
            done()
        }
        _ => return Err(Reply::error(404, "the control API has no such call")),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Turn {
    #[serde(default)]
    advance: u64,
    set: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    path: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Placed {
    container: Container,
    variable: Variable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    version: Option<String>,
    licensed: Option<bool>,
    read_only: Option<bool>,
    overwritten: Option<OverwrittenRow>,
    stale_reads: Option<u32>,
}

impl Change {
    fn apply(self, settings: &mut Settings) -> Result<(), Reply> {
        let Self {
            version,
            licensed,
            read_only,
            overwritten,
            stale_reads,
        } = self;
        if let Some(version) = version {
            settings.version =
                Version::parse(&version).map_err(|error| Reply::error(400, &format!("{error:#}")))?;
        }
        settings.licensed = licensed.unwrap_or(settings.licensed);
        settings.read_only = read_only.unwrap_or(settings.read_only);
        settings.overwritten = overwritten.unwrap_or(settings.overwritten);
        settings.stale_reads = stale_reads.unwrap_or(settings.stale_reads);
        Ok(())
    }
}

fn done() -> Reply {
    Reply::json(200, &Value::Object(serde_json::Map::new()))
}

/// The body as JSON, whatever its content type says.
fn sent<T: DeserializeOwned>(request: &Request) -> Result<T, Reply> {
    serde_json::from_slice(&request.body).map_err(|error| Reply::error(400, &error.to_string()))
}

/// `group=11` or `project=501` in the query.
fn asked(request: &Request) -> Result<Container, Reply> {
    let params = Params::read(&request.query, None, &[])?;
    let id = |name: &str| params.text(name).and_then(|text| text.parse().ok());
    let group = id("group").map(|id| Container::Group(GroupId(id)));
    group
        .or_else(|| id("project").map(|id| Container::Project(ProjectId(id))))
        .ok_or_else(|| Reply::error(400, "say whose: group=ID or project=ID"))
}
