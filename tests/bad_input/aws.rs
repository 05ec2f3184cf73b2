//! The credentials, the user, its keys, and what stands between keyturn and AWS.

use super::*;

#[tokio::test]
async fn a_user_that_does_not_exist_is_refused() {
    let (lab, _) = start().await;
    let settings = lab.settings(&role_for(&lab, "nobody").await);
    refused(&lab, &with(settings, "AWS_IAM_USER", "nobody"), 3, "user_unknown").await;
}

#[tokio::test]
async fn a_role_has_to_be_told_the_user() {
    let (lab, _) = start().await;
    let settings = without(lab.settings(&role(&lab).await), "AWS_IAM_USER");
    let rotation = refused(&lab, &settings, 2, "user_missing").await;
    assert!(text(&rotation, "advice").contains("AWS_IAM_USER"));
}

#[tokio::test]
async fn a_user_that_no_target_knows_is_not_rotated_by_default() {
    let (lab, _) = start().await;
    let policy = policy("self-rotation").unwrap();
    lab.aws.add_user("bystander", Some(&policy)).await.unwrap();
    let signer = lab.aws.add_key("bystander", DAY).await.unwrap();
    let rotation = refused(&lab, &lab.settings(&signer), 2, "user_missing").await;
    assert!(text(&rotation, "advice").contains("AWS_IAM_USER"));
}

#[tokio::test]
async fn the_root_user_is_refused() {
    let (lab, settings) = start().await;
    let settings = with(with(settings, ID, "test"), SECRET, "test");
    refused(&lab, &settings, 3, "root_refused").await;
    refused(&lab, &with(settings, "AWS_IAM_USER", USER), 3, "root_refused").await;
}

#[tokio::test]
async fn a_second_key_that_was_never_used_is_left_alone() {
    let (lab, settings) = start().await;
    lab.aws.add_key(USER, DAY * 40).await.unwrap();
    refused(&lab, &settings, 3, "slot_occupied").await;
}

#[tokio::test]
async fn a_second_key_that_is_in_use_is_left_alone() {
    let (lab, settings) = start().await;
    let second = lab.aws.add_key(USER, DAY * 40).await.unwrap();
    let used = json!({"id": second.id, "ago": 60, "service": "s3", "region": "us-east-1"});
    lab.aws.control("POST", "used", Some(used)).await.unwrap();
    refused(&lab, &settings, 3, "slot_occupied").await;
}

#[tokio::test]
async fn a_second_key_that_is_inactive_is_left_alone() {
    let (lab, settings) = start().await;
    let key = json!({"user": USER, "age": (DAY * 40).as_secs(), "status": "Inactive"});
    lab.aws.control("POST", "keys", Some(key)).await.unwrap();
    refused(&lab, &settings, 3, "slot_occupied").await;
}

#[tokio::test]
async fn a_secret_of_another_key_is_refused_even_where_the_pair_could_be_read() {
    let (lab, settings) = start().await;
    let settings = with(settings, SECRET, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    let rotation = refused(&lab, &settings, 3, "credential_refused").await;
    assert!(text(&rotation, "advice").contains(SECRET));
}

#[tokio::test]
async fn an_unknown_key_is_refused_and_the_region_is_suspected_where_none_is_set() {
    let (lab, settings) = start().await;
    let settings = with(settings, ID, "AKIAIOSFODNN7EXAMPLE");
    let hints = |rotation: &Value| text(rotation, "advice").contains("AWS_REGION");
    let rotation = refused(&lab, &settings, 3, "credential_refused").await;
    assert!(!hints(&rotation), "{rotation:#}");
    let settings = without(settings, "AWS_REGION");
    let rotation = refused(&lab, &settings, 3, "credential_refused").await;
    assert!(hints(&rotation), "{rotation:#}");
}

#[tokio::test]
async fn a_key_of_another_partition_is_refused_and_partitions_are_named() {
    let (lab, settings) = start().await;
    for region in ["us-gov-west-1", "cn-north-1", "eusc-de-east-1"] {
        let settings = with(settings.clone(), "AWS_REGION", region);
        let settings = with(settings, ID, "AKIAIOSFODNN7EXAMPLE");
        let rotation = refused(&lab, &settings, 3, "credential_refused").await;
        assert!(text(&rotation, "advice").contains("partition"), "{rotation:#}");
    }
}

#[tokio::test]
async fn no_credentials_at_all_are_missed() {
    let (lab, settings) = start().await;
    let settings = without(without(settings, ID), SECRET);
    refused(&lab, &settings, 3, "no_credential").await;
}

async fn answers_html(lab: &Lab, action: &str) {
    let fault = json!({"action": action, "mode": "body", "status": 200, "content_type": "text/html",
        "body": "<html><body>Please sign in</body></html>", "times": null});
    lab.aws.fault(fault).await.unwrap();
}

#[tokio::test]
async fn a_page_of_html_is_no_list_of_keys() {
    let (lab, settings) = start().await;
    answers_html(&lab, "ListAccessKeys").await;
    let rotation = refused(&lab, &settings, 4, "aws_not_aws").await;
    assert!(text(&rotation, "advice").contains("AWS_ENDPOINT_URL"));
}

#[tokio::test]
async fn a_page_of_html_leaves_open_whether_a_key_was_created() {
    let (lab, settings) = start().await;
    answers_html(&lab, "CreateAccessKey").await;
    let rotation = refused(&lab, &settings, 4, "unclear_create").await;
    assert!(text(&rotation, "message").contains("did not answer as AWS does"));
    let journal = lab.aws.journal().await.unwrap();
    let sent = journal.iter().filter(|(action, _)| action == "CreateAccessKey");
    assert_eq!(sent.count(), 1, "{journal:?}");
}
