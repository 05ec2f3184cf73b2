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
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use emulator::{Emulator, bootstrap};
use serde_json::{Value, json};
use testbed::aws::{Pair, project_root};
use testbed::gitlab::{Answer, Effect, Fault, Token};
use testbed::lab::{Lab, USER};

/// An EventBridge rule sends this, and the Scheduler its like, when the target has no input of its own.
const SCHEDULED: &str = r#"{"version":"0","id":"53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa","detail-type":"Scheduled Event",
    "source":"aws.events","account":"123456789012","time":"2026-11-01T03:00:00Z","region":"us-east-1",
    "resources":["arn:aws:events:us-east-1:123456789012:rule/keyturn"],"detail":{}}"#;
const SECRET_NAME: &str = "gitlab-key-rotation-secrets";
/// Seconds; the template's default.
const TIMEOUT: u64 = 300;
/// The most memory that the function may ever hold.
const PEAK_BUDGET_KIB: u64 = 24 * 1024;
/// The most CPU from the start of the process to the first request for an event.
const INIT_BUDGET: Duration = Duration::from_millis(10);
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
    let root = project_root();
    let output = Command::new(root.join(".testbed/venv/bin/python"))
        .arg(root.join("testbed/template.py"))
        .args([&format!("AwsIamUser={USER}"), &format!("SecretArn={secret}")])
        .args(["CodeBucket=bucket", "CodeKey=keyturn.zip"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
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
        let peak = invoked.peak_kib.unwrap();
        assert!(peak <= PEAK_BUDGET_KIB, "{peak} KiB: {invoked:?}");
    }
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
    for alarm in ["KeyTooOld", "TokenExpires"] {
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
async fn a_rotation_that_is_blocked_is_an_error_of_the_function_with_the_report() {
    let world = World::start().await;
    let refusal = Answer::Custom {
        status: 400,
        headers: BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]),
        body: r#"{"message":{"value":["is invalid"]}}"#.to_owned(),
    };
    let refused = Fault::on("PUT", "/variables/AWS_SECRET_ACCESS_KEY", Effect::answer(refusal));
    world.lab.gitlab.fault(refused.times(30));
    let function = world.function().await;
    let invoked = function.invoke(SCHEDULED).await;
    assert!(invoked.failed());
    assert_eq!(invoked.body["errorType"], "keyturn.blocked", "{invoked:?}");
    assert_eq!(invoked.word("outcome"), "blocked");
    assert_eq!(invoked.metrics()[0]["Failed"], 1);
    assert!(world.untouched().await, "the new key was taken back");
}

/// A function whose code is defective in the worst way. It is run by the test below, as a bootstrap.
#[tokio::test]
#[ignore = "it serves the emulator of another test"]
async fn bootstrap_that_panics() {
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_some() {
        keyturn::log::start(
            tracing_subscriber::filter::Targets::new().with_default(tracing::Level::INFO),
            keyturn::log::Form::Json,
        );
        let handler = |event: lambda_runtime::LambdaEvent<Value>| async move {
            assert!(event.payload.get("defect").is_none(), "a defect");
            Ok::<Value, lambda_runtime::Error>(json!({"served": true}))
        };
        keyturn::lambda::serve_with(handler).await.unwrap();
    }
}

#[tokio::test]
async fn a_panic_is_reported_and_the_next_invocation_is_served() {
    let script = std::env::temp_dir().join(format!("keyturn-panics-{}", std::process::id()));
    let this = std::env::current_exe().unwrap();
    let text = format!(
        "#!/bin/sh\nexec {} bootstrap_that_panics --exact --ignored --nocapture\n",
        this.display()
    );
    std::fs::write(&script, text).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, executable).unwrap();
    let function = Emulator::start(&script, &BTreeMap::new(), TIMEOUT).await;
    let panicked = function.invoke(r#"{"defect":true}"#).await;
    assert!(panicked.failed(), "{panicked:?}");
    assert!(
        panicked.body["errorMessage"]
            .as_str()
            .unwrap()
            .contains("a defect"),
        "{panicked:?}"
    );
    let served = function.invoke("{}").await;
    assert_eq!(served.body, json!({"served": true}));
    assert_eq!(served.process, panicked.process);
    std::fs::remove_file(script).unwrap();
}

#[tokio::test]
async fn it_asks_for_its_first_event_within_ten_milliseconds_of_cpu() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut costs = Vec::new();
    for _ in 0..5 {
        let mut child = Command::new(bootstrap())
            .env_clear()
            .env(
                "AWS_LAMBDA_RUNTIME_API",
                listener.local_addr().unwrap().to_string(),
            )
            .env("AWS_LAMBDA_FUNCTION_NAME", "keyturn")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("AWS_IAM_USER", USER)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let began = Instant::now();
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 32];
        let read = std::io::Read::read(&mut stream, &mut request).unwrap();
        let wall = began.elapsed();
        assert!(String::from_utf8_lossy(&request[..read]).starts_with("GET /2018-06-01/runtime/"));
        let cost = cpu(&Path::new("/proc").join(child.id().to_string()));
        let peak = emulator::peak_kib(child.id()).unwrap();
        println!(
            "init  CPU {cost:>6.1?}  wall {wall:>6.1?}  peak {:.1} MiB",
            peak as f64 / 1024.0
        );
        costs.push(cost);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    costs.sort_unstable();
    assert!(costs[2] <= INIT_BUDGET, "{costs:?}");
}

/// What a process has used, on all of its threads.
fn cpu(process: &Path) -> Duration {
    let threads = std::fs::read_dir(process.join("task")).unwrap();
    let nanoseconds = threads.map(|thread| {
        let spent = std::fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap_or_default();
        let first = spent.split(' ').next().and_then(|time| time.parse().ok());
        first.unwrap_or(0)
    });
    Duration::from_nanos(nanoseconds.sum())
}
