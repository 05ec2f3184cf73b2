//! The documented policy for a user that rotates its own key, less one action. The run that needs the action says which
//! it is; the runs before it go well.

use testbed::gitlab::Variable;
use testbed::lab::policy;

use super::*;

const LIMITED: &str = "limited";

/// A user with all but this action, whose pair the group holds.
async fn lacking(action: &str) -> Lab {
    let (lab, _) = start().await;
    let mut policy: Value = serde_json::from_str(&policy("self-rotation").unwrap()).unwrap();
    let actions = policy["Statement"][0]["Action"].as_array_mut().unwrap();
    actions.retain(|allowed| allowed != action);
    assert_eq!(
        actions.len(),
        4,
        "the policy has {action} no more, or more actions"
    );
    lab.aws
        .add_user(LIMITED, Some(&policy.to_string()))
        .await
        .unwrap();
    let pair = lab.aws.add_key(LIMITED, DAY * 90).await.unwrap();
    lab.gitlab.world(|world| {
        world.set_variable(lab.group, Variable::credential(ID, &pair.id));
        world.set_variable(lab.group, Variable::credential(SECRET, &pair.secret));
    });
    lab
}

async fn ends(lab: &Lab, command: &str, reason: &str, says: &str) {
    let settings = lab.settings(&lab.pair());
    let rotation = refused_of(lab, LIMITED, command, &settings, 3, reason).await;
    let said = format!("{} {}", text(&rotation, "message"), text(&rotation, "advice"));
    assert!(said.contains(says), "{rotation:#}");
    assert!(lab.aws.works(&lab.pair()).await);
}

#[tokio::test]
async fn without_list_access_keys_nothing_begins() {
    let lab = lacking("iam:ListAccessKeys").await;
    ends(&lab, "rotate", "access_denied", "iam:ListAccessKeys").await;
}

#[tokio::test]
async fn without_create_access_key_nothing_begins() {
    let lab = lacking("iam:CreateAccessKey").await;
    ends(&lab, "rotate", "access_denied", "iam:CreateAccessKey").await;
}

// What a rotation needs only days later is asked for before a key is created that could then never go.

#[tokio::test]
async fn without_update_access_key_nothing_begins() {
    let lab = lacking("iam:UpdateAccessKey").await;
    ends(&lab, "rotate", "access_denied", "iam:UpdateAccessKey").await;
}

#[tokio::test]
async fn without_delete_access_key_nothing_begins() {
    let lab = lacking("iam:DeleteAccessKey").await;
    ends(&lab, "rotate", "access_denied", "iam:DeleteAccessKey").await;
}

#[tokio::test]
async fn without_last_use_nothing_begins() {
    let lab = lacking("iam:GetAccessKeyLastUsed").await;
    ends(&lab, "rotate", "last_use_unknown", "iam:GetAccessKeyLastUsed").await;
}
