//! The GitLab client against the stand-in: what it reports of each way in which GitLab, a proxy or a network can answer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::BTreeMap;

use keyturn::failure::{Class, Failure, Written};
use keyturn::gitlab::{Access, Gitlab, NewVariable, Variable, VariableOwner, Version, find, other_scopes};
use keyturn::roots::Roots;
use keyturn::secret::Secret;
use testbed::gitlab as bed;
use testbed::gitlab::{
    Answer, Certificate, Effect, Fault, GitLab, GroupId, Options, OverwrittenRow, Scope, Token,
};

const ID: &str = "AWS_ACCESS_KEY_ID";
const OLD: &str = "AKIAIOSFODNN7EXAMPLE";
const NEW: &str = "AKIAI44QH8DHBEXAMPLE";

fn client(gitlab: &GitLab, token: &str, ca_pem: Option<Vec<u8>>) -> Result<Gitlab, Failure> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Gitlab::open(&Access {
        api: gitlab.url().parse().unwrap(),
        token: Secret::new(token),
        roots: ca_pem.and_then(Roots::parse),
    })
}

/// A group with one credential, and a client with its owner's token.
async fn start() -> (GitLab, GroupId, VariableOwner, Gitlab) {
    let gitlab = GitLab::start(Options::default()).await.unwrap();
    let (group, token) = gitlab.world(|world| {
        let group = world.add_group("parent/child");
        world.set_variable(group, bed::Variable::credential(ID, OLD));
        (group, world.add_token(Token::owner(group)))
    });
    let opened = client(&gitlab, &token, None).unwrap();
    (gitlab, group, VariableOwner::Group(group.0.to_string()), opened)
}

fn value(gitlab: &GitLab, group: GroupId, scope: &str) -> String {
    gitlab
        .world(|world| world.variable(group, ID, scope))
        .unwrap()
        .value
}

fn calls(gitlab: &GitLab, method: &str) -> usize {
    gitlab
        .journal()
        .iter()
        .filter(|call| call.method == method)
        .count()
}

fn done(written: Written<Variable>) -> Variable {
    match written {
        Written::Done(variable) => variable,
        Written::Refused(failure) | Written::Unclear(failure) => panic!("{failure:?}"),
    }
}

fn refused(written: Written<Variable>) -> Failure {
    match written {
        Written::Refused(failure) => failure,
        Written::Done(_) | Written::Unclear(_) => panic!("{written:?}"),
    }
}

fn unclear(written: Written<Variable>) -> Failure {
    match written {
        Written::Unclear(failure) => {
            let elsewhere = failure.reason.word() == "wrong_variable_answered";
            let class = if elsewhere {
                Class::Blocked
            } else {
                Class::Incomplete
            };
            assert_eq!(failure.class, class);
            assert!(
                failure.message.starts_with("It is not known whether"),
                "{failure}"
            );
            assert!(!failure.message.contains(NEW), "{failure}");
            failure
        }
        Written::Done(_) | Written::Refused(_) => panic!("{written:?}"),
    }
}

async fn update(api: &Gitlab, group: &VariableOwner, scope: &str) -> Written<Variable> {
    api.update(group, ID, scope, &Secret::new(NEW), "note").await
}

fn new_variable(scope: &str) -> NewVariable {
    NewVariable {
        key: "NEW_KEY".into(),
        value: Secret::new("verysecretvalue"),
        description: "note".into(),
        masked: true,
        hidden: true,
        raw: true,
        protected: true,
        scope: scope.into(),
    }
}

#[tokio::test]
async fn all_pages_are_read() {
    let (gitlab, group, container, api) = start().await;
    gitlab.world(|world| {
        for n in 0..250 {
            world.set_variable(group, bed::Variable::new(&format!("V{n}"), "v"));
        }
    });
    let all = api.variables(&container).await.unwrap();
    assert_eq!(all.len(), 251);
    assert_eq!(calls(&gitlab, "GET"), 3);
    assert!(find(&all, "V249", "*").unwrap().is_some());
    let path = VariableOwner::Group("parent/child".into());
    assert_eq!(api.variables(&path).await.unwrap().len(), 251);
    assert!(api.clock().now().is_some());
}

#[tokio::test]
async fn a_list_whose_headers_were_stripped_is_read_on() {
    let (gitlab, _, container, api) = start().await;
    let row = r#"{"key":"K","value":"v","environment_scope":"*"}"#;
    for body in [format!("[{}]", vec![row; 100].join(",")), format!("[{row}]")] {
        let page = Answer::Custom {
            status: 200,
            headers: BTreeMap::new(),
            body,
        };
        gitlab.fault(Fault::on_any(Effect::answer(page)));
    }
    assert_eq!(api.variables(&container).await.unwrap().len(), 101);
    assert_eq!(calls(&gitlab, "GET"), 2);
}

