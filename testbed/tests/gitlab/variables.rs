//! Reading and writing the variables of groups and projects.

use serde_json::{Value, json};
use testbed::gitlab::{OverwrittenRow, Variable, Version};

use crate::client::{Bench, ID, SECRET, send};

const AMBIGUOUS: &str = r#"{"message":"There are multiple variables with provided parameters. Please use 'filter[environment_scope]'"}"#;
const NO_GROUP_VARIABLE: &str = r#"{"message":"404 GroupVariable Not Found"}"#;
const NO_PROJECT_VARIABLE: &str = r#"{"message":"404 Variable Not Found"}"#;

fn scoped(scope: &str, value: &str) -> Variable {
    Variable {
        environment_scope: scope.into(),
        ..Variable::new("KEY", value)
    }
}

/// A group and a project that both have KEY for staging and for production.
async fn scopes(bench: &Bench) {
    bench.gitlab.world(|world| {
        for scope in ["staging", "production"] {
            world.set_variable(bench.group, scoped(scope, "old"));
            world.set_variable(bench.project, scoped(scope, "old"));
        }
    });
}

#[tokio::test]
async fn a_variable_is_created_read_changed_and_deleted() {
    let bench = Bench::new().await;
    for path in [bench.of_group(""), bench.of_project("")] {
        let one = format!("{path}/AWS_ACCESS_KEY_ID");
        let body = json!({"key": "AWS_ACCESS_KEY_ID", "value": ID, "masked": "true", "raw": true, "protected": true});
        let created = bench.post(&path, body).await;
        created.is(201, r#"{"variable_type":"env_var","key":"AWS_ACCESS_KEY_ID","value":"AKIAIOSFODNN7EXAMPLE","hidden":false,"protected":true,"masked":true,"raw":true,"environment_scope":"*","description":null}"#);
        bench.get(&one).await.is(200, created.text());
        bench.get(&path).await.is(200, &format!("[{}]", created.text()));

        let changed = bench
            .put(
                &one,
                json!({"value": "AKIAI44QH8DHBEXAMPLE", "description": "rotated"}),
            )
            .await;
        let expected = created
            .text()
            .replace(ID, "AKIAI44QH8DHBEXAMPLE")
            .replace("null", "\"rotated\"");
        changed.is(200, &expected);
        bench.put(&one, json!({})).await.is(200, &expected);

        bench.delete(&one).await.is(204, "");
        assert_eq!(bench.get(&one).await.status, 404);
        bench.get(&path).await.is(200, "[]");
    }
}

#[tokio::test]
async fn json_forms_and_queries_are_merged_and_unknown_parameters_ignored() {
    let bench = Bench::new().await;
    let path = bench.of_group("");
    assert_eq!(
        bench
            .form("POST", &path, "key=FORM&value=a%2Bb+c&environment=production")
            .await
            .status,
        201
    );
    let query = bench.request("POST", &format!("{path}?key=QUERY&value=from-query&raw=true"));
    let query = query
        .header("private-token", &bench.token)
        .json(&json!({"value": "from-body", "hidden": true}));
    assert_eq!(send(query).await.unwrap().status, 201);
    bench
        .put(
            &format!("{path}/QUERY"),
            json!({"key": "OTHER", "masked_and_hidden": true}),
        )
        .await;
    bench.gitlab.world(|world| {
        let raw = Variable {
            raw: true,
            ..Variable::new("QUERY", "from-body")
        };
        assert_eq!(
            world.variables(bench.group),
            [Variable::new("FORM", "a+b c"), raw]
        );
    });
}

#[tokio::test]
async fn a_key_in_several_scopes_needs_a_filter_that_equals_the_scope() {
    let bench = Bench::new().await;
    scopes(&bench).await;
    let filter = |scope: &str| format!("/KEY?filter[environment_scope]={scope}");
    for (path, missing) in [
        (bench.of_group(""), NO_GROUP_VARIABLE),
        (bench.of_project(""), NO_PROJECT_VARIABLE),
    ] {
        bench.get(&format!("{path}/KEY")).await.is(409, AMBIGUOUS);
        bench
            .get(&format!("{path}{}", filter("")))
            .await
            .is(409, AMBIGUOUS);
        bench
            .get(&format!("{path}{}", filter("%2A")))
            .await
            .is(404, missing);
        bench
            .get(&format!("{path}{}", filter("prod%2A")))
            .await
            .is(404, missing);
        bench.get(&format!("{path}/key")).await.is(404, missing);
        bench.delete(&format!("{path}/KEY")).await.is(409, AMBIGUOUS);
        let found = bench.get(&format!("{path}{}", filter("production"))).await.json();
        assert_eq!(found["environment_scope"], "production");
        bench
            .delete(&format!("{path}{}", filter("production")))
            .await
            .is(204, "");
        // One is left, so that no filter is needed although its scope isn't `*`.
        let found = bench.get(&format!("{path}/KEY")).await.json();
        assert_eq!(found["environment_scope"], "staging");
    }
}

#[tokio::test]
async fn a_project_put_needs_the_exact_scope() {
    let bench = Bench::new().await;
    scopes(&bench).await;
    let path = bench.of_project("/KEY");
    bench.put(&path, json!({"value": "new"})).await.is(409, AMBIGUOUS);
    let wrong = json!({"value": "new", "filter": {"environment_scope": "*"}});
    bench.put(&path, wrong).await.is(404, NO_PROJECT_VARIABLE);
    bench
        .put(&path, json!({"filter": "production"}))
        .await
        .is(400, r#"{"error":"filter is invalid"}"#);
    let right = json!({"value": "new", "filter": {"environment_scope": "production"}});
    assert_eq!(bench.put(&path, right).await.status, 200);
    bench.gitlab.world(|world| {
        assert_eq!(
            world.variables(bench.project),
            [scoped("staging", "old"), scoped("production", "new")]
        );
    });
}

#[tokio::test]
async fn a_group_put_that_selects_nothing_overwrites_some_other_scope() {
    let filter = |scope: &str| json!({"value": "new", "filter": {"environment_scope": scope}});
    let (lowest, highest) = (OverwrittenRow::LowestId, OverwrittenRow::HighestId);
    let rows = [
        (
            "the right filter",
            "18.2.1-ee",
            filter("production"),
            lowest,
            Some("production"),
        ),
        (
            "a wrong filter",
            "18.2.1-ee",
            filter("*"),
            lowest,
            Some("staging"),
        ),
        (
            "a wrong filter, another database",
            "18.2.1-ee",
            filter("*"),
            highest,
            Some("production"),
        ),
        (
            "a wrong filter, a chosen row",
            "18.2.1-ee",
            filter("*"),
            OverwrittenRow::Nth(1),
            Some("production"),
        ),
        (
            "no filter",
            "18.2.1-ee",
            json!({"value": "new"}),
            lowest,
            Some("staging"),
        ),
        ("a blank filter", "18.2.1-ee", filter(" "), lowest, None),
        (
            "the right filter, before it was read",
            "16.8.0-ee",
            filter("production"),
            lowest,
            Some("staging"),
        ),
        (
            "the right filter, since it is read",
            "16.9.0-ee",
            filter("production"),
            lowest,
            Some("production"),
        ),
    ];
    for (name, version, body, overwritten, expected) in rows {
        let bench = Bench::version(version).await;
        scopes(&bench).await;
        bench
            .gitlab
            .world(|world| world.settings.overwritten = overwritten);
        let answer = bench.put(&bench.of_group("/KEY"), body).await;
        let changed: Vec<String> = bench.gitlab.world(|world| {
            let all = world.variables(bench.group).into_iter();
            all.filter(|variable| variable.value == "new")
                .map(|variable| variable.environment_scope)
                .collect()
        });
        assert_eq!(changed, expected.into_iter().collect::<Vec<_>>(), "{name}");
        match expected {
            Some(scope) => assert_eq!(answer.json()["environment_scope"], scope, "{name}"),
            None => answer.is(409, AMBIGUOUS),
        }
    }
    let bench = Bench::new().await;
    bench
        .put(&bench.of_group("/KEY"), filter("*"))
        .await
        .is(404, NO_GROUP_VARIABLE);
}

#[tokio::test]
async fn a_scope_can_be_moved_but_not_onto_another() {
    let bench = Bench::new().await;
    scopes(&bench).await;
    let path = bench.of_group("/KEY");
    let filter = json!({"environment_scope": "staging"});
    let taken = json!({"environment_scope": "production", "filter": filter});
    bench
        .put(&path, taken)
        .await
        .is(400, r#"{"message":{"key":["(KEY) has already been taken"]}}"#);
    assert_eq!(
        bench
            .put(&path, json!({"environment_scope": "qa", "filter": filter}))
            .await
            .status,
        200
    );
    bench
        .gitlab
        .world(|world| assert!(world.variable(bench.group, "KEY", "qa").is_some()));
}

#[tokio::test]
async fn without_a_licence_a_groups_scope_is_dropped_without_a_word() {
    let bench = Bench::new().await;
    bench.gitlab.world(|world| world.settings.licensed = false);
    let body = json!({"key": "KEY", "value": "v", "environment_scope": "production"});
    let created = bench.post(&bench.of_group(""), body.clone()).await;
    assert_eq!(
        (created.status, &created.json()["environment_scope"]),
        (201, &json!("*"))
    );
    let changed = bench
        .put(
            &bench.of_group("/KEY"),
            json!({"environment_scope": "production"}),
        )
        .await;
    assert_eq!(
        (changed.status, &changed.json()["environment_scope"]),
        (200, &json!("*"))
    );
    let of_project = bench.post(&bench.of_project(""), body).await;
    assert_eq!(of_project.json()["environment_scope"], "production");
}

#[tokio::test]
async fn masking_is_checked_against_the_variable_as_it_would_be_stored() {
    let bench = Bench::new().await;
    bench.gitlab.world(|world| {
        world.set_variable(bench.group, Variable::new("SHORT", "short"));
        world.set_variable(
            bench.group,
            Variable {
                masked: true,
                raw: true,
                ..Variable::new("RAW", "with$dollar")
            },
        );
        world.set_variable(bench.group, Variable::credential("CREDENTIAL", SECRET));
    });
    let before = bench.gitlab.world(|world| world.variables(bench.group));
    for (key, body) in [
        ("SHORT", json!({"masked": true})),
        ("RAW", json!({"raw": false})),
        ("CREDENTIAL", json!({"value": "short"})),
        ("CREDENTIAL", json!({"value": null})),
        (
            "CREDENTIAL",
            json!({"value": "two words of text", "description": "not stored either"}),
        ),
    ] {
        let answer = bench.put(&bench.of_group(&format!("/{key}")), body.clone()).await;
        assert_eq!(
            (answer.status, answer.text()),
            (400, r#"{"message":{"value":["is invalid"]}}"#),
            "{key} {body}"
        );
    }
    assert_eq!(bench.gitlab.world(|world| world.variables(bench.group)), before);
    let both = json!({"value": "long-enough", "masked": true});
    assert_eq!(bench.put(&bench.of_group("/SHORT"), both).await.status, 200);
    let file = json!({"variable_type": "file"});
    assert_eq!(
        bench.put(&bench.of_group("/CREDENTIAL"), file).await.json()["variable_type"],
        "file"
    );
}

#[tokio::test]
async fn a_hidden_variable_is_never_shown_and_never_unmasked() {
    let bench = Bench::new().await;
    for (path, group) in [(bench.of_group(""), true), (bench.of_project(""), false)] {
        let one = format!("{path}/SECRET");
        let created = bench
            .post(
                &path,
                json!({"key": "SECRET", "value": SECRET, "masked_and_hidden": true}),
            )
            .await;
        let shown = [
            created.json(),
            bench.get(&one).await.json(),
            bench.get(&path).await.json()[0].clone(),
        ];
        for body in shown {
            assert_eq!(
                [&body["hidden"], &body["masked"], &body["value"]],
                [&json!(true), &json!(true), &Value::Null]
            );
        }
        let changed = bench
            .put(&one, json!({"value": "another-secret", "description": "rotated"}))
            .await;
        assert_eq!((changed.status, &changed.json()["value"]), (200, &Value::Null));
        let refused = bench
            .put(&one, json!({"masked": false, "value": "refused-as-a-whole"}))
            .await;
        refused.is(400, r#"{"message":{"base":["The visibility setting cannot be changed for masked and hidden variables."]}}"#);
        assert_eq!(bench.put(&one, json!({"value": "short"})).await.status, 400);

        let truth = bench.gitlab.world(|world| match group {
            true => world.variable(bench.group, "SECRET", "*").unwrap(),
            false => world.variable(bench.project, "SECRET", "*").unwrap(),
        });
        assert_eq!((truth.value.as_str(), truth.hidden), ("another-secret", true));
    }
    bench
        .gitlab
        .world(|world| world.settings.version = Version::parse("17.5.0-ee").unwrap());
    let older = bench
        .put(&bench.of_group("/SECRET"), json!({"masked": false}))
        .await;
    older.is(400, r#"{"message":{"base":["Updating masked attribute is not allowed on updates for hidden variables."]}}"#);
}

#[tokio::test]
async fn older_releases_know_fewer_fields_and_ignore_what_they_do_not_know() {
    let body = json!({"key": "SECRET", "value": SECRET, "masked_and_hidden": true, "description": "new", "raw": true});
    for (version, absent) in [
        ("17.4.0-ee", vec![]),
        ("17.3.9-ee", vec!["hidden"]),
        ("16.1.0-ee", vec!["hidden", "description"]),
        ("15.6.0", vec!["hidden", "description", "raw"]),
    ] {
        let bench = Bench::version(version).await;
        let created = bench.post(&bench.of_group(""), body.clone()).await.json();
        for field in ["hidden", "description", "raw"] {
            assert_eq!(
                created.get(field).is_none(),
                absent.contains(&field),
                "{version}: {field}"
            );
        }
        assert_eq!(created["value"].is_null(), absent.is_empty(), "{version}");
        bench.gitlab.world(|world| {
            let stored = world.variable(bench.group, "SECRET", "*").unwrap();
            assert_eq!(
                stored.description.is_none(),
                absent.contains(&"description"),
                "{version}"
            );
        });
    }
}

#[tokio::test]
async fn lists_are_paged_and_the_link_header_names_another_host() {
    let bench = Bench::new().await;
    bench.gitlab.world(|world| {
        for n in 0..45 {
            world.set_variable(bench.group, Variable::new(&format!("KEY_{n:02}"), "v"));
        }
    });
    let path = bench.of_group("");
    for (query, keys, next, previous, pages) in [
        ("", 20, "2", "", "3"),
        ("?page=3", 5, "", "2", "3"),
        ("?page=9", 0, "", "8", "3"),
        ("?per_page=100", 45, "", "", "1"),
        ("?per_page=500", 45, "", "", "1"),
    ] {
        let answer = bench.get(&format!("{path}{query}")).await;
        assert_eq!(answer.json().as_array().unwrap().len(), keys, "{query}");
        assert_eq!(answer.header("x-next-page"), Some(next), "{query}");
        assert_eq!(answer.header("x-prev-page"), Some(previous), "{query}");
        assert_eq!(answer.header("x-total-pages"), Some(pages), "{query}");
        assert_eq!(answer.header("x-total"), Some("45"), "{query}");
        let link = answer.header("link").unwrap();
        assert!(
            link.starts_with("<https://gitlab.example.com/api/v4/groups/"),
            "{query}: {link}"
        );
    }
    bench
        .get(&format!("{path}?per_page=0"))
        .await
        .is(400, r#"{"error":"per_page has a value not allowed"}"#);
    bench
        .get(&format!("{path}?page=one"))
        .await
        .is(400, r#"{"error":"page is invalid"}"#);
}
