//! `testbed serve`: both stand-ins with their first inhabitants, for tests in other languages. They go on through the
//! stand-ins' own control APIs.

use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::aws::Pair;
use crate::gitlab::{GroupId, Token, Variable};
use crate::lab::{Lab, USER, policy};

/// A second user, whose key another group holds.
const OTHER_USER: &str = "release";
/// The role that a job may assume with an ID token of the issuer below.
const ROLE: &str = "rotate";
const ISSUER: &str = "https://gitlab.example.com";

/// Starts both, says where they are as one line of JSON, and runs until standard input closes.
///
/// # Errors
///
/// When a stand-in does not start.
pub async fn run(mut say: impl FnMut(&str)) -> Result<()> {
    let lab = Lab::start(PathBuf::new()).await?;
    let of_role = policy("role")?.replace("ci-deployer", USER);
    let trust = serde_json::from_str(&policy("gitlab-trust")?)?;
    let role = lab
        .aws
        .web_identity_role_trusting(ROLE, ISSUER, &trust, &of_role)
        .await?;

    lab.aws
        .add_user(OTHER_USER, Some(&policy("self-rotation")?))
        .await?;
    let other = lab.aws.add_key(OTHER_USER, std::time::Duration::ZERO).await?;
    let (other_group, other_token) = lab.gitlab.world(|world| {
        let group = world.add_group("releases");
        let token = world.add_token(Token::owner(group));
        world.set_variable(group, Variable::credential("AWS_ACCESS_KEY_ID", &other.id));
        world.set_variable(
            group,
            Variable::credential("AWS_SECRET_ACCESS_KEY", &other.secret),
        );
        (group, token)
    });

    let world = json!({
        "aws": lab.aws.url(),
        "gitlab": lab.gitlab.url(),
        "gitlab_control": lab.gitlab.control_url(),
        "role": {"arn": role, "issuer": ISSUER},
        "inhabitants": [
            inhabitant(USER, lab.group, "platform", &lab.token, &lab.old),
            inhabitant(OTHER_USER, other_group, "releases", &other_token, &other),
        ],
    });
    say(&format!("{world}\n"));
    let until_closed = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    until_closed.await?.context("standard input can't be read")?;
    drop(lab);
    Ok(())
}

fn inhabitant(user: &str, group: GroupId, path: &str, token: &str, key: &Pair) -> Value {
    json!({"user": user, "group": group.0, "group_path": path, "token": token, "key": key.id})
}
