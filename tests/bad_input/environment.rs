//! Arguments and the environment.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::*;

#[tokio::test]
async fn a_run_without_a_token_asks_for_one() {
    let (lab, settings) = start().await;
    let rotation = refused(&lab, &without(settings, "GITLAB_TOKEN"), 2, "token_missing").await;
    assert!(text(&rotation, "advice").contains("GITLAB_TOKEN"));
}

#[tokio::test]
async fn a_run_without_a_group_or_project_asks_for_one() {
    let (lab, settings) = start().await;
    let rotation = refused(&lab, &without(settings, "GITLAB_GROUP_ID"), 2, "no_target").await;
    assert!(text(&rotation, "message").contains("GITLAB_GROUP_ID"));
}

#[tokio::test]
async fn a_grace_shorter_than_a_job_is_refused_with_the_sum() {
    let (lab, settings) = start().await;
    let rotation = refused(&lab, &with(settings, "KEYTURN_GRACE", "1h"), 2, "policy").await;
    let message = text(&rotation, "message");
    assert!(
        message.contains("1h") && message.contains('+') && message.contains("longest"),
        "{message}"
    );
}

#[tokio::test]
async fn a_token_that_is_not_utf8_is_refused_by_name() {
    let (lab, settings) = start().await;
    let mut command = lab.command(&["rotate", "--format", "json"], &settings);
    command.env("GITLAB_TOKEN", OsString::from_vec(b"glpat-\xff\xfe".to_vec()));
    refused_without_report(&lab, command, "GITLAB_TOKEN is not UTF-8").await;
}

#[tokio::test]
async fn an_unknown_command_is_refused() {
    let (lab, settings) = start().await;
    let command = lab.command(&["revolve"], &settings);
    refused_without_report(&lab, command, "revolve").await;
}

#[tokio::test]
async fn an_unknown_argument_is_refused() {
    let (lab, settings) = start().await;
    let command = lab.command(&["rotate", "--force"], &settings);
    refused_without_report(&lab, command, "--force").await;
}

#[tokio::test]
async fn no_command_at_all_is_refused() {
    let (lab, settings) = start().await;
    let command = lab.command(&[], &settings);
    refused_without_report(&lab, command, "Usage").await;
}

#[tokio::test]
async fn blanks_and_line_ends_around_credentials_do_no_harm() {
    let (lab, mut settings) = start().await;
    for name in [ID, SECRET, "GITLAB_TOKEN"] {
        settings
            .entry(name.to_owned())
            .and_modify(|value| *value = format!(" \t{value}\r\n"));
    }
    rotated(&lab, &settings).await;
}

#[tokio::test]
async fn a_retry_mode_that_the_sdk_does_not_know_is_ignored_with_a_warning() {
    let (lab, settings) = start().await;
    let rotation = rotated(&lab, &with(settings, "AWS_RETRY_MODE", "legacy")).await;
    let warnings = rotation["warnings"].to_string();
    assert!(warnings.contains("AWS_RETRY_MODE"), "{rotation:#}");
}

#[tokio::test]
async fn warnings_outlive_settings_that_can_not_be_used() {
    let (lab, settings) = start().await;
    let settings = with(settings, "KEYTURN_GRACES", "1d");
    let settings = with(settings, "AWS_RETRY_MODE", "legacy");
    for settings in [
        with(settings.clone(), "KEYTURN_GRACE", "1 parsec"),
        without(settings, "GITLAB_TOKEN"),
    ] {
        let ran = run(&lab, &["rotate", "--format", "json"], &settings);
        assert_eq!(ran.code, Some(2), "{ran:#?}");
        let warnings = rotation(&ran)["warnings"].to_string();
        for said in ["did you mean KEYTURN_GRACE?", "AWS_RETRY_MODE"] {
            assert!(warnings.contains(said), "{ran:#?}");
        }
    }
}

#[tokio::test]
async fn an_empty_region_is_no_region() {
    let (lab, settings) = start().await;
    rotated(&lab, &with(settings, "AWS_REGION", "")).await;
}