#[tokio::test]
async fn an_update_changes_the_exact_scope_and_nothing_else() {
    let (gitlab, group, container, api) = start().await;
    gitlab.world(|world| {
        let production = "production".to_owned();
        world.set_variable(
            group,
            bed::Variable {
                environment_scope: production,
                ..bed::Variable::credential(ID, OLD)
            },
        );
    });
    let all = api.variables(&container).await.unwrap();
    assert_eq!(other_scopes(&all, ID, "production"), ["*"]);
    let variable = done(update(&api, &container, "production").await);
    assert!(variable.masked && variable.protected && variable.raw);
    assert_eq!(variable.description.as_deref(), Some("note"));
    assert_eq!(
        (value(&gitlab, group, "production"), value(&gitlab, group, "*")),
        (NEW.into(), OLD.into())
    );
    let put = gitlab
        .journal()
        .into_iter()
        .find(|call| call.method == "PUT")
        .unwrap();
    assert!(!put.path.contains('?'), "{}", put.path);
}

#[tokio::test]
async fn an_overwritten_other_scope_is_told() {
    let (gitlab, _, container, api) = start().await;
    gitlab.world(|world| world.settings.overwritten = OverwrittenRow::LowestId);
    let failure = unclear(update(&api, &container, "production").await);
    assert_eq!(failure.reason.word(), "wrong_variable_answered");
    assert!(failure.message.contains("another scope (*)"), "{failure}");
}

#[tokio::test]
async fn a_hidden_variable_is_created_and_updated() {
    let (_gitlab, _, container, api) = start().await;
    let variable = done(api.create(&container, &new_variable("*")).await);
    assert!(variable.hidden && variable.masked && variable.value.is_none());
    done(
        api.update(&container, "NEW_KEY", "*", &Secret::new("anothersecret"), "")
            .await,
    );
    let again = refused(api.create(&container, &new_variable("*")).await);
    assert_eq!(
        (again.class, again.reason.word()),
        (Class::Blocked, "request_refused")
    );
    assert!(again.message.contains("already been taken"), "{again}");
}

#[tokio::test]
async fn what_gitlab_dropped_without_a_word_is_told() {
    let (gitlab, _, container, api) = start().await;
    gitlab.world(|world| world.settings.licensed = false);
    let failure = unclear(api.create(&container, &new_variable("production")).await);
    assert_eq!(failure.reason.word(), "wrong_variable_answered");
    assert!(failure.message.contains("another scope (*)"), "{failure}");
}

#[tokio::test]
async fn a_value_that_cannot_be_masked_is_refused() {
    let (gitlab, group, container, api) = start().await;
    let failure = refused(api.update(&container, ID, "*", &Secret::new("short"), "").await);
    assert_eq!(
        (failure.class, failure.reason.word()),
        (Class::Blocked, "value_refused")
    );
    assert_eq!(value(&gitlab, group, "*"), OLD);
}

#[tokio::test]
async fn limits_of_rate_are_waited_for_within_reason() {
    let (gitlab, _, container, api) = start().await;
    gitlab.fault(Fault::on_any(Effect::answer(Answer::Throttled {
        retry_after: 1,
    })));
    gitlab.fault(Fault::on_any(Effect::answer(Answer::Limited)));
    api.variables(&container).await.unwrap();
    gitlab.fault(Fault::on_any(Effect::answer(Answer::Throttled {
        retry_after: 120,
    })));
    let failure = api.variables(&container).await.unwrap_err();
    assert_eq!(
        (failure.class, failure.reason.word()),
        (Class::Incomplete, "gitlab_rate_limited")
    );
    assert!(failure.message.contains("120 seconds"), "{failure}");
    gitlab.fault(Fault::on_any(Effect::answer(Answer::Limited)).times(3));
    assert_eq!(
        unclear(update(&api, &container, "*").await).reason.word(),
        "gitlab_rate_limited"
    );
    assert!(gitlab.waiting_faults().is_empty());
}

