//! The Lambda function in AWS's own emulator of its runtime, with the environment and exactly the rights that
//! `lambda/template.yaml` gives it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the tests' own choice of what is run, and where"
)]

mod bad_input;
mod deployed;
mod emulator;
mod killed;
mod rights;

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use emulator::{Emulator, bootstrap, released};
use serde_json::{Value, json};
use testbed::aws::Pair;
use testbed::emulator::{SCHEDULED, TIMEOUT};
use testbed::gitlab::{Answer, Effect, Fault, Token, Variable};
use testbed::lab::{Lab, USER};
use testbed::paths::project_root;

const SECRET_NAME: &str = "gitlab-key-rotation-secrets";
const PROJECT: &str = "platform/app";
const HOUR: Duration = Duration::from_secs(60 * 60);

/// A lab whose settings are in Secrets Manager.
struct World {
    lab: Lab,
    secret: String,
    token: String,
    roles: std::cell::Cell<u32>,
}

impl World {
    async fn start() -> World {
        World::with_secret(|_| {}).await
    }

    /// The usual three names in the secret, changed as the test wants.
    async fn with_secret(change: impl FnOnce(&mut Value)) -> World {
        let lab = Lab::start(bootstrap()).await.unwrap();
        let token = Token {
            expires_at: Some(jiff::civil::date(2099, 1, 1)),
            ..Token::owner(lab.group)
        };
        let token = lab.gitlab.world(|world| world.add_token(token));
        let mut names = json!({
            "GITLAB_TOKEN": token,
            "GITLAB_GROUP_ID": lab.group.0.to_string(),
            "AWS_IAM_USER": USER,
        });
        change(&mut names);
        let text = names.as_str().map_or(names.to_string(), str::to_owned);
        let secret = lab.aws.add_secret(SECRET_NAME, &text).await.unwrap();
        World {
            lab,
            secret,
            token,
            roles: std::cell::Cell::new(0),
        }
    }

    /// The same with a project that holds the pair, too.
    async fn of_two_targets() -> World {
        let world = World::with_secret(|names| names["GITLAB_PROJECT_ID"] = json!(PROJECT)).await;
        let old = &world.lab.old;
        world.lab.gitlab.world(|gitlab| {
            let project = gitlab.add_project(PROJECT);
            gitlab.set_variable(project, Variable::credential("AWS_ACCESS_KEY_ID", &old.id));
            gitlab.set_variable(
                project,
                Variable::credential("AWS_SECRET_ACCESS_KEY", &old.secret),
            );
        });
        world
    }

    /// What a job of the project is given now.
    fn pair_of_project(&self) -> Pair {
        let project = self.lab.gitlab.world(|gitlab| gitlab.add_project(PROJECT));
        let names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
        let seen = self.lab.gitlab.job_sees(project, &names, true);
        let [id, secret] = [0, 1].map(|at: usize| seen[at].clone().unwrap());
        Pair {
            id,
            secret,
            token: None,
        }
    }

    /// The stack as CloudFormation would make it for this world.
    fn stack(&self) -> Value {
        stack(&self.secret)
    }

    /// What Lambda puts into the environment of the function in this stack.
    async fn settings(&self, stack: &Value) -> BTreeMap<String, String> {
        let policies = &stack["FunctionRole"]["Properties"]["Policies"];
        let statements: Vec<Value> = policies
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|policy| policy["PolicyDocument"]["Statement"].as_array().unwrap().clone())
            .collect();
        let policy = json!({"Version": "2012-10-17", "Statement": statements});
        self.roles.set(self.roles.get() + 1);
        let role = format!("keyturn-{}", self.roles.get());
        let signer = self.lab.aws.role(&role, &policy.to_string()).await.unwrap();
        let mut settings: BTreeMap<String, String> =
            serde_json::from_value(stack["Function"]["Properties"]["Environment"]["Variables"].clone())
                .unwrap();
        let Pair { id, secret, token } = signer;
        for (name, value) in [
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", id),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AWS_SESSION_TOKEN", token.unwrap()),
            ("AWS_ENDPOINT_URL", self.lab.aws.url().to_owned()),
            ("GITLAB_API_URL", self.lab.gitlab.url()),
            ("KEYTURN_SETTLE", "0s".to_owned()),
        ] {
            settings.insert(name.to_owned(), value);
        }
        settings
    }

    /// The function with everything that the template gives it.
    async fn function(&self) -> Emulator {
        Emulator::start(&bootstrap(), &self.settings(&self.stack()).await, TIMEOUT).await
    }

    async fn works(&self) -> bool {
        self.lab.aws.works(&self.lab.pair()).await
    }

    async fn key_count(&self) -> usize {
        self.lab.aws.keys(USER).await.unwrap().len()
    }

    /// Nothing was done: the same pair, the same keys.
    async fn untouched(&self) -> bool {
        let keys = self.lab.aws.keys(USER).await.unwrap();
        self.lab.pair() == self.lab.old
            && self.works().await
            && keys.len() == 1
            && keys[0].id == self.lab.old.id
            && keys[0].status == "Active"
    }

    /// The function, as the template has it, brings the world to one working key that is not the first.
    async fn heals(&self) {
        for _ in 0..14 {
            self.lab.advance(HOUR * 25).await.unwrap();
            let function = self.function().await;
            let command = if self.lab.pair().id == self.lab.old.id && self.key_count().await == 1 {
                "rotate"
            } else {
                "retire"
            };
            let invoked = function.invoke(&json!({"command": command}).to_string()).await;
            assert!(!invoked.failed(), "{invoked:?}");
            assert!(self.works().await, "{invoked:?}");
            if self.key_count().await == 1 && self.lab.pair().id != self.lab.old.id {
                return;
            }
        }
        panic!("no end: {:?}", self.lab.aws.keys(USER).await.unwrap());
    }
}

