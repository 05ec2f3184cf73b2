use std::time::Duration;

use tracing_subscriber::filter::LevelFilter;

use super::*;
use crate::roots::Roots;
use crate::secret::Secret;

type Row<'a> = (&'a str, &'a str);

const ENOUGH: [Row<'static>; 2] = [("GITLAB_TOKEN", "glpat-hunter2"), ("GITLAB_GROUP_ID", "42")];

fn environment(rows: &[Row<'_>]) -> BTreeMap<String, String> {
    rows.iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// Valid settings with one or more changes.
fn with(rows: &[Row<'_>]) -> Result<Settings, Failure> {
    of(&environment(&[&ENOUGH, rows].concat()), None)
}

fn of(environment: &BTreeMap<String, String>, secret: Option<&SecretJson>) -> Result<Settings, Failure> {
    Settings::from(environment, secret, &Warnings::default())
}

/// What valid settings with one or more changes are warned of.
fn warned(rows: &[Row<'_>]) -> Vec<String> {
    let (environment, warnings) = (environment(&[&ENOUGH, rows].concat()), Warnings::default());
    warn_of_unknown(&environment, &warnings);
    Settings::from(&environment, None, &warnings).unwrap();
    warnings.kept()
}

/// Where the pair is held.
fn places(settings: &Settings) -> Vec<String> {
    settings
        .rotation
        .targets
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn secret(text: &str) -> SecretJson {
    SecretJson::parse(&Secret::new(text), &Warnings::default()).unwrap()
}

/// A PEM file that goes when the test is over.
struct Pem(std::path::PathBuf);

impl Pem {
    fn holding(name: &str, text: &str) -> Pem {
        let path = std::env::temp_dir().join(format!("keyturn-settings-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Pem(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Pem {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";

#[test]
fn a_token_and_a_group_are_enough_and_the_rest_has_the_documented_defaults() {
    let settings = with(&[]).unwrap();
    let rotation = &settings.rotation;
    assert_eq!(rotation.user, None);
    assert_eq!(settings.gitlab.api.as_str(), "https://gitlab.com/api/v4");
    assert_eq!(settings.gitlab.token.expose(), "glpat-hunter2");
    assert_eq!(settings.gitlab.roots, None);
    assert_eq!(
        places(&settings),
        ["group/42/AWS_ACCESS_KEY_ID+AWS_SECRET_ACCESS_KEY@*"]
    );
    assert_eq!(rotation.journal.as_deref(), Some("KEYTURN_JOURNAL"));
    assert!(rotation.protected);
    assert_eq!(rotation.settle, Duration::from_secs(10));
    assert_eq!(*rotation.policy.settings(), planner::Settings::default());
}

#[test]
fn every_setting_reaches_its_place() {
    let settings = with(&[
        ("AWS_IAM_USER", "deploy+ci@example.com"),
        ("GITLAB_PROJECT_ID", "team/platform/infra.git-ops"),
        ("GITLAB_API_URL", "https://gitlab.example.com:8443/git/api/v4/"),
        ("KEYTURN_ACCESS_KEY_ID_VARIABLE", "ID"),
        ("KEYTURN_SECRET_ACCESS_KEY_VARIABLE", "KEY"),
        ("KEYTURN_ENVIRONMENT_SCOPE", "production/*"),
        ("KEYTURN_ROTATE_AFTER", "60d"),
        ("KEYTURN_GRACE", "2days"),
        ("KEYTURN_DELETE_AFTER", "3d"),
        ("KEYTURN_UNUSED_FOR", "2h"),
        ("KEYTURN_SETTLE", "0s"),
        ("KEYTURN_LONGEST_JOB", "3h 30m"),
        ("KEYTURN_MAX_AGE", "90d"),
        ("KEYTURN_REQUIRE_USE", "Yes"),
        ("KEYTURN_JOURNAL", "MY_JOURNAL"),
        ("KEYTURN_CREATE", "0"),
        ("KEYTURN_PROTECTED", "FALSE"),
    ])
    .unwrap();
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let rotation = &settings.rotation;
    assert_eq!(rotation.user.as_deref(), Some("deploy+ci@example.com"));
    assert_eq!(
        places(&settings),
        [
            "group/42/ID+KEY@production/*",
            "project/team/platform/infra.git-ops/ID+KEY@production/*"
        ]
    );
    assert_eq!(
        settings.gitlab.api.as_str(),
        "https://gitlab.example.com:8443/git/api/v4"
    );
    assert_eq!(rotation.journal.as_deref(), Some("MY_JOURNAL"));
    assert!(!rotation.protected);
    assert_eq!(rotation.settle, Duration::ZERO);
    assert_eq!(
        *rotation.policy.settings(),
        planner::Settings {
            rotate_after: hours(60 * 24),
            grace: hours(48),
            delete_after: hours(72),
            unused_for: hours(2),
            longest_job: hours(3) + Duration::from_secs(30 * 60),
            max_age: Some(hours(90 * 24)),
            require_use: true,
            journal: true,
            create_missing: false,
        }
    );
}

#[test]
fn one_name_of_a_pair_is_refused_without_the_other() {
    let names = [
        "KEYTURN_ACCESS_KEY_ID_VARIABLE",
        "KEYTURN_SECRET_ACCESS_KEY_VARIABLE",
    ];
    for (set, missing) in [(names[0], names[1]), (names[1], names[0])] {
        let failure = with(&[(set, "PROD"), (missing, "")]).unwrap_err();
        assert_eq!(
            (failure.class, failure.reason.word()),
            (Class::Settings, "half_pair_named")
        );
        assert!(
            failure.message.contains(set) && failure.advice.contains(missing),
            "{failure:?}"
        );
    }
    assert!(with(&[(names[0], "PROD_ID"), (names[1], "PROD_KEY")]).is_ok());
    assert!(with(&[(names[0], ""), (names[1], "")]).is_ok());
}

#[test]
fn a_bad_value_is_refused_by_name_with_advice() {
    let long = "a".repeat(256);
    for (name, value, reason) in [
        ("AWS_IAM_USER", "arn:aws:iam::123456789012:user/ci", "bad_setting"),
        ("AWS_IAM_USER", &long[..65], "bad_setting"),
        ("AWS_IAM_USER", "jörg", "bad_setting"),
        ("GITLAB_GROUP_ID", "https://gitlab.com/team", "bad_setting"),
        ("GITLAB_GROUP_ID", "team//platform", "bad_setting"),
        ("GITLAB_GROUP_ID", "/", "bad_setting"),
        ("GITLAB_PROJECT_ID", "team%2Finfra", "bad_setting"),
        ("GITLAB_PROJECT_ID", "$PROJECT", "bad_setting"),
        ("GITLAB_API_URL", "gitlab.com/api/v4", "bad_setting"),
        ("GITLAB_API_URL", "ftp://gitlab.com/api/v4", "bad_setting"),
        ("GITLAB_API_URL", "https://", "bad_setting"),
        (
            "GITLAB_API_URL",
            "https://gitlab.com/api/v4?private_token=x",
            "bad_setting",
        ),
        ("CI_API_V4_URL", "nonsense", "bad_setting"),
        ("KEYTURN_ACCESS_KEY_ID_VARIABLE", "AWS-KEY", "bad_setting"),
        ("KEYTURN_ACCESS_KEY_ID_VARIABLE", &long, "bad_setting"),
        ("KEYTURN_SECRET_ACCESS_KEY_VARIABLE", "$KEY", "bad_setting"),
        (
            "KEYTURN_SECRET_ACCESS_KEY_VARIABLE",
            "AWS_ACCESS_KEY_ID",
            "same_variable",
        ),
        (
            "KEYTURN_ACCESS_KEY_ID_VARIABLE",
            "KEYTURN_JOURNAL",
            "same_variable",
        ),
        ("KEYTURN_JOURNAL", "AWS_SECRET_ACCESS_KEY", "same_variable"),
        ("KEYTURN_JOURNAL", "MY JOURNAL", "bad_setting"),
        ("KEYTURN_ENVIRONMENT_SCOPE", &long, "bad_setting"),
        ("KEYTURN_GRACE", "24", "bad_setting"),
        ("KEYTURN_GRACE", "-1h", "bad_setting"),
        ("KEYTURN_GRACE", "one day", "bad_setting"),
        ("KEYTURN_GRACE", "30m", "policy"),
        ("KEYTURN_LONGEST_JOB", "24h", "policy"),
        ("KEYTURN_ROTATE_AFTER", "7d", "policy"),
        ("KEYTURN_MAX_AGE", "0s", "policy"),
        ("KEYTURN_MAX_AGE", "101y", "bad_setting"),
        ("KEYTURN_DELETE_AFTER", "500000000000y", "bad_setting"),
        ("KEYTURN_SETTLE", "61s", "bad_setting"),
        ("KEYTURN_REQUIRE_USE", "on", "bad_setting"),
        ("KEYTURN_CREATE", "maybe", "bad_setting"),
        ("KEYTURN_PROTECTED", "2", "bad_setting"),
        ("KEYTURN_CA_FILE", "/nonexistent/ca.pem", "ca_file"),
        ("CI_SERVER_TLS_CA_FILE", "/nonexistent/ca.pem", "ca_file"),
        ("KEYTURN_CA_FILE", CERTIFICATE, "ca_file"),
    ] {
        let failure = with(&[(name, value)]).unwrap_err();
        assert_eq!(
            (failure.class, failure.reason.word()),
            (Class::Settings, reason),
            "{name}={value}: {failure}"
        );
        assert!(failure.message.starts_with("no key was looked at: "), "{failure}");
        assert!(
            failure.advice.contains(name) || failure.message.contains(name),
            "{failure:?}"
        );
        assert!(
            !failure.advice.is_empty() && !format!("{failure:?}").contains("hunter2"),
            "{failure:?}"
        );
    }
}

#[test]
fn settings_that_contradict_each_other_come_with_the_arithmetic() {
    let failure = with(&[("KEYTURN_GRACE", "30m")]).unwrap_err();
    assert!(
        failure
            .message
            .contains("it must exceed 1h 20m (longest job 1h + 20m"),
        "{failure}"
    );
    with(&[("KEYTURN_GRACE", "0s")]).unwrap();
}

#[test]
fn a_missing_token_is_looked_for_in_the_secret_when_there_is_one() {
    let group = ("GITLAB_GROUP_ID", "42");
    let failure = of(&environment(&[group]), None).unwrap_err();
    assert_eq!(failure.reason.word(), "token_missing");
    assert!(failure.message.ends_with("GITLAB_TOKEN is not set"), "{failure}");

    let named = environment(&[group, ("KEYTURN_SECRET_ID", "ci/keyturn")]);
    let failure = of(&named, Some(&secret("{}"))).unwrap_err();
    assert!(
        failure.message.contains("GITLAB_TOKEN") && failure.message.contains("ci/keyturn"),
        "{failure}"
    );
}

#[test]
fn a_token_that_no_header_can_carry_is_refused_and_not_quoted() {
    for token in ["hunter2\nhunter3", "hunter2 x", "hünter2", "hunter2\u{7f}"] {
        let failure = with(&[("GITLAB_TOKEN", token)]).unwrap_err();
        assert_eq!(failure.reason.word(), "token_malformed");
        assert!(!format!("{failure:?}").contains("nter2"), "{failure:?}");
    }
}

#[test]
fn a_password_in_the_url_is_refused_and_not_quoted() {
    for url in ["https://me:hunter2@gitlab.com/api/v4", "me:hunter2@gitlab"] {
        let failure = with(&[("GITLAB_API_URL", url)]).unwrap_err();
        assert!(!format!("{failure:?}").contains("hunter2"), "{failure:?}");
    }
}

#[test]
fn without_a_group_and_a_project_there_is_nothing_to_do() {
    for rows in [
        &[("GITLAB_TOKEN", "t")][..],
        &[("GITLAB_TOKEN", "t"), ("GITLAB_GROUP_ID", "")],
    ] {
        let failure = of(&environment(rows), None).unwrap_err();
        assert_eq!(failure.reason.word(), "no_target");
    }
}

#[test]
fn the_environment_wins_over_the_secret_unless_it_is_empty() {
    let secret = secret(
        r#"{"GITLAB_TOKEN": "of-secret", "GITLAB_PROJECT_ID": 7, "KEYTURN_GRACE": "48h", "KEYTURN_CREATE": false,
            "KEYTURN_SETTLE": "1s"}"#,
    );
    let rows = [
        ("GITLAB_TOKEN", "of-environment"),
        ("KEYTURN_GRACE", ""),
        ("KEYTURN_SETTLE", "2s"),
    ];
    let settings = of(&environment(&rows), Some(&secret)).unwrap();
    assert_eq!(settings.gitlab.token.expose(), "of-environment");
    assert_eq!(
        places(&settings),
        ["project/7/AWS_ACCESS_KEY_ID+AWS_SECRET_ACCESS_KEY@*"]
    );
    let policy = settings.rotation.policy.settings();
    assert_eq!(policy.grace, Duration::from_secs(48 * 3600));
    assert_eq!(settings.rotation.settle, Duration::from_secs(2));
    assert!(!policy.create_missing);
}

#[test]
fn the_api_of_the_running_gitlab_is_used_unless_another_is_named() {
    let ci = ("CI_API_V4_URL", "https://ci.example.com/api/v4");
    assert_eq!(
        with(&[ci]).unwrap().gitlab.api.as_str(),
        "https://ci.example.com/api/v4"
    );
    let both = with(&[ci, ("GITLAB_API_URL", "https://other.example.com/api/v4//")]).unwrap();
    assert_eq!(both.gitlab.api.as_str(), "https://other.example.com/api/v4");
}

#[test]
fn what_is_allowed_but_unwise_is_warned_of() {
    for (name, value, warning) in [
        (
            "GITLAB_API_URL",
            "http://gitlab.example.com/api/v4",
            "unencrypted",
        ),
        ("GITLAB_API_URL", "https://gitlab.example.com", "/api/v4"),
        ("KEYTURN_ROTATEAFTER", "1d", "did you mean KEYTURN_ROTATE_AFTER?"),
        ("KEYTURN_COLOUR_OF_THE_LOGO", "red", "no such setting"),
    ] {
        let warnings = warned(&[(name, value)]);
        assert!(
            warnings.len() == 1 && warnings[0].contains(warning),
            "{name}: {warnings:?}"
        );
    }
    assert_eq!(warned(&[]), [""; 0]);
    assert_eq!(
        warned(&[("GITLAB_API_URL", "http://127.0.0.1:80/api/v4")]),
        [""; 0]
    );
}

#[test]
fn a_warning_outlives_a_setting_that_is_refused_after_it() {
    let rows = [
        ("GITLAB_API_URL", "https://gitlab.example.com"),
        ("KEYTURN_GRACE", "24"),
    ];
    let warnings = Warnings::default();
    let environment = environment(&[&ENOUGH[..], &rows].concat());
    assert!(Settings::from(&environment, None, &warnings).is_err());
    assert_eq!(warnings.kept().len(), 1);
}

#[test]
fn the_journal_is_on_off_or_named_and_its_own_content_is_no_name() {
    for (said, expected) in [
        ("true", Some("KEYTURN_JOURNAL")),
        ("YES", Some("KEYTURN_JOURNAL")),
        ("false", None),
        ("0", None),
        ("MY_JOURNAL", Some("MY_JOURNAL")),
        (
            "[keyturn intent at=2026-11-22T03:00:07Z]",
            Some("KEYTURN_JOURNAL"),
        ),
        ("{\"at\":\"2026-11-22T03:00:07Z\"}", Some("KEYTURN_JOURNAL")),
        ("2026-11-22T03:00:07Z", Some("KEYTURN_JOURNAL")),
    ] {
        let rotation = with(&[("KEYTURN_JOURNAL", said)]).unwrap().rotation;
        assert_eq!(rotation.journal.as_deref(), expected, "{said}");
        assert_eq!(rotation.policy.settings().journal, expected.is_some(), "{said}");
    }
}

#[test]
fn certificates_are_read_and_the_runners_own_are_for_gitlab_only() {
    let ours = Pem::holding("ours", CERTIFICATE);
    let runners = Pem::holding("runners", &format!("# comment\n{CERTIFICATE}{CERTIFICATE}"));
    let aws = Pem::holding("aws", CERTIFICATE.trim_end());
    let runner_row = ("CI_SERVER_TLS_CA_FILE", runners.path());

    let trusted = |rows: &[Row<'_>]| {
        let count = |roots: Option<Roots>| roots.map_or(0, |roots| roots.certificates().len());
        let first = Bootstrap::from(&environment(rows)).unwrap();
        [count(with(rows).unwrap().gitlab.roots), count(first.aws.roots)]
    };
    assert_eq!(trusted(&[runner_row]), [2, 0]);
    let all = [
        runner_row,
        ("KEYTURN_CA_FILE", ours.path()),
        ("AWS_CA_BUNDLE", aws.path()),
    ];
    assert_eq!(trusted(&all), [1, 2]);
    assert_eq!(
        Bootstrap::from(&environment(&[("AWS_CA_BUNDLE", "/nonexistent/ca.pem")]))
            .unwrap_err()
            .reason
            .word(),
        "ca_file"
    );

    for (name, text) in [
        ("empty", ""),
        ("words", "no certificate"),
        (
            "key",
            "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n",
        ),
        ("cut", "-----BEGIN CERTIFICATE-----\nMAA=\n"),
        (
            "broken",
            "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
        ),
    ] {
        let file = Pem::holding(name, text);
        assert_eq!(
            with(&[("KEYTURN_CA_FILE", file.path())])
                .unwrap_err()
                .reason
                .word(),
            "ca_file",
            "{name}"
        );
    }
}

#[test]
fn the_first_stage_needs_nothing() {
    let first = Bootstrap::from(&environment(&[])).unwrap();
    assert!(first.secret_id.is_none() && first.aws.roots.is_none() && first.aws.web_identity.is_none());
    assert_eq!(first.log.default_level(), Some(LevelFilter::INFO));
}

#[test]
fn an_id_token_needs_its_role_and_is_not_quoted() {
    let token = ("KEYTURN_ID_TOKEN", "hunter2");
    let role = ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/rotate");
    let first = Bootstrap::from(&environment(&[token, role])).unwrap();
    assert!(!format!("{first:?}").contains("hunter2"));
    let identity = first.aws.web_identity.unwrap();
    assert_eq!(
        (identity.token.expose(), identity.role_arn.as_str()),
        ("hunter2", role.1)
    );

    assert!(
        Bootstrap::from(&environment(&[role]))
            .unwrap()
            .aws
            .web_identity
            .is_none()
    );
    for rows in [
        &[token][..],
        &[token, ("AWS_ROLE_ARN", "rotate")],
        &[("KEYTURN_ID_TOKEN", "hunter2 x"), role],
    ] {
        let failure = Bootstrap::from(&environment(rows)).unwrap_err();
        assert_eq!(failure.class, Class::Settings);
        assert!(!format!("{failure:?}").contains("hunter2"), "{failure:?}");
    }
}

#[test]
fn a_file_of_several_rotations_is_refused() {
    let failure = Bootstrap::from(&environment(&[("KEYTURN_CONFIG", "keyturn.toml")])).unwrap_err();
    assert_eq!(
        (failure.class, failure.reason.word()),
        (Class::Settings, "config_unsupported")
    );
}

#[test]
fn a_misspelt_log_level_is_refused_instead_of_logging_nothing() {
    for (said, fits) in [
        ("debug", true),
        ("off", true),
        ("WARN", true),
        ("warn,keyturn=debug", true),
        ("inf", false),
        ("keyturn", false),
        ("keyturn=loud", false),
        ("=debug", false),
        ("warn,", false),
        ("keyturn=", false),
    ] {
        assert_eq!(
            Bootstrap::from(&environment(&[("KEYTURN_LOG", said)])).is_ok(),
            fits,
            "{said}"
        );
    }
}
