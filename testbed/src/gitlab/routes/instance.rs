//! What a token may learn about the instance, a group or a project.

use serde_json::{Value, json};

use super::Level;
use crate::gitlab::call::Call;
use crate::gitlab::reply::{EXTERNAL_URL, Reply};
use crate::gitlab::tree::Container;
use crate::gitlab::world::World;

/// `GET /metadata` and the older `GET /version` answer the same.
pub(super) fn metadata(world: &World) -> Reply {
    let version = &world.settings.version;
    let mut body = json!({
        "version": version.text(),
        "revision": "5a0f3d1c2b4",
        "kas": { "enabled": false, "externalUrl": null, "externalK8sProxyUrl": null, "version": null },
    });
    if let (true, Value::Object(members)) = (version.tells_edition(), &mut body) {
        members.insert("enterprise".into(), version.is_enterprise().into());
    }
    Reply::json(200, &body)
}

/// `GET /groups/:id` and `GET /projects/:id` take the right to see, so they prove no right to write.
///
/// # Errors
///
/// The refusals of the lookup.
pub(super) fn container(world: &World, level: Level, id: &str, call: &Call<'_>) -> Result<Reply, Reply> {
    let container = match level {
        Level::Group => call.group(world, id)?,
        Level::Project => call.project(world, id, "")?,
    };
    let what = match level {
        Level::Group => "Group",
        Level::Project => "Project",
    };
    let node = world.tree.get(container).ok_or_else(|| Reply::not_found(what))?;
    let name = node.path.rsplit('/').next().unwrap_or_default();
    let body = match container {
        Container::Group(id) => json!({
            "id": id.0,
            "web_url": format!("{EXTERNAL_URL}/groups/{}", node.path),
            "name": name,
            "path": name,
            "full_name": node.path.replace('/', " / "),
            "full_path": node.path,
            "parent_id": node.parent.map(|parent| parent.0),
            "visibility": "private",
        }),
        Container::Project(id) => json!({
            "id": id.0,
            "web_url": format!("{EXTERNAL_URL}/{}", node.path),
            "name": name,
            "path": name,
            "name_with_namespace": node.path.replace('/', " / "),
            "path_with_namespace": node.path,
            "namespace": { "id": node.parent.map(|parent| parent.0) },
            "visibility": "private",
        }),
    };
    Ok(Reply::json(200, &body))
}
