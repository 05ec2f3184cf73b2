//! Who is refused what, in which order, in which words.

use jiff::ToSpan;
use serde_json::json;
use testbed::gitlab::{Role, Scope, Token, Variable};

use crate::client::{Bench, ID, SECRET, send};

const UNAUTHORIZED: &str = r#"{"message":"401 Unauthorized"}"#;
const EXPIRED: &str = r#"{"error":"invalid_token","error_description":"Token is expired. You can either do re-authorization or token refresh."}"#;
const REVOKED: &str = r#"{"error":"invalid_token","error_description":"Token was revoked. You have to re-authorize from the user."}"#;
const SCOPE: &str = r#"{"error":"insufficient_scope","error_description":"The request requires higher privileges than provided by the access token.","scope":"api read_api"}"#;
const FORBIDDEN: &str = r#"{"message":"403 Forbidden"}"#;
const NO_GROUP: &str = r#"{"message":"404 Group Not Found"}"#;

#[tokio::test]
async fn every_kind_of_token_reads_and_writes_a_group_as_far_as_it_may() {
    let bench = Bench::new().await;
    let group = bench.group;
    let owner = Token::owner(group);
    let tokens = bench.gitlab.world(|world| {
        world.set_variable(group, Variable::new("KEY", "value"));
        let parent = world.add_group("parent");
        let other = world.add_group("other");
        let today = world.today();
        let tomorrow = today.checked_add(1.day()).unwrap();
        let mut add = |token: Token| world.add_token(token);
        [
            ("an owner", add(owner.clone()), (200, ""), (200, "")),
            (
                "an owner of the group above",
                add(Token::owner(parent)),
                (200, ""),
                (200, ""),
            ),
            ("an administrator", add(Token::admin()), (200, ""), (200, "")),
            (
                "one that expires tomorrow",
                add(Token {
                    expires_at: Some(tomorrow),
                    ..owner.clone()
                }),
                (200, ""),
                (200, ""),
            ),
            (
                "one that expires today",
                add(Token {
                    expires_at: Some(today),
                    ..owner.clone()
                }),
                (401, EXPIRED),
                (401, EXPIRED),
            ),
            (
                "a revoked one",
                add(Token {
                    revoked: true,
                    ..owner.clone()
                }),
                (401, REVOKED),
                (401, REVOKED),
            ),
            (
                "a revoked one that expired",
                add(Token {
                    revoked: true,
                    expires_at: Some(today),
                    ..owner.clone()
                }),
                (401, EXPIRED),
                (401, EXPIRED),
            ),
            (
                "one that may only read",
                add(Token {
                    scopes: vec![Scope::ReadApi],
                    ..owner.clone()
                }),
                (200, ""),
                (403, SCOPE),
            ),
            (
                "one that may only rotate itself",
                add(Token {
                    scopes: vec![Scope::SelfRotate],
                    ..owner.clone()
                }),
                (403, SCOPE),
                (403, SCOPE),
            ),
            (
                "a maintainer",
                add(Token::maintainer(group)),
                (403, FORBIDDEN),
                (403, FORBIDDEN),
            ),
            (
                "a developer",
                add(Token::with_role("dev", group, Role::Developer)),
                (403, FORBIDDEN),
                (403, FORBIDDEN),
            ),
            (
                "another group's owner",
                add(Token::owner(other)),
                (404, NO_GROUP),
                (404, NO_GROUP),
            ),
            (
                "one that isn't known",
                "glpat-unknown".into(),
                (401, UNAUTHORIZED),
                (401, UNAUTHORIZED),
            ),
            (
                "an empty one",
                String::new(),
                (401, UNAUTHORIZED),
                (401, UNAUTHORIZED),
            ),
        ]
    });
    for (name, token, reading, writing) in tokens {
        for (method, (status, body)) in [("GET", reading), ("PUT", writing)] {
            let request = bench.request(method, &bench.of_group("/KEY")).json(&json!({}));
            let answer = send(request.header("private-token", &token)).await.unwrap();
            assert_eq!(answer.status, status, "{method} by {name}");
            if !body.is_empty() {
                assert_eq!(answer.text(), body, "{method} by {name}");
            }
            let challenge = answer.header("www-authenticate");
            assert_eq!(
                challenge.is_some(),
                body.contains("invalid_token"),
                "{method} by {name}"
            );
        }
    }
}

