//! The policy in the template is enough, and without any one of its actions nothing is lost.

use serde_json::{Value, json};

use crate::emulator::{Emulator, Invoked, bootstrap};
use crate::{HOUR, SCHEDULED, TIMEOUT, World};

/// The statements of the role that are for rotating; the others are for the log and for failed runs, and Lambda uses them.
fn statements(stack: &mut Value) -> &mut Vec<Value> {
    let policies = &mut stack["FunctionRole"]["Properties"]["Policies"];
    let keyturn = policies.as_array_mut().unwrap().iter_mut();
    let mut keyturn = keyturn.filter(|policy| policy["PolicyName"] == "keyturn");
    keyturn.next().unwrap()["PolicyDocument"]["Statement"]
        .as_array_mut()
        .unwrap()
}

fn actions(statement: &Value) -> Vec<String> {
    let action = &statement["Action"];
    let one = std::slice::from_ref(action);
    let actions = action.as_array().map_or(one, Vec::as_slice);
    actions
        .iter()
        .map(|action| action.as_str().unwrap().to_owned())
        .collect()
}

/// Takes one action out of the policy.
fn without(stack: &mut Value, action: &str) {
    let statements = statements(stack);
    let before = statements.len() + statements.iter().map(|s| actions(s).len()).sum::<usize>();
    for statement in statements.iter_mut() {
        let left: Vec<String> = actions(statement)
            .into_iter()
            .filter(|left| left != action)
            .collect();
        statement["Action"] = json!(left);
    }
    statements.retain(|statement| statement["Action"] != json!([]));
    let after = statements.len() + statements.iter().map(|s| actions(s).len()).sum::<usize>();
    assert!(after < before, "{action} is not in the policy");
}

/// One rotation from its beginning to the deletion of the old key, by a role that lacks the action.
async fn rotates_without(action: &str) -> (World, Invoked) {
    let world = World::start().await;
    let mut stack = world.stack();
    without(&mut stack, action);
    stack["Function"]["Properties"]["Environment"]["Variables"]["KEYTURN_GRACE"] = json!("0s");
    stack["Function"]["Properties"]["Environment"]["Variables"]["KEYTURN_DELETE_AFTER"] = json!("0s");
    let function = Emulator::start(&bootstrap(), &world.settings(&stack).await, TIMEOUT).await;
    let invoked = function.invoke(SCHEDULED).await;
    assert!(world.works().await, "without {action}: {invoked:?}");
    let journal = world.lab.aws.journal().await.unwrap();
    assert!(!journal.is_empty());
    (world, invoked)
}

#[tokio::test]
async fn the_policy_has_the_six_actions_that_are_tried_here() {
    let mut stack = crate::stack("arn:aws:secretsmanager:us-east-1:123456789012:secret:x-AbCdEf");
    let all: Vec<String> = statements(&mut stack).iter().flat_map(actions).collect();
    assert_eq!(
        all,
        [
            "iam:ListAccessKeys",
            "iam:CreateAccessKey",
            "iam:UpdateAccessKey",
            "iam:DeleteAccessKey",
            "iam:GetAccessKeyLastUsed",
            "secretsmanager:GetSecretValue",
        ]
    );
}

#[tokio::test]
async fn without_a_right_to_read_to_create_or_to_retire_nothing_is_touched() {
    for action in [
        "iam:ListAccessKeys",
        "iam:CreateAccessKey",
        "iam:UpdateAccessKey",
        "iam:DeleteAccessKey",
        "secretsmanager:GetSecretValue",
    ] {
        let (world, invoked) = rotates_without(action).await;
        assert_eq!(
            invoked.body["errorType"], "keyturn.blocked",
            "{action}: {invoked:?}"
        );
        let report = invoked.report().to_string();
        assert!(report.contains(action), "{action} is not named: {report}");
        assert!(world.untouched().await, "without {action}");
        world.heals().await;
    }
}

#[tokio::test]
async fn without_a_right_to_see_use_no_key_that_may_be_in_use_is_cut() {
    let world = World::start().await;
    let first = world.function().await.invoke(SCHEDULED).await;
    assert!(
        !first.failed() && world.lab.pair().id != world.lab.old.id,
        "{first:?}"
    );
    world.lab.advance(HOUR * 25).await.unwrap();
    let mut stack = world.stack();
    without(&mut stack, "iam:GetAccessKeyLastUsed");
    let function = Emulator::start(&bootstrap(), &world.settings(&stack).await, TIMEOUT).await;
    let invoked = function.invoke(r#"{"command":"retire"}"#).await;
    assert!(invoked.failed(), "{invoked:?}");
    let report = invoked.report().to_string();
    assert!(report.contains("iam:GetAccessKeyLastUsed"), "{report}");
    assert!(world.works().await && world.lab.aws.works(&world.lab.old).await);
    drop(function);
    world.heals().await;
}
