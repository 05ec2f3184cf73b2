//! Whose pair is it? Variables that hold another user's pair, or something else altogether.

use testbed::lab::USER;

use crate::case::{Held, cases};
use crate::world::{HOUR, SECRET, World};

cases! {
    a_hidden_pair_of_another_user_is_left: "L-A1", "a hidden pair of another user is overwritten" => {
        "(a)": |world| another_caller(world, true);
        "(b)": |world| another_user(world, true);
        control "(a) readable": |world| another_caller(world, false);
        control "(b) readable": |world| another_user(world, false);
    }
}

/// Somebody with credentials of another user runs it by hand, and names no user.
async fn another_caller(world: &World, hidden: bool) -> Held {
    rotated_once(world, hidden).await;
    let settings = world.signed_by(&world.release);
    world.is_refused(&settings, &[2, 3]).await?;
    world.works().await
}

/// The wrong user is named, one whose keys the role may create.
async fn another_user(world: &World, hidden: bool) -> Held {
    rotated_once(world, hidden).await;
    world.add_user("backup", None).await;
    world.role_may_rotate(&[USER, "backup"]).await;
    let settings = world.by_role().with("AWS_IAM_USER", "backup");
    world.is_refused(&settings, &[2, 3]).await?;
    world.works().await
}

/// Deploy's pair in the group is one that keyturn published an hour ago.
async fn rotated_once(world: &World, hidden: bool) {
    if hidden {
        world.hides(world.lab.group, SECRET);
    }
    world.does("rotate", &world.by_role()).await;
    world.advance(HOUR).await;
}