#[tokio::test]
async fn a_maintainer_suffices_for_a_project_and_sees_its_group_without_any_right() {
    let bench = Bench::new().await;
    let token = bench
        .gitlab
        .world(|world| world.add_token(Token::maintainer(bench.project)));
    assert_eq!(bench.get_as(&token, &bench.of_project("")).await.status, 200);
    bench.get_as(&token, &bench.of_group("")).await.is(403, FORBIDDEN);
    let developer = Token::with_role("developer", bench.project, Role::Developer);
    let developer = bench.gitlab.world(|world| world.add_token(developer));
    bench
        .get_as(&developer, &bench.of_project(""))
        .await
        .is(403, FORBIDDEN);
}

#[tokio::test]
async fn a_token_is_taken_from_its_header_or_as_bearer_but_never_as_a_job_token() {
    let bench = Bench::new().await;
    let path = bench.of_group("");
    let bearer = bench.request("GET", &path).bearer_auth(&bench.token);
    assert_eq!(send(bearer).await.unwrap().status, 200);
    let job = bench.request("GET", &path).header("job-token", &bench.token);
    send(job).await.unwrap().is(401, UNAUTHORIZED);
    send(bench.request("GET", &path))
        .await
        .unwrap()
        .is(401, UNAUTHORIZED);
}

