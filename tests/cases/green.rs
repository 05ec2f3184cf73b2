//! Green, and not going on: waits that can't end, and advice that doesn't fit the state.

use testbed::lab::{Ran, USER};

use crate::case::{Held, cases};
use crate::world::{HOUR, MINUTE, Settings, World, ended, must, reason, says, told};

cases! {
    a_wait_for_a_use_that_never_comes_ends: "L-B2", "a wait for a use of the new key never ends" => {
        "used for sts alone": |world| only_sts(world);
        control "used for s3": |world| used_for_s3(world);
    }

    a_use_by_keyturn_itself_does_not_count: "N2", "keyturn's own use of the new key counts as somebody's" => {
        "signed by itself": |world| nobody_uses_it(world, World::by_itself);
        control "signed by a role": |world| nobody_uses_it(world, World::by_role);
    }

    a_key_in_use_is_told_alike_by_all_commands: "N3", "rotate calls an outgoing key in use somebody else's" => {
        "retire first": |world| in_use(world, &["retire", "plan", "rotate"]);
        "plan first": |world| in_use(world, &["plan", "rotate", "retire"]);
    }
}

/// Pipelines that only assume a role use the key for nothing but STS, and IAM shows only the last service.
async fn only_sts(world: &World) -> Held {
    let settings = rotated(world, World::by_role).await;
    let mut last = None;
    for _ in 0..3 {
        world.advance(HOUR * 25).await;
        used(world, "sts").await;
        for command in ["retire", "retire", "rotate"] {
            let ran = world.run(command, &settings).await;
            old_key_is_active(world, &ran).await?;
            last = Some(ran);
        }
    }
    world.works().await?;
    let ran = last.unwrap();
    ended(&ran, &[3])?;
    must(reason(&ran) == "only_sts_use", || {
        format!("reason {}\n{}", reason(&ran), told(&ran))
    })?;
    must(says(&ran, "KEYTURN_REQUIRE_USE"), || {
        format!("it doesn't say which setting waits\n{}", told(&ran))
    })
}

async fn used_for_s3(world: &World) -> Held {
    let settings = rotated(world, World::by_role).await;
    world.advance(HOUR * 25).await;
    used(world, "s3").await;
    let ran = world.run("retire", &settings).await;
    ended(&ran, &[0])?;
    let status = world.status(USER, &world.lab.old.id).await;
    must(status.as_deref() == Some("Inactive"), || {
        format!("{status:?}\n{}", told(&ran))
    })
}

/// The run is signed by the new pair in the second form, and nobody else uses it.
async fn nobody_uses_it(world: &World, signer: fn(&World) -> Settings) -> Held {
    rotated(world, signer).await;
    for _ in 0..2 {
        world.advance(HOUR * 25).await;
        let settings = signer(world).with("KEYTURN_REQUIRE_USE", "true");
        let ran = world.run("retire", &settings).await;
        ended(&ran, &[0, 3])?;
        old_key_is_active(world, &ran).await?;
    }
    Ok(())
}

/// The grace is over, and something uses the outgoing key still.
async fn in_use(world: &World, commands: &[&str]) -> Held {
    let settings = world.by_role();
    world.does("rotate", &settings).await;
    world.advance(HOUR * 25).await;
    for command in commands {
        world.used(&world.lab.old.id, MINUTE * 10).await;
        let before = world.snapshot().await;
        let ran = world.run(command, &settings).await;
        ended(&ran, &[0]).map_err(|why| format!("{command}: {why}"))?;
        must(reason(&ran) == "in_use", || {
            format!("{command}: reason {}\n{}", reason(&ran), told(&ran))
        })?;
        must(!says(&ran, "delete the key"), || {
            format!("{command} advises to delete a key in use\n{}", told(&ran))
        })?;
        world.untouched_since(&before).await?;
    }
    world.works().await
}

/// A first rotation, under which the outgoing key is retired only after a use of the new one.
async fn rotated(world: &World, signer: fn(&World) -> Settings) -> Settings {
    let settings = signer(world).with("KEYTURN_REQUIRE_USE", "true");
    world.does("rotate", &settings).await;
    settings
}

/// Somebody used the new key for this service, at a time when nothing of keyturn ran.
async fn used(world: &World, service: &str) {
    let ago = (MINUTE * 10).as_secs();
    let used = serde_json::json!({"id": world.pair().id, "ago": ago, "service": service});
    world.lab.aws.control("POST", "used", Some(used)).await.unwrap();
}

async fn old_key_is_active(world: &World, ran: &Ran) -> Held {
    let status = world.status(USER, &world.lab.old.id).await;
    must(status.as_deref() == Some("Active"), || {
        format!("the outgoing key is {status:?}\n{}", told(ran))
    })
}
