//! Reads that lag, and a log that nobody reads.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use testbed::lab::{Ran, USER};
use testbed::unread::pipe_with_room;

use crate::answers::{begins_anew, works_with_another_key};
use crate::case::{Held, cases};
use crate::front::{self, Lag, is_action, lists_variables};
use crate::world::{HOUR, World, ended, must, rotation, told};

/// No step needs more writes than one and a few repetitions.
const A_HANDFUL: usize = 6;

cases! {
    writes_are_not_repeated_while_reads_lag: "L-C1", "writes are repeated for as long as reads lag" => {
        "(a)": |world| variables_lag(world);
        "(b)": |world| variables_never_catch_up(world);
        "(c)": |world| statuses_lag(world, false);
        "(d)": |world| statuses_lag(world, true);
    }

    a_stalled_stderr_tears_no_pair: "L-C3", "a stalled stderr holds the run up between the two halves" => {
        control "line 1": |world| nobody_reads_stderr(world, 1);
        control "line 2": |world| nobody_reads_stderr(world, 2);
        control "line 3": |world| nobody_reads_stderr(world, 3);
        "line 4": |world| nobody_reads_stderr(world, 4);
        control "line 5": |world| nobody_reads_stderr(world, 5);
    }
}

/// Reads of the variables show what was there three seconds ago.
async fn variables_lag(world: &World) -> Held {
    let lag = Lag::new(Duration::from_secs(3), lists_variables, |request| {
        request.method != "GET"
    });
    let front = front::of_gitlab(world, move |request, remote| lag.answer(request, remote));
    let settings = world.by_role().with("GITLAB_API_URL", &front);
    let ran = world.run("rotate", &settings).await;
    works_with_another_key(world, &ran).await?;
    must(writes(world) <= A_HANDFUL, || {
        format!("{} writes\n{}", writes(world), told(&ran))
    })?;
    each_step_once(&ran)
}

/// They never show a write, and each request takes a second.
async fn variables_never_catch_up(world: &World) -> Held {
    let lag = Lag::new(HOUR, lists_variables, |request| request.method != "GET");
    let front = front::of_gitlab(world, move |request, remote| {
        std::thread::sleep(Duration::from_secs(1));
        lag.answer(request, remote)
    });
    let run = world.begin("rotate", &world.by_role().with("GITLAB_API_URL", &front));
    // With the time of the future its run ends, unless it ended by itself.
    let ran = tokio::time::timeout(Duration::from_secs(20), run.ended()).await;
    world.works().await?;
    must(world.pair().id != world.lab.old.id, || {
        "nothing was published".to_owned()
    })?;
    must(writes(world) <= A_HANDFUL, || {
        format!("{} writes in 20 s", writes(world))
    })?;
    ran.map_or(Ok(()), |ran| ended(&ran, &[0]))
}

/// ListAccessKeys shows the status of three seconds ago; and IAM allows six changes of it.
async fn statuses_lag(world: &World, throttled: bool) -> Held {
    let settings = world.by_role();
    world.does("rotate", &settings).await;
    world.advance(HOUR * 25).await;
    let old = &world.lab.old.id;
    if throttled {
        let throttle = json!({"action": "UpdateAccessKey", "mode": "error", "match": {"AccessKeyId": old},
            "skip": 6, "times": null});
        world.lab.aws.fault(throttle).await.unwrap();
    }
    let lag = Lag::new(
        Duration::from_secs(3),
        |request| is_action(request, "ListAccessKeys"),
        |request| is_action(request, "UpdateAccessKey"),
    );
    let front = front::of_aws(world, move |request, remote| lag.answer(request, remote));
    let settings = settings.with("AWS_ENDPOINT_URL", &front);
    let ran = world.run("retire", &settings).await;
    let calls = world.lab.aws.control("GET", "journal", None).await.unwrap();
    let changes = calls.as_array().unwrap().iter().filter(|call| {
        call["action"] == "UpdateAccessKey" && call["parameters"]["AccessKeyId"] == old.as_str()
    });
    let count = changes.count();
    ended(&ran, &[0])?;
    let status = world.status(USER, old).await;
    must(status.as_deref() == Some("Inactive"), || {
        format!("{status:?}\n{}", told(&ran))
    })?;
    must(count <= A_HANDFUL, || {
        format!("{count} times UpdateAccessKey\n{}", told(&ran))
    })?;
    each_step_once(&ran)
}

/// How often variables were created or changed through the API.
fn writes(world: &World) -> usize {
    let calls = world.lab.gitlab.journal();
    let writes = calls.iter().filter(|call| call.method != "GET");
    writes.count()
}

fn each_step_once(ran: &Ran) -> Held {
    let report = rotation(ran);
    let steps = report["steps"].as_array().unwrap();
    let mut listed = BTreeSet::new();
    for step in steps {
        let what = format!("{} {} {}", step["step"], step["key"], step["target"]);
        must(listed.insert(what.clone()), || {
            format!("{what} twice\n{}", told(ran))
        })?;
    }
    Ok(())
}

/// The log is a pipe whose room ends within this line, and whose reader hangs.
async fn nobody_reads_stderr(world: &World, line: usize) -> Held {
    let settings = world.by_role();
    let ran = world.does("rotate", &settings).await;
    let lines: Vec<usize> = ran.stderr.split_inclusive('\n').map(str::len).collect();
    let Some((last, before)) = lines.get(..line).and_then(<[usize]>::split_last) else {
        // A binary that says less is held up by less.
        return Ok(());
    };
    begins_anew(world).await;
    let (reader, writer) = pipe_with_room(before.iter().sum::<usize>() + last / 2).unwrap();
    let mut command = world.command("rotate", &settings);
    command.stdout(Stdio::null()).stderr(writer);
    let mut run = command.spawn().unwrap();
    drop(command);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let works = world.works().await;
    run.kill().unwrap();
    run.wait().unwrap();
    drop(reader);
    works
}
