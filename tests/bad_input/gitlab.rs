//! The token, the group, the variables, and what stands between keyturn and GitLab.

use keyturn::gitlab::Version;
use testbed::gitlab::{Answer, Certificate, Effect, Fault, GitLab, Options, Scope, Token, Variable};

use super::*;

#[tokio::test]
async fn an_expired_token_is_told_from_others() {
    let (lab, settings) = start().await;
    lab.gitlab.world(|world| {
        let yesterday = world.today().yesterday().unwrap();
        world.alter_token(&lab.token, |token| token.expires_at = Some(yesterday));
    });
    refused(&lab, &settings, 3, "token_expired").await;
}

#[tokio::test]
async fn a_revoked_token_is_told_from_others() {
    let (lab, settings) = start().await;
    lab.gitlab
        .world(|world| world.alter_token(&lab.token, |token| token.revoked = true));
    refused(&lab, &settings, 3, "token_revoked").await;
}

#[tokio::test]
async fn an_unknown_token_is_refused() {
    let (lab, settings) = start().await;
    let settings = with(settings, "GITLAB_TOKEN", "glpat-nobody-knows-this1");
    refused(&lab, &settings, 3, "token_refused").await;
}

#[tokio::test]
async fn a_token_that_may_only_read_is_refused_before_a_key_is_created() {
    let (lab, settings) = start().await;
    lab.gitlab
        .world(|world| world.alter_token(&lab.token, |token| token.scopes = vec![Scope::ReadApi]));
    let rotation = refused(&lab, &settings, 3, "token_scope").await;
    assert!(text(&rotation, "advice").contains("api"));
}

#[tokio::test]
async fn a_maintainer_of_the_group_is_not_enough() {
    let (lab, settings) = start().await;
    let token = lab
        .gitlab
        .world(|world| world.add_token(Token::maintainer(lab.group)));
    let rotation = refused(&lab, &with(settings, "GITLAB_TOKEN", &token), 3, "token_role").await;
    assert!(text(&rotation, "advice").contains("Owner"));
}

#[tokio::test]
async fn an_unknown_group_is_refused() {
    let (lab, settings) = start().await;
    refused(
        &lab,
        &with(settings, "GITLAB_GROUP_ID", "987654"),
        3,
        "group_unknown",
    )
    .await;
}

/// A user without keys whose pair nobody holds, and a role that may give it one.
async fn nothing_yet() -> (Lab, Settings) {
    let (lab, _) = start().await;
    lab.aws.add_user("newcomer", None).await.unwrap();
    lab.gitlab.world(|world| {
        world.remove_variable(lab.group, ID, "*");
        world.remove_variable(lab.group, SECRET, "*");
    });
    let settings = lab.settings(&role_for(&lab, "newcomer").await);
    (lab, with(settings, "AWS_IAM_USER", "newcomer"))
}

#[tokio::test]
async fn missing_variables_are_created_as_secrets_should_be() {
    let (lab, settings) = nothing_yet().await;
    rotated(&lab, &settings).await;
    let keys = lab.aws.keys("newcomer").await.unwrap();
    assert_eq!(
        keys.iter().map(|key| &key.id).collect::<Vec<_>>(),
        [&lab.pair().id]
    );
    let version = lab.gitlab.world(|world| world.settings.version.text().to_owned());
    // Older releases can't hide a value.
    let hides = Version::parse(&version).unwrap() >= Version { major: 17, minor: 4 };
    for (name, hidden) in [(ID, false), (SECRET, hides)] {
        let made: Variable = lab
            .gitlab
            .world(|world| world.variable(lab.group, name, "*"))
            .unwrap();
        assert_eq!(
            (made.masked, made.protected, made.raw, made.hidden),
            (true, true, true, hidden),
            "{name}"
        );
    }
}

#[tokio::test]
async fn missing_variables_are_created_for_all_branches_where_that_is_asked_for() {
    let (lab, settings) = nothing_yet().await;
    rotated(&lab, &with(settings, "KEYTURN_PROTECTED", "false")).await;
    for name in [ID, SECRET] {
        let made = lab
            .gitlab
            .world(|world| world.variable(lab.group, name, "*"))
            .unwrap();
        assert_eq!(
            (made.protected, made.masked, made.raw),
            (false, true, true),
            "{name}"
        );
    }
}

#[tokio::test]
async fn missing_variables_are_refused_where_creating_is_switched_off() {
    let (lab, settings) = nothing_yet().await;
    let settings = with(settings, "KEYTURN_CREATE", "false");
    refused_of(&lab, "newcomer", "rotate", &settings, 3, "missing_variable").await;
    assert!(lab.gitlab.world(|world| world.variables(lab.group)).is_empty());
}

#[tokio::test]
async fn a_variable_that_exists_in_another_scope_only_is_refused() {
    let (lab, settings) = start().await;
    lab.gitlab.world(|world| {
        for name in [ID, SECRET] {
            let mut variable = world.variable(lab.group, name, "*").unwrap();
            world.remove_variable(lab.group, name, "*");
            variable.environment_scope = "production".to_owned();
            world.set_variable(lab.group, variable);
        }
    });
    let rotation = refused(&lab, &settings, 3, "ambiguous_variable").await;
    assert!(text(&rotation, "message").contains("production"));
}

