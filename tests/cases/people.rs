//! People at work beside keyturn: what they edit, activate, create and restore.

use std::time::Duration;

use serde_json::json;
use testbed::aws::Pair;
use testbed::lab::USER;

use crate::case::{Held, cases};
use crate::world::{DAY, HOUR, ID, MINUTE, RELEASE, SECRET, World, ended, must, says, told};

cases! {
    a_person_between_two_edits_is_left_alone: "L-A5", "a run between the two edits of a person" => {
        "(a)": |world| a_run_between_two_edits(world, Of::Deploy, READABLE);
        "(a) self": |world| a_run_of_itself_between_two_edits(world);
        "(b)": |world| a_run_between_two_edits(world, Of::Release, READABLE);
        control "(a) hidden": |world| a_run_between_two_edits(world, Of::Deploy, HIDDEN);
        control "(b) hidden": |world| a_run_between_two_edits(world, Of::Release, HIDDEN);
        control "(a) secret first": |world| a_run_after_the_secret(world, Of::Deploy);
        "(b) secret first": |world| a_run_after_the_secret(world, Of::Release);
    }

    a_key_that_a_person_activated_stays_active: "L-A6", "a key that a person activated again is deactivated by the next run" => {
        "retire": |world| somebody_activates_a_key_again(world, "retire", true);
        "rotate": |world| somebody_activates_a_key_again(world, "rotate", true);
        "not used since": |world| somebody_activates_a_key_again(world, "retire", false);
    }

    a_week_is_counted_from_the_deactivation: "L-A3", "no week between Inactive and deleted when the deactivation came late" => {
        "": |world| a_late_deactivation(world, Some(DAY * 10));
        "never used": |world| a_late_deactivation(world, None);
    }

    a_key_that_a_person_used_is_no_orphan: "L-A8", "a key that a person made and tried once is deleted as an orphan" => {
        "": |world| a_person_makes_and_tries_a_key(world);
    }

    a_refused_creation_vouches_for_no_key: "W-A16", "a refused CreateAccessKey leads to the deletion of somebody's key" => {
        "": |world| a_creation_is_refused(world);
    }

    an_undone_rotation_is_reported: "W-A17", "another tool undoes every rotation, and all is converged" => {
        "": |world| another_tool_restores_the_first_pair(world);
    }
}

const READABLE: bool = false;
const HIDDEN: bool = true;

/// Whose new pair a person pastes.
#[derive(Clone, Copy)]
enum Of {
    Deploy,
    Release,
}

/// A person pastes a new pair, the id first; a run comes before the secret.
async fn a_run_between_two_edits(world: &World, of: Of, hidden: bool) -> Held {
    let lab = &world.lab;
    if hidden {
        world.hides(lab.group, SECRET);
    }
    world.rotates_fully(&world.by_role()).await;
    let (user, pasted) = match of {
        Of::Deploy => (USER, lab.aws.add_key(USER, Duration::ZERO).await.unwrap()),
        Of::Release => (RELEASE, world.release.clone()),
    };
    let before = world.pair();
    world.sets(lab.group, ID, &pasted.id);
    let ran = world.run("rotate", &world.by_role()).await;
    let now = world.pair();
    must(now.id == pasted.id, || {
        format!("the run put back {}\n{}", now.id, told(&ran))
    })?;
    must(now.secret == before.secret, || {
        format!("the run replaced the secret\n{}", told(&ran))
    })?;
    ended(&ran, &[0, 3])?;
    world.sets(lab.group, SECRET, &pasted.secret);
    world.works().await?;
    world.advance(HOUR * 26).await;
    let ran = world.run("rotate", &world.by_role()).await;
    must(world.pair() == pasted, || {
        format!(
            "the person's pair was replaced by {}\n{}",
            world.pair().id,
            told(&ran)
        )
    })?;
    is_active(world, user, &pasted.id, "the person's key").await?;
    ended(&ran, &[0, 3])?;
    world.works().await
}

/// The run is handed the id of one key and the secret of the other.
async fn a_run_of_itself_between_two_edits(world: &World) -> Held {
    let lab = &world.lab;
    world.rotates_fully(&world.by_role()).await;
    let pasted = lab.aws.add_key(USER, Duration::ZERO).await.unwrap();
    world.sets(lab.group, ID, &pasted.id);
    let ran = world.run("rotate", &world.by_itself()).await;
    must(world.pair().id == pasted.id, || {
        format!("the run put back {}\n{}", world.pair().id, told(&ran))
    })?;
    world.sets(lab.group, SECRET, &pasted.secret);
    world.works().await
}

/// A person pastes the secret first, and a run comes before the id.
async fn a_run_after_the_secret(world: &World, of: Of) -> Held {
    let lab = &world.lab;
    world.rotates_fully(&world.by_role()).await;
    let (user, pasted) = match of {
        Of::Deploy => (USER, lab.aws.add_key(USER, Duration::ZERO).await.unwrap()),
        Of::Release => (RELEASE, world.release.clone()),
    };
    world.sets(lab.group, SECRET, &pasted.secret);
    let ran = world.run("rotate", &world.by_role()).await;
    must(world.pair().secret == pasted.secret, || {
        format!("the run replaced the person's secret\n{}", told(&ran))
    })?;
    ended(&ran, &[0, 3])?;
    world.sets(lab.group, ID, &pasted.id);
    world.works().await?;
    world.advance(HOUR * 26).await;
    let ran = world.run("rotate", &world.by_role()).await;
    must(world.pair() == pasted, || {
        format!(
            "the person's pair was replaced by {}\n{}",
            world.pair().id,
            told(&ran)
        )
    })?;
    is_active(world, user, &pasted.id, "the person's key").await?;
    ended(&ran, &[0, 3])?;
    world.works().await
}

