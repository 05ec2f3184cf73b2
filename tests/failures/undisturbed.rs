//! Runs that nothing disturbs: what they write, where they don't, and how many requests they need.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use testbed::aws::{Door, Pair};
use testbed::gitlab::{OverwrittenRow, Scope, Token, Variable};
use testbed::issuer::Issuer;
use testbed::lab::{Lab, USER, policy};

use crate::{HOUR, ID, SECRET, Signer, World, report, word};

#[tokio::test]
async fn only_the_own_scope_is_written() {
    for overwritten in [OverwrittenRow::LowestId, OverwrittenRow::HighestId] {
        let world = World::start(Signer::Role, false).await;
        let lab = &world.lab;
        let production = |name: &str, value: &str| Variable {
            environment_scope: "production".into(),
            ..Variable::credential(name, value)
        };
        let before = lab.gitlab.world(|gitlab| {
            gitlab.settings.overwritten = overwritten;
            let rows = [
                production(ID, "AKIAIOSFODNN7EXAMPLE"),
                production(SECRET, "another-secret-of-another-key-entirely-x"),
            ];
            for row in rows {
                gitlab.set_variable(lab.group, row);
            }
            [ID, SECRET].map(|name| gitlab.variable(lab.group, name, "production"))
        });
        let ran = world.run("rotate").await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let after = lab
            .gitlab
            .world(|gitlab| [ID, SECRET].map(|name| gitlab.variable(lab.group, name, "production")));
        assert_eq!(before, after);
        assert!(lab.pair().id != lab.old.id && world.works().await);
    }
}

#[tokio::test]
async fn a_project_rotates() {
    let world = World::start(Signer::Role, false).await;
    let lab = &world.lab;
    let (project, token) = lab.gitlab.world(|gitlab| {
        let project = gitlab.add_project("platform/app");
        gitlab.set_variable(project, Variable::credential(ID, &lab.old.id));
        gitlab.set_variable(project, Variable::credential(SECRET, &lab.old.secret));
        (project, gitlab.add_token(Token::maintainer(project)))
    });
    let mut settings = world.settings().await;
    settings.remove("GITLAB_GROUP_ID");
    settings.insert("GITLAB_PROJECT_ID".into(), project.0.to_string());
    settings.insert("GITLAB_TOKEN".into(), token);
    let ran = lab.run(&["rotate", "--format", "json"], &settings).unwrap();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let seen = lab.gitlab.job_sees(project, &[ID, SECRET], true);
    let pair = Pair {
        id: seen[0].clone().unwrap(),
        secret: seen[1].clone().unwrap(),
        token: None,
    };
    assert!(pair.id != lab.old.id && lab.aws.works(&pair).await);
    assert_eq!(lab.pair(), lab.old, "the group was not asked for");
}

#[tokio::test]
async fn a_job_rotates_as_the_role_that_its_oidc_token_stands_for() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("issuer-of-a-job");
    let issuer = Issuer::start("https://gitlab.example.com", directory).unwrap();
    let door = Door {
        issuer: Some(issuer.clone()),
        ..Door::default()
    };
    let world = World::behind(&door, Signer::Role, false).await;
    let lab = &world.lab;
    let policy = policy("role")
        .unwrap()
        .replace("user/ci-deployer", &format!("user/{USER}"));
    let role = lab
        .aws
        .web_identity_role("oidc-rotator", &issuer.url, &policy)
        .await
        .unwrap();
    // The job is given the pair as well, as every job of the group is: the role goes before it.
    let mut settings = lab.settings(&lab.old);
    let subject = "project_path:platform/rotation:ref_type:branch:ref:main";
    settings.insert("KEYTURN_ID_TOKEN".into(), issuer.token(subject, 3600).unwrap());
    settings.insert("AWS_ROLE_ARN".into(), role);
    settings.insert("AWS_IAM_USER".into(), USER.into());
    lab.aws.control("DELETE", "journal", None).await.unwrap();
    let ran = lab.run(&["rotate", "--format", "json"], &settings).unwrap();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(lab.pair().id != lab.old.id && world.works().await);
    let signers = lab.aws.journal().await.unwrap();
    let creator = signers.iter().find(|(action, _)| action == "CreateAccessKey");
    assert!(
        creator.is_some_and(|(_, key)| key.starts_with("ASIA")),
        "{signers:?}"
    );
    world.heals(false).await;
}

#[tokio::test]
async fn keys_are_listed_to_the_last_page() {
    let world = World::start(Signer::Role, false).await;
    let lab = &world.lab;
    // More than IAM lists in one page; the quota can be exceeded, only not by so many.
    for _ in 0..100 {
        lab.aws.add_key(USER, Duration::from_secs(60 * 60)).await.unwrap();
    }
    let ran = world.run("rotate").await;
    assert_eq!(
        (ran.code, word(&ran, "reason").as_str()),
        (Some(3), "slot_occupied"),
        "{ran:?}"
    );
    let listed = report(&ran)["rotations"][0]["keys"].as_array().map(Vec::len);
    assert_eq!(listed, Some(101));
    assert!(world.works().await && lab.pair() == lab.old);
}