/// The template for this secret, resolved as CloudFormation does.
fn stack(secret: &str) -> Value {
    resolved(secret, &[]).unwrap_or_else(|refusal| panic!("{refusal}"))
}

/// The same with more parameters, or why they are refused.
fn resolved(secret: &str, parameters: &[&str]) -> Result<Value, String> {
    let root = project_root();
    let output = Command::new(root.join(".testbed/venv/bin/python"))
        .arg(root.join("testbed/template.py"))
        .args([&format!("AwsIamUser={USER}"), &format!("SecretArn={secret}")])
        .args(["CodeBucket=bucket", "CodeKey=keyturn.zip"])
        .args(parameters)
        .output()
        .unwrap();
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// GitLab's refusal of a value.
fn refusal() -> Answer {
    Answer::Custom {
        status: 400,
        headers: BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]),
        body: r#"{"message":{"value":["is invalid"]}}"#.to_owned(),
    }
}

#[tokio::test]
async fn a_scheduled_event_rotates_and_a_warm_function_goes_on() {
    let world = World::start().await;
    let function = world.function().await;

    let cold = function.invoke(SCHEDULED).await;
    assert!(!cold.failed(), "{cold:?}");
    assert_eq!(cold.report()["command"], "rotate");
    let new = world.lab.pair();
    assert!(new.id != world.lab.old.id && world.works().await);
    assert!(world.lab.aws.works(&world.lab.old).await, "a job's pair was cut");

    let retire = function.invoke(r#"{"command":"retire","only":["deploy"]}"#).await;
    assert_eq!(retire.word("outcome"), "waiting", "{retire:?}");
    let plan = function.invoke(r#"{"command":"plan"}"#).await;
    assert_eq!(plan.report()["command"], "plan", "{plan:?}");
    assert_eq!((world.lab.pair(), world.key_count().await), (new, 2));

    assert_eq!(
        (retire.process, plan.process),
        (cold.process, cold.process),
        "no warm start"
    );
    for invoked in [&cold, &retire, &plan] {
        assert!(invoked.peak_kib.is_some(), "not measured: {invoked:?}");
    }
    assert!(
        cold.init.is_some() && retire.init.is_none() && plan.init.is_none(),
        "{cold:?}"
    );
    world.heals().await;
}

#[tokio::test]
async fn a_plan_says_what_rotate_would_do_and_does_none_of_it() {
    let world = World::start().await;
    let function = world.function().await;
    let plan = function.invoke(r#"{"command":"plan"}"#).await;
    assert!(!plan.failed(), "{plan:?}");
    let steps = plan.report()["rotations"][0]["steps"].as_array().unwrap().len();
    assert!(steps >= 4, "{plan:?}");
    assert!(world.untouched().await);
}

#[tokio::test]
async fn the_log_has_a_line_for_each_step_and_a_metric_for_each_figure_and_no_secret() {
    let world = World::start().await;
    let function = world.function().await;
    let invoked = function.invoke(SCHEDULED).await;
    let new = world.lab.pair();

    let said = invoked.said();
    let steps: Vec<&str> = said.iter().filter_map(|line| line["step"].as_str()).collect();
    assert_eq!(steps, ["journal", "create", "verify", "write_secret", "write_id"]);
    let of_report = invoked.report()["rotations"][0]["steps"].clone();
    let of_report: Vec<&str> = of_report
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["step"].as_str().unwrap())
        .collect();
    assert_eq!(steps, of_report);
    for line in said.iter().filter(|line| line.get("_aws").is_none()) {
        assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
    }

    let metrics = invoked.metrics();
    assert_eq!(metrics.len(), 1, "{invoked:?}");
    let [metrics] = &metrics[..] else { panic!() };
    assert_eq!(metrics["Rotation"], USER);
    assert_eq!(
        (&metrics["Failed"], &metrics["Command"]),
        (&json!(0), &json!("rotate"))
    );
    assert_eq!(metrics["Outcome"], invoked.word("outcome").as_str());
    assert!(
        metrics["KeyAgeDays"].as_f64().unwrap() < 0.01,
        "a key just made: {metrics}"
    );
    assert!(metrics["TokenDaysLeft"].as_f64().unwrap() > 20_000.0, "{metrics}");
    assert!(metrics["Duration"].as_u64().unwrap() > 0, "{metrics}");

    for secret in [&new.secret, &world.lab.old.secret, &world.token] {
        let shown = invoked.lines.iter().any(|line| line.contains(secret.as_str()));
        assert!(!shown && !invoked.body.to_string().contains(secret.as_str()));
    }
}

#[tokio::test]
async fn the_alarms_of_the_template_watch_metrics_that_the_function_writes() {
    let world = World::start().await;
    let function = world.function().await;
    let invoked = function.invoke(r#"{"command":"plan"}"#).await;
    let metrics = invoked.metrics();
    let age = metrics[0]["KeyAgeDays"].as_f64().unwrap();
    assert!((89.9..90.1).contains(&age), "the lab's key is 90 days old: {age}");
    let directive = &metrics[0]["_aws"]["CloudWatchMetrics"][0];
    for alarm in ["KeyTooOld", "NobodyLooks", "TokenExpires"] {
        let alarm = &world.stack()[alarm]["Properties"];
        assert_eq!(alarm["Namespace"], directive["Namespace"]);
        let dimensions: Vec<&Value> = alarm["Dimensions"].as_array().unwrap().iter().collect();
        assert_eq!(dimensions.len(), 1);
        assert_eq!(directive["Dimensions"], json!([[dimensions[0]["Name"]]]));
        assert_eq!(dimensions[0]["Value"], metrics[0]["Rotation"]);
        let watched = alarm["MetricName"].as_str().unwrap();
        assert!(metrics[0][watched].is_number(), "{watched}: {metrics:?}");
    }
}

#[tokio::test]
async fn the_age_is_that_of_the_oldest_key_that_a_target_holds() {
    let world = World::of_two_targets().await;
    let refused = Fault::on(
        "PUT",
        "/variables/AWS_SECRET_ACCESS_KEY",
        Effect::answer(refusal()),
    );
    world.lab.gitlab.fault(refused.containing("/projects/").times(30));
    let function = world.function().await;
    let invoked = function.invoke(SCHEDULED).await;
    assert!(
        invoked.failed() && world.lab.pair().id != world.lab.old.id,
        "{invoked:?}"
    );
    let age = invoked.metrics()[0]["KeyAgeDays"].as_f64();
    let age = age.unwrap_or_else(|| panic!("{invoked:?}"));
    assert!(
        (89.9..90.1).contains(&age),
        "the project still holds the old key: {age}"
    );
}

#[test]
fn the_template_takes_no_timeout_that_the_function_finds_too_short() {
    let secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:x-AbCdEf";
    let enough = keyturn::lambda::ENOUGH.as_secs();
    let least = resolved(secret, &[&format!("Timeout={enough}")]).unwrap();
    assert_eq!(
        least["Function"]["Properties"]["Timeout"],
        json!(enough.to_string())
    );
    let refusal = resolved(secret, &[&format!("Timeout={}", enough - 1)]).unwrap_err();
    assert!(refusal.contains(&format!("less than {enough}")), "{refusal}");
    let default = stack(secret)["Function"]["Properties"]["Timeout"].clone();
    assert_eq!(
        default,
        json!(TIMEOUT.to_string()),
        "what is tried here is the default"
    );
}

#[test]
fn the_documentation_says_how_much_time_a_new_key_takes() {
    let page = std::fs::read_to_string(project_root().join("docs/lambda.md")).unwrap();
    let settle = Duration::from_secs(10);
    let [one, two] = [1, 2].map(|targets: usize| keyturn::rotation::create_budget(settle, targets).as_secs());
    for says in [
        format!("less than {one} seconds left"),
        format!("{} seconds more for a second target", two - one),
    ] {
        assert!(page.contains(&says), "{says}");
    }
}

/// The usual Lambda's last rotation leaves what keyturn's first one finds.
#[tokio::test]
async fn the_secret_of_the_usual_lambda_works_unchanged_after_its_last_rotation() {
    let world = World::start().await;
    let allow = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:*","secretsmanager:*"],"Resource":"*"}]}"#;
    let role = world.lab.aws.role("usual-lambda", allow).await.unwrap();
    let root = project_root();
    let usual = Command::new(root.join(".testbed/venv/bin/python"))
        .arg(root.join("bench/baseline/usual_lambda.py"))
        .env_clear()
        .envs(world.lab.settings(&role))
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .output()
        .unwrap();
    assert!(usual.status.success(), "{usual:?}");
    let theirs = world.lab.pair();
    assert!(theirs.id != world.lab.old.id && world.works().await && world.key_count().await == 1);
    world.lab.advance(HOUR * 24 * 30).await.unwrap();

    let function = world.function().await;
    let plan = function.invoke(r#"{"command":"plan"}"#).await;
    assert!(!plan.failed(), "{plan:?}");
    let first = function.invoke(SCHEDULED).await;
    assert!(!first.failed(), "{first:?}");
    let ours = world.lab.pair();
    assert!(ours.id != theirs.id && world.works().await);
    assert!(world.lab.aws.works(&theirs).await, "a job's pair was cut");
    drop(function);
    world.heals().await;
    assert_eq!(world.lab.pair(), ours);
    assert!(!world.lab.aws.works(&theirs).await);
}

#[tokio::test]
async fn a_rotation_that_is_blocked_is_an_error_of_the_function_with_the_report() {
    let world = World::start().await;
    let refused = Fault::on(
        "PUT",
        "/variables/AWS_SECRET_ACCESS_KEY",
        Effect::answer(refusal()),
    );
    world.lab.gitlab.fault(refused.times(30));
    let function = world.function().await;
    let invoked = function.invoke(SCHEDULED).await;
    assert!(invoked.failed());
    assert_eq!(invoked.body["errorType"], "keyturn.blocked", "{invoked:?}");
    assert_eq!(invoked.word("outcome"), "blocked");
    assert_eq!(invoked.metrics()[0]["Failed"], 1);
    assert!(world.untouched().await, "the new key was taken back");
}

#[tokio::test]
async fn a_panic_is_reported_and_the_next_invocation_is_served() {
    let world = World::start().await;
    let function = world.function().await;
    let panicked = function.invoke(r#"{"defect":true}"#).await;
    let told = panicked.body["errorMessage"].as_str().unwrap();
    if released() {
        assert!(told.contains("\"defect\" means nothing"), "{panicked:?}");
    } else {
        assert!(told.contains("a defect was asked for"), "{panicked:?}");
        let said = panicked.said();
        let line = said.iter().find(|line| line["at"].is_string()).unwrap();
        assert!(
            line["level"] == "error" && line["at"].as_str().unwrap().starts_with("src/lambda/mod.rs:"),
            "{line}"
        );
    }
    assert!(world.untouched().await);
    let served = function.invoke(SCHEDULED).await;
    assert!(
        !served.failed() && world.lab.pair().id != world.lab.old.id,
        "{served:?}"
    );
    assert_eq!(served.process, panicked.process, "it was not the same process");
}

/// The places where what is built could be told to end at a panic, which would hide it: a profile, a flag or a variable.
fn aborts(text: &str) -> Vec<&str> {
    let mut section = "";
    let mut found = Vec::new();
    for line in text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
    {
        if line.starts_with('[') {
            section = line;
        }
        let sets = line
            .split('=')
            .next()
            .is_some_and(|name| name.trim().trim_matches('"') == "panic");
        let of_a_lint = section.contains("lints");
        if (sets && !of_a_lint) || line.contains("panic=") || line.contains("_PANIC") {
            found.push(line);
        }
    }
    found
}

#[test]
fn nothing_that_is_built_ends_at_a_panic() {
    for (planted, found) in [
        ("[profile.release]\npanic = \"abort\"", 1),
        ("[profile.release]\n# panic = \"abort\"", 0),
        ("[profile.small]\ninherits = \"release\"\npanic='abort'", 1),
        ("rustflags = [\"-C\", \"panic=abort\"]", 1),
        ("export CARGO_PROFILE_RELEASE_PANIC=abort", 1),
        ("[workspace.lints.clippy]\npanic = \"warn\"", 0),
    ] {
        assert_eq!(aborts(planted).len(), found, "{planted}");
    }
    for file in [
        "Cargo.toml",
        ".cargo/config.toml",
        "Makefile",
        "lambda/build.sh",
        "Dockerfile",
    ] {
        let text = std::fs::read_to_string(project_root().join(file)).unwrap();
        assert_eq!(aborts(&text), Vec::<&str>::new(), "{file}");
    }
}