#[tokio::test]
async fn a_bad_gateway_passes_or_is_told() {
    let (gitlab, _, container, api) = start().await;
    gitlab.fault(Fault::on_any(Effect::answer(Answer::BadGateway)).times(2));
    api.variables(&container).await.unwrap();
    gitlab.fault(Fault::on_any(Effect::answer(Answer::BadGateway)).times(3));
    let failure = api.variables(&container).await.unwrap_err();
    assert_eq!(
        (failure.class, failure.reason.word()),
        (Class::Incomplete, "gitlab_error")
    );
    assert!(
        failure
            .message
            .starts_with(&format!("The variables of {container} were not read")),
        "{failure}"
    );
}

#[tokio::test]
async fn a_web_page_is_no_gitlab() {
    let (gitlab, _, container, api) = start().await;
    gitlab.fault(Fault::on_any(Effect::answer(Answer::Html)));
    let failure = api.variables(&container).await.unwrap_err();
    assert_eq!(
        (failure.class, failure.reason.word()),
        (Class::Blocked, "not_gitlab")
    );
    assert!(failure.message.contains("HTML"), "{failure}");
    gitlab.fault(Fault::on("PUT", "", Effect::apply_then_answer(Answer::Html)));
    assert_eq!(
        unclear(update(&api, &container, "*").await).reason.word(),
        "not_gitlab"
    );
}

#[tokio::test]
async fn a_lost_answer_to_a_put_is_asked_for_again() {
    let (gitlab, group, container, api) = start().await;
    for effect in [
        Effect::drop_after(),
        Effect::Truncate,
        Effect::apply_then_answer(Answer::InternalError),
    ] {
        gitlab.fault(Fault::on("PUT", "", effect));
        done(update(&api, &container, "*").await);
    }
    assert_eq!(calls(&gitlab, "PUT"), 6);
    assert_eq!(value(&gitlab, group, "*"), NEW);
}

#[tokio::test]
async fn a_refusal_after_a_lost_answer_is_unclear() {
    let (gitlab, group, container, api) = start().await;
    gitlab.fault(Fault::on("PUT", "", Effect::drop_after()));
    gitlab.fault(Fault::on("PUT", "", Effect::answer(Answer::ReadOnly)));
    let failure = unclear(update(&api, &container, "*").await);
    assert!(failure.message.contains("a later attempt"), "{failure}");
    assert_eq!(value(&gitlab, group, "*"), NEW);
}

#[tokio::test]
async fn a_post_is_sent_once() {
    let (gitlab, _, container, api) = start().await;
    for effect in [
        Effect::drop_before(),
        Effect::answer(Answer::BadGateway),
        Effect::answer(Answer::Limited),
    ] {
        gitlab.fault(Fault::on("POST", "", effect));
        unclear(api.create(&container, &new_variable("*")).await);
    }
    assert_eq!(calls(&gitlab, "POST"), 3);
}

#[tokio::test]
async fn a_read_only_instance_refuses_for_now() {
    let (gitlab, group, container, api) = start().await;
    gitlab.world(|world| world.settings.read_only = true);
    let failure = refused(update(&api, &container, "*").await);
    assert_eq!(
        (failure.class, failure.reason.word()),
        (Class::Incomplete, "gitlab_read_only")
    );
    assert_eq!(value(&gitlab, group, "*"), OLD);
}

#[tokio::test]
async fn a_proxys_refusal_proves_nothing() {
    let (gitlab, _, container, api) = start().await;
    let page = Answer::Custom {
        status: 403,
        headers: BTreeMap::new(),
        body: "<html>Forbidden</html>".into(),
    };
    gitlab.fault(Fault::on("PUT", "", Effect::apply_then_answer(page)));
    unclear(update(&api, &container, "*").await);
}

#[tokio::test]
async fn a_server_that_is_not_there_refuses_for_certain() {
    let (gitlab, _, container, api) = start().await;
    gitlab.stop().await;
    let failure = refused(update(&api, &container, "*").await);
    assert_eq!(
        (failure.class, failure.reason.word()),
        (Class::Incomplete, "gitlab_unreachable")
    );
    assert!(failure.message.contains("refused"), "{failure}");
}

