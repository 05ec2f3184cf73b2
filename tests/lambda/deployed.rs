//! The template as a whole: deployed to an emulator of AWS whose Scheduler invokes the real archive.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use testbed::gitlab::{GitLab, Options, Token, Variable};
use testbed::paths::project_root;

/// The side of the conversation that is here; see `testbed/deep/lambda.py`.
struct Cloud {
    process: Child,
    lines: BufReader<ChildStdout>,
}

impl Cloud {
    fn start() -> Cloud {
        let root = project_root();
        let archive = std::env::var_os("KEYTURN_ARCHIVE")
            .expect("KEYTURN_ARCHIVE names the archive: run `make test-lambda-deep`");
        let mut process = Command::new(root.join(".testbed/ministack/bin/python"))
            .arg(root.join("testbed/deep/lambda.py"))
            .arg("--archive")
            .arg(archive)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        Cloud { process, lines }
    }

    fn hears(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn says(&mut self, members: &Value) {
        let stdin = self.process.stdin.as_mut().unwrap();
        writeln!(stdin, "{members}").unwrap();
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        // Its end of the conversation closed, it ends its server and itself.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes: make test-lambda-deep"]
async fn the_deployed_stacks_schedule_rotates_the_key() {
    let mut cloud = Cloud::start();
    let old = cloud.hears();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let gitlab = GitLab::start(Options::from_env()).await.unwrap();
    let (group, token) = gitlab.world(|world| {
        let group = world.add_group("platform");
        let token = world.add_token(Token::owner(group));
        for (name, member) in [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")] {
            world.set_variable(group, Variable::credential(name, &text(&old[member])));
        }
        (group, token)
    });
    cloud.says(&json!({"url": gitlab.url(), "token": token, "group": group.0.to_string()}));

    let stack = cloud.hears();
    println!("deployed: {stack}");
    assert_eq!(stack["stack"], "CREATE_COMPLETE", "{stack}");
    let fired = cloud.hears();
    for line in fired["log"].as_array().into_iter().flatten() {
        println!("log: {}", line.as_str().unwrap_or_default());
    }
    let mut held = gitlab
        .job_sees(group, &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"], true)
        .into_iter()
        .flatten();
    let (id, secret) = (held.next().unwrap(), held.next().unwrap());
    assert_ne!(id, text(&old["id"]), "{fired}");
    assert_eq!(fired["keys"].as_array().unwrap().len(), 2, "{fired}");
    cloud.says(&json!({"id": id, "secret": secret}));
    let caller = cloud.hears();
    println!(
        "the pair in GitLab is that of {caller}, {} s after the stack",
        fired["seconds"]
    );
    assert_eq!(
        caller["caller"], "arn:aws:iam::000000000000:user/deploy",
        "{caller}"
    );
}
