//! Answers that aren't what they seem: refusals of writes that took effect, looks that aren't one instant, failures that
//! pass, records that another run overwrites, and two keys of one second.

use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use testbed::aws::Pair;
use testbed::gitlab::{Answer, Effect, Fault, Variable};
use testbed::lab::{Ran, USER, policy};
use testbed::message::Response;

use crate::case::{Held, cases};
use crate::front::{self, Halt, is_action, lists_variables, pass};
use crate::world::{DAY, HOUR, ID, SECRET, Settings, World, ended, must, told, until};

const BACKUP: &str = "backup";
const BACKUP_NAMES: [&str; 2] = ["BACKUP_ID", "BACKUP_SECRET"];

cases! {
    a_refused_write_that_took_effect_is_completed: "G-B01", "the key of a write that was answered 4xx is deleted" => {
        "403, role, readable": |world| refused_though_written(world, forbidden(), World::by_role, false);
        "403, role, hidden": |world| refused_though_written(world, forbidden(), World::by_role, true);
        "403, self, readable": |world| refused_though_written(world, forbidden(), World::by_itself, false);
        "403, self, hidden": |world| refused_though_written(world, forbidden(), World::by_itself, true);
        "404, role, readable": |world| refused_though_written(world, not_found(), World::by_role, false);
        "404, role, hidden": |world| refused_though_written(world, not_found(), World::by_role, true);
        "404, self, readable": |world| refused_though_written(world, not_found(), World::by_itself, false);
        "404, self, hidden": |world| refused_though_written(world, not_found(), World::by_itself, true);
        "maintenance, role, readable": |world| refused_though_written(world, Answer::ReadOnly, World::by_role, false);
        "maintenance, role, hidden": |world| refused_though_written(world, Answer::ReadOnly, World::by_role, true);
        "maintenance, self, readable": |world| refused_though_written(world, Answer::ReadOnly, World::by_itself, false);
        "maintenance, self, hidden": |world| refused_though_written(world, Answer::ReadOnly, World::by_itself, true);
        "403, variables that don't exist": |world| refused_though_created(world);
    }

    a_look_over_two_pages_breaks_no_pair: "L-A4", "a pair read from two pages is repaired into a broken one" => {
        "(a) rotate": |world| between_two_pages(world, "rotate", false, false);
        "(a) retire": |world| between_two_pages(world, "retire", false, false);
        "(b)": |world| between_two_pages(world, "rotate", true, true);
        "(c)": |world| between_two_pages(world, "rotate", true, false);
    }

    rotations_in_one_container_keep_their_records: "L-B1", "rotations that share a container undo each other's journal" => {
        "(a)": |world| first_runs_together(world);
        "(b) at once": |world| later_runs_together(world, false);
        "(b) late": |world| later_runs_together(world, true);
    }

    a_proved_key_outlasts_seconds_of_502: "L-B3", "seconds of 502 end the run with the proved key in hand" => {
        "after CreateAccessKey": |world| failing_reads_after_create(world);
    }

    the_newer_of_two_keys_of_a_second_is_published: "W-A18", "of two keys of one second the id decides which is published" => {
        control "the old id sorts first": |world| of_the_same_second(world, true);
        "the new id sorts first": |world| of_the_same_second(world, false);
    }
}

fn forbidden() -> Answer {
    refusal(403, "403 Forbidden")
}

fn not_found() -> Answer {
    refusal(404, "404 GroupVariable Not Found")
}

fn refusal(status: u16, message: &str) -> Answer {
    Answer::Custom {
        status,
        headers: [("content-type".to_owned(), "application/json".to_owned())].into(),
        body: json!({ "message": message }).to_string(),
    }
}

/// Something between carries out the first write of the secret, and answers that it was refused.
async fn refused_though_written(
    world: &World,
    answer: Answer,
    signer: fn(&World) -> Settings,
    hidden: bool,
) -> Held {
    if hidden {
        world.hides(world.lab.group, SECRET);
    }
    let settings = signer(world);
    let path = format!("/variables/{SECRET}");
    let fault = Fault::on("PUT", &path, Effect::apply_then_answer(answer));
    world.lab.gitlab.fault(fault);
    let ran = world.run("rotate", &settings).await;
    assert!(
        world.lab.gitlab.waiting_faults().is_empty(),
        "no write: {}",
        told(&ran)
    );
    works_with_another_key(world, &ran).await
}

