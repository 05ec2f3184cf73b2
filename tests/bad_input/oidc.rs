//! The ID token of a job, and the role that it should stand for.

use testbed::aws::Door;
use testbed::issuer::Issuer;

use super::*;

/// The branch that the documented trust policy trusts.
const SUBJECT: &str = "project_path:platform/rotation:ref_type:branch:ref:main";

/// A lab with a role that trusts its issuer as documented, that issuer, and the settings less the token.
async fn trusting(name: &str) -> (Lab, Issuer, Settings) {
    let issuer = Issuer::start("https://gitlab.example.com", directory(name)).unwrap();
    let door = Door {
        issuer: Some(issuer.clone()),
        ..Door::default()
    };
    let lab = Lab::watched_behind(&door, env!("CARGO_BIN_EXE_keyturn").into())
        .await
        .unwrap();
    let trust: Value = serde_json::from_str(&policy("gitlab-trust").unwrap()).unwrap();
    let allowed = policy("role")
        .unwrap()
        .replace("user/ci-deployer", &format!("user/{USER}"));
    let role = lab
        .aws
        .web_identity_role_trusting("rotator", &issuer.url, &trust, &allowed)
        .await
        .unwrap();
    let mut settings = without(without(lab.settings(&lab.old), ID), SECRET);
    settings.insert("AWS_ROLE_ARN".into(), role);
    settings.insert("AWS_IAM_USER".into(), USER.into());
    (lab, issuer, settings)
}

#[tokio::test]
async fn a_token_of_the_trusted_branch_rotates() {
    let (lab, issuer, settings) = trusting("issuer-good").await;
    let token = issuer.token(SUBJECT, 3600).unwrap();
    rotated(&lab, &with(settings, "KEYTURN_ID_TOKEN", &token)).await;
}

#[tokio::test]
async fn an_expired_token_is_refused() {
    let (lab, issuer, settings) = trusting("issuer-expired").await;
    let token = issuer.token(SUBJECT, -60).unwrap();
    let settings = with(settings, "KEYTURN_ID_TOKEN", &token);
    refused(&lab, &settings, 3, "credential_expired").await;
}

#[tokio::test]
async fn a_token_of_another_branch_is_refused() {
    let (lab, issuer, settings) = trusting("issuer-subject").await;
    let token = issuer.token(&SUBJECT.replace("main", "feature"), 3600).unwrap();
    let settings = with(settings, "KEYTURN_ID_TOKEN", &token);
    let rotation = refused(&lab, &settings, 3, "access_denied").await;
    assert!(text(&rotation, "advice").contains("`sub`"), "{rotation:#}");
}

#[tokio::test]
async fn a_token_that_another_issuer_signed_is_refused() {
    let (lab, issuer, settings) = trusting("issuer-trusted").await;
    let forger = Issuer::start(&issuer.url, directory("issuer-forger")).unwrap();
    let token = forger.token(SUBJECT, 3600).unwrap();
    let settings = with(settings, "KEYTURN_ID_TOKEN", &token);
    refused(&lab, &settings, 3, "credential_refused").await;
}