async fn writes(lab: &Lab) -> Vec<String> {
    let aws = lab.aws.journal().await.unwrap();
    let aws = aws.into_iter().map(|(action, _)| action).filter(|action| {
        ["CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey"].contains(&action.as_str())
    });
    let gitlab = lab.gitlab.journal().into_iter();
    let gitlab = gitlab
        .filter(|call| call.method != "GET")
        .map(|call| format!("{} {}", call.method, call.path));
    aws.chain(gitlab).collect()
}

#[tokio::test]
async fn plan_changes_nothing_and_only_needs_to_read() {
    let world = World::start(Signer::Own, false).await;
    let lab = &world.lab;
    let reader = lab.gitlab.world(|gitlab| {
        gitlab.add_token(Token {
            scopes: vec![Scope::ReadApi],
            ..Token::owner(lab.group)
        })
    });
    let mut settings = world.settings().await;
    settings.insert("GITLAB_TOKEN".into(), reader);
    let ran = lab.run(&["plan", "--format", "json"], &settings).unwrap();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        report(&ran)["rotations"][0]["steps"]
            .as_array()
            .is_some_and(|steps| !steps.is_empty()),
        "{ran:?}"
    );
    assert_eq!(writes(lab).await, Vec::<String>::new());
    assert_eq!(lab.pair(), lab.old);
    let refused = lab.run(&["rotate", "--format", "json"], &settings).unwrap();
    assert_eq!(
        (refused.code, word(&refused, "reason").as_str()),
        (Some(3), "token_scope")
    );
    assert_eq!(writes(lab).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_second_rotation_waits_and_writes_nothing() {
    for signer in [Signer::Own, Signer::Role] {
        let world = World::start(signer, false).await;
        assert_eq!(world.run("rotate").await.code, Some(0));
        let settings = world.settings().await;
        let before = writes(&world.lab).await;
        let ran = world.lab.run(&["rotate", "--format", "json"], &settings).unwrap();
        assert_eq!((ran.code, word(&ran, "outcome").as_str()), (Some(0), "waiting"));
        assert_eq!(writes(&world.lab).await, before);
    }
}

#[tokio::test]
async fn a_rotation_needs_few_requests() {
    let world = World::start(Signer::Role, false).await;
    let settings = world.settings().await;
    world.lab.aws.control("DELETE", "journal", None).await.unwrap();
    let ran = world.lab.run(&["rotate"], &settings).unwrap();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let gitlab: Vec<String> = world
        .lab
        .gitlab
        .journal()
        .into_iter()
        .map(|call| {
            let scope = call.scope.map(|scope| format!(" of scope {scope}"));
            format!("{} {}{}", call.method, call.path, scope.unwrap_or_default())
        })
        .collect();
    let aws = world.lab.aws.journal().await.unwrap();
    let aws: Vec<String> = aws.into_iter().map(|(action, _)| action).collect();
    // The table of ARCHITECTURE.md, each remote's requests in its order.
    let variables = format!("/api/v4/groups/{}/variables", world.lab.group.0);
    let page = format!("GET {variables}?per_page=100&page=1");
    let half = |name: &str| format!("PUT {variables}/{name} of scope *");
    assert_eq!(
        gitlab,
        [
            "GET /api/v4/version".to_owned(),
            "GET /api/v4/personal_access_tokens/self".to_owned(),
            page.clone(),
            format!("POST {variables} of scope *"),
            page.clone(),
            half(SECRET),
            half(ID),
            page,
        ]
    );
    assert_eq!(
        aws,
        [
            "GetCallerIdentity",
            "ListAccessKeys",
            "GetAccessKeyLastUsed",
            "GetCallerIdentity",
            "UpdateAccessKey",
            "DeleteAccessKey",
            "CreateAccessKey",
            "GetCallerIdentity",
            "ListAccessKeys",
            "ListAccessKeys",
            "GetAccessKeyLastUsed",
            "GetAccessKeyLastUsed",
        ]
    );
    let gitlab: BTreeSet<u64> = world
        .lab
        .gitlab
        .journal()
        .iter()
        .map(|call| call.connection)
        .collect();
    let connections = (gitlab.len(), world.lab.aws.connections().await.unwrap());
    assert!(
        (1..=2).contains(&connections.0) && (1..=2).contains(&connections.1),
        "{connections:?}"
    );
}

/// IAM keeps the latest use alone, so the run's own question to STS hides that of a job; but not from a run that saw it.
#[tokio::test]
async fn where_use_of_the_new_key_is_required_a_job_has_to_show_it() {
    let world = World::start(Signer::Role, false).await;
    let lab = &world.lab;
    let run = async |command: &str| {
        let mut settings = world.settings().await;
        settings.insert("KEYTURN_REQUIRE_USE".into(), "true".into());
        lab.run(&[command, "--format", "json"], &settings).unwrap()
    };
    assert_eq!(run("rotate").await.code, Some(0));
    lab.advance(HOUR * 25).await.unwrap();
    let waiting = run("retire").await;
    assert_eq!(word(&waiting, "reason"), "use_of_new_key", "{waiting:?}");

    let job = lab.run(&["plan"], &lab.settings(&lab.pair())).unwrap();
    assert_eq!(job.code, Some(0), "{job:?}");
    let retired = run("retire").await;
    let keys = lab.aws.keys(USER).await.unwrap();
    let old = keys.iter().find(|key| key.id == lab.old.id).unwrap();
    assert_eq!(old.status, "Inactive", "{retired:?}");
}
