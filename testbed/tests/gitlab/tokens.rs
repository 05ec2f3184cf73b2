//! A token about itself.

use std::time::Duration;

use serde_json::json;
use testbed::gitlab::{Options, Scope, Token};

use crate::client::Bench;

const SELF: &str = "/personal_access_tokens/self";

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