/// The same where keyturn creates the variables: after the journal the secret is the first.
async fn refused_though_created(world: &World) -> Held {
    let lab = &world.lab;
    lab.aws.delete_key(USER, &lab.old.id).await.unwrap();
    lab.gitlab.world(|gitlab| {
        for name in [ID, SECRET] {
            gitlab.remove_variable(lab.group, name, "*");
        }
    });
    let fault = Fault::on("POST", "/variables", Effect::apply_then_answer(forbidden()));
    lab.gitlab.fault(fault.skip(1));
    let ran = world.run("rotate", &world.by_role()).await;
    assert!(lab.gitlab.waiting_faults().is_empty(), "no write\n{}", told(&ran));
    works_with_another_key(world, &ran).await
}

/// Another run rotates between the victim's requests for the first page, with the secret, and the second one, with the id.
async fn between_two_pages(world: &World, command: &str, hidden: bool, rotated_before: bool) -> Held {
    let (lab, settings) = (&world.lab, world.by_role());
    if hidden {
        world.hides(lab.group, SECRET);
    }
    if rotated_before {
        world.rotates_fully(&settings).await;
    }
    lab.gitlab.world(|gitlab| {
        let id = gitlab.variable(lab.group, ID, "*").unwrap();
        gitlab.remove_variable(lab.group, ID, "*");
        for number in 0..110 {
            let name = format!("REGION_{number}");
            gitlab.set_variable(lab.group, Variable::new(&name, "eu-central-1"));
        }
        gitlab.set_variable(lab.group, id);
    });
    let halt = Arc::new(Halt::default());
    let held = Arc::clone(&halt);
    let front = front::of_gitlab(world, move |request, remote| {
        if lists_variables(request) && request.path.contains("page=2") {
            held.here();
        }
        pass(request, remote)
    });
    let victim = world.begin(command, &settings.clone().with("GITLAB_API_URL", &front));
    let reached: Held = until!(halt.is_reached(), "a second page was asked for");
    reached.unwrap();
    world.does("rotate", &settings).await;
    halt.release();
    let ran = victim.ended().await;
    each_id_completed_a_pair(world).map_err(|why| format!("{why}\n{}", told(&ran)))?;
    works_with_another_key(world, &ran).await
}

/// Between the write of a secret and that of its id the pair is torn, and at no other time.
fn each_id_completed_a_pair(world: &World) -> Held {
    let issued = world.lab.aws.issued().unwrap();
    let changes = world.lab.gitlab.world(|gitlab| gitlab.changes().to_vec());
    let mut secret = None;
    for change in changes.iter().filter(|change| change.by != "test") {
        if change.key == SECRET {
            secret = Some(&change.value);
        }
        if change.key == ID
            && let Some(secret) = secret
        {
            let whole = issued
                .iter()
                .any(|pair| pair.id == change.value && pair.secret == *secret);
            must(whole, || {
                format!("{} was written beside another key's secret", change.value)
            })?;
        }
    }
    Ok(())
}

/// What two runs tell each other through their fronts.
#[derive(Default)]
struct Race {
    at_first_write: AtomicUsize,
    backup_wrote: AtomicBool,
    backup_created: AtomicBool,
}

/// A rule that holds the first write of a run until this is so, and notes when it is carried out.
fn first_write_waits(world: &World, race: &Arc<Race>, of_backup: bool, so: fn(&Race) -> bool) -> String {
    let (race, first) = (Arc::clone(race), AtomicBool::new(true));
    front::of_gitlab(world, move |request, remote| {
        let is_first = request.method != "GET" && first.swap(false, Ordering::SeqCst);
        if is_first {
            race.at_first_write.fetch_add(1, Ordering::SeqCst);
            front::wait_for(|| so(&race));
        }
        let answer = pass(request, remote)?;
        if is_first && of_backup {
            race.backup_wrote.store(true, Ordering::SeqCst);
        }
        Ok(answer)
    })
}

fn both_wait(race: &Race) -> bool {
    race.at_first_write.load(Ordering::SeqCst) == 2
}

