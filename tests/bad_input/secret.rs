//! Settings in a secret of Secrets Manager.

use testbed::aws::ACCOUNT;

use super::*;

const NAME: &str = "keyturn/settings";

/// A role's settings, with the token in this secret.
async fn secret(content: Option<&dyn Fn(&Lab) -> String>) -> (Lab, Settings) {
    let (lab, _) = start().await;
    if let Some(content) = content {
        lab.aws.add_secret(NAME, &content(&lab)).await.unwrap();
    }
    // Beside the user's keys it may read the secret, as docs/iam-policies.md says; who may read this one only is not told
    // that it does not exist.
    let readable = match content {
        Some(_) => format!("arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:{NAME}-??????"),
        None => "*".to_owned(),
    };
    let mut both: Value = serde_json::from_str(&policy("role").unwrap()).unwrap();
    both["Statement"][0]["Resource"] = json!(format!("arn:aws:iam::{ACCOUNT}:user/{USER}"));
    both["Statement"]
        .as_array_mut()
        .unwrap()
        .push(json!({"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": readable}));
    let reader = lab.aws.role("reader", &both.to_string()).await.unwrap();
    let settings = without(lab.settings(&reader), "GITLAB_TOKEN");
    (lab, with(settings, "KEYTURN_SECRET_ID", NAME))
}

#[tokio::test]
async fn a_secret_with_the_token_is_enough() {
    let (lab, settings) = secret(Some(&|lab| json!({"GITLAB_TOKEN": lab.token}).to_string())).await;
    rotated(&lab, &settings).await;
}

#[tokio::test]
async fn a_secret_that_is_the_bare_token_is_refused_without_a_word_of_it() {
    let (lab, settings) = secret(Some(&|lab| lab.token.clone())).await;
    refused(&lab, &settings, 2, "secret_not_json").await;
}

#[tokio::test]
async fn a_secret_without_a_token_is_named() {
    let (lab, settings) = secret(Some(&|_| json!({"KEYTURN_GRACE": "24h"}).to_string())).await;
    let rotation = refused(&lab, &settings, 2, "token_missing").await;
    assert!(text(&rotation, "message").contains(NAME));
}

#[tokio::test]
async fn names_that_no_setting_has_are_ignored_with_a_warning() {
    let (lab, settings) = secret(Some(&|lab| {
        json!({"GITLAB_TOKEN": lab.token, "KEYTURN_GRACES": "1h"}).to_string()
    }))
    .await;
    let rotation = rotated(&lab, &settings).await;
    let warnings = rotation["warnings"].to_string();
    assert!(
        warnings.contains("KEYTURN_GRACES") && warnings.contains("did you mean KEYTURN_GRACE?"),
        "{rotation:#}"
    );
}

#[tokio::test]
async fn a_misspelt_token_is_missed_and_the_right_name_suggested() {
    let (lab, settings) = secret(Some(&|lab| json!({"GITLAB_TOKN": lab.token}).to_string())).await;
    let rotation = refused(&lab, &settings, 2, "token_missing").await;
    let warnings = rotation["warnings"].to_string();
    assert!(warnings.contains("did you mean GITLAB_TOKEN?"), "{rotation:#}");
}

#[tokio::test]
async fn a_secret_that_does_not_exist_is_refused() {
    let (lab, settings) = secret(None).await;
    refused(&lab, &settings, 3, "secret_unknown").await;
}

#[tokio::test]
async fn a_secret_that_may_not_be_read_names_the_permission() {
    let (lab, settings) = start().await;
    lab.aws
        .add_secret(NAME, &json!({"GITLAB_TOKEN": lab.token}).to_string())
        .await
        .unwrap();
    let settings = with(without(settings, "GITLAB_TOKEN"), "KEYTURN_SECRET_ID", NAME);
    let rotation = refused(&lab, &settings, 3, "access_denied").await;
    assert!(text(&rotation, "message").contains("secretsmanager:GetSecretValue"));
}