async fn is_active(world: &World, user: &str, id: &str, what: &str) -> Held {
    let status = world.status(user, id).await;
    must(status.as_deref() == Some("Active"), || {
        format!("{what} is {}", status.unwrap_or("gone".to_owned()))
    })
}

async fn somebody_activates_a_key_again(world: &World, command: &str, used: bool) -> Held {
    let old = &world.lab.old.id;
    world.does("rotate", &world.by_role()).await;
    world.advance(HOUR * 25).await;
    world.does("retire", &world.by_role()).await;
    assert_eq!(world.status(USER, old).await.as_deref(), Some("Inactive"));
    world.lab.aws.activate_key(USER, old).await.unwrap();
    if used {
        world.used(old, MINUTE).await;
    }
    world.advance(DAY).await;
    let ran = world.run(command, &world.by_role()).await;
    is_active(world, USER, old, "the key that somebody activated")
        .await
        .map_err(|why| format!("{why}\n{}", told(&ran)))?;
    ended(&ran, &[0, 3])?;
    must(ran.code == Some(3) || says(&ran, old), || {
        format!(
            "the run does not say that somebody activated {old}\n{}",
            told(&ran)
        )
    })?;
    world.works().await
}

/// The deactivation comes a month after the grace. From then on it is a week.
async fn a_late_deactivation(world: &World, last_use: Option<Duration>) -> Held {
    let old = &world.lab.old.id;
    world.does("rotate", &world.by_role()).await;
    world.advance(DAY * 30).await;
    if let Some(ago) = last_use {
        world.used(old, ago).await;
    }
    world.does("retire", &world.by_role()).await;
    assert_eq!(world.status(USER, old).await.as_deref(), Some("Inactive"));
    for later in [MINUTE, DAY, DAY * 5] {
        world.advance(later).await;
        ended(&world.run("retire", &world.by_role()).await, &[0])?;
        let status = world.status(USER, old).await;
        must(status.as_deref() == Some("Inactive"), || {
            format!(
                "{later:?} later the key is {}",
                status.unwrap_or("gone".to_owned())
            )
        })?;
    }
    world.advance(DAY * 2).await;
    ended(&world.run("retire", &world.by_role()).await, &[0])?;
    let status = world.status(USER, old).await;
    must(status.is_none(), || {
        format!("eight days later the key is {status:?}")
    })?;
    world.works().await
}

async fn a_person_makes_and_tries_a_key(world: &World) -> Held {
    let aws = &world.lab.aws;
    let fails = json!({"action": "CreateAccessKey", "mode": "error", "status": 500,
        "code": "InternalFailure", "times": null});
    aws.fault(fails).await.unwrap();
    world.run("rotate", &world.by_role()).await;
    aws.control("DELETE", "fault", None).await.unwrap();
    world.advance(MINUTE * 10).await;
    let made = aws.add_key(USER, Duration::ZERO).await.unwrap();
    world.accepted(&made).await.unwrap();
    world.advance(HOUR * 26).await;
    world.run("rotate", &world.by_role()).await;
    is_active(world, USER, &made.id, "the person's key").await?;
    world.works().await
}

/// A right is missing, so that no key was made, and a person makes one.
async fn a_creation_is_refused(world: &World) -> Held {
    let aws = &world.lab.aws;
    let refused = json!({"action": "CreateAccessKey", "mode": "error", "status": 403,
        "code": "AccessDenied", "times": null});
    aws.fault(refused).await.unwrap();
    let ran = world.run("rotate", &world.by_role()).await;
    ended(&ran, &[3])?;
    aws.control("DELETE", "fault", None).await.unwrap();
    world.advance(MINUTE * 10).await;
    let made = aws.add_key(USER, Duration::ZERO).await.unwrap();
    world.advance(HOUR * 25).await;
    world.run("retire", &world.by_role()).await;
    is_active(world, USER, &made.id, "the administrator's key").await?;
    world.works().await
}

/// It holds the first pair and no description, and applies that every night.
fn restores(world: &World, first: &Pair) {
    world.keeps(world.lab.group, [ID, SECRET], first);
}

async fn another_tool_restores_the_first_pair(world: &World) -> Held {
    let first = &world.lab.old;
    for _ in 0..2 {
        let ran = world.run("rotate", &world.by_role()).await;
        // Whoever has seen it undone may as well refuse to go on.
        ended(&ran, &[0, 3])?;
        let published = world.pair().id != first.id;
        restores(world, first);
        let ran = world.run("retire", &world.by_role()).await;
        must(!published || ran.code == Some(3) || says(&ran, &first.id), || {
            format!("no word of a rotation that was undone\n{}", told(&ran))
        })?;
        for _ in 0..9 {
            world.advance(DAY).await;
            restores(world, first);
            ended(&world.run("retire", &world.by_role()).await, &[0, 3])?;
        }
        world.advance(DAY * 21).await;
        restores(world, first);
    }
    world.works().await
}