#[tokio::test]
async fn tokens_of_each_kind_are_told_apart() {
    let (gitlab, group, container, api) = start().await;
    let info = api.token().await.unwrap().unwrap();
    assert!(info.active && !info.revoked && info.may_write());
    let (expired, revoked, reader, maintainer) = gitlab.world(|world| {
        let yesterday = world.today().yesterday().unwrap();
        (
            world.add_token(Token {
                expires_at: Some(yesterday),
                ..Token::owner(group)
            }),
            world.add_token(Token {
                revoked: true,
                ..Token::owner(group)
            }),
            world.add_token(Token {
                scopes: vec![Scope::ReadApi],
                ..Token::owner(group)
            }),
            world.add_token(Token::maintainer(group)),
        )
    });
    let rows = [
        (expired.as_str(), "token_expired"),
        (&revoked, "token_revoked"),
        (&reader, "token_scope"),
        (&maintainer, "token_role"),
        ("glpat-unknown", "token_refused"),
    ];
    for (token, reason) in rows {
        let api = client(&gitlab, token, None).unwrap();
        let failure = refused(update(&api, &container, "*").await);
        assert_eq!((failure.class, failure.reason.word()), (Class::Blocked, reason));
        assert!(!failure.message.contains(token) && !failure.advice.contains(token));
    }
    let failure = client(&gitlab, &expired, None)
        .unwrap()
        .token()
        .await
        .unwrap_err();
    assert_eq!(failure.reason.word(), "token_expired");
    let oauth = Answer::Custom {
        status: 400,
        headers: BTreeMap::new(),
        body: r#"{"message":"400 Bad request - This endpoint requires token type to be a personal access token"}"#.into(),
    };
    gitlab.fault(Fault::on_any(Effect::answer(oauth)));
    assert_eq!(api.token().await.unwrap(), None);
}

#[tokio::test]
async fn the_version_is_read() {
    let (_gitlab, _, _, api) = start().await;
    assert!(api.version().await.unwrap() >= Version { major: 16, minor: 0 });
}

#[tokio::test]
async fn what_was_renamed_or_moved_is_told() {
    let (gitlab, group, container, api) = start().await;
    let project = gitlab.world(|world| {
        let project = world.add_project("parent/child/app");
        world.rename_group(group, "parent/renamed");
        project
    });
    api.variables(&container).await.unwrap();
    let failure = api
        .variables(&VariableOwner::Group("parent/child".into()))
        .await
        .unwrap_err();
    assert_eq!(
        (failure.class, failure.reason.word()),
        (Class::Blocked, "group_unknown")
    );
    let failure = api
        .variables(&VariableOwner::Project("99999".into()))
        .await
        .unwrap_err();
    assert_eq!(failure.reason.word(), "project_unknown");
    gitlab.world(|world| {
        world.move_project(project, "parent/renamed/moved");
    });
    let old = VariableOwner::Project("parent/renamed/app".into());
    assert_eq!(api.variables(&old).await.unwrap_err().reason.word(), "moved");
    let failure = refused(update(&api, &old, "*").await);
    assert_eq!((failure.class, failure.reason.word()), (Class::Blocked, "moved"));
    let wrong = client_at(&gitlab.url().replace("/api/v4", "/api/v3"));
    assert_eq!(
        wrong.variables(&container).await.unwrap_err().reason.word(),
        "not_gitlab"
    );
}

fn client_at(api_url: &str) -> Gitlab {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Gitlab::open(&Access {
        api: api_url.parse().unwrap(),
        token: Secret::new("t"),
        roots: None,
    })
    .unwrap()
}

#[tokio::test]
async fn certificates_are_checked() {
    let good = Certificate::new(&["127.0.0.1"]).unwrap();
    let expired = Certificate::expired(&["127.0.0.1"]).unwrap();
    let other = Certificate::new(&["gitlab.example.com"]).unwrap();
    let rows = [
        (good.clone(), true, true),
        (good, false, false),
        (expired, true, false),
        (other, true, false),
    ];
    for (certificate, trusted, works) in rows {
        let options = Options {
            tls: Some(certificate.clone()),
            ..Options::default()
        };
        let gitlab = GitLab::start(options).await.unwrap();
        let token = gitlab.world(|world| world.add_token(Token::admin()));
        let pem = trusted.then(|| certificate.authority_pem.into_bytes());
        let outcome = client(&gitlab, &token, pem).unwrap().version().await;
        match outcome {
            Ok(_) => assert!(works),
            Err(failure) => {
                assert!(!works, "{failure:?}");
                assert_eq!(
                    (failure.class, failure.reason.word()),
                    (Class::Blocked, "tls"),
                    "{failure}"
                );
                assert!(calls(&gitlab, "GET") == 0);
            }
        }
    }
}

#[tokio::test]
async fn a_server_without_tls_is_told_by_name() {
    let (gitlab, _, container, _) = start().await;
    let api = client_at(&gitlab.url().replace("http://", "https://"));
    let failure = api.variables(&container).await.unwrap_err();
    assert_eq!(
        (failure.class, failure.reason.word()),
        (Class::Blocked, "tls"),
        "{failure}"
    );
    assert!(failure.message.contains("does not speak TLS"), "{failure}");
}