#[tokio::test]
async fn a_hold_in_a_description_is_respected() {
    for name in [ID, SECRET] {
        let (lab, settings) = start().await;
        lab.gitlab.world(|world| {
            let mut variable = world.variable(lab.group, name, "*").unwrap();
            variable.description = Some("Frozen for the audit, keyturn:hold.".to_owned());
            world.set_variable(lab.group, variable);
        });
        refused(&lab, &settings, 3, "hold").await;
    }
}

fn variables(method: &str, answer: Answer) -> Fault {
    Fault::on(method, "/variables", Effect::answer(answer))
}

#[tokio::test]
async fn a_page_of_html_is_no_list_of_variables() {
    let (lab, settings) = start().await;
    lab.gitlab.fault(variables("GET", Answer::Html).times(0));
    refused(&lab, &settings, 3, "not_gitlab").await;
}

#[tokio::test]
async fn a_limited_rate_is_waited_for() {
    let (lab, settings) = start().await;
    lab.gitlab
        .fault(variables("GET", Answer::Throttled { retry_after: 1 }).times(1));
    rotated(&lab, &settings).await;
    assert!(lab.gitlab.waiting_faults().is_empty());
}

#[tokio::test]
async fn a_limited_endpoint_that_does_not_say_until_when_is_waited_for() {
    let (lab, settings) = start().await;
    lab.gitlab.fault(variables("GET", Answer::Limited).times(1));
    rotated(&lab, &settings).await;
    assert!(lab.gitlab.waiting_faults().is_empty());
}

#[tokio::test]
async fn an_endpoint_that_stays_limited_ends_the_run() {
    let (lab, settings) = start().await;
    lab.gitlab.fault(variables("GET", Answer::Limited).times(0));
    refused(&lab, &settings, 4, "gitlab_rate_limited").await;
}

#[tokio::test]
async fn a_token_that_ends_within_thirty_days_is_warned_of() {
    for (days, warned) in [(30, true), (31, false)] {
        let (lab, settings) = start().await;
        lab.gitlab.world(|world| {
            let day = world.today().saturating_add(jiff::Span::new().days(days));
            world.alter_token(&lab.token, |token| token.expires_at = Some(day));
        });
        let ran = run(&lab, &["rotate", "--format", "json"], &settings);
        let warnings = rotation(&ran)["warnings"].to_string();
        assert_eq!(warnings.contains("expires on"), warned, "{days} days: {ran:#?}");
        let logged = ran
            .stderr
            .lines()
            .any(|line| line.contains("WARN") && line.contains("expires on"));
        assert_eq!(logged, warned, "{days} days: {ran:#?}");
    }
}

#[tokio::test]
async fn a_rate_that_stays_limited_ends_the_run() {
    let (lab, settings) = start().await;
    lab.gitlab
        .fault(variables("GET", Answer::Throttled { retry_after: 1 }).times(0));
    refused(&lab, &settings, 4, "gitlab_rate_limited").await;
}

#[tokio::test]
async fn a_gitlab_that_is_down_ends_the_run() {
    let (lab, settings) = start().await;
    lab.gitlab
        .fault(Fault::on_any(Effect::answer(Answer::BadGateway)).times(0));
    refused(&lab, &settings, 4, "gitlab_error").await;
}

#[tokio::test]
async fn a_gitlab_in_maintenance_is_noticed_before_a_key_is_created() {
    let (lab, settings) = start().await;
    for method in ["POST", "PUT"] {
        lab.gitlab
            .fault(Fault::on(method, "", Effect::answer(Answer::ReadOnly)).times(0));
    }
    refused(&lab, &settings, 4, "gitlab_read_only").await;
    let journal = lab.aws.journal().await.unwrap();
    assert!(
        !journal.iter().any(|(action, _)| action == "CreateAccessKey"),
        "{journal:?}"
    );
}

#[tokio::test]
async fn a_value_that_can_not_be_masked_costs_the_new_key_and_not_the_old() {
    let (lab, settings) = start().await;
    let invalid = Answer::Custom {
        status: 400,
        headers: BTreeMap::from([("Content-Type".to_owned(), "application/json".to_owned())]),
        body: r#"{"message":{"value":["is invalid"]}}"#.to_owned(),
    };
    lab.gitlab
        .fault(Fault::on("PUT", "/variables/AWS_SECRET_ACCESS_KEY", Effect::answer(invalid)).times(0));
    refused(&lab, &settings, 3, "value_refused").await;
    let journal = lab.aws.journal().await.unwrap();
    let calls = |name: &str| journal.iter().filter(|(action, _)| action == name).count();
    assert_eq!(
        (calls("CreateAccessKey"), calls("DeleteAccessKey")),
        // The other one asked beforehand whether it may.
        (1, 2),
        "{journal:?}"
    );
}

#[tokio::test]
async fn https_to_a_port_without_tls_is_refused() {
    let (lab, settings) = start().await;
    let url = lab.gitlab.url().replace("http://", "https://");
    refused(&lab, &with(settings, "GITLAB_API_URL", &url), 3, "tls").await;
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let (lab, settings) = start().await;
    let other = GitLab::start(Options {
        tls: Some(Certificate::new(&["127.0.0.1"]).unwrap()),
        ..Options::from_env()
    })
    .await
    .unwrap();
    refused(&lab, &with(settings, "GITLAB_API_URL", &other.url()), 3, "tls").await;
    assert!(other.journal().is_empty(), "the token was not sent");
    other.stop().await;
}