/// The settings of deploy and of a second user, whose pair the group holds under other names; one role may rotate both.
async fn two_users(world: &World) -> (Settings, Settings) {
    let own = policy("self-rotation").unwrap();
    world.add_user(BACKUP, Some(&own)).await;
    let pair = world.lab.aws.add_key(BACKUP, DAY * 90).await.unwrap();
    world.keeps(world.lab.group, BACKUP_NAMES, &pair);
    world.role_may_rotate(&[USER, BACKUP]).await;
    let deploy = world.by_role();
    let backup = deploy
        .clone()
        .with("AWS_IAM_USER", BACKUP)
        .with("KEYTURN_ACCESS_KEY_ID_VARIABLE", BACKUP_NAMES[0])
        .with("KEYTURN_SECRET_ACCESS_KEY_VARIABLE", BACKUP_NAMES[1]);
    (deploy, backup)
}

/// Both runs find no journal, and create it.
async fn first_runs_together(world: &World) -> Held {
    let (deploy, backup) = two_users(world).await;
    let race = Arc::new(Race::default());
    let of_deploy = first_write_waits(world, &race, false, both_wait);
    let of_backup = first_write_waits(world, &race, true, both_wait);
    let one = world.begin("rotate", &deploy.with("GITLAB_API_URL", &of_deploy));
    let other = world.begin("rotate", &backup.with("GITLAB_API_URL", &of_backup));
    let (one, other) = (one.ended().await, other.ended().await);
    ended(&one, &[0])?;
    ended(&other, &[0])?;
    world.works().await?;
    let backup = world.pair_of(world.lab.group, BACKUP_NAMES);
    must(world.lab.aws.works(&backup).await, || {
        format!("backup's pair does not work: {other:?}")
    })
}

/// Both runs read the journal before either writes to it, deploy's write is the later one, and the answer to backup's
/// CreateAccessKey is lost.
async fn later_runs_together(world: &World, late: bool) -> Held {
    let (deploy, backup) = two_users(world).await;
    for settings in [&deploy, &backup] {
        world.does("rotate", settings).await;
    }
    for later in [HOUR * 25, DAY * 8] {
        world.advance(later).await;
        for settings in [&deploy, &backup] {
            world.does("retire", settings).await;
        }
    }
    let race = Arc::new(Race::default());
    let of_deploy = if late {
        first_write_waits(world, &race, false, |race| {
            race.backup_created.load(Ordering::SeqCst)
        })
    } else {
        first_write_waits(world, &race, false, |race| {
            race.backup_wrote.load(Ordering::SeqCst)
        })
    };
    let of_backup = first_write_waits(world, &race, true, both_wait);
    let created = Arc::clone(&race);
    let losing = front::of_aws(world, move |request, remote| {
        let answer = pass(request, remote)?;
        if is_action(request, "CreateAccessKey") {
            created.backup_created.store(true, Ordering::SeqCst);
            return Err(Error::from(ErrorKind::ConnectionReset));
        }
        Ok(answer)
    });
    let one = world.begin("rotate", &deploy.clone().with("GITLAB_API_URL", &of_deploy));
    let through = backup.clone().with("GITLAB_API_URL", &of_backup);
    let other = world.begin("rotate", &through.with("AWS_ENDPOINT_URL", &losing));
    let (one, other) = (one.ended().await, other.ended().await);
    ended(&one, &[0])?;
    let held_id = world.pair_of(world.lab.group, BACKUP_NAMES).id;
    let keys = world.lab.aws.keys(BACKUP).await.unwrap();
    let orphan = keys.iter().find(|key| key.id != held_id);
    let orphan = orphan.unwrap_or_else(|| panic!("no key was lost: {other:?}"));
    world.advance(HOUR * 27).await;
    let ran = world.run("rotate", &backup).await;
    ended(&ran, &[0])?;
    let status = world.status(BACKUP, &orphan.id).await;
    must(status.is_none(), || {
        format!("the orphan is {status:?}\n{}", told(&ran))
    })
}

