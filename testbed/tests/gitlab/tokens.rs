//! A token about itself, and its rotation.

use std::time::Duration;

use serde_json::json;
use testbed::gitlab::{Effect, Fault, Options, Scope, Token};

use crate::client::Bench;

const SELF: &str = "/personal_access_tokens/self";
const ROTATE: &str = "/personal_access_tokens/self/rotate";

fn at(instant: &str) -> Options {
    Options {
        starts_at: Some(instant.parse().unwrap()),
        ..Options::default()
    }
}

#[tokio::test]
async fn a_token_of_any_scope_reads_about_itself_but_not_its_role() {
    let bench = Bench::with(at("2026-02-01T10:00:00Z")).await;
    let token = Token {
        name: "rotator".into(),
        scopes: vec![Scope::SelfRotate],
        expires_at: Some("2026-06-01".parse().unwrap()),
        ..Token::owner(bench.group)
    };
    let token = bench.gitlab.world(|world| world.add_token(token));
    let body = bench.get_as(&token, SELF).await.json();
    assert_eq!(body["name"], "rotator");
    assert_eq!(body["scopes"], json!(["self_rotate"]));
    assert_eq!(body["expires_at"], "2026-06-01");
    assert_eq!(body["active"], true);
    assert_eq!(body["last_used_at"], json!(null));
    assert!(body.get("token").is_none() && body.get("access_level").is_none());
    assert!(
        bench.get_as(&token, SELF).await.json()["last_used_at"]
            .as_str()
            .unwrap()
            .starts_with("2026-02-01T10:")
    );
}

#[tokio::test]
async fn a_token_dies_at_midnight_utc_of_its_day() {
    let bench = Bench::with(at("2026-05-31T23:00:00Z")).await;
    let last = Token {
        expires_at: Some("2026-06-01".parse().unwrap()),
        ..Token::owner(bench.group)
    };
    let token = bench.gitlab.world(|world| world.add_token(last));
    assert_eq!(bench.get_as(&token, SELF).await.status, 200);
    bench.gitlab.advance(Duration::from_secs(3600));
    assert_eq!(bench.get_as(&token, SELF).await.status, 401);
}

#[tokio::test]
async fn rotation_kills_the_old_token_at_once_and_the_new_one_lives_seven_days() {
    let bench = Bench::with(at("2026-02-01T10:00:00Z")).await;
    let answer = bench.post(ROTATE, json!({})).await;
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!(body["expires_at"], "2026-02-08");
    let successor = body["token"].as_str().unwrap().to_owned();
    assert_eq!(bench.get(&bench.of_group("")).await.status, 401);
    assert_eq!(bench.get_as(&successor, &bench.of_group("")).await.status, 200);
}

#[tokio::test]
async fn a_second_rotation_with_the_old_token_kills_the_whole_family() {
    let bench = Bench::new().await;
    let successor = bench.post(ROTATE, json!({})).await.json()["token"]
        .as_str()
        .unwrap()
        .to_owned();
    // Elsewhere the dead token is only refused.
    assert_eq!(bench.get(SELF).await.status, 401);
    assert_eq!(bench.get_as(&successor, SELF).await.status, 200);
    assert_eq!(bench.post(ROTATE, json!({})).await.status, 401);
    assert_eq!(bench.get_as(&successor, SELF).await.status, 401);
    bench
        .gitlab
        .world(|world| assert!(world.tokens().iter().all(|issued| issued.token.revoked)));
}

#[tokio::test]
async fn a_lost_answer_to_a_rotation_leaves_a_token_that_nobody_has() {
    let bench = Bench::new().await;
    bench
        .gitlab
        .fault(Fault::on("POST", "/self/rotate", Effect::drop_after()));
    assert!(bench.try_json("POST", ROTATE, json!({})).await.is_err());
    assert_eq!(bench.get(SELF).await.status, 401);
    bench.gitlab.world(|world| {
        let [old, new] = world.tokens() else {
            panic!("one rotation makes one token")
        };
        assert_eq!((old.token.revoked, new.token.revoked), (true, false));
        assert_eq!((old.user_id, old.family), (new.user_id, new.family));
    });
}

#[tokio::test]
async fn a_rotation_takes_a_date_up_to_a_year_away_and_the_right_scope() {
    let bench = Bench::with(at("2026-02-01T10:00:00Z")).await;
    let too_far = bench.post(ROTATE, json!({"expires_at": "2027-02-02"})).await;
    too_far.is(
        400,
        r#"{"message":"400 Bad request - Expires at must be before 2027-02-01"}"#,
    );
    bench
        .post(ROTATE, json!({"expires_at": "soon"}))
        .await
        .is(400, r#"{"error":"expires_at is invalid"}"#);
    assert_eq!(bench.get(SELF).await.status, 200, "the old token is still good");
    let year = bench.post(ROTATE, json!({"expires_at": "2027-02-01"})).await;
    assert_eq!(
        (year.status, &year.json()["expires_at"]),
        (200, &json!("2027-02-01"))
    );

    for (scope, status) in [(Scope::ReadApi, 403), (Scope::SelfRotate, 200)] {
        let mut bench = Bench::new().await;
        let token = Token {
            scopes: vec![scope],
            ..Token::owner(bench.group)
        };
        bench.token = bench.gitlab.world(|world| world.add_token(token));
        assert_eq!(bench.post(ROTATE, json!({})).await.status, status, "{scope:?}");
    }
    let old = Bench::version("16.9.0-ee").await;
    assert_eq!(old.post(ROTATE, json!({})).await.status, 404);
}

#[tokio::test]
async fn a_token_can_revoke_itself() {
    let bench = Bench::new().await;
    assert_eq!(bench.delete(SELF).await.status, 204);
    assert_eq!(bench.get(SELF).await.status, 401);
}