#[tokio::test]
async fn refusals_come_in_gitlabs_order() {
    let bench = Bench::new().await;
    let maintainer = bench
        .gitlab
        .world(|world| world.add_token(Token::maintainer(bench.group)));
    let post = |path: &str, token: &str, body: &'static str| {
        let request = bench.request("POST", path).header("private-token", token);
        send(request.header("content-type", "application/json").body(body))
    };
    let group = bench.of_group("");
    let malformed = r#"{"error":"message body does not match declared format"}"#;
    let missing = r#"{"error":"key is missing, value is missing"}"#;

    post("/no/such/route", "none", "{")
        .await
        .unwrap()
        .is(404, r#"{"error":"404 Not Found"}"#);
    post(&bench.of_group("/KEY"), "none", "{")
        .await
        .unwrap()
        .is(405, r#"{"error":"405 Not Allowed"}"#);
    post(&group, "none", "{").await.unwrap().is(400, malformed);
    post(&group, "none", "{}").await.unwrap().is(401, UNAUTHORIZED);
    post("/groups/999/variables", &maintainer, "{}")
        .await
        .unwrap()
        .is(404, NO_GROUP);
    post(&group, &maintainer, "{}").await.unwrap().is(403, FORBIDDEN);
    post(&group, &bench.token, "{}").await.unwrap().is(400, missing);
    let invalid = post(&group, &bench.token, r#"{"key":"","value":""}"#)
        .await
        .unwrap();
    invalid.is(
        400,
        r#"{"message":{"key":["can't be blank","can contain only letters, digits and '_'."]}}"#,
    );

    bench.gitlab.world(|world| world.settings.read_only = true);
    let read_only = r#"{"message":"You cannot perform write operations on a read-only instance"}"#;
    post("/no/such/route", "none", "{")
        .await
        .unwrap()
        .is(403, read_only);
    assert_eq!(bench.form("POST", &group, "key=KEY&value=v").await.status, 301);
    assert_eq!(bench.get(&group).await.status, 200);
}

#[tokio::test]
async fn groups_and_projects_are_found_by_id_and_by_encoded_path() {
    let bench = Bench::new().await;
    let no_project = r#"{"message":"404 Project Not Found"}"#;
    for (path, status) in [
        ("/groups/parent%2Fchild/variables", 200),
        ("/groups/parent%2fchild", 200),
        ("/groups/parent/child/variables", 404),
        ("/groups/-11/variables", 404),
        ("/projects/parent%2Fchild%2Fapp/variables", 200),
        ("/projects/parent%2Fchild%2Fapp", 200),
        ("/projects/parent%2Fchild/variables", 404),
    ] {
        assert_eq!(bench.get(path).await.status, status, "{path}");
    }
    bench.get("/projects/app/variables").await.is(404, no_project);

    let body = bench
        .get("/groups/parent%2Fchild?with_projects=false")
        .await
        .json();
    assert_eq!(body["id"], bench.group.0);
    assert_eq!(body["full_path"], "parent/child");
}

#[tokio::test]
async fn a_renamed_group_is_gone_and_a_moved_project_redirects_to_its_id() {
    let bench = Bench::new().await;
    bench
        .gitlab
        .world(|world| world.rename_group(bench.group, "parent/renamed"));
    bench
        .get("/groups/parent%2Fchild/variables")
        .await
        .is(404, NO_GROUP);
    assert_eq!(bench.get("/groups/parent%2Frenamed/variables").await.status, 200);
    assert_eq!(bench.get(&bench.of_group("")).await.status, 200);

    let old = "/projects/parent%2Fchild%2Fapp/variables/KEY";
    let moved = bench.get(&format!("{old}?filter[environment_scope]=a")).await;
    let location = format!(
        "{}{}",
        bench.gitlab.url(),
        bench.of_project("/KEY?filter[environment_scope]=a")
    );
    assert_eq!(
        (moved.status, moved.header("location")),
        (301, Some(location.as_str()))
    );
    let refused = r#"{"message":"Non GET methods are not allowed for moved projects"}"#;
    bench.put(old, json!({ "value": "v" })).await.is(405, refused);
    bench.delete(old).await.is(405, refused);
}

#[tokio::test]
async fn attributes_are_refused_in_gitlabs_words() {
    let bench = Bench::new().await;
    bench
        .gitlab
        .world(|world| world.set_variable(bench.group, Variable::new("TAKEN", "value")));
    let long = "x".repeat(256);
    let rows = [
        (
            "a key with a dash",
            json!({"key": "A-B", "value": "v"}),
            r#"{"message":{"key":["can contain only letters, digits and '_'."]}}"#,
        ),
        (
            "a long key",
            json!({"key": long, "value": "v"}),
            r#"{"message":{"key":["is too long (maximum is 255 characters)"]}}"#,
        ),
        (
            "a taken key",
            json!({"key": " TAKEN ", "value": "v"}),
            r#"{"message":{"key":["(TAKEN) has already been taken"]}}"#,
        ),
        (
            "a scope with a comma",
            json!({"key": "A", "value": "v", "environment_scope": "a,b"}),
            r#"{"message":{"environment_scope":["can contain only letters, digits, '-', '_', '/', '$', '{', '}', '.', '*' and spaces"]}}"#,
        ),
        (
            "a long description",
            json!({"key": "A", "value": "v", "description": long}),
            r#"{"message":{"description":["is too long (maximum is 255 characters)"]}}"#,
        ),
        (
            "a short masked value",
            json!({"key": "A", "value": "v", "masked": true}),
            r#"{"message":{"value":["is invalid"]}}"#,
        ),
        (
            "a flag that is none",
            json!({"key": "A", "value": "v", "masked": "maybe"}),
            r#"{"error":"masked is invalid"}"#,
        ),
        (
            "a type that is none",
            json!({"key": "A", "value": "v", "variable_type": "dir"}),
            r#"{"error":"variable_type does not have a valid value"}"#,
        ),
        ("no value", json!({"key": "A"}), r#"{"error":"value is missing"}"#),
    ];
    for (name, body, expected) in rows {
        let answer = bench.post(&bench.of_group(""), body).await;
        assert_eq!((answer.status, answer.text()), (400, expected), "{name}");
    }
    let variables = bench.gitlab.world(|world| world.variables(bench.group));
    assert_eq!(variables, [Variable::new("TAKEN", "value")]);
}

#[tokio::test]
async fn every_aws_key_and_secret_can_be_masked_in_both_modes() {
    let bench = Bench::new().await;
    for (key, value, raw) in [
        ("A", ID, true),
        ("B", ID, false),
        ("C", SECRET, true),
        ("D", SECRET, false),
    ] {
        let body = json!({"key": key, "value": value, "masked": true, "raw": raw});
        assert_eq!(bench.post(&bench.of_group(""), body).await.status, 201, "{key}");
    }
}
