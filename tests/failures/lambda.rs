//! The door of the Lambda function, opened by a stand-in of the Runtime API.

use std::io::{Result, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use serde_json::{Value, json};
use testbed::gitlab::Effect;
use testbed::lab::Lab;
use testbed::message::{Request, Response};
use testbed::relay;

use crate::{AS_LONG_AS_IT_RUNS, SECRET, Settings, Signer, World, put, status};

/// The side of Lambda's Runtime API that a function sees: one event, and then silence.
struct Runtime {
    address: String,
    answers: mpsc::Receiver<(String, Value)>,
}

impl Runtime {
    fn start(event: &Value) -> Runtime {
        let (send, answers) = mpsc::channel();
        let events = Arc::new(Mutex::new(Some(event.to_string())));
        let address = relay::listen(move |function| {
            // It is killed once it has answered.
            let _ = serve(function, &events, &send);
        });
        let address = address.unwrap().to_string();
        Runtime { address, answers }
    }

    /// Lets the function answer the event: `response` or `error`, and its body.
    fn invoke(&self, lab: &Lab, mut settings: Settings) -> (String, Value) {
        for (name, value) in [
            ("AWS_LAMBDA_RUNTIME_API", self.address.as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", "keyturn"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ] {
            settings.insert(name.to_owned(), value.to_owned());
        }
        let function = lab.spawn(lab.command(&[], &settings)).unwrap();
        let answer = self.answers.recv_timeout(Duration::from_secs(60));
        function.kill().unwrap();
        let (kind, body) = answer.unwrap();
        lab.wrote(body.to_string().as_bytes()).unwrap();
        (kind, body)
    }
}

fn serve(
    mut function: TcpStream,
    events: &Mutex<Option<String>>,
    answers: &mpsc::Sender<(String, Value)>,
) -> Result<()> {
    while let Some(request) = Request::read(&mut function)? {
        if !request.path.ends_with("/invocation/next") {
            let kind = request.path.rsplit('/').next().unwrap_or_default().to_owned();
            let _ = answers.send((kind, serde_json::from_slice(request.body()).unwrap_or_default()));
            function.write_all(&Response::made(202, &[], b""))?;
            continue;
        }
        let Some(event) = events.lock().unwrap().take() else {
            std::thread::sleep(Duration::from_secs(60));
            break;
        };
        let headers = [
            ("Lambda-Runtime-Aws-Request-Id", "8476a536"),
            ("Lambda-Runtime-Deadline-Ms", "4102444800000"),
            (
                "Lambda-Runtime-Invoked-Function-Arn",
                "arn:aws:lambda:us-east-1:123456789012:function:keyturn",
            ),
            (
                "Lambda-Runtime-Trace-Id",
                "Root=1-5759e988-bd862e3fe1be46a994272793",
            ),
            ("Content-Type", "application/json"),
        ];
        function.write_all(&Response::made(200, &headers, event.as_bytes()))?;
    }
    Ok(())
}

#[tokio::test]
async fn a_scheduled_event_rotates() {
    let world = World::start(Signer::Role, false).await;
    let event = json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}});
    let runtime = Runtime::start(&event);
    let (kind, body) = runtime.invoke(&world.lab, world.settings().await);
    assert_eq!(kind, "response", "{body}");
    assert_eq!(body["schema"], "keyturn.report/1");
    assert_eq!(body["command"], "rotate");
    assert!(world.lab.pair().id != world.lab.old.id && world.works().await);
    world.heals(false).await;
}

#[tokio::test]
async fn an_event_can_ask_for_a_plan() {
    let world = World::start(Signer::Role, false).await;
    let runtime = Runtime::start(&json!({"command": "plan"}));
    let (kind, body) = runtime.invoke(&world.lab, world.settings().await);
    assert_eq!(
        (kind.as_str(), &body["command"]),
        ("response", &json!("plan")),
        "{body}"
    );
    assert_eq!(world.lab.pair(), world.lab.old);
    assert_eq!(world.key_count().await, 1);
}

#[tokio::test]
async fn a_blocked_run_is_an_error_of_the_function() {
    let world = World::start(Signer::Role, false).await;
    let lab = &world.lab;
    lab.gitlab
        .fault(put(SECRET, Effect::answer(status(400))).times(AS_LONG_AS_IT_RUNS));
    let runtime = Runtime::start(&json!({}));
    let (kind, body) = runtime.invoke(lab, world.settings().await);
    assert_eq!(kind, "error", "{body}");
    let told: Value = serde_json::from_str(body["errorMessage"].as_str().unwrap()).unwrap();
    assert_eq!(told["outcome"], "blocked", "{told}");
    assert_eq!((lab.pair(), world.key_count().await), (lab.old.clone(), 1));
}