/// Eight reads of the variables fail once there is a key.
async fn failing_reads_after_create(world: &World) -> Held {
    let failing = Arc::new(AtomicUsize::new(0));
    let armed = Arc::clone(&failing);
    let aws = front::of_aws(world, move |request, remote| {
        let answer = pass(request, remote)?;
        if is_action(request, "CreateAccessKey") {
            armed.store(8, Ordering::SeqCst);
        }
        Ok(answer)
    });
    let gitlab = front::of_gitlab(world, move |request, remote| {
        let one_less = |left: usize| left.checked_sub(1);
        if lists_variables(request)
            && failing
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less)
                .is_ok()
        {
            return Ok(Response::made(
                502,
                &[("content-type", "text/html")],
                b"<h1>502 Bad Gateway</h1>",
            ));
        }
        pass(request, remote)
    });
    let settings = world.by_role().with("GITLAB_API_URL", &gitlab);
    let ran = world
        .run("rotate", &settings.with("AWS_ENDPOINT_URL", &aws))
        .await;
    works_with_another_key(world, &ran).await
}

/// As at the start, with another key.
pub(crate) async fn begins_anew(world: &World) {
    let lab = &world.lab;
    for key in lab.aws.keys(USER).await.unwrap() {
        lab.aws.delete_key(USER, &key.id).await.unwrap();
    }
    lab.gitlab.world(|gitlab| {
        for variable in gitlab.variables(lab.group) {
            gitlab.remove_variable(lab.group, &variable.key, &variable.environment_scope);
        }
    });
    let key = lab.aws.add_key(USER, DAY * 90).await.unwrap();
    world.keeps(lab.group, [ID, SECRET], &key);
}

/// The success of a run that published another key.
pub(crate) async fn works_with_another_key(world: &World, ran: &Ran) -> Held {
    world
        .works()
        .await
        .map_err(|why| format!("{why}\n{}", told(ran)))?;
    must(world.pair().id != world.lab.old.id, || {
        format!("nothing was published\n{}", told(ran))
    })?;
    ended(ran, &[0])
}

/// The key that the variables hold and the new one are created within one second.
async fn of_the_same_second(world: &World, old_sorts_first: bool) -> Held {
    for _ in 0..10 {
        let old = key_of_the_next_second(world, old_sorts_first).await;
        let ran = world.run("rotate", &world.by_role()).await;
        let keys = world
            .lab
            .aws
            .control("GET", &format!("keys?user={USER}"), None)
            .await
            .unwrap();
        let dated: Vec<(&str, &str)> = keys
            .as_array()
            .unwrap()
            .iter()
            .map(|key| (key["id"].as_str().unwrap(), key["created"].as_str().unwrap()))
            .collect();
        if let [(first, at), (second, later)] = dated.as_slice() {
            let new = if *first == old { *second } else { *first };
            if at == later && (old.as_str() < new) == old_sorts_first {
                ended(&ran, &[0])?;
                world.works().await?;
                return must(world.pair().id == new, || {
                    format!("{new} was not published\n{}", told(&ran))
                });
            }
        }
    }
    panic!("no two keys came to be in one second");
}

/// Waits for the beginning of a second in which there is a key already, whose id sorts before or after most others.
async fn key_of_the_next_second(world: &World, sorts_first: bool) -> String {
    begins_anew(world).await;
    let lab = &world.lab;
    let now = || lab.gitlab.world(|gitlab| gitlab.now().as_millisecond());
    let second = (now() / 1000 + 2) * 1000;
    let mut pairs = Vec::new();
    for _ in 0..20 {
        let ahead = second + 300 - now();
        let planted = json!({"user": USER, "age": -(ahead as f64) / 1000.0});
        let key = lab.aws.control("POST", "keys", Some(planted)).await.unwrap();
        let text = |name: &str| key[name].as_str().unwrap().to_owned();
        pairs.push((text("id"), text("secret")));
    }
    pairs.sort();
    let (id, secret) = if sorts_first { &pairs[0] } else { &pairs[19] }.clone();
    for key in lab.aws.keys(USER).await.unwrap() {
        if key.id != id {
            lab.aws.delete_key(USER, &key.id).await.unwrap();
        }
    }
    let (token, names) = (None, [ID, SECRET]);
    world.keeps(
        lab.group,
        names,
        &Pair {
            id: id.clone(),
            secret,
            token,
        },
    );
    while now() < second {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    id
}
